//! What SQL says to people: the list of tables with examples, and what is wrong with a question, in one line.

use crate::error::AnalyzeError;
use crate::output::render::text::cell;
use crate::output::table::Table;
use crate::output::text::{escape, wrap};
use crate::verbs::sql::naming::Scope;
use crate::verbs::sql::schema::TableName;
use crate::verbs::sql::types::refusal;
use sqlparser::ast::Expr;
use std::io::Write;

/// Questions worth asking, with what they answer.
const EXAMPLES: [(&str, &str); 3] = [
    (
        "which threads waited for which files, and how badly at the tail",
        "SELECT comm, COALESCE(file, kind) AS what, COUNT(*) AS faults,
    SUM(latency_ns) / 1000000 AS wait_ms,
    QUANTILE_CONT(latency_ns, 0.99) / 1000 AS p99_us
  FROM faults GROUP BY comm, COALESCE(file, kind)
  ORDER BY wait_ms DESC LIMIT 10",
    ),
    (
        "pages with more than one major fault",
        "SELECT file, file_offset, COUNT(*) AS reads,
    SUM(latency_ns) / 1000000 AS wait_ms
  FROM faults WHERE major AND file IS NOT NULL
  GROUP BY file, file_offset HAVING COUNT(*) > 1
  ORDER BY reads DESC, wait_ms DESC LIMIT 20",
    ),
    (
        "the worst tenths of a second of the recording",
        "SELECT (ts_ns - start_ns) // 100000000 * 100 AS at_ms,
    COUNT(*) AS faults, SUM(major) AS majors,
    SUM(latency_ns) / 1000000 AS wait_ms
  FROM faults CROSS JOIN host GROUP BY at_ms
  ORDER BY wait_ms DESC LIMIT 10",
    ),
];

/// What is not obvious.
const NOTES: &str = "SQL as in DuckDB: SELECT with joins, subqueries, WITH, windows, set operations. Whole numbers are \
                     exact, whatever their size; / gives a fraction, // a whole number. A column without AS is called by its \
                     text. Filters such as --from, --pid and --major leave rows of faults out; the other tables are whole.";

/// Columns that a line of the list has for names and types.
const NAME_WIDTH: usize = 15;
const TYPE_WIDTH: usize = 9;

/// Lists the tables.
///
/// # Errors
/// When `out` cannot be written.
pub fn list_tables(trace: &str, width: usize, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    let room = width.saturating_sub(NAME_WIDTH + TYPE_WIDTH + 4).max(20);
    for table in TableName::ALL {
        writeln!(out, "{}: {}", table.name(), table.about())?;
        for field in table.fields() {
            let mut name = field.name;
            let mut kind: String = field.of.to_string();
            for line in wrap(field.meaning, room) {
                writeln!(out, "  {name:<NAME_WIDTH$} {kind:<TYPE_WIDTH$} {line}")?;
                (name, kind) = ("", String::new());
            }
        }
        writeln!(out)?;
    }
    for line in wrap(NOTES, width) {
        writeln!(out, "{line}")?;
    }
    for (what, query) in EXAMPLES {
        writeln!(out, "\n# {what}")?;
        writeln!(out, "pfanalyze sql {trace} \"\n  {query}\"")?;
    }
    Ok(())
}

/// Writes a table whose last column explains the others: cut, it would explain nothing, so it goes on below itself.
///
/// # Errors
/// When `out` cannot be written.
pub(crate) fn write_explained(table: &Table, width: usize, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    let titles: Vec<String> = table.heads.iter().map(|head| head.title().into_owned()).collect();
    let rows = table.rows.iter().map(|row| row.iter().map(cell).collect());
    let lines: Vec<Vec<String>> = std::iter::once(titles).chain(rows).collect();
    let last = table.heads.len().saturating_sub(1);
    let widest = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(String::len).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..last).map(widest).collect();
    let margin = widths.iter().map(|width| width + 2).sum();
    for line in &lines {
        let cells = line.iter().zip(&widths);
        let mut before: String = cells.map(|(cell, &width)| format!("{cell:<width$}  ")).collect();
        let words = line.get(last).map_or("", String::as_str);
        for part in wrap(words, width.saturating_sub(margin).max(20)) {
            writeln!(out, "{before}{part}")?;
            before = " ".repeat(margin);
        }
    }
    Ok(())
}

/// The examples, for tests.
pub fn examples() -> impl Iterator<Item = &'static str> {
    EXAMPLES.iter().map(|(_, query)| *query)
}

/// The word on an expression that is SQL and not known here, with how to write it instead.
#[must_use]
pub(crate) fn unsupported(expr: &Expr) -> AnalyzeError {
    let instead = match expr {
        Expr::Extract { .. } => {
            ": DATE_TRUNC('hour', time) cuts a time, and EPOCH_NS(time) // 3600000000000 % 24 is its hour of the day"
        }
        Expr::Interval(_) => {
            ": count in nanoseconds, as in EPOCH_NS(time) + 1000000000, or compare with a text, as in \
             time < '2026-11-30 04:28:03.5'"
        }
        _ => " here",
    };
    refusal(format!("{} is not supported{instead}", escape(&expr.to_string())))
}

/// The word on a name that no table has.
#[must_use]
pub fn no_table(name: &str) -> AnalyzeError {
    let names = TableName::ALL.map(TableName::name);
    refusal(format!(
        "there is no table {}{}the tables are {}",
        escape(name),
        meant(nearest(name, names.into_iter())),
        names.join(", ")
    ))
}

/// The word on a name that no column has.
#[must_use]
pub fn no_column(scope: &Scope, table: Option<&str>, name: &str) -> AnalyzeError {
    let asked = table.map_or_else(|| name.to_owned(), |table| format!("{table}.{name}"));
    let mut lists: Vec<(&str, Vec<&str>)> = Vec::new();
    for column in &scope.columns {
        match lists.last_mut() {
            Some((known, names)) if *known == column.table => names.push(&column.name),
            _ => lists.push((&column.table, vec![&column.name])),
        }
    }
    if lists.is_empty() {
        return refusal(format!(
            "there is no column {}: the question has no FROM",
            escape(&asked)
        ));
    }
    let near = nearest(name, scope.columns.iter().map(|column| column.name.as_str()));
    let meant = meant(near);
    let lists: Vec<String> = lists
        .iter()
        .map(|(table, names)| match table.is_empty() {
            true => format!("the subquery has {}", names.join(", ")),
            false => format!("{table} has {}", names.join(", ")),
        })
        .collect();
    refusal(format!(
        "there is no column {}{meant}{}",
        escape(&asked),
        escape(&lists.join("; "))
    ))
}

/// Joins the message with what follows.
fn meant(near: Option<&str>) -> String {
    match near {
        Some(near) => format!("; did you mean {near}? "),
        None => "; ".to_owned(),
    }
}

/// The one of some short names that differs from `asked` by a slip of the keys: one in five letters, and not the first: LPAD is not LEAD.
pub(crate) fn slip<'n>(asked: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let begins_so = names.filter(|name| name.chars().next() == asked.chars().next());
    let rated = begins_so.map(|name| (strsim::damerau_levenshtein(asked, name), name));
    let (distance, name) = rated.min()?;
    // A letter more or less at the end is a slip of a short name, too.
    let is_prefix = distance == 1 && (name.starts_with(asked) || asked.starts_with(name));
    (is_prefix || distance * 5 <= name.chars().count()).then_some(name)
}

fn nearest<'n>(asked: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let asked = asked.to_ascii_lowercase();
    let scored = names.map(|name| (strsim::jaro_winkler(&asked, name), name));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.75).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_suggested_only_where_it_may_have_been_meant() {
        let names = ["TRIM", "LEAD", "MEDIAN", "LENGTH"];
        for (asked, meant) in [
            ("MEDAIN", Some("MEDIAN")),
            ("TRI", Some("TRIM")),
            ("TRIMM", Some("TRIM")),
            ("LENGHT", Some("LENGTH")),
            ("STRFTIME", None),
            ("LPAD", None),
        ] {
            assert_eq!(slip(asked, names.into_iter()), meant, "{asked}");
        }
    }
}
