//! ORDER BY, and columns that are computed for all rows.

use crate::error::AnalyzeError;
use crate::verbs::sql::budget::{Budget, Lease, cost_of};
use crate::verbs::sql::build_column::{appended, empty_column};
use crate::verbs::sql::evaluate::{evaluate, order_of};
use crate::verbs::sql::expression::{Expression, SortKey};
use crate::verbs::sql::row_set::Rows;
use crate::verbs::sql::types::Type;
use crate::verbs::sql::vector::Vector;
use polars::prelude::{Column, IdxSize, PlSmallStr};
use std::cmp::Ordering;
use std::sync::Arc;

/// The values of an expression for all rows, piece by piece.
///
/// # Errors
/// When they cannot be computed, or take too much memory.
pub fn computed(
    expression: &Expression,
    rows: &Rows,
    budget: &Arc<Budget>,
) -> Result<(Column, Option<Arc<Lease>>), AnalyzeError> {
    if let Expression::Column(index, _) = expression
        && let Some(Some(column)) = rows.columns.get(*index)
    {
        return Ok((column.clone(), None));
    }
    let of = expression.of();
    let width = match of {
        Type::Null => 0,
        Type::Boolean => 1,
        Type::Text | Type::List => 32,
        Type::Number(_) | Type::Float | Type::Time => 8,
    };
    let lease = Budget::lease(budget, width * rows.height as u64, rows.height)?;
    let mut all: Option<Column> = None;
    for piece in rows.pieces() {
        let values = evaluate(expression, &piece)?.into_column();
        all = Some(match all {
            None => values,
            Some(all) => appended(all, &values)?,
        });
    }
    let mut column = all.map_or_else(|| empty_column(of), |column| column.rechunk());
    column.rename(PlSmallStr::EMPTY);
    Ok((column, Some(lease)))
}

/// Vectors that live as long as the columns they are of.
///
/// # Errors
/// For a type that no table has.
pub fn vectors(columns: &[Column]) -> Result<Vec<Vector<'_>>, AnalyzeError> {
    columns.iter().map(Vector::of_column).collect()
}

/// What compares rows.
pub struct Order<'a> {
    /// Values, and how their key sorts them.
    keys: Vec<(Vector<'a>, bool, bool)>,
}

impl<'a> Order<'a> {
    /// By `values`, one for each key.
    #[must_use]
    pub fn new(keys: &[SortKey], values: Vec<Vector<'a>>) -> Self {
        let keys = keys.iter().zip(values);
        Self {
            keys: keys
                .map(|(key, values)| (values, key.is_descending, key.nulls_first))
                .collect(),
        }
    }

    /// The order of two rows.
    #[must_use]
    pub fn of(&self, one: usize, two: usize) -> Ordering {
        for (values, is_descending, nulls_first) in &self.keys {
            let order = match (values.is_there(one), values.is_there(two)) {
                (true, true) => {
                    let order = order_of(values, one, values, two);
                    if *is_descending { order.reverse() } else { order }
                }
                (false, false) => Ordering::Equal,
                (is_there, _) => {
                    if is_there == *nulls_first {
                        Ordering::Greater
                    } else {
                        Ordering::Less
                    }
                }
            };
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    }
}

/// The numbers of the rows in order; only the first ones, if there is a limit. Equal rows stay in the order they came in.
///
/// # Errors
/// When the keys cannot be computed, or take too much memory.
pub fn sorted(
    rows: &Rows,
    keys: &[SortKey],
    most: Option<usize>,
    budget: &Arc<Budget>,
) -> Result<Vec<IdxSize>, AnalyzeError> {
    let mut columns = Vec::new();
    let mut leases = Vec::new();
    let mut cost = size_of::<IdxSize>() as u64;
    for key in keys {
        let (column, lease) = computed(&key.by, rows, budget)?;
        cost += cost_of(&column);
        leases.push(lease);
        columns.push(column);
    }
    let _lease = Budget::lease(budget, cost.saturating_mul(rows.height as u64), rows.height)?;
    let order = Order::new(keys, vectors(&columns)?);
    let height = IdxSize::try_from(rows.height).unwrap_or(IdxSize::MAX);
    let mut all: Vec<IdxSize> = (0..height).collect();
    let compare =
        |one: &IdxSize, two: &IdxSize| order.of(*one as usize, *two as usize).then_with(|| one.cmp(two));
    if let Some(most) = most.filter(|&most| most < all.len()) {
        if most > 0 {
            all.select_nth_unstable_by(most, compare);
        }
        all.truncate(most);
    }
    all.sort_unstable_by(compare);
    Ok(all)
}
