//! What people see: tables fit into the terminal, row by row, and say what they leave out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod query_fixture;
mod support;

use pf_formats::{Breakdown, Dict, Event, Meta, ObjectKind};
use pfanalyze::output::text::width;
use std::fs;
use std::process::{Command, Stdio};
use support::terminal;
use tempfile::TempDir;

const LONG: &str = "/var/lib/some/service/with/a/long/path/to/its/segments/segment-000000000000001.bin";

/// A long path, breakdowns and queries, the first of which begins after the first block of faults.
fn wide_trace(latency_ns: u64) -> Vec<u8> {
    let meta = Meta {
        options: ["pfrec", "--stacks", "--breakdown"].map(str::to_owned).to_vec(),
        ..support::meta()
    };
    let mut dicts = support::dicts();
    for dict in &mut dicts {
        if let Dict::Objects { entries, .. } = dict {
            *entries = vec![
                support::object(ObjectKind::File, LONG),
                support::object(ObjectKind::Heap, ""),
            ];
        }
    }
    let parts = |event: Event| Event {
        breakdown: Some(Breakdown::default()),
        latency_ns: event.latency_ns + latency_ns,
        ..event
    };
    let before = [support::heap_fault(0, 300, 9)].map(parts);
    let events: Vec<Event> = query_fixture::events().into_iter().map(parts).collect();
    let mut writer = support::writer(&meta, &dicts, &before, &[]);
    events.iter().for_each(|event| writer.push(event).unwrap());
    writer.flush_block().unwrap();
    writer.queries(&query_fixture::queries()).unwrap();
    writer
        .finish(support::totals(&[&before[..], &events].concat()))
        .unwrap()
}

fn place() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("t.pfz"), wide_trace(0)).unwrap();
    fs::write(dir.path().join("u.pfz"), wide_trace(50_000)).unwrap();
    dir
}

fn pfanalyze(dir: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pfanalyze"));
    command
        .current_dir(dir.path())
        .args(arguments)
        .stdin(Stdio::null());
    command
}

fn on_terminal(dir: &TempDir, arguments: &[&str], columns: u16) -> String {
    let (shown, said) = terminal::shown(pfanalyze(dir, arguments), columns, |command, terminal| {
        command.stdout(terminal).stderr(Stdio::piped());
    });
    assert_eq!(said, "", "{arguments:?}");
    shown
}

fn piped(dir: &TempDir, arguments: &[&str]) -> String {
    let output = pfanalyze(dir, arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// A table with a line of titles at the top, and what is asked for it.
const TABLES: [&[&str]; 12] = [
    &["threads", "t.pfz"],
    &["files", "t.pfz"],
    &["percentiles", "t.pfz", "--by", "file"],
    &["events", "t.pfz"],
    &["events", "t.pfz", "--sort", "latency", "--top", "3"],
    &["memory", "t.pfz", "--part", "files"],
    &["regions", "t.pfz", "--file", LONG],
    &["queries", "t.pfz"],
    &["sql", "t.pfz", "SELECT * FROM faults"],
    &["sql", "t.pfz", "SELECT * FROM queries"],
    &["sql", "t.pfz", "SELECT file, file AS again, tid FROM faults"],
    &["sql", "t.pfz", "SHOW TABLES"],
];

#[test]
fn each_row_of_a_table_is_one_line_that_fits() {
    let dir = place();
    for question in TABLES {
        let rows = piped(&dir, &[question, &["--format", "csv"]].concat())
            .lines()
            .count()
            - 1;
        for columns in [80, 139, 140, 150, 200] {
            let shown = on_terminal(&dir, question, columns);
            let of = format!("{question:?} at {columns}:\n{shown}");
            let lines: Vec<&str> = shown.lines().collect();
            assert!(
                lines.iter().all(|line| width(line) <= usize::from(columns)),
                "{of}"
            );
            // The spaces between the cells of a wrapped line are gone, and it is further to the left than its title.
            let (head, body) = lines.split_first().unwrap();
            let last = head.rfind("  ").unwrap() + 2;
            for row in body.iter().take(rows) {
                let before: String = row.chars().take(last).collect();
                assert!(before.ends_with(' ') || before.contains("  "), "{row} in {of}");
                assert!(width(row) >= last.min(30), "{row} in {of}");
            }
            assert!(rows > 0 && body.len() >= rows, "{of}");
        }
    }
}

#[test]
fn no_line_is_longer_than_its_terminal() {
    let dir = place();
    for question in [
        &["t.pfz"][..],
        &["info", "t.pfz"],
        &["diff", "t.pfz", "u.pfz"],
        &["queries", "t.pfz", "--slowest", "3"],
        &["queries", "t.pfz", "--id", "1"],
        &["memory", "t.pfz"],
        &["timeline", "t.pfz"],
        &["heatmap", "t.pfz", "--file", LONG],
        &["stacks", "t.pfz"],
        &["percentiles", "t.pfz", "--histogram"],
        &["sql", "t.pfz"],
        &["sql", "t.pfz", "DESCRIBE TABLE faults"],
    ] {
        for columns in [80, 140, 200] {
            let (shown, _) = terminal::shown(pfanalyze(&dir, question), columns, |command, terminal| {
                command
                    .stdout(terminal)
                    .env("NO_COLOR", "1")
                    .stderr(Stdio::piped());
            });
            let long = shown
                .lines()
                .find(|line| width(line) > usize::from(columns) && !line.contains("pfanalyze "));
            assert_eq!(long, None, "{question:?} at {columns}:\n{shown}");
        }
    }
}

#[test]
fn facts_keep_their_column_where_they_are_wrapped() {
    let shown = on_terminal(&place(), &["info", "t.pfz"], 80);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(
        lines
            .iter()
            .all(|line| line.chars().nth(19).is_none_or(|c| c == ' ')),
        "{shown}"
    );
    let shown = on_terminal(&place(), &["sql", "t.pfz", "DESCRIBE TABLE faults"], 80);
    let (head, body) = shown.split_once('\n').unwrap();
    let margin = head.find("MEANING").unwrap();
    assert!(
        body.lines().any(|line| line.starts_with(&" ".repeat(margin))),
        "{shown}"
    );
    assert!(
        body.lines().all(|line| line[margin - 2..margin] == *"  "),
        "{shown}"
    );
}

#[test]
fn what_gives_way_is_named_with_the_width_that_it_takes() {
    let dir = place();
    let narrow = on_terminal(&dir, &["events", "t.pfz"], 80);
    let advice = narrow.replace('\n', " ");
    let (_, advised) = advice.split_once("a terminal of ").unwrap();
    let columns: u16 = advised.split(' ').next().unwrap().parse().unwrap();
    let wide = on_terminal(&dir, &["events", "t.pfz"], columns);
    assert!(!wide.contains("also shows"), "{wide}");
    let all = piped(&dir, &["events", "t.pfz"]);
    let titles = |text: &str| -> Vec<String> {
        let head = text.lines().next().unwrap();
        head.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(titles(&wide), titles(&all));
    let narrow = on_terminal(&dir, &["memory", "t.pfz", "--part", "files"], 80);
    assert!(narrow.contains("a wider terminal also shows "), "{narrow}");
}

#[test]
fn queries_that_begin_late_have_their_column() {
    let dir = place();
    for format in ["table", "markdown"] {
        let shown = piped(&dir, &["events", "t.pfz", "--format", format]);
        assert!(shown.lines().next().unwrap().contains("QUERY"), "{shown}");
    }
    // What is still to come of a pipe may have queries.
    let trace = fs::File::open(dir.path().join("t.pfz")).unwrap();
    let output = pfanalyze(&dir, &["events", "-"]).stdin(trace).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("QUERY"));
    fs::write(dir.path().join("none.pfz"), support::small()).unwrap();
    let shown = piped(&dir, &["events", "none.pfz"]);
    assert!(!shown.contains("QUERY"), "{shown}");
}
