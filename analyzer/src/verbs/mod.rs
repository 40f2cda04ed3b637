//! What can be asked of a trace: a file or a folder per verb, each with its pass, its tables, its text and its `run`.

pub mod causes;
pub mod context;
pub mod diff;
pub mod events;
pub mod files;
pub mod heatmap;
pub mod info;
pub mod memory;
pub mod percentiles;
pub mod queries;
pub mod regions;
pub mod repair;
pub mod report;
pub mod sql;
pub mod stacks;
pub mod threads;
pub mod timeline;
pub mod verify;

use crate::request::{Request, Verb};
use context::Outcome;

/// Does what was asked.
///
/// # Errors
/// Input, output, or a question that the trace cannot answer.
pub fn run(request: &Request) -> anyhow::Result<Outcome> {
    match &request.verb {
        Verb::Report => report::run(request),
        Verb::Threads => threads::run(request),
        Verb::Files => files::run(request),
        Verb::Causes(options) => causes::run(request, *options),
        Verb::Percentiles(options) => percentiles::run(request, *options),
        Verb::Heatmap(options) => heatmap::run(request, *options),
        Verb::Stacks(options) => stacks::run(request, *options),
        Verb::Queries(options) => queries::run(request, *options),
        Verb::Regions(options) => regions::run(request, options),
        Verb::Timeline(options) => timeline::run(request, *options),
        Verb::Memory(options) => memory::run(request, *options),
        Verb::Events => events::run(request),
        Verb::Sql(options) => sql::run(request, options),
        Verb::Diff(options) => diff::run(request, options),
        Verb::Info => info::run(request),
        Verb::Verify => verify::run(request),
        Verb::Repair { force } => repair::run(request, *force),
    }
}
