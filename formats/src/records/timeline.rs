//! What happened to address spaces and threads, and when.

use bincode::{Decode, Encode};

use crate::{CommId, ObjectId};

/// One change in the life of a thread or its address space.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct TimelineEntry {
    /// `CLOCK_MONOTONIC` nanoseconds.
    pub ts_ns: u64,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// What happened.
    pub what: Happening,
}

/// What a [`TimelineEntry`] tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Happening {
    /// A mapping came into being.
    Map {
        /// First address.
        start: u64,
        /// Bytes.
        len: u64,
        /// Bytes into the object at `start`.
        offset: u64,
        /// `PROT_*` bits of mmap(2).
        prot: u32,
        /// `MAP_*` bits of mmap(2).
        flags: u32,
        /// What is mapped.
        object: ObjectId,
    },
    /// The thread took another name.
    Comm {
        /// The new name.
        comm: CommId,
        /// Whether through execve(2).
        exec: bool,
    },
    /// The thread came into being.
    Fork {
        /// Process that created it.
        parent_pid: u32,
        /// Thread that created it.
        parent_tid: u32,
    },
    /// The thread ended.
    Exit {
        /// The kernel's own count of the thread's major faults.
        maj_flt: u64,
        /// The kernel's own count of the thread's minor faults.
        min_flt: u64,
        /// Whether the two counts could be read.
        counters_known: bool,
    },
}
