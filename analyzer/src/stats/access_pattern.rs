//! Tells sequential faults from others: by where the thread had been in the same file. It counts steps, not faults, and
//! knows nothing of classes or waits.
//!
//! A fault is *sequential* when it lies a little behind one of the last four places where its thread faulted in that file.
//! A little is 64 KiB, which the kernel maps around a fault, or up to 2 MiB when the page is the first one behind what it
//! can have mapped or read at once (a large folio, a readahead window: both aligned to their size). Four places, because
//! programs read several parts of a file in turn. A fault that is not sequential and as far from the thread's fault
//! before as that one was from its own is *strided*. The first fault of a thread in a file, and one at the page of the
//! fault before, are no steps.

use crate::output::table::{ColumnHead, Value};
use polars::prelude::PlHashMap;

/// Bytes that a sequential walk moves on between two faults.
pub(crate) const WINDOW_BYTES: u64 = 64 << 10;
/// The largest piece of a file that one fault maps.
const LARGEST_FOLIO_BYTES: u64 = 2 << 20;
/// Places kept of each thread in each file.
const PLACES: usize = 4;
/// Threads times files that are followed; about 100 bytes each.
const STREAMS: usize = 1 << 18;

/// The columns that [`Steps::cells`] fills.
pub const HEADS: [ColumnHead; 2] = [ColumnHead::new("seq_percent"), ColumnHead::new("stride_percent")];

/// How a fault follows the faults before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A little behind a place where the thread had been.
    Sequential,
    /// The same distance as the step before.
    Strided,
    /// Anywhere else.
    Jump,
}

/// Steps by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    all: u64,
    sequential: u64,
    strided: u64,
}

impl Steps {
    /// Counts one step.
    pub fn add(&mut self, step: Step) {
        self.all += 1;
        self.sequential += u64::from(step == Step::Sequential);
        self.strided += u64::from(step == Step::Strided);
    }

    /// Adds what `other` has.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.all += other.all;
        self.sequential += other.sequential;
        self.strided += other.strided;
    }

    /// The shares of all steps; nothing where no step was judged, or where faults are missing by intention.
    #[must_use]
    pub fn cells(&self, is_sampled: bool) -> [Value; 2] {
        [self.sequential, self.strided].map(|part| match self.all {
            0 => Value::Null,
            _ if is_sampled => Value::Null,
            whole => Value::Percent { part, whole },
        })
    }
}

/// Where one thread was in one file.
#[derive(Clone, Debug, Default)]
struct Stream {
    /// The latest first.
    places: [u64; PLACES],
    known: usize,
    distance: u64,
}

/// Who and where.
pub type StreamKey = (u32, u32, u32);

/// Where every thread was in every file.
#[derive(Debug)]
pub struct Streams {
    index: PlHashMap<StreamKey, usize>,
    streams: Vec<Stream>,
    last: Option<(StreamKey, usize)>,
    room: usize,
    has_left_out: bool,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            index: PlHashMap::default(),
            streams: Vec::new(),
            last: None,
            room: STREAMS,
            has_left_out: false,
        }
    }
}

impl Streams {
    /// Judges a fault of thread `key` (pid, tid, object) at `page` of the object. Faults of a thread must come in the order in
    /// which they began, whatever its name was.
    pub fn step(&mut self, key: StreamKey, page: u64, page_size: u64) -> Option<Step> {
        let slot = match self.last {
            Some((last, slot)) if last == key => slot,
            _ => self.slot(key)?,
        };
        self.last = Some((key, slot));
        self.streams.get_mut(slot)?.step(page, page_size)
    }

    /// Whether there were too many threads and files to follow all.
    #[must_use]
    pub(crate) fn has_left_out(&self) -> bool {
        self.has_left_out
    }

    fn slot(&mut self, key: StreamKey) -> Option<usize> {
        if let Some(&slot) = self.index.get(&key) {
            return Some(slot);
        }
        if self.room == 0 {
            self.has_left_out = true;
            return None;
        }
        self.room -= 1;
        self.streams.push(Stream::default());
        self.index.insert(key, self.streams.len() - 1);
        Some(self.streams.len() - 1)
    }
}

impl Stream {
    fn step(&mut self, page: u64, page_size: u64) -> Option<Step> {
        let before = self.places.first().copied().filter(|_| self.known > 0);
        if before == Some(page) {
            return None;
        }
        let reach = reach(page, page_size);
        let known = self.places.iter().take(self.known);
        let follows = |place: &u64| page > *place && page - *place <= reach;
        let origin = known.clone().position(follows);
        // What it follows moves to the front, or the oldest gives way.
        let end = origin.unwrap_or_else(|| self.known.min(PLACES - 1));
        if let Some(moved) = self.places.get_mut(..=end) {
            moved.rotate_right(1);
        }
        if let Some(first) = self.places.first_mut() {
            *first = page;
        }
        if origin.is_none() {
            self.known = (self.known + 1).min(PLACES);
        }
        let distance = page.wrapping_sub(before?);
        let is_as_before = distance == self.distance;
        self.distance = distance;
        Some(match origin {
            Some(_) => Step::Sequential,
            None if is_as_before => Step::Strided,
            None => Step::Jump,
        })
    }
}

/// Pages from a fault to the next one at `page`, if the walk is sequential.
fn reach(page: u64, page_size: u64) -> u64 {
    let pages = |bytes: u64| (bytes / page_size.max(1)).max(1);
    let window = pages(WINDOW_BYTES);
    let aligned_to = 1u64 << page.trailing_zeros().min(63);
    aligned_to.clamp(window, pages(LARGEST_FOLIO_BYTES).max(window))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn shares(pages: impl IntoIterator<Item = u64>) -> (u64, u64, u64) {
        let mut streams = Streams::default();
        let mut steps = Steps::default();
        for page in pages {
            streams
                .step((1, 1, 1), page, 4096)
                .into_iter()
                .for_each(|step| steps.add(step));
        }
        (steps.all, steps.sequential, steps.strided)
    }

    #[test]
    fn a_walk_is_sequential_however_much_each_fault_maps() {
        assert_eq!(shares(0..100), (99, 99, 0));
        assert_eq!(shares((0..100).map(|i| i * 16)), (99, 99, 0));
        // Folios of 256 KiB and 2 MiB.
        assert_eq!(shares([0, 4, 16, 32, 64, 128, 256, 512, 1_024]), (8, 8, 0));
    }

    #[test]
    fn what_jumps_goes_back_or_strides_is_not() {
        assert_eq!(shares([0, 5_000, 100, 9_000, 50]), (4, 0, 0));
        assert_eq!(shares((0..10).rev()), (9, 0, 8));
        assert_eq!(shares((0..10).map(|i| i * 41 + 1)), (9, 0, 8));
        assert_eq!(shares([7, 7, 7]), (0, 0, 0));
        assert_eq!(shares([]), (0, 0, 0));
    }

    #[test]
    fn four_walks_in_turn_are_sequential_and_five_are_not() {
        let walks = |count: u64| (0..40).map(move |i| (i % count) * 10_000 + i / count);
        // The walks themselves begin at the same distance from each other.
        assert_eq!(shares(walks(4)), (39, 36, 2));
        assert_eq!(shares(walks(5)).1, 0);
    }

    #[test]
    fn each_thread_and_file_has_places_of_its_own() {
        let mut streams = Streams::default();
        let mut step = |key, page| streams.step(key, page, 4096);
        assert_eq!(step((1, 1, 1), 5), None);
        assert_eq!(step((1, 2, 1), 6), None);
        assert_eq!(step((1, 1, 2), 6), None);
        assert_eq!(step((1, 1, 1), 6), Some(Step::Sequential));
        assert_eq!(step((1, 2, 1), 5), Some(Step::Jump));
        assert_eq!(step((1, 2, 1), u64::MAX), Some(Step::Jump));
        assert_eq!(step((1, 2, 1), 0), Some(Step::Jump));
    }

    #[test]
    fn too_many_threads_are_left_out_and_said_to_be() {
        let mut streams = Streams {
            room: 1,
            ..Streams::default()
        };
        assert_eq!(streams.step((1, 1, 1), 5, 4096), None);
        assert!(!streams.has_left_out());
        assert_eq!(streams.step((1, 2, 1), 5, 4096), None);
        assert_eq!(streams.step((1, 2, 1), 6, 4096), None);
        assert!(streams.has_left_out());
        assert_eq!(streams.step((1, 1, 1), 6, 0), Some(Step::Sequential));
    }

    #[test]
    fn shares_of_a_sample_or_of_nothing_are_not_told() {
        let mut steps = Steps::default();
        assert_eq!(steps.cells(false), [Value::Null, Value::Null]);
        steps.add(Step::Sequential);
        let mut sum = steps;
        sum.merge(&Steps {
            all: 3,
            sequential: 0,
            strided: 2,
        });
        let share = |part| Value::Percent { part, whole: 4 };
        assert_eq!(sum.cells(false), [share(1), share(2)]);
        assert_eq!(sum.cells(true), [Value::Null, Value::Null]);
    }
}
