//! Which pages were touched, and which were read from disk again: exact as long as there is room. It judges no order.
//!
//! A page is *read again* when it has a major fault and had one before. Two threads that wait for one page at the same time
//! can both be counted as major by the kernel; that is one read. What readahead brought in besides the page is not known,
//! so the bytes read again are at least so many.

use crate::stats::page_set::PageSet;
use polars::prelude::PlHashMap;
use std::collections::VecDeque;

/// Pages whose latest read is remembered from block to block, to see which majors of the next one overlap it.
const RECENT: usize = 1 << 16;

/// Pages of one file or part of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched {
    pages: PageSet,
    read: PageSet,
    reads: u64,
}

impl Touched {
    /// Takes in a fault on a page of a process, or of a file, which is `space` 0; false when there is no `room` (entries of
    /// page sets) left to tell its page from others.
    pub fn add(&mut self, space: u32, page: u64, room: &mut usize) -> bool {
        self.pages.insert_within(space, page, room)
    }

    /// Takes in that a page was read; false when there is no `room`.
    pub(crate) fn add_read(&mut self, space: u32, page: u64, room: &mut usize) -> bool {
        let is_in = self.read.insert_within(space, page, room);
        self.reads += u64::from(is_in);
        is_in
    }

    /// Adds what `other` has.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.pages.merge(&other.pages);
        self.read.merge(&other.read);
        self.reads = self.reads.saturating_add(other.reads);
    }

    /// The set of pages.
    #[must_use]
    pub(crate) fn page_set(&self) -> &PageSet {
        &self.pages
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

/// Where a fault is: its page, and the process, or 0 for a page of a file. Nameless pages of two processes are different
/// pages.
#[must_use]
pub fn page_of(is_file: bool, pid: u32, object_page: u64, address_page: u64) -> (u32, u64) {
    if is_file {
        (0, object_page)
    } else {
        (pid, address_page)
    }
}

/// A major fault, with what its owner knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Major<T> {
    /// What the page is of.
    pub object: u32,
    /// Page.
    pub page: u64,
    /// Entry.
    pub begin_ns: u64,
    /// Completion.
    pub end_ns: u64,
    /// Anything else.
    pub of: T,
}

impl<T> Major<T> {
    /// One that took so long, on a page of `object`; of nameless memory it is told by its process (see [`page_of`]).
    pub fn new((object, space): (u32, u32), page: u64, begin_ns: u64, latency_ns: u64, of: T) -> Self {
        Self {
            object: if space == 0 { object } else { !space },
            page,
            begin_ns,
            end_ns: begin_ns.saturating_add(latency_ns),
            of,
        }
    }
}

/// Where a page is: its object, or what stands for its process, and its number.
type Place = (u32, u64);

/// The latest read of a page in a block, with all majors that overlapped it.
#[derive(Clone, Copy, Debug)]
struct Span {
    begin_ns: u64,
    end_ns: u64,
    /// The major that has it, or had it first.
    index: u32,
}

/// Tells which major faults read their page. A block has its events thread by thread, so the majors of a block are collected
/// and judged together: most are alone on their page, and began after all that was read before them. Of the blocks before,
/// the latest read of each page is kept, as far as there is room.
#[derive(Debug)]
pub struct Recent<T> {
    majors: Vec<Major<T>>,
    /// The oldest first.
    blocks: VecDeque<PlHashMap<Place, Span>>,
    /// Entries in these.
    kept: usize,
    room: usize,
    /// The latest end in all blocks before.
    ended_ns: u64,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self {
            majors: Vec::new(),
            blocks: VecDeque::new(),
            kept: 0,
            room: RECENT,
            ended_ns: 0,
        }
    }
}

impl<T> Recent<T> {
    /// Collects a major fault.
    pub fn add(&mut self, major: Major<T>) {
        self.majors.push(major);
    }

    /// Those of the collected majors that read their page; the others began while it was read.
    pub fn reads(&mut self) -> Vec<Major<T>> {
        let mut majors = std::mem::take(&mut self.majors);
        let mut block = PlHashMap::default();
        block.reserve(majors.len());
        // Those of which one look does not tell.
        let mut doubtful: Vec<u32> = Vec::new();
        for (index, major) in (0..).zip(&majors) {
            let span = Span {
                begin_ns: major.begin_ns,
                end_ns: major.end_ns,
                index,
            };
            let first = block.entry((major.object, major.page)).or_insert(span).index;
            match first == index {
                true => doubtful.extend((major.begin_ns < self.ended_ns).then_some(index)),
                false => doubtful.extend([first, index]),
            }
        }
        let ended_ns = majors.iter().map(|major| major.end_ns).max().unwrap_or(0);
        let waited = self.judge(&majors, doubtful, &mut block);
        self.remember(block, ended_ns);
        if !waited.is_empty() {
            let mut waited = waited.into_iter().peekable();
            let mut index = 0..;
            majors.retain(|_| {
                let index: Option<u32> = index.next();
                waited.next_if(|waited| Some(*waited) == index).is_none()
            });
        }
        majors
    }

    /// Which of the doubtful ones read nothing, sorted; `block` gets the spans of their pages.
    fn judge(
        &self,
        majors: &[Major<T>],
        mut doubtful: Vec<u32>,
        block: &mut PlHashMap<Place, Span>,
    ) -> Vec<u32> {
        let at = |index: u32| majors.get(index as usize);
        // Of two that begin together the first reads.
        doubtful.sort_unstable_by_key(|&index| {
            at(index).map(|major| (major.object, major.page, major.begin_ns, index))
        });
        doubtful.dedup();
        let mut waited = Vec::new();
        let mut last: Option<(Place, Span)> = None;
        for index in doubtful {
            let Some(major) = at(index) else { continue };
            let place = (major.object, major.page);
            let before = match last {
                Some((same, span)) if same == place => Some(span),
                _ => self.known(&place),
            };
            let overlapped =
                before.filter(|span| span.begin_ns < major.end_ns && major.begin_ns < span.end_ns);
            let own = Span {
                begin_ns: major.begin_ns,
                end_ns: major.end_ns,
                index,
            };
            let span = overlapped.map_or(own, |span| Span {
                begin_ns: span.begin_ns.min(own.begin_ns),
                end_ns: span.end_ns.max(own.end_ns),
                index,
            });
            waited.extend(overlapped.map(|_| index));
            block.insert(place, span);
            last = Some((place, span));
        }
        waited.sort_unstable();
        waited
    }

    /// The latest read of a page in the blocks before.
    fn known(&self, place: &Place) -> Option<Span> {
        self.blocks
            .iter()
            .rev()
            .find_map(|block| block.get(place).copied())
    }

    /// Keeps a block, and forgets the oldest ones when there are too many.
    fn remember(&mut self, block: PlHashMap<Place, Span>, ended_ns: u64) {
        self.kept += block.len();
        self.blocks.push_back(block);
        self.ended_ns = self.ended_ns.max(ended_ns);
        while self.kept > self.room && self.blocks.len() > 1 {
            let oldest = self.blocks.pop_front();
            self.kept -= oldest.map_or(0, |block| block.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(touches: &[(u64, bool)], room: &mut usize) -> (Touched, Vec<bool>) {
        let mut touched = Touched::default();
        let add = |&(page, is_read): &(u64, bool)| {
            touched.add(0, page, room) && (!is_read || touched.add_read(0, page, room))
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

    /// Object, page, begin and latency of each.
    fn read(recent: &mut Recent<()>, majors: &[(u32, u64, u64, u64)]) -> Vec<(u32, u64, u64)> {
        for &(object, page, begin_ns, latency_ns) in majors {
            recent.add(Major {
                object,
                page,
                begin_ns,
                end_ns: begin_ns.saturating_add(latency_ns),
                of: (),
            });
        }
        let reads = recent.reads().into_iter();
        let mut reads: Vec<_> = reads
            .map(|major| (major.object, major.page, major.begin_ns))
            .collect();
        reads.sort_unstable();
        reads
    }

    #[test]
    fn threads_that_wait_together_wait_for_one_read() {
        let mut recent = Recent::default();
        assert_eq!(
            read(&mut recent, &[(1, 5, 100, 50), (1, 5, 90, 20)]),
            [(1, 5, 90)]
        );
        // The next block.
        let majors = [
            (1, 5, 149, 100),
            (1, 5, 249, 1),
            (2, 5, 249, 1),
            (1, 6, 249, u64::MAX),
        ];
        assert_eq!(
            read(&mut recent, &majors),
            [(1, 5, 249), (1, 6, 249), (2, 5, 249)]
        );
        assert_eq!(read(&mut recent, &[]), []);
    }

    #[test]
    fn reads_of_long_ago_are_forgotten_when_there_are_too_many() {
        let mut recent = Recent {
            room: 10,
            ..Recent::default()
        };
        for from in [0, 6, 12] {
            let majors: Vec<_> = (from..from + 6).map(|page| (1, page, page, 1_000)).collect();
            assert_eq!(read(&mut recent, &majors).len(), 6);
        }
        assert_eq!((recent.kept, recent.blocks.len()), (6, 1));
        assert_eq!(read(&mut recent, &[(1, 0, 10, 5), (1, 17, 110, 5)]), [(1, 0, 10)]);
    }

    #[test]
    fn threads_that_read_pages_again_together_are_not_confused_by_their_order_in_the_block() {
        let of_a_thread = |begin_ns: u64| (0..50u64).map(move |pass| (1, 5, begin_ns + 100 * pass, 60));
        let majors: Vec<_> = of_a_thread(0).chain(of_a_thread(10)).collect();
        let reads = read(&mut Recent::default(), &majors);
        assert_eq!(reads.len(), 50);
        assert!(reads.iter().all(|read| read.2 % 100 == 0), "{reads:?}");
    }
}
