//! The faults of a block by where they were: those of one file, or of one kind of memory of one process, are put side by
//! side, however threads go to and fro between places, so that whoever counts by place has long loops over little memory.

pub mod buffers;

use crate::engine::columns::Column;
use crate::engine::frame::{u8s, u32s, u64s};
use crate::engine::tally::Cell;
use crate::error::AnalyzeError;
use crate::trace::class::ClassBits;
use crate::trace::sampling::Sampling;
use crate::trace::session::Session;
use buffers::{Buffer, Buffers, Rows, Stop, Times, gather, mark_borders};
use polars::prelude::DataFrame;
use std::ops::Range;

/// The columns behind `Gatherer::each`.
pub const COLUMNS: [Column; 7] = [
    Column::TsNs,
    Column::LatencyNs,
    Column::ClassBits,
    Column::Pid,
    Column::Address,
    Column::ObjectId,
    Column::ObjectPage,
];

/// What is asked of times: in which bin each is.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimeBins {
    /// The time that counts as 0.
    pub begin_ns: u64,
    /// A bin is 2^this nanoseconds, or any number of these.
    pub shift: u32,
}

impl TimeBins {
    /// A time that stands for all from the first to the last, if they are in one bin.
    fn one_for(self, (first_ns, last_ns): (u64, u64)) -> Option<u64> {
        let since_begin_ns = first_ns.saturating_sub(self.begin_ns);
        let bin_of = |ns: u64| ns.checked_shr(self.shift);
        let is_one = bin_of(since_begin_ns) == bin_of(last_ns.saturating_sub(self.begin_ns));
        is_one.then_some(since_begin_ns)
    }
}

/// Faults that are shown together.
pub(crate) const PIECE: usize = 512;

/// Faults, a slice for each column, all of one length.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults<'a> {
    /// When, since the time that counts as 0; or another time in the same bin, if a gatherer was asked for bins.
    pub since_begin_ns: &'a [u64],
    /// On which page.
    pub pages: &'a [u64],
    /// How long.
    pub latencies_ns: &'a [u64],
    /// How many each stands for.
    pub weights: &'a [u64],
    /// How long all these waited.
    pub waits_ns: &'a [u64],
}

impl<'a> Faults<'a> {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Some of them.
    #[must_use]
    pub fn part(&self, rows: Range<usize>) -> Self {
        let of = |column: &'a [u64]| column.get(rows.clone()).unwrap_or_default();
        Self {
            since_begin_ns: of(self.since_begin_ns),
            pages: of(self.pages),
            latencies_ns: of(self.latencies_ns),
            weights: of(self.weights),
            waits_ns: of(self.waits_ns),
        }
    }

    /// What they come to.
    #[must_use]
    pub fn sum(&self) -> Cell {
        let of = |column: &[u64]| column.iter().fold(0u64, |sum, value| sum.saturating_add(*value));
        Cell {
            count: of(self.weights),
            wait_ns: of(self.waits_ns),
            max_ns: self.latencies_ns.iter().copied().max().unwrap_or(0),
        }
    }

    /// When and where the first one was, and what it comes to.
    #[must_use]
    pub fn first(&self) -> Option<(u64, u64, Cell)> {
        let cell = Cell {
            count: *self.weights.first()?,
            wait_ns: *self.waits_ns.first()?,
            max_ns: *self.latencies_ns.first()?,
        };
        Some((*self.since_begin_ns.first()?, *self.pages.first()?, cell))
    }
}

/// Some faults at one place.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// The object, an id in the dictionary.
    pub object: u32,
    /// The process.
    pub pid: u32,
    /// Whether pages are those of the object; else they are those of the address space.
    pub by_object: bool,
    /// At most `PIECE` faults.
    pub faults: Faults<'a>,
    /// How they ended, for [`ClassBits`].
    pub bits: &'a [u8],
    /// The rows that they were, in order.
    pub runs: &'a [Range<usize>],
}

/// Gathers the faults of one block after the other.
#[derive(Debug, Default)]
pub(crate) struct Gatherer {
    buffers: Buffers,
    borders: Vec<u8>,
    weighed: Weighed,
}

impl Gatherer {
    /// Shows all faults of a block in pieces of one place, those of each place in their order, files by their pages where
    /// `by_object` says so.
    ///
    /// # Errors
    /// When the query did not declare [`COLUMNS`].
    pub fn each(
        &mut self,
        frame: &DataFrame,
        session: &Session,
        bins: TimeBins,
        by_object: bool,
        mut see: impl FnMut(Piece<'_>),
    ) -> Result<(), AnalyzeError> {
        let rows = Rows {
            begin_ns: bins.begin_ns,
            times: match bins.one_for(session.block_ns()) {
                Some(since_begin_ns) => Times::One(since_begin_ns),
                None => Times::Each(u64s(frame, Column::TsNs)?),
            },
            latencies_ns: u64s(frame, Column::LatencyNs)?,
            bits: u8s(frame, Column::ClassBits)?,
            pages: [
                (u64s(frame, Column::Address)?, session.page_shift()),
                (u64s(frame, Column::ObjectPage)?, 0),
            ],
            objects: u32s(frame, Column::ObjectId)?,
            pids: u32s(frame, Column::Pid)?,
        };
        let by_object = |object| by_object && session.dicts.is_file_backed(object);
        self.each_of(&rows, session.sampling(), by_object, &mut see);
        Ok(())
    }

    fn each_of(
        &mut self,
        rows: &Rows<'_>,
        sampling: Sampling,
        by_object: impl Fn(u32) -> bool,
        see: &mut impl FnMut(Piece<'_>),
    ) {
        mark_borders(rows, &mut self.borders);
        let (buffers, weighed) = (&mut self.buffers, &mut self.weighed);
        if let Times::One(since_begin_ns) = rows.times {
            weighed.one_time = [since_begin_ns; PIECE];
        }
        let mut next = 0;
        loop {
            match gather(buffers, rows, &self.borders, &mut next) {
                Stop::Full(slot) => weighed.show(buffers.get_mut(slot), rows, sampling, see),
                Stop::Unknown(key) => {
                    let slot = buffers.slot_for(key);
                    weighed.show(buffers.get_mut(slot), rows, sampling, see);
                    buffers.give(slot, key, by_object(key.0));
                }
                Stop::End => break,
            }
        }
        // Rows and names are those of this block.
        for slot in buffers.give_up() {
            weighed.show(buffers.get_mut(slot), rows, sampling, see);
        }
    }
}

/// How many faults each row of a piece stands for, and what else is alike in many rows.
#[derive(Debug)]
struct Weighed {
    ones: [u64; PIECE],
    /// The time of all rows of a block in one bin.
    one_time: [u64; PIECE],
    /// Filled for samples only.
    weights: Vec<u64>,
    waits_ns: Vec<u64>,
}

impl Default for Weighed {
    fn default() -> Self {
        Self {
            ones: [1; PIECE],
            one_time: [0; PIECE],
            weights: Vec::new(),
            waits_ns: Vec::new(),
        }
    }
}

impl Weighed {
    /// Shows what was put together, if anything, and makes room.
    fn show(
        &mut self,
        buffer: Option<&mut Buffer>,
        rows: &Rows<'_>,
        sampling: Sampling,
        see: &mut impl FnMut(Piece<'_>),
    ) {
        let Some(buffer) = buffer.filter(|buffer| buffer.len > 0) else {
            return;
        };
        let bits = buffer.bits.get(..buffer.len).unwrap_or_default();
        let is_sampled = sampling.is_sampled();
        if is_sampled {
            let weights = bits.iter().map(|&bits| sampling.weight(ClassBits(bits).class()));
            self.weights.clear();
            self.weights.extend(weights);
            let weighted = buffer.latencies_ns.iter().zip(&self.weights);
            self.waits_ns.clear();
            self.waits_ns
                .extend(weighted.map(|(latency_ns, &weight)| latency_ns.saturating_mul(weight)));
        }
        let all = Faults {
            since_begin_ns: match rows.times {
                Times::Each(_) => &buffer.since_begin_ns,
                Times::One(_) => &self.one_time,
            },
            pages: &buffer.pages,
            latencies_ns: &buffer.latencies_ns,
            weights: if is_sampled { &self.weights } else { &self.ones },
            waits_ns: if is_sampled {
                &self.waits_ns
            } else {
                &buffer.latencies_ns
            },
        };
        let (object, pid) = buffer.key;
        see(Piece {
            object,
            pid,
            by_object: buffer.by_object,
            faults: all.part(0..buffer.len),
            bits,
            runs: &buffer.runs,
        });
        buffer.len = 0;
        buffer.runs.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn times_of_one_bin_are_one() {
        let bins = TimeBins {
            begin_ns: 100,
            shift: 4,
        };
        assert_eq!(bins.one_for((116, 131)), Some(16));
        assert_eq!(bins.one_for((116, 132)), None);
        // Before the begin it is 0.
        assert_eq!(bins.one_for((7, 115)), Some(0));
        assert_eq!(bins.one_for((0, u64::MAX)), None);
        assert_eq!(TimeBins::default().one_for((5, 5)), Some(5));

        let mut gatherer = Gatherer::default();
        let rows = Rows {
            begin_ns: 100,
            times: Times::One(16),
            latencies_ns: &[1; 2_000],
            bits: &[0; 2_000],
            pages: [(&[1; 2_000], 2), (&[1; 2_000], 0)],
            objects: &[1; 2_000],
            pids: &[1; 2_000],
        };
        let mut count = 0;
        gatherer.each_of(&rows, Sampling::default(), |_| true, &mut |piece| {
            assert!(piece.faults.since_begin_ns.iter().all(|&ns| ns == 16));
            count += piece.faults.since_begin_ns.len();
        });
        assert_eq!(count, 2_000);
    }

    #[test]
    fn every_row_is_shown_once_and_those_of_a_place_in_order() {
        let mut gatherer = Gatherer::default();
        // More places than there is room for; then few again.
        for (places, height) in [
            (3_000, 9_000),
            (3, 5_000),
            (1, PIECE * 2 + 3),
            (7, 9),
            (1, 1),
            (1, 0),
        ] {
            let numbers: Vec<u64> = (0..height as u64).map(|row| row * 10).collect();
            let bits = vec![0; height];
            // Rows come by process.
            let pids: Vec<u32> = (0..height).map(|row| (5 * row / height) as u32).collect();
            let objects: Vec<u32> = (0..height as u32).map(|row| row / 3 % places).collect();
            let rows = Rows {
                begin_ns: 40,
                times: Times::Each(&numbers),
                latencies_ns: &numbers,
                bits: &bits,
                pages: [(&numbers, 2), (&numbers, 0)],
                objects: &objects,
                pids: &pids,
            };
            let mut shown: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
            gatherer.each_of(
                &rows,
                Sampling::one_in(3),
                |object| object % 2 == 1,
                &mut |piece| {
                    let rows: Vec<usize> = piece.runs.iter().cloned().flatten().collect();
                    assert!(rows.len() <= PIECE && piece.bits.len() == rows.len());
                    let of = |made: &dyn Fn(u64) -> u64| -> Vec<u64> {
                        rows.iter().map(|&row| made(row as u64 * 10)).collect()
                    };
                    let faults = piece.faults;
                    let shift = if piece.by_object { 0 } else { 2 };
                    assert_eq!(piece.by_object, piece.object % 2 == 1);
                    assert_eq!(faults.since_begin_ns, of(&|time| time.saturating_sub(40)));
                    assert_eq!(faults.pages, of(&|place| place >> shift));
                    assert_eq!(faults.latencies_ns, of(&|ns| ns));
                    assert_eq!(
                        (faults.weights, faults.waits_ns),
                        (&of(&|_| 3)[..], &of(&|ns| ns * 3)[..])
                    );
                    shown.entry((piece.object, piece.pid)).or_default().extend(rows);
                },
            );
            let mut plain: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
            for (row, key) in objects.into_iter().zip(pids).enumerate() {
                plain.entry(key).or_default().push(row);
            }
            assert_eq!(shown, plain);
        }
    }
}
