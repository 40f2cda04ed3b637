//! Computes expressions for rows. Nothing wraps and no digit is lost: what does not fit is an error.

mod arithmetic;
mod cast;
mod compare;
mod logic;
mod texts;

use crate::error::AnalyzeError;
use crate::verbs::sql::budget::Budget;
use crate::verbs::sql::expression::Expression;
use crate::verbs::sql::function::Function;
use crate::verbs::sql::row_set::Rows;
use crate::verbs::sql::types::{Type, refusal};
use crate::verbs::sql::vector::{Data, Vector};
use std::sync::Arc;

pub use arithmetic::too_large;
pub use cast::as_text;
pub use compare::{of_floats, order_of};

/// The values of an expression for `rows`.
///
/// # Errors
/// When a value cannot be computed: it is too large, a whole number is divided by 0, a CAST is of something else.
pub fn evaluate<'a>(expression: &Expression, rows: &'a Rows) -> Result<Vector<'a>, AnalyzeError> {
    match expression {
        Expression::Column(index, _) => match rows.columns.get(*index) {
            Some(Some(column)) => Vector::of_column(column),
            _ => Err(refusal("a column is missing, which is an error of pfanalyze")),
        },
        Expression::Literal(literal) => Ok(Vector::constant(literal, rows.height)),
        Expression::Call {
            function,
            arguments,
            gives,
        } => {
            let types: Vec<Type> = arguments.iter().map(Expression::of).collect();
            let values: Result<Vec<_>, _> = arguments
                .iter()
                .map(|argument| evaluate(argument, rows))
                .collect();
            call(function, values?, &types, *gives, rows.height)
        }
        Expression::Case {
            branches,
            otherwise,
            gives,
        } => {
            let mut cases = Vec::with_capacity(branches.len());
            for (when, then) in branches {
                cases.push((evaluate(when, rows)?, evaluate(then, rows)?));
            }
            logic::case(&cases, &evaluate(otherwise, rows)?, *gives, rows.height)
        }
        Expression::IsIn(of, members) => {
            let values = evaluate(of, rows)?;
            let found = (0..rows.height).map(|row| members.have(&values, row));
            Ok(Vector::flags(found, rows.height))
        }
        Expression::Aggregate(_) | Expression::Window(_) => {
            Err(refusal("an aggregate is in a place where there are no groups"))
        }
    }
}

fn call<'a>(
    function: &Function,
    values: Vec<Vector<'a>>,
    types: &[Type],
    gives: Type,
    len: usize,
) -> Result<Vector<'a>, AnalyzeError> {
    // What is computed of constants is computed once.
    if len > 1
        && values
            .iter()
            .all(|value| value.is_constant && !matches!(value.data, Data::Null))
    {
        let once = values
            .into_iter()
            .map(|value| Vector { len: 1, ..value })
            .collect();
        let mut result = call(function, once, types, gives, 1)?;
        result.len = len;
        result.is_constant = true;
        return Ok(result);
    }
    if !keeps_nulls(function) && values.iter().any(|value| matches!(value.data, Data::Null)) {
        return Ok(Vector::nulls(len));
    }
    let mut values = values.into_iter();
    let first = values.next().unwrap_or_else(|| Vector::nulls(len));
    let from = types.first().copied().unwrap_or(Type::Null);
    match function {
        Function::Add
        | Function::Subtract
        | Function::Multiply
        | Function::Divide
        | Function::WholeDivide
        | Function::Modulo
        | Function::BitAnd
        | Function::BitOr
        | Function::BitXor
        | Function::ShiftLeft
        | Function::ShiftRight
        | Function::Power => {
            let second = values.next().unwrap_or_else(|| Vector::nulls(len));
            arithmetic::binary(function, &first, &second, len)
        }
        Function::Equal
        | Function::NotEqual
        | Function::Less
        | Function::LessOrEqual
        | Function::Greater
        | Function::GreaterOrEqual
        | Function::NotDistinct => {
            let second = values.next().unwrap_or_else(|| Vector::nulls(len));
            Ok(compare::compared(function, &first, &second, len))
        }
        Function::And | Function::Or => {
            let second = values.next().unwrap_or_else(|| Vector::nulls(len));
            Ok(logic::both(function, &first, &second, len))
        }
        Function::Not | Function::IsNull | Function::IsTrue | Function::IsFalse => {
            Ok(logic::single(function, &first, len))
        }
        Function::Coalesce => Ok(logic::coalesce(first, values, gives, len)),
        Function::NullIf => {
            let second = values.next().unwrap_or_else(|| Vector::nulls(len));
            Ok(logic::null_if(first, &second, len))
        }
        Function::Greatest | Function::Least => {
            let all: Vec<_> = [first].into_iter().chain(values).collect();
            Ok(logic::extreme(&all, *function == Function::Greatest, gives, len))
        }
        Function::Widen => cast::widen(first, from, gives),
        Function::Cast { to, gives_null } => cast::cast(&first, from, to, *gives_null, len),
        Function::Negate
        | Function::Abs
        | Function::Sign
        | Function::Round(_)
        | Function::Floor
        | Function::Ceil
        | Function::Trunc
        | Function::Real(_)
        | Function::EpochNs
        | Function::TruncateTime(_) => arithmetic::single(function, first, from, gives),
        _ => {
            let all: Vec<_> = [first].into_iter().chain(values).collect();
            Ok(texts::call(function, &all, len))
        }
    }
}

/// Whether a function says something of NULL.
fn keeps_nulls(function: &Function) -> bool {
    matches!(
        function,
        Function::And
            | Function::Or
            | Function::IsNull
            | Function::IsTrue
            | Function::IsFalse
            | Function::Coalesce
            | Function::NullIf
            | Function::Greatest
            | Function::Least
            | Function::NotDistinct
            | Function::ConcatenateAll
    )
}

/// The rows for which all conditions are true.
///
/// # Errors
/// When they cannot be computed, or take too much memory.
pub fn passing(rows: &Rows, conditions: &[Expression], budget: &Arc<Budget>) -> Result<Rows, AnalyzeError> {
    if conditions.is_empty() {
        return Ok(rows.clone());
    }
    let mut passes = Vec::with_capacity(rows.height);
    for piece in rows.pieces() {
        let mut all = vec![true; piece.height];
        for condition in conditions {
            let values = evaluate(condition, &piece)?;
            for (row, all) in all.iter_mut().enumerate() {
                *all &= values.flag(row) == Some(true);
            }
        }
        passes.extend(all);
    }
    rows.filter(&passes, budget)
}
