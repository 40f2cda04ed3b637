//! A trace with queries: two of one statement, one inside another, one without an end, and faults of each.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, missing_docs)]

use crate::support::{MS, START_NS, dicts, file_fault, heap_fault, meta, totals, writer};
use pf_formats::{Event, Query, QueryEnd, QueryFaults, QueryId};

pub const SELECT: u64 = 1;
pub const STEP: u64 = 2;
pub const OTHER: u64 = 3;
pub const OPEN: u64 = 4;

pub fn inside(query: u64, event: Event) -> Event {
    Event {
        query: QueryId(query),
        ..event
    }
}

pub fn faults(majors: u64, minors: u64, wait_ns: u64) -> QueryFaults {
    QueryFaults {
        majors,
        minors,
        wait_ns,
    }
}

/// A query of `worker`, `at_ms` after the start.
pub fn query(id: u64, at_ms: u64, wall_ms: u64, own: QueryFaults) -> Query {
    Query {
        id: QueryId(id),
        pid: 100,
        tid: 101,
        name: "postgresql:query".into(),
        text: Some(format!("SELECT * FROM t WHERE id = {id} AND n IN (1, {id})")),
        begin_ns: START_NS + at_ms * MS,
        end_ns: START_NS + (at_ms + wall_ms) * MS,
        own,
        ..Query::default()
    }
}

pub fn queries() -> Vec<Query> {
    let step = Query {
        parent: QueryId(SELECT),
        name: "sqlite3_step".into(),
        text: None,
        ..query(STEP, 28, 5, faults(1, 0, 200_000))
    };
    let outer = Query {
        nested: step.own,
        key: Some(77),
        ..query(SELECT, 9, 30, faults(1, 0, 100_000))
    };
    let other = query(OTHER, 45, 10, faults(1, 0, 300_000));
    let open = Query {
        tid: 100,
        name: "pf:query".into(),
        text: Some("random".into()),
        end: QueryEnd::Open,
        end_ns: START_NS + 100 * MS,
        ..query(OPEN, 15, 0, faults(0, 2, 1_600))
    };
    vec![step, outer, other, open]
}

pub fn events() -> Vec<Event> {
    vec![
        heap_fault(0, 500, 0),
        inside(SELECT, file_fault(10, 100_000, 0)),
        inside(OPEN, heap_fault(20, 700, 1)),
        inside(STEP, file_fault(30, 200_000, 1)),
        inside(OPEN, heap_fault(40, 900, 1)),
        inside(OTHER, file_fault(50, 300_000, 1)),
        file_fault(90, 1_400_000, 2),
    ]
}

/// A trace of these.
pub fn query_trace(events: &[Event], queries: &[Query]) -> Vec<u8> {
    let mut writer = writer(&meta(), &dicts(), events, &[]);
    writer.queries(queries).unwrap();
    writer.finish(totals(events)).unwrap()
}

pub fn known() -> Vec<u8> {
    query_trace(&events(), &queries())
}
