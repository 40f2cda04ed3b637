//! The binary as a user runs it: every error with its line and exit status, and where output goes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use support::{dicts, events, meta, small, unfinished};
use tempfile::TempDir;

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn run(&self, arguments: &[&str]) -> Output {
        command(self.dir.path())
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

fn command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pfanalyze"));
    command.current_dir(dir).env_remove("NO_COLOR");
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn fails(place: &Place, arguments: &[&str], code: i32, says: &str) {
    let output = place.run(arguments);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
    assert!(
        message.starts_with("error: ") && message.contains(says),
        "{arguments:?}: {message}"
    );
    // Wrong usage has the form of clap's errors, everything else is one line.
    let is_whole = match code {
        2 => message.ends_with("\n\nFor more information, try '--help'.\n"),
        _ => message.lines().count() == 1,
    };
    assert!(is_whole, "{arguments:?}: {message}");
    assert!(output.stdout.is_empty());
}

#[test]
fn every_bad_trace_has_one_line_that_says_what_to_do() {
    let place = Place::new();
    place.file("empty", b"");
    place.file(
        "text",
        "this is no trace, only a text that is longer than any header would be, at all".as_bytes(),
    );
    place.file("short", b"hello");
    fs::create_dir(place.dir.path().join("dir")).unwrap();
    for verb in [
        None,
        Some("threads"),
        Some("events"),
        Some("info"),
        Some("heatmap"),
    ] {
        let with = |trace: &'static str| verb.into_iter().chain([trace]).collect::<Vec<_>>();
        fails(
            &place,
            &with("missing.pfz"),
            1,
            "does not exist: record it with 'sudo pfrec -o missing.pfz",
        );
        fails(&place, &with("empty"), 1, "is empty");
        fails(&place, &with("text"), 1, "is not a pfrec trace");
        fails(&place, &with("short"), 1, "is not a pfrec trace");
        fails(&place, &with("dir"), 1, "is a directory");
    }
}

#[test]
fn a_trace_of_a_newer_version_asks_for_an_update() {
    let place = Place::new();
    let mut header = support::header();
    header.major = 99;
    let writer = pf_formats::TraceWriter::create(Vec::new(), &header, &meta()).unwrap();
    let newer = writer.finish(support::totals(&[])).unwrap();
    place.file("newer.pfz", &newer);
    fails(&place, &["newer.pfz"], 1, "update pfanalyze");
}

#[test]
fn wrong_usage_exits_with_2_in_the_form_of_claps_errors() {
    let place = Place::new();
    place.file("t.pfz", &small());
    for (arguments, says) in [
        (&["t.pfz", "--major", "--minor"][..], "--major and --minor"),
        (
            &["events", "t.pfz", "--minor", "--failed"],
            "--minor and --failed",
        ),
        (
            &["threads", "t.pfz", "--from", "2", "--to", "1"],
            "--from must be before --to",
        ),
        (
            &["t.pfz", "--from", "soon"],
            "not a time: give seconds since the start",
        ),
        (
            &["t.pfz", "--min-latency", "5", "--max-latency", "4"],
            "no fault can pass",
        ),
        (
            &["t.pfz", "--pid", "abc"],
            "invalid value 'abc' for '--pid <PID>': not a number: give the number",
        ),
        (
            &["t.pfz", "--min-latency", "-5"],
            "invalid value '-5' for '--min-latency <TIME>': a time is never below 0",
        ),
        (
            &["t.pfz", "--min-latency", ""],
            "a time is missing: give a number of microseconds",
        ),
        (&["t.pfz", "--comm", ""], "a name is missing"),
        (
            &["threads", "t.pfz", "--sort", "nosuch"],
            "'nosuch' is not a column here; the columns are pid,",
        ),
        (
            &["percentiles", "t.pfz", "--by", "nosuch"],
            "possible values: class, cause, pid",
        ),
        (
            &["events", "t.pfz", "--from", "2000-01-01", "--to", "2000-01-02"],
            "the recording began",
        ),
        (
            &["heatmap", "t.pfz", "--address", "1000-2000"],
            "'1000' could be hexadecimal (0x1000) or decimal (0x3e8)",
        ),
        (
            &["sql", "SELECT 1", "t.pfz"],
            "the trace comes first: pfanalyze sql t.pfz 'SELECT 1'",
        ),
        (&["theads"], "a similar verb exists: pfanalyze threads TRACE"),
        (&["theads", "t.pfz"], "tip: a similar verb exists: 'threads'"),
        (
            &["verify", "t.pfz", "--format", "csv"],
            "possible values: table, json",
        ),
        (&["t.pfz", "--format", "csv"], "name a verb"),
        (&["t.pfz", "--format", "xml"], "xml"),
        (&["walk", "t.pfz"], "give one trace, after the verb"),
        (
            &["t.pfz", "threads"],
            "the verb comes first: pfanalyze threads TRACE",
        ),
        (
            &["threads", "t.pfz", "-o", "x.jpg"],
            "nothing here is written as .jpg: end the name in .txt, .csv, .json",
        ),
        (
            &["verify", "t.pfz", "-o", "x.csv"],
            "nothing here is written as .csv",
        ),
        (
            &["threads", "t.pfz", "-o", "x.png"],
            "nothing here is written as .png",
        ),
        (
            &["heatmap", "t.pfz", "-o", "x.jpg"],
            "nothing here is written as .jpg: end the name in .txt, .png",
        ),
        (&["threads"], "<TRACE>"),
        (&[], "no trace given"),
        (&["t.pfz", "--colour"], "--colour"),
        (&["heatmap", "t.pfz", "--address", "12"], "START-END"),
    ] {
        fails(&place, arguments, 2, says);
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    let place = Place::new();
    for arguments in [&["--help"][..], &["--version"], &["threads", "--help"]] {
        let output = place.run(arguments);
        assert!(output.status.success() && output.stderr.is_empty());
        assert!(stdout(&output).contains("pfanalyze"), "{arguments:?}");
    }
}

#[test]
fn a_file_called_like_a_verb_can_be_given_with_a_path() {
    let place = Place::new();
    place.file("threads", &small());
    let output = place.run(&["./threads"]);
    assert!(output.status.success() && stdout(&output).starts_with("recorded "));
    let output = place.run(&["threads", "threads"]);
    assert!(stdout(&output).starts_with("PID "));
}

#[test]
fn a_trace_on_stdin_gives_the_same_as_the_file() {
    let place = Place::new();
    place.file("t.pfz", &small());
    // The table of events has a column for queries that may still come through a pipe.
    for (verb, format) in ["threads", "files", "percentiles", "heatmap", "info"]
        .map(|verb| (verb, "table"))
        .into_iter()
        .chain([("events", "csv")])
    {
        let from_file = place.run(&[verb, "t.pfz", "--format", format]);
        let mut child = command(place.dir.path())
            .args([verb, "-", "--format", format])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&small()).unwrap();
        let piped = child.wait_with_output().unwrap();
        assert!(piped.status.success(), "{verb}");
        assert_eq!(stdout(&from_file), stdout(&piped), "{verb}");
    }
}

#[test]
fn an_unfinished_trace_is_reported_and_succeeds() {
    let place = Place::new();
    place.file("cut.pfz", &unfinished(&meta(), &dicts(), &events()));
    let output = place.run(&["cut.pfz"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).starts_with("! unfinished: "));
    assert!(output.stderr.is_empty());
    let output = place.run(&["threads", "cut.pfz", "--format", "csv"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).starts_with("pid,tid,comm,major,minor,total_ms,avg_ms,max_ms,min_us,"));
    assert!(stderr(&output).starts_with("warning: unfinished: "));
}

#[test]
fn output_goes_to_the_file_and_never_over_the_trace() {
    let place = Place::new();
    place.file("t.pfz", &small());
    place.file(
        "out.csv",
        "something longer that was here before".repeat(50).as_bytes(),
    );
    let output = place.run(&["threads", "t.pfz", "--format", "csv", "-o", "out.csv"]);
    assert!(output.status.success() && output.stdout.is_empty());
    let written = fs::read_to_string(place.dir.path().join("out.csv")).unwrap();
    assert_eq!(
        written,
        stdout(&place.run(&["threads", "t.pfz", "--format", "csv"]))
    );
    fails(
        &place,
        &["threads", "t.pfz", "-o", "t.pfz"],
        1,
        "is the trace itself",
    );
    assert_eq!(fs::read(place.dir.path().join("t.pfz")).unwrap(), small());
    fails(
        &place,
        &["threads", "t.pfz", "-o", "no/such/dir"],
        1,
        "cannot be written",
    );
}

#[test]
fn a_full_disk_is_an_error() {
    if !Path::new("/dev/full").exists() {
        pf_checks::not_run("full-disk", "there is no /dev/full here");
        return;
    }
    let place = Place::new();
    place.file("t.pfz", &small());
    fails(
        &place,
        &["threads", "t.pfz", "-o", "/dev/full"],
        1,
        "cannot write the result",
    );
    fails(
        &place,
        &["events", "t.pfz", "--format", "csv", "-o", "/dev/full"],
        1,
        "cannot write",
    );
}

#[test]
fn a_reader_that_goes_away_is_success() {
    let place = Place::new();
    let many: Vec<_> = (0..60_000)
        .map(|i| support::heap_fault(i / 1_000, 5, i))
        .collect();
    place.file("t.pfz", &support::trace(&meta(), &dicts(), &many, &[]));
    for format in ["table", "csv", "json"] {
        let mut child = command(place.dir.path())
            .args(["events", "t.pfz", "--format", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0; 10];
        let mut pipe = child.stdout.take().unwrap();
        pipe.read_exact(&mut first).unwrap();
        drop(pipe);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{format}: {}", stderr(&output));
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn the_json_report_is_one_document() {
    let place = Place::new();
    place.file("t.pfz", &small());
    let output = place.run(&["t.pfz", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["info"]["events"], 7);
    assert_eq!(json["threads"][0]["tid"], 101);
    assert_eq!(json["percentiles"][2]["count"], 7);
    assert_eq!(json["files"][0]["pages"], 3);
}

#[test]
fn without_a_terminal_the_report_does_not_depend_on_the_environment() {
    let place = Place::new();
    place.file("t.pfz", &small());
    let plain = place.run(&["t.pfz"]);
    let odd = command(place.dir.path())
        .arg("t.pfz")
        .envs([
            ("COLUMNS", "200"),
            ("TERM", "xterm-256color"),
            ("LANG", "de_DE.UTF-8"),
            ("TZ", "Asia/Tokyo"),
        ])
        .output()
        .unwrap();
    assert_eq!(stdout(&plain), stdout(&odd));
    assert!(!stdout(&plain).contains('\x1b'));
}

#[test]
fn the_trace_on_stdin_is_not_overwritten_either() {
    let place = Place::new();
    let path = place.file("t.pfz", &small());
    let output = command(place.dir.path())
        .args(["threads", "-", "-o", "t.pfz"])
        .stdin(fs::File::open(&path).unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("is the trace itself"));
    assert_eq!(fs::read(&path).unwrap(), small());
}

#[test]
fn a_trace_still_being_written_is_pointed_to() {
    let place = Place::new();
    place.file("t.pfz.partial", &small());
    fails(&place, &["t.pfz"], 1, "so far: pfanalyze t.pfz.partial");
}

#[test]
fn every_verb_says_when_nothing_passes_the_filter() {
    let place = Place::new();
    place.file("t.pfz", &small());
    for verb in ["threads", "files", "percentiles", "heatmap", "events"] {
        let output = place.run(&[verb, "t.pfz", "--pid", "7"]);
        let hint = "no faults pass the filter: no fault meets --pid 7: pfanalyze threads t.pfz\n";
        assert_eq!(
            (output.status.code(), stderr(&output).as_str()),
            (Some(0), hint),
            "{verb}"
        );
    }
    let report = place.run(&["t.pfz", "--pid", "7"]);
    assert!(!stdout(&report).contains("\nwait "));
}

#[test]
fn scaled_results_say_so_once_and_never_among_the_data() {
    let place = Place::new();
    let meta = pf_formats::Meta { sample: 4, ..meta() };
    place.file("t.pfz", &support::trace(&meta, &dicts(), &events(), &[]));
    let said = "minor faults sampled 1 in 4: their counts and waits are scaled up by 4; the kernel counted \
                exactly 3 in the whole recording\n";
    for verb in ["threads", "files", "percentiles", "heatmap"] {
        let table = place.run(&[verb, "t.pfz"]);
        assert_eq!(stdout(&table).matches(said).count(), 1, "{verb}");
        assert!(table.stderr.is_empty(), "{verb}");
        for format in ["csv", "json"] {
            let data = place.run(&[verb, "t.pfz", "--format", format]);
            assert!(!stdout(&data).contains("sampled"), "{verb}");
            assert_eq!(stderr(&data), format!("note: {said}"), "{verb}");
        }
    }
    for arguments in [&["events", "t.pfz"][..], &["info", "t.pfz"]] {
        let unscaled = place.run(arguments);
        assert!(!stdout(&unscaled).contains("scaled") && unscaled.stderr.is_empty());
    }
    let report = place.run(&["t.pfz", "--format", "json"]);
    assert_eq!(stderr(&report), format!("note: {said}"));
}

#[test]
fn failed_faults_can_be_listed_alone() {
    let place = Place::new();
    let mut all = events();
    all[2].failed = true;
    place.file("t.pfz", &support::trace(&meta(), &dicts(), &all, &[]));
    for (class, expected) in [("--failed", 1), ("--major", 4), ("--minor", 2)] {
        let listed = place.run(&["events", "t.pfz", class, "--format", "json"]);
        assert_eq!(stdout(&listed).lines().count(), expected, "{class}");
    }
    let table = place.run(&["threads", "t.pfz"]);
    let remark = "1 fault failed; it is neither major nor minor, and its wait counts\n";
    assert!(stdout(&table).ends_with(remark), "{}", stdout(&table));
}
