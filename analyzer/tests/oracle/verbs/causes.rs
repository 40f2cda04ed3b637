//! `causes`: sums by cause, with the file and the function of the kernel in which most of it was.

use super::Checks;
use super::tables::{grouped, passing};
use crate::filters::Filter;
use crate::sums::Sums;
use crate::table::{Cell, Expected, int, text};
use crate::truth::{Fault, Trace};
use std::cmp::Reverse;
use std::collections::BTreeMap;

pub fn causes(trace: &Trace, filter: &Filter, checks: &mut Checks) {
    let faults: Vec<&Fault> = passing(trace, filter);
    let known: Vec<&Fault> = faults.into_iter().filter(|fault| fault.cause.is_some()).collect();
    let whole: u128 = known.iter().map(|fault| fault.wait_ns()).sum();
    let mut rows = Vec::new();
    for (cause, faults) in grouped(&known, |fault| fault.cause.unwrap()) {
        let sums = Sums::of(faults.iter().copied());
        let pages = faults
            .iter()
            .filter_map(|fault| Some((fault, fault.event.witnesses.pages_read?)));
        let sees_pages = pages.clone().count() > 0;
        let pages: u128 = pages
            .map(|(fault, pages)| u128::from(fault.weight) * u128::from(pages))
            .sum();
        let mut files: BTreeMap<u32, u128> = BTreeMap::new();
        let mut functions: BTreeMap<&str, u128> = BTreeMap::new();
        for fault in &faults {
            *files.entry(fault.event.object.0).or_default() += fault.wait_ns();
            let stack = fault.event.witnesses.sleep.map_or(0, |stack| stack.0);
            if let Some(name) = trace.witness(stack) {
                *functions.entry(name).or_default() += fault.wait_ns();
            }
        }
        // Of equal ones the file that came first, and the function that is last by name.
        let file = files
            .iter()
            .max_by_key(|&(&id, &wait)| (wait, Reverse(id)))
            .map(|(&id, _)| id);
        let label = |id: u32| {
            faults
                .iter()
                .find(|fault| fault.event.object.0 == id)
                .map(|fault| fault.label.clone())
        };
        let function = functions
            .iter()
            .max_by_key(|&(_, &wait)| wait)
            .map(|(&name, _)| name);
        let count = sums.count();
        let row = vec![
            text(cause),
            int(count),
            Cell::Ms(sums.wait_ns),
            Cell::Percent(sums.wait_ns, whole),
            Cell::Ms(sums.wait_ns / u128::from(count.max(1))),
            Cell::AboutUs(sums.quantile(50_000)),
            Cell::AboutUs(sums.quantile(99_000)),
            Cell::Ms(sums.max().into()),
            if sees_pages { int(pages) } else { Cell::Null },
            file.and_then(label).map_or(Cell::Null, text),
            function.filter(|_| cause != "preempted").map_or(Cell::Null, text),
            int(sums.wait_ns),
        ];
        rows.push((sums.wait_ns, place(cause), row));
    }
    rows.sort_by_key(|&(wait_ns, place, _)| (Reverse(wait_ns), place));
    let expected = Expected {
        heads: vec![
            "cause",
            "count",
            "total_ms",
            "wait_percent",
            "avg_ms",
            "p50_us",
            "p99_us",
            "max_ms",
            "pages_read",
            "top_file",
            "top_function",
            "wait_ns",
        ],
        rows: rows.into_iter().map(|(_, _, row)| row).collect(),
    };
    checks.table(&["causes"], &expected);
}

/// Where a cause is in the list of the help.
fn place(cause: &str) -> Option<usize> {
    let causes = [
        "read",
        "read-wait",
        "swap-in",
        "writeback",
        "fs",
        "reclaim",
        "lock",
        "userfault",
        "cow",
        "mkwrite",
        "anon-map",
        "map",
        "preempted",
        "signal",
        "unknown",
    ];
    causes.iter().position(|name| *name == cause)
}
