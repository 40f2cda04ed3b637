//! `-a`, the whole machine, and `-o -`, a trace through a pipe.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{fs::File, process::Stdio};

use common::{
    alone, disk_folder, pfanalyze, pfrec, plain,
    process::{run, start},
    program, text,
    trace::{faults, json, until_everything_is_recorded},
    workload::{assert_equal_counts, workers},
};
use serde_json::Value;

#[test]
#[ignore = "needs root"]
fn a_recording_of_everything_has_every_fault_of_a_workload_and_none_of_the_recorder() {
    let _alone = alone();
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let recorder = start(pfrec(&[
        "-o",
        text(&trace),
        "-a",
        "--buffer-size",
        "64M",
        "-d",
        "3",
    ]));
    until_everything_is_recorded(&folder.path().join("t.pfz.partial"));
    let mut workload = plain(&program("mmap-workload"), &["--format", "json"]);
    workload
        .args(["--size", "4", "--count", "500", "--threads", "2"])
        .env("TMPDIR", folder.path());
    let workload = start(workload);
    let pid = workload.pid().to_string();
    let report = workload.wait().ok().stdout;
    let recorder_pid = recorder.pid();
    let mut recorder = recorder;
    assert!(recorder.is_alive(), "the workload took longer than the recording");
    let ended = recorder.wait().ok();
    assert!(ended.stderr.contains("nothing lost"), "{ended:#?}");
    let workers = workers(&report);
    assert!(workers.iter().map(|worker| worker.majors).sum::<u64>() > 100);
    assert_equal_counts(&workers, &faults(&trace, &["--pid", &pid]));
    let threads = json("threads", &trace);
    let rows = threads.as_array().unwrap();
    assert!(
        rows.iter().all(|row| row["pid"] != recorder_pid),
        "pfrec recorded itself"
    );
    assert!(rows.iter().any(|row| row["comm"] == "pf-worker-1"));
}

#[test]
#[ignore = "needs root"]
fn a_trace_goes_through_a_pipe_and_the_output_of_the_command_does_not() {
    let folder = disk_folder();
    let errors = folder.path().join("stderr");
    let script = r#"echo from the command; "$1" --size 4 --count 300; exit 3"#;
    let mut recorder = pfrec(&[
        "-o",
        "-",
        "--",
        "bash",
        "-c",
        script,
        "bash",
        text(&program("mmap-workload")),
    ]);
    let mut recorder = recorder
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(File::create(&errors).unwrap())
        .spawn()
        .unwrap();
    let mut reader = pfanalyze(&["threads", "--format", "json", "-"]);
    let report = reader
        .stdin(recorder.stdout.take().unwrap())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert_eq!(recorder.wait().unwrap().code(), Some(3));
    assert!(report.status.success());
    let table: Value = serde_json::from_slice(&report.stdout).unwrap();
    let rows = table.as_array().unwrap();
    assert!(rows.iter().any(|row| row["comm"] == "pf-worker-0"), "{table}");
    let errors = std::fs::read_to_string(errors).unwrap();
    assert!(errors.contains("from the command\n"), "{errors}");
    assert!(errors.contains(": balanced\n"), "{errors}");
}

#[test]
#[ignore = "needs root"]
fn a_trace_through_a_pipe_is_the_trace_of_a_file() {
    let folder = disk_folder();
    let ended = run({
        let mut command = plain(std::path::Path::new("bash"), &["-c"]);
        command
            .arg(r#""$1" -o - -- ls / > "$TMPDIR/t.pfz""#)
            .args(["bash", text(&program("pfrec"))])
            .env("TMPDIR", folder.path());
        command
    })
    .ok();
    let info = json("info", &folder.path().join("t.pfz"));
    assert_eq!(
        (&info["finished"], &info["damaged_places"]),
        (&true.into(), &0.into()),
        "{info}"
    );
    assert!(ended.stderr.contains("wait4(2) agrees"), "{ended:#?}");
}

/// Every process, so the children are no less meant than their parents.
#[test]
#[ignore = "needs root"]
fn process_0_is_every_process_and_without_children_too() {
    let _alone = alone();
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let recorder = start(pfrec(&[
        "-o",
        text(&trace),
        "-p",
        "0",
        "--no-children",
        "--buffer-size",
        "64M",
    ]));
    until_everything_is_recorded(&folder.path().join("t.pfz.partial"));
    let script = r#""$0" --size 4 --count 500 --format json"#;
    let mut shell = plain(
        std::path::Path::new("sh"),
        &["-c", &format!("{script}; true"), text(&program("mmap-workload"))],
    );
    shell.env("TMPDIR", folder.path());
    let report = run(shell).ok().stdout;
    recorder.signal(nix::sys::signal::Signal::SIGINT);
    let ended = recorder.wait().ok();
    assert!(ended.stderr.contains(": balanced\n"), "{ended:#?}");
    assert_equal_counts(&workers(&report), &faults(&trace, &[]));
}
