//! `verify` and `repair` as a user runs them: what they say of damage, their exit status, and what is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use support::{MS, START_NS, dicts, events, heap_fault, meta, small, totals, unfinished};
use tempfile::TempDir;

/// Five blocks of ten faults, 100 ms apart.
fn blocks() -> Vec<u8> {
    let mut writer = support::writer(&meta(), &dicts(), &[], &[]);
    let mut all = Vec::new();
    for block in 0..5 {
        for i in 0..10 {
            all.push(heap_fault(100 * block + i, 500, i));
            writer.push(all.last().unwrap()).unwrap();
        }
        writer.flush_block().unwrap();
    }
    let mut totals = totals(&all);
    totals.end_ns = START_NS + 500 * MS;
    writer.finish(totals).unwrap()
}

/// Where the frame of the block with this number starts.
fn block_at(trace: &[u8], number: usize) -> usize {
    let is_block = |at: &usize| trace[*at..].starts_with(&[0xF7, b'p', b'f', 0xB5, 4]);
    (64..trace.len()).filter(is_block).nth(number).unwrap()
}

/// The same with one bit changed in each of these blocks.
fn flipped(numbers: &[usize]) -> Vec<u8> {
    let mut trace = blocks();
    for number in numbers {
        let at = block_at(&trace, *number) + 200;
        trace[at] ^= 1;
    }
    trace
}

fn sample() -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/cold-zipf/trace.pfz")).unwrap()
}

struct Place(TempDir);

impl Place {
    fn with(name: &str, bytes: &[u8]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.0.path().join(name), bytes).unwrap();
        place
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pfanalyze"));
        command.current_dir(self.0.path()).args(arguments);
        command
    }

    /// Standard output, after the exit status was looked at.
    fn run(&self, arguments: &[&str], code: i32) -> String {
        let output = self.command(arguments).stdin(Stdio::null()).output().unwrap();
        said(&output, code)
    }

    fn piped(&self, arguments: &[&str], input: &[u8], code: i32) -> String {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        said(&child.wait_with_output().unwrap(), code)
    }

    fn fails(&self, arguments: &[&str], code: i32, says: &str) {
        let output = self.command(arguments).stdin(Stdio::null()).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
        assert!(
            message.starts_with("error: ") && message.contains(says),
            "{arguments:?}: {message}"
        );
        let lines = if code == 2 { 3..=7 } else { 1..=1 };
        assert!(lines.contains(&message.lines().count()), "{message}");
        assert!(output.stdout.is_empty());
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn said(output: &Output, code: i32) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    // What info tells people in its table it tells programs there.
    assert!(
        stderr.lines().all(|line| line.starts_with("warning: ")),
        "{stderr}"
    );
    stdout
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_whole_trace_is_one_line_and_status_0() {
    let place = Place::with("t.pfz", &blocks());
    assert_eq!(
        place.run(&["verify", "t.pfz"], 0),
        "whole: 50 events in 5 blocks, nothing lost\n"
    );
    let copied = place.run(&["repair", "t.pfz", "-o", "copy.pfz"], 0);
    assert!(copied.contains("\ncopied: copy.pfz, "), "{copied}");
    assert_eq!(
        fs::read(place.0.path().join("copy.pfz")).unwrap(),
        blocks(),
        "nothing to change"
    );
    let found = json(&place.run(&["verify", "t.pfz", "--format", "json"], 0));
    assert_eq!((&found["whole"], &found["events"]), (&true.into(), &50.into()));
}

#[test]
fn a_sample_is_whole() {
    let place = Place::with("t.pfz", &sample());
    let line = place.run(&["verify", "t.pfz"], 0);
    assert!(line.starts_with("whole: 1,968 events in "), "{line}");
}

#[test]
fn damage_is_told_with_its_place_its_events_and_its_time() {
    let place = Place::with("t.pfz", &flipped(&[1, 3]));
    let told = place.run(&["verify", "t.pfz"], 3);
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 4, "{told}");
    assert!(
        lines[0].starts_with("damaged: ")
            && lines[0].contains(" in 2 places; 20 events are gone, 30 events in 3 blocks")
    );
    let at = block_at(&blocks(), 1);
    assert!(
        lines[1].starts_with(&format!(
            "at byte {}",
            pfanalyze::output::units::grouped(at as u64)
        )),
        "{told}"
    );
    assert!(
        lines[1].ends_with("10 events gone, between 0.100000 s and 0.109001 s"),
        "{told}"
    );
    assert_eq!(
        lines[3],
        "what is there, as a clean trace: pfanalyze repair t.pfz -o t.repaired.pfz"
    );
    let found = json(&place.run(&["verify", "t.pfz", "--format", "json"], 3));
    assert_eq!(found["events_missing"], 20);
    assert_eq!(found["damage"][1]["offset"], block_at(&blocks(), 3));
    assert_eq!(found["damage"][1]["from_s"], 0.3);
    assert_eq!(found["undamaged"], false);
}

#[test]
fn a_repaired_trace_has_the_rest_and_every_verb_says_what_is_missing() {
    let place = Place::with("t.pfz", &flipped(&[1, 3]));
    let told = place.run(&["repair", "t.pfz", "-o", "r.pfz"], 3);
    assert!(
        told.contains("\nrepaired: r.pfz, ")
            && told.ends_with(": 30 events in 3 blocks, read back and compared one by one\n"),
        "{told}"
    );
    assert_eq!(place.names(), ["r.pfz", "t.pfz"], "no temporary file");
    assert_eq!(
        place.run(&["verify", "r.pfz"], 3),
        "undamaged: 30 events in 3 blocks; but not everything is in them\n\
         lost: 20 (the trace was damaged there, and repaired)\n"
    );
    let report = place.run(&["r.pfz"], 0);
    assert!(
        report.starts_with(
            "! lost: 10 faults between 0.100000 s and 0.109001 s (the trace was damaged there, and repaired), \
             of 20 in 2 intervals; counts and waits are too low there\n"
        ),
        "{report}"
    );
    assert!(report.contains("kernel counted 50 faults = 30 recorded + 20 lost + 0 hidden:"));
    assert!(!report.contains("damaged:") && !report.contains("unfinished"));
    let info = json(&place.run(&["info", "r.pfz", "--format", "json"], 0));
    assert_eq!((&info["lost"], &info["events"]), (&20.into(), &30.into()));
    let old = json(&place.run(&["info", "t.pfz", "--format", "json"], 0));
    for same in ["trace_id", "start_utc", "command", "recorder", "start_ns"] {
        assert_eq!(info[same], old[same], "{same}");
    }
}

#[test]
fn standard_input_and_a_partial_file_are_checked_and_repaired_too() {
    let cut = unfinished(&meta(), &dicts(), &events());
    let place = Place::with("t.pfz.partial", &cut);
    let told = place.run(&["verify", "t.pfz.partial"], 3);
    assert!(
        told.starts_with(
            "not whole: 7 events in 1 block; nothing in them is damaged\nunfinished: there is no end record: "
        ),
        "{told}"
    );
    assert_eq!(
        place.piped(&["verify", "-"], &cut, 3).lines().next(),
        told.lines().next()
    );
    place.run(&["repair", "t.pfz.partial", "-o", "t.pfz"], 3);
    place.piped(&["repair", "-", "-o", "piped.pfz"], &cut, 3);
    assert_eq!(place.names(), ["piped.pfz", "t.pfz", "t.pfz.partial"]);
    let read = |name: &str| fs::read(place.0.path().join(name)).unwrap();
    assert_eq!(read("t.pfz"), read("piped.pfz"));
    let report = place.run(&["t.pfz"], 0);
    assert!(
        report.starts_with("! unfinished: the recording did not end as intended"),
        "{report}"
    );
    let told = json(&place.piped(
        &["repair", "-", "-o", "t.pfz", "--format", "json"],
        &flipped(&[0]),
        3,
    ));
    assert_eq!(
        (&told["proven"], &told["written"]["events"]),
        (&true.into(), &40.into())
    );
    assert_eq!(told["found"]["events_missing"], 10);
}

#[test]
fn what_nobody_knows_is_told_as_unknown() {
    let whole = blocks();
    let mut trace = whole[..block_at(&whole, 4)].to_vec();
    let at = block_at(&whole, 1);
    trace[at..at + 40].fill(0);
    let place = Place::with("t.pfz", &trace);
    let told = place.run(&["verify", "t.pfz"], 3);
    assert!(
        told.contains("events may be gone, how many is not known, between 0.01 s and 0.20 s"),
        "{told}"
    );
    place.run(&["repair", "t.pfz", "-o", "r.pfz"], 3);
    let report = place.run(&["r.pfz"], 0);
    assert!(
        report.contains(
            "! lost: an unknown number of faults between 0.01 s and 0.20 s (the trace was damaged there"
        ),
        "{report}"
    );
    let info = place.run(&["info", "r.pfz", "--format", "json"], 0);
    assert!(
        info.contains(r#"{"reason":"damage","count":0,"at_least":true,"#),
        "{info}"
    );
}

#[test]
fn a_lost_record_of_the_recording_leaves_a_report() {
    let mut trace = blocks();
    trace[110] ^= 1;
    let place = Place::with("t.pfz", &trace);
    assert!(
        place
            .run(&["verify", "t.pfz"], 3)
            .contains("\nlost: the record of the recording: ")
    );
    place.run(&["repair", "t.pfz", "-o", "r.pfz"], 3);
    let report = place.run(&["r.pfz"], 0);
    assert!(
        report.contains("recorded  not known: the record of the recording was damaged"),
        "{report}"
    );
}

#[test]
fn losses_of_the_recording_are_status_3_and_open_faults_are_not() {
    use pf_formats::LossReason::{InFlight, Reserve};
    for (reason, code) in [(Reserve, 3), (InFlight, 0)] {
        let trace = support::trace(&meta(), &dicts(), &events(), &[support::loss(reason, 4)]);
        let place = Place::with("t.pfz", &trace);
        let told = place.run(&["verify", "t.pfz"], code);
        assert_eq!(
            told.contains("lost: 4 (the kernel's ring buffer was full: a larger pfrec --buffer-size helps)"),
            code == 3,
            "{told}"
        );
    }
}

#[test]
fn errors_are_one_line_and_leave_nothing_behind() {
    let place = Place::with("t.pfz", &flipped(&[2]));
    fs::write(
        place.0.path().join("text"),
        "no trace, and longer than the header of one would be".repeat(2),
    )
    .unwrap();
    fs::create_dir(place.0.path().join("dir")).unwrap();
    place.fails(&["repair", "t.pfz"], 2, "--output <FILE>");
    place.fails(&["repair", "t.pfz", "-o", "-"], 2, "-o FILE");
    place.fails(
        &["verify", "t.pfz", "--format", "csv"],
        2,
        "possible values: table, json",
    );
    place.fails(&["verify", "t.pfz", "--pid", "1"], 2, "--pid");
    place.fails(&["verify", "text"], 1, "is not a pfrec trace");
    place.fails(&["repair", "text", "-o", "x"], 1, "is not a pfrec trace");
    place.fails(&["repair", "none", "-o", "x"], 1, "does not exist");
    place.fails(&["repair", "t.pfz", "-o", "dir"], 1, "is a directory");
    place.fails(
        &["repair", "t.pfz", "-o", "/dev/null"],
        1,
        "is not a regular file",
    );
    place.fails(&["repair", "t.pfz", "-o", "no/such/x"], 1, "cannot be written");
    place.fails(&["repair", "t.pfz", "-o", "t.pfz"], 1, "is the trace itself");
    fs::hard_link(place.0.path().join("t.pfz"), place.0.path().join("same")).unwrap();
    place.fails(&["repair", "t.pfz", "-o", "same"], 1, "is the trace itself");
    std::os::unix::fs::symlink("text", place.0.path().join("link")).unwrap();
    place.fails(&["repair", "t.pfz", "-o", "link"], 1, "is a symbolic link");
    assert_eq!(place.names(), ["dir", "link", "same", "t.pfz", "text"]);
    assert_eq!(fs::read(place.0.path().join("t.pfz")).unwrap(), flipped(&[2]));
}

#[test]
fn an_older_file_is_replaced_only_by_a_proven_one_and_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::with("t.pfz", &small());
    let older = place.0.path().join("r.pfz");
    let old = support::trace(&meta(), &dicts(), &[], &[]);
    fs::write(&older, &old).unwrap();
    place.fails(&["repair", "none", "-o", "r.pfz"], 1, "does not exist");
    assert_eq!(fs::read(&older).unwrap(), old);
    place.run(&["repair", "t.pfz", "-o", "r.pfz"], 0);
    assert_eq!(fs::read(&older).unwrap(), small());
    assert_eq!(fs::metadata(&older).unwrap().permissions().mode() & 0o777, 0o600);
}
