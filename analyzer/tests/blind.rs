//! What a backend cannot see is empty or said, in every verb, and never 0 or nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use pf_formats::{Breakdown, Event, Meta};
use pfanalyze::engine::filter::Filter;
use pfanalyze::output::render::Format;
use std::fs;
use std::process::{Command, Stdio};
use support::ask::{event_rows, events_text, files, flat_report, info_json, report_json, threads};
use support::{dicts, events, meta, trace};

const GUP: &str = "faults taken on behalf of get_user_pages (counted, not listed)";
const FAILED: &str = "failed faults";
const IN_SILENCE: &str = "failed faults that end without a signal";
const RETRIES: &str = "retries";
const LOCK: &str = "lock waits (with --breakdown)";

fn of(backend: &str, blind: &[&str]) -> Meta {
    Meta {
        backend: backend.to_owned(),
        blind: blind.iter().map(|&what| what.to_owned()).collect(),
        ..meta()
    }
}

/// Recorders of all times with this backend, which sees neither retries nor locks.
fn perf() -> [Meta; 2] {
    [
        of("perf", &[GUP, FAILED, RETRIES]),
        of("perf", &[GUP, IN_SILENCE, RETRIES, LOCK]),
    ]
}

fn fentry() -> Meta {
    of("fentry", &[])
}

/// The small trace with a breakdown, which has zeros where nothing was seen.
fn recorded(meta: &Meta) -> Vec<u8> {
    let sees = meta.blind.is_empty();
    let event = |event: Event| Event {
        retries: if sees { event.retries } else { 0 },
        breakdown: Some(Breakdown {
            blocked_ns: event.latency_ns / 2,
            runqueue_ns: 10,
            reclaim_ns: 5,
            lock_ns: if sees { 7 } else { 0 },
        }),
        ..event
    };
    let events: Vec<Event> = events().into_iter().map(event).collect();
    trace(meta, &dicts(), &events, &[])
}

/// What the program writes to standard output and to standard error.
fn ask(bytes: &[u8], arguments: &[&str]) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t.pfz"), bytes).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
        .current_dir(folder.path())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    let flat = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    (stdout, flat(stderr))
}

fn sql(bytes: &[u8], query: &str) -> serde_json::Value {
    let (answer, _) = ask(bytes, &["sql", "t.pfz", query, "--format", "json"]);
    serde_json::from_str(&answer).unwrap()
}

#[test]
fn events_have_empty_columns_where_the_backend_saw_nothing() {
    for meta in perf() {
        let bytes = recorded(&meta);
        for row in event_rows(&bytes) {
            assert!(row["retries"].is_null() && row["lock_ns"].is_null(), "{row}");
            assert!(row["blocked_ns"].is_u64() && row["reclaim_ns"] == 5, "{row}");
        }
        let csv = events_text(&bytes, Format::Csv);
        let mut rows = csv::Reader::from_reader(csv.as_bytes());
        let heads = rows.headers().unwrap().clone();
        for row in rows.records() {
            let row = row.unwrap();
            let cell = |name: &str| &row[heads.iter().position(|head| head == name).unwrap()];
            assert_eq!(
                (cell("retries"), cell("lock_ns"), cell("runqueue_ns")),
                ("", "", "10")
            );
        }
        let table = events_text(&bytes, Format::Table);
        let line: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!((line[5], line[12]), ("-", "-"), "{table}");
    }
    let rows = event_rows(&recorded(&fentry()));
    assert!(rows.iter().all(|row| row["lock_ns"] == 7));
    assert_eq!((&rows[0]["retries"], &rows[1]["retries"]), (&0.into(), &1.into()));
}

#[test]
fn sums_of_lock_waits_are_empty_in_tables_and_in_the_report() {
    for meta in perf() {
        let bytes = recorded(&meta);
        for table in [
            threads(&bytes, &Filter::default(), Format::Json),
            files(&bytes, Format::Json),
        ] {
            let rows: serde_json::Value = serde_json::from_str(&table).unwrap();
            for row in rows.as_array().unwrap() {
                assert!(row["lock_ms"].is_null() && row["blocked_ms"].is_number(), "{row}");
            }
        }
        let by_class = &report_json(&bytes)["breakdown"];
        assert!(
            by_class
                .as_array()
                .unwrap()
                .iter()
                .all(|row| row["lock_ms"].is_null())
        );
        let report = flat_report(&bytes);
        assert!(
            report.contains(
                "of which lock the time in lock waits is not measured by the backend of this recording"
            ),
            "{report}"
        );
        assert!(!report.contains("no wait for a lock"), "{report}");
        let blind = report.split_once("not seen").unwrap().1;
        assert!(
            blind.split_once(" faults 7").unwrap().0.contains(LOCK),
            "{report}"
        );
        let told = info_json(&bytes)["cannot_see"].to_string();
        assert_eq!(told.matches(LOCK).count(), 1, "{told}");
    }
    let report = flat_report(&recorded(&fentry()));
    assert!(
        report.contains("of which lock 0.000 0.0") && !report.contains("not known"),
        "{report}"
    );
}

#[test]
fn sql_sees_nulls_and_is_told_of_them() {
    let bytes = recorded(&perf()[0]);
    let counted = "SELECT COUNT(*) AS faults, COUNT(retries) AS retries, COUNT(lock_ns) AS locks, MAX(lock_ns) AS longest, \
                   AVG(retries) AS mean, MIN(retries) AS least FROM faults";
    let expected = |faults: u64| serde_json::json!([{"faults": faults, "retries": 0, "locks": 0, "longest": null, "mean": null, "least": null}]);
    assert_eq!(sql(&bytes, counted), expected(7));
    assert_eq!(sql(&bytes, &format!("{counted} WHERE major")), expected(4));
    // No condition on them holds, and none that asks for nothing fails.
    for (condition, faults) in [
        ("retries = 0", 0),
        ("retries >= 0 OR lock_ns >= 0", 0),
        ("lock_ns < 5", 0),
        ("retries IS NULL AND lock_ns IS NULL", 7),
        ("COALESCE(retries, 9) = 9", 7),
    ] {
        let query = format!("SELECT COUNT(*) AS faults FROM faults WHERE {condition}");
        assert_eq!(
            sql(&bytes, &query),
            serde_json::json!([{"faults": faults}]),
            "{condition}"
        );
    }
    let groups = sql(
        &bytes,
        "SELECT retries, COUNT(*) AS faults FROM faults GROUP BY retries",
    );
    assert_eq!(groups, serde_json::json!([{"retries": null, "faults": 7}]));
    let rows = sql(&bytes, "SELECT * FROM faults ORDER BY lock_ns, ts_ns LIMIT 3");
    assert_eq!(rows.as_array().unwrap().len(), 3);
    assert!(rows[2]["lock_ns"].is_null() && rows[2]["blocked_ns"].is_u64());

    let asked = [
        "sql",
        "t.pfz",
        "SELECT SUM(lock_ns) AS s FROM faults",
        "--format",
        "csv",
    ];
    let (_, notes) = ask(&bytes, &asked);
    assert!(
        notes.contains("lock_ns is empty: it is not visible to the backend of this recording (perf)"),
        "{notes}"
    );
    let sum = sql(&bytes, "SELECT SUM(lock_ns) AS s FROM faults");
    assert_eq!(sum, serde_json::json!([{"s": null}]));
    let (_, notes) = ask(&recorded(&fentry()), &asked);
    assert_eq!(notes, "");
    let seen = sql(
        &recorded(&fentry()),
        "SELECT SUM(lock_ns) AS s, SUM(retries) AS r FROM faults",
    );
    assert_eq!(seen, serde_json::json!([{"s": 49, "r": 4}]));
}

#[test]
fn groups_by_retries_have_no_number_where_there_is_none() {
    let asked = ["percentiles", "t.pfz", "--by", "retries", "--format", "json"];
    let rows = |bytes: &[u8]| {
        let (table, notes) = ask(bytes, &asked);
        let table: serde_json::Value = serde_json::from_str(&table).unwrap();
        let rows = table.as_array().unwrap().clone();
        let numbers: Vec<_> = rows
            .iter()
            .map(|row| (row["retries"].clone(), row["count"].clone()))
            .collect();
        (numbers, notes)
    };
    let (groups, notes) = rows(&recorded(&perf()[1]));
    assert_eq!(groups, [(serde_json::Value::Null, 7.into())]);
    assert!(notes.contains("retries is empty"), "{notes}");
    let (groups, notes) = rows(&recorded(&fentry()));
    assert_eq!(groups, [(1.into(), 4.into()), (0.into(), 3.into())]);
    assert!(!notes.contains("retries"), "{notes}");
}

#[test]
fn a_question_for_failed_faults_is_not_answered_with_none_where_nobody_looked() {
    let [unseen, in_part] = perf();
    let kprobe = of("kprobe", &[GUP, FAILED]);
    for (meta, says_none, expected) in [
        (
            &unseen,
            false,
            "failed faults are not visible to this backend (perf); pfrec --backend fentry records them",
        ),
        (
            &kprobe,
            false,
            "failed faults are not visible to this backend (kprobe)",
        ),
        (
            &in_part,
            true,
            "this backend (perf) sees failed faults only where they end in a signal",
        ),
        (
            &fentry(),
            true,
            "no faults pass the filter: the trace has no failed fault",
        ),
    ] {
        let bytes = recorded(meta);
        for verb in [
            "events",
            "threads",
            "files",
            "timeline",
            "memory",
            "heatmap",
            "percentiles",
        ] {
            let (_, notes) = ask(&bytes, &[verb, "t.pfz", "--failed", "--format", "csv"]);
            assert!(notes.contains(expected), "{verb}: {notes}");
            assert_eq!(
                notes.contains("no faults pass the filter"),
                says_none,
                "{verb}: {notes}"
            );
        }
        let (report, _) = ask(&bytes, &["t.pfz", "--failed"]);
        let report = report.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(report.contains(expected), "{report}");
        let query = "SELECT COUNT(*) AS n FROM faults WHERE failed";
        let (answer, notes) = ask(&bytes, &["sql", "t.pfz", query, "--format", "csv"]);
        assert_eq!(answer, "n\n0\n");
        assert_eq!(notes.contains("failed faults"), !meta.blind.is_empty(), "{notes}");
        let (answer, notes) = ask(
            &bytes,
            &[
                "sql",
                "t.pfz",
                "SELECT COUNT(*) AS n FROM faults",
                "--failed",
                "--format",
                "csv",
            ],
        );
        assert_eq!(answer, "n\n0\n");
        assert_eq!(notes.contains("failed faults"), !meta.blind.is_empty(), "{notes}");
    }
    // Of another filter nothing else is said than before.
    let (_, notes) = ask(
        &recorded(&unseen),
        &["events", "t.pfz", "--tid", "9", "--format", "csv"],
    );
    assert!(
        notes.contains("no faults pass the filter") && !notes.contains("not visible"),
        "{notes}"
    );
}

#[test]
fn a_count_of_failed_faults_is_empty_where_nobody_looked() {
    let [unseen, in_part] = perf();
    for (meta, is_seen) in [(unseen, false), (in_part, true), (fentry(), true)] {
        let bytes = recorded(&meta);
        assert_eq!(info_json(&bytes)["failed"].is_null(), !is_seen);
        let (table, _) = ask(
            &bytes,
            &["timeline", "t.pfz", "--part", "intervals", "--format", "json"],
        );
        let rows: serde_json::Value = serde_json::from_str(&table).unwrap();
        for row in rows.as_array().unwrap() {
            assert_eq!(row["failed"].is_null(), !is_seen, "{row}");
            assert_eq!(row["failed_per_s"].is_null(), !is_seen, "{row}");
        }
    }
}
