//! Counts by (time, page) in bounded memory, in one pass, without knowing the ranges beforehand: when a range or the
//! number of cells outgrows its limit, neighbouring bins are joined in pairs. Addresses are sparse, so they are kept as
//! regions with big gaps between them, each as fine as its own extent allows. Counts stay exact; only places get coarser.

use crate::engine::partition::Faults;
use crate::engine::tally::Cell;
use crate::engine::tally::shr;
use crate::verbs::heatmap::cells::Cells;
use crate::verbs::heatmap::window::Bins;
use std::ops::RangeInclusive;

/// How fine a grid is at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fineness {
    /// Time bins.
    pub times: u64,
    /// Page bins of one region.
    pub pages: u64,
}

impl Fineness {
    /// A part that is zoomed into still has enough.
    pub(crate) const MOST: Self = Self {
        times: 4096,
        pages: 1024,
    };
    /// Enough for a screen.
    pub(crate) const SCREEN: Self = Self {
        times: 1024,
        pages: 256,
    };

    /// Bins of 2^this nanoseconds are enough for a time.
    #[must_use]
    pub(crate) fn time_shift(self, length_ns: u64) -> u32 {
        (0..u64::BITS)
            .find(|&shift| shr(length_ns, shift) < self.times)
            .unwrap_or(0)
    }
}

/// Time bins for one page bin, about what a picture has: what has more than its part becomes coarser first.
const TIMES_PER_PAGE: u64 = 3;
/// Cells of all regions together: 8 MB, at most twice as much.
const MAX_CELLS: usize = 1 << 18;
/// Regions; more are joined with their nearest neighbour.
const MAX_REGIONS: usize = 32;
/// Pages without a fault that separate two regions: 16 MiB of 4 KiB pages.
pub(crate) const GAP_PAGES: u64 = 4096;

/// A dense part of the address space, or a file.
#[derive(Clone, Debug)]
pub struct Region {
    /// First page with a fault.
    pub first_page: u64,
    /// Last page with a fault.
    pub last_page: u64,
    /// A page bin is 2^this pages.
    pub page_shift: u32,
    /// By (time bin, page bin); page bins are counted from page 0.
    pub cells: Cells,
}

impl Region {
    fn page_bins(&self) -> u64 {
        (self.last_page >> self.page_shift) - (self.first_page >> self.page_shift) + 1
    }

    fn rebin(&mut self, time_by: u32, page_by: u32) {
        self.cells.coarsen(time_by, page_by);
        self.page_shift += page_by;
    }

    fn fit_pages(&mut self, most: u64) {
        let mut by = 0;
        while shr(self.last_page, self.page_shift + by) - shr(self.first_page, self.page_shift + by) >= most {
            by += 1;
        }
        if by > 0 {
            self.rebin(0, by);
        }
    }

    /// Everything in the region.
    #[must_use]
    pub fn total(&self) -> Cell {
        let mut total = Cell::default();
        self.cells.iter().for_each(|(_, cell)| total.merge(cell));
        total
    }
}

/// The collector.
#[derive(Clone, Debug)]
pub struct Grid {
    fineness: Fineness,
    gap_pages: u64,
    time_shift: u32,
    /// The last time with a fault.
    last_ns: u64,
    /// Sorted by place, never overlapping.
    regions: Vec<Region>,
    recent: usize,
}

impl Grid {
    /// A grid that splits where `gap_pages` pages in a row have no fault; `u64::MAX` never splits. It is to last for `length_ns`, and
    /// does so longer, but coarser.
    #[must_use]
    pub fn new(fineness: Fineness, gap_pages: u64, length_ns: u64) -> Self {
        Self {
            fineness,
            gap_pages,
            time_shift: fineness.time_shift(length_ns),
            last_ns: 0,
            regions: Vec::new(),
            recent: 0,
        }
    }

    /// A time bin is 2^this nanoseconds.
    #[must_use]
    pub(crate) fn time_shift(&self) -> u32 {
        self.time_shift
    }

    /// The regions, sorted by place.
    #[must_use]
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// Where a fault would go, if nothing of the grid had to change for it.
    #[must_use]
    pub(crate) fn bins_of(&self, since_begin_ns: u64, page: u64) -> Option<Bins> {
        if shr(since_begin_ns, self.time_shift) >= self.fineness.times {
            return None;
        }
        let next = self.regions.partition_point(|region| region.first_page <= page);
        let region = self.regions.get(next.checked_sub(1)?)?;
        let before_next = self.regions.get(next).map(|region| region.first_page - 1);
        (page <= region.last_page)
            .then_some(Bins {
                time_shift: self.time_shift,
                page_shift: region.page_shift,
                first_page: region.first_page,
                last_page: region.last_page,
                gap_pages: self.gap_pages,
                limit: before_next.unwrap_or(u64::MAX),
            })
            .filter(|bins| bins.page_shift < 64 && bins.time_shift < 64)
    }

    /// Adds one fault, or several of one cell.
    pub fn add(&mut self, since_begin_ns: u64, page: u64, fault: Cell) {
        let slot = self.slot_for(since_begin_ns, page);
        self.put(slot, since_begin_ns, page, fault);
    }

    /// Adds the first fault, and those that follow it in the same cell, and says how many and what they come to: memory is often
    /// filled page by page.
    pub(crate) fn add_first(&mut self, faults: &Faults<'_>, with_longest: bool) -> (usize, Cell) {
        let Some((since_begin_ns, page, _)) = faults.first() else {
            return (0, Cell::default());
        };
        let slot = self.slot_for(since_begin_ns, page);
        let (time, pages) = (
            shr(since_begin_ns, self.time_shift),
            self.pages_beside(slot, page),
        );
        let is_here = |(ns, page): &(&u64, &u64)| shr(**ns, self.time_shift) == time && pages.contains(*page);
        let rows = faults.since_begin_ns.iter().zip(faults.pages);
        let count = rows.take_while(is_here).count().max(1);
        let here = faults.part(0..count);
        let mut sum = here.sum();
        if !with_longest {
            sum.max_ns = 0;
        }
        if let (Some(region), Some(&last_page)) = (self.regions.get_mut(slot), here.pages.iter().max()) {
            region.last_page = region.last_page.max(last_page);
        }
        self.put(slot, since_begin_ns, page, sum);
        (count, sum)
    }

    /// The pages of a cell that change nothing but the end of its region.
    fn pages_beside(&self, slot: usize, page: u64) -> RangeInclusive<u64> {
        let Some(region) = self.regions.get(slot) else {
            return page..=page;
        };
        let mask = u64::MAX
            .checked_shl(region.page_shift)
            .map_or(u64::MAX, |high| !high);
        let (first, last) = (page & !mask, page | mask);
        let next = self
            .regions
            .get(slot + 1)
            .map_or(u64::MAX, |next| next.first_page);
        let before_next = next.saturating_sub(self.gap_pages).saturating_sub(1);
        let reach = region.last_page.saturating_add(self.gap_pages).min(before_next);
        first.max(region.first_page)..=last.min(reach.max(region.last_page))
    }

    /// The region for a fault, when the grid has room for it.
    fn slot_for(&mut self, since_begin_ns: u64, page: u64) -> usize {
        if shr(since_begin_ns, self.time_shift) >= self.fineness.times {
            self.coarsen_time(self.fineness.time_shift(since_begin_ns) - self.time_shift);
        }
        self.last_ns = self.last_ns.max(since_begin_ns);
        self.recent = self.region_of(page);
        self.recent
    }

    fn put(&mut self, slot: usize, since_begin_ns: u64, page: u64, fault: Cell) {
        let time = shr(since_begin_ns, self.time_shift);
        let Some(region) = self.regions.get_mut(slot) else {
            return;
        };
        let were_joined = region.cells.add(time, shr(page, region.page_shift), fault);
        if were_joined && self.cell_count() > MAX_CELLS {
            self.shrink();
        }
    }

    fn region_of(&mut self, page: u64) -> usize {
        let holds = |region: &Region| region.first_page <= page && page <= region.last_page;
        if self.regions.get(self.recent).is_some_and(holds) {
            return self.recent;
        }
        let next = self.regions.partition_point(|region| region.first_page <= page);
        let (gap, most) = (self.gap_pages, self.fineness.pages);
        let touches_before = |region: &Region| page <= region.last_page.saturating_add(gap);
        if let Some(before) = next.checked_sub(1)
            && let Some(region) = self
                .regions
                .get_mut(before)
                .filter(|region| touches_before(region))
        {
            if page > region.last_page {
                region.last_page = page;
                region.fit_pages(most);
                self.join_with_next(before, gap);
            }
            return before;
        }
        let touches_after = |region: &Region| region.first_page <= page.saturating_add(gap);
        if let Some(region) = self.regions.get_mut(next).filter(|region| touches_after(region)) {
            region.first_page = page;
            region.fit_pages(most);
            return next;
        }
        let region = Region {
            first_page: page,
            last_page: page,
            page_shift: 0,
            cells: Cells::around(page),
        };
        self.regions.insert(next, region);
        if self.regions.len() > MAX_REGIONS {
            self.join_nearest();
            return self
                .regions
                .partition_point(|region| region.first_page <= page)
                .saturating_sub(1);
        }
        next
    }

    fn join_with_next(&mut self, slot: usize, gap: u64) {
        let close = match (self.regions.get(slot), self.regions.get(slot + 1)) {
            (Some(here), Some(next)) => next.first_page <= here.last_page.saturating_add(gap),
            _ => false,
        };
        if close {
            self.join(slot);
        }
    }

    /// Joins region `slot` with the one after it.
    fn join(&mut self, slot: usize) {
        if slot + 1 >= self.regions.len() {
            return;
        }
        let mut next = self.regions.remove(slot + 1);
        let Some(here) = self.regions.get_mut(slot) else {
            return;
        };
        here.last_page = next.last_page;
        here.fit_pages(self.fineness.pages);
        let shift = here.page_shift.max(next.page_shift);
        if shift > here.page_shift {
            here.rebin(0, shift - here.page_shift);
        }
        if shift > next.page_shift {
            next.rebin(0, shift - next.page_shift);
        }
        here.cells.take(&next.cells);
    }

    fn join_nearest(&mut self) {
        let gaps = self.regions.windows(2).map(|pair| match pair {
            [a, b] => b.first_page.saturating_sub(a.last_page),
            _ => u64::MAX,
        });
        if let Some((slot, _)) = gaps.enumerate().min_by_key(|&(_, gap)| gap) {
            self.join(slot);
        }
    }

    /// Joins regions whose gap is no wider than they are: a sparsely touched file is one region in the end.
    pub fn settle(&mut self) {
        let mut slot = 0;
        while let [here, next, ..] = self.regions.get(slot..).unwrap_or_default() {
            let pages = |region: &Region| region.last_page - region.first_page + 1;
            let gap = next.first_page - here.last_page;
            if gap <= pages(here).saturating_add(pages(next)) {
                self.join(slot);
                // The wider region may now reach the one before it.
                slot = slot.saturating_sub(1);
            } else {
                slot += 1;
            }
        }
        self.regions.iter_mut().for_each(|region| region.cells.join());
    }

    fn coarsen_time(&mut self, by: u32) {
        self.regions.iter_mut().for_each(|region| region.rebin(by, 0));
        self.time_shift += by;
    }

    /// Makes the grid coarser until there is room again.
    fn shrink(&mut self) {
        while self.cell_count() > MAX_CELLS / 4 * 3 && self.coarsen() {}
    }

    /// Cells with faults, as far as they were joined.
    #[must_use]
    pub(crate) fn cell_count(&self) -> usize {
        self.regions.iter().map(|region| region.cells.different()).sum()
    }

    /// Makes the region with the most page bins half as fine, or time; false when nothing can become coarser.
    pub(crate) fn coarsen(&mut self) -> bool {
        let times = shr(self.last_ns, self.time_shift).saturating_add(1);
        let largest = self.regions.iter_mut().max_by_key(|region| region.page_bins());
        let pages = largest.as_ref().map_or(0, |region| region.page_bins());
        match largest.filter(|_| pages > 1) {
            Some(region) if times <= 1 || pages.saturating_mul(TIMES_PER_PAGE) >= times => region.rebin(0, 1),
            _ if times > 1 => self.coarsen_time(1),
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(grid: &Grid) -> u64 {
        grid.regions().iter().map(|region| region.total().count).sum()
    }

    #[test]
    fn far_apart_addresses_become_separate_regions() {
        let mut grid = Grid::new(Fineness::MOST, GAP_PAGES, 0);
        for i in 0..100 {
            grid.add(i, 0x5555_0000 + i, Cell::of(10, 1));
            grid.add(i, 0x7_f000_0000 + i * 64, Cell::of(20, 1));
        }
        grid.settle();
        assert_eq!(grid.regions().len(), 2);
        assert_eq!(
            grid.regions()[1].total(),
            Cell {
                count: 100,
                wait_ns: 2000,
                max_ns: 20
            }
        );
        assert_eq!(
            (grid.regions()[0].first_page, grid.regions()[0].last_page),
            (0x5555_0000, 0x5555_0063)
        );
    }

    #[test]
    fn memory_stays_bounded_and_no_fault_is_lost() {
        let mut grid = Grid::new(Fineness::MOST, GAP_PAGES, 0);
        let mut state = 1u64;
        for i in 0..600_000u64 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let page = if i % 1000 == 0 {
                state >> 12
            } else {
                0x7_f000_0000 + (state >> 44)
            };
            grid.add(state >> 33, page, Cell::of(1, 1));
        }
        assert!(grid.cell_count() <= MAX_CELLS && grid.regions().len() <= MAX_REGIONS);
        assert_eq!(counted(&grid), 600_000);
        grid.settle();
        assert_eq!(counted(&grid), 600_000);
    }

    #[test]
    fn extreme_times_and_pages_do_not_overflow() {
        for gap in [GAP_PAGES, u64::MAX] {
            let mut grid = Grid::new(Fineness::MOST, gap, 0);
            for (time, page) in [
                (0, u64::MAX),
                (u64::MAX, 0),
                (1, u64::MAX / 2),
                (u64::MAX, u64::MAX),
                (0, 0),
            ] {
                grid.add(time, page, Cell::of(u64::MAX, 1));
            }
            grid.settle();
            assert_eq!(counted(&grid), 5);
        }
    }

    #[test]
    fn faults_in_a_row_are_where_they_would_be_one_by_one() {
        let mut state = 1u64;
        let mut random = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for gap in [3, GAP_PAGES, u64::MAX] {
            let (mut together, mut single) = (
                Grid::new(Fineness::SCREEN, gap, 1 << 20),
                Grid::new(Fineness::SCREEN, gap, 1 << 20),
            );
            for _ in 0..3_000 {
                let (first, time) = (random(1 << 16), random(1 << 20));
                let pages: Vec<u64> = (first..first + 1 + random(40)).collect();
                let times = vec![time; pages.len()];
                let ones = vec![1; pages.len()];
                let faults = Faults {
                    since_begin_ns: &times,
                    pages: &pages,
                    latencies_ns: &pages,
                    weights: &ones,
                    waits_ns: &pages,
                };
                let mut added = 0;
                while added < faults.len() {
                    added += together.add_first(&faults.part(added..faults.len()), true).0;
                }
                for page in pages {
                    single.add(time, page, Cell::of(page, 1));
                }
            }
            together.settle();
            single.settle();
            let all = |grid: &Grid| {
                let of = |region: &Region| {
                    let cells: Vec<_> = region.cells.iter().collect();
                    (region.first_page, region.last_page, region.page_shift, cells)
                };
                grid.regions().iter().map(of).collect::<Vec<_>>()
            };
            assert_eq!(all(&together), all(&single));
        }
    }

    #[test]
    fn regions_that_grow_together_become_one() {
        let mut grid = Grid::new(Fineness::MOST, 10, 0);
        for page in [100, 120, 110, 95, 130, 141] {
            grid.add(0, page, Cell::of(1, 1));
        }
        assert_eq!(grid.regions().len(), 2);
        grid.add(0, 135, Cell::of(1, 1));
        assert_eq!(grid.regions().len(), 1);
        assert_eq!(
            (grid.regions()[0].first_page, grid.regions()[0].last_page),
            (95, 141)
        );
    }
}
