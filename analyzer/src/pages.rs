//! Exact count of distinct pages. Memory follows the pages seen, not the size of the file: one entry of
//! about 30 bytes per touched group of 64 neighbouring pages.

use polars::prelude::PlHashMap;

/// Set of (space, page); a space is a process for nameless memory and 0 for a file.
#[derive(Clone, Debug, Default)]
pub struct PageSet {
    groups: PlHashMap<(u32, u64), u64>,
    len: u64,
}

impl PageSet {
    /// Adds one page.
    pub fn insert(&mut self, space: u32, page: u64) {
        let bits = self.groups.entry((space, page / 64)).or_insert(0);
        let bit = 1u64 << (page % 64);
        self.len += u64::from(*bits & bit == 0);
        *bits |= bit;
    }

    /// As `insert`, but makes a new entry only where there is `room` for one. Returns whether the page is in.
    pub fn insert_within(&mut self, space: u32, page: u64, room: &mut usize) -> bool {
        let before = self.groups.len();
        if *room == 0 && !self.groups.contains_key(&(space, page / 64)) {
            return false;
        }
        self.insert(space, page);
        *room -= self.groups.len() - before;
        true
    }

    /// Adds the pages of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (&group, &more) in &other.groups {
            let bits = self.groups.entry(group).or_insert(0);
            self.len += u64::from((more & !*bits).count_ones());
            *bits |= more;
        }
    }

    /// How many distinct pages were added.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_counts_once_per_space() {
        let mut set = PageSet::default();
        for page in [0, 1, 63, 64, 1, u64::MAX, u64::MAX] {
            set.insert(0, page);
        }
        set.insert(7, 1);
        assert_eq!(set.len(), 6);
        let mut both = set.clone();
        let mut other = PageSet::default();
        for page in [1, 2, 64, 70] {
            other.insert(0, page);
        }
        both.merge(&other);
        assert_eq!(both.len(), 8);
        let mut room = 1;
        let pages = [2, 300, 301, 9_000].map(|page| set.insert_within(0, page, &mut room));
        assert_eq!((pages, set.len(), room), ([true, true, true, false], 9, 0));
    }
}
