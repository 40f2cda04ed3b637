//! An interval as lines of text or of JSON, for pipes, files and scripts.

use pf_formats::Accounting;
use serde::Serialize;

use super::{
    clock::iso,
    table::Column,
    table::{Span, body, has_others, head, is_active, per_second, sort, wait_percent},
    threads::{Books, Interval, Row, Sums},
};
use crate::pipeline::accounting::Accounts;

/// The table of those that did something, under a line with the time and the sums. Empty where nothing
/// happened at all.
#[must_use]
pub fn text(interval: &Interval) -> String {
    let mut rows: Vec<Row> = interval
        .rows
        .iter()
        .filter(|row| is_active(row))
        .cloned()
        .collect();
    sort(&mut rows, Column::Wait, Span::Interval, false);
    let mut text = format!("{}  {}\n", iso(interval.utc_ns, 3), describe(interval));
    if rows.is_empty() && !is_active(&interval.others) {
        return text;
    }
    text.push_str(&head());
    text.push('\n');
    if is_active(&interval.others) {
        rows.push(interval.others.clone());
    }
    for row in &rows {
        text.push_str(&body(&Column::ALL, row, Span::Start, interval.length_ns));
        text.push('\n');
    }
    text
}

/// The fault accounting in one line: those of the interval first.
#[must_use]
pub fn describe(interval: &Interval) -> String {
    let Interval { books, change, .. } = interval;
    let mut words = format!(
        "{} major + {} minor in {:.3} s; since the start {} + {}, the kernel counted {}: {} lost, {} hidden",
        change.majors,
        change.minors,
        interval.length_ns as f64 / 1e9,
        books.majors,
        books.minors,
        books.kernel_majors + books.kernel_minors,
        books.lost,
        books.hidden,
    );
    if books.filtered > 0 {
        words.push_str(&format!(", {} filtered", books.filtered));
    }
    if has_others(interval) {
        words.push_str(&format!("; {} threads without their own row", others(interval)));
    }
    words
}

/// Threads that have no row of their own: those now, and those that ended too many at a time.
#[must_use]
pub fn others(interval: &Interval) -> u64 {
    interval.others_now + interval.folded
}

/// The numbers of a thread in one interval. `delta_` is the interval, the others count from the start.
#[derive(Serialize)]
struct ThreadLine<'a> {
    r#type: &'static str,
    time: &'a str,
    interval_ns: u64,
    pid: u32,
    tid: u32,
    comm: &'a str,
    ended: bool,
    major: u64,
    minor: u64,
    failed: u64,
    total_ns: u64,
    avg_ns: u64,
    max_ns: u64,
    min_ns: u64,
    p99_ns: u64,
    delta_major: u64,
    delta_minor: u64,
    delta_failed: u64,
    delta_total_ns: u64,
    delta_p99_ns: u64,
    major_per_s: f64,
    minor_per_s: f64,
    wait_percent: f64,
}

/// All threads together. `type` is `total` after each interval and `end` at the end.
#[derive(Serialize)]
struct TotalLine<'a> {
    r#type: &'static str,
    time: &'a str,
    interval_ns: u64,
    elapsed_ns: u64,
    major: u64,
    minor: u64,
    failed: u64,
    total_ns: u64,
    delta_major: u64,
    delta_minor: u64,
    delta_failed: u64,
    delta_total_ns: u64,
    kernel_major: u64,
    kernel_minor: u64,
    lost: u64,
    hidden: u64,
    filtered: u64,
    threads: usize,
    slots_used: u32,
    slots: u32,
    threads_without_row: u64,
    #[serde(flatten)]
    check: Option<CheckFields<'a>>,
}

/// How the counts were checked; in `end` only, since it is known when the probes are silent.
#[derive(Serialize)]
struct CheckFields<'a> {
    check: &'static str,
    /// Counted apart from the probes; null where nothing was.
    events: Option<u64>,
    uncertain: u64,
    unexplained: u64,
    hidden_major: Option<u64>,
    notes: &'a [String],
}

/// A line for each thread that did something, one for those without a row if they did, and one with the totals.
/// `end` is for the last interval, with the accounts if there are any.
#[must_use]
pub fn json(interval: &Interval, end: Option<Option<&Accounts>>) -> String {
    let time = iso(interval.utc_ns, 3);
    let mut text = String::new();
    for row in interval.rows.iter().filter(|row| is_active(row)) {
        push(&mut text, &thread_line(row, "thread", &time, interval.length_ns));
    }
    if is_active(&interval.others) {
        let others = thread_line(&interval.others, "other_threads", &time, interval.length_ns);
        push(&mut text, &others);
    }
    let Books {
        majors,
        minors,
        failed,
        total_ns,
        kernel_majors,
        kernel_minors,
        lost,
        hidden,
        filtered,
    } = interval.books;
    let accounts = end.flatten();
    let total = TotalLine {
        r#type: if end.is_some() { "end" } else { "total" },
        time: &time,
        interval_ns: interval.length_ns,
        elapsed_ns: interval.elapsed_ns,
        major: majors,
        minor: minors,
        failed,
        total_ns,
        delta_major: interval.change.majors,
        delta_minor: interval.change.minors,
        delta_failed: interval.change.failed,
        delta_total_ns: interval.change.total_ns,
        kernel_major: kernel_majors,
        kernel_minor: kernel_minors,
        lost,
        hidden,
        filtered,
        threads: interval.rows.len(),
        slots_used: interval.slots_used,
        slots: interval.slots,
        threads_without_row: others(interval),
        check: None,
    };
    let total = match accounts {
        Some(accounts) => total.checked(accounts),
        None => total,
    };
    push(&mut text, &total);
    text
}

impl<'a> TotalLine<'a> {
    /// With the sums of the accounts, which know more: of threads that still run, and what was missed.
    fn checked(self, accounts: &'a Accounts) -> Self {
        let Accounting {
            kernel_majors,
            kernel_minors,
            lost,
            hidden,
            filtered,
            ..
        } = accounts.accounting;
        Self {
            kernel_major: kernel_majors,
            kernel_minor: kernel_minors,
            lost,
            hidden,
            filtered,
            check: Some(check_fields(accounts)),
            ..self
        }
    }
}

fn check_fields(accounts: &Accounts) -> CheckFields<'_> {
    let check = &accounts.check;
    CheckFields {
        check: accounts.verdict(),
        events: check.events,
        uncertain: check.uncertain,
        unexplained: check.unexplained,
        hidden_major: accounts.hidden_majors,
        notes: &check.notes,
    }
}

fn thread_line<'a>(row: &'a Row, r#type: &'static str, time: &'a str, length_ns: u64) -> ThreadLine<'a> {
    let Sums {
        majors,
        minors,
        failed,
        total_ns,
        max_ns,
        min_ns,
        p99_ns,
    } = row.total;
    ThreadLine {
        r#type,
        time,
        interval_ns: length_ns,
        pid: row.pid,
        tid: row.tid,
        comm: &row.comm,
        ended: row.ended,
        major: majors,
        minor: minors,
        failed,
        total_ns,
        avg_ns: row.total.average_ns(),
        max_ns,
        min_ns,
        p99_ns,
        delta_major: row.interval.majors,
        delta_minor: row.interval.minors,
        delta_failed: row.interval.failed,
        delta_total_ns: row.interval.total_ns,
        delta_p99_ns: row.interval.p99_ns,
        major_per_s: per_second(row.interval.majors, length_ns),
        minor_per_s: per_second(row.interval.minors, length_ns),
        wait_percent: wait_percent(&row.interval, length_ns),
    }
}

/// Plain numbers and text have a form in JSON.
pub(super) fn push(text: &mut String, line: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(line) {
        text.push_str(&pf_printing::json(line));
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::Value;

    use super::*;

    fn interval() -> Interval {
        let busy = Row {
            pid: 1,
            tid: 2,
            comm: "quote\"d".to_owned(),
            interval: Sums {
                majors: 1,
                total_ns: 500_000_000,
                ..Sums::default()
            },
            total: Sums {
                majors: 3,
                minors: 4,
                ..Sums::default()
            },
            ended: true,
        };
        Interval {
            utc_ns: 1_709_210_096_123_456_789,
            length_ns: 1_000_000_000,
            rows: vec![
                busy,
                Row {
                    tid: 3,
                    ..Row::default()
                },
            ],
            slots: 8,
            ..Interval::default()
        }
    }

    #[test]
    fn json_has_a_line_for_each_thread_that_did_something_and_one_for_all() {
        let text = json(&interval(), None);
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["comm"], "quote\"d");
        assert_eq!(lines[0]["ended"], true);
        assert_eq!(
            (&lines[0]["delta_major"], &lines[0]["major"]),
            (&1.into(), &3.into())
        );
        assert_eq!(lines[0]["wait_percent"], 50.0);
        assert_eq!(lines[1]["type"], "total");
        assert_eq!(lines[1]["slots"], 8);
        assert!(lines[1].get("check").is_none());

        let mut accounts = Accounts::default();
        accounts.accounting.hidden = 7;
        accounts.check.unexplained = 3;
        let end: Value =
            serde_json::from_str(json(&interval(), Some(Some(&accounts))).lines().last().unwrap()).unwrap();
        assert_eq!(end["type"], "end");
        assert_eq!((&end["hidden"], &end["unexplained"]), (&7.into(), &3.into()));
        assert_eq!(end["check"], "NOT BALANCED");
        assert!(end["events"].is_null());
    }

    #[test]
    fn text_names_the_time_and_leaves_out_the_idle() {
        let text = text(&interval());
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("2024-02-29T12:34:56.123Z  0 major"),
            "{text}"
        );
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[2].contains(" quote\"d ") && lines[2].ends_with(" ended"));
        let idle = Interval {
            rows: Vec::new(),
            ..interval()
        };
        assert_eq!(super::text(&idle).lines().count(), 1);
    }
}
