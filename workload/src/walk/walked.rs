//! What one thread did, and what it cost.

use std::ffi::CString;

use super::kernel::Faults;

/// What one thread did and what it cost.
#[derive(Debug)]
pub(super) struct Walked {
    pub(super) tid: u32,
    pub(super) comm: String,
    pub(super) accesses: u64,
    pub(super) faults: Faults,
    pub(super) begin_ns: u64,
    pub(super) end_ns: u64,
    /// CPU time between the two.
    pub(super) cpu_ns: u64,
    /// Of the bytes that were touched, in their order.
    pub(super) checksum: u64,
    /// Each touch, if that was asked for.
    pub(super) touches: Vec<Touch>,
    /// Its queries, if that was asked for.
    pub(super) queries: Option<Ended>,
}

/// One touch of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Touch {
    /// `CLOCK_MONOTONIC` just before.
    pub(super) begin_ns: u64,
    /// And just after.
    pub(super) end_ns: u64,
    /// The touched byte.
    pub(super) address: u64,
    /// The page that holds it, counted from the start of the mapping.
    pub(super) page: u64,
    /// What the thread was charged for it.
    pub(super) faults: Faults,
}

/// The queries of a thread that has walked.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// Of the outer ones, with what those inside of them cost.
    pub(super) total: QueryCost,
    pub(super) outer: u64,
    pub(super) inner: u64,
    pub(super) names: [CString; 2],
    /// In the order of their ends; empty without `--query-report`.
    pub(super) rows: Vec<Query>,
}

/// What queries cost, one or many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct QueryCost {
    pub(super) accesses: u64,
    #[serde(flatten)]
    pub(super) faults: Faults,
    /// Time of the touches that faulted.
    pub(super) wait_ns: u64,
    /// Time from begin to end.
    pub(super) wall_ns: u64,
}

/// One query that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// Unique in the process, never 0.
    pub(super) id: u64,
    /// The query around it, 0 for none.
    pub(super) parent: u64,
    /// With what the queries inside of it cost.
    pub(super) cost: QueryCost,
}

impl QueryCost {
    pub(super) fn add(&mut self, other: Self) {
        self.accesses += other.accesses;
        self.faults.majors += other.faults.majors;
        self.faults.minors += other.faults.minors;
        self.wait_ns += other.wait_ns;
        self.wall_ns += other.wall_ns;
    }
}
