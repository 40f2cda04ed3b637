//! `heatmap`: the query that fills grids, and the choice of what is worth showing.

use crate::error::AnalyzeError;
use crate::filter::Filter;
use crate::frame::{u32s, u64s};
use crate::heat::draw::{Style, draw};
use crate::heat::grid::{Cell, GAP_PAGES, Grid, Region};
use crate::heat::scale::Weight;
use crate::heat::view::View;
use crate::scan::Query;
use crate::schema::Column;
use crate::session::Session;
use crate::table::{Head, Table, Value};
use crate::text::escape;
use crate::units::{bytes, grouped, percent};
use polars::prelude::{DataFrame, PlHashMap};
use std::cmp::Reverse;
use std::io::Write;

/// Files that one heatmap can tell apart; each has its own grid.
const MAX_FILES: usize = 64;

/// Collects one grid of addresses and, in file mode, one grid of offsets per file.
#[derive(Debug)]
pub struct Heat {
    by_file: bool,
    /// With too many files: an error, instead of the address for those that came last.
    strict: bool,
    range: Option<(u64, u64)>,
    addresses: Grid,
    files: Vec<(String, Grid)>,
    slots: PlHashMap<u32, Option<usize>>,
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
    /// Time × address; `range` is a first and a last byte.
    #[must_use]
    pub fn by_address(range: Option<(u64, u64)>) -> Self {
        let gap = if range.is_some() { u64::MAX } else { GAP_PAGES };
        Self {
            by_file: false,
            strict: false,
            range,
            addresses: Grid::new(gap),
            files: Vec::new(),
            slots: PlHashMap::default(),
        }
    }

    /// Time × file offset; faults on memory without a file still go by address.
    #[must_use]
    pub fn by_file() -> Self {
        Self {
            by_file: true,
            strict: true,
            ..Self::by_address(None)
        }
    }

    /// As [`Heat::by_file`], for a first look at anything: files beyond the first 64 go by address.
    #[must_use]
    pub fn by_place() -> Self {
        Self {
            strict: false,
            ..Self::by_file()
        }
    }

    fn slot(&mut self, object: u32, session: &Session) -> Result<Option<usize>, AnalyzeError> {
        if let Some(&slot) = self.slots.get(&object) {
            return Ok(slot);
        }
        let slot = if session.dicts.is_file_backed(object) {
            let label = session.dicts.label(object);
            match self.files.iter().position(|(name, _)| *name == label) {
                Some(slot) => Some(slot),
                None if self.files.len() < MAX_FILES => {
                    self.files.push((label.into_owned(), Grid::new(u64::MAX)));
                    Some(self.files.len() - 1)
                }
                None if self.strict => {
                    let text = format!("more than {MAX_FILES} files match --file: give one path");
                    return Err(AnalyzeError::Unanswerable(text));
                }
                None => None,
            }
        } else {
            None
        };
        self.slots.insert(object, slot);
        Ok(slot)
    }
}

impl Query for Heat {
    fn columns(&self) -> Vec<Column> {
        let mut columns = vec![Column::TsNs, Column::LatencyNs, Column::Address];
        if self.by_file {
            columns.extend([Column::ObjectId, Column::ObjectPage]);
        }
        columns
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let times = u64s(frame, Column::TsNs)?;
        let latencies = u64s(frame, Column::LatencyNs)?;
        let addresses = u64s(frame, Column::Address)?;
        let page_size = session.page_size();
        let rows = times.iter().zip(latencies).zip(addresses);
        if self.by_file {
            let objects = u32s(frame, Column::ObjectId)?;
            let pages = u64s(frame, Column::ObjectPage)?;
            for (((&ts_ns, &latency_ns), &address), (&object, &page)) in rows.zip(objects.iter().zip(pages)) {
                let since = session.since_start_ns(ts_ns);
                match self
                    .slot(object, session)?
                    .and_then(|slot| self.files.get_mut(slot))
                {
                    Some((_, grid)) => grid.add(since, page, latency_ns),
                    None => self.addresses.add(since, address / page_size, latency_ns),
                }
            }
            return Ok(());
        }
        let (low, high) = self.range.unwrap_or((0, u64::MAX));
        for ((&ts_ns, &latency_ns), &address) in rows {
            if low <= address && address <= high {
                self.addresses
                    .add(session.since_start_ns(ts_ns), address / page_size, latency_ns);
            }
        }
        Ok(())
    }
}

/// One region or file, ready to be shown.
struct Part<'a> {
    name: Option<&'a str>,
    grid: &'a Grid,
    region: &'a Region,
    total: Cell,
}

impl Heat {
    /// To be called once, after the last block.
    pub fn settle(&mut self) {
        self.addresses.settle();
    }

    /// Files and regions, heaviest first.
    fn parts(&self, weight: Weight) -> Vec<Part<'_>> {
        let named = self.files.iter().map(|(name, grid)| (Some(name.as_str()), grid));
        let all = named.chain(std::iter::once((None, &self.addresses)));
        let mut parts: Vec<Part<'_>> = all
            .flat_map(|(name, grid)| {
                grid.regions().iter().map(move |region| Part {
                    name,
                    grid,
                    region,
                    total: region.total(),
                })
            })
            .collect();
        parts.sort_by(|a, b| {
            let key = |part: &Part<'_>| (Reverse(weight.of(part.total)), Reverse(part.total.count));
            key(a)
                .cmp(&key(b))
                .then(a.name.cmp(&b.name))
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
        let all = parts
            .iter()
            .fold(0u64, |sum, part| sum.saturating_add(part.total.count));
        for (index, part) in parts.iter().take(extent.regions).enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            let view = self.view(part, extent.size, session, filter);
            draw(&view, &title(part, &view, all, style.weight), style, out)?;
        }
        let rest = parts.get(extent.regions..).unwrap_or_default();
        for part in rest.iter().take(5) {
            let (begin, end) = place(part, session.page_size());
            let share = percent(u128::from(part.total.count), u128::from(all));
            match part.name {
                Some(name) => writeln!(out, "not shown: {} with {share} of the faults", escape(name))?,
                None => writeln!(
                    out,
                    "not shown: --address {begin:#x}-{end:#x} with {share} of the faults"
                )?,
            }
        }
        if rest.len() > 5 {
            writeln!(out, "not shown: {} more places", rest.len() - 5)?;
        }
        Ok(())
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
                        cells.push(part.name.map_or(Value::Null, |name| Value::Text(name.to_owned())));
                    }
                    cells.extend([Value::Id(view.row_byte(row)), value(cell)]);
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

fn title(part: &Part<'_>, view: &View, all: u64, weight: Weight) -> String {
    let (begin, end) = view.touched;
    let axis = match part.name {
        Some(name) => format!("time x offset in {}", escape(name)),
        None => "time x address".to_owned(),
    };
    let share = percent(u128::from(part.total.count), u128::from(all));
    let size = bytes(end.saturating_sub(begin));
    let faults = grouped(part.total.count);
    format!(
        "{axis}: {}\n{begin:#x}-{end:#x} ({size}), {faults} faults ({share})",
        weight.title()
    )
}
