//! `files`: sums by file or kind of memory, and how its pages were walked and read again.

use super::Checks;
use super::tables::{PARTS, WAIT, grouped, passing};
use super::walks::{reads, step_cells, steps};
use crate::filters::Filter;
use crate::sums::Sums;
use crate::table::{Cell, Expected, int, text};
use crate::truth::{Fault, Trace};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};

pub fn files(trace: &Trace, filter: &Filter, checks: &mut Checks) {
    let table = file_table(trace, filter);
    checks.table(&["files"], &table);
    if filter.is_empty() {
        super::order::check(&["files"], &table, checks);
    }
}

pub fn file_table(trace: &Trace, filter: &Filter) -> Expected {
    let faults = passing(trace, filter);
    let all = Sums::of(faults.iter().copied());
    let pages = if trace.one_in() > 1 { "pages_seen" } else { "pages" };
    let mut heads = vec!["file"];
    heads.extend(WAIT);
    heads.push(pages);
    heads.extend((all.failed > 0).then_some("failed"));
    heads.push("reread_bytes");
    let sees_reads = faults
        .iter()
        .any(|fault| fault.in_file && fault.event.witnesses.pages_read.is_some());
    if sees_reads {
        heads.extend(["read_bytes", "amplification", "untouched_percent"]);
    }
    heads.extend(["seq_percent", "stride_percent"]);
    heads.extend(all.parts.iter().flat_map(|_| PARTS));
    let mut walked: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    let mut read: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    let judged = steps(&faults, trace).into_iter().zip(reads(&faults, trace));
    for (fault, (step, is_read)) in faults.iter().zip(judged) {
        walked.entry(&fault.label).or_default().push(step);
        let page = (fault.event.object, fault.page(trace.page_size()));
        read.entry(&fault.label)
            .or_default()
            .extend(is_read.then_some(page));
    }
    let mut rows = Vec::new();
    for (label, faults) in grouped(&faults, |fault| fault.label.clone()) {
        let sums = Sums::of(faults.iter().copied());
        // Pages of objects with one name are added up.
        let pages: HashSet<_> = faults
            .iter()
            .map(|fault| (fault.event.object, fault.page(trace.page_size())))
            .collect();
        let mut row = vec![text(&label)];
        row.extend(sums.wait_cells());
        row.push(int(pages.len() as u64));
        row.extend((all.failed > 0).then_some(int(sums.failed)));
        let read = &read[&*label];
        let first = read.iter().collect::<HashSet<_>>().len();
        row.push(int((read.len() - first) as u64 * trace.page_size()));
        if sees_reads {
            row.extend(brought_in(&faults, trace));
        }
        row.extend(step_cells(walked[&*label].iter().copied(), trace));
        row.extend(all.parts.iter().flat_map(|_| sums.part_cells()));
        rows.push((sums.wait_ns, row));
    }
    rows.sort_by_key(|(wait_ns, _)| Reverse(*wait_ns));
    Expected {
        heads,
        rows: rows.into_iter().map(|(_, row)| row).collect(),
    }
}

/// What the faults of one label brought in, each file for itself.
fn brought_in(faults: &[&Fault], trace: &Trace) -> [Cell; 3] {
    let (mut read, mut faulted, mut brought, mut untouched) = (None, 0u128, 0u128, 0u128);
    let mut is_complete = true;
    for (_, faults) in grouped(faults, |fault| fault.event.object.0) {
        let mut pages = BTreeSet::new();
        let mut is_seen = false;
        for fault in faults.iter().filter(|fault| fault.in_file) {
            let Some(count) = fault.event.witnesses.pages_read else {
                continue;
            };
            is_seen = true;
            *read.get_or_insert(0) += u128::from(count) * u128::from(fault.weight);
            let first = trace
                .read_offset(&fault.event, true)
                .map(|offset| offset / trace.page_size());
            match first {
                Some(first) if fault.weight == 1 => pages.extend(first..first + u64::from(count)),
                _ => is_complete &= count == 0,
            }
        }
        if is_seen {
            let touched: BTreeSet<u64> = faults.iter().map(|fault| fault.event.object_page).collect();
            faulted += touched.len() as u128;
            brought += pages.len() as u128;
            untouched += pages.difference(&touched).count() as u128;
        }
    }
    let Some(read) = read else {
        return [Cell::Null, Cell::Null, Cell::Null];
    };
    let times = (read > 0 && faulted > 0 && trace.one_in() == 1).then(|| read * 1000 / faulted);
    [
        int(read * u128::from(trace.page_size())),
        times.map_or(Cell::Null, Cell::Decimal),
        if is_complete && brought > 0 {
            Cell::Percent(untouched, brought)
        } else {
            Cell::Null
        },
    ]
}
