//! What was asked, free of the command line and of any trace.

pub mod options;
pub mod weight;

use crate::engine::filter::Filter;
use crate::output::order::Order;
use crate::output::render::Format;
use crate::request::options::{
    CauseOptions, DiffOptions, HeatmapOptions, MemoryOptions, PercentileOptions, QueryOptions, RegionOptions,
    SqlOptions, StackOptions, TimelineOptions,
};
use std::path::{Path, PathBuf};

/// What to do, free of clap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The trace.
    pub trace: PathBuf,
    /// The verb and its own options.
    pub verb: Verb,
    /// How to write.
    pub format: Format,
    /// Which rows of a table.
    pub order: Order,
    /// Where to write; standard output if `None`.
    pub output: Option<PathBuf>,
    /// The most memory to take, bytes.
    pub memory_limit: u64,
    /// Which faults.
    pub filter: Filter,
}

impl Request {
    /// The files that are read beside the trace, as far as the command line tells.
    #[must_use]
    pub(crate) fn inputs(&self) -> Vec<&Path> {
        match &self.verb {
            Verb::Diff(options) => vec![&options.other],
            Verb::Regions(asked) => [&asked.list, &asked.copy]
                .into_iter()
                .filter_map(Option::as_deref)
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// A verb with its own options.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as on the command line")]
pub enum Verb {
    Report,
    Threads,
    Files,
    Causes(CauseOptions),
    Percentiles(PercentileOptions),
    Heatmap(HeatmapOptions),
    Stacks(StackOptions),
    Queries(QueryOptions),
    Regions(RegionOptions),
    Timeline(TimelineOptions),
    Memory(MemoryOptions),
    Events,
    Sql(SqlOptions),
    Diff(DiffOptions),
    Info,
    Verify,
    Repair { force: bool },
}

impl Verb {
    /// Whether the result is a table of which rows can be chosen.
    #[must_use]
    pub(crate) fn gives_a_table(&self) -> bool {
        !matches!(
            self,
            Self::Report
                | Self::Heatmap(_)
                | Self::Stacks(_)
                | Self::Queries(QueryOptions::Slowest(_) | QueryOptions::Id(_))
                | Self::Timeline(_)
                | Self::Memory(MemoryOptions { part: None, .. })
                | Self::Sql(_)
                | Self::Diff(_)
                | Self::Info
                | Self::Verify
                | Self::Repair { .. }
        )
    }
}
