//! Where the time of faults went: sums against plain loops, and what is shown when nothing or nonsense was recorded.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use pf_formats::{Breakdown, Event, Meta, StackId};
use pfanalyze::engine::filter::Filter;
use pfanalyze::integrity::warnings;
use pfanalyze::output::render::Format;
use pfanalyze::verbs::threads::Threads;
use support::ask::{
    event_rows, events_text, files, flat_report, read, report, report_json, session, threads,
};
use support::{dicts, events, small, totals, trace, writer};

/// Of a backend that sees everything.
fn meta() -> Meta {
    Meta {
        backend: "fentry".into(),
        blind: Vec::new(),
        ..support::meta()
    }
}

fn parts(latency_ns: u64) -> Breakdown {
    Breakdown {
        blocked_ns: latency_ns / 2,
        runqueue_ns: latency_ns / 10,
        reclaim_ns: latency_ns / 4,
        lock_ns: latency_ns / 100,
    }
}

fn with_parts() -> Vec<Event> {
    let mut all = events();
    for event in &mut all {
        event.breakdown = Some(parts(event.latency_ns));
        event.stack = StackId(5);
    }
    all
}

fn broken_down() -> Vec<u8> {
    trace(&meta(), &dicts(), &with_parts(), &[])
}

fn ms(row: &serde_json::Value, name: &str) -> u64 {
    (row[name].as_f64().unwrap() * 1e6).round() as u64
}

#[test]
fn threads_and_files_gain_columns_that_add_up_to_their_wait() {
    let table = threads(&broken_down(), &Filter::default(), Format::Json);
    let by_thread: serde_json::Value = serde_json::from_str(&table).unwrap();
    let by_file: serde_json::Value = serde_json::from_str(&files(&broken_down(), Format::Json)).unwrap();
    for row in by_thread
        .as_array()
        .unwrap()
        .iter()
        .chain(by_file.as_array().unwrap())
    {
        let is_worker = row["tid"] == 101 || row["file"] == "/data/segments.bin";
        let mut expected = [0; 5];
        for event in with_parts()
            .iter()
            .filter(|event| (event.tid == 101) == is_worker)
        {
            let parts = event.breakdown.unwrap();
            let cpu_ns = event.latency_ns - parts.blocked_ns - parts.runqueue_ns;
            let all = [
                parts.blocked_ns,
                parts.runqueue_ns,
                cpu_ns,
                parts.reclaim_ns,
                parts.lock_ns,
            ];
            for (sum, part) in expected.iter_mut().zip(all) {
                *sum += part;
            }
        }
        let names = ["blocked_ms", "runqueue_ms", "cpu_ms", "reclaim_ms", "lock_ms"];
        assert_eq!(names.map(|name| ms(row, name)), expected, "{row}");
        assert_eq!(expected[..3].iter().sum::<u64>(), ms(row, "total_ms"));
    }
    let head = threads(&broken_down(), &Filter::default(), Format::Table);
    assert!(
        head.lines()
            .next()
            .unwrap()
            .ends_with("P99_US  BLOCKED_MS  RUNQUEUE_MS  CPU_MS  RECLAIM_MS  LOCK_MS"),
        "{head}"
    );
}

#[test]
fn without_a_breakdown_nothing_tells_of_one() {
    for shown in [
        threads(&small(), &Filter::default(), Format::Csv),
        files(&small(), Format::Csv),
        report(&small(), &Filter::default()),
        events_text(&small(), Format::Table),
    ] {
        let shown = shown.to_lowercase();
        assert!(!shown.contains("blocked") && !shown.contains("stack"), "{shown}");
    }
    assert!(report_json(&small()).get("breakdown").is_none());
    let row = &event_rows(&small())[0];
    for name in ["blocked_ns", "runqueue_ns", "reclaim_ns", "lock_ns", "stack_id"] {
        assert!(row[name].is_null(), "{name}");
    }
}

#[test]
fn the_report_says_where_the_time_went_by_class() {
    let shown = report(&broken_down(), &Filter::default());
    let expected = "\
Where the time went (blocked: asleep; \"of which\" overlaps the others)
PART              MAJOR_MS  MAJOR_%  MINOR_MS  MINOR_%  ALL_MS  ALL_%
blocked              1.000     50.0     0.001     50.0   1.001   50.0
run queue            0.200     10.0     0.000     10.0   0.200   10.0
CPU                  0.800     40.0     0.001     40.0   0.801   40.0
of which reclaim     0.500     25.0     0.001     25.0   0.501   25.0
of which lock        0.020      1.0     0.000      1.0   0.020    1.0
";
    let section: String = shown
        .lines()
        .skip_while(|line| !line.starts_with("Where"))
        .take(7)
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(section, expected);
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    let json = report_json(&broken_down());
    let classes = json["breakdown"].as_array().unwrap();
    let named: Vec<&str> = classes.iter().map(|row| row["class"].as_str().unwrap()).collect();
    assert_eq!(named, ["major", "minor", "all"]);
    assert_eq!(
        (ms(&classes[0], "wait_ms"), ms(&classes[0], "blocked_ms")),
        (2_000_000, 1_000_000)
    );
}

#[test]
fn waits_of_a_sample_are_scaled_in_their_parts_too() {
    let meta = Meta { sample: 8, ..meta() };
    let bytes = trace(&meta, &dicts(), &with_parts(), &[]);
    let mut all = Threads::default();
    read(&bytes, &Filter::default(), &mut [&mut all]);
    let classes = all.classes();
    let (mut wait_ns, mut blocked_ns, mut cpu_ns) = (0, 0, 0);
    for event in with_parts() {
        let times = if event.major { 1 } else { 8 };
        let parts = event.breakdown.unwrap();
        wait_ns += times * event.latency_ns;
        blocked_ns += times * parts.blocked_ns;
        cpu_ns += times * (event.latency_ns - parts.blocked_ns - parts.runqueue_ns);
    }
    let told = classes.parts.all();
    assert_eq!(classes.wait_ns(), wait_ns);
    assert_eq!(
        (told.wait_ns, told.blocked_ns, told.cpu_ns),
        (wait_ns, blocked_ns, cpu_ns)
    );
}

#[test]
fn a_block_without_the_columns_is_not_taken_for_zeros() {
    let mut writer = writer(&meta(), &dicts(), &with_parts(), &[]);
    for event in &events() {
        writer.push(event).unwrap();
    }
    let both = [with_parts(), events()].concat();
    writer.flush_block().unwrap();
    let bytes = writer.finish(totals(&both)).unwrap();
    let shown = flat_report(&bytes);
    assert!(
        shown.contains("50.0 % of the wait has no breakdown and is not in this table"),
        "{shown}"
    );
    assert!(shown.contains("blocked 1.000 50.0"), "{shown}");
    let rows = event_rows(&bytes);
    let nulls = rows.iter().filter(|row| row["blocked_ns"].is_null()).count();
    assert_eq!((rows.len(), nulls), (14, 7));
}

#[test]
fn events_show_the_parts_and_the_stack_of_each_fault() {
    let row = &event_rows(&broken_down())[1];
    let numbers = ["blocked_ns", "runqueue_ns", "reclaim_ns", "lock_ns", "stack_id"];
    assert_eq!(
        numbers.map(|name| row[name].as_u64().unwrap()),
        [50_000, 10_000, 25_000, 1_000, 5]
    );
    let table = events_text(&broken_down(), Format::Table);
    let line = table.lines().nth(2).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(
        words[1..6],
        ["100.000", "50.000", "10.000", "25.000", "1.000"],
        "{line}"
    );
    assert_eq!(words[13], "5", "{line}");
    // A fault without a stack has none, not stack 0.
    let mut all = with_parts();
    all[0].stack = StackId(0);
    let rows = event_rows(&trace(&meta(), &dicts(), &all, &[]));
    assert!(rows[0]["stack_id"].is_null() && rows[1]["stack_id"] == 5);
}

#[test]
fn a_breakdown_that_exceeds_its_latency_is_named_once_and_left_out() {
    let mut all = with_parts();
    all[1].breakdown = Some(Breakdown {
        blocked_ns: u64::MAX,
        runqueue_ns: u64::MAX,
        reclaim_ns: 1,
        lock_ns: u64::MAX,
    });
    let latency_ns = all[1].latency_ns;
    let bytes = trace(&meta(), &dicts(), &all, &[]);
    let shown = report(&bytes, &Filter::default());
    let said = "! wrong: 1 fault has more time blocked and in the run queue than in all; left out of the breakdown\n";
    assert_eq!(shown.matches(said).count(), 1, "{shown}");
    assert!(shown.starts_with(said), "{shown}");
    let mut threads = Threads::default();
    read(&bytes, &Filter::default(), &mut [&mut threads]);
    let classes = threads.classes();
    assert_eq!(classes.parts.all().wait_ns, classes.wait_ns() - latency_ns);
    // Who does not look at breakdowns does not decode them, and has nothing to say.
    assert!(warnings::warnings(&session(&bytes)).is_empty());
}
