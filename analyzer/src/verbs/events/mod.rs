//! `events`: one line per fault, as recorded, written while the trace is read. Rows are sorted by time within each block of up to
//! 65,536 events; blocks follow each other in the order in which their faults completed, so the whole is nearly sorted.

pub mod line;
pub mod selection;

use crate::engine::columns::{Column, FAULTS};
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::output::markdown;
use crate::output::table::{Format, guarded};
use crate::request::Request;
use crate::trace::session::Session;
use crate::verbs::context::{self, Outcome, read, warn};
use polars::prelude::{AnyValue, DataFrame, DataType, Series, SortMultipleOptions};
use selection::Selection;
use std::io::Write;

/// Writes events as they come.
pub struct Events<'a> {
    format: Format,
    out: &'a mut dyn Write,
    width: Option<usize>,
    /// Rows come in the order in which they are to be written.
    is_sorted: bool,
    /// Known with the first block.
    shape: Option<Shape>,
}

/// Which columns are written.
#[derive(Clone, Debug)]
struct Shape {
    columns: Vec<Column>,
    lines: line::Layout,
}

impl<'a> Events<'a> {
    /// Nothing is written before the first block or [`Events::finish`].
    #[must_use]
    pub fn new(format: Format, out: &'a mut dyn Write) -> Self {
        Self {
            format,
            out,
            width: None,
            is_sorted: false,
            shape: None,
        }
    }

    /// Lines for people fit into so many columns.
    #[must_use]
    pub fn within(mut self, width: Option<usize>) -> Self {
        self.width = width;
        self
    }

    /// Rows stay in the order in which they come.
    #[must_use]
    pub fn as_they_come(mut self) -> Self {
        self.is_sorted = true;
        self
    }

    /// Writes the head if no event came, and flushes.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn finish(mut self, session: &Session) -> Result<(), AnalyzeError> {
        self.shape(session, None)?;
        self.out.flush()?;
        Ok(())
    }

    /// The columns to write; the head is written when they are decided.
    fn shape(&mut self, session: &Session, frame: Option<&DataFrame>) -> Result<Shape, AnalyzeError> {
        if let Some(shape) = &self.shape {
            return Ok(shape.clone());
        }
        let mut columns = FAULTS.to_vec();
        let is_sampled = session.sampling().is_sampled();
        if is_sampled {
            columns.push(Column::Weight);
        }
        let holds = |column: Column, option: &str| {
            let options = session.meta.iter().flat_map(|meta| &meta.options);
            options.into_iter().any(|given| given == option)
                || frame.is_some_and(|frame| {
                    let column = frame.column(column.name());
                    column.is_ok_and(|column| column.null_count() < column.len())
                })
        };
        let lines = line::Layout {
            has_breakdown: holds(Column::BlockedNs, "--breakdown"),
            has_query: holds(Column::QueryId, "--query"),
            has_stack: holds(Column::StackId, "--stacks"),
            has_weight: is_sampled,
            width: self.width,
        };
        match self.format {
            Format::Table => writeln!(self.out, "{}", lines.head())?,
            Format::Csv => {
                let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
                writeln!(self.out, "{}", names.join(","))?;
            }
            Format::Markdown => {
                let is_text = |column: &Column| column.dtype() == DataType::String;
                let heads = columns.iter().map(|column| (column.name(), is_text(column)));
                markdown::head(heads, self.out)?;
            }
            Format::Json => {}
        }
        let shape = Shape { columns, lines };
        self.shape = Some(shape.clone());
        Ok(shape)
    }
}

impl Pass for Events<'_> {
    fn columns(&self) -> Vec<Column> {
        [&FAULTS[..], &[Column::Weight]].concat()
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        if frame.height() == 0 {
            return Ok(());
        }
        let shape = self.shape(session, Some(frame))?;
        let order = SortMultipleOptions::default()
            .with_maintain_order(true)
            .with_multithreaded(false);
        let by = [Column::TsNs, Column::Pid, Column::Tid].map(Column::name);
        let sorted = match self.is_sorted {
            true => frame.clone(),
            false => frame.sort(by, order)?,
        };
        let mut columns: Vec<Series> = Vec::with_capacity(shape.columns.len());
        for column in &shape.columns {
            columns.push(sorted.column(column.name())?.as_materialized_series().rechunk());
        }
        let mut cells: Vec<_> = columns.iter().map(Series::iter).collect();
        match self.format {
            Format::Table => {
                while let Some(row) = next_row(&mut cells) {
                    let row = line::Row::new(&shape.columns, &row);
                    writeln!(self.out, "{}", shape.lines.line(&row, session))?;
                }
                Ok(())
            }
            Format::Csv => self.csv_rows(&mut cells),
            Format::Json => self.json_rows(&shape.columns, &mut cells),
            Format::Markdown => {
                while let Some(row) = next_row(&mut cells) {
                    markdown::row(row.iter().map(describe), self.out)?;
                }
                Ok(())
            }
        }
    }
}

impl Events<'_> {
    fn csv_rows<'c>(&mut self, cells: &mut [impl Iterator<Item = AnyValue<'c>>]) -> Result<(), AnalyzeError> {
        let mut csv = csv::Writer::from_writer(&mut *self.out);
        let mut number = String::new();
        while let Some(row) = next_row(cells) {
            for value in &row {
                match value {
                    AnyValue::Null => csv.write_field("")?,
                    AnyValue::String(text) => csv.write_field(guarded(text).as_bytes())?,
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

    fn json_rows<'c>(
        &mut self,
        columns: &[Column],
        cells: &mut [impl Iterator<Item = AnyValue<'c>>],
    ) -> Result<(), AnalyzeError> {
        let mut line = String::new();
        while let Some(row) = next_row(cells) {
            line.clear();
            for (index, (column, value)) in columns.iter().zip(&row).enumerate() {
                line.push(if index == 0 { '{' } else { ',' });
                line.push('"');
                line.push_str(column.name());
                line.push_str("\":");
                match value {
                    AnyValue::Null => line.push_str("null"),
                    AnyValue::String(text) => {
                        line.push_str(&crate::output::text::json_text(&serde_json::Value::from(*text)));
                    }
                    value => plain(value, &mut line),
                }
            }
            line.push_str("}\n");
            self.out.write_all(line.as_bytes())?;
        }
        Ok(())
    }
}

fn next_row<'a>(cells: &mut [impl Iterator<Item = AnyValue<'a>>]) -> Option<Vec<AnyValue<'a>>> {
    cells.iter_mut().map(Iterator::next).collect()
}

fn describe(value: &AnyValue<'_>) -> String {
    match value {
        AnyValue::Null => String::new(),
        AnyValue::String(text) => (*text).to_owned(),
        value => {
            let mut words = String::new();
            plain(value, &mut words);
            words
        }
    }
}

fn plain(value: &AnyValue<'_>, out: &mut String) {
    match value {
        AnyValue::Boolean(true) => out.push_str("true"),
        AnyValue::Boolean(false) => out.push_str("false"),
        number => out.push_str(&line::as_u64(number).to_string()),
    }
}

/// Reads the trace and writes its faults meanwhile.
///
/// # Errors
/// Input, output, or a question that the trace cannot answer.
pub fn run(request: &Request) -> anyhow::Result<Outcome> {
    context::answer(request, false, |request, trace, output| {
        let width = output.terminal.map(|_| output.width());
        let mut events = Events::new(request.format, &mut output.out).within(width);
        let session = match Selection::of(&request.order)? {
            None => read(request, trace.input()?, &mut [&mut events])?,
            Some(mut selection) => {
                events = events.as_they_come();
                let session = read(request, trace.input()?, &mut [&mut selection])?;
                selection
                    .rows()
                    .map_or(Ok(()), |rows| events.block(rows, &session))?;
                session
            }
        };
        events.finish(&session)?;
        // Known only now that the events are out.
        warn(&session);
        Ok(())
    })
}
