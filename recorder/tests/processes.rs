//! What processes run, and how COMMAND ended, as a recording has it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{fs::File, path::Path, process::Stdio, time::Duration};

use common::{disk_folder, pfrec, plain, process::run, text};
use pf_formats::{CommandEnd, Item, ProcessEntry, TraceReader};

/// The entries of all processes, and how the command ended.
fn told(trace: &Path) -> (Vec<ProcessEntry>, Option<CommandEnd>) {
    let mut reader = TraceReader::open(File::open(trace).unwrap()).unwrap();
    let (mut entries, mut end) = (Vec::new(), None);
    while let Some(item) = reader.next().unwrap() {
        match item {
            Item::Processes(more) => entries.extend(more),
            Item::Footer(footer) => end = footer.totals.command_end,
            _ => {}
        }
    }
    (entries, end)
}

fn record(
    options: &[&str],
    command: &[&str],
    status: i32,
) -> (Vec<ProcessEntry>, Option<CommandEnd>, String) {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let arguments = [options, &["-o", text(&trace), "--"], command].concat();
    let ended = run(pfrec(&arguments)).with_status(status);
    let (entries, end) = told(&trace);
    (entries, end, ended.stderr)
}

#[test]
#[ignore = "needs root"]
fn the_command_and_what_it_starts_are_told_with_their_arguments() {
    let script = "sleep 0.3; sleep 0.4 & wait; exec sleep 0.2";
    let (entries, end, stderr) = record(&[], &["sh", "-c", script], 0);
    let lines: Vec<String> = entries.iter().map(|entry| entry.command.join(" ")).collect();
    assert_eq!(lines[0], format!("sh -c {script}"), "{entries:#?}");
    for line in ["sleep 0.3", "sleep 0.4", "sleep 0.2"] {
        assert_eq!(
            lines.iter().filter(|told| *told == line).count(),
            1,
            "{entries:#?}"
        );
    }
    assert!(
        entries.iter().all(|entry| entry.executable.starts_with('/')),
        "{entries:#?}"
    );
    // The first and the last are of one process, and what it forked ran the script at first.
    assert_eq!(
        entries[0].pid,
        entries.iter().max_by_key(|entry| entry.ts_ns).unwrap().pid
    );
    assert!(
        entries
            .iter()
            .any(|entry| entry.pid != entries[0].pid && entry.command == entries[0].command)
    );
    assert!(
        entries.iter().all(|entry| !entry.executable.ends_with("pfrec")),
        "{entries:#?}"
    );
    assert_eq!(end, Some(CommandEnd::default()));
    assert!(!stderr.contains("the command ended"), "{stderr}");
}

#[test]
#[ignore = "needs root"]
fn a_command_that_is_over_at_once_is_told_all_the_same() {
    let (entries, _, _) = record(&[], &["true", "x"], 0);
    assert_eq!(entries[0].command, ["true", "x"]);
    assert!(entries[0].executable.ends_with("true") || entries[0].executable.contains("coreutils"));
}

#[test]
#[ignore = "needs root"]
fn how_the_command_ended_is_printed_and_kept() {
    let (_, end, stderr) = record(&[], &["sh", "-c", "exit 7"], 7);
    assert_eq!(
        end,
        Some(CommandEnd {
            by_signal: false,
            number: 7
        })
    );
    assert!(
        stderr.contains("the command ended with exit status 7"),
        "{stderr}"
    );
    let (_, end, stderr) = record(&[], &["sh", "-c", "kill -9 $$"], 137);
    assert_eq!(
        end,
        Some(CommandEnd {
            by_signal: true,
            number: 9
        })
    );
    assert!(
        stderr.contains("the command was ended by signal 9 (SIGKILL)"),
        "{stderr}"
    );
    // It ends after the recording, so the trace cannot know; people are told all the same.
    let (_, end, stderr) = record(&["-d", "0.2"], &["sh", "-c", "sleep 1; exit 5"], 5);
    assert_eq!(end, None);
    assert!(
        stderr.contains("the command ended with exit status 5"),
        "{stderr}"
    );
}

#[test]
#[ignore = "needs root"]
fn a_process_that_was_there_before_is_told_without_following_what_it_names() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let long = "x".repeat(9000);
    // Its command line is longer than what is kept, and it waits for a line that does not come.
    let mut target = plain(Path::new("sh"), &["-c", "read nothing", "a\nb", &long])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let pid = target.id().to_string();
    run(pfrec(&["-o", text(&trace), "-p", &pid, "-d", "0.5"])).ok();
    target.kill().unwrap();
    target.wait().unwrap();
    let (entries, end) = told(&trace);
    let own: Vec<_> = entries
        .iter()
        .filter(|entry| entry.pid.to_string() == pid)
        .collect();
    assert_eq!((own.len(), end), (1, None), "{entries:#?}");
    let bytes: usize = own[0].command.iter().map(|text| text.len() + 1).sum();
    assert!(
        own[0].command.last().unwrap().ends_with("x…") && bytes <= 4096,
        "{bytes}"
    );
    assert!(own[0].command.contains(&"a\nb".to_owned()));
}
