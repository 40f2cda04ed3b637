//! An answer without faults says which filter emptied it, and what there is instead.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod query_fixture;
mod support;

use std::fs;
use std::process::Command;
use support::small;

fn said(bytes: &[u8], words: &[&str]) -> (String, String) {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("t.pfz"), bytes).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
        .args(words)
        .current_dir(place.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn the_hint_fits_the_filter_that_emptied_the_answer() {
    for (options, expected) in [
        (
            &["--comm", "nobody"][..],
            "no thread was called nobody; seen were main, worker: pfanalyze threads t.pfz",
        ),
        (
            &["--file", "x.bin"],
            "no file or kind of memory is called x.bin: pfanalyze files t.pfz",
        ),
        (
            &["--min-latency", "2ms"],
            "no fault took --min-latency 2ms or longer: the longest took 1.40 ms: pfanalyze percentiles t.pfz",
        ),
        (
            &["--max-latency", "100ns"],
            "no fault took at most --max-latency 100ns: the shortest took 500 ns: pfanalyze percentiles t.pfz",
        ),
        (
            &["--from", "5"],
            "no fault began at --from 5s or later: the recording is 100.00 ms long, and the last fault began at 90.00 ms: \
             pfanalyze timeline t.pfz",
        ),
        (&["--tid", "9"], "no fault meets --tid 9: pfanalyze threads t.pfz"),
        (
            &["--tid", "100", "--major"],
            "no fault meets all of --tid 100 --major: pfanalyze threads t.pfz",
        ),
    ] {
        for verb in [
            "threads",
            "files",
            "causes",
            "events",
            "percentiles",
            "heatmap",
            "memory",
        ] {
            let (_, hint) = said(&small(), &[&[verb, "t.pfz"], options].concat());
            assert_eq!(hint, format!("no faults pass the filter: {expected}\n"), "{verb}");
        }
    }
}

#[test]
fn queries_that_none_fits_are_not_faults() {
    let (_, hint) = said(&query_fixture::known(), &["queries", "t.pfz", "--pid", "9"]);
    assert_eq!(
        hint,
        "no query passes the filter --pid 9; all queries: pfanalyze queries t.pfz\n"
    );
    let (_, hint) = said(&query_fixture::known(), &["events", "t.pfz", "--query", "none"]);
    assert!(
        hint.contains("no query is called none: pfanalyze queries t.pfz"),
        "{hint}"
    );
}

#[test]
fn a_time_beyond_the_end_has_no_intervals() {
    let (shown, _) = said(&small(), &["timeline", "t.pfz", "--from", "5"]);
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        shown.starts_with(
            "no intervals: --from 5.00 s lies beyond the end of the recording, which is 100.00 ms long"
        ),
        "{shown}"
    );
    let (table, _) = said(&small(), &["timeline", "t.pfz", "--from", "5", "--format", "csv"]);
    assert_eq!(table.lines().count(), 1, "{table}");
}
