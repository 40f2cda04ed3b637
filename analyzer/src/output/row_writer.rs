//! Rows that are written as soon as they are known, one after the other.

use crate::error::AnalyzeError;
use crate::output::units::rfc3339;
use std::io::Write;

/// A cell of a row that is written as soon as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// Nothing.
    Null,
    /// A name.
    Text(&'a str),
    /// A number.
    Number(u64),
    /// Yes or no.
    Flag(bool),
    /// A time, in nanoseconds since 1970.
    Utc(i64),
}

/// Writes rows as they come.
pub trait RowWriter {
    /// What stands above the rows: the names of the columns, and whether their cells are texts.
    ///
    /// # Errors
    /// When `out` cannot be written.
    fn head(&mut self, columns: &[(&'static str, bool)], out: &mut dyn Write) -> Result<(), AnalyzeError>;

    /// Rows, after the head or after other rows.
    ///
    /// # Errors
    /// When `out` cannot be written.
    fn rows<'a>(
        &mut self,
        rows: &mut dyn Iterator<Item = Vec<Cell<'a>>>,
        out: &mut dyn Write,
    ) -> Result<(), AnalyzeError>;
}

impl Cell<'_> {
    /// Adds it to `text`, exact.
    pub(crate) fn push_plain(self, text: &mut String) {
        match self {
            Self::Null => {}
            Self::Text(name) => text.push_str(name),
            Self::Number(number) => text.push_str(&number.to_string()),
            Self::Flag(flag) => text.push_str(if flag { "true" } else { "false" }),
            Self::Utc(unix_ns) => text.push_str(&rfc3339(unix_ns)),
        }
    }
}
