//! `pfanalyze`: reads the command line, runs it, and turns the outcome into an exit status.

use clap::{CommandFactory, Parser};
use pfanalyze::cli::Cli;
use pfanalyze::error::without_numbers;
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
    let request = match Cli::try_parse() {
        Ok(cli) => cli.into_request(),
        Err(error) if error.use_stderr() => Err(one_line(&error)),
        Err(help) => {
            // A closed pipe behind `--help | head` is no error.
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    let request = match request {
        Ok(request) => request,
        Err(usage) => return fail(&usage, ExitCode::from(USAGE)),
    };
    memory_limit::set(request.memory_limit);
    match pfanalyze::verbs::run(&request) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Incomplete) => ExitCode::from(INCOMPLETE),
        Err(error) => fail(&format!("{error:#}"), ExitCode::FAILURE),
    }
}

fn fail(message: &str, code: ExitCode) -> ExitCode {
    pf_printing::say(format_args!("error: {}", without_numbers(message)));
    code
}

/// Clap's message without usage and tips.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let message = text
        .split("\n\n")
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ");
    // Two free words where one is allowed: an unknown verb, or the verb after the trace.
    if message.starts_with("the subcommand") && message.contains("'[TRACE]'") {
        let cli = Cli::command();
        let verbs: Vec<&str> = cli.get_subcommands().map(clap::Command::get_name).collect();
        let word = std::env::args_os().nth(1).unwrap_or_default();
        let near = Cli::nearest_verb(&word.to_string_lossy());
        let near = near.map_or(String::new(), |verb| format!("did you mean {verb}? "));
        let verbs = verbs.join(", ");
        return format!("{near}give one trace, after the verb if any; the verbs are {verbs}");
    }
    let words: Vec<&str> = message.split_whitespace().collect();
    format!("{}; the options: pfanalyze --help", words.join(" "))
}
