//! What the probes are asked to record, and how.

use std::{ops::Range, path::PathBuf};

use crate::LiveCounting;

/// Which backend the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// The best that this kernel takes.
    #[default]
    Auto,
    /// Trampolines on `handle_mm_fault`.
    Fentry,
    /// Software events only.
    Perf,
    /// Software events, and a breakpoint on `handle_mm_fault`.
    Kprobe,
}

/// Most address ranges that can be asked for: `PF_RANGES` of `pf_filter.h`.
pub const MAX_RANGES: usize = 16;

/// Places of functions that are told from others.
pub const MAX_HIDDEN_PLACES: usize = 4;

/// Which tasks are recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Everything but the recorder.
    All,
    /// These processes, all their threads and descendants.
    Tree(Vec<u32>),
    /// These processes with all their threads, without their children.
    Pids(Vec<u32>),
    /// Whoever is in this cgroup, or in one below it, when it faults.
    Cgroup(Cgroup),
}

/// A cgroup as the kernel knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Its number, which is the inode of its folder.
    pub id: u64,
    /// The controller whose hierarchy it is in, such as `memory`; `None` for version 2.
    pub controller: Option<String>,
    /// Its folder.
    pub folder: PathBuf,
}

/// A file as the kernel's mappings have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MappedFile {
    /// Device of its file system, major and minor number.
    pub device: (u32, u32),
    /// Inode number.
    pub inode: u64,
}

/// Names of threads, as the probes compare them: a set of states, a bit of 64 each, that each byte `c` of a name takes from
/// `states` to `((states & step[c]) << 1) | (states & stay[c >> 6])`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommTables {
    /// States that a byte takes one further.
    pub step: Box<[u64; 256]>,
    /// States that a byte leaves where they are, by its two highest bits.
    pub stay: [u64; 4],
    /// States before the first byte.
    pub start: u64,
    /// States after the last byte, one of which a wanted name is in.
    pub accept: u64,
}

/// Which of the target's faults are recorded; the others are counted as filtered. The default lets all
/// pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filters {
    /// No minor faults.
    pub major_only: bool,
    /// No faster ones, nanoseconds.
    pub min_latency_ns: u64,
    /// One minor fault in so many, by chance; 1 for all.
    pub sample: u32,
    /// Threads of these names only.
    pub comm: Option<CommTables>,
    /// Threads of this user only.
    pub uid: Option<u32>,
    /// Mappings of this file only.
    pub file: Option<MappedFile>,
    /// Addresses in one of these only; empty for all. At most [`MAX_RANGES`].
    pub ranges: Vec<Range<u64>>,
}

impl Default for Filters {
    fn default() -> Self {
        Self {
            major_only: false,
            min_latency_ns: 0,
            sample: 1,
            comm: None,
            uid: None,
            file: None,
            ranges: Vec::new(),
        }
    }
}

/// How to open the probes.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which tasks are recorded.
    pub target: Target,
    /// Which of their faults.
    pub filters: Filters,
    /// Room for faults, bytes for each CPU: a power of two of at least a page.
    pub buffer_bytes: u32,
    /// Which backend to use.
    pub backend: BackendChoice,
    /// Whether user stacks are taken.
    pub stacks: bool,
    /// Whether the time of a fault is broken down.
    pub breakdown: bool,
    /// Whether witnesses of a fault's cause are taken, which needs the breakdown.
    pub causes: bool,
    /// With causes: where the functions of `get_user_pages` are, for waits in them to be told; at most
    /// [`MAX_HIDDEN_PLACES`].
    pub hidden_places: Vec<Range<u64>>,
    /// What is counted in the kernel, if anything.
    pub live: Option<LiveCounting>,
    /// Whether queries will be attached.
    pub queries: bool,
    /// The held child that is to become the command: it is in no fault when the recording begins.
    pub held: Option<u32>,
    /// Whether the events of the recorded tasks are counted by counters of their own; else those of the whole machine are.
    pub strict: bool,
    /// What is made to go wrong, for tests.
    pub faults: InjectedFaults,
}

/// Faults of our own making, by which tests see that the check of the counts can fail: every so many of these goes
/// wrong without anybody being told; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InjectedFaults {
    /// Runs of the completion programs.
    pub completions: u32,
    /// Runs of the entry programs.
    pub entries: u32,
    /// Records in a lane.
    pub records: u32,
    /// Records of thread ends.
    pub exits: u32,
    /// States of tasks, when they are to be made.
    pub states: u32,
}

impl Config {
    /// A recording of `target` with nothing special.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            target,
            filters: Filters::default(),
            buffer_bytes: 1 << 20,
            backend: BackendChoice::Auto,
            stacks: false,
            breakdown: false,
            causes: false,
            hidden_places: Vec::new(),
            live: None,
            queries: false,
            held: None,
            strict: false,
            faults: InjectedFaults::default(),
        }
    }
}
