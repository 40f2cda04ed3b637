//! One fault as a line for people: the table form of `events`. Columns that the recording does not have are left out.

use crate::engine::columns::Column;
use crate::output::text::{escape, keep_end, keep_start, width};
use crate::output::units::fixed;
use crate::trace::session::Session;
use polars::prelude::AnyValue;

/// Which optional columns are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// BLOCKED_US RUNQUEUE_US RECLAIM_US LOCK_US.
    pub has_breakdown: bool,
    /// QUERY.
    pub has_query: bool,
    /// STACK.
    pub has_stack: bool,
    /// WEIGHT.
    pub has_weight: bool,
    /// Columns of the terminal.
    pub width: Option<usize>,
}

/// Columns of a line without the place, and what a path should have at least.
const FULL: usize = 116 + 24;

/// Columns before the place on a narrow terminal.
const PLACE: usize = 65;

/// The values of one fault.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    columns: &'a [Column],
    values: &'a [AnyValue<'a>],
}

impl<'a> Row<'a> {
    /// `values` in the order of `columns`.
    #[must_use]
    pub fn new(columns: &'a [Column], values: &'a [AnyValue<'a>]) -> Self {
        Self { columns, values }
    }

    fn value(&self, column: Column) -> Option<&'a AnyValue<'a>> {
        let index = self.columns.iter().position(|&c| c == column)?;
        self.values.get(index)
    }

    fn number(&self, column: Column) -> u64 {
        self.value(column).map_or(0, as_u64)
    }

    fn text(&self, column: Column) -> String {
        match self.value(column) {
            Some(AnyValue::String(text)) => escape(text),
            _ => "-".to_owned(),
        }
    }

    fn us_or_dash(&self, column: Column) -> String {
        match self.value(column) {
            None | Some(AnyValue::Null) => "-".to_owned(),
            Some(value) => fixed(as_u64(value), 1_000, 3),
        }
    }

    fn id_or_dash(&self, column: Column) -> String {
        match self.value(column) {
            None | Some(AnyValue::Null) => "-".to_owned(),
            Some(value) => as_u64(value).to_string(),
        }
    }

    fn is(&self, column: Column) -> bool {
        matches!(self.value(column), Some(AnyValue::Boolean(true)))
    }

    fn class(&self) -> &'static str {
        match (self.is(Column::Failed), self.is(Column::Major)) {
            // Interrupted, and not completed.
            (true, _) if self.is(Column::Abandoned) => "abandoned",
            (true, _) => "failed",
            (false, true) => "major",
            (false, false) => "minor",
        }
    }

    fn place(&self) -> String {
        match (self.value(Column::File), self.value(Column::FileOffset)) {
            (Some(AnyValue::String(file)), Some(AnyValue::UInt64(offset))) => {
                format!("{}+{offset:#x}", escape(file))
            }
            (Some(AnyValue::String(file)), _) => escape(file),
            _ => format!("[{}]", self.text(Column::Kind)),
        }
    }
}

impl Layout {
    /// The room of the place, where there is none for all columns.
    fn compact(self) -> Option<usize> {
        let width = self.width.filter(|&width| width < FULL)?;
        Some(width.saturating_sub(PLACE).max(8))
    }

    /// The titles.
    #[must_use]
    pub fn head(self) -> String {
        if self.compact().is_some() {
            let times = format!("{:>13}  {:>11}", "TIME_S", "LATENCY_US");
            return format!(
                "{times}  {:>7}  {:<15}  {:<9}  FILE+OFFSET",
                "TID", "COMM", "CLASS"
            );
        }
        let parts = "BLOCKED_US  RUNQUEUE_US   RECLAIM_US      LOCK_US";
        self.join(
            &format!("{:>13}  {:>11}", "TIME_S", "LATENCY_US"),
            &format!(" {parts}"),
            &format!(
                "{:>7}  {:>7}  {:<15}  {:<9}  {:<6}  {:<10}  {:>7}",
                "PID", "TID", "COMM", "CLASS", "ACCESS", "ORIGIN", "RETRIES"
            ),
            [
                &format!("{:>6}", "WEIGHT"),
                &format!("{:>8}", "QUERY"),
                &format!("{:>7}", "STACK"),
            ],
            &format!("{:>14}  FILE+OFFSET", "ADDRESS"),
        )
    }

    /// What a wider terminal also shows, and how wide it has to be; `None` where nothing is left out.
    #[must_use]
    pub fn left_out(self) -> Option<String> {
        self.compact()?;
        let optional = [
            (self.has_breakdown, "BLOCKED_US, RUNQUEUE_US, RECLAIM_US, LOCK_US"),
            (self.has_weight, "WEIGHT"),
            (self.has_query, "QUERY"),
            (self.has_stack, "STACK"),
        ];
        let optional = optional
            .iter()
            .filter(|(is_shown, _)| *is_shown)
            .map(|(_, title)| *title);
        let titles: Vec<&str> = ["PID", "ACCESS", "ORIGIN", "RETRIES"]
            .into_iter()
            .chain(optional)
            .chain(["ADDRESS"])
            .collect();
        Some(format!(
            "a terminal of {FULL} columns also shows {}",
            titles.join(", ")
        ))
    }

    /// One fault.
    #[must_use]
    pub fn line(self, row: &Row<'_>, session: &Session) -> String {
        if let Some(room) = self.compact() {
            return compact_line(row, session, room);
        }
        let parts = [
            Column::BlockedNs,
            Column::RunqueueNs,
            Column::ReclaimNs,
            Column::LockNs,
        ];
        let parts: Vec<String> = parts
            .map(|column| format!("{:>11}", row.us_or_dash(column)))
            .to_vec();
        self.join(
            &times(row, session),
            &parts.join("  "),
            &format!(
                "{:>7}  {:>7}  {:<15}  {:<9}  {:<6}  {:<10}  {:>7}",
                row.number(Column::Pid),
                row.number(Column::Tid),
                row.text(Column::Comm),
                row.class(),
                row.text(Column::Access),
                row.text(Column::Origin),
                row.id_or_dash(Column::Retries),
            ),
            [
                &format!("{:>6}", row.number(Column::Weight)),
                &format!("{:>8}", row.id_or_dash(Column::QueryId)),
                &format!("{:>7}", row.id_or_dash(Column::StackId)),
            ],
            &format!("{:>#14x}  {}", row.number(Column::Address), row.place()),
        )
    }

    fn join(self, time: &str, parts: &str, who: &str, optional: [&str; 3], place: &str) -> String {
        let [weight, query, stack] = optional;
        let pieces = [
            (true, time),
            (self.has_breakdown, parts),
            (true, who),
            (self.has_weight, weight),
            (self.has_query, query),
            (self.has_stack, stack),
            (true, place),
        ];
        let shown: Vec<&str> = pieces
            .iter()
            .filter(|(is_shown, _)| *is_shown)
            .map(|(_, text)| *text)
            .collect();
        shown.join("  ")
    }
}

fn times(row: &Row<'_>, session: &Session) -> String {
    let since_ns = session.since_start_ns(row.number(Column::TsNs));
    format!(
        "{:>13}  {:>11}",
        fixed(since_ns, 1_000_000_000, 9),
        fixed(row.number(Column::LatencyNs), 1_000, 3)
    )
}

/// What a narrow terminal has room for.
fn compact_line(row: &Row<'_>, session: &Session, room: usize) -> String {
    let comm = keep_start(&row.text(Column::Comm), 15);
    let padding = " ".repeat(15usize.saturating_sub(width(&comm)));
    format!(
        "{}  {:>7}  {comm}{padding}  {:<9}  {}",
        times(row, session),
        row.number(Column::Tid),
        row.class(),
        keep_end(&row.place(), room)
    )
}

/// An integer of any width; anything else is 0.
#[must_use]
pub fn as_u64(value: &AnyValue<'_>) -> u64 {
    match value {
        AnyValue::UInt8(number) => u64::from(*number),
        AnyValue::UInt16(number) => u64::from(*number),
        AnyValue::UInt32(number) => u64::from(*number),
        AnyValue::UInt64(number) => *number,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_stand_over_their_values() {
        let all = Layout {
            has_breakdown: true,
            has_query: true,
            has_stack: true,
            has_weight: true,
            width: None,
        };
        let head = all.head();
        for (title, end) in [
            ("LATENCY_US", 26),
            ("BLOCKED_US", 39),
            ("RUNQUEUE_US", 52),
            ("LOCK_US", 78),
        ] {
            let found = head.find(title).map(|at| at + title.len());
            assert_eq!(found, Some(end), "{title} in {head}");
        }
        assert!(!Layout::default().head().contains("WEIGHT"));
    }

    #[test]
    fn what_a_narrow_terminal_has_no_room_for_is_named() {
        let narrow = Layout {
            has_query: true,
            width: Some(80),
            ..Layout::default()
        };
        let words = "a terminal of 140 columns also shows PID, ACCESS, ORIGIN, RETRIES, QUERY, ADDRESS";
        assert_eq!(narrow.left_out().as_deref(), Some(words));
        let head = narrow.head();
        assert_eq!(
            head.find("FILE+OFFSET"),
            Some(PLACE),
            "a longer line would be broken"
        );
        assert!(
            !words
                .split(", ")
                .any(|title| head.contains(title.rsplit(' ').next().unwrap_or(title)))
        );
        assert_eq!(Layout::default().left_out(), None);
    }
}
