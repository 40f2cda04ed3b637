//! The columns of the table, on the screen and on paper alike.

use pf_printing::{escape, keep_end, keep_start};

use super::threads::{Interval, Row, Sums};

/// Whether the first columns tell of the whole time or of the latest interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Span {
    /// Since counting began.
    #[default]
    Start,
    /// In the interval only.
    Interval,
}

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Pid,
    Tid,
    Comm,
    Major,
    Minor,
    TotalMs,
    AvgMs,
    MaxMs,
    MinUs,
    P99Us,
    MajorRate,
    MinorRate,
    Wait,
}

impl Column {
    /// In their order.
    pub const ALL: [Self; 13] = [
        Self::Pid,
        Self::Tid,
        Self::Comm,
        Self::Major,
        Self::Minor,
        Self::TotalMs,
        Self::AvgMs,
        Self::MaxMs,
        Self::MinUs,
        Self::P99Us,
        Self::MajorRate,
        Self::MinorRate,
        Self::Wait,
    ];

    /// Those of a file, in their order; its name follows them.
    pub const OF_FILES: [Self; 8] = [
        Self::Major,
        Self::Minor,
        Self::TotalMs,
        Self::AvgMs,
        Self::MaxMs,
        Self::MajorRate,
        Self::MinorRate,
        Self::Wait,
    ];

    /// Those that give way on a narrow terminal, the first first. The name of the thread stays.
    const DROP_ORDER: [Self; 12] = [
        Self::MinUs,
        Self::AvgMs,
        Self::P99Us,
        Self::Pid,
        Self::MinorRate,
        Self::MaxMs,
        Self::TotalMs,
        Self::MajorRate,
        Self::Wait,
        Self::Minor,
        Self::Major,
        Self::Tid,
    ];

    /// Those of `all` that there is room for, in their order. That by which rows are sorted is always among them.
    #[must_use]
    pub fn fitting(all: &[Self], width: usize, sorted_by: Self) -> Vec<Self> {
        let mut columns = all.to_vec();
        for dropped in Self::DROP_ORDER.into_iter().filter(|column| *column != sorted_by) {
            if line_width(&columns) <= width {
                break;
            }
            columns.retain(|column| *column != dropped);
        }
        columns
    }

    /// Head and width.
    #[must_use]
    pub fn head(self) -> (&'static str, usize) {
        match self {
            Self::Pid => ("PID", 7),
            Self::Tid => ("TID", 7),
            Self::Comm => ("COMM", 15),
            Self::Major => ("MAJOR", 8),
            Self::Minor => ("MINOR", 9),
            Self::TotalMs => ("TOTAL_MS", 11),
            Self::AvgMs => ("AVG_MS", 9),
            Self::MaxMs => ("MAX_MS", 9),
            Self::MinUs => ("MIN_US", 9),
            Self::P99Us => ("P99_US", 10),
            Self::MajorRate => ("MAJOR/S", 8),
            Self::MinorRate => ("MINOR/S", 9),
            Self::Wait => ("WAIT_%", 6),
        }
    }

    /// What a row says in it.
    #[must_use]
    pub fn cell(self, row: &Row, span: Span, length_ns: u64) -> String {
        let sums = sums_of(row, span);
        match self {
            // Threads counted together have no number.
            Self::Pid | Self::Tid if row.tid == 0 => "-".to_owned(),
            Self::Pid => row.pid.to_string(),
            Self::Tid => row.tid.to_string(),
            // A thread may be named anything, and the columns behind it stay where they are.
            Self::Comm => keep_start(&escape(&row.comm), self.head().1),
            Self::Major => sums.majors.to_string(),
            Self::Minor => sums.minors.to_string(),
            Self::TotalMs => ms(sums.total_ns),
            Self::AvgMs => ms(sums.average_ns()),
            Self::MaxMs => ms(sums.max_ns),
            Self::MinUs => us(sums.min_ns),
            Self::P99Us => us(sums.p99_ns),
            Self::MajorRate => format!("{:.1}", per_second(row.interval.majors, length_ns)),
            Self::MinorRate => format!("{:.1}", per_second(row.interval.minors, length_ns)),
            Self::Wait => format!("{:.1}", wait_percent(&row.interval, length_ns)),
        }
    }

    /// By which rows are put in order: numbers as numbers, the rest not at all.
    #[must_use]
    pub fn key(self, row: &Row, span: Span) -> u64 {
        let sums = sums_of(row, span);
        match self {
            Self::Pid => row.pid.into(),
            Self::Tid => row.tid.into(),
            Self::Comm => 0,
            Self::Major => sums.majors,
            Self::Minor => sums.minors,
            Self::TotalMs => sums.total_ns,
            Self::AvgMs => sums.average_ns(),
            Self::MaxMs => sums.max_ns,
            Self::MinUs => sums.min_ns,
            Self::P99Us => sums.p99_ns,
            Self::MajorRate => row.interval.majors,
            Self::MinorRate => row.interval.minors,
            Self::Wait => row.interval.total_ns,
        }
    }
}

/// The heads of all columns.
#[must_use]
pub fn head() -> String {
    line(&Column::ALL, |column| column.head().0.to_owned())
}

/// A row in some columns; `ended` behind those of threads that have ended.
#[must_use]
pub fn body(columns: &[Column], row: &Row, span: Span, length_ns: u64) -> String {
    let mut text = line(columns, |column| column.cell(row, span, length_ns));
    if row.ended {
        text.push_str(" ended");
    }
    text
}

/// The heads of some columns of files.
#[must_use]
pub fn head_of_files(columns: &[Column]) -> String {
    line(columns, |column| column.head().0.to_owned()) + " FILE"
}

/// A file in some columns, and its name in what is left of `width`.
#[must_use]
pub fn file(columns: &[Column], row: &Row, span: Span, length_ns: u64, width: usize) -> String {
    let numbers = line(columns, |column| column.cell(row, span, length_ns));
    let room = width.saturating_sub(line_width(columns) + 1);
    format!("{numbers} {}", keep_end(&escape(&row.comm), room))
}

/// Puts rows in order: the largest first, `reverse` the smallest; equal ones by thread.
pub fn sort(rows: &mut [Row], column: Column, span: Span, reverse: bool) {
    rows.sort_by(|a, b| {
        let order = match column {
            Column::Comm => a.comm.cmp(&b.comm),
            Column::Pid | Column::Tid => column.key(a, span).cmp(&column.key(b, span)),
            _ => column.key(b, span).cmp(&column.key(a, span)),
        };
        let order = if reverse { order.reverse() } else { order };
        order
            .then_with(|| b.total.total_ns.cmp(&a.total.total_ns))
            .then_with(|| (a.pid, a.tid).cmp(&(b.pid, b.tid)))
    });
}

/// Whether there is anything to tell of a row: it did something in the interval, or has ended.
#[must_use]
pub fn is_active(row: &Row) -> bool {
    row.ended || row.interval.count() > 0
}

/// Whether there is anything to tell of threads without a slot.
#[must_use]
pub fn has_others(interval: &Interval) -> bool {
    interval.others.total.count() > 0
}

/// Events per second.
#[must_use]
pub fn per_second(count: u64, length_ns: u64) -> f64 {
    count as f64 * 1e9 / length_ns.max(1) as f64
}

/// Time in faults that completed in the interval, in percent of its wall time. A fault that took longer than
/// the interval makes it more than 100.
#[must_use]
pub fn wait_percent(sums: &Sums, length_ns: u64) -> f64 {
    sums.total_ns as f64 * 100.0 / length_ns.max(1) as f64
}

fn sums_of(row: &Row, span: Span) -> &Sums {
    match span {
        Span::Start => &row.total,
        Span::Interval => &row.interval,
    }
}

fn line_width(columns: &[Column]) -> usize {
    let widths: usize = columns.iter().map(|column| column.head().1 + 1).sum();
    widths.saturating_sub(1)
}

fn line(columns: &[Column], cell: impl Fn(Column) -> String) -> String {
    let mut text = String::new();
    for &column in columns {
        let width = column.head().1;
        if !text.is_empty() {
            text.push(' ');
        }
        let cell = cell(column);
        text.push_str(&match column {
            Column::Comm => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
    }
    text
}

fn ms(ns: u64) -> String {
    format!("{:.3}", ns as f64 / 1e6)
}

fn us(ns: u64) -> String {
    format!("{:.3}", ns as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(tid: u32, majors: u64, total_ns: u64) -> Row {
        let sums = Sums {
            majors,
            minors: 3,
            total_ns,
            max_ns: total_ns,
            min_ns: 1_500,
            p99_ns: total_ns,
            ..Sums::default()
        };
        Row {
            pid: 4711,
            tid,
            comm: "worker".to_owned(),
            ended: tid == 2,
            total: sums,
            interval: sums,
        }
    }

    #[test]
    fn heads_stand_above_what_they_name() {
        let in_all = |row: &Row, length_ns| body(&Column::ALL, row, Span::Start, length_ns);
        let (head, body) = (head(), in_all(&row(1, 1, 8_000_000), 1_000_000_000));
        assert_eq!(
            head,
            "    PID     TID COMM               MAJOR     MINOR    TOTAL_MS    AVG_MS    MAX_MS    MIN_US     P99_US  MAJOR/S   MINOR/S WAIT_%"
        );
        assert_eq!(
            body,
            "   4711       1 worker                 1         3       8.000     2.000     8.000     1.500   8000.000      1.0       3.0    0.8"
        );
        assert!(in_all(&row(2, 1, 1), 1).ends_with(" ended"));
    }

    #[test]
    fn columns_give_way_to_a_narrow_terminal_but_for_the_name_and_the_one_of_the_order() {
        let fitting = |width, sorted_by| Column::fitting(&Column::ALL, width, sorted_by);
        assert_eq!(fitting(200, Column::Wait), Column::ALL);
        for width in 0..140 {
            for sorted_by in Column::ALL {
                let columns = fitting(width, sorted_by);
                assert!(columns.contains(&sorted_by) && columns.contains(&Column::Comm));
                assert!(line_width(&columns) <= width || columns.len() <= 2, "{width}");
                assert!(
                    columns.is_sorted_by_key(|column| Column::ALL.iter().position(|each| each == column))
                );
            }
        }
        let usual = fitting(80, Column::Wait);
        for column in [
            Column::Tid,
            Column::Major,
            Column::Minor,
            Column::TotalMs,
            Column::Wait,
        ] {
            assert!(usual.contains(&column), "{column:?}");
        }
        let text = body(&usual, &row(1, 1, 8_000_000), Span::Start, 1_000_000_000);
        assert_eq!(text.len(), line_width(&usual));
    }

    #[test]
    fn the_largest_comes_first_unless_the_order_is_reversed() {
        let mut rows = vec![row(1, 1, 10), row(3, 5, 5), row(2, 5, 7)];
        let order = |rows: &[Row]| rows.iter().map(|row| row.tid).collect::<Vec<_>>();
        sort(&mut rows, Column::Major, Span::Start, false);
        assert_eq!(order(&rows), [2, 3, 1]);
        sort(&mut rows, Column::TotalMs, Span::Start, true);
        assert_eq!(order(&rows), [3, 2, 1]);
        sort(&mut rows, Column::Tid, Span::Start, false);
        assert_eq!(order(&rows), [1, 2, 3]);
    }

    #[test]
    fn a_name_that_is_a_command_to_the_terminal_is_shown_and_not_obeyed() {
        let named = |comm: &str| Row {
            comm: comm.to_owned(),
            ..row(1, 1, 8_000_000)
        };
        let cell = |comm: &str| Column::Comm.cell(&named(comm), Span::Start, 1);
        assert_eq!(cell("a\x1b[2Jb"), "a\\x1b[2Jb");
        assert_eq!(cell("\u{202e}\u{9b}0123456789"), "\\u{202e}\\x9b01…");
        let in_all = |row: &Row| body(&Column::ALL, row, Span::Start, 1);
        let plain = in_all(&row(1, 1, 8_000_000));
        let hostile = in_all(&named("\u{202e}\u{9b}0123456789"));
        assert_eq!(hostile.chars().count(), plain.chars().count());
    }
}
