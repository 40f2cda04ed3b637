//! Conversions between types.

use crate::error::AnalyzeError;
use crate::verbs::sql::evaluate::arithmetic::too_large;
use crate::verbs::sql::function::CastTarget;
use crate::verbs::sql::time;
use crate::verbs::sql::types::{Literal, Type, power_of_ten, refusal};
use crate::verbs::sql::vector::{Data, Vector, narrowed, to_float};
use std::borrow::Cow;

/// To a type that can hold all values.
///
/// # Errors
/// When a number has too many digits.
pub fn widen<'a>(value: Vector<'a>, from: Type, gives: Type) -> Result<Vector<'a>, AnalyzeError> {
    let Type::Number(scale) = from else {
        return Ok(value);
    };
    let rows = if value.is_constant { 1 } else { value.len };
    let data = match (gives, &value.data) {
        (Type::Float, Data::Small(values)) if scale == 0 => {
            Data::Float(values.iter().map(|&value| value as f64).collect())
        }
        (Type::Float, _) => Data::Float(
            (0..rows)
                .map(|row| to_float(value.digits(row).unwrap_or_default(), scale))
                .collect(),
        ),
        (Type::Number(to), _) => {
            let factor = power_of_ten(to.saturating_sub(scale));
            let digits = (0..rows).map(|row| value.digits(row).unwrap_or_default().checked_mul(factor));
            let digits: Option<Vec<i128>> = digits.collect();
            narrowed(digits.ok_or_else(|| too_large("a decimal number"))?)
        }
        _ => return Ok(value),
    };
    Ok(Vector {
        data,
        valid: value.valid,
        len: value.len,
        is_constant: value.is_constant,
    })
}

/// CAST.
///
/// # Errors
/// When a value has no place in the type, unless that gives NULL.
pub fn cast<'a>(
    value: &Vector<'a>,
    from: Type,
    to: &CastTarget,
    gives_null: bool,
    len: usize,
) -> Result<Vector<'a>, AnalyzeError> {
    let mut results: Vec<Literal> = Vec::with_capacity(len);
    for row in 0..len {
        let literal = value.literal(row, from);
        results.push(match converted(&literal, to) {
            Some(result) => result,
            None if gives_null => Literal::Null,
            None => return Err(refused(&literal, to)),
        });
    }
    let valid: Vec<bool> = results.iter().map(|result| *result != Literal::Null).collect();
    let results = results.into_iter();
    let data = match to {
        CastTarget::Whole(..) | CastTarget::Decimal(..) | CastTarget::Type(Type::Time) => narrowed(
            results
                .map(|result| match result {
                    Literal::Number { digits, .. } => digits,
                    Literal::Time(ns) => ns.into(),
                    _ => 0,
                })
                .collect(),
        ),
        CastTarget::Type(Type::Float) => Data::Float(
            results
                .map(|result| {
                    if let Literal::Float(number) = result {
                        number
                    } else {
                        0.0
                    }
                })
                .collect(),
        ),
        CastTarget::Type(Type::Boolean) => {
            Data::Boolean(results.map(|result| result == Literal::Boolean(true)).collect())
        }
        CastTarget::Type(_) => Data::Text(
            results
                .map(|result| match result {
                    Literal::Text(text) => Cow::Owned(text.to_string()),
                    _ => Cow::Borrowed(""),
                })
                .collect(),
        ),
    };
    let valid = valid.contains(&false).then_some(valid);
    Ok(Vector::new(data, valid, len))
}

fn converted(value: &Literal, to: &CastTarget) -> Option<Literal> {
    if *value == Literal::Null {
        return Some(Literal::Null);
    }
    Some(match to {
        CastTarget::Whole(least, most) => {
            let digits = rescaled(value, 0)?;
            (*least..=*most)
                .contains(&digits)
                .then(|| Literal::whole(digits))?
        }
        CastTarget::Decimal(width, scale) => {
            let digits = rescaled(value, *scale)?;
            let is_narrow = digits.unsigned_abs() < power_of_ten(*width).unsigned_abs();
            is_narrow.then_some(Literal::Number {
                digits,
                scale: *scale,
            })?
        }
        CastTarget::Type(Type::Float) => Literal::Float(match value {
            Literal::Boolean(flag) => f64::from(u8::from(*flag)),
            Literal::Number { digits, scale } => to_float(*digits, *scale),
            Literal::Float(number) => *number,
            Literal::Text(text) => text.trim().parse().ok()?,
            Literal::Time(_) | Literal::Null => return None,
        }),
        CastTarget::Type(Type::Boolean) => Literal::Boolean(match value {
            Literal::Boolean(flag) => *flag,
            Literal::Number { digits, .. } => *digits != 0,
            Literal::Float(number) => *number != 0.0,
            Literal::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "t" | "1" | "yes" | "y" => true,
                "false" | "f" | "0" | "no" | "n" => false,
                _ => return None,
            },
            Literal::Time(_) | Literal::Null => return None,
        }),
        CastTarget::Type(Type::Time) => Literal::Time(match value {
            Literal::Time(ns) => *ns,
            Literal::Text(text) => time::parse(text).ok()?,
            _ => return None,
        }),
        CastTarget::Type(_) => Literal::Text(as_text(value).into()),
    })
}

/// The digits of a number with `scale` of them behind the point: halves away from 0, and those of floating-point numbers
/// to the even one, as DuckDB does.
fn rescaled(value: &Literal, scale: u8) -> Option<i128> {
    let unit = power_of_ten(scale);
    match value {
        Literal::Boolean(flag) => i128::from(*flag).checked_mul(unit),
        Literal::Number { digits, scale: from } => {
            if *from <= scale {
                return digits.checked_mul(power_of_ten(scale - from));
            }
            let cut = power_of_ten(from - scale);
            let half = if *digits < 0 { -(cut / 2) } else { cut / 2 };
            Some(digits.checked_add(half)? / cut)
        }
        Literal::Float(number) => {
            let rounded = (number * unit as f64).round_ties_even();
            (rounded.abs() < 1.7e38).then_some(rounded as i128)
        }
        Literal::Text(text) => {
            let text = text.trim();
            let (sign, digits) = match text.strip_prefix('-') {
                Some(digits) => (-1, digits),
                None => (1, text.strip_prefix('+').unwrap_or(text)),
            };
            if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
                return None;
            }
            match Literal::parse_number(digits).ok()? {
                Literal::Number { digits, scale: from } => rescaled(
                    &Literal::Number {
                        digits: digits.checked_mul(sign)?,
                        scale: from,
                    },
                    scale,
                ),
                _ => None,
            }
        }
        Literal::Time(_) | Literal::Null => None,
    }
}

/// A floating-point number in the least digits that give it back: from 1e16, and below 1e-4, with an exponent.
fn shown_float(number: f64) -> String {
    if !number.is_finite() {
        return match number {
            _ if number.is_nan() => "nan".to_owned(),
            _ if number > 0.0 => "inf".to_owned(),
            _ => "-inf".to_owned(),
        };
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if number == 0.0 || (-4..16).contains(&exponent) {
        return format!("{number:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// A value as it is written.
#[must_use]
pub fn as_text(value: &Literal) -> String {
    match value {
        Literal::Null => String::new(),
        Literal::Boolean(flag) => flag.to_string(),
        Literal::Number { digits, scale: 0 } => digits.to_string(),
        Literal::Number { digits, scale } => {
            let unit = power_of_ten(*scale).unsigned_abs();
            let (whole, fraction) = (digits.unsigned_abs() / unit, digits.unsigned_abs() % unit);
            let sign = if *digits < 0 { "-" } else { "" };
            format!("{sign}{whole}.{fraction:0width$}", width = usize::from(*scale))
        }
        Literal::Float(number) => shown_float(*number),
        Literal::Text(text) => text.to_string(),
        Literal::Time(ns) => time::text(*ns),
    }
}

fn refused(value: &Literal, to: &CastTarget) -> AnalyzeError {
    let of = match to {
        CastTarget::Whole(least, most) => format!("a whole number from {least} to {most}"),
        CastTarget::Decimal(width, scale) => {
            format!("a decimal number of {width} digits, {scale} of them behind the point")
        }
        CastTarget::Type(of) => of.to_string(),
    };
    refusal(format!(
        "{:?} cannot be made {of}: TRY_CAST gives NULL for such values",
        as_text(value)
    ))
}
