//! The cells of one region around the time of the last faults, side by side: an addition instead of a look-up for
//! almost every fault. What falls out of the window goes into the grid.

use crate::gather::Faults;
use crate::heat::grid::Cell;
use crate::runs::PIECE;
use multiversion::multiversion;

/// Time bins of a window.
const TIMES: u64 = 8;

/// Page bins of a window: those of a region at its widest.
const PLACES: u64 = 1024;

/// Cells that are looked at together when a window moves, and one bit for each so many.
const CHUNK: usize = 16;
const WORDS: usize = (TIMES * PLACES) as usize / CHUNK / 64;
type Used = [u64; WORDS];

/// Faults that are added at once where all are in one cell.
const NEIGHBOURS: usize = 16;

/// The cells of the faults of a piece: memory that is written before it is read. One serves all windows.
#[derive(Clone, Debug)]
pub struct Located([u32; PIECE]);

impl Default for Located {
    fn default() -> Self {
        Self([NOWHERE; PIECE])
    }
}

/// Of no cell.
const NOWHERE: u32 = u32::MAX;

/// Waits that are added without a look at the sum: those of a piece fit 64 bits together. Longer ones, of more than 18
/// minutes, go into the grid.
const LONG_NS: u64 = 1 << 40;

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

/// The cells of the first faults, [`NOWHERE`] for those that are not within: a loop of vectors.
#[inline(always)]
fn locate(extent: &Extent, faults: &Faults<'_>, places: &mut [u32]) {
    let rows = faults
        .since_start_ns
        .iter()
        .zip(faults.pages)
        .zip(faults.waits_ns);
    for (found, ((&since_start_ns, &page), &wait_ns)) in places.iter_mut().zip(rows) {
        let time = since_start_ns.wrapping_shr(extent.time_shift);
        let time = time.wrapping_sub(extent.first_time);
        let place = page.wrapping_shr(extent.page_shift);
        let place = place.wrapping_sub(extent.first_place);
        let too_far = page.wrapping_sub(extent.first_page) > extent.pages;
        let beyond = (time / TIMES) | (place / PLACES) | (wait_ns / LONG_NS) | u64::from(too_far);
        let cell = time.wrapping_mul(PLACES).wrapping_add(place);
        *found = if beyond == 0 { cell as u32 } else { NOWHERE };
    }
}

/// Adds the first faults, as many as are within, and says how many, and what their last page is. Faults that follow each
/// other in one cell are added to it at once.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+bmi1+bmi2+lzcnt+popcnt",
    "x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"
))]
fn add_within(
    extent: &Extent,
    faults: &Faults<'_>,
    places: &mut Located,
    cells: &mut [Cell],
    used: &mut Used,
) -> (usize, u64) {
    locate(extent, faults, &mut places.0);
    let end = faults.len().min(PIECE);
    let mut last_page = 0;
    let mut added = 0;
    while added < end {
        let now = added..end.min(added + NEIGHBOURS);
        let (places, faults) = (places.0.get(now.clone()).unwrap_or_default(), faults.part(now));
        let Some(&first) = places.first() else {
            break;
        };
        if first != NOWHERE && places.iter().fold(0, |all, place| all | (place ^ first)) == 0 {
            let mut sum = Cell::default();
            for ((&weight, &wait_ns), &latency_ns) in faults
                .weights
                .iter()
                .zip(faults.waits_ns)
                .zip(faults.latencies_ns)
            {
                sum.count = sum.count.wrapping_add(weight);
                sum.wait_ns = sum.wait_ns.wrapping_add(wait_ns);
                sum.max_ns = sum.max_ns.max(latency_ns);
            }
            add_at(first, sum, cells, used);
            last_page = faults.pages.iter().fold(last_page, |last, &page| last.max(page));
            added += places.len();
            continue;
        }
        let columns = faults
            .weights
            .iter()
            .zip(faults.waits_ns)
            .zip(faults.latencies_ns);
        for ((&place, ((&count, &wait_ns), &max_ns)), &page) in places.iter().zip(columns).zip(faults.pages) {
            if place == NOWHERE {
                return (added, last_page);
            }
            let sum = Cell {
                count,
                wait_ns,
                max_ns,
            };
            add_at(place, sum, cells, used);
            last_page = last_page.max(page);
            added += 1;
        }
    }
    (added, last_page)
}

#[inline(always)]
fn add_at(place: u32, sum: Cell, cells: &mut [Cell], used: &mut Used) {
    if let Some(cell) = cells.get_mut(place as usize) {
        cell.merge(sum);
    }
    let chunk = place as usize / CHUNK;
    if let Some(used) = used.get_mut(chunk / 64) {
        let bit = 1 << (chunk % 64);
        // Seldom, so that nobody waits for the one before.
        if *used & bit == 0 {
            *used |= bit;
        }
    }
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
    /// Which cells may have faults.
    used: Used,
}

impl Window {
    /// Adds the first faults, as many as are in the window without making it longer for others, and says how many.
    fn add_first(&mut self, faults: &Faults<'_>, places: &mut Located) -> usize {
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
        if self.is_empty() {
            return 0;
        }
        let (added, last_page) = add_within(&extent, faults, places, &mut self.cells, &mut self.used);
        self.last_page = self.last_page.max(last_page);
        added
    }

    /// Whether it is nowhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Moves to another place, where `since_start_ns` is in the second time bin: threads are not in step. Nothing may be in
    /// the window any more.
    pub fn move_to(&mut self, bins: Bins, since_start_ns: u64) {
        self.first_time = (since_start_ns >> bins.time_shift).saturating_sub(1);
        self.last_page = bins.last_page;
        self.bins = bins;
        self.cells.resize((TIMES * PLACES) as usize, Cell::default());
    }

    /// Gives away what there is, as a time, a page and the faults: as if all faults of a cell had been at one moment
    /// on one page, which is the last one where that makes the region longer.
    pub fn take(&mut self, mut give: impl FnMut(u64, u64, Cell)) {
        let (bins, first_time, last_page) = (self.bins, self.first_time, self.last_page);
        let first_place = bins.first_page >> bins.page_shift;
        let chunks = self.cells.chunks_mut(CHUNK).zip(0u64..);
        for (chunk, number) in chunks {
            let used = self.used.get((number / 64) as usize);
            if used.is_none_or(|used| used >> (number % 64) & 1 == 0) {
                continue;
            }
            for (cell, index) in chunk.iter_mut().zip(number * CHUNK as u64..) {
                let cell = std::mem::take(cell);
                if cell.count == 0 {
                    continue;
                }
                let time = first_time.wrapping_add(index / PLACES) << bins.time_shift;
                let place = first_place.wrapping_add(index % PLACES);
                let page = if place == last_page >> bins.page_shift {
                    last_page
                } else {
                    (place << bins.page_shift).max(bins.first_page)
                };
                give(time, page, cell);
            }
        }
        self.used = Used::default();
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
    pub fn add_first(&mut self, faults: &Faults<'_>, located: &mut Located) -> usize {
        let mut added = 0;
        loop {
            let rest = faults.part(added..faults.len());
            let current = self.windows.get_mut(self.current);
            let more = current.map_or(0, |window| window.add_first(&rest, located));
            added += more;
            if more == rest.len() {
                return added;
            }
            let next = rest.part(more..more + 1);
            let found = self
                .windows
                .iter_mut()
                .position(|window| window.add_first(&next, located) > 0);
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

    /// Gives away what there is in all of them, and gives them up.
    pub fn take(&mut self, mut give: impl FnMut(u64, u64, Cell)) {
        self.windows.iter_mut().for_each(|window| window.take(&mut give));
        *self = Self::default();
    }
}
