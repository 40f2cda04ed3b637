//! The command line: clap types, and their translation into the plain options of the library. Clap stops here.

use crate::cli::causes::CauseArgs;
use crate::engine::filter::Filter;
use crate::output::command::Caller;
use crate::output::render::Format;
use crate::request::Request;
use crate::request::Verb;
use crate::request::options::QueryOptions;
use crate::request::options::StackLimits;
use crate::request::options::StackOptions;
use crate::request::weight::Weight;
use crate::trace::cause::Cause;
use crate::trace::class::Class;
use crate::trace::memory_limit;
use clap::error::{ContextKind, ErrorKind};
use clap::{Args, Command, CommandFactory, Parser, Subcommand, ValueEnum};
use memory::MemoryArgs;
use percentiles::PercentileArgs;
use pf_notation::moment::{self, Clock, Moment};
use pf_notation::names::Names;
use pf_notation::{count, percent, usage};
use regions::RegionArgs;
use sort::OrderArgs;
use std::env;
use std::path::{Path, PathBuf};
use timeline::TimelineArgs;
use values::{bytes, microseconds};
use whole::{Repair, Verify, Whole};

mod causes;
mod diff;
mod endings;
mod heatmap;
mod memory;
mod options;
mod percentiles;
mod regions;
mod sort;
mod sql;
mod timeline;
mod values;
mod whole;

/// Analyzes a page-fault trace recorded by pfrec: which threads waited, for what, and for how long.
#[derive(Debug, Parser)]
#[command(
    name = "pfanalyze",
    bin_name = "pfanalyze",
    version,
    args_conflicts_with_subcommands = true,
    override_usage = "pfanalyze TRACE [OPTIONS]\n       pfanalyze VERB TRACE [OPTIONS]",
    after_help = "Without a verb: the report for a first look. A trace called like a verb is given as ./threads.\n\
                  Exit status: 0 done, 1 error, 2 wrong usage, 3 (verify and repair) done, but the trace has losses or damage,\n\
                  or its recording did not end as intended."
)]
pub struct Cli {
    /// The trace; - reads standard input
    #[arg(value_name = "TRACE")]
    trace: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(subcommand)]
    verb: Option<VerbArgs>,
}

#[derive(Debug, Subcommand)]
enum VerbArgs {
    /// Faults and waiting time per thread
    Threads(Tabular),
    /// Faults, waiting time, distinct pages, repeated major faults and access order per file or kind of memory
    ///
    /// REREAD_BYTES is the size of the pages whose major fault was not their first. Major faults on a page that overlap in
    /// time count as one; readahead is not included. SEQ_% is the share of sequential steps: the fault lies at most 64 KiB
    /// behind one of the last four places where its thread faulted in that file, or up to 2 MiB if the next large folio
    /// begins there. STRIDE_% is the share of other steps as long as the step before. Both are empty for a sample and for
    /// memory without a file.
    Files(Tabular),
    /// Why faults waited, as far as the recording looked (pfrec --causes)
    ///
    /// CAUSE: read (added pages to the page cache), read-wait (slept for a page that somebody else brought in), swap-in,
    /// writeback, fs (slept in the file system otherwise), reclaim, lock (of the address space), userfault (a page server),
    /// cow and mkwrite (a store to a private, a shared page that was there), anon-map (memory without a file), map (a page of
    /// a file that was in memory), preempted (mostly without a CPU), signal, unknown. Each rests on what the kernel showed:
    /// the stack of the longest sleep, additions to the page cache, and whether the page was there. PAGES_READ: pages that
    /// these faults added to the page cache. TOP_FUNCTION: the function of the kernel in which they slept longest.
    Causes {
        #[command(flatten)]
        table: Tabular,
        #[command(flatten)]
        causes: CauseArgs,
    },
    /// Latency percentiles by class, thread, file, query, stack or any other column, and a histogram
    Percentiles {
        #[command(flatten)]
        table: Tabular,
        #[command(flatten)]
        percentiles: PercentileArgs,
    },
    /// Faults by time and address, with --file by time and file offset, or by time and latency; also as a picture
    Heatmap(heatmap::Heatmap),
    /// The code that faulted: user stacks as a tree, callers on top; needs pfrec --stacks
    Stacks {
        #[command(flatten)]
        plain: Plain,
        #[command(flatten)]
        stacks: StackArgs,
    },
    /// Page-fault waits of each query (a unit of work on a thread); needs pfrec --query
    #[command(
        mut_arg("comm", |filter| filter.hide(true)),
        mut_arg("file", |filter| filter.hide(true)),
        mut_arg("major", |filter| filter.hide(true)),
        mut_arg("minor", |filter| filter.hide(true)),
        mut_arg("failed", |filter| filter.hide(true)),
        mut_arg("min_latency", |filter| filter.hide(true)),
        mut_arg("max_latency", |filter| filter.hide(true))
    )]
    Queries {
        #[command(flatten)]
        table: Tabular,
        #[command(flatten)]
        queries: QueryArgs,
    },
    /// Faults and waiting time per named part of one file: tensors of a model, members of an archive, or your own list
    ///
    /// --file names the file. By default pfanalyze reads it at its recorded path: the tensors of a GGUF or safetensors file,
    /// the members of a zip. If it has another format, or is not available, it is divided into equal parts. A fault counts
    /// for the region of the accessed byte, which the faulting address gives, and so does its page: a page that two regions
    /// share can count for both. If the kernel faulted on its own behalf, the address is that of the page, and the region
    /// of its first byte counts. Regions without faults have no rows.
    Regions {
        #[command(flatten)]
        table: Tabular,
        #[command(flatten)]
        regions: RegionArgs,
    },
    /// Rates, waits and waiting threads over time, and stalls: when many threads were inside a fault at once
    Timeline {
        #[command(flatten)]
        plain: Plain,
        #[command(flatten)]
        timeline: TimelineArgs,
    },
    /// Pages faulted more than once, and an estimate of what more memory would have avoided
    Memory {
        #[command(flatten)]
        table: Tabular,
        #[command(flatten)]
        memory: MemoryArgs,
    },
    /// One line per fault, sorted by time within each block of the trace
    ///
    /// --sort and --top give the first rows in another order: the ten slowest faults are --sort latency --top 10.
    Events(Tabular),
    /// Query the tables faults, threads, files, mappings, processes, queries, losses and host in SQL
    Sql(sql::Sql),
    /// Compare two recordings: what changed, by how much, and whether they are comparable
    Diff(diff::Diff),
    /// Facts about the recording: host, options, counts, losses
    Info(Whole),
    /// Check every byte: what is damaged, where, and how many events are missing; exit status 3 if any
    Verify(Verify),
    /// Write the readable part of a damaged or unfinished trace to -o FILE as a clean trace, and verify it
    Repair(Repair),
}

#[derive(Debug, Args)]
struct Plain {
    /// The trace; - reads standard input
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Of the verbs that give a table of which rows can be chosen.
#[derive(Debug, Args)]
struct Tabular {
    #[command(flatten)]
    plain: Plain,
    #[command(flatten)]
    order: OrderArgs,
}

#[derive(Debug, Args)]
struct OutputArgs {
    /// How to write the result [default: table, or what the name of the output FILE ends in: .txt, .csv, .json,
    /// .jsonl, .md]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    limit: LimitArgs,
}

#[derive(Debug, Args)]
struct LimitArgs {
    /// Memory limit: bytes, or 512M, 2GiB; the command fails when it needs more
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true, default_value = memory_limit::DEFAULT, value_parser = bytes)]
    memory_limit: u64,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Filters (all must hold; several values of one are alternatives)")]
struct FilterArgs {
    /// Only faults that began at TIME or later: seconds from the start of the recording, or with a unit, as in 250ms; or the
    /// clock, as in 14:03:05 or "2026-11-29 01:58:58", in your zone, or with Z or +01:00 in another
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = moment::parse)]
    from: Option<Moment>,
    /// Only faults that began before TIME
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = moment::parse)]
    to: Option<Moment>,
    /// Only these processes: 12,13
    #[arg(long, value_name = "PID", value_delimiter = ',', allow_negative_numbers = true, value_parser = count::parse_id)]
    pid: Vec<u32>,
    /// Only these threads: 12,13
    #[arg(long, value_name = "TID", value_delimiter = ',', allow_negative_numbers = true, value_parser = count::parse_id)]
    tid: Vec<u32>,
    /// Only threads of this name; with * and ? it is a pattern, with commas a list
    #[arg(long, value_name = "NAME", value_parser = values::threads)]
    comm: Vec<Names>,
    /// Only files of this path, or of this name if it has no /; with * and ? it is a pattern, with commas a list; also [anon],
    /// [heap], [stack], [shm]
    #[arg(long, value_name = "PATH", value_parser = values::files)]
    file: Vec<Names>,
    /// Only faults in this query, or one inside it: its id, or a part of its name or text, or a pattern with * or ?
    #[arg(long, value_name = "NAME|ID", value_parser = values::query)]
    query: Vec<String>,
    /// Only faults that the kernel counts as major
    #[arg(long)]
    major: bool,
    /// Only faults that the kernel counts as minor; they may have waited for another thread's I/O
    #[arg(long)]
    minor: bool,
    /// Only failed and abandoned faults; the kernel counts them as neither
    #[arg(long)]
    failed: bool,
    /// Only faults of these causes, of a recording that looked for them: read, read-wait, swap-in, writeback, fs, reclaim, lock,
    /// userfault, cow, mkwrite, anon-map, map, preempted, signal, unknown
    #[arg(long, value_name = "CAUSE", value_delimiter = ',', value_parser = values::cause)]
    cause: Vec<Cause>,
    /// Only faults of at least TIME: microseconds, or with a unit, as in 1.5ms
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = microseconds)]
    min_latency: Option<u64>,
    /// Only faults of at most TIME
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = microseconds)]
    max_latency: Option<u64>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Stacks")]
struct StackArgs {
    /// What makes a branch heavy
    #[arg(long, value_enum, default_value_t)]
    weight: Weight,
    /// One line per stack for inferno-flamegraph or flamegraph.pl: thread;caller;callee VALUE, in whole nanoseconds, or
    /// in faults with --weight count
    #[arg(long, conflicts_with_all = ["min_percent", "depth"])]
    folded: bool,
    /// Hide branches below P percent of the whole [default: 0.5; with --format csv or json 0]
    #[arg(long, value_name = "P", allow_negative_numbers = true, value_parser = percent::parse_thousandths)]
    min_percent: Option<u32>,
    /// Hide frames deeper than N, counted from the outermost one
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count::within::<u32>(1, u32::MAX.into()))]
    depth: Option<u32>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Queries")]
struct QueryArgs {
    /// The N queries with the longest page-fault wait, each with its faults in order
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count::within::<u16>(1, 1000), conflicts_with = "id")]
    slowest: Option<u16>,
    /// This query alone, with its faults and the queries around and inside it
    #[arg(long, value_name = "ID", allow_negative_numbers = true, value_parser = count::within::<u64>(1, u64::MAX))]
    id: Option<u64>,
}

impl Cli {
    /// Checks what clap cannot and gives plain options.
    ///
    /// # Errors
    /// One line for a usage error.
    pub fn into_request(self) -> Result<Request, String> {
        let (plain, order, verb) = match self.verb {
            None => {
                let trace = self
                    .trace
                    .ok_or("no trace given: name the file that pfrec wrote, as in: pfanalyze trace.pfz")?;
                refuse_verb(&trace)?;
                let plain = Plain {
                    trace,
                    output: self.output,
                    filter: self.filter,
                };
                (plain, None, Verb::Report)
            }
            Some(VerbArgs::Threads(table)) => table.with(Verb::Threads),
            Some(VerbArgs::Files(table)) => table.with(Verb::Files),
            Some(VerbArgs::Causes { table, causes }) => table.with(Verb::Causes(causes.into_options())),
            Some(VerbArgs::Events(table)) => table.with(Verb::Events),
            Some(VerbArgs::Percentiles { table, percentiles }) => {
                table.with(Verb::Percentiles(percentiles.into_options()))
            }
            Some(VerbArgs::Stacks { plain, stacks }) => {
                let options = stacks.into_options(&plain.output)?;
                (plain, None, Verb::Stacks(options))
            }
            Some(VerbArgs::Queries { table, queries }) => table.with(Verb::Queries(queries.into_options())),
            Some(VerbArgs::Regions { table, regions }) => {
                let asked = regions.into_options(&table.plain.filter.file, &table.plain.trace)?;
                table.with(Verb::Regions(asked))
            }
            Some(VerbArgs::Sql(sql)) => {
                let (plain, verb) = sql.into_parts()?;
                (plain, None, verb)
            }
            Some(VerbArgs::Diff(diff)) => {
                let (plain, verb) = diff.into_parts()?;
                (plain, None, verb)
            }
            Some(VerbArgs::Heatmap(heatmap)) => {
                let (plain, options) = heatmap.into_options()?;
                (plain, None, Verb::Heatmap(options))
            }
            Some(VerbArgs::Timeline { plain, timeline }) => {
                (plain, None, Verb::Timeline(timeline.into_options()))
            }
            Some(VerbArgs::Memory { table, memory }) => table.with(Verb::Memory(memory.into_options())),
            Some(VerbArgs::Info(whole)) => return whole.into_info(),
            Some(VerbArgs::Verify(verify)) => return verify.into_request(),
            Some(VerbArgs::Repair(repair)) => return repair.into_request(),
        };
        let format = match &verb {
            // Text of its own, whatever the file is called.
            Verb::Stacks(options) if options.folded => Format::Table,
            _ => plain.output.format()?,
        };
        if verb == Verb::Report && format == Format::Csv {
            let threads = Caller::of(&plain.trace).command("threads", &[("--format", Some("csv".into()))]);
            return Err(format!("the report cannot be CSV, name a verb: {threads}"));
        }
        let order = order.unwrap_or_default();
        if order.is_given() && !verb.gives_a_table() {
            return Err(match verb {
                Verb::Memory(_) => "--sort and --top are for one table: choose it with --part".into(),
                _ => "--sort and --top are for the table of all queries: leave --slowest and --id out".into(),
            });
        }
        let filter = plain.filter.into_filter()?;
        if let (Verb::Queries(_), Some(condition)) = (&verb, filter.is_about_faults()) {
            let events = Caller::of(&plain.trace)
                .within(filter.arguments())
                .command("events", &[("--format", Some("csv".into()))]);
            return Err(format!(
                "queries are counted whole, and {condition} selects single faults; these have a query_id each: {events}"
            ));
        }
        Ok(Request {
            trace: plain.trace,
            format,
            order: order.into_order(),
            output: plain.output.output,
            memory_limit: match &verb {
                Verb::Sql(options) => options.memory_limit(plain.output.limit.memory_limit),
                _ => plain.output.limit.memory_limit,
            },
            verb,
            filter,
        })
    }
}

impl Tabular {
    fn with(self, verb: Verb) -> (Plain, Option<OrderArgs>, Verb) {
        (self.plain, Some(self.order), verb)
    }
}

/// A trace that is not there, and is called nearly like a verb: then that was meant.
fn refuse_verb(trace: &Path) -> Result<(), String> {
    let word = trace.to_string_lossy();
    match usage::similar_subcommand(&Cli::command(), &word) {
        // With a path it is a file that is meant, as in ./threads.
        Some(verb) if !word.contains('/') && !trace.exists() => Err(format!(
            "'{word}' is neither a trace nor a verb; a similar verb exists: pfanalyze {verb} TRACE"
        )),
        _ => Ok(()),
    }
}

/// What clap says, and what it cannot know: that a free word too many means a verb that does not exist, or one at the wrong
/// place.
#[must_use]
pub fn explain(error: clap::Error) -> clap::Error {
    let words: Vec<String> = env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let command = Cli::command();
    if usage::unexpected_word(&error).is_none() && !is_verb_after_trace(&error) {
        return options::explain(error, &command, &words);
    }
    let names: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    let Some(first) = words.first().filter(|first| !names.contains(&first.as_str())) else {
        return error;
    };
    if let Some(verb) = words.iter().skip(1).find(|word| names.contains(&word.as_str())) {
        return usage::error(format!("the verb comes first: pfanalyze {verb} TRACE [OPTIONS]"));
    }
    match usage::similar_subcommand(&command, first) {
        Some(verb) => usage::error(format!(
            "unrecognized verb '{first}'\n\n  tip: a similar verb exists: '{verb}'"
        )),
        None => usage::error(format!(
            "give one trace, after the verb if any: pfanalyze [VERB] TRACE; the verbs are {}",
            names.join(", ")
        )),
    }
}

fn is_verb_after_trace(error: &clap::Error) -> bool {
    error.kind() == ErrorKind::ArgumentConflict && error.get(ContextKind::InvalidSubcommand).is_some()
}

impl OutputArgs {
    /// The format of verbs that write all of them.
    fn format(&self) -> Result<Format, String> {
        endings::format(self.format, self.output.as_deref(), Format::value_variants())
    }
}

impl FilterArgs {
    fn into_filter(self) -> Result<Filter, String> {
        let ((from_ns, from_clock), (to_ns, to_clock)) = (parts(self.from), parts(self.to));
        if let (Some(from), Some(to)) = (from_ns, to_ns)
            && from >= to
        {
            return Err("--from must be before --to".into());
        }
        if let (Some(min), Some(max)) = (self.min_latency, self.max_latency)
            && min > max
        {
            return Err("--min-latency is above --max-latency: no fault can pass".into());
        }
        let given = [
            (self.major, Class::Major),
            (self.minor, Class::Minor),
            (self.failed, Class::Failed),
        ];
        let mut classes = given
            .into_iter()
            .filter(|(is_given, _)| *is_given)
            .map(|(_, class)| class);
        let class = classes.next();
        if let (Some(one), Some(other)) = (class, classes.next()) {
            return Err(format!(
                "--{} and --{} exclude each other: leave both out for all faults",
                one.name(),
                other.name()
            ));
        }
        Ok(Filter {
            from_ns,
            to_ns,
            from_clock,
            to_clock,
            pids: self.pid,
            tids: self.tid,
            comms: self.comm,
            files: self.file,
            class,
            causes: self.cause,
            min_latency_ns: self.min_latency,
            max_latency_ns: self.max_latency,
            query_names: self.query,
            queries: None,
        })
    }
}

impl QueryArgs {
    fn into_options(self) -> QueryOptions {
        match (self.slowest, self.id) {
            (Some(count), _) => QueryOptions::Slowest(count.into()),
            (None, Some(id)) => QueryOptions::Id(id),
            (None, None) => QueryOptions::Names,
        }
    }
}

impl StackArgs {
    fn into_options(self, output: &OutputArgs) -> Result<StackOptions, String> {
        let is_other = output.format.is_some_and(|format| format != Format::Table);
        if self.folded && is_other {
            return Err("--folded is a format of its own: leave --format out".into());
        }
        let is_named_so = || {
            let ending = output.output.as_deref().and_then(Path::extension);
            output.format.is_none() && ending.is_some_and(|ending| ending == "folded")
        };
        let folded = self.folded || is_named_so();
        let is_table = folded || output.format()? == Format::Table;
        let default = if is_table { MIN_SHARE } else { 0 };
        Ok(StackOptions {
            weight: self.weight,
            folded,
            limits: StackLimits {
                min_share: self.min_percent.unwrap_or(default),
                depth: self.depth,
            },
        })
    }
}

/// Branches of stacks thinner than this do not help in a table: half a percent, in thousandths of one.
const MIN_SHARE: u32 = 500;

/// A point in time: since the start, or by the clock.
fn parts(moment: Option<Moment>) -> (Option<u64>, Option<Clock>) {
    match moment {
        Some(Moment::SinceStart(ns)) => (Some(ns), None),
        Some(Moment::Clock(clock)) => (None, Some(clock)),
        None => (None, None),
    }
}

#[cfg(test)]
mod tests;
