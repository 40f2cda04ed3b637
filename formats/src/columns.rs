//! Decoded events as a struct of arrays, and which of those arrays a reader asks for.

use std::ops::BitOr;

use crate::{Breakdown, ClassBits, CommId, Event, ObjectId, QueryId, StackId, Witnesses};

/// Events, one array per column. All filled columns have the same length.
///
/// The last twelve are optional: they are empty when no event of the block has a value. In a block where
/// some have, the others have zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Columns {
    /// Entry of the fault, `CLOCK_MONOTONIC` nanoseconds.
    pub ts_ns: Vec<u64>,
    /// Entry to completion, nanoseconds.
    pub latency_ns: Vec<u64>,
    /// Process.
    pub pid: Vec<u32>,
    /// Thread.
    pub tid: Vec<u32>,
    /// Thread name, an id in the comm dictionary.
    pub comm: Vec<u32>,
    /// CPU of the entry.
    pub cpu: Vec<u16>,
    /// Faulting address, bytes.
    pub address: Vec<u64>,
    /// Faulting instruction.
    pub ip: Vec<u64>,
    /// Mapped object, an id in the object dictionary.
    pub object: Vec<u32>,
    /// Page within the object.
    pub object_page: Vec<u64>,
    /// Bit 0 major, bit 1 failed, bits 2-3 access code (0 = not known), bits 4-5 origin code, bit 6 abandoned.
    pub class: Vec<u8>,
    /// Attempts beyond the first.
    pub retries: Vec<u8>,
    /// Of the latency, asleep, nanoseconds.
    pub blocked_ns: Vec<u64>,
    /// Of the latency, waiting for a CPU, nanoseconds.
    pub runqueue_ns: Vec<u64>,
    /// Of the latency, reclaiming memory, nanoseconds.
    pub reclaim_ns: Vec<u64>,
    /// Of the latency, outside `handle_mm_fault`, nanoseconds.
    pub lock_ns: Vec<u64>,
    /// User stack, an id in the stack dictionary, 0 = none.
    pub stack: Vec<u32>,
    /// Innermost query of the thread, the id of a [`Query`](crate::Query), 0 = none.
    pub query: Vec<u64>,
    /// Attempts that a signal ended.
    pub interruptions: Vec<u8>,
    /// The last of these signals, or the one that the fault ended in, 0 = none.
    pub signal: Vec<u8>,
    /// Kernel stack of the fault's longest sleep, an id in the stack dictionary, 0 = none; read with `witnesses`.
    pub sleep: Vec<u32>,
    /// Pages that the fault added to the page cache; read with `witnesses`.
    pub pages_read: Vec<u32>,
    /// What was looked at: bit 0 `sleep`, bit 1 `pages_read`, bit 2 whether the page was present, and bit 3 that it was, bit 4
    /// whether the mapping is shared, and bit 5 that it is, bit 6 `pages_before`: [`Witnesses::from_columns`] reads them.
    pub witnesses: Vec<u8>,
    /// How far before the page of the fault the first of `pages_read` is; read with `witnesses`.
    pub pages_before: Vec<u32>,
}

/// A set of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Projection(u32);

impl Projection {
    /// No column at all: only the number of rows can then be known, from the block's `info`.
    pub const NONE: Self = Self(0);
    /// `ts_ns`.
    pub const TS: Self = Self(1);
    /// `latency_ns`.
    pub const LATENCY: Self = Self(1 << 1);
    /// `pid`, `tid`, `comm`.
    pub const THREAD: Self = Self(1 << 2);
    /// `cpu`.
    pub const CPU: Self = Self(1 << 3);
    /// `address`.
    pub const ADDRESS: Self = Self(1 << 4);
    /// `ip`.
    pub const IP: Self = Self(1 << 5);
    /// `object`, `object_page`.
    pub const OBJECT: Self = Self(1 << 6);
    /// `class`.
    pub const CLASS: Self = Self(1 << 7);
    /// `retries`.
    pub const RETRIES: Self = Self(1 << 8);
    /// `blocked_ns`, `runqueue_ns`, `reclaim_ns`, `lock_ns`, where the block holds them.
    pub const BREAKDOWN: Self = Self(1 << 9);
    /// `stack`, where the block holds it.
    pub const STACK: Self = Self(1 << 10);
    /// `query`, where the block holds it.
    pub const QUERY: Self = Self(1 << 11);
    /// `interruptions`, `signal`, where the block holds them.
    pub const SIGNAL: Self = Self(1 << 12);
    /// `sleep`, `pages_read`, `witnesses`, `pages_before`, where the block holds them.
    pub const WITNESSES: Self = Self(1 << 13);
    /// Every column.
    pub const ALL: Self = Self((1 << 14) - 1);

    /// The columns of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every column of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Projection {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl Columns {
    /// How many rows have more time blocked and in the run queue than in all.
    #[must_use]
    pub fn impossible_breakdowns(&self) -> u64 {
        let parts = self.blocked_ns.iter().zip(&self.runqueue_ns);
        let rows = self.latency_ns.iter().zip(parts);
        let is_impossible = |&(latency, (blocked, runqueue)): &(&u64, (&u64, &u64))| {
            blocked
                .checked_add(*runqueue)
                .is_none_or(|parts| parts > *latency)
        };
        rows.filter(is_impossible).count() as u64
    }

    /// Empties every column and keeps the memory.
    pub fn clear(&mut self) {
        self.ts_ns.clear();
        self.latency_ns.clear();
        self.pid.clear();
        self.tid.clear();
        self.comm.clear();
        self.cpu.clear();
        self.address.clear();
        self.ip.clear();
        self.object.clear();
        self.object_page.clear();
        self.class.clear();
        self.retries.clear();
        self.blocked_ns.clear();
        self.runqueue_ns.clear();
        self.reclaim_ns.clear();
        self.lock_ns.clear();
        self.stack.clear();
        self.query.clear();
        self.interruptions.clear();
        self.signal.clear();
        self.sleep.clear();
        self.pages_read.clear();
        self.witnesses.clear();
        self.pages_before.clear();
    }

    /// Appends rows to every column; to an optional one from the first row that has a value in it.
    pub fn extend(&mut self, events: &[Event]) {
        let rows = self.pid.len();
        self.ts_ns.extend(events.iter().map(|event| event.ts_ns));
        self.latency_ns
            .extend(events.iter().map(|event| event.latency_ns));
        self.pid.extend(events.iter().map(|event| event.pid));
        self.tid.extend(events.iter().map(|event| event.tid));
        self.comm.extend(events.iter().map(|event| event.comm.0));
        self.cpu.extend(events.iter().map(|event| event.cpu));
        self.address.extend(events.iter().map(|event| event.address));
        self.ip.extend(events.iter().map(|event| event.ip));
        self.object.extend(events.iter().map(|event| event.object.0));
        self.object_page
            .extend(events.iter().map(|event| event.object_page));
        self.class
            .extend(events.iter().map(|event| ClassBits::of(event).0));
        self.retries.extend(events.iter().map(|event| event.retries));
        if !self.blocked_ns.is_empty() || events.iter().any(|event| event.breakdown.is_some()) {
            let part = |of: fn(&Breakdown) -> u64| {
                let breakdowns = events.iter().map(|event| event.breakdown.as_ref());
                breakdowns.map(move |breakdown| breakdown.map_or(0, of))
            };
            extend_optional(&mut self.blocked_ns, rows, part(|breakdown| breakdown.blocked_ns));
            extend_optional(
                &mut self.runqueue_ns,
                rows,
                part(|breakdown| breakdown.runqueue_ns),
            );
            extend_optional(&mut self.reclaim_ns, rows, part(|breakdown| breakdown.reclaim_ns));
            extend_optional(&mut self.lock_ns, rows, part(|breakdown| breakdown.lock_ns));
        }
        if !self.stack.is_empty() || events.iter().any(|event| event.stack != StackId(0)) {
            extend_optional(&mut self.stack, rows, events.iter().map(|event| event.stack.0));
        }
        if !self.query.is_empty() || events.iter().any(|event| event.query != QueryId(0)) {
            extend_optional(&mut self.query, rows, events.iter().map(|event| event.query.0));
        }
        let has_signal = |event: &Event| event.signal != 0 || event.interruptions != 0;
        if !self.signal.is_empty() || events.iter().any(has_signal) {
            extend_optional(
                &mut self.interruptions,
                rows,
                events.iter().map(|event| event.interruptions),
            );
            extend_optional(&mut self.signal, rows, events.iter().map(|event| event.signal));
        }
        if !self.witnesses.is_empty() || events.iter().any(|event| !event.witnesses.is_none()) {
            let witnesses = || events.iter().map(|event| event.witnesses);
            let sleeps = witnesses().map(|seen| seen.sleep.unwrap_or_default().0);
            extend_optional(&mut self.sleep, rows, sleeps);
            let pages = witnesses().map(|seen| seen.pages_read.unwrap_or_default());
            extend_optional(&mut self.pages_read, rows, pages);
            extend_optional(&mut self.witnesses, rows, witnesses().map(|seen| seen.bits()));
            let before = || witnesses().map(|seen| seen.stored_before());
            if !self.pages_before.is_empty() || before().any(|before| before != 0) {
                extend_optional(&mut self.pages_before, rows, before());
            }
        }
    }

    /// Rows in the filled columns.
    #[must_use]
    pub fn len(&self) -> usize {
        [
            self.ts_ns.len(),
            self.latency_ns.len(),
            self.pid.len(),
            self.cpu.len(),
            self.address.len(),
            self.ip.len(),
            self.object.len(),
            self.class.len(),
            self.retries.len(),
            self.blocked_ns.len(),
            self.stack.len(),
            self.query.len(),
            self.signal.len(),
            self.witnesses.len(),
        ]
        .into_iter()
        .max()
        .unwrap_or(0)
    }

    /// Whether no column has a row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One row as an [`Event`]; `None` past the end, or when a column was not projected. Optional columns that are
    /// empty give no breakdown, no stack, no query, no signal and no witnesses.
    #[must_use]
    pub fn event(&self, row: usize) -> Option<Event> {
        let class = ClassBits(*self.class.get(row)?);
        Some(Event {
            ts_ns: *self.ts_ns.get(row)?,
            latency_ns: *self.latency_ns.get(row)?,
            pid: *self.pid.get(row)?,
            tid: *self.tid.get(row)?,
            comm: CommId(*self.comm.get(row)?),
            cpu: *self.cpu.get(row)?,
            address: *self.address.get(row)?,
            ip: *self.ip.get(row)?,
            object: ObjectId(*self.object.get(row)?),
            object_page: *self.object_page.get(row)?,
            major: class.has_major_flag(),
            failed: class.is_failed(),
            access: class.access(),
            origin: class.origin(),
            abandoned: class.is_abandoned(),
            retries: *self.retries.get(row)?,
            interruptions: self.interruptions.get(row).copied().unwrap_or(0),
            signal: self.signal.get(row).copied().unwrap_or(0),
            breakdown: self.breakdown(row),
            witnesses: self.witnesses_of(row).unwrap_or_default(),
            stack: StackId(self.stack.get(row).copied().unwrap_or(0)),
            query: QueryId(self.query.get(row).copied().unwrap_or(0)),
        })
    }

    /// What was seen of the cause of a row's fault; `None` past the end, where the block holds no witnesses, and where
    /// they were not projected.
    #[must_use]
    pub fn witnesses_of(&self, row: usize) -> Option<Witnesses> {
        Some(Witnesses::from_columns(
            *self.witnesses.get(row)?,
            *self.sleep.get(row)?,
            *self.pages_read.get(row)?,
            self.pages_before.get(row).copied().unwrap_or(0),
        ))
    }

    fn breakdown(&self, row: usize) -> Option<Breakdown> {
        Some(Breakdown {
            blocked_ns: *self.blocked_ns.get(row)?,
            runqueue_ns: *self.runqueue_ns.get(row)?,
            reclaim_ns: *self.reclaim_ns.get(row)?,
            lock_ns: *self.lock_ns.get(row)?,
        })
    }
}

/// Appends values behind `rows` others, which are zeros where the column was empty so far.
fn extend_optional<T: Copy + Default>(column: &mut Vec<T>, rows: usize, values: impl Iterator<Item = T>) {
    column.resize(rows, T::default());
    column.extend(values);
}
