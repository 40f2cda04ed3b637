//! The cells of one region around the time of the last faults, side by side: an addition instead of a look-up for
//! almost every fault. What falls out of the window goes into the grid.

use crate::engine::partition::Faults;
use crate::engine::tally::Cell;
use multiversion::multiversion;

/// Cells of a window, as a power of two.
const CELL_BITS: u32 = 12;
const CELLS: usize = 1 << CELL_BITS;

/// Of these at most so many beside each other, page bins of one time: those of a region at its widest. The fewer there are,
/// the longer a window lasts.
const MOST_PLACE_BITS: u32 = 10;

/// Cells that are looked at together when a window moves.
const CHUNK: usize = 16;
type Used = [bool; CELLS / CHUNK];

/// Faults that are looked at together: some vectors.
const LOOK: usize = 16;

/// What is less than this leaves the highest bit of a difference for its sign.
const MOST_PAGES: u64 = u64::MAX >> 1;

/// Of no cell.
const NOWHERE: u32 = u32::MAX;

/// Waits that are added without a look at the sum: 16 million of them fit 64 bits together. Longer ones, of more than 18
/// minutes, go into the grid.
const LONG_NS: u64 = 1 << 40;

/// Where the cells of a region are. Bins of one width nest in those of every greater one, so a window stays good when
/// its grid gets coarser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bins {
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

impl Bins {
    fn first_place(&self) -> u64 {
        self.first_page >> self.page_shift
    }
}

/// Where the cells of a window are.
struct Extent {
    time_shift: u32,
    page_shift: u32,
    /// The places of one time are 2^this.
    place_bits: u32,
    first_time: u64,
    first_place: u64,
    first_page: u64,
    /// From the first page to the last one that belongs to it; at most [`MOST_PAGES`].
    pages: u64,
}

impl Extent {
    #[inline(always)]
    fn time_of(&self, since_begin_ns: u64) -> u64 {
        since_begin_ns
            .wrapping_shr(self.time_shift)
            .wrapping_sub(self.first_time)
    }

    #[inline(always)]
    fn place_of(&self, page: u64) -> u64 {
        page.wrapping_shr(self.page_shift).wrapping_sub(self.first_place)
    }

    #[inline(always)]
    fn cell_of(&self, time: u64, place: u64) -> u32 {
        time.wrapping_shl(self.place_bits).wrapping_add(place) as u32
    }

    #[inline(always)]
    fn is_beyond(&self, time: u64, place: u64, wait_ns: u64) -> bool {
        let beyond = time.wrapping_shr(CELL_BITS - self.place_bits) | place.wrapping_shr(self.place_bits);
        beyond | (wait_ns / LONG_NS) != 0
    }

    /// The cell of a fault, or [`NOWHERE`].
    #[inline(always)]
    fn locate(&self, since_begin_ns: u64, page: u64, wait_ns: u64) -> u32 {
        let (time, place) = (self.time_of(since_begin_ns), self.place_of(page));
        let is_too_far = page.wrapping_sub(self.first_page) > self.pages;
        if is_too_far || self.is_beyond(time, place, wait_ns) {
            return NOWHERE;
        }
        self.cell_of(time, place)
    }
}

/// Faults of a cell and their wait.
type Sum = [u64; 2];

/// What happened in the cells of a window.
#[derive(Clone, Debug)]
struct Sums {
    cells: Box<[Sum; CELLS]>,
    /// The longest fault of each, where that is asked for.
    longest_ns: Option<Box<[u64; CELLS]>>,
    used: Used,
}

impl Sums {
    /// `None` never, but the types do not know.
    fn new(with_longest: bool) -> Option<Self> {
        let longest_ns = with_longest.then(|| vec![0; CELLS].try_into());
        Some(Self {
            cells: vec![Sum::default(); CELLS].try_into().ok()?,
            longest_ns: longest_ns.transpose().ok()?,
            used: [false; CELLS / CHUNK],
        })
    }

    #[inline(always)]
    fn add(&mut self, place: u32, count: u64, wait_ns: u64) {
        if let Some(cell) = self.cells.get_mut(place as usize % CELLS) {
            let [counted, waited_ns] = cell;
            *counted = counted.wrapping_add(count);
            *waited_ns = waited_ns.wrapping_add(wait_ns);
        }
        if let Some(used) = self.used.get_mut(place as usize % CELLS / CHUNK) {
            *used = true;
        }
    }

    #[inline(always)]
    fn see_longest(&mut self, places: &[u32], latencies_ns: &[u64]) {
        let Some(longest_ns) = &mut self.longest_ns else {
            return;
        };
        for (&place, &latency_ns) in places.iter().zip(latencies_ns) {
            if let Some(longest_ns) = longest_ns.get_mut(place as usize % CELLS) {
                *longest_ns = latency_ns.max(*longest_ns);
            }
        }
    }

    /// Takes the sum of a cell away.
    fn take(&mut self, index: usize) -> Cell {
        let sum = self.cells.get_mut(index).map(std::mem::take);
        let [count, wait_ns] = sum.unwrap_or_default();
        let longest_ns = self
            .longest_ns
            .as_mut()
            .and_then(|longest_ns| longest_ns.get_mut(index));
        Cell {
            count,
            wait_ns,
            max_ns: longest_ns.map(std::mem::take).unwrap_or(0),
        }
    }
}

/// Adds the first faults, as many as are within, and says how many, and what the last page is now. Faults that follow each
/// other in one cell are added to it at once.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+bmi1+bmi2+lzcnt+popcnt",
    "x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"
))]
fn add_within(extent: &Extent, faults: &Faults<'_>, sums: &mut Sums, last_page: u64) -> (usize, u64) {
    let times = faults.since_begin_ns.as_chunks::<LOOK>().0;
    let pages = faults.pages.as_chunks::<LOOK>().0;
    let weights = faults.weights.as_chunks::<LOOK>().0;
    let waits_ns = faults.waits_ns.as_chunks::<LOOK>().0;
    let latencies_ns = faults.latencies_ns.as_chunks::<LOOK>().0;
    let mut last_page = last_page;
    let mut added = 0;
    for ((((times, pages), weights), waits_ns), latencies_ns) in times
        .iter()
        .zip(pages)
        .zip(weights)
        .zip(waits_ns)
        .zip(latencies_ns)
    {
        let ([first_time, ..], [first_page, ..], [first_wait_ns, ..]) = (times, pages, waits_ns);
        let first = extent.locate(*first_time, *first_page, *first_wait_ns);
        let mut places = [NOWHERE; LOOK];
        // What has no bit too many in any row has none in all of them together: one question for all.
        let (mut all_times, mut all_places, mut all_waits_ns) = (0, 0, 0);
        let (mut too_far, mut differing) = (0, 0);
        let rows = times.iter().zip(pages).zip(waits_ns);
        for (found, ((&since_begin_ns, &page), &wait_ns)) in places.iter_mut().zip(rows) {
            let (time, place) = (extent.time_of(since_begin_ns), extent.place_of(page));
            let cell = extent.cell_of(time, place);
            all_times |= time;
            all_places |= place;
            all_waits_ns |= wait_ns;
            let ahead = page.wrapping_sub(extent.first_page);
            too_far |= ahead | extent.pages.wrapping_sub(ahead);
            differing |= cell ^ first;
            *found = cell;
        }
        if extent.is_beyond(all_times, all_places, all_waits_ns) || too_far > MOST_PAGES {
            break;
        }
        if differing == 0 {
            let of = |column: &[u64; LOOK]| column.iter().fold(0u64, |sum, value| sum.wrapping_add(*value));
            sums.add(first, of(weights), of(waits_ns));
        } else {
            let rows = weights.iter().zip(waits_ns);
            for (place, (&count, &wait_ns)) in places.into_iter().zip(rows) {
                sums.add(place, count, wait_ns);
            }
        }
        sums.see_longest(&places, latencies_ns);
        let ahead = pages
            .iter()
            .fold(0, |ahead, page| ahead | last_page.wrapping_sub(*page));
        if ahead > MOST_PAGES {
            last_page = pages.iter().fold(last_page, |last, &page| last.max(page));
        }
        added += LOOK;
    }
    // Those that are too few, or not all within.
    let mut rest = faults.part(added..faults.len());
    while let Some((since_begin_ns, page, fault)) = rest.first() {
        let place = extent.locate(since_begin_ns, page, fault.wait_ns);
        if place == NOWHERE {
            break;
        }
        sums.add(place, fault.count, fault.wait_ns);
        sums.see_longest(&[place], &[fault.max_ns]);
        last_page = last_page.max(page);
        added += 1;
        rest = rest.part(1..rest.len());
    }
    (added, last_page)
}

/// The cells of a window.
#[derive(Clone, Debug, Default)]
pub struct Window {
    bins: Bins,
    /// As in [`Extent`].
    place_bits: u32,
    /// First time bin.
    first_time: u64,
    /// Last page with a fault, of the region or in the window: memory is often filled from its begin to its end.
    last_page: u64,
    /// Time after time; none at first.
    sums: Option<Sums>,
}

impl Window {
    fn extent(&self) -> Extent {
        let reach = self.last_page.saturating_add(self.bins.gap_pages);
        Extent {
            time_shift: self.bins.time_shift,
            page_shift: self.bins.page_shift,
            place_bits: self.place_bits,
            first_time: self.first_time,
            first_place: self.bins.first_place(),
            first_page: self.bins.first_page,
            pages: reach
                .min(self.bins.limit)
                .saturating_sub(self.bins.first_page)
                .min(MOST_PAGES),
        }
    }

    /// Adds the first faults, as many as are in the window without making it longer for others, and says how many.
    fn add_first(&mut self, faults: &Faults<'_>) -> usize {
        let extent = self.extent();
        let Some(sums) = &mut self.sums else {
            return 0;
        };
        let added;
        (added, self.last_page) = add_within(&extent, faults, sums, self.last_page);
        added
    }

    /// Whether a fault is in the window.
    fn holds(&self, (since_begin_ns, page, fault): (u64, u64, Cell)) -> bool {
        let place = || self.extent().locate(since_begin_ns, page, fault.wait_ns);
        self.sums.is_some() && place() != NOWHERE
    }

    /// Whether it is nowhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sums.is_none()
    }

    /// Moves to another place, where `since_begin_ns` is in the second time bin: threads are not in step. Nothing may be in
    /// the window any more.
    pub(crate) fn move_to(&mut self, bins: Bins, since_begin_ns: u64, with_longest: bool) {
        self.first_time = (since_begin_ns >> bins.time_shift).saturating_sub(1);
        self.last_page = bins.last_page;
        // Up to as many again may follow.
        let places = (bins.last_page >> bins.page_shift).saturating_sub(bins.first_place()) + 1;
        self.place_bits = (places.ilog2() + 1).min(MOST_PLACE_BITS);
        self.bins = bins;
        self.sums = self.sums.take().or_else(|| Sums::new(with_longest));
    }

    /// Gives away what there is, as a time, a page and the faults: as if all faults of a cell had been at one moment
    /// on one page, which is the last one where that makes the region longer.
    pub fn take(&mut self, mut give: impl FnMut(u64, u64, Cell)) {
        let (bins, first_time, last_page) = (self.bins, self.first_time, self.last_page);
        let Some(sums) = &mut self.sums else {
            return;
        };
        let used = std::mem::replace(&mut sums.used, [false; CELLS / CHUNK]);
        for (_, chunk) in used.into_iter().zip(0..).filter(|(used, _)| *used) {
            for index in chunk * CHUNK..(chunk + 1) * CHUNK {
                let cell = sums.take(index);
                if cell.count == 0 {
                    continue;
                }
                let index = index as u64;
                let time = first_time.wrapping_add(index >> self.place_bits) << bins.time_shift;
                let place = index & ((1 << self.place_bits) - 1);
                let place = bins.first_place().wrapping_add(place);
                let page = if place == last_page >> bins.page_shift {
                    last_page
                } else {
                    (place << bins.page_shift).max(bins.first_page)
                };
                give(time, page, cell);
            }
        }
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
    pub(crate) fn add_first(&mut self, faults: &Faults<'_>) -> usize {
        let mut added = 0;
        loop {
            let rest = faults.part(added..faults.len());
            let current = self.windows.get_mut(self.current);
            let more = current.map_or(0, |window| window.add_first(&rest));
            added += more;
            let Some(next) = rest.part(more..rest.len()).first() else {
                return added;
            };
            let Some(found) = self.windows.iter().position(|window| window.holds(next)) else {
                return added;
            };
            self.current = found;
        }
    }

    /// The window that should move next: one that is nowhere, or the one that is longest where it is.
    pub(crate) fn next_to_move(&mut self) -> &mut Window {
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
