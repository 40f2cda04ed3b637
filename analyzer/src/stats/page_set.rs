//! Count of distinct pages. Memory follows the pages seen, not the size of the file: one entry of about 30 bytes per touched
//! group of 64 neighbouring pages, or one bit per page where that is less. Exact up to some million pages that are not
//! neighbours; beyond that one group in two, four, … stands for the others (adaptive sampling by hash, as Wegman had it:
//! Flajolet, "On adaptive sampling", Computing 1990).

use multiversion::multiversion;
use polars::prelude::PlHashMap;

/// Entries from which on bits may be less, and how many of them one entry takes as much memory as.
const FEW: usize = 64;
const WORDS_PER_ENTRY: u64 = 4;
/// Groups without a page that end a cluster: 16 MiB of 4 KiB pages.
const NEAR: u64 = 64;

/// Entries kept, of 4 million pages: with half of them in the sample the standard error is 0.6 % of what is not dense.
const MOST: usize = 1 << 16;

/// Set of (space, page); a space is a process for nameless memory and 0 for a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageSet {
    groups: PlHashMap<(u32, u64), u64>,
    /// Neighbours of one space, which are not in `groups`.
    dense: Dense,
    /// One group in 2^this is in `groups`.
    sampled: u32,
    /// A newer copy of one of the groups: neighbours come one after the other.
    recent: Option<((u32, u64), u64)>,
    /// Number of groups at which they may become dense.
    look_at: usize,
}

/// Groups from `first` on.
#[derive(Clone, Debug, Default)]
struct Dense {
    space: u32,
    first: u64,
    words: Vec<u64>,
}

/// Groups in `PageSet::groups` that are near each other.
#[derive(Clone, Copy, Debug, Default)]
struct Cluster {
    first: u64,
    last: u64,
    entries: u64,
}

impl Dense {
    #[inline(always)]
    fn word(&mut self, space: u32, group: u64) -> Option<&mut u64> {
        if space != self.space {
            return None;
        }
        let index = usize::try_from(group.wrapping_sub(self.first)).ok()?;
        self.words.get_mut(index)
    }
}

#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn insert_all(set: &mut PageSet, space: u32, pages: &[u64]) {
    let (mut group, mut bits) = (0, 0);
    for &page in pages {
        if page / 64 != group {
            set.insert_bits(space, group, bits);
            (group, bits) = (page / 64, 0);
        }
        bits |= 1 << (page % 64);
    }
    set.insert_bits(space, group, bits);
}

impl PageSet {
    /// Adds one page.
    #[inline]
    pub fn insert(&mut self, space: u32, page: u64) {
        let (group, bit) = (page / 64, 1u64 << (page % 64));
        let word = match (self.dense.word(space, group), &mut self.recent) {
            (Some(word), _) => word,
            (None, Some((key, word))) if *key == (space, group) => word,
            _ => return self.insert_bits(space, group, bit),
        };
        *word |= bit;
    }

    /// Adds pages of one space: neighbours that follow each other at once.
    pub(crate) fn insert_all(&mut self, space: u32, pages: &[u64]) {
        insert_all(self, space, pages);
    }

    /// The group that was last looked up goes back to the others.
    fn put_back(&mut self) {
        if let Some((key, bits)) = self.recent.take() {
            self.groups.insert(key, bits);
        }
    }

    #[inline(always)]
    fn insert_bits(&mut self, space: u32, group: u64, more: u64) {
        match self.dense.word(space, group) {
            Some(word) => *word |= more,
            None if more == 0 => {}
            None => self.insert_scattered(space, group, more),
        }
    }

    fn insert_scattered(&mut self, space: u32, group: u64, more: u64) {
        if !self.is_in_sample((space, group)) {
            return;
        }
        if self.recent.is_none_or(|(key, _)| key != (space, group)) {
            self.put_back();
            if self.groups.len() >= self.look_at {
                self.condense(space);
                // It may be among the dense ones now, or not in the sample.
                return self.insert_bits(space, group, more);
            }
            let known = *self.groups.entry((space, group)).or_insert(0);
            self.recent = Some(((space, group), known));
        }
        if let Some((_, word)) = &mut self.recent {
            *word |= more;
        }
    }

    /// Whether a group stands for others, or for itself where all are kept.
    fn is_in_sample(&self, (space, group): (u32, u64)) -> bool {
        let mixed = (group ^ u64::from(space) << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed.leading_zeros() >= self.sampled
    }

    /// Keeps one group in 2^`sampled`.
    fn sample(&mut self, sampled: u32) {
        self.put_back();
        self.sampled = sampled;
        let mut groups = std::mem::take(&mut self.groups);
        groups.retain(|&key, _| self.is_in_sample(key));
        self.groups = groups;
    }

    /// As `insert`, but makes a new entry only where there is `room` for one. Returns whether the page is in.
    pub(crate) fn insert_within(&mut self, space: u32, page: u64, room: &mut usize) -> bool {
        let group = page / 64;
        let is_recent = self.recent.is_some_and(|(key, _)| key == (space, group));
        let is_known = is_recent
            || self.dense.word(space, group).is_some()
            || self.groups.contains_key(&(space, group))
            || !self.is_in_sample((space, group));
        if !is_known {
            if *room == 0 {
                return false;
            }
            *room -= 1;
        }
        self.insert(space, page);
        true
    }

    /// Looks for room, when there are twice as many groups as the last time.
    #[cold]
    fn condense(&mut self, space: u32) {
        self.put_back();
        if self.sampled == 0 {
            self.make_dense(space);
        }
        if self.groups.len() >= MOST {
            self.sample(self.sampled + 1);
        }
        // Each time there is an eighth more, so that copying costs a constant time for each page.
        let more = self
            .groups
            .len()
            .saturating_mul(2)
            .max(self.dense.words.len() / 8);
        self.look_at = more.clamp(FEW, MOST);
    }

    /// Makes bits of the largest cluster of groups of a space, where these take no more memory.
    fn make_dense(&mut self, space: u32) {
        let cluster = self.largest_cluster(space);
        let (mut first, mut last) = (cluster.first, cluster.last);
        if let Some(length) = (self.dense.words.len() as u64).checked_sub(1) {
            first = first.min(self.dense.first);
            last = last.max(self.dense.first.saturating_add(length));
        }
        let words = last.saturating_sub(first).saturating_add(1);
        let room = cluster
            .entries
            .saturating_mul(WORDS_PER_ENTRY)
            .saturating_add(self.dense.words.len() as u64);
        let is_alone = self.dense.words.is_empty() || self.dense.space == space;
        if is_alone && cluster.entries >= FEW as u64 && words <= room {
            let mut dense = Dense {
                space,
                first,
                words: vec![0; usize::try_from(words).unwrap_or(0)],
            };
            let before = std::mem::take(&mut self.dense);
            let is_in = |key: &(u32, u64)| key.0 == space && (first..=last).contains(&key.1);
            let moved = self.groups.extract_if(|key, _| is_in(key));
            let known = (before.first..).zip(before.words);
            for (group, bits) in known.chain(moved.map(|((_, group), bits)| (group, bits))) {
                if let Some(word) = dense.word(space, group) {
                    *word |= bits;
                }
            }
            self.dense = dense;
        }
    }

    /// Strays far from the others, as another mapping in the same address space, are no part of it.
    fn largest_cluster(&self, space: u32) -> Cluster {
        let own = self.groups.keys().filter(|key| key.0 == space);
        let mut groups: Vec<u64> = own.map(|key| key.1).collect();
        groups.sort_unstable();
        let clusters = groups.chunk_by(|&a, &b| b - a <= NEAR).map(|chunk| Cluster {
            first: chunk.first().copied().unwrap_or(0),
            last: chunk.last().copied().unwrap_or(0),
            entries: chunk.len() as u64,
        });
        clusters.max_by_key(|cluster| cluster.entries).unwrap_or_default()
    }

    /// Adds the pages of `other`.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.sampled > self.sampled {
            self.sample(other.sampled);
        }
        let dense = (other.dense.first..).zip(&other.dense.words);
        for (group, &bits) in dense.filter(|&(_, &bits)| bits != 0) {
            self.insert_bits(other.dense.space, group, bits);
        }
        let groups = other.groups.iter().map(|(&key, &bits)| (key, bits));
        for ((space, group), bits) in groups.chain(other.recent) {
            self.insert_bits(space, group, bits);
        }
    }

    /// How many distinct pages were added. They are counted now.
    #[must_use]
    pub fn len(&self) -> u64 {
        let pages = |bits: &u64| u64::from(bits.count_ones());
        // The copy in `recent` is the newer one.
        let recent = self.recent.iter();
        let newer = recent.map(|(key, bits)| pages(bits) - self.groups.get(key).map_or(0, pages));
        let sampled = self.groups.values().map(pages).chain(newer).sum::<u64>();
        let dense = self.dense.words.iter().map(pages).sum::<u64>();
        dense.saturating_add(sampled.checked_shl(self.sampled).unwrap_or(u64::MAX))
    }

    /// Whether that is an estimate.
    #[must_use]
    pub(crate) fn is_estimate(&self) -> bool {
        self.sampled > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

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

    #[test]
    fn dense_and_scattered_pages_are_counted_alike() {
        let (mut set, mut half, mut other_half) =
            (PageSet::default(), PageSet::default(), PageSet::default());
        let mut plain = HashSet::new();
        let mut state = 1u64;
        for i in 0..60_000u64 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            // A file that is read all over, from the middle outwards; strays; and other spaces.
            let (space, page) = match i % 8 {
                0 => (3, state >> 20),
                1 => (5, 1_000_000 + (state >> 33) % 5_000),
                2 => (0, u64::MAX - (state >> 40)),
                _ => (0, 500_000 + i * 8 - (state >> 33) % (i * 16 + 1)),
            };
            set.insert(space, page);
            if i % 2 == 0 { &mut half } else { &mut other_half }.insert(space, page);
            plain.insert((space, page));
            assert_eq!(set.len(), plain.len() as u64);
        }
        assert!(set.dense.words.len() as u64 > 1_000);
        half.merge(&other_half);
        assert_eq!(half.len(), plain.len() as u64);
    }

    #[test]
    fn many_scattered_pages_are_estimated_in_bounded_memory() {
        let (mut set, mut dense) = (PageSet::default(), PageSet::default());
        let groups = 10 * MOST as u64;
        for group in 0..groups {
            // Three of 64 pages, twice, a group apart from the next.
            for page in [0, 7, 63, 7] {
                set.insert(4, group * 128 * 64 + page);
            }
            dense.insert(4, group * 64);
        }
        assert!(set.groups.len() <= MOST && set.is_estimate() && !dense.is_estimate());
        let expected = groups * 3;
        assert!(
            set.len().abs_diff(expected) * 50 < expected,
            "{} of {expected}",
            set.len()
        );
        assert_eq!(dense.len(), groups);
        let before = set.len();
        let mut merged = PageSet::default();
        (0..1000).for_each(|page| merged.insert(4, page * 128 * 64));
        merged.merge(&set);
        assert!(
            merged.len().abs_diff(before) * 20 < before,
            "{} {before}",
            merged.len()
        );
        let mut room = 5;
        assert!(set.insert_within(4, 0, &mut room));
    }
}
