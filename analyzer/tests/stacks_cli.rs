//! `pfanalyze stacks` as a user runs it: where results and remarks go, and what wrong usage says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod stack_fixture;
mod support;

use pf_formats::LossReason;
use stack_fixture::{faults, stack_dicts, stack_trace, symbol_dicts};
use std::fs;
use std::process::{Command, Output, Stdio};
use support::{dicts, loss, meta, small, trace};
use tempfile::TempDir;

struct Run {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(trace: &[u8], arguments: &[&str]) -> Run {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("t.pfz"), trace).unwrap();
    let output: Output = Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
        .current_dir(dir.path())
        .args(["stacks", "t.pfz"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Run {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn people_get_the_tree_and_what_it_leaves_out_on_one_stream() {
    let got = run(&stack_trace(&meta(), &faults()), &[]);
    assert_eq!((got.status, got.stderr.as_str()), (Some(0), ""));
    assert!(
        got.stdout.starts_with(" WAIT_%  SELF_%  FAULTS"),
        "{}",
        got.stdout
    );
    for line in [
        "\nhidden: 1 branch below 0.5 %",
        "\nno stack: 1 fault ",
        "\ntruncated: 10.0 % of the wait,",
    ] {
        assert!(got.stdout.contains(line), "{line}: {}", got.stdout);
    }
    let all = run(
        &stack_trace(&meta(), &faults()),
        &["--min-percent", "0", "--weight", "max", "--depth", "1"],
    );
    assert!(all.stdout.starts_with("  MAX_%  "), "{}", all.stdout);
    assert!(!all.stdout.contains("below"), "{}", all.stdout);
    assert!(all.stdout.contains("deeper than 1"), "{}", all.stdout);
}

#[test]
fn programs_get_results_alone_and_remarks_beside_them() {
    let bytes = stack_trace(&meta(), &faults());
    let folded = run(&bytes, &["--folded"]);
    assert_eq!(folded.status, Some(0));
    let is_folded = |line: &str| {
        let (stack, value) = line.rsplit_once(' ').unwrap();
        stack.contains(';') && value.parse::<u64>().is_ok()
    };
    assert!(folded.stdout.lines().count() == 6 && folded.stdout.lines().all(is_folded));
    assert!(folded.stderr.starts_with("note: no stack: "), "{}", folded.stderr);
    assert!(folded.stderr.contains("\nnote: truncated: "), "{}", folded.stderr);
    let json = run(&bytes, &["--format", "json", "--comm", "worker*"]);
    let rows: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(rows[0]["function"], "_start");
    assert!(!json.stdout.contains("no stack") && !json.stderr.contains("no stack"));
    assert!(json.stderr.starts_with("note: truncated: "), "{}", json.stderr);
}

#[test]
fn losses_come_before_the_tree() {
    let dicts = [dicts(), stack_dicts(), symbol_dicts()].concat();
    let bytes = trace(&meta(), &dicts, &faults(), &[loss(LossReason::Reserve, 3)]);
    let got = run(&bytes, &[]);
    assert!(got.stdout.starts_with("! lost: 3 faults"), "{}", got.stdout);
    let folded = run(&bytes, &["--folded"]);
    assert!(
        folded.stderr.starts_with("warning: lost: 3 faults"),
        "{}",
        folded.stderr
    );
}

#[test]
fn a_trace_without_stacks_is_one_line_and_no_result() {
    for arguments in [&[][..], &["--folded"], &["--format", "json"]] {
        let got = run(&small(), arguments);
        assert_eq!((got.status, got.stdout.as_str()), (Some(1), ""));
        assert_eq!(
            got.stderr,
            "error: the trace has no stacks: record it with 'pfrec --stacks'\n"
        );
    }
}

#[test]
fn wrong_usage_names_the_option() {
    for (arguments, says) in [
        (
            &["--folded", "--format", "csv"][..],
            "--folded is a format of its own",
        ),
        (&["--folded", "--depth", "3"], "--depth"),
        (&["--min-percent", "200"], "percent from 0 to 100"),
        (&["--weight", "bytes"], "--weight"),
    ] {
        let got = run(&small(), arguments);
        assert_eq!(got.status, Some(2), "{arguments:?}: {}", got.stderr);
        assert!(
            got.stderr.starts_with("error: ") && got.stderr.contains(says),
            "{}",
            got.stderr
        );
        assert!(
            got.stderr.ends_with("\nFor more information, try '--help'.\n"),
            "{}",
            got.stderr
        );
    }
}

#[test]
fn the_report_names_the_functions_and_points_to_their_callers() {
    let dir = TempDir::new().unwrap();
    let report = |bytes: &[u8]| {
        fs::write(dir.path().join("t.pfz"), bytes).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
            .current_dir(dir.path())
            .arg("t.pfz")
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = report(&stack_trace(&meta(), &faults()));
    let code = shown.split("\nCode, ").nth(1).unwrap();
    let rows: Vec<Vec<&str>> = code
        .lines()
        .skip(2)
        .take(2)
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows[0],
        ["touch", "(inlined)", "step.h:3", "2", "1.499", "1.400"],
        "{shown}"
    );
    assert_eq!(rows[1][..2], ["walk", "app.c"], "{shown}");
    assert!(
        code.contains("who called them: pfanalyze stacks t.pfz\n"),
        "{shown}"
    );
    assert!(!report(&small()).contains("Code, "));
}

#[test]
fn the_tree_has_the_source_line_and_the_object_of_each_function() {
    let got = run(&stack_trace(&meta(), &faults()), &["--min-percent", "0"]);
    let line = |name: &str| {
        got.stdout
            .lines()
            .find(|line| line.contains(name))
            .unwrap_or_else(|| panic!("{}", got.stdout))
    };
    assert!(
        line("_start").ends_with("_start  app.c  in /usr/bin/app"),
        "{}",
        line("_start")
    );
    assert!(line("main").ends_with("main  app.c:7"), "{}", line("main"));
}
