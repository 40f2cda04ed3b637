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

/// The overlay `merged` of `lower` and `upper`, in a mount namespace of its own, and `script` behind it, whose
/// arguments are the folder, our workload and then `arguments`.
fn overlaid(folder: &Path, script: &str, arguments: &[&str]) -> Vec<String> {
    let script = format!(
        "cd \"$0\" && mkdir -p lower upper work merged && mount -t overlay overlay \
         -o \"lowerdir=$0/lower,upperdir=$0/upper,workdir=$0/work\" merged && {script}"
    );
    let workload = program("mmap-workload");
    let front = [
        "unshare",
        "-m",
        "sh",
        "-c",
        &script,
        text(folder),
        text(&workload),
    ];
    let words = front.iter().chain(arguments);
    words.map(|word| (*word).to_owned()).collect()
}

const WALK: &str = r#""$1" -f "$0/merged/x" -p random -c 500 --evict --format json"#;

#[test]
#[ignore = "needs root"]
fn a_file_under_an_overlay_is_found_by_the_path_of_its_layer() {
    let folder = disk_folder();
    let (lower, trace) = (folder.path().join("lower"), folder.path().join("t.pfz"));
    std::fs::create_dir(&lower).unwrap();
    let file = lower.join("x");
    generate(&file, "8");
    let command = overlaid(folder.path(), WALK, &[]);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let ended = run(pfrec(
        &[&["-o", text(&trace), "--file", text(&file), "--"], &command[..]].concat(),
    ))
    .ok();
    let books = assert_whole(&trace, &ended.stderr);
    assert_eq!(
        vec![books.recorded],
        counted(&ended.stdout),
        "{books:?} {}",
        ended.stderr
    );
}

#[test]
#[ignore = "needs root"]
fn a_file_on_an_overlay_is_found_by_its_own_path() {
    let folder = disk_folder();
    let (lower, trace) = (folder.path().join("lower"), folder.path().join("t.pfz"));
    std::fs::create_dir(&lower).unwrap();
    generate(&lower.join("x"), "8");
    let merged = folder.path().join("merged/x");
    let recorder = pfrec(&["-o", text(&trace), "--file", text(&merged), "--"]);
    let words: Vec<&str> = std::iter::once(recorder.get_program())
        .chain(recorder.get_args())
        .map(|word| word.to_str().unwrap())
        .collect();
    let script = format!(
        "shift && exec \"$@\" sh -c '{WALK}' \"$0\" {}",
        text(&program("mmap-workload"))
    );
    let command = overlaid(folder.path(), &script, &words);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let ended = run(plain(Path::new(command[0]), &command[1..])).ok();
    let books = assert_whole(&trace, &ended.stderr);
    assert_eq!(
        vec![books.recorded],
        counted(&ended.stdout),
        "{books:?} {}",
        ended.stderr
    );
}

/// Once written to, the overlay has a copy of its own.
#[test]
#[ignore = "needs root"]
fn a_file_that_nobody_maps_any_more_is_told_with_the_one_that_was_meant() {
    let folder = disk_folder();
    let (lower, trace) = (folder.path().join("lower"), folder.path().join("t.pfz"));
    std::fs::create_dir(&lower).unwrap();
    let file = lower.join("x");
    generate(&file, "8");
    let script = format!("echo more >> \"$0/merged/x\" && {WALK}");
    let command = overlaid(folder.path(), &script, &[]);
    let command: Vec<&str> = command.iter().map(String::as_str).collect();
    let ended = run(pfrec(
        &[&["-o", text(&trace), "--file", text(&file), "--"], &command[..]].concat(),
    ))
    .ok();
    let merged = folder.path().join("merged/x");
    assert!(
        ended.stderr.contains("no fault was on this file") && ended.stderr.contains(text(&merged)),
        "{}",
        ended.stderr
    );
}
