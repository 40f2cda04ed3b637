//! Tables for issues, wikis and pull requests: the pipe tables of GitHub Flavored Markdown.

use crate::output::text::escape;
use std::io::{self, Write};

/// Writes the head and the line below it; `is_text` columns are on the left, numbers on the right.
///
/// # Errors
/// When `out` cannot be written.
pub fn head<T: AsRef<str>>(
    columns: impl Iterator<Item = (T, bool)> + Clone,
    out: &mut dyn Write,
) -> io::Result<()> {
    row(columns.clone().map(|(title, _)| title), out)?;
    for (_, is_text) in columns {
        write!(out, "|{}", if is_text { " --- " } else { " ---: " })?;
    }
    writeln!(out, "|")
}

/// Writes one row.
///
/// # Errors
/// When `out` cannot be written.
pub fn row<T: AsRef<str>>(cells: impl Iterator<Item = T>, out: &mut dyn Write) -> io::Result<()> {
    for cell in cells {
        write!(out, "| {} ", literal(cell.as_ref()))?;
    }
    writeln!(out, "|")
}

/// Text that means itself: no markup, no HTML, nothing that steers a terminal.
#[must_use]
pub fn literal(text: &str) -> String {
    let escaped = escape(text);
    let mut out = String::with_capacity(escaped.len());
    let mut before = ' ';
    let mut rest = escaped.chars().peekable();
    while let Some(c) = rest.next() {
        let is_mark = match c {
            // Within a word it is no markup.
            '_' => !(before.is_alphanumeric() && rest.peek().is_some_and(|c| c.is_alphanumeric())),
            _ => matches!(c, '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '&' | '|' | '~'),
        };
        if is_mark {
            out.push('\\');
        }
        out.push(c);
        before = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_readable() {
        assert_eq!(literal("TOTAL_MS of _it_"), "TOTAL_MS of \\_it\\_");
    }

    #[test]
    fn names_cannot_break_out_of_their_cell() {
        assert_eq!(
            literal("a|b<script>`x`\x1b[2J&amp;\n"),
            "a\\|b\\<script\\>\\`x\\`\\\\x1b\\[2J\\&amp;\\\\n"
        );
    }
}
