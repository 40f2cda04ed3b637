//! A frame that SQL answered as a [`Table`], piece by piece: a million rows are written, not kept a second time.

use crate::error::AnalyzeError;
use crate::output::render::{self, Format};
use crate::output::table::{ColumnHead, Table, Value};
use crate::output::units::grouped;
use crate::verbs::sql::schema::TableName;
use polars::prelude::{AnyValue, Column, DataFrame, DataType};
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
    frame: &DataFrame,
    format: Format,
    width: Option<usize>,
    out: &mut dyn Write,
) -> Result<Option<String>, AnalyzeError> {
    let heads = heads(frame);
    let rows = frame.height();
    if format.is_text() {
        let shown = Table {
            heads,
            rows: values(&frame.slice(0, SHOWN))?,
            total: None,
        };
        render::table(&shown, format, width, out)?;
        let more = rows.saturating_sub(SHOWN);
        return Ok((more > 0).then(|| {
            format!(
                "... and {} more rows: add a LIMIT, or write them with --format csv -o FILE",
                grouped(more as u64)
            )
        }));
    }
    let piece = |start| -> Result<Table, AnalyzeError> {
        let piece = frame.slice(i64::try_from(start).unwrap_or(i64::MAX), PIECE);
        Ok(Table {
            heads: heads.clone(),
            rows: values(&piece)?,
            total: None,
        })
    };
    render::pieces(&heads, (0..rows).step_by(PIECE).map(piece), format, out)?;
    Ok(None)
}

/// Names of columns live as long as the program: there is one answer, and a question is short.
fn heads(frame: &DataFrame) -> Vec<ColumnHead> {
    let columns = frame.columns().iter();
    columns
        .map(|column| {
            let name: &'static str = Box::leak(column.name().to_string().into_boxed_str());
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
fn meaning(column: &Column) -> Meaning {
    let name = column.name().as_str();
    match name {
        "address" | "ip" | "start_address" | "end_address" => Meaning::Address,
        "ts_ns" | "begin_ns" | "end_ns" | "from_ns" | "to_ns" | "start_ns" | "map_flags" | "key" | "cpu"
        | "inode" | "dev_major" | "dev_minor" => Meaning::Id,
        name if name.ends_with("_id") => Meaning::Id,
        "pid" | "tid" => Meaning::Id,
        _ => Meaning::Amount,
    }
}

/// The rows; each column is walked once.
fn values(frame: &DataFrame) -> Result<Vec<Vec<Value>>, AnalyzeError> {
    let mut rows: Vec<Vec<Value>> = std::iter::repeat_with(|| Vec::with_capacity(frame.width()))
        .take(frame.height())
        .collect();
    for column in frame.columns() {
        let meaning = meaning(column);
        let series = column.as_materialized_series().rechunk();
        for (row, value) in rows.iter_mut().zip(series.iter()) {
            row.push(value_of(&value, meaning));
        }
    }
    Ok(rows)
}

fn value_of(value: &AnyValue<'_>, meaning: Meaning) -> Value {
    let unsigned = |number: u64| match meaning {
        Meaning::Address => Value::Address(number),
        Meaning::Id => Value::Id(number),
        Meaning::Amount => Value::Count(number),
    };
    let signed = |number: i64| match u64::try_from(number) {
        Ok(number) => unsigned(number),
        Err(_) => Value::Negative(number.unsigned_abs()),
    };
    match value {
        AnyValue::Null => Value::Null,
        AnyValue::Boolean(flag) => Value::Flag(*flag),
        AnyValue::String(text) => Value::Text((*text).to_owned()),
        AnyValue::StringOwned(text) => Value::Text(text.to_string()),
        AnyValue::UInt8(number) => unsigned((*number).into()),
        AnyValue::UInt16(number) => unsigned((*number).into()),
        AnyValue::UInt32(number) => unsigned((*number).into()),
        AnyValue::UInt64(number) => unsigned(*number),
        AnyValue::Int32(number) => signed((*number).into()),
        AnyValue::Int64(number) => signed(*number),
        AnyValue::Float32(number) => Value::Float(f64::from(*number)),
        AnyValue::Float64(number) => Value::Float(*number),
        AnyValue::List(items) => Value::List(items.iter().map(|item| value_of(&item, Meaning::Id)).collect()),
        // Dates, durations and what else a function can make.
        other => Value::Text(other.to_string()),
    }
}

/// A type in words of SQL.
#[must_use]
pub fn type_name(dtype: &DataType) -> &'static str {
    match dtype {
        DataType::Boolean => "boolean",
        DataType::String => "string",
        DataType::UInt8 => "u8",
        DataType::UInt16 => "u16",
        DataType::UInt32 => "u32",
        DataType::UInt64 => "u64",
        DataType::Int64 => "i64",
        _ => "other",
    }
}

/// The tables with their columns, for programs.
#[must_use]
pub fn catalog() -> Table {
    let rows = TableName::ALL.iter().flat_map(|table| {
        table.fields().into_iter().map(|field| {
            vec![
                Value::Text(table.name().to_owned()),
                Value::Text(field.name.to_owned()),
                Value::Text(type_name(&field.dtype).to_owned()),
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
