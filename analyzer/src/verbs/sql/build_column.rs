//! Columns that are made of pieces, or of single values.

use crate::error::AnalyzeError;
use crate::verbs::sql::types::{Literal, Type};
use crate::verbs::sql::vector::{Data, Vector, narrowed};
use polars::prelude::{Column, DataType, NamedFrom, PlSmallStr, Series};
use std::borrow::Cow;

/// A column with another one behind it; whole numbers become wide if the other ones are.
///
/// # Errors
/// When they are of different types.
pub fn appended(mut one: Column, two: &Column) -> Result<Column, AnalyzeError> {
    if one.dtype() == two.dtype() {
        one.append(two)?;
        return Ok(one);
    }
    let of = match (one.dtype(), two.dtype()) {
        (DataType::Null, other) | (other, DataType::Null) => other.clone(),
        (DataType::Int128, _) | (_, DataType::Int128) | (DataType::UInt64, _) | (_, DataType::UInt64) => {
            DataType::Int128
        }
        (DataType::Float64, _) | (_, DataType::Float64) => DataType::Float64,
        _ => DataType::Int64,
    };
    let mut one = one.cast(&of)?;
    one.append(&two.cast(&of)?)?;
    Ok(one)
}

/// A column without rows.
#[must_use]
pub fn empty_column(of: Type) -> Column {
    let dtype = match of {
        Type::Null | Type::List => DataType::Null,
        Type::Boolean => DataType::Boolean,
        Type::Number(_) | Type::Time => DataType::Int64,
        Type::Float => DataType::Float64,
        Type::Text => DataType::String,
    };
    Column::new_empty(PlSmallStr::EMPTY, &dtype)
}

/// Literals of one type as a column.
#[must_use]
pub fn column_of(values: Vec<Literal>, of: Type) -> Column {
    let len = values.len();
    let valid: Vec<bool> = values.iter().map(|value| *value != Literal::Null).collect();
    let values = values.into_iter();
    let data = match of {
        Type::Null | Type::List => Data::Null,
        Type::Boolean => Data::Boolean(values.map(|value| value == Literal::Boolean(true)).collect()),
        Type::Number(_) | Type::Time => narrowed(
            values
                .map(|value| match value {
                    Literal::Number { digits, .. } => digits,
                    Literal::Time(ns) => ns.into(),
                    _ => 0,
                })
                .collect(),
        ),
        Type::Float => Data::Float(
            values
                .map(|value| {
                    if let Literal::Float(number) = value {
                        number
                    } else {
                        0.0
                    }
                })
                .collect(),
        ),
        Type::Text => Data::Text(
            values
                .map(|value| match value {
                    Literal::Text(text) => Cow::Owned(text.to_string()),
                    _ => Cow::Borrowed(""),
                })
                .collect(),
        ),
    };
    let valid = valid.contains(&false).then_some(valid);
    Vector::new(data, valid, len).into_column()
}

/// Lists of literals as a column; one that is absent is null.
#[must_use]
pub fn lists_of(values: Vec<Option<Vec<Literal>>>, of: Type) -> Column {
    let lists: Vec<Option<Series>> = values
        .into_iter()
        .map(|list| list.map(|list| column_of(list, of).take_materialized_series()))
        .collect();
    if lists.is_empty() {
        return empty_column(Type::List);
    }
    Series::new(PlSmallStr::EMPTY, lists).into()
}
