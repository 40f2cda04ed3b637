//! `pfrec`: records every page fault of a program, with its latency, into a `.pfz` trace.

mod accounting;
mod backlog;
mod cgroup;
mod cli;
mod clock;
mod confined;
mod demangle;
mod doctor;
mod drain;
mod encode;
mod family;
/// What the fuzzer does, as tests.
#[cfg(test)]
#[path = "../fuzz/src/targets/mod.rs"]
mod fuzzed;
mod hints;
mod host;
mod identity;
mod launch;
mod ledger;
mod live;
mod mapped;
mod mapped_file;
mod niceness;
mod open;
mod outlet;
mod output;
mod own_terminal;
mod progress;
mod queries;
mod recording;
mod say;
mod session;
mod sideband;
mod stacks;
mod stop;
mod summary;
mod target;
mod write_queue;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use cli::{Action, Cli};
use launch::LaunchError;

/// pfrec itself failed, as `env(1)` and its kin say it.
const FAILED: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

fn main() -> ExitCode {
    if let Some(status) = pf_manuals::answer::<Cli>() {
        return status;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            say::say_of_usage(&e);
            // Help and version are answers, not errors.
            return if e.use_stderr() {
                FAILED.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match run(cli) {
        Ok(status) => status.into(),
        Err(e) => {
            say::complain(&e, hints::hint(&e));
            exit_code(&e).into()
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<u8> {
    match cli.resolve()? {
        Action::Doctor => {
            let examination = doctor::examine();
            match pf_printing::text_out().write_all(examination.report.as_bytes()) {
                Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(e.into()),
                _ => Ok(if examination.can_record { 0 } else { FAILED }),
            }
        }
        Action::Record(options) => recording::record(&options),
    }
}

fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref() {
        Some(LaunchError::NotFound(_)) => NOT_FOUND,
        Some(LaunchError::NotExecutable { .. }) => NOT_EXECUTABLE,
        None => FAILED,
    }
}
