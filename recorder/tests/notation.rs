//! The same text means the same in both programs, and what is wrong with it is said in the same words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeSet;

use common::{disk_folder, pfanalyze, pfrec, process::run};

/// Why an option's value is refused, in the words behind clap's.
fn reason(stderr: &str) -> Option<String> {
    let (_, rest) = stderr.split_once("error: invalid value '")?;
    let (_, words) = rest.split_once(" for '")?.1.split_once("': ")?;
    words.lines().next().map(str::to_owned)
}

/// What pfrec and pfanalyze say of an option's value; `None` where it is taken. Neither has anything to work on.
fn refusals(recorder_option: &str, analyzer_option: &str, text: &str, verb: &[&str]) -> [Option<String>; 2] {
    let folder = disk_folder();
    let given = |option: &str| format!("{option}={text}");
    let mut command = pfrec(&["-o", "t.pfz", &given(recorder_option)]);
    command.current_dir(folder.path());
    let recorder = run(command).with_status(125);
    let option = given(analyzer_option);
    let mut command = pfanalyze(&[verb, &["missing.pfz", &option]].concat());
    command.current_dir(folder.path());
    let analyzer = run(command);
    let refused = [reason(&recorder.stderr), reason(&analyzer.stderr)];
    match &refused {
        [Some(_), Some(_)] => assert_eq!(analyzer.status.code(), Some(2), "{analyzer:#?}"),
        [None, None] => {
            assert!(recorder.stderr.contains("nothing to record"), "{recorder:#?}");
            assert!(analyzer.stderr.contains("does not exist"), "{analyzer:#?}");
        }
        _ => panic!("{text}: {refused:?}"),
    }
    refused
}

#[test]
fn both_programs_take_the_same_texts_and_refuse_the_others_in_the_same_words() {
    let latencies = [
        "10", "1e3", "100us", "100µs", "1.5ms", "1.5 ms", "2s", "1min", "-5", "5m", "soon", "1.2.3", "",
        "1e30",
    ];
    let addresses = [
        "0x1000-0x2000",
        "7f00-8f00",
        "0x1000-2000",
        "1000-2000",
        "0x2000-0x1000",
        "0x1000",
        "x-y",
        "",
    ];
    let names = [
        "main",
        "pf-*",
        "a,b",
        "w?rker",
        "a-name-that-is-too-long",
        "",
        "a,,b",
        "far-too-long-a-name*",
    ];
    let sizes = [
        "16MiB", "16M", "16m", "16777216", "1g", "16 MiB", "much", "-1", "",
    ];
    let intervals = ["1000", "1s", "250ms", "0.5s", "-1", "x", ""];
    let ids = ["4711", "4711,4712", "x", "-1", "1.5", "99999999999"];
    let all: [(&str, &str, &[&str], &[&str]); 6] = [
        ("--min-latency", "--min-latency", &[], &latencies),
        ("--address", "--address", &["heatmap"], &addresses),
        ("--comm", "--comm", &[], &names),
        ("--buffer-size", "--memory-limit", &[], &sizes),
        ("--interval", "--interval", &["timeline"], &intervals),
        ("--pid", "--pid", &[], &ids),
    ];
    for (recorder_option, analyzer_option, verb, texts) in all {
        for text in texts {
            // With a process there is something to record.
            if recorder_option == "--pid" && are_ids(text) {
                continue;
            }
            let [recorder, analyzer] = refusals(recorder_option, analyzer_option, text, verb);
            assert_eq!(recorder, analyzer, "{recorder_option}={text}");
        }
    }
}

fn are_ids(text: &str) -> bool {
    text.split(',').all(|id| id.parse::<u32>().is_ok())
}

#[test]
fn a_command_without_two_dashes_is_answered_with_the_whole_line() {
    let folder = disk_folder();
    for (arguments, line) in [
        (&["-o", "f", "true"][..], "-o f -- true"),
        (&["-o", "f", "ls", "-l"], "-o f -- ls -l"),
        (&["true"], "-- true"),
    ] {
        let mut command = pfrec(arguments);
        command.current_dir(folder.path());
        let ended = run(command).with_status(125);
        assert!(
            ended
                .stderr
                .contains("tip: the command to record stands after --: ")
                && ended.stderr.contains(line),
            "{ended:#?}"
        );
    }
}

#[test]
fn wrong_usage_has_one_form_in_both_programs() {
    let folder = disk_folder();
    for mut command in [
        pfrec(&["-o", "t.pfz"]),
        pfrec(&["-o", "t.pfz", "-d", "soon", "-a"]),
        pfanalyze(&[]),
        pfanalyze(&["t.pfz", "--from", "2", "--to", "1"]),
        pfanalyze(&["t.pfz", "--from", "soon"]),
    ] {
        command.current_dir(folder.path());
        let ended = run(command);
        assert!(ended.stderr.starts_with("error: "), "{ended:#?}");
        assert!(
            ended
                .stderr
                .ends_with("\n\nFor more information, try '--help'.\n"),
            "{ended:#?}"
        );
    }
}

#[test]
#[ignore = "needs root"]
fn patterns_of_names_are_matched_in_the_kernel_and_an_empty_trace_says_who_was_seen() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let workload = common::program("mmap-workload");
    let record = |comm: &str| {
        let arguments = [
            "-o",
            common::text(&trace),
            "--comm",
            comm,
            "--",
            common::text(&workload),
        ];
        let storm = ["--anon", "--size", "4MiB", "--threads", "3", "--count", "500"];
        let ended = run(pfrec(&[&arguments[..], &storm].concat())).ok();
        let listed = run(pfanalyze(&["events", common::text(&trace), "--format", "json"])).ok();
        std::fs::remove_file(&trace).unwrap();
        let name = |line: &str| {
            let fault: serde_json::Value = serde_json::from_str(line).unwrap();
            fault["comm"].as_str().unwrap().to_owned()
        };
        let names: BTreeSet<String> = listed.stdout.lines().map(name).collect();
        (Vec::from_iter(names), ended.stderr)
    };
    let all = ["pf-worker-0", "pf-worker-1", "pf-worker-2"];
    assert_eq!(record("pf-worker-?").0, all);
    assert_eq!(record("pf-w*").0, all);
    assert_eq!(record("pf-worker-0,*-2").0, ["pf-worker-0", "pf-worker-2"]);
    assert_eq!(record("pf-worker-1").0, ["pf-worker-1"]);
    let (names, said) = record("pf-worker");
    assert!(names.is_empty());
    assert!(
        said.contains("--comm: no thread was called pf-worker; seen were pf-worker-0, "),
        "{said}"
    );
}
