//! Queries of mmap-workload: each has in the trace what the workload measured for it, to the fault.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
};

use common::{
    disk_folder, emulated, pfrec, plain,
    process::{run, start},
    program,
    queries::{Queries, queries, supported},
    text,
    trace::assert_whole,
    workload::until_walking,
};
use pf_formats::{Query, QueryEnd};

/// A query as mmap-workload reports it, counted by `getrusage(RUSAGE_THREAD)` just inside of its probes; with
/// what is nested in it.
#[derive(Clone, Debug)]
struct Measured {
    id: u64,
    parent: u64,
    tid: u32,
    name: String,
    accesses: u64,
    majors: u64,
    minors: u64,
    wait_ns: u64,
    wall_ns: u64,
}

fn measured(report: &Path) -> Vec<Measured> {
    let text = fs::read_to_string(report).unwrap();
    let mut lines = text.lines();
    assert_eq!(
        lines.next(),
        Some("id,thread,tid,name,accesses,majors,minors,wait_ns,wall_ns,parent")
    );
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |index: usize| fields[index].parse::<u64>().unwrap();
        Measured {
            id: number(0),
            parent: number(9),
            tid: u32::try_from(number(2)).unwrap(),
            name: fields[3].to_owned(),
            accesses: number(4),
            majors: number(5),
            minors: number(6),
            wait_ns: number(7),
            wall_ns: number(8),
        }
    };
    lines.map(row).collect()
}

/// Records a walk with queries; `options` are pfrec's, `arguments` the workload's.
fn record(options: &[&str], arguments: &[&str]) -> (Vec<Measured>, Queries) {
    let folder = disk_folder();
    let (trace, report) = (folder.path().join("t.pfz"), folder.path().join("queries.csv"));
    let workload = program("mmap-workload");
    let start = [
        "-o",
        text(&trace),
        "--",
        text(&workload),
        "--query-report",
        text(&report),
    ];
    let mut command = pfrec(&[options, &start[..], arguments].concat());
    command.env("TMPDIR", folder.path());
    let ended = run(command).ok();
    assert_whole(&trace, &ended.stderr);
    (measured(&report), queries(&trace))
}

/// The recorded query that the program knows by this number.
fn by_key(queries: &Queries) -> HashMap<u64, &Query> {
    let by_key: HashMap<u64, &Query> = queries
        .rows
        .iter()
        .map(|query| (query.key.unwrap(), query))
        .collect();
    assert_eq!(by_key.len(), queries.rows.len(), "ids are unique");
    by_key
}

/// Asserts that each measured query was recorded with the same faults and no others, and about the same times.
fn assert_equal(measured: &[Measured], queries: &Queries) {
    let recorded = by_key(queries);
    assert_eq!(recorded.len(), measured.len());
    let mut missing = Vec::new();
    for own in measured {
        let query = recorded[&own.id];
        assert_eq!(
            (query.tid, query.name.as_str()),
            (own.tid, "pf:query"),
            "{query:?}"
        );
        assert_eq!(query.text.as_deref(), Some(own.name.as_str()), "{query:?}");
        assert!(!query.text_cut && !query.begun_before, "{query:?}");
        assert_eq!(query.end, QueryEnd::Ended, "{query:?}");
        let total = query.total();
        assert_eq!(
            (total.majors, total.minors),
            (own.majors, own.minors),
            "{own:?}: {query:?}"
        );
        // The program's clock is read outside of the fault, and inside of the probes.
        assert!(total.wait_ns <= own.wait_ns, "{own:?}: {query:?}");
        assert!(query.end_ns - query.begin_ns >= own.wall_ns, "{own:?}: {query:?}");
        let parent = recorded.values().find(|parent| parent.id == query.parent);
        assert_eq!(
            parent.map_or(0, |parent| parent.key.unwrap()),
            own.parent,
            "{query:?}"
        );
        let faults = own.majors + own.minors;
        if let Some(each) = (own.wait_ns - total.wait_ns).checked_div(faults) {
            missing.push((each, own.wait_ns / faults));
        }
    }
    assert_close(missing);
}

/// Of what the program waited for a fault, on average over a query, and how much of it the trace does not have: two
/// probes and two readings of the clock. Between these the scheduler may put the thread off its CPU, which is the
/// program's wait and not the fault's; so half of the queries must be close. An emulated CPU is slow.
fn assert_close(mut missing: Vec<(u64, u64)>) {
    missing.sort_unstable();
    let (median, whole) = missing[missing.len() / 2];
    let largest = missing[missing.len() - 1].0;
    eprintln!(
        "{} queries with faults; missing per fault: median {median} ns of {whole} ns, largest {largest} ns",
        missing.len()
    );
    let around = if emulated() { 1_000_000 } else { 5_000 };
    let close = missing
        .iter()
        .filter(|(missing, whole)| *missing <= whole / 10 + around);
    assert!(close.count() * 2 >= missing.len(), "{missing:?}");
}

fn every_query_has_its_faults(threads: &str, count: &str) {
    for pattern in ["random", "seq"] {
        let size = ["--size", "8", "--advice", "random", "--pattern", pattern];
        let walk = ["--threads", threads, "--count", count, "--query-size", "32"];
        let (measured, queries) = record(&[], &[size, walk[..].try_into().unwrap()].concat());
        let queries_of_thread = count.parse::<usize>().unwrap().div_ceil(32);
        assert_eq!(
            measured.len(),
            threads.parse::<usize>().unwrap() * queries_of_thread
        );
        assert!(
            measured.iter().map(|own| own.majors).sum::<u64>() >= 20,
            "hardly a cold fault"
        );
        assert_equal(&measured, &queries);
    }
}

#[test]
#[ignore = "needs root"]
fn each_query_of_one_thread_has_exactly_its_faults() {
    if !supported() {
        return;
    }
    every_query_has_its_faults("1", "2000");
}

#[test]
#[ignore = "needs root"]
fn each_query_of_sixteen_threads_has_exactly_its_faults() {
    if !supported() {
        return;
    }
    every_query_has_its_faults("16", "300");
}

#[test]
#[ignore = "needs root"]
fn a_query_in_a_query_has_its_own_faults_and_the_outer_one_the_others() {
    if !supported() {
        return;
    }
    let walk = [
        "--anon",
        "--size",
        "8",
        "--pattern",
        "seq",
        "--threads",
        "2",
        "--split",
        "--count",
        "500",
    ];
    let (measured, queries) = record(
        &[],
        &[&walk[..], &["--query-size", "100", "--query-nested", "10"]].concat(),
    );
    assert_equal(&measured, &queries);
    let recorded = by_key(&queries);
    for own in &measured {
        let query = recorded[&own.id];
        // Every second run of ten accesses is inside, and each access is a fault.
        let (own_faults, nested) = if own.parent == 0 { (50, 50) } else { (10, 0) };
        assert_eq!(own.accesses, own_faults + nested);
        assert_eq!(
            (query.own.minors, query.nested.minors),
            (own_faults, nested),
            "{query:?}"
        );
    }
}

/// Two processes of one file, whose probes must not be attached to twice.
#[test]
#[ignore = "needs root"]
fn programs_that_run_already_have_their_queries_from_then_on() {
    if !supported() {
        return;
    }
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let reports = ["one.csv", "other.csv"].map(|name| folder.path().join(name));
    // Longer than pfrec takes to begin: an emulated machine that shares its CPU needs seconds.
    let count = if emulated() { "2000" } else { "400" };
    let walks = reports.each_ref().map(|report| {
        let slow = [
            "--size",
            "8",
            "--count",
            count,
            "--delay",
            "10",
            "--query-size",
            "20",
        ];
        let arguments = [&slow[..], &["--query-report", text(report)]].concat();
        let mut walk = plain(&program("mmap-workload"), &arguments);
        walk.env("TMPDIR", folder.path());
        start(walk)
    });
    for walk in &walks {
        until_walking(walk.pid());
    }
    let pids = walks.each_ref().map(|walk| walk.pid().to_string());
    run(pfrec(&["-o", text(&trace), "-p", &pids.join(",")])).ok();
    let queries = queries(&trace);
    for ((walk, pid), report) in walks.into_iter().zip(&pids).zip(&reports) {
        walk.wait().ok();
        let measured: HashMap<u64, Measured> =
            measured(report).into_iter().map(|own| (own.id, own)).collect();
        let of_process = queries.rows.iter().filter(|query| query.pid.to_string() == *pid);
        let whole: Vec<&Query> = of_process.filter(|query| !query.begun_before).collect();
        assert!(whole.len() >= 5 && whole.len() < measured.len(), "{whole:#?}");
        let keys: HashSet<u64> = whole.iter().map(|query| query.key.unwrap()).collect();
        assert_eq!(keys.len(), whole.len(), "a query came twice: {whole:#?}");
        for query in whole {
            let own = &measured[&query.key.unwrap()];
            let total = query.total();
            assert_eq!(
                (total.majors, total.minors),
                (own.majors, own.minors),
                "{own:?}: {query:?}"
            );
            assert_eq!((query.end, query.parent.0), (QueryEnd::Ended, 0), "{query:?}");
        }
    }
}

#[test]
#[ignore = "needs root"]
fn probes_that_two_specs_name_begin_a_query_once() {
    if !supported() {
        return;
    }
    let named = format!(
        "usdt:{}:pf:query_begin..query_end",
        text(&program("mmap-workload"))
    );
    let (measured, queries) = record(
        &["--query", &named, "--query", "usdt:pf:query_begin..query_end"],
        &["--anon", "--size", "1", "--count", "64", "--query-size", "8"],
    );
    assert_equal(&measured, &queries);
}

#[test]
#[ignore = "needs root"]
fn without_queries_the_same_program_is_recorded_without_any() {
    if !supported() {
        return;
    }
    let (measured, queries) = record(
        &["--query", "none"],
        &["--anon", "--size", "1", "--count", "64", "--query-size", "8"],
    );
    assert_eq!(measured.len(), 8);
    assert!(queries.rows.is_empty(), "{:#?}", queries.rows);
}

/// Nobody says which file the probes are in: it is looked for in whatever is run.
#[test]
#[ignore = "needs root"]
fn a_program_that_is_started_later_is_met_at_its_probes() {
    if !supported() {
        return;
    }
    let folder = disk_folder();
    let (trace, report) = (folder.path().join("t.pfz"), folder.path().join("queries.csv"));
    let script = r#"sleep 0.1; "$0" --size 8 --count 500 --delay 2 --query-size 10 --query-report "$1""#;
    let spec = "--query=usdt:pf:query_begin..query_end";
    let workload = program("mmap-workload");
    let shell = ["sh", "-c", script, text(&workload), text(&report)];
    let mut command = pfrec(&[&["-o", text(&trace), spec, "--"], &shell[..]].concat());
    command.env("TMPDIR", folder.path());
    let ended = run(command).ok();
    assert_whole(&trace, &ended.stderr);
    let (queries, measured) = (queries(&trace), measured(&report));
    assert_eq!(measured.len(), 50);
    let recorded = by_key(&queries);
    assert!(recorded.len() >= 25, "{} of 50", recorded.len());
    let ended = measured.iter().filter(|own| recorded.contains_key(&own.id));
    for own in ended {
        let query = recorded[&own.id];
        if !query.begun_before {
            let total = query.total();
            assert_eq!(
                (total.majors, total.minors),
                (own.majors, own.minors),
                "{query:?}"
            );
        }
    }
}
