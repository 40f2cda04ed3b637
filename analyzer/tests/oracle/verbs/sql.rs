//! `sql`: a few questions that loops can answer. Many more are put to another engine, in `python/statements.py`.

use super::Checks;
use super::tables::{grouped, passing};
use crate::filters::Filter;
use crate::sums::Sums;
use crate::table::{Cell, Expected, int, text};
use crate::truth::{Fault, Trace};
use std::cmp::Reverse;
use std::collections::HashSet;

pub fn sql(trace: &Trace, filter: &Filter, checks: &mut Checks) {
    let faults = passing(trace, filter);
    let query = "SELECT comm, COUNT(*) AS faults, SUM(latency_ns) AS wait, MAX(latency_ns) AS longest, \
                 MIN(latency_ns) AS shortest, COUNT(DISTINCT tid) AS threads FROM faults GROUP BY comm ORDER BY comm";
    checks.table(&["sql", query], &names(&faults));
    let query = "SELECT CASE WHEN failed THEN 'failed' WHEN major THEN 'major' ELSE 'minor' END AS class, \
                 SUM(weight) AS faults, SUM(latency_ns * weight) AS wait FROM faults GROUP BY class ORDER BY class";
    checks.table(&["sql", query], &classes(&faults));
    let query = "SELECT ts_ns, tid, latency_ns, file FROM faults WHERE major AND latency_ns > 100000 \
                 ORDER BY latency_ns DESC, ts_ns, tid LIMIT 17";
    checks.table(&["sql", query], &longest(&faults));
    let query = "SELECT COUNT(*) AS faults FROM faults WHERE file LIKE '/data/%' OR comm LIKE '%ork%'";
    let is_like = |fault: &&&Fault| {
        let is_data = fault.file.as_ref().is_some_and(|file| file.starts_with("/data/"));
        is_data || fault.comm.contains("ork")
    };
    let expected = Expected {
        heads: vec!["faults"],
        rows: vec![vec![int(faults.iter().filter(is_like).count() as u64)]],
    };
    checks.table(&["sql", query], &expected);
    let query = "SELECT COUNT(retries) AS retries, MAX(retries) AS most, COUNT(lock_ns) AS locks, MAX(lock_ns) AS longest \
                 FROM faults";
    checks.table(&["sql", query], &if_seen(trace, &faults));
}

/// What a backend cannot see is counted by nobody.
fn if_seen(trace: &Trace, faults: &[&Fault]) -> Expected {
    let retries: Vec<u64> = match trace.sees_retries() {
        true => faults.iter().map(|fault| fault.event.retries.into()).collect(),
        false => Vec::new(),
    };
    let parts = faults.iter().filter_map(|fault| fault.event.breakdown);
    let locks: Vec<u64> = match trace.sees_lock() {
        true => parts.map(|parts| parts.lock_ns).collect(),
        false => Vec::new(),
    };
    let most = |values: &[u64]| values.iter().max().map_or(Cell::Null, |&most| int(most));
    Expected {
        heads: vec!["retries", "most", "locks", "longest"],
        rows: vec![vec![
            int(retries.len() as u64),
            most(&retries),
            int(locks.len() as u64),
            most(&locks),
        ]],
    }
}

fn names(faults: &[&Fault]) -> Expected {
    let row = |(comm, faults): (String, Vec<&Fault>)| {
        let sums = Sums::of_values(faults.iter().map(|fault| fault.event.latency_ns));
        let threads: HashSet<_> = faults.iter().map(|fault| fault.event.tid).collect();
        vec![
            text(comm),
            int(faults.len() as u64),
            int(sums.wait_ns),
            int(sums.max()),
            int(sums.min()),
            int(threads.len() as u64),
        ]
    };
    let groups = grouped(faults, |fault| fault.comm.clone());
    Expected {
        heads: vec!["comm", "faults", "wait", "longest", "shortest", "threads"],
        rows: groups.into_iter().map(row).collect(),
    }
}

fn classes(faults: &[&Fault]) -> Expected {
    let row = |(class, faults): (&str, Vec<&Fault>)| {
        let sums = Sums::of(faults);
        vec![text(class), int(sums.count()), int(sums.wait_ns)]
    };
    Expected {
        heads: vec!["class", "faults", "wait"],
        rows: grouped(faults, Fault::class).into_iter().map(row).collect(),
    }
}

fn longest(faults: &[&Fault]) -> Expected {
    let mut faults = faults.to_vec();
    faults.retain(|fault| fault.class() == "major" && fault.event.latency_ns > 100_000);
    faults.sort_by_key(|fault| {
        (
            Reverse(fault.event.latency_ns),
            fault.event.ts_ns,
            fault.event.tid,
        )
    });
    let row = |fault: &&Fault| {
        vec![
            int(fault.event.ts_ns),
            int(fault.event.tid),
            int(fault.event.latency_ns),
            fault.file.as_ref().map_or(Cell::Null, text),
        ]
    };
    Expected {
        heads: vec!["ts_ns", "tid", "latency_ns", "file"],
        rows: faults.iter().take(17).map(row).collect(),
    }
}
