//! The types of SQL values, and constants. All whole numbers are one type: they are exact, and what does
//! not fit into 128 bits is an error.

use crate::error::AnalyzeError;
use crate::output::text::escape;
use std::fmt;
use std::sync::Arc;

/// Digits behind the decimal point that a number can have.
pub const MOST_SCALE: u8 = 18;

/// A type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Of NULL alone: fits every other type.
    Null,
    /// True or false.
    Boolean,
    /// A number with a fixed number of digits behind the point; a whole one has none.
    Number(u8),
    /// A floating-point number.
    Float,
    /// Text.
    Text,
    /// Nanoseconds since 1970, UTC.
    Time,
    /// Several values: it can be shown, and nothing else.
    List,
}

impl Type {
    /// A whole number.
    pub const WHOLE: Self = Self::Number(0);

    /// The type that values of both can be brought into.
    #[must_use]
    pub fn common(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Null, of) | (of, Self::Null) => Some(of),
            (Self::Number(one), Self::Number(two)) => Some(Self::Number(one.max(two))),
            (Self::Number(_), Self::Float) | (Self::Float, Self::Number(_)) => Some(Self::Float),
            (one, two) if one == two => Some(one),
            _ => None,
        }
    }

    /// Whether it is a number, or NULL.
    #[must_use]
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Number(_) | Self::Float | Self::Null)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Number(0) => "integer",
            Self::Number(_) => "decimal",
            Self::Float => "double",
            Self::Text => "text",
            Self::Time => "timestamp",
            Self::List => "list",
        })
    }
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// NULL.
    Null,
    /// TRUE or FALSE.
    Boolean(bool),
    /// `digits` divided by 10 to the power of `scale`.
    Number {
        /// All digits.
        digits: i128,
        /// How many of them are behind the point.
        scale: u8,
    },
    /// As 1e3.
    Float(f64),
    /// In single quotes.
    Text(Arc<str>),
    /// Nanoseconds since 1970, UTC.
    Time(i64),
}

impl Literal {
    /// A whole number.
    #[must_use]
    pub fn whole(digits: i128) -> Self {
        Self::Number { digits, scale: 0 }
    }

    /// Its type.
    #[must_use]
    pub fn of(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Boolean(_) => Type::Boolean,
            Self::Number { scale, .. } => Type::Number(*scale),
            Self::Float(_) => Type::Float,
            Self::Text(_) => Type::Text,
            Self::Time(_) => Type::Time,
        }
    }

    /// A whole number in hexadecimal digits.
    ///
    /// # Errors
    /// When it is none, or has too many digits.
    pub(crate) fn parse_hexadecimal(digits: &str) -> Result<Self, AnalyzeError> {
        let number = u64::from_str_radix(digits, 16)
            .ok()
            .filter(|_| !digits.starts_with('+'));
        number.map(|number| Self::whole(number.into())).ok_or_else(|| {
            refusal(format!(
                "0x{} is not a hexadecimal number of at most 64 bits",
                escape(digits)
            ))
        })
    }

    /// A number as it is written: 12, 0.5, 1e6.
    ///
    /// # Errors
    /// When it is none, or has too many digits.
    pub fn parse_number(text: &str) -> Result<Self, AnalyzeError> {
        let refused = || {
            refusal(format!(
                "{text} is not a number that can be computed with exactly"
            ))
        };
        if text.contains(['e', 'E']) {
            return text.parse().map(Self::Float).map_err(|_| refused());
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let scale = u8::try_from(fraction.len())
            .ok()
            .filter(|&scale| scale <= MOST_SCALE);
        let digits: String = [whole, fraction].concat();
        match (digits.parse(), scale) {
            (Ok(digits), Some(scale)) => Ok(Self::Number { digits, scale }),
            _ => Err(refused()),
        }
    }
}

/// An error in words, of a question that cannot be answered from this trace.
#[must_use]
pub fn refusal(text: impl Into<String>) -> AnalyzeError {
    AnalyzeError::Unanswerable(text.into())
}

/// 10 to the power of `scale`.
#[must_use]
pub fn power_of_ten(scale: u8) -> i128 {
    10i128.pow(scale.into())
}
