//! Joins: by the numbers of equal keys where conditions say that two columns are equal, else each row with each.

use crate::error::AnalyzeError;
use crate::verbs::sql::budget::Budget;
use crate::verbs::sql::evaluate::evaluate;
use crate::verbs::sql::expression::Expression;
use crate::verbs::sql::function::Function;
use crate::verbs::sql::hashing::RowNumbers;
use crate::verbs::sql::ordering::{computed, vectors};
use crate::verbs::sql::row_set::{PIECE, Rows};
use polars::prelude::{Column, IdxSize};
use std::sync::Arc;

/// Which rows without a partner stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in SQL")]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
}

/// What is joined.
pub struct Sides<'s> {
    /// The rows so far.
    pub left: Rows,
    /// The new ones.
    pub right: Rows,
    /// Whether a column is one of the new ones.
    pub is_right: &'s dyn Fn(usize) -> bool,
}

/// No row.
const NONE: u32 = u32::MAX;

/// Joins by all conditions.
///
/// # Errors
/// When they cannot be computed, or the rows take too much memory.
pub fn join(
    sides: Sides<'_>,
    kind: JoinKind,
    conditions: Vec<Expression>,
    budget: &Arc<Budget>,
) -> Result<Rows, AnalyzeError> {
    let mut keys: Vec<(Expression, Expression)> = Vec::new();
    let mut others = Vec::new();
    for condition in conditions {
        match key_of(&condition, sides.is_right) {
            Some(key) => keys.push(key),
            None => others.push(condition),
        }
    }
    let pairs = Pairs::find(&sides, kind, &keys, &others, budget)?;
    let _lease = Budget::lease(budget, 8 * pairs.left.len() as u64, pairs.left.len())?;
    let left = sides.left.take_or_null(&pairs.left, budget)?;
    let right = sides.right.take_or_null(&pairs.right, budget)?;
    Ok(beside(&left, &right))
}

fn beside(left: &Rows, right: &Rows) -> Rows {
    let columns = left.columns.iter().zip(&right.columns);
    let columns = columns
        .map(|(left, right)| left.clone().or_else(|| right.clone()))
        .collect();
    let leases: Vec<_> = left.leases().chain(right.leases()).collect();
    Rows::new(left.height, columns).holding(leases)
}

/// The two sides of a condition that says that they are equal.
fn key_of(condition: &Expression, is_right: &dyn Fn(usize) -> bool) -> Option<(Expression, Expression)> {
    let Expression::Call {
        function: Function::Equal,
        arguments,
        ..
    } = condition
    else {
        return None;
    };
    let [one, two] = arguments.as_slice() else {
        return None;
    };
    let side = |expression: &Expression| {
        let (mut left, mut right) = (false, false);
        expression.columns(&mut |index| {
            left |= !is_right(index);
            right |= is_right(index);
        });
        (left, right)
    };
    match (side(one), side(two)) {
        ((true, false), (false, true)) => Some((one.clone(), two.clone())),
        ((false, true), (true, false)) => Some((two.clone(), one.clone())),
        _ => None,
    }
}

/// Rows that belong together.
#[derive(Default)]
struct Pairs {
    left: Vec<Option<IdxSize>>,
    right: Vec<Option<IdxSize>>,
}

impl Pairs {
    fn find(
        sides: &Sides<'_>,
        kind: JoinKind,
        keys: &[(Expression, Expression)],
        others: &[Expression],
        budget: &Arc<Budget>,
    ) -> Result<Self, AnalyzeError> {
        let (left, right) = (&sides.left, &sides.right);
        let mut numbers = RowNumbers::default();
        let chains = Chains::of(right, keys, &mut numbers, budget)?;
        let mut found = Self::default();
        let mut candidates: (Vec<IdxSize>, Vec<IdxSize>) = Default::default();
        let mut is_matched = (vec![false; left.height], vec![false; right.height]);
        let mut start = 0;
        for piece in left.pieces() {
            let (of_left, _held) = columns_of(keys.iter().map(|(left, _)| left), &piece, budget)?;
            let values = vectors(&of_left)?;
            let left_numbers = numbers.of(&values, piece.height);
            for (row, number) in left_numbers.into_iter().enumerate() {
                if values.iter().any(|values| !values.is_there(row)) {
                    continue;
                }
                let mut next = chains.first(number);
                while let Some(partner) = next {
                    candidates.0.push(start + row as IdxSize);
                    candidates.1.push(partner);
                    next = chains.next(partner);
                    if candidates.0.len() >= PIECE {
                        found.keep(&mut candidates, sides, others, &mut is_matched, budget)?;
                    }
                }
            }
            numbers.hold(budget)?;
            start += piece.height as IdxSize;
        }
        found.keep(&mut candidates, sides, others, &mut is_matched, budget)?;
        let alone = |is_matched: Vec<bool>| {
            let rows = is_matched
                .into_iter()
                .enumerate()
                .filter(|(_, is_matched)| !is_matched);
            rows.map(|(row, _)| row as IdxSize).collect::<Vec<_>>()
        };
        if matches!(kind, JoinKind::Left | JoinKind::Full) {
            for row in alone(is_matched.0) {
                found.left.push(Some(row));
                found.right.push(None);
            }
        }
        if matches!(kind, JoinKind::Right | JoinKind::Full) {
            for row in alone(is_matched.1) {
                found.left.push(None);
                found.right.push(Some(row));
            }
        }
        Ok(found)
    }

    /// Of the candidates those for which the other conditions are true.
    fn keep(
        &mut self,
        candidates: &mut (Vec<IdxSize>, Vec<IdxSize>),
        sides: &Sides<'_>,
        others: &[Expression],
        is_matched: &mut (Vec<bool>, Vec<bool>),
        budget: &Arc<Budget>,
    ) -> Result<(), AnalyzeError> {
        crate::trace::memory_limit::check()?;
        let (left, right) = (
            std::mem::take(&mut candidates.0),
            std::mem::take(&mut candidates.1),
        );
        let mut passes = vec![true; left.len()];
        if !others.is_empty() && !left.is_empty() {
            let rows = beside(
                &sides.left.take(&left, budget)?,
                &sides.right.take(&right, budget)?,
            );
            for condition in others {
                let values = evaluate(condition, &rows)?;
                for (row, passes) in passes.iter_mut().enumerate() {
                    *passes &= values.flag(row) == Some(true);
                }
            }
        }
        for ((left, right), passes) in left.into_iter().zip(right).zip(passes) {
            if !passes {
                continue;
            }
            self.left.push(Some(left));
            self.right.push(Some(right));
            for (is_matched, row) in [(&mut is_matched.0, left), (&mut is_matched.1, right)] {
                if let Some(is_matched) = is_matched.get_mut(row as usize) {
                    *is_matched = true;
                }
            }
        }
        // The rows themselves are counted when they are taken.
        drop(Budget::lease(
            budget,
            24 * self.left.len() as u64,
            self.left.len(),
        )?);
        Ok(())
    }
}

/// The rows of each number, one after the other.
struct Chains {
    firsts: Vec<u32>,
    nexts: Vec<u32>,
}

impl Chains {
    fn of(
        rows: &Rows,
        keys: &[(Expression, Expression)],
        numbers: &mut RowNumbers,
        budget: &Arc<Budget>,
    ) -> Result<Self, AnalyzeError> {
        let mut chains = Self {
            firsts: Vec::new(),
            nexts: vec![NONE; rows.height],
        };
        let mut lasts: Vec<u32> = Vec::new();
        let mut start: u32 = 0;
        for piece in rows.pieces() {
            let (columns, _held) = columns_of(keys.iter().map(|(_, right)| right), &piece, budget)?;
            let values = vectors(&columns)?;
            for (row, number) in numbers.of(&values, piece.height).into_iter().enumerate() {
                let (number, at) = (number as usize, start + row as u32);
                if number >= chains.firsts.len() {
                    chains.firsts.resize(number + 1, NONE);
                    lasts.resize(number + 1, NONE);
                }
                // NULL equals nothing.
                if values.iter().any(|values| !values.is_there(row)) {
                    continue;
                }
                let last = lasts.get(number).copied().unwrap_or(NONE);
                let slot = match last {
                    NONE => chains.firsts.get_mut(number),
                    last => chains.nexts.get_mut(last as usize),
                };
                if let (Some(slot), Some(last)) = (slot, lasts.get_mut(number)) {
                    (*slot, *last) = (at, at);
                }
            }
            numbers.hold(budget)?;
            start += piece.height as u32;
        }
        Ok(chains)
    }

    fn first(&self, number: u32) -> Option<u32> {
        self.firsts
            .get(number as usize)
            .copied()
            .filter(|&row| row != NONE)
    }

    fn next(&self, row: u32) -> Option<u32> {
        self.nexts.get(row as usize).copied().filter(|&row| row != NONE)
    }
}

type Held = Vec<Option<Arc<crate::verbs::sql::budget::Lease>>>;

fn columns_of<'k>(
    keys: impl Iterator<Item = &'k Expression>,
    piece: &Rows,
    budget: &Arc<Budget>,
) -> Result<(Vec<Column>, Held), AnalyzeError> {
    let mut columns = Vec::new();
    let mut held = Vec::new();
    for key in keys {
        let (column, lease) = computed(key, piece, budget)?;
        columns.push(column);
        held.push(lease);
    }
    Ok((columns, held))
}
