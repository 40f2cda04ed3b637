//! Which pages were faulted before, when, and how many others since. Of very many pages it follows a part that is chosen
//! by a hash of the page, as SHARDS does (Waldspurger, Park, Garthwaite, Ahmad: "Efficient MRC Construction with
//! SHARDS", FAST 2015): all faults of a chosen page are seen, and distances among chosen pages are scaled up.

use crate::verbs::memory::positions::Positions;
use polars::prelude::PlHashMap;

/// What a fault has to do with the reading of its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A major that reads it.
    Reads,
    /// A major that waits for what another one reads.
    Waits,
    /// A minor, which may wait for a read or find the page there.
    Minor,
}

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
    pub(crate) fn of_process(pid: u32, page: u64) -> Self {
        Self {
            space: 1 << 32 | u64::from(pid),
            page,
        }
    }

    /// The same in 32 bits, as [`crate::stats::rereads`] wants it.
    pub(crate) fn object(self) -> u32 {
        match u32::try_from(self.space) {
            Ok(object) => object,
            Err(_) => !(self.space as u32),
        }
    }

    /// The finishing steps of SplitMix64, twice; the same for every run.
    pub(crate) fn hash(self) -> u64 {
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
    /// It waited for the same as another fault of the page, which was there first.
    AtOnce {
        /// Distance of that other fault, if it was a refault.
        pages: Option<u64>,
    },
    /// The page had been faulted, and was gone.
    Fault {
        /// Distinct other pages faulted in between.
        pages: u64,
        /// From the end of the fault before to the begin of this one, nanoseconds; 0 if that was the later one.
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
    /// When its first fault was done.
    first_ns: u64,
    /// When the last one was.
    end_ns: u64,
    position: u32,
    /// Distance of the last fault; `FIRST` if there was none before.
    distance: u32,
    read: Read,
}

/// Whether a page was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    Never,
    /// It was, and then there were minors that did not wait for that.
    Before,
    /// By the last of its faults, or by the one that these waited for.
    Last,
}

impl Page {
    /// What a fault of this page means that begins then; `behind` is how many others were faulted since the last one.
    fn before(&mut self, role: Role, begin_ns: u64, behind: u64) -> Before {
        let is_at_once = begin_ns < self.end_ns;
        if role == Role::Waits || role == Role::Minor && is_at_once {
            let pages = (self.distance != FIRST).then(|| u64::from(self.distance));
            return Before::AtOnce { pages };
        }
        // Minors that waited for this read were through in a block before it.
        let is_late = role == Role::Reads && is_at_once && self.read != Read::Last;
        let is_first = self.read == Read::Never && begin_ns < self.first_ns;
        self.read = match (role, self.read) {
            (Role::Reads, _) => Read::Last,
            (_, Read::Never) => Read::Never,
            (_, Read::Before | Read::Last) => Read::Before,
        };
        if is_late && is_first {
            self.distance = FIRST;
            return Before::Nothing;
        }
        let pages = match self.distance {
            distance if is_late && distance != FIRST => u64::from(distance),
            _ => behind,
        };
        self.distance = u32::try_from(pages).unwrap_or(FIRST - 1).min(FIRST - 1);
        Before::Fault {
            pages,
            since_ns: begin_ns.saturating_sub(self.end_ns),
        }
    }
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

    /// Takes in a fault with its begin and end; faults come in the order in which pages came. `None` when the page is not
    /// followed.
    pub fn fault(&mut self, key: PageKey, hash: u64, role: Role, span: (u64, u64)) -> Option<Seen> {
        if !self.follows(hash) {
            return None;
        }
        let stands_for = self.one_in();
        if self.positions.is_full() {
            self.renumber();
        }
        let (begin_ns, end_ns) = span;
        let Some(&slot) = self.index.get(&key) else {
            self.add(key, hash, role, end_ns);
            let before = Before::Nothing;
            return Some(Seen { before, stands_for });
        };
        let page = self.pages.get_mut(slot as usize)?;
        let behind = u64::from(self.positions.behind(page.position)) << self.shift;
        self.positions.clear(page.position);
        page.position = self.positions.take();
        let before = page.before(role, begin_ns, behind);
        page.end_ns = page.end_ns.max(end_ns);
        Some(Seen { before, stands_for })
    }

    fn follows(&self, hash: u64) -> bool {
        // The lowest bits are left to others.
        self.shift == 0 || hash >> (64 - self.shift) == 0
    }

    fn add(&mut self, key: PageKey, hash: u64, role: Role, end_ns: u64) {
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
            first_ns: end_ns,
            end_ns,
            position,
            distance: FIRST,
            read: if role == Role::Minor {
                Read::Never
            } else {
                Read::Last
            },
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
    use Role::{Minor, Reads, Waits};

    fn fault(pages: &mut Pages, role: Role, page: u64, span: (u64, u64)) -> Option<Before> {
        let key = PageKey::of_file(1, page);
        pages.fault(key, key.hash(), role, span).map(|seen| seen.before)
    }

    #[test]
    fn a_page_that_comes_again_knows_how_many_others_came_between() {
        let mut pages = Pages::at_most(100);
        for (time, page) in [1, 2, 3, 2, 2].into_iter().enumerate() {
            fault(&mut pages, Minor, page, (time as u64 * 10, time as u64 * 10 + 4));
        }
        let again = |pages, since_ns| Some(Before::Fault { pages, since_ns });
        let at_once = |pages| Some(Before::AtOnce { pages });
        assert_eq!(fault(&mut pages, Reads, 1, (70, 80)), again(2, 66));
        assert_eq!(fault(&mut pages, Waits, 1, (75, 81)), at_once(Some(2)));
        assert_eq!(fault(&mut pages, Minor, 1, (79, 82)), at_once(Some(2)));
        assert_eq!(fault(&mut pages, Reads, 9, (82, 90)), Some(Before::Nothing));
        assert_eq!(fault(&mut pages, Waits, 9, (85, 91)), at_once(None));
        // The fault between the reads is no reason to take them for one.
        assert_eq!(fault(&mut pages, Minor, 9, (90, 99)), at_once(None));
        assert_eq!(fault(&mut pages, Reads, 9, (95, 100)), again(0, 0));
    }

    #[test]
    fn a_read_that_is_told_a_block_after_who_waited_for_it_is_still_the_read() {
        let mut pages = Pages::at_most(100);
        // The first of its page, though two were through before it.
        fault(&mut pages, Minor, 1, (20, 30));
        fault(&mut pages, Minor, 1, (35, 40));
        assert_eq!(fault(&mut pages, Reads, 1, (10, 50)), Some(Before::Nothing));
        fault(&mut pages, Minor, 2, (60, 61));
        let again = Some(Before::Fault {
            pages: 1,
            since_ns: 20,
        });
        assert_eq!(fault(&mut pages, Minor, 1, (70, 80)), again);
        fault(&mut pages, Minor, 3, (80, 81));
        // As far as the one that waited for it.
        let again = Some(Before::Fault {
            pages: 1,
            since_ns: 0,
        });
        assert_eq!(fault(&mut pages, Reads, 1, (65, 90)), again);
    }

    #[test]
    fn no_more_pages_are_followed_than_was_said() {
        let mut pages = Pages::at_most(1_000);
        for page in 0..100_000 {
            fault(&mut pages, Minor, page, (page, page));
            assert!(pages.len() <= 1_000);
        }
        assert!(pages.len() > 300 && pages.one_in() >= 128, "{}", pages.one_in());
        let again: u64 = (0..100_000)
            .filter_map(|page| {
                let key = PageKey::of_file(1, page);
                pages.fault(key, key.hash(), Minor, (200_000 + page, 200_000 + page))
            })
            .map(|seen| seen.stands_for)
            .sum();
        assert!((80_000..120_000).contains(&again), "{again}");
    }
}
