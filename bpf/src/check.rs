//! Holds what the programs met against the kernel's own count of the same events. Both grow while they are
//! read, so their difference is bounded by many readings: it stays the same as long as nothing is missed.

use std::{io, ptr};

use crate::{
    lanes::Mapping,
    skel::types::{pf_lane_ends, pf_tally},
};

/// What became of the completions that software events told of, in all: see `struct pf_tally` of `pf_wire.h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Of recorded tasks, whether or not the recording was on.
    pub met: u64,
    /// Of these: no room for a record, or no entry was seen.
    pub lost: u64,
    /// Of these: not asked for.
    pub filtered: u64,
    /// Of those: major.
    pub filtered_major: u64,
    /// Of these: entered before the recording began, or after it ended.
    pub outside: u64,
    /// Of the recorder itself: not among those met.
    pub own: u64,
    /// Of tasks that are not recorded.
    pub others: u64,
}

impl Tally {
    fn add(&mut self, raw: &pf_tally) {
        self.met += raw.met;
        self.lost += raw.lost;
        self.filtered += raw.filtered;
        self.filtered_major += raw.filtered_major;
        self.outside += raw.outside;
        self.own += raw.own;
        self.others += raw.others;
    }

    /// Runs of the programs.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.met + self.own + self.others
    }
}

/// The recorder's view of the tallies of all CPUs.
pub(crate) struct Tallies {
    ends: Mapping<pf_lane_ends>,
    lanes: usize,
}

impl Tallies {
    pub(crate) fn new(ends: Mapping<pf_lane_ends>, lanes: usize) -> Self {
        Self { ends, lanes }
    }

    /// The sums now. `beyond` is that of CPUs without a lane.
    pub(crate) fn read(&self, beyond: &pf_tally) -> Tally {
        let mut sum = Tally::default();
        sum.add(beyond);
        for lane in 0..self.lanes {
            // SAFETY: inside the mapping; the probes write whole words meanwhile, hence the volatile read.
            let tally = unsafe { ptr::read_volatile(&raw const (*self.ends.at(lane)).tally) };
            sum.add(&tally);
        }
        sum
    }
}

/// Readings at least, and at most while they leave more than one answer.
const READINGS: (usize, usize) = (16, 512);

/// What is counted minus what was met: between two numbers, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offset {
    /// Not less than this.
    pub low: i64,
    /// Not more.
    pub high: i64,
}

impl Offset {
    /// Bounds the difference by repeated readings of what was met, what is counted, and what was met; at least one on each
    /// of `cpus`. `counted_first`: nothing is met that is not counted yet.
    pub(crate) fn measure(
        cpus: usize,
        counted_first: bool,
        mut read: impl FnMut() -> io::Result<(u64, u64, u64)>,
    ) -> io::Result<Self> {
        let (least, most) = (READINGS.0.max(2 * cpus).min(READINGS.1), READINGS.1);
        let mut readings = Vec::with_capacity(least);
        loop {
            let (before, counted, after) = read()?;
            let minus = |met: u64| counted.wrapping_sub(met).cast_signed();
            readings.push((minus(after), minus(before)));
            if readings.len() < least {
                continue;
            }
            let mut offset = densest(&readings);
            // A CPU that stands still between the two, as one of a virtual machine may, is in most readings, but not in
            // those that were made on it.
            if counted_first && let Some(bound) = readings.iter().map(|(_, high)| *high).min() {
                offset.high = offset.high.min(bound);
                offset.low = offset.low.min(bound);
            }
            if offset.low == offset.high || readings.len() >= most {
                return Ok(offset);
            }
        }
    }

    /// How much more was counted since `start` than was met.
    #[must_use]
    pub fn since(&self, start: Self) -> Self {
        Self {
            low: self.low - start.high,
            high: self.high - start.low,
        }
    }

    /// The number nearest to 0 that is within the bounds.
    #[must_use]
    pub fn least(&self) -> i64 {
        0.clamp(self.low, self.high)
    }
}

/// The numbers that most of the intervals hold. Nearly all hold the right one: an event is counted a moment before or
/// after a program meets it, and a reading can fall in between.
fn densest(intervals: &[(i64, i64)]) -> Offset {
    let mut ends: Vec<(i64, bool)> = intervals
        .iter()
        .flat_map(|&(low, high)| [(low, false), (high, true)])
        .collect();
    // Begins before ends at the same number: both are included.
    ends.sort_unstable();
    let (mut inside, mut most) = (0_u32, 0_u32);
    let mut best = Offset::default();
    for pair in ends.windows(2) {
        let [(at, is_end), (next, _)] = pair else { continue };
        inside = if *is_end {
            inside.saturating_sub(1)
        } else {
            inside + 1
        };
        if inside > most {
            most = inside;
            best = Offset {
                low: *at,
                high: *next,
            };
        }
    }
    best
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_difference_is_what_all_readings_allow() {
        assert_eq!(densest(&[(0, 9), (5, 12), (3, 7)]), Offset { low: 5, high: 7 });
        assert_eq!(densest(&[(4, 4), (4, 4)]), Offset { low: 4, high: 4 });
        // One reading fell between the count and the program.
        assert_eq!(
            densest(&[(-1, -1), (0, 0), (0, 3), (-2, 0)]),
            Offset { low: 0, high: 0 }
        );
    }

    #[test]
    fn a_busy_target_is_bounded_by_many_readings() {
        // 7 events were missed; meanwhile 13 come between two looks, at times that the readings do not know.
        let mut met = 1_000_u64;
        let mut seed = 1_u64;
        let offset = Offset::measure(2, false, || {
            let mut step = || {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                seed >> 60
            };
            let before = met + step();
            let at = before + step();
            met = at + step();
            Ok((before, at + 7, met))
        });
        assert_eq!(offset.unwrap(), Offset { low: 7, high: 7 });
    }

    #[test]
    fn a_cpu_that_stands_still_in_the_middle_of_an_event_is_not_believed() {
        // Counted and not met, as long as nobody looks from that CPU.
        let mut turn = 0;
        let offset = Offset::measure(2, true, || {
            turn += 1;
            let stands_still = turn < 12;
            Ok((100, 107 + u64::from(stands_still), 100))
        });
        assert_eq!(offset.unwrap(), Offset { low: 7, high: 7 });
    }

    #[test]
    fn what_is_certain_is_the_least_that_the_bounds_allow() {
        let start = Offset { low: 0, high: 2 };
        assert_eq!(Offset { low: 1, high: 1 }.since(start).least(), 0);
        assert_eq!(Offset { low: 9, high: 9 }.since(start).least(), 7);
    }
}
