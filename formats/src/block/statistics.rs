//! The statistics of a block against the columns that were decoded of it.
//!
//! Filters skip blocks and totals are summed by the statistics, so a block that lies about itself must
//! not pass. One pass over a column that is in the cache anyway; columns that nobody asked for are
//! not decoded for this.

use multiversion::multiversion;

use super::BlockInfo;
use super::layout::Column;
use crate::class::ClassBits;
use crate::error::{FormatError, Result};
use crate::limits;

/// First and last entry, and the last completion.
pub(super) fn check_times(info: &BlockInfo, times: &[u64], latencies: &[u64]) -> Result<()> {
    let (ts_min, ts_max) = range(times);
    let end_max = last_end(times, latencies);
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

/// Major and failed faults, bits 0 and 1 of the class; a failed one is never major.
pub(super) fn check_classes(info: &BlockInfo, classes: &[u8]) -> Result<()> {
    let [majors, _, failed] = ClassBits::counts(classes);
    equal(info, "majors against the events", majors, info.majors.into())?;
    equal(info, "failed against the events", failed, info.failed.into())
}

/// Ranges of processes and threads, by the runs.
pub(super) fn check_threads(info: &BlockInfo, column: Column, keys: &[u64]) -> Result<()> {
    let (low, high) = range(keys);
    match column {
        Column::RunPid => {
            equal(info, "pid_min against the events", low, info.pid_min.into())?;
            equal(info, "pid_max against the events", high, info.pid_max.into())
        }
        Column::RunTid => {
            equal(info, "tid_min against the events", low, info.tid_min.into())?;
            equal(info, "tid_max against the events", high, info.tid_max.into())
        }
        _ => Ok(()),
    }
}

/// Ids of dictionaries, which no dictionary can define beyond the limit: every other id could cost a consumer a row.
pub(super) fn check_ids(info: &BlockInfo, column: Column, ids: &[u64]) -> Result<()> {
    if !matches!(
        column,
        Column::RunComm | Column::Object | Column::Stack | Column::Sleep
    ) {
        return Ok(());
    }
    let (_, highest) = range(ids);
    limits::check_id(highest).map_err(|error| FormatError::Undecodable {
        offset: info.offset,
        what: column.name(),
        detail: error.to_string(),
    })
}

/// Smallest and largest.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
pub(super) fn range(values: &[u64]) -> (u64, u64) {
    let first = values.first().copied().unwrap_or_default();
    let (mut low, mut high) = (first, first);
    for value in values {
        low = low.min(*value);
        high = high.max(*value);
    }
    (low, high)
}

/// The latest completion.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
pub(super) fn last_end(times: &[u64], latencies: &[u64]) -> u64 {
    let mut last = 0;
    for (ts, latency) in times.iter().zip(latencies) {
        last = ts.saturating_add(*latency).max(last);
    }
    last
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
