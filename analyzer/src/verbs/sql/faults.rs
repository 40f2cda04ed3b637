//! The table `faults`: the columns that are needed, decoded block by block. Conditions on single rows are
//! asked of each block, so that rows they rule out take no memory.

use crate::engine::columns::Column;
use crate::engine::filter::Filter;
use crate::engine::scan::{Pass, scan};
use crate::error::AnalyzeError;
use crate::output::progress::Progress;
use crate::trace::input::Source;
use crate::trace::session::Session;
use crate::verbs::sql::budget::{Budget, Lease, MOST_ROWS, cost};
use crate::verbs::sql::build_column::empty_column;
use crate::verbs::sql::evaluate::evaluate;
use crate::verbs::sql::expression::Expression;
use crate::verbs::sql::pushdown::narrowed;
use crate::verbs::sql::row_set::Rows;
use crate::verbs::sql::schema::{TIME, TableName, faults_columns};
use crate::verbs::sql::types::refusal;
use polars::prelude::{
    Column as PolarsColumn, DataFrame, DataType, Int64Chunked, IntoColumn, NewChunkedArray,
};
use std::sync::Arc;

/// Rows whose arrays are joined into one, so that a long table is not thousands of small pieces.
const SEGMENT: usize = 1 << 20;

/// Reads the faults of one trace.
pub struct Faults {
    /// The trace.
    pub source: Source,
    /// Which faults there are.
    pub filter: Filter,
    /// When the recording began.
    pub start_ns: u64,
    /// What to add to its clock for nanoseconds since 1970, if that is known.
    pub utc_offset_ns: Option<i64>,
    /// What they may take.
    pub budget: Arc<Budget>,
}

impl Faults {
    /// Rows: the columns that are wanted, and the first rows, as many as `most`, that pass all conditions.
    ///
    /// # Errors
    /// When the trace cannot be read, or the rows do not fit into memory.
    pub fn read(
        &self,
        wanted: &[bool],
        conditions: &[Expression],
        most: Option<usize>,
    ) -> Result<Rows, AnalyzeError> {
        let fields: Vec<FaultColumn> = all_columns().collect();
        let mut needed = wanted.to_vec();
        for condition in conditions {
            condition.columns(&mut |index| {
                if let Some(needed) = needed.get_mut(index) {
                    *needed = true;
                }
            });
        }
        let mut reading = Reading {
            faults: self,
            wanted,
            needed,
            conditions,
            most: most.unwrap_or(usize::MAX),
            fields: &fields,
            lease: Arc::new(Lease::nothing(&self.budget)),
            segments: Vec::new(),
            tail: None,
            rows: 0,
        };
        if reading.most == 0 {
            return reading.finish();
        }
        let input = self
            .source
            .input()
            .map_err(|error| refusal(format!("{error:#}")))?;
        let name_of = |index: usize| match fields.get(index) {
            Some(FaultColumn::Of(column)) => column.name(),
            _ => "",
        };
        let filter = narrowed(&self.filter, conditions, self.start_ns, &name_of);
        let mut progress = Progress::new(input.size);
        let done = scan(input.reader, &filter, &mut [&mut reading], &mut |bytes| {
            progress.tick(bytes);
        });
        progress.finish();
        match done {
            Err(_) if reading.has_enough() => {}
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        reading.finish()
    }
}

/// A column of the table.
#[derive(Clone, Copy)]
enum FaultColumn {
    Time,
    Of(Column),
}

fn all_columns() -> impl Iterator<Item = FaultColumn> {
    [FaultColumn::Time]
        .into_iter()
        .chain(faults_columns().map(FaultColumn::Of))
}

/// The rows so far.
struct Reading<'a> {
    faults: &'a Faults,
    wanted: &'a [bool],
    /// Those that are wanted, and those of the conditions.
    needed: Vec<bool>,
    conditions: &'a [Expression],
    most: usize,
    fields: &'a [FaultColumn],
    lease: Arc<Lease>,
    segments: Vec<DataFrame>,
    tail: Option<DataFrame>,
    rows: usize,
}

impl Reading<'_> {
    fn has_enough(&self) -> bool {
        self.rows >= self.most
    }

    /// The columns of a block at their places.
    fn columns_of(&self, frame: &DataFrame) -> Result<Vec<Option<PolarsColumn>>, AnalyzeError> {
        let mut columns = Vec::with_capacity(self.fields.len());
        for (field, needed) in self.fields.iter().zip(&self.needed) {
            columns.push(match (field, needed) {
                (_, false) => None,
                (FaultColumn::Of(column), true) => Some(frame.column(column.name())?.clone()),
                (FaultColumn::Time, true) => Some(self.times(frame)?),
            });
        }
        Ok(columns)
    }

    fn times(&self, frame: &DataFrame) -> Result<PolarsColumn, AnalyzeError> {
        let entries = frame.column(Column::TsNs.name())?.u64()?;
        let Some(offset) = self.faults.utc_offset_ns else {
            return Ok(PolarsColumn::full_null(
                TIME.into(),
                frame.height(),
                &DataType::Int64,
            ));
        };
        let time = |ns: Option<u64>| i64::try_from(i128::from(ns?) + i128::from(offset)).ok();
        let times: Int64Chunked = entries.iter().map(time).collect();
        Ok(times.with_name(TIME.into()).into_column())
    }

    fn add(&mut self, frame: DataFrame) -> Result<(), AnalyzeError> {
        self.rows += frame.height();
        if !self.lease.takes(cost(&frame)) || self.rows as u64 > MOST_ROWS {
            let table = TableName::Faults.name();
            return Err(self.faults.budget.refusal(table, &frame, self.rows as u64));
        }
        if frame.width() == 0 {
            return Ok(());
        }
        let tail = match self.tail.take() {
            Some(mut tail) => {
                tail.vstack_mut_owned(frame)?;
                tail
            }
            None => frame,
        };
        if tail.height() >= SEGMENT {
            self.segments.push(in_one_piece(tail));
        } else {
            self.tail = Some(tail);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Rows, AnalyzeError> {
        self.segments.extend(self.tail.take().map(in_one_piece));
        let mut all: Option<DataFrame> = None;
        for segment in self.segments {
            match &mut all {
                Some(all) => {
                    all.vstack_mut_owned(segment)?;
                }
                None => all = Some(segment),
            }
        }
        let mut found = all.map(DataFrame::into_columns).unwrap_or_default().into_iter();
        let mut columns = Vec::with_capacity(self.wanted.len());
        let types = TableName::Faults.fields().into_iter().map(|field| field.of);
        for (&wanted, of) in self.wanted.iter().zip(types) {
            columns.push(wanted.then(|| found.next().unwrap_or_else(|| empty_column(of))));
        }
        Ok(Rows::new(self.rows, columns).holding([self.lease]))
    }
}

impl Pass for Reading<'_> {
    fn columns(&self) -> Vec<Column> {
        let needed = self
            .fields
            .iter()
            .zip(&self.needed)
            .filter(|(_, needed)| **needed);
        let mut columns: Vec<Column> = needed
            .map(|(field, _)| match field {
                FaultColumn::Of(column) => *column,
                FaultColumn::Time => Column::TsNs,
            })
            .collect();
        if columns.is_empty() {
            // Only rows are counted; this column is the cheapest to decode.
            columns.push(Column::Tid);
        }
        columns
    }

    fn block(&mut self, frame: &DataFrame, _: &Session) -> Result<(), AnalyzeError> {
        let rows = Rows::new(frame.height(), self.columns_of(frame)?);
        let mut passes: Option<Vec<bool>> = None;
        for condition in self.conditions {
            let values = evaluate(condition, &rows)?;
            let of_rows = values.passes();
            match &mut passes {
                None => passes = Some(of_rows),
                Some(all) => all
                    .iter_mut()
                    .zip(of_rows)
                    .for_each(|(all, passes)| *all &= passes),
            }
        }
        let wanted = rows
            .columns
            .into_iter()
            .zip(self.wanted)
            .filter(|(_, wanted)| **wanted);
        let columns: Vec<PolarsColumn> = wanted.filter_map(|(column, _)| column).collect();
        let (height, columns) = match passes {
            None => (rows.height, columns),
            Some(passes) => {
                let height = passes.iter().filter(|passes| **passes).count();
                let mask = polars::prelude::BooleanChunked::from_slice("".into(), &passes);
                let filtered: Result<_, _> = columns.iter().map(|column| column.filter(&mask)).collect();
                (height, filtered?)
            }
        };
        let height = height.min(self.most.saturating_sub(self.rows));
        let columns = columns.iter().map(|column| column.slice(0, height)).collect();
        let frame = DataFrame::new(height, columns)?;
        if frame.height() > 0 {
            self.add(frame)?;
        }
        if self.has_enough() {
            // Ends the scan; `read` knows that it is no error.
            return Err(refusal("enough rows were read"));
        }
        Ok(())
    }
}

/// Joins the pieces of each column.
fn in_one_piece(mut frame: DataFrame) -> DataFrame {
    frame.rechunk_mut();
    frame
}
