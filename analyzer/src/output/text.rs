//! Strings out of a trace made safe and short enough for a terminal, as everything is that is printed. It knows nothing of
//! tables.

use crate::output::command;

pub use pf_notation::shell::shell_words;
pub use pf_printing::{escape, fitting, keep_end, keep_start, width};

/// Breaks at spaces into lines of at most `room` columns; a longer word is broken anywhere. A command at the end stays in one
/// piece, on a line of its own if need be: a broken one could not be copied.
#[must_use]
pub fn wrap(text: &str, room: usize) -> Vec<String> {
    let Some((before, command)) = command::begin(text).and_then(|at| text.split_at_checked(at)) else {
        return pf_printing::wrap(text, room);
    };
    let before = before.trim_end();
    let mut lines = match before {
        "" => Vec::new(),
        before => pf_printing::wrap(before, room),
    };
    match lines.last_mut() {
        Some(last) if width(last) + 1 + width(command) <= room => {
            last.push(' ');
            last.push_str(command);
        }
        _ => lines.push(command.to_owned()),
    }
    lines
}

/// A JSON value as text that no terminal obeys.
#[must_use]
pub(crate) fn json_text(value: &serde_json::Value) -> String {
    pf_printing::json(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_never_broken() {
        assert_eq!(
            wrap("they are many: pfanalyze threads 'a b.pfz'", 20),
            ["they are many:", "pfanalyze threads 'a b.pfz'"]
        );
        assert_eq!(wrap("all: pfanalyze files t", 30), ["all: pfanalyze files t"]);
        assert_eq!(
            wrap("   pfanalyze files some.pfz", 9),
            ["   pfanalyze files some.pfz"]
        );
        assert_eq!(wrap("one two", 5), ["one", "two"]);
    }
}
