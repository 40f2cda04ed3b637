//! Scalar functions by their names.

use super::{arithmetic, in_common, literal_whole, shown, widened};
use crate::error::AnalyzeError;
use crate::output::text::escape;
use crate::verbs::sql::expression::Expression;
use crate::verbs::sql::function::{Function, Real};
use crate::verbs::sql::text::slip;
use crate::verbs::sql::types::{Literal, Type, refusal};

/// How many arguments a function takes.
fn counted(name: &str, arguments: &[Expression], least: usize, most: usize) -> Result<(), AnalyzeError> {
    if (least..=most).contains(&arguments.len()) {
        return Ok(());
    }
    let wanted = if least == most {
        least.to_string()
    } else {
        format!("{least} to {most}")
    };
    Err(refusal(format!(
        "{name} takes {wanted} arguments, and here are {}",
        arguments.len()
    )))
}

fn numbers(name: &str, arguments: &[Expression]) -> Result<(), AnalyzeError> {
    match arguments.iter().find(|argument| !argument.of().is_numeric()) {
        None => Ok(()),
        Some(other) => Err(refusal(format!(
            "{name} needs a number, and this is {}",
            other.of()
        ))),
    }
}

fn texts(name: &str, arguments: &[Expression]) -> Result<(), AnalyzeError> {
    let is_text = |argument: &&Expression| !matches!(argument.of(), Type::Text | Type::Null);
    match arguments.iter().find(is_text) {
        None => Ok(()),
        Some(other) => Err(refusal(format!(
            "{name} needs text, and this is {}: CAST(x AS VARCHAR) makes text of it",
            other.of()
        ))),
    }
}

/// A call of a scalar function by its name.
///
/// # Errors
/// When there is no such function, or its arguments are wrong.
pub fn called(name: &str, mut arguments: Vec<Expression>) -> Result<Expression, AnalyzeError> {
    let upper = name.to_ascii_uppercase();
    let name = upper.as_str();
    let text = |function, most: usize, least: usize, arguments: Vec<Expression>, gives| {
        counted(name, &arguments, least, most)?;
        texts(name, &arguments)?;
        Ok(Expression::call(function, arguments, gives))
    };
    let real = |real, arguments: Vec<Expression>| {
        counted(name, &arguments, 1, 1)?;
        numbers(name, &arguments)?;
        let arguments: Result<_, _> = arguments
            .into_iter()
            .map(|argument| widened(argument, Type::Float, name))
            .collect();
        Ok(Expression::call(Function::Real(real), arguments?, Type::Float))
    };
    match name {
        "COALESCE" | "IFNULL" | "GREATEST" | "LEAST" => {
            counted(name, &arguments, if name == "IFNULL" { 2 } else { 1 }, usize::MAX)?;
            let (arguments, gives) = in_common(arguments, name)?;
            let function = match name {
                "GREATEST" => Function::Greatest,
                "LEAST" => Function::Least,
                _ => Function::Coalesce,
            };
            Ok(Expression::call(function, arguments, gives))
        }
        "NULLIF" => {
            counted(name, &arguments, 2, 2)?;
            let gives = arguments.first().map_or(Type::Null, Expression::of);
            let (both, common) = in_common(arguments, name)?;
            if common != gives {
                return Err(refusal("NULLIF needs two values of one type: CAST one of them"));
            }
            Ok(Expression::call(Function::NullIf, both, gives))
        }
        "ABS" | "SIGN" => {
            counted(name, &arguments, 1, 1)?;
            numbers(name, &arguments)?;
            let of = arguments.first().map_or(Type::Null, Expression::of);
            match name {
                "ABS" => Ok(Expression::call(Function::Abs, arguments, of)),
                _ => Ok(Expression::call(Function::Sign, arguments, Type::WHOLE)),
            }
        }
        "ROUND" => round(arguments),
        "FLOOR" | "CEIL" | "CEILING" | "TRUNC" => {
            counted(name, &arguments, 1, 1)?;
            numbers(name, &arguments)?;
            let function = match name {
                "FLOOR" => Function::Floor,
                "TRUNC" => Function::Trunc,
                _ => Function::Ceil,
            };
            let gives = match arguments.first().map(Expression::of) {
                Some(Type::Number(_)) => Type::WHOLE,
                other => other.unwrap_or(Type::Null),
            };
            Ok(Expression::call(function, arguments, gives))
        }
        "SQRT" => real(Real::Sqrt, arguments),
        "LN" => real(Real::Ln, arguments),
        "LOG" | "LOG10" => real(Real::Log10, arguments),
        "LOG2" => real(Real::Log2, arguments),
        "EXP" => real(Real::Exp, arguments),
        "POW" | "POWER" => {
            counted(name, &arguments, 2, 2)?;
            numbers(name, &arguments)?;
            let arguments: Result<_, _> = arguments
                .into_iter()
                .map(|argument| widened(argument, Type::Float, name))
                .collect();
            Ok(Expression::call(Function::Power, arguments?, Type::Float))
        }
        "MOD" => {
            counted(name, &arguments, 2, 2)?;
            let right = arguments.pop().unwrap_or(Expression::NULL);
            let left = arguments.pop().unwrap_or(Expression::NULL);
            arithmetic(Function::Modulo, name, left, right)
        }
        "UPPER" | "UCASE" => text(Function::Upper, 1, 1, arguments, Type::Text),
        "LOWER" | "LCASE" => text(Function::Lower, 1, 1, arguments, Type::Text),
        "REVERSE" => text(Function::Reverse, 1, 1, arguments, Type::Text),
        "LENGTH" | "LEN" | "STRLEN" if name != "STRLEN" => {
            text(Function::Length, 1, 1, arguments, Type::WHOLE)
        }
        "CHAR_LENGTH" | "CHARACTER_LENGTH" => text(Function::Length, 1, 1, arguments, Type::WHOLE),
        "TRIM" => text(
            Function::Trim {
                start: true,
                end: true,
            },
            2,
            1,
            arguments,
            Type::Text,
        ),
        "LTRIM" => text(
            Function::Trim {
                start: true,
                end: false,
            },
            2,
            1,
            arguments,
            Type::Text,
        ),
        "RTRIM" => text(
            Function::Trim {
                start: false,
                end: true,
            },
            2,
            1,
            arguments,
            Type::Text,
        ),
        "REPLACE" => text(Function::Replace, 3, 3, arguments, Type::Text),
        "STARTS_WITH" | "PREFIX" => text(Function::StartsWith, 2, 2, arguments, Type::Boolean),
        "ENDS_WITH" | "SUFFIX" => text(Function::EndsWith, 2, 2, arguments, Type::Boolean),
        "CONTAINS" => text(Function::Contains, 2, 2, arguments, Type::Boolean),
        "STRPOS" | "INSTR" => text(Function::Position, 2, 2, arguments, Type::WHOLE),
        "SUBSTR" | "SUBSTRING" => text_with_numbers(name, Function::Substring, arguments, 1, 2),
        "LEFT" => text_with_numbers(name, Function::Left, arguments, 1, 1),
        "RIGHT" => text_with_numbers(name, Function::Right, arguments, 1, 1),
        "SPLIT_PART" => text_with_numbers(name, Function::SplitPart, arguments, 2, 1),
        "CONCAT" => {
            let arguments: Result<_, _> = arguments.into_iter().map(shown).collect();
            Ok(Expression::call(Function::ConcatenateAll, arguments?, Type::Text))
        }
        "HEX" | "TO_HEX" => {
            counted(name, &arguments, 1, 1)?;
            match arguments.first().map(Expression::of) {
                Some(Type::Number(0) | Type::Null) => {
                    Ok(Expression::call(Function::Hex, arguments, Type::Text))
                }
                _ => Err(refusal(format!("{name} needs a whole number"))),
            }
        }
        "EPOCH_NS" => {
            counted(name, &arguments, 1, 1)?;
            match arguments.first().map(Expression::of) {
                Some(Type::Time) => Ok(Expression::call(Function::EpochNs, arguments, Type::WHOLE)),
                _ => Err(refusal("EPOCH_NS needs a timestamp")),
            }
        }
        "DATE_TRUNC" => truncated_time(arguments),
        _ => Err(unknown(name)),
    }
}

fn truncated_time(arguments: Vec<Expression>) -> Result<Expression, AnalyzeError> {
    counted("DATE_TRUNC", &arguments, 2, 2)?;
    let unit = match arguments.first() {
        Some(Expression::Literal(Literal::Text(unit))) => unit.to_ascii_lowercase(),
        _ => String::new(),
    };
    let ns = match unit.trim_end_matches('s') {
        "microsecond" => 1_000,
        "millisecond" => 1_000_000,
        "second" => 1_000_000_000,
        "minute" => 60_000_000_000,
        "hour" => 3_600_000_000_000,
        "day" => 86_400_000_000_000,
        _ => {
            return Err(refusal(
                "DATE_TRUNC needs one of 'microsecond', 'millisecond', 'second', 'minute', 'hour', 'day'",
            ));
        }
    };
    match arguments.into_iter().nth(1) {
        Some(time) if time.of() == Type::Time => Ok(Expression::call(
            Function::TruncateTime(ns),
            vec![time],
            Type::Time,
        )),
        _ => Err(refusal("DATE_TRUNC needs a timestamp, such as faults.time")),
    }
}

fn text_with_numbers(
    name: &str,
    function: Function,
    arguments: Vec<Expression>,
    texts_first: usize,
    numbers_then: usize,
) -> Result<Expression, AnalyzeError> {
    let least = if name.starts_with("SUBSTR") {
        2
    } else {
        texts_first + numbers_then
    };
    counted(name, &arguments, least, texts_first + numbers_then)?;
    let (first, then) = arguments.split_at(texts_first.min(arguments.len()));
    texts(name, first)?;
    if then
        .iter()
        .any(|argument| !matches!(argument.of(), Type::Number(0) | Type::Null))
    {
        return Err(refusal(format!("{name} counts in whole numbers")));
    }
    Ok(Expression::call(function, arguments, Type::Text))
}

fn round(mut arguments: Vec<Expression>) -> Result<Expression, AnalyzeError> {
    counted("ROUND", &arguments, 1, 2)?;
    numbers("ROUND", &arguments)?;
    let places = match arguments.get(1) {
        None => 0,
        Some(places) => match literal_whole(places).and_then(|places| i32::try_from(places).ok()) {
            Some(places) if (-18..=18).contains(&places) => places,
            _ => {
                return Err(refusal(
                    "ROUND needs a number from -18 to 18 as its second argument",
                ));
            }
        },
    };
    arguments.truncate(1);
    let gives = match arguments.first().map(Expression::of) {
        Some(Type::Number(scale)) => Type::Number(scale.min(u8::try_from(places.max(0)).unwrap_or(scale))),
        other => other.unwrap_or(Type::Null),
    };
    Ok(Expression::call(Function::Round(places), arguments, gives))
}

fn unknown(name: &str) -> AnalyzeError {
    let advice = match name {
        _ if name.starts_with("REGEXP") => ": LIKE and ILIKE find text with % and _",
        "FIRST" | "LAST" => ": which row is first is not defined; ARG_MIN(x, ts_ns) is the x of the earliest",
        "STRFTIME" | "DATE_PART" | "HOUR" | "MINUTE" | "SECOND" => {
            ": DATE_TRUNC('second', time) cuts a time, and CAST(time AS VARCHAR) is its text"
        }
        "NOW" | "RANDOM" | "CURRENT_TIMESTAMP" => ": answers depend on the trace alone",
        _ => "",
    };
    let advice = match slip(name, KNOWN.into_iter()) {
        _ if !advice.is_empty() => advice.to_owned(),
        Some(near) => format!("; did you mean {near}?"),
        None => format!("; there are {}", KNOWN.join(", ")),
    };
    refusal(format!("there is no function {}{advice}", escape(name)))
}

/// All functions, for the word on one that is unknown.
pub const KNOWN: [&str; 66] = [
    "COUNT",
    "SUM",
    "AVG",
    "MIN",
    "MAX",
    "MEDIAN",
    "QUANTILE_CONT",
    "QUANTILE_DISC",
    "STDDEV",
    "VARIANCE",
    "BOOL_AND",
    "BOOL_OR",
    "ANY_VALUE",
    "ARG_MIN",
    "ARG_MAX",
    "STRING_AGG",
    "ARRAY_AGG",
    "ROW_NUMBER",
    "RANK",
    "DENSE_RANK",
    "PERCENT_RANK",
    "CUME_DIST",
    "NTILE",
    "LAG",
    "LEAD",
    "FIRST_VALUE",
    "LAST_VALUE",
    "COALESCE",
    "NULLIF",
    "IFNULL",
    "GREATEST",
    "LEAST",
    "ABS",
    "SIGN",
    "ROUND",
    "FLOOR",
    "CEIL",
    "TRUNC",
    "SQRT",
    "LN",
    "LOG10",
    "LOG2",
    "EXP",
    "POW",
    "MOD",
    "UPPER",
    "LOWER",
    "LENGTH",
    "SUBSTRING",
    "LEFT",
    "RIGHT",
    "REPLACE",
    "TRIM",
    "LTRIM",
    "RTRIM",
    "REVERSE",
    "STARTS_WITH",
    "ENDS_WITH",
    "CONTAINS",
    "STRPOS",
    "SPLIT_PART",
    "CONCAT",
    "HEX",
    "EPOCH_NS",
    "DATE_TRUNC",
    "CAST",
];
