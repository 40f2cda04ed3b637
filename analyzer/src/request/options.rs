//! Options of the verbs, as plain types.

use crate::request::weight::{ColorScale, Weight};
use clap::ValueEnum;
use std::path::PathBuf;

/// How a heatmap is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum HeatmapFormat {
    /// Cells of colour, or digits, for people.
    #[default]
    Table,
    /// The cells with faults, comma-separated.
    Csv,
    /// The cells with faults, as a JSON array.
    Json,
    /// The cells with faults, a JSON object per line.
    Jsonl,
    /// The text for people, for an issue or a pull request.
    Markdown,
    /// Lines of 'time place value' for every cell, as in damo, for gnuplot and NumPy.
    Raw,
    /// A picture.
    Png,
    /// A picture with tooltips.
    Svg,
}

/// What the rows of a heatmap are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum YAxis {
    /// Addresses, or with --file file offsets.
    #[default]
    Place,
    /// How long faults took, on a logarithmic scale.
    Latency,
}

/// Options of `heatmap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeatmapOptions {
    /// How it is written.
    pub form: HeatmapFormat,
    /// What the rows are.
    pub y: YAxis,
    /// First and last byte.
    pub range: Option<(u64, u64)>,
    /// What a cell shows.
    pub weight: Weight,
    /// Levels.
    pub spread: ColorScale,
    /// Nothing is cut.
    pub whole: bool,
    /// Rows, if given.
    pub rows: Option<usize>,
    /// Columns, if given.
    pub columns: Option<usize>,
    /// Regions and files to draw.
    pub panels: usize,
}

/// What a row of the table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum GroupBy {
    /// Major, minor, failed if any, all.
    #[default]
    #[value(alias = "major")]
    Class,
    /// One row per cause, as in causes.
    Cause,
    /// One row per process.
    Pid,
    /// One row per thread.
    Tid,
    /// One row per thread name.
    Comm,
    /// One row per file or kind of memory.
    File,
    /// One row per kind of memory: file, anon, heap, stack, shm.
    Kind,
    /// One row per query name; a fault counts for the innermost query of its thread.
    Query,
    /// One row per single query.
    #[value(alias = "query_id")]
    QueryId,
    /// What was tried: read, write, exec.
    Access,
    /// Who faulted: user, kernel, gup, gup_remote.
    Origin,
    /// One row per CPU.
    Cpu,
    /// Number of extra attempts of the kernel.
    Retries,
    /// Whether the fault failed.
    Failed,
    /// One row per user stack, innermost function first.
    #[value(alias = "stack-id", alias = "stack_id")]
    Stack,
}

/// Options of `percentiles`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PercentileOptions {
    /// What a row is.
    pub by: GroupBy,
    /// Quantiles without an error.
    pub exact: bool,
    /// A histogram, too.
    pub histogram: bool,
}

/// One of the tables of `causes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CausePart {
    /// The longest waits for pages that were being read, and whose reads these were.
    Reads,
    /// Waits of the kernel's own accesses to memory, of which no fault tells, by system call.
    Hidden,
}

/// Options of `causes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CauseOptions {
    /// This table instead.
    pub part: Option<CausePart>,
}

/// One of the tables of `memory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MemoryPart {
    /// What more memory would have avoided, by its amount.
    Curve,
    /// Files and kinds of memory.
    Files,
    /// Refaults by time since the page's last fault.
    Times,
    /// Refaults by distinct pages faulted since.
    Distances,
}

/// Options of `memory`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryOptions {
    /// This table alone.
    pub part: Option<MemoryPart>,
    /// How much memory there was, if that is known.
    pub memory_bytes: Option<u64>,
}

/// One of the tables of `timeline`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TimelinePart {
    /// What happened in each interval.
    Intervals,
    /// The longest stalls.
    Stalls,
}

/// How many threads make a stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StallThreshold {
    /// So many.
    Threads(u32),
    /// A share of the threads alive then, in thousandths of a percent, and two at least.
    Share(u32),
}

impl Default for StallThreshold {
    fn default() -> Self {
        Self::Share(50_000)
    }
}

impl StallThreshold {
    /// With so many threads alive.
    #[must_use]
    pub fn of(self, alive: u32) -> u32 {
        match self {
            Self::Threads(threads) => threads.max(1),
            Self::Share(share) => {
                let threads = (u64::from(alive) * u64::from(share)).div_ceil(100_000);
                u32::try_from(threads).unwrap_or(u32::MAX).max(2)
            }
        }
    }
}

/// Options of `timeline`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimelineOptions {
    /// Length of an interval, if given.
    pub interval_ns: Option<u64>,
    /// What makes a stall.
    pub least: StallThreshold,
    /// Stalls to tell of.
    pub stalls: usize,
    /// This table alone.
    pub part: Option<TimelinePart>,
}

/// How much of a tree to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackLimits {
    /// Branches below this share are hidden, in thousandths of a percent.
    pub min_share: u32,
    /// Frames below this depth are hidden.
    pub depth: Option<u32>,
}

/// Options of `stacks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackOptions {
    /// What makes a branch heavy.
    pub weight: Weight,
    /// For flame graph tools.
    pub folded: bool,
    /// How much of the tree to show.
    pub limits: StackLimits,
}

/// Options of `queries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryOptions {
    /// A row per name.
    Names,
    /// So many single queries, longest wait first.
    Slowest(usize),
    /// One query.
    Id(u64),
}

/// Options of `regions`: what the file is divided by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegionOptions {
    /// A list.
    pub list: Option<PathBuf>,
    /// The recorded file, or a copy of it.
    pub copy: Option<PathBuf>,
    /// Equal parts, at most so many.
    pub parts: Option<u16>,
}

/// Options of `sql`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlOptions {
    /// The question; without one the tables are listed.
    pub query: Option<String>,
    /// What the columns asked for may take, bytes.
    pub max_memory: u64,
}

impl SqlOptions {
    /// What all may take, where `limit` is asked for: the columns, and as much for the answer.
    #[must_use]
    pub fn memory_limit(&self, limit: u64) -> u64 {
        limit.max(self.max_memory.saturating_mul(2))
    }
}

/// Options of `diff`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffOptions {
    /// The recording B.
    pub other: PathBuf,
    /// Rows of each table; 0 for all, as everywhere.
    pub top: Option<usize>,
}
