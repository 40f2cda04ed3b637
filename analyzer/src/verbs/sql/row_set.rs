//! Rows of a question on their way to the answer: columns of polars, each there only if it is needed, and
//! the memory that they hold.

use crate::error::AnalyzeError;
use crate::verbs::sql::budget::{Budget, Lease, cost_of};
use polars::prelude::{BooleanChunked, Column, IdxCa, IdxSize, NewChunkedArray};
use std::sync::Arc;

/// Rows that expressions are computed for at once: what lies between is small.
pub const PIECE: usize = 1 << 15;

/// Columns of one height.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// How many rows.
    pub height: usize,
    /// By their places; one that nothing asks for is absent.
    pub columns: Vec<Option<Column>>,
    leases: Vec<Arc<Lease>>,
}

impl Rows {
    /// Rows that hold no memory which is worth counting.
    #[must_use]
    pub fn new(height: usize, columns: Vec<Option<Column>>) -> Self {
        Self {
            height,
            columns,
            leases: Vec::new(),
        }
    }

    /// With what was taken for them.
    #[must_use]
    pub fn holding(mut self, leases: impl IntoIterator<Item = Arc<Lease>>) -> Self {
        self.leases.extend(leases);
        self
    }

    /// What is held for them, to be held for others that share their columns.
    pub fn leases(&self) -> impl Iterator<Item = Arc<Lease>> + '_ {
        self.leases.iter().cloned()
    }

    /// Some rows that follow each other; they share the memory.
    #[must_use]
    pub fn slice(&self, start: usize, length: usize) -> Self {
        let length = length.min(self.height.saturating_sub(start));
        let at = i64::try_from(start).unwrap_or(i64::MAX);
        let columns = self.columns.iter();
        Self {
            height: length,
            columns: columns
                .map(|column| column.as_ref().map(|column| column.slice(at, length)))
                .collect(),
            leases: self.leases.clone(),
        }
    }

    /// All rows, piece by piece; at least one piece, which may be empty.
    pub fn pieces(&self) -> impl Iterator<Item = Self> + '_ {
        let starts = (0..self.height.max(1)).step_by(PIECE);
        starts.map(|start| self.slice(start, PIECE))
    }

    /// The rows of these numbers, in their order.
    ///
    /// # Errors
    /// When they take too much memory.
    pub fn take(&self, rows: &[IdxSize], budget: &Arc<Budget>) -> Result<Self, AnalyzeError> {
        self.gather(rows.len(), budget, |column| Ok(column.take_slice(rows)?))
    }

    /// As [`Rows::take`]; where there is no number, all columns are null.
    ///
    /// # Errors
    /// As [`Rows::take`].
    pub fn take_or_null(&self, rows: &[Option<IdxSize>], budget: &Arc<Budget>) -> Result<Self, AnalyzeError> {
        let rows: IdxCa = rows.iter().copied().collect();
        self.gather(rows.len(), budget, |column| Ok(column.take(&rows)?))
    }

    /// The rows that pass.
    ///
    /// # Errors
    /// As [`Rows::take`].
    pub fn filter(&self, passes: &[bool], budget: &Arc<Budget>) -> Result<Self, AnalyzeError> {
        let height = passes.iter().filter(|&&passes| passes).count();
        if height == self.height {
            return Ok(self.clone());
        }
        let mask = BooleanChunked::from_slice("".into(), passes);
        self.gather(height, budget, |column| Ok(column.filter(&mask)?))
    }

    fn gather(
        &self,
        height: usize,
        budget: &Arc<Budget>,
        gather: impl Fn(&Column) -> Result<Column, AnalyzeError>,
    ) -> Result<Self, AnalyzeError> {
        let cost: u64 = self.columns.iter().flatten().map(cost_of).sum::<u64>();
        let lease = Budget::lease(budget, cost.saturating_mul(height as u64), height)?;
        let columns = self.columns.iter();
        let columns: Result<_, AnalyzeError> = columns
            .map(|column| column.as_ref().map(&gather).transpose())
            .collect();
        Ok(Self::new(height, columns?).holding([lease]))
    }
}
