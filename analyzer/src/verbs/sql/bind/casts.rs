//! CAST.

use crate::error::AnalyzeError;
use crate::verbs::sql::expression::Expression;
use crate::verbs::sql::function::{CastTarget, Function};
use crate::verbs::sql::types::{MOST_SCALE, Type, refusal};
use sqlparser::ast::{DataType, ExactNumberInfo};

/// A value as one of another type.
///
/// # Errors
/// When there is no way from one to the other.
pub fn cast(value: Expression, to: &DataType, gives_null: bool) -> Result<Expression, AnalyzeError> {
    let whole = |bits: u32, is_signed: bool| {
        let top = 1i128 << (bits - u32::from(is_signed)).min(126);
        CastTarget::Whole(if is_signed { -top } else { 0 }, top - 1)
    };
    let target = match to {
        DataType::TinyInt(_) => whole(8, true),
        DataType::SmallInt(_) | DataType::Int2(_) => whole(16, true),
        DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) | DataType::Int32 | DataType::Signed => {
            whole(32, true)
        }
        DataType::BigInt(_) | DataType::Int64 | DataType::Int8(_) => whole(64, true),
        DataType::HugeInt | DataType::Int128 => CastTarget::Whole(i128::MIN + 1, i128::MAX),
        DataType::UTinyInt | DataType::UInt8 => whole(8, false),
        DataType::USmallInt | DataType::UInt16 => whole(16, false),
        DataType::UInt32 => whole(32, false),
        DataType::UBigInt | DataType::UInt64 => whole(64, false),
        DataType::Custom(name, _) if name.to_string().eq_ignore_ascii_case("UINTEGER") => whole(32, false),
        DataType::Float64 | DataType::Float8 | DataType::Double(_) | DataType::DoublePrecision => {
            CastTarget::Type(Type::Float)
        }
        DataType::Varchar(None) | DataType::Text | DataType::String(None) => CastTarget::Type(Type::Text),
        DataType::Bool | DataType::Boolean => CastTarget::Type(Type::Boolean),
        DataType::Timestamp(..) | DataType::Datetime(_) => CastTarget::Type(Type::Time),
        DataType::Decimal(info) | DataType::Numeric(info) => {
            let (width, scale) = match info {
                ExactNumberInfo::None => (18, 3),
                ExactNumberInfo::Precision(width) => (*width, 0),
                ExactNumberInfo::PrecisionAndScale(width, scale) => {
                    (*width, u64::try_from(*scale).unwrap_or(99))
                }
            };
            match (u8::try_from(width), u8::try_from(scale)) {
                (Ok(width), Ok(scale)) if (1..=38).contains(&width) && scale <= MOST_SCALE.min(width) => {
                    CastTarget::Decimal(width, scale)
                }
                _ => return Err(refusal(format!("{to} has too many digits"))),
            }
        }
        _ => {
            return Err(refusal(format!(
                "CAST AS {to} is not supported: there are BIGINT, DOUBLE, VARCHAR, BOOLEAN, TIMESTAMP and DECIMAL(w, s)"
            )));
        }
    };
    let gives = match target {
        CastTarget::Whole(..) => Type::WHOLE,
        CastTarget::Decimal(_, scale) => Type::Number(scale),
        CastTarget::Type(of) => of,
    };
    let is_possible = match (value.of(), gives) {
        (Type::List, _) => false,
        (Type::Time, to) => matches!(to, Type::Time | Type::Text),
        (from, Type::Time) => matches!(from, Type::Text | Type::Null),
        _ => true,
    };
    if !is_possible {
        return Err(refusal(format!(
            "{} cannot be made {}",
            with_article(value.of()),
            with_article(gives)
        )));
    }
    if value.of() == gives && !matches!(gives, Type::Number(_)) {
        return Ok(value);
    }
    let function = Function::Cast {
        to: target,
        gives_null,
    };
    Ok(Expression::call(function, vec![value], gives))
}

fn with_article(of: Type) -> String {
    match of {
        Type::Null => "NULL".to_owned(),
        Type::Number(0) => format!("an {of}"),
        Type::Text => of.to_string(),
        _ => format!("a {of}"),
    }
}
