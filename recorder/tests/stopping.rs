//! Signals that end a recording: the second Ctrl-C, a terminal that goes away, and one that was meant not to matter.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{fs, os::unix::process::ExitStatusExt, path::Path, time::Duration};

use common::{
    disk_folder, emulated, now_ns, pfrec, plain,
    process::{Process, run, start},
    program, text,
    trace::{contents, until_recording},
    until, until_written,
};
use nix::sys::signal::Signal;

/// A workload that faults for minutes.
fn steady(folder: &Path) -> Process {
    let mut command = plain(&program("mmap-workload"), &["--size", "32", "--delay", "1"]);
    command.args(["--count", "600000"]).env("TMPDIR", folder);
    start(command)
}

/// It says that it has begun, does not care for Ctrl-C, and ends when it is let go.
const STUBBORN: &str = r#"
    trap '' INT; echo up > "$1"
    while [ ! -e "$2" ]; do sleep 0.05; done
    echo done > "$3"; exit 5
"#;

#[test]
#[ignore = "needs root"]
fn a_second_ctrl_c_ends_pfrec_at_once_and_leaves_the_trace_and_the_command() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let [ready, go, proof] = ["ready", "go", "proof"].map(|name| folder.path().join(name));
    let words = [
        "bash",
        "-c",
        STUBBORN,
        "bash",
        text(&ready),
        text(&go),
        text(&proof),
    ];
    let mut recorder = start(pfrec(&[&["-o", text(&trace), "--"], &words[..]].concat()));
    until_written(&ready);
    recorder.signal(Signal::SIGINT);
    until("the complete trace", || trace.exists().then_some(()));
    assert!(contents(&trace).summary.finished);
    assert!(
        recorder.is_alive(),
        "it waits for the command: {}",
        recorder.stderr()
    );
    // Sooner it would belong to the first one.
    std::thread::sleep(Duration::from_millis(1_100));
    recorder.signal(Signal::SIGINT);
    let ended = recorder.wait();
    assert_eq!(ended.status.signal(), Some(Signal::SIGINT as i32), "{ended:#?}");
    assert!(!proof.exists());
    fs::write(&go, "").unwrap();
    assert_eq!(until_written(&proof), "done\n", "the command went on");
}

#[test]
#[ignore = "needs root"]
fn a_terminal_that_goes_away_ends_the_recording_with_a_complete_file() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let mut target = steady(folder.path());
    let pid = target.pid().to_string();
    let recorder = start(pfrec(&["-o", text(&trace), "-p", &pid]));
    until_recording(&folder.path().join("t.pfz.partial"));
    recorder.signal(Signal::SIGHUP);
    let ended = recorder.wait().ok();
    assert!(ended.stderr.contains("(stopped by a signal)"), "{ended:#?}");
    assert!(ended.stderr.contains(": balanced\n"), "{ended:#?}");
    assert!(contents(&trace).summary.finished);
    assert!(target.is_alive());
}

/// Of the two that end it the command gets SIGTERM, whichever came.
#[test]
#[ignore = "needs root"]
fn a_terminal_that_goes_away_ends_the_command_too() {
    let folder = disk_folder();
    let (trace, ready) = (folder.path().join("t.pfz"), folder.path().join("ready"));
    let script = r#"trap 'exit 9' TERM; echo up > "$1"; while :; do sleep 0.05; done"#;
    let words = ["bash", "-c", script, "bash", text(&ready)];
    let recorder = start(pfrec(&[&["-o", text(&trace), "--"], &words[..]].concat()));
    until_written(&ready);
    recorder.signal(Signal::SIGHUP);
    recorder.wait().with_status(9);
    assert!(contents(&trace).summary.finished);
}

#[test]
#[ignore = "needs root"]
fn under_nohup_a_terminal_that_goes_away_does_not_matter() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let target = steady(folder.path());
    let pid = target.pid().to_string();
    let recorder = pfrec(&["-o", text(&trace), "-p", &pid]);
    let mut words = vec!["-c", r#"trap '' HUP; exec "$0" "$@""#];
    words.push(recorder.get_program().to_str().unwrap());
    words.extend(recorder.get_args().map(|word| word.to_str().unwrap()));
    let mut recorder = start(plain(Path::new("sh"), &words));
    let partial = folder.path().join("t.pfz.partial");
    until_recording(&partial);
    recorder.signal(Signal::SIGHUP);
    let after_ns = now_ns();
    // It goes on: faults of later arrive.
    until("a fault after the signal", || {
        let last_ns = common::trace::try_contents(&partial)?.last_ts_ns;
        (last_ns > after_ns).then_some(())
    });
    assert!(recorder.is_alive());
    recorder.signal(Signal::SIGINT);
    recorder.wait().ok();
}

/// It sends the signal to pfrec, and then to the group that both are in.
#[test]
#[ignore = "needs root"]
fn timeout_ends_a_recording_with_a_complete_file() {
    let folder = disk_folder();
    let target = steady(folder.path());
    let pid = target.pid().to_string();
    // It must have begun by then.
    let seconds = if emulated() { "20" } else { "2" };
    for round in 0..4 {
        let trace = folder.path().join(format!("{round}.pfz"));
        let recorder = pfrec(&["-o", text(&trace), "-p", &pid]);
        let mut command = plain(Path::new("timeout"), &[seconds]);
        command.arg(recorder.get_program()).args(recorder.get_args());
        let ended = run(command).with_status(124);
        assert!(ended.stderr.contains("(stopped by a signal)"), "{ended:#?}");
        assert!(contents(&trace).summary.finished);
    }
}

#[test]
#[ignore = "needs root"]
fn signals_within_a_second_are_one_request() {
    let folder = disk_folder();
    let target = steady(folder.path());
    let pid = target.pid().to_string();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let trace = folder.path().join(format!("{signal}.pfz"));
        let recorder = start(pfrec(&["-o", text(&trace), "-p", &pid]));
        until_recording(&trace.with_extension("pfz.partial"));
        for _ in 0..5 {
            recorder.signal(signal);
        }
        recorder.wait().ok();
        assert!(contents(&trace).summary.finished);
    }
}

/// Shells switch Ctrl-C off for what a script starts in the background.
#[test]
#[ignore = "needs root"]
fn an_interrupt_ends_a_recording_in_the_background_of_a_script() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let target = steady(folder.path());
    let pid = target.pid().to_string();
    let recorder = pfrec(&["-o", text(&trace), "-p", &pid]);
    let mut command = plain(Path::new("sh"), &["-c", "trap '' INT; exec \"$0\" \"$@\""]);
    command.arg(recorder.get_program()).args(recorder.get_args());
    let recorder = start(command);
    until_recording(&folder.path().join("t.pfz.partial"));
    recorder.signal(Signal::SIGINT);
    let ended = recorder.wait().ok();
    assert!(ended.stderr.contains("(stopped by Ctrl-C)"), "{ended:#?}");
    assert!(contents(&trace).summary.finished);
}
