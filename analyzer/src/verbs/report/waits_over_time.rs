//! How long threads waited, by the time when they did: a wait lies in all the bins that it lasts through, not in the one where it
//! began. One pass in bounded memory: when a recording is longer than was expected, neighbouring bins are joined.

use crate::engine::columns::Column;
use crate::engine::filter::Filter;
use crate::engine::frame::{u8s, u64s};
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::stats::histogram::extent_of;
use crate::trace::class::ClassBits;
use crate::trace::session::Session;
use crate::verbs::heatmap::grid::Fineness;
use crate::verbs::report::findings::{Burst, burst_of};
use polars::prelude::DataFrame;

/// Bins that are kept.
const FINENESS: Fineness = Fineness::SCREEN;

/// Parts of the time that a burst is made of, up to twice as many.
const BURST_BINS: u64 = 200;

/// Sums of waits, from a time on that counts as 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bins {
    /// A bin is 2^this nanoseconds.
    shift: u32,
    sums_ns: Vec<u64>,
    /// Changes of the number of waits that last through a whole bin.
    through: Vec<i64>,
}

impl Bins {
    /// To last for so long, and longer if need be, but coarser.
    #[must_use]
    pub(crate) fn lasting(length_ns: u64) -> Self {
        Self {
            shift: FINENESS.time_shift(length_ns),
            ..Self::default()
        }
    }

    /// The bin of a time, which must be there.
    fn bin(&mut self, at_ns: u64) -> usize {
        if at_ns.checked_shr(self.shift).unwrap_or(0) >= FINENESS.times {
            self.coarsen(FINENESS.time_shift(at_ns));
        }
        let bin = usize::try_from(at_ns.checked_shr(self.shift).unwrap_or(0)).unwrap_or(0);
        if bin >= self.sums_ns.len() {
            self.sums_ns.resize(bin + 1, 0);
        }
        bin
    }

    /// Adds so many waits of one time.
    pub fn add(&mut self, begin_ns: u64, end_ns: u64, count: u64) {
        if begin_ns >= end_ns {
            return;
        }
        // The last one first: it may make bins longer.
        let last = self.bin(end_ns - 1);
        let first = self.bin(begin_ns);
        if first == last {
            self.put(first, (end_ns - begin_ns).saturating_mul(count));
            return;
        }
        let second_ns = (first as u64 + 1) << self.shift;
        self.put(first, second_ns.saturating_sub(begin_ns).saturating_mul(count));
        let last_ns = (last as u64) << self.shift;
        self.put(last, end_ns.saturating_sub(last_ns).saturating_mul(count));
        if self.through.len() <= last {
            self.through.resize(last + 1, 0);
        }
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        for (bin, by) in [(first + 1, count), (last, -count)] {
            if let Some(change) = self.through.get_mut(bin) {
                *change = change.saturating_add(by);
            }
        }
    }

    /// Adds waits of faults that all began at `from_ns`, where bins begin, or later.
    fn add_all(&mut self, times_ns: &[u64], latencies_ns: &[u64], from_ns: u64) {
        for (&ts_ns, &latency_ns) in times_ns.iter().zip(latencies_ns) {
            let begin_ns = ts_ns.saturating_sub(from_ns);
            let end_ns = begin_ns.saturating_add(latency_ns);
            // Nearly all lie in one bin, and it is there.
            let bin = |at_ns: u64| at_ns.wrapping_shr(self.shift);
            let at = bin(begin_ns);
            match usize::try_from(at).ok().and_then(|at| self.sums_ns.get_mut(at)) {
                Some(sum_ns) if at == bin(end_ns) => *sum_ns = sum_ns.saturating_add(latency_ns),
                _ => self.add(begin_ns, end_ns, 1),
            }
        }
    }

    /// Adds waits that all lie in the bin of a time.
    fn add_within(&mut self, at_ns: u64, wait_ns: u64) {
        let bin = self.bin(at_ns);
        self.put(bin, wait_ns);
    }

    fn put(&mut self, bin: usize, wait_ns: u64) {
        if let Some(sum_ns) = self.sums_ns.get_mut(bin) {
            *sum_ns = sum_ns.saturating_add(wait_ns);
        }
    }

    /// Puts what lasts through whole bins into their sums.
    fn settle(&mut self) {
        let width_ns = 1u64.checked_shl(self.shift).unwrap_or(u64::MAX);
        let mut through = 0i64;
        for (sum_ns, change) in self.sums_ns.iter_mut().zip(&self.through) {
            through = through.saturating_add(*change);
            let count = u64::try_from(through).unwrap_or(0);
            *sum_ns = sum_ns.saturating_add(width_ns.saturating_mul(count));
        }
        self.through.clear();
    }

    /// Joins bins until they are 2^this nanoseconds.
    fn coarsen(&mut self, shift: u32) {
        self.settle();
        let by = shift.saturating_sub(self.shift);
        let fine = std::mem::take(&mut self.sums_ns);
        for (bin, wait_ns) in fine.into_iter().enumerate() {
            let bin = bin.checked_shr(by).unwrap_or(0);
            if bin >= self.sums_ns.len() {
                self.sums_ns.resize(bin + 1, 0);
            }
            self.put(bin, wait_ns);
        }
        self.shift = shift;
    }

    /// The waits of a time in about so many parts, up to twice as many, and the length of a part.
    #[must_use]
    pub fn parts(mut self, length_ns: u64, parts: u64) -> (Vec<u64>, u64) {
        self.settle();
        let bin_ns = 1u64.checked_shl(self.shift).unwrap_or(u64::MAX);
        let together = (length_ns / parts.max(1) / bin_ns).max(1);
        let size = usize::try_from(together).unwrap_or(usize::MAX);
        let sums = self.sums_ns.chunks(size);
        let sums = sums.map(|sums| sums.iter().fold(0, |all: u64, sum| all.saturating_add(*sum)));
        (sums.collect(), together.saturating_mul(bin_ns))
    }
}

/// Collects them from faults.
#[derive(Clone, Debug, Default)]
pub struct WaitsOverTime {
    from_ns: u64,
    to_ns: Option<u64>,
    bins: Option<Bins>,
}

impl WaitsOverTime {
    /// Only what lies in the time of the filter counts.
    pub fn within(&mut self, filter: &Filter) {
        self.from_ns = filter.from_ns.unwrap_or(0);
        self.to_ns = filter.to_ns;
    }

    /// The shortest time with most of the wait, within a time in `CLOCK_MONOTONIC` that is the one that was asked for.
    #[must_use]
    pub fn burst(&self, (begin_ns, end_ns): (u64, u64)) -> Option<Burst> {
        let length_ns = end_ns.saturating_sub(begin_ns);
        let (sums_ns, bin_ns) = self.bins.clone()?.parts(length_ns, BURST_BINS);
        let burst = burst_of(&sums_ns, bin_ns)?;
        Some(Burst {
            from_ns: burst.from_ns.saturating_add(self.from_ns),
            // The last bin goes on behind the end.
            to_ns: burst.to_ns.min(length_ns).saturating_add(self.from_ns),
            ..burst
        })
    }
}

impl Pass for WaitsOverTime {
    fn columns(&self) -> Vec<Column> {
        vec![Column::TsNs, Column::LatencyNs, Column::ClassBits]
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let start_ns = session.start_ns();
        let begin_ns = start_ns.saturating_add(self.from_ns);
        let to_ns = self
            .to_ns
            .map_or(u64::MAX, |to_ns| start_ns.saturating_add(to_ns));
        let inside = |at_ns: u64| at_ns.clamp(begin_ns, to_ns.max(begin_ns)) - begin_ns;
        let bins = self.bins.get_or_insert_with(|| {
            let totals = session.totals_ahead.as_ref();
            Bins::lasting(inside(totals.map_or(begin_ns, |totals| totals.end_ns)))
        });
        let latencies_ns = u64s(frame, Column::LatencyNs)?;
        let sampling = session.sampling();
        let (first_ns, last_ns) = session.block_span_ns();
        let is_inside = begin_ns <= first_ns && last_ns <= to_ns;
        if is_inside && !sampling.is_sampled() && bins.bin(inside(last_ns)) == bins.bin(inside(first_ns)) {
            // As most blocks of a long recording.
            let (_, _, wait_ns) = extent_of(latencies_ns);
            bins.add_within(inside(first_ns), u64::try_from(wait_ns).unwrap_or(u64::MAX));
            return Ok(());
        }
        let times = u64s(frame, Column::TsNs)?;
        if is_inside && !sampling.is_sampled() {
            bins.add_all(times, latencies_ns, begin_ns);
            return Ok(());
        }
        let rows = times.iter().zip(latencies_ns).zip(u8s(frame, Column::ClassBits)?);
        for ((&ts_ns, &latency_ns), &bits) in rows {
            let end_ns = ts_ns.saturating_add(latency_ns);
            bins.add(
                inside(ts_ns),
                inside(end_ns),
                sampling.weight(ClassBits(bits).class()),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_wait_lies_in_every_bin_that_it_lasts_through() {
        let mut bins = Bins::lasting(4 << 10);
        assert_eq!(bins.shift, 3);
        bins.add(6, 21, 2);
        bins.add(0, 8, 1);
        bins.add(9, 9, 5);
        assert_eq!(bins.clone().parts(0, 1), (vec![12, 16, 10], 8));
        // What is longer than was expected makes them coarser.
        bins.add(30_000, 30_001, 7);
        let (sums, bin_ns) = bins.parts(0, 1);
        assert_eq!((sums.iter().sum::<u64>(), sums[0], bin_ns), (45, 38, 32));
    }

    #[test]
    fn waits_that_are_added_together_lie_where_single_ones_do() {
        let times: Vec<u64> = (0..2_000).map(|fault| 1_000 + fault * 37 % 9_000).collect();
        let latencies: Vec<u64> = (0..2_000)
            .map(|fault| if fault % 90 == 0 { 70_000 } else { fault % 11 })
            .collect();
        let (mut single, mut together) = (Bins::lasting(4 << 10), Bins::lasting(4 << 10));
        for (&begin_ns, &latency_ns) in times.iter().zip(&latencies) {
            single.add(begin_ns - 1_000, begin_ns - 1_000 + latency_ns, 1);
        }
        together.add_all(&times, &latencies, 1_000);
        assert_eq!(single.parts(0, 1), together.parts(0, 1));
    }

    #[test]
    fn no_wait_is_lost_however_long_it_lasts() {
        let mut bins = Bins::default();
        let mut state = 1u64;
        let mut all = 0u64;
        for _ in 0..3_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let begin_ns = state >> (20 + state % 40);
            let end_ns = begin_ns + (state >> 33) % (1 << (state % 30));
            bins.add(begin_ns, end_ns, 3);
            all += 3 * (end_ns - begin_ns);
        }
        assert!(bins.sums_ns.len() as u64 <= FINENESS.times);
        let (sums, _) = bins.parts(1 << 44, 50);
        assert_eq!(sums.iter().sum::<u64>(), all);
        assert!(sums.len() <= 101, "{}", sums.len());
    }

    #[test]
    fn times_without_end_do_no_harm() {
        let mut bins = Bins::default();
        bins.add(0, u64::MAX, u64::MAX);
        bins.add(u64::MAX - 1, u64::MAX, 1);
        bins.add(5, 3, 1);
        let (sums, bin_ns) = bins.parts(u64::MAX, 1);
        assert!(!sums.is_empty() && bin_ns > 0);
    }
}
