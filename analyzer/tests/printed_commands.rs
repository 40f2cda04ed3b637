//! Every command that pfanalyze prints runs when it is pasted into a shell: those of all verbs, over traces with and without
//! queries, stacks, damage and hostile names, under a name that has to be quoted.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod query_fixture;
mod stack_fixture;
mod support;

use pf_formats::{Dict, Event, LossReason, ObjectKind};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use support::{dicts, events, file_fault, heap_fault, loss, meta, object, small, trace};
use tempfile::TempDir;

/// A name with all that a shell reads, and with what a terminal would obey.
const NAME: &str = "it's $HOME \"x\" `id` \\ *\x1b[2J\u{202e}.pfz";
const EVIL_FILE: &str = "/data/it's, a \"file\" $PATH `id` \x1b[2J\u{202e}?*";

/// What is asked of a trace; `T` is the trace.
const LINES: [&[&str]; 34] = [
    &["T"],
    &["T", "--tid", "101"],
    &["T", "--pid", "9"],
    &["T", "--from", "7", "--to", "8"],
    &["T", "--failed"],
    &["T", "--format", "markdown"],
    &["T", "--format", "csv"],
    &["threads", "T"],
    &["threads", "T", "--comm", "nobody"],
    &["files", "T", "--file", "nowhere"],
    &["events", "T", "--min-latency", "9s"],
    &["events", "T", "--max-latency", "1ns"],
    &["events", "T", "--major", "--comm", "main"],
    &["events", "T", "--query", "none"],
    &["events", "T", "--query", "SELECT", "--min-latency", "9s"],
    &["percentiles", "T", "--tid", "7"],
    &["heatmap", "T", "--to", "1ns"],
    &["timeline", "T"],
    &["timeline", "T", "--from", "5"],
    &["memory", "T", "--minor"],
    &["stacks", "T"],
    &["stacks", "T", "--comm", "nobody"],
    &["queries", "T"],
    &["queries", "T", "--pid", "9"],
    &["queries", "T", "--major"],
    &["queries", "T", "--slowest", "1"],
    &["queries", "T", "--id", "99"],
    &["regions", "T"],
    &["regions", "T", "--file", "nowhere"],
    &["info", "T"],
    &["verify", "T"],
    &["sql", "T"],
    &["sql", "T", "SELECT nothing FROM nowhere"],
    &["diff", "T", "other.pfz", "--comm", "nobody"],
];

fn traces() -> Vec<(&'static str, Vec<u8>)> {
    let mut evil = dicts();
    if let Some(Dict::Objects { entries, .. }) = evil.last_mut() {
        entries[0] = object(ObjectKind::File, EVIL_FILE);
    }
    let again: Vec<Event> = (0..40).map(|at| file_fault(at, 2_000_000, at % 4)).collect();
    let threads = (0..30).map(|tid| Event {
        tid: 200 + tid,
        failed: tid == 1,
        ..heap_fault(50, 5_000 + u64::from(tid), u64::from(tid))
    });
    let many: Vec<Event> = again.iter().cloned().chain(threads).collect();
    let losses: Vec<_> = (0..9)
        .map(|at| pf_formats::Loss {
            from_ns: support::START_NS + at * 10 * support::MS,
            to_ns: support::START_NS + (at * 10 + 5) * support::MS,
            ..loss(LossReason::Reserve, 3)
        })
        .collect();
    let mut damaged = small();
    let at = damaged.len() / 2;
    damaged[at] ^= 0x55;
    vec![
        ("small", small()),
        ("queries", query_fixture::known()),
        (
            "stacks",
            stack_fixture::stack_trace(&meta(), &stack_fixture::faults()),
        ),
        ("hostile", trace(&meta(), &evil, &events(), &[])),
        ("many", trace(&meta(), &evil, &many, &losses)),
        ("empty", trace(&meta(), &dicts(), &[], &[])),
        ("damaged", damaged),
    ]
}

struct Place(TempDir);

impl Place {
    fn pfanalyze(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
            .args(words)
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn paste(&self, command: &str) -> Output {
        let folder = Path::new(env!("CARGO_BIN_EXE_pfanalyze")).parent().unwrap();
        let path = format!(
            "{}:{}",
            folder.display(),
            std::env::var("PATH").unwrap_or_default()
        );
        Command::new("bash")
            .args(["-c", command])
            .env("PATH", path)
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

/// From the name of the program to the end of the line, or in Markdown of the code, or where a text in quotes ends.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(at) = line.find("pfanalyze ") else {
            continue;
        };
        let fence: String = line[..at]
            .chars()
            .rev()
            .skip_while(|c| *c == ' ')
            .take_while(|c| *c == '`')
            .collect();
        let mut command = line[at..].to_owned();
        if !fence.is_empty() {
            // The code may stand in bold text.
            let code = command.trim_end_matches('*').trim_end_matches(&fence);
            command = code.trim_end().to_owned();
        }
        if command.starts_with("pfanalyze sql ") {
            while command.matches('"').count() % 2 == 1 + NAME.matches('"').count() % 2 {
                command.push('\n');
                command.push_str(lines.next().unwrap_or_else(|| panic!("no end: {command}")));
            }
        }
        found.push(command);
    }
    found
}

#[test]
fn every_printed_command_runs_when_pasted() {
    let mut tried = BTreeSet::new();
    for (kind, bytes) in traces() {
        let place = Place(tempfile::tempdir().unwrap());
        fs::write(place.0.path().join(NAME), bytes).unwrap();
        fs::write(place.0.path().join("other.pfz"), small()).unwrap();
        for line in LINES {
            let words: Vec<&str> = line
                .iter()
                .map(|&word| if word == "T" { NAME } else { word })
                .collect();
            let output = place.pfanalyze(&words);
            for text in [output.stdout, output.stderr] {
                for command in commands(&String::from_utf8(text).unwrap()) {
                    if !tried.insert((kind, command.clone())) {
                        continue;
                    }
                    let pasted = place.paste(&command);
                    let said = String::from_utf8_lossy(&pasted.stderr).into_owned();
                    let is_done = matches!(pasted.status.code(), Some(0 | 3));
                    assert!(
                        is_done && !said.lines().any(|line| line.starts_with("error: ")),
                        "{kind} {line:?}: {command}\n{said}"
                    );
                }
            }
        }
    }
    // That it finds any is part of the test: one of each verb that is pointed to.
    for verb in [
        "threads",
        "files",
        "events",
        "heatmap",
        "timeline",
        "memory",
        "queries",
        "stacks",
        "info",
        "sql",
        "repair",
        "percentiles",
    ] {
        let begin = format!("pfanalyze {verb} ");
        assert!(
            tried.iter().any(|(_, command)| command.starts_with(&begin)),
            "{verb}"
        );
    }
}

#[test]
fn what_a_command_shows_is_what_the_sentence_says() {
    let place = Place(tempfile::tempdir().unwrap());
    let (_, bytes) = traces().swap_remove(4);
    fs::write(place.0.path().join(NAME), bytes).unwrap();
    let report = String::from_utf8(place.pfanalyze(&[NAME, "--tid", "101,201"]).stdout).unwrap();
    let heatmap = commands(&report)
        .into_iter()
        .find(|command| command.contains(" heatmap "))
        .unwrap();
    let shown = String::from_utf8(place.paste(&heatmap).stdout).unwrap();
    assert!(
        shown.contains("offset in /data/it's, a \"file\""),
        "{heatmap}\n{shown}"
    );
    assert!(
        heatmap.contains("--tid 101,201"),
        "the filter goes with it: {heatmap}"
    );
}
