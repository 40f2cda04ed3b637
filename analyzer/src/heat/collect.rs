//! `heatmap`: the query that fills grids. What is worth showing, and how, is in `show`.

use crate::error::AnalyzeError;
use crate::frame::{u32s, u64s};
use crate::heat::grid::Cell;
use crate::heat::latency;
use crate::heat::places::{Key, Places};
use crate::query::classes::{self, faults};
use crate::scan::Query;
use crate::schema::Column;
use crate::session::Session;
use polars::prelude::{DataFrame, PlHashMap};

/// Cells of all grids of a heatmap together: about 20 MB.
const MAX_CELLS: usize = 1 << 18;
/// Cells behind the small heatmap of the report.
const FEW_CELLS: usize = 1 << 16;

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
    slots: PlHashMap<(u32, u32), usize>,
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
    fn slot(&mut self, object: u32, pid: u32, session: &Session) -> usize {
        if self.generation != self.places.generation() {
            self.slots.clear();
            self.generation = self.places.generation();
        }
        if let Some(&slot) = self.slots.get(&(object, pid)) {
            return slot;
        }
        let key = if self.axis == Axis::File && session.dicts.is_file_backed(object) {
            Key::File(session.dicts.label(object).into_owned())
        } else {
            Key::Process(pid)
        };
        let slot = self.places.slot(key);
        if self.generation == self.places.generation() {
            self.slots.insert((object, pid), slot);
        }
        slot
    }

    fn add_latencies(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let slot = self.places.slot(Key::Latency);
        for (&ts_ns, fault) in u64s(frame, Column::TsNs)?.iter().zip(faults(frame, session)?) {
            let since = session.since_start_ns(ts_ns);
            let step = latency::step_of(fault.latency_ns);
            let cell = Cell::of(fault.latency_ns, fault.weight);
            self.places.add(slot, since, step, cell, (0, false));
        }
        Ok(())
    }

    fn add_places(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let by_file = self.axis == Axis::File;
        let range = match self.axis {
            Axis::Address(range) => range,
            Axis::File | Axis::Latency => None,
        };
        let times = u64s(frame, Column::TsNs)?.iter().zip(faults(frame, session)?);
        let places = u64s(frame, Column::Address)?
            .iter()
            .zip(u64s(frame, Column::ObjectPage)?);
        let threads = u32s(frame, Column::Pid)?.iter().zip(u32s(frame, Column::Tid)?);
        let names = u32s(frame, Column::ObjectId)?
            .iter()
            .zip(u32s(frame, Column::CommId)?);
        let page_size = session.page_size();
        let (low, high) = range.unwrap_or((0, u64::MAX));
        // Rows come in runs; the slot of the row before mostly fits.
        let mut last: Option<((u32, u32), usize, bool)> = None;
        for (((&ts_ns, fault), (&address, &object_page)), ((&pid, &tid), (&object, &comm_id))) in
            times.zip(places).zip(threads.zip(names))
        {
            if address < low || address > high {
                continue;
            }
            let (slot, is_file) = match last {
                Some((key, slot, is_file)) if key == (object, pid) => (slot, is_file),
                _ => {
                    let is_file = by_file && session.dicts.is_file_backed(object);
                    (self.slot(object, pid, session), is_file)
                }
            };
            last = Some(((object, pid), slot, is_file));
            let page = if is_file { object_page } else { address / page_size };
            let since = session.since_start_ns(ts_ns);
            self.places.add(
                slot,
                since,
                page,
                Cell::of(fault.latency_ns, fault.weight),
                (comm_id, pid == tid),
            );
        }
        Ok(())
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
