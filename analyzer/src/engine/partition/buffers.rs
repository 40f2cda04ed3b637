//! Rows of a block are copied to the buffer of their place, some at a time: each row is looked at once, in order.

use crate::engine::partition::PIECE;
use crate::engine::runs::sorted_runs;
use multiversion::multiversion;
use std::ops::Range;

/// Rows that are copied at once, whether all of them are wanted or not: a few vectors. Runs of threads that go to and fro
/// are seldom longer.
const STEP: usize = 8;

/// Places that have a buffer at a time, of some 20 KiB each.
const BUFFERS: usize = 256;

/// Slots in which the buffer of a place can be, from where it should be on.
const NEAR: usize = 8;

/// When the rows of a block were.
pub(crate) enum Times<'a> {
    /// Of each row.
    Each(&'a [u64]),
    /// One that stands for all, since the time that counts as 0.
    One(u64),
}

/// The columns of a block, all of one length: what is asked of one need not be asked of the others.
pub(crate) struct Rows<'a> {
    /// What times count from.
    pub(crate) begin_ns: u64,
    pub(crate) times: Times<'a>,
    pub(crate) latencies_ns: &'a [u64],
    pub(crate) bits: &'a [u8],
    /// In memory, and in the object: pages times 2^n.
    pub(crate) pages: [(&'a [u64], u32); 2],
    pub(crate) objects: &'a [u32],
    pub(crate) pids: &'a [u32],
}

impl Rows<'_> {
    #[inline(always)]
    fn key(&self, row: usize) -> Option<(u32, u32)> {
        Some((*self.objects.get(row)?, *self.pids.get(row)?))
    }
}

/// How many rows of one place there are from a row on, [`STEP`] at most; told without a branch, which would be guessed wrong.
#[inline(always)]
fn alike_from(borders: &[u8], row: usize) -> usize {
    let next = borders.get(row + 1..).and_then(<[u8]>::first_chunk::<STEP>);
    let next = next.map_or(1, |next| u64::from_le_bytes(*next));
    // As if there were a border behind the last one.
    let until_border = (next | 1 << (8 * (STEP - 1))).trailing_zeros() as usize / 8;
    until_border + 1
}

/// Columns of faults that have been put together; only the first `len` rows of each count.
#[derive(Debug)]
pub(crate) struct Buffer {
    pub(crate) key: (u32, u32),
    pub(crate) by_object: bool,
    pub(crate) len: usize,
    pub(crate) runs: Vec<Range<usize>>,
    pub(crate) since_begin_ns: [u64; PIECE],
    pub(crate) pages: [u64; PIECE],
    pub(crate) latencies_ns: [u64; PIECE],
    pub(crate) bits: [u8; PIECE],
}

impl Buffer {
    fn new() -> Box<Self> {
        Box::new(Self {
            key: (0, 0),
            by_object: false,
            len: 0,
            runs: Vec::new(),
            since_begin_ns: [0; PIECE],
            pages: [0; PIECE],
            latencies_ns: [0; PIECE],
            bits: [0; PIECE],
        })
    }

    /// Adds some rows, [`STEP`] at most, for which there must be room.
    #[inline(always)]
    fn add(&mut self, rows: &Rows<'_>, from: usize, count: usize) {
        let since_begin_ns = |time_ns: u64| time_ns.saturating_sub(rows.begin_ns);
        // A look-up: a branch would be guessed wrong for many runs.
        let [in_memory, _] = rows.pages;
        let (pages, shift) = *rows.pages.get(usize::from(self.by_object)).unwrap_or(&in_memory);
        let to = self.len;
        if let Times::Each(times) = rows.times {
            copy(times, from, &mut self.since_begin_ns, to, since_begin_ns);
        }
        copy(pages, from, &mut self.pages, to, |page| page.wrapping_shr(shift));
        copy(rows.latencies_ns, from, &mut self.latencies_ns, to, |ns| ns);
        copy(rows.bits, from, &mut self.bits, to, |bits| bits);
        self.len += count;
        match self.runs.last_mut() {
            Some(last) if last.end == from => last.end += count,
            _ => self.runs.push(from..from + count),
        }
    }
}

/// Copies [`STEP`] rows, some of which may be behind the run: the next run replaces them.
#[inline(always)]
fn copy<T: Copy>(column: &[T], from: usize, into: &mut [T; PIECE], to: usize, made: impl Fn(T) -> T) {
    let chunk = column.get(from..from + STEP).and_then(<[T]>::first_chunk::<STEP>);
    let place = into
        .get_mut(to..to + STEP)
        .and_then(<[T]>::first_chunk_mut::<STEP>);
    match (chunk, place) {
        (Some(chunk), Some(place)) => *place = chunk.map(made),
        _ => copy_last(column, from, into, to, made),
    }
}

/// The same at the end of a block.
#[cold]
#[inline(never)]
fn copy_last<T: Copy>(column: &[T], from: usize, into: &mut [T; PIECE], to: usize, made: impl Fn(T) -> T) {
    let rows = column.get(from..).unwrap_or_default().iter();
    let room = into.get_mut(to..).unwrap_or_default();
    room.iter_mut()
        .zip(rows)
        .for_each(|(place, row)| *place = made(*row));
}

/// Why gathering stopped.
pub(crate) enum Stop {
    /// A buffer has a piece together.
    Full(usize),
    /// The next row is of a place without a buffer.
    Unknown((u32, u32)),
    /// There are no more rows.
    End,
}

/// Goes on from row `next`.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
pub(crate) fn gather(buffers: &mut Buffers, rows: &Rows<'_>, borders: &[u8], next: &mut usize) -> Stop {
    while let Some(key) = rows.key(*next) {
        let Some(slot) = buffers.find(key) else {
            return Stop::Unknown(key);
        };
        let Some(buffer) = buffers.get_mut(slot) else {
            return Stop::End;
        };
        let count = alike_from(borders, *next);
        buffer.add(rows, *next, count);
        *next += count;
        if buffer.len > PIECE - STEP {
            return Stop::Full(slot);
        }
    }
    Stop::End
}

/// Makes the borders of the runs: 1 where a row differs from the one before it, and behind the last one.
pub(crate) fn mark_borders(rows: &Rows<'_>, borders: &mut Vec<u8>) {
    borders.clear();
    borders.resize(rows.objects.len(), 0);
    mark(rows.objects, borders);
    for of_process in sorted_runs([rows.pids]) {
        if let Some(border) = borders.get_mut(of_process.start) {
            *border = 1;
        }
    }
    borders.extend([1; STEP]);
}

#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn mark(objects: &[u32], borders: &mut [u8]) {
    let rows = objects.iter().zip(objects.iter().skip(1));
    for (border, (object, next)) in borders.iter_mut().skip(1).zip(rows) {
        *border = u8::from(object != next);
    }
}

/// Both parts of a key in one word, which is compared and mixed at once.
#[inline(always)]
fn joined((object, pid): (u32, u32)) -> u64 {
    u64::from(object) << 32 | u64::from(pid)
}

/// The buffers of places, found by object and process.
#[derive(Debug)]
pub(crate) struct Buffers {
    slots: Vec<Option<Box<Buffer>>>,
    /// What is in each slot, and whether it is.
    keys: [(u64, bool); BUFFERS],
    /// Slots with a key.
    used: Vec<usize>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            slots: std::iter::repeat_with(|| None).take(BUFFERS).collect(),
            keys: [(0, false); BUFFERS],
            used: Vec::new(),
        }
    }
}

impl Buffers {
    #[inline(always)]
    fn near(key: u64) -> impl Iterator<Item = usize> {
        let first = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize;
        (first..first + NEAR).map(|slot| slot % BUFFERS)
    }

    #[inline(always)]
    fn find(&self, key: (u32, u32)) -> Option<usize> {
        let key = joined(key);
        Self::near(key).find(|&slot| self.keys.get(slot) == Some(&(key, true)))
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut Buffer> {
        self.slots.get_mut(slot)?.as_deref_mut()
    }

    /// A slot for a new place: one without a place, or else one whose faults must be shown first.
    pub(crate) fn slot_for(&self, key: (u32, u32)) -> usize {
        let key = joined(key);
        let is_free = |slot: &usize| self.keys.get(*slot).is_some_and(|(_, is_used)| !is_used);
        let free = Self::near(key).find(is_free);
        free.or_else(|| Self::near(key).next()).unwrap_or(0)
    }

    /// Gives a slot, which must be empty, to a place.
    pub(crate) fn give(&mut self, slot: usize, key: (u32, u32), by_object: bool) {
        if let Some(place) = self.slots.get_mut(slot) {
            let buffer = place.get_or_insert_with(Buffer::new);
            (buffer.key, buffer.by_object) = (key, by_object);
        }
        if let Some(known) = self.keys.get_mut(slot) {
            if !known.1 {
                self.used.push(slot);
            }
            *known = (joined(key), true);
        }
    }

    /// Takes the places from all slots, and says which these were.
    pub(crate) fn give_up(&mut self) -> Vec<usize> {
        let used = std::mem::take(&mut self.used);
        self.keys.iter_mut().for_each(|known| known.1 = false);
        used
    }
}
