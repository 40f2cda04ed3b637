//! The ledger of losses: intervals by reason, those that touch merged. Counts are exact; when there are absurdly many
//! intervals neighbours become one.

use pf_formats::{Loss, LossReason};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Intervals kept of one reason.
const MAX_INTERVALS: usize = 4096;

/// Something lost for one reason in an interval without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostInterval {
    /// Why.
    pub reason: LossReason,
    /// How many.
    pub count: u64,
    /// There may be more, and nobody knows how many.
    pub is_at_least: bool,
    /// Start, `CLOCK_MONOTONIC` nanoseconds.
    pub from_ns: u64,
    /// End.
    pub to_ns: u64,
    /// The CPU, when it was one and is known.
    pub cpu: Option<u16>,
}

impl LostInterval {
    fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.is_at_least |= other.is_at_least;
        self.from_ns = self.from_ns.min(other.from_ns);
        self.to_ns = self.to_ns.max(other.to_ns);
        if self.cpu != other.cpu {
            self.cpu = None;
        }
    }

    fn touches(&self, other: &Self) -> bool {
        self.from_ns <= other.to_ns && other.from_ns <= self.to_ns
    }
}

/// All losses of a recording.
#[derive(Clone, Debug, Default)]
pub struct Losses {
    by_reason: BTreeMap<LossReason, Vec<LostInterval>>,
}

impl Losses {
    /// Takes in one record of the trace; a count of 0 is none, unless it says that nobody knows.
    pub fn add(&mut self, loss: &Loss) {
        if loss.count == 0 && !loss.is_unknown() {
            return;
        }
        let interval = LostInterval {
            reason: loss.reason,
            count: loss.count,
            is_at_least: loss.is_unknown(),
            from_ns: loss.from_ns.min(loss.to_ns),
            to_ns: loss.to_ns.max(loss.from_ns),
            cpu: loss.cpu,
        };
        let intervals = self.by_reason.entry(loss.reason).or_default();
        match intervals.last_mut() {
            Some(last) if last.touches(&interval) => last.merge(&interval),
            _ => intervals.push(interval),
        }
        if intervals.len() > MAX_INTERVALS {
            *intervals = joined(intervals);
            coarsen(intervals);
        }
    }

    /// How many for one reason.
    #[must_use]
    pub fn of(&self, reason: LossReason) -> u64 {
        let intervals = self.by_reason.get(&reason).into_iter().flatten();
        intervals.fold(0, |sum, interval| sum.saturating_add(interval.count))
    }

    /// Events that the recorder knows it could not record.
    #[must_use]
    pub fn events(&self) -> u64 {
        let costly = LossReason::ALL.into_iter().filter(|reason| reason.costs_events());
        costly.fold(0, |sum, reason| sum.saturating_add(self.of(reason)))
    }

    /// The intervals of the reasons that `wanted` names, worst first.
    #[must_use]
    pub fn intervals(&self, wanted: impl Fn(LossReason) -> bool) -> Vec<LostInterval> {
        let of_reasons = self.by_reason.iter().filter(|(reason, _)| wanted(**reason));
        let mut intervals: Vec<LostInterval> =
            of_reasons.flat_map(|(_, intervals)| joined(intervals)).collect();
        intervals.sort_by_key(|interval| (Reverse(interval.count), interval.from_ns, interval.reason));
        intervals
    }
}

/// Sorted by time; those that touch are one.
fn joined(intervals: &[LostInterval]) -> Vec<LostInterval> {
    let mut sorted = intervals.to_vec();
    sorted.sort_by_key(|interval| (interval.from_ns, interval.to_ns));
    let mut out: Vec<LostInterval> = Vec::with_capacity(sorted.len());
    for interval in sorted {
        match out.last_mut() {
            Some(last) if last.touches(&interval) => last.merge(&interval),
            _ => out.push(interval),
        }
    }
    out
}

/// Joins neighbours in pairs, the shorter half of all pairs, until there is room again: evenly spread losses get evenly
/// coarser, and what is far apart stays apart.
fn coarsen(intervals: &mut Vec<LostInterval>) {
    let span = |a: &LostInterval, b: &LostInterval| b.to_ns.saturating_sub(a.from_ns);
    while intervals.len() > MAX_INTERVALS / 4 * 3 {
        let pairs = intervals.iter().zip(intervals.iter().skip(1));
        let mut spans: Vec<u64> = pairs.map(|(a, b)| span(a, b)).collect();
        spans.sort_unstable();
        let Some(&median) = spans.get(spans.len() / 2) else {
            return;
        };
        let mut out: Vec<LostInterval> = Vec::with_capacity(intervals.len());
        let mut is_pair = false;
        for interval in intervals.drain(..) {
            match out.last_mut() {
                Some(last) if !is_pair && span(last, &interval) <= median => {
                    last.merge(&interval);
                    is_pair = true;
                }
                _ => {
                    out.push(interval);
                    is_pair = false;
                }
            }
        }
        *intervals = out;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(reason: LossReason, from_ns: u64, to_ns: u64, count: u64) -> Loss {
        Loss {
            from_ns,
            to_ns,
            cpu: Some(1),
            reason,
            count,
        }
    }

    fn seen(losses: &Losses) -> Vec<(LossReason, u64, u64, u64)> {
        let intervals = losses.intervals(|_| true);
        let row = |i: &LostInterval| (i.reason, i.from_ns, i.to_ns, i.count);
        intervals.iter().map(row).collect()
    }

    #[test]
    fn intervals_that_touch_are_one_and_the_worst_comes_first() {
        let mut losses = Losses::default();
        for (reason, from_ns, to_ns, count) in [
            (LossReason::Reserve, 10, 20, 5),
            (LossReason::Queue, 10, 20, 1),
            (LossReason::Reserve, 20, 30, 7),
            (LossReason::Reserve, 90, 95, 100),
            (LossReason::Queue, 40, 50, 2),
            (LossReason::Queue, 18, 41, 4),
            (LossReason::Stack, 0, 99, 0),
        ] {
            losses.add(&loss(reason, from_ns, to_ns, count));
        }
        assert_eq!(
            seen(&losses),
            [
                (LossReason::Reserve, 90, 95, 100),
                (LossReason::Reserve, 10, 30, 12),
                (LossReason::Queue, 10, 50, 7)
            ]
        );
        assert_eq!((losses.events(), losses.of(LossReason::Reserve)), (119, 112));
    }

    #[test]
    fn a_loss_of_unknown_size_is_kept_and_makes_a_count_a_minimum() {
        let mut losses = Losses::default();
        losses.add(&loss(LossReason::Damage, 0, 9, 0));
        losses.add(&loss(LossReason::Damage, 20, 30, 7));
        losses.add(&loss(LossReason::Damage, 20, 30, 0));
        losses.add(&loss(LossReason::Damage, 50, 60, 7));
        let intervals = losses.intervals(|_| true);
        let told: Vec<_> = intervals.iter().map(|i| (i.count, i.is_at_least)).collect();
        assert_eq!(told, [(7, true), (7, false), (0, true)]);
        assert_eq!(losses.events(), 14);
    }

    #[test]
    fn the_cpu_is_told_only_when_it_was_one() {
        let mut losses = Losses::default();
        losses.add(&loss(LossReason::Reserve, 0, 1, 1));
        assert_eq!(losses.intervals(|_| true)[0].cpu, Some(1));
        losses.add(&Loss {
            cpu: Some(2),
            ..loss(LossReason::Reserve, 1, 2, 1)
        });
        assert_eq!(losses.intervals(|_| true)[0].cpu, None);
    }

    #[test]
    fn evenly_spread_losses_stay_spread_and_far_ones_apart() {
        let mut losses = Losses::default();
        for i in 0..50_000u64 {
            losses.add(&loss(LossReason::Reserve, i * 10, i * 10 + 1, 1));
        }
        losses.add(&loss(LossReason::Reserve, 1 << 40, 1 << 41, 1));
        let mut intervals = losses.intervals(|_| true);
        assert!(
            (1_000..=MAX_INTERVALS).contains(&intervals.len()),
            "{}",
            intervals.len()
        );
        intervals.sort_by_key(|interval| interval.from_ns);
        let last = intervals.pop().map(|interval| (interval.from_ns, interval.to_ns));
        assert_eq!(last, Some((1 << 40, 1 << 41)));
        let longest = intervals.iter().map(|i| i.to_ns - i.from_ns).max();
        assert!(longest < Some(500_000 / 100), "{longest:?}");
    }

    #[test]
    fn any_number_of_intervals_is_kept_in_bounded_memory_with_exact_counts() {
        let mut losses = Losses::default();
        for i in 0..100_000u64 {
            losses.add(&loss(LossReason::Reserve, i * 10, i * 10 + 1 + i % 7, 1));
        }
        let count: u64 = losses.intervals(|_| true).iter().map(|i| i.count).sum();
        assert_eq!((count, losses.of(LossReason::Reserve)), (100_000, 100_000));
        losses.add(&loss(LossReason::Queue, u64::MAX, 0, u64::MAX));
        assert_eq!(losses.events(), u64::MAX);
    }
}
