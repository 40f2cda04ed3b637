//! Markdown for issues, wikis and pull requests: headings, lists, and the pipe tables of GitHub.

use crate::error::AnalyzeError;
use crate::output::command;
use crate::output::document::{Document, Part};
use crate::output::render::text::cell;
use crate::output::table::{ColumnHead, Table, Value};
use crate::output::text::escape;
use std::io::{self, Write};

/// Writes the parts. Lines have no width here.
///
/// # Errors
/// When `out` cannot be written.
pub fn document(document: &Document, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    for part in &document.parts {
        match part {
            Part::Warning(text) => writeln!(out, "> **{}**\n", prose(text))?,
            Part::Fact(name, text) => writeln!(out, "- **{name}**: {}", prose(text))?,
            Part::Heading(title) => writeln!(out, "\n### {title}\n")?,
            Part::Numbered(sentences) => {
                for (number, sentence) in (1..).zip(sentences) {
                    writeln!(out, "{number}. {}", prose(sentence))?;
                }
            }
            Part::Item(sentence) => item(sentence, out)?,
            Part::List(sentences) => {
                writeln!(out, "\n")?;
                sentences.iter().try_for_each(|sentence| item(sentence, out))?;
            }
            Part::Paragraph(text) | Part::Line(text) => writeln!(out, "\n{}", prose(text))?,
            Part::Table(content, _) => table(content, true, out)?,
            Part::Drawing(drawn) => drawing(drawn, out)?,
        }
    }
    Ok(())
}

fn item(sentence: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "- {}", prose(sentence))
}

/// Between fences that are longer than any run of backticks in it, so that no name ends it.
fn drawing(drawn: &str, out: &mut dyn Write) -> io::Result<()> {
    let longest = drawn.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    writeln!(out, "{fence}text\n{}\n{fence}", drawn.trim_end())
}

/// Writes a table, or further rows of one.
///
/// # Errors
/// When `out` cannot be written.
pub fn table(table: &Table, with_head: bool, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    if with_head {
        let titles = table.heads.iter().map(ColumnHead::title);
        let is_text = (0..table.heads.len()).map(|column| table.is_text(column));
        head(titles.zip(is_text), out)?;
    }
    for cells in table.rows.iter().chain(&table.total) {
        let cells = cells.iter().map(|value| match value {
            Value::Text(text) | Value::Prose(text) => text.clone(),
            number => cell(number),
        });
        row(cells, out)?;
    }
    Ok(())
}

/// The titles and the line below them; columns of text are on the left, numbers on the right.
pub(crate) fn head<T: AsRef<str>>(
    columns: impl Iterator<Item = (T, bool)> + Clone,
    out: &mut dyn Write,
) -> io::Result<()> {
    row(columns.clone().map(|(title, _)| title), out)?;
    for (_, is_text) in columns {
        write!(out, "|{}", if is_text { " --- " } else { " ---: " })?;
    }
    writeln!(out, "|")
}

/// A row, of whatever is in its cells.
pub(crate) fn row<T: AsRef<str>>(cells: impl Iterator<Item = T>, out: &mut dyn Write) -> io::Result<()> {
    for cell in cells {
        write!(out, "| {} ", literal(cell.as_ref()))?;
    }
    writeln!(out, "|")
}

/// Text that means itself, with the command at its end, if there is one, as code that can be copied.
fn prose(text: &str) -> String {
    match command::begin(text).and_then(|at| text.split_at_checked(at)) {
        Some((before, command)) => format!("{}{}", literal(before), code(command)),
        None => literal(text),
    }
}

/// Text as code: behind more backticks than it has in a row.
fn code(text: &str) -> String {
    let text = escape(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let room = if longest > 0 { " " } else { "" };
    format!("{fence}{room}{text}{room}{fence}")
}

/// Text that means itself: no markup, no HTML, nothing that steers a terminal.
#[must_use]
pub(crate) fn literal(text: &str) -> String {
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
    fn a_command_is_code() {
        assert_eq!(
            prose("in a_ file: pfanalyze files 'a`b'"),
            "in a\\_ file: `` pfanalyze files 'a`b' ``"
        );
        assert_eq!(prose("more_: pfanalyze files t"), "more\\_: `pfanalyze files t`");
    }

    #[test]
    fn names_cannot_break_out_of_their_cell() {
        assert_eq!(
            literal("a|b<script>`x`\x1b[2J&amp;\n"),
            "a\\|b\\<script\\>\\`x\\`\\\\x1b\\[2J\\&amp;\\\\n"
        );
    }
}
