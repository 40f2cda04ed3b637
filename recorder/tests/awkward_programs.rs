//! Programs that make the recorder's work hard: remapped memory, an exec from a second thread.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;

use common::programs::compile;

/// Records `command`; returns what pfrec said.
fn record(trace: &Path, command: &[&str]) -> String {
    let arguments = [&["-o", common::text(trace), "--"], command].concat();
    let output = common::pfrec(&arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
#[ignore = "needs root"]
fn memory_that_changes_hands_keeps_every_fault_with_its_file() {
    let folder = common::disk_folder();
    let program = compile("remap", folder.path());
    let trace = folder.path().join("t.pfz");
    let files = ["first.bin", "second.bin"].map(|name| folder.path().join(name));
    for file in &files {
        std::fs::write(file, vec![1; 16 * 4096]).unwrap();
    }
    let [first, second] = files.each_ref().map(|file| common::text(file));
    record(&trace, &[common::text(&program), first, second, "5", "500"]);
    for file in [first, second] {
        let arguments = ["events", common::text(&trace), "--file", file, "--format", "json"];
        let output = common::pfanalyze(&arguments).output().unwrap();
        let events = String::from_utf8(output.stdout).unwrap();
        let offsets: Vec<u64> = events
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["file_offset"]
                    .as_u64()
                    .unwrap()
            })
            .collect();
        assert_eq!(offsets, [5 * 4096; 500], "{file}");
    }
}

#[test]
#[ignore = "needs root"]
fn an_exec_from_a_second_thread_keeps_the_books_in_balance() {
    let folder = common::disk_folder();
    let program = compile("exec_from_thread", folder.path());
    let said = record(&folder.path().join("t.pfz"), &[common::text(&program)]);
    assert!(said.contains("balanced"), "{said}");
    assert!(said.contains("wait4(2) agrees"), "{said}");
}
