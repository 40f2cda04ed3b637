//! The values of options, from text: which kind each is, and which unit a bare number has. How they are written is the business
//! of `pf_notation`.

use crate::trace::cause::Cause;
use pf_notation::duration::{self, Unit};
use pf_notation::names::{Kind, Names};
use pf_notation::{address, size};

/// The shortest interval: a row of the table for less would be noise.
const SHORTEST_INTERVAL_NS: u64 = 1;

/// Latencies.
pub(crate) fn microseconds(text: &str) -> Result<u64, String> {
    duration::parse(text, Unit::Microseconds)
}

/// Lengths of rows, as `pfrec --interval` has them.
pub(crate) fn milliseconds(text: &str) -> Result<u64, String> {
    duration::parse_within(text, Unit::Milliseconds, (SHORTEST_INTERVAL_NS, u64::MAX))
}

pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    size::parse(text, size::Unit::Bytes)
}

/// `START-END`, END not included, as a first and a last byte.
pub(crate) fn address_range(text: &str) -> Result<(u64, u64), String> {
    let range = address::parse_range(text)?;
    Ok((range.start, range.end - 1))
}

pub(crate) fn threads(text: &str) -> Result<Names, String> {
    Names::parse(text, Kind::Thread)
}

pub(crate) fn files(text: &str) -> Result<Names, String> {
    Names::parse(text, Kind::File)
}

/// A cause, by its name.
pub(crate) fn cause(text: &str) -> Result<Cause, String> {
    Cause::ALL
        .into_iter()
        .find(|cause| cause.name() == text)
        .ok_or_else(|| {
            let names: Vec<&str> = Cause::ALL.iter().map(|cause| cause.name()).collect();
            format!("not one of {}", names.join(", "))
        })
}

/// A query's name or number.
pub(crate) fn query(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err(
            "a name is missing: give the number of a query, or a part of its name or text".to_owned(),
        );
    }
    Ok(text.to_owned())
}
