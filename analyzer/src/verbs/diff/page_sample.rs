//! The distinct pages of a file, to be held against those of the same file in another recording. Exact as long as there is
//! room; beyond it, the pages with the smallest hashes stand for all ("bottom-k", Cohen and Kaplan 2007).

use polars::prelude::PlHashMap;
use std::collections::BTreeSet;

/// Groups of 64 neighbouring pages that all files of one recording may have together: some 32 MiB.
pub(crate) const ROOM: usize = 1 << 20;

/// Hashes that a sketch keeps: a share of 50 % is estimated within 0.8 % (one standard deviation), others closer.
const SKETCH: usize = 4_096;

/// Pages of one file.
#[derive(Clone, Debug)]
pub enum Pages {
    /// A bit for each page, by groups of 64.
    Exact(PlHashMap<u64, u64>),
    /// The smallest hashes.
    Sketch(BTreeSet<u64>),
}

impl Default for Pages {
    fn default() -> Self {
        Self::Exact(PlHashMap::default())
    }
}

/// How the pages of two recordings overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overlap {
    /// Distinct pages in A.
    pub a: u64,
    /// Distinct pages in B.
    pub b: u64,
    /// Pages that are in both.
    pub both: u64,
    /// The numbers are estimates.
    pub is_estimated: bool,
}

impl Overlap {
    /// Adds the pages of another file.
    pub fn add(&mut self, other: Self) {
        self.a = self.a.saturating_add(other.a);
        self.b = self.b.saturating_add(other.b);
        self.both = self.both.saturating_add(other.both);
        self.is_estimated |= other.is_estimated;
    }

    /// Pages in A alone.
    #[must_use]
    pub(crate) fn only_a(&self) -> u64 {
        self.a.saturating_sub(self.both)
    }

    /// Pages in B alone.
    #[must_use]
    pub(crate) fn only_b(&self) -> u64 {
        self.b.saturating_sub(self.both)
    }

    /// Pages in either.
    #[must_use]
    pub fn either(&self) -> u64 {
        self.a.saturating_add(self.only_b())
    }
}

impl Pages {
    /// Adds one page; `room` is what is left for all files.
    pub fn insert(&mut self, page: u64, room: &mut usize) {
        match self {
            Self::Exact(groups) => {
                let bit = 1u64 << (page % 64);
                if let Some(bits) = groups.get_mut(&(page / 64)) {
                    *bits |= bit;
                } else if *room > 0 {
                    *room -= 1;
                    groups.insert(page / 64, bit);
                } else {
                    *room += groups.len();
                    *self = Self::Sketch(self.hashes());
                    self.insert(page, room);
                }
            }
            Self::Sketch(hashes) => keep(hashes, mixed(page)),
        }
    }

    /// How the pages of A, `self`, overlap with those of B.
    #[must_use]
    pub fn overlap(&self, b: &Self) -> Overlap {
        if let (Self::Exact(a), Self::Exact(b)) = (self, b) {
            let common = a.iter().filter_map(|(group, bits)| Some(bits & b.get(group)?));
            return Overlap {
                a: a.values().map(|bits| u64::from(bits.count_ones())).sum(),
                b: b.values().map(|bits| u64::from(bits.count_ones())).sum(),
                both: common.map(|bits| u64::from(bits.count_ones())).sum(),
                is_estimated: false,
            };
        }
        let (in_a, in_b) = (self.hashes(), b.hashes());
        let mut union = in_a.clone();
        in_b.iter().for_each(|&hash| keep(&mut union, hash));
        let shared = union
            .iter()
            .filter(|hash| in_a.contains(hash) && in_b.contains(hash))
            .count() as u128;
        let (a, b, either) = (self.count(&in_a), b.count(&in_b), distinct(&union));
        let both = u128::from(either) * shared / (union.len().max(1) as u128);
        Overlap {
            a,
            b,
            both: u64::try_from(both).unwrap_or(u64::MAX).min(a).min(b),
            is_estimated: true,
        }
    }

    fn count(&self, hashes: &BTreeSet<u64>) -> u64 {
        match self {
            Self::Exact(groups) => groups.values().map(|bits| u64::from(bits.count_ones())).sum(),
            Self::Sketch(_) => distinct(hashes),
        }
    }

    fn hashes(&self) -> BTreeSet<u64> {
        match self {
            Self::Sketch(hashes) => hashes.clone(),
            Self::Exact(groups) => {
                let mut hashes = BTreeSet::new();
                for (&group, &bits) in groups {
                    let pages = (0..64u64).filter(|bit| bits >> bit & 1 != 0);
                    pages.for_each(|bit| keep(&mut hashes, mixed(group.wrapping_mul(64).wrapping_add(bit))));
                }
                hashes
            }
        }
    }
}

/// Keeps a hash if it is one of the smallest.
fn keep(hashes: &mut BTreeSet<u64>, hash: u64) {
    if hashes.len() >= SKETCH {
        match hashes.last() {
            Some(&largest) if hash < largest => {}
            _ => return,
        }
    }
    if hashes.insert(hash) && hashes.len() > SKETCH {
        hashes.pop_last();
    }
}

/// How many values there were, by how dense the smallest hashes lie.
fn distinct(hashes: &BTreeSet<u64>) -> u64 {
    match hashes.last() {
        Some(&largest) if hashes.len() >= SKETCH => {
            let count = (SKETCH as u128 - 1) * (1u128 << 64) / (u128::from(largest) + 1);
            u64::try_from(count).unwrap_or(u64::MAX)
        }
        _ => hashes.len() as u64,
    }
}

/// A permutation of all 64-bit numbers, so that pages never share a hash (the finaliser of SplitMix64).
fn mixed(page: u64) -> u64 {
    let mut hash = page.wrapping_add(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(of: impl Iterator<Item = u64>, mut room: usize) -> Pages {
        let mut pages = Pages::default();
        of.for_each(|page| pages.insert(page, &mut room));
        pages
    }

    #[test]
    fn an_overlap_within_the_room_is_exact() {
        let overlap = pages((0..1_000).chain(0..10), ROOM).overlap(&pages(900..1_200, ROOM));
        let expected = Overlap {
            a: 1_000,
            b: 300,
            both: 100,
            is_estimated: false,
        };
        assert_eq!(overlap, expected);
        assert_eq!(
            (overlap.only_a(), overlap.only_b(), overlap.either()),
            (900, 200, 1_200)
        );
        assert_eq!(Pages::default().overlap(&Pages::default()), Overlap::default());
    }

    #[test]
    fn beyond_the_room_the_overlap_is_estimated_within_a_few_percent() {
        let spread = |pages: std::ops::Range<u64>| pages.map(|page| page * 977);
        let a = pages(spread(0..200_000), 1_000);
        for b in [
            pages(spread(100_000..300_000), 1_000),
            pages(spread(100_000..300_000), ROOM),
        ] {
            let overlap = a.overlap(&b);
            let near = |estimate: u64, truth: u64| estimate.abs_diff(truth) * 100 < truth * 6;
            assert!(overlap.is_estimated);
            assert!(
                near(overlap.a, 200_000) && near(overlap.b, 200_000) && near(overlap.both, 100_000),
                "{overlap:?}"
            );
        }
        let same = a.overlap(&a);
        assert_eq!((same.both, same.only_a(), same.only_b()), (same.a, 0, 0));
    }

    #[test]
    fn a_sketch_of_few_pages_is_still_exact_in_its_numbers() {
        let few = pages((0..5_000).map(|page| page * 64), 10);
        let overlap = pages([0, 64, 7].into_iter(), 1).overlap(&pages([64, 9_000].into_iter(), 0));
        assert_eq!((overlap.a, overlap.b, overlap.both), (3, 2, 1));
        assert!(matches!(few, Pages::Sketch(hashes) if hashes.len() == SKETCH));
    }
}
