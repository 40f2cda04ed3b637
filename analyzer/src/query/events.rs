//! `events`: one line per fault, written while the trace is read. Rows are sorted by time within each block of up to
//! 65,536 events; blocks follow each other in the order in which their faults completed, so the whole is nearly sorted.

use crate::error::AnalyzeError;
use crate::scan::Query;
use crate::schema::{Column, FAULTS};
use crate::session::Session;
use crate::table::Format;
use crate::text::escape;
use crate::units::fixed;
use polars::prelude::{AnyValue, DataFrame, Series, SortMultipleOptions};
use std::io::Write;

/// Writes events as they come.
pub struct Events<'a> {
    format: Format,
    out: &'a mut dyn Write,
    started: bool,
}

impl<'a> Events<'a> {
    /// Nothing is written before the first block or [`Events::finish`].
    #[must_use]
    pub fn new(format: Format, out: &'a mut dyn Write) -> Self {
        Self {
            format,
            out,
            started: false,
        }
    }

    /// Writes the head if no event came, and flushes.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn finish(mut self) -> Result<(), AnalyzeError> {
        self.start()?;
        self.out.flush()?;
        Ok(())
    }

    fn start(&mut self) -> Result<(), AnalyzeError> {
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        match self.format {
            Format::Table => writeln!(
                self.out,
                "{:>13}  {:>11}  {:>7}  {:>7}  {:<15}  {:<5}  {:<6}  {:>14}  FILE+OFFSET",
                "TIME_S", "LATENCY_US", "PID", "TID", "COMM", "CLASS", "ACCESS", "ADDRESS"
            )?,
            Format::Csv => writeln!(self.out, "{}", FAULTS.map(Column::name).join(","))?,
            Format::Json => {}
        }
        Ok(())
    }
}

impl Query for Events<'_> {
    fn columns(&self) -> Vec<Column> {
        FAULTS.to_vec()
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        self.start()?;
        if frame.height() == 0 {
            return Ok(());
        }
        let order = SortMultipleOptions::default()
            .with_maintain_order(true)
            .with_multithreaded(false);
        let by = [Column::TsNs, Column::Pid, Column::Tid].map(Column::name);
        let sorted = frame.sort(by, order)?;
        let mut columns: Vec<Series> = Vec::with_capacity(FAULTS.len());
        for column in FAULTS {
            columns.push(sorted.column(column.name())?.as_materialized_series().rechunk());
        }
        match self.format {
            Format::Table => self.table_rows(&columns, session),
            Format::Csv => self.csv_rows(&columns),
            Format::Json => self.json_rows(&columns),
        }
    }
}

impl Events<'_> {
    fn csv_rows(&mut self, columns: &[Series]) -> Result<(), AnalyzeError> {
        let mut csv = csv::Writer::from_writer(&mut *self.out);
        let mut cells: Vec<_> = columns.iter().map(Series::iter).collect();
        let mut number = String::new();
        while let Some(row) = next_row(&mut cells) {
            for value in &row {
                match value {
                    AnyValue::Null => csv.write_field("")?,
                    AnyValue::String(text) => csv.write_field(text)?,
                    value => {
                        number.clear();
                        plain(value, &mut number);
                        csv.write_field(&number)?;
                    }
                }
            }
            csv.write_record(None::<&[u8]>)?;
        }
        csv.flush()?;
        Ok(())
    }

    fn json_rows(&mut self, columns: &[Series]) -> Result<(), AnalyzeError> {
        let mut cells: Vec<_> = columns.iter().map(Series::iter).collect();
        let mut line = String::new();
        while let Some(row) = next_row(&mut cells) {
            line.clear();
            for (index, (column, value)) in FAULTS.iter().zip(&row).enumerate() {
                line.push(if index == 0 { '{' } else { ',' });
                line.push('"');
                line.push_str(column.name());
                line.push_str("\":");
                match value {
                    AnyValue::Null => line.push_str("null"),
                    AnyValue::String(text) => {
                        line.push_str(&crate::text::json_text(&serde_json::Value::from(*text)));
                    }
                    value => plain(value, &mut line),
                }
            }
            line.push_str("}\n");
            self.out.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    fn table_rows(&mut self, columns: &[Series], session: &Session) -> Result<(), AnalyzeError> {
        let mut cells: Vec<_> = columns.iter().map(Series::iter).collect();
        while let Some(row) = next_row(&mut cells) {
            let value = |column: Column| {
                FAULTS
                    .iter()
                    .position(|&c| c == column)
                    .and_then(|index| row.get(index))
            };
            let number = |column| value(column).map_or(0, as_u64);
            let text = |column| match value(column) {
                Some(AnyValue::String(text)) => escape(text),
                _ => "-".to_owned(),
            };
            let is_major = matches!(value(Column::Major), Some(AnyValue::Boolean(true)));
            let place = match (value(Column::File), value(Column::FileOffset)) {
                (Some(AnyValue::String(file)), Some(AnyValue::UInt64(offset))) => {
                    format!("{}+{offset:#x}", escape(file))
                }
                (Some(AnyValue::String(file)), _) => escape(file),
                _ => format!("[{}]", text(Column::Kind)),
            };
            writeln!(
                self.out,
                "{:>13}  {:>11}  {:>7}  {:>7}  {:<15}  {:<5}  {:<6}  {:>#14x}  {place}",
                fixed(session.since_start_ns(number(Column::TsNs)), 1_000_000_000, 9),
                fixed(number(Column::LatencyNs), 1_000, 3),
                number(Column::Pid),
                number(Column::Tid),
                text(Column::Comm),
                if is_major { "major" } else { "minor" },
                text(Column::Access),
                number(Column::Address),
            )?;
        }
        Ok(())
    }
}

fn next_row<'a>(cells: &mut [impl Iterator<Item = AnyValue<'a>>]) -> Option<Vec<AnyValue<'a>>> {
    cells.iter_mut().map(Iterator::next).collect()
}

fn as_u64(value: &AnyValue<'_>) -> u64 {
    match value {
        AnyValue::UInt8(number) => u64::from(*number),
        AnyValue::UInt16(number) => u64::from(*number),
        AnyValue::UInt32(number) => u64::from(*number),
        AnyValue::UInt64(number) => *number,
        _ => 0,
    }
}

fn plain(value: &AnyValue<'_>, out: &mut String) {
    match value {
        AnyValue::Boolean(true) => out.push_str("true"),
        AnyValue::Boolean(false) => out.push_str("false"),
        number => out.push_str(&as_u64(number).to_string()),
    }
}
