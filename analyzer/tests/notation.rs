//! Values as users write them, against what they mean: times by the clock, names, and which events come first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::fs;
use std::process::{Command, Output, Stdio};
use support::small;
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("t.pfz"), small()).unwrap();
        Self(dir)
    }

    /// Asked by somebody in Japan.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pfanalyze"));
        command.current_dir(self.0.path()).env("TZ", "JST-9");
        command.args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    fn events(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        let output = self.run(&[&["events", "t.pfz", "--format", "json"], arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        let lines = String::from_utf8(output.stdout).unwrap();
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(&[&["events", "t.pfz"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

/// The recording begins at 20:00 UTC on 22 November, which is 5:00 of the next day in Japan.
#[test]
fn times_by_the_clock_are_those_of_whoever_asks_unless_they_have_a_zone() {
    let place = Place::new();
    let (all, part) = (
        place.events(&[]),
        place.events(&["--from", "20ms", "--to", "60ms"]),
    );
    assert!(!part.is_empty() && part.len() < all.len());
    for (from, to) in [
        ("05:00:00.02", "05:00:00.06"),
        ("20:00:00.02Z", "20:00:00.06 UTC"),
        ("2026-11-23 05:00:00.02", "2026-11-22T20:00:00.06Z"),
        ("2026-11-22 21:00:00.02+01:00", "60ms"),
        ("20ms", "21:00:00.06 +01:00"),
    ] {
        assert_eq!(place.events(&["--from", from, "--to", to]), part, "{from} {to}");
    }
    // Earlier than the recording is from its start on.
    assert_eq!(place.events(&["--from", "04:00"]), all);
    for (arguments, says) in [
        (
            ["--from", "06:00"],
            "the recording ended before, at 2026-11-23 05:00:00 +09:00",
        ),
        (
            ["--to", "04:00"],
            "the recording began no earlier, at 2026-11-23 05:00:00 +09:00",
        ),
        (["--to", "2026-02-30 04:00"], "there is no such day"),
    ] {
        let said = place.refused(&arguments);
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn names_are_exact_or_patterns_or_lists_and_files_go_by_the_end_of_their_path() {
    let place = Place::new();
    let count = |arguments: &[&str]| place.events(arguments).len();
    let (all, worker, main) = (
        count(&[]),
        count(&["--comm", "worker"]),
        count(&["--comm", "main"]),
    );
    assert!(worker > 0 && main > 0 && worker + main == all);
    assert_eq!(count(&["--comm", "main,worker"]), all);
    assert_eq!(count(&["--comm", "w*"]), worker);
    assert_eq!(count(&["--comm", "work"]), 0);
    let file = count(&["--file", "/data/segments.bin"]);
    assert!(file > 0 && file < all);
    for text in ["segments.bin", "seg*", "/data/*", "*.bin,/no/such"] {
        assert_eq!(count(&["--file", text]), file, "{text}");
    }
    assert_eq!(count(&["--file", "[heap],segments.bin"]), all);
    assert_eq!(count(&["--file", "segments"]), 0);
}

#[test]
fn the_slowest_faults_are_the_first_of_the_events_by_latency() {
    let place = Place::new();
    let mut latencies: Vec<u64> = place
        .events(&[])
        .iter()
        .map(|event| event["latency_ns"].as_u64().unwrap())
        .collect();
    latencies.sort_unstable_by(|a, b| b.cmp(a));
    let first = |arguments: &[&str]| -> Vec<u64> {
        let events = place.events(arguments);
        events
            .iter()
            .map(|event| event["latency_ns"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(first(&["--sort", "latency", "--top", "3"]), latencies[..3]);
    assert_eq!(first(&["--sort", "latency_ns:desc", "--top", "100"]), latencies);
    latencies.reverse();
    assert_eq!(first(&["--sort", "latency:asc", "--top", "2"]), latencies[..2]);
    let all = place.events(&[]);
    assert_eq!(place.events(&["--top", "2"]), all[..2]);
    assert_eq!(place.events(&["--top", "0"]), all);
    assert!(place.refused(&["--sort", "latency"]).contains("give --top N"));
    assert!(
        place
            .refused(&["--sort", "nosuch", "--top", "1"])
            .contains("there are ts_ns, latency_ns")
    );
}
