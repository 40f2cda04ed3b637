//! Queries as the recording has them: rows apart from the faults, each with what the kernel's probes counted for it. Here
//! they are named, linked to the queries around them, selected and summed up. The verb `queries` joins
//! them with the faults.

pub mod nesting;
pub mod normalize;
pub mod select;

use crate::error::AnalyzeError;
use crate::trace::memory_limit;
use crate::trace::session::Session;
use pf_formats::{Item, Predicate, Query, TraceReader};
use std::borrow::Cow;
use std::io::Read;

/// What a query is called: its text without literals where it has one, else the name of its probes or function.
#[must_use]
pub fn label(query: &Query) -> Cow<'_, str> {
    let normalised = query
        .text
        .as_ref()
        .map(|text| normalize::normalised(text, query.text_cut));
    match normalised {
        Some(text) if !text.is_empty() => Cow::Owned(text),
        _ => Cow::Borrowed(&query.name),
    }
}

/// What a single query is called: its text as it was, else its name.
#[must_use]
pub(crate) fn own_words(query: &Query) -> Cow<'_, str> {
    match &query.text {
        Some(text) if !text.is_empty() && query.text_cut => Cow::Owned(format!("{text}…")),
        Some(text) if !text.is_empty() => Cow::Borrowed(text),
        _ => Cow::Borrowed(&query.name),
    }
}

/// Reads a trace for its queries alone: blocks are skipped. Rows come after the faults that name them, so what needs
/// both reads twice.
///
/// # Errors
/// I/O errors of the input.
pub fn each_row<R: Read>(
    mut reader: TraceReader<R>,
    mut see: impl FnMut(&Query, &Session),
) -> Result<(), AnalyzeError> {
    let mut session = Session::new(reader.header().clone());
    let no_blocks = Predicate::nothing();
    while let Some(item) = reader.next_where(&no_blocks)? {
        memory_limit::check()?;
        match item {
            Item::Meta(meta) => session.see_meta(*meta),
            // Without a meta record, time starts with the first block.
            Item::Skipped(info) => session.announce_block(&info),
            Item::Queries(rows) => rows.iter().for_each(|row| see(row, &session)),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a trace has queries; reads up to the first one.
///
/// # Errors
/// I/O errors of the input.
pub(crate) fn has_rows<R: Read>(mut reader: TraceReader<R>) -> Result<bool, AnalyzeError> {
    let no_blocks = Predicate::nothing();
    while let Some(item) = reader.next_where(&no_blocks)? {
        memory_limit::check()?;
        if matches!(item, Item::Queries(rows) if !rows.is_empty()) {
            return Ok(true);
        }
    }
    Ok(false)
}
