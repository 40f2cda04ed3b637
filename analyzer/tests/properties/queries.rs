//! `queries`: a fault counts once for a name, however often queries of that name are around it.

use crate::generate::{Made, QUERIES, class_of, whole_traces};
use crate::support::START_NS;
use crate::support::ask::read;
use crate::{config, count, is_share, ns, row_of, rows, sum};
use pf_formats::{Event, Query, TraceReader};
use pfanalyze::engine::filter::Filter;
use pfanalyze::trace::class::Class;
use pfanalyze::trace::queries::each_row;
use pfanalyze::verbs::queries::filter_of_faults;
use pfanalyze::verbs::queries::pass::{Queries, Rows};
use pfanalyze::verbs::report::query_shares::QueryShares;
use proptest::prelude::*;
use serde_json::Value;

fn by_name(bytes: &[u8], filter: &Filter) -> Vec<Value> {
    let mut names = Rows::default();
    each_row(TraceReader::new(bytes).unwrap(), |row, session| {
        names.add(row, filter.passes_query(row, session));
    })
    .unwrap();
    let mut queries = Queries::new(names);
    let session = read(bytes, &filter_of_faults(filter), &mut [&mut queries]);
    rows(&queries.table(&session, true))
}

fn passes(filter: &Filter, query: &Query) -> bool {
    let since = query.begin_ns.saturating_sub(START_NS);
    filter.from_ns.is_none_or(|from| since >= from)
        && filter.to_ns.is_none_or(|to| since < to)
        && (filter.tids.is_empty() || filter.tids.contains(&query.tid))
}

/// The query of a fault and those around it.
fn around<'a>(made: &'a Made, event: &Event) -> Vec<&'a Query> {
    let of = |id| made.queries.iter().find(|query| query.id == id);
    std::iter::successors(of(event.query), |query| of(query.parent)).collect()
}

/// Filters that select whole queries.
fn filters() -> impl Strategy<Value = Filter> {
    crate::generate::filters().prop_map(|filter| Filter {
        class: None,
        ..filter
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_fault_in_queries_of_one_name_counts_once_for_that_name(made in whole_traces(), filter in filters()) {
        let told = by_name(&made.bytes(), &filter);
        let counted = |event: &&Event| class_of(event) != Class::Failed;
        for name in QUERIES {
            let queries = made.queries.iter().filter(|query| query.name == name && passes(&filter, query));
            let queries = queries.count() as u64;
            let Some(row) = row_of(&told, "query", name) else {
                prop_assert_eq!(queries, 0);
                continue;
            };
            let is_in = |event: &&Event| {
                around(&made, event).iter().any(|query| query.name == name && passes(&filter, query))
            };
            let inside: Vec<&Event> = made.events.iter().filter(counted).filter(is_in).collect();
            let majors = inside.iter().filter(|event| event.major).count() as u64;
            prop_assert_eq!(count(row, "count"), queries, "{}", row);
            prop_assert_eq!(count(row, "major"), majors, "{}", row);
            prop_assert_eq!(count(row, "minor"), inside.len() as u64 - majors, "{}", row);
            prop_assert_eq!(count(row, "recorded"), inside.len() as u64, "{}", row);
            prop_assert_eq!(ns(row, "wait_ms"), inside.iter().map(|event| event.latency_ns).sum::<u64>(), "{}", row);
            prop_assert!(is_share(&row["share_percent"]), "{}", row);
        }
    }

    #[test]
    fn no_name_waits_longer_than_all_faults_together_and_all_names_are_told(made in whole_traces()) {
        let told = by_name(&made.bytes(), &Filter::default());
        let whole: u64 = made.events.iter().filter(|event| class_of(event) != Class::Failed).map(|event| event.latency_ns).sum();
        prop_assert!(told.iter().all(|row| ns(row, "wait_ms") <= whole));
        prop_assert_eq!(sum(&told, "count"), made.queries.len() as u64);
    }

    #[test]
    fn the_report_and_a_comparison_say_of_queries_what_the_verb_says(made in whole_traces(), filter in filters()) {
        let trace = made.bytes();
        let told = by_name(&trace, &filter);
        let mut shares = QueryShares::default();
        read(&trace, &filter, &mut [&mut shares]);
        let in_report = rows(&shares.table(&filter));
        prop_assert_eq!(in_report.len(), told.len());
        for (row, of_report) in told.iter().zip(&in_report) {
            for (column, value) in of_report.as_object().unwrap() {
                prop_assert_eq!(&row[column.as_str()], value, "{}", column);
            }
        }
        let compared = crate::diff::compared(&trace, &trace, &filter);
        let compared: Vec<&Value> = compared.iter().filter(|row| row["by"] == "query").collect();
        prop_assert_eq!(compared.len(), told.len());
        for row in compared {
            let of_verb = row_of(&told, "query", row["name"].as_str().unwrap()).unwrap();
            for column in ["major", "minor"] {
                prop_assert_eq!(&row[format!("{column}_a")], &of_verb[column]);
            }
            prop_assert_eq!(ns(row, "wait_b_ms"), ns(of_verb, "wait_ms"));
        }
    }

    #[test]
    fn the_order_of_the_rows_makes_no_difference(made in whole_traces(), turn in 0..100usize, is_reversed in any::<bool>()) {
        let mut other = made.clone();
        if is_reversed {
            other.queries.reverse();
        }
        if !other.queries.is_empty() {
            let turn = turn % other.queries.len();
            other.queries.rotate_left(turn);
        }
        let filter = Filter::default();
        prop_assert_eq!(by_name(&made.bytes(), &filter), by_name(&other.bytes(), &filter));
    }
}
