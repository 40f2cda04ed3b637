//! Which pages were faulted before, when, and how many others since. Of very many pages it follows a part that is chosen
//! by a hash of the page, as SHARDS does (Waldspurger, Park, Garthwaite, Ahmad: "Efficient MRC Construction with
//! SHARDS", FAST 2015): all faults of a chosen page are seen, and distances among chosen pages are scaled up.

use super::positions::Positions;
use polars::prelude::PlHashMap;

/// A page of a file, or of the memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageKey {
    /// Object, or process.
    pub space: u64,
    /// Page in it.
    pub page: u64,
}

impl PageKey {
    /// A page of a file.
    #[must_use]
    pub fn of_file(object: u32, page: u64) -> Self {
        Self {
            space: u64::from(object),
            page,
        }
    }

    /// A page of the memory of a process.
    #[must_use]
    pub fn of_process(pid: u32, page: u64) -> Self {
        Self {
            space: 1 << 32 | u64::from(pid),
            page,
        }
    }

    /// The finishing steps of SplitMix64, twice; the same for every run.
    pub(super) fn hash(self) -> u64 {
        let mix = |value: u64| {
            let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            value ^ value >> 31
        };
        mix(mix(self.page.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ mix(self.space.wrapping_add(1)))
    }
}

/// What a fault means for a page that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// The first fault of the page.
    Nothing,
    /// It began before another fault of the page was done: both waited for the same.
    AtOnce {
        /// Distance of that other fault, if it was a refault.
        pages: Option<u64>,
    },
    /// The page had been faulted, and was gone.
    Fault {
        /// Distinct other pages faulted in between.
        pages: u64,
        /// From the end of the fault before to the begin of this one, nanoseconds.
        since_ns: u64,
    },
}

/// A fault of a followed page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What was before.
    pub before: Before,
    /// How many faults it stands for: 1 as long as every page is followed.
    pub stands_for: u64,
}

#[derive(Clone, Copy, Debug)]
struct Page {
    key: PageKey,
    end_ns: u64,
    position: u32,
    /// Distance of the last fault; `FIRST` if there was none before.
    distance: u32,
}

const FIRST: u32 = u32::MAX;

/// The pages that are followed, in the order of their last faults.
#[derive(Clone, Debug)]
pub struct Pages {
    index: PlHashMap<PageKey, u32>,
    pages: Vec<Page>,
    positions: Positions,
    most: usize,
    /// One page in 2^this is followed.
    shift: u32,
}

impl Pages {
    /// Follows at most so many pages at a time.
    #[must_use]
    pub fn at_most(most: usize) -> Self {
        Self {
            index: PlHashMap::default(),
            pages: Vec::new(),
            positions: Positions::with_room(0),
            most: most.clamp(1, 1 << 30),
            shift: 0,
        }
    }

    /// One page in so many was followed in the end.
    #[must_use]
    pub fn one_in(&self) -> u64 {
        1 << self.shift
    }

    /// Pages followed now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether no page is followed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Takes in a fault; faults come in the order in which they were done. `None` when the page is not followed.
    pub fn fault(&mut self, key: PageKey, hash: u64, begin_ns: u64, end_ns: u64) -> Option<Seen> {
        if !self.follows(hash) {
            return None;
        }
        let stands_for = self.one_in();
        if self.positions.is_full() {
            self.renumber();
        }
        let Some(&slot) = self.index.get(&key) else {
            self.add(key, hash, end_ns);
            let before = Before::Nothing;
            return Some(Seen { before, stands_for });
        };
        let page = self.pages.get_mut(slot as usize)?;
        let distance = u64::from(self.positions.behind(page.position)) << self.shift;
        self.positions.clear(page.position);
        page.position = self.positions.take();
        let before = if begin_ns < page.end_ns {
            Before::AtOnce {
                pages: (page.distance != FIRST).then(|| u64::from(page.distance)),
            }
        } else {
            page.distance = u32::try_from(distance).unwrap_or(FIRST - 1).min(FIRST - 1);
            Before::Fault {
                pages: distance,
                since_ns: begin_ns - page.end_ns,
            }
        };
        page.end_ns = page.end_ns.max(end_ns);
        Some(Seen { before, stands_for })
    }

    fn follows(&self, hash: u64) -> bool {
        // The lowest bits are left to others.
        self.shift == 0 || hash >> (64 - self.shift) == 0
    }

    fn add(&mut self, key: PageKey, hash: u64, end_ns: u64) {
        while self.pages.len() >= self.most {
            // Only a forged trace has so many pages of one hash.
            if self.shift >= 40 {
                return;
            }
            self.shift += 1;
            let shift = self.shift;
            self.pages.retain(|page| page.key.hash() >> (64 - shift) == 0);
            self.renumber();
        }
        if !self.follows(hash) {
            return;
        }
        let position = self.positions.take();
        self.index
            .insert(key, u32::try_from(self.pages.len()).unwrap_or(u32::MAX));
        self.pages.push(Page {
            key,
            end_ns,
            position,
            distance: FIRST,
        });
    }

    /// Positions from 0 again, with room for as many faults as there are pages.
    fn renumber(&mut self) {
        self.pages.sort_unstable_by_key(|page| page.position);
        self.positions = Positions::with_room(2 * self.pages.len() + 4_096);
        self.index.clear();
        for (slot, page) in (0u32..).zip(&mut self.pages) {
            page.position = self.positions.take();
            self.index.insert(page.key, slot);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn fault(pages: &mut Pages, page: u64, begin_ns: u64, end_ns: u64) -> Option<Before> {
        let key = PageKey::of_file(1, page);
        pages
            .fault(key, key.hash(), begin_ns, end_ns)
            .map(|seen| seen.before)
    }

    #[test]
    fn a_page_that_comes_again_knows_how_many_others_came_between() {
        let mut pages = Pages::at_most(100);
        for (time, page) in [1, 2, 3, 2, 2].into_iter().enumerate() {
            fault(&mut pages, page, time as u64 * 10, time as u64 * 10 + 4);
        }
        assert_eq!(
            fault(&mut pages, 1, 70, 80),
            Some(Before::Fault {
                pages: 2,
                since_ns: 66
            })
        );
        assert_eq!(
            fault(&mut pages, 1, 75, 81),
            Some(Before::AtOnce { pages: Some(2) })
        );
        assert_eq!(fault(&mut pages, 9, 82, 90), Some(Before::Nothing));
        assert_eq!(fault(&mut pages, 9, 85, 91), Some(Before::AtOnce { pages: None }));
    }

    #[test]
    fn no_more_pages_are_followed_than_was_said() {
        let mut pages = Pages::at_most(1_000);
        for page in 0..100_000 {
            fault(&mut pages, page, page, page);
            assert!(pages.len() <= 1_000);
        }
        assert!(pages.len() > 300 && pages.one_in() >= 128, "{}", pages.one_in());
        let again: u64 = (0..100_000)
            .filter_map(|page| {
                let key = PageKey::of_file(1, page);
                pages.fault(key, key.hash(), 200_000 + page, 200_000 + page)
            })
            .map(|seen| seen.stands_for)
            .sum();
        assert!((80_000..120_000).contains(&again), "{again}");
    }
}
