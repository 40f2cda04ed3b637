//! Every pattern and number of threads: the trace holds what `getrusage` counted, to the fault.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{
    disk_folder, pfrec,
    process::run,
    program, text,
    trace::{assert_whole, faults, json},
    workload::{Worker, assert_equal_counts, workers},
};
use serde_json::Value;

fn every_fault_is_recorded(pattern: &str) {
    for (threads, count) in [("1", "1500"), ("4", "500"), ("32", "80")] {
        eprintln!("{pattern}, {threads} threads");
        let folder = disk_folder();
        let trace = folder.path().join("t.pfz");
        let workload = program("mmap-workload");
        let mut command = pfrec(&["-o", text(&trace), "--", text(&workload)]);
        command
            .args(["--pattern", pattern, "--threads", threads, "--count", count])
            .args(["--advice", "random", "--size", "8", "--format", "json"])
            .env("TMPDIR", folder.path());
        let ended = run(command).ok();

        let workers = workers(&ended.stdout);
        assert_eq!(workers.len().to_string(), threads);
        let majors: u64 = workers.iter().map(|worker| worker.majors).sum();
        assert!(majors >= 20, "hardly a cold fault: {}", ended.stdout);
        let books = assert_whole(&trace, &ended.stderr);
        let faults = faults(&trace, &[]);
        assert_eq!(faults.len() as u64, books.recorded);
        assert_equal_counts(&workers, &faults);
        assert_in_table(&workers, &json("threads", &trace));
    }
}

/// The table also has what a thread did before and after its walk.
fn assert_in_table(workers: &[Worker], table: &Value) {
    for worker in workers {
        let mut rows = table.as_array().unwrap().iter();
        let row = rows
            .find(|row| row["tid"] == worker.tid)
            .unwrap_or_else(|| panic!("{worker:?} is not in {table}"));
        assert_eq!(row["comm"], worker.comm);
        assert!(
            row["major"].as_u64().unwrap() >= worker.majors,
            "{worker:?}: {row}"
        );
        assert!(
            row["minor"].as_u64().unwrap() >= worker.minors,
            "{worker:?}: {row}"
        );
    }
}

#[test]
#[ignore = "needs root"]
fn a_sequential_walk_is_recorded_to_the_fault() {
    every_fault_is_recorded("seq");
}

#[test]
#[ignore = "needs root"]
fn a_random_walk_is_recorded_to_the_fault() {
    every_fault_is_recorded("random");
}

#[test]
#[ignore = "needs root"]
fn a_walk_by_strides_is_recorded_to_the_fault() {
    every_fault_is_recorded("stride");
}

#[test]
#[ignore = "needs root"]
fn a_mixed_walk_is_recorded_to_the_fault() {
    every_fault_is_recorded("mixed");
}
