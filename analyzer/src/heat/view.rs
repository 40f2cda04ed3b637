//! The part of a grid that is shown, cut into rows and columns of equal size. Rows and columns join whole bins of
//! the grid, so that no row looks denser than its neighbour only because it got one bin more.

use crate::heat::grid::{Cell, Grid, Region};

/// Rows of places by columns of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Start of the first column, from the start of the recording.
    pub begin_ns: u64,
    /// Width of a column.
    pub column_ns: u64,
    /// First byte of the first row (address or file offset).
    pub first_byte: u64,
    /// Height of a row.
    pub row_bytes: u64,
    /// `cells[row][column]`.
    pub cells: Vec<Vec<Cell>>,
    /// Sums of the rows.
    pub row_totals: Vec<Cell>,
    /// Sum of all.
    pub total: Cell,
    /// First and one past the last byte of pages with faults.
    pub touched: (u64, u64),
}

impl View {
    /// Cuts `region` into at most `rows` × `columns` cells over the time `window_ns` (from the start of the recording).
    /// `pages` widens the view to a range of pages that the user asked for.
    #[must_use]
    pub fn new(
        grid: &Grid,
        region: &Region,
        window_ns: (u64, u64),
        size: (usize, usize),
        page_size: u64,
        pages: Option<(u64, u64)>,
    ) -> Self {
        let (rows, columns) = (size.0.max(1) as u64, size.1.max(1) as u64);
        let time_bin = |ns: u64| ns.checked_shr(grid.time_shift()).unwrap_or(0);
        let page_bin = |page: u64| page.checked_shr(region.page_shift).unwrap_or(0);
        let (first_page, last_page) = pages.unwrap_or((region.first_page, region.last_page));
        let times = Axis::new(
            time_bin(window_ns.0),
            time_bin(window_ns.1.saturating_sub(1)),
            columns,
        );
        let places = Axis::new(page_bin(first_page), page_bin(last_page), rows);
        let mut cells = vec![vec![Cell::default(); times.count]; places.count];
        let mut row_totals = vec![Cell::default(); places.count];
        let mut total = Cell::default();
        for (&(time, page), &cell) in &region.cells {
            let row = places.slot(page);
            if let Some(slot) = cells.get_mut(row).and_then(|line| line.get_mut(times.slot(time))) {
                slot.merge(cell);
            }
            if let Some(slot) = row_totals.get_mut(row) {
                slot.merge(cell);
            }
            total.merge(cell);
        }
        let byte = |page: u64| page.saturating_mul(page_size);
        Self {
            begin_ns: scaled(times.first, grid.time_shift()),
            column_ns: scaled(times.step, grid.time_shift()),
            first_byte: byte(scaled(places.first, region.page_shift)),
            row_bytes: byte(scaled(places.step, region.page_shift)),
            cells,
            row_totals,
            total,
            touched: (byte(region.first_page), byte(region.last_page.saturating_add(1))),
        }
    }

    /// First byte of a row.
    #[must_use]
    pub fn row_byte(&self, row: usize) -> u64 {
        self.first_byte
            .saturating_add(self.row_bytes.saturating_mul(row as u64))
    }

    /// Start of a column, from the start of the recording.
    #[must_use]
    pub fn column_start_ns(&self, column: usize) -> u64 {
        self.begin_ns
            .saturating_add(self.column_ns.saturating_mul(column as u64))
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
    fn new(first: u64, last: u64, slots: u64) -> Self {
        let bins = last.saturating_sub(first).saturating_add(1);
        let step = bins.div_ceil(slots);
        Self {
            first,
            step,
            count: usize::try_from(bins.div_ceil(step)).unwrap_or(1),
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

    #[test]
    fn cells_land_in_their_row_and_column() {
        let mut grid = Grid::new(u64::MAX);
        for i in 0..8u64 {
            grid.add(i * 100, i, Cell::of(7, 1));
        }
        let region = &grid.regions()[0];
        let view = View::new(&grid, region, (0, 800), (4, 4), 4096, None);
        assert_eq!((view.column_ns, view.row_bytes, view.first_byte), (200, 8192, 0));
        for (row, line) in view.cells.iter().enumerate() {
            let counts: Vec<u64> = line.iter().map(|cell| cell.count).collect();
            let expected: Vec<u64> = (0..4).map(|column| if column == row { 2 } else { 0 }).collect();
            assert_eq!(counts, expected);
        }
        assert_eq!(view.touched, (0, 32768));
        assert_eq!(
            view.total,
            Cell {
                count: 8,
                wait_ns: 56,
                max_ns: 7
            }
        );
    }

    #[test]
    fn an_absurd_window_or_place_does_no_harm() {
        let mut grid = Grid::new(u64::MAX);
        grid.add(u64::MAX, u64::MAX, Cell::of(1, 1));
        grid.add(0, 0, Cell::of(1, 1));
        let region = &grid.regions()[0];
        for window in [(0, u64::MAX), (u64::MAX, 0), (0, 0)] {
            let view = View::new(&grid, region, window, (10, 10), u64::MAX, None);
            assert_eq!(view.total.count, 2);
            assert!(view.row_byte(usize::MAX) >= view.first_byte);
            assert!(view.column_start_ns(usize::MAX) >= view.begin_ns);
        }
    }
}
