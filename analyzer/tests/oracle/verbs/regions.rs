//! `regions`: equal parts of a file, and those of a list. A byte belongs to the region of the list that begins last among those
//! it is in.

use super::Checks;
use super::tables::passing;
use super::walks::{reads, step_cells, steps};
use crate::filters::Filter;
use crate::sums::Sums;
use crate::table::{Cell, Expected, int, text};
use crate::truth::{Fault, Trace};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Offset, length and name: inside each other, touching, one without bytes, and a gap.
const LIST: [(u64, u64, &str); 7] = [
    (0, 40_000, "front"),
    (40_000, 100_001, "a, \"quoted\""),
    (60_000, 8_192, "inside"),
    (62_000, 100, "deep inside"),
    (150_000, 0, "nothing"),
    (1_000_000, 5_000_000, "middle"),
    (1_000_000, 900_000, "beginning of middle"),
];

pub fn regions(trace: &Trace, filter: &Filter, checks: &mut Checks) {
    let files: BTreeSet<&String> = trace
        .faults
        .iter()
        .filter(|fault| fault.in_file)
        .map(|fault| &fault.label)
        .collect();
    let files: Vec<&String> = files.into_iter().filter(|file| file.starts_with('/')).collect();
    if filter.selects_files() {
        return;
    }
    let few = if filter.is_empty() { 3 } else { 1 };
    // The busiest first.
    let count = |file: &String| trace.faults.iter().filter(|fault| fault.label == *file).count();
    let mut files = files;
    files.sort_by_key(|file| Reverse(count(file)));
    for file in files.into_iter().take(few) {
        for parts in [1, 5, 32] {
            let parts_text = parts.to_string();
            let asked = ["regions", "--file", file, "--parts", &parts_text];
            checks.csv(&asked, &parts_table(trace, filter, file, parts));
        }
        let list = tempfile::NamedTempFile::new().unwrap();
        let mut csv = csv::Writer::from_path(list.path()).unwrap();
        csv.write_record(["name", "offset", "len"]).unwrap();
        for (offset, len, name) in LIST {
            csv.write_record([name, &offset.to_string(), &format!("{len:#x}")])
                .unwrap();
        }
        csv.flush().unwrap();
        let asked = [
            "regions",
            "--file",
            file,
            "--regions",
            list.path().to_str().unwrap(),
        ];
        checks.csv(&asked, &list_table(trace, filter, file));
    }
}

/// The faults on a file with their regions: sorting key, name, offset, length.
type Key = (u64, String, Cell);

fn table(trace: &Trace, filter: &Filter, file: &str, region: impl Fn(&Fault) -> Key) -> Expected {
    let faults = passing(trace, filter);
    let faults: Vec<&Fault> = faults
        .into_iter()
        .filter(|fault| fault.in_file && fault.label == file)
        .collect();
    let steps = steps(&faults, trace);
    let reads = reads(&faults, trace);
    let mut by_region: BTreeMap<(u64, String), (Cell, Vec<usize>)> = BTreeMap::new();
    for (index, fault) in faults.iter().enumerate() {
        let (offset, name, len) = region(fault);
        let entry = by_region.entry((offset, name)).or_insert((len, Vec::new()));
        entry.1.push(index);
    }
    let has_failed = faults.iter().any(|fault| fault.class() == "failed");
    let pages = if trace.one_in() > 1 { "pages_seen" } else { "pages" };
    let mut heads = vec!["region", "major", "minor", "total_ms", "max_ms", pages];
    heads.extend(has_failed.then_some("failed"));
    heads.extend([
        "reread_bytes",
        "seq_percent",
        "stride_percent",
        "offset",
        "size_bytes",
        "type",
        "shape",
    ]);
    let mut rows = Vec::new();
    for ((offset, name), (len, indices)) in by_region {
        let sums = Sums::of(indices.iter().map(|&index| faults[index]));
        let page = |index: &usize| (faults[*index].event.object.0, faults[*index].event.object_page);
        let pages: HashSet<_> = indices.iter().map(page).collect();
        let read: Vec<_> = indices.iter().filter(|&&index| reads[index]).map(page).collect();
        let first: HashSet<_> = read.iter().collect();
        let mut row = vec![
            text(name),
            int(sums.major),
            int(sums.minor),
            Cell::Ms(sums.wait_ns),
            Cell::Ms(sums.max().into()),
            int(pages.len() as u64),
        ];
        row.extend(has_failed.then_some(int(sums.failed)));
        row.push(int((read.len() - first.len()) as u64 * trace.page_size()));
        row.extend(step_cells(indices.iter().map(|&index| steps[index]), trace));
        row.extend([int(offset), len, Cell::Null, Cell::Null]);
        rows.push((sums.wait_ns, row));
    }
    // Stable: equals stay in the order of the file.
    rows.sort_by_key(|(wait_ns, _)| Reverse(*wait_ns));
    Expected {
        heads,
        rows: rows.into_iter().map(|(_, row)| row).collect(),
    }
}

fn parts_table(trace: &Trace, filter: &Filter, file: &str, most: u64) -> Expected {
    let on_file = passing(trace, filter);
    let on_file = on_file
        .iter()
        .filter(|fault| fault.in_file && fault.label == file);
    let last_page = on_file.map(|fault| fault.event.object_page).max().unwrap_or(0);
    let mut pages = 1;
    while last_page / pages >= most {
        pages *= 2;
    }
    let len = pages * trace.page_size();
    table(trace, filter, file, |fault| {
        let begin = fault.event.object_page / pages * len;
        let name = format!("{begin:#x}-{:#x}", begin + len);
        (begin, name, int(len))
    })
}

fn list_table(trace: &Trace, filter: &Filter, file: &str) -> Expected {
    let end = LIST
        .map(|(offset, len, _)| offset + len)
        .into_iter()
        .max()
        .unwrap();
    table(trace, filter, file, |fault| {
        let byte = fault.event.object_page * trace.page_size() + fault.event.address % trace.page_size();
        let around = LIST
            .iter()
            .filter(|(offset, len, _)| (*offset..offset + len).contains(&byte));
        // Of two that begin together the shorter one.
        match around.max_by_key(|(offset, len, _)| (*offset, Reverse(*len))) {
            Some(&(offset, len, name)) => (offset, name.to_owned(), int(len)),
            // How long the last gap is depends on the last fault, which is tested elsewhere.
            None if byte >= end => (end, "(after middle)".to_owned(), Cell::Any),
            None => {
                let name = "(between a, \"quoted\" and beginning of middle)";
                (140_001, name.to_owned(), int(1_000_000_u64 - 140_001))
            }
        }
    })
}
