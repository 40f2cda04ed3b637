//! The live monitor on a terminal: drawn in place, obeying keys, and the terminal given back as it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{fs, io::Read, os::unix::process::ExitStatusExt, path::Path, time::Instant};

use common::{
    disk_folder, pfrec, plain, program,
    terminal::{Terminal, open_terminal, spawn_on},
    text,
    trace::contents,
    until,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";

#[test]
#[ignore = "needs root"]
fn the_table_is_drawn_in_place_and_obeys_its_keys() {
    let workload = program("mmap-workload");
    // It prints its report when it is over.
    let mut command = pfrec(&["-i", "100", "--", text(&workload)]);
    command.args(["--anon", "--size", "64", "--count", "3000", "--delay", "1"]);
    let mut terminal = Terminal::start(command);
    terminal.until_shown("WAIT_%");
    terminal.until_shown("slots in use");
    assert!(!terminal.is_cooked());
    terminal.press_until("?", "reverse the order");
    terminal.press_until("x", "q quit");
    terminal.press_until(">", "sort: PID");
    terminal.press_until("r", "sort: PID, reversed");
    terminal.press_until("c", "in the interval");
    terminal.press_until("p", "PAUSED");
    terminal.press_until("p", "p pause");
    // Everything is drawn anew, and cut at the edge.
    let from = terminal.shown.lock().unwrap().len();
    terminal.resize(10, 60);
    terminal.until_shown_from(from, "\x1b[2J");
    terminal.until_shown_from(from, "q quit");
    terminal.press("q");
    let (status, shown) = terminal.wait();
    assert_eq!(status.code(), Some(0), "{shown}");
    let (drawn, after) = shown.split_once(LEAVE).expect("the screen is left");
    assert!(drawn.contains(ENTER) && !drawn.contains("checksum:"), "{drawn}");
    assert!(
        after.contains("no trace was written") && after.contains(": balanced"),
        "{after}"
    );
    assert!(after.contains("waiting for the command to end"), "{after}");
    // The command's own report, though it ran on.
    assert!(after.contains("checksum:"), "{after}");
}

#[test]
#[ignore = "needs root"]
fn files_of_a_recording_are_shown_instead_of_threads() {
    let folder = disk_folder();
    let (trace, data) = (folder.path().join("t.pfz"), folder.path().join("data"));
    fs::write(&data, vec![1; 4 << 20]).unwrap();
    let mut command = pfrec(&[
        "-i",
        "100",
        "-o",
        text(&trace),
        "--",
        text(&program("mmap-workload")),
    ]);
    command.args(["-f", text(&data), "--count", "3000", "--delay", "1"]);
    let mut terminal = Terminal::start(command);
    terminal.until_shown("WAIT_%");
    terminal.press_until("f", "/data");
    terminal.press_until(">", "sort: MAJOR");
    terminal.press_until("f", "slots in use");
    terminal.press("q");
    let (status, shown) = terminal.wait();
    assert_eq!(status.code(), Some(0), "{shown}");

    let mut terminal = Terminal::start(pfrec(&["-i", "100", "--", "sleep", "60"]));
    terminal.until_shown("WAIT_%");
    terminal.press_until("f", "Files are shown only beside a recording");
    terminal.press("\x03");
    terminal.wait();
}

#[test]
#[ignore = "needs root"]
fn what_the_command_prints_is_shown_when_the_screen_is_closed() {
    let script = "echo out; echo err >&2; cat; sleep 0.5; echo last; exit 5";
    let terminal = Terminal::start(pfrec(&["-i", "100", "--", "sh", "-c", script]));
    terminal.until_shown("output: err");
    let (status, shown) = terminal.wait();
    assert_eq!(status.code(), Some(5), "{shown}");
    let (_, after) = shown.split_once(LEAVE).expect("the screen is left");
    assert!(after.contains("out\r\nerr\r\nlast\r\n"), "{after}");
}

#[test]
#[ignore = "needs root"]
fn ctrl_c_ends_pfrec_and_the_command_as_without_a_screen() {
    let mut terminal = Terminal::start(pfrec(&["-i", "100", "--", "sleep", "60"]));
    terminal.until_shown("WAIT_%");
    terminal.press("\x03");
    let (status, shown) = terminal.wait();
    assert_eq!(status.code(), Some(128 + 2), "{shown}");
    let (_, after) = shown.split_once(LEAVE).expect("the screen is left");
    // Whichever is noticed first: the signal, or the end of the command by it.
    assert!(after.contains(": balanced"), "{after}");
}

#[test]
#[ignore = "needs root"]
fn a_signal_gives_the_terminal_back() {
    let terminal = Terminal::start(pfrec(&["-i", "100", "-a"]));
    terminal.until_shown("WAIT_%");
    let pid = Pid::from_raw(terminal.child.id().cast_signed());
    kill(pid, Signal::SIGTERM).unwrap();
    let (status, shown) = terminal.wait();
    assert_eq!((status.code(), status.signal()), (Some(0), None), "{shown}");
    assert!(shown.contains(LEAVE), "{shown}");
}

#[test]
#[ignore = "needs root"]
fn what_cannot_be_started_leaves_the_terminal_alone() {
    let terminal = Terminal::start(pfrec(&["-i", "100", "--", "no-such-command-anywhere"]));
    let (status, shown) = terminal.wait();
    assert_eq!(status.code(), Some(127), "{shown}");
    assert!(!shown.contains(ENTER), "{shown}");
    assert!(shown.contains("command not found"), "{shown}");
}

/// As when a session of ssh or tmux ends: the terminal hangs up, and whoever has it is told by a signal, unless that is
/// switched off.
#[test]
#[ignore = "needs root"]
fn a_terminal_that_goes_away_ends_the_view_and_completes_the_trace() {
    let folder = disk_folder();
    for (name, is_told) in [("told", true), ("nohup", false)] {
        let trace = folder.path().join(name);
        let recorder = pfrec(&["-i", "100", "-o", text(&trace), "-a"]);
        let script = if is_told { "" } else { "trap '' HUP; " };
        let script = format!(
            "{script}exec \"$0\" \"$@\" 2> {}",
            text(&folder.path().join("said"))
        );
        let mut command = plain(Path::new("sh"), &["-c", &script]);
        command.arg(recorder.get_program()).args(recorder.get_args());
        let (mut ours, theirs) = open_terminal();
        let mut child = spawn_on(&theirs, command);
        drop(theirs);
        let mut shown = Vec::new();
        while !String::from_utf8_lossy(&shown).contains("WAIT_%") {
            let mut part = [0; 4096];
            let read = ours.read(&mut part).unwrap();
            shown.extend_from_slice(&part[..read]);
        }
        drop(ours);
        let begun = Instant::now();
        let status = until("the end of pfrec", || child.try_wait().unwrap());
        let said = fs::read_to_string(folder.path().join("said")).unwrap();
        assert_eq!(status.code(), Some(0), "{name}: {said}");
        assert!(begun.elapsed().as_secs() < 10, "{name}: {:?}", begun.elapsed());
        assert!(contents(&trace).summary.finished);
        let why = if is_told {
            "("
        } else {
            "(the live view was closed)"
        };
        assert!(said.contains(why) && said.contains(": balanced"), "{said}");
    }
}
