//! LMDB in a cold environment, through Debian's module for Python: each call of `mdb_get` has the major faults
//! that the program's own `getrusage` says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{path::Path, process::Command};

use common::{
    disk_folder,
    eviction::evict,
    package, pfrec,
    process::run,
    queries::{queries, supported},
    text,
    trace::assert_whole,
};

/// Not the first in PATH, which may be one without Debian's modules.
const PYTHON: &str = "/usr/bin/python3";
const SCRIPT: &str = "tests/programs/lmdb_gets.py";
const CALLS: usize = 400;

/// The library that the module maps, by what a process has mapped.
fn library() -> String {
    let script = "import lmdb\nprint([l.split()[-1] for l in open('/proc/self/maps') if 'liblmdb' in l][0])";
    let mut python = Command::new(PYTHON);
    python.args(["-c", script]);
    run(python).ok().stdout.trim().to_owned()
}

/// Majors and minors of each call.
fn calls(stdout: &str) -> Vec<(u64, u64)> {
    let mut lines = stdout.lines();
    assert_eq!(lines.next(), Some("key,majors,minors"));
    let call = |line: &str| {
        let fields: Vec<u64> = line.split(',').map(|field| field.parse().unwrap()).collect();
        (fields[1], fields[2])
    };
    lines.map(call).collect()
}

fn make(environment: &Path) {
    let mut python = Command::new(PYTHON);
    python
        .arg(package().join(SCRIPT))
        .args(["make", text(environment), "30000"]);
    run(python).ok();
    evict(&environment.join("data.mdb"));
}

#[test]
#[ignore = "needs root"]
fn each_call_of_mdb_get_has_the_majors_that_getrusage_counts() {
    if !supported() {
        return;
    }
    let folder = disk_folder();
    let (environment, trace) = (folder.path().join("environment"), folder.path().join("t.pfz"));
    make(&environment);
    let spec = format!("func:{}:mdb_get", library());
    let script = package().join(SCRIPT);
    let program = [
        PYTHON,
        text(&script),
        "get",
        text(&environment),
        &CALLS.to_string(),
    ];
    let start = ["-o", text(&trace), "--query", &spec, "--"];
    let ended = run(pfrec(&[&start[..], &program[..]].concat())).ok();
    assert_whole(&trace, &ended.stderr);

    let counted = calls(&ended.stdout);
    assert_eq!(counted.len(), CALLS);
    let queries = queries(&trace);
    let rows: Vec<_> = queries.named("mdb_get").collect();
    // The first asks for the number of records.
    assert_eq!(rows.len(), 1 + CALLS);
    let data = environment.join("data.mdb");
    let mut minors_elsewhere = 0;
    for (query, (majors, minors)) in rows[1..].iter().zip(&counted) {
        let total = query.total();
        assert_eq!(total.majors, *majors, "{query:?}: {:?}", queries.faults(query));
        // The call from Python is more than mdb_get; Python itself may want a new page.
        assert!(total.minors <= *minors, "{query:?}");
        minors_elsewhere += minors - total.minors;
        for fault in queries.faults(query).iter().filter(|fault| fault.major) {
            assert_eq!(fault.object, text(&data), "{fault:?}");
        }
    }
    let majors: u64 = counted.iter().map(|(majors, _)| majors).sum();
    eprintln!("{CALLS} calls, {majors} majors; {minors_elsewhere} minors of Python's own");
    assert!(majors >= CALLS as u64 / 2, "{majors} majors: not cold");
    assert!(minors_elsewhere * 10 <= CALLS as u64, "{minors_elsewhere}");
}

#[test]
#[ignore = "needs python3-lmdb"]
fn a_cold_environment_costs_a_major_for_most_calls() {
    let folder = disk_folder();
    let environment = folder.path().join("environment");
    make(&environment);
    let mut python = Command::new(PYTHON);
    python
        .arg(package().join(SCRIPT))
        .args(["get", text(&environment), &CALLS.to_string()]);
    let counted = calls(&run(python).ok().stdout);
    assert!(counted.iter().filter(|(majors, _)| *majors > 0).count() * 2 > CALLS);
    assert!(library().contains("liblmdb.so"));
}
