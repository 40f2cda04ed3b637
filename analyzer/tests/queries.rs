//! `pfanalyze queries` and `--query` as a user runs them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod query_fixture;
mod support;

use pf_formats::{Query, QueryId};
use query_fixture::{events, faults, known, queries, query, query_trace};
use std::fs::{self, File};
use std::process::{Command, Stdio};
use support::small;
use tempfile::TempDir;

struct Run {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run_with(trace: &[u8], arguments: &[&str], through_pipe: bool) -> Run {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("t.pfz");
    fs::write(&path, trace).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pfanalyze"));
    command
        .current_dir(dir.path())
        .args(arguments)
        .stdin(Stdio::null());
    let mut cat = None;
    if through_pipe {
        let mut child = Command::new("cat")
            .stdin(File::open(&path).unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        command.stdin(child.stdout.take().unwrap());
        cat = Some(child);
    }
    let output = command.output().unwrap();
    if let Some(mut cat) = cat {
        cat.wait().unwrap();
    }
    Run {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn run(trace: &[u8], arguments: &[&str]) -> Run {
    run_with(trace, arguments, false)
}

fn out(trace: &[u8], arguments: &[&str]) -> String {
    let got = run(trace, arguments);
    assert_eq!(got.status, Some(0), "{arguments:?}: {}", got.stderr);
    got.stdout
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

const BY_NAME: &str = "\
QUERY                                        COUNT  WALL_P50_MS  WALL_P99_MS  WALL_MAX_MS  WAIT_MS  WAIT_P50_MS  WAIT_P99_MS  WAIT_MAX_MS  SHARE_%  MAJOR  MINOR  PAGES  INCOMPLETE  TOP_FILE
SELECT * FROM t WHERE id = ? AND n IN (...)      2       10.027       30.000       30.000    0.600        0.300        0.300        0.300      1.5      3      0      2           0  /data/segments.bin
sqlite3_step                                     1        5.000        5.000        5.000    0.200        0.200        0.200        0.200      4.0      1      0      1           0  /data/segments.bin
random                                           1                                           0.002        0.002        0.002        0.002               0      2      1           1  [heap]
a query includes the faults of the queries inside it, which also have rows of their own; WAIT is page-fault wait, WALL the time of the query, SHARE_% the part of WALL that is WAIT
of 4 queries 1 still ran at its end: their duration is not known, so WALL and SHARE_% leave them out
";

#[test]
fn queries_are_summed_up_by_text_or_name_longest_wait_first() {
    let got = run(&known(), &["queries", "t.pfz"]);
    assert_eq!((got.stdout.as_str(), got.stderr.as_str()), (BY_NAME, ""));
}

#[test]
fn a_pipe_is_read_as_often_as_needed() {
    let piped = run_with(&known(), &["queries", "-"], true);
    assert_eq!((piped.stdout.as_str(), piped.status), (BY_NAME, Some(0)));
    let filtered = run_with(
        &known(),
        &["files", "-", "--query", "sqlite3_step", "--format", "csv"],
        true,
    );
    assert!(
        filtered.stdout.contains("/data/segments.bin,1,0,0.200000"),
        "{}",
        filtered.stdout
    );
}

#[test]
fn programs_get_exact_numbers_and_the_notes_beside_them() {
    let got = run(&known(), &["queries", "t.pfz", "--format", "csv"]);
    let lines: Vec<&str> = got.stdout.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].starts_with("query,count,wall_p50_ms,"), "{}", lines[0]);
    assert_eq!(
        lines[3],
        "random,1,,,,0.001600,0.001600,0.001600,0.001600,,0,2,1,2,1,[heap]"
    );
    assert!(got.stderr.starts_with("note: a query includes"), "{}", got.stderr);
    let rows = json(&out(&known(), &["queries", "t.pfz", "--format", "json"]));
    assert_eq!(rows[0]["wait_ms"], 0.6);
    assert_eq!(rows[1]["top_file"], "/data/segments.bin");
    assert!(rows[2]["wall_max_ms"].is_null());
}

#[test]
fn the_slowest_come_with_their_faults_in_order() {
    let expected = "\
query 1: SELECT * FROM t WHERE id = 1 AND n IN (1, 1)
  postgresql:query, key 77, pid 100 tid 101, began at 0.009000 s, took 30.00 ms
  page-fault wait 300.0 us = 1.0 % of it: 2 major, 0 minor; of these 200.0 us in 1 major, 0 minor of queries inside it
      AFTER_MS   LATENCY_US  CLASS        QUERY  FILE+OFFSET
         1.000        100.0  major            -  /data/segments.bin+0x0
        21.000        200.0  major            2  /data/segments.bin+0x1000

query 3: SELECT * FROM t WHERE id = 3 AND n IN (1, 3)
  postgresql:query, pid 100 tid 101, began at 0.045000 s, took 10.00 ms
  page-fault wait 300.0 us = 3.0 % of it: 1 major, 0 minor
      AFTER_MS   LATENCY_US  CLASS   FILE+OFFSET
         5.000        300.0  major   /data/segments.bin+0x1000
";
    assert_eq!(out(&known(), &["queries", "t.pfz", "--slowest", "2"]), expected);
    let csv = out(
        &known(),
        &["queries", "t.pfz", "--slowest", "9", "--format", "csv"],
    );
    assert_eq!(csv.lines().count(), 1 + 2 + 1 + 1 + 2);
    let rows = json(&out(
        &known(),
        &["queries", "t.pfz", "--slowest", "9", "--format", "json"],
    ));
    let ids: Vec<u64> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["query_id"].as_u64().unwrap())
        .collect();
    assert_eq!(ids, [1, 3, 2, 4]);
    assert_eq!(rows[0]["faults"][1]["file_offset"], 4096);
    assert_eq!(rows[0]["faults"][1]["query_id"], 2);
    assert_eq!(rows[3]["outcome"], "open");
    assert!(rows[3]["faults"][0]["file"].is_null());
}

#[test]
fn one_query_is_shown_with_those_around_and_inside_it() {
    let outer = out(&known(), &["queries", "t.pfz", "--id", "1"]);
    assert!(
        outer.contains("\n  holds query 2: sqlite3_step, began at 0.028000 s, took 5.00 ms,"),
        "{outer}"
    );
    let inner = out(&known(), &["queries", "t.pfz", "--id", "2"]);
    assert!(
        inner.starts_with("query 2: sqlite3_step\n  pid 100 tid 101, began"),
        "{inner}"
    );
    assert!(
        inner.contains("\n  inside query 1: SELECT * FROM t WHERE id = 1"),
        "{inner}"
    );
    let open = out(&known(), &["queries", "t.pfz", "--id", "4"]);
    assert!(
        open.contains("began at 0.015000 s, still open at the end after 85.00 ms"),
        "{open}"
    );
    assert!(open.contains("minor   [heap] 0x555500001000"), "{open}");
    let rows = json(&out(
        &known(),
        &["queries", "t.pfz", "--id", "1", "--format", "json"],
    ));
    assert_eq!(rows[0]["children"][0]["query_id"], 2);
    assert_eq!(rows[0]["key"], 77);
    assert!(rows[0]["parent"].is_null());
}

#[test]
fn every_verb_takes_a_query_by_id_name_text_or_what_the_table_shows() {
    let counted = |query: &str| {
        let csv = out(
            &known(),
            &["events", "t.pfz", "--query", query, "--format", "csv"],
        );
        csv.lines().count() - 1
    };
    for (query, faults) in [
        ("1", 2),
        ("2", 1),
        ("sqlite3", 1),
        ("postgresql:*", 3),
        ("postgresql", 3),
        ("id = 3 AND", 1),
        ("SELECT * FROM t WHERE id = ? AND n IN (...)", 3),
        ("ran?om", 2),
        ("99", 0),
    ] {
        assert_eq!(counted(query), faults, "{query}");
    }
    let two = out(
        &known(),
        &[
            "events", "t.pfz", "--query", "2", "--query", "random", "--format", "csv",
        ],
    );
    assert_eq!(two.lines().count() - 1, 3);
    for verb in ["threads", "files", "percentiles", "heatmap", "events", "queries"] {
        let got = run(&known(), &[verb, "t.pfz", "--query", "sqlite3"]);
        assert_eq!(got.status, Some(0), "{verb}: {}", got.stderr);
        assert!(!got.stdout.contains("[heap]"), "{verb}: {}", got.stdout);
    }
    let report = out(&known(), &["t.pfz", "--query", "sqlite3"]);
    assert!(report.contains("filter    --query sqlite3;"), "{report}");
    let nobody = run(&known(), &["files", "t.pfz", "--query", "nobody"]);
    assert!(
        nobody
            .stderr
            .starts_with("no query fits; the trace has: SELECT * FROM t"),
        "{}",
        nobody.stderr
    );
}

#[test]
fn faults_tell_their_query() {
    let csv = out(&known(), &["events", "t.pfz", "--format", "csv"]);
    let head: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    let column = head.iter().position(|name| *name == "query_id").unwrap();
    let ids: Vec<&str> = csv
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(column).unwrap())
        .collect();
    assert_eq!(ids, ["", "1", "4", "2", "4", "3", ""]);
    let table = out(&known(), &["events", "t.pfz"]);
    assert!(table.lines().next().unwrap().contains("  QUERY  "), "{table}");
    assert!(!out(&small(), &["events", "t.pfz"]).contains("QUERY"));
    assert_eq!(
        json(&out(&known(), &["info", "t.pfz", "--format", "json"]))["queries"],
        4
    );
}

#[test]
fn the_report_says_how_much_of_a_query_was_wait() {
    let report = out(&known(), &["t.pfz"]);
    assert!(
        report.contains(
            "\nQueries, longest wait first\n\
             1.5 % of the time of query SELECT * FROM t WHERE id = ? AND n IN (...) was\n\
             \u{20} page-fault wait: 600.0 us of 40.00 ms, 2 times\n\
             4.0 % of the time of query sqlite3_step was page-fault wait: 200.0 us of 5.00\n"
        ),
        "{report}"
    );
    assert!(!out(&small(), &["t.pfz"]).contains("Queries"));
    let filtered = out(&known(), &["t.pfz", "--file", "segments.bin"]);
    assert!(
        filtered.contains("not shown: they are counted whole, and --file"),
        "{filtered}"
    );
    let rows = json(&out(&known(), &["t.pfz", "--format", "json"]));
    assert_eq!(rows["queries"][1]["share_percent"], 4.0);
}

#[test]
fn filters_on_queries_select_whole_ones_and_others_are_refused() {
    let names = |arguments: &[&str]| {
        let csv = out(
            &known(),
            &[&["queries", "t.pfz", "--format", "csv"], arguments].concat(),
        );
        let name = |line: &str| line.split(',').take(2).collect::<Vec<_>>().join(",");
        csv.lines().skip(1).map(name).collect::<Vec<_>>()
    };
    assert_eq!(names(&["--tid", "100"]), ["random,1"]);
    assert_eq!(
        names(&["--from", "40ms"]),
        ["SELECT * FROM t WHERE id = ? AND n IN (...),1"]
    );
    assert_eq!(names(&["--from", "20ms", "--to", "30ms"]), ["sqlite3_step,1"]);
    for condition in [
        &["--file", "x"][..],
        &["--major"],
        &["--min-latency", "5"],
        &["--comm", "x"],
    ] {
        let got = run(&known(), &[&["queries", "t.pfz"], condition].concat());
        assert_eq!(got.status, Some(2), "{condition:?}");
        assert!(
            got.stderr.starts_with("error: queries are counted whole"),
            "{}",
            got.stderr
        );
    }
    for (arguments, says) in [
        (&["queries", "t.pfz", "--id", "9"][..], "no query 9"),
        (&["queries", "t.pfz", "--id", "0"], "--id"),
        (&["queries", "t.pfz", "--slowest", "0"], "--slowest"),
        (&["queries", "t.pfz", "--slowest", "1", "--id", "1"], "--id"),
    ] {
        let got = run(&known(), arguments);
        assert!(
            got.status != Some(0) && got.stderr.contains(says),
            "{}",
            got.stderr
        );
    }
    for arguments in [&["queries", "t.pfz"][..], &["files", "t.pfz", "--query", "x"]] {
        let got = run(&small(), arguments);
        assert_eq!(got.status, Some(1));
        assert!(
            got.stderr
                .contains("the trace has no queries: none ran, or none was looked for; 'pfrec --query"),
            "{}",
            got.stderr
        );
    }
}

#[test]
fn what_the_rows_counted_and_the_trace_does_not_have_is_said() {
    let mut rows = queries();
    rows[2].own.minors = 40;
    let got = out(&query_trace(&events(), &rows), &["queries", "t.pfz"]);
    assert!(got.contains("  RECORDED  "), "{got}");
    assert!(
        got.contains("40 of the 45 faults counted in these queries are not in the trace"),
        "{got}"
    );
    let slowest = out(&query_trace(&events(), &rows), &["queries", "t.pfz", "--id", "3"]);
    assert!(
        slowest.contains("\n  the trace has 1 of these 41 faults:"),
        "{slowest}"
    );
    rows.remove(2);
    let got = out(&query_trace(&events(), &rows), &["queries", "t.pfz"]);
    assert!(
        got.contains("1 fault names a query whose record is missing"),
        "{got}"
    );
    let by_id = out(
        &query_trace(&events(), &rows),
        &["events", "t.pfz", "--query", "3", "--format", "csv"],
    );
    assert_eq!(by_id.lines().count(), 2);
}

#[test]
fn a_function_that_calls_itself_agrees_with_its_faults() {
    let inner = Query {
        parent: QueryId(1),
        name: "f".into(),
        text: None,
        ..query(2, 28, 5, faults(1, 0, 200_000))
    };
    let outer = Query {
        name: "f".into(),
        text: None,
        nested: inner.own,
        ..query(1, 9, 30, faults(1, 0, 100_000))
    };
    let events: Vec<_> = events().into_iter().filter(|event| event.query.0 < 3).collect();
    let got = out(&query_trace(&events, &[inner, outer]), &["queries", "t.pfz"]);
    assert!(
        !got.contains("RECORDED") && !got.contains("not in the trace"),
        "{got}"
    );
    assert!(got.lines().nth(1).unwrap().starts_with("f          2"), "{got}");
}

#[test]
fn forged_parents_and_times_hurt_nobody() {
    let mut rows = queries();
    for row in &mut rows {
        row.parent = QueryId(row.id.0 % 4 + 1);
        (row.begin_ns, row.end_ns) = (u64::MAX, 0);
        row.own = faults(u64::MAX, u64::MAX, u64::MAX);
        row.nested = row.own;
        row.name = "\u{1b}[2J".into();
        row.text = None;
    }
    rows.push(rows[0].clone());
    let trace = query_trace(&events(), &rows);
    for arguments in [
        &["queries", "t.pfz"][..],
        &["queries", "t.pfz", "--slowest", "9"],
        &["queries", "t.pfz", "--id", "2"],
        &["events", "t.pfz", "--query", "2"],
        &["t.pfz"],
        &["queries", "t.pfz", "--format", "json"],
    ] {
        let got = run(&trace, arguments);
        assert_eq!(got.status, Some(0), "{arguments:?}: {}", got.stderr);
        assert!(!got.stdout.contains('\u{1b}'), "{arguments:?}");
    }
}

#[test]
fn queries_whose_begin_was_not_seen_are_timed_from_the_start() {
    let mut rows = queries();
    rows[2].begun_before = true;
    rows[2].begin_ns = 0;
    let got = out(&query_trace(&events(), &rows), &["queries", "t.pfz", "--id", "3"]);
    assert!(
        got.contains("pid 100 tid 101, began before the recording\n"),
        "{got}"
    );
    assert!(got.contains("        50.000        300.0  major"), "{got}");
    let table = out(&query_trace(&events(), &rows), &["queries", "t.pfz"]);
    assert!(
        table.contains("of 4 queries 1 began before the recording, 1 still ran at its end:"),
        "{table}"
    );
}

#[test]
fn more_names_than_are_kept_share_one_row() {
    let rows: Vec<Query> = (1..4_050)
        .map(|id| Query {
            name: format!("name_{id}_x"),
            text: None,
            ..query(id, 1, 1, faults(0, 0, id))
        })
        .collect();
    let csv = out(&query_trace(&[], &rows), &["queries", "t.pfz", "--format", "csv"]);
    assert_eq!(csv.lines().count(), 1 + 4_001);
    assert!(csv.contains("\n(all other names),49,"), "{}", &csv[..400]);
}
