//! `heatmap`: the query that fills grids. What is worth showing, and how, is in `show`.

use crate::class::ClassBits;
use crate::error::AnalyzeError;
use crate::findings::{Burst, burst_of};
use crate::frame::{u8s, u32s, u64s};
use crate::heat::latency;
use crate::heat::places::{Key, Places};
use crate::heat::window::Fault;
use crate::query::classes;
use crate::runs::{Groups, part, runs};
use crate::sampling::Sampling;
use crate::scan::Query;
use crate::schema::Column;
use crate::session::Session;
use polars::prelude::{DataFrame, PlHashMap};
use std::ops::Range;

/// Cells of all grids of a heatmap together: about 20 MB.
const MAX_CELLS: usize = 1 << 18;
/// Cells behind the small heatmap of the report.
const FEW_CELLS: usize = 1 << 16;
/// Faults that are gathered before they go into the grids: they stay in the nearest cache.
const MANY: usize = 512;
/// Parts of the time that a burst is made of.
const BURST_BINS: u64 = 200;

/// What goes upwards or downwards in a heatmap; time always goes to the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Axis {
    /// Addresses, within these first and last bytes if given.
    Address(Option<(u64, u64)>),
    /// Offsets of files; memory without a file goes by address.
    File,
    /// How long faults took.
    Latency,
}

/// Collects one grid of addresses per process, one grid of offsets per file, or one of latencies.
#[derive(Debug)]
pub struct Heat {
    pub(super) axis: Axis,
    pub(super) places: Places,
    /// Whether mostly empty axes are cut where the result is a picture.
    pub(super) zoom: bool,
    /// By object and process; stale when `generation` is not that of the places.
    slots: PlHashMap<(u32, u32), (usize, bool)>,
    generation: u64,
    groups: Groups,
    /// Of one place, gathered from here and there.
    faults: Vec<Fault>,
}

/// What faults of a heatmap are made of, of the rows of a block.
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

    /// The faults of a run, each at the place that it has in a column.
    fn faults(&self, run: &Range<usize>, places: &'a [u64]) -> impl Iterator<Item = Fault> + use<'a> {
        let (start_ns, sampling) = (self.start_ns, self.sampling);
        let begins = part(self.times, run).iter().zip(part(places, run));
        let ends = part(self.latencies_ns, run).iter().zip(part(self.bits, run));
        let rows = begins.zip(ends);
        rows.map(move |((&ts_ns, &page), (&latency_ns, &bits))| Fault {
            since_start_ns: ts_ns.saturating_sub(start_ns),
            page,
            latency_ns,
            weight: sampling.weight(ClassBits(bits).class()),
        })
    }
}

/// A run in pieces of at most [`MANY`] rows.
fn pieces(run: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = run.end;
    run.step_by(MANY)
        .map(move |start| start..end.min(start.saturating_add(MANY)))
}

impl Heat {
    fn new(axis: Axis, max_cells: usize) -> Self {
        Self {
            axis,
            places: Places::new(max_cells, !matches!(axis, Axis::Address(Some(_)))),
            zoom: true,
            slots: PlHashMap::default(),
            generation: 0,
            groups: Groups::default(),
            faults: Vec::new(),
        }
    }

    /// Time × address; `range` is a first and a last byte.
    #[must_use]
    pub fn by_address(range: Option<(u64, u64)>) -> Self {
        Self::new(Axis::Address(range), MAX_CELLS)
    }

    /// Time × file offset; faults on memory without a file still go by address.
    #[must_use]
    pub fn by_file() -> Self {
        Self::new(Axis::File, MAX_CELLS)
    }

    /// As [`Heat::by_file`], but coarser, for a first look at anything.
    #[must_use]
    pub fn by_place() -> Self {
        Self::new(Axis::File, FEW_CELLS)
    }

    /// Time × latency, all places together.
    #[must_use]
    pub fn by_latency() -> Self {
        Self::new(Axis::Latency, MAX_CELLS)
    }

    /// Shows all of both axes, however empty they are.
    #[must_use]
    pub fn without_zoom(self) -> Self {
        Self { zoom: false, ..self }
    }

    /// The place of an object in a process, and whether it is a file.
    fn slot(&mut self, object: u32, pid: u32, by_file: bool, session: &Session) -> (usize, bool) {
        if self.generation != self.places.generation() {
            self.slots.clear();
            self.generation = self.places.generation();
        }
        if let Some(&slot) = self.slots.get(&(object, pid)) {
            return slot;
        }
        let is_file = by_file && session.dicts.is_file_backed(object);
        let key = if is_file {
            Key::File(session.dicts.label(object).into_owned())
        } else {
            Key::Process(pid)
        };
        let slot = (self.places.slot(key), is_file);
        if self.generation == self.places.generation() {
            self.slots.insert((object, pid), slot);
        }
        slot
    }

    fn add_latencies(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let slot = self.places.slot(Key::Latency);
        let rows = Rows::of(frame, session)?;
        for piece in pieces(0..frame.height()) {
            let faults = rows.faults(&piece, rows.latencies_ns);
            self.faults.extend(faults.map(|fault| Fault {
                page: latency::step_of(fault.latency_ns),
                ..fault
            }));
            self.hand_over(slot);
        }
        Ok(())
    }

    fn add_places(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let by_file = self.axis == Axis::File;
        let rows = Rows::of(frame, session)?;
        let addresses = u64s(frame, Column::Address)?;
        let object_pages = u64s(frame, Column::ObjectPage)?;
        let (pids, tids) = (u32s(frame, Column::Pid)?, u32s(frame, Column::Tid)?);
        let objects = u32s(frame, Column::ObjectId)?;
        let comms = u32s(frame, Column::CommId)?;
        let to_page = session.to_page();
        let on_page = |fault: Fault| Fault {
            page: to_page(fault.page),
            ..fault
        };
        let mut groups = std::mem::take(&mut self.groups);
        for group in groups.of(objects, pids) {
            let (object, pid) = group.key;
            let (slot, is_file) = self.slot(object, pid, by_file, session);
            for piece in group.runs.iter().cloned().flat_map(pieces) {
                if self.faults.len() + piece.len() > MANY {
                    self.hand_over(slot);
                }
                if is_file {
                    self.faults.extend(rows.faults(&piece, object_pages));
                    continue;
                }
                for run in runs(part(tids, &piece), part(comms, &piece)) {
                    let run = piece.start + run.start..piece.start + run.end;
                    let known = self.faults.len();
                    let faults = rows.faults(&run, addresses);
                    match self.axis {
                        Axis::Address(Some((low, high))) => {
                            let faults = faults.filter(|fault| (low..=high).contains(&fault.page));
                            self.faults.extend(faults.map(on_page));
                        }
                        _ => self.faults.extend(faults.map(on_page)),
                    }
                    let times = self.faults.iter().skip(known).map(|fault| fault.since_start_ns);
                    if let (Some(last), Some(&tid), Some(&comm_id)) =
                        (times.max(), tids.get(run.start), comms.get(run.start))
                    {
                        self.places.name(slot, last, comm_id, pid == tid);
                    }
                }
            }
            self.hand_over(slot);
        }
        self.groups = groups;
        Ok(())
    }

    /// The faults that were gathered belong to this place.
    fn hand_over(&mut self, slot: usize) {
        self.places.add_all(slot, &self.faults);
        self.faults.clear();
    }

    /// The shortest time with most of the wait; to be asked when it has settled.
    #[must_use]
    pub fn burst(&self, session: &Session) -> Option<Burst> {
        let (bins, bin_ns) = self.places.wait_by_time(session.duration_ns(), BURST_BINS);
        burst_of(&bins, bin_ns)
    }

    /// To be called once, after the last block.
    pub fn settle(&mut self) {
        self.places.settle();
    }
}

impl Query for Heat {
    fn columns(&self) -> Vec<Column> {
        let mut columns = classes::COLUMNS.to_vec();
        columns.push(Column::TsNs);
        if self.axis != Axis::Latency {
            columns.extend([
                Column::Address,
                Column::Pid,
                Column::Tid,
                Column::CommId,
                Column::ObjectId,
                Column::ObjectPage,
            ]);
        }
        columns
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        match self.axis {
            Axis::Latency => self.add_latencies(frame, session)?,
            Axis::Address(_) | Axis::File => self.add_places(frame, session)?,
        }
        self.places.fit();
        Ok(())
    }
}
