//! Conditions with three values, and choices.

use crate::error::AnalyzeError;
use crate::verbs::sql::evaluate::compare::order_of;
use crate::verbs::sql::function::Function;
use crate::verbs::sql::types::{Type, refusal};
use crate::verbs::sql::vector::{Data, Vector, narrowed};
use std::borrow::Cow;
use std::cmp::Ordering;

/// AND and OR.
#[must_use]
pub fn both<'a>(function: &Function, left: &Vector<'_>, right: &Vector<'_>, len: usize) -> Vector<'a> {
    let decides = *function == Function::Or;
    let of_row = |row: usize| match (left.flag(row), right.flag(row)) {
        (Some(one), _) if one == decides => Some(decides),
        (_, Some(two)) if two == decides => Some(decides),
        (Some(_), Some(_)) => Some(!decides),
        _ => None,
    };
    Vector::flags((0..len).map(of_row), len)
}

/// NOT, IS NULL, IS TRUE, IS FALSE.
#[must_use]
pub fn single<'a>(function: &Function, value: &Vector<'_>, len: usize) -> Vector<'a> {
    let of_row = |row: usize| match function {
        Function::Not => value.flag(row).map(|flag| !flag),
        Function::IsTrue => Some(value.flag(row) == Some(true)),
        Function::IsFalse => Some(value.flag(row) == Some(false)),
        _ => Some(!value.is_there(row)),
    };
    Vector::flags((0..len).map(of_row), len)
}

/// Builds a vector of which each row is that of one of several others, all of one type.
fn chosen<'a>(
    of: Type,
    len: usize,
    choose: impl Fn(usize) -> Option<(usize, usize)>,
    from: &[&Vector<'a>],
) -> Vector<'a> {
    let choice = |row: usize| {
        let (which, row) = choose(row)?;
        from.get(which)
            .filter(|values| values.is_there(row))
            .map(|&values| (values, row))
    };
    let valid: Vec<bool> = (0..len).map(|row| choice(row).is_some()).collect();
    let rows = 0..len;
    let data = match of {
        Type::Null | Type::List => return Vector::nulls(len),
        Type::Boolean => Data::Boolean(
            rows.map(|row| {
                choice(row)
                    .and_then(|(values, row)| values.flag(row))
                    .unwrap_or_default()
            })
            .collect(),
        ),
        Type::Number(_) | Type::Time => narrowed(
            rows.map(|row| {
                choice(row)
                    .and_then(|(values, row)| values.digits(row))
                    .unwrap_or_default()
            })
            .collect(),
        ),
        Type::Float => Data::Float(
            rows.map(|row| {
                choice(row)
                    .and_then(|(values, row)| values.float(row))
                    .unwrap_or_default()
            })
            .collect(),
        ),
        Type::Text => Data::Text(
            rows.map(|row| match choice(row) {
                Some((values, row)) => match &values.data {
                    Data::Text(texts) => texts.get(values.at(row)).cloned().unwrap_or_default(),
                    _ => Cow::Borrowed(""),
                },
                None => Cow::Borrowed(""),
            })
            .collect(),
        ),
    };
    let valid = valid.contains(&false).then_some(valid);
    Vector::new(data, valid, len)
}

/// CASE.
///
/// # Errors
/// For lists.
pub fn case<'a>(
    branches: &[(Vector<'a>, Vector<'a>)],
    otherwise: &Vector<'a>,
    gives: Type,
    len: usize,
) -> Result<Vector<'a>, AnalyzeError> {
    if gives == Type::List {
        return Err(refusal("CASE cannot choose between lists"));
    }
    let choose = |row: usize| {
        let taken = branches.iter().position(|(when, _)| when.flag(row) == Some(true));
        Some((taken.unwrap_or(branches.len()), row))
    };
    let results = branches.iter().map(|(_, then)| then);
    let results: Vec<&Vector<'a>> = results.chain([otherwise]).collect();
    Ok(chosen(gives, len, choose, &results))
}

/// COALESCE.
#[must_use]
pub fn coalesce<'a>(
    first: Vector<'a>,
    others: impl Iterator<Item = Vector<'a>>,
    gives: Type,
    len: usize,
) -> Vector<'a> {
    let all: Vec<Vector<'a>> = [first].into_iter().chain(others).collect();
    let choose = |row: usize| {
        let found = all.iter().position(|values| values.is_there(row));
        found.map(|which| (which, row))
    };
    chosen(gives, len, choose, &all.iter().collect::<Vec<_>>())
}

/// NULLIF.
#[must_use]
pub fn null_if<'a>(value: Vector<'a>, other: &Vector<'_>, len: usize) -> Vector<'a> {
    let is_other =
        |row: usize| other.is_there(row) && value.is_there(row) && order_of(&value, row, other, row).is_eq();
    let valid: Vec<bool> = (0..len)
        .map(|row| value.is_there(row) && !is_other(row))
        .collect();
    if !value.is_constant {
        return Vector {
            valid: Some(valid),
            ..value
        };
    }
    let of = match &value.data {
        Data::Null => return value,
        Data::Boolean(_) => Type::Boolean,
        Data::Small(_) | Data::Big(_) => Type::WHOLE,
        Data::Float(_) => Type::Float,
        Data::Text(_) => Type::Text,
        Data::List(_) => Type::List,
    };
    let choose = |row: usize| valid.get(row).copied().unwrap_or(false).then_some((0, row));
    chosen(of, len, choose, &[&value])
}

/// GREATEST and LEAST, which leave out NULL.
#[must_use]
pub fn extreme<'a>(all: &[Vector<'a>], is_greatest: bool, gives: Type, len: usize) -> Vector<'a> {
    let wanted = if is_greatest {
        Ordering::Greater
    } else {
        Ordering::Less
    };
    let choose = |row: usize| {
        let mut best: Option<(usize, &Vector<'a>)> = None;
        for (which, values) in all.iter().enumerate().filter(|(_, values)| values.is_there(row)) {
            if best.is_none_or(|(_, before)| order_of(values, row, before, row) == wanted) {
                best = Some((which, values));
            }
        }
        best.map(|(which, _)| (which, row))
    };
    chosen(gives, len, choose, &all.iter().collect::<Vec<_>>())
}
