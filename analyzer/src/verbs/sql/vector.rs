//! The values of an expression for some rows: plain vectors. Whole numbers have 64 bits where they fit
//! and 128 where they do not.

use crate::error::AnalyzeError;
use crate::verbs::sql::types::{Literal, Type, power_of_ten, refusal};
use polars::prelude::{
    BooleanChunked, Column, DataType, Float64Chunked, Int64Chunked, Int128Chunked, IntoColumn,
    PolarsNumericType, StringChunked,
};
use std::borrow::Cow;

/// Values without their nulls: what stands in the place of one has no meaning.
#[derive(Clone, Debug)]
pub enum Data<'a> {
    /// Nothing but nulls.
    Null,
    /// True or false.
    Boolean(Vec<bool>),
    /// Whole numbers, times, and the digits of decimal numbers.
    Small(Vec<i64>),
    /// As `Small`, where some do not fit into 64 bits.
    Big(Vec<i128>),
    /// Floating-point numbers.
    Float(Vec<f64>),
    /// Text.
    Text(Vec<Cow<'a, str>>),
    /// Lists: only shown.
    List(Column),
}

/// Values; a constant has one, which stands for all rows.
#[derive(Clone, Debug)]
pub struct Vector<'a> {
    /// The values.
    pub data: Data<'a>,
    /// Which are there; all, if this is absent.
    pub valid: Option<Vec<bool>>,
    /// Number of rows.
    pub len: usize,
    /// Whether there is one value for all rows.
    pub is_constant: bool,
}

impl<'a> Vector<'a> {
    /// Values of their own.
    #[must_use]
    pub fn new(data: Data<'a>, valid: Option<Vec<bool>>, len: usize) -> Self {
        let is_constant = matches!(data, Data::Null);
        Self {
            data,
            valid,
            len,
            is_constant,
        }
    }

    /// Truth values.
    #[must_use]
    pub fn flags(values: impl Iterator<Item = Option<bool>>, len: usize) -> Self {
        let mut all = Vec::with_capacity(len);
        let mut valid = Vec::with_capacity(len);
        for value in values {
            all.push(value.unwrap_or_default());
            valid.push(value.is_some());
        }
        let valid = valid.contains(&false).then_some(valid);
        Self::new(Data::Boolean(all), valid, len)
    }

    /// Nothing but nulls.
    #[must_use]
    pub fn nulls(len: usize) -> Self {
        Self::new(Data::Null, Some(vec![false]), len)
    }

    /// One value for all rows.
    #[must_use]
    pub fn constant(literal: &Literal, len: usize) -> Self {
        let data = match literal {
            Literal::Null => return Self::nulls(len),
            Literal::Boolean(flag) => Data::Boolean(vec![*flag]),
            Literal::Number { digits, .. } => match i64::try_from(*digits) {
                Ok(small) => Data::Small(vec![small]),
                Err(_) => Data::Big(vec![*digits]),
            },
            Literal::Float(number) => Data::Float(vec![*number]),
            Literal::Text(text) => Data::Text(vec![Cow::Owned(text.to_string())]),
            Literal::Time(ns) => Data::Small(vec![*ns]),
        };
        Self {
            data,
            valid: None,
            len,
            is_constant: true,
        }
    }

    /// The values of a column.
    ///
    /// # Errors
    /// For a type that no table has.
    pub fn of_column(column: &'a Column) -> Result<Self, AnalyzeError> {
        let len = column.len();
        let series = column.as_materialized_series();
        let valid = || {
            let is_there = series.is_not_null();
            (series.null_count() > 0).then(|| is_there.iter().map(|is| is == Some(true)).collect())
        };
        let data = match column.dtype() {
            DataType::Null => return Ok(Self::nulls(len)),
            DataType::Boolean => Data::Boolean(series.bool()?.iter().map(|v| v == Some(true)).collect()),
            DataType::UInt8 => Data::Small(numbers(series.u8()?, i64::from)),
            DataType::UInt16 => Data::Small(numbers(series.u16()?, i64::from)),
            DataType::UInt32 => Data::Small(numbers(series.u32()?, i64::from)),
            DataType::UInt64 => {
                let values = series.u64()?;
                match values
                    .downcast_iter()
                    .all(|array| fits(array.values().as_slice()))
                {
                    true => Data::Small(numbers(values, |v| v as i64)),
                    false => Data::Big(numbers(values, i128::from)),
                }
            }
            DataType::Int64 => Data::Small(numbers(series.i64()?, |v| v)),
            DataType::Int128 => Data::Big(numbers(series.i128()?, |v| v)),
            DataType::Float64 => Data::Float(numbers(series.f64()?, |v| v)),
            DataType::String => {
                let texts = series.str()?.iter();
                Data::Text(
                    texts
                        .map(|text| Cow::Borrowed(text.unwrap_or_default()))
                        .collect(),
                )
            }
            DataType::List(_) => Data::List(column.clone()),
            other => {
                return Err(refusal(format!(
                    "a column of type {other} cannot be computed with"
                )));
            }
        };
        Ok(Self::new(data, valid(), len))
    }

    /// Where the value of a row stands.
    #[must_use]
    pub fn at(&self, row: usize) -> usize {
        if self.is_constant { 0 } else { row }
    }

    /// Whether a row has a value.
    #[must_use]
    pub fn is_there(&self, row: usize) -> bool {
        let at = self.at(row);
        self.valid
            .as_ref()
            .is_none_or(|valid| valid.get(at).copied().unwrap_or(false))
    }

    /// A whole number, or the digits of a decimal one.
    #[must_use]
    pub fn digits(&self, row: usize) -> Option<i128> {
        if !self.is_there(row) {
            return None;
        }
        match &self.data {
            Data::Small(values) => values.get(self.at(row)).map(|&value| value.into()),
            Data::Big(values) => values.get(self.at(row)).copied(),
            Data::Boolean(values) => values.get(self.at(row)).map(|&value| value.into()),
            _ => None,
        }
    }

    /// A floating-point number.
    #[must_use]
    pub fn float(&self, row: usize) -> Option<f64> {
        match &self.data {
            Data::Float(values) if self.is_there(row) => values.get(self.at(row)).copied(),
            _ => None,
        }
    }

    /// True, false or unknown.
    #[must_use]
    pub fn flag(&self, row: usize) -> Option<bool> {
        match &self.data {
            Data::Boolean(values) if self.is_there(row) => values.get(self.at(row)).copied(),
            _ => None,
        }
    }

    /// A text.
    #[must_use]
    pub fn text(&self, row: usize) -> Option<&str> {
        match &self.data {
            Data::Text(values) if self.is_there(row) => values.get(self.at(row)).map(AsRef::as_ref),
            _ => None,
        }
    }

    /// Whether each row is true; what is unknown is not.
    #[must_use]
    pub fn passes(&self) -> Vec<bool> {
        (0..self.len).map(|row| self.flag(row) == Some(true)).collect()
    }

    /// The row's value as a constant of type `of`.
    #[must_use]
    pub fn literal(&self, row: usize, of: Type) -> Literal {
        let literal = match of {
            Type::Null | Type::List => None,
            Type::Boolean => self.flag(row).map(Literal::Boolean),
            Type::Number(scale) => self.digits(row).map(|digits| Literal::Number { digits, scale }),
            Type::Float => self.float(row).map(Literal::Float),
            Type::Text => self.text(row).map(|text| Literal::Text(text.into())),
            Type::Time => self
                .digits(row)
                .and_then(|ns| i64::try_from(ns).ok())
                .map(Literal::Time),
        };
        literal.unwrap_or(Literal::Null)
    }

    /// As a column of polars, with a value for each row.
    #[must_use]
    pub fn into_column(self) -> Column {
        let Self {
            data,
            valid,
            len,
            is_constant,
        } = self;
        let at = |row: usize| if is_constant { 0 } else { row };
        let is_there = |row: usize| {
            valid
                .as_ref()
                .is_none_or(|valid| valid.get(at(row)) == Some(&true))
        };
        let name = polars::prelude::PlSmallStr::EMPTY;
        match data {
            Data::Null => Column::full_null(name, len, &DataType::Null),
            Data::Boolean(values) => {
                let values = (0..len).map(|row| values.get(at(row)).copied().filter(|_| is_there(row)));
                values.collect::<BooleanChunked>().into_column()
            }
            Data::Small(values) if valid.is_none() && !is_constant => {
                Int64Chunked::from_vec(name, values).into_column()
            }
            Data::Small(values) => {
                let values = (0..len).map(|row| values.get(at(row)).copied().filter(|_| is_there(row)));
                values.collect::<Int64Chunked>().into_column()
            }
            Data::Big(values) => {
                let values = (0..len).map(|row| values.get(at(row)).copied().filter(|_| is_there(row)));
                values.collect::<Int128Chunked>().into_column()
            }
            Data::Float(values) => {
                let values = (0..len).map(|row| values.get(at(row)).copied().filter(|_| is_there(row)));
                values.collect::<Float64Chunked>().into_column()
            }
            Data::Text(values) => {
                let values = (0..len).map(|row| values.get(at(row)).filter(|_| is_there(row)));
                values.collect::<StringChunked>().into_column()
            }
            Data::List(column) => column,
        }
    }
}

fn numbers<T: PolarsNumericType, N: Default>(
    values: &polars::prelude::ChunkedArray<T>,
    of: impl Fn(T::Native) -> N,
) -> Vec<N> {
    let mut all = Vec::with_capacity(values.len());
    for array in values.downcast_iter() {
        all.extend(array.values().iter().map(|&value| of(value)));
    }
    all
}

fn fits(values: &[u64]) -> bool {
    values.iter().fold(0, |all, &value| all | value) <= i64::MAX as u64
}

/// A number of `scale` digits behind the point as a floating-point number.
#[must_use]
pub fn to_float(digits: i128, scale: u8) -> f64 {
    match scale {
        0 => digits as f64,
        scale => digits as f64 / power_of_ten(scale) as f64,
    }
}

/// Makes whole numbers small where all fit.
#[must_use]
pub fn narrowed<'a>(values: Vec<i128>) -> Data<'a> {
    let small: Option<Vec<i64>> = values.iter().map(|&value| i64::try_from(value).ok()).collect();
    match small {
        Some(small) => Data::Small(small),
        None => Data::Big(values),
    }
}
