//! The command line. clap's types stop here: [`Cli::resolve`] turns them into plain [`Options`].

mod values;

use std::{ffi::OsString, ops::Range, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use pf_bpf::BackendChoice;
use pf_notation::{count, names::Names, usage};
use thiserror::Error;

use crate::queries::QuerySpec;

use values::{
    address_range, existing_file, microseconds, milliseconds, ring_bytes, seconds, threads, variable,
};

const USAGE: &str = "\
pfrec -o FILE [OPTIONS] -- COMMAND [ARG]...
       pfrec -o FILE [OPTIONS] (-p PID,... | --cgroup PATH | -a)
       pfrec -i [MS] [OPTIONS] (-p PID,... | --cgroup PATH | -a | -- COMMAND [ARG]...)
       pfrec doctor";

const AFTER_HELP: &str = "\
Exit status:
  that of COMMAND (128+N if signal N ended it), or 0 without COMMAND
  3    with --strict: the counts are not exact
  125  pfrec failed, or its command line is wrong
  126  COMMAND cannot be executed
  127  COMMAND does not exist

Examples:
  sudo pfrec -o trace.pfz -- mmap-workload     record a program and all it starts
  sudo pfrec -o trace.pfz -p 4711 -d 10        record a running process for ten seconds
  sudo pfrec -o trace.pfz -a                   record everything until Ctrl-C
  pfanalyze trace.pfz                          analyze the recording, on any machine
  sudo pfrec -i 1000 -p 4711                   watch its threads without recording
  sudo pfrec -v --major-only -- COMMAND        list major faults as they happen";

/// Record every page fault of a program, with its latency, into a .pfz trace.
#[derive(Debug, Parser)]
#[command(
    name = "pfrec",
    bin_name = "pfrec",
    version,
    override_usage = USAGE,
    after_help = AFTER_HELP,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    record: RecordArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Report which backends this kernel supports, which one is used, and how to fix what is missing.
    Doctor,
}

// The brackets are those of a usage line.
#[allow(rustdoc::broken_intra_doc_links)]
#[derive(Debug, Args)]
struct RecordArgs {
    /// Write the trace to FILE (FILE.partial until it is complete), or to standard output with `-`.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace FILE even if it is not a trace.
    #[arg(long, requires = "output")]
    force: bool,

    /// Record these running processes, their threads and descendants, until they end; 0 means every process.
    #[arg(
        short,
        long,
        value_name = "PID",
        value_delimiter = ',',
        allow_negative_numbers = true,
        value_parser = count::parse_id,
        conflicts_with = "all"
    )]
    pid: Vec<u32>,

    /// Record every process but pfrec itself.
    #[arg(short, long)]
    all: bool,

    /// With -p: do not record the children of the given processes.
    #[arg(long, requires = "pid", conflicts_with = "all")]
    no_children: bool,

    /// Record all processes in this cgroup and in those below it. PATH is its directory, its path in the hierarchy as in
    /// /proc/PID/cgroup, or its id.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["pid", "all", "command"])]
    cgroup: Option<PathBuf>,

    /// Stop recording after SECONDS, or a time with a unit, as in 500ms or 2min; COMMAND continues, and pfrec waits for it.
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = seconds)]
    duration: Option<Duration>,

    /// Mechanism by which the kernel is observed.
    #[arg(long, value_enum, default_value_t = Backend::Auto)]
    backend: Backend,

    /// Run COMMAND as this user (default: the user who called sudo, else the current user). A user other than that of
    /// pfrec gets a separate session, terminal and environment.
    #[arg(long, value_name = "NAME", requires = "command")]
    user: Option<String>,

    /// With --user: also pass on these environment variables, besides TERM, TZ and the locale.
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "user", value_parser = variable)]
    preserve_env: Vec<String>,

    /// Size of the buffer between the kernel and pfrec, per CPU: a power of two in bytes, or as 16MiB (default: 128MiB
    /// divided by the number of CPUs, at least 1MiB and at most 16MiB).
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true, value_parser = ring_bytes)]
    buffer_size: Option<u32>,

    /// Record user stacks (the program must be compiled with frame pointers).
    #[arg(long, help_heading = "More per fault")]
    stacks: bool,

    /// Record how each fault spent its time: blocked, waiting for a CPU, in reclaim, waiting for locks.
    #[arg(long, help_heading = "More per fault")]
    breakdown: bool,

    /// Record what each fault waited for, as far as the kernel shows it: where it slept longest in the kernel, how many
    /// pages it read, and whether the page was present. Includes --breakdown.
    #[arg(long, help_heading = "More per fault")]
    causes: bool,

    /// Record which query each fault belongs to (repeatable). SPEC names what begins and ends a query on a thread:
    /// usdt:[PATH:]PROVIDER:BEGIN..END or func:PATH:SYMBOL, followed by ,id=argN ,text=argN if wanted. Probes named
    /// pf:query_begin and pf:query_end are found automatically; `none` turns that off.
    #[arg(long = "query", value_name = "SPEC", help_heading = "More per fault")]
    queries: Vec<QuerySpec>,

    /// Count the events of the recorded tasks independently of the probes (costs 0.5 us per context switch), and exit with
    /// status 3 unless the counts were checked and balance. Counted losses are not a failure.
    #[arg(long)]
    strict: bool,

    #[command(flatten)]
    watch: Watch,

    #[command(flatten)]
    filter: Filter,

    /// The program to record, with its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Backend {
    /// The best one that this kernel supports.
    Auto,
    /// Trampolines on handle_mm_fault: also sees retries, failed faults and those of get_user_pages.
    Fentry,
    /// Software events: works without kprobes and trampolines.
    Perf,
    /// Software events, and a kprobe on handle_mm_fault: also sees retries.
    Kprobe,
}

/// What pfrec is asked to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Examine the kernel.
    Doctor,
    /// Record.
    Record(Box<Options>),
}

/// A recording, all choices made.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the trace goes, if there is to be one.
    pub output: Option<Output>,
    /// Whether it may replace what is no trace.
    pub force: bool,
    /// What is recorded.
    pub scope: Scope,
    /// The program to start, with its arguments.
    pub command: Option<Vec<OsString>>,
    /// Whom to run it as; `None` means the invoking user.
    pub user: Option<String>,
    /// Variables that another user's command gets.
    pub preserve_env: Vec<String>,
    /// When to stop.
    pub duration: Option<Duration>,
    /// How to observe.
    pub backend: BackendChoice,
    /// Room for faults, bytes per CPU.
    pub buffer_bytes: Option<u32>,
    /// Whether to take user stacks.
    pub stacks: bool,
    /// Whether to break down the time of a fault.
    pub breakdown: bool,
    /// Whether to take witnesses of a fault's cause.
    pub causes: bool,
    /// What begins and ends a query.
    pub queries: Vec<QuerySpec>,
    /// Whether counts that are not exact are a failure.
    pub strict: bool,
    /// What to show meanwhile.
    pub watch: Watch,
    /// What to leave out.
    pub filter: Filter,
}

impl Options {
    /// Whether faults leave the kernel one by one.
    #[must_use]
    pub fn makes_records(&self) -> bool {
        self.output.is_some() || self.watch.verbose
    }
}

/// What is shown while the target runs: with `-o` beside the recording, else instead of it.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(next_help_heading = "Live view (instead of -o, or in addition)")]
pub struct Watch {
    /// Show the threads that fault every MS milliseconds, or a time with a unit, as in 2s (1000 if none is given): in place
    /// on a terminal (press h for the keys), else line by line. Faults are counted in the kernel; without -o and -v none is
    /// passed to pfrec.
    #[arg(short, long, value_name = "MS", num_args = 0..=1, default_missing_value = "1000", allow_negative_numbers = true, value_parser = milliseconds)]
    pub interval: Option<Duration>,

    /// Print each fault as it happens: time, name, thread, class, latency, address, file and offset.
    #[arg(short, long)]
    pub verbose: bool,

    /// Output format of -i and -v. JSON is one object per line; times are in UTC.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Table)]
    pub format: Format,

    /// With -i: show at most N threads at a time, with 1 KiB of kernel memory each; the others share one row.
    #[arg(long = "live-threads", value_name = "N", default_value_t = 8192, allow_negative_numbers = true, value_parser = count::within::<u32>(1, 1 << 18), requires = "interval")]
    pub threads: u32,
}

/// How what is shown is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For scripts.
    Json,
}

/// Which faults of the target are recorded. The others cost less than recorded ones, and are counted.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(next_help_heading = "Filters, in the kernel")]
pub struct Filter {
    /// Record major faults only.
    #[arg(long)]
    pub major_only: bool,

    /// Record only faults that took at least US microseconds, or a time with a unit, as in 800ns or 1.5ms.
    #[arg(long, value_name = "US", allow_negative_numbers = true, value_parser = microseconds)]
    pub min_latency: Option<Duration>,

    /// Record one minor fault in N, at random; reports scale their numbers up. All major faults are recorded.
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true, value_parser = count::within::<u32>(1, 1_000_000), conflicts_with = "major_only")]
    pub sample: u32,

    /// Only threads of this name (the first 15 bytes count, as in /proc/PID/comm); with * and ? it is a pattern, with commas
    /// a list (repeatable).
    #[arg(long, value_name = "NAME", value_parser = threads)]
    pub comm: Vec<Names>,

    /// Only threads of this user, by name or number.
    #[arg(long, value_name = "USER")]
    pub uid: Option<String>,

    /// Only addresses from START up to END, hexadecimal: 0x7f0000000000-0x7f0000100000 (repeatable).
    #[arg(long = "address", value_name = "START-END", value_parser = address_range)]
    pub addresses: Vec<Range<u64>>,

    /// Only faults on mappings of this file, which must exist: pfrec opens it. PATH is no pattern.
    #[arg(long, value_name = "PATH", value_parser = existing_file)]
    pub file: Option<PathBuf>,
}

/// Where the trace goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// A file, `.partial` until complete.
    File(PathBuf),
    /// Standard output.
    Stdout,
}

/// What is recorded.
#[derive(Debug, PartialEq, Eq)]
pub enum Scope {
    /// COMMAND and its descendants.
    Command,
    /// Running processes, with or without their descendants.
    Pids {
        /// The processes named.
        pids: Vec<u32>,
        /// Whether their descendants are recorded too.
        children: bool,
    },
    /// A cgroup and those below it, as typed.
    Cgroup(PathBuf),
    /// Everything.
    All,
}

/// Flags that do not go together.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UsageError {
    /// Nothing to record.
    #[error("nothing to record: give -- COMMAND, -p PID, --cgroup PATH or -a")]
    NoTarget,
    /// No -o.
    #[error(
        "no output: give -o FILE to record (for example -o trace.pfz), -i to watch the threads, or -v to list each fault"
    )]
    NoOutput,
    /// What only a trace holds.
    #[error("{0}: needs a recording: give -o FILE")]
    OnlyRecorded(&'static str),
    /// --format without anything to print.
    #[error("--format: applies to the output of -i and -v: give one of them")]
    NothingToFormat,
    /// -p with a command.
    #[error("-p PID and -- COMMAND exclude each other: give only one of them")]
    PidAndCommand,
    /// -- ''
    #[error("COMMAND is empty: name a program after --")]
    EmptyCommand,
    /// 0 among others.
    #[error("-p 0 means every process: give it alone, or use -a")]
    ZeroAmongPids,
}

/// What clap says, and what it cannot know: that a free word is the command to record.
#[must_use]
pub fn explain(mut error: clap::Error) -> clap::Error {
    // Behind these there is no command to record, or it stands there already.
    let is_elsewhere = std::env::args_os().any(|word| word == "doctor" || word == "--");
    if let Some(word) = usage::unexpected_word(&error)
        .map(str::to_owned)
        .filter(|_| !is_elsewhere)
    {
        let whole = usage::command_line_with("--", &word);
        usage::tip(
            &mut error,
            format!("the command to record stands after --: {whole}"),
        );
    }
    error
}

impl Cli {
    /// Checks what clap cannot and makes the choices that defaults imply.
    pub fn resolve(self) -> Result<Action, UsageError> {
        if let Some(Verb::Doctor) = self.verb {
            return Ok(Action::Doctor);
        }
        let args = self.record;
        if args.command.first().is_some_and(|name| name.is_empty()) {
            return Err(UsageError::EmptyCommand);
        }
        let command = (!args.command.is_empty()).then_some(args.command);
        let everything = args.all || args.pid == [0];
        let scope = if everything {
            Scope::All
        } else if args.pid.contains(&0) {
            return Err(UsageError::ZeroAmongPids);
        } else if !args.pid.is_empty() {
            if command.is_some() {
                return Err(UsageError::PidAndCommand);
            }
            Scope::Pids {
                pids: args.pid,
                children: !args.no_children,
            }
        } else if command.is_some() {
            Scope::Command
        } else if let Some(cgroup) = args.cgroup {
            Scope::Cgroup(cgroup)
        } else {
            return Err(UsageError::NoTarget);
        };
        let watches = args.watch.interval.is_some() || args.watch.verbose;
        let output = match args.output {
            None if !watches => return Err(UsageError::NoOutput),
            None => None,
            Some(path) if path.as_os_str() == "-" => Some(Output::Stdout),
            Some(path) => Some(Output::File(path)),
        };
        let only_recorded = [
            (args.stacks, "--stacks"),
            (args.breakdown, "--breakdown"),
            (args.causes, "--causes"),
            (!args.queries.is_empty(), "--query"),
        ];
        if let Some((_, flag)) = only_recorded.iter().find(|(given, _)| *given && output.is_none()) {
            return Err(UsageError::OnlyRecorded(flag));
        }
        if args.watch.format != Format::Table && !watches {
            return Err(UsageError::NothingToFormat);
        }
        Ok(Action::Record(Box::new(Options {
            output,
            force: args.force,
            scope,
            command,
            user: args.user,
            preserve_env: args.preserve_env,
            duration: args.duration,
            backend: match args.backend {
                Backend::Auto => BackendChoice::Auto,
                Backend::Fentry => BackendChoice::Fentry,
                Backend::Perf => BackendChoice::Perf,
                Backend::Kprobe => BackendChoice::Kprobe,
            },
            buffer_bytes: args.buffer_size,
            stacks: args.stacks,
            breakdown: args.breakdown || args.causes,
            causes: args.causes,
            queries: args.queries,
            strict: args.strict,
            watch: args.watch,
            filter: args.filter,
        })))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use clap::CommandFactory;

    use super::*;

    fn resolve(args: &[&str]) -> Result<Action, UsageError> {
        Cli::try_parse_from([&["pfrec"], args].concat())
            .unwrap()
            .resolve()
    }

    #[test]
    fn every_verb_and_option_is_in_the_manuals() {
        let prefix = tempfile::tempdir().unwrap();
        let complaints = pf_manuals::check::complaints(&Cli::command(), prefix.path()).unwrap();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_command_is_taken_after_two_dashes_with_its_own_flags() {
        let Ok(Action::Record(options)) = resolve(&["-o", "t.pfz", "--", "ls", "-a"]) else {
            panic!("not a recording");
        };
        assert_eq!(options.scope, Scope::Command);
        assert_eq!(options.command, Some(vec!["ls".into(), "-a".into()]));
    }

    #[test]
    fn pid_zero_means_everything() {
        let Ok(Action::Record(options)) = resolve(&["-o", "-", "-p", "0"]) else {
            panic!("not a recording");
        };
        assert_eq!(
            (options.scope, options.output),
            (Scope::All, Some(Output::Stdout))
        );
    }

    #[test]
    fn watching_needs_no_output_and_an_interval_no_number() {
        for (args, interval, records) in [
            (&["-i", "250", "-a"][..], Some(250), false),
            (&["-i", "-p", "1"], Some(1000), false),
            (&["-v", "-p", "1"], None, true),
            (&["-i", "-o", "t", "--", "ls"], Some(1000), true),
        ] {
            let Ok(Action::Record(options)) = resolve(args) else {
                panic!("not a recording: {args:?}");
            };
            assert_eq!(
                options.watch.interval,
                interval.map(Duration::from_millis),
                "{args:?}"
            );
            assert_eq!(options.makes_records(), records, "{args:?}");
        }
        assert!(Cli::try_parse_from(["pfrec", "-i", "0", "-a"]).is_err());
        let stacks = resolve(&["-i", "-a", "--stacks"]);
        assert_eq!(stacks, Err(UsageError::OnlyRecorded("--stacks")));
        let format = resolve(&["-o", "t", "-a", "--format", "json"]);
        assert_eq!(format, Err(UsageError::NothingToFormat));
    }

    #[test]
    fn causes_include_the_breakdown_and_need_a_recording() {
        for (args, expected) in [
            (&["-o", "t", "-a", "--causes"][..], (true, true)),
            (&["-o", "t", "-a", "--breakdown"], (true, false)),
            (&["-o", "t", "-a"], (false, false)),
        ] {
            let Ok(Action::Record(options)) = resolve(args) else {
                panic!("not a recording: {args:?}");
            };
            assert_eq!((options.breakdown, options.causes), expected, "{args:?}");
        }
        let watched = resolve(&["-i", "-a", "--causes"]);
        assert_eq!(watched, Err(UsageError::OnlyRecorded("--causes")));
    }

    #[test]
    fn contradictions_are_named() {
        assert_eq!(resolve(&["-o", "t"]), Err(UsageError::NoTarget));
        assert_eq!(resolve(&["-a"]), Err(UsageError::NoOutput));
        assert_eq!(resolve(&["-o", "t", "--", ""]), Err(UsageError::EmptyCommand));
        assert_eq!(
            resolve(&["-o", "t", "-p", "1", "--", "ls"]),
            Err(UsageError::PidAndCommand)
        );
        assert_eq!(resolve(&["-o", "t", "-p", "0,1"]), Err(UsageError::ZeroAmongPids));
        assert!(Cli::try_parse_from(["pfrec", "-o", "t", "-a", "-p", "1"]).is_err());
    }
}
