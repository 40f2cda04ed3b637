//! Which pages were touched, and which were read from disk again: exact as long as there is room. It judges no order.
//!
//! A page is *read again* when it has a major fault and had one before. Two threads that wait for one page at the same time
//! can both be counted as major by the kernel; that is one read. What readahead brought in besides the page is not known,
//! so the bytes read again are at least so many.

use crate::pages::PageSet;

/// Major faults remembered with their times, to see which of them overlap; a power of two.
const RECENT: usize = 1 << 12;

/// Pages of one file or part of it.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    pages: PageSet,
    read: PageSet,
    reads: u64,
}

/// One fault as far as pages are concerned.
#[derive(Clone, Copy, Debug)]
pub struct Touch {
    /// A process for nameless memory, 0 for a file.
    pub space: u32,
    /// Page.
    pub page: u64,
    /// Whether it read the page: major, and no other thread's fault at that time did.
    pub is_read: bool,
}

impl Touched {
    /// Takes in a fault; false when there is no `room` (entries of page sets) left to tell its page from others.
    pub fn add(&mut self, touch: Touch, room: &mut usize) -> bool {
        let mut is_known = self.pages.insert_within(touch.space, touch.page, room);
        if touch.is_read {
            let is_in = self.read.insert_within(touch.space, touch.page, room);
            self.reads += u64::from(is_in);
            is_known &= is_in;
        }
        is_known
    }

    /// Adds what `other` has.
    pub fn merge(&mut self, other: &Self) {
        self.pages.merge(&other.pages);
        self.read.merge(&other.read);
        self.reads = self.reads.saturating_add(other.reads);
    }

    /// Distinct pages.
    #[must_use]
    pub fn pages(&self) -> u64 {
        self.pages.len()
    }

    /// Reads of pages that had been read before.
    #[must_use]
    pub fn reread(&self) -> u64 {
        self.reads.saturating_sub(self.read.len())
    }
}

/// A read of a page: object and page, begin and end.
type Read = ((u32, u64), u64, u64);

/// The reads of late, by page; a later one takes the place of another.
#[derive(Debug)]
pub struct Recent {
    reads: Vec<Option<Read>>,
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            reads: vec![None; RECENT],
        }
    }
}

impl Recent {
    /// Takes in a major fault on a page of an object; false when it overlaps one on the same page: they waited for one read.
    pub fn is_new(&mut self, object: u32, page: u64, begin_ns: u64, latency_ns: u64) -> bool {
        let end_ns = begin_ns.saturating_add(latency_ns);
        // An odd factor of 64 bits spreads neighbours.
        let spread = (page ^ u64::from(object).rotate_left(40)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let slot = usize::try_from(spread >> 52).unwrap_or(0) % RECENT;
        let Some(slot) = self.reads.get_mut(slot) else {
            return true;
        };
        let overlapped =
            slot.filter(|&(place, begin, end)| place == (object, page) && begin < end_ns && begin_ns < end);
        *slot = Some(match overlapped {
            Some((place, begin, end)) => (place, begin.min(begin_ns), end.max(end_ns)),
            None => ((object, page), begin_ns, end_ns),
        });
        overlapped.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(touches: &[(u64, bool)], room: &mut usize) -> (Touched, Vec<bool>) {
        let mut touched = Touched::default();
        let add = |&(page, is_read)| {
            let touch = Touch {
                space: 0,
                page,
                is_read,
            };
            touched.add(touch, room)
        };
        let are_known = touches.iter().map(add).collect();
        (touched, are_known)
    }

    #[test]
    fn only_a_second_read_of_a_page_is_one_again() {
        let mut room = 10;
        let touches = [(1, true), (2, false), (1, false), (1, true), (2, true), (1, true)];
        let (mut all, _) = touched(&touches, &mut room);
        assert_eq!((all.pages(), all.reread()), (2, 2));
        let (other, _) = touched(&[(2, true), (3, true)], &mut room);
        all.merge(&other);
        assert_eq!((all.pages(), all.reread()), (3, 3));
    }

    #[test]
    fn what_finds_no_room_is_neither_a_page_nor_a_read() {
        let mut room = 2;
        let (all, are_known) = touched(&[(1, true), (9_000, true), (1, true)], &mut room);
        assert_eq!(are_known, [true, false, true]);
        assert_eq!((all.pages(), all.reread()), (1, 1));
    }

    #[test]
    fn threads_that_wait_together_wait_for_one_read() {
        let mut recent = Recent::default();
        assert!(recent.is_new(1, 5, 100, 50));
        assert!(!recent.is_new(1, 5, 90, 20));
        assert!(!recent.is_new(1, 5, 149, 100));
        assert!(recent.is_new(1, 5, 249, 1));
        assert!(recent.is_new(2, 5, 249, 1));
        assert!(recent.is_new(1, 6, 249, u64::MAX));
    }
}
