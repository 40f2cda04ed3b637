//! Where the time of faults went: blocked, waiting for a CPU, running; and how much of that was reclaim or waiting for
//! a lock. It owns the sums and what makes a row's breakdown impossible. Recorded only on request, so all of it may be absent.

use crate::engine::columns::Column;
use crate::engine::frame::optional_u64s;
use crate::error::AnalyzeError;
use crate::output::table::{ColumnHead, Value};
use crate::trace::class::Class;
use crate::trace::session::cpu_ns;
use polars::prelude::DataFrame;

/// The columns that a query with a breakdown declares.
pub const COLUMNS: [Column; 4] = [
    Column::BlockedNs,
    Column::RunqueueNs,
    Column::ReclaimNs,
    Column::LockNs,
];

/// Heads of [`Parts::cells`].
pub const HEADS: [ColumnHead; 5] = [
    ColumnHead::new("blocked_ms"),
    ColumnHead::new("runqueue_ms"),
    ColumnHead::new("cpu_ms"),
    ColumnHead::new("reclaim_ms"),
    ColumnHead::new("lock_ms"),
];

/// Where the time of one fault went, nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Asleep.
    pub blocked_ns: u64,
    /// Runnable, without a CPU.
    pub runqueue_ns: u64,
    /// Of all that: reclaiming memory.
    pub reclaim_ns: u64,
    /// Of all that: before the kernel had the mapping; `None` where the recording could not see it.
    pub lock_ns: Option<u64>,
}

/// Sums over faults that have a breakdown, nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Their latency.
    pub wait_ns: u64,
    /// Asleep.
    pub blocked_ns: u64,
    /// Runnable, without a CPU.
    pub runqueue_ns: u64,
    /// The rest.
    pub cpu_ns: u64,
    /// Of all that: reclaiming memory.
    pub reclaim_ns: u64,
    /// Of all that: before the kernel had the mapping; `None` where no recording could see it.
    pub lock_ns: Option<u64>,
    /// Whether any fault had a breakdown.
    pub is_recorded: bool,
}

impl Parts {
    /// Adds one fault that stands for `weight` of its kind. A breakdown that exceeds the latency is left out.
    pub fn add(&mut self, latency_ns: u64, spent: &Spent, weight: u64) {
        let Some(cpu_ns) = cpu_ns(latency_ns, spent.blocked_ns, spent.runqueue_ns) else {
            return;
        };
        let times = |ns: u64| ns.saturating_mul(weight);
        self.merge(&Self {
            wait_ns: times(latency_ns),
            blocked_ns: times(spent.blocked_ns),
            runqueue_ns: times(spent.runqueue_ns),
            cpu_ns: times(cpu_ns),
            reclaim_ns: times(spent.reclaim_ns),
            lock_ns: spent.lock_ns.map(times),
            is_recorded: true,
        });
    }

    /// Adds what `other` has.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.wait_ns = self.wait_ns.saturating_add(other.wait_ns);
        self.blocked_ns = self.blocked_ns.saturating_add(other.blocked_ns);
        self.runqueue_ns = self.runqueue_ns.saturating_add(other.runqueue_ns);
        self.cpu_ns = self.cpu_ns.saturating_add(other.cpu_ns);
        self.reclaim_ns = self.reclaim_ns.saturating_add(other.reclaim_ns);
        self.lock_ns = match (self.lock_ns, other.lock_ns) {
            (Some(ours), Some(theirs)) => Some(ours.saturating_add(theirs)),
            (ours, theirs) => ours.or(theirs),
        };
        self.is_recorded |= other.is_recorded;
    }

    /// The cells BLOCKED_MS RUNQUEUE_MS CPU_MS RECLAIM_MS LOCK_MS; nothing where nothing was recorded, or could be seen.
    #[must_use]
    pub fn cells(&self) -> Vec<Value> {
        let parts = [
            Some(self.blocked_ns),
            Some(self.runqueue_ns),
            Some(self.cpu_ns),
            Some(self.reclaim_ns),
            self.lock_ns,
        ];
        let cell = |ns: Option<u64>| ns.filter(|_| self.is_recorded).map_or(Value::Null, Value::Ms);
        parts.map(cell).to_vec()
    }
}

/// Sums by class, made only when there is something to sum: most recordings have no breakdown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartsByClass(Option<Box<[Parts; 3]>>);

impl PartsByClass {
    /// Adds one fault.
    pub fn add(&mut self, class: Class, latency_ns: u64, spent: &Spent, weight: u64) {
        if let Some(parts) = self.of_mut(class) {
            parts.add(latency_ns, spent, weight);
        }
    }

    /// Adds what `other` has.
    pub(crate) fn merge(&mut self, other: &Self) {
        for class in Class::ALL {
            if let (Some(theirs), Some(ours)) = (other.of(class), self.of_mut_if(other.is_recorded(), class))
            {
                ours.merge(theirs);
            }
        }
    }

    /// The sums of one class.
    #[must_use]
    pub fn of(&self, class: Class) -> Option<&Parts> {
        self.0.as_ref().and_then(|parts| parts.get(class as usize))
    }

    /// All classes together.
    #[must_use]
    pub fn all(&self) -> Parts {
        let mut all = Parts::default();
        self.0
            .iter()
            .flat_map(|parts| parts.iter())
            .for_each(|parts| all.merge(parts));
        all
    }

    /// Whether any fault had a breakdown.
    #[must_use]
    pub(crate) fn is_recorded(&self) -> bool {
        self.all().is_recorded
    }

    fn of_mut_if(&mut self, condition: bool, class: Class) -> Option<&mut Parts> {
        condition.then(|| self.of_mut(class)).flatten()
    }

    fn of_mut(&mut self, class: Class) -> Option<&mut Parts> {
        self.0.get_or_insert_default().get_mut(class as usize)
    }
}

/// The columns of a block, if it holds them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PartColumns<'a> {
    /// Blocked, run queue, reclaim.
    parts: Option<[&'a [u64]; 3]>,
    /// Where it was seen.
    lock: Option<&'a [u64]>,
}

impl<'a> PartColumns<'a> {
    /// Of a frame.
    ///
    /// # Errors
    /// When the query did not declare [`COLUMNS`].
    pub fn of(frame: &'a DataFrame) -> Result<Self, AnalyzeError> {
        let [blocked, runqueue, reclaim, lock] = COLUMNS;
        let columns = (
            optional_u64s(frame, blocked)?,
            optional_u64s(frame, runqueue)?,
            optional_u64s(frame, reclaim)?,
        );
        let parts = match columns {
            (Some(blocked), Some(runqueue), Some(reclaim)) => Some([blocked, runqueue, reclaim]),
            _ => None,
        };
        let lock = optional_u64s(frame, lock)?;
        Ok(Self { parts, lock })
    }

    /// Of one row.
    #[must_use]
    pub fn row(&self, row: usize) -> Option<Spent> {
        let [blocked, runqueue, reclaim] = self.parts?;
        Some(Spent {
            blocked_ns: *blocked.get(row)?,
            runqueue_ns: *runqueue.get(row)?,
            reclaim_ns: *reclaim.get(row)?,
            lock_ns: self.lock.and_then(|lock| lock.get(row).copied()),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn breakdown(blocked_ns: u64, runqueue_ns: u64) -> Spent {
        Spent {
            blocked_ns,
            runqueue_ns,
            reclaim_ns: 1,
            lock_ns: Some(2),
        }
    }

    #[test]
    fn the_parts_add_up_to_the_wait_whatever_the_weight() {
        let mut parts = Parts::default();
        parts.add(100, &breakdown(60, 30), 1);
        parts.add(50, &breakdown(0, 50), 8);
        assert_eq!((parts.blocked_ns, parts.runqueue_ns, parts.cpu_ns), (60, 430, 10));
        assert_eq!(parts.wait_ns, 500);
        assert_eq!((parts.reclaim_ns, parts.lock_ns), (9, Some(18)));
    }

    #[test]
    fn what_was_not_seen_has_no_sum() {
        let mut parts = Parts::default();
        let spent = Spent {
            lock_ns: None,
            ..breakdown(60, 30)
        };
        parts.add(100, &spent, 8);
        parts.merge(&Parts::default());
        assert_eq!(parts.lock_ns, None);
        assert_eq!(parts.cells()[3..], [Value::Ms(8), Value::Null]);
    }

    #[test]
    fn a_breakdown_that_exceeds_its_latency_is_left_out() {
        let mut parts = Parts::default();
        for impossible in [
            breakdown(101, 0),
            breakdown(60, 41),
            breakdown(u64::MAX, u64::MAX),
        ] {
            parts.add(100, &impossible, u64::MAX);
        }
        assert_eq!(parts, Parts::default());
        assert!(parts.cells().iter().all(|cell| *cell == Value::Null));
    }

    #[test]
    fn classes_keep_their_sums_apart() {
        let (mut one, mut two) = (PartsByClass::default(), PartsByClass::default());
        assert!(!one.is_recorded());
        one.merge(&two);
        assert_eq!(one, PartsByClass::default());
        two.add(Class::Major, 10, &breakdown(1, 2), 1);
        two.add(Class::Failed, 5, &breakdown(0, 0), 1);
        one.merge(&two);
        one.merge(&two);
        assert_eq!(one.of(Class::Major).unwrap().cpu_ns, 14);
        assert_eq!(one.of(Class::Minor).unwrap().wait_ns, 0);
        assert_eq!(one.all().wait_ns, 30);
    }
}
