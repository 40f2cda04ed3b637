//! What the probes could not pass on.

/// Counts since the probes were attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// The lane or the ring was full.
    pub reserve: u64,
    /// The same, for a failed fault, which is in no count of the kernel's.
    pub failed: u64,
    /// Completion without an entry.
    pub no_entry: u64,
    /// Completion of a recorded task that had no state, since the kernel made none when it was asked.
    pub state: u64,
    /// Of these: major.
    pub state_major: u64,
    /// Entry without completion, and without a signal that explains it.
    pub unfinished: u64,
    /// Entry while page faults were disabled: the kernel gave up at once, which is no fault.
    pub atomic: u64,
    /// The end of a thread was lost to a full ring.
    pub exits: u64,
    /// A user stack was lost to a full ring.
    pub stacks: u64,
    /// A query was lost to a full ring.
    pub queries: u64,
    /// The text of a query was lost to a full ring, or was not in memory.
    pub texts: u64,
    /// A query was nested too deep to be told.
    pub deep: u64,
    /// An end probe of no query that was open.
    pub unmatched: u64,
    /// Runs of a probe that the kernel skipped because it was already running on that CPU.
    pub recursion: u64,
}
