//! The cells of one region as a list: a cell that comes is put at its end, and now and then those of one place are joined. Most
//! come with others of the same time, and go with them into coarser ones soon, so that a table would be made for nothing.

use crate::engine::tally::Cell;
use crate::engine::tally::shr;

/// Cells that may be there twice, besides as many as there are different ones.
const ROOM: usize = 32;

/// Bits of a key for the page bin.
const PAGE_BITS: u32 = 16;

/// Page bins before that of the first cell.
const BEFORE: u64 = 1 << (PAGE_BITS - 1);

/// Cells by time bin and page bin. Times are below 2^16, and pages less than 2^15 away from each other.
#[derive(Clone, Debug)]
pub struct Cells {
    /// A page bin.
    base: u64,
    list: Vec<(u32, Cell)>,
    /// So many were there when they were joined last.
    different: usize,
}

impl Cells {
    /// For the page bins around this one.
    #[must_use]
    pub fn around(page: u64) -> Self {
        Self {
            base: page,
            list: Vec::new(),
            different: 0,
        }
    }

    fn key(&self, time: u64, page: u64) -> u32 {
        let ahead = page.wrapping_sub(self.base).wrapping_add(BEFORE);
        (time << PAGE_BITS | ahead & u64::from(u16::MAX)) as u32
    }

    fn place(&self, key: u32) -> (u64, u64) {
        let ahead = u64::from(key) & u64::from(u16::MAX);
        let page = self.base.wrapping_add(ahead).wrapping_sub(BEFORE);
        (u64::from(key) >> PAGE_BITS, page)
    }

    /// All of them, by time bin and page bin. Some may be there several times.
    pub fn iter(&self) -> impl Iterator<Item = ((u64, u64), Cell)> {
        self.list.iter().map(|&(key, cell)| (self.place(key), cell))
    }

    /// How many different ones there were when they were joined last, which is at least half as many as there are, but for a few.
    #[must_use]
    pub fn different(&self) -> usize {
        self.different
    }

    /// Adds to a cell. Whether that was the time to join those of one place.
    pub fn add(&mut self, time: u64, page: u64, cell: Cell) -> bool {
        let key = self.key(time, page);
        match self.list.last_mut() {
            Some((last, here)) if *last == key => here.merge(cell),
            _ => self.list.push((key, cell)),
        }
        let is_full = self.list.len() >= 2 * self.different + ROOM;
        if is_full {
            self.join();
        }
        is_full
    }

    /// Joins those of one place.
    pub fn join(&mut self) {
        self.list.sort_unstable_by_key(|&(key, _)| key);
        self.list.dedup_by(|next, here| {
            let is_same = next.0 == here.0;
            if is_same {
                here.1.merge(next.1);
            }
            is_same
        });
        self.different = self.list.len();
    }

    /// Makes time bins 2^`time_by` times as long, and page bins 2^`page_by` times.
    pub(crate) fn coarsen(&mut self, time_by: u32, page_by: u32) {
        let mut list = std::mem::take(&mut self.list);
        let coarse = Self::around(shr(self.base, page_by));
        for (key, _) in &mut list {
            let (time, page) = self.place(*key);
            *key = coarse.key(shr(time, time_by), shr(page, page_by));
        }
        *self = Self { list, ..coarse };
        self.join();
    }

    /// Takes those of another region, whose bins are as large.
    pub fn take(&mut self, other: &Self) {
        let theirs = other.list.iter().map(|&(key, cell)| {
            let (time, page) = other.place(key);
            (self.key(time, page), cell)
        });
        let theirs: Vec<(u32, Cell)> = theirs.collect();
        self.list.extend(theirs);
        self.join();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn sums(cells: &Cells) -> BTreeMap<(u64, u64), Cell> {
        let mut sums: BTreeMap<(u64, u64), Cell> = BTreeMap::new();
        for (place, cell) in cells.iter() {
            sums.entry(place).or_default().merge(cell);
        }
        sums
    }

    #[test]
    fn cells_are_those_of_a_table() {
        // Page bins on both sides of the first one, at both ends of what there is.
        for base in [0, 5_000, u64::MAX - 700] {
            let mut cells = Cells::around(base);
            let mut table: BTreeMap<(u64, u64), Cell> = BTreeMap::new();
            for i in 0..20_000u64 {
                let (time, page) = (i * 7 % 4096, base.saturating_sub(300) + i * 31 % 701);
                let cell = Cell::of(i, 1 + i % 3);
                cells.add(time, page, cell);
                table.entry((time, page)).or_default().merge(cell);
            }
            assert_eq!(sums(&cells), table);
            assert!(cells.iter().count() <= 2 * table.len() + ROOM);
            cells.coarsen(2, 3);
            let mut coarse: BTreeMap<(u64, u64), Cell> = BTreeMap::new();
            for (&(time, page), &cell) in &table {
                coarse.entry((time >> 2, page >> 3)).or_default().merge(cell);
            }
            assert_eq!(sums(&cells), coarse);
            assert_eq!(cells.different(), coarse.len());
            let mut all = Cells::around((base >> 3) + 1);
            all.take(&cells);
            assert_eq!(sums(&all), coarse);
        }
    }
}
