//! The lanes: one ring per CPU in memory that the probes write and the recorder reads, without a system
//! call or a lock on either side. Layout and protocol are those of `src/bpf/pf_output.h`.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    ptr::{self, NonNull},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    ProbeError, Record,
    skel::types::{pf_cause, pf_fault, pf_lane_ends, pf_more},
};

/// The probes get their room back in such portions, while the rest is still being read.
const ROOM_BACK: u64 = 1 << 10;

/// The maps of the lanes.
pub(crate) struct LaneMaps<'fd> {
    pub(crate) slots: BorrowedFd<'fd>,
    pub(crate) more: BorrowedFd<'fd>,
    /// Where causes are asked for.
    pub(crate) causes: Option<BorrowedFd<'fd>>,
    pub(crate) ends: BorrowedFd<'fd>,
}

/// The recorder's side of all lanes.
pub(crate) struct Lanes {
    slots: Mapping<pf_fault>,
    /// The second half of each slot.
    more: Mapping<pf_more>,
    causes: Option<Mapping<pf_cause>>,
    ends: Mapping<pf_lane_ends>,
    count: usize,
    slots_per_lane: u64,
}

impl Lanes {
    /// Maps `count` lanes of `slots_per_lane` records, a power of two.
    pub(crate) fn map(maps: &LaneMaps<'_>, count: usize, slots_per_lane: u32) -> Result<Self, ProbeError> {
        let slots = count * slots_per_lane as usize;
        Ok(Self {
            slots: Mapping::new(maps.slots, slots)?,
            more: Mapping::new(maps.more, slots)?,
            causes: maps
                .causes
                .map(|causes| Mapping::new(causes, slots))
                .transpose()?,
            ends: Mapping::new(maps.ends, count)?,
            count,
            slots_per_lane: slots_per_lane.into(),
        })
    }

    /// How far each lane is written now.
    pub(crate) fn heads(&self) -> Vec<u64> {
        // What is announced was written before.
        let head = |lane| self.ends_of(lane).0.load(Ordering::Acquire);
        (0..self.count).map(head).collect()
    }

    /// Takes what completed until `until_ns`, up to `heads`, in the order of completion. Returns how many records
    /// were not of the wire contract.
    pub(crate) fn drain(&mut self, heads: &[u64], until_ns: u64, mut take: impl FnMut(Record)) -> u64 {
        let mut malformed = 0;
        let mut lanes = Vec::with_capacity(heads.len());
        let mut next = BinaryHeap::with_capacity(heads.len());
        for (lane, &head) in heads.iter().enumerate() {
            let tail = self.ends_of(lane).1.load(Ordering::Relaxed);
            // The lane never holds more; anything else would be a bug of the probes.
            let from = tail.max(head.saturating_sub(self.slots_per_lane));
            malformed += from - tail;
            lanes.push(from..head);
            next.extend((from < head).then(|| Reverse((self.completed_ns(lane, from), lane))));
        }
        // Each lane is in order; the heap has the first of each.
        while let Some(mut first) = next.peek_mut() {
            let Reverse((at_ns, lane)) = *first;
            if at_ns > until_ns {
                break;
            }
            let Some(at) = lanes.get_mut(lane).and_then(Iterator::next) else {
                PeekMut::pop(first);
                continue;
            };
            let slot = self.slot(lane, at);
            // SAFETY: the slot is inside the mapping, pf_fault is made of integers, and the probes do not write to it
            // until the tail has passed.
            let raw = unsafe { self.slots.at(slot).read() };
            // SAFETY: the same of the second half, which has as many slots.
            let more = || unsafe { self.more.at(slot).read() };
            let cause = || {
                let causes = self.causes.as_ref()?;
                // SAFETY: and of the third part.
                Some(unsafe { causes.at(slot).read() })
            };
            match Record::from_lane(raw, more, cause) {
                Some(record) => take(record),
                None => malformed += 1,
            }
            if (at + 1).is_multiple_of(ROOM_BACK) {
                self.ends_of(lane).1.store(at + 1, Ordering::Release);
            }
            if at + 1 < heads[lane] {
                *first = Reverse((self.completed_ns(lane, at + 1), lane));
            } else {
                PeekMut::pop(first);
            }
        }
        for (lane, rest) in lanes.into_iter().enumerate() {
            self.ends_of(lane).1.store(rest.start, Ordering::Release);
        }
        malformed
    }

    fn slot(&self, lane: usize, at: u64) -> usize {
        lane * self.slots_per_lane as usize + (at & (self.slots_per_lane - 1)) as usize
    }

    /// When the fault at a place that is written completed.
    fn completed_ns(&self, lane: usize, at: u64) -> u64 {
        let fault = self.slots.at(self.slot(lane, at));
        // SAFETY: as for the whole record.
        let (ts_ns, latency_ns) = unsafe { ((*fault).ts_ns, (*fault).latency_ns) };
        ts_ns.saturating_add(latency_ns)
    }

    /// Records in all lanes.
    pub(crate) fn waiting(&self) -> u64 {
        let in_lane = |lane| {
            let (head, tail) = self.ends_of(lane);
            head.load(Ordering::Relaxed)
                .saturating_sub(tail.load(Ordering::Relaxed))
        };
        (0..self.count).map(in_lane).sum()
    }

    fn ends_of(&self, lane: usize) -> (&AtomicU64, &AtomicU64) {
        let ends = self.ends.at(lane);
        // SAFETY: both fields lie in the mapping, which lives as long as `self`, and are aligned to 64
        // bytes; each side writes its own, all by whole words.
        unsafe {
            (
                AtomicU64::from_ptr(&raw mut (*ends).head),
                AtomicU64::from_ptr(&raw mut (*ends).tail),
            )
        }
    }
}

/// The values of a BPF array in shared memory.
pub(crate) struct Mapping<T> {
    start: NonNull<T>,
    count: usize,
}

// SAFETY: it is plain memory, owned by this value.
unsafe impl<T> Send for Mapping<T> {}

impl<T> Mapping<T> {
    /// Maps the first `count` values.
    pub(crate) fn new(map: BorrowedFd<'_>, count: usize) -> Result<Self, ProbeError> {
        // SAFETY: a new mapping at an address of the kernel's choice; no other memory is touched.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                count * size_of::<T>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                map.as_fd().as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(ProbeError::Lanes(io::Error::last_os_error()));
        }
        let start =
            NonNull::new(start.cast()).ok_or_else(|| ProbeError::Lanes(io::Error::other("no memory")))?;
        Ok(Self { start, count })
    }

    /// The value at `index`, which is below the count.
    pub(crate) fn at(&self, index: usize) -> *mut T {
        debug_assert!(index < self.count);
        // SAFETY: callers stay below `count`.
        unsafe { self.start.as_ptr().add(index) }
    }
}

impl<T> Drop for Mapping<T> {
    fn drop(&mut self) {
        // SAFETY: maps exactly what `new` mapped, and nothing refers to it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.count * size_of::<T>()) };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::{
        fs::File,
        os::{fd::FromRawFd, unix::fs::FileExt},
    };

    use super::*;

    const SLOTS: u32 = 8;

    /// Memory that both sides map, in place of a BPF array.
    fn memory(bytes: usize) -> File {
        // SAFETY: a new file of this process's own; nothing else refers to the descriptor.
        let file = unsafe { File::from_raw_fd(libc::memfd_create(c"lanes".as_ptr(), 0)) };
        file.set_len(bytes as u64).unwrap();
        file
    }

    struct Probes {
        slots: File,
        more: File,
        ends: File,
    }

    impl Probes {
        fn new(lanes: usize) -> Self {
            let slots = lanes * SLOTS as usize;
            Self {
                slots: memory(slots * size_of::<pf_fault>()),
                more: memory(slots * size_of::<pf_more>()),
                ends: memory(lanes * size_of::<pf_lane_ends>()),
            }
        }

        fn lanes(&self, count: usize) -> Lanes {
            let maps = LaneMaps {
                slots: self.slots.as_fd(),
                more: self.more.as_fd(),
                causes: None,
                ends: self.ends.as_fd(),
            };
            Lanes::map(&maps, count, SLOTS).unwrap()
        }

        /// Writes the record `at` of a lane, and announces it.
        fn write(&self, lane: u64, at: u64, kind: u8, completed_ns: u64) {
            let slot = lane * u64::from(SLOTS) + at % u64::from(SLOTS);
            let start = slot * size_of::<pf_fault>() as u64;
            self.slots.write_all_at(&[kind], start).unwrap();
            // Entry and latency.
            for (field, ns) in [(8, completed_ns - 3), (16, 3)] {
                self.slots
                    .write_all_at(&u64::to_ne_bytes(ns), start + field)
                    .unwrap();
            }
            let end = lane * size_of::<pf_lane_ends>() as u64;
            self.ends.write_all_at(&(at + 1).to_ne_bytes(), end).unwrap();
        }
    }

    fn drain(lanes: &mut Lanes, until_ns: u64) -> (Vec<u64>, u64) {
        let mut into = Vec::new();
        let heads = lanes.heads();
        let malformed = lanes.drain(&heads, until_ns, |record| into.push(record.at_ns()));
        (into, malformed)
    }

    #[test]
    fn lanes_become_one_in_the_order_of_completion_and_what_is_young_stays() {
        let probes = Probes::new(3);
        let mut lanes = probes.lanes(3);
        for (lane, times) in [(0, &[10, 40, 90][..]), (2, &[20, 30, 50, 100])] {
            for (at, &time) in (0..).zip(times) {
                probes.write(lane, at, 1, time);
            }
        }
        assert_eq!(lanes.waiting(), 7);
        assert_eq!(drain(&mut lanes, 50), (vec![10, 20, 30, 40, 50], 0));
        assert_eq!(lanes.waiting(), 2);
        assert_eq!(drain(&mut lanes, 50), (vec![], 0));
        probes.write(1, 0, 1, 95);
        assert_eq!(drain(&mut lanes, u64::MAX), (vec![90, 95, 100], 0));
        assert_eq!(lanes.waiting(), 0);
    }

    #[test]
    fn a_lane_goes_round_and_what_is_no_fault_is_counted() {
        let probes = Probes::new(1);
        let mut lanes = probes.lanes(1);
        for at in 0..20 {
            probes.write(0, at, if at % 5 == 4 { 77 } else { 1 }, 100 + at);
            let expected = if at % 5 == 4 {
                (vec![], 1)
            } else {
                (vec![100 + at], 0)
            };
            assert_eq!(drain(&mut lanes, u64::MAX), expected);
        }
    }
}
