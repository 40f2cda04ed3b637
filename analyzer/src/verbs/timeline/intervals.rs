//! What happened in each interval of time, in as many numbers as there are intervals. Faults may come in any order.

use crate::stats::by_class::Fault;
use crate::trace::class::Class;

/// Intervals that are kept; who asks for more gets an error.
pub(crate) const MOST: u64 = 100_000;

/// Round numbers, the roundest first: two neighbours of the sorted list are at most 1.5 apart, so that one of them fits.
const ROUND: [u64; 9] = [10, 20, 50, 15, 25, 30, 40, 60, 80];

/// A round length of an interval, of which 40 to 60 make up the given time.
#[must_use]
pub(crate) fn round_width_ns(time_ns: u64) -> u64 {
    let fits = |&width: &u64| (40..=60).contains(&time_ns.div_ceil(width));
    let mut unit = 1;
    loop {
        // Tenths of the unit; the first round ones are below a nanosecond.
        let widths = ROUND
            .iter()
            .map(|tenths| tenths * unit / 10)
            .filter(|&width| width > 0);
        if let Some(width) = widths.clone().find(fits) {
            return width;
        }
        if unit >= 100_000_000_000_000_000 || time_ns < 40 {
            return (time_ns / 50).max(1);
        }
        unit *= 10;
    }
}

/// One interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    /// Begin.
    pub begin_ns: u64,
    /// End; the last one may be shorter than the others.
    pub end_ns: u64,
    /// Faults that began in it, in the order of [`Class::ALL`].
    pub counts: [u64; 3],
    /// Time that threads spent inside faults in it, summed over threads.
    pub wait_ns: u64,
    /// Latency of the longest fault that began in it.
    pub max_ns: u64,
    /// Distinct threads that were inside a fault in it.
    pub threads: u64,
    /// The part of it that belongs to stalls.
    pub stalled_ns: u64,
}

/// All of them.
#[derive(Clone, Debug)]
pub struct Intervals {
    begin_ns: u64,
    end_ns: u64,
    width_ns: u64,
    rows: Vec<Interval>,
    /// Changes of the weight of faults that last through an interval, and of the threads in it.
    through: Vec<i64>,
    entering: Vec<i64>,
    /// By thread, the first interval that it does not count in yet.
    counted: Vec<u32>,
}

impl Intervals {
    /// Cuts a time into intervals; `None` when there were too many.
    #[must_use]
    pub fn new(begin_ns: u64, end_ns: u64, width_ns: u64) -> Option<Self> {
        let width_ns = width_ns.max(1);
        // There is one at least, at the end of all time, too.
        let begin_ns = begin_ns.min(u64::MAX - 1);
        let end_ns = end_ns.max(begin_ns + 1);
        let count = (end_ns - begin_ns).div_ceil(width_ns);
        let size = usize::try_from(count).ok().filter(|_| count <= MOST)?;
        let begins = (0..count).map(|index| begin_ns + index * width_ns);
        let rows = begins.map(|begin_ns| Interval {
            begin_ns,
            end_ns: begin_ns.saturating_add(width_ns).min(end_ns),
            ..Interval::default()
        });
        Some(Self {
            begin_ns,
            end_ns,
            width_ns,
            rows: rows.collect(),
            through: vec![0; size + 1],
            entering: vec![0; size + 1],
            counted: Vec::new(),
        })
    }

    /// The length of an interval.
    #[must_use]
    pub fn width_ns(&self) -> u64 {
        self.width_ns
    }

    /// The begin of the first and the end of the last one.
    #[must_use]
    pub fn window_ns(&self) -> (u64, u64) {
        (self.begin_ns, self.end_ns)
    }

    /// Where a time lies; what is outside belongs to the nearest interval.
    fn index(&self, time_ns: u64) -> usize {
        let index = time_ns.saturating_sub(self.begin_ns) / self.width_ns;
        usize::try_from(index)
            .unwrap_or(usize::MAX)
            .min(self.rows.len() - 1)
    }

    /// The part of a span that is inside, with its first and last interval.
    fn cut(&self, begin_ns: u64, end_ns: u64) -> Option<(u64, u64, usize, usize)> {
        let (begin_ns, end_ns) = (begin_ns.max(self.begin_ns), end_ns.min(self.end_ns));
        (begin_ns < end_ns).then(|| (begin_ns, end_ns, self.index(begin_ns), self.index(end_ns - 1)))
    }

    /// Adds a fault.
    pub fn fault(&mut self, begin_ns: u64, fault: &Fault) {
        let index = self.index(begin_ns);
        if let Some(row) = self.rows.get_mut(index) {
            for (class, count) in Class::ALL.iter().zip(&mut row.counts) {
                *count = count.saturating_add(if *class == fault.class { fault.weight } else { 0 });
            }
            row.max_ns = row.max_ns.max(fault.latency_ns);
        }
        let Some((begin_ns, end_ns, first, last)) =
            self.cut(begin_ns, begin_ns.saturating_add(fault.latency_ns))
        else {
            return;
        };
        let mut wait = |index: usize, from_ns: u64, to_ns: u64| {
            if let Some(row) = self.rows.get_mut(index) {
                let wait_ns = to_ns.min(row.end_ns).saturating_sub(from_ns.max(row.begin_ns));
                row.wait_ns = row.wait_ns.saturating_add(wait_ns.saturating_mul(fault.weight));
            }
        };
        wait(first, begin_ns, end_ns);
        if last > first {
            wait(last, begin_ns, end_ns);
            let weight = i64::try_from(fault.weight).unwrap_or(i64::MAX);
            change(&mut self.through, first + 1, last, weight);
        }
    }

    /// A thread was inside faults all that time; times of one thread come in order.
    pub fn thread(&mut self, number: u32, begin_ns: u64, end_ns: u64) {
        let Some((_, _, first, last)) = self.cut(begin_ns, end_ns) else {
            return;
        };
        let number = number as usize;
        if number >= self.counted.len() {
            self.counted.resize(number + 1, 0);
        }
        if let Some(counted) = self.counted.get_mut(number) {
            let first = first.max(*counted as usize);
            if first <= last {
                change(&mut self.entering, first, last + 1, 1);
                *counted = u32::try_from(last + 1).unwrap_or(u32::MAX);
            }
        }
    }

    /// A stall.
    pub fn stalled(&mut self, begin_ns: u64, end_ns: u64) {
        let Some((begin_ns, end_ns, first, last)) = self.cut(begin_ns, end_ns) else {
            return;
        };
        for row in self.rows.iter_mut().take(last + 1).skip(first) {
            row.stalled_ns += row.end_ns.min(end_ns) - row.begin_ns.max(begin_ns);
        }
    }

    /// The intervals, in order.
    #[must_use]
    pub fn finish(mut self) -> Vec<Interval> {
        let (mut through, mut threads) = (0i64, 0i64);
        let changes = self.through.iter().zip(&self.entering);
        for (row, (&more_through, &more_threads)) in self.rows.iter_mut().zip(changes) {
            through = through.saturating_add(more_through);
            threads = threads.saturating_add(more_threads);
            let weight = u64::try_from(through).unwrap_or(0);
            let wait_ns = (row.end_ns - row.begin_ns).saturating_mul(weight);
            row.wait_ns = row.wait_ns.saturating_add(wait_ns);
            row.threads = u64::try_from(threads).unwrap_or(0);
        }
        self.rows
    }
}

/// Adds `by` to the elements `from..to` of what the changes sum up to.
fn change(changes: &mut [i64], from: usize, to: usize, by: i64) {
    if let Some(change) = changes.get_mut(from) {
        *change = change.saturating_add(by);
    }
    if let Some(change) = changes.get_mut(to) {
        *change = change.saturating_sub(by);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn round_intervals_are_forty_to_sixty() {
        for exponent in 1..16u32 {
            for tenths in 10..100u64 {
                let time_ns = 40 * tenths * 10u64.pow(exponent) / 10 + 3;
                let width = round_width_ns(time_ns);
                assert!((40..=60).contains(&time_ns.div_ceil(width)), "{time_ns} {width}");
            }
        }
        assert_eq!(round_width_ns(10_000_000_000), 200_000_000);
        assert_eq!(round_width_ns(2_345_000_000), 50_000_000);
        assert_eq!((round_width_ns(0), round_width_ns(7)), (1, 1));
        assert!(round_width_ns(u64::MAX) > 0);
    }

    #[test]
    fn a_long_fault_waits_in_every_interval_it_lasts_through() {
        let mut intervals = Intervals::new(100, 160, 25).unwrap();
        let fault = |latency_ns, weight| Fault {
            latency_ns,
            class: Class::Major,
            weight,
            is_abandoned: false,
            breakdown: None,
        };
        intervals.fault(90, &fault(65, 1));
        intervals.fault(126, &fault(10, 3));
        intervals.thread(0, 90, 155);
        intervals.thread(1, 126, 136);
        intervals.thread(1, 140, 141);
        intervals.stalled(120, 151);
        let rows = intervals.finish();
        let waits: Vec<_> = rows
            .iter()
            .map(|row| (row.wait_ns, row.threads, row.stalled_ns))
            .collect();
        assert_eq!(waits, [(25, 1, 5), (25 + 30, 2, 25), (5, 1, 1)]);
        assert_eq!(
            rows.iter().map(|row| row.counts[0]).collect::<Vec<_>>(),
            [1, 3, 0]
        );
        assert_eq!((rows[0].max_ns, rows[2].end_ns), (65, 160));
    }

    #[test]
    fn the_last_moment_of_all_is_in_an_interval() {
        let mut intervals = Intervals::new(u64::MAX, u64::MAX, 1).unwrap();
        intervals.thread(0, u64::MAX, u64::MAX);
        assert_eq!(intervals.finish().len(), 1);
    }

    #[test]
    fn too_many_intervals_are_refused() {
        assert!(Intervals::new(0, MOST, 1).is_some());
        assert!(Intervals::new(0, MOST + 1, 1).is_none());
        assert_eq!(Intervals::new(5, 5, 1).unwrap().finish().len(), 1);
    }
}
