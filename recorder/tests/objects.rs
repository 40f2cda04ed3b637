//! What a fault is on: files by what they are, not by their names; memory without a file by its kind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{collections::HashMap, path::Path};

use common::{
    disk_folder, pfanalyze, pfrec, plain,
    process::run,
    program,
    programs::compile,
    text,
    trace::{assert_whole, faults},
    workload::workers,
};
use serde_json::Value;

/// Kind and file of the fault at each address.
fn objects(trace: &Path) -> HashMap<u64, (String, Option<String>)> {
    let listed = run(pfanalyze(&["events", text(trace), "--format", "json"])).ok();
    let object = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        let word = |name: &str| row[name].as_str().map(str::to_owned);
        (
            row["address"].as_u64().unwrap(),
            (word("kind").unwrap(), word("file")),
        )
    };
    listed.stdout.lines().map(object).collect()
}

#[test]
#[ignore = "needs root"]
fn memory_that_only_looks_like_a_file_is_told_by_its_kind_and_a_real_file_is_not() {
    let folder = disk_folder();
    let program = compile("shared_memory", folder.path());
    let trace = folder.path().join("t.pfz");
    let ended = run(pfrec(&[
        "-o",
        text(&trace),
        "--",
        text(&program),
        text(folder.path()),
    ]))
    .ok();
    assert_whole(&trace, &ended.stderr);
    let objects = objects(&trace);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines.len() >= 7, "{ended:#?}");
    for line in lines {
        let [kind, file, address] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let (found_kind, found_file) = &objects[&u64::from_str_radix(address, 16).unwrap()];
        assert_eq!(found_kind, kind, "{line}: {found_file:?}");
        match (file, found_file) {
            ("-", None) => {}
            (file, Some(found)) => assert!(found.contains(file), "{line}: {found}"),
            (_, None) => panic!("{line}: no file"),
        }
    }
}

fn generate(file: &Path, megabytes: &str) {
    let arguments = ["-f", text(file), "-s", megabytes, "-p", "random"];
    run(plain(&program("data-generator"), &arguments)).ok();
}

/// Faults of the workers of each report in `stdout`, with a line `next` in between.
fn counted(stdout: &str) -> Vec<u64> {
    let sum = |report: &str| workers(report).iter().map(|w| w.majors + w.minors).sum();
    let reports = stdout.split("next\n").filter(|report| !report.trim().is_empty());
    reports.map(sum).collect()
}

#[test]
#[ignore = "needs root"]
fn a_file_that_is_renamed_while_recording_stays_one_file_and_one_that_gets_its_number_is_another() {
    let folder = disk_folder();
    let [a, b, c] = ["a.dat", "b.dat", "c.dat"].map(|name| folder.path().join(name));
    generate(&a, "8");
    let trace = folder.path().join("t.pfz");
    let script = r#"
        walk() { "$0" -f "$1" -p random -c 500 --evict --format json; echo next; }
        walk "$2"; mv "$2" "$3"; walk "$3"
        rm "$3"; "$1" -f "$4" -s 8 -p random > /dev/null; walk "$4"
    "#;
    let (workload, generator) = (program("mmap-workload"), program("data-generator"));
    let command = [
        "sh",
        "-c",
        script,
        text(&workload),
        text(&generator),
        text(&a),
        text(&b),
        text(&c),
    ];
    let ended = run(pfrec(&[&["-o", text(&trace), "--"], &command[..]].concat())).ok();
    assert_whole(&trace, &ended.stderr);
    let counted = counted(&ended.stdout);
    let of = |path: &Path| faults(&trace, &["--file", text(path)]).len() as u64;
    assert_eq!(of(&a), counted[0] + counted[1], "both names: {counted:?}");
    assert_eq!((of(&b), of(&c)), (0, counted[2]), "{counted:?}");
}
