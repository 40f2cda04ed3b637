//! `events`: one line per fault, as recorded, written while the trace is read. Rows are sorted by time within each block
//! (of 32,768 events where pfrec wrote it); blocks follow each other in the order in which their faults completed, so the
//! whole is nearly sorted.

pub mod line;
pub mod selection;

use crate::engine::columns::{Column, FAULTS};
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::output::render::{Format, markdown};
use crate::output::row_writer::{Cell, RowWriter};
use crate::request::Request;
use crate::trace::queries::has_rows;
use crate::trace::session::Session;
use crate::verbs::context::{self, Outcome, read, say_remarks, warn};
use polars::prelude::{AnyValue, DataFrame, DataType, Series, SortMultipleOptions};
use selection::Selection;
use std::io::Write;

/// The clock time of a fault, behind the columns of the trace.
const TIME: &str = "time";

/// Writes events as they come.
pub struct Events<'a> {
    /// For programs; `None` for people, who get the columns of [`line::Layout`].
    rows: Option<Box<dyn RowWriter>>,
    is_markdown: bool,
    out: &'a mut dyn Write,
    width: Option<usize>,
    /// Rows come in the order in which they are to be written.
    is_sorted: bool,
    /// Whether the trace has queries, where that is known before the first block.
    has_queries: Option<bool>,
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
            rows: format.row_writer(),
            is_markdown: format == Format::Markdown,
            out,
            width: None,
            is_sorted: false,
            has_queries: None,
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

    /// The trace has queries or not, which its first faults cannot tell: a program may begin its queries late.
    #[must_use]
    pub fn with_queries(mut self, has_queries: bool) -> Self {
        self.has_queries = Some(has_queries);
        self
    }

    /// Writes the head if no event came, and flushes. Returns what lines for people leave out.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn finish(mut self, session: &Session) -> Result<Option<String>, AnalyzeError> {
        let shape = self.shape(session, None)?;
        self.out.flush()?;
        let is_text = self.rows.is_none() && !self.is_markdown;
        Ok(shape.lines.left_out().filter(|_| is_text))
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
            has_query: self.has_queries.unwrap_or(false) || holds(Column::QueryId, "--query"),
            has_stack: holds(Column::StackId, "--stacks"),
            has_weight: is_sampled,
            width: self.width,
        };
        match &mut self.rows {
            None if self.is_markdown => markdown::head(lines.titles().into_iter(), self.out)?,
            None => writeln!(self.out, "{}", lines.head())?,
            Some(rows) => {
                let is_text = |column: &Column| column.dtype() == DataType::String;
                let heads = columns.iter().map(|column| (column.name(), is_text(column)));
                let heads = heads.chain([(TIME, true)]);
                rows.head(&heads.collect::<Vec<_>>(), self.out)?;
            }
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
        match &mut self.rows {
            None => {
                while let Some(row) = next_row(&mut cells) {
                    let row = line::Row::new(&shape.columns, &row);
                    if self.is_markdown {
                        markdown::row(shape.lines.cells(&row, session).into_iter(), self.out)?;
                    } else {
                        writeln!(self.out, "{}", shape.lines.line(&row, session))?;
                    }
                }
                Ok(())
            }
            Some(rows) => {
                let mut times = sorted.column(Column::TsNs.name())?.u64()?.iter();
                let mut next = std::iter::from_fn(|| {
                    let values = cells.iter_mut().map(|values| values.next().map(cell));
                    let mut row = values.collect::<Option<Vec<Cell<'_>>>>()?;
                    let ts_ns = times.next().flatten();
                    row.push(ts_ns.map_or(Cell::Null, |ts_ns| Cell::Utc(session.header.utc_of(ts_ns))));
                    Some(row)
                });
                rows.rows(&mut next, self.out)
            }
        }
    }
}

fn next_row<'a>(cells: &mut [impl Iterator<Item = AnyValue<'a>>]) -> Option<Vec<AnyValue<'a>>> {
    cells.iter_mut().map(Iterator::next).collect()
}

fn cell(value: AnyValue<'_>) -> Cell<'_> {
    match value {
        AnyValue::Null => Cell::Null,
        AnyValue::String(text) => Cell::Text(text),
        AnyValue::Boolean(flag) => Cell::Flag(flag),
        number => Cell::Number(line::as_u64(&number)),
    }
}

/// Reads the trace and writes its faults meanwhile.
///
/// # Errors
/// Input, output, or a question that the trace cannot answer.
pub fn run(request: &Request) -> anyhow::Result<Outcome> {
    let is_for_people = !request.format.is_data();
    context::answer(request, false, |request, trace, output| {
        let width = output.terminal.map(|_| output.width());
        let mut events = Events::new(request.format, &mut output.out).within(width);
        let mut input = trace.input()?;
        // Programs get all columns in any case. A pipe is not waited for: what is still to come may have queries.
        if is_for_people && input.size.is_some() {
            events = events.with_queries(has_rows(input.reader)?);
            input = trace.input()?;
        } else if is_for_people {
            events = events.with_queries(true);
        }
        let session = match Selection::of(&request.order)? {
            None => read(request, input, &mut [&mut events])?,
            Some(mut selection) => {
                events = events.as_they_come();
                let session = read(request, input, &mut [&mut selection])?;
                selection
                    .rows()
                    .map_or(Ok(()), |rows| events.block(rows, &session))?;
                session
            }
        };
        let left_out = events.finish(&session)?;
        // Known only now that the events are out.
        warn(&session);
        Ok(say_remarks(left_out, request, output)?)
    })
}
