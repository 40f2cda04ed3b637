//! The reader in Python, which was written from SPEC.md alone, sees in every trace what pfanalyze sees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use pf_formats::{
    Access, Breakdown, CommId, Dict, Event, Frame, FrameId, ObjectId, ObjectKind, Origin, QueryId, StackId,
    StackNode, TraceWriter, Witnesses,
};
use support::{header, meta, object};

/// Of the system, as are its packages.
const PYTHON: &str = "/usr/bin/python3";

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// The rows of a table, each with its values in the order of these columns, sorted.
fn rows(csv: &str, columns: &[String]) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let places: HashMap<String, usize> = reader
        .headers()
        .unwrap()
        .iter()
        .map(str::to_owned)
        .zip(0..)
        .collect();
    let row = |record: csv::StringRecord| {
        let values = columns.iter().map(|column| record[places[column]].to_owned());
        values.collect::<Vec<_>>()
    };
    let mut rows: Vec<_> = reader.records().map(|record| row(record.unwrap())).collect();
    rows.sort();
    rows
}

fn agree_on(trace: &Path) -> usize {
    let theirs = output(
        Command::new(PYTHON)
            .arg(repository("formats/tests/python/pfz.py"))
            .arg("events")
            .arg(trace),
    );
    let events = ["events", "--format", "csv"];
    let ours = output(
        Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
            .args(events)
            .arg(trace),
    );
    let header = ours.lines().next().unwrap();
    // The clock time is made of the header and of another column, and the cause of names and other columns.
    let stored = header
        .split(',')
        .filter(|column| !["time", "cause"].contains(column));
    let columns: Vec<String> = stored.map(str::to_owned).collect();
    let (ours, theirs) = (rows(&ours, &columns), rows(&theirs, &columns));
    let name = trace.display();
    assert_eq!(ours.len(), theirs.len(), "{name}");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs, "{name}, columns {columns:?}");
    }
    ours.len()
}

/// Numbers that look random and are the same in every run.
fn random() -> impl FnMut(u64) -> u64 {
    let mut state = 1_u64;
    move |below| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    }
}

fn all_dicts(writer: &mut TraceWriter<Vec<u8>>) {
    let entries = vec!["main".into(), "a \"quoted\", name".into(), "wörker".into()];
    writer.dict(&Dict::Comms { first_id: 1, entries }).unwrap();
    let entries = vec![
        object(ObjectKind::File, "/data/with, comma.bin"),
        object(ObjectKind::Heap, ""),
        object(ObjectKind::Shm, "/dev/shm/x"),
        object(ObjectKind::Anon, ""),
        object(ObjectKind::File, "/lib/libc.so.6"),
    ];
    writer.dict(&Dict::Objects { first_id: 1, entries }).unwrap();
    let frame = Frame {
        object: ObjectId(5),
        offset: 64,
    };
    let node = StackNode {
        parent: StackId(0),
        frame: FrameId(1),
        truncated: 0,
    };
    let (frames, stacks) = (vec![frame], vec![node; 3]);
    writer
        .dict(&Dict::Frames {
            first_id: 1,
            entries: frames,
        })
        .unwrap();
    writer
        .dict(&Dict::Stacks {
            first_id: 1,
            entries: stacks,
        })
        .unwrap();
}

/// A trace with every column, transform and storage: blocks with and without what is optional, threads that take
/// turns, files and anonymous memory, unknown names, times from nanoseconds to minutes.
fn all_kinds() -> Vec<u8> {
    let mut writer = TraceWriter::create(Vec::new(), &header(), &meta()).unwrap();
    all_dicts(&mut writer);
    let mut below = random();
    let mut now = support::START_NS;
    for block in 0..12_u64 {
        for number in 0..400 * (1 + block % 3 * 4) {
            let thread = below(1 + block) as u32;
            let place = below(8);
            let page = if block % 2 == 0 { number } else { below(1 << 20) };
            let latency_ns = match below(20) {
                0 => below(1 << 40),
                1..5 => 80_000 + below(40_000),
                _ => 500 + below(1_500),
            };
            now += below(4_000);
            let ago = if below(5) == 0 { below(1_000_000) } else { 0 };
            let failed = below(40) == 0;
            writer
                .push(&Event {
                    ts_ns: now - ago,
                    latency_ns,
                    pid: 100 + thread % 2,
                    tid: 200 + thread,
                    comm: CommId(thread % 5),
                    cpu: (thread % 7) as u16,
                    address: (0x7f00_0000_0000 + (place << 32)) + page * 4096 + below(4096),
                    ip: 0x40_0000 + below(1 + block) * 0x11_1111,
                    object: ObjectId(place as u32 % 7),
                    object_page: if [1, 3, 5].contains(&(place % 7)) { page } else { 0 },
                    major: latency_ns > 60_000,
                    failed,
                    access: Access::from_code(below(4) as u8),
                    origin: Origin::from_code(below(4) as u8),
                    retries: (below(10) == 0).into(),
                    abandoned: false,
                    interruptions: if block % 5 == 1 { below(3) as u8 } else { 0 },
                    signal: if block % 5 == 1 { below(65) as u8 } else { 0 },
                    witnesses: if block % 3 == 1 {
                        Witnesses::from_columns(
                            below(128) as u8,
                            below(9) as u32,
                            below(600) as u32,
                            below(99) as u32,
                        )
                    } else {
                        Witnesses::default()
                    },
                    breakdown: (block % 4 == 1).then(|| Breakdown {
                        blocked_ns: latency_ns / 2,
                        runqueue_ns: latency_ns / 4,
                        reclaim_ns: below(3),
                        lock_ns: 0,
                    }),
                    stack: StackId(if block % 4 == 2 { below(4) as u32 } else { 0 }),
                    query: QueryId(if block % 4 == 3 { 1 + number / 10 } else { 0 }),
                })
                .unwrap();
        }
        writer.flush_block().unwrap();
    }
    writer.finish(support::totals(&[])).unwrap()
}

#[test]
#[ignore = "needs python3-zstandard"]
fn a_reader_in_python_sees_the_same_faults_row_for_row() {
    let place = tempfile::tempdir().unwrap();
    let made = place.path().join("all kinds.pfz");
    std::fs::write(&made, all_kinds()).unwrap();
    assert!(agree_on(&made) > 20_000);
    let samples = std::fs::read_dir(repository("samples")).unwrap();
    let samples = samples.map(|entry| entry.unwrap().path().join("trace.pfz"));
    for sample in samples.filter(|path| path.exists()) {
        assert!(agree_on(&sample) > 0);
    }
    let golden = std::fs::read_dir(repository("formats/tests/data")).unwrap();
    let golden = golden.map(|entry| entry.unwrap().path());
    let readable = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("1.0-");
    for trace in golden.filter(readable) {
        agree_on(&trace);
    }
}

#[test]
#[ignore = "needs python3-zstandard"]
fn the_reader_in_python_passes_its_own_tests() {
    let folder = repository("formats/tests/python");
    output(
        Command::new(PYTHON)
            .arg("test_pfz.py")
            .arg(repository("formats/SPEC.md").canonicalize().unwrap())
            .current_dir(folder),
    );
}
