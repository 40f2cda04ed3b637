//! What SQL answered as a [`Table`], piece by piece: a million rows are written, not kept a second time.

use crate::error::AnalyzeError;
use crate::output::render::{self, Format};
use crate::output::table::{ColumnHead, Table, Value};
use crate::output::units::quantity;
use crate::verbs::sql::evaluate::as_text;
use crate::verbs::sql::naming::{Named, Relation};
use crate::verbs::sql::schema::TableName;
use crate::verbs::sql::types::Literal;
use crate::verbs::sql::vector::{Data, Vector};
use polars::prelude::{AnyValue, Column};
use std::io::Write;

/// Rows that are converted at once.
const PIECE: usize = 8_192;

/// Rows that the table format shows; nobody reads more.
const SHOWN: usize = 10_000;

/// Writes the answer; returns what to say of it.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(
    answer: &Relation,
    format: Format,
    width: Option<usize>,
    out: &mut dyn Write,
) -> Result<Option<String>, AnalyzeError> {
    let heads = heads(answer);
    let rows = answer.rows.height;
    if format.is_text() {
        let shown = Table {
            heads,
            rows: values(answer, 0, SHOWN)?,
            total: None,
        };
        render::table(&shown, format, width, out)?;
        let more = rows.saturating_sub(SHOWN);
        return Ok((more > 0).then(|| {
            format!(
                "... and {}: add a LIMIT, or write all with --format csv -o FILE",
                quantity(more as u64, "more row")
            )
        }));
    }
    let piece = |start| -> Result<Table, AnalyzeError> {
        Ok(Table {
            heads: heads.clone(),
            rows: values(answer, start, PIECE)?,
            total: None,
        })
    };
    render::pieces(&heads, (0..rows).step_by(PIECE).map(piece), format, out)?;
    Ok(None)
}

/// Names of columns live as long as the program: there is one answer, and a question is short.
fn heads(answer: &Relation) -> Vec<ColumnHead> {
    let columns = answer.columns.iter();
    columns
        .map(|column| {
            let name: &'static str = Box::leak(column.name.clone().into_boxed_str());
            ColumnHead::verbatim(name)
        })
        .collect()
}

/// How the numbers of a column are meant.
#[derive(Clone, Copy)]
enum Meaning {
    Address,
    Id,
    Amount,
}

/// By their names: what is an id in a table stays one in an answer.
fn meaning(column: &Named) -> Meaning {
    match column.name.as_str() {
        "address" | "ip" | "start_address" | "end_address" => Meaning::Address,
        // Points in time are no amounts, as lengths of time are.
        "ts_ns" | "begin_ns" | "end_ns" | "from_ns" | "to_ns" | "start_ns" | "since_ns" | "utc_offset_ns" => {
            Meaning::Id
        }
        "map_flags" | "key" | "cpu" | "inode" | "dev_major" | "dev_minor" => Meaning::Id,
        name if name.ends_with("_id") => Meaning::Id,
        "pid" | "tid" => Meaning::Id,
        _ => Meaning::Amount,
    }
}

/// Some rows; each column is walked once.
fn values(answer: &Relation, start: usize, length: usize) -> Result<Vec<Vec<Value>>, AnalyzeError> {
    let piece = answer.rows.slice(start, length);
    let width = answer.columns.len();
    let mut rows: Vec<Vec<Value>> = std::iter::repeat_with(|| Vec::with_capacity(width))
        .take(piece.height)
        .collect();
    for (named, column) in answer.columns.iter().zip(&piece.columns) {
        let Some(column) = column else {
            continue;
        };
        let meaning = meaning(named);
        let vector = Vector::of_column(column)?;
        for (index, row) in rows.iter_mut().enumerate() {
            row.push(match &vector.data {
                Data::List(lists) => list_at(lists, index),
                _ => value_of(&vector.literal(index, named.of), meaning),
            });
        }
    }
    Ok(rows)
}

fn value_of(value: &Literal, meaning: Meaning) -> Value {
    match value {
        Literal::Null => Value::Null,
        Literal::Boolean(flag) => Value::Flag(*flag),
        Literal::Text(text) => Value::Text(text.to_string()),
        Literal::Float(number) => Value::Float(*number),
        Literal::Number { digits, scale: 0 } => {
            match (u64::try_from(*digits), u64::try_from(digits.unsigned_abs())) {
                (Ok(number), _) => match meaning {
                    Meaning::Address => Value::Address(number),
                    Meaning::Id => Value::Id(number),
                    Meaning::Amount => Value::Count(number),
                },
                (_, Ok(less)) => Value::Negative(less),
                _ => Value::Number(as_text(value)),
            }
        }
        Literal::Number { .. } => Value::Number(as_text(value)),
        Literal::Time(_) => Value::Text(as_text(value)),
    }
}

/// The list of a row.
fn list_at(lists: &Column, row: usize) -> Value {
    match lists.get(row) {
        Ok(AnyValue::List(items)) => {
            let items = items.iter().map(|item| match item {
                AnyValue::Null => Value::Null,
                AnyValue::Boolean(flag) => Value::Flag(flag),
                AnyValue::String(text) => Value::Text(text.to_owned()),
                AnyValue::Float64(number) => Value::Float(number),
                AnyValue::Int64(number) => value_of(&Literal::whole(number.into()), Meaning::Id),
                AnyValue::Int128(number) => value_of(&Literal::whole(number), Meaning::Id),
                other => Value::Text(other.to_string()),
            });
            Value::List(items.collect())
        }
        _ => Value::Null,
    }
}

/// The names of the tables, for SHOW TABLES.
#[must_use]
pub fn table_names() -> Table {
    let rows = TableName::ALL.into_iter().map(|table| {
        vec![
            Value::Text(table.name().to_owned()),
            Value::Prose(table.about().to_owned()),
        ]
    });
    Table {
        heads: vec![ColumnHead::new("table"), ColumnHead::new("row")],
        rows: rows.collect(),
        total: None,
    }
}

/// The columns of a table, for DESCRIBE.
#[must_use]
pub fn described(name: &str) -> Option<Table> {
    let table = TableName::ALL
        .into_iter()
        .find(|table| table.name().eq_ignore_ascii_case(name))?;
    let mut all = catalog();
    all.rows
        .retain(|row| row.first() == Some(&Value::Text(table.name().to_owned())));
    all.rows.iter_mut().for_each(|row| drop(row.remove(0)));
    all.heads.remove(0);
    Some(all)
}

/// The tables with their columns, for programs.
#[must_use]
pub fn catalog() -> Table {
    let rows = TableName::ALL.iter().flat_map(|table| {
        table.fields().into_iter().map(|field| {
            vec![
                Value::Text(table.name().to_owned()),
                Value::Text(field.name.to_owned()),
                Value::Text(field.of.to_string()),
                Value::Prose(field.meaning.to_owned()),
            ]
        })
    });
    Table {
        heads: vec![
            ColumnHead::new("table"),
            ColumnHead::new("column"),
            ColumnHead::new("type"),
            ColumnHead::new("meaning"),
        ],
        rows: rows.collect(),
        total: None,
    }
}
