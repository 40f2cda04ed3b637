//! `files`: sums by file or kind of memory, and how its pages were walked and read again.

use super::Checks;
use super::tables::{PARTS, WAIT, grouped, passing};
use super::walks::{reads, step_cells, steps};
use crate::filters::Filter;
use crate::sums::Sums;
use crate::table::{Expected, int, text};
use crate::truth::Trace;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

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
    heads.extend(["reread_bytes", "seq_percent", "stride_percent"]);
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
