//! Latency by class, the summary that several verbs share.

use crate::error::AnalyzeError;
use crate::frame::{bools, u64s};
use crate::histogram::Histogram;
use crate::schema::Column;
use crate::table::Value;
use polars::prelude::DataFrame;

/// Latencies of major and minor faults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    /// Faults that needed I/O.
    pub major: Histogram,
    /// Faults that did not.
    pub minor: Histogram,
}

impl Classes {
    /// Adds one fault.
    pub fn add(&mut self, latency_ns: u64, major: bool) {
        if major {
            self.major.add(latency_ns);
        } else {
            self.minor.add(latency_ns);
        }
    }

    /// Adds what `other` has.
    pub fn merge(&mut self, other: &Self) {
        self.major.merge(&other.major);
        self.minor.merge(&other.minor);
    }

    /// Both classes together.
    #[must_use]
    pub fn all(&self) -> Histogram {
        let mut all = self.major.clone();
        all.merge(&self.minor);
        all
    }

    /// Number of faults.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.major.count().saturating_add(self.minor.count())
    }

    /// Time waited, nanoseconds.
    #[must_use]
    pub fn wait_ns(&self) -> u64 {
        self.major.sum().saturating_add(self.minor.sum())
    }

    /// The cells MAJOR MINOR TOTAL_MS AVG_MS MAX_MS, which several tables share.
    #[must_use]
    pub fn wait_cells(&self) -> Vec<Value> {
        let all = self.all();
        vec![
            Value::Count(self.major.count()),
            Value::Count(self.minor.count()),
            Value::Ms(all.sum()),
            Value::Ms(all.mean()),
            Value::Ms(all.max()),
        ]
    }
}

/// Latency and class of every row.
///
/// # Errors
/// When the frame lacks one of the two columns.
pub fn latencies(frame: &DataFrame) -> Result<impl Iterator<Item = (u64, bool)>, AnalyzeError> {
    Ok(u64s(frame, Column::LatencyNs)?
        .iter()
        .copied()
        .zip(bools(frame, Column::Major)?))
}
