//! Sums over faults, kept whole: a quantile is looked up among all latencies.

use crate::table::Cell;
use crate::truth::Fault;

/// Faults summed up.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    pub major: u64,
    pub minor: u64,
    pub failed: u64,
    pub wait_ns: u128,
    /// Each with how often it counts.
    latencies: Vec<(u64, u64)>,
    /// Wait, blocked, run queue, CPU, reclaim, lock.
    pub parts: Option<[u128; 6]>,
    sees_lock: bool,
}

impl Sums {
    pub fn of<'a>(faults: impl IntoIterator<Item = &'a Fault>) -> Self {
        let mut sums = Self::default();
        faults.into_iter().for_each(|fault| sums.add(fault));
        sums
    }

    /// Of plain values.
    pub fn of_values(values: impl IntoIterator<Item = u64>) -> Self {
        let latencies: Vec<_> = values.into_iter().map(|value| (value, 1)).collect();
        Self {
            wait_ns: latencies.iter().map(|&(value, _)| u128::from(value)).sum(),
            latencies,
            ..Self::default()
        }
    }

    pub fn add(&mut self, fault: &Fault) {
        match fault.class() {
            "major" => self.major += fault.weight,
            "minor" => self.minor += fault.weight,
            _ => self.failed += fault.weight,
        }
        self.wait_ns += fault.wait_ns();
        self.latencies.push((fault.event.latency_ns, fault.weight));
        if let Some([blocked, runqueue, cpu, reclaim, lock]) = fault.parts() {
            let parts = [fault.event.latency_ns, blocked, runqueue, cpu, reclaim, lock];
            let sums = self.parts.get_or_insert_default();
            self.sees_lock = fault.sees_lock;
            for (sum, part) in sums.iter_mut().zip(parts) {
                *sum += u128::from(part) * u128::from(fault.weight);
            }
        }
    }

    /// How many, by weight.
    pub fn count(&self) -> u64 {
        self.latencies.iter().map(|&(_, weight)| weight).sum()
    }

    pub fn max(&self) -> u64 {
        self.latencies.iter().map(|&(value, _)| value).max().unwrap_or(0)
    }

    pub fn min(&self) -> u64 {
        self.latencies.iter().map(|&(value, _)| value).min().unwrap_or(0)
    }

    pub fn mean(&self) -> u128 {
        self.wait_ns.checked_div(u128::from(self.count())).unwrap_or(0)
    }

    /// The value that so many of 100,000 do not exceed.
    pub fn quantile(&self, per_100k: u64) -> u64 {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let rank = (u128::from(self.count()) * u128::from(per_100k))
            .div_ceil(100_000)
            .max(1);
        let mut seen = 0;
        let reached = sorted.iter().find(|&&(_, weight)| {
            seen += u128::from(weight);
            seen >= rank
        });
        reached.map_or(0, |&(value, _)| value)
    }

    /// MAJOR MINOR TOTAL_MS AVG_MS MAX_MS.
    pub fn wait_cells(&self) -> Vec<Cell> {
        vec![
            Cell::Int(self.major.into()),
            Cell::Int(self.minor.into()),
            Cell::Ms(self.wait_ns),
            Cell::Ms(self.mean()),
            Cell::Ms(self.max().into()),
        ]
    }

    /// BLOCKED_MS RUNQUEUE_MS CPU_MS RECLAIM_MS LOCK_MS.
    pub fn part_cells(&self) -> Vec<Cell> {
        match self.parts {
            Some([_, parts @ .., lock]) => {
                let mut cells = parts.map(Cell::Ms).to_vec();
                cells.push(if self.sees_lock {
                    Cell::Ms(lock)
                } else {
                    Cell::Null
                });
                cells
            }
            None => vec![Cell::Null; 5],
        }
    }
}
