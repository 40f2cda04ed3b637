//! The command line. clap's types stop here: [`Cli::resolve`] turns them into plain [`Options`].

mod values;

use std::{ffi::OsString, ops::Range, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use pf_bpf::BackendChoice;
use thiserror::Error;

use crate::queries::QuerySpec;

use values::{parse_latency, parse_range, parse_ring_size, parse_sample, parse_seconds};

const USAGE: &str = "\
pfrec -o FILE [OPTIONS] -- COMMAND [ARG]...
       pfrec -o FILE [OPTIONS] (-p PID,... | --cgroup PATH | -a)
       pfrec doctor";

const AFTER_HELP: &str = "\
Exit status: that of COMMAND (128+N when signal N ended it), 0 without COMMAND,
125 when pfrec itself fails, 126 when COMMAND cannot be executed, 127 when it does not exist.

Examples:
  sudo pfrec -o trace.pfz -- mmap-workload     record a program and all it starts
  sudo pfrec -o trace.pfz -p 4711 -d 10        record a running process for ten seconds
  sudo pfrec -o trace.pfz -a                   record everything until Ctrl-C
  pfanalyze trace.pfz                          read the recording, anywhere";

/// Record every page fault of a program, with its latency, into a .pfz trace.
#[derive(Debug, Parser)]
#[command(
    name = "pfrec",
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
    /// Say what this kernel allows, which backend would be used, and what to do about what fails.
    Doctor,
}

#[derive(Debug, Args)]
struct RecordArgs {
    /// Write the trace to FILE (FILE.partial until it is complete), or to standard output with `-`.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Record these running processes, their threads and descendants, until they end; 0 means every process.
    #[arg(
        short,
        long,
        value_name = "PID",
        value_delimiter = ',',
        conflicts_with = "all"
    )]
    pid: Vec<u32>,

    /// Record every process but pfrec itself.
    #[arg(short, long)]
    all: bool,

    /// With -p: leave out the children of the given processes.
    #[arg(long, requires = "pid")]
    no_children: bool,

    /// Record whatever runs in this cgroup and those below it: its folder, its path in the hierarchy as
    /// /proc/PID/cgroup shows it, or its number.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["pid", "all", "command"])]
    cgroup: Option<PathBuf>,

    /// Stop recording after SECONDS; COMMAND goes on and pfrec waits for it.
    #[arg(short, long, value_name = "SECONDS", value_parser = parse_seconds)]
    duration: Option<Duration>,

    /// How the kernel is observed.
    #[arg(long, value_enum, default_value_t = Backend::Auto)]
    backend: Backend,

    /// Run COMMAND as this user (default: the user who called sudo, else the current one).
    #[arg(long, value_name = "NAME", requires = "command")]
    user: Option<String>,

    /// Room for faults between the kernel and pfrec, for each CPU: a power of two, such as 16M (default: 128M
    /// shared by all CPUs, at least 1M and at most 16M for each).
    #[arg(long, value_name = "SIZE", value_parser = parse_ring_size)]
    buffer_size: Option<u32>,

    /// Record user stacks (the program must be compiled with frame pointers).
    #[arg(long, help_heading = "More per fault")]
    stacks: bool,

    /// Record where the time of each fault went: blocked, waiting for a CPU, in reclaim, for locks.
    #[arg(long, help_heading = "More per fault")]
    breakdown: bool,

    /// Tell which query each fault belongs to (repeatable): what begins and ends a query on a thread, as
    /// usdt:[PATH:]PROVIDER:BEGIN..END or func:PATH:SYMBOL, and ,id=argN ,text=argN behind it. Probes named
    /// pf:query_begin and pf:query_end are found by themselves; `none` leaves them alone.
    #[arg(long = "query", value_name = "SPEC", help_heading = "More per fault")]
    queries: Vec<QuerySpec>,

    #[command(flatten)]
    filter: Filter,

    /// The program to record, with its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Backend {
    /// The best this kernel takes.
    Auto,
    /// Trampolines on handle_mm_fault: sees retries, failed faults and those of get_user_pages, too.
    Fentry,
    /// Software events: works without kprobes and trampolines.
    Perf,
    /// Software events, and a kprobe on handle_mm_fault: sees retries, too.
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
    /// Where the trace goes.
    pub output: Output,
    /// What is recorded.
    pub scope: Scope,
    /// The program to start, with its arguments.
    pub command: Option<Vec<OsString>>,
    /// Whom to run it as; `None` means the invoking user.
    pub user: Option<String>,
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
    /// What begins and ends a query.
    pub queries: Vec<QuerySpec>,
    /// What to leave out.
    pub filter: Filter,
}

/// Which faults of the target are recorded. Those left out cost less than those recorded, and are counted.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(next_help_heading = "Filters, in the kernel")]
pub struct Filter {
    /// Leave out minor faults.
    #[arg(long)]
    pub major_only: bool,

    /// Leave out faults that took less than US microseconds (or with a unit: 800ns, 1.5ms).
    #[arg(long, value_name = "US", value_parser = parse_latency)]
    pub min_latency: Option<Duration>,

    /// Record one minor fault in N, by chance; reports scale them up. Major faults are all recorded.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = parse_sample, conflicts_with = "major_only")]
    pub sample: u32,

    /// Only threads of this name (the first 15 bytes count, as in /proc/PID/comm).
    #[arg(long, value_name = "NAME")]
    pub comm: Option<String>,

    /// Only threads of this user, by name or number.
    #[arg(long, value_name = "USER")]
    pub uid: Option<String>,

    /// Only addresses from START up to END, hexadecimal (repeatable).
    #[arg(long = "address", value_name = "START-END", value_parser = parse_range)]
    pub addresses: Vec<Range<u64>>,

    /// Only faults on mappings of this file.
    #[arg(long, value_name = "PATH")]
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
    #[error("nothing to record: give -- COMMAND, -p PID, --cgroup PATH or -a (see pfrec --help)")]
    NoTarget,
    /// No -o.
    #[error("no output: give -o FILE (for example -o trace.pfz)")]
    NoOutput,
    /// -p with a command.
    #[error("-p PID and -- COMMAND exclude each other: record one or the other")]
    PidAndCommand,
    /// -- ''
    #[error("the COMMAND after -- is an empty word")]
    EmptyCommand,
    /// 0 among others.
    #[error("-p 0 means every process: give it alone, or use -a")]
    ZeroAmongPids,
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
        let output = match args.output {
            None => return Err(UsageError::NoOutput),
            Some(path) if path.as_os_str() == "-" => Output::Stdout,
            Some(path) => Output::File(path),
        };
        Ok(Action::Record(Box::new(Options {
            output,
            scope,
            command,
            user: args.user,
            duration: args.duration,
            backend: match args.backend {
                Backend::Auto => BackendChoice::Auto,
                Backend::Fentry => BackendChoice::Fentry,
                Backend::Perf => BackendChoice::Perf,
                Backend::Kprobe => BackendChoice::Kprobe,
            },
            buffer_bytes: args.buffer_size,
            stacks: args.stacks,
            breakdown: args.breakdown,
            queries: args.queries,
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
        assert_eq!((options.scope, options.output), (Scope::All, Output::Stdout));
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
