//! CSV: exact numbers, and text that is no formula.
//!
//! Spreadsheets take a cell for a formula by its first character, and quotes do not keep them from it: a thread named
//! `=HYPERLINK(…)` would be one on the desk of whoever opens the file. So such text gets an apostrophe in front, which
//! spreadsheets do not show, and so does text that has one there already: who takes away one apostrophe, where one or
//! more stand before such a character, has exactly what the trace says. JSON has it as it is.

use crate::error::AnalyzeError;
use crate::output::render::json;
use crate::output::row_writer::{Cell, RowWriter};
use crate::output::table::{ColumnHead, Table, Value};
use std::borrow::Cow;
use std::io::Write;

/// Writes a table: a header line, then the rows.
///
/// # Errors
/// When `out` cannot be written.
pub fn table(table: &Table, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    head(&table.heads, out)?;
    rows(table, out)
}

/// Writes the header line.
///
/// # Errors
/// When `out` cannot be written.
pub fn head(heads: &[ColumnHead], out: &mut dyn Write) -> Result<(), AnalyzeError> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(heads.iter().map(|head| head.name))?;
    Ok(csv.flush()?)
}

/// Writes the rows without a header line.
///
/// # Errors
/// When `out` cannot be written.
pub fn rows(table: &Table, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    let mut csv = csv::Writer::from_writer(out);
    for row in &table.rows {
        csv.write_record(row.iter().map(cell))?;
    }
    Ok(csv.flush()?)
}

/// Exact, but for text that a spreadsheet would take for a formula.
fn cell(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Prose(text) => guarded(text).into_owned(),
        Value::List(_) => json::value(value),
        number => number.plain(),
    }
}

/// Rows as they come.
#[derive(Clone, Copy, Debug)]
pub struct CsvRows;

impl RowWriter for CsvRows {
    fn head(&mut self, columns: &[(&'static str, bool)], out: &mut dyn Write) -> Result<(), AnalyzeError> {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(columns.iter().map(|(name, _)| name))?;
        Ok(csv.flush()?)
    }

    fn rows<'a>(
        &mut self,
        rows: &mut dyn Iterator<Item = Vec<Cell<'a>>>,
        out: &mut dyn Write,
    ) -> Result<(), AnalyzeError> {
        let mut csv = csv::Writer::from_writer(out);
        let mut number = String::new();
        for row in rows {
            for cell in row {
                match cell {
                    Cell::Text(text) => csv.write_field(guarded(text).as_bytes())?,
                    cell => {
                        number.clear();
                        cell.push_plain(&mut number);
                        csv.write_field(&number)?;
                    }
                }
            }
            csv.write_record(None::<&[u8]>)?;
        }
        Ok(csv.flush()?)
    }
}

/// What may begin a formula, with the wide forms that some spreadsheets take for the same.
fn begins_formula(c: char) -> bool {
    matches!(
        c,
        '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠'
    )
}

/// A name or other text of a trace as a cell that is no formula.
fn guarded(text: &str) -> Cow<'_, str> {
    if text.trim_start_matches('\'').starts_with(begins_formula) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{super::tests::sample, *};

    #[test]
    fn csv_is_exact_and_quoted() {
        let mut out = Vec::new();
        table(&sample(), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "name,count,max_us\n\"a\x1b[0m,\"\"b\"\"\",1234,1.500\nc,5,\n"
        );
    }

    /// The rule that docs/analyzing.md gives to readers.
    fn exact(cell: &str) -> &str {
        match cell.strip_prefix('\'') {
            Some(rest) if rest.trim_start_matches('\'').starts_with(begins_formula) => rest,
            _ => cell,
        }
    }

    #[test]
    fn no_text_begins_as_a_formula_does_and_each_can_be_had_back() {
        for (text, cell) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-bash", "'-bash"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("\n=1", "'\n=1"),
            ("＝1", "'＝1"),
            ("'=1", "''=1"),
            ("''-", "'''-"),
            ("'quoted'", "'quoted'"),
            ("a=1", "a=1"),
            ("", ""),
            ("'", "'"),
        ] {
            assert_eq!(guarded(text), cell);
            assert_eq!(exact(cell), text);
        }
    }
}
