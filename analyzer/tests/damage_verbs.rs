//! Every verb that `pfanalyze --help` lists, on cut and on changed traces: it answers, or says in words why not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod query_fixture;
mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What the verbs want beside the trace; all others take it alone.
const WANTED: [(&str, &[&str]); 4] = [
    (
        "sql",
        &["SELECT count(*), sum(latency_ns), max(file) FROM faults"],
    ),
    ("diff", &["whole.pfz"]),
    ("regions", &["--file", "/data/segments.bin"]),
    ("repair", &["-o", "mended.pfz"]),
];

fn pfanalyze(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The verbs of the help, and none of them is `help`.
fn verbs() -> Vec<String> {
    let help = pfanalyze(Path::new("/"), &["--help"]);
    let help = String::from_utf8(help.stdout).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let verbs = listed
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help");
    let verbs: Vec<String> = verbs.map(str::to_owned).collect();
    assert!(verbs.len() >= 15, "{verbs:?}\n{help}");
    verbs
}

/// Asks `verb` about `damaged`, in every way it has to answer. Exit status: 0, 1 or 3, and never a panic or a signal;
/// 2 would mean that the test does not know how to ask.
fn ask(folder: &Path, verb: &str, what: &str) {
    let wanted = WANTED
        .iter()
        .find(|(name, _)| *name == verb)
        .map_or(&[][..], |row| row.1);
    let formats: &[&[&str]] = match verb {
        "repair" => &[&[]],
        _ => &[&[], &["--format", "json"]],
    };
    for format in formats {
        fs::remove_file(folder.join("mended.pfz")).ok();
        let arguments = [&[verb, "damaged.pfz"], wanted, format].concat();
        let output = pfanalyze(folder, &arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        let status = output.status;
        assert!(
            status.signal().is_none()
                && matches!(status.code(), Some(0 | 1 | 3))
                && !said.contains("panicked"),
            "{arguments:?}, {what}: {status}: {said}"
        );
        assert_eq!(
            status.code() == Some(1),
            said.contains("error: "),
            "{arguments:?}, {what}: {status}: {said}"
        );
    }
}

fn ask_all(bytes: &[u8], whole: &[u8], what: &str, verbs: &[String]) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("whole.pfz"), whole).unwrap();
    fs::write(folder.path().join("damaged.pfz"), bytes).unwrap();
    for verb in verbs {
        ask(folder.path(), verb, what);
    }
}

#[test]
fn every_verb_answers_of_the_whole_trace() {
    let whole = query_fixture::known();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("whole.pfz"), &whole).unwrap();
    fs::write(folder.path().join("damaged.pfz"), &whole).unwrap();
    for verb in verbs() {
        let wanted = WANTED
            .iter()
            .find(|(name, _)| *name == verb)
            .map_or(&[][..], |row| row.1);
        let output = pfanalyze(folder.path(), &[&[verb.as_str(), "damaged.pfz"], wanted].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        // `memory` and `stacks` may find nothing to tell in so small a trace, and say so.
        assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{verb}: {said}");
    }
}

#[test]
fn every_verb_bears_a_trace_that_is_cut() {
    let whole = query_fixture::known();
    let verbs = verbs();
    for part in 0..12 {
        let length = whole.len() * part / 12;
        ask_all(&whole[..length], &whole, &format!("cut at {length}"), &verbs);
    }
}

#[test]
fn every_verb_bears_a_trace_with_changed_bytes() {
    let verbs = verbs();
    for whole in [support::small(), query_fixture::known()] {
        for part in 0..10 {
            let mut bytes = whole.clone();
            let position = 64 + (whole.len() - 64) * part / 10;
            bytes[position] ^= 0x55;
            ask_all(&bytes, &whole, &format!("changed at {position}"), &verbs);
        }
    }
}
