//! A trace of threads that change their names in the middle of what they do, some of which wait very long: they walk through a
//! file page by page, or in strides, whatever they are called.

use crate::support::{FILE_BASE, HEAP_BASE, MS, START_NS, header, meta, object, totals};
use pf_formats::{CommId, Dict, Event, Happening, Meta, ObjectId, ObjectKind, TimelineEntry, TraceWriter};

const PID: u32 = 500;
const FAULTS: u64 = 300;
/// Names that come in turn, not in the order of their numbers.
const NAMES: [u32; 4] = [3, 1, 4, 2];

/// Faults of one thread. `long_ns` is how long every hundredth takes.
fn faults_of(thread: u32, long_ns: u64) -> Vec<Event> {
    let mut at_ns = START_NS + MS * u64::from(thread);
    let mut events = Vec::new();
    for number in 0..FAULTS {
        let page = match thread {
            0 | 1 => number,
            2 => number * 40 + 1,
            _ => number * 7_919 % 5_003,
        };
        let latency_ns = if number % 100 == 50 {
            long_ns
        } else {
            30_000 + number % 7 * 1_000
        };
        let event = Event {
            ts_ns: at_ns,
            latency_ns,
            pid: PID,
            tid: PID + thread,
            comm: CommId(NAMES[(number / 5 % 4) as usize]),
            address: FILE_BASE + page * 4096,
            object: ObjectId(1 + thread / 2),
            object_page: page,
            major: true,
            retries: 0,
            ..crate::support::file_fault(0, 0, 0)
        };
        if number % 60 == 9 {
            // One inside of another, which is done first.
            events.push(Event {
                ts_ns: at_ns + 10,
                latency_ns: 500,
                address: HEAP_BASE + page * 4096,
                object: ObjectId(3),
                object_page: 0,
                major: false,
                ..event
            });
        }
        events.push(event);
        at_ns += latency_ns + 5_000;
    }
    events
}

fn entry(ts_ns: u64, thread: u32, what: Happening) -> TimelineEntry {
    TimelineEntry {
        ts_ns,
        pid: PID,
        tid: PID + thread,
        what,
    }
}

/// The trace, as this backend records it.
pub fn make(backend: &str) -> Vec<u8> {
    let mut events = Vec::new();
    let mut lives = Vec::new();
    for (thread, long_ns) in [(0, 750 * MS), (1, 90 * MS), (2, 40_000), (3, MS)] {
        let own = faults_of(thread, long_ns);
        let parent = Happening::Fork {
            parent_pid: PID,
            parent_tid: PID,
        };
        lives.push(entry(own[0].ts_ns - 7_000, thread, parent));
        let last = own
            .iter()
            .map(|event| event.ts_ns + event.latency_ns)
            .max()
            .unwrap();
        let exit = Happening::Exit {
            maj_flt: FAULTS,
            min_flt: 5,
            counters_known: true,
        };
        lives.extend((thread != 0).then(|| entry(last + MS, thread, exit)));
        events.extend(own);
    }
    events.sort_by_key(|event| event.ts_ns + event.latency_ns);
    let meta = Meta {
        backend: backend.to_owned(),
        blind: super::traces::blind(backend),
        ..meta()
    };
    let mut writer = TraceWriter::create(Vec::new(), &header(), &meta).unwrap();
    for dict in dicts() {
        writer.dict(&dict).unwrap();
    }
    writer.set_block_events(170);
    for event in &events {
        writer.push(event).unwrap();
    }
    writer.flush_block().unwrap();
    writer.timeline(&lives).unwrap();
    writer.finish(totals(&events)).unwrap()
}

fn dicts() -> [Dict; 2] {
    let names = ["reader", "loader", "idle", "writer"];
    [
        Dict::Comms {
            first_id: 1,
            entries: names.map(str::to_owned).to_vec(),
        },
        Dict::Objects {
            first_id: 1,
            entries: vec![
                object(ObjectKind::File, "/data/walked.bin"),
                object(ObjectKind::File, "/data/strided.bin"),
                object(ObjectKind::Heap, ""),
            ],
        },
    ]
}
