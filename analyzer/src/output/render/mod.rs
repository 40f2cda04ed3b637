//! How answers are written: one renderer per format. What an answer says is the business of the verbs.

pub mod csv;
pub mod json;
mod json_lines;
pub mod markdown;
pub mod text;

use crate::error::AnalyzeError;
use crate::output::answer::{Answer, Room};
use crate::output::document::Document;
use crate::output::render::json_lines::JsonLines;
use crate::output::row_writer::RowWriter;
use crate::output::table::{ColumnHead, Table};
use std::io::Write;

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns, for people.
    #[default]
    Table,
    /// Comma-separated with a header line, for spreadsheets and pandas; text that would be a formula has a ' in front.
    Csv,
    /// JSON: an array with one object per line; `events` writes one object per line without the array.
    Json,
    /// JSON Lines: one object per line, without an array around them.
    Jsonl,
    /// A table for issues and pull requests.
    Markdown,
}

impl Format {
    /// Whether it is for a terminal: then all that is to be said stands in the answer, and nothing beside it.
    #[must_use]
    pub fn is_text(self) -> bool {
        self == Self::Table
    }

    /// Whether programs read it: they get all rows and columns, exact.
    #[must_use]
    pub fn is_data(self) -> bool {
        matches!(self, Self::Csv | Self::Json | Self::Jsonl)
    }

    /// Writes rows as they come, with all that is known of each; `None` for what people read.
    #[must_use]
    pub(crate) fn row_writer(self) -> Option<Box<dyn RowWriter>> {
        match self {
            Self::Table | Self::Markdown => None,
            Self::Csv => Some(Box::new(csv::CsvRows)),
            Self::Json | Self::Jsonl => Some(Box::new(json::JsonRows::default())),
        }
    }
}

/// Writes an answer.
///
/// # Errors
/// When `out` cannot be written.
pub fn answer(
    answer: &dyn Answer,
    format: Format,
    room: Room,
    out: &mut dyn Write,
) -> Result<(), AnalyzeError> {
    match format {
        Format::Table => document(&answer.text(room)?, format, room.width, out),
        Format::Csv => {
            answer.beside_table().into_iter().for_each(pf_printing::say);
            csv::table(&answer.table(), out)
        }
        Format::Json => answer.json(out),
        Format::Jsonl => answer.json(&mut JsonLines::new(out)),
        Format::Markdown => document(&answer.markdown(room)?, format, room.width, out),
    }
}

/// Writes what people read; sentences of text are broken at `width`. Programs get none of it.
///
/// # Errors
/// When `out` cannot be written.
pub fn document(
    document: &Document,
    format: Format,
    width: usize,
    out: &mut dyn Write,
) -> Result<(), AnalyzeError> {
    match format {
        Format::Table => text::document(document, width, out),
        Format::Markdown => markdown::document(document, out),
        Format::Csv | Format::Json | Format::Jsonl => Ok(()),
    }
}

/// Writes a table; `width` cuts the text columns of the table format to a terminal's width.
///
/// # Errors
/// When `out` cannot be written.
pub fn table(
    table: &Table,
    format: Format,
    width: Option<usize>,
    out: &mut dyn Write,
) -> Result<(), AnalyzeError> {
    match format {
        Format::Table => text::table(table, width, out),
        Format::Csv => csv::table(table, out),
        Format::Json => json::table(table, out),
        Format::Jsonl => json::table(table, &mut JsonLines::new(out)),
        Format::Markdown => markdown::table(table, true, out),
    }
}

/// A table with more rows than are to be in memory at once, written piece by piece.
///
/// # Errors
/// Those of `pieces`, or when `out` cannot be written.
pub fn pieces(
    heads: &[ColumnHead],
    pieces: impl Iterator<Item = Result<Table, AnalyzeError>>,
    format: Format,
    out: &mut dyn Write,
) -> Result<(), AnalyzeError> {
    let mut is_first = true;
    if format == Format::Csv {
        csv::head(heads, out)?;
    }
    for piece in pieces {
        let piece = piece?;
        match format {
            Format::Table => text::table(&piece, None, out)?,
            Format::Csv => csv::rows(&piece, out)?,
            Format::Json => json::rows(&piece, is_first, out)?,
            Format::Jsonl => json::table(&piece, &mut JsonLines::new(out))?,
            Format::Markdown => markdown::table(&piece, is_first, out)?,
        }
        is_first = false;
    }
    if format == Format::Json {
        json::end_rows(is_first, out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::table::Value;

    /// A table that each format is tried on.
    pub(super) fn sample() -> Table {
        Table {
            heads: vec![
                ColumnHead::new("name"),
                ColumnHead::new("count"),
                ColumnHead::new("max_us"),
            ],
            rows: vec![
                vec![
                    Value::Text("a\x1b[0m,\"b\"".into()),
                    Value::Count(1_234),
                    Value::Us(1_500),
                ],
                vec![Value::Text("c".into()), Value::Count(5), Value::Null],
            ],
            total: Some(vec![Value::Null, Value::Count(1_239), Value::Null]),
        }
    }
}
