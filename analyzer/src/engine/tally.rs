//! What is summed of faults that share a place or a name: how many, how long in all, and the longest.

/// What happened in one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Faults.
    pub count: u64,
    /// Sum of their latencies.
    pub wait_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

impl Cell {
    /// A fault that stands for `weight` of its kind.
    #[must_use]
    pub fn of(latency_ns: u64, weight: u64) -> Self {
        Self {
            count: weight,
            wait_ns: latency_ns.saturating_mul(weight),
            max_ns: latency_ns,
        }
    }

    /// Adds what `other` counted.
    pub(crate) fn merge(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.wait_ns = self.wait_ns.saturating_add(other.wait_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }
}

/// 0 where nothing is left.
pub(crate) fn shr(value: u64, by: u32) -> u64 {
    value.checked_shr(by).unwrap_or(0)
}
