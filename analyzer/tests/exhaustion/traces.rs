//! Small traces that claim much: each makes one table of a reader as large as the format allows, or larger.
//! The writer of this project makes them all; it trusts its caller with the ids.

use crate::support::{self, MS, START_NS, file_fault, heap_fault, meta};
use pf_formats::{
    CommId, Dict, Event, Frame, FrameId, Happening, ObjectId, ProcessEntry, Query, QueryEnd, QueryFaults,
    QueryId, StackId, StackNode, TimelineEntry, Totals, TraceWriter,
};

/// The largest id of the format.
const LARGEST_ID: u32 = 1 << 22;

fn writer() -> TraceWriter<Vec<u8>> {
    support::writer(&meta(), &support::dicts(), &[], &[])
}

fn finish(writer: TraceWriter<Vec<u8>>, events: u64, majors: u64) -> Vec<u8> {
    let totals = Totals {
        events,
        majors,
        minors: events - majors,
        end_ns: START_NS + 100 * MS,
        ..Totals::default()
    };
    writer.finish(totals).unwrap()
}

/// `count` major faults, the first numbered 0.
fn of_events(count: u32, event: impl Fn(u32) -> Event) -> Vec<u8> {
    let mut writer = writer();
    for number in 0..count {
        writer.push(&event(number)).unwrap();
    }
    writer.flush_block().unwrap();
    finish(writer, count.into(), count.into())
}

/// One fault in each of `count` objects, none of which has a name.
pub fn objects(count: u32) -> Vec<u8> {
    of_events(count, |number| Event {
        object: ObjectId(number + 1),
        ..file_fault(1, 1_000, 0)
    })
}

/// One fault in each of `count` objects, whose ids are above the limit.
pub fn objects_above_limit(count: u32) -> Vec<u8> {
    of_events(count, |number| Event {
        object: ObjectId(LARGEST_ID + 1 + number),
        ..file_fault(1, 1_000, 0)
    })
}

/// One fault under each of `count` thread names.
pub fn comms(count: u32) -> Vec<u8> {
    of_events(count, |number| Event {
        comm: CommId(number + 1),
        ..file_fault(1, 1_000, 0)
    })
}

/// One fault of each of `count` threads of one process.
pub fn threads(count: u32) -> Vec<u8> {
    of_events(count, |number| Event {
        tid: number + 1,
        ..file_fault(1, 1_000, 0)
    })
}

/// One fault of each of `count` processes, on memory of its own.
pub fn processes(count: u32) -> Vec<u8> {
    of_events(count, |number| Event {
        pid: number + 1,
        tid: number + 1,
        major: true,
        ..heap_fault(1, 1_000, 0)
    })
}

/// Faults on ever new pages, 2 MiB apart.
pub fn pages(count: u32) -> Vec<u8> {
    of_events(count, |number| file_fault(1, 1_000, u64::from(number) * 512))
}

/// A thread ends.
pub fn exit(_: u32) -> Happening {
    Happening::Exit {
        maj_flt: 1,
        min_flt: 0,
        counters_known: true,
    }
}

/// A thread begins.
pub fn birth(_: u32) -> Happening {
    Happening::Fork {
        parent_pid: 100,
        parent_tid: 100,
    }
}

/// A page is mapped.
pub fn mapping(number: u32) -> Happening {
    Happening::Map {
        start: u64::from(number) << 12,
        len: 4096,
        offset: 0,
        prot: 1,
        flags: 2,
        object: ObjectId(1),
    }
}

/// `count` records of the timeline. Births are of one thread over and over, the others of a thread each.
pub fn lives(count: u32, what: fn(u32) -> Happening) -> Vec<u8> {
    let mut writer = writer();
    for event in support::events() {
        writer.push(&event).unwrap();
    }
    writer.flush_block().unwrap();
    let is_birth = matches!(what(0), Happening::Fork { .. });
    let entry = |number: u32| TimelineEntry {
        ts_ns: START_NS + u64::from(number),
        pid: 100,
        // Not one that the writer of tests lets live.
        tid: if is_birth { 102 } else { number + 200 },
        what: what(number),
    };
    let numbers: Vec<u32> = (0..count).collect();
    for part in numbers.chunks(8_192) {
        let entries: Vec<_> = part.iter().map(|&number| entry(number)).collect();
        writer.timeline(&entries).unwrap();
    }
    finish(writer, 7, 4)
}

/// `count` processes that run what only they do.
pub fn programs(count: u32) -> Vec<u8> {
    let mut writer = writer();
    for event in support::events() {
        writer.push(&event).unwrap();
    }
    writer.flush_block().unwrap();
    let entry = |number: u32| ProcessEntry {
        ts_ns: START_NS,
        pid: number + 1,
        executable: format!("/{number}"),
        command: vec![String::new(); 4],
    };
    let numbers: Vec<u32> = (0..count).collect();
    for part in numbers.chunks(8_192) {
        let entries: Vec<_> = part.iter().map(|&number| entry(number)).collect();
        writer.processes(&entries).unwrap();
    }
    finish(writer, 7, 4)
}

/// One fault with each of `count` stacks that no dictionary has.
pub fn stacks_undefined(count: u32) -> Vec<u8> {
    of_events(count, |number| Event {
        stack: StackId(number + 1),
        ..file_fault(1, 1_000, 0)
    })
}

fn with_stacks(nodes: Vec<StackNode>, frames: u32, rounds: u32) -> Vec<u8> {
    let mut writer = writer();
    let entries = (1..=frames)
        .map(|offset| Frame {
            object: ObjectId(1),
            offset: offset.into(),
        })
        .collect();
    writer.dict(&Dict::Frames { first_id: 1, entries }).unwrap();
    let count = nodes.len() as u32;
    writer
        .dict(&Dict::Stacks {
            first_id: 1,
            entries: nodes,
        })
        .unwrap();
    for number in 0..count * rounds {
        let event = Event {
            stack: StackId(number % count + 1),
            comm: CommId(number / count + 1),
            tid: 100 + number / count,
            ..file_fault(1, 1_000, 0)
        };
        writer.push(&event).unwrap();
    }
    writer.flush_block().unwrap();
    let events = u64::from(count) * u64::from(rounds);
    finish(writer, events, events)
}

/// One chain of `depth` callers, with a fault at each depth, in 100 thread names.
pub fn stacks_deep(depth: u32) -> Vec<u8> {
    let node = |id: u32| StackNode {
        parent: StackId(id - 1),
        frame: FrameId(id),
        truncated: 0,
    };
    with_stacks((1..=depth).map(node).collect(), depth, 100)
}

/// `count` outermost functions.
pub fn stacks_wide(count: u32) -> Vec<u8> {
    let node = |id: u32| StackNode {
        parent: StackId(0),
        frame: FrameId(id),
        truncated: 1,
    };
    with_stacks((1..=count).map(node).collect(), count, 3)
}

/// `count` queries, each inside the one before it, of `names` names; a fault in each of the innermost million.
pub fn queries_nested(count: u64, names: u64) -> Vec<u8> {
    let mut writer = writer();
    let row = |id: u64| Query {
        id: QueryId(id),
        parent: QueryId(id - 1),
        pid: 100,
        tid: 101,
        name: format!("query{}", id % names),
        begin_ns: START_NS,
        end_ns: START_NS + MS,
        own: QueryFaults {
            majors: 1,
            minors: 0,
            wait_ns: 1_000,
        },
        end: QueryEnd::Ended,
        ..Query::default()
    };
    let ids: Vec<u64> = (1..=count).collect();
    for part in ids.chunks(32_768) {
        let rows: Vec<_> = part.iter().map(|&id| row(id)).collect();
        writer.queries(&rows).unwrap();
    }
    let events = 1_000_000;
    for number in 0..events {
        let event = Event {
            query: QueryId(count - number % 1_000),
            ..file_fault(1, 1_000, 0)
        };
        writer.push(&event).unwrap();
    }
    writer.flush_block().unwrap();
    finish(writer, events, events)
}
