//! Each filter lets pass exactly what was asked for, and counts the rest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{os::unix::fs::symlink, path::Path};

use common::{
    disk_folder, emulated,
    eviction::page_size,
    pfanalyze, pfrec,
    process::{Ended, run},
    program,
    programs::compile,
    public_copy, public_folder, text,
    trace::{Fault, assert_whole, faults},
    workload::workers,
};

/// Pages of 4 KiB, all of them minor faults, on two threads.
const STORM: [&str; 10] = [
    "--anon",
    "--size",
    "64",
    "--pattern",
    "seq",
    "--count",
    "8192",
    "--threads",
    "2",
    "--split",
];

struct Recorded {
    faults: Vec<Fault>,
    filtered: u64,
    hidden: u64,
    /// What the kernel counted: all of them, and the major ones.
    kernel: u64,
    kernel_majors: u64,
    stdout: String,
}

/// Records `command` with `options`; the books balance, and `wait4(2)` agrees with them.
fn record(options: &[&str], command: &[&str]) -> Recorded {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let arguments = [&["-o", text(&trace)], options, &["--"], command].concat();
    let ended = run(pfrec(&arguments)).ok();
    let books = assert_whole(&trace, &ended.stderr);
    Recorded {
        faults: faults(&trace, &[]),
        filtered: books.filtered,
        hidden: books.hidden,
        kernel_majors: books.kernel_majors,
        kernel: books.kernel_majors + books.kernel_minors,
        stdout: ended.stdout,
    }
}

fn workload<'a>(path: &'a Path, arguments: &[&'a str]) -> Vec<&'a str> {
    [&[text(path)], arguments, &["--format", "json"]].concat()
}

#[test]
#[ignore = "needs root"]
fn only_the_threads_of_that_name_are_recorded() {
    let workload_path = program("mmap-workload");
    let recorded = record(&["--comm", "pf-worker-1"], &workload(&workload_path, &STORM));
    let worker = workers(&recorded.stdout)
        .into_iter()
        .find(|worker| worker.comm == "pf-worker-1")
        .unwrap();
    assert!(recorded.faults.iter().all(|fault| fault.tid == worker.tid));
    let inside = recorded
        .faults
        .iter()
        .filter(|fault| (worker.begin_ns..worker.end_ns).contains(&fault.ts_ns));
    assert_eq!(inside.count() as u64, worker.majors + worker.minors);
    assert!(recorded.filtered > worker.minors, "{}", recorded.filtered);
}

#[test]
#[ignore = "needs root"]
fn without_the_minor_ones_every_major_one_is_there() {
    let workload_path = program("mmap-workload");
    let recorded = record(
        &["--major-only"],
        &workload(&workload_path, &["--size", "16", "--count", "1000"]),
    );
    let worker = workers(&recorded.stdout).remove(0);
    assert!(recorded.faults.iter().all(|fault| fault.major));
    let inside = recorded
        .faults
        .iter()
        .filter(|fault| (worker.begin_ns..worker.end_ns).contains(&fault.ts_ns));
    assert_eq!(inside.count() as u64, worker.majors);
    assert_eq!(recorded.faults.len() as u64, recorded.kernel_majors);
    // Minor faults that no event tells of are among the filtered ones, since no minor one is asked for.
    assert_eq!(
        recorded.filtered + recorded.hidden,
        recorded.kernel - recorded.kernel_majors
    );
    assert!(recorded.filtered >= worker.minors, "{}", recorded.filtered);
}

#[test]
#[ignore = "needs root"]
fn a_sample_holds_about_one_in_so_many_minor_faults_and_scales_up() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let workload_path = program("mmap-workload");
    let command = workload(&workload_path, &STORM);
    let arguments = [&["-o", text(&trace), "--sample", "10", "--"], &command[..]].concat();
    let ended = run(pfrec(&arguments)).ok();
    let books = assert_whole(&trace, &ended.stderr);
    let rows = faults(&trace, &[]).len() as f64;
    let expected = books.kernel_minors as f64 / 10.0;
    // The gaps are uniform from 1 to 19, so the count varies less than that of independent draws.
    assert!(
        (rows - expected).abs() < 5.0 * expected.sqrt(),
        "{rows} of {expected}"
    );
    let report = run(pfanalyze(&[text(&trace)])).ok();
    assert!(report.stdout.contains("sampled 1 in 10"), "{}", report.stdout);
}

#[test]
#[ignore = "needs root"]
fn only_faults_that_took_long_enough_are_recorded() {
    let workload_path = program("mmap-workload");
    // Without read-ahead, which makes a hundred major faults of a thousand touches where it is 128 KiB.
    let options = ["--size", "16", "--count", "1000", "--advice", "random"];
    // On an emulated CPU most minor faults take longer than 10 µs, at times each of them.
    let least_us = if emulated() { 40 } else { 10 };
    let recorded = record(
        &["--min-latency", &least_us.to_string()],
        &workload(&workload_path, &options),
    );
    assert!(
        recorded
            .faults
            .iter()
            .all(|fault| fault.latency_ns >= least_us * 1_000)
    );
    let passed = recorded.faults.len() as u64;
    assert_eq!(recorded.filtered + recorded.hidden + passed, recorded.kernel);
    let worker = workers(&recorded.stdout).remove(0);
    let majors = recorded
        .faults
        .iter()
        .filter(|fault| fault.major && fault.tid == worker.tid)
        .count() as u64;
    assert!(
        worker.majors > 500 && majors * 10 >= worker.majors * 9,
        "reading a page from a disk takes longer: {majors} of {}",
        worker.majors
    );
    assert!(recorded.filtered > 100, "{}", recorded.filtered);
}

#[test]
#[ignore = "needs root"]
fn only_these_addresses_are_recorded() {
    let workload_path = program("mmap-workload");
    // User addresses are below, those of the vsyscall page and the kernel above.
    let all = record(
        &["--address", "0-0x800000000000"],
        &workload(&workload_path, &STORM),
    );
    assert_eq!(all.filtered, 0);
    let none = record(
        &["--address", "0-0x1000", "--address", "0x1000-0x2000"],
        &workload(&workload_path, &STORM),
    );
    assert_eq!(none.faults.len(), 0);
    assert!(none.filtered > 8192, "{}", none.filtered);
}

/// A start and an end within a page: faults have the address that was touched, here the first of each page.
#[test]
#[ignore = "needs root"]
fn of_known_touches_exactly_those_in_the_ranges_are_recorded() {
    let folder = disk_folder();
    let touch_at = compile("touch_at", folder.path());
    let (start, page) = (0x2000_0000_0000_u64, u64::try_from(page_size()).unwrap());
    let range = |from: u64, to: u64| format!("{:#x}-{:#x}", start + from, start + to);
    let (pages, last) = (range(10 * page, 30 * page), range(40 * page + 1, 43 * page + 1));
    let options = ["--address", &pages, "--address", &last];
    let recorded = record(&options, &[text(&touch_at), &format!("{start:x}"), "64"]);
    let mut addresses: Vec<u64> = recorded.faults.iter().map(|fault| fault.address).collect();
    addresses.sort_unstable();
    let expected: Vec<u64> = (10..30).chain(41..44).map(|at| start + at * page).collect();
    assert_eq!(addresses, expected);
    assert_eq!(
        recorded.filtered + expected.len() as u64 + recorded.hidden,
        recorded.kernel
    );
    assert!(recorded.filtered >= 64 - 23, "{}", recorded.filtered);
}

#[test]
#[ignore = "needs root"]
fn only_that_users_threads_are_recorded() {
    let folder = public_folder();
    let copy = public_copy(&folder, "mmap-workload");
    let script = "\"$0\" \"$@\" > /dev/null; setpriv --reuid 65534 --clear-groups \"$0\" \"$@\"";
    let command = [
        &["sh", "-c", script, text(&copy)],
        &STORM[..],
        &["--format", "json"],
    ]
    .concat();
    let recorded = record(&["--uid", "65534"], &command);
    let workers = workers(&recorded.stdout);
    for worker in &workers {
        let own = recorded.faults.iter().filter(|fault| {
            fault.tid == worker.tid && (worker.begin_ns..worker.end_ns).contains(&fault.ts_ns)
        });
        assert_eq!(own.count() as u64, worker.majors + worker.minors);
    }
    let pids: Vec<u32> = recorded.faults.iter().map(|fault| fault.pid).collect();
    assert!(
        pids.iter().all(|pid| *pid == pids[0]),
        "one process ran as that user"
    );
    assert!(recorded.filtered > 8192, "{}", recorded.filtered);
}

#[test]
#[ignore = "needs root"]
fn only_faults_on_that_file_are_recorded_whoever_maps_it() {
    let folder = disk_folder();
    let file = folder.path().join("wanted.dat");
    let link = folder.path().join("link.dat");
    let generate = common::plain(
        &program("data-generator"),
        &["-f", text(&file), "-s", "16", "-p", "random"],
    );
    run(generate).ok();
    symlink(&file, &link).unwrap();
    let trace = folder.path().join("t.pfz");
    // Twice the file that is asked for, once another one.
    let script = "\"$0\" -f \"$1\" -c 1000 --evict --format json; \"$0\" -f \"$1\" -c 1000 --format json > /dev/null; \
                  \"$0\" --size 16 -c 1000 > /dev/null";
    let workload = program("mmap-workload");
    let arguments = [
        "-o",
        text(&trace),
        "--file",
        text(&link),
        "--",
        "sh",
        "-c",
        script,
        text(&workload),
        text(&file),
    ];
    let ended = run(pfrec(&arguments)).ok();
    let books = assert_whole(&trace, &ended.stderr);
    let worker = workers(&ended.stdout).remove(0);
    let all = faults(&trace, &[]);
    let of_file = faults(&trace, &["--file", text(&file)]);
    assert_eq!(all.len(), of_file.len(), "no other file has a row");
    let own = all.iter().filter(|fault| fault.tid == worker.tid).count() as u64;
    assert_eq!(own, worker.majors + worker.minors);
    assert!(all.len() as u64 > own, "the second process, too");
    assert!(books.filtered > 500, "{books:?}");
}

fn refused(options: &[&str]) -> String {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let proof = folder.path().join("it-ran");
    let command = ["--", "touch", text(&proof)];
    let ended: Ended = run(pfrec(&[&["-o", text(&trace)], options, &command].concat()));
    assert_eq!(ended.status.code(), Some(125), "{ended:#?}");
    assert!(!proof.exists() && !trace.exists(), "{ended:#?}");
    ended.stderr
}

#[test]
#[ignore = "needs root"]
fn a_filter_that_makes_no_sense_is_named_before_the_command_runs() {
    for (options, named) in [
        (&["--file", "/no/such/file"][..], "--file /no/such/file"),
        (&["--file", "/"], "--file /"),
        (&["--uid", "no-such-user"], "--uid no-such-user"),
        (&["--address", "0x2000-0x1000"], "--address"),
        (&["--address", "1000-2000"], "0x3e8"),
        (&["--comm", ""], "a name is missing"),
        (&["--file", "/no/such/*"], "patterns and lists are for pfanalyze"),
        (&["--sample", "0"], "--sample"),
        (&["--min-latency", "soon"], "--min-latency"),
        (&["--major-only", "--sample", "5"], "--sample"),
    ] {
        let stderr = refused(options);
        assert!(stderr.contains(named), "{options:?}: {stderr}");
    }
}
