//! `queries`: what each query waited for, by name or one by one.

use crate::engine::filter::Filter;
use crate::error::AnalyzeError;
use crate::integrity::warnings;
use crate::request::Request;
use crate::request::options::QueryOptions;
use crate::trace::queries::each_row;
use crate::trace::queries::select::without_queries;
use crate::trace::session::Session;
use crate::verbs::context::{
    self, Outcome, Trace, read_all, say_remarks, say_warnings, write_answer, write_narrow,
};
use pass::{DROP_ORDER, LEGEND, Queries, Rows};
use pf_formats::Query as Row;
use slowest::{Choice, Chosen, Singles};
use text::SinglesAnswer;

pub mod pass;
pub mod slowest;
pub mod text;

/// Reads the query rows, then the faults, and writes the answer.
///
/// # Errors
/// Input, output, or a question that the trace cannot answer.
pub fn run(request: &Request, options: QueryOptions) -> anyhow::Result<Outcome> {
    context::answer(request, true, |request, trace, output| {
        let rows = read_rows(&request.filter, options, trace)?;
        let request = &Request {
            filter: filter_of_faults(&request.filter),
            ..request.clone()
        };
        let input = trace.input()?;
        match rows {
            QueryRows::Names(rows) => {
                let mut queries = Queries::new(rows);
                let session = read_all(request, input, &mut [&mut queries])?;
                let table = queries.table(&session, request.format.is_data());
                let for_width = write_narrow(table, &DROP_ORDER, &session, request, output)?;
                let remarks = std::iter::once(LEGEND.to_owned())
                    .chain(for_width)
                    .chain(queries.remarks())
                    .chain(describe_filters(&session));
                say_remarks(remarks, request, output)?;
            }
            QueryRows::Singles(chosen) => {
                let mut singles = Singles::new(chosen);
                let session = read_all(request, input, &mut [&mut singles])?;
                say_warnings(&session, request.format, output)?;
                let answer = SinglesAnswer {
                    singles: &singles.finish(),
                    alone: matches!(options, QueryOptions::Id(_)),
                    session: &session,
                };
                write_answer(&answer, request, output)?;
                say_remarks(describe_filters(&session), request, output)?;
            }
        }
        Ok(())
    })
}

/// What the counts of queries do not have. The probes count a fault for its query before they leave it out of a sample or
/// because it was short, and after all other filters.
fn describe_filters(session: &Session) -> Option<String> {
    let is_counted = |words: &str| {
        ["latency of at least ", "one minor fault in ", "--sample "]
            .iter()
            .any(|counted| words.starts_with(counted))
    };
    let filters: Vec<String> = warnings::filters(session)
        .into_iter()
        .filter(|words| !is_counted(words))
        .collect();
    (!filters.is_empty()).then(|| {
        format!(
            "the recording has a filter ({}): faults that it left out are in no count and no wait of a query",
            warnings::listed(&filters)
        )
    })
}

/// The query rows, before any fault is looked at.
#[derive(Debug)]
enum QueryRows {
    /// By name.
    Names(Rows),
    /// Single queries.
    Singles(Chosen),
}

/// Reads the rows.
fn read_rows(filter: &Filter, options: QueryOptions, trace: &mut Trace) -> anyhow::Result<QueryRows> {
    // The command line refuses what selects single faults.
    let choice = match options {
        QueryOptions::Names => None,
        QueryOptions::Slowest(count) => Some(Choice::Slowest(count)),
        QueryOptions::Id(id) => Some(Choice::Id(id)),
    };
    let reader = trace.input()?.reader;
    let mut has_rows = false;
    let passes = |row: &Row, session: &Session| filter.passes_query(row, session);
    let rows = if let Some(choice) = choice {
        let mut chosen = Chosen::new(choice);
        each_row(reader, |row, session| {
            has_rows = true;
            chosen.add(row, passes(row, session));
        })?;
        if let (Choice::Id(id), true, true) = (choice, chosen.is_empty(), has_rows) {
            anyhow::bail!(
                "the trace has no query {id}, or its record is missing; some that there are: {}",
                trace
                    .caller()
                    .command("queries", &[("--slowest", Some("10".into()))])
            );
        }
        QueryRows::Singles(chosen)
    } else {
        let mut rows = Rows::default();
        each_row(reader, |row, session| {
            has_rows = true;
            rows.add(row, passes(row, session));
        })?;
        QueryRows::Names(rows)
    };
    if !has_rows {
        return Err(AnalyzeError::into(without_queries()));
    }
    let is_empty = match &rows {
        QueryRows::Names(rows) => rows.is_empty(),
        QueryRows::Singles(chosen) => chosen.is_empty(),
    };
    if is_empty {
        let (filter, all) = (filter.describe(), trace.caller().command("queries", &[]));
        pf_printing::say(format_args!(
            "no query passes the filter {filter}; all queries: {all}"
        ));
    }
    Ok(rows)
}

/// For the second pass: queries that began in a part of the time have all their faults.
#[must_use]
pub fn filter_of_faults(filter: &Filter) -> Filter {
    Filter {
        from_ns: None,
        to_ns: None,
        ..filter.clone()
    }
}
