//! `-p`: running processes, their threads and children, and the ways such a recording ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{collections::HashSet, fs, os::unix::process::CommandExt, path::Path};

use common::{
    disk_folder, now_ns, pfrec, plain,
    process::{Process, run, start},
    program, text,
    trace::{contents, faults, json, until_recording},
    until_written,
    workload::{assert_each_touch, touches},
};
use nix::sys::signal::Signal;

/// A workload of several threads that faults steadily: `count` milliseconds and a bit.
fn steady(folder: &Path, count: &str) -> Process {
    let log = folder.join("touches.csv");
    let mut command = plain(&program("mmap-workload"), &["--log-touches", text(&log)]);
    command
        .args(["--size", "32", "--threads", "4", "--delay", "1", "--count", count])
        .env("TMPDIR", folder);
    start(command)
}

fn attach(trace: &Path, target: &Process, options: &[&str]) -> Process {
    let pid = target.pid().to_string();
    let recorder = start(pfrec(&[&["-o", text(trace), "-p", &pid], options].concat()));
    until_recording(&trace.with_extension("pfz.partial"));
    recorder
}

#[test]
#[ignore = "needs root"]
fn every_thread_of_a_running_process_is_recorded_until_it_ends() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let target = steady(folder.path(), "3000");
    let recorder = attach(&trace, &target, &[]);
    let since_ns = now_ns();
    target.wait().ok();
    let ended = recorder.wait().ok();
    assert!(ended.stderr.contains("nothing lost"), "{ended:#?}");
    assert!(ended.stderr.contains(": balanced\n"), "{ended:#?}");

    let mut touches = touches(&folder.path().join("touches.csv"));
    touches.retain(|touch| touch.begin_ns >= since_ns);
    let tids: HashSet<u32> = touches.iter().map(|touch| touch.tid).collect();
    assert_eq!(tids.len(), 4, "attached too late to see every thread");
    let with_fault = assert_each_touch(&touches, &faults(&trace, &[])).len();
    eprintln!(
        "{with_fault} of {} touches after the attachment have a fault",
        touches.len()
    );
    assert!(with_fault > 100, "{with_fault}");
    let mut names: Vec<String> = common::trace::thread_names(&trace);
    names.retain(|name| name.starts_with("pf-worker-"));
    names.sort();
    assert_eq!(
        names,
        ["pf-worker-0", "pf-worker-1", "pf-worker-2", "pf-worker-3"]
    );
}

#[test]
#[ignore = "needs root"]
fn a_duration_ends_the_recording_and_not_the_target() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let mut target = steady(folder.path(), "600000");
    attach(&trace, &target, &["-d", "1.5"]).wait().ok();
    assert!(target.is_alive());
    let info = json("info", &trace);
    assert_eq!(info["finished"], true);
    let seconds = info["duration_s"].as_f64().unwrap();
    assert!((1.4..5.0).contains(&seconds), "{seconds}");
}

#[test]
#[ignore = "needs root"]
fn ctrl_c_ends_the_recording_with_a_complete_file() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let mut target = steady(folder.path(), "600000");
    let recorder = attach(&trace, &target, &[]);
    recorder.signal(Signal::SIGINT);
    let ended = recorder.wait().ok();
    assert!(ended.stderr.contains("Ctrl-C"), "{ended:#?}");
    assert!(contents(&trace).summary.finished);
    assert!(target.is_alive());
}

#[test]
#[ignore = "needs root"]
fn sigterm_is_passed_on_to_the_command_and_its_status_comes_back() {
    for (script, status) in [
        (
            r#"trap 'exit 9' TERM; echo up > "$1"; while :; do sleep 0.05; done"#,
            9,
        ),
        (r#"echo up > "$1"; exec sleep 600"#, 143),
    ] {
        let folder = disk_folder();
        let trace = folder.path().join("t.pfz");
        let ready = folder.path().join("ready");
        let recorder = start(pfrec(&[
            "-o",
            text(&trace),
            "--",
            "bash",
            "-c",
            script,
            "bash",
            text(&ready),
        ]));
        until_written(&ready);
        recorder.signal(Signal::SIGTERM);
        recorder.wait().with_status(status);
        assert!(contents(&trace).summary.finished);
    }
}

/// Attaches to a shell that starts a workload afterwards; returns the shell's pid and the pids recorded.
fn record_shell(options: &[&str]) -> (u32, HashSet<u32>, Vec<String>) {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    // The subshells make the shell itself fault until the recorder is seen to record.
    let script = r#"
        while [ ! -e "$TMPDIR/go" ]; do (:); sleep 0.02; done
        "$1" --size 4 --count 500 > "$TMPDIR/report"
    "#;
    let mut shell = plain(
        Path::new("bash"),
        &["-c", script, "bash", text(&program("mmap-workload"))],
    );
    shell.env("TMPDIR", folder.path());
    let shell = start(shell);
    let recorder = attach(&trace, &shell, options);
    fs::write(folder.path().join("go"), "").unwrap();
    let pid = shell.pid();
    shell.wait().ok();
    let ended = recorder.wait().ok();
    assert!(ended.stderr.contains(": balanced\n"), "{ended:#?}");
    let pids = faults(&trace, &[]).iter().map(|fault| fault.pid).collect();
    (pid, pids, common::trace::thread_names(&trace))
}

#[test]
#[ignore = "needs root"]
fn children_born_after_the_attachment_are_recorded() {
    let (pid, pids, names) = record_shell(&[]);
    assert!(pids.contains(&pid) && pids.len() > 1, "{pids:?}");
    assert!(names.iter().any(|name| name == "pf-worker-0"), "{names:?}");
}

#[test]
#[ignore = "needs root"]
fn children_are_left_out_when_asked() {
    let (pid, pids, _) = record_shell(&["--no-children"]);
    assert_eq!(pids, HashSet::from([pid]));
}

#[test]
#[ignore = "needs root"]
fn a_duration_ends_the_recording_and_the_command_goes_on() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let (go, proof) = (folder.path().join("go"), folder.path().join("proof"));
    let script = r#"while [ ! -e "$1" ]; do sleep 0.05; done; echo done > "$2"; exit 5"#;
    let recorder = start(pfrec(&[
        "-o",
        text(&trace),
        "-d",
        "0.3",
        "--",
        "bash",
        "-c",
        script,
        "bash",
        text(&go),
        text(&proof),
    ]));
    common::until("the complete trace", || trace.exists().then_some(()));
    assert!(!proof.exists());
    fs::write(&go, "").unwrap();
    recorder.wait().with_status(5);
    assert_eq!(until_written(&proof), "done\n");
}

#[test]
#[ignore = "needs root"]
fn minor_faults_that_nobody_asked_for_are_counted_of_threads_that_go_on_too() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let mut command = plain(&program("mmap-workload"), &["--anon", "--size", "256"]);
    command.args([
        "--pattern",
        "seq",
        "--threads",
        "4",
        "--delay",
        "1",
        "--count",
        "600000",
    ]);
    let mut target = start(command);
    let pid = target.pid().to_string();
    let recorder = run(pfrec(&[
        "-o",
        text(&trace),
        "--major-only",
        "-p",
        &pid,
        "-d",
        "1.5",
    ]))
    .ok();
    assert!(target.is_alive());
    let info = json("info", &trace);
    let number = |name: &str| info[name].as_u64().unwrap();
    assert_eq!(number("recorded"), number("kernel_majors"), "{info}");
    // Four threads with a page each millisecond, and at times an emulated CPU.
    assert!(number("filtered") > 200, "{info}");
    assert_eq!(number("filtered"), number("kernel_minors"), "{info}");
    assert!(recorder.stderr.contains(": balanced\n"), "{recorder:#?}");
}

/// Faults of both kinds that pass no filter: no record tells of their class.
#[test]
#[ignore = "needs root"]
fn what_filters_leave_out_of_threads_that_go_on_keeps_its_class() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let mut target = steady(folder.path(), "600000");
    let pid = target.pid().to_string();
    for options in [&["--comm", "nobody"][..], &["--comm", "nobody", "--major-only"]] {
        let recorder = run(pfrec(
            &[&["-o", text(&trace), "-p", &pid, "-d", "1.5"], options].concat(),
        ))
        .ok();
        let info = json("info", &trace);
        let number = |name: &str| info[name].as_u64().unwrap();
        // As the machine's own count of MAJ events has it.
        let majors = number("kernel_majors");
        assert!(majors > 20, "{options:?} {info}");
        if options.contains(&"--major-only") {
            let counted = recorder.stderr.split("; of the recorded tasks: ").nth(1).unwrap();
            let counted: String = counted.chars().take_while(|c| *c != ';' && *c != '\n').collect();
            assert_eq!(counted.replace(',', "").parse(), Ok(majors), "{recorder:#?}");
        }
        assert!(recorder.stderr.contains(": balanced\n"), "{recorder:#?}");
    }
    assert!(target.is_alive());
}

/// It has probes of queries, which are looked for in what it runs.
#[test]
#[ignore = "needs root"]
fn a_process_that_ends_while_it_is_attached_to_is_no_defect_of_a_probe() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    for milliseconds in (1..400).step_by(20) {
        let mut command = plain(&program("mmap-workload"), &["--size", "1", "--count"]);
        command
            .args([&milliseconds.to_string(), "--delay", "1"])
            .env("TMPDIR", folder.path());
        let target = start(command);
        let pid = target.pid().to_string();
        let recorder = start(pfrec(&["-o", text(&trace), "-p", &pid]));
        target.wait().ok();
        let ended = recorder.wait();
        let is_whole = ended.status.success() && ended.stderr.contains(": balanced\n");
        assert!(
            is_whole || ended.stderr.contains("there is no such process"),
            "after {milliseconds} ms: {ended:#?}"
        );
        fs::remove_file(&trace).ok();
    }
}

#[test]
#[ignore = "needs root"]
fn a_limit_of_open_files_is_told_as_that() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let words = pfrec(&["-o", text(&trace), "--", "true"]);
    // Wherever it is met first. With fewer than this many, programs of the system cannot start.
    for limit in (12..=52).step_by(4) {
        let limit = limit.to_string();
        let mut limited = plain(Path::new("sh"), &["-c", "ulimit -n \"$0\"; exec \"$@\"", &limit]);
        limited.arg(words.get_program()).args(words.get_args());
        // What whoever runs the tests left open takes none of these.
        // SAFETY: the call only changes flags of descriptors.
        unsafe {
            limited.pre_exec(|| {
                libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed());
                Ok(())
            });
        }
        let ended = run(limited).with_status(125);
        assert!(ended.stderr.contains("ulimit -n 1024"), "{limit}: {ended:#?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{limit}");
    }
}

/// The counters of a shell, a terminal or the first process are inherited by pfrec, which nobody records.
#[test]
#[ignore = "needs root"]
fn what_pfrec_descends_from_is_counted_without_pfrec() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let own = std::process::id().to_string();
    let ended = run(pfrec(&[
        "-o",
        text(&trace),
        "-p",
        &own,
        "--strict",
        "-d",
        "300ms",
    ]))
    .ok();
    assert!(ended.stderr.contains(": balanced\n"), "{ended:#?}");
}
