//! The cells of one region around the time of the last faults, side by side: an addition instead of a look-up for
//! almost every fault. What falls out of the window goes into the grid.

use crate::heat::grid::Cell;

/// Time bins of a window.
const TIMES: u64 = 16;

/// Where the cells of a region are. Bins of one width nest in those of every greater one, so a window stays good when
/// its grid gets coarser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bins {
    /// A time bin is 2^this nanoseconds.
    pub time_shift: u32,
    /// A page bin is 2^this pages; below 64.
    pub page_shift: u32,
    /// First page of the region.
    pub first_page: u64,
    /// Its last page.
    pub last_page: u64,
}

/// The cells of a window, with their sum in time and place.
#[derive(Clone, Debug, Default)]
pub struct Window {
    bins: Bins,
    /// First time bin.
    first_time: u64,
    /// Page bins.
    width: u64,
    /// Time after time; empty at first.
    cells: Vec<Cell>,
}

impl Window {
    /// Adds a fault; false when it is not in the window.
    #[inline]
    pub fn add(&mut self, since_start_ns: u64, page: u64, fault: Cell) -> bool {
        let time = (since_start_ns >> self.bins.time_shift).wrapping_sub(self.first_time);
        if page < self.bins.first_page || page > self.bins.last_page || time >= TIMES {
            return false;
        }
        let place = (page >> self.bins.page_shift) - (self.bins.first_page >> self.bins.page_shift);
        let index = time.wrapping_mul(self.width).wrapping_add(place);
        match self.cells.get_mut(index as usize) {
            Some(cell) => {
                cell.merge(fault);
                true
            }
            None => false,
        }
    }

    /// Whether it is nowhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Moves to another place, where `since_start_ns` is in the second time bin: threads are not in step.
    pub fn move_to(&mut self, bins: Bins, since_start_ns: u64) {
        self.first_time = (since_start_ns >> bins.time_shift).saturating_sub(1);
        self.width = (bins.last_page >> bins.page_shift)
            .wrapping_sub(bins.first_page >> bins.page_shift)
            .wrapping_add(1);
        self.bins = bins;
        self.cells.clear();
        let cells = TIMES.saturating_mul(self.width);
        self.cells
            .resize(usize::try_from(cells).unwrap_or(0), Cell::default());
    }

    /// Gives away what there is, as a time, a page and the faults.
    pub fn take(&mut self) -> impl Iterator<Item = (u64, u64, Cell)> + use<> {
        let (bins, width, first_time) = (self.bins, self.width.max(1), self.first_time);
        let cells = std::mem::take(&mut self.cells).into_iter().zip(0u64..);
        cells
            .filter(|(cell, _)| cell.count > 0)
            .map(move |(cell, index)| {
                let time = first_time.wrapping_add(index / width) << bins.time_shift;
                let place =
                    (bins.first_page >> bins.page_shift).wrapping_add(index % width) << bins.page_shift;
                (time, place.clamp(bins.first_page, bins.last_page), cell)
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
    /// Adds a fault; false when it is in none of the windows.
    #[inline]
    pub fn add(&mut self, since_start_ns: u64, page: u64, fault: Cell) -> bool {
        let current = self.windows.get_mut(self.current);
        if current.is_some_and(|window| window.add(since_start_ns, page, fault)) {
            return true;
        }
        let found = self
            .windows
            .iter_mut()
            .position(|window| window.add(since_start_ns, page, fault));
        self.current = found.unwrap_or(self.current);
        found.is_some()
    }

    /// The window that should move next: one that is nowhere, or the one that is longest where it is.
    pub fn next(&mut self) -> &mut Window {
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
