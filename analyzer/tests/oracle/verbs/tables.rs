//! Tables of sums and percentiles: `threads`, `percentiles`, and the report, which joins them.

use super::Checks;
use crate::filters::Filter;
use crate::sums::Sums;
use crate::table::{Cell, Expected, int, text};
use crate::truth::{Fault, Trace};
use std::cmp::Reverse;
use std::collections::BTreeMap;

pub const PARTS: [&str; 5] = ["blocked_ms", "runqueue_ms", "cpu_ms", "reclaim_ms", "lock_ms"];
pub const WAIT: [&str; 5] = ["major", "minor", "total_ms", "avg_ms", "max_ms"];
pub const BY: [&str; 14] = [
    "class", "cause", "pid", "tid", "comm", "file", "kind", "query", "query-id", "access", "origin", "cpu",
    "retries", "failed",
];

pub fn passing<'a>(trace: &'a Trace, filter: &Filter) -> Vec<&'a Fault> {
    trace
        .faults
        .iter()
        .filter(|fault| (filter.passes)(fault))
        .collect()
}

pub fn grouped<'a, K: Ord>(faults: &[&'a Fault], key: impl Fn(&Fault) -> K) -> BTreeMap<K, Vec<&'a Fault>> {
    let mut groups: BTreeMap<K, Vec<&Fault>> = BTreeMap::new();
    for &fault in faults {
        groups.entry(key(fault)).or_default().push(fault);
    }
    groups
}

pub fn threads(trace: &Trace, filter: &Filter, checks: &mut Checks) {
    checks.table(&["threads"], &thread_table(trace, filter));
}

fn thread_table(trace: &Trace, filter: &Filter) -> Expected {
    let faults = passing(trace, filter);
    let all = Sums::of(faults.iter().copied());
    let mut heads = vec!["pid", "tid", "comm"];
    let has_programs = !trace.processes.is_empty();
    heads.extend(has_programs.then_some("process"));
    heads.extend(WAIT);
    heads.push("min_us");
    heads.extend((all.failed > 0).then_some("failed"));
    heads.extend(["p50_us", "p99_us"]);
    heads.extend(all.parts.iter().flat_map(|_| PARTS));
    let mut rows = Vec::new();
    for ((pid, tid), faults) in grouped(&faults, |fault| (fault.event.pid, fault.event.tid)) {
        let sums = Sums::of(faults.iter().copied());
        // The name of its last fault, of two at the same time of the one that was read last.
        let named = faults.iter().max_by_key(|fault| fault.event.ts_ns).unwrap();
        let mut row = vec![int(pid), int(tid), text(&named.comm)];
        if has_programs {
            let name = trace.program(pid, named.event.ts_ns);
            row.push(name.map_or(Cell::Null, text));
        }
        row.extend(sums.wait_cells());
        row.push(Cell::Us(sums.min().into()));
        row.extend((all.failed > 0).then_some(int(sums.failed)));
        row.extend([50_000, 99_000].map(|q| Cell::AboutUs(sums.quantile(q))));
        row.extend(all.parts.iter().flat_map(|_| sums.part_cells()));
        rows.push((sums.wait_ns, row));
    }
    // Stable: those that waited as long stay in the order of their ids.
    rows.sort_by_key(|(wait_ns, _)| Reverse(*wait_ns));
    Expected {
        heads,
        rows: rows.into_iter().map(|(_, row)| row).collect(),
    }
}

pub fn percentiles(trace: &Trace, filter: &Filter, checks: &mut Checks) {
    let faults = passing(trace, filter);
    let query = |fault: &Fault| {
        let id = fault.event.query.0;
        let row = trace.queries.iter().find(|query| query.id.0 == id);
        match (id, row) {
            (0, _) => "(no query)".to_owned(),
            (_, None) => "(query without a record)".to_owned(),
            (_, Some(row)) => pfanalyze::trace::queries::label(row).into_owned(),
        }
    };
    for by in BY {
        if by.starts_with("query") && trace.queries.is_empty() {
            checks.refuses(&["percentiles", "--by", by]);
            continue;
        }
        let number = |name, key: fn(&Fault) -> u32| group_table(&[name], &faults, key, |&key| vec![int(key)]);
        let table = match by {
            "class" => class_table(&faults),
            "cause" => group_table(
                &["cause"],
                &faults,
                |fault| (fault.cause.is_none(), fault.cause),
                |&(_, cause)| vec![cause.map_or(Cell::Null, text)],
            ),
            "pid" => number("pid", |fault| fault.event.pid),
            "cpu" => number("cpu", |fault| fault.event.cpu.into()),
            "retries" if trace.sees_retries() => number("retries", |fault| fault.event.retries.into()),
            "retries" => group_table(&["retries"], &faults, |_| (), |()| vec![Cell::Null]),
            "failed" => group_table(
                &["failed"],
                &faults,
                |fault| fault.event.failed,
                |failed| vec![text(failed.to_string())],
            ),
            "kind" => group_table(&["kind"], &faults, |fault| fault.kind, |&kind| vec![text(kind)]),
            "query" => group_table(&["query"], &faults, query, |name| vec![text(name)]),
            "query-id" => {
                let key = |fault: &Fault| (fault.event.query.0 == 0, fault.event.query.0, query(fault));
                group_table(&["query_id", "query"], &faults, key, |(is_none, id, name)| {
                    vec![if *is_none { Cell::Null } else { int(*id) }, text(name)]
                })
            }
            "tid" => group_table(
                &["pid", "tid"],
                &faults,
                |fault| (fault.event.pid, fault.event.tid),
                |&(pid, tid)| vec![int(pid), int(tid)],
            ),
            "comm" => group_table(
                &["comm"],
                &faults,
                |fault| fault.comm.clone(),
                |comm| vec![text(comm)],
            ),
            "file" => group_table(
                &["file"],
                &faults,
                |fault| fault.label.clone(),
                |label| vec![text(label)],
            ),
            "origin" => group_table(
                &["origin"],
                &faults,
                |fault| fault.event.origin.name(),
                |&name| vec![text(name)],
            ),
            _ => {
                let name = |fault: &Fault| fault.event.access.map_or("unknown", |access| access.name());
                group_table(&["access"], &faults, name, |&name| vec![text(name)])
            }
        };
        checks.table(&["percentiles", "--by", by], &table);
    }
}

const LATENCY: [&str; 7] = [
    "count",
    "p50_us",
    "p90_us",
    "p99_us",
    "p99_9_us",
    "p99_99_us",
    "max_us",
];

fn latency_cells(sums: &Sums) -> Vec<Cell> {
    let mut cells = vec![int(sums.count())];
    if sums.count() == 0 {
        cells.extend(vec![Cell::Null; LATENCY.len() - 1]);
        return cells;
    }
    cells.extend([50_000, 90_000, 99_000, 99_900, 99_990].map(|q| Cell::AboutUs(sums.quantile(q))));
    cells.push(Cell::Us(sums.max().into()));
    cells
}

fn class_table(faults: &[&Fault]) -> Expected {
    let mut rows = Vec::new();
    for class in ["major", "minor", "failed", "all"] {
        let of_class = faults
            .iter()
            .filter(|fault| class == "all" || fault.class() == class);
        let sums = Sums::of(of_class.copied());
        if class != "failed" || sums.count() > 0 {
            rows.push([vec![text(class)], latency_cells(&sums)].concat());
        }
    }
    Expected {
        heads: [&["class"][..], &LATENCY].concat(),
        rows,
    }
}

/// Groups, the most faults first, those with as many in the order of their names.
fn group_table<K: Ord>(
    heads: &[&'static str],
    faults: &[&Fault],
    key: impl Fn(&Fault) -> K,
    cells: impl Fn(&K) -> Vec<Cell>,
) -> Expected {
    let mut rows: Vec<(u64, Vec<Cell>)> = Vec::new();
    for (name, faults) in grouped(faults, key) {
        let sums = Sums::of(faults);
        rows.push((sums.count(), [cells(&name), latency_cells(&sums)].concat()));
    }
    rows.sort_by_key(|(count, _)| Reverse(*count));
    Expected {
        heads: [heads, &LATENCY].concat(),
        rows: rows.into_iter().map(|(_, row)| row).collect(),
    }
}

/// The breakdown by class of the report.
fn spent_table(faults: &[&Fault]) -> Expected {
    let mut rows = Vec::new();
    for class in ["major", "minor", "failed", "all"] {
        let of_class = faults
            .iter()
            .filter(|fault| class == "all" || fault.class() == class);
        let sums = Sums::of(of_class.copied());
        if let Some([wait_ns, ..]) = sums.parts {
            rows.push([vec![text(class), Cell::Ms(wait_ns)], sums.part_cells()].concat());
        }
    }
    Expected {
        heads: [&["class", "wait_ms"][..], &PARTS].concat(),
        rows,
    }
}

/// In JSON all of it; of the text only that its total is right.
pub fn report(trace: &Trace, filter: &Filter, checks: &mut Checks) {
    let asked = ["--format", "json"];
    let report: serde_json::Value = serde_json::from_str(&checks.output(&asked)).unwrap();
    let faults = passing(trace, filter);
    let mut tables = vec![
        ("threads", thread_table(trace, filter)),
        ("percentiles", class_table(&faults)),
        ("files", super::files::file_table(trace, filter)),
    ];
    let spent = spent_table(&faults);
    if spent.rows.is_empty() {
        checks.note(
            &asked,
            if report["breakdown"].is_null() {
                Ok(())
            } else {
                Err("a breakdown of nothing".to_owned())
            },
        );
    } else {
        tables.push(("breakdown", spent));
    }
    if !trace.queries.is_empty() {
        tables.push(("queries", super::queries::report_table(trace, filter)));
    }
    for (name, expected) in tables {
        let result = expected.compare_json(&report[name]);
        checks.note(&asked, result.map_err(|wrong| format!("{name}: {wrong}")));
    }
    checks.note(&asked, super::info::compare(trace, &report["info"]));
    let text = checks.output(&[]);
    let sums = Sums::of(faults.iter().copied());
    checks.note(&[], total_line(&text, &sums));
    checks.note(&[], super::findings::compare(&text, trace, filter, &faults));
}

/// The first line of sums, under the threads.
fn total_line(report: &str, sums: &Sums) -> Result<(), String> {
    let mut lines = report
        .lines()
        .skip_while(|line| line.split_whitespace().next() != Some("total"));
    let Some(line) = lines.next() else {
        return if sums.count() == 0 {
            Ok(())
        } else {
            Err("no total".to_owned())
        };
    };
    let written: Vec<String> = line
        .split_whitespace()
        .skip(1)
        .map(|word| word.replace(',', ""))
        .collect();
    let rounded = |ns: u128, unit: u128, digits: usize| {
        let scale = 10_u128.pow(digits as u32);
        let value = (ns * scale + unit / 2) / unit;
        format!("{}.{:0digits$}", value / scale, value % scale)
    };
    let mut expected = vec![
        sums.major.to_string(),
        sums.minor.to_string(),
        rounded(sums.wait_ns, 1_000_000, 3),
        rounded(sums.mean(), 1_000_000, 3),
        rounded(sums.max().into(), 1_000_000, 3),
        rounded(sums.min().into(), 1_000, 1),
    ];
    expected.extend((sums.failed > 0).then(|| sums.failed.to_string()));
    // The last columns are left out where a line would be too long, and named.
    let left_out = lines
        .next()
        .and_then(|line| line.strip_prefix("a wider terminal also shows "));
    let left_out = left_out.map_or(0, |titles| titles.split(", ").count());
    expected.truncate(expected.len().saturating_sub(left_out));
    if written == expected {
        Ok(())
    } else {
        Err(format!("total: {written:?} instead of {expected:?}"))
    }
}
