//! A column of integers as bytes, and back.
//!
//! A *transform* leaves of each number what its neighbours do not tell; a *storage* lays out what is left. Blocks of
//! events and records of queries are made of such columns, listed in a directory.

mod bits;
mod classes;
mod cost;
pub(crate) mod directory;
mod names;
mod planes;
mod reader;
#[cfg(test)]
mod spec_tests;
pub(crate) mod transform;
mod writer;

pub(crate) use directory::Entry;
pub(crate) use reader::ColumnReader;
pub(crate) use writer::ColumnWriter;

/// How the numbers of a column follow from its values; the codes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Transform {
    /// As they are.
    Plain = 0,
    /// Difference to the row before.
    Delta = 1,
    /// Difference to the end of the row before in the same run.
    Gap = 2,
    /// Difference to where the object's last seen mapping would put it.
    Follow = 3,
    /// What is left of the latency.
    Rest = 4,
    /// Difference to the row before of the same object.
    Walk = 5,
}

impl Transform {
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [
            Self::Plain,
            Self::Delta,
            Self::Gap,
            Self::Follow,
            Self::Rest,
            Self::Walk,
        ]
        .into_iter()
        .find(|known| *known as u8 == code)
    }
}

/// How the numbers of a column are laid out; the codes are stored, with a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    /// Byte planes.
    Planes,
    /// Log-linear classes with this many mantissa bits, and the bits below.
    Classes(u8),
    /// The different numbers once, and for each row its place among them.
    Names,
}

impl Storage {
    pub(crate) fn code(self) -> [u8; 2] {
        match self {
            Self::Planes => [0, 0],
            Self::Classes(mantissa) => [1, mantissa],
            Self::Names => [2, 0],
        }
    }

    pub(crate) fn from_code(code: [u8; 2]) -> Option<Self> {
        match code {
            [0, 0] => Some(Self::Planes),
            [1, mantissa] if mantissa <= classes::MAX_MANTISSA => Some(Self::Classes(mantissa)),
            [2, 0] => Some(Self::Names),
            _ => None,
        }
    }
}

/// The low `width` bytes.
pub(crate) fn mask(width: usize) -> u64 {
    u64::MAX >> (64 - 8 * width as u32)
}
