//! How much memory the columns of a question may take, and the words for one that takes more.

use crate::error::AnalyzeError;
use crate::output::units::{bytes, grouped};
use crate::verbs::sql::types::refusal;
use polars::prelude::{Column, DataFrame, DataType, IdxSize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Columns that a refusal names, dearest first.
const NAMED: usize = 6;

/// Counts what all tables of one question hold.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    used: AtomicU64,
}

impl Budget {
    /// At most `limit` bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self {
            limit,
            used: AtomicU64::new(0),
        }
    }

    /// Whether `more` bytes still fit; they count in either case.
    pub fn takes(&self, more: u64) -> bool {
        let before = self.used.fetch_add(more, Ordering::Relaxed);
        before.saturating_add(more) <= self.limit
    }

    /// What is held, bytes.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Takes `bytes` for so many rows, or for groups if there are 0, until the lease is dropped.
    ///
    /// # Errors
    /// When they do not fit.
    pub fn lease(budget: &Arc<Self>, bytes: u64, rows: usize) -> Result<Arc<Lease>, AnalyzeError> {
        let lease = Lease::nothing(budget);
        if lease.takes(bytes) {
            return Ok(Arc::new(lease));
        }
        let limit = crate::output::units::bytes(budget.limit);
        let on_the_way = match rows {
            0 => "its groups".to_owned(),
            rows => format!("{} rows on the way to it", grouped(rows as u64)),
        };
        Err(refusal(format!(
            "the answer needs more than {limit}: {on_the_way} take {} more than is left. Ask for fewer columns or \
             rows (WHERE, LIMIT), or give --max-memory more",
            crate::output::units::bytes(bytes),
        )))
    }

    /// Why rows like those of `frame` do not fit, after `rows` of them.
    #[must_use]
    pub fn refusal(&self, table: &str, frame: &DataFrame, rows: u64) -> AnalyzeError {
        let mut widths: Vec<(&str, u64)> = frame
            .columns()
            .iter()
            .map(|column| (column.name().as_str(), width(column.dtype())))
            .collect();
        widths.sort_by_key(|&(_, width)| std::cmp::Reverse(width));
        let mut costs: Vec<String> = widths
            .iter()
            .take(NAMED)
            .map(|(name, width)| format!("{name} {}", bytes(width.saturating_mul(rows))))
            .collect();
        if widths.len() > NAMED {
            costs.push(format!("{} cheaper ones", widths.len() - NAMED));
        }
        AnalyzeError::Unanswerable(format!(
            "the columns asked for take more than {}, and at row {} of {table} this was used up ({}): ask for fewer columns, \
             or fewer rows (WHERE on single rows, or filters such as --from, --to, --major, --file), or give --max-memory more",
            bytes(self.limit),
            grouped(rows),
            costs.join(", ")
        ))
    }

    /// As [`Budget::refusal`], for a table that has no frame yet.
    #[must_use]
    pub fn refusal_of(&self, table: &str) -> AnalyzeError {
        AnalyzeError::Unanswerable(format!(
            "the table {table} takes more than {}: give --max-memory more",
            bytes(self.limit)
        ))
    }
}

/// Memory that is given back when nobody needs it any more.
#[derive(Debug)]
pub struct Lease {
    budget: Arc<Budget>,
    bytes: AtomicU64,
}

impl Lease {
    /// Of nothing yet.
    #[must_use]
    pub fn nothing(budget: &Arc<Budget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            bytes: AtomicU64::new(0),
        }
    }

    /// Whether `more` bytes still fit; they count in either case.
    pub fn takes(&self, more: u64) -> bool {
        self.bytes.fetch_add(more, Ordering::Relaxed);
        self.budget.takes(more)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        self.budget.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Bytes that a row of a column takes.
#[must_use]
pub fn cost_of(column: &Column) -> u64 {
    width(column.dtype())
}

/// What the rows of a frame take once they are kept. Names are shared, so a string is what points to it.
#[must_use]
pub fn cost(frame: &DataFrame) -> u64 {
    let rows = frame.height() as u64;
    let widths = frame.columns().iter().map(|column| width(column.dtype()));
    widths.sum::<u64>().saturating_mul(rows)
}

/// Bytes a row; a boolean is counted as a whole one.
fn width(dtype: &DataType) -> u64 {
    match dtype {
        DataType::Boolean | DataType::UInt8 => 1,
        DataType::UInt16 => 2,
        DataType::UInt32 => 4,
        DataType::String | DataType::Int128 => 16,
        DataType::Null => 0,
        _ => 8,
    }
}

/// Rows that one table can have in polars.
pub const MOST_ROWS: u64 = IdxSize::MAX as u64 - 1;
