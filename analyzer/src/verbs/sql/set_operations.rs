//! UNION, EXCEPT, INTERSECT and VALUES, and DISTINCT, which is made of the same.

use crate::error::AnalyzeError;
use crate::verbs::sql::bind::{Binder, Place};
use crate::verbs::sql::budget::Budget;
use crate::verbs::sql::build_column::appended;
use crate::verbs::sql::evaluate::evaluate;
use crate::verbs::sql::expression::Expression;
use crate::verbs::sql::functions::widened;
use crate::verbs::sql::hashing::RowNumbers;
use crate::verbs::sql::naming::{Named, Relation, Scope};
use crate::verbs::sql::ordering::computed;
use crate::verbs::sql::query::Engine;
use crate::verbs::sql::row_set::Rows;
use crate::verbs::sql::types::{Type, refusal};
use polars::prelude::IdxSize;
use sqlparser::ast::{self, SetExpr, SetOperator, SetQuantifier};

impl Engine<'_> {
    /// The answer of what a query consists of.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn set(&mut self, body: &SetExpr) -> Result<Relation, AnalyzeError> {
        match body {
            SetExpr::Select(select) => self.select(select, None, (None, 0), None),
            SetExpr::Query(query) => self.query(query, None),
            SetExpr::Values(values) => self.values(values),
            SetExpr::SetOperation {
                left,
                op,
                set_quantifier,
                right,
            } => {
                let (left, right) = (self.set(left)?, self.set(right)?);
                let is_all = match set_quantifier {
                    SetQuantifier::All => true,
                    SetQuantifier::None | SetQuantifier::Distinct => false,
                    _ => return Err(refusal("BY NAME is not supported: name the columns in one order")),
                };
                self.combined(left, right, *op, is_all)
            }
            _ => Err(refusal("only SELECT reads a trace, and nothing changes it")),
        }
    }

    fn values(&mut self, values: &ast::Values) -> Result<Relation, AnalyzeError> {
        let scope = Scope::default();
        let mut rows: Vec<Relation> = Vec::new();
        for row in &values.rows {
            let mut columns = Vec::new();
            let mut named = Vec::new();
            for (index, expr) in row.content.iter().enumerate() {
                let bound = Binder::new(self, &scope, Place::Where).bind(expr)?;
                named.push(Named {
                    name: format!("col{index}"),
                    of: bound.of(),
                });
                let one = Rows::new(1, Vec::new());
                columns.push(Some(evaluate(&bound, &one)?.into_column()));
            }
            rows.push(Relation {
                rows: Rows::new(1, columns),
                columns: named,
            });
        }
        let mut rows = rows.into_iter();
        let first = rows.next().ok_or_else(|| refusal("VALUES needs a row"))?;
        rows.try_fold(first, |all, row| {
            self.combined(all, row, SetOperator::Union, true)
        })
    }

    /// UNION, EXCEPT and INTERSECT.
    fn combined(
        &mut self,
        left: Relation,
        right: Relation,
        op: SetOperator,
        is_all: bool,
    ) -> Result<Relation, AnalyzeError> {
        if left.columns.len() != right.columns.len() {
            return Err(refusal(format!(
                "{op} needs two queries with as many columns, and these have {} and {}",
                left.columns.len(),
                right.columns.len()
            )));
        }
        let mut columns = Vec::new();
        for (one, two) in left.columns.iter().zip(&right.columns) {
            let common = one.of.common(two.of).filter(|of| *of != Type::List);
            let of = common.ok_or_else(|| {
                refusal(format!(
                    "{op} finds {} of type {} and of type {}: CAST one of them",
                    one.name, one.of, two.of
                ))
            })?;
            columns.push(Named {
                name: one.name.clone(),
                of,
            });
        }
        let left = self.widened(left, &columns)?;
        let right = self.widened(right, &columns)?;
        let rows = match (op, is_all) {
            (SetOperator::Union, true) => self.stacked(&left, &right)?,
            (SetOperator::Union, false) => {
                let both = self.stacked(&left, &right)?;
                self.distinct(&both)?
            }
            (_, true) => return Err(refusal(format!("{op} ALL is not supported"))),
            (SetOperator::Intersect, _) => self.sharing(&left, &right, true)?,
            (_, false) => self.sharing(&left, &right, false)?,
        };
        Ok(Relation { rows, columns })
    }

    fn widened(&self, relation: Relation, to: &[Named]) -> Result<Rows, AnalyzeError> {
        let mut columns = Vec::new();
        let mut leases: Vec<_> = relation.rows.leases().collect();
        for (index, (from, to)) in relation.columns.iter().zip(to).enumerate() {
            let column = widened(Expression::Column(index, from.of), to.of, "a set operation")?;
            let (column, lease) = computed(&column, &relation.rows, self.budget)?;
            leases.extend(lease);
            columns.push(Some(column));
        }
        Ok(Rows::new(relation.rows.height, columns).holding(leases))
    }

    /// One below the other.
    fn stacked(&self, one: &Rows, two: &Rows) -> Result<Rows, AnalyzeError> {
        let mut columns = Vec::new();
        for (one, two) in one.columns.iter().flatten().zip(two.columns.iter().flatten()) {
            columns.push(Some(appended(one.clone(), two)?));
        }
        let leases = one.leases().chain(two.leases());
        let cost = columns
            .iter()
            .flatten()
            .map(crate::verbs::sql::budget::cost_of)
            .sum::<u64>();
        let height = one.height + two.height;
        let lease = Budget::lease(self.budget, cost.saturating_mul(height as u64), height)?;
        Ok(Rows::new(height, columns).holding(leases.chain([lease])))
    }

    /// Each row once.
    ///
    /// # Errors
    /// When they do not fit into memory.
    pub fn distinct(&self, rows: &Rows) -> Result<Rows, AnalyzeError> {
        let mut numbers = RowNumbers::default();
        let kept = self.first_of_each(rows, &mut numbers, &mut Vec::new())?;
        rows.take(&kept, self.budget)
    }

    /// The rows whose number comes for the first time; `seen` has the numbers that came before.
    fn first_of_each(
        &self,
        rows: &Rows,
        numbers: &mut RowNumbers,
        seen: &mut Vec<bool>,
    ) -> Result<Vec<IdxSize>, AnalyzeError> {
        let mut kept = Vec::new();
        let mut start = 0;
        for piece in rows.pieces() {
            for number in numbers_of(&piece, numbers)? {
                let place = number as usize;
                if place >= seen.len() {
                    seen.resize(place + 1, false);
                }
                if let Some(seen) = seen.get_mut(place).filter(|seen| !**seen) {
                    *seen = true;
                    kept.push(start);
                }
                start += 1;
            }
            numbers.hold(self.budget)?;
        }
        Ok(kept)
    }

    /// Rows of `left`, each once, that `right` has, or has not.
    fn sharing(&self, left: &Rows, right: &Rows, is_shared: bool) -> Result<Rows, AnalyzeError> {
        let mut numbers = RowNumbers::default();
        let mut in_right: Vec<bool> = Vec::new();
        self.first_of_each(right, &mut numbers, &mut in_right)?;
        let mut seen: Vec<bool> = Vec::new();
        let (mut kept, mut start) = (Vec::new(), 0);
        for piece in left.pieces() {
            for number in numbers_of(&piece, &mut numbers)? {
                let place = number as usize;
                seen.resize(seen.len().max(place + 1), false);
                let is_there = in_right.get(place) == Some(&true);
                if let Some(seen) = seen
                    .get_mut(place)
                    .filter(|seen| !**seen && is_there == is_shared)
                {
                    *seen = true;
                    kept.push(start);
                }
                start += 1;
            }
            numbers.hold(self.budget)?;
        }
        left.take(&kept, self.budget)
    }
}

/// The numbers of the rows of a piece, by all of its columns.
fn numbers_of(piece: &Rows, numbers: &mut RowNumbers) -> Result<Vec<u32>, AnalyzeError> {
    let columns = piece.columns.iter().flatten();
    let vectors: Result<Vec<_>, _> = columns
        .map(crate::verbs::sql::vector::Vector::of_column)
        .collect();
    Ok(numbers.of(&vectors?, piece.height))
}
