//! A small result table. What its columns mean is the business of the verbs, how it looks that of `render`.

use std::borrow::Cow;

pub mod column_names;
mod numbers;
mod value;

pub(crate) use numbers::rounded;
pub(crate) use numbers::{hundredfold, signed};
pub use value::Value;

/// A column of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnHead {
    /// One of [`column_names::COLUMNS`], unless it is `verbatim`.
    pub name: &'static str,
    is_verbatim: bool,
}

impl ColumnHead {
    /// A column that this program has named.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            is_verbatim: false,
        }
    }

    /// A column that a question has named: it is called so in tables, too.
    #[must_use]
    pub const fn verbatim(name: &'static str) -> Self {
        Self {
            name,
            is_verbatim: true,
        }
    }

    /// The title in tables.
    #[must_use]
    pub fn title(&self) -> Cow<'static, str> {
        if self.is_verbatim {
            self.name.into()
        } else {
            column_names::title(self.name).into()
        }
    }

    /// Whether `name` is its name or its title, in whatever case.
    #[must_use]
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || self.title().eq_ignore_ascii_case(name)
    }
}

/// A result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Columns.
    pub heads: Vec<ColumnHead>,
    /// Rows, sorted, each as long as `heads`.
    pub rows: Vec<Vec<Value>>,
    /// Last line of the table format only: sums over all rows.
    pub total: Option<Vec<Value>>,
}

impl Table {
    /// Where the column of this name is.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.heads.iter().position(|head| head.name == name)
    }

    /// Leaves out one column, and returns its head.
    pub(crate) fn remove_column(&mut self, column: usize) -> ColumnHead {
        let rows = self.rows.iter_mut().chain(self.total.iter_mut());
        rows.filter(|row| column < row.len()).for_each(|row| {
            row.remove(column);
        });
        self.heads.remove(column)
    }

    /// Keeps the first `count` rows; returns how many are left out.
    pub(crate) fn keep_rows(&mut self, count: usize) -> usize {
        let left_out = self.rows.len().saturating_sub(count);
        self.rows.truncate(count);
        left_out
    }

    /// Leaves out the columns behind the first `count`.
    pub(crate) fn keep_columns(&mut self, count: usize) {
        for row in self.rows.iter_mut().chain(self.total.iter_mut()) {
            row.truncate(count);
        }
        self.heads.truncate(count);
    }

    /// The names of all columns but the first three, the last first: what gives way where a verb does not say otherwise.
    #[must_use]
    pub(crate) fn last_first(&self) -> Vec<&'static str> {
        self.heads.iter().skip(3).rev().map(|head| head.name).collect()
    }

    /// Whether a column has texts, which stand on the left.
    #[must_use]
    pub fn is_text(&self, column: usize) -> bool {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells
            .clone()
            .any(|cell| matches!(cell, Value::Text(_) | Value::Prose(_) | Value::List(_)))
    }

    /// Whether a column has texts that keep their start where there is no room.
    #[must_use]
    pub(crate) fn is_prose(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.any(|cell| matches!(cell, Value::Prose(_)))
    }
}
