//! `pfrec`: records every page fault of a program, with its latency, into a `.pfz` trace.

mod cli;
mod clock;
mod doctor;
mod drain;
mod encode;
mod hints;
mod host;
mod identity;
mod launch;
mod ledger;
mod output;
mod progress;
mod recording;
mod session;
mod sideband;
mod stop;
mod summary;
mod write_queue;

use std::process::ExitCode;

use clap::Parser;
use cli::{Action, Cli};
use launch::LaunchError;

/// pfrec itself failed, as `env(1)` and its kin say it.
const FAILED: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are answers, not errors. Nobody is left to tell if printing fails.
            e.print().ok();
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
            eprintln!("error: {e:#}");
            if let Some(hint) = hints::hint(&e) {
                eprintln!("hint: {hint}");
            }
            exit_code(&e).into()
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<u8> {
    match cli.resolve()? {
        Action::Doctor => Ok(if doctor::run() { 0 } else { FAILED }),
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
