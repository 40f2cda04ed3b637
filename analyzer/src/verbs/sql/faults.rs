//! The table `faults` as polars asks for it: the columns that the plan needs, decoded block by block. Conditions on single rows
//! are asked of each block, so that rows they rule out take no memory.

use crate::engine::columns::Column;
use crate::engine::filter::Filter;
use crate::engine::scan::{Pass, scan};
use crate::error::AnalyzeError;
use crate::output::progress::Progress;
use crate::trace::input::Source;
use crate::trace::session::Session;
use crate::verbs::sql::budget::{Budget, MOST_ROWS, cost};
use crate::verbs::sql::pushdown::narrowed;
use crate::verbs::sql::schema::{TableName, faults_columns};
use polars::prelude::{
    AnonymousScan, AnonymousScanArgs, BooleanFunction, DataFrame, Expr, FunctionExpr, IntoLazy, Operator,
    PlSmallStr, PolarsError, PolarsResult,
};
use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Rows whose arrays are joined into one, so that a long table is not thousands of small pieces.
const SEGMENT: usize = 1 << 20;

/// Gives the faults of one trace.
pub struct Faults {
    /// The trace.
    pub source: Source,
    /// Which faults there are.
    pub filter: Filter,
    /// When the recording began.
    pub start_ns: u64,
    /// What they may take.
    pub budget: Arc<Budget>,
    /// What went wrong, in our words: polars passes on a text only.
    pub error: Mutex<Option<AnalyzeError>>,
    /// Whether conditions are taken over from polars. It cannot be asked back once a plan is made.
    pub takes_conditions: AtomicBool,
}

impl Faults {
    fn read(&self, args: &AnonymousScanArgs) -> Result<DataFrame, AnalyzeError> {
        let columns: Vec<Column> = match &args.with_columns {
            Some(names) => faults_columns()
                .filter(|column| names.iter().any(|name| name == column.name()))
                .collect(),
            None => faults_columns().collect(),
        };
        let condition = match args.predicate.clone().map(split) {
            None => None,
            Some(parts) if parts.iter().all(can_be_asked) => parts.into_iter().reduce(Expr::and),
            Some(_) => {
                self.takes_conditions.store(false, Ordering::Relaxed);
                let text = "a condition is one that only polars can ask".to_owned();
                return Err(AnalyzeError::Unanswerable(text));
            }
        };
        let mut rows = Rows::new(columns, condition, args.n_rows, &self.budget);
        let input = self
            .source
            .input()
            .map_err(|error| AnalyzeError::Unanswerable(format!("{error:#}")))?;
        let filter = match &rows.condition {
            Some(condition) => narrowed(&self.filter, condition, self.start_ns),
            None => self.filter.clone(),
        };
        let mut progress = Progress::new(input.size);
        let done = scan(input.reader, &filter, &mut [&mut rows], &mut |bytes| {
            progress.tick(bytes);
        });
        progress.finish();
        match done {
            Err(_) if rows.has_enough() => {}
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        rows.finish(args.with_columns.as_deref())
    }
}

impl AnonymousScan for Faults {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn scan(&self, args: AnonymousScanArgs) -> PolarsResult<DataFrame> {
        self.read(&args).map_err(|error| {
            let told = PolarsError::ComputeError(error.to_string().into());
            *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            told
        })
    }

    fn allows_predicate_pushdown(&self) -> bool {
        self.takes_conditions.load(Ordering::Relaxed)
    }

    fn allows_projection_pushdown(&self) -> bool {
        true
    }
}

/// The rows so far.
struct Rows<'a> {
    columns: Vec<Column>,
    /// Asked of each block, or of all rows at the end where an answer depends on other rows.
    condition: Option<Expr>,
    is_of_rows: bool,
    limit: usize,
    budget: &'a Budget,
    segments: Vec<DataFrame>,
    tail: Option<DataFrame>,
    rows: usize,
}

impl<'a> Rows<'a> {
    fn new(
        mut columns: Vec<Column>,
        condition: Option<Expr>,
        limit: Option<usize>,
        budget: &'a Budget,
    ) -> Self {
        if let Some(condition) = &condition {
            let names = condition.clone().meta().root_names();
            columns.extend(faults_columns().filter(|column| names.iter().any(|name| name == column.name())));
            columns.sort_unstable();
            columns.dedup();
        }
        if columns.is_empty() {
            // Only rows are counted; this column is the cheapest to decode.
            columns.push(Column::Tid);
        }
        Self {
            is_of_rows: condition.as_ref().is_some_and(looks_at_rows_alone),
            condition,
            limit: limit.unwrap_or(usize::MAX),
            columns,
            budget,
            segments: Vec::new(),
            tail: None,
            rows: 0,
        }
    }

    fn has_enough(&self) -> bool {
        self.condition.is_none() && self.rows >= self.limit
    }

    fn add(&mut self, frame: DataFrame) -> Result<(), AnalyzeError> {
        self.rows += frame.height();
        if !self.budget.takes(cost(&frame)) || self.rows as u64 > MOST_ROWS {
            return Err(self
                .budget
                .refusal(TableName::Faults.name(), &frame, self.rows as u64));
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

    fn finish(mut self, order: Option<&[PlSmallStr]>) -> Result<DataFrame, AnalyzeError> {
        self.segments.extend(self.tail.take().map(in_one_piece));
        let mut segments = self.segments.into_iter();
        let mut all = match segments.next() {
            Some(first) => first,
            None => {
                let schema = TableName::Faults.schema();
                DataFrame::empty_with_schema(&schema)
            }
        };
        for segment in segments {
            all.vstack_mut_owned(segment)?;
        }
        if let Some(condition) = self.condition.filter(|_| !self.is_of_rows) {
            all = all.lazy().filter(condition).collect()?;
        }
        let Some(order) = order else {
            return Ok(all.select(faults_columns().map(Column::name))?);
        };
        if order.is_empty() {
            return Ok(DataFrame::new(all.height(), Vec::new())?);
        }
        Ok(all.select(order.iter().cloned())?)
    }
}

impl Pass for Rows<'_> {
    fn columns(&self) -> Vec<Column> {
        self.columns.clone()
    }

    fn block(&mut self, frame: &DataFrame, _: &Session) -> Result<(), AnalyzeError> {
        // Those of the filter are not asked for.
        let mut frame = frame.select(self.columns.iter().map(|column| column.name()))?;
        if let Some(condition) = self.condition.as_ref().filter(|_| self.is_of_rows) {
            frame = frame.lazy().filter(condition.clone()).collect()?;
        }
        if self.condition.is_none() {
            frame = frame.slice(0, self.limit.saturating_sub(self.rows));
        }
        if frame.height() > 0 {
            self.add(frame)?;
        }
        if self.has_enough() {
            // Ends the scan; `read` knows that it is no error.
            return Err(AnalyzeError::Unanswerable("enough rows were read".to_owned()));
        }
        Ok(())
    }
}

/// The parts of a condition that must all hold, without hints that polars gives itself while it sorts (they rule out
/// what it would drop anyway).
fn split(condition: Expr) -> Vec<Expr> {
    match condition {
        Expr::BinaryExpr {
            left,
            op: Operator::And,
            right,
        } => {
            let mut parts = split(Arc::unwrap_or_clone(left));
            parts.extend(split(Arc::unwrap_or_clone(right)));
            parts
        }
        Expr::Display { fmt_str, .. } if fmt_str.starts_with(HINT) => Vec::new(),
        other => vec![other],
    }
}

/// What such a hint is called.
const HINT: &str = "dynamic_pred";

/// False for what stands in an expression for a part that only polars' own plan can hold.
fn can_be_asked(part: &Expr) -> bool {
    part.into_iter().all(|part| !matches!(part, Expr::Display { .. }))
}

/// Joins the pieces of each column.
fn in_one_piece(mut frame: DataFrame) -> DataFrame {
    frame.rechunk_mut();
    frame
}

/// Whether a condition can be asked of some of the rows: no part of it looks at other rows.
fn looks_at_rows_alone(condition: &Expr) -> bool {
    condition.into_iter().all(|part| match part {
        Expr::Column(_)
        | Expr::Literal(_)
        | Expr::BinaryExpr { .. }
        | Expr::Cast { .. }
        | Expr::Ternary { .. }
        | Expr::Alias(..) => true,
        Expr::Function { function, .. } => match function {
            FunctionExpr::StringExpr(_) => true,
            FunctionExpr::Boolean(function) => matches!(
                function,
                BooleanFunction::IsNull
                    | BooleanFunction::IsNotNull
                    | BooleanFunction::IsIn { .. }
                    | BooleanFunction::Not
            ),
            _ => false,
        },
        _ => false,
    })
}
