//! Calls that nest, recurse, are left by longjmp, by the end of their thread or by an exec, or do not end: each is
//! told as what it is, and the faults stay with whom they belong to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{collections::HashMap, fs::File, io::BufReader, path::Path};

use common::{
    disk_folder, emulated, pfanalyze, pfrec,
    process::run,
    programs::compile,
    queries::{Queries, queries, supported},
    text,
    trace::{assert_books_balance, assert_no_fault_lost},
};
use pf_formats::{Happening, Item, Query, QueryEnd, QueryId, TraceReader};

const FUNCTIONS: [&str; 8] = [
    "outer,id=arg0,text=arg1",
    "inner",
    "thrower",
    "deep",
    "ends_thread",
    "execs",
    "forks",
    "stays",
];

fn record(program: &Path, trace: &Path, how: &[&str], arguments: &[&str]) -> Queries {
    let specs: Vec<String> = FUNCTIONS
        .iter()
        .map(|function| format!("--query=func:{}:{function}", program.display()))
        .collect();
    let specs: Vec<&str> = specs.iter().map(String::as_str).collect();
    let ended = run(pfrec(
        &[
            &["-o", text(trace)],
            how,
            &specs,
            &["--", text(program)],
            arguments,
        ]
        .concat(),
    ));
    assert_no_fault_lost(trace, &ended.stderr);
    queries(trace)
}

fn named<'a>(queries: &'a Queries, name: &'a str) -> Vec<&'a Query> {
    queries.named(name).collect()
}

#[test]
#[ignore = "needs root"]
fn each_way_to_leave_a_query_is_told() {
    if !supported() {
        return;
    }
    let folder = disk_folder();
    let program = compile("query_shapes", folder.path());
    let recorded = record(&program, &folder.path().join("t.pfz"), &[], &[]);

    // Two calls with two inside each.
    let outer = named(&recorded, "outer");
    let inner = named(&recorded, "inner");
    assert_eq!((outer.len(), inner.len()), (2, 5), "{recorded:#?}");
    assert_eq!(
        outer.iter().map(|query| query.key).collect::<Vec<_>>(),
        [Some(7), Some(8)]
    );
    for (at, query) in outer.iter().enumerate() {
        // Besides the two pages, the stack and the code may be touched for the first time.
        assert_eq!(query.end, QueryEnd::Ended, "{query:?}");
        assert!((2..8).contains(&query.own.minors), "{query:?}");
        let (first, second) = (inner[2 * at], inner[2 * at + 1]);
        assert_eq!((first.parent, second.parent), (query.id, query.id));
        assert_eq!(query.nested.minors, first.own.minors + second.own.minors);
        assert_eq!(query.nested.wait_ns, first.own.wait_ns + second.own.wait_ns);
        assert!(query.begin_ns < first.begin_ns && second.end_ns < query.end_ns);
    }
    // The second time nothing but the pages is new.
    assert_eq!(
        (outer[1].own.minors, inner[2].own.minors, inner[3].own.minors),
        (2, 2, 3)
    );
    assert_eq!(
        (outer[0].text.as_deref(), outer[0].text_cut),
        (Some("a short text"), false)
    );
    assert_eq!(
        (outer[1].text.as_deref(), outer[1].text_cut),
        (Some("x".repeat(256).as_str()), true)
    );

    // Left by longjmp: that is seen when the next call begins, so what comes in between is charged to it.
    let [thrower] = named(&recorded, "thrower")[..] else {
        panic!("{recorded:#?}")
    };
    assert_eq!(thrower.end, QueryEnd::Abandoned);
    assert!(thrower.own.minors >= 5, "{thrower:?}");
    assert_eq!(inner[4].parent, QueryId(0), "{recorded:#?}");

    // Sixteen deep are told, the faults of the others are those of the sixteenth.
    let deep = named(&recorded, "deep");
    assert_eq!(deep.len(), 16);
    assert!(deep.iter().all(|query| query.end == QueryEnd::Ended));
    assert_eq!(
        (deep[0].total().minors, deep[15].own.minors),
        (20, 5),
        "{deep:#?}"
    );

    let [ends_thread] = named(&recorded, "ends_thread")[..] else {
        panic!("{recorded:#?}")
    };
    assert_eq!(ends_thread.end, QueryEnd::Abandoned);
    assert!(ends_thread.own.minors >= 4 && ends_thread.tid != ends_thread.pid);

    let [execs] = named(&recorded, "execs")[..] else {
        panic!("{recorded:#?}")
    };
    assert_eq!(execs.end, QueryEnd::Abandoned);
    assert!(
        execs.own.minors >= 5 && execs.own.minors < 40,
        "the program after it is not in it: {execs:?}"
    );

    // The child of the fork is another process, and returns from nothing.
    let forks = named(&recorded, "forks");
    assert_eq!(forks.len(), 1, "{forks:#?}");
    assert_eq!(forks[0].end, QueryEnd::Ended);
}

#[test]
#[ignore = "needs root"]
fn a_query_that_is_open_at_the_end_is_told_as_that() {
    if !supported() {
        return;
    }
    let folder = disk_folder();
    let program = compile("query_shapes", folder.path());
    let recorded = record_stopped(&program, &folder.path().join("t.pfz"));
    let [stays] = named(&recorded, "stays")[..] else {
        panic!("{recorded:#?}")
    };
    assert_eq!(stays.end, QueryEnd::Open);
    assert!(
        stays.own.minors >= 6 && stays.end_ns > stays.begin_ns,
        "{stays:?}"
    );
}

/// The recording ends while the program is in a query.
fn record_stopped(program: &Path, trace: &Path) -> Queries {
    let spec = format!("--query=func:{}:stays", program.display());
    let script = r#""$0" stay & child=$!; sleep "$1"; kill $child; exit 0"#;
    // An emulated CPU may take a second to get there.
    let (recorded, lasts) = if emulated() { ("8", "10") } else { ("1", "2") };
    let command = [
        "-o",
        text(trace),
        "-d",
        recorded,
        &spec,
        "--",
        "sh",
        "-c",
        script,
        text(program),
        lasts,
    ];
    let ended = run(pfrec(&command));
    assert_books_balance(trace, &ended.stderr);
    queries(trace)
}

/// When each process called exec for the first time.
fn first_execs(trace: &Path) -> HashMap<u32, u64> {
    let mut reader = TraceReader::new(BufReader::new(File::open(trace).unwrap())).unwrap();
    let mut execs = HashMap::new();
    while let Some(item) = reader.next().unwrap() {
        let Item::Timeline(entries) = item else { continue };
        for entry in entries {
            if matches!(entry.what, Happening::Comm { exec: true, .. }) {
                let first: &mut u64 = execs.entry(entry.pid).or_insert(entry.ts_ns);
                *first = entry.ts_ns.min(*first);
            }
        }
    }
    execs
}

/// Until its exec the command is pfrec, which calls malloc, too.
#[test]
#[ignore = "needs root"]
fn queries_count_from_the_exec_of_the_command_on() {
    if !supported() {
        return;
    }
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    // No argument of malloc points to a text, so each query of the command loses one.
    let spec = "func:libc.so.6:malloc,text=arg0";
    let ended = run(pfrec(&["-o", text(&trace), "--query", spec, "--", "ls", "/"])).ok();
    assert_no_fault_lost(&trace, &ended.stderr);
    // Their faults are those in the trace.
    let queries = queries(&trace);
    let execs = first_execs(&trace);
    assert!(queries.rows.len() > 10, "{}", ended.stderr);
    for query in &queries.rows {
        assert!(query.begin_ns >= execs[&query.pid], "{query:?}: {execs:?}");
    }
    let said = format!("pfrec: {} queries\n", queries.rows.len());
    assert!(ended.stderr.contains(&said), "{said}: {}", ended.stderr);
    let lost = format!("LOST {} query texts", queries.rows.len());
    assert!(ended.stderr.contains(&lost), "{lost}: {}", ended.stderr);
    let table = run(pfanalyze(&["queries", text(&trace)])).ok();
    assert!(!table.stdout.contains("not in the trace"), "{}", table.stdout);
}
