//! The page-fault probes: BPF programs, the wire record they send, and the backends that attach them.
//!
//! [`Probes::open`] loads and attaches; [`Ring`] drains what the probes send; [`Drops`] says what they
//! could not send. Nothing here knows files, mappings or the `.pfz` format.

mod argument;
mod attach;
mod backend;
mod check;
mod config;
mod cpus;
mod drops;
mod error;
mod event_counts;
mod features;
mod lanes;
mod libbpf_log;
mod live;
mod probes;
mod queries;
mod report;
mod ring;
mod wire;

/// Generated from `src/bpf/pfrec.bpf.c`.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_imports,
    clippy::all,
    clippy::pedantic,
    clippy::restriction
)]
mod skel {
    include!(concat!(env!("OUT_DIR"), "/pfrec.skel.rs"));
}

pub use backend::EntryEvent;
pub use check::{Offset, Tally};
pub use config::{
    BackendChoice, Cgroup, CommTables, Config, Filters, InjectedFaults, MAX_HIDDEN_PLACES, MAX_RANGES,
    MappedFile, Target,
};
pub use cpus::{is_gone, online_cpus};
pub use drops::Drops;
pub use error::ProbeError;
pub use event_counts::files_are_few;
pub use features::can_tell_queries;
pub use live::{LIVE_BUCKETS, Live, LiveCounting, LiveCounts, LiveThread, bucket_bounds};
pub use probes::{CountScope, EventCheck, Injected, LiveAside, Probes};
pub use queries::{MAX_SITES, QueryArgs, QueryPoint, QueryProbe, UsdtPoint, UsdtSite};
pub use report::{Attempt, survey, try_query};
pub use ring::{Ring, SETTLE_NS};
pub use wire::{
    Counts, Exec, Exit, Fault, HiddenWait, Query, QueryFaults, QueryText, Record, Stack, Times, Vma,
    Witnesses,
};
