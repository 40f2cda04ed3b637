//! Writes a synthetic trace, to measure the analyzer: `synthetic FILE EVENTS [THREADS [QUERIES]]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/support/mod.rs"]
mod support;

use pf_formats::{CommId, Dict, Event, ObjectKind, Query, QueryFaults, QueryId, TraceWriter};
use std::io::{BufWriter, Write};
use support::{FILE_BASE, START_NS, file_fault, header, heap_fault, meta, object, totals};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |index: usize| arguments.get(index).and_then(|text| text.parse().ok());
    let path = arguments.get(1).expect("synthetic FILE EVENTS [THREADS]");
    let events: u64 = number(2).expect("EVENTS");
    let threads = number(3).unwrap_or(16);
    let queries = number(4).unwrap_or(0);
    let out = BufWriter::new(std::fs::File::create(path).unwrap());
    let mut writer = TraceWriter::create(out, &header(), &meta()).unwrap();
    dicts(&mut writer, threads);
    let mut state = 1u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    for index in 0..events {
        let thread = u32::try_from(random() % threads).unwrap();
        let base = match random() % 10 {
            0 => heap_fault(0, 300 + random() % 2_000, index / 1_000),
            _ => {
                // A hot set, a cold rest, and a hump of slow reads.
                let page = if random() % 4 == 0 {
                    random() % 1_024
                } else {
                    random() % 262_144
                };
                let latency_ns = if random() % 50 == 0 {
                    random() % 9_000_000
                } else {
                    20_000 + random() % 80_000
                };
                Event {
                    address: FILE_BASE + page * 4096,
                    major: page % 3 != 0,
                    ..file_fault(0, latency_ns, page)
                }
            }
        };
        let event = Event {
            ts_ns: base.ts_ns + index * 2_000,
            tid: 101 + thread,
            comm: CommId(thread + 1),
            query: QueryId(if queries == 0 {
                0
            } else {
                1 + index * queries / events
            }),
            ..base
        };
        writer.push(&event).unwrap();
    }
    let rows = rows(events, queries, || random() % 900_000);
    writer.queries(&rows).unwrap();
    writer.finish(totals(&[])).unwrap();
}

/// Queries one after the other; of ten the first holds the others.
fn rows(events: u64, queries: u64, mut wait_ns: impl FnMut() -> u64) -> Vec<Query> {
    let span_ns = events * 2_000 / queries.max(1);
    (0..queries)
        .map(|number| Query {
            id: QueryId(number + 1),
            parent: QueryId(if number % 10 == 0 { 0 } else { number / 10 * 10 + 1 }),
            pid: 100,
            tid: 101,
            name: "postgresql:query".into(),
            text: Some(format!("SELECT c{} FROM t WHERE id = {number}", number % 1_000)),
            begin_ns: START_NS + number * span_ns,
            end_ns: START_NS + (number + 1) * span_ns,
            own: QueryFaults {
                majors: 1,
                minors: 2,
                wait_ns: wait_ns(),
            },
            ..Query::default()
        })
        .collect()
}

fn dicts(writer: &mut TraceWriter<impl Write>, threads: u64) {
    let comms = (0..threads).map(|thread| format!("worker-{thread}")).collect();
    writer
        .dict(&Dict::Comms {
            first_id: 1,
            entries: comms,
        })
        .unwrap();
    let objects = vec![
        object(ObjectKind::File, "/data/segments.bin"),
        object(ObjectKind::Heap, ""),
    ];
    writer
        .dict(&Dict::Objects {
            first_id: 1,
            entries: objects,
        })
        .unwrap();
}
