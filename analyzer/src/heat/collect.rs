//! `heatmap`: the query that fills grids, and the choice of what is worth showing.

use crate::class::ClassBits;
use crate::error::AnalyzeError;
use crate::filter::Filter;
use crate::findings::{Burst, burst_of};
use crate::frame::{u8s, u32s, u64s};
use crate::heat::draw::{MARGIN_COLUMNS, Style, draw};
use crate::heat::grid::{Cell, Grid, Region};
use crate::heat::places::{Key, Places};
use crate::heat::scale::Weight;
use crate::heat::view::View;
use crate::pattern::Pattern;
use crate::query::info::shell_words;
use crate::runs::runs;
use crate::scan::Query;
use crate::schema::Column;
use crate::session::Session;
use crate::table::{Head, Table, Value};
use crate::text::{escape, keep_end};
use crate::units::{bytes, grouped, percent};
use polars::prelude::{DataFrame, PlHashMap};
use std::cmp::Reverse;
use std::io::Write;
use std::ops::Range;

/// Cells of all grids of a heatmap together: about 20 MB.
const MAX_CELLS: usize = 1 << 18;
/// Cells behind the small heatmap of the report.
const FEW_CELLS: usize = 1 << 16;
/// Parts of the time that a burst is made of.
const BURST_BINS: u64 = 200;
/// Parts below one in this many are not worth a line.
const WORTH_A_LINE: u128 = 1000;

/// Collects one grid of addresses per process and, in file mode, one grid of offsets per file.
#[derive(Debug)]
pub struct Heat {
    by_file: bool,
    range: Option<(u64, u64)>,
    places: Places,
    /// By object and process; stale when `generation` is not that of the places.
    slots: PlHashMap<(u32, u32), usize>,
    generation: u64,
}

/// How much of the result to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Rows and columns of cells.
    pub size: (usize, usize),
    /// Regions of the address space.
    pub regions: usize,
}

impl Heat {
    fn new(by_file: bool, range: Option<(u64, u64)>, max_cells: usize) -> Self {
        Self {
            by_file,
            range,
            places: Places::new(max_cells, range.is_none()),
            slots: PlHashMap::default(),
            generation: 0,
        }
    }

    /// Time × address; `range` is a first and a last byte.
    #[must_use]
    pub fn by_address(range: Option<(u64, u64)>) -> Self {
        Self::new(false, range, MAX_CELLS)
    }

    /// Time × file offset; faults on memory without a file still go by address.
    #[must_use]
    pub fn by_file() -> Self {
        Self::new(true, None, MAX_CELLS)
    }

    /// As [`Heat::by_file`], but coarser, for a first look at anything.
    #[must_use]
    pub fn by_place() -> Self {
        Self::new(true, None, FEW_CELLS)
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
        let key = if self.by_file && session.dicts.is_file_backed(object) {
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
}

impl Query for Heat {
    fn columns(&self) -> Vec<Column> {
        vec![
            Column::TsNs,
            Column::LatencyNs,
            Column::ClassBits,
            Column::Address,
            Column::Pid,
            Column::Tid,
            Column::CommId,
            Column::ObjectId,
            Column::ObjectPage,
        ]
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
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
        let (low, high) = self.range.unwrap_or((0, u64::MAX));
        for run in runs(objects, pids) {
            let (Some(&object), Some(&pid)) = (objects.get(run.start), pids.get(run.start)) else {
                continue;
            };
            let is_file = self.by_file && session.dicts.is_file_backed(object);
            let slot = self.slot(object, pid, session);
            let cells = part(latencies_ns, &run).iter().zip(part(bits, &run));
            let cells = cells
                .map(|(&latency_ns, &bits)| Cell::of(latency_ns, sampling.weight(ClassBits(bits).class())));
            let times = part(times, &run)
                .iter()
                .map(|&ts_ns| ts_ns.saturating_sub(start_ns));
            let addresses = part(addresses, &run);
            if is_file {
                let pages = part(object_pages, &run).iter().copied();
                let faults = times.zip(pages).zip(cells);
                self.places
                    .add_all(slot, faults.map(|((since, page), cell)| (since, page, cell)));
                continue;
            }
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
        self.places.fit();
        Ok(())
    }
}

fn part<'a, T>(column: &'a [T], run: &Range<usize>) -> &'a [T] {
    column.get(run.clone()).unwrap_or_default()
}

/// One region or file, ready to be shown.
struct Part<'a> {
    key: &'a Key,
    comm_id: u32,
    grid: &'a Grid,
    region: &'a Region,
    total: Cell,
}

impl Heat {
    /// To be called once, after the last block.
    pub fn settle(&mut self) {
        self.places.settle();
    }

    /// The shortest time with most of the wait.
    #[must_use]
    pub fn burst(&self, session: &Session) -> Option<Burst> {
        let (bins, bin_ns) = self.places.wait_by_time(session.duration_ns(), BURST_BINS);
        burst_of(&bins, bin_ns)
    }

    /// Files and regions, heaviest first.
    fn parts(&self, weight: Weight) -> Vec<Part<'_>> {
        let mut parts: Vec<Part<'_>> = Vec::new();
        for place in self.places.all() {
            parts.extend(place.grid.regions().iter().map(|region| Part {
                key: &place.key,
                comm_id: place.comm_id,
                grid: &place.grid,
                region,
                total: region.total(),
            }));
        }
        parts.sort_by(|a, b| {
            let key = |part: &Part<'_>| (Reverse(weight.of(part.total)), Reverse(part.total.count));
            key(a)
                .cmp(&key(b))
                .then(a.key.cmp(b.key))
                .then(a.region.first_page.cmp(&b.region.first_page))
        });
        parts
    }

    fn view(&self, part: &Part<'_>, size: (usize, usize), session: &Session, filter: &Filter) -> View {
        let (begin, end) = filter.window_ns(session);
        let window = (session.since_start_ns(begin), session.since_start_ns(end));
        let page_size = session.page_size();
        let pages = self.range.map(|(low, high)| (low / page_size, high / page_size));
        View::new(part.grid, part.region, window, size, page_size, pages)
    }

    /// Draws the heaviest parts and names the others.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_text(
        &self,
        session: &Session,
        filter: &Filter,
        extent: Extent,
        style: Style,
        out: &mut dyn Write,
    ) -> Result<(), AnalyzeError> {
        let parts = self.parts(style.weight);
        if parts.is_empty() {
            writeln!(out, "no faults to draw")?;
            return Ok(());
        }
        let mut all = self.places.forgotten();
        parts.iter().for_each(|part| all.merge(part.total));
        for (index, part) in parts.iter().take(extent.regions).enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            let view = self.view(part, extent.size, session, filter);
            let title = self.title(part, &view, all, style.weight, session);
            draw(&view, &title, style, out)?;
        }
        let width = extent.size.1.saturating_add(MARGIN_COLUMNS).max(60);
        let (value, what) = share_of(style.weight);
        let whole = u128::from(value(all));
        let is_worth = |part: &&Part<'_>| u128::from(value(part.total)) * WORTH_A_LINE >= whole;
        let rest = parts.get(extent.regions..).unwrap_or_default();
        let worth: Vec<&Part<'_>> = rest.iter().filter(is_worth).collect();
        for part in worth.iter().take(5) {
            let share = percent(u128::from(value(part.total)), whole);
            let room = width.saturating_sub(40);
            let how = self.how_to_see(part, session, filter, room);
            writeln!(out, "not shown: {how} with {share} of the {what}")?;
        }
        if worth.len() > 5 {
            writeln!(out, "not shown: {} more places", worth.len() - 5)?;
        }
        Ok(())
    }

    /// Options that show exactly this part; in words when none do.
    fn how_to_see(&self, part: &Part<'_>, session: &Session, filter: &Filter, room: usize) -> String {
        let (begin, end) = place(part, session.page_size());
        match part.key {
            Key::File(name) => {
                let option = format!("--file {}", shell_words(std::slice::from_ref(name)));
                let pattern = Pattern::new(name);
                let others = self.places.all().iter().filter(|place| place.key != *part.key);
                let is_alone = !name.contains(['*', '?'])
                    && self.places.generation() == 0
                    && others
                        .into_iter()
                        .all(|place| !matches!(&place.key, Key::File(other) if pattern.matches(other)));
                let is_plain = escape(&option) == option && option.chars().count() <= room;
                if is_alone && is_plain && filter.is_empty() {
                    option
                } else {
                    keep_end(&escape(name), room)
                }
            }
            Key::Process(pid) if self.by_file || !filter.pids.is_empty() || self.range.is_some() => {
                format!("{begin:#x}-{end:#x} of pid {pid}")
            }
            Key::Process(pid) => format!("--pid {pid} --address {begin:#x}-{end:#x}"),
        }
    }

    fn title(&self, part: &Part<'_>, view: &View, all: Cell, weight: Weight, session: &Session) -> String {
        let (begin, end) = view.touched;
        let axis = match part.key {
            Key::File(name) => format!("time x offset in {}", escape(name)),
            Key::Process(pid) => {
                let comm = session.dicts.comm(part.comm_id);
                let which = if self.by_file {
                    ", memory without a file"
                } else {
                    ""
                };
                format!("time x address of pid {pid} {}{which}", escape(&comm))
            }
        };
        let (value, what) = share_of(weight);
        let share = percent(u128::from(value(part.total)), u128::from(value(all)));
        let size = bytes(end.saturating_sub(begin));
        let faults = grouped(part.total.count);
        format!(
            "{axis}: {}\n{begin:#x}-{end:#x} ({size}), {faults} faults ({share} of the {what})",
            weight.title()
        )
    }

    /// All parts as time, place and value; only cells with faults.
    #[must_use]
    pub fn table(&self, session: &Session, filter: &Filter, size: (usize, usize), weight: Weight) -> Table {
        let heads = vec![
            Head {
                name: "time_s",
                title: "TIME_S",
            },
            Head {
                name: "file",
                title: "FILE",
            },
            Head {
                name: "addr",
                title: "ADDR",
            },
            Head {
                name: "value",
                title: "VALUE",
            },
            Head {
                name: "pid",
                title: "PID",
            },
        ];
        let value = |cell: Cell| match weight {
            Weight::Count => Value::Count(cell.count),
            Weight::Wait | Weight::Max => Value::Us(weight.of(cell)),
        };
        let with_file = self.by_file;
        let mut rows = Vec::new();
        for part in self.parts(weight) {
            let view = self.view(&part, size, session, filter);
            let columns = view.cells.first().map_or(0, Vec::len);
            for column in 0..columns {
                for (row, line) in view.cells.iter().enumerate() {
                    let Some(&cell) = line.get(column).filter(|cell| cell.count > 0) else {
                        continue;
                    };
                    let mut cells = vec![Value::Seconds(view.column_start_ns(column))];
                    if with_file {
                        cells.push(match part.key {
                            Key::File(name) => Value::Text(name.clone()),
                            Key::Process(_) => Value::Null,
                        });
                    }
                    let pid = match part.key {
                        Key::File(_) => Value::Null,
                        Key::Process(pid) => Value::Id(u64::from(*pid)),
                    };
                    cells.extend([Value::Id(view.row_byte(row)), value(cell), pid]);
                    rows.push(cells);
                }
            }
        }
        let heads = heads
            .into_iter()
            .filter(|head| with_file || head.name != "file")
            .collect();
        Table {
            heads,
            rows,
            total: None,
        }
    }
}

fn place(part: &Part<'_>, page_size: u64) -> (u64, u64) {
    let end = part.region.last_page.saturating_add(1).saturating_mul(page_size);
    (part.region.first_page.saturating_mul(page_size), end)
}

/// What shares are shares of: there is no share of a maximum.
fn share_of(weight: Weight) -> (fn(Cell) -> u64, &'static str) {
    match weight {
        Weight::Wait => (|cell| cell.wait_ns, "wait"),
        Weight::Count | Weight::Max => (|cell| cell.count, "faults"),
    }
}
