//! The faults of a block by where they were: those of one file, or of one kind of memory of one process, are put side by
//! side, however threads go to and fro between places, so that whoever counts by place has long loops over little memory.

use crate::class::{Class, ClassBits};
use crate::error::AnalyzeError;
use crate::frame::{u8s, u32s, u64s};
use crate::runs::{Groups, PIECE, part};
use crate::sampling::Sampling;
use crate::schema::Column;
use crate::session::Session;
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

/// A fault at some place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// When, since the start of the recording.
    pub since_start_ns: u64,
    /// On which page.
    pub page: u64,
    /// How long.
    pub latency_ns: u64,
    /// How many it stands for.
    pub weight: u64,
    /// How it ended.
    pub class: Class,
}

impl Fault {
    /// How long those waited that it stands for.
    #[inline]
    #[must_use]
    pub fn wait_ns(&self) -> u64 {
        self.latency_ns.saturating_mul(self.weight)
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
    pub faults: &'a [Fault],
    /// The rows that they were.
    pub runs: &'a [Range<usize>],
}

/// What faults are made of, of the rows of a block.
struct Rows<'a> {
    times: &'a [u64],
    latencies_ns: &'a [u64],
    bits: &'a [u8],
    start_ns: u64,
    sampling: Sampling,
}

impl<'a> Rows<'a> {
    fn of(frame: &'a DataFrame, session: &Session) -> Result<Self, AnalyzeError> {
        Ok(Self {
            times: u64s(frame, Column::TsNs)?,
            latencies_ns: u64s(frame, Column::LatencyNs)?,
            bits: u8s(frame, Column::ClassBits)?,
            start_ns: session.start_ns(),
            sampling: session.sampling(),
        })
    }

    /// The faults of a run, on the pages that `to_page` makes of a column.
    fn faults(
        &self,
        run: &Range<usize>,
        places: &'a [u64],
        to_page: impl Fn(u64) -> u64,
    ) -> impl Iterator<Item = Fault> {
        let (start_ns, sampling) = (self.start_ns, self.sampling);
        let begins = part(self.times, run).iter().zip(part(places, run));
        let ends = part(self.latencies_ns, run).iter().zip(part(self.bits, run));
        let rows = begins.zip(ends);
        rows.map(move |((&ts_ns, &place), (&latency_ns, &bits))| {
            let class = ClassBits(bits).class();
            Fault {
                since_start_ns: ts_ns.saturating_sub(start_ns),
                page: to_page(place),
                latency_ns,
                weight: sampling.weight(class),
                class,
            }
        })
    }
}

/// Gathers the faults of one block after the other.
#[derive(Debug, Default)]
pub struct Gatherer {
    groups: Groups,
    faults: Vec<Fault>,
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
        let rows = Rows::of(frame, session)?;
        let addresses = u64s(frame, Column::Address)?;
        let object_pages = u64s(frame, Column::ObjectPage)?;
        let to_page = session.to_page();
        let faults = &mut self.faults;
        for group in self
            .groups
            .of(u32s(frame, Column::ObjectId)?, u32s(frame, Column::Pid)?)
        {
            let (object, pid) = group.key;
            let by_object = by_object && session.dicts.is_file_backed(object);
            let mut runs = group.runs.as_slice();
            while !runs.is_empty() {
                let mut room = PIECE;
                let mut fits = |run: &Range<usize>| {
                    let rest = room.checked_sub(run.len());
                    room = rest.unwrap_or(room);
                    rest.is_some()
                };
                let count = runs.iter().take_while(|run| fits(run)).count().max(1);
                let Some((now, later)) = runs.split_at_checked(count) else {
                    break;
                };
                runs = later;
                faults.clear();
                for run in now {
                    if by_object {
                        faults.extend(rows.faults(run, object_pages, |page| page));
                    } else {
                        faults.extend(rows.faults(run, addresses, &to_page));
                    }
                }
                see(Piece {
                    object,
                    pid,
                    by_object,
                    faults,
                    runs: now,
                });
            }
        }
        Ok(())
    }
}
