//! Counts that the probes keep in the kernel, a slot for each thread, read from shared memory. Layout and
//! protocol are those of `src/bpf/pf_live_wire.h`.

use std::{
    os::fd::BorrowedFd,
    ptr,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use crate::{
    ProbeError,
    lanes::Mapping,
    skel::types::{pf_live_door, pf_live_ends, pf_live_histogram, pf_live_slot},
};

/// Number of latency buckets.
pub const LIVE_BUCKETS: usize = pf_live_histogram::PF_LIVE_BUCKETS.0 as usize;
const LOW_BIT: u32 = pf_live_histogram::PF_LIVE_LOW_BIT.0;
const CUT_BITS: u32 = pf_live_histogram::PF_LIVE_CUT_BITS.0;

/// What is counted in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveCounting {
    /// Room for so many threads at a time; those beyond are counted together.
    pub threads: u32,
    /// Whether there are no records: no fault crosses into the recorder.
    pub alone: bool,
}

impl LiveCounting {
    /// Entries of the ring in which free slots are offered. Twice the slots: an offer that the probes passed
    /// over is made again before it is overwritten.
    pub(crate) fn ring_slots(self) -> u32 {
        self.threads.max(1).saturating_mul(2).next_power_of_two()
    }
}

/// What the probes have counted. Every number only grows while a thread lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveCounts {
    /// Major faults.
    pub majors: u64,
    /// Minor faults.
    pub minors: u64,
    /// Faults that ended in a signal; in no other number here.
    pub failed: u64,
    /// Sum of the latencies, nanoseconds.
    pub total_ns: u64,
    /// The longest; 0 for threads that are counted together.
    pub max_ns: u64,
    /// The shortest; 0 where there is none yet, and for threads that are counted together.
    pub min_ns: u64,
    /// Major faults that the kernel counted meanwhile.
    pub kernel_majors: u64,
    /// Minor faults that the kernel counted.
    pub kernel_minors: u64,
    /// Counted by the kernel without telling the probes.
    pub hidden: u64,
    /// Not asked for.
    pub filtered: u64,
    /// Seen by the probes, and not measured.
    pub lost: u64,
    /// Faults by latency: see [`bucket_bounds`].
    pub latencies: [u32; LIVE_BUCKETS],
}

/// One thread with its counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveThread {
    /// Its slot. With `since_ns` it tells the thread from all others.
    pub slot: u32,
    /// Process, in the root pid namespace.
    pub tgid: u32,
    /// Thread, in the root pid namespace.
    pub tid: u32,
    /// Its name at its latest fault.
    pub comm: String,
    /// When its first fault entered, nanoseconds of `CLOCK_MONOTONIC`.
    pub since_ns: u64,
    /// Whether it has ended. It is given out once like that, and its slot may be another's then.
    pub ended: bool,
    /// What was counted.
    pub counts: LiveCounts,
}

/// The recorder's side of the slots.
pub struct Live {
    slots: Mapping<pf_live_slot>,
    doors: Mapping<pf_live_door>,
    ring: Mapping<u64>,
    ends: Mapping<pf_live_ends>,
    room: u32,
    cpus: u32,
    ring_slots: u64,
    /// Slots that are in the ring, between its tail and its head.
    offered: Vec<bool>,
    /// Up to where the ring's offers are known to be tried.
    tried: u64,
}

/// The maps behind it.
pub(crate) struct LiveMaps<'a> {
    pub(crate) slots: BorrowedFd<'a>,
    pub(crate) doors: BorrowedFd<'a>,
    pub(crate) ring: BorrowedFd<'a>,
    pub(crate) ends: BorrowedFd<'a>,
}

impl Live {
    /// Maps everything and offers all slots.
    pub(crate) fn map(maps: &LiveMaps<'_>, counting: LiveCounting, cpus: u32) -> Result<Self, ProbeError> {
        let room = counting.threads.max(1);
        let ring_slots = counting.ring_slots();
        let mut live = Self {
            slots: Mapping::new(maps.slots, (room + cpus) as usize)?,
            doors: Mapping::new(maps.doors, room as usize)?,
            ring: Mapping::new(maps.ring, ring_slots as usize)?,
            ends: Mapping::new(maps.ends, 1)?,
            room,
            cpus,
            ring_slots: ring_slots.into(),
            offered: vec![false; room as usize],
            tried: 0,
        };
        live.offer();
        Ok(live)
    }

    /// Room for so many threads.
    #[must_use]
    pub fn room(&self) -> u32 {
        self.room
    }

    /// Gives out the threads that have ended since the last call, and frees their slots. To be called often
    /// enough that slots do not run out; costs a look at each slot's state.
    pub fn take_ended(&mut self, mut each: impl FnMut(LiveThread)) {
        for slot in 0..self.room {
            if self.ended(slot).load(Ordering::Acquire) != 0 {
                if let Some(thread) = self.read(slot, true) {
                    each(thread);
                }
                self.free(slot);
            }
        }
        self.offer();
    }

    /// Gives out the threads that have a slot. Call [`Live::take_ended`] first.
    pub fn for_each(&self, mut each: impl FnMut(LiveThread)) {
        for slot in 0..self.room {
            if self.claims(slot).load(Ordering::Relaxed) != 0
                && let Some(thread) = self.read(slot, false)
            {
                each(thread);
            }
        }
    }

    /// Frees the slot of a thread whose end nobody saw; it is given out once more as ended.
    pub fn bury(&mut self, slot: u32) -> Option<LiveThread> {
        let thread = self.read(slot, true)?;
        self.free(slot);
        Some(thread)
    }

    /// What was counted for threads without a slot, and how many of them there are now.
    #[must_use]
    pub fn crowd(&self) -> (LiveCounts, u64) {
        let mut sum = LiveCounts::default();
        let mut crowded = 0_u64;
        for cpu in 0..self.cpus {
            let raw = self.slot(self.room + cpu);
            sum.add(&counts_of(&raw));
            crowded = crowded.wrapping_add(raw.crowded);
        }
        (sum, crowded)
    }

    fn slot(&self, index: u32) -> pf_live_slot {
        // SAFETY: the slot is inside the mapping and made of integers, of which any value is valid. The probes
        // may write meanwhile: each number is then one it had during the read.
        unsafe { ptr::read_volatile(self.slots.at(index as usize)) }
    }

    fn read(&self, index: u32, ended: bool) -> Option<LiveThread> {
        let raw = self.slot(index);
        (raw.tid != 0).then(|| LiveThread {
            slot: index,
            tgid: raw.tgid,
            tid: raw.tid,
            comm: name_of(&raw),
            since_ns: raw.since_ns,
            ended,
            counts: LiveCounts {
                kernel_majors: raw.maj_flt.wrapping_sub(raw.maj_flt_from),
                kernel_minors: raw.min_flt.wrapping_sub(raw.min_flt_from),
                ..counts_of(&raw)
            },
        })
    }

    fn free(&mut self, index: u32) {
        // SAFETY: inside the mapping; its thread has ended, and nobody else writes before the claim is gone.
        unsafe { ptr::write_bytes(self.slots.at(index as usize), 0, 1) };
        self.ended(index).store(0, Ordering::Relaxed);
        // Taken away, not set: somebody may be trying the slot in vain at this moment.
        self.claims(index).fetch_sub(1, Ordering::Release);
    }

    /// Puts every free slot into the ring that is not in it.
    fn offer(&mut self) {
        let ring_slots = self.ring_slots;
        let tail = self.tail().load(Ordering::Acquire);
        let mut head = self.head().load(Ordering::Relaxed);
        for at in self.tried..tail.min(head) {
            let index = self.entry(at % ring_slots).load(Ordering::Relaxed);
            if let Some(offered) = self.offered.get_mut(index as usize) {
                *offered = false;
            }
        }
        // Two that tried the last offer both counted it.
        head = head.max(tail);
        self.tried = tail;
        for slot in 0..self.room {
            let offered = self.offered.get(slot as usize).copied().unwrap_or(true);
            if offered || head - tail >= ring_slots || self.claims(slot).load(Ordering::Relaxed) != 0 {
                continue;
            }
            self.entry(head % ring_slots)
                .store(slot.into(), Ordering::Relaxed);
            head += 1;
            if let Some(offered) = self.offered.get_mut(slot as usize) {
                *offered = true;
            }
        }
        self.head().store(head, Ordering::Release);
    }

    fn claims(&self, slot: u32) -> &AtomicU32 {
        // SAFETY: the field lies in the mapping, which lives as long as `self`, is aligned, and is written by
        // whole words on both sides; likewise below.
        unsafe { AtomicU32::from_ptr(&raw mut (*self.doors.at(slot as usize)).claims) }
    }

    fn ended(&self, slot: u32) -> &AtomicU64 {
        // SAFETY: as in `claims`.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.doors.at(slot as usize)).ended) }
    }

    fn head(&self) -> &AtomicU64 {
        // SAFETY: as in `claims`.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.ends.at(0)).head) }
    }

    fn tail(&self) -> &AtomicU64 {
        // SAFETY: as in `claims`.
        unsafe { AtomicU64::from_ptr(&raw mut (*self.ends.at(0)).tail) }
    }

    fn entry(&self, at: u64) -> &AtomicU64 {
        // SAFETY: as in `claims`; `at` is below the size of the ring.
        unsafe { AtomicU64::from_ptr(self.ring.at(at as usize)) }
    }
}

impl Default for LiveCounts {
    fn default() -> Self {
        Self {
            majors: 0,
            minors: 0,
            failed: 0,
            total_ns: 0,
            max_ns: 0,
            min_ns: 0,
            kernel_majors: 0,
            kernel_minors: 0,
            hidden: 0,
            filtered: 0,
            lost: 0,
            latencies: [0; LIVE_BUCKETS],
        }
    }
}

impl LiveCounts {
    /// Adds those of another thread.
    pub fn add(&mut self, other: &Self) {
        self.majors += other.majors;
        self.minors += other.minors;
        self.failed += other.failed;
        self.total_ns += other.total_ns;
        self.max_ns = self.max_ns.max(other.max_ns);
        self.min_ns = match (self.min_ns, other.min_ns) {
            (0, min) | (min, 0) => min,
            (one, two) => one.min(two),
        };
        self.kernel_majors = self.kernel_majors.wrapping_add(other.kernel_majors);
        self.kernel_minors = self.kernel_minors.wrapping_add(other.kernel_minors);
        self.hidden += other.hidden;
        self.filtered += other.filtered;
        self.lost += other.lost;
        for (sum, count) in self.latencies.iter_mut().zip(&other.latencies) {
            *sum = sum.wrapping_add(*count);
        }
    }
}

fn counts_of(raw: &pf_live_slot) -> LiveCounts {
    LiveCounts {
        majors: raw.majors,
        minors: raw.minors,
        failed: raw.failed,
        total_ns: raw.total_ns,
        max_ns: raw.max_ns,
        min_ns: raw.min_ns,
        kernel_majors: raw.maj_flt,
        kernel_minors: raw.min_flt,
        hidden: raw.hidden,
        filtered: raw.filtered,
        lost: raw.lost,
        latencies: raw.latencies,
    }
}

fn name_of(raw: &pf_live_slot) -> String {
    let bytes = raw.comm.map(i8::cast_unsigned);
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The latencies that a bucket holds, nanoseconds: from the first up to the second. The first bucket takes all that
/// is shorter, too, the last one all that is longer.
#[must_use]
pub fn bucket_bounds(bucket: usize) -> (u64, u64) {
    let bound = |bucket: usize| {
        let power = LOW_BIT + (bucket >> CUT_BITS) as u32;
        let part = (bucket & ((1 << CUT_BITS) - 1)) as u64;
        (1 << power) + (part << (power - CUT_BITS))
    };
    (bound(bucket), bound(bucket + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_join_without_a_gap_and_are_an_eighth_wide_at_most() {
        assert_eq!(bucket_bounds(0).0, 64);
        for bucket in 0..LIVE_BUCKETS {
            let (from, to) = bucket_bounds(bucket);
            assert_eq!(bucket_bounds(bucket + 1).0, to);
            assert!(to > from && (to - from) * 8 <= from, "{bucket}: {from} to {to}");
        }
        assert_eq!(bucket_bounds(LIVE_BUCKETS - 1).1, 1 << 33);
    }

    #[test]
    fn the_shortest_of_nothing_is_nothing() {
        let none = LiveCounts::default();
        let mut some = LiveCounts {
            min_ns: 7,
            max_ns: 9,
            ..none.clone()
        };
        some.add(&none);
        assert_eq!((some.min_ns, some.max_ns), (7, 9));
    }
}
