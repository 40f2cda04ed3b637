//! Queries: units of work on one thread, and what page faults cost each of them.

/// Names a query in a trace; 0 means none. Ids rise with the time of first sight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryId(pub u64);

/// A unit of work on one thread, from its begin probe to its end probe. Queries nest; a fault belongs to the
/// innermost one of its thread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Query {
    /// Unique in the trace, not 0.
    pub id: QueryId,
    /// The query it ran in; 0 for an outermost one.
    pub parent: QueryId,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Of its probes or function, such as `sqlite3_step` or `postgresql:query`.
    pub name: String,
    /// What the program said of it, such as the text of a statement; at most 256 bytes.
    pub text: Option<String>,
    /// The text went on.
    pub text_cut: bool,
    /// The number by which the program knows it.
    pub key: Option<u64>,
    /// `CLOCK_MONOTONIC` nanoseconds. 0 when it began before the recording and nobody knows when.
    pub begin_ns: u64,
    /// `CLOCK_MONOTONIC` nanoseconds; of an open query, the end of the recording.
    pub end_ns: u64,
    /// It began before the recording did, so faults may be missing from its counts.
    pub begun_before: bool,
    /// How it ended.
    pub end: QueryEnd,
    /// Faults of the query itself.
    pub own: QueryFaults,
    /// Faults of all queries inside it, at any depth.
    pub nested: QueryFaults,
}

/// Page faults of a query, as the kernel's probes counted them: exact even where events were lost or filtered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct QueryFaults {
    /// Major faults.
    pub majors: u64,
    /// Minor faults.
    pub minors: u64,
    /// Latency of both together, nanoseconds.
    pub wait_ns: u64,
}

/// How a query ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum QueryEnd {
    /// Its end probe was passed.
    #[default]
    Ended = 0,
    /// It was still open when the recording ended.
    Open = 1,
    /// The thread left it without passing its end probe.
    Abandoned = 2,
}

impl QueryEnd {
    /// From the stored two-bit code. A code of a later version reads as `Abandoned`: no end was seen.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        match code & 3 {
            0 => Self::Ended,
            1 => Self::Open,
            _ => Self::Abandoned,
        }
    }

    /// The name used in tables and exports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Open => "open",
            Self::Abandoned => "abandoned",
        }
    }
}

impl Query {
    /// Faults of the query and of all inside it; a sum that no counter could hold stops at the largest number.
    #[must_use]
    pub fn total(&self) -> QueryFaults {
        QueryFaults {
            majors: self.own.majors.saturating_add(self.nested.majors),
            minors: self.own.minors.saturating_add(self.nested.minors),
            wait_ns: self.own.wait_ns.saturating_add(self.nested.wait_ns),
        }
    }

    /// From begin to end; `None` where one of the two was not seen.
    #[must_use]
    pub fn wall_ns(&self) -> Option<u64> {
        let seen = self.end == QueryEnd::Ended && !self.begun_before;
        seen.then(|| self.end_ns.saturating_sub(self.begin_ns))
    }
}
