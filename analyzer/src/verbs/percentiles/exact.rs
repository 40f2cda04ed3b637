//! Exact quantiles without keeping every latency: a first reading tells in which bucket of its histogram a quantile is, a second
//! one counts the different values in that bucket.

use crate::error::AnalyzeError;
use crate::output::units::{bytes, grouped};
use crate::stats::histogram::{Found, Histogram, bucket_of};
use polars::prelude::PlHashMap;

/// Different latencies kept at most, in all rows together: 100 MB or so.
pub(crate) const VALUES_KEPT: usize = 4 << 20;
/// What one of them takes, about.
const VALUE_BYTES: u64 = 24;

/// A bucket of one row that has a quantile in it.
#[derive(Debug)]
struct Target {
    bucket: usize,
    expected: u64,
    values: PlHashMap<u64, u64>,
}

/// The rows of a table, each with the quantiles that are wanted.
#[derive(Debug, Default)]
pub struct Exact {
    rows: Vec<Row>,
    kept: usize,
    most: usize,
}

#[derive(Debug)]
struct Row {
    wanted: Vec<Found>,
    targets: Vec<Target>,
}

impl Exact {
    /// Looks for `quantiles`, in parts of 100,000, of all of these rows.
    #[must_use]
    pub fn new<'a>(rows: impl Iterator<Item = &'a Histogram>, quantiles: &[u64]) -> Self {
        let row = |histogram: &Histogram| {
            let wanted: Vec<Found> = quantiles.iter().map(|&q| histogram.locate(q)).collect();
            let mut targets: Vec<Target> = Vec::new();
            for found in &wanted {
                if let Found::Within { bucket, count, .. } = *found
                    && targets.iter().all(|target| target.bucket != bucket)
                {
                    targets.push(Target {
                        bucket,
                        expected: count,
                        values: PlHashMap::default(),
                    });
                }
            }
            Row { wanted, targets }
        };
        Self {
            rows: rows.map(row).collect(),
            kept: 0,
            most: VALUES_KEPT,
        }
    }

    /// Adds a latency of a row.
    pub fn add(&mut self, row: usize, latency_ns: u64, weight: u64) {
        let Some(row) = self.rows.get_mut(row) else {
            return;
        };
        let bucket = bucket_of(latency_ns);
        if let Some(target) = row.targets.iter_mut().find(|target| target.bucket == bucket)
            && (self.kept < self.most || target.values.contains_key(&latency_ns))
        {
            let before = target.values.len();
            let times = target.values.entry(latency_ns).or_default();
            *times = times.saturating_add(weight);
            self.kept += target.values.len() - before;
        }
    }

    /// Whether there was no room for all that is needed.
    #[must_use]
    pub(crate) fn is_full(&self) -> bool {
        self.kept >= self.most
    }

    /// The quantiles of every row, nanoseconds.
    ///
    /// # Errors
    /// When there were too many different latencies, or the trace was not the same in both readings.
    pub fn finish(self) -> Result<Vec<Vec<u64>>, AnalyzeError> {
        if self.is_full() {
            return Err(AnalyzeError::Unanswerable(format!(
                "exact quantiles of {} rows need more than {} different latencies in memory: ask for fewer rows with a \
                 filter or --top, or for quantiles within 1 % without --exact",
                grouped(self.rows.len() as u64),
                grouped(self.most as u64)
            )));
        }
        self.rows.into_iter().map(Row::finish).collect()
    }

    /// What it takes, in words.
    #[must_use]
    pub fn cost(&self) -> String {
        format!(
            "exact quantiles: the trace was read twice, {} different latencies were kept ({})",
            grouped(self.kept as u64),
            bytes((self.kept as u64).saturating_mul(VALUE_BYTES))
        )
    }
}

impl Row {
    fn finish(self) -> Result<Vec<u64>, AnalyzeError> {
        let mut sorted: PlHashMap<usize, Vec<(u64, u64)>> = PlHashMap::default();
        for target in self.targets {
            let mut values: Vec<(u64, u64)> = target.values.into_iter().collect();
            values.sort_unstable();
            let count = values
                .iter()
                .fold(0u64, |sum, &(_, times)| sum.saturating_add(times));
            if count != target.expected {
                return Err(AnalyzeError::Unanswerable(
                    "the trace changed between two readings: ask again when its recording has ended"
                        .to_owned(),
                ));
            }
            sorted.insert(target.bucket, values);
        }
        let exact = self.wanted.into_iter().map(|found| match found {
            Found::Exactly(value) => value,
            Found::Within { bucket, rank, .. } => {
                let mut seen = 0u128;
                let values = sorted.get(&bucket).map(Vec::as_slice).unwrap_or_default();
                let value = values.iter().find(|&&(_, times)| {
                    seen += u128::from(times);
                    seen >= rank
                });
                value.map_or(0, |&(value, _)| value)
            }
        });
        Ok(exact.collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const QUANTILES: [u64; 6] = [1, 50_000, 90_000, 99_000, 99_900, 99_990];

    fn values() -> Vec<u64> {
        (0..30_000u64)
            .map(|i| 300 + (i * i) % 9_999_991 * (1 + i % 7))
            .collect()
    }

    fn first_look(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|&value| histogram.add(value));
        histogram
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_list() {
        let mut values = values();
        let empty = Histogram::default();
        let histogram = first_look(&values);
        let mut exact = Exact::new([&empty, &histogram].into_iter(), &QUANTILES);
        values.iter().for_each(|&value| exact.add(1, value, 1));
        assert!(
            exact
                .cost()
                .starts_with("exact quantiles: the trace was read twice, ")
        );
        let rows = exact.finish().unwrap();
        values.sort_unstable();
        let expected: Vec<u64> = QUANTILES
            .iter()
            .map(|q| values[((values.len() as u64 * q).div_ceil(100_000)).max(1) as usize - 1])
            .collect();
        assert_eq!(rows, [vec![0; 6], expected]);
    }

    #[test]
    fn weights_count_as_many() {
        let mut histogram = Histogram::default();
        let faults = [(700, 10), (701, 85), (702, 4), (90_000, 1)];
        faults
            .iter()
            .for_each(|&(value, times)| histogram.add_times(value, times));
        let mut exact = Exact::new(
            [&histogram].into_iter(),
            &[10_000, 10_001, 95_000, 96_000, 99_500],
        );
        faults
            .iter()
            .for_each(|&(value, times)| exact.add(0, value, times));
        assert_eq!(exact.finish().unwrap(), [[700, 701, 701, 702, 90_000]]);
    }

    #[test]
    fn it_refuses_rather_than_to_grow_and_notices_another_trace() {
        let values = values();
        let histogram = first_look(&values);
        let mut exact = Exact::new([&histogram].into_iter(), &QUANTILES);
        exact.most = 20;
        values.iter().for_each(|&value| exact.add(0, value, 1));
        assert!(exact.kept == 20 && exact.is_full());
        assert!(
            exact
                .finish()
                .unwrap_err()
                .to_string()
                .contains("need more than 20")
        );
        let exact = Exact::new([&histogram].into_iter(), &QUANTILES);
        assert!(
            exact
                .finish()
                .unwrap_err()
                .to_string()
                .contains("changed between")
        );
    }
}
