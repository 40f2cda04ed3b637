//! A small result table and its three renderings. What the columns mean is the business of the queries.

use crate::error::AnalyzeError;
use crate::output::markdown;
use crate::output::text::{escape, json_text, keep_end, keep_start, width};
use crate::output::units::{bytes, duration, fixed, grouped};
use numbers::{hundredfold, rounded, signed};
use std::borrow::Cow;
use std::io::Write;

mod cell;
mod numbers;

pub use cell::guarded;

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
    /// A table for issues and pull requests.
    Markdown,
}

/// A column of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnHead {
    /// Name in CSV and JSON.
    pub name: &'static str,
    titled: Option<&'static str>,
}

impl ColumnHead {
    /// In tables the title is the name in capitals.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, titled: None }
    }

    /// With another title.
    #[must_use]
    pub const fn titled(self, title: &'static str) -> Self {
        Self {
            titled: Some(title),
            ..self
        }
    }

    /// The title in tables.
    #[must_use]
    pub fn title(&self) -> Cow<'static, str> {
        match self.titled {
            Some(title) => title.into(),
            None => self.name.to_ascii_uppercase().into(),
        }
    }

    /// Whether `name` is its name or its title, in whatever case.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || self.title().eq_ignore_ascii_case(name)
    }
}

/// One cell. Times are kept in nanoseconds and written in the unit that the column name says.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: empty in CSV, null in JSON.
    Null,
    /// A name: exact in JSON, no formula in CSV, escaped in tables.
    Text(String),
    /// As `Text`; where there is no room it keeps its start, not its end.
    Prose(String),
    /// An identifier: not grouped.
    Id(u64),
    /// A number of things: grouped in tables.
    Count(u64),
    /// Milliseconds, from nanoseconds.
    Ms(u64),
    /// Microseconds, from nanoseconds.
    Us(u64),
    /// Seconds, from nanoseconds.
    Seconds(u64),
    /// A size in binary units for people, in bytes for programs.
    Bytes(u64),
    /// In the unit that suits it for people, in nanoseconds for programs.
    Duration(u64),
    /// A number in thousandths: one decimal in tables.
    Decimal(u64),
    /// A share in percent; nothing of nothing is nothing.
    Percent {
        /// How much.
        part: u64,
        /// Of how much.
        whole: u64,
    },
    /// An address: hexadecimal in tables, a number elsewhere.
    Address(u64),
    /// Yes or no.
    Flag(bool),
    /// A number below 0, without its sign.
    Negative(u64),
    /// Any number; what is none is null in JSON.
    Float(f64),
    /// Several: a JSON array in CSV, too.
    List(Vec<Value>),
    /// By how much a value has changed: with a sign, unless nothing has.
    Change {
        /// It has become less.
        is_less: bool,
        /// By how much.
        by: Box<Value>,
    },
}

/// A result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Columns.
    pub heads: Vec<ColumnHead>,
    /// Rows, sorted, each as long as `heads`.
    pub rows: Vec<Vec<Value>>,
    /// Last line of the table format only: sums over all rows.
    pub total: Option<Vec<Value>>,
}

impl Value {
    fn in_table(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Text(text) | Self::Prose(text) => escape(text),
            Self::Id(id) => id.to_string(),
            Self::Count(count) => grouped(*count),
            Self::Ms(ns) => fixed(*ns, 1_000_000, 3),
            Self::Us(ns) => fixed(*ns, 1_000, 1),
            Self::Seconds(ns) => fixed(*ns, 1_000_000_000, 6),
            Self::Bytes(size) => bytes(*size),
            Self::Duration(ns) => duration(*ns),
            Self::Decimal(thousandths) => fixed(*thousandths, 1_000, 1),
            Self::Percent { part, whole } => hundredfold(*part, *whole, 1),
            Self::Address(address) => format!("{address:#x}"),
            Self::Negative(number) => format!("-{}", grouped(*number)),
            Self::Float(number) => rounded(*number),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::in_table).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Change { is_less, by } => signed(*is_less, "+", by.in_table()),
            Self::Flag(_) => self.plain(),
        }
    }

    /// Exact, for programs.
    #[must_use]
    pub fn plain(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Text(text) | Self::Prose(text) => text.clone(),
            Self::Id(number)
            | Self::Count(number)
            | Self::Bytes(number)
            | Self::Duration(number)
            | Self::Address(number) => number.to_string(),
            Self::Ms(ns) => fixed(*ns, 1_000_000, 6),
            Self::Us(ns) => fixed(*ns, 1_000, 3),
            Self::Seconds(ns) => fixed(*ns, 1_000_000_000, 9),
            Self::Decimal(thousandths) => fixed(*thousandths, 1_000, 3),
            Self::Percent { part, whole } => hundredfold(*part, *whole, 3),
            Self::Flag(flag) => flag.to_string(),
            Self::Negative(number) => format!("-{number}"),
            // The shortest text that reads back as the same number.
            Self::Float(number) => format!("{number:?}"),
            Self::List(_) => self.json(),
            Self::Change { is_less, by } => signed(*is_less, "", by.plain()),
        }
    }

    /// Exact, but for text that a spreadsheet would take for a formula.
    #[must_use]
    pub fn in_csv(&self) -> String {
        match self {
            Self::Text(text) | Self::Prose(text) => guarded(text).into_owned(),
            number => number.plain(),
        }
    }

    /// As a JSON value.
    #[must_use]
    pub fn json(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            // Serde's string form: JSON escapes and the quotes.
            Self::Text(text) | Self::Prose(text) => json_text(&serde_json::Value::from(text.as_str())),
            Self::Float(number) if !number.is_finite() => "null".to_owned(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::json).collect();
                format!("[{}]", items.join(","))
            }
            number => number.plain(),
        }
    }
}

impl Table {
    /// Writes the table in `format`; `width` cuts the last text column of the table format to a terminal's width.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write(
        &self,
        format: Format,
        width: Option<usize>,
        out: &mut dyn Write,
    ) -> Result<(), AnalyzeError> {
        match format {
            Format::Table => self.write_table(width, out),
            Format::Csv => self.write_csv(out),
            Format::Json => self.write_json(out),
            Format::Markdown => self.write_markdown(true, out),
        }
    }

    /// Rows of a Markdown table, and its head if they are the first ones.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_markdown(&self, with_head: bool, out: &mut dyn Write) -> Result<(), AnalyzeError> {
        if with_head {
            let titles = self.heads.iter().map(ColumnHead::title);
            let is_text = (0..self.heads.len()).map(|column| self.is_text(column));
            markdown::head(titles.zip(is_text), out)?;
        }
        for row in self.rows.iter().chain(&self.total) {
            let cells = row.iter().map(|value| match value {
                Value::Text(text) | Value::Prose(text) => text.clone(),
                number => number.in_table(),
            });
            markdown::row(cells, out)?;
        }
        Ok(())
    }

    /// Leaves out the columns behind the first `count`.
    pub fn keep_columns(&mut self, count: usize) {
        for row in self.rows.iter_mut().chain(self.total.iter_mut()) {
            row.truncate(count);
        }
        self.heads.truncate(count);
    }

    /// The rows as a JSON array, one object per line.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_json(&self, out: &mut dyn Write) -> Result<(), AnalyzeError> {
        self.write_json_rows(true, out)?;
        out.write_all(if self.rows.is_empty() { b"[]\n" } else { b"\n]\n" })?;
        Ok(())
    }

    /// The rows without the end of the array, which may go on.
    pub(crate) fn write_json_rows(&self, is_first: bool, out: &mut dyn Write) -> Result<(), AnalyzeError> {
        let names: Vec<String> = self
            .heads
            .iter()
            .map(|head| json_text(&head.name.into()))
            .collect();
        for (index, row) in self.rows.iter().enumerate() {
            out.write_all(if index == 0 && is_first { b"[\n{" } else { b",\n{" })?;
            for (column, (name, value)) in names.iter().zip(row).enumerate() {
                let comma = if column == 0 { "" } else { "," };
                write!(out, "{comma}{name}:{}", value.json())?;
            }
            out.write_all(b"}")?;
        }
        Ok(())
    }

    fn write_csv(&self, out: &mut dyn Write) -> Result<(), AnalyzeError> {
        let mut csv = csv::Writer::from_writer(&mut *out);
        csv.write_record(self.heads.iter().map(|head| head.name))?;
        csv.flush()?;
        drop(csv);
        self.write_csv_rows(out)
    }

    /// The rows without a header line.
    pub(crate) fn write_csv_rows(&self, out: &mut dyn Write) -> Result<(), AnalyzeError> {
        let mut csv = csv::Writer::from_writer(out);
        for row in &self.rows {
            csv.write_record(row.iter().map(Value::in_csv))?;
        }
        csv.flush()?;
        Ok(())
    }

    /// The names of all columns but the first three, the last first: what gives way where a verb does not say otherwise.
    #[must_use]
    pub fn last_first(&self) -> Vec<&'static str> {
        self.heads.iter().skip(3).rev().map(|head| head.name).collect()
    }

    /// Leaves out columns until a line of the table format fits into `width`, text columns at their shortest: of `names`,
    /// the first first. Returns their titles.
    pub fn narrow(&mut self, width: usize, names: &[&str]) -> Vec<Cow<'static, str>> {
        let mut left_out = Vec::new();
        for name in names {
            if line_width(&self.least_widths()) <= width {
                break;
            }
            if let Some(column) = self.heads.iter().position(|head| head.name == *name) {
                left_out.push(self.heads.remove(column).title());
                let rows = self.rows.iter_mut().chain(self.total.iter_mut());
                rows.filter(|row| column < row.len()).for_each(|row| {
                    row.remove(column);
                });
            }
        }
        left_out
    }

    fn least_widths(&self) -> Vec<usize> {
        let least = |column: usize| {
            let cells = self
                .rows
                .iter()
                .chain(&self.total)
                .filter_map(|row| row.get(column));
            let widest = cells.map(|cell| width(&cell.in_table())).max().unwrap_or(0);
            let title = self.heads.get(column).map_or(0, |head| width(&head.title()));
            let widest = widest.max(title);
            if self.is_text(column) {
                widest.min(TEXT_ROOM)
            } else {
                widest
            }
        };
        (0..self.heads.len()).map(least).collect()
    }

    fn write_table(&self, room: Option<usize>, out: &mut dyn Write) -> Result<(), AnalyzeError> {
        let render = |row: &Vec<Value>| row.iter().map(Value::in_table).collect::<Vec<String>>();
        let mut lines: Vec<Vec<String>> = vec![self.heads.iter().map(|head| escape(&head.title())).collect()];
        lines.extend(self.rows.iter().map(render));
        lines.extend(self.total.iter().map(render));
        let text_column: Vec<bool> = (0..self.heads.len()).map(|column| self.is_text(column)).collect();
        if let Some(room) = room {
            fit(&mut lines, &text_column, room, |column| self.is_prose(column));
        }
        let widths = widths(&lines, self.heads.len());
        for line in &lines {
            let mut text = String::new();
            for ((cell, &room), &is_text) in line.iter().zip(&widths).zip(&text_column) {
                let padding = " ".repeat(room.saturating_sub(width(cell)));
                let (before, after) = if is_text {
                    ("", padding.as_str())
                } else {
                    (padding.as_str(), "")
                };
                text.push_str(&format!("{before}{cell}{after}  "));
            }
            writeln!(out, "{}", text.trim_end())?;
        }
        Ok(())
    }

    fn is_text(&self, column: usize) -> bool {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells
            .clone()
            .any(|cell| matches!(cell, Value::Text(_) | Value::Prose(_) | Value::List(_)))
    }

    fn is_prose(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.any(|cell| matches!(cell, Value::Prose(_)))
    }
}

fn widths(lines: &[Vec<String>], columns: usize) -> Vec<usize> {
    let widest = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(|cell| width(cell)).max()
    };
    (0..columns).map(|column| widest(column).unwrap_or(0)).collect()
}

/// Characters that a text column keeps.
const TEXT_ROOM: usize = 16;

/// Shortens text columns as far as needed, the widest first, but never below 16 characters.
fn fit(lines: &mut [Vec<String>], text_column: &[bool], width: usize, is_prose: impl Fn(usize) -> bool) {
    let widths = widths(lines, text_column.len());
    let is_text = |column: usize| text_column.get(column) == Some(&true);
    let cut = |room: usize| -> Vec<usize> {
        let each = widths.iter().enumerate();
        each.map(|(column, &width)| if is_text(column) { width.min(room) } else { width })
            .collect()
    };
    let texts = (0..widths.len()).filter(|&column| is_text(column));
    let widest = texts.clone().filter_map(|column| widths.get(column)).max();
    let mut room = widest.copied().unwrap_or(0);
    while room > TEXT_ROOM && line_width(&cut(room)) > width {
        room -= 1;
    }
    for column in texts {
        for line in lines.iter_mut() {
            if let Some(cell) = line.get_mut(column) {
                *cell = if is_prose(column) {
                    keep_start(cell, room)
                } else {
                    keep_end(cell, room)
                };
            }
        }
    }
}

fn line_width(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn sample() -> Table {
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

    fn written(format: Format) -> String {
        let mut out = Vec::new();
        sample().write(format, None, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_is_aligned_and_harmless() {
        let expected = concat!(
            "NAME          COUNT  MAX_US\n",
            "a\\x1b[0m,\"b\"  1,234     1.5\n",
            "c                 5\n",
            "              1,239\n"
        );
        assert_eq!(written(Format::Table), expected);
    }

    #[test]
    fn a_share_is_written_in_percent() {
        let share = |part, whole| Value::Percent { part, whole };
        assert_eq!(share(1, 3).in_table(), "33.3");
        assert_eq!(share(0, 0).in_table(), "0.0");
        assert_eq!(share(u64::MAX, u64::MAX).in_table(), "100.0");
        assert_eq!(share(5, 1_000).plain(), "0.500");
    }

    #[test]
    fn csv_is_exact_and_quoted() {
        assert_eq!(
            written(Format::Csv),
            "name,count,max_us\n\"a\x1b[0m,\"\"b\"\"\",1234,1.500\nc,5,\n"
        );
    }

    #[test]
    fn json_is_one_valid_document() {
        let text = written(Format::Json);
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed[0]["name"], "a\x1b[0m,\"b\"");
        assert_eq!(parsed[0]["max_us"], 1.5);
        assert!(parsed[1]["max_us"].is_null());
        assert_eq!(text.lines().count(), 4);
    }

    #[test]
    fn columns_give_way_in_the_order_that_the_caller_says() {
        let names = ["max_us", "count", "absent"];
        let narrowed = |width| {
            let mut table = sample();
            let left_out = table.narrow(width, &names);
            (left_out, table.heads.len(), table.rows[0].len())
        };
        assert_eq!(narrowed(27), (vec![], 3, 3));
        assert_eq!(narrowed(26), (vec!["MAX_US".into()], 2, 2));
        assert_eq!(narrowed(3), (vec!["MAX_US".into(), "COUNT".into()], 1, 1));
    }

    #[test]
    fn a_wide_text_column_gives_way_to_the_terminal() {
        let table = Table {
            heads: vec![ColumnHead::new("file"), ColumnHead::new("n")],
            rows: vec![vec![
                Value::Text("/very/long/path/to/the/segments.bin".into()),
                Value::Count(1),
            ]],
            total: None,
        };
        let mut out = Vec::new();
        table.write(Format::Table, Some(25), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("…h/to/the/segments.bin"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 25), "{text}");
    }
}
