//! `pfrec`: records every page fault of a program, with its latency, into a `.pfz` trace.

mod cli;
mod clock;
mod conditions;
mod doctor;
mod files;
/// What the fuzzer does, as tests.
#[cfg(test)]
#[path = "../fuzz/src/targets/mod.rs"]
mod fuzzed;
mod hints;
mod host;
mod live;
mod messages;
mod pipeline;
mod queries;
mod recording;
mod session;
mod stacks;
mod stop;
mod target;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use cli::{Action, Cli};
use pf_notation::usage;
use target::launch::LaunchError;

/// pfrec itself failed, as `env(1)` and its kin say it.
const FAILED: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

fn main() -> ExitCode {
    if let Some(status) = pf_manuals::answer::<Cli>() {
        return status;
    }
    let action = match Cli::try_parse() {
        Ok(cli) => cli.resolve().map_err(usage::error),
        Err(e) => Err(cli::explain(e)),
    };
    let action = match action {
        Ok(action) => action,
        Err(e) => return usage::report(&e, FAILED),
    };
    match run(action) {
        Ok(status) => status.into(),
        Err(e) => {
            messages::complain(&e, hints::hint(&e));
            exit_code(&e).into()
        }
    }
}

fn run(action: Action) -> anyhow::Result<u8> {
    match action {
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
