//! `pfrec`: records every page fault of a program, with its latency, into a `.pfz` trace.

mod cli;
mod clock;
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
use target::launch::LaunchError;

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
            messages::say_of_usage(&e);
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
            messages::complain(&e, hints::hint(&e));
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
