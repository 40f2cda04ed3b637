//! `queries`: by name, and single ones with their faults.

use super::Checks;
use crate::filters::Filter;
use crate::sums::Sums;
use crate::table::{Cell, Expected, int, text};
use crate::truth::{Fault, Trace};
use pf_formats::{Query, QueryEnd};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

const FROM_ROWS: [&str; 12] = [
    "query",
    "count",
    "wall_p50_ms",
    "wall_p99_ms",
    "wall_max_ms",
    "wait_ms",
    "wait_p50_ms",
    "wait_p99_ms",
    "wait_max_ms",
    "share_percent",
    "major",
    "minor",
];

pub fn queries(trace: &Trace, filter: &Filter, checks: &mut Checks) {
    if trace.queries.is_empty() || filter.passes_query.is_none() {
        checks.refuses(&["queries"]);
        return;
    }
    checks.table(&["queries"], &name_table(trace, filter));
    for count in [1, 3, 1000] {
        let asked = ["queries", "--slowest", &count.to_string(), "--format", "csv"];
        let written = checks.output(&asked);
        checks.note(&asked, single_table(trace, filter, count).compare_csv(&written));
    }
}

/// Queries of one name with the faults in them, each once.
#[derive(Default)]
struct Group<'a> {
    queries: Vec<&'a Query>,
    once: Once,
    faults: Vec<&'a Fault>,
}

/// What the queries of a name have together: what one has that runs inside another one of the name is in that one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Once {
    pub wait_ns: u128,
    pub major: u64,
    pub minor: u64,
    /// Of those that are known to have ended, and run in no other one of which that is known.
    wall_ns: u128,
    wait_in_wall_ns: u128,
}

/// By name, of those that pass.
pub fn once(trace: &Trace, passes: impl Fn(&Query) -> bool) -> BTreeMap<String, Once> {
    let name = |query: &Query| pfanalyze::trace::queries::label(query).into_owned();
    let mut by_id: HashMap<u64, &Query> = HashMap::new();
    for query in &trace.queries {
        by_id.entry(query.id.0).or_insert(query);
    }
    let mut names: BTreeMap<String, Once> = BTreeMap::new();
    for query in trace.queries.iter().filter(|query| passes(query)) {
        let around: Vec<&Query> = around(query.parent.0, &by_id)
            .filter(|outer| passes(outer) && name(outer) == name(query))
            .collect();
        let once = names.entry(name(query)).or_default();
        if around.is_empty() {
            once.wait_ns += u128::from(wait_ns(query));
            once.major += query.own.majors + query.nested.majors;
            once.minor += query.own.minors + query.nested.minors;
        }
        if let Some(wall_ns) = wall_ns(query)
            && around.iter().all(|outer| self::wall_ns(outer).is_none())
        {
            once.wall_ns += u128::from(wall_ns);
            once.wait_in_wall_ns += u128::from(wait_ns(query));
        }
    }
    names
}

/// What a query is called is no number: pfanalyze's own words.
fn groups<'a>(trace: &'a Trace, filter: &Filter) -> BTreeMap<String, Group<'a>> {
    let mut groups: BTreeMap<String, Group<'_>> = BTreeMap::new();
    let Some(passes) = &filter.passes_query else {
        return groups;
    };
    let mut by_id: HashMap<u64, &Query> = HashMap::new();
    for query in &trace.queries {
        by_id.entry(query.id.0).or_insert(query);
        if passes(query) {
            let name = pfanalyze::trace::queries::label(query).into_owned();
            groups.entry(name).or_default().queries.push(query);
        }
    }
    for fault in trace
        .faults
        .iter()
        .filter(|fault| (filter.passes_in_query)(fault))
    {
        let around = around(fault.event.query.0, &by_id).filter(|query| passes(query));
        let names: BTreeSet<String> = around
            .map(|query| pfanalyze::trace::queries::label(query).into_owned())
            .collect();
        for name in names {
            groups.entry(name).or_default().faults.push(fault);
        }
    }
    for (name, once) in once(trace, passes) {
        groups.entry(name).or_default().once = once;
    }
    groups
}

/// The query and those around it that have a row, innermost first.
fn around<'a>(id: u64, by_id: &HashMap<u64, &'a Query>) -> impl Iterator<Item = &'a Query> {
    std::iter::successors(by_id.get(&id).copied(), move |query| {
        by_id.get(&query.parent.0).copied()
    })
    .take(256)
}

fn wall_ns(query: &Query) -> Option<u64> {
    let is_whole = query.end == QueryEnd::Ended && !query.begun_before;
    is_whole.then(|| query.end_ns - query.begin_ns)
}

fn wait_ns(query: &Query) -> u64 {
    query.own.wait_ns + query.nested.wait_ns
}

/// What the rows say, with the wait and the wall time by which they are sorted.
fn row_cells(name: &str, group: &Group<'_>) -> ((u128, u128), Vec<Cell>) {
    let (queries, once) = (&group.queries, group.once);
    let walls = Sums::of_values(queries.iter().filter_map(|query| wall_ns(query)));
    let waits = Sums::of_values(queries.iter().map(|query| wait_ns(query)));
    let wall = |cell| if walls.count() == 0 { Cell::Null } else { cell };
    let cells = vec![
        text(name),
        int(queries.len() as u64),
        wall(Cell::AboutMs(walls.quantile(50_000))),
        wall(Cell::AboutMs(walls.quantile(99_000))),
        wall(Cell::Ms(walls.max().into())),
        Cell::Ms(once.wait_ns),
        Cell::AboutMs(waits.quantile(50_000)),
        Cell::AboutMs(waits.quantile(99_000)),
        Cell::Ms(waits.max().into()),
        wall(Cell::Percent(once.wait_in_wall_ns, once.wall_ns)),
        int(once.major),
        int(once.minor),
    ];
    ((once.wait_ns, once.wall_ns), cells)
}

fn sorted(mut rows: Vec<((u128, u128), Vec<Cell>)>) -> Vec<Vec<Cell>> {
    rows.sort_by_key(|&(sums, _)| Reverse(sums));
    rows.into_iter().map(|(_, row)| row).collect()
}

/// As in the report: without what only faults tell.
pub fn report_table(trace: &Trace, filter: &Filter) -> Expected {
    let groups = groups(trace, filter);
    let groups = groups.iter().filter(|(_, group)| !group.queries.is_empty());
    let rows = groups.map(|(name, group)| row_cells(name, group)).collect();
    Expected {
        heads: FROM_ROWS.to_vec(),
        rows: sorted(rows),
    }
}

fn name_table(trace: &Trace, filter: &Filter) -> Expected {
    let pages = if trace.one_in() > 1 { "pages_seen" } else { "pages" };
    let mut rows = Vec::new();
    for (name, group) in groups(trace, filter) {
        let (sums, mut cells) = row_cells(&name, &group);
        let pages: HashSet<_> = group
            .faults
            .iter()
            .map(|fault| fault.page(trace.page_size()))
            .collect();
        let counted = group.faults.iter().filter(|fault| fault.class() != "failed");
        let incomplete = group
            .queries
            .iter()
            .filter(|query| wall_ns(query).is_none())
            .count();
        let mut waits: BTreeMap<&str, u128> = BTreeMap::new();
        for fault in &group.faults {
            *waits.entry(&fault.label).or_default() += fault.wait_ns();
        }
        // Of two with the same wait the first by name.
        let top = waits.iter().rev().max_by_key(|&(_, wait_ns)| wait_ns);
        cells.extend([
            int(pages.len() as u64),
            int(counted.count() as u64),
            int(incomplete as u64),
            top.map_or(Cell::Null, |(label, _)| text(*label)),
        ]);
        rows.push((sums, cells));
    }
    Expected {
        heads: [&FROM_ROWS[..], &[pages, "recorded", "incomplete", "top_file"]].concat(),
        rows: sorted(rows),
    }
}

const FACTS: [&str; 25] = [
    "query_id",
    "name",
    "text",
    "key",
    "pid",
    "tid",
    "parent_id",
    "begin_s",
    "outcome",
    "wall_ms",
    "wait_ms",
    "major",
    "minor",
    "own_wait_ms",
    "own_major",
    "own_minor",
    "fault_after_ms",
    "fault_ts_ns",
    "fault_latency_us",
    "fault_class",
    "fault_kind",
    "fault_file",
    "fault_file_offset",
    "fault_address",
    "fault_query_id",
];

/// The slowest queries, a line for each of their faults.
fn single_table(trace: &Trace, filter: &Filter, count: usize) -> Expected {
    let by_id: HashMap<u64, &Query> = trace
        .queries
        .iter()
        .rev()
        .map(|query| (query.id.0, query))
        .collect();
    let passes = filter.passes_query.as_ref().unwrap();
    let mut queries: Vec<&Query> = trace.queries.iter().filter(|query| passes(query)).collect();
    queries.sort_by_key(|query| {
        let wall_ns = query.end_ns.saturating_sub(query.begin_ns);
        (Reverse(wait_ns(query)), Reverse(wall_ns), query.id)
    });
    queries.truncate(count);
    let mut rows = Vec::new();
    for query in queries {
        let facts = facts(query, trace);
        let faults = trace
            .faults
            .iter()
            .filter(|fault| (filter.passes_in_query)(fault));
        let mut faults: Vec<&Fault> = faults
            .filter(|fault| around(fault.event.query.0, &by_id).any(|outer| outer.id == query.id))
            .collect();
        faults.sort_by_key(|fault| fault.event.ts_ns);
        if faults.is_empty() {
            rows.push([facts.clone(), vec![Cell::Null; 9]].concat());
        }
        let began_ns = if query.begin_ns == 0 {
            trace.start_ns()
        } else {
            query.begin_ns
        };
        for fault in faults {
            let event = &fault.event;
            let cells = vec![
                Cell::Ms(event.ts_ns.saturating_sub(began_ns).into()),
                int(event.ts_ns),
                Cell::Us(event.latency_ns.into()),
                text(fault.class()),
                text(fault.kind),
                fault.file.as_ref().map_or(Cell::Null, text),
                fault
                    .file
                    .as_ref()
                    .map_or(Cell::Null, |_| int(event.object_page * trace.page_size())),
                int(event.address),
                int(event.query.0),
            ];
            rows.push([facts.clone(), cells].concat());
        }
    }
    Expected {
        heads: FACTS.to_vec(),
        rows,
    }
}

fn facts(query: &Query, trace: &Trace) -> Vec<Cell> {
    let status = if query.begun_before && query.end == QueryEnd::Ended {
        "begun_before"
    } else {
        query.end.name()
    };
    vec![
        int(query.id.0),
        text(&query.name),
        query.text.as_ref().map_or(Cell::Null, text),
        query.key.map_or(Cell::Null, int),
        int(query.pid),
        int(query.tid),
        if query.parent.0 == 0 {
            Cell::Null
        } else {
            int(query.parent.0)
        },
        if query.begin_ns == 0 {
            Cell::Null
        } else {
            Cell::Seconds(trace.since_ns(query.begin_ns).into())
        },
        text(status),
        wall_ns(query).map_or(Cell::Null, |ns| Cell::Ms(ns.into())),
        Cell::Ms(wait_ns(query).into()),
        int(query.own.majors + query.nested.majors),
        int(query.own.minors + query.nested.minors),
        Cell::Ms(query.own.wait_ns.into()),
        int(query.own.majors),
        int(query.own.minors),
    ]
}
