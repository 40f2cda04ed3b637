//! Speaking to people, on standard error. Whoever closed it wants to hear nothing, and must not stop a
//! recording by that.

use std::fmt::Display;

/// One line in pfrec's name.
pub fn say(line: impl Display) {
    pf_printing::say(format_args!("pfrec: {line}"));
}

/// An error, and what to do about it if that is known.
pub fn complain(error: &anyhow::Error, hint: Option<String>) {
    pf_printing::say(format_args!("error: {error:#}"));
    if let Some(hint) = hint {
        pf_printing::say(format_args!("hint: {hint}"));
    }
}

/// What clap says of a command line: help, the version, or what is wrong with it.
pub fn say_of_usage(said: &clap::Error) {
    // Colours are for what is clap's alone; with words that could forge a line all of it is one.
    if std::env::args_os().all(|word| pf_printing::is_clean(&word)) {
        // Nobody is left to tell if that fails.
        said.print().ok();
    } else {
        let text = said.render().to_string();
        let words: Vec<&str> = text.split_whitespace().collect();
        pf_printing::say(words.join(" "));
    }
}
