//! Traces for the tests, built in memory, and ways to read them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

pub(crate) mod long;
pub(crate) mod noise;
pub(crate) mod raw;

use pf_formats::{
    Access, BlockDecoder, Breakdown, BuildId, Columns, CommId, CommandEnd, Condition, Dict, Event,
    EventsBlock, FormatError, Frame, FrameId, Happening, Header, HiddenWait, Host, Inlined, Item, Loss,
    LossReason, Meta, Object, ObjectId, ObjectKind, Origin, ProcessEntry, Projection, Query, QueryEnd,
    QueryFaults, QueryId, StackId, StackNode, Summary, Symbol, TimelineEntry, Totals, TraceReader,
    TraceWriter, Witnesses,
};

pub(crate) const TRACE_ID: [u8; 16] = *b"0123456789abcdef";

pub(crate) fn meta() -> Meta {
    Meta {
        recorder: "pfrec 0.1.0".into(),
        host: Host {
            hostname: "h".into(),
            kernel: "6.12".into(),
            arch: "x86_64".into(),
            page_size: 4096,
            cpus: 2,
            memory_bytes: 1 << 33,
        },
        command: vec!["true".into()],
        target: "command".into(),
        backend: "perf".into(),
        start_ns: 1000,
        ..Meta::default()
    }
}

/// A fault number `i` of one of three threads, walking a file.
pub(crate) fn event(i: u64) -> Event {
    let thread = (i % 3) as u32;
    Event {
        ts_ns: 1_000_000 + i * 700,
        latency_ns: 500 + (i * 7919) % 300,
        pid: 100,
        tid: 100 + thread,
        comm: CommId(1),
        cpu: thread as u16 % 2,
        address: 0x7f00_0000_0000 + i * 4096 + i % 4096,
        ip: 0x5555_0000 + (i % 2) * 16,
        object: ObjectId(1),
        object_page: i,
        major: i.is_multiple_of(5),
        failed: i.is_multiple_of(11),
        access: Access::from_code((i % 4) as u8),
        origin: Origin::from_code((i % 4) as u8),
        retries: i.is_multiple_of(9).into(),
        abandoned: false,
        interruptions: 0,
        signal: 0,
        witnesses: Witnesses::default(),
        breakdown: None,
        stack: StackId(0),
        query: QueryId(0),
    }
}

pub(crate) fn writer() -> TraceWriter<Vec<u8>> {
    TraceWriter::create(Vec::new(), &Header::new(TRACE_ID, 77), &meta()).unwrap()
}

pub(crate) fn comms(names: &[&str]) -> Dict {
    Dict::Comms {
        first_id: 1,
        entries: names.iter().map(|name| (*name).to_owned()).collect(),
    }
}

pub(crate) fn objects() -> Dict {
    let object = Object {
        kind: ObjectKind::File,
        dev_major: 8,
        dev_minor: 1,
        inode: 42,
        path: "/data/file".into(),
    };
    Dict::Objects {
        first_id: 1,
        entries: vec![object],
    }
}

pub(crate) fn timeline() -> Vec<TimelineEntry> {
    let entry = |ts_ns, what| TimelineEntry {
        ts_ns,
        pid: 100,
        tid: 101,
        what,
    };
    vec![
        entry(
            1,
            Happening::Fork {
                parent_pid: 1,
                parent_tid: 2,
            },
        ),
        entry(
            2,
            Happening::Comm {
                comm: CommId(1),
                exec: true,
            },
        ),
        entry(
            3,
            Happening::Map {
                start: 4096,
                len: 8192,
                offset: 0,
                prot: 1,
                flags: 2,
                object: ObjectId(1),
            },
        ),
        entry(
            4,
            Happening::Exit {
                maj_flt: 1,
                min_flt: 2,
                counters_known: true,
            },
        ),
    ]
}

/// A process alive at the start, what it executes later, and one of which nothing is known.
pub(crate) fn processes() -> Vec<ProcessEntry> {
    let entry = |ts_ns, pid, executable: &str, command: &[&str]| ProcessEntry {
        ts_ns,
        pid,
        executable: executable.to_owned(),
        command: command.iter().map(|text| (*text).to_owned()).collect(),
    };
    vec![
        entry(5, 100, "/bin/sh", &["sh", "-c", "exec é\n"]),
        entry(2_000_000, 100, "/srv/my service (deleted)", &["my service", ""]),
        entry(2_000_001, 101, "", &[]),
    ]
}

pub(crate) fn losses() -> Vec<Loss> {
    vec![
        Loss {
            from_ns: 1,
            to_ns: 2,
            cpu: Some(1),
            reason: LossReason::Reserve,
            count: 3,
        },
        Loss {
            from_ns: 1,
            to_ns: 2,
            cpu: None,
            reason: LossReason::InFlight,
            count: 1,
        },
    ]
}

/// A trace with every kind of record and three blocks of 20, 21 and 22 events.
pub(crate) fn small_trace() -> Vec<u8> {
    let mut writer = writer();
    writer.dict(&comms(&["worker"])).unwrap();
    writer.dict(&objects()).unwrap();
    writer.timeline(&timeline()).unwrap();
    let mut i = 0;
    for count in [20, 21, 22] {
        for _ in 0..count {
            writer.push(&event(i)).unwrap();
            i += 1;
        }
        writer.flush_block().unwrap();
    }
    writer.loss(&losses()).unwrap();
    writer
        .finish(Totals {
            events: 63,
            majors: 11,
            minors: 46,
            failed: 6,
            end_ns: 9,
            ..Totals::default()
        })
        .unwrap()
}

pub(crate) fn frames() -> Dict {
    let frame = |offset| Frame {
        object: ObjectId(1),
        offset,
    };
    Dict::Frames {
        first_id: 1,
        entries: vec![frame(0x1000), frame(0x2000), frame(0x3000)],
    }
}

/// Two stacks of two frames each, with the outermost in common; callers are missing behind it.
pub(crate) fn stacks() -> Dict {
    let node = |parent, frame, truncated| StackNode {
        parent: StackId(parent),
        frame: FrameId(frame),
        truncated,
    };
    Dict::Stacks {
        first_id: 1,
        entries: vec![node(0, 1, StackNode::DEPTH_LIMIT), node(1, 2, 0), node(1, 3, 0)],
    }
}

pub(crate) fn symbols() -> Dict {
    let symbol = Symbol {
        frame: FrameId(2),
        name: "walk".into(),
        offset: 0x1f,
        file: "walk.c".into(),
        line: 7,
        inlined: vec![Inlined {
            name: "step".into(),
            file: "step.h".into(),
            line: 3,
        }],
    };
    Dict::Symbols {
        entries: vec![symbol],
    }
}

pub(crate) fn build_ids() -> Dict {
    Dict::BuildIds {
        entries: vec![BuildId {
            object: ObjectId(1),
            id: (0..20).collect(),
        }],
    }
}

/// Events with every optional column.
pub(crate) fn full_event(i: u64) -> Event {
    Event {
        breakdown: Some(Breakdown {
            blocked_ns: 100 + i,
            runqueue_ns: 50,
            reclaim_ns: i % 2,
            lock_ns: 7,
        }),
        stack: StackId((i % 3) as u32),
        query: QueryId(i % 4),
        ..event(i)
    }
}

/// As [`full_event`], with every combination of what can be seen of a cause, none included.
pub(crate) fn caused_event(i: u64) -> Event {
    let bits = i as u8 & 63;
    let (sleep, pages) = (1 + (i % 3) as u32, (i * 37 % 513) as u32);
    Event {
        witnesses: Witnesses::from_columns(bits, sleep, pages, 0),
        ..full_event(i)
    }
}

/// As [`caused_event`], with the place of what was read: before the page of the fault, at it, and behind it.
pub(crate) fn placed_event(i: u64) -> Event {
    let event = caused_event(i);
    Event {
        witnesses: Witnesses {
            pages_before: [None, Some(0), Some(12), Some(-3), Some(i32::MIN), Some(i32::MAX)][i as usize % 6],
            ..event.witnesses
        },
        ..event
    }
}

/// Waits of a system call, of one that is not known, and of one of which nothing else is.
pub(crate) fn hidden_waits() -> Vec<HiddenWait> {
    let wait = |begin_ns, syscall: &str, sleep, object| HiddenWait {
        begin_ns,
        wait_ns: 20_000_000,
        pid: 100,
        tid: 101,
        comm: CommId(1),
        syscall: syscall.into(),
        sleep: StackId(sleep),
        object: ObjectId(object),
    };
    vec![
        wait(1_000_000, "mmap", 2, 1),
        wait(1_000_500, "", 0, 0),
        HiddenWait::default(),
    ]
}

/// Of the machine and of a control group, at the start and at the end.
pub(crate) fn conditions() -> Vec<Condition> {
    let entry = |ts_ns, subject: &str, name: &str, value: &str| Condition {
        ts_ns,
        subject: subject.into(),
        name: name.into(),
        value: value.into(),
    };
    vec![
        entry(900, "machine", "MemAvailable", "1048576 kB"),
        entry(900, "cgroup /é", "memory.max", "134217728"),
        entry(2_000_900, "cgroup /é", "memory.max", "max"),
        entry(0, "", "", ""),
    ]
}

/// Ended, open, abandoned; with and without everything that a query can be without.
pub(crate) fn queries() -> Vec<Query> {
    let query = |id: u64| Query {
        id: QueryId(id),
        pid: 100,
        tid: 101,
        name: "sqlite3_step".into(),
        begin_ns: 1_000_000 + id * 5000,
        end_ns: 1_000_000 + id * 5000 + 4000,
        own: QueryFaults {
            majors: id,
            minors: 2 * id,
            wait_ns: 700 * id,
        },
        ..Query::default()
    };
    let outer = Query {
        name: "postgresql:query".into(),
        text: Some("SELECT 'é'".into()),
        key: Some(0),
        nested: QueryFaults {
            majors: 1,
            minors: 0,
            wait_ns: 9,
        },
        end: QueryEnd::Open,
        begun_before: true,
        begin_ns: 0,
        ..query(2)
    };
    let inner = Query {
        parent: QueryId(2),
        text: Some(String::new()),
        text_cut: true,
        key: Some(u64::MAX),
        end: QueryEnd::Abandoned,
        ..query(1)
    };
    vec![query(3), inner, outer]
}

/// A trace with every table, and one block with every column.
pub(crate) fn full_trace() -> Vec<u8> {
    let mut writer = writer();
    for dict in [comms(&["worker"]), objects(), frames(), stacks()] {
        writer.dict(&dict).unwrap();
    }
    for i in 0..20 {
        writer.push(&full_event(i)).unwrap();
    }
    writer.flush_block().unwrap();
    writer.queries(&queries()).unwrap();
    writer.processes(&processes()).unwrap();
    writer.hidden_waits(&hidden_waits()).unwrap();
    writer.conditions(&conditions()).unwrap();
    writer.dict(&symbols()).unwrap();
    writer.dict(&build_ids()).unwrap();
    let totals = Totals {
        command_end: Some(CommandEnd {
            by_signal: true,
            number: 9,
        }),
        ..Totals::default()
    };
    writer.finish(totals).unwrap()
}

/// All records of a trace.
pub(crate) fn read(bytes: &[u8]) -> (Vec<Item>, Summary) {
    let mut reader = TraceReader::new(bytes).unwrap();
    let mut items = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        items.push(item);
    }
    assert_eq!(reader.offset(), bytes.len() as u64, "every byte is accounted for");
    (items, reader.summary().clone())
}

/// Decodes with a decoder of its own.
pub(crate) fn decode(block: &EventsBlock, want: Projection, into: &mut Columns) -> Result<(), FormatError> {
    BlockDecoder::new()?.decode(block, want, into)
}

pub(crate) fn columns(item: &Item) -> Option<Columns> {
    let Item::Events(block) = item else { return None };
    let mut columns = Columns::default();
    decode(block, Projection::ALL, &mut columns).unwrap();
    Some(columns)
}

/// The events of each readable block, in the order in which they come out.
pub(crate) fn blocks(items: &[Item]) -> Vec<Vec<Event>> {
    let rows = |columns: Columns| {
        (0..columns.len())
            .map(|row| columns.event(row).unwrap())
            .collect()
    };
    items.iter().filter_map(columns).map(rows).collect()
}

/// The order in which a block gives its events back. An event without a breakdown has one of zeros when
/// another one of its block has one.
pub(crate) fn by_thread(events: &[Event]) -> Vec<Event> {
    let mut sorted = events.to_vec();
    sorted.sort_by_key(|event| (event.pid, event.tid, event.comm));
    if events.iter().any(|event| event.breakdown.is_some()) {
        for event in &mut sorted {
            event.breakdown.get_or_insert_default();
        }
    }
    sorted
}

/// Blocks of `small_trace`.
pub(crate) fn small_blocks() -> Vec<Vec<Event>> {
    [(0, 20), (20, 41), (41, 63)]
        .iter()
        .map(|(from, to)| by_thread(&(*from..*to).map(event).collect::<Vec<_>>()))
        .collect()
}
