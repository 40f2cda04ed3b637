//! The faults of a block by where they were: those of one file, or of one kind of memory of one process, are put side by
//! side, however threads go to and fro between places, so that whoever counts by place has long loops over little memory.

use crate::class::ClassBits;
use crate::error::AnalyzeError;
use crate::frame::{u8s, u32s, u64s};
use crate::heat::grid::Cell;
use crate::runs::{Groups, PIECE};
use crate::sampling::Sampling;
use crate::schema::Column;
use crate::session::Session;
use multiversion::multiversion;
use polars::prelude::DataFrame;
use std::ops::Range;

/// The columns behind [`Gatherer::each`].
pub const COLUMNS: [Column; 7] = [
    Column::TsNs,
    Column::LatencyNs,
    Column::ClassBits,
    Column::Pid,
    Column::Address,
    Column::ObjectId,
    Column::ObjectPage,
];

/// Rows that are copied at once, whether all of them are wanted or not: a few vectors. Runs of threads that go to and fro
/// are seldom longer.
const STEP: usize = 8;

/// Faults, a slice for each column, all of one length.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults<'a> {
    /// When, since the start of the recording.
    pub since_start_ns: &'a [u64],
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
            since_start_ns: of(self.since_start_ns),
            pages: of(self.pages),
            latencies_ns: of(self.latencies_ns),
            weights: of(self.weights),
            waits_ns: of(self.waits_ns),
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
        Some((*self.since_start_ns.first()?, *self.pages.first()?, cell))
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
    /// At most [`PIECE`] faults.
    pub faults: Faults<'a>,
    /// How they ended, for [`ClassBits`].
    pub bits: &'a [u8],
    /// The rows that they were.
    pub runs: &'a [Range<usize>],
}

/// The columns of a block that faults are made of.
struct Rows<'a> {
    times: &'a [u64],
    latencies_ns: &'a [u64],
    bits: &'a [u8],
}

/// Columns of faults that have been put together; only the first `len` rows of each count.
#[derive(Debug)]
struct Gathered {
    len: usize,
    since_start_ns: Vec<u64>,
    pages: Vec<u64>,
    latencies_ns: Vec<u64>,
    bits: Vec<u8>,
    ones: Vec<u64>,
    /// Filled for samples only.
    weights: Vec<u64>,
    waits_ns: Vec<u64>,
}

impl Default for Gathered {
    fn default() -> Self {
        let room = PIECE + STEP;
        Self {
            len: 0,
            since_start_ns: vec![0; room],
            pages: vec![0; room],
            latencies_ns: vec![0; room],
            bits: vec![0; room],
            ones: vec![1; room],
            weights: Vec::new(),
            waits_ns: Vec::new(),
        }
    }
}

impl Gathered {
    /// Takes some runs of at most [`PIECE`] rows together in place of what there was.
    fn take(&mut self, rows: &Rows<'_>, runs: &[Range<usize>], places: &[u64]) {
        self.len = copy_runs(self, rows, runs, places);
    }

    /// The faults, and how they ended.
    fn faults(&mut self, start_ns: u64, sampling: Sampling) -> (Faults<'_>, &[u8]) {
        let times = self.since_start_ns.iter_mut().take(self.len);
        times.for_each(|time_ns| *time_ns = time_ns.saturating_sub(start_ns));
        let is_sampled = sampling.is_sampled();
        if is_sampled {
            let bits = self.bits.iter().take(self.len);
            let weights = bits.map(|&bits| sampling.weight(ClassBits(bits).class()));
            self.weights.clear();
            self.weights.extend(weights);
            let weighted = self.latencies_ns.iter().zip(&self.weights);
            self.waits_ns.clear();
            self.waits_ns
                .extend(weighted.map(|(latency_ns, &weight)| latency_ns.saturating_mul(weight)));
        }
        let all = Faults {
            since_start_ns: &self.since_start_ns,
            pages: &self.pages,
            latencies_ns: &self.latencies_ns,
            weights: if is_sampled { &self.weights } else { &self.ones },
            waits_ns: if is_sampled {
                &self.waits_ns
            } else {
                &self.latencies_ns
            },
        };
        (
            all.part(0..self.len),
            self.bits.get(..self.len).unwrap_or_default(),
        )
    }
}

/// Returns the number of rows.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn copy_runs(to: &mut Gathered, rows: &Rows<'_>, runs: &[Range<usize>], places: &[u64]) -> usize {
    let mut len = 0usize;
    for run in runs {
        copy(rows.times, run, &mut to.since_start_ns, len);
        copy(places, run, &mut to.pages, len);
        copy(rows.latencies_ns, run, &mut to.latencies_ns, len);
        copy(rows.bits, run, &mut to.bits, len);
        len = len.saturating_add(run.len()).min(PIECE);
    }
    len
}

/// Copies a run to `at`, and maybe rows behind it, which the next run replaces.
#[inline(always)]
fn copy<T: Copy>(from: &[T], run: &Range<usize>, to: &mut [T], at: usize) {
    let (from, to) = (from.get(run.start..), to.get_mut(at..));
    let (Some(from), Some(to)) = (from, to) else {
        return;
    };
    let mut done = 0;
    while done < run.len() {
        let (from, to) = (from.get(done..), to.get_mut(done..));
        let (Some(from), Some(to)) = (from, to) else {
            return;
        };
        match (from.first_chunk::<STEP>(), to.first_chunk_mut::<STEP>()) {
            (Some(from), Some(to)) => *to = *from,
            _ => {
                let rest = from.iter().zip(to);
                rest.for_each(|(from, to)| *to = *from);
                return;
            }
        }
        done += STEP;
    }
}

/// Gathers the faults of one block after the other.
#[derive(Debug, Default)]
pub struct Gatherer {
    groups: Groups,
    gathered: Gathered,
}

impl Gatherer {
    /// Shows all faults of a block, one place after the other. Files count by their pages where `by_object` says so.
    ///
    /// # Errors
    /// When the query did not declare [`COLUMNS`].
    pub fn each(
        &mut self,
        frame: &DataFrame,
        session: &Session,
        by_object: bool,
        mut see: impl FnMut(Piece<'_>),
    ) -> Result<(), AnalyzeError> {
        let rows = Rows {
            times: u64s(frame, Column::TsNs)?,
            latencies_ns: u64s(frame, Column::LatencyNs)?,
            bits: u8s(frame, Column::ClassBits)?,
        };
        let addresses = u64s(frame, Column::Address)?;
        let object_pages = u64s(frame, Column::ObjectPage)?;
        let to_page = session.to_page();
        let (start_ns, sampling) = (session.start_ns(), session.sampling());
        let gathered = &mut self.gathered;
        for group in self
            .groups
            .of(u32s(frame, Column::ObjectId)?, u32s(frame, Column::Pid)?)
        {
            let (object, pid) = group.key;
            let by_object = by_object && session.dicts.is_file_backed(object);
            let mut later = group.runs.as_slice();
            while !later.is_empty() {
                let mut room = PIECE;
                let mut fits = |run: &Range<usize>| {
                    let rest = room.checked_sub(run.len());
                    room = rest.unwrap_or(0);
                    rest.is_some()
                };
                let count = later.iter().take_while(|run| fits(run)).count().max(1);
                let runs;
                (runs, later) = later.split_at_checked(count).unwrap_or((later, &[]));
                if by_object {
                    gathered.take(&rows, runs, object_pages);
                } else {
                    gathered.take(&rows, runs, addresses);
                    let pages = gathered.pages.iter_mut().take(gathered.len);
                    pages.for_each(|place| *place = to_page(*place));
                }
                let (faults, bits) = gathered.faults(start_ns, sampling);
                see(Piece {
                    object,
                    pid,
                    by_object,
                    faults,
                    bits,
                    runs,
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_runs_is_copied_in_order() {
        let column: Vec<u64> = (0..1_000).collect();
        let bits = vec![0u8; 1_000];
        let rows = Rows {
            times: &column,
            latencies_ns: &column,
            bits: &bits,
        };
        let mut gathered = Gathered::default();
        // Short and long ones, and some at the very end of the column.
        for runs in [
            vec![0..1, 3..11, 20..29, 100..400],
            vec![0..200, 200..PIECE],
            vec![990..991, 993..1_000],
            vec![998..999, 999..1_000],
            vec![],
        ] {
            let plain: Vec<u64> = runs.iter().cloned().flatten().map(|row| row as u64).collect();
            gathered.take(&rows, &runs, &column);
            let (faults, bits) = gathered.faults(5, Sampling::one_in(3));
            let times: Vec<u64> = plain.iter().map(|time| time.saturating_sub(5)).collect();
            assert_eq!(faults.since_start_ns, times);
            assert_eq!((faults.pages, faults.latencies_ns), (&plain[..], &plain[..]));
            assert_eq!(
                (bits.len(), faults.weights),
                (plain.len(), &vec![3; plain.len()][..])
            );
            assert!(
                faults
                    .waits_ns
                    .iter()
                    .zip(&plain)
                    .all(|(wait, latency)| *wait == latency * 3)
            );
        }
    }
}
