//! The part of a grid that is shown, cut into rows and columns of equal size. Rows and columns join whole bins of
//! the grid, so that no row looks denser than its neighbour only because it got one bin more.

use crate::engine::tally::Cell;
use crate::output::units::short_duration;
use crate::request::weight::Weight;
use crate::verbs::heatmap::grid::{Grid, Region};
use crate::verbs::heatmap::latency;
use crate::verbs::heatmap::zoom::hottest;
use polars::prelude::PlHashMap;

/// What pages of the grid are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Pages of so many bytes.
    Pages(u64),
    /// Steps of [`crate::verbs::heatmap::latency`].
    Latency,
}

/// What is asked of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The time, from where that of the grid begins.
    pub window_ns: (u64, u64),
    /// A range of pages that the user asked for.
    pub pages: Option<(u64, u64)>,
    /// Rows and columns at most.
    pub size: (usize, usize),
    /// What pages are.
    pub unit: Unit,
    /// What an axis is zoomed by when it is mostly empty.
    pub zoom: Zoom,
}

/// Which axes are cut to where the weight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zoom {
    /// Time.
    pub time: bool,
    /// Pages.
    pub pages: bool,
    /// Whose weight; the longest fault counts as wait.
    pub by: Weight,
}

impl Zoom {
    /// Everything is shown.
    pub(crate) const OFF: Self = Self {
        time: false,
        pages: false,
        by: Weight::Count,
    };
}

/// What the rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// First byte of the first row (address or file offset), and bytes per row.
    Bytes {
        /// Address or file offset.
        first: u64,
        /// Height of a row.
        step: u64,
    },
    /// First step of the first row, and steps per row.
    Latency {
        /// Step of [`crate::verbs::heatmap::latency`].
        first: u64,
        /// Height of a row.
        step: u64,
    },
}

/// Rows of places by columns of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Start of the first column, from the start of the recording, or of the grid.
    pub begin_ns: u64,
    /// Width of a column.
    pub column_ns: u64,
    /// What the rows are.
    pub rows: Rows,
    /// `cells[row][column]`, the lowest row first.
    pub cells: Vec<Vec<Cell>>,
    /// Sums of the rows.
    pub row_totals: Vec<Cell>,
    /// Sum of all that is shown.
    pub total: Cell,
    /// First and one past the last byte of pages with faults, in the whole region; latencies likewise, in nanoseconds.
    pub touched: (u64, u64),
    /// Whether time was cut to its hottest part.
    pub is_time_cut: bool,
    /// Whether places were cut to their hottest part.
    pub is_place_cut: bool,
    /// What is outside the part that is shown.
    pub outside: Cell,
}

/// The hottest part of either axis, first and last bin; `None` where all of it is shown.
struct Cut {
    times: Option<(u64, u64)>,
    places: Option<(u64, u64)>,
}

impl Cut {
    /// Of a region with these bins of time and place, for so many rows and columns.
    fn of(
        region: &Region,
        ask: &Ask,
        (all_times, all_places): ((u64, u64), (u64, u64)),
        (rows, columns): (u64, u64),
    ) -> Self {
        let by = |cell: Cell| match ask.zoom.by {
            Weight::Count => cell.count,
            Weight::Wait | Weight::Max => cell.wait_ns,
        };
        let marginal = |axis: &dyn Fn((u64, u64)) -> Option<u64>| {
            let mut sums: PlHashMap<u64, u64> = PlHashMap::default();
            for (bins, cell) in region.cells.iter() {
                if let Some(bin) = axis(bins) {
                    let sum = sums.entry(bin).or_default();
                    *sum = sum.saturating_add(by(cell));
                }
            }
            sums.into_iter().collect::<Vec<_>>()
        };
        let mut cut = Self {
            times: None,
            places: None,
        };
        if ask.zoom.time {
            let weights = marginal(&|(time, _)| Some(clamped(time, all_times)));
            cut.times = hottest(weights, all_times, columns);
        }
        if ask.zoom.pages && ask.pages.is_none() {
            let inside = |(time, page)| cut.holds_time(clamped(time, all_times)).then_some(page);
            let places = hottest(marginal(&inside), all_places, rows);
            cut.places = places;
        }
        cut
    }

    fn holds_time(&self, bin: u64) -> bool {
        holds(self.times, bin)
    }

    fn holds_place(&self, bin: u64) -> bool {
        holds(self.places, bin)
    }
}

fn holds(cut: Option<(u64, u64)>, bin: u64) -> bool {
    cut.is_none_or(|(first, last)| first <= bin && bin <= last)
}

fn clamped(bin: u64, (first, last): (u64, u64)) -> u64 {
    bin.min(last).max(first)
}

/// What the rows of an axis are, and the extent of the region in the same unit.
fn rows_of(region: &Region, places: &Axis, unit: Unit) -> (Rows, (u64, u64)) {
    let first = scaled(places.first, region.page_shift);
    let step = scaled(places.step, region.page_shift);
    let end_page = region.last_page.saturating_add(1);
    match unit {
        Unit::Pages(size) => {
            let byte = |page: u64| page.saturating_mul(size);
            let rows = Rows::Bytes {
                first: byte(first),
                step: byte(step),
            };
            (rows, (byte(region.first_page), byte(end_page)))
        }
        Unit::Latency => {
            let ends = (latency::start_of(region.first_page), latency::start_of(end_page));
            (Rows::Latency { first, step }, ends)
        }
    }
}

impl View {
    /// Cuts `region` into cells.
    #[must_use]
    pub fn new(grid: &Grid, region: &Region, ask: &Ask) -> Self {
        let (rows, columns) = (ask.size.0.max(1) as u64, ask.size.1.max(1) as u64);
        let time_bin = |ns: u64| ns.checked_shr(grid.time_shift()).unwrap_or(0);
        let page_bin = |page: u64| page.checked_shr(region.page_shift).unwrap_or(0);
        let (first_page, last_page) = ask.pages.unwrap_or((region.first_page, region.last_page));
        let all_times = (
            time_bin(ask.window_ns.0),
            time_bin(ask.window_ns.1.saturating_sub(1)),
        );
        let all_places = (page_bin(first_page), page_bin(last_page));
        let all = (all_times, all_places);
        let cut = Cut::of(region, ask, all, (rows, columns));
        let times = Axis::new(cut.times.unwrap_or(all_times), columns);
        let places = match ask.unit {
            Unit::Pages(_) => Axis::new(cut.places.unwrap_or(all_places), rows),
            Unit::Latency => Axis::of_latency(cut.places.unwrap_or(all_places), rows, region.page_shift),
        };
        let mut cells = vec![vec![Cell::default(); times.count]; places.count];
        let mut row_totals = vec![Cell::default(); places.count];
        let (mut total, mut outside) = (Cell::default(), Cell::default());
        for ((time, page), cell) in region.cells.iter() {
            if !cut.holds_time(clamped(time, all_times)) || !cut.holds_place(page) {
                outside.merge(cell);
                continue;
            }
            let row = places.slot(page);
            if let Some(slot) = cells.get_mut(row).and_then(|line| line.get_mut(times.slot(time))) {
                slot.merge(cell);
            }
            if let Some(slot) = row_totals.get_mut(row) {
                slot.merge(cell);
            }
            total.merge(cell);
        }
        let (rows, touched) = rows_of(region, &places, ask.unit);
        Self {
            begin_ns: scaled(times.first, grid.time_shift()),
            column_ns: scaled(times.step, grid.time_shift()),
            rows,
            cells,
            row_totals,
            total,
            touched,
            is_time_cut: cut.times.is_some(),
            is_place_cut: cut.places.is_some(),
            outside,
        }
    }

    /// First byte of a row, or its shortest latency in nanoseconds.
    #[must_use]
    pub(crate) fn row_start(&self, row: usize) -> u64 {
        let at = |first: u64, step: u64| first.saturating_add(step.saturating_mul(row as u64));
        match self.rows {
            Rows::Bytes { first, step } => at(first, step),
            Rows::Latency { first, step } => latency::start_of(at(first, step)),
        }
    }

    /// What a row begins with, in a few characters.
    #[must_use]
    pub(crate) fn row_label(&self, row: usize) -> String {
        let start = self.row_start(row);
        match self.rows {
            Rows::Bytes { .. } => format!("{start:#x}"),
            Rows::Latency { .. } => short_duration(start),
        }
    }

    /// The rows from the top of a screen downwards: bytes in the order in which they lie in memory, latencies with
    /// the longest on top.
    #[must_use]
    pub(crate) fn rows_downwards(&self) -> Vec<usize> {
        let rows = 0..self.cells.len();
        match self.rows {
            Rows::Bytes { .. } => rows.collect(),
            Rows::Latency { .. } => rows.rev().collect(),
        }
    }

    /// Columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.cells.first().map_or(0, Vec::len)
    }

    /// Start of a column, from the start of the recording.
    #[must_use]
    pub(crate) fn column_start_ns(&self, column: usize) -> u64 {
        self.begin_ns
            .saturating_add(self.column_ns.saturating_mul(column as u64))
    }

    /// The shown time, from the start of the recording.
    #[must_use]
    pub(crate) fn shown_ns(&self) -> (u64, u64) {
        (self.begin_ns, self.column_start_ns(self.columns()))
    }

    /// The shown places, bytes or nanoseconds.
    #[must_use]
    pub(crate) fn shown_places(&self) -> (u64, u64) {
        (self.row_start(0), self.row_start(self.cells.len()))
    }
}

fn scaled(bins: u64, shift: u32) -> u64 {
    bins.saturating_mul(1u64.checked_shl(shift).unwrap_or(u64::MAX))
}

/// `count` slots of `step` bins each, from bin `first` on.
struct Axis {
    first: u64,
    step: u64,
    count: usize,
}

impl Axis {
    fn new((first, last): (u64, u64), slots: u64) -> Self {
        let bins = last.saturating_sub(first).saturating_add(1);
        let step = bins.div_ceil(slots);
        Self {
            first,
            step,
            count: usize::try_from(bins.div_ceil(step)).unwrap_or(1),
        }
    }

    /// Rows of a latency axis begin where people expect it; a bin is 2^`shift` steps.
    fn of_latency((first, last): (u64, u64), slots: u64, shift: u32) -> Self {
        let last_step = scaled(last.saturating_add(1), shift).saturating_sub(1);
        let (first, step) = latency::rows(scaled(first, shift), last_step, slots, shift);
        let bins = |steps: u64| steps.checked_shr(shift).unwrap_or(0);
        let (first, step) = (bins(first), bins(step).max(1));
        let count = last.saturating_sub(first) / step + 1;
        Self {
            first,
            step,
            count: usize::try_from(count.min(slots)).unwrap_or(1),
        }
    }

    /// Bins outside the range count to the edge.
    fn slot(&self, bin: u64) -> usize {
        let slot = bin.saturating_sub(self.first) / self.step;
        usize::try_from(slot).unwrap_or(usize::MAX).min(self.count - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::heatmap::grid::Fineness;

    fn ask(window_ns: (u64, u64), size: (usize, usize)) -> Ask {
        Ask {
            window_ns,
            pages: None,
            size,
            unit: Unit::Pages(4096),
            zoom: Zoom::OFF,
        }
    }

    #[test]
    fn cells_land_in_their_row_and_column() {
        let mut grid = Grid::new(Fineness::MOST, u64::MAX, 0);
        for i in 0..8u64 {
            grid.add(i * 100, i, Cell::of(7, 1));
        }
        let region = &grid.regions()[0];
        let view = View::new(&grid, region, &ask((0, 800), (4, 4)));
        let rows = Rows::Bytes { first: 0, step: 8192 };
        assert_eq!((view.column_ns, view.rows), (200, rows));
        for (row, line) in view.cells.iter().enumerate() {
            let counts: Vec<u64> = line.iter().map(|cell| cell.count).collect();
            let expected: Vec<u64> = (0..4).map(|column| if column == row { 2 } else { 0 }).collect();
            assert_eq!(counts, expected);
        }
        assert_eq!(view.touched, (0, 32768));
        assert_eq!((view.total.count, view.total.wait_ns), (8, 56));
        assert_eq!(view.outside, Cell::default());
    }

    #[test]
    fn a_burst_is_zoomed_to_and_what_is_outside_is_counted() {
        let mut grid = Grid::new(Fineness::MOST, u64::MAX, 0);
        grid.add(0, 900_000, Cell::of(5, 1));
        for i in 0..500u64 {
            grid.add(700_000 + i, 1_000 + i, Cell::of(7, 1));
        }
        let region = &grid.regions()[0];
        let zoom = Zoom {
            time: true,
            pages: true,
            by: Weight::Count,
        };
        let whole = ask((0, 1_000_000), (8, 8));
        let view = View::new(&grid, region, &Ask { zoom, ..whole });
        assert!(view.is_time_cut && view.is_place_cut);
        assert_eq!((view.total.count, view.outside.count), (500, 1));
        let (begin, end) = view.shown_ns();
        assert!(begin > 690_000 && begin <= 700_000 && end > 700_500 && end < 712_000);
        let (first, last) = view.shown_places();
        assert!(first <= 1_000 * 4096 && last > 1_500 * 4096 && last < 40_000 * 4096);
        let view = View::new(&grid, region, &whole);
        assert_eq!((view.total.count, view.outside.count), (501, 0));
    }

    #[test]
    fn latency_rows_begin_at_round_numbers() {
        let mut grid = Grid::new(Fineness::MOST, u64::MAX, 0);
        for latency_ns in [300, 1_000, 9_999, 10_000, 2_000_000] {
            grid.add(0, latency::step_of(latency_ns), Cell::of(latency_ns, 1));
        }
        let region = &grid.regions()[0];
        let view = View::new(
            &grid,
            region,
            &Ask {
                unit: Unit::Latency,
                ..ask((0, 100), (24, 10))
            },
        );
        let labels: Vec<String> = (0..view.cells.len()).map(|row| view.row_label(row)).collect();
        assert_eq!(labels[..4], ["251ns", "398ns", "631ns", "1.0us"]);
        let counts: Vec<u64> = view.row_totals.iter().map(|cell| cell.count).collect();
        assert_eq!((counts[0], counts[3], counts[7], counts[8]), (1, 1, 1, 1));
        assert_eq!(view.rows_downwards()[0], view.cells.len() - 1);
        assert_eq!(view.total.count, 5);
    }

    #[test]
    fn an_absurd_window_or_place_does_no_harm() {
        let mut grid = Grid::new(Fineness::MOST, u64::MAX, 0);
        grid.add(u64::MAX, u64::MAX, Cell::of(1, 1));
        grid.add(0, 0, Cell::of(1, 1));
        let region = &grid.regions()[0];
        let zoom = Zoom {
            time: true,
            pages: true,
            by: Weight::Wait,
        };
        for window in [(0, u64::MAX), (u64::MAX, 0), (0, 0)] {
            for unit in [Unit::Pages(u64::MAX), Unit::Latency] {
                for zoom in [Zoom::OFF, zoom] {
                    let asked = Ask {
                        unit,
                        zoom,
                        ..ask(window, (10, 10))
                    };
                    let view = View::new(&grid, region, &asked);
                    assert_eq!(view.total.count + view.outside.count, 2);
                    assert!(view.row_start(usize::MAX) >= view.row_start(0));
                    assert!(view.column_start_ns(usize::MAX) >= view.begin_ns);
                }
            }
        }
    }
}
