//! Scalar functions and operators: what they take and what they give.

mod called;

use crate::error::AnalyzeError;
use crate::verbs::sql::expression::Expression;
use crate::verbs::sql::function::{CastTarget, Function};
use crate::verbs::sql::types::{Literal, Type, refusal};

pub use called::{KNOWN, called};

/// A value of `of`, if there is a way that loses nothing.
///
/// # Errors
/// In words, with `why` it must be.
pub fn widened(value: Expression, of: Type, why: &str) -> Result<Expression, AnalyzeError> {
    match (value.of(), of) {
        (from, to) if from == to => Ok(value),
        (Type::Null, _) => Ok(Expression::NULL),
        (Type::Number(from), Type::Number(to)) if from < to => {
            Ok(Expression::call(Function::Widen, vec![value], of))
        }
        (Type::Number(_), Type::Float) => Ok(Expression::call(Function::Widen, vec![value], of)),
        (Type::Text, Type::Time) => match &value {
            Expression::Literal(Literal::Text(text)) => Ok(Expression::Literal(Literal::Time(
                crate::verbs::sql::time::parse(text)?,
            ))),
            _ => Err(mismatch(Type::Text, of, why)),
        },
        (from, to) => Err(mismatch(from, to, why)),
    }
}

fn mismatch(one: Type, two: Type, why: &str) -> AnalyzeError {
    refusal(format!(
        "{why} needs values of one type, and these are {one} and {two}: convert one of them, \
         as in CAST(x AS VARCHAR) or CAST(x AS BIGINT)"
    ))
}

/// All values in the one type that fits them, and that type.
///
/// # Errors
/// When there is none.
pub fn in_common(values: Vec<Expression>, why: &str) -> Result<(Vec<Expression>, Type), AnalyzeError> {
    let is_text = |value: &Expression| matches!(value, Expression::Literal(Literal::Text(_)));
    let mut of = Type::Null;
    for value in &values {
        of = match (of, value.of()) {
            (Type::Time, Type::Text) if is_text(value) => Type::Time,
            (Type::Text, Type::Time) if values.iter().filter(|v| v.of() == Type::Text).all(is_text) => {
                Type::Time
            }
            (one, two) => one.common(two).ok_or_else(|| mismatch(one, two, why))?,
        };
    }
    let values: Result<Vec<_>, _> = values.into_iter().map(|value| widened(value, of, why)).collect();
    Ok((values?, of))
}

/// Two values compared.
///
/// # Errors
/// When they have no common type.
pub fn compare(function: Function, left: Expression, right: Expression) -> Result<Expression, AnalyzeError> {
    let (both, of) = in_common(vec![left, right], "a comparison")?;
    if of == Type::List {
        return Err(refusal("lists cannot be compared"));
    }
    Ok(Expression::call(function, both, Type::Boolean))
}

/// A condition.
///
/// # Errors
/// When it is something else.
pub fn condition(value: Expression, place: &str) -> Result<Expression, AnalyzeError> {
    match value.of() {
        Type::Boolean | Type::Null => Ok(value),
        other => Err(refusal(format!(
            "{place} needs a condition, and this is a value of type {other}: compare it with something"
        ))),
    }
}

/// A sum, difference, product, quotient or rest.
///
/// # Errors
/// For what are no numbers, and for whole division of numbers that are not whole.
pub fn arithmetic(
    function: Function,
    sign: &str,
    left: Expression,
    right: Expression,
) -> Result<Expression, AnalyzeError> {
    let types = (left.of(), right.of());
    if !types.0.is_numeric() || !types.1.is_numeric() {
        let hint = match types {
            (Type::Time, _) | (_, Type::Time) => ": compute with ts_ns, which is a number of nanoseconds",
            (Type::Boolean, _) | (_, Type::Boolean) => ": CAST(x AS INTEGER) makes 0 and 1 of a boolean",
            _ => "",
        };
        return Err(refusal(format!(
            "{sign} needs two numbers, and these are {} and {}{hint}",
            types.0, types.1
        )));
    }
    if types.0 == Type::Null || types.1 == Type::Null {
        return Ok(Expression::NULL);
    }
    let gives = match (&function, types) {
        (Function::Divide, _) => Type::Float,
        (Function::WholeDivide, (Type::Number(0), Type::Number(0))) => Type::WHOLE,
        (Function::WholeDivide, _) => {
            return Err(refusal(
                "// is the division of whole numbers: for others write floor(a / b), or CAST them AS BIGINT",
            ));
        }
        (Function::Multiply, (Type::Number(one), Type::Number(two))) => match one.checked_add(two) {
            Some(scale) if scale <= crate::verbs::sql::types::MOST_SCALE => Type::Number(scale),
            _ => Type::Float,
        },
        (_, (one, two)) => one.common(two).unwrap_or(Type::Float),
    };
    let operand = |value: Expression| match (&function, gives) {
        (Function::Multiply, Type::Number(_)) => Ok(value),
        (Function::Divide, _) => widened(value, Type::Float, sign),
        _ => widened(value, gives, sign),
    };
    let operands = vec![operand(left)?, operand(right)?];
    Ok(Expression::call(function, operands, gives))
}

/// A whole number that is written out.
#[must_use]
pub fn literal_whole(value: &Expression) -> Option<i128> {
    match value {
        Expression::Literal(Literal::Number { digits, scale: 0 }) => Some(*digits),
        Expression::Call {
            function: Function::Negate,
            arguments,
            ..
        } => literal_whole(arguments.first()?)?.checked_neg(),
        _ => None,
    }
}

/// A value as text.
///
/// # Errors
/// When it has no text.
pub fn shown(value: Expression) -> Result<Expression, AnalyzeError> {
    match value.of() {
        Type::Text | Type::Null => Ok(value),
        Type::List => Err(refusal("a list cannot be made text")),
        _ => {
            let to = CastTarget::Type(Type::Text);
            let cast = Function::Cast {
                to,
                gives_null: false,
            };
            Ok(Expression::call(cast, vec![value], Type::Text))
        }
    }
}
