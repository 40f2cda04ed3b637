//! `heatmap`: the query that fills grids. What is worth showing, and how, is in `show`.

use crate::class::ClassBits;
use crate::error::AnalyzeError;
use crate::findings::{Burst, burst_of};
use crate::frame::{u8s, u32s, u64s};
use crate::heat::grid::Cell;
use crate::heat::latency;
use crate::heat::places::{Key, Places};
use crate::query::classes::{self, faults};
use crate::runs::{part, runs};
use crate::scan::Query;
use crate::schema::Column;
use crate::session::Session;
use polars::prelude::{DataFrame, PlHashMap};

/// Cells of all grids of a heatmap together: about 20 MB.
const MAX_CELLS: usize = 1 << 18;
/// Cells behind the small heatmap of the report.
const FEW_CELLS: usize = 1 << 16;
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
}

impl Heat {
    fn new(axis: Axis, max_cells: usize) -> Self {
        Self {
            axis,
            places: Places::new(max_cells, !matches!(axis, Axis::Address(Some(_)))),
            zoom: true,
            slots: PlHashMap::default(),
            generation: 0,
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
        let start_ns = session.start_ns();
        let times = u64s(frame, Column::TsNs)?.iter();
        let faults = times.zip(faults(frame, session)?).map(|(&ts_ns, fault)| {
            let cell = Cell::of(fault.latency_ns, fault.weight);
            let step = latency::step_of(fault.latency_ns);
            (ts_ns.saturating_sub(start_ns), step, cell)
        });
        self.places.add_all(slot, faults);
        Ok(())
    }

    fn add_places(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let by_file = self.axis == Axis::File;
        let range = match self.axis {
            Axis::Address(range) => range,
            Axis::File | Axis::Latency => None,
        };
        let (low, high) = range.unwrap_or((0, u64::MAX));
        let times = u64s(frame, Column::TsNs)?;
        let addresses = u64s(frame, Column::Address)?;
        let object_pages = u64s(frame, Column::ObjectPage)?;
        let (pids, tids) = (u32s(frame, Column::Pid)?, u32s(frame, Column::Tid)?);
        let objects = u32s(frame, Column::ObjectId)?;
        let comms = u32s(frame, Column::CommId)?;
        let latencies_ns = u64s(frame, Column::LatencyNs)?;
        let bits = u8s(frame, Column::ClassBits)?;
        let to_page = session.to_page();
        let sampling = session.sampling();
        let start_ns = session.start_ns();
        for run in runs(objects, pids) {
            let (Some(&object), Some(&pid)) = (objects.get(run.start), pids.get(run.start)) else {
                continue;
            };
            let (slot, is_file) = self.slot(object, pid, by_file, session);
            let cells = part(latencies_ns, &run).iter().zip(part(bits, &run));
            let cells = cells
                .map(|(&latency_ns, &bits)| Cell::of(latency_ns, sampling.weight(ClassBits(bits).class())));
            let times = part(times, &run)
                .iter()
                .map(|&ts_ns| ts_ns.saturating_sub(start_ns));
            if is_file {
                let pages = part(object_pages, &run).iter().copied();
                let faults = times.zip(pages).zip(cells);
                self.places
                    .add_all(slot, faults.map(|((since, page), cell)| (since, page, cell)));
                continue;
            }
            let addresses = part(addresses, &run);
            let threads = part(tids, &run).iter().zip(part(comms, &run));
            for ((since, (&tid, &comm_id)), address) in times.clone().zip(threads).zip(addresses) {
                if (low..=high).contains(address) {
                    self.places.name(slot, since, comm_id, pid == tid);
                }
            }
            let faults = times.zip(addresses).zip(cells);
            let faults = faults.filter(|((_, address), _)| (low..=high).contains(*address));
            let faults = faults.map(|((since, &address), cell)| (since, to_page(address), cell));
            self.places.add_all(slot, faults);
        }
        Ok(())
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
