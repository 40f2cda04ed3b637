//! One thing has one name: no verb writes a column, in any format, that is not in the list of columns, and in tables the name
//! stands in capitals.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod query_fixture;
mod stack_fixture;
mod support;

use pf_formats::{Breakdown, Condition, Event, Meta};
use pfanalyze::output::table::column_names::{meaning, title};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use support::{dicts, events, meta, trace};

const LINES: [&[&str]; 25] = [
    &["threads", "T"],
    &["files", "T"],
    &["causes", "T"],
    &["percentiles", "T", "--histogram", "--exact"],
    &["percentiles", "T", "--by", "query-id"],
    &["percentiles", "T", "--by", "stack"],
    &["percentiles", "T", "--by", "tid"],
    &["heatmap", "T"],
    &["heatmap", "T", "--file", "*"],
    &["heatmap", "T", "--y", "latency"],
    &["stacks", "T"],
    &["queries", "T"],
    &["queries", "T", "--slowest", "3"],
    &["queries", "T", "--id", "1"],
    &["regions", "T", "--file", "segments.bin"],
    &["timeline", "T"],
    &["timeline", "T", "--part", "stalls", "--threads", "1"],
    &["memory", "T", "--part", "curve"],
    &["memory", "T", "--part", "files"],
    &["memory", "T", "--part", "times"],
    &["memory", "T", "--part", "distances"],
    &["events", "T"],
    &["sql", "T"],
    &["diff", "T", "other.pfz"],
    &["info", "T"],
];

fn traces() -> Vec<Vec<u8>> {
    let slow: Vec<Event> = events()
        .into_iter()
        .map(|event| Event {
            breakdown: Some(Breakdown {
                blocked_ns: 100,
                ..Breakdown::default()
            }),
            ..event
        })
        .collect();
    vec![
        trace(&meta(), &dicts(), &slow, &[]),
        trace(&Meta { sample: 16, ..meta() }, &dicts(), &events(), &[]),
        query_fixture::known(),
        stack_fixture::stack_trace(&meta(), &stack_fixture::faults()),
        with_conditions(),
    ]
}

fn with_conditions() -> Vec<u8> {
    let mut writer = support::writer(&meta(), &dicts(), &events(), &[]);
    let condition = Condition {
        ts_ns: support::START_NS,
        subject: "machine".into(),
        name: "MemFree".into(),
        value: "12 kB".into(),
    };
    writer.conditions(&[condition]).unwrap();
    writer.finish(support::totals(&events())).unwrap()
}

fn run(folder: &Path, line: &[&str], format: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
        .current_dir(folder)
        .args(line)
        .args(["--format", format])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The names of the members of objects in arrays: rows.
fn keys(value: &Value, in_array: bool, found: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| keys(item, true, found)),
        Value::Object(members) => {
            for (name, member) in members {
                if in_array {
                    found.insert(name.clone());
                }
                keys(member, false, found);
            }
        }
        _ => {}
    }
}

fn of_json(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match serde_json::from_str(text) {
        Ok(value) => keys(&value, false, &mut found),
        // An object per line.
        Err(_) => text
            .lines()
            .for_each(|line| keys(&serde_json::from_str(line).unwrap(), true, &mut found)),
    }
    found
}

fn of_csv(text: &str) -> BTreeSet<String> {
    text.lines()
        .next()
        .unwrap_or_default()
        .split(',')
        .map(str::to_owned)
        .collect()
}

/// The titles of lines that are nothing but titles, as names.
fn of_text(text: &str) -> BTreeSet<String> {
    let is_title = |word: &str| {
        word.chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || "_%/+.".contains(c))
            && word.chars().any(|c| c.is_ascii_uppercase())
    };
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(['|', ' ']).filter(|word| !word.is_empty()).collect();
        if words.len() < 2 || !words.iter().all(|word| is_title(word)) {
            continue;
        }
        for word in words.iter().flat_map(|word| word.split('+')) {
            let name = word
                .to_ascii_lowercase()
                .replace("/s", "_per_s")
                .replace('%', "percent");
            assert_eq!(title(&name), word, "{line}");
            found.insert(name);
        }
    }
    found
}

#[test]
fn every_column_of_every_verb_and_format_is_in_the_list() {
    let mut all = BTreeSet::new();
    for bytes in traces() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("T"), bytes).unwrap();
        fs::write(place.path().join("other.pfz"), support::small()).unwrap();
        for line in LINES {
            let mut of_line = of_json(&run(place.path(), line, "json"));
            for text in ["table", "markdown"] {
                of_line.extend(of_text(&run(place.path(), line, text)));
            }
            let csv = run(place.path(), line, "csv");
            of_line.extend(of_csv(&csv).into_iter().filter(|name| !name.is_empty()));
            if matches!(line[0], "info" | "sql") {
                // Their rows are names themselves.
                let column = usize::from(line[0] == "sql");
                let mut rows = csv::Reader::from_reader(csv.as_bytes());
                of_line.extend(rows.records().map(|row| row.unwrap()[column].to_owned()));
            }
            let unknown: Vec<&String> = of_line.iter().filter(|name| meaning(name).is_none()).collect();
            assert!(unknown.is_empty(), "{line:?}: {unknown:?}");
            all.extend(of_line);
        }
        let report = run(place.path(), &["T"], "json");
        let unknown: Vec<String> = of_json(&report)
            .into_iter()
            .filter(|name| meaning(name).is_none())
            .collect();
        assert!(unknown.is_empty(), "report: {unknown:?}");
        all.extend(of_text(&run(place.path(), &["T"], "table")));
    }
    assert!(all.len() > 150, "{}", all.len());
}

#[test]
fn events_have_the_clock_time_to_the_nanosecond() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("T"), support::small()).unwrap();
    let rows = run(place.path(), &["events", "T"], "json");
    let first: Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
    assert_eq!(first["time"], "2026-11-22T20:00:00.000000000Z");
    let csv = run(place.path(), &["events", "T"], "csv");
    assert!(
        csv.lines()
            .nth(2)
            .unwrap()
            .ends_with(",2026-11-22T20:00:00.010000000Z"),
        "{csv}"
    );
}

#[test]
fn the_documented_types_are_those_of_every_number_that_can_be_empty() {
    use pfanalyze::engine::columns::{Column, FAULTS};

    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/analyzing.md")).unwrap();
    let types = text.split("types = {").nth(1).unwrap().split('}').next().unwrap();
    let documented: BTreeSet<(String, String)> = types
        .split(',')
        .map(|pair| {
            let (name, kind) = pair.split_once(':').unwrap();
            let plain = |word: &str| word.trim().trim_matches('\'').to_owned();
            (plain(name), plain(kind))
        })
        .collect();
    let can_be_empty = [
        Column::Retries,
        Column::FileOffset,
        Column::BlockedNs,
        Column::RunqueueNs,
        Column::ReclaimNs,
        Column::LockNs,
        Column::QueryId,
        Column::StackId,
        Column::Interruptions,
        Column::Signal,
        Column::PagesRead,
        Column::SleepStackId,
        Column::ReadOffset,
    ];
    assert!(can_be_empty.iter().all(|column| FAULTS.contains(column)));
    let expected = can_be_empty.map(|column| {
        let kind = match column.dtype().to_string().as_str() {
            "u8" => "UTINYINT",
            "u32" => "UINTEGER",
            "u64" => "UBIGINT",
            other => panic!("{other}"),
        };
        (column.name().to_owned(), kind.to_owned())
    });
    assert_eq!(documented, BTreeSet::from(expected));
}
