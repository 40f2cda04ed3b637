//! The one place that prints. Names of files, threads, cgroups and symbols come from programs that nobody trusts, and so do
//! traces: no byte of them reaches a terminal that it would obey, and none forges a line.
//!
//! What is for people is escaped always, on terminals and behind pipes. Data behind a pipe or in a file is exact. It knows
//! no tables and no colours. `tests/one_place.rs` finds whoever prints past it.

mod escape;
mod lines;
mod room;

pub use escape::{escape, json};
pub use lines::{DataOut, Lines};
pub use room::{fitting, keep_end, keep_start, width, wrap};

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Whether our terminal takes a line feed for nothing but that.
static RAW: AtomicBool = AtomicBool::new(false);

/// While `is_raw`, lines on a terminal end with a carriage return, too. May be called in a signal handler.
pub fn set_raw_terminal(is_raw: bool) {
    RAW.store(is_raw, Relaxed);
}

fn line_end(is_terminal: bool) -> &'static str {
    if is_terminal && RAW.load(Relaxed) {
        "\r\n"
    } else {
        "\n"
    }
}

/// Prints one line for people to standard error. Whoever closed that wants to hear nothing, so there is no error.
pub fn say(line: impl Display) {
    let mut text = escape(&line.to_string());
    text.push_str(line_end(io::stderr().is_terminal()));
    // In one piece, or the lines of two threads would mix.
    io::stderr().write_all(text.as_bytes()).ok();
}

/// Standard output for lines that people read, now or later: escaped wherever it leads.
#[must_use]
pub fn text_out() -> Lines<io::Stdout> {
    Lines::new(io::stdout(), io::stdout().is_terminal())
}

/// Standard error, likewise.
#[must_use]
pub fn text_err() -> Lines<io::Stderr> {
    Lines::new(io::stderr(), io::stderr().is_terminal())
}

/// Standard output for data: exact behind a pipe and in a file, escaped on a terminal.
#[must_use]
pub fn data_out() -> DataOut {
    let out = io::stdout();
    if out.is_terminal() {
        DataOut::Terminal(Lines::new(out, true))
    } else {
        DataOut::Exact(out)
    }
}

/// Standard output as it is: for a trace, for what draws, and for what has its own guard. The test lists who may.
#[must_use]
pub fn raw_out() -> io::Stdout {
    io::stdout()
}

/// Whether a word, such as one of the command line, can be printed as it is.
#[must_use]
pub fn is_clean(word: &OsStr) -> bool {
    word.to_str().is_some_and(|text| escape(text) == text)
}
