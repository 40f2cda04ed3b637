//! Every number of pfanalyze, recomputed in two other ways: by plain loops over the events of `pf_formats`, and by DuckDB on
//! the CSV of `pfanalyze events`. Counts, sums and extremes are exact, quantiles as exact as is said of them.
//!
//! A verb of the command line that neither `verbs` nor `duckdb.py` lists fails a test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    missing_docs
)]

mod duckdb;
mod filters;
mod renamed;
mod sums;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod traces;
mod truth;
mod verbs;

use std::collections::BTreeSet;
use std::num::NonZero;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use truth::Trace;
use verbs::{BY, COVERED, Checks, ELSEWHERE};

/// Words that a line of the help begins with, `indent` deep, under a heading.
fn listed(arguments: &[&str], heading: &str, indent: usize) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
        .args(arguments)
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let mut listed = BTreeSet::new();
    let lines = help.lines().skip_while(|line| !line.starts_with(heading)).skip(1);
    for line in lines.take_while(|line| !line.is_empty()) {
        let (margin, rest) = line.split_at_checked(indent).unwrap_or_default();
        if margin.trim().is_empty() && !rest.starts_with(' ') {
            listed.extend(rest.split_whitespace().next().map(str::to_owned));
        }
    }
    listed
}

#[test]
fn every_verb_is_recomputed_or_tested_elsewhere() {
    let verbs = listed(&["--help"], "Commands:", 2);
    let known = COVERED
        .iter()
        .map(|(verb, _)| *verb)
        .chain(ELSEWHERE.map(|(verb, _)| verb));
    let mut known: BTreeSet<String> = known.map(str::to_owned).collect();
    assert!(known.remove("report"), "the verb without a name");
    assert_eq!(
        verbs, known,
        "list a new verb in tests/oracle/verbs/mod.rs, with its recomputation"
    );
}

#[test]
fn every_group_of_percentiles_is_recomputed() {
    let output = Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
        .args(["percentiles", "-h"])
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, values) = help.split_once("--by <BY>").unwrap();
    let (_, values) = values.split_once("[possible values: ").unwrap();
    let (values, _) = values.split_once(']').unwrap();
    // Names of stacks are in tests/percentiles.rs.
    assert_eq!(
        values.split(", ").collect::<Vec<_>>(),
        [&BY[..], &["stack"]].concat()
    );
}

#[test]
fn every_filter_is_recomputed() {
    let options = listed(&["threads", "-h"], "Filters", 6);
    assert!(options.contains("--from") && options.len() > 8, "{options:?}");
    let folder = tempfile::tempdir().unwrap();
    let traces = traces::all(folder.path());
    let filters = traces
        .iter()
        .flat_map(|path| filters::filters(&Trace::read(path)));
    let used: BTreeSet<String> = filters.flat_map(|filter| filter.arguments).collect();
    let missing: Vec<_> = options.difference(&used).collect();
    assert!(
        missing.is_empty(),
        "name {missing:?} in tests/oracle/filters.rs, with what they select"
    );
}

#[test]
fn plain_loops_over_the_events_give_the_numbers_of_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    let traces = traces::all(folder.path());
    let traces: Vec<Trace> = traces.iter().map(|path| Trace::read(path)).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut wrong, mut count) = (String::new(), 0);
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(trace) = traces.get(index) else {
                return (wrong, count);
            };
            // Each is compared with the next one.
            let other = &traces[(index + 1) % traces.len()];
            for filter in filters::filters(trace) {
                let mut checks = Checks::new(trace, other, &filter);
                for (_, verb) in COVERED {
                    verb(trace, &filter, &mut checks);
                }
                count += checks.count;
                wrong.push_str(&checks.wrong);
            }
        }
    };
    let (wrong, count) = std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let results = workers.into_iter().map(|worker| worker.join().unwrap());
        results.fold((String::new(), 0), |all, one| (all.0 + &one.0, all.1 + one.1))
    });
    println!("{count} comparisons");
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count > 5_000, "only {count} comparisons");
}
