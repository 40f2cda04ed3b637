//! Speaking to people, on standard error. Whoever closed it wants to hear nothing, and must not stop a
//! recording by that.

use std::{
    fmt::Display,
    io::{self, Write},
};

/// One line in pfrec's name.
pub fn say(line: impl Display) {
    writeln!(io::stderr(), "pfrec: {line}").ok();
}

/// An error, and what to do about it if that is known.
pub fn complain(error: &anyhow::Error, hint: Option<String>) {
    writeln!(io::stderr(), "error: {error:#}").ok();
    if let Some(hint) = hint {
        writeln!(io::stderr(), "hint: {hint}").ok();
    }
}
