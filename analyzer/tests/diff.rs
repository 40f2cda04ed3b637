//! Two recordings compared: numbers against plain loops, and what is said of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod query_fixture;
mod stack_fixture;
mod support;

use pf_formats::{CommId, Dict, Event, Happening, LossReason, Meta, ObjectId, ObjectKind, TimelineEntry};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Output};
use support::{
    MS, START_NS, dicts, events, file_fault, heap_fault, loss, meta, object, small, totals, trace, writer,
};
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn new(a: &[u8], b: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.pfz"), a).unwrap();
        fs::write(dir.path().join("b.pfz"), b).unwrap();
        Self(dir)
    }

    fn run(&self, options: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
            .current_dir(self.0.path())
            .args([&["diff", "a.pfz", "b.pfz"], options].concat())
            .output()
            .unwrap()
    }

    fn text(&self, options: &[&str]) -> String {
        let output = self.run(options);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, options: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[&["--format", "json"], options].concat())).unwrap()
    }

    /// The text without its line breaks.
    fn flat(&self, options: &[&str]) -> String {
        self.text(options)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }
}

fn rows<'a>(answer: &'a Value, by: &'a str) -> Vec<&'a Value> {
    let all = answer["rows"].as_array().unwrap().iter();
    all.filter(|row| row["by"] == by).collect()
}

fn ns(value: &Value) -> u64 {
    (value.as_f64().unwrap() * 1e6).round() as u64
}

/// Faults without a pattern, and as many more and slower as `factor` says.
fn faults(seed: u64, factor: u64) -> Vec<Event> {
    let mut state = seed;
    let mut random = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    (0..2_000 * factor)
        .map(|index| {
            let (latency_ns, page) = (200 + random(90_000) * factor, random(3_000));
            let base = match random(3) {
                0 => heap_fault(index / 100, latency_ns, page),
                _ => file_fault(index / 100, latency_ns, page),
            };
            Event {
                tid: 100 + random(7) as u32,
                comm: CommId(1 + random(2) as u32),
                major: base.object == ObjectId(1) && random(2) == 0,
                ..base
            }
        })
        .collect()
}

#[test]
fn the_same_recording_twice_has_not_changed() {
    let place = Place::new(&small(), &small());
    let text = place.flat(&[]);
    assert!(text.starts_with("fair can be compared: same filters, backend, options, scope, recorder, command and machine change nothing: both waited 2.00 ms in 4 major, 3 minor"), "{text}");
    let answer = place.json(&[]);
    assert_eq!(answer["fair"], true);
    let all = answer["rows"].as_array().unwrap();
    assert!(all.len() >= 6);
    for row in all {
        assert_eq!(row["change_ms"].as_f64(), Some(0.0), "{row}");
        assert!(row["change_percent"].as_f64() == Some(0.0), "{row}");
        assert!(
            row["jaccard_percent"].is_null() || row["jaccard_percent"] == 100.0,
            "{row}"
        );
    }
    assert!(place.text(&["--format", "csv"]).lines().count() == all.len() + 1);
}

#[test]
fn numbers_are_those_of_plain_loops() {
    let sides = [faults(3, 1), faults(8, 2)];
    let place = Place::new(
        &trace(&meta(), &dicts(), &sides[0], &[]),
        &trace(&meta(), &dicts(), &sides[1], &[]),
    );
    let answer = place.json(&[]);
    for (by, names) in [
        ("thread", ["main", "worker"]),
        ("file", ["[heap]", "/data/segments.bin"]),
    ] {
        let found = rows(&answer, by);
        assert_eq!(found.len(), 2);
        let mut changes = Vec::new();
        for row in found {
            let place = names.iter().position(|name| row["name"] == *name).unwrap();
            let is_its = |event: &&Event| match by {
                "thread" => event.comm.0 == place as u32 + 1,
                _ => event.object.0 == 2 - place as u32,
            };
            for (side, events) in ["a", "b"].iter().zip(&sides) {
                let its: Vec<&Event> = events.iter().filter(is_its).collect();
                let wait: u64 = its.iter().map(|event| event.latency_ns).sum();
                let majors = its.iter().filter(|event| event.major).count() as u64;
                assert_eq!(ns(&row[format!("wait_{side}_ms")]), wait);
                assert_eq!(row[format!("major_{side}")], majors);
                assert_eq!(row[format!("minor_{side}")], its.len() as u64 - majors);
                let mut latencies: Vec<u64> = its.iter().map(|event| event.latency_ns).collect();
                latencies.sort_unstable();
                let p99 = latencies[(latencies.len() * 99).div_ceil(100) - 1];
                let got = (row[format!("p99_{side}_us")].as_f64().unwrap() * 1e3) as u64;
                assert!(got.abs_diff(p99) * 100 <= p99, "{got} {p99}");
            }
            let wait = |side: usize| -> i64 {
                sides[side]
                    .iter()
                    .filter(is_its)
                    .map(|event| event.latency_ns as i64)
                    .sum()
            };
            let change = (row["change_ms"].as_f64().unwrap() * 1e6).round() as i64;
            assert_eq!(change, wait(1) - wait(0));
            let percent = row["change_percent"].as_f64().unwrap();
            assert!((percent - change as f64 * 100.0 / wait(0) as f64).abs() < 0.001);
            changes.push(change);
        }
        assert!(changes.is_sorted_by_key(|change| -change.abs()));
    }
    let pages = |events: &[Event]| -> BTreeSet<u64> {
        let of_file = events.iter().filter(|event| event.object == ObjectId(1));
        of_file.map(|event| event.object_page).collect()
    };
    let (a, b) = (pages(&sides[0]), pages(&sides[1]));
    let files = rows(&answer, "file");
    let file = files
        .iter()
        .find(|row| row["name"] == "/data/segments.bin")
        .unwrap();
    assert_eq!(file["pages_a"], a.len());
    assert_eq!(file["pages_both"], a.intersection(&b).count());
    assert_eq!(file["pages_only_b"], b.difference(&a).count());
    assert_eq!(file["pages_estimated"], false);
    let jaccard = a.intersection(&b).count() as f64 * 100.0 / a.union(&b).count() as f64;
    assert!((file["jaccard_percent"].as_f64().unwrap() - jaccard).abs() < 0.001);
    let heap = files.iter().find(|row| row["name"] == "[heap]").unwrap();
    assert!(heap["pages_a"].is_null());
}

#[test]
fn the_first_lines_say_what_changed_and_where() {
    let before = [
        (0..100)
            .map(|page| file_fault(1 + page / 10, 1_000_000, page))
            .collect::<Vec<_>>(),
        vec![heap_fault(0, 1_000, 0)],
    ]
    .concat();
    let after = [
        file_fault(1, 2_000_000, 7),
        file_fault(2, 2_000_000, 300),
        heap_fault(0, 1_000, 0),
    ];
    let place = Place::new(
        &trace(&meta(), &dicts(), &before, &[]),
        &trace(&meta(), &dicts(), &after, &[]),
    );
    let text = place.flat(&[]);
    for part in [
        "change B waited 4.00 ms instead of 100.00 ms (-96.0 %) in page faults: 2 major instead of 100 (-98.0 %), 1 minor as before",
        "where almost all of the change is in /data/segments.bin: 4.00 ms instead of 100.00 ms",
        "latency a major fault took 2.00 ms instead of 1.00 ms",
        "pages of /data/segments.bin A faulted in 100 distinct pages, B 2: 1 in both (Jaccard 1.0 %), 99 only in A, 1 only in B",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let change = place
        .text(&[])
        .lines()
        .take(3)
        .any(|line| line.starts_with("change "));
    assert!(change);
}

fn temporary(path: &str, pid: u32, extra: &str) -> Vec<u8> {
    let dicts = [
        Dict::Comms {
            first_id: 1,
            entries: vec!["main".into(), "worker".into()],
        },
        Dict::Objects {
            first_id: 1,
            entries: vec![
                object(ObjectKind::File, path),
                object(ObjectKind::Heap, ""),
                object(ObjectKind::File, extra),
            ],
        },
    ];
    let events: Vec<Event> = events()
        .into_iter()
        .chain([Event {
            object: ObjectId(3),
            ..file_fault(91, 10, 1)
        }])
        .map(|event| Event {
            pid,
            tid: event.tid + pid,
            ..event
        })
        .collect();
    let mut writer = writer(&meta(), &dicts, &events, &[]);
    let map = |object, len| TimelineEntry {
        ts_ns: START_NS,
        pid,
        tid: pid,
        what: Happening::Map {
            start: 0x7000,
            len,
            offset: 0,
            prot: 1,
            flags: 1,
            object: ObjectId(object),
        },
    };
    writer.timeline(&[map(1, 1 << 26), map(3, 1 << 12)]).unwrap();
    writer.finish(totals(&events)).unwrap()
}

#[test]
fn other_numbers_of_processes_and_other_temporary_files_are_matched() {
    let place = Place::new(
        &temporary("/var/tmp/walk-Xk2", 7, "/lib/one.so"),
        &temporary("/var/tmp/walk-9aQ", 900, "/opt/lib/one.so"),
    );
    let answer = place.json(&[]);
    let threads: Vec<&str> = rows(&answer, "thread")
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(threads.len(), 2);
    let files = rows(&answer, "file");
    assert_eq!(files.len(), 3, "{files:?}");
    let of = |name: &str| files.iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(of("/var/tmp/walk-Xk2")["name_b"], "/var/tmp/walk-9aQ");
    assert_eq!(of("/var/tmp/walk-Xk2")["jaccard_percent"], 100.0);
    assert_eq!(of("/lib/one.so")["name_b"], "/opt/lib/one.so");
    for row in answer["rows"].as_array().unwrap() {
        assert_eq!(row["change_ms"].as_f64(), Some(0.0), "{row}");
    }
    let text = place.flat(&[]);
    assert!(
        text.contains(
            "/var/tmp/walk-Xk2 in A is taken for /var/tmp/walk-9aQ in B: same folder and mapped size"
        ),
        "{text}"
    );
}

#[test]
fn what_makes_a_comparison_unfair_is_said_first() {
    let base = || trace(&meta(), &dicts(), &events(), &[]);
    let other = |change: &dyn Fn(&mut Meta)| {
        let mut meta = meta();
        change(&mut meta);
        trace(&meta, &dicts(), &events(), &[])
    };
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            other(&|m| m.filters = vec!["minor faults".into()]),
            "left out: A nothing, B minor faults",
        ),
        (other(&|m| m.sample = 16), "sampled differently"),
        (
            other(&|m| m.blind.clear()),
            "backend: A perf, which does not see GUP faults",
        ),
        (
            other(&|m| m.options.push("--stacks".into())),
            "recorded with: A none of --stacks, --breakdown and --query, B --stacks",
        ),
        (
            other(&|m| (m.target, m.command) = ("all".into(), vec![])),
            "recorded: A a command, B all processes",
        ),
        (
            other(&|m| m.host.page_size = 16_384),
            "page size: A 4.0 KiB, B 16.0 KiB",
        ),
        (
            trace(&meta(), &dicts(), &events(), &[loss(LossReason::Reserve, 9)]),
            "B is not whole: lost",
        ),
        (
            support::unfinished(&meta(), &dicts(), &events()),
            "B is not whole: unfinished",
        ),
    ];
    for (b, words) in cases {
        let place = Place::new(&base(), &b);
        let text = place.flat(&[]);
        assert!(text.starts_with("! unfair"), "{text}");
        assert!(text.contains(words), "{words}: {text}");
        assert_eq!(place.json(&[])["fair"], false);
    }
    for (b, words) in [
        (
            other(&|m| m.host.kernel = "7.2\x1b[2J".into()),
            "differs kernel: A 6.12.0, B 7.2\\x1b[2J",
        ),
        (
            other(&|m| m.command.push("-x".into())),
            "differs command: A … 2, B … 2 -x",
        ),
    ] {
        let place = Place::new(&base(), &b);
        let text = place.flat(&[]);
        assert!(
            text.starts_with("fair") && text.contains(words),
            "{words}: {text}"
        );
    }
}

#[test]
fn recordings_of_different_length_are_compared_per_second_too() {
    let mut of_b = totals(&events());
    of_b.end_ns = START_NS + 1_000 * MS;
    let b = writer(&meta(), &dicts(), &events(), &[]).finish(of_b).unwrap();
    let place = Place::new(&small(), &b);
    let text = place.flat(&[]);
    assert!(text.contains("length: A 100.00 ms, B 1.00 s"), "{text}");
    assert!(
        text.contains("per second of recording B waited 2.00 ms instead of 20.02 ms")
            || text.contains("per second of recording B waited 2.00 ms instead of 20.0"),
        "{text}"
    );
    // Parts of the same length are not.
    let text = place.flat(&["--to", "100ms"]);
    assert!(
        !text.contains("length: ") && !text.contains("per second"),
        "{text}"
    );
    // And nothing against something is no comparison.
    let text = place.flat(&["--from", "500ms"]);
    assert!(
        text.contains("unfair nothing of A is in the time that was asked for: it is 100.00 ms long")
            && !text.contains("per second"),
        "{text}"
    );
}

#[test]
fn filters_apply_to_both() {
    let place = Place::new(&small(), &small());
    let answer = place.json(&["--major"]);
    let all = rows(&answer, "class");
    assert_eq!(all.last().unwrap()["minor_a"], 0);
    assert_eq!(all.last().unwrap()["major_b"], 4);
    assert!(
        place
            .flat(&["--comm", "worker*"])
            .contains("filter --comm worker*; only the faults that pass")
    );
}

#[test]
fn queries_are_compared_by_name() {
    let mut queries = query_fixture::queries();
    for query in &mut queries {
        query.own.wait_ns *= 3;
        query.nested.wait_ns *= 3;
    }
    let place = Place::new(
        &query_fixture::known(),
        &query_fixture::query_trace(&query_fixture::events(), &queries),
    );
    let answer = place.json(&[]);
    let found = rows(&answer, "query");
    let waits: BTreeMap<&str, (u64, u64)> = found
        .iter()
        .map(|row| {
            (
                row["name"].as_str().unwrap(),
                (ns(&row["wait_a_ms"]), ns(&row["wait_b_ms"])),
            )
        })
        .collect();
    let select = waits
        .iter()
        .find(|(name, _)| name.starts_with("SELECT"))
        .unwrap()
        .1;
    assert_eq!(*select, (600_000, 1_800_000));
    assert_eq!(found[0]["change_percent"], 200.0);
    assert!(
        place
            .flat(&["--major"])
            .contains("queries are counted whole and not compared")
    );
}

#[test]
fn stacks_are_compared_by_their_innermost_frames() {
    let slower: Vec<Event> = stack_fixture::faults()
        .into_iter()
        .map(|event| Event {
            latency_ns: event.latency_ns * 2,
            ..event
        })
        .collect();
    let place = Place::new(
        &stack_fixture::stack_trace(&meta(), &stack_fixture::faults()),
        &stack_fixture::stack_trace(&meta(), &slower),
    );
    let answer = place.json(&[]);
    let found = rows(&answer, "stack");
    let top = found[0];
    assert_eq!(top["name"], "touch ← step ← walk");
    assert_eq!(
        (ns(&top["wait_a_ms"]), ns(&top["wait_b_ms"])),
        (1_499_000, 2_998_000)
    );
    let sum: u64 = found.iter().map(|row| ns(&row["wait_a_ms"])).sum();
    assert_eq!(sum, 2_000_000);
    let without = Place::new(
        &stack_fixture::stack_trace(&meta(), &stack_fixture::faults()),
        &small(),
    );
    assert!(without.flat(&[]).contains("B has no stacks"));
}

#[test]
fn nothing_against_something_and_nothing_against_nothing() {
    let empty = trace(&meta(), &dicts(), &[], &[]);
    assert!(
        Place::new(&empty, &empty)
            .flat(&[])
            .contains("neither has a page fault")
    );
    let text = Place::new(&empty, &small()).flat(&[]);
    assert!(
        text.contains("B waited 2.00 ms instead of 0 ns in page faults: 4 major instead of 0"),
        "{text}"
    );
    let answer = Place::new(&small(), &empty).json(&[]);
    let file = rows(&answer, "file")[0].clone();
    assert_eq!(
        (&file["pages_a"], &file["pages_b"], &file["jaccard_percent"]),
        (&3.into(), &0.into(), &0.0.into())
    );
    assert_eq!(file["p50_b_us"], Value::Null);
}

#[test]
fn hostile_names_and_huge_numbers_do_no_harm() {
    let evil = "/tmp/\x1b[2J\u{202e}\",\n";
    let dicts = vec![
        Dict::Comms {
            first_id: 1,
            entries: vec![evil.into(), "x\x1b]0;t\x07".into()],
        },
        Dict::Objects {
            first_id: 1,
            entries: vec![object(ObjectKind::File, evil), object(ObjectKind::Heap, "")],
        },
    ];
    let huge: Vec<Event> = events()
        .into_iter()
        .map(|event| Event {
            latency_ns: u64::MAX,
            object_page: u64::MAX >> 12,
            ..event
        })
        .collect();
    let place = Place::new(
        &trace(&meta(), &dicts, &events(), &[]),
        &trace(&meta(), &dicts, &huge, &[]),
    );
    for format in ["table", "json"] {
        for top in ["0", "1"] {
            let text = place.text(&["--format", format, "--top", top]);
            assert!(!text.contains('\x1b') && !text.contains('\x07'), "{text}");
        }
    }
    place.text(&["--format", "csv"]);
    let back = Place::new(
        &trace(&meta(), &dicts, &huge, &[]),
        &trace(&meta(), &dicts, &events(), &[]),
    );
    assert!(back.flat(&[]).contains("instead of"));
}

#[test]
fn neither_trace_is_overwritten() {
    let place = Place::new(&small(), &small());
    for name in ["a.pfz", "b.pfz"] {
        let output = place.run(&["-o", name]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(fs::read(place.0.path().join(name)).unwrap(), small());
    }
}
