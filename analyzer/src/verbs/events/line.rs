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

/// What a path should have at least, as long as there is a column that can give way to it.
const PLACE_ROOM: usize = 24;

/// A column before the place.
#[derive(Clone, Copy, Debug)]
struct Shown {
    title: &'static str,
    width: usize,
    is_text: bool,
    /// When it gives way: those with the lowest number first; `None` for what every line has.
    gives_way: Option<u8>,
}

const fn number(title: &'static str, width: usize, gives_way: Option<u8>) -> Shown {
    Shown {
        title,
        width,
        is_text: false,
        gives_way,
    }
}

const fn text(title: &'static str, width: usize, gives_way: Option<u8>) -> Shown {
    Shown {
        is_text: true,
        ..number(title, width, gives_way)
    }
}

/// All that there can be, in the order of a line.
const COLUMNS: [Shown; 17] = [
    number("TIME_S", 13, None),
    number("LATENCY_US", 11, None),
    number("BLOCKED_US", 11, Some(10)),
    number("RUNQUEUE_US", 11, Some(8)),
    number("RECLAIM_US", 11, Some(4)),
    number("LOCK_US", 11, Some(3)),
    number("PID", 7, Some(7)),
    number("TID", 7, None),
    text("COMM", 15, None),
    text("CLASS", 9, None),
    text("ACCESS", 6, Some(5)),
    text("ORIGIN", 10, Some(1)),
    number("RETRIES", 7, Some(0)),
    number("WEIGHT", 6, Some(9)),
    number("QUERY", 8, Some(11)),
    number("STACK", 7, Some(6)),
    number("ADDRESS", 14, Some(2)),
];

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
    /// Whether the recording has a column at all.
    fn is_recorded(self, column: Shown) -> bool {
        match column.title {
            "BLOCKED_US" | "RUNQUEUE_US" | "RECLAIM_US" | "LOCK_US" => self.has_breakdown,
            "WEIGHT" => self.has_weight,
            "QUERY" => self.has_query,
            "STACK" => self.has_stack,
            _ => true,
        }
    }

    fn recorded(self) -> Vec<Shown> {
        COLUMNS
            .into_iter()
            .filter(|column| self.is_recorded(*column))
            .collect()
    }

    /// The columns for which there is room, and those that gave way.
    fn split(self) -> (Vec<Shown>, Vec<Shown>) {
        let mut shown = self.recorded();
        let mut left_out = Vec::new();
        while self.width.is_some_and(|width| room_for(&shown) > width) {
            let can = shown.iter().enumerate();
            let first = can
                .filter_map(|(index, column)| Some((column.gives_way?, index)))
                .min();
            let Some((_, index)) = first else { break };
            left_out.push(shown.remove(index));
        }
        (shown, left_out)
    }

    /// The titles.
    #[must_use]
    pub fn head(self) -> String {
        let (shown, _) = self.split();
        self.join(&shown, |column| column.title.to_owned(), "FILE+OFFSET")
    }

    /// The titles, and which columns are texts, where there is room for all.
    pub(crate) fn titles(self) -> Vec<(&'static str, bool)> {
        let columns = self.recorded().into_iter();
        let columns = columns.map(|column| (column.title, column.is_text));
        columns.chain([("FILE+OFFSET", true)]).collect()
    }

    /// The cells under [`Layout::titles`].
    pub(crate) fn cells(self, row: &Row<'_>, session: &Session) -> Vec<String> {
        let columns = self.recorded().into_iter();
        let cells = columns.map(|column| cell(column.title, row, session));
        cells.chain([row.place()]).collect()
    }

    /// What a wider terminal also shows, and how wide it has to be; `None` where nothing is left out.
    #[must_use]
    pub fn left_out(self) -> Option<String> {
        let (_, gone) = self.split();
        if gone.is_empty() {
            return None;
        }
        let is_gone = |column: &Shown| gone.iter().any(|other| other.title == column.title);
        let recorded = self.recorded();
        let titles: Vec<&str> = recorded
            .iter()
            .filter(|column| is_gone(column))
            .map(|column| column.title)
            .collect();
        Some(format!(
            "a terminal of {} columns also shows {}",
            room_for(&recorded),
            titles.join(", ")
        ))
    }

    /// One fault.
    #[must_use]
    pub fn line(self, row: &Row<'_>, session: &Session) -> String {
        let (shown, _) = self.split();
        self.join(&shown, |column| cell(column.title, row, session), &row.place())
    }

    /// The place has what the columns leave; a value that is longer than its column takes it from there.
    fn join(self, shown: &[Shown], cell: impl Fn(&Shown) -> String, place: &str) -> String {
        let mut line = String::new();
        for column in shown {
            let mut text = cell(column);
            if column.is_text && self.width.is_some() {
                text = keep_start(&text, column.width);
            }
            let padding = " ".repeat(column.width.saturating_sub(width(&text)));
            let (before, after) = if column.is_text {
                ("", padding.as_str())
            } else {
                (padding.as_str(), "")
            };
            line.push_str(before);
            line.push_str(&text);
            line.push_str(after);
            line.push_str("  ");
        }
        let Some(columns) = self.width else {
            return line + place;
        };
        let room = columns.saturating_sub(width(&line)).max(1);
        line.push_str(&keep_end(place, room));
        keep_start(&line, columns)
    }
}

/// Columns of a line with all of `shown` and a path.
fn room_for(shown: &[Shown]) -> usize {
    shown.iter().map(|column| column.width + 2).sum::<usize>() + PLACE_ROOM
}

fn cell(title: &str, row: &Row<'_>, session: &Session) -> String {
    match title {
        "TIME_S" => fixed(session.since_start_ns(row.number(Column::TsNs)), 1_000_000_000, 9),
        "LATENCY_US" => fixed(row.number(Column::LatencyNs), 1_000, 3),
        "BLOCKED_US" => row.us_or_dash(Column::BlockedNs),
        "RUNQUEUE_US" => row.us_or_dash(Column::RunqueueNs),
        "RECLAIM_US" => row.us_or_dash(Column::ReclaimNs),
        "LOCK_US" => row.us_or_dash(Column::LockNs),
        "PID" => row.number(Column::Pid).to_string(),
        "TID" => row.number(Column::Tid).to_string(),
        "COMM" => row.text(Column::Comm),
        "CLASS" => row.class().to_owned(),
        "ACCESS" => row.text(Column::Access),
        "ORIGIN" => row.text(Column::Origin),
        "RETRIES" => row.id_or_dash(Column::Retries),
        "WEIGHT" => row.number(Column::Weight).to_string(),
        "QUERY" => row.id_or_dash(Column::QueryId),
        "STACK" => row.id_or_dash(Column::StackId),
        _ => format!("{:#x}", row.number(Column::Address)),
    }
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
        let words = "a terminal of 153 columns also shows PID, ACCESS, ORIGIN, RETRIES, QUERY, ADDRESS";
        assert_eq!(narrow.left_out().as_deref(), Some(words));
        let head = narrow.head();
        assert_eq!(head.find("FILE+OFFSET"), Some(65), "{head}");
        assert!(
            !words
                .split(", ")
                .any(|title| head.contains(title.rsplit(' ').next().unwrap_or(title)))
        );
        assert_eq!(Layout::default().left_out(), None);
        // The width that was advised shows all, and one column less does not.
        let at = |width| Layout {
            width: Some(width),
            ..narrow
        };
        assert_eq!(at(153).left_out(), None);
        assert!(
            at(152)
                .left_out()
                .is_some_and(|words| words.ends_with("shows RETRIES"))
        );
        assert!(
            at(130).head().contains("QUERY"),
            "it is among the last to give way"
        );
    }
}
