//! Accesses that signals interrupt: what the program measured inside its loads is in the trace, whoever interrupted it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{
    alone, disk_folder, emulated, pfrec,
    process::run,
    programs::compile,
    text,
    touched::file_of_pages,
    trace::{assert_books_balance, rows},
};
use pf_formats::Event;

const PAGE: u64 = 4096;
const SIGKILL: u8 = 9;
const SIGALRM: u8 = 14;
const SIGSTOP: u8 = 19;

/// What the program measured, and what was recorded of its pages.
struct Seen {
    measured_ns: u64,
    /// Of what it measured: what its signals took, by its own measurement of one that interrupts no wait.
    signals_ns: u64,
    arrived: u64,
    rows: Vec<Event>,
    stderr: String,
}

impl Seen {
    fn waited_ns(&self) -> u64 {
        self.rows.iter().map(|row| row.latency_ns).sum()
    }

    fn interruptions(&self) -> u64 {
        self.rows.iter().map(|row| u64::from(row.interruptions)).sum()
    }

    /// All that it measured but what delivering its signals took, and what lies around its faults.
    fn assert_complete(&self) {
        let (waited, measured, signals) = (self.waited_ns(), self.measured_ns, self.signals_ns);
        // Where the CPU is emulated, the clocks around a load take long, too.
        let percent = if emulated() { 90 } else { 99 };
        eprintln!(
            "waited {waited} of {measured} ns, {} signals took {signals} ns",
            self.arrived
        );
        assert!(
            waited * 100 >= measured.saturating_sub(signals) * percent && waited <= measured,
            "{waited} of {measured} ns, of which {} signals took {signals} ns\n{}",
            self.arrived,
            self.stderr
        );
    }
}

fn record(options: &[&str], count: u64, stride: u64, arguments: &[&str]) -> Seen {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let program = compile("interrupted", folder.path());
    let count_text = count.to_string();
    let own = [
        &["-o", text(&trace)],
        options,
        &["--", text(&program), &count_text],
    ]
    .concat();
    let ended = run(pfrec(&[&own[..], arguments].concat()));
    let line = ended
        .stdout
        .lines()
        .last()
        .unwrap_or_else(|| panic!("{ended:#?}"));
    let numbers: Vec<u64> = line.split(',').map(|number| number.parse().unwrap()).collect();
    let pages = numbers[2]..numbers[2] + count * stride * PAGE;
    let rows = rows(&trace);
    if options.is_empty() {
        assert_books_balance(&trace, &ended.stderr);
    }
    Seen {
        measured_ns: numbers[0],
        signals_ns: numbers[1] * numbers[3],
        arrived: numbers[1],
        rows: rows
            .into_iter()
            .filter(|row| pages.contains(&row.address))
            .collect(),
        stderr: ended.stderr,
    }
}

#[test]
#[ignore = "needs root"]
fn a_timer_takes_nothing_from_the_waits_however_often_it_rings() {
    let _alone = alone();
    // Around each load an emulated CPU takes long to read its clock.
    let delay_us = if emulated() { "100000" } else { "20000" };
    for every_us in ["0", "50000", "5000", "1000", "200"] {
        let seen = record(&[], 20, 1, &[delay_us, "timer", every_us]);
        seen.assert_complete();
        // At most one in a touch, and at a touch, is not inside of a fault.
        assert!(
            (seen.arrived - seen.interruptions() <= 20 || emulated() || every_us == "200")
                && (every_us != "0" || seen.interruptions() == 0),
            "{} of {}",
            seen.interruptions(),
            seen.arrived
        );
        if every_us == "5000" {
            assert!(
                seen.interruptions() >= 40 || emulated(),
                "{}",
                seen.interruptions()
            );
            // A page that was served while the handler ran is there at the next attempt: no fault completes.
            assert!(
                seen.rows
                    .iter()
                    .all(|row| row.signal == SIGALRM && row.failed == row.abandoned)
            );
            assert_eq!(seen.rows.len(), 20, "one row for each access");
        }
    }
}

/// Such a fault is counted, and no event tells of it: it must not be taken for the end of the one that is open.
#[test]
#[ignore = "needs root"]
fn faults_that_the_kernel_takes_for_itself_in_between_end_no_wait() {
    let _alone = alone();
    let seen = record(&[], 20, 1, &["20000", "lock", "5000"]);
    seen.assert_complete();
    assert_eq!(seen.rows.len(), 20, "one row for each access");
    assert!(
        seen.interruptions() >= 40 || emulated(),
        "{}",
        seen.interruptions()
    );
}

#[test]
#[ignore = "needs root"]
fn pages_that_a_disk_gives_slowly_wait_as_long_with_a_timer_as_without() {
    let _alone = alone();
    let folder = disk_folder();
    let device = std::env::var("PFREC_TEST_DEVICE").unwrap_or_else(|_| {
        let path = folder.path().join("pages");
        file_of_pages(&path, 61 * 64)
    });
    for every_us in ["0", "50000", "5000", "1000"] {
        let seen = record(&[], 60, 64, &[&format!("64:{device}"), "timer", every_us]);
        // Pages of a file that was just written may be in memory: then the clocks around a load outweigh it.
        let slow = seen.measured_ns > 60 * 1_000_000;
        if slow {
            seen.assert_complete();
        }
        assert!(seen.waited_ns() <= seen.measured_ns);
    }
}

#[test]
#[ignore = "needs root"]
fn what_a_query_waited_and_what_is_blocked_hold_all_attempts() {
    let _alone = alone();
    let seen = record(&["--breakdown"], 10, 1, &["20000", "timer", "3000"]);
    seen.assert_complete();
    let blocked: u64 = seen
        .rows
        .iter()
        .map(|row| row.breakdown.unwrap().blocked_ns)
        .sum();
    assert!(
        blocked * 10 >= seen.waited_ns() * if emulated() { 4 } else { 9 },
        "{blocked} of {}",
        seen.waited_ns()
    );
    // The least latency is asked of the whole access.
    let slow = record(&["--min-latency", "15000"], 10, 1, &["20000", "timer", "3000"]);
    assert_eq!(slow.rows.len(), 10, "{:#?} {}", slow.rows, slow.stderr);
}

#[test]
#[ignore = "needs root"]
fn a_stopped_process_does_not_wait_for_a_page() {
    let _alone = alone();
    let seen = record(&[], 10, 1, &["20000", "stop", "5000"]);
    // The stops of 50 ms are in what it measured.
    assert!(seen.measured_ns > 500_000_000, "{}", seen.measured_ns);
    assert!(
        seen.waited_ns() >= 40_000_000 && seen.measured_ns - seen.waited_ns() >= 450_000_000,
        "{} of {}: {:#?}",
        seen.waited_ns(),
        seen.measured_ns,
        seen.rows
    );
    assert_eq!(seen.rows.len(), 10);
    assert!(
        seen.rows
            .iter()
            .all(|row| row.signal == SIGSTOP || row.interruptions == 0)
    );
}

#[test]
#[ignore = "needs root"]
fn an_access_that_a_killed_thread_was_in_is_a_row_of_its_own() {
    let _alone = alone();
    let seen = record(&[], 5, 1, &["40000", "kill", "10000"]);
    let abandoned: Vec<&Event> = seen.rows.iter().filter(|row| row.abandoned).collect();
    let [row] = abandoned[..] else {
        panic!("{abandoned:?} {}", seen.stderr)
    };
    assert!(row.failed && row.signal == SIGKILL, "{row:?}");
    let most = if emulated() { 200_000_000 } else { 40_000_000 };
    assert!((5_000_000..most).contains(&row.latency_ns), "{row:?}");
    // What it measured is told before the last touch.
    let completed = seen.waited_ns() - row.latency_ns;
    assert!(
        completed * 100 >= seen.measured_ns * if emulated() { 70 } else { 99 },
        "{completed} of {}",
        seen.measured_ns
    );
    assert!(!seen.stderr.contains("LOST"), "{}", seen.stderr);
}

#[test]
#[ignore = "needs root"]
fn accesses_that_a_handler_jumps_out_of_are_rows_of_their_own() {
    let _alone = alone();
    let (delay_us, every_us) = match emulated() {
        true => ("200000", "50000"),
        false => ("20000", "5000"),
    };
    let seen = record(&[], 10, 1, &[delay_us, "jump", every_us]);
    seen.assert_complete();
    let abandoned = seen.rows.iter().filter(|row| row.abandoned);
    let right = |row: &&Event| row.failed && row.signal == SIGALRM && row.interruptions == 1;
    let abandoned = abandoned.filter(right).count() as u64;
    // An emulated CPU may be between two accesses for so long that one arrives there.
    let outside = if emulated() { 3 } else { 0 };
    assert!(
        (abandoned..=abandoned + outside).contains(&seen.arrived),
        "{abandoned} of {}",
        seen.arrived
    );
}

/// The write barrier of a garbage collector: each access ends in a signal that is handled.
#[test]
#[ignore = "needs root"]
fn accesses_that_end_in_a_handled_signal_are_failed_rows() {
    let _alone = alone();
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let program = compile("barrier", folder.path());
    let ended = run(pfrec(&["-o", text(&trace), "--", text(&program)])).ok();
    assert_books_balance(&trace, &ended.stderr);
    let handled: usize = ended.stdout.trim().parse().unwrap();
    let rows = rows(&trace);
    let failed = rows
        .iter()
        .filter(|row| row.failed && row.signal == 11 && !row.abandoned);
    assert_eq!(failed.count(), handled);
    let said = run(common::pfanalyze(&["info", text(&trace)])).ok();
    assert!(!said.stdout.contains("did not complete ("), "{}", said.stdout);
}

/// The kernel copies with page faults disabled, gives up, and faults again in the open.
#[test]
#[ignore = "needs root"]
fn copies_with_page_faults_disabled_are_no_faults() {
    let _alone = alone();
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let source = folder.path().join("source");
    file_of_pages(&source, 256);
    let copies = compile("cold_copies", folder.path());
    let copy = folder.path().join("copy");
    let own = [
        "-o",
        text(&trace),
        "--",
        text(&copies),
        text(&source),
        text(&copy),
        "256",
    ];
    let ended = run(pfrec(&own)).ok();
    assert_books_balance(&trace, &ended.stderr);
    // One attempt for each page, or for 16 where they are mapped together; older kernels, as in the machines, fault
    // the page in beforehand.
    let line = ended
        .stderr
        .lines()
        .find(|line| line.contains("touched a missing page with page faults disabled"));
    let times = line.and_then(|line| line.strip_prefix("pfrec: ")?.split(' ').next()?.parse().ok());
    assert!(
        emulated() || times.is_some_and(|times: u64| times >= 16),
        "{}",
        ended.stderr
    );
    let losses = common::trace::contents(&trace).losses;
    let unfinished = losses
        .iter()
        .filter(|loss| loss.reason == pf_formats::LossReason::Unfinished);
    let count: u64 = unfinished.map(|loss| loss.count).sum();
    assert!(count < 20, "{count} {losses:?}");
}
