//! How the two programs meet the shell: one-line errors, exit status, broken pipes.
//! Does not own what they do.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::MAX_MB;

/// Exit status of a command line that makes no sense.
const USAGE: u8 = 2;

/// Reads the command line. `Err` holds the status to exit with: help or version was printed, or one
/// line naming the flag that is wrong.
pub fn parse_arguments<T: Parser>() -> Result<T, ExitCode> {
    T::try_parse().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match error.print() {
            Err(problem) if problem.kind() != io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
            _ => ExitCode::SUCCESS,
        },
        _ => {
            say(first_paragraph(&error.to_string()));
            ExitCode::from(USAGE)
        }
    })
}

/// Reads a size in MB; what is wrong with it is said in words.
pub fn parse_mb(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("1 or more MB".to_owned()),
        Ok(megabytes) if megabytes > MAX_MB => Err(format!("{MAX_MB} MB or less")),
        Ok(megabytes) => Ok(megabytes),
        Err(problem) => Err(problem.to_string()),
    }
}

/// Turns the outcome of a program into its exit status; the error, if any, is one line.
pub fn exit_code(outcome: anyhow::Result<()>) -> ExitCode {
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    let broken_pipe = error
        .downcast_ref::<io::Error>()
        .is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe);
    if broken_pipe {
        return ExitCode::SUCCESS;
    }
    say(format_args!("error: {error:#}"));
    ExitCode::FAILURE
}

/// One line for people. Whoever closed standard error wants to hear nothing.
pub fn say(line: impl Display) {
    writeln!(io::stderr(), "{line}").ok();
}

/// clap explains over several lines; people who read logs want one.
fn first_paragraph(text: &str) -> String {
    let lines = text
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
    lines
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_several_lines_becomes_one() {
        let text = "error: something is missing:\n  -s <MB>\n\nUsage: x\n\nFor more information\n";
        assert_eq!(first_paragraph(text), "error: something is missing: -s <MB>");
    }
}
