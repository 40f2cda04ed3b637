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
mod sums;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod traces;
mod truth;
mod verbs;

use std::collections::BTreeSet;
use std::process::Command;
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
fn plain_loops_over_the_events_give_the_numbers_of_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    let (mut wrong, mut count) = (String::new(), 0);
    for path in traces::all(folder.path()) {
        let trace = Trace::read(&path);
        for filter in filters::filters(&trace) {
            let mut checks = Checks::new(&trace, &filter);
            for (_, verb) in COVERED {
                verb(&trace, &filter, &mut checks);
            }
            count += checks.count;
            wrong.push_str(&checks.wrong);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count > 2_000, "only {count} comparisons");
}
