//! Queries of `mmap-workload`: what it says of them, and the probes that announce them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use object::{Object, ObjectSection};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_mmap-workload");
const COLUMNS: &str = "id,thread,tid,name,accesses,majors,minors,wait_ns,wall_ns,parent";

fn run(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(arguments)
        .env("TMPDIR", directory)
        .current_dir(directory)
        .output()
        .unwrap()
}

struct Row {
    tid: u64,
    thread: u64,
    id: u64,
    parent: u64,
    name: String,
    /// accesses, majors, minors, wait_ns, wall_ns
    cost: [u64; 5],
}

/// The JSON report and the rows of the CSV file.
fn report(arguments: &[&str]) -> (Value, Vec<Row>) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let own = ["--query-report", "queries.csv", "--format", "json"];
    let output = run(directory.path(), &[arguments, &own].concat());
    assert!(output.status.success(), "{output:?}");
    let text = fs::read_to_string(directory.path().join("queries.csv")).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(COLUMNS));
    (
        serde_json::from_slice(&output.stdout).unwrap(),
        lines.map(row).collect(),
    )
}

fn row(line: &str) -> Row {
    let fields: Vec<&str> = line.split(',').collect();
    let number = |index: usize| fields[index].parse().unwrap();
    Row {
        id: number(0),
        thread: number(1),
        tid: number(2),
        name: fields[3].to_owned(),
        cost: [4, 5, 6, 7, 8].map(number),
        parent: number(9),
    }
}

fn sum<'a>(rows: impl IntoIterator<Item = &'a Row>) -> [u64; 5] {
    let add = |sum: [u64; 5], row: &Row| std::array::from_fn(|index| sum[index] + row.cost[index]);
    rows.into_iter().fold([0; 5], add)
}

fn costs(queries: &Value) -> [u64; 5] {
    ["accesses", "majors", "minors", "wait_ns", "wall_ns"].map(|field| queries[field].as_u64().unwrap())
}

#[test]
fn queries_add_up_to_the_totals_and_to_what_each_thread_was_charged() {
    for threads in ["1", "16"] {
        let (report, rows) = report(&["--size", "4", "-c", "130", "-t", threads, "--query-size", "32"]);
        assert_eq!(report["queries"]["count"], rows.len());
        assert_eq!(sum(&rows), costs(&report["queries"]));
        for (number, thread) in (0..).zip(report["threads"].as_array().unwrap()) {
            let mine: Vec<&Row> = rows.iter().filter(|row| row.thread == number).collect();
            assert!(
                mine.iter()
                    .all(|row| thread["tid"] == row.tid && row.name == "random")
            );
            let accesses: Vec<u64> = mine.iter().map(|row| row.cost[0]).collect();
            assert_eq!(accesses, [32, 32, 32, 32, 2]);
            // Nothing faults between two queries either.
            let [_, majors, minors, wait_ns, wall_ns] = sum(mine.iter().copied());
            assert_eq!(
                (thread["majors"].as_u64(), thread["minors"].as_u64()),
                (Some(majors), Some(minors))
            );
            assert!(majors + minors > 0 && 0 < wait_ns && wait_ns <= wall_ns);
        }
    }
}

#[test]
fn ids_are_unique_over_all_threads() {
    let (_, rows) = report(&[
        "--anon",
        "--size",
        "1",
        "-c",
        "100",
        "-t",
        "7",
        "--query-size",
        "3",
    ]);
    let ids: HashSet<u64> = rows.iter().map(|row| row.id).collect();
    assert_eq!(ids.len(), 7 * 34);
    assert!(!ids.contains(&0));
}

#[test]
fn a_query_has_the_cost_of_those_inside_of_it() {
    let arguments = [
        "--anon",
        "--size",
        "4",
        "-p",
        "seq",
        "-c",
        "200",
        "--query-size",
        "50",
    ];
    let (report, rows) = report(&[&arguments[..], &["--query-nested", "8"]].concat());
    let mut inner: BTreeMap<u64, Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.name == "seq-inner") {
        assert!(
            rows.iter()
                .any(|outer| outer.id == row.parent && outer.name == "seq")
        );
        inner.entry(row.parent).or_default().push(row);
    }
    assert_eq!(inner.len(), 4);
    for (outer, inside) in &inner {
        let outer = rows.iter().find(|row| row.id == *outer).unwrap();
        // Each access is one new page: accesses 8 to 15, 24 to 31 and 40 to 47 are inside.
        assert_eq!((outer.cost[0], outer.cost[2]), (50, 50));
        let inside = sum(inside.iter().copied());
        assert_eq!((inside[0], inside[2]), (24, 24));
        assert!(inside[4] <= outer.cost[4]);
    }
    let outermost = rows.iter().filter(|row| row.parent == 0);
    assert_eq!(sum(outermost), costs(&report["queries"]));
    assert_eq!(report["queries"]["nested_count"], 12);
}

#[test]
fn a_walk_without_queries_says_nothing_of_them() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let plain = run(directory.path(), &["--anon", "--size", "1", "-c", "9"]);
    assert!(!String::from_utf8_lossy(&plain.stdout).contains("queries"));
    let refused = run(directory.path(), &["--anon", "-c", "9", "--query-report", "x"]);
    let line = String::from_utf8_lossy(&refused.stderr);
    assert!(
        refused.status.code() == Some(2) && line.contains("--query-size"),
        "{line}"
    );
    let one_file = ["--query-size", "3", "--query-report", "x", "--log-touches", "./x"];
    let refused = run(
        directory.path(),
        &[&["--anon", "-c", "9"], &one_file[..]].concat(),
    );
    let line = String::from_utf8_lossy(&refused.stderr);
    assert!(
        refused.status.code() == Some(1) && line.contains("--log-touches"),
        "{line}"
    );
}

/// The probes survive optimisation, one site each, with their arguments and without a semaphore.
#[test]
fn the_program_has_its_probes() {
    let program = fs::read(PROGRAM).unwrap();
    let file = object::File::parse(&*program).unwrap();
    let notes = file.section_by_name(".note.stapsdt").expect("notes");
    let notes = notes.data().unwrap();
    let mut probes = BTreeMap::new();
    let mut rest = notes;
    while !rest.is_empty() {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap()) as usize;
        let (owner, data) = (word(0).next_multiple_of(4), word(4).next_multiple_of(4));
        assert_eq!(&rest[12..12 + 8], b"stapsdt\0");
        let semaphore = &rest[12 + owner + 16..][..8];
        assert_eq!(semaphore, [0; 8]);
        let strings = &rest[12 + owner + 24..12 + owner + data];
        let strings: Vec<&str> = strings
            .split(|byte| *byte == 0)
            .take(3)
            .map(|text| str::from_utf8(text).unwrap())
            .collect();
        let again = probes.insert(
            format!("{}:{}", strings[0], strings[1]),
            strings[2].split(' ').count(),
        );
        assert_eq!(again, None, "{strings:?}");
        rest = &rest[12 + owner + data..];
    }
    let expected = [("pf:query_begin".to_owned(), 2), ("pf:query_end".to_owned(), 1)];
    assert_eq!(probes, BTreeMap::from(expected));
}
