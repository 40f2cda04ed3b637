//! More threads at once than a table by thread number holds, which is where kernels before 5.12 keep the state of open
//! faults: whom it has no room for is counted as lost, to the fault. Later kernels have no such limit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::fs;

use common::{
    alone, disk_folder, emulated, pfrec,
    process::start,
    programs::compile,
    text,
    trace::{contents, json},
};
use pf_checks::not_run;

/// As docs/recording.md has it.
const ROOM: u64 = 32_768;
const THREADS: u64 = ROOM + 1_000;

fn has_task_storage() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release
        .split(['.', '-'])
        .map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap(), numbers.next().unwrap()) >= (5, 12)
}

#[test]
#[ignore = "needs root"]
fn threads_beyond_the_room_of_an_old_kernel_are_counted_as_lost() {
    if !emulated() {
        // So many need other limits of the whole machine, which a test must not change but in a machine of its own.
        not_run("backend/thread-limit", "needs a virtual machine");
        return;
    }
    let _alone = alone();
    for (limit, value) in [
        ("kernel/pid_max", "100000"),
        ("kernel/threads-max", "100000"),
        ("vm/max_map_count", "200000"),
    ] {
        fs::write(format!("/proc/sys/{limit}"), value).unwrap();
    }
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let program = compile("hold_threads", folder.path());
    let recorder = start(pfrec(&[
        "-o",
        text(&trace),
        "--",
        text(&program),
        &THREADS.to_string(),
    ]));
    let ended = recorder.wait().ok();
    eprintln!("{}", ended.stderr);
    let counted: u64 = ended.stdout.trim().parse().unwrap();
    assert!(counted >= THREADS, "{counted}");
    let (events, info) = (contents(&trace).summary.events, json("info", &trace));
    let lost = info["lost"].as_u64().unwrap();
    if has_task_storage() {
        assert_eq!(lost, 0, "{info}");
        // All end at once: ends of threads may be lost, faults not.
        assert!(!ended.stderr.contains("faults:"), "{}", ended.stderr);
    } else {
        // The main thread has one, too, and each thread has a fault at least.
        assert!(lost > THREADS - ROOM, "{info}");
        assert!(
            ended
                .stderr
                .contains("the kernel had no memory for a task's state"),
            "{}",
            ended.stderr
        );
    }
    // The program counts from its fork to its last line, the trace from its exec to its end.
    let told = events + lost + info["hidden"].as_u64().unwrap();
    assert!(told.abs_diff(counted) < 100, "{told} of {counted}: {info}");
}
