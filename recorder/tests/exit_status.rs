//! Exit statuses: the command's own, or 125, 126 and 127 with one line that says why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{fs, process::Command};

use common::{disk_folder, pfrec, process::run, text};

#[test]
#[ignore = "needs root"]
fn the_status_of_the_command_is_passed_on() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    for (script, status) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("exit 255", 255),
        ("kill -KILL $$", 137),
        ("kill -TERM $$", 143),
    ] {
        let ended = run(pfrec(&["-o", text(&trace), "--", "sh", "-c", script])).with_status(status);
        assert!(ended.stderr.contains(": balanced\n"), "{ended:#?}");
        assert!(trace.exists(), "{script}");
        fs::remove_file(&trace).unwrap();
    }
}

#[test]
#[ignore = "needs root"]
fn a_command_that_does_not_exist_is_127_and_leaves_no_file() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    for command in ["no-such-command-anywhere", "/no/such/command"] {
        let error = run(pfrec(&["-o", text(&trace), "--", command])).error(127);
        assert!(error.contains(command) && error.contains("hint: "), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
#[ignore = "needs root"]
fn a_command_that_cannot_be_executed_is_126_and_leaves_no_file() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let plain = folder.path().join("plain");
    fs::write(&plain, "echo hello\n").unwrap();
    for command in [text(&plain), text(folder.path())] {
        let error = run(pfrec(&["-o", text(&trace), "--", command])).error(126);
        assert!(error.contains(command) && error.contains("hint: "), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn wrong_usage_is_125_and_names_what_is_wrong() {
    for (arguments, expected) in [
        (&["--no-such-flag"][..], "--no-such-flag"),
        (&["-o", "t.pfz", "-a", "-p", "1"], "--pid"),
        (&["-o", "t.pfz"], "nothing to record"),
        (&["-a"], "no output"),
        (&["--", "true"], "no output"),
        (&["-o", "t.pfz", "-p", "1", "--", "true"], "exclude each other"),
        (&["-o", "t.pfz", "-p", "x"], "'x'"),
        (&["-o", "t.pfz", "-d", "0", "--", "true"], "must be more than 0"),
        (
            &["-o", "t.pfz", "--buffer-size", "3M", "--", "true"],
            "power of two",
        ),
        (&["-o", "t.pfz", "--no-children", "--", "true"], "--pid"),
        (&["-o", "t.pfz", "--no-children", "-a"], "--all"),
        (
            &[
                "-o",
                "t.pfz",
                "--user",
                "nobody",
                "--preserve-env",
                "FOO=2",
                "--",
                "true",
            ],
            "names of variables",
        ),
    ] {
        let folder = disk_folder();
        let mut command = pfrec(arguments);
        command.current_dir(folder.path());
        let ended = run(command).with_status(125);
        assert!(ended.stderr.starts_with("error: "), "{ended:#?}");
        assert!(ended.stderr.contains(expected), "{expected}: {ended:#?}");
        assert_eq!(ended.stdout, "");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn help_and_version_are_answers_on_standard_output() {
    for flag in ["--help", "-h", "--version"] {
        let ended = run(pfrec(&[flag])).ok();
        assert!(
            ended.stdout.contains("pfrec") && ended.stderr.is_empty(),
            "{ended:#?}"
        );
    }
}

#[test]
fn a_process_that_is_gone_is_named() {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let pid = child.id().to_string();
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let error = run(pfrec(&["-o", text(&trace), "-p", &pid])).error(125);
    assert!(error.contains(&format!("-p {pid}")), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_output_that_cannot_be_made_is_named_before_the_command_starts() {
    let folder = disk_folder();
    let proof = folder.path().join("proof");
    let missing = folder.path().join("missing/t.pfz");
    // NAME.partial is no name.
    let long = folder.path().join("n".repeat(250));
    for output in [missing.as_path(), folder.path(), &long] {
        let error = run(pfrec(&["-o", text(output), "--", "touch", text(&proof)])).error(125);
        assert!(error.contains(text(output)), "{error}");
    }
    assert!(!proof.exists(), "the command was started");
}
