//! Traces built in memory: one small one with known numbers, and pieces to make others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    missing_docs
)]

pub mod ask;
pub mod terminal;

use pf_formats::{
    Access, Accounting, Check, CommId, Dict, Event, Happening, Header, Host, Loss, LossReason, Meta, Object,
    ObjectId, ObjectKind, Origin, QueryId, StackId, TimelineEntry, Totals, TraceWriter, Witnesses,
};

pub const START_NS: u64 = 1_000_000_000_000;
/// 2026-11-22 20:00:00 UTC at `START_NS`.
pub const UTC_OFFSET_NS: i64 = 1_795_377_600_000_000_000 - START_NS as i64;
pub const MS: u64 = 1_000_000;
pub const FILE_BASE: u64 = 0x7f00_0000_0000;
pub const HEAP_BASE: u64 = 0x5555_0000_0000;

pub fn header() -> Header {
    Header::new([7; 16], UTC_OFFSET_NS)
}

pub fn meta() -> Meta {
    Meta {
        recorder: "pfrec 0.1.0".into(),
        host: Host {
            hostname: "box".into(),
            kernel: "6.12.0".into(),
            arch: "x86_64".into(),
            page_size: 4096,
            cpus: 8,
            memory_bytes: 16 << 30,
        },
        command: vec!["mmap-workload".into(), "-t".into(), "2".into()],
        options: vec!["pfrec".into(), "-o".into(), "trace.pfz".into()],
        target: "command".into(),
        backend: "perf".into(),
        entry: "page_fault_user+page_fault_kernel tracepoints".into(),
        blind: vec!["GUP faults".into(), "failed faults".into()],
        start_ns: START_NS,
        filters: vec![],
        sample: 1,
    }
}

pub fn object(kind: ObjectKind, path: &str) -> Object {
    Object {
        kind,
        dev_major: 8,
        dev_minor: 1,
        inode: 42,
        path: path.into(),
    }
}

pub fn dicts() -> Vec<Dict> {
    vec![
        Dict::Comms {
            first_id: 1,
            entries: vec!["main".into(), "worker".into()],
        },
        Dict::Objects {
            first_id: 1,
            entries: vec![
                object(ObjectKind::File, "/data/segments.bin"),
                object(ObjectKind::Heap, ""),
            ],
        },
    ]
}

/// A file fault of `worker` (pid 100, tid 101) on `page`, `at_ms` after the start.
pub fn file_fault(at_ms: u64, latency_ns: u64, page: u64) -> Event {
    Event {
        ts_ns: START_NS + at_ms * MS,
        latency_ns,
        pid: 100,
        tid: 101,
        comm: CommId(2),
        cpu: 3,
        address: FILE_BASE + page * 4096 + 8,
        ip: 0x40_1000,
        object: ObjectId(1),
        object_page: page,
        major: true,
        failed: false,
        access: Some(Access::Read),
        origin: Origin::User,
        retries: 1,
        abandoned: false,
        interruptions: 0,
        signal: 0,
        witnesses: Witnesses::default(),
        breakdown: None,
        stack: StackId(0),
        query: QueryId(0),
    }
}

/// A heap fault of `main` (pid 100, tid 100).
pub fn heap_fault(at_ms: u64, latency_ns: u64, page: u64) -> Event {
    Event {
        tid: 100,
        comm: CommId(1),
        cpu: 0,
        address: HEAP_BASE + page * 4096,
        object: ObjectId(2),
        object_page: 0,
        major: false,
        access: Some(Access::Write),
        retries: 0,
        ..file_fault(at_ms, latency_ns, page)
    }
}

/// Four major faults on pages 0, 1, 2, 2 of the file and three minor ones on the heap.
pub fn events() -> Vec<Event> {
    vec![
        heap_fault(0, 500, 0),
        file_fault(10, 100_000, 0),
        heap_fault(20, 700, 1),
        file_fault(30, 200_000, 1),
        heap_fault(40, 900, 1),
        file_fault(50, 300_000, 2),
        file_fault(90, 1_400_000, 2),
    ]
}

pub fn totals(events: &[Event]) -> Totals {
    let failed = events.iter().filter(|event| event.failed).count() as u64;
    let majors = events.iter().filter(|e| e.major && !e.failed).count() as u64;
    let all = events.len() as u64;
    let minors = all - majors - failed;
    Totals {
        events: all,
        majors,
        minors,
        failed,
        lost: 0,
        end_ns: START_NS + 100 * MS,
        accounting: Some(Accounting {
            kernel_majors: majors,
            kernel_minors: minors,
            recorded: majors + minors,
            lost: 0,
            hidden: 0,
            filtered: 0,
            source: "maj_flt and min_flt".into(),
        }),
        check: Some(Check {
            events: Some(majors + minors),
            source: "events of the same tasks".into(),
            ..Check::default()
        }),
        hidden_majors: None,
        command_end: None,
    }
}

/// Writes a whole trace.
pub fn trace(meta: &Meta, dicts: &[Dict], events: &[Event], losses: &[Loss]) -> Vec<u8> {
    let mut writer = writer(meta, dicts, events, losses);
    writer.flush_block().unwrap();
    writer.finish(totals(events)).unwrap()
}

/// As `trace`, but the recorder was killed after the last block.
pub fn unfinished(meta: &Meta, dicts: &[Dict], events: &[Event]) -> Vec<u8> {
    let mut writer = writer(meta, dicts, events, &[]);
    writer.flush_block().unwrap();
    let bytes = std::mem::take(writer.get_mut());
    drop(writer);
    bytes
}

pub fn writer(meta: &Meta, dicts: &[Dict], events: &[Event], losses: &[Loss]) -> TraceWriter<Vec<u8>> {
    let mut writer = TraceWriter::create(Vec::new(), &header(), meta).unwrap();
    for dict in dicts {
        writer.dict(dict).unwrap();
    }
    for event in events {
        writer.push(event).unwrap();
    }
    writer.flush_block().unwrap();
    writer.timeline(&timeline()).unwrap();
    writer.loss(losses).unwrap();
    writer
}

/// A trace in blocks of so many events, with lives of threads behind the usual ones.
pub fn in_blocks(events: &[Event], block: usize, lives: &[TimelineEntry]) -> Vec<u8> {
    let mut out = writer(&meta(), &dicts(), &[], &[]);
    out.set_block_events(block);
    for event in events {
        out.push(event).unwrap();
    }
    out.flush_block().unwrap();
    if !lives.is_empty() {
        out.timeline(lives).unwrap();
    }
    out.finish(totals(events)).unwrap()
}

/// Numbers by chance, the same in every run.
pub struct Random(pub u64);

impl Random {
    /// Below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

pub fn timeline() -> Vec<TimelineEntry> {
    vec![
        TimelineEntry {
            ts_ns: START_NS + 5 * MS,
            pid: 100,
            tid: 101,
            what: Happening::Fork {
                parent_pid: 100,
                parent_tid: 100,
            },
        },
        TimelineEntry {
            ts_ns: START_NS + 95 * MS,
            pid: 100,
            tid: 101,
            what: Happening::Exit {
                maj_flt: 4,
                min_flt: 0,
                counters_known: true,
            },
        },
    ]
}

pub fn loss(reason: LossReason, count: u64) -> Loss {
    Loss {
        from_ns: START_NS,
        to_ns: START_NS + MS,
        cpu: Some(1),
        reason,
        count,
    }
}

/// The small trace with known numbers.
pub fn small() -> Vec<u8> {
    trace(&meta(), &dicts(), &events(), &[])
}
