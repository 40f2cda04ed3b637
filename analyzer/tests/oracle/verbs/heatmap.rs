//! `heatmap`: where cells are is the heatmap's own choice, so that is taken from it; what is in each is counted anew. A
//! column begins where the time of its faults is cut, and so does a row, so every fault belongs to the last column and the
//! last row that begin before it.

use super::Checks;
use crate::filters::Filter;
use crate::truth::{Fault, Trace};
use std::collections::{BTreeMap, BTreeSet};

/// What has rows of its own: a file, or the memory of a process.
type Place = (String, String);
/// Count, wait, longest.
type Value = (u128, u128, u128);

/// Rows, columns and what a cell shows.
const ASKED: [(&str, &str, &str); 5] = [
    ("64", "128", "count"),
    ("7", "11", "wait"),
    ("1", "1", "max"),
    ("1000", "1000", "wait"),
    ("64", "1", "max"),
];

pub fn heatmap(trace: &Trace, filter: &Filter, checks: &mut Checks) {
    let few = if filter.is_empty() { ASKED.len() } else { 2 };
    for (rows, columns, weight) in ASKED.into_iter().take(few) {
        for y in ["place", "latency"] {
            let size = ["--rows", rows, "--columns", columns, "--y", y];
            let asked = [&["heatmap", "--format", "csv", "--weight", weight][..], &size].concat();
            let written = checks.output(&asked);
            let result = compare(trace, filter, &written, weight, y == "latency");
            checks.note(&asked, result);
        }
    }
}

struct Cell {
    place: Place,
    time_ns: u64,
    /// Or nanoseconds.
    byte: u64,
    value: u128,
}

fn cells(written: &str, weight: &str) -> Vec<Cell> {
    let mut reader = csv::Reader::from_reader(written.as_bytes());
    let heads = reader.headers().unwrap().clone();
    let column = |name: &str| heads.iter().position(|head| head == name);
    let row = |record: csv::StringRecord| {
        let cell = |name: &str| column(name).map_or("", |column| &record[column]).to_owned();
        let value = cell("value");
        if weight != "count" {
            assert_eq!(value.split_once('.').unwrap().1.len(), 3, "microseconds");
        }
        Cell {
            place: (cell("file"), cell("pid")),
            time_ns: cell("time_s").replace('.', "").parse().unwrap(),
            byte: match column("latency_us") {
                Some(column) => record[column].replace('.', "").parse().unwrap(),
                None => (cell("address") + &cell("file_offset")).parse().unwrap(),
            },
            value: value.replace('.', "").parse().unwrap(),
        }
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

fn compare(
    trace: &Trace,
    filter: &Filter,
    written: &str,
    weight: &str,
    by_latency: bool,
) -> Result<(), String> {
    let cells = cells(written, weight);
    let mut times: BTreeMap<&Place, BTreeSet<u64>> = BTreeMap::new();
    let mut bytes: BTreeMap<&Place, BTreeSet<u64>> = BTreeMap::new();
    for cell in &cells {
        times.entry(&cell.place).or_default().insert(cell.time_ns);
        bytes.entry(&cell.place).or_default().insert(cell.byte);
    }
    let last = |starts: Option<&BTreeSet<u64>>, at: u64| {
        let start = starts.and_then(|starts| starts.range(..=at).next_back());
        start
            .copied()
            .ok_or_else(|| format!("no cell reaches down to {at}"))
    };
    let by_file = filter.selects_files();
    let mut expected: BTreeMap<(Place, u64, u64), Value> = BTreeMap::new();
    for fault in trace.faults.iter().filter(|fault| (filter.passes)(fault)) {
        let place = if by_latency {
            Place::default()
        } else {
            place(fault, by_file)
        };
        let byte = if by_latency {
            // A logarithmic scale has no 0.
            fault.event.latency_ns.max(1)
        } else if by_file && fault.in_file {
            fault.event.object_page * trace.page_size()
        } else {
            fault.event.address
        };
        let column = last(times.get(&place), trace.since_ns(fault.event.ts_ns))?;
        let row = last(bytes.get(&place), byte)?;
        let (count, wait_ns, max_ns) = expected.entry((place, column, row)).or_default();
        *count += u128::from(fault.weight);
        *wait_ns += fault.wait_ns();
        *max_ns = (*max_ns).max(fault.event.latency_ns.into());
    }
    if cells.len() != expected.len() {
        return Err(format!("{} cells instead of {}", cells.len(), expected.len()));
    }
    for cell in cells {
        let key = (cell.place, cell.time_ns, cell.byte);
        let &(count, wait_ns, max_ns) = expected
            .get(&key)
            .ok_or_else(|| format!("{key:?} has no fault"))?;
        let value = match weight {
            "count" => count,
            "wait" => wait_ns,
            _ => max_ns,
        };
        if cell.value != value {
            return Err(format!("{key:?}: {} instead of {value}", cell.value));
        }
    }
    Ok(())
}

fn place(fault: &Fault, by_file: bool) -> Place {
    if by_file && fault.in_file {
        (fault.label.clone(), String::new())
    } else {
        (String::new(), fault.event.pid.to_string())
    }
}
