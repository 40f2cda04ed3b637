//! A real trace cut at each of its bytes: what is whole before the cut comes back, and nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{fs, sync::OnceLock};

use common::{disk_folder, pfanalyze, pfrec, process::run, program, text, trace::blocks};

/// A small recording of about two seconds, so that it has several blocks.
fn recording() -> &'static [u8] {
    static TRACE: OnceLock<Vec<u8>> = OnceLock::new();
    TRACE.get_or_init(|| {
        let folder = disk_folder();
        let trace = folder.path().join("t.pfz");
        let workload = program("mmap-workload");
        let mut command = pfrec(&["-o", text(&trace), "--", text(&workload)]);
        command
            .args([
                "--size", "4", "--count", "1200", "--delay", "1", "--advice", "random",
            ])
            .env("TMPDIR", folder.path());
        run(command).ok();
        fs::read(trace).unwrap()
    })
}

/// Events in the blocks that end at or before `cut`.
fn events_before(blocks: &[(u64, usize)], cut: usize) -> usize {
    let whole = blocks.iter().filter(|(end, _)| *end <= cut as u64);
    whole.map(|(_, events)| events).sum()
}

#[test]
#[ignore = "needs root"]
fn a_cut_at_any_byte_gives_back_every_whole_block() {
    let trace = recording();
    let whole = blocks(trace);
    eprintln!("{} bytes, {} blocks", trace.len(), whole.len());
    assert!(whole.len() >= 2, "{whole:?}");
    for cut in 0..trace.len() {
        let events: usize = blocks(&trace[..cut]).iter().map(|(_, events)| events).sum();
        assert_eq!(events, events_before(&whole, cut), "cut at byte {cut}");
    }
}

#[test]
#[ignore = "needs root"]
fn pfanalyze_reports_what_is_left_of_a_cut_trace_or_says_in_one_line_why_not() {
    let trace = recording();
    let whole = blocks(trace);
    let folder = disk_folder();
    let path = folder.path().join("cut.pfz");
    let ends = whole.iter().map(|(end, _)| *end as usize);
    let around_ends = ends.flat_map(|end| [end - 1, end, end + 1]).take(12);
    let spread = (0..16).map(|part| trace.len() * part / 16);
    let edges = [1, 7, 8, trace.len() - 1];
    for cut in around_ends.chain(spread).chain(edges) {
        fs::write(&path, &trace[..cut]).unwrap();
        for verb in ["", "info", "events"] {
            let arguments: Vec<&str> = [verb, text(&path)]
                .into_iter()
                .filter(|word| !word.is_empty())
                .collect();
            let ended = run(pfanalyze(&arguments));
            assert!(
                !ended.stderr.contains("panicked"),
                "cut at byte {cut}: {ended:#?}"
            );
            match ended.status.code() {
                Some(0) => assert_tells(verb, cut, &ended.stdout, events_before(&whole, cut)),
                Some(1) => {
                    assert_eq!(events_before(&whole, cut), 0, "cut at byte {cut}: {ended:#?}");
                    ended.error(1);
                }
                _ => panic!("cut at byte {cut}: {ended:#?}"),
            }
        }
    }
}

fn assert_tells(verb: &str, cut: usize, stdout: &str, events: usize) {
    match verb {
        // The table has a line of names above the events.
        "events" => assert_eq!(
            stdout.lines().count().saturating_sub(1),
            events,
            "cut at byte {cut}"
        ),
        "info" => {
            let line = stdout.lines().find(|line| line.starts_with("events ")).unwrap();
            let digits: String = line.chars().filter(char::is_ascii_digit).collect();
            assert_eq!(digits, events.to_string(), "cut at byte {cut}: {stdout}");
        }
        _ => {}
    }
}
