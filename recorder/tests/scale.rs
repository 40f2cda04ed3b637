//! Many threads, many mappings, many processes: nothing is lost, and the recorder's memory stays bounded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::fs;

use common::{
    alone, disk_folder, pfrec,
    process::{Ended, start},
    programs::compile,
    text,
    trace::{Fault, assert_books_balance, assert_offsets, assert_whole, contents, faults},
    workload::{Worker, assert_equal_counts},
};
use tempfile::TempDir;

/// KiB of memory that the recorder may take at most in these tests; the buffers, all of them locked, are up to 128M.
const MEMORY_KIB: u64 = (128 + 128) << 10;

/// Records to the end, and watches the recorder's memory meanwhile.
fn record(folder: &TempDir, command: &[&str]) -> Ended {
    let trace = folder.path().join("t.pfz");
    let mut recorder = start(pfrec(&[&["-o", text(&trace), "--"], command].concat()));
    let status = format!("/proc/{}/status", recorder.pid());
    let mut most = 0;
    while recorder.is_alive() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|kib| kib.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(peak.unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    eprintln!("pfrec took {} MiB at most", most >> 10);
    assert!(most < MEMORY_KIB, "{most} KiB");
    let ended = recorder.wait().ok();
    eprintln!("{}", ended.stderr);
    ended
}

/// The threads of many_threads, each with what the kernel counted for it while it touched its pages.
fn threads(printed: &str) -> Vec<Worker> {
    let thread = |line: &str| {
        let fields: Vec<u64> = line.split(',').map(|field| field.parse().unwrap()).collect();
        let [tid, begin_ns, end_ns, majors, minors] = fields[..] else {
            panic!("not a thread: {line}");
        };
        Worker {
            tid: u32::try_from(tid).unwrap(),
            comm: String::new(),
            majors,
            minors,
            begin_ns,
            end_ns,
        }
    };
    printed.lines().map(thread).collect()
}

fn every_thread_keeps_its_faults(count: usize, together: usize, pages: usize) {
    let _alone = alone();
    let folder = disk_folder();
    let program = compile("many_threads", folder.path());
    let numbers = [count, together, pages].map(|number| number.to_string());
    let [count_text, together, pages_text] = &numbers;
    let ended = record(&folder, &[text(&program), count_text, together, pages_text]);
    let trace = folder.path().join("t.pfz");
    assert_whole(&trace, &ended.stderr);
    let threads = threads(&ended.stdout);
    assert_eq!(threads.len(), count);
    let counted: u64 = threads.iter().map(|thread| thread.majors + thread.minors).sum();
    assert!(counted >= (count * pages) as u64, "{counted}");
    assert_equal_counts(&threads, &faults(&trace, &[]));
}

#[test]
#[ignore = "needs root"]
fn ten_thousand_threads_that_come_and_go_keep_their_faults() {
    every_thread_keeps_its_faults(10_000, 100, 4);
}

#[test]
#[ignore = "needs root"]
fn a_storm_of_threads_on_every_cpu_is_exact() {
    let cpus = std::thread::available_parallelism().unwrap().get();
    eprintln!("{cpus} CPUs");
    every_thread_keeps_its_faults(2 * cpus, 2 * cpus, 3_000);
}

/// More than may wait for the encoder, which has to take its share of the CPUs.
#[test]
#[ignore = "needs root"]
fn a_long_storm_on_every_cpu_loses_nothing() {
    let _alone = alone();
    let folder = disk_folder();
    let program = compile("fault_storm", folder.path());
    let cpus = std::thread::available_parallelism().unwrap().get();
    let threads = cpus.min(64);
    let rounds = 2_500_000 / 4096;
    let [threads_text, rounds_text] = [threads, rounds].map(|number| number.to_string());
    let ended = record(&folder, &[text(&program), &threads_text, &rounds_text, "4096"]);
    let trace = folder.path().join("t.pfz");
    assert_whole(&trace, &ended.stderr);
    let expected = threads * rounds * 4096;
    let contents = contents(&trace);
    assert!(
        contents.summary.events >= expected as u64,
        "{} {expected}",
        ended.stderr
    );
}

#[test]
#[ignore = "needs root"]
fn a_hundred_thousand_mappings_keep_file_and_offset_of_each_fault() {
    let _alone = alone();
    let folder = disk_folder();
    let program = compile("many_mappings", folder.path());
    // Two processes: the kernel allows each some 65,000.
    let script = r#"cd "$1"; "$0" one 55000 > 1 & "$0" two 55000 > 2; wait"#;
    let ended = record(
        &folder,
        &["sh", "-c", script, text(&program), text(folder.path())],
    );
    let trace = folder.path().join("t.pfz");
    assert_books_balance(&trace, &ended.stderr);
    for (file, printed) in [("one", "1"), ("two", "2")] {
        let printed = fs::read_to_string(folder.path().join(printed)).unwrap();
        let touched: Vec<&str> = printed.lines().collect();
        assert_eq!(touched.len(), 550);
        assert_offsets(&trace, &folder.path().join(file), &touched);
    }
}

#[test]
#[ignore = "needs root"]
fn a_shell_that_forks_thousands_of_times_keeps_the_books_in_balance() {
    let _alone = alone();
    let folder = disk_folder();
    let script = "i=0; while [ $i -lt 3000 ]; do (:); i=$((i+1)); done; i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done";
    let ended = record(&folder, &["sh", "-c", script]);
    let trace = folder.path().join("t.pfz");
    assert_whole(&trace, &ended.stderr);
    let all: Vec<Fault> = faults(&trace, &[]);
    let pids: std::collections::HashSet<u32> = all.iter().map(|fault| fault.pid).collect();
    assert!(pids.len() > 3_000, "{}", pids.len());
}
