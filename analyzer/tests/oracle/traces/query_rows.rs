//! The queries of made-up traces.

use super::{Random, Shape};
use crate::support::START_NS;
use pf_formats::{Query, QueryEnd, QueryFaults, QueryId};

/// Of every four the first has the others inside it; each has faults of its own.
pub(super) fn queries(shape: Shape, random: &mut Random) -> Vec<Query> {
    let row = |id: u64| {
        let outer = (id - 1) / 4 * 4 + 1;
        let begin_ns = START_NS + id * 200_000;
        let own = QueryFaults {
            majors: random.below(3),
            minors: random.below(9),
            wait_ns: random.below(9_000_000),
        };
        Query {
            id: QueryId(id),
            parent: QueryId(if id == outer { 0 } else { outer }),
            pid: 100,
            tid: 100 + (id % 6) as u32,
            name: ["postgresql:query", "sqlite3_step, \"x\""][(id % 2) as usize].into(),
            text: (!id.is_multiple_of(3))
                .then(|| format!("SELECT c FROM t{}", "abc".get(..1 + (id % 3) as usize).unwrap())),
            key: id.is_multiple_of(5).then_some(id * 7),
            begin_ns: if id == 9 { 0 } else { begin_ns },
            end_ns: begin_ns + random.below(30_000_000),
            begun_before: id == 9,
            end: match id % 17 {
                3 => QueryEnd::Open,
                5 => QueryEnd::Abandoned,
                _ => QueryEnd::Ended,
            },
            own,
            nested: if id == outer { own } else { QueryFaults::default() },
            ..Query::default()
        }
    };
    let mut rows: Vec<Query> = (1..=shape.queries).map(row).collect();
    if shape.recursion > 0 {
        rows.iter_mut().for_each(|row| recursive(row, shape.recursion));
        // As they end.
        rows.reverse();
    }
    rows
}

/// The same as one call in a chain of so many, all of one thread and most of one name; each ends before the one around it.
fn recursive(row: &mut Query, depth: u64) {
    let at = (row.id.0 - 1) % depth;
    row.parent = QueryId(if at == 0 { 0 } else { row.id.0 - 1 });
    row.tid = 100 + ((row.id.0 - 1) / depth % 6) as u32;
    row.text = None;
    row.name = if at == 4 { "search" } else { "walk" }.to_owned();
    row.end_ns = row.begin_ns.max(START_NS) + 40_000_000 - at * 400_000;
    // Those inside it fault as it does.
    let left = depth - 1 - at;
    row.nested = QueryFaults {
        majors: row.own.majors * left,
        minors: row.own.minors * left,
        wait_ns: row.own.wait_ns * left,
    };
}
