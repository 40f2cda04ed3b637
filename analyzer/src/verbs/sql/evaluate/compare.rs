//! Comparisons. NaN equals NaN and is greater than any other number, as in PostgreSQL and DuckDB.

use crate::verbs::sql::function::Function;
use crate::verbs::sql::vector::{Data, Vector};
use std::cmp::Ordering;

/// The order of two values that are there.
#[must_use]
pub fn order_of(left: &Vector<'_>, row: usize, right: &Vector<'_>, other: usize) -> Ordering {
    match (&left.data, &right.data) {
        (Data::Text(one), Data::Text(two)) => one.get(left.at(row)).cmp(&two.get(right.at(other))),
        (Data::Float(one), Data::Float(two)) => {
            let number = |values: &[f64], at: usize| values.get(at).copied().unwrap_or_default();
            of_floats(number(one, left.at(row)), number(two, right.at(other)))
        }
        (Data::Small(one), Data::Small(two)) => one.get(left.at(row)).cmp(&two.get(right.at(other))),
        _ => left.digits(row).cmp(&right.digits(other)),
    }
}

/// The order of two numbers, NaN last.
#[must_use]
pub fn of_floats(one: f64, two: f64) -> Ordering {
    one.partial_cmp(&two)
        .unwrap_or_else(|| one.is_nan().cmp(&two.is_nan()))
}

/// Compares row by row.
#[must_use]
pub fn compared<'a>(function: &Function, left: &Vector<'_>, right: &Vector<'_>, len: usize) -> Vector<'a> {
    let is = |order: Ordering| match function {
        Function::Equal | Function::NotDistinct => order.is_eq(),
        Function::NotEqual => order.is_ne(),
        Function::Less => order.is_lt(),
        Function::LessOrEqual => order.is_le(),
        Function::Greater => order.is_gt(),
        _ => order.is_ge(),
    };
    let of_row = |row: usize| match (left.is_there(row), right.is_there(row)) {
        (true, true) => Some(is(order_of(left, row, right, row))),
        (one, two) if *function == Function::NotDistinct => Some(one == two),
        _ => None,
    };
    Vector::flags((0..len).map(of_row), len)
}
