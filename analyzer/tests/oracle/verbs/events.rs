//! `events`: every row as it is in the trace, in CSV, and the same in JSON.

use super::Checks;
use crate::filters::Filter;
use crate::table::{Cell, Expected, int, text};
use crate::truth::{Fault, Trace};

const HEADS: [&str; 29] = [
    "ts_ns",
    "latency_ns",
    "pid",
    "tid",
    "comm",
    "cpu",
    "address",
    "major",
    "access",
    "origin",
    "retries",
    "failed",
    "ip",
    "kind",
    "file",
    "file_offset",
    "blocked_ns",
    "runqueue_ns",
    "reclaim_ns",
    "lock_ns",
    "query_id",
    "stack_id",
    "interruptions",
    "signal",
    "abandoned",
    "pages_read",
    "sleep_stack_id",
    "read_offset",
    "cause",
];

pub fn events(trace: &Trace, filter: &Filter, checks: &mut Checks) {
    let mut faults: Vec<&Fault> = trace
        .faults
        .iter()
        .filter(|fault| (filter.passes)(fault))
        .collect();
    // Stable: what is equal stays in the order of the block.
    faults.sort_by_key(|fault| (fault.block, fault.event.ts_ns, fault.event.pid, fault.event.tid));
    let is_sampled = trace.one_in() > 1;
    let mut heads = HEADS.to_vec();
    heads.extend(is_sampled.then_some("weight"));
    heads.push("time");
    let rows = faults.iter().map(|fault| {
        let mut row = row(fault, trace);
        row.extend(is_sampled.then_some(int(fault.weight)));
        row.push(text(clock(trace.utc_of(fault.event.ts_ns))));
        row
    });
    let expected = Expected {
        heads,
        rows: rows.collect(),
    };
    let asked = ["events", "--format", "csv"];
    let csv = checks.output(&asked);
    checks.note(&asked, expected.compare_csv(&csv));
    let asked = ["events", "--format", "json"];
    let lines = checks.output(&asked);
    checks.note(&asked, same_in_json(&csv, &lines));
}

fn row(fault: &Fault, trace: &Trace) -> Vec<Cell> {
    let event = &fault.event;
    let flag = |flag: bool| text(if flag { "true" } else { "false" });
    let or_null = |number: u64| if number == 0 { Cell::Null } else { int(number) };
    let parts = event.breakdown.map(|parts| {
        [
            int(parts.blocked_ns),
            int(parts.runqueue_ns),
            int(parts.reclaim_ns),
            if trace.sees_lock() {
                int(parts.lock_ns)
            } else {
                Cell::Null
            },
        ]
    });
    let mut row = vec![
        int(event.ts_ns),
        int(event.latency_ns),
        int(event.pid),
        int(event.tid),
        text(&fault.comm),
        int(event.cpu),
        int(event.address),
        flag(fault.class() == "major"),
        event.access.map_or(Cell::Null, |access| text(access.name())),
        text(event.origin.name()),
        if trace.sees_retries() {
            int(event.retries)
        } else {
            Cell::Null
        },
        flag(event.failed),
        int(event.ip),
        text(fault.kind),
        fault.file.as_ref().map_or(Cell::Null, text),
        if fault.in_file {
            int(event.object_page * trace.page_size())
        } else {
            Cell::Null
        },
    ];
    row.extend(parts.map_or(vec![Cell::Null; 4], |parts| parts.to_vec()));
    row.extend([or_null(event.query.0), or_null(event.stack.0.into())]);
    row.extend([or_null(event.interruptions.into()), or_null(event.signal.into())]);
    row.push(flag(event.abandoned));
    let seen = event.witnesses;
    row.push(seen.pages_read.map_or(Cell::Null, int));
    row.push(or_null(seen.sleep.map_or(0, |stack| stack.0).into()));
    row.push(trace.read_offset(event, fault.in_file).map_or(Cell::Null, int));
    row.push(fault.cause.map_or(Cell::Null, text));
    row
}

/// Day by day from 1970 on.
fn clock(unix_ns: i64) -> String {
    let seconds = unix_ns.div_euclid(1_000_000_000);
    let (mut days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = |year: i64| if is_leap(year) { 366 } else { 365 };
    let mut year = 1970;
    while days < 0 {
        year -= 1;
        days += length(year);
    }
    while days >= length(year) {
        days -= length(year);
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute) = (second / 3600, second / 60 % 60);
    let part = unix_ns.rem_euclid(1_000_000_000);
    format!(
        "{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{:02}.{part:09}Z",
        days + 1,
        second % 60
    )
}

fn same_in_json(csv: &str, lines: &str) -> Result<(), String> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let heads = reader.headers().unwrap().clone();
    let mut lines = lines.lines();
    for record in reader.records() {
        let line = lines.next().ok_or("fewer lines")?;
        let object: serde_json::Value = serde_json::from_str(line).unwrap();
        let written = |value: &serde_json::Value| match value {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let members: Vec<String> = heads.iter().map(|head| written(&object[head])).collect();
        if record.unwrap().iter().ne(&members) || object.as_object().unwrap().len() != heads.len() {
            return Err(format!("another row in CSV: {line}"));
        }
    }
    lines
        .next()
        .map_or(Ok(()), |line| Err(format!("more lines: {line}")))
}
