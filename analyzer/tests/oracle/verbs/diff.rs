//! `diff`: both recordings summed up by the names in its rows. Which file of one is which of the other is its own choice; what
//! is said of the two is counted anew, and no name may be missing.

use super::Checks;
use super::queries::once;
use super::tables::passing;
use crate::filters::Filter;
use crate::sums::Sums;
use crate::table::{Cell, Expected, int, text};
use crate::truth::{Fault, Trace};
use std::collections::{BTreeMap, BTreeSet, HashSet};

const HEADS: [&str; 24] = [
    "by",
    "name",
    "name_b",
    "wait_a_ms",
    "wait_b_ms",
    "change_ms",
    "change_percent",
    "major_a",
    "major_b",
    "minor_a",
    "minor_b",
    "failed_a",
    "failed_b",
    "p50_a_us",
    "p50_b_us",
    "p99_a_us",
    "p99_b_us",
    "pages_a",
    "pages_b",
    "pages_both",
    "pages_only_a",
    "pages_only_b",
    "jaccard_percent",
    "pages_estimated",
];

/// One of the two.
struct Side<'a> {
    trace: &'a Trace,
    faults: Vec<&'a Fault>,
}

pub fn diff(trace: &Trace, filter: &Filter, checks: &mut Checks) {
    let other = checks.other;
    // Times and numbers of queries are those of one recording.
    if filter
        .arguments
        .iter()
        .any(|argument| ["--from", "--to", "--query"].contains(&argument.as_str()))
    {
        return;
    }
    let path = other.path.to_str().unwrap();
    let asked = ["diff", path, "--format", "csv"];
    let written = checks.output(&asked);
    let sides = [trace, other].map(|trace| Side {
        trace,
        faults: passing(trace, filter),
    });
    checks.note(&asked, compare(&sides, filter, &written));
}

fn compare(sides: &[Side<'_>; 2], filter: &Filter, written: &str) -> Result<(), String> {
    let mut reader = csv::Reader::from_reader(written.as_bytes());
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let mut rows = Vec::new();
    let mut names = BTreeSet::new();
    let mut last: Option<(String, (u128, u128))> = None;
    let mut in_stacks = [0, 0];
    for record in &records {
        let (by, name) = (&record[0], &record[1]);
        let name_b = Some(&record[2]).filter(|name| !name.is_empty());
        if by == "stack" {
            for (sum, cell) in in_stacks.iter_mut().zip([&record[3], &record[4]]) {
                *sum += cell.replace('.', "").parse::<u128>().unwrap();
            }
            let mut row = vec![Cell::Any; HEADS.len()];
            row[0] = text("stack");
            rows.push(row);
            continue;
        }
        let pair = [name, name_b.unwrap_or(name)];
        let sums = [0, 1].map(|side| sums(&sides[side], filter, by, pair[side]));
        let waits = [0, 1].map(|side: usize| sums[side].wait_ns);
        let order = (waits[0].abs_diff(waits[1]), waits[0].max(waits[1]));
        if by != "class" && last.as_ref().is_some_and(|last| last.0 == by && last.1 < order) {
            return Err(format!("{by} {name} comes too late"));
        }
        last = Some((by.to_owned(), order));
        for (side, name) in pair.iter().enumerate() {
            names.insert((by.to_owned(), (*name).to_owned(), side));
        }
        let mut row = vec![text(by), text(name), name_b.map_or(Cell::Null, text)];
        row.extend(cells(&sums));
        row.extend(page_cells(sides, by, pair));
        rows.push(row);
    }
    let heads = HEADS.to_vec();
    Expected { heads, rows }.compare_csv(written)?;
    for side in 0..2 {
        for (by, name) in expected_names(&sides[side], filter) {
            if !names.contains(&(by.clone(), name.clone(), side)) {
                return Err(format!("no row of {by} {name}"));
            }
        }
        let all = Sums::of(sides[side].faults.iter().copied()).wait_ns;
        if in_stacks != [0, 0] && in_stacks[side] != all {
            return Err(format!(
                "stacks of {side}: {} instead of {all} ns",
                in_stacks[side]
            ));
        }
    }
    Ok(())
}

fn expected_names(side: &Side<'_>, filter: &Filter) -> BTreeSet<(String, String)> {
    let mut names =
        BTreeSet::from(["major", "minor", "all"].map(|class| ("class".to_owned(), class.to_owned())));
    for fault in &side.faults {
        names.insert(("class".to_owned(), fault.class().to_owned()));
        names.insert(("thread".to_owned(), fault.comm.clone()));
        names.insert(("file".to_owned(), fault.label.clone()));
    }
    if let Some(passes) = &filter.passes_query {
        let queries = side.trace.queries.iter().filter(|query| passes(query));
        names.extend(queries.map(|query| {
            (
                "query".to_owned(),
                pfanalyze::trace::queries::label(query).into_owned(),
            )
        }));
    }
    names
}

fn sums(side: &Side<'_>, filter: &Filter, by: &str, name: &str) -> Sums {
    if by == "query" {
        let passes = filter.passes_query.as_ref().unwrap();
        let queries = side
            .trace
            .queries
            .iter()
            .filter(|query| passes(query) && pfanalyze::trace::queries::label(query) == name);
        let queries: Vec<_> = queries.collect();
        let waits = queries
            .iter()
            .map(|query| query.own.wait_ns + query.nested.wait_ns);
        let mut sums = Sums::of_values(waits);
        let once = once(side.trace, passes).get(name).copied().unwrap_or_default();
        (sums.wait_ns, sums.major, sums.minor) = (once.wait_ns, once.major, once.minor);
        return sums;
    }
    let is_meant = |fault: &&&Fault| match by {
        "class" => name == "all" || fault.class() == name,
        "thread" => fault.comm == name,
        "file" => fault.label == name,
        other => panic!("rows of {other}"),
    };
    Sums::of(side.faults.iter().filter(is_meant).copied())
}

fn cells([a, b]: &[Sums; 2]) -> Vec<Cell> {
    let signed = |cell: Cell| {
        if b.wait_ns < a.wait_ns {
            Cell::Minus(Box::new(cell))
        } else {
            cell
        }
    };
    let change_ns = a.wait_ns.abs_diff(b.wait_ns);
    let quantile = |sums: &Sums, per_100k| match sums.count() {
        0 => Cell::Null,
        _ => Cell::AboutUs(sums.quantile(per_100k)),
    };
    let relative = if a.wait_ns == 0 && b.wait_ns > 0 {
        Cell::Null
    } else {
        signed(Cell::Percent(change_ns, a.wait_ns))
    };
    let mut cells = vec![
        Cell::Ms(a.wait_ns),
        Cell::Ms(b.wait_ns),
        signed(Cell::Ms(change_ns)),
        relative,
    ];
    cells.extend([a.major, b.major, a.minor, b.minor, a.failed, b.failed].map(int));
    for per_100k in [50_000, 99_000] {
        cells.extend([a, b].map(|sums| quantile(sums, per_100k)));
    }
    cells
}

/// Pages of the files of one path, by device and inode in the order in which these were met.
type ByInode = Vec<((u32, u32, u64), HashSet<u64>)>;

fn by_inode(side: &Side<'_>, label: &str) -> ByInode {
    let mut by_object: BTreeMap<u32, HashSet<u64>> = BTreeMap::new();
    for fault in side
        .faults
        .iter()
        .filter(|fault| fault.in_file && fault.label == label)
    {
        let pages = by_object.entry(fault.event.object.0).or_default();
        pages.insert(fault.event.object_page);
    }
    let files = by_object.into_iter().map(|(id, pages)| {
        let object = &side.trace.objects[&id];
        ((object.dev_major, object.dev_minor, object.inode), pages)
    });
    files.collect()
}

/// Of files: pages in one recording that are those of the other by their file and number. A file without its like is that one of the
/// other recording that is without its like, too, the first the first.
fn page_cells(sides: &[Side<'_>; 2], by: &str, names: [&str; 2]) -> Vec<Cell> {
    let files = [0, 1].map(|side: usize| by_inode(&sides[side], names[side]));
    let is_alike = sides[0].trace.page_size() == sides[1].trace.page_size();
    if !is_alike || by != "file" || files.iter().all(Vec::is_empty) {
        return vec![Cell::Null; 7];
    }
    let [in_a, in_b] =
        [&files[0], &files[1]].map(|files| files.iter().map(|(_, pages)| pages.len()).sum::<usize>());
    let [mut of_a, mut of_b] = files;
    let mut pairs = Vec::new();
    while let Some((at, other)) = of_a.iter().enumerate().find_map(|(at, (inode, _))| {
        let other = of_b.iter().position(|(other, _)| other == inode)?;
        Some((at, other))
    }) {
        pairs.push((of_a.remove(at).1, of_b.remove(other).1));
    }
    pairs.extend(of_a.into_iter().zip(of_b).map(|(a, b)| (a.1, b.1)));
    let both: usize = pairs.iter().map(|(a, b)| a.intersection(b).count()).sum();
    let either = in_a + in_b - both;
    let counts = [in_a, in_b, both, in_a - both, in_b - both];
    let mut cells = counts.map(|count| int(count as u64)).to_vec();
    cells.extend([Cell::Percent(both as u128, either as u128), text("false")]);
    cells
}
