//! Retried faults, faults of get_user_pages, and what was accessed: visible one by one, by group, and in one line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use pf_formats::{Access, Event, Meta, Origin};
use pfanalyze::output::render::Format;
use pfanalyze::request::options::GroupBy;
use support::ask::{event_rows, events_text, flat_report, percentiles};
use support::{dicts, file_fault, heap_fault, meta, trace};

/// Three plain faults, two retried ones, and three of get_user_pages; one access is not known.
fn mixed() -> Vec<Event> {
    let plain = |at_ms| heap_fault(at_ms, 1_000, at_ms);
    let gup = |at_ms, origin| Event {
        origin,
        access: None,
        retries: 0,
        ..file_fault(at_ms, 9_000, at_ms)
    };
    vec![
        plain(1),
        plain(2),
        Event {
            origin: Origin::Kernel,
            access: Some(Access::Exec),
            ..plain(3)
        },
        file_fault(4, 5_000, 4),
        Event {
            retries: 7,
            ..file_fault(5, 5_000, 5)
        },
        gup(6, Origin::Gup),
        gup(7, Origin::Gup),
        gup(8, Origin::GupRemote),
    ]
}

fn bytes() -> Vec<u8> {
    trace(&meta(), &dicts(), &mixed(), &[])
}

fn counts(by: GroupBy, name: &str) -> Vec<(String, u64)> {
    let rows = percentiles(&bytes(), by);
    let row = |row: &serde_json::Value| {
        let count = row["count"].as_u64().unwrap();
        (row[name].as_str().unwrap().to_owned(), count)
    };
    let mut counts: Vec<_> = rows.as_array().unwrap().iter().map(row).collect();
    counts.sort();
    counts
}

#[test]
fn percentiles_go_by_origin_and_by_access() {
    let expected = [("gup", 2), ("gup_remote", 1), ("kernel", 1), ("user", 4)];
    assert_eq!(
        counts(GroupBy::Origin, "origin"),
        expected.map(|(n, c)| (n.to_owned(), c))
    );
    let expected = [("exec", 1), ("read", 2), ("unknown", 3), ("write", 2)];
    assert_eq!(
        counts(GroupBy::Access, "access"),
        expected.map(|(n, c)| (n.to_owned(), c))
    );
}

#[test]
fn events_show_origin_access_and_retries() {
    let rows = event_rows(&bytes());
    assert_eq!(
        (&rows[4]["retries"], &rows[4]["access"]),
        (&7.into(), &"read".into())
    );
    assert_eq!(rows[7]["origin"], "gup_remote");
    assert!(rows[7]["access"].is_null());
    let table = events_text(&bytes(), Format::Table);
    let words = |line: usize| -> Vec<String> {
        let line = table.lines().nth(line).unwrap();
        line.split_whitespace()
            .skip(5)
            .take(4)
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(words(0), ["CLASS", "ACCESS", "ORIGIN", "RETRIES"]);
    assert_eq!(words(5), ["major", "read", "user", "7"]);
    assert_eq!(words(8), ["major", "-", "gup_remote", "0"]);
}

#[test]
fn the_report_mentions_them_in_one_line_each() {
    let shown = flat_report(&bytes());
    for line in [
        "note 2 faults were retried by the kernel; each is one row",
        "note 3 faults were on behalf of the kernel (get_user_pages, 1 of them on another process's memory)",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    let plain = flat_report(&trace(&meta(), &dicts(), &mixed()[..3], &[]));
    assert!(
        !plain.contains("retried") && !plain.contains("get_user_pages"),
        "{plain}"
    );
}

#[test]
fn retried_minor_faults_of_a_sample_stand_for_others() {
    let meta = Meta { sample: 10, ..meta() };
    let retried = Event {
        major: false,
        ..file_fault(1, 5_000, 4)
    };
    let shown = flat_report(&trace(&meta, &dicts(), &[retried, file_fault(2, 5_000, 4)], &[]));
    assert!(
        shown.contains("note 11 faults were retried by the kernel"),
        "{shown}"
    );
}

#[test]
fn interrupted_faults_are_one_row_with_the_waits_of_all_attempts_and_abandoned_ones_are_told_apart() {
    let interrupted = |at_ms, major| Event {
        interruptions: 4,
        signal: 14,
        major,
        ..file_fault(at_ms, 20_000_000, at_ms)
    };
    let abandoned = Event {
        abandoned: true,
        failed: true,
        ..interrupted(200, false)
    };
    let faults = [
        file_fault(1, 5_000, 4),
        interrupted(50, false),
        interrupted(100, true),
        abandoned,
    ];
    let shown = flat_report(&trace(&meta(), &dicts(), &faults, &[]));
    assert!(
        shown.contains(
            "note 2 faults were interrupted by signals and tried again, 40.00 ms in all attempts; 1 of them minor, since the \
             last attempt found the page in memory"
        ) && shown.contains("1 access was interrupted by a signal and completed by no later attempt"),
        "{shown}"
    );
    let plain = flat_report(&trace(&meta(), &dicts(), &faults[..1], &[]));
    assert!(!plain.contains("interrupted"), "{plain}");
}
