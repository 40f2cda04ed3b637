//! The statistics of a block against the columns that were decoded of it.
//!
//! Filters skip blocks and totals are summed by the statistics, so a block that lies about itself must
//! not pass. One pass over a column that is in the cache anyway; columns that nobody asked for are
//! not decoded for this.

use super::BlockInfo;
use crate::error::{FormatError, Result};

/// First and last entry, and the last completion.
pub(super) fn check_times(info: &BlockInfo, times: &[u64], latencies: &[u64]) -> Result<()> {
    let (ts_min, ts_max) = range(times);
    let ends = times.iter().zip(latencies);
    let end_max = ends.fold(0, |end, (ts, latency)| ts.saturating_add(*latency).max(end));
    equal(info, "ts_min against the events", ts_min, info.ts_min)?;
    equal(info, "ts_max against the events", ts_max, info.ts_max)?;
    equal(info, "end_max against the events", end_max, info.end_max)
}

/// Shortest and longest latency.
pub(super) fn check_latencies(info: &BlockInfo, latencies: &[u64]) -> Result<()> {
    let (low, high) = range(latencies);
    equal(info, "latency_min against the events", low, info.latency_min)?;
    equal(info, "latency_max against the events", high, info.latency_max)
}

/// Lowest and highest page.
pub(super) fn check_pages(info: &BlockInfo, pages: &[u64]) -> Result<()> {
    let (low, high) = range(pages);
    equal(info, "page_min against the events", low, info.page_min)?;
    equal(info, "page_max against the events", high, info.page_max)
}

/// Major faults, bit 0 of the class; a failed one, bit 1, is none since codec version 2.
pub(super) fn check_classes(info: &BlockInfo, codec: u8, classes: &[u64]) -> Result<()> {
    let bits = if codec == 1 { 1 } else { 3 };
    let majors = classes.iter().map(|class| u64::from(class & bits == 1)).sum();
    equal(info, "majors against the events", majors, info.majors.into())
}

fn range(values: &[u64]) -> (u64, u64) {
    values.iter().fold((u64::MAX, 0), |(low, high), value| {
        (low.min(*value), high.max(*value))
    })
}

fn equal(info: &BlockInfo, what: &'static str, expected: u64, actual: u64) -> Result<()> {
    if expected == actual {
        return Ok(());
    }
    Err(FormatError::Corrupt {
        offset: info.offset,
        what,
        expected,
        actual,
    })
}
