//! JSON: exact values; a table is an array with one object per line.

use crate::error::AnalyzeError;
use crate::output::row_writer::{Cell, RowWriter};
use crate::output::table::{Table, Value};
use crate::output::text::json_text;
use std::io::Write;

/// Writes the rows of a table as an array, one object per line.
///
/// # Errors
/// When `out` cannot be written.
pub fn table(table: &Table, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    rows(table, true, out)?;
    end_rows(table.rows.is_empty(), out)
}

/// Writes rows of an array that may go on.
///
/// # Errors
/// When `out` cannot be written.
pub fn rows(table: &Table, is_first: bool, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    let names: Vec<String> = table
        .heads
        .iter()
        .map(|head| json_text(&head.name.into()))
        .collect();
    for (index, row) in table.rows.iter().enumerate() {
        out.write_all(if index == 0 && is_first { b"[\n{" } else { b",\n{" })?;
        for (column, (name, cell)) in names.iter().zip(row).enumerate() {
            let comma = if column == 0 { "" } else { "," };
            write!(out, "{comma}{name}:{}", value(cell))?;
        }
        out.write_all(b"}")?;
    }
    Ok(())
}

/// Ends the array of [`rows`].
///
/// # Errors
/// When `out` cannot be written.
pub(crate) fn end_rows(is_empty: bool, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    Ok(out.write_all(if is_empty { b"[]\n" } else { b"\n]\n" })?)
}

/// A cell as a JSON value.
#[must_use]
pub fn value(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        // Serde's string form: JSON escapes and the quotes.
        Value::Text(text) | Value::Prose(text) => json_text(&serde_json::Value::from(text.as_str())),
        Value::Float(number) if !number.is_finite() => "null".to_owned(),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(self::value).collect();
            format!("[{}]", items.join(","))
        }
        number => number.plain(),
    }
}

/// Writes an object on a line of its own, or with members that begin lines.
///
/// # Errors
/// Those of `members`, or when `out` cannot be written.
pub fn object(
    out: &mut dyn Write,
    members: impl FnOnce(&mut Object<'_>) -> Result<(), AnalyzeError>,
) -> Result<(), AnalyzeError> {
    braced(out, members)?;
    Ok(writeln!(out)?)
}

/// Writes an array of objects, one per line.
///
/// # Errors
/// Those of `members`, or when `out` cannot be written.
pub fn lines<T>(
    items: impl IntoIterator<Item = T>,
    out: &mut dyn Write,
    mut members: impl FnMut(T, &mut Object<'_>) -> Result<(), AnalyzeError>,
) -> Result<(), AnalyzeError> {
    let mut is_empty = true;
    for item in items {
        out.write_all(if is_empty { b"[\n" } else { b",\n" })?;
        braced(out, |object| members(item, object))?;
        is_empty = false;
    }
    end_rows(is_empty, out)
}

fn braced(
    out: &mut dyn Write,
    members: impl FnOnce(&mut Object<'_>) -> Result<(), AnalyzeError>,
) -> Result<(), AnalyzeError> {
    out.write_all(b"{")?;
    members(&mut Object {
        out,
        is_first: true,
        begins_line: false,
    })?;
    Ok(out.write_all(b"}")?)
}

/// The members of an object, written as they are told.
pub struct Object<'a> {
    out: &'a mut dyn Write,
    is_first: bool,
    begins_line: bool,
}

impl Object<'_> {
    /// The next member begins a line.
    pub(crate) fn on_new_line(&mut self) -> &mut Self {
        self.begins_line = true;
        self
    }

    fn name(&mut self, name: &str) -> Result<(), AnalyzeError> {
        let comma = if std::mem::replace(&mut self.is_first, false) {
            ""
        } else {
            ","
        };
        let end = if std::mem::take(&mut self.begins_line) {
            "\n"
        } else {
            ""
        };
        Ok(write!(self.out, "{comma}{end}{}:", json_text(&name.into()))?)
    }

    /// A member whose value is JSON already.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn json(&mut self, name: &str, json: &str) -> Result<(), AnalyzeError> {
        self.name(name)?;
        Ok(self.out.write_all(json.as_bytes())?)
    }

    /// A member with the value of a cell.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn value(&mut self, name: &str, cell: &Value) -> Result<(), AnalyzeError> {
        self.json(name, &value(cell))
    }

    /// The members of another object, if that is one.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn members(&mut self, object: &serde_json::Value) -> Result<(), AnalyzeError> {
        let mut members = object.as_object().into_iter().flatten();
        members.try_for_each(|(name, value)| self.json(name, &json_text(value)))
    }

    /// A member with an array of rows.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn table(&mut self, name: &str, content: &Table) -> Result<(), AnalyzeError> {
        self.name(name)?;
        table(content, self.out)
    }

    /// A member that is an object.
    ///
    /// # Errors
    /// Those of `members`, or when the output cannot be written.
    pub fn object(
        &mut self,
        name: &str,
        members: impl FnOnce(&mut Object<'_>) -> Result<(), AnalyzeError>,
    ) -> Result<(), AnalyzeError> {
        self.name(name)?;
        braced(self.out, members)
    }

    /// A member that is an array of objects.
    ///
    /// # Errors
    /// Those of `members`, or when the output cannot be written.
    pub fn objects<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut members: impl FnMut(T, &mut Object<'_>) -> Result<(), AnalyzeError>,
    ) -> Result<(), AnalyzeError> {
        self.name(name)?;
        self.out.write_all(b"[")?;
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.out.write_all(b",")?;
            }
            braced(self.out, |object| members(item, object))?;
        }
        Ok(self.out.write_all(b"]")?)
    }
}

/// Rows as they come: one object per line, without an array around them.
#[derive(Clone, Debug, Default)]
pub struct JsonRows {
    names: Vec<&'static str>,
}

impl RowWriter for JsonRows {
    fn head(&mut self, columns: &[(&'static str, bool)], _out: &mut dyn Write) -> Result<(), AnalyzeError> {
        self.names = columns.iter().map(|(name, _)| *name).collect();
        Ok(())
    }

    fn rows<'a>(
        &mut self,
        rows: &mut dyn Iterator<Item = Vec<Cell<'a>>>,
        out: &mut dyn Write,
    ) -> Result<(), AnalyzeError> {
        let mut line = String::new();
        for row in rows {
            line.clear();
            for (index, (name, cell)) in self.names.iter().zip(row).enumerate() {
                line.push(if index == 0 { '{' } else { ',' });
                line.push('"');
                line.push_str(name);
                line.push_str("\":");
                match cell {
                    Cell::Null => line.push_str("null"),
                    Cell::Text(text) => line.push_str(&json_text(&text.into())),
                    Cell::Utc(_) => {
                        line.push('"');
                        cell.push_plain(&mut line);
                        line.push('"');
                    }
                    cell => cell.push_plain(&mut line),
                }
            }
            line.push_str("}\n");
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::output::table::ColumnHead;

    #[test]
    fn json_is_one_valid_document() {
        let content = Table {
            heads: vec![ColumnHead::new("name"), ColumnHead::new("max_us")],
            rows: vec![
                vec![Value::Text("a\x1b[0m,\"b\"".into()), Value::Us(1_500)],
                vec![Value::Text("c".into()), Value::Null],
            ],
            total: None,
        };
        let mut out = Vec::new();
        table(&content, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed[0]["name"], "a\x1b[0m,\"b\"");
        assert_eq!(parsed[0]["max_us"], 1.5);
        assert!(parsed[1]["max_us"].is_null());
        assert_eq!(text.lines().count(), 4);
    }

    #[test]
    fn members_are_separated_wherever_they_stand() {
        let mut out = Vec::new();
        object(&mut out, |object| {
            object.value("a", &Value::Count(1))?;
            object.on_new_line().objects("b", [2, 3], |number, object| {
                object.value("c", &Value::Count(number))?;
                object.json("d", "[]")
            })?;
            object.object("e", |_| Ok(()))
        })
        .unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "{\"a\":1,\n\"b\":[{\"c\":2,\"d\":[]},{\"c\":3,\"d\":[]}],\"e\":{}}\n"
        );
    }
}
