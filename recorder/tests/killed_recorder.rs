//! `kill -9` of the recorder: the command does not notice, and the trace up to then is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::path::Path;

use common::{
    disk_folder, now_ns, pfanalyze, pfrec, plain,
    process::{Process, run, start},
    program, text,
    trace::{contents, json, until_recording},
    until, until_written,
};
use nix::sys::signal::Signal;

const SECOND_NS: u64 = 1_000_000_000;

/// A steady trickle of faults for some seconds, and a proof that it came to its end.
const SCRIPT: &str = r#"
    "$1" --size 32 --count 3000 --delay 1 --advice random > "$TMPDIR/report"
    echo "ended with $?" > "$TMPDIR/proof"
"#;

/// Kills the recorder in the middle; returns when.
fn kill_in_the_middle(recorder: Process, partial: &Path) -> u64 {
    until_recording(partial);
    let begin_ns = contents(partial).last_ts_ns;
    until("more than a second of events", || {
        (contents(partial).last_ts_ns > begin_ns + SECOND_NS).then_some(())
    });
    let kill_ns = now_ns();
    recorder.signal(Signal::SIGKILL);
    drop(recorder);
    kill_ns
}

fn assert_readable(folder: &Path, kill_ns: u64) {
    let partial = folder.join("t.pfz.partial");
    assert!(
        !folder.join("t.pfz").exists(),
        "only a complete trace has its name"
    );
    let contents = contents(&partial);
    assert!(!contents.summary.finished);
    let behind_ns = kill_ns.saturating_sub(contents.last_ts_ns);
    eprintln!("the last event is {} ms before the kill", behind_ns / 1_000_000);
    assert!(behind_ns < SECOND_NS, "{behind_ns}");
    assert_eq!(json("info", &partial)["finished"], false);
    let report = run(pfanalyze(&[text(&partial)])).ok();
    assert!(
        format!("{}{}", report.stdout, report.stderr).contains("unfinished"),
        "{report:#?}"
    );
}

#[test]
#[ignore = "needs root"]
fn a_command_outlives_its_killed_recorder_and_the_trace_reads_back() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let workload = program("mmap-workload");
    let mut command = pfrec(&[
        "-o",
        text(&trace),
        "--",
        "bash",
        "-c",
        SCRIPT,
        "bash",
        text(&workload),
    ]);
    command.env("TMPDIR", folder.path());
    let kill_ns = kill_in_the_middle(start(command), &folder.path().join("t.pfz.partial"));
    let proof = folder.path().join("proof");
    assert!(!proof.exists(), "the command ended before the kill");
    assert_eq!(until_written(&proof), "ended with 0\n");
    assert_readable(folder.path(), kill_ns);
}

#[test]
#[ignore = "needs root"]
fn a_process_that_was_attached_to_outlives_its_killed_recorder() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let workload = program("mmap-workload");
    let mut target = plain(Path::new("bash"), &["-c", SCRIPT, "bash", text(&workload)]);
    target.env("TMPDIR", folder.path());
    let target = start(target);
    let recorder = start(pfrec(&["-o", text(&trace), "-p", &target.pid().to_string()]));
    let kill_ns = kill_in_the_middle(recorder, &folder.path().join("t.pfz.partial"));
    target.wait().ok();
    assert_eq!(until_written(&folder.path().join("proof")), "ended with 0\n");
    assert_readable(folder.path(), kill_ns);
}
