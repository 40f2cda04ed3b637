//! What SQL says to people: the list of tables with examples, and what is wrong with a question, in one line.

use crate::error::AnalyzeError;
use crate::output::text::{escape, wrap};
use crate::verbs::sql::result::type_name;
use crate::verbs::sql::schema::TableName;
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
        "pages that were read from disk more than once: evicted too early",
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
const NOTES: &str = "Filters such as --from, --pid and --major leave rows of faults out; the other tables are whole. \
                     / divides exactly, // into whole numbers; numbers without a sign wrap below 0: CAST(x AS BIGINT) - y.";

/// Columns that a line of the list has for names and types.
const NAME_WIDTH: usize = 15;
const TYPE_WIDTH: usize = 8;

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
            let mut kind = type_name(&field.dtype);
            for line in wrap(field.meaning, room) {
                writeln!(out, "  {name:<NAME_WIDTH$} {kind:<TYPE_WIDTH$} {line}")?;
                (name, kind) = ("", "");
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

/// The examples, for tests.
pub fn examples() -> impl Iterator<Item = &'static str> {
    EXAMPLES.iter().map(|(_, query)| *query)
}

/// One line on what is wrong with a question to `tables`.
#[must_use]
pub fn explain(message: &str, tables: &[TableName]) -> String {
    let first = message
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("the query cannot be answered");
    // What polars lists comes again below, and it repeats where in its plan the error was met.
    let cut = first.split("; valid columns:").next().unwrap_or(first);
    let cut = cut.split("\n\nResolved plan").next().unwrap_or(cut);
    let cut = cut
        .trim_start_matches("sql parser error: ")
        .trim_start_matches("not found: ");
    let mut line = escape(cut);
    let is_about_names = ["not found", "unable to find column", "no column named"]
        .iter()
        .any(|words| message.contains(words));
    if !is_about_names {
        return line;
    }
    let asked = quoted(cut);
    let columns: Vec<&'static str> = tables
        .iter()
        .flat_map(|table| table.fields().into_iter().map(|field| field.name))
        .collect();
    if message.contains("relation") {
        let names = TableName::ALL.map(TableName::name);
        let near = asked.and_then(|asked| nearest(asked, names.into_iter()));
        line.push_str(&meant(near));
        line.push_str(&format!("the tables are {}", names.join(", ")));
        return line;
    }
    let near = asked.and_then(|asked| nearest(asked, columns.iter().copied()));
    line.push_str(&meant(near));
    let lists: Vec<String> = tables
        .iter()
        .map(|table| {
            let names: Vec<&str> = table.fields().iter().map(|field| field.name).collect();
            format!("{} has {}", table.name(), names.join(", "))
        })
        .collect();
    line.push_str(&lists.join("; "));
    line
}

/// Joins the message with what follows.
fn meant(near: Option<&str>) -> String {
    match near {
        Some(near) => format!("; did you mean {near}? "),
        None => "; ".to_owned(),
    }
}

/// What a message has in quotes: the name that was asked for.
fn quoted(message: &str) -> Option<&str> {
    let quote = |c| c == '"' || c == '\'' || c == '`';
    let start = message.find(quote)? + 1;
    let rest = message.get(start..)?;
    rest.get(..rest.find(quote)?)
}

fn nearest(asked: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    // As tables are called `t.column` in errors, too.
    let asked = asked.rsplit('.').next().unwrap_or(asked).to_ascii_lowercase();
    let scored = names.map(|name| (strsim::jaro_winkler(&asked, name), name));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.75).then_some(best.1)
}
