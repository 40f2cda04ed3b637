//! The verb `queries`, and `--query` of all verbs: both read the query rows before the faults.

use crate::cli::{QueryOptions, Request};
use crate::engine::filter::Filter;
use crate::error::AnalyzeError;
use crate::trace::input::Source;
use crate::trace::queries::each_row;
use crate::trace::queries::select::{select, without_queries};
use crate::trace::session::Session;
use crate::verbs::queries::pass::Rows;
use crate::verbs::queries::slowest::{Choice, Chosen};
use pf_formats::Query as Row;

/// The filter, with the queries that `--query` means.
///
/// # Errors
/// I/O errors of the input, or a trace without queries.
pub fn with_queries(request: &Request, source: &Source) -> anyhow::Result<Filter> {
    let mut filter = request.filter.clone();
    if request.queries.is_empty() {
        return Ok(filter);
    }
    let selection = select(source.input()?.reader, &request.queries)?;
    if let Some(hint) = selection.hint {
        pf_printing::say(hint);
    }
    filter.queries = Some(selection.ids);
    Ok(filter)
}

/// The query rows, before any fault is looked at.
#[derive(Debug)]
pub enum FirstLook {
    /// By name.
    Names(Rows),
    /// Single queries.
    Singles(Chosen),
}

/// Reads the rows.
///
/// # Errors
/// I/O errors of the input, or a question that the trace cannot answer.
pub fn first_look(filter: &Filter, options: QueryOptions, source: &Source) -> anyhow::Result<FirstLook> {
    if let Some(condition) = filter.is_about_faults() {
        anyhow::bail!(
            "queries are counted whole, and {condition} selects single faults: \
             'pfanalyze events --format csv' has the query_id of each"
        );
    }
    let choice = match options {
        QueryOptions::Names => None,
        QueryOptions::Slowest(count) => Some(Choice::Slowest(count)),
        QueryOptions::Id(id) => Some(Choice::Id(id)),
    };
    let reader = source.input()?.reader;
    let mut has_rows = false;
    let passes = |row: &Row, session: &Session| filter.passes_query(row, session);
    let look = if let Some(choice) = choice {
        let mut chosen = Chosen::new(choice);
        each_row(reader, |row, session| {
            has_rows = true;
            chosen.add(row, passes(row, session));
        })?;
        if let (Choice::Id(id), true, true) = (choice, chosen.is_empty(), has_rows) {
            anyhow::bail!(
                "the trace has no query {id}, or its record is missing: 'pfanalyze queries --slowest 10' shows some"
            );
        }
        FirstLook::Singles(chosen)
    } else {
        let mut rows = Rows::default();
        each_row(reader, |row, session| {
            has_rows = true;
            rows.add(row, passes(row, session));
        })?;
        FirstLook::Names(rows)
    };
    if !has_rows {
        return Err(AnalyzeError::into(without_queries()));
    }
    Ok(look)
}

/// For the second look: queries that began in a part of the time have all their faults.
#[must_use]
pub fn filter_of_faults(filter: &Filter) -> Filter {
    Filter {
        from_ns: None,
        to_ns: None,
        ..filter.clone()
    }
}
