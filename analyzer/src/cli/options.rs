//! What is said of an option that a verb does not know: clap takes it for a value, or names one that merely looks like it.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};
use pf_notation::shell::shell_words;
use pf_notation::usage;

/// Gives an error about an unknown option a tip that helps; other errors stay as they are.
pub(crate) fn explain(mut error: clap::Error, command: &Command, words: &[String]) -> clap::Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let unknown = unknown.clone();
    let verb = words.first().and_then(|first| command.find_subcommand(first));
    let asked = verb.unwrap_or(command);
    let tip = of_value(asked, words, &unknown).or_else(|| of_other_verbs(command, verb, &unknown));
    let is_about_values = |tip: &str| tip.contains("as a value");
    match tip {
        Some(tip) => {
            // With the option that merely looks like it.
            error.remove(ContextKind::SuggestedArg);
            error.remove(ContextKind::Usage);
            usage::tip(&mut error, tip);
        }
        // No trace is called like an option by accident.
        None if error.render().to_string().lines().any(is_about_values) => {
            error.remove(ContextKind::Suggested);
        }
        None => {}
    }
    error
}

/// `--comm -bash`: what follows an option is a value that begins like one.
fn of_value(asked: &Command, words: &[String], unknown: &str) -> Option<String> {
    let pair = words.windows(2).find(|pair| {
        // Of several letters in one word clap names one.
        let is_it = |word: &str| word == unknown || !word.starts_with("--") && word.starts_with(unknown);
        pair.last().is_some_and(|value| is_it(value))
            && pair.first().is_some_and(|option| takes_value(asked, option))
    })?;
    let [option, value] = pair else { return None };
    let value = shell_words(std::slice::from_ref(value));
    Some(format!(
        "to give a value that begins with '-', write {option}={value}"
    ))
}

fn takes_value(asked: &Command, option: &str) -> bool {
    let is_it = |argument: &&Arg| {
        let long = option.strip_prefix("--");
        let short = option.strip_prefix('-').and_then(|short| short.parse().ok());
        long.is_some() && argument.get_long() == long || short.is_some() && argument.get_short() == short
    };
    let found = asked.get_arguments().find(is_it);
    found.is_some_and(|argument| argument.get_action().takes_values())
}

/// `info --pid`: an option of other verbs.
fn of_other_verbs(command: &Command, verb: Option<&Command>, unknown: &str) -> Option<String> {
    let long = unknown.strip_prefix("--")?;
    let has = |verb: &&Command| {
        verb.get_arguments()
            .any(|argument| argument.get_long() == Some(long) && !argument.is_hide_set())
    };
    let others: Vec<&str> = command
        .get_subcommands()
        .filter(has)
        .map(Command::get_name)
        .collect();
    let name = verb.map_or("the report", Command::get_name);
    (!others.is_empty()).then(|| {
        let verbs = if others.len() == 1 {
            "the verb"
        } else {
            "the verbs"
        };
        format!(
            "{name} has no {unknown}; {verbs} {} {}",
            others.join(", "),
            if others.len() == 1 { "has" } else { "have" }
        )
    })
}
