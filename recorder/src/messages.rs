//! Speaking to people, on standard error. Whoever closed it wants to hear nothing, and must not stop a
//! recording by that.

use pf_notation::usage::without_numbers;
use std::fmt::Display;

/// One line in pfrec's name.
pub fn say(line: impl Display) {
    pf_printing::say(format_args!("pfrec: {line}"));
}

/// An error, and what to do about it if that is known.
pub fn complain(error: &anyhow::Error, hint: Option<String>) {
    pf_printing::say(format_args!("error: {}", without_numbers(&format!("{error:#}"))));
    if let Some(hint) = hint {
        pf_printing::say(format_args!("hint: {hint}"));
    }
}
