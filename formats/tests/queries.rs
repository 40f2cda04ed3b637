//! Queries: what is written comes back, in as many records as it takes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::read;
use pf_formats::{Event, Item, Query, QueryFaults, QueryId, Totals};

/// The queries of each record.
fn records(items: &[Item]) -> Vec<Vec<Query>> {
    let queries = |item: &Item| {
        let Item::Queries(queries) = item else { return None };
        Some(queries.clone())
    };
    items.iter().filter_map(queries).collect()
}

fn written(queries: &[Query]) -> Vec<Vec<Query>> {
    let mut writer = common::writer();
    writer.queries(queries).unwrap();
    let (items, summary) = read(&writer.finish(Totals::default()).unwrap());
    assert_eq!((summary.damages, summary.finished), (0, true));
    records(&items)
}

fn query(id: u64) -> Query {
    Query {
        id: QueryId(id),
        name: "n".into(),
        ..Query::default()
    }
}

#[test]
fn queries_come_back_as_written() {
    assert_eq!(written(&common::queries()), [common::queries()]);
    assert_eq!(written(&[]), Vec::<Vec<Query>>::new());
}

#[test]
fn every_extreme_of_a_number_comes_back() {
    let most = QueryFaults {
        majors: u64::MAX,
        minors: u64::MAX,
        wait_ns: u64::MAX,
    };
    let extreme = Query {
        parent: QueryId(1),
        pid: u32::MAX,
        tid: u32::MAX,
        key: Some(u64::MAX),
        begin_ns: u64::MAX,
        end_ns: 0,
        own: most,
        nested: most,
        ..query(u64::MAX)
    };
    let early = Query {
        parent: QueryId(u64::MAX),
        ..query(1)
    };
    let queries = [extreme, early];
    assert_eq!(written(&queries).concat(), queries);
    assert_eq!(queries[0].total(), most);
}

#[test]
fn the_query_of_an_event_comes_back_and_costs_a_column_only_where_there_is_one() {
    let plain = common::event(1);
    let inside = Event {
        query: QueryId(1 << 40),
        ..plain
    };
    let mut writer = common::writer();
    for block in [[plain, plain], [plain, inside]] {
        for event in block {
            writer.push(&event).unwrap();
        }
        writer.flush_block().unwrap();
    }
    let (items, _) = read(&writer.finish(Totals::default()).unwrap());
    assert_eq!(common::blocks(&items), [[plain, plain], [plain, inside]]);
    let columns: Vec<_> = items.iter().filter_map(common::columns).collect();
    assert_eq!(columns[0].query, []);
    assert_eq!(columns[1].query, [0, 1 << 40]);
}

#[test]
fn long_texts_are_cut_at_a_character_and_say_so() {
    let long = Query {
        name: "é".repeat(600),
        text: Some("é".repeat(200).replacen('é', "e", 1)),
        ..query(1)
    };
    let short = Query {
        text: Some("x".repeat(256)),
        ..query(2)
    };
    let back = written(&[long, short.clone()]).concat();
    assert_eq!(back[1], short);
    assert_eq!(back[0].text.as_ref().unwrap().len(), 255);
    assert!(back[0].text_cut && back[0].name.ends_with('…') && back[0].name.len() <= 1024);
}

#[test]
fn many_queries_with_long_texts_are_split_into_records_that_read_back() {
    let queries: Vec<_> = (1..100_000)
        .map(|id| Query {
            text: Some(format!("{id:0256}")),
            ..query(id)
        })
        .collect();
    let records = written(&queries);
    assert!(records.len() > 4, "{}", records.len());
    assert!(records.concat() == queries);
}

#[test]
fn a_query_without_an_id_is_not_written() {
    let error = common::writer().queries(&[query(0)]).unwrap_err().to_string();
    assert!(error.contains("query id"), "{error}");
}
