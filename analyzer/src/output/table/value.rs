//! The cells of a table: typed, so that each format can write them in its way.

use super::numbers::{hundredfold, signed};
use crate::output::units::fixed;

/// One cell. Times are kept in nanoseconds and written in the unit that the column name says.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: empty in CSV, null in JSON.
    Null,
    /// A name: exact in JSON, no formula in CSV, escaped in tables.
    Text(String),
    /// As `Text`; where there is no room it keeps its start, not its end.
    Prose(String),
    /// An identifier: not grouped.
    Id(u64),
    /// A number of things: grouped in tables.
    Count(u64),
    /// Milliseconds, from nanoseconds.
    Ms(u64),
    /// Microseconds, from nanoseconds.
    Us(u64),
    /// Seconds, from nanoseconds.
    Seconds(u64),
    /// A size in binary units for people, in bytes for programs.
    Bytes(u64),
    /// A number in thousandths: one decimal in tables.
    Decimal(u64),
    /// A share in percent; nothing of nothing is nothing.
    Percent {
        /// How much.
        part: u64,
        /// Of how much.
        whole: u64,
    },
    /// An address: hexadecimal in tables, a number elsewhere.
    Address(u64),
    /// Yes or no.
    Flag(bool),
    /// A number below 0, without its sign.
    Negative(u64),
    /// Any number; what is none is null in JSON.
    Float(f64),
    /// A number in all of its digits, where 64 bits do not hold it.
    Number(String),
    /// Several: a JSON array in CSV, too.
    List(Vec<Value>),
    /// By how much a value has changed: with a sign, unless nothing has.
    Change {
        /// It has become less.
        is_less: bool,
        /// By how much.
        by: Box<Value>,
    },
}

impl Value {
    /// Exact, for programs.
    #[must_use]
    pub fn plain(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Text(text) | Self::Prose(text) => text.clone(),
            Self::Id(number) | Self::Count(number) | Self::Bytes(number) | Self::Address(number) => {
                number.to_string()
            }
            Self::Ms(ns) => fixed(*ns, 1_000_000, 6),
            Self::Us(ns) => fixed(*ns, 1_000, 3),
            Self::Seconds(ns) => fixed(*ns, 1_000_000_000, 9),
            Self::Decimal(thousandths) => fixed(*thousandths, 1_000, 3),
            Self::Percent { part, whole } => hundredfold(*part, *whole, 3),
            Self::Flag(flag) => flag.to_string(),
            Self::Negative(number) => format!("-{number}"),
            Self::Number(digits) => digits.clone(),
            // The shortest text that reads back as the same number.
            Self::Float(number) => format!("{number:?}"),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::plain).collect();
                format!("[{}]", items.join(","))
            }
            Self::Change { is_less, by } => signed(*is_less, "", by.plain()),
        }
    }
}
