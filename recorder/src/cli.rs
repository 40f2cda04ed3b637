//! The command line. clap's types stop here: [`Cli::resolve`] turns them into plain [`Options`].

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use pf_bpf::BackendChoice;
use thiserror::Error;

const USAGE: &str = "\
pfrec -o FILE [OPTIONS] -- COMMAND [ARG]...
       pfrec -o FILE [OPTIONS] (-p PID,... | -a)
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

    /// Stop recording after SECONDS; COMMAND goes on and pfrec waits for it.
    #[arg(short, long, value_name = "SECONDS", value_parser = parse_seconds)]
    duration: Option<Duration>,

    /// How the kernel is observed.
    #[arg(long, value_enum, default_value_t = Backend::Auto)]
    backend: Backend,

    /// Run COMMAND as this user (default: the user who called sudo, else the current one).
    #[arg(long, value_name = "NAME", requires = "command")]
    user: Option<String>,

    /// Size of the kernel ring buffer, a power of two, such as 64M.
    #[arg(long, value_name = "SIZE", default_value = "16M", value_parser = parse_ring_size)]
    buffer_size: u32,

    /// The program to record, with its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Backend {
    /// The best this kernel takes.
    Auto,
    /// Software events: works without kprobes and trampolines.
    Perf,
}

/// What pfrec is asked to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Examine the kernel.
    Doctor,
    /// Record.
    Record(Options),
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
    /// Ring buffer, bytes.
    pub ring_bytes: u32,
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
    /// Everything.
    All,
}

/// Flags that do not go together.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum UsageError {
    /// Nothing to record.
    #[error("nothing to record: give -- COMMAND, -p PID or -a (see pfrec --help)")]
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
        } else {
            return Err(UsageError::NoTarget);
        };
        let output = match args.output {
            None => return Err(UsageError::NoOutput),
            Some(path) if path.as_os_str() == "-" => Output::Stdout,
            Some(path) => Output::File(path),
        };
        Ok(Action::Record(Options {
            output,
            scope,
            command,
            user: args.user,
            duration: args.duration,
            backend: match args.backend {
                Backend::Auto => BackendChoice::Auto,
                Backend::Perf => BackendChoice::Perf,
            },
            ring_bytes: args.buffer_size,
        }))
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("must be more than 0 seconds, and less than the age of the universe".to_owned()),
    }
}

fn parse_ring_size(text: &str) -> Result<u32, String> {
    let (digits, shift) = match text.trim_end_matches(['B', 'b']).char_indices().last() {
        Some((at, 'K' | 'k')) => (&text[..at], 10),
        Some((at, 'M' | 'm')) => (&text[..at], 20),
        Some((at, 'G' | 'g')) => (&text[..at], 30),
        _ => (text, 0),
    };
    let count: u64 = digits
        .parse()
        .map_err(|_| "not a size: use bytes, or K, M, G, as in 64M".to_owned())?;
    let bytes = count.checked_shl(shift).filter(|bytes| bytes >> shift == count);
    match bytes.and_then(|bytes| u32::try_from(bytes).ok()) {
        Some(bytes) if bytes.is_power_of_two() && (64 << 10..=1 << 30).contains(&bytes) => Ok(bytes),
        _ => Err("must be a power of two from 64K to 1G".to_owned()),
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

    #[test]
    fn ring_sizes_are_powers_of_two_with_a_unit() {
        assert_eq!(parse_ring_size("64K"), Ok(64 << 10));
        assert_eq!(parse_ring_size("1G"), Ok(1 << 30));
        assert_eq!(parse_ring_size("16777216"), Ok(16 << 20));
        for bad in ["", "M", "3M", "32K", "2G", "-1", "99999999999999999999G", "1é"] {
            assert!(parse_ring_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_that_are_no_durations_are_refused() {
        assert_eq!(parse_seconds("1.5"), Ok(Duration::from_millis(1500)));
        for bad in ["", "0", "-1", "nan", "inf", "1e300", "x"] {
            assert!(parse_seconds(bad).is_err(), "{bad}");
        }
    }
}
