//! The intervals of `timeline` for people: a line each, with a bar.

use crate::output::render::text::table_width;
use crate::output::table::{ColumnHead, Table, Value};
use crate::output::units::quantity;
use crate::output::units::{duration, fixed};
use crate::trace::session::Session;
use crate::verbs::timeline::intervals::Interval;
use crate::verbs::timeline::tables::{intervals_table, waiting};

/// Characters of the longest bar, and of one that is still worth its place.
const LONGEST_BAR: usize = 40;
const SHORTEST_BAR: usize = 8;

/// A line per interval, with a bar for the threads that waited on average; and the line above them.
#[must_use]
pub(crate) fn with_bars(
    rows: &[Interval],
    width_ns: u64,
    session: &Session,
    width: usize,
) -> (String, Table) {
    let mut table = for_people(rows, width_ns, session);
    let used = table_width(&table) + 2;
    let room = width.saturating_sub(used).min(LONGEST_BAR);
    let most = rows.iter().map(waiting).max().unwrap_or(0);
    let mut title = format!(
        "{} of {}",
        quantity(rows.len() as u64, "interval"),
        duration(width_ns)
    );
    if room >= SHORTEST_BAR && most > 0 {
        title.push_str(&format!(
            "; the longest bar: {} threads waiting on average",
            fixed(most, 1_000, 2)
        ));
        table.heads.push(ColumnHead::new("waiting"));
        for (cells, row) in table.rows.iter_mut().zip(rows) {
            cells.push(Value::Text(bar(waiting(row), most, room)));
        }
    }
    (title, table)
}

/// The columns that fit beside bars.
fn for_people(rows: &[Interval], width_ns: u64, session: &Session) -> Table {
    let whole = intervals_table(rows, session);
    let has = |of: fn(&Interval) -> u64| rows.iter().any(|row| of(row) > 0);
    let mut names = vec!["begin_s", "major_per_s", "minor_per_s"];
    if has(|row| row.counts[2]) {
        names.push("failed_per_s");
    }
    names.extend(["wait_ms", "threads", "max_ms"]);
    if has(|row| row.stalled_ns) {
        names.push("stalled_ms");
    }
    let columns: Vec<usize> = names.iter().filter_map(|name| whole.column(name)).collect();
    // As many decimals as tell two intervals apart.
    let decimals = (0..9u32)
        .find(|&decimals| width_ns.is_multiple_of(10u64.pow(9 - decimals)))
        .unwrap_or(9);
    let cell = |row: &Vec<Value>, interval: &Interval, column: usize| match row.get(column) {
        Some(Value::Seconds(ns)) => Value::Text(format!("{:>7}", fixed(*ns, 1_000_000_000, decimals))),
        // Rates below a hundred keep a decimal.
        Some(Value::Decimal(rate)) if *rate >= 100_000 => Value::Count((rate + 500) / 1_000),
        Some(Value::Ms(0))
            if interval.stalled_ns == 0
                && whole.heads.get(column).map(|head| head.name) == Some("stalled_ms") =>
        {
            Value::Null
        }
        Some(value) => value.clone(),
        None => Value::Null,
    };
    let heads = columns.iter().filter_map(|&column| whole.heads.get(column));
    Table {
        heads: heads.copied().collect(),
        rows: whole
            .rows
            .iter()
            .zip(rows)
            .map(|(row, interval)| {
                columns
                    .iter()
                    .map(|&column| cell(row, interval, column))
                    .collect()
            })
            .collect(),
        total: None,
    }
}

/// A bar in eighths of a character; a trace of one for what is above 0.
fn bar(value: u64, most: u64, room: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = u128::from(value) * 8 * room as u128 / u128::from(most.max(1));
    let eighths = usize::try_from(eighths).unwrap_or(0).max(usize::from(value > 0));
    let part = EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
    format!("{}{part}", "█".repeat(eighths / 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_share() {
        assert_eq!(bar(10, 10, 3), "███");
        assert_eq!(bar(5, 10, 3), "█▌");
        assert_eq!(bar(1, 1_000_000, 3), "▏");
        assert_eq!(bar(0, 0, 3), "");
        assert_eq!(bar(u64::MAX, u64::MAX, 2), "██");
    }
}
