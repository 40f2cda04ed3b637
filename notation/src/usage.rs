//! How a wrong command line is reported: in clap's words and clap's form, by all our programs.

use crate::shell::shell_word;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Parser};
use std::env;
use std::fmt::Display;
use std::process::ExitCode;

/// Reads the command line. `Err` has the status to exit with: help or the version was printed, or what is wrong.
///
/// # Errors
/// The status to exit with, which is `wrong` for a wrong command line.
pub fn parse<C: Parser>(wrong: u8) -> Result<C, ExitCode> {
    C::try_parse().map_err(|error| report(&error, wrong))
}

/// Prints what clap says, and returns the status to exit with: help and the version are answers, not errors.
#[must_use]
pub fn report(error: &clap::Error, wrong: u8) -> ExitCode {
    // Colours are for what is clap's alone; with words that could forge a line all of it is one.
    if env::args_os().all(|word| pf_printing::is_clean(&word)) {
        // Nobody is left to tell if that fails, and a closed pipe behind `--help | head` is no error.
        error.print().ok();
    } else {
        let text = error.render().to_string();
        // A command at the end of the message would not run with more words behind it.
        let message = text.split("\n\nFor more information").next().unwrap_or_default();
        let words: Vec<&str> = message.split_whitespace().collect();
        pf_printing::say(words.join(" "));
    }
    if error.use_stderr() {
        ExitCode::from(wrong)
    } else {
        ExitCode::SUCCESS
    }
}

/// What clap cannot find out by itself, in the form of its own errors.
#[must_use]
pub fn error(message: impl Display) -> clap::Error {
    clap::Error::raw(
        ErrorKind::ValueValidation,
        format!("{message}\n\nFor more information, try '--help'.\n"),
    )
}

/// Adds a tip to an error of clap's own.
pub fn tip(error: &mut clap::Error, tip: String) {
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
}

/// The free word that clap did not expect, if that is what is wrong.
#[must_use]
pub fn unexpected_word(error: &clap::Error) -> Option<&str> {
    let kind = match error.kind() {
        ErrorKind::UnknownArgument | ErrorKind::ArgumentConflict => ContextKind::InvalidArg,
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        _ => return None,
    };
    match error.get(kind)? {
        ContextValue::String(word) if !word.starts_with('-') => Some(word),
        _ => None,
    }
}

/// The subcommand that a word was meant to be: the most similar one, if one is similar.
#[must_use]
pub fn similar_subcommand(command: &Command, word: &str) -> Option<String> {
    let names = command
        .get_subcommands()
        .filter(|subcommand| !subcommand.is_hide_set());
    let rated = names.map(|subcommand| {
        let name = subcommand.get_name();
        (strsim::damerau_levenshtein(word, name), name)
    });
    let (distance, name) = rated.min()?;
    // One slip in three letters, and never all of them.
    (distance * 3 <= name.chars().count()).then(|| name.to_owned())
}

/// An error without the numbers of the system, as in `(os error 2)`: they tell a reader nothing.
#[must_use]
pub fn without_numbers(message: &str) -> String {
    let mut parts = message.split(" (os error ");
    let mut words = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        words.push_str(rest.strip_prefix(')').unwrap_or(rest));
    }
    words
}

/// What was typed, ready to be pasted.
#[must_use]
pub fn command_line() -> String {
    let words = env::args_os().map(|word| shell_word(&word));
    words.collect::<Vec<_>>().join(" ")
}

/// [`command_line`], with `more` put in before the word `before`.
#[must_use]
pub fn command_line_with(more: &str, before: &str) -> String {
    let mut words = vec![];
    let mut is_in = false;
    for word in env::args_os() {
        if !is_in && word == before {
            is_in = true;
            words.push(more.to_owned());
        }
        words.push(shell_word(&word));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Subcommand;
    use std::ffi::OsStr;

    #[derive(Debug, Parser)]
    #[command(name = "x")]
    struct Cli {
        #[command(subcommand)]
        verb: Option<Verb>,
    }

    #[derive(Debug, Subcommand)]
    enum Verb {
        Threads,
        Files,
        Sql,
    }

    #[test]
    fn our_own_errors_look_like_claps() {
        let said = error("nothing to record").render().to_string();
        assert_eq!(
            said,
            "error: nothing to record\n\nFor more information, try '--help'.\n"
        );
    }

    #[test]
    fn a_verb_that_is_nearly_one_is_found() {
        let command = <Cli as clap::CommandFactory>::command();
        for (word, verb) in [
            ("theads", Some("threads")),
            ("file", Some("files")),
            ("slq", Some("sql")),
            ("trace", None),
            ("report", None),
        ] {
            assert_eq!(similar_subcommand(&command, word).as_deref(), verb, "{word}");
        }
    }

    #[test]
    fn an_unexpected_word_gets_a_tip() {
        let mut error = match Cli::try_parse_from(["x", "threads", "true"]) {
            Err(error) => error,
            Ok(cli) => unreachable!("{cli:?}"),
        };
        assert_eq!(unexpected_word(&error), Some("true"));
        tip(&mut error, "a command stands after --".to_owned());
        let said = error.render().to_string();
        assert!(said.contains("tip: a command stands after --"), "{said}");
    }

    #[test]
    fn numbers_of_the_system_are_left_out() {
        assert_eq!(
            without_numbers("x: File exists (os error 17); give another (os error 2)"),
            "x: File exists; give another"
        );
        assert_eq!(without_numbers("plain"), "plain");
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(shell_word(OsStr::new("a/b-1.pfz")), "a/b-1.pfz");
        assert_eq!(shell_word(OsStr::new("it's")), r"'it'\''s'");
        assert_eq!(shell_word(OsStr::new("")), "''");
    }
}
