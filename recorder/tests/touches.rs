//! A program that times itself: each fault lies within the touch that caused it, and none is invented.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{
    disk_folder, pfrec,
    process::run,
    program, text,
    trace::{assert_whole, faults},
    workload::{assert_each_touch, touches},
};

/// Returns how many touches had a major and how many a minor fault.
fn record_touches(options: &[&str]) -> (usize, usize) {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let log = folder.path().join("touches.csv");
    let workload = program("mmap-workload");
    let mut command = pfrec(&["-o", text(&trace), "--", text(&workload)]);
    command
        .args(["--log-touches", text(&log), "--size", "16"])
        .args(options)
        .env("TMPDIR", folder.path());
    let ended = run(command).ok();
    assert_whole(&trace, &ended.stderr);

    let touches = touches(&log);
    let mut around = assert_each_touch(&touches, &faults(&trace, &[]));
    around.sort_unstable();
    let median = around.get(around.len() / 2).expect("a touch with a fault");
    eprintln!(
        "{} touches, {} with a fault; touch less latency: median {median} ns, largest {} ns",
        touches.len(),
        around.len(),
        around.last().unwrap()
    );
    let count =
        |faults: fn(&common::workload::Touch) -> u64| touches.iter().filter(|t| faults(t) > 0).count();
    (count(|touch| touch.majors), count(|touch| touch.minors))
}

#[test]
#[ignore = "needs root"]
fn each_touch_of_a_cold_file_has_its_major_fault_within_its_own_time() {
    let (majors, _) = record_touches(&["--count", "3000", "--advice", "random"]);
    assert!(majors > 1000, "{majors}");
}

#[test]
#[ignore = "needs root"]
fn each_touch_of_fresh_memory_has_its_minor_fault_within_its_own_time() {
    let (majors, minors) = record_touches(&["--anon", "--count", "8000", "--write"]);
    assert_eq!(majors, 0);
    assert!(minors > 2000, "{minors}");
}

#[test]
#[ignore = "needs root"]
fn threads_that_race_for_the_same_pages_keep_their_own_faults() {
    let (majors, minors) = record_touches(&[
        "--count",
        "2000",
        "--threads",
        "4",
        "--pattern",
        "seq",
        "--advice",
        "random",
    ]);
    assert!(majors + minors > 2000, "{majors} {minors}");
}
