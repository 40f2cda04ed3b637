//! Which blocks can hold an event that somebody looks for, judged by their statistics alone.

use std::ops::RangeInclusive;

use crate::BlockInfo;
use crate::class::FaultClass;

/// Conditions on single events; all must hold. `None` is no condition.
///
/// It skips blocks and leaves rows to the caller: a block that may match also holds events that do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Predicate {
    /// Entry not before, `CLOCK_MONOTONIC` nanoseconds.
    pub from_ns: Option<u64>,
    /// Entry before.
    pub to_ns: Option<u64>,
    /// Process one of these.
    pub pids: Option<Vec<u32>>,
    /// Thread one of these.
    pub tids: Option<Vec<u32>>,
    /// Faulting address divided by 4096.
    pub pages: Option<RangeInclusive<u64>>,
    /// Class.
    pub class: Option<FaultClass>,
    /// Latency not below, nanoseconds.
    pub min_latency_ns: Option<u64>,
    /// Latency not above, nanoseconds.
    pub max_latency_ns: Option<u64>,
}

impl Predicate {
    /// The one that no event meets: for readers of everything but blocks.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            tids: Some(Vec::new()),
            ..Self::default()
        }
    }

    /// False only when no event of such a block meets every condition.
    #[must_use]
    pub(crate) fn may_match(&self, block: &BlockInfo) -> bool {
        let times = bounds(self.from_ns, self.to_ns.map(|to| to.checked_sub(1)));
        let latencies = bounds(self.min_latency_ns, self.max_latency_ns.map(Some));
        times.is_some_and(|wanted| overlap(&wanted, &(block.ts_min..=block.ts_max)))
            && latencies.is_some_and(|wanted| overlap(&wanted, &(block.latency_min..=block.latency_max)))
            && self
                .pages
                .as_ref()
                .is_none_or(|wanted| overlap(wanted, &(block.page_min..=block.page_max)))
            && may_hold_one(self.pids.as_deref(), block.pid_min..=block.pid_max)
            && may_hold_one(self.tids.as_deref(), block.tid_min..=block.tid_max)
            && self.class.is_none_or(|class| may_hold_class(class, block))
    }
}

/// The range from `low` to `high`; `None` when nothing can be below or equal to `high`.
fn bounds(low: Option<u64>, high: Option<Option<u64>>) -> Option<RangeInclusive<u64>> {
    Some(low.unwrap_or(0)..=high.unwrap_or(Some(u64::MAX))?)
}

fn overlap(wanted: &RangeInclusive<u64>, there: &RangeInclusive<u64>) -> bool {
    !wanted.is_empty() && wanted.start() <= there.end() && there.start() <= wanted.end()
}

/// Whether a range holds one of these.
fn may_hold_one(wanted: Option<&[u32]>, there: RangeInclusive<u32>) -> bool {
    wanted.is_none_or(|wanted| wanted.iter().any(|id| there.contains(id)))
}

fn may_hold_class(class: FaultClass, block: &BlockInfo) -> bool {
    match class {
        FaultClass::Major => block.majors > 0,
        FaultClass::Minor => block.minors() > 0,
        FaultClass::Failed => block.failed > 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    const BLOCK: BlockInfo = BlockInfo {
        offset: 0,
        events: 9,
        threads: 2,
        ts_min: 100,
        ts_max: 200,
        end_max: 210,
        page_min: 10,
        page_max: 20,
        latency_min: 5,
        latency_max: 7,
        majors: 8,
        failed: 1,
        pid_min: 50,
        pid_max: 60,
        tid_min: 51,
        tid_max: 70,
    };

    fn matches(change: impl FnOnce(&mut Predicate)) -> bool {
        let mut predicate = Predicate::default();
        change(&mut predicate);
        predicate.may_match(&BLOCK)
    }

    #[test]
    fn every_bound_counts_to_the_last_nanosecond_and_page() {
        assert!(matches(|_| ()));
        assert!(matches(|wanted| wanted.from_ns = Some(200)));
        assert!(!matches(|wanted| wanted.from_ns = Some(201)));
        assert!(matches(|wanted| wanted.to_ns = Some(101)));
        assert!(!matches(|wanted| wanted.to_ns = Some(100)));
        assert!(!matches(|wanted| wanted.to_ns = Some(0)));
        assert!(matches(|wanted| wanted.min_latency_ns = Some(7)));
        assert!(!matches(|wanted| wanted.min_latency_ns = Some(8)));
        assert!(matches(|wanted| wanted.max_latency_ns = Some(5)));
        assert!(!matches(|wanted| wanted.max_latency_ns = Some(4)));
        assert!(matches(|wanted| wanted.pages = Some(20..=99)));
        assert!(!matches(|wanted| wanted.pages = Some(21..=99)));
        assert!(!matches(|wanted| wanted.pages = Some(0..=9)));
    }

    #[test]
    fn a_range_with_its_ends_swapped_matches_nothing() {
        assert!(!matches(|wanted| {
            wanted.from_ns = Some(150);
            wanted.to_ns = Some(150);
        }));
        #[allow(clippy::reversed_empty_ranges, reason = "that is what is tested")]
        let swapped = 15..=14;
        assert!(!matches(|wanted| wanted.pages = Some(swapped)));
    }

    #[test]
    fn classes_are_told_as_far_as_the_statistics_do() {
        assert!(matches(|wanted| wanted.class = Some(FaultClass::Major)));
        assert!(matches(|wanted| wanted.class = Some(FaultClass::Failed)));
        assert!(!matches(|wanted| wanted.class = Some(FaultClass::Minor)));
    }

    #[test]
    fn threads_are_told_by_their_range_and_no_thread_is_no_event() {
        assert!(!Predicate::nothing().may_match(&BLOCK));
        assert!(matches(|wanted| wanted.pids = Some(vec![1, 60])));
        assert!(!matches(|wanted| wanted.pids = Some(vec![49, 61])));
        assert!(matches(|wanted| wanted.tids = Some(vec![51])));
        assert!(!matches(|wanted| wanted.tids = Some(vec![50])));
        assert!(!matches(|wanted| wanted.pids = Some(Vec::new())));
    }
}
