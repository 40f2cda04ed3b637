//! `--sort` and `--top`: which rows of a table, in which order. It knows values, not what they mean.

use crate::output::table::{ColumnHead, Table, Value};
use std::cmp::Ordering;

/// What the user asked for; rows stay as they are where nothing was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// A column, and whether its smallest values come first.
    pub by: Option<By>,
    /// So many rows.
    pub top: Option<usize>,
}

/// A column to sort by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// As in the table or in CSV.
    pub column: String,
    /// Direction; without it numbers fall and names rise.
    pub rising: Option<bool>,
}

impl By {
    /// Reads `COLUMN`, `COLUMN:asc` or `COLUMN:desc`.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (column, rising) = match text.rsplit_once(':') {
            Some((column, "asc")) => (column, Some(true)),
            Some((column, "desc")) => (column, Some(false)),
            Some((_, other)) => return Err(format!("'{other}' is not a direction: use :asc or :desc")),
            None => (text, None),
        };
        if column.is_empty() {
            return Err("name a column, such as max_ms or max_ms:asc".to_owned());
        }
        Ok(Self {
            column: column.to_owned(),
            rising,
        })
    }
}

impl Order {
    /// Sorts and cuts the table; returns how many rows were left out. Equal rows stay in their order.
    ///
    /// # Errors
    /// When there is no such column: the sentence names those that there are.
    pub fn apply(&self, table: &mut Table) -> Result<usize, String> {
        if let Some(by) = &self.by {
            let column = column_of(&by.column, &table.heads)?;
            let is_text = table
                .rows
                .iter()
                .filter_map(|row| row.get(column))
                .any(|value| matches!(value, Value::Text(_) | Value::Prose(_)));
            let rising = by.rising.unwrap_or(is_text);
            table.rows.sort_by(|a, b| {
                let order = compare(a.get(column), b.get(column));
                // What is not known is last, whichever way.
                if rising || is_null(a.get(column)) || is_null(b.get(column)) {
                    order
                } else {
                    order.reverse()
                }
            });
        }
        let top = self.top.unwrap_or(usize::MAX);
        let left_out = table.rows.len().saturating_sub(top);
        table.rows.truncate(top);
        Ok(left_out)
    }
}

fn column_of(name: &str, heads: &[ColumnHead]) -> Result<usize, String> {
    heads.iter().position(|head| head.is_called(name)).ok_or_else(|| {
        let names: Vec<&str> = heads.iter().map(|head| head.name).collect();
        format!(
            "--sort: '{name}' is not a column here; the columns are {}",
            names.join(", ")
        )
    })
}

fn is_null(value: Option<&Value>) -> bool {
    matches!(value, None | Some(Value::Null))
}

/// Numbers by their exact decimals, everything else as text, nulls last.
fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    let (Some(a), Some(b)) = (a, b) else {
        return a.is_none().cmp(&b.is_none());
    };
    match (a, b) {
        (Value::Null, _) | (_, Value::Null) => is_null(Some(a)).cmp(&is_null(Some(b))),
        (Value::Text(a) | Value::Prose(a), Value::Text(b) | Value::Prose(b)) => a.cmp(b),
        _ => {
            let (a, b) = (a.plain(), b.plain());
            match (a.parse::<u128>(), b.parse::<u128>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                _ => match (a.parse::<f64>(), b.parse::<f64>()) {
                    (Ok(a), Ok(b)) => a.total_cmp(&b),
                    _ => a.cmp(&b),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn table() -> Table {
        let row = |name: &str, ms| vec![Value::Text(name.into()), ms];
        Table {
            heads: vec![ColumnHead::new("comm"), ColumnHead::new("max_ms")],
            rows: vec![
                row("b", Value::Ms(2_000_000)),
                row("c", Value::Null),
                row("a", Value::Ms(10_000_000)),
            ],
            total: None,
        }
    }

    fn sorted(by: &str, top: Option<usize>) -> (Vec<String>, usize) {
        let mut table = table();
        let by = Some(By::parse(by).unwrap());
        let left_out = Order { by, top }.apply(&mut table).unwrap();
        let names = table.rows.iter().map(|row| row[0].plain());
        (names.collect(), left_out)
    }

    #[test]
    fn numbers_fall_and_names_rise_unless_the_user_says_otherwise() {
        assert_eq!(sorted("max_ms", None).0, ["a", "b", "c"]);
        assert_eq!(sorted("MAX_MS:asc", None).0, ["b", "a", "c"]);
        assert_eq!(sorted("comm", None).0, ["a", "b", "c"]);
        assert_eq!(sorted("comm:desc", Some(2)), (vec!["c".into(), "b".into()], 1));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_there_is() {
        let by = Some(By::parse("wait").unwrap());
        let error = Order { by, top: None }.apply(&mut table()).unwrap_err();
        assert!(
            error.contains("'wait'") && error.contains("comm, max_ms"),
            "{error}"
        );
        assert!(By::parse("a:up").unwrap_err().contains(":desc"));
        assert!(By::parse(":asc").is_err());
    }
}
