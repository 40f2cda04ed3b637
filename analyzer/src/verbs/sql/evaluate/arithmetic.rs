//! Arithmetic.

use crate::error::AnalyzeError;
use crate::verbs::sql::function::{Function, Real};
use crate::verbs::sql::types::{Type, power_of_ten, refusal};
use crate::verbs::sql::vector::{Data, Vector, narrowed};

/// A function of two numbers of one type.
///
/// # Errors
/// When a result does not fit, or a whole number is divided by 0.
pub fn binary<'a>(
    function: &Function,
    left: &Vector<'_>,
    right: &Vector<'_>,
    len: usize,
) -> Result<Vector<'a>, AnalyzeError> {
    if let (Data::Float(one), Data::Float(two)) = (&left.data, &right.data) {
        return Ok(floats(function, (left, one), (right, two), len));
    }
    if let (Data::Small(one), Data::Small(two)) = (&left.data, &right.data)
        && let Some(result) = small(function, (left, one), (right, two), len)
    {
        return Ok(result);
    }
    big(function, left, right, len)
}

fn floats<'a>(
    function: &Function,
    (left, one): (&Vector<'_>, &[f64]),
    (right, two): (&Vector<'_>, &[f64]),
    len: usize,
) -> Vector<'a> {
    let compute = |a: f64, b: f64| match function {
        Function::Add => a + b,
        Function::Subtract => a - b,
        Function::Multiply => a * b,
        Function::Divide => a / b,
        Function::Modulo => a % b,
        _ => a.powf(b),
    };
    let values = pairs(left, one, right, two, len)
        .map(|(a, b)| compute(a, b))
        .collect();
    Vector::new(Data::Float(values), valid(left, right, len), len)
}

/// The values of two vectors, row by row.
fn pairs<'v, T: Copy + Default>(
    left: &'v Vector<'_>,
    one: &'v [T],
    right: &'v Vector<'_>,
    two: &'v [T],
    len: usize,
) -> impl Iterator<Item = (T, T)> + 'v {
    (0..len).map(move |row| {
        let a = one.get(left.at(row)).copied().unwrap_or_default();
        (a, two.get(right.at(row)).copied().unwrap_or_default())
    })
}

/// Which rows have both values.
#[must_use]
pub fn valid(left: &Vector<'_>, right: &Vector<'_>, len: usize) -> Option<Vec<bool>> {
    if left.valid.is_none() && right.valid.is_none() {
        return None;
    }
    Some(
        (0..len)
            .map(|row| left.is_there(row) && right.is_there(row))
            .collect(),
    )
}

/// In 64 bits, if every result fits.
fn small<'a>(
    function: &Function,
    (left, one): (&Vector<'_>, &[i64]),
    (right, two): (&Vector<'_>, &[i64]),
    len: usize,
) -> Option<Vector<'a>> {
    let compute: fn(i64, i64) -> Option<i64> = match function {
        Function::Add => i64::checked_add,
        Function::Subtract => i64::checked_sub,
        Function::Multiply => i64::checked_mul,
        Function::WholeDivide => i64::checked_div,
        Function::Modulo => i64::checked_rem,
        Function::BitAnd => |a, b| Some(a & b),
        Function::BitOr => |a, b| Some(a | b),
        Function::BitXor => |a, b| Some(a ^ b),
        _ => return None,
    };
    let valid = valid(left, right, len);
    let mut values = Vec::with_capacity(len);
    for (row, (a, b)) in pairs(left, one, right, two, len).enumerate() {
        let value = match compute(a, b) {
            Some(value) => value,
            None if valid.as_ref().is_some_and(|valid| valid.get(row) == Some(&false)) => 0,
            None => return None,
        };
        values.push(value);
    }
    Some(Vector::new(Data::Small(values), valid, len))
}

fn big<'a>(
    function: &Function,
    left: &Vector<'_>,
    right: &Vector<'_>,
    len: usize,
) -> Result<Vector<'a>, AnalyzeError> {
    let valid = valid(left, right, len);
    let mut values = Vec::with_capacity(len);
    for row in 0..len {
        values.push(match (left.digits(row), right.digits(row)) {
            (Some(a), Some(b)) => whole(function, a, b)?,
            _ => 0,
        });
    }
    Ok(Vector::new(narrowed(values), valid, len))
}

fn whole(function: &Function, a: i128, b: i128) -> Result<i128, AnalyzeError> {
    if b == 0 && matches!(function, Function::WholeDivide | Function::Modulo) {
        return Err(refusal(format!(
            "{a} {} 0: a whole number cannot be divided by 0; NULLIF(x, 0) makes NULL of such a result",
            if *function == Function::Modulo { "%" } else { "//" },
        )));
    }
    let shift = || u32::try_from(b).ok().filter(|&b| b < 64 && a >= 0);
    let value = match function {
        Function::Add => a.checked_add(b),
        Function::Subtract => a.checked_sub(b),
        Function::Multiply => a.checked_mul(b),
        Function::WholeDivide => a.checked_div(b),
        Function::Modulo => a.checked_rem(b),
        Function::BitAnd => Some(a & b),
        Function::BitOr => Some(a | b),
        Function::BitXor => Some(a ^ b),
        Function::ShiftLeft => shift().and_then(|b| a.checked_mul(1i128 << b)),
        Function::ShiftRight => shift().map(|b| a >> b),
        _ => None,
    };
    value.ok_or_else(|| too_large(&format!("a result of {a} and {b}")))
}

/// The word on a number that has no place.
#[must_use]
pub fn too_large(what: &str) -> AnalyzeError {
    refusal(format!(
        "{what} does not fit into 128 bits: compute with floating-point numbers, as in CAST(x AS DOUBLE)"
    ))
}

/// A function of one number.
///
/// # Errors
/// When a result does not fit.
pub fn single<'a>(
    function: &Function,
    value: Vector<'a>,
    from: Type,
    gives: Type,
) -> Result<Vector<'a>, AnalyzeError> {
    let valid = value.valid.clone();
    let is_constant = value.is_constant;
    let len = value.len;
    let data = match value.data {
        Data::Float(values) => Data::Float(values.into_iter().map(|value| real(function, value)).collect()),
        _ if *function == Function::EpochNs => value.data,
        _ => {
            let scale = match from {
                Type::Number(scale) => scale,
                _ => 0,
            };
            let rows = if is_constant { 1 } else { len };
            let mut values = Vec::with_capacity(rows);
            for row in 0..rows {
                let digits = value.digits(row).unwrap_or_default();
                values.push(exact(function, digits, scale, gives).ok_or_else(|| too_large("a number"))?);
            }
            narrowed(values)
        }
    };
    let data = match (function, data) {
        (Function::Sign, Data::Float(values)) => narrowed(
            values
                .into_iter()
                .map(|value| if value > 0.0 { 1 } else { -i128::from(value < 0.0) })
                .collect(),
        ),
        (_, data) => data,
    };
    Ok(Vector {
        data,
        valid,
        len,
        is_constant,
    })
}

fn exact(function: &Function, digits: i128, scale: u8, gives: Type) -> Option<i128> {
    let unit = power_of_ten(scale);
    match function {
        Function::Negate => digits.checked_neg(),
        Function::Abs => digits.checked_abs(),
        Function::Sign => Some(digits.signum()),
        Function::Floor => Some(digits.div_euclid(unit)),
        Function::Trunc => Some(digits / unit),
        Function::Ceil => digits.checked_neg().map(|digits| -digits.div_euclid(unit)),
        Function::TruncateTime(ns) => {
            let ns = i128::from(*ns);
            Some(digits.div_euclid(ns) * ns)
        }
        Function::Round(places) => {
            let kept = match gives {
                Type::Number(kept) => i32::from(kept),
                _ => 0,
            };
            let places = (*places).min(i32::from(scale));
            // Half of the last place that goes away, away from 0; then zeros where places are left of the point.
            let cut = power_of_ten(u8::try_from(i32::from(scale) - places).ok()?);
            let half = if digits < 0 { -(cut / 2) } else { cut / 2 };
            let rounded = digits.checked_add(half)? / cut;
            let zeros = u8::try_from(kept - places).ok()?;
            rounded.checked_mul(power_of_ten(zeros))
        }
        _ => None,
    }
}

fn real(function: &Function, value: f64) -> f64 {
    match function {
        Function::Negate => -value,
        Function::Abs => value.abs(),
        Function::Floor => value.floor(),
        Function::Ceil => value.ceil(),
        Function::Trunc => value.trunc(),
        Function::Round(places) => rounded(value, *places),
        Function::Real(Real::Sqrt) => value.sqrt(),
        Function::Real(Real::Ln) => value.ln(),
        Function::Real(Real::Log10) => value.log10(),
        Function::Real(Real::Log2) => value.log2(),
        Function::Real(Real::Exp) => value.exp(),
        _ => value,
    }
}

/// To the nearest number with so many digits behind the point, halves away from 0. It is the number itself that is rounded,
/// not its product with a power of ten: 0.045 is a little less than that, and becomes 0.04.
fn rounded(value: f64, places: i32) -> f64 {
    let size = value.abs();
    let factor = 10f64.powi(places.abs());
    let (scaled, rest) = match places < 0 {
        true => (size / factor, (-(size / factor)).mul_add(factor, size)),
        false => (size * factor, size.mul_add(factor, -(size * factor))),
    };
    let below = scaled.floor();
    let over = scaled - below;
    let is_up = over > 0.5 || (over == 0.5 && rest >= 0.0);
    let whole = if is_up { below + 1.0 } else { below };
    let result = if places < 0 {
        whole * factor
    } else {
        whole / factor
    };
    if result.is_finite() {
        result.copysign(value)
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_and_not_their_products() {
        for (value, places, expected) in [
            (0.045, 2, 0.04),
            (0.125, 2, 0.13),
            (-0.125, 2, -0.13),
            (2.5, 0, 3.0),
            (81.85, 1, 81.8),
            (-57.245, 2, -57.24),
            (1_250.0, -2, 1_300.0),
            (1e300, 18, 1e300),
        ] {
            assert_eq!(rounded(value, places), expected, "{value} to {places}");
        }
        assert!(rounded(f64::NAN, 1).is_nan());
        assert_eq!(rounded(f64::INFINITY, 1), f64::INFINITY);
    }
}
