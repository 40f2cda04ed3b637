//! Names of scalar functions and operators.

use crate::verbs::sql::types::Type;

/// A function or an operator.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "named as in SQL")]
pub enum Function {
    Add,
    Subtract,
    Multiply,
    /// As `/`: always a floating-point number.
    Divide,
    /// As `//`: whole numbers, toward 0.
    WholeDivide,
    Modulo,
    Negate,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// As `Equal`, for which NULL is a value like others.
    NotDistinct,
    And,
    Or,
    Not,
    IsNull,
    /// TRUE and not unknown.
    IsTrue,
    IsFalse,
    Concatenate,
    /// As CONCAT, which leaves out NULL.
    ConcatenateAll,
    Like {
        ignores_case: bool,
        escape: Option<char>,
    },
    Coalesce,
    NullIf,
    Greatest,
    Least,
    /// To a type that can hold all values of the one before.
    Widen,
    /// CAST; with TRY_CAST, what cannot be converted is NULL.
    Cast {
        to: CastTarget,
        gives_null: bool,
    },
    Abs,
    Sign,
    /// To so many digits behind the point.
    Round(i32),
    Floor,
    Ceil,
    Trunc,
    Real(Real),
    Power,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
    Upper,
    Lower,
    Length,
    Substring,
    Left,
    Right,
    Replace,
    Trim {
        start: bool,
        end: bool,
    },
    Reverse,
    StartsWith,
    EndsWith,
    Contains,
    Position,
    SplitPart,
    Hex,
    /// Nanoseconds since 1970.
    EpochNs,
    /// Cut to a unit of so many nanoseconds.
    TruncateTime(i64),
}

/// A function of floating-point numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as in SQL")]
pub enum Real {
    Sqrt,
    Ln,
    Log10,
    Log2,
    Exp,
}

/// What CAST makes.
#[derive(Clone, Debug, PartialEq)]
pub enum CastTarget {
    /// Whole numbers from one to another.
    Whole(i128, i128),
    /// Decimal numbers with so many digits, so many of them behind the point.
    Decimal(u8, u8),
    /// A type without limits.
    Type(Type),
}
