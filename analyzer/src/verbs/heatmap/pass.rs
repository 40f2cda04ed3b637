//! `heatmap`: the query that fills grids. What is worth showing, and how, is in `panels`.

use crate::engine::columns::Column;
use crate::engine::filter::Filter;
use crate::engine::frame::{u32s, u64s};
use crate::engine::partition::{self, Faults, Gatherer, Piece, TimeBins};
use crate::engine::runs::{part, sorted_runs};
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::stats::by_class::{self, faults};
use crate::trace::session::Session;
use crate::verbs::heatmap::grid::Fineness;
use crate::verbs::heatmap::grids::{Key, Places};
use crate::verbs::heatmap::latency;
use polars::prelude::{DataFrame, PlHashMap};
use std::ops::Range;

/// Cells of all grids of a heatmap together: 8 MB, at most twice as much.
const MAX_CELLS: usize = 1 << 18;
/// Objects and processes whose place is remembered: many can be one place.
const MAX_SLOTS: usize = 1 << 18;
/// Cells behind the small heatmap of the report.
const FEW_CELLS: usize = 1 << 15;

/// What goes upwards or downwards in a heatmap; time always goes to the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    /// Addresses, within these first and last bytes if given.
    Address(Option<(u64, u64)>),
    /// Offsets of files; memory without a file goes by address.
    File,
    /// How long faults took.
    Latency,
}

/// What processes are called by.
#[derive(Clone, Debug)]
pub struct Names<'a> {
    times: &'a [u64],
    addresses: &'a [u64],
    tids: &'a [u32],
    comms: &'a [u32],
    /// Rows of one thread and name.
    runs: Vec<Range<usize>>,
}

impl<'a> Names<'a> {
    /// Of a frame.
    ///
    /// # Errors
    /// When the query did not declare the columns of [`Heat`].
    pub fn of(frame: &'a DataFrame) -> Result<Self, AnalyzeError> {
        let (tids, comms) = (u32s(frame, Column::Tid)?, u32s(frame, Column::CommId)?);
        let pids = u32s(frame, Column::Pid)?;
        Ok(Self {
            times: u64s(frame, Column::TsNs)?,
            addresses: u64s(frame, Column::Address)?,
            tids,
            comms,
            runs: sorted_runs([pids, tids, comms]).collect(),
        })
    }

    /// The last time of each thread and name, and whether it is the main thread: rows of both are in the order of time.
    fn each(&self, piece: &Piece<'_>, range: (u64, u64), mut see: impl FnMut(u64, u32, bool)) {
        let is_in = |row: &usize| {
            let address = self.addresses.get(*row);
            address.is_some_and(|address| (range.0..=range.1).contains(address))
        };
        let mut see_last = |last: Option<usize>| {
            if let Some(last) = last
                && let (Some(&ts_ns), Some(&tid), Some(&comm_id)) =
                    (self.times.get(last), self.tids.get(last), self.comms.get(last))
            {
                see(ts_ns, comm_id, tid == piece.pid);
            }
        };
        let (mut of_name, mut last) = (0..0, None);
        for of_place in piece.runs {
            let mut start = of_place.start;
            while start < of_place.end {
                if start >= of_name.end {
                    see_last(last.take());
                    let next = self.runs.partition_point(|run| run.end <= start);
                    of_name = self.runs.get(next).cloned().unwrap_or(start..usize::MAX);
                }
                let end = of_place.end.min(of_name.end);
                last = (start..end).rev().find(is_in).or(last);
                start = end;
            }
        }
        see_last(last);
    }
}

/// Collects one grid of addresses per process, one grid of offsets per file, or one of latencies.
#[derive(Debug)]
pub struct Heat {
    pub(crate) axis: Axis,
    /// Where the time axis begins, from the start of the recording: a short part is shown as fine as a whole recording.
    pub(crate) from_ns: u64,
    to_ns: Option<u64>,
    pub(crate) places: Places,
    /// Whether mostly empty axes are cut where the result is a picture.
    pub(crate) zoom: bool,
    /// By object and process; stale when `generation` is not that of the places.
    slots: PlHashMap<(u32, u32, bool), usize>,
    generation: u64,
    gatherer: Gatherer,
}

impl Heat {
    fn new(axis: Axis, max_cells: usize, fineness: Fineness) -> Self {
        Self {
            axis,
            from_ns: 0,
            to_ns: None,
            places: Places::new(max_cells, fineness, !matches!(axis, Axis::Address(Some(_)))),
            zoom: true,
            slots: PlHashMap::default(),
            generation: 0,
            gatherer: Gatherer::default(),
        }
    }

    /// Time × address; `range` is a first and a last byte.
    #[must_use]
    pub fn by_address(range: Option<(u64, u64)>) -> Self {
        Self::new(Axis::Address(range), MAX_CELLS, Fineness::MOST)
    }

    /// Time × file offset; faults on memory without a file still go by address.
    #[must_use]
    pub fn by_file() -> Self {
        Self::new(Axis::File, MAX_CELLS, Fineness::MOST)
    }

    /// As [`Heat::by_file`], but coarser and without the longest faults, for a first look at anything.
    #[must_use]
    pub(crate) fn by_place() -> Self {
        let heat = Self::new(Axis::File, FEW_CELLS, Fineness::SCREEN);
        Self {
            places: heat.places.without_longest(),
            ..heat
        }
    }

    /// Time × latency, all places together.
    #[must_use]
    pub fn by_latency() -> Self {
        Self::new(Axis::Latency, MAX_CELLS, Fineness::MOST)
    }

    /// Shows all of both axes, however empty they are.
    #[must_use]
    pub(crate) fn without_zoom(self) -> Self {
        Self { zoom: false, ..self }
    }

    /// Nothing outside of the time of the filter will be added.
    pub fn within(&mut self, filter: &Filter) {
        self.from_ns = filter.from_ns.unwrap_or(0);
        self.to_ns = filter.to_ns;
    }

    /// The time that cells count from.
    pub(crate) fn begin_ns(&self, session: &Session) -> u64 {
        session.start_ns().saturating_add(self.from_ns)
    }

    /// To be called before each block: the bins of time that cells are made of.
    pub fn begin(&mut self, session: &Session) -> TimeBins {
        if let Some(end_ns) = session.totals_ahead.as_ref().map(|totals| totals.end_ns) {
            let since_start_ns = session.since_start_ns(end_ns);
            let end_ns = self
                .to_ns
                .map_or(since_start_ns, |to_ns| to_ns.min(since_start_ns));
            self.places.expect(end_ns.saturating_sub(self.from_ns));
        }
        TimeBins {
            begin_ns: self.begin_ns(session),
            shift: self.places.least_time_shift(),
        }
    }

    /// The slot of a place.
    fn slot(&mut self, piece: &Piece<'_>, session: &Session) -> usize {
        if self.generation != self.places.generation() || self.slots.len() >= MAX_SLOTS {
            self.slots.clear();
            self.generation = self.places.generation();
        }
        let of = (piece.object, piece.pid, piece.by_object);
        if let Some(&slot) = self.slots.get(&of) {
            return slot;
        }
        let key = if piece.by_object {
            Key::File(session.dicts.label(piece.object).into_owned())
        } else {
            Key::Process(piece.pid)
        };
        let slot = self.places.slot(key);
        if self.generation == self.places.generation() {
            self.slots.insert(of, slot);
        }
        slot
    }

    fn add_latencies(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let begin_ns = self.begin(session).begin_ns;
        let slot = self.places.slot(Key::Latency);
        let latencies_ns = u64s(frame, Column::LatencyNs)?;
        let times = u64s(frame, Column::TsNs)?.iter();
        let since_begin_ns: Vec<u64> = times.map(|ts_ns| ts_ns.saturating_sub(begin_ns)).collect();
        let steps: Vec<u64> = latencies_ns.iter().map(|&ns| latency::step_of(ns)).collect();
        let weighted = faults(frame, session)?
            .map(|fault| (fault.weight, fault.latency_ns.saturating_mul(fault.weight)));
        let (weights, waits_ns): (Vec<u64>, Vec<u64>) = weighted.unzip();
        let all = Faults {
            since_begin_ns: &since_begin_ns,
            pages: &steps,
            latencies_ns,
            weights: &weights,
            waits_ns: &waits_ns,
        };
        self.places.add_all(slot, &all);
        Ok(())
    }

    fn add_places(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let mut gatherer = std::mem::take(&mut self.gatherer);
        let names = Names::of(frame)?;
        let by_file = self.axis == Axis::File;
        let bins = self.begin(session);
        let done = gatherer.each(frame, session, bins, by_file, |piece| {
            self.add(&piece, &names, session);
        });
        self.gatherer = gatherer;
        done
    }

    /// Adds faults of a file by its pages, and others by those of their process.
    pub fn add(&mut self, piece: &Piece<'_>, names: &Names<'_>, session: &Session) {
        let slot = self.slot(piece, session);
        let range = match self.axis {
            Axis::Address(Some(range)) => range,
            _ => (0, u64::MAX),
        };
        if !piece.by_object {
            names.each(piece, range, |last_ts_ns, comm_id, is_main| {
                self.places.name(slot, last_ts_ns, comm_id, is_main);
            });
        }
        if range == (0, u64::MAX) {
            self.places.add_all(slot, &piece.faults);
            return;
        }
        // In parts, of which all or none are in the range.
        let addresses = piece.runs.iter().flat_map(|run| part(names.addresses, run));
        let is_in: Vec<bool> = addresses
            .map(|address| (range.0..=range.1).contains(address))
            .collect();
        let mut start = 0;
        for rows in is_in.chunk_by(|a, b| a == b) {
            let end = start + rows.len();
            if rows.first() == Some(&true) {
                self.places.add_all(slot, &piece.faults.part(start..end));
            }
            start = end;
        }
    }

    /// To be called after each block that was added by [`Heat::add`].
    pub fn fit(&mut self) {
        self.places.fit();
    }

    /// To be called once, after the last block.
    pub fn settle(&mut self) {
        self.places.settle();
    }
}

impl Pass for Heat {
    fn columns(&self) -> Vec<Column> {
        if self.axis == Axis::Latency {
            return [&by_class::COLUMNS[..], &[Column::TsNs]].concat();
        }
        [&partition::COLUMNS[..], &[Column::Tid, Column::CommId]].concat()
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        match self.axis {
            Axis::Latency => self.add_latencies(frame, session)?,
            Axis::Address(_) | Axis::File => self.add_places(frame, session)?,
        }
        self.fit();
        Ok(())
    }
}
