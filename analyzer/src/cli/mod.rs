//! The command line: clap types, and their translation into the plain options of the library. Clap stops here.

use crate::engine::filter::Filter;
use crate::output::command::Caller;
use crate::output::render::Format;
use crate::output::units::{parse_address, parse_duration_ns, parse_size};
use crate::request::Request;
use crate::request::Verb;
use crate::request::options::QueryOptions;
use crate::request::options::StackLimits;
use crate::request::options::StackOptions;
use crate::request::weight::Weight;
use crate::trace::class::Class;
use crate::trace::memory_limit;
use crate::trace::name_pattern::Pattern;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use memory::MemoryArgs;
use percentiles::PercentileArgs;
use regions::RegionArgs;
use sort::OrderArgs;
use std::path::{Path, PathBuf};
use timeline::TimelineArgs;
use whole::{Repair, Whole};

mod diff;
mod endings;
mod heatmap;
mod memory;
mod percentiles;
mod regions;
mod sort;
mod sql;
mod timeline;
mod whole;

/// Replays a page-fault trace recorded by pfrec: who waited, on what, for how long.
#[derive(Debug, Parser)]
#[command(
    name = "pfanalyze",
    bin_name = "pfanalyze",
    version,
    args_conflicts_with_subcommands = true,
    override_usage = "pfanalyze TRACE [OPTIONS]\n       pfanalyze VERB TRACE [OPTIONS]",
    after_help = "Without a verb: the report for a first look. A trace called like a verb is given as ./threads.\n\
                  Exit status: 0 done, 1 error, 2 wrong usage, 3 (verify and repair) done, but the trace has losses or damage."
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
    Threads(Plain),
    /// Faults, waiting time, distinct pages, bytes read again and order per file or kind of memory
    ///
    /// REREAD is the size of pages whose major fault was not their first (threads that wait for a page together wait for one
    /// read); readahead is not in it. SEQ_% is the share of sequential steps: a fault is one when it lies at most 64 KiB
    /// behind one of the last four places where its thread faulted in that file, or up to 2 MiB if it is where the next large
    /// folio begins. STRIDE_% are other steps as far as the step before. Both are empty of a sample and of nameless memory.
    Files(Plain),
    /// Latency percentiles by class, thread, file, query, stack or any other column, and a histogram
    Percentiles {
        #[command(flatten)]
        plain: Plain,
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
    Queries {
        #[command(flatten)]
        plain: Plain,
        #[command(flatten)]
        queries: QueryArgs,
    },
    /// Faults and waiting time per named part of one file: tensors of a model, members of an archive, or a list of yours
    ///
    /// The file is the one that --file names. By default it is asked itself, at its recorded path: the tensors of a GGUF or
    /// safetensors file, the members of a zip. Where it is none of these, or not here, it is divided into equal parts. A fault
    /// counts for the region of the byte that was accessed, as the faulting address tells, and so does its page: one that two
    /// regions share can be a page of both. Where the kernel faulted for itself the address is that of the page, and the
    /// region of its first byte counts. Regions without faults have no rows.
    Regions {
        #[command(flatten)]
        plain: Plain,
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
    /// Pages faulted more than once, and what more memory would have avoided
    Memory {
        #[command(flatten)]
        plain: Plain,
        #[command(flatten)]
        memory: MemoryArgs,
    },
    /// One line per fault, sorted by time within each block of the trace
    Events(Plain),
    /// Query the tables faults, threads, files, mappings, queries, losses and host in SQL
    Sql(sql::Sql),
    /// Compare two recordings: what changed, by how much, and whether they are comparable
    Diff(diff::Diff),
    /// Facts about the recording: host, options, counts, losses
    Info(Whole),
    /// Check every byte: what is damaged, where, and how many events are missing; exit status 3 if any
    Verify(Whole),
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
    order: OrderArgs,
    #[command(flatten)]
    filter: FilterArgs,
}

#[derive(Debug, Args)]
struct OutputArgs {
    /// How to write the result [default: table, or what the name of the output FILE ends in: .csv, .json, .md]
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
    /// Memory limit, with K, M or G; the command fails when it needs more
    #[arg(long, value_name = "SIZE", default_value = memory_limit::DEFAULT, value_parser = parse_size)]
    memory_limit: u64,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Filters (all must hold; several values of one are alternatives)")]
struct FilterArgs {
    /// Only faults that began at TIME or later: seconds from the start of the recording, or with ns, us, ms, s
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    from: Option<u64>,
    /// Only faults that began before TIME
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    to: Option<u64>,
    /// Only these processes: 12,13
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pid: Vec<u32>,
    /// Only these threads: 12,13
    #[arg(long, value_name = "TID", value_delimiter = ',')]
    tid: Vec<u32>,
    /// Only threads whose name contains NAME, or fits it when it has * or ?
    #[arg(long, value_name = "NAME")]
    comm: Vec<String>,
    /// Only files whose path contains PATH, or fits it when it has * or ?; also [anon], [heap], [stack], [shm]
    #[arg(long, value_name = "PATH")]
    file: Vec<String>,
    /// Only faults in this query, or one inside it: its id, or a part of its name or text, or a pattern with * or ?
    #[arg(long, value_name = "NAME|ID")]
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
    /// Only faults of at least TIME: microseconds, or with ns, us, ms, s
    #[arg(long, value_name = "TIME", value_parser = microseconds)]
    min_latency: Option<u64>,
    /// Only faults of at most TIME
    #[arg(long, value_name = "TIME", value_parser = microseconds)]
    max_latency: Option<u64>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Stacks")]
struct StackArgs {
    /// What makes a branch heavy
    #[arg(long, value_enum, default_value_t = Weight::Wait)]
    weight: Weight,
    /// One line per stack for inferno-flamegraph or flamegraph.pl: thread;caller;callee VALUE, in whole nanoseconds, or
    /// in faults with --weight count
    #[arg(long, conflicts_with_all = ["min_percent", "depth"])]
    folded: bool,
    /// Hide branches below P percent of the whole [default: 0.5; with --format csv or json 0]
    #[arg(long, value_name = "P", value_parser = thousandths_of_percent)]
    min_percent: Option<u32>,
    /// Hide frames deeper than N, counted from the outermost one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    depth: Option<u32>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Queries")]
struct QueryArgs {
    /// The N single queries with the longest page-fault wait, each with its faults in order
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000), conflicts_with = "id")]
    slowest: Option<u16>,
    /// This query alone, with its faults and the queries around and inside it
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u64).range(1..))]
    id: Option<u64>,
}

impl Cli {
    /// The verb that a mistyped word may stand for.
    #[must_use]
    pub fn nearest_verb(word: &str) -> Option<String> {
        let command = Self::command();
        let scored = command
            .get_subcommands()
            .map(clap::Command::get_name)
            .map(|verb| (strsim::damerau_levenshtein(word, verb), verb.to_owned()));
        let best = scored.min()?;
        // One letter in three may be wrong.
        (best.0 > 0 && best.0 * 3 <= word.len()).then_some(best.1)
    }

    /// Checks what clap cannot and gives plain options.
    ///
    /// # Errors
    /// One line for a usage error.
    pub fn into_request(self) -> Result<Request, String> {
        let (plain, verb) = match self.verb {
            None => {
                let trace = self
                    .trace
                    .ok_or("no trace given: name the file that pfrec wrote; the options: pfanalyze --help")?;
                check_name(&trace)?;
                (
                    Plain {
                        trace,
                        output: self.output,
                        order: OrderArgs::default(),
                        filter: self.filter,
                    },
                    Verb::Report,
                )
            }
            Some(VerbArgs::Threads(plain)) => (plain, Verb::Threads),
            Some(VerbArgs::Files(plain)) => (plain, Verb::Files),
            Some(VerbArgs::Events(plain)) => (plain, Verb::Events),
            Some(VerbArgs::Percentiles { plain, percentiles }) => {
                (plain, Verb::Percentiles(percentiles.into_options()))
            }
            Some(VerbArgs::Stacks { plain, stacks }) => {
                let options = stacks.into_options(&plain.output)?;
                (plain, Verb::Stacks(options))
            }
            Some(VerbArgs::Queries { plain, queries }) => (plain, Verb::Queries(queries.into_options())),
            Some(VerbArgs::Regions { plain, regions }) => {
                let asked = regions.into_options(&plain.filter.file, &plain.trace)?;
                (plain, Verb::Regions(asked))
            }
            Some(VerbArgs::Sql(sql)) => sql.into_parts(),
            Some(VerbArgs::Diff(diff)) => diff.into_parts()?,
            Some(VerbArgs::Heatmap(heatmap)) => {
                let (plain, options) = heatmap.into_options()?;
                (plain, Verb::Heatmap(options))
            }
            Some(VerbArgs::Timeline { plain, timeline }) => (plain, Verb::Timeline(timeline.into_options())),
            Some(VerbArgs::Memory { plain, memory }) => (plain, Verb::Memory(memory.into_options())),
            Some(VerbArgs::Info(whole)) => return whole.into_info(),
            Some(VerbArgs::Verify(whole)) => return whole.into_verify(),
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
        if plain.order.is_given() && !verb.gives_a_table() {
            return Err(
                "--sort and --top are for verbs that give a table: threads, files, percentiles, queries and others"
                    .into(),
            );
        }
        Ok(Request {
            trace: plain.trace,
            format,
            order: plain.order.into_order(),
            output: plain.output.output,
            memory_limit: match &verb {
                Verb::Sql(options) => options.memory_limit(plain.output.limit.memory_limit),
                _ => plain.output.limit.memory_limit,
            },
            verb,
            filter: plain.filter.into_filter()?,
        })
    }
}

/// A verb alone, or a mistyped one, is no trace that could be recorded.
fn check_name(trace: &Path) -> Result<(), String> {
    let near = trace
        .to_str()
        .and_then(Cli::nearest_verb)
        .filter(|_| !trace.exists());
    near.map_or(Ok(()), |verb| {
        Err(format!(
            "'{}' is neither a trace nor a verb; did you mean {verb}?",
            trace.display()
        ))
    })
}

impl OutputArgs {
    /// The format of verbs that write all of them.
    fn format(&self) -> Result<Format, String> {
        endings::format(self.format, self.output.as_deref(), Format::value_variants())
    }
}

impl FilterArgs {
    fn into_filter(self) -> Result<Filter, String> {
        if let (Some(from), Some(to)) = (self.from, self.to)
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
        let patterns = |texts: &[String]| texts.iter().map(|text| Pattern::new(text)).collect();
        Ok(Filter {
            from_ns: self.from,
            to_ns: self.to,
            pids: self.pid,
            tids: self.tid,
            comms: patterns(&self.comm),
            files: patterns(&self.file),
            class,
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

/// `0.5` is 500; digits below a thousandth are cut off.
fn thousandths_of_percent(text: &str) -> Result<u32, String> {
    let wrong = || format!("'{text}' is not a share: give percent from 0 to 100, such as 0.5");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    let is_number = |part: &str| part.chars().all(|digit| digit.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return Err(wrong());
    }
    let whole: u32 = match whole {
        "" => 0,
        whole => whole.parse().map_err(|_| wrong())?,
    };
    let digits: u32 = digits.parse().map_err(|_| wrong())?;
    let share = whole
        .checked_mul(1_000)
        .and_then(|whole| whole.checked_add(digits));
    share.filter(|&share| share <= 100_000).ok_or_else(wrong)
}

fn seconds(text: &str) -> Result<u64, String> {
    parse_duration_ns(text, 1_000_000_000)
}

fn microseconds(text: &str) -> Result<u64, String> {
    parse_duration_ns(text, 1_000)
}

/// `START-END`, END not included, as a first and a last byte.
fn address_range(text: &str) -> Result<(u64, u64), String> {
    let (start, end) = text
        .split_once('-')
        .ok_or("give START-END, such as 0x7f0000000000-0x7f0000100000")?;
    let (start, end) = (parse_address(start)?, parse_address(end)?);
    match end.checked_sub(1) {
        Some(last) if start <= last => Ok((start, last)),
        _ => Err("START must be below END".into()),
    }
}

#[cfg(test)]
mod tests;
