//! The cells of one region around the time of the last faults, side by side: an addition instead of a look-up for
//! almost every fault. What falls out of the window goes into the grid.

use crate::heat::grid::Cell;
use multiversion::multiversion;

/// Time bins of a window.
const TIMES: u64 = 8;

/// Page bins of a window: those of a region at its widest.
const PLACES: u64 = 1024;

/// Where the cells of a region are. Bins of one width nest in those of every greater one, so a window stays good when
/// its grid gets coarser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bins {
    /// A time bin is 2^this nanoseconds; below 64.
    pub time_shift: u32,
    /// A page bin is 2^this pages; below 64.
    pub page_shift: u32,
    /// First page of the region.
    pub first_page: u64,
    /// Its last page.
    pub last_page: u64,
    /// So many pages behind its last one still belong to it, and make it longer.
    pub gap_pages: u64,
    /// The last page in front of the next region.
    pub limit: u64,
}

/// A fault, or several that count as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// When, since the start.
    pub since_start_ns: u64,
    /// Where.
    pub page: u64,
    /// How long.
    pub latency_ns: u64,
    /// How many it stands for.
    pub weight: u64,
}

impl Fault {
    /// What it adds to its cell.
    #[inline(always)]
    #[must_use]
    pub fn cell(&self) -> Cell {
        Cell::of(self.latency_ns, self.weight)
    }
}

/// Where the cells of a window are.
struct Extent {
    time_shift: u32,
    page_shift: u32,
    first_time: u64,
    first_place: u64,
    first_page: u64,
    /// From the first page to the last one that belongs to it.
    pages: u64,
}

/// Adds the first faults, as many as are within, and says how many, and what their last page is.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn add_within(extent: &Extent, faults: &[Fault], cells: &mut [Cell]) -> (usize, u64) {
    let mut last_page = 0;
    let outside = faults.iter().position(|fault| {
        let time = fault
            .since_start_ns
            .wrapping_shr(extent.time_shift)
            .wrapping_sub(extent.first_time);
        let place = fault
            .page
            .wrapping_shr(extent.page_shift)
            .wrapping_sub(extent.first_place);
        if fault.page.wrapping_sub(extent.first_page) > extent.pages || time >= TIMES || place >= PLACES {
            return true;
        }
        let Some(cell) = cells.get_mut((time * PLACES + place) as usize) else {
            return true;
        };
        cell.merge(fault.cell());
        last_page = last_page.max(fault.page);
        false
    });
    (outside.unwrap_or(faults.len()), last_page)
}

/// The cells of a window.
#[derive(Clone, Debug, Default)]
pub struct Window {
    bins: Bins,
    /// First time bin.
    first_time: u64,
    /// Last page with a fault, of the region or in the window: memory is often filled from its begin to its end.
    last_page: u64,
    /// Time after time; empty at first.
    cells: Vec<Cell>,
}

impl Window {
    /// Adds the first faults, as many as are in the window without making it longer for others, and says how many.
    fn add_first(&mut self, faults: &[Fault]) -> usize {
        let reach = self.last_page.saturating_add(self.bins.gap_pages);
        let first_place = self.bins.first_page >> self.bins.page_shift;
        let extent = Extent {
            time_shift: self.bins.time_shift,
            page_shift: self.bins.page_shift,
            first_time: self.first_time,
            first_place,
            first_page: self.bins.first_page,
            pages: reach.min(self.bins.limit).saturating_sub(self.bins.first_page),
        };
        let (added, last_page) = add_within(&extent, faults, &mut self.cells);
        self.last_page = self.last_page.max(last_page);
        added
    }

    /// Whether it is nowhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Moves to another place, where `since_start_ns` is in the second time bin: threads are not in step.
    pub fn move_to(&mut self, bins: Bins, since_start_ns: u64) {
        self.first_time = (since_start_ns >> bins.time_shift).saturating_sub(1);
        self.last_page = bins.last_page;
        self.bins = bins;
        self.cells.clear();
        self.cells.resize((TIMES * PLACES) as usize, Cell::default());
    }

    /// Gives away what there is, as a time, a page and the faults: as if all faults of a cell had been at one moment
    /// on one page, which is the last one where that makes the region longer.
    pub fn take(&mut self) -> impl Iterator<Item = (u64, u64, Cell)> + use<> {
        let (bins, first_time, last_page) = (self.bins, self.first_time, self.last_page);
        let first_place = bins.first_page >> bins.page_shift;
        let cells = std::mem::take(&mut self.cells).into_iter().zip(0u64..);
        cells
            .filter(|(cell, _)| cell.count > 0)
            .map(move |(cell, index)| {
                let time = first_time.wrapping_add(index / PLACES) << bins.time_shift;
                let place = first_place.wrapping_add(index % PLACES);
                let page = if place == last_page >> bins.page_shift {
                    last_page
                } else {
                    (place << bins.page_shift).max(bins.first_page)
                };
                (time, page, cell)
            })
    }
}

/// Windows kept for one place.
const KEPT: usize = 8;

/// The windows of a place: threads go to and fro between regions of an address space.
#[derive(Clone, Debug, Default)]
pub struct Windows {
    windows: [Window; KEPT],
    current: usize,
}

impl Windows {
    /// Adds the first faults, up to one that is in none of the windows, and says how many.
    pub fn add_first(&mut self, faults: &[Fault]) -> usize {
        let mut added = 0;
        loop {
            let rest = faults.get(added..).unwrap_or_default();
            let current = self.windows.get_mut(self.current);
            let more = current.map_or(0, |window| window.add_first(rest));
            added += more;
            if more == rest.len() {
                return added;
            }
            let next = rest.get(more..=more).unwrap_or_default();
            let found = self
                .windows
                .iter_mut()
                .position(|window| window.add_first(next) > 0);
            let Some(found) = found else {
                return added;
            };
            self.current = found;
            added += 1;
        }
    }

    /// The window that should move next: one that is nowhere, or the one that is longest where it is.
    pub fn next_to_move(&mut self) -> &mut Window {
        let free = self.windows.iter().position(Window::is_empty);
        self.current = free.unwrap_or((self.current + 1) % KEPT);
        let [first, rest @ ..] = &mut self.windows;
        match self.current.checked_sub(1) {
            Some(index) => rest.get_mut(index).unwrap_or(first),
            None => first,
        }
    }

    /// Gives away what there is in all of them.
    pub fn take(&mut self) -> impl Iterator<Item = (u64, u64, Cell)> + use<> {
        let windows = std::mem::take(self).windows;
        windows.into_iter().flat_map(|mut window| window.take())
    }
}
