//! Whose reads faults waited for, what was read in vain, and waits that no fault tells of, of a trace that knows them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use pf_formats::{
    Breakdown, CommId, Dict, Event, Frame, FrameId, HiddenWait, ObjectId, ObjectKind, StackId, StackNode,
    Symbol, Witnesses,
};
use std::process::Command;
use support::{MS, START_NS, dicts, file_fault, heap_fault, meta, object, totals, writer};
use tempfile::TempDir;

/// Stack 1 waits for a page of a file, stack 2 for a page server.
fn kernel() -> Vec<Dict> {
    let frame = |offset| Frame {
        object: ObjectId(3),
        offset,
    };
    let node = |frame| StackNode {
        parent: StackId(0),
        frame: FrameId(frame),
        truncated: StackNode::WHOLE,
    };
    let symbol = |frame, name: &str| Symbol {
        frame: FrameId(frame),
        name: name.into(),
        offset: 1,
        file: String::new(),
        line: 0,
        inlined: Vec::new(),
    };
    vec![
        Dict::Objects {
            first_id: 3,
            entries: vec![object(ObjectKind::Kernel, "[kernel]")],
        },
        Dict::Frames {
            first_id: 1,
            entries: vec![frame(0x10), frame(0x20)],
        },
        Dict::Stacks {
            first_id: 1,
            entries: vec![node(1), node(2)],
        },
        Dict::Symbols {
            entries: vec![symbol(1, "filemap_fault"), symbol(2, "handle_userfault")],
        },
    ]
}

/// A fault that slept for a page, and brought in so many, from so many before its own on.
fn seen(fault: Event, pages_read: u32, pages_before: Option<i32>) -> Event {
    Event {
        breakdown: Some(Breakdown {
            blocked_ns: fault.latency_ns,
            ..Breakdown::default()
        }),
        witnesses: Witnesses {
            sleep: Some(StackId(1)),
            pages_read: Some(pages_read),
            pages_before,
            present: Some(false),
            shared: None,
        },
        ..fault
    }
}

fn of_thread(tid: u32, fault: Event) -> Event {
    Event {
        tid,
        comm: CommId(1),
        ..fault
    }
}

/// The worker reads 32 pages, waits for one of them that comes later, and another thread for another one; of one page nobody
/// knows who read it; and one was begun while its own page was on its way.
fn faults() -> Vec<Event> {
    vec![
        seen(file_fault(10, 5 * MS, 0), 32, Some(0)),
        seen(file_fault(20, 4 * MS, 16), 0, Some(0)),
        seen(of_thread(102, file_fault(12, 2 * MS, 8)), 0, Some(0)),
        seen(of_thread(102, file_fault(30, MS, 500)), 0, Some(0)),
        seen(of_thread(103, file_fault(22, 3 * MS, 31)), 32, Some(-1)),
        heap_fault(40, 900, 1),
    ]
}

fn waits() -> Vec<HiddenWait> {
    let wait = |at_ms: u64, wait_ns, tid, syscall: &str, sleep, object| HiddenWait {
        begin_ns: START_NS + at_ms * MS,
        wait_ns,
        pid: 100,
        tid,
        comm: CommId(2),
        syscall: syscall.into(),
        sleep: StackId(sleep),
        object: ObjectId(object),
    };
    vec![
        wait(5, 20 * MS, 101, "mmap", 1, 1),
        wait(26, 21 * MS, 101, "mmap", 1, 1),
        wait(50, 7 * MS, 102, "mlock", 2, 0),
        wait(60, MS, 102, "\x1b[31m=evil", 0, 0),
        wait(61, 2 * MS, 102, "", 1, 0),
    ]
}

struct Place(TempDir);

impl Place {
    fn new(faults: &[Event], waits: &[HiddenWait]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = writer(&meta(), &[dicts(), kernel()].concat(), faults, &[]);
        writer.hidden_waits(waits).unwrap();
        let trace = writer.finish(totals(faults)).unwrap();
        std::fs::write(dir.path().join("t.pfz"), trace).unwrap();
        Self(dir)
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pfanalyze"));
        let output = command
            .current_dir(self.0.path())
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn rows(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        serde_json::from_str(&self.ask(&[arguments, &["--format", "json"]].concat())).unwrap()
    }
}

#[test]
fn each_wait_names_the_read_that_it_was_for() {
    let place = Place::new(&faults(), &[]);
    let rows = place.rows(&["causes", "t.pfz", "--part", "reads"]);
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].to_string();
            (
                text("tid"),
                text("file_offset"),
                text("reader_tid"),
                text("reader"),
                text("before_ms"),
            )
        })
        .collect();
    let expected = [
        ("101", "65536", "101", "\"itself\"", "10.0"),
        ("103", "126976", "101", "\"worker\"", "12.0"),
        ("102", "32768", "101", "\"worker\"", "2.0"),
        ("102", "2048000", "null", "null", "null"),
    ];
    let expected: Vec<_> = expected
        .map(|(a, b, c, d, e)| (a.into(), b.into(), c.into(), d.into(), e.into()))
        .to_vec();
    assert_eq!(told, expected);
    let said = "read-wait: 1 fault (4.00 ms) for a read that the same thread had begun (its read-ahead), 2 faults (5.00 ms) for a \
                read of another thread, 1 fault (1.00 ms) for a read that is not in the trace";
    for verb in [
        &["causes", "t.pfz"][..],
        &["causes", "t.pfz", "--part", "reads"],
        &["t.pfz"],
    ] {
        let text = place.ask(verb).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(said), "{text}");
    }
    // The read is left out, and that is said.
    let filtered = place.ask(&["causes", "t.pfz", "--tid", "102"]);
    assert!(filtered.contains(
        "2 faults (3.00 ms) for a read that is not in the trace; reads that the filter leaves out"
    ));
}

#[test]
fn causes_are_a_filter_and_a_group() {
    let place = Place::new(&faults(), &[]);
    let counts = |cause: &str| {
        let rows = place.rows(&["files", "t.pfz", "--cause", cause]);
        rows.iter().map(|row| row["major"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(
        (counts("read"), counts("read-wait"), counts("read,read-wait")),
        (1, 4, 5)
    );
    let groups = place.rows(&["percentiles", "t.pfz", "--by", "cause"]);
    let groups: Vec<_> = groups
        .iter()
        .map(|row| (row["cause"].as_str(), row["count"].as_u64().unwrap()))
        .collect();
    assert_eq!(groups, [(Some("read-wait"), 4), (Some("read"), 1), (None, 1)]);
    let none = place.ask(&["threads", "t.pfz", "--cause", "swap-in"]);
    assert!(!none.contains("worker"), "{none}");
}

#[test]
fn what_files_had_brought_in_is_told_with_how_much_of_it_no_fault_touched() {
    let place = Place::new(&faults(), &[]);
    let rows = place.rows(&["files", "t.pfz"]);
    let of = |name: &str| rows[0][name].to_string();
    // 32 pages from 0 on, 32 from 32 on; faults on 0, 8, 16, 31 and 500.
    assert_eq!(
        (
            of("file"),
            of("read_bytes"),
            of("amplification"),
            of("untouched_percent")
        ),
        (
            "\"/data/segments.bin\"".to_owned(),
            (64 * 4096).to_string(),
            "12.8".to_owned(),
            "93.75".to_owned()
        )
    );
    let plain: Vec<Event> = faults()
        .into_iter()
        .map(|fault| Event {
            witnesses: Witnesses::default(),
            ..fault
        })
        .collect();
    let columns = Place::new(&plain, &[]).ask(&["files", "t.pfz", "--format", "csv"]);
    assert!(!columns.contains(",read_bytes"), "{columns}");
}

#[test]
fn hidden_waits_are_told_by_system_call_and_are_in_no_other_number() {
    let place = Place::new(&faults(), &waits());
    let rows = place.rows(&["causes", "t.pfz", "--part", "hidden"]);
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().map(str::to_owned);
            (
                text("syscall").unwrap(),
                text("cause").unwrap(),
                row["count"].clone(),
                row["wait_ns"].clone(),
                text("top_file"),
            )
        })
        .collect();
    let expected = [
        ("mmap", "read", 2, 41 * MS, Some("/data/segments.bin")),
        ("mlock", "userfault", 1, 7 * MS, None),
        ("unknown", "read-wait", 1, 2 * MS, None),
        ("\x1b[31m=evil", "unknown", 1, MS, None),
    ];
    let expected: Vec<_> = expected
        .map(|(call, cause, count, wait_ns, file)| {
            (
                call.to_owned(),
                cause.to_owned(),
                count.into(),
                wait_ns.into(),
                file.map(str::to_owned),
            )
        })
        .to_vec();
    assert_eq!(told, expected);
    let said = "not in these numbers: 51.00 ms slept in 5 waits of the kernel's own accesses to memory, of which no fault tells, most \
                of it in mmap";
    for verb in [&["causes", "t.pfz"][..], &["t.pfz"]] {
        let text = place.ask(verb);
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(said) && !text.contains('\x1b'), "{text}");
    }
    assert!(
        !place
            .ask(&["causes", "t.pfz", "--part", "hidden"])
            .contains('\x1b')
    );
    let without = Place::new(&faults(), &[]);
    for verb in ["threads", "files", "percentiles"] {
        assert_eq!(place.ask(&[verb, "t.pfz"]), without.ask(&[verb, "t.pfz"]));
    }
    let count = |arguments: &[&str]| {
        let rows = place.rows(&[&["causes", "t.pfz", "--part", "hidden"], arguments].concat());
        rows.iter().map(|row| row["count"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(count(&["--tid", "102"]), 3);
    assert_eq!(count(&["--from", "20ms", "--to", "55ms"]), 2);
    assert_eq!(count(&["--file", "segments.bin"]), 2);
    assert_eq!(count(&["--min-latency", "20ms"]), 2);
    assert_eq!(count(&["--major"]), 0);
}

#[test]
fn memory_makes_no_estimate_where_read_ahead_decides() {
    let again = |pages_read: u32| {
        let fault = |at_ms: u64, page| seen(file_fault(at_ms, MS, page), pages_read, Some(0));
        let faults: Vec<Event> = (0..40).map(|turn| fault(10 + 3 * turn, turn % 20)).collect();
        Place::new(&faults, &[])
    };
    let words = |place: &Place| {
        place
            .ask(&["memory", "t.pfz"])
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let much = words(&again(32));
    let said = "No estimate: read-ahead brought in 1,280 pages (5.0 MiB) for the 40 faults that read, and what it pushed out is in no \
                distance.";
    assert!(much.starts_with(said) && !much.contains("EXTRA_BYTES"), "{much}");
    let alone = words(&again(1));
    assert!(
        alone.starts_with("If these pages left memory because it was short, ")
            && alone.contains("EXTRA_BYTES"),
        "{alone}"
    );
    assert!(
        alone.contains("40 faults that read brought in 40 pages"),
        "{alone}"
    );
    let summary: serde_json::Value =
        serde_json::from_str(&again(32).ask(&["memory", "t.pfz", "--format", "json"])).unwrap();
    assert_eq!(summary["summary"]["has_estimate"], false);
    assert_eq!(summary["summary"]["pages_read"], 1280);
}
