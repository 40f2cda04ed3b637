//! `pfanalyze`: reads the command line, runs it, and turns the outcome into an exit status.

use pf_notation::usage;
use pfanalyze::cli::{Cli, explain};
use pfanalyze::error::AnalyzeError;
use pfanalyze::trace::memory_limit::{self, Counting};
use pfanalyze::verbs::context::Outcome;
use std::process::ExitCode;

#[global_allocator]
static MEMORY: Counting = Counting;

/// Wrong usage, as clap has it.
const USAGE: u8 = 2;
/// Done, but the trace has losses or damage.
const INCOMPLETE: u8 = 3;

fn main() -> ExitCode {
    if let Some(status) = pf_manuals::answer::<Cli>() {
        return status;
    }
    let cli = match <Cli as clap::Parser>::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::report(&explain(error), USAGE),
    };
    let request = match cli.into_request() {
        Ok(request) => request,
        Err(wrong) => return usage::report(&usage::error(wrong), USAGE),
    };
    memory_limit::set(request.memory_limit);
    match pfanalyze::verbs::run(&request) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Incomplete) => ExitCode::from(INCOMPLETE),
        // What only the trace could tell, such as the names of its columns.
        Err(error) => match error.downcast_ref() {
            Some(AnalyzeError::Usage(wrong)) => usage::report(&usage::error(wrong), USAGE),
            _ => fail(&format!("{error:#}")),
        },
    }
}

fn fail(message: &str) -> ExitCode {
    pf_printing::say(format_args!("error: {}", usage::without_numbers(message)));
    ExitCode::FAILURE
}
