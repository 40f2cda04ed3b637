//! PostgreSQL, whose own probes give each statement's text: it appears with the faults of its session.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{collections::HashMap, path::Path};

use common::{
    disk_folder, pfrec,
    postgresql::Cluster,
    process::{Process, run, start},
    queries::{queries, supported},
    text,
    trace::{assert_books_balance, try_contents},
    until,
};
use pf_formats::{Query, QueryEnd};

/// Sorts so much in memory that it faults in tens of megabytes.
fn sorting(table: &str, rows: u32) -> String {
    format!(
        "SELECT '{table}', count(*) FROM (SELECT repeat(md5(g::text), 8) AS t \
         FROM generate_series(1, {rows}) AS g ORDER BY t) AS {table}"
    )
}

/// The server's process of each session, which is what its first statement asks for.
fn session(stdout: &str) -> u32 {
    stdout.lines().next().unwrap().parse().unwrap()
}

/// For each statement in the server's log: its process, and major and minor faults by the server's own getrusage.
fn statistics(log: &str) -> HashMap<u32, Vec<(u64, u64)>> {
    let mut statistics: HashMap<u32, Vec<(u64, u64)>> = HashMap::new();
    let mut pid = None;
    for line in log.lines() {
        if let Some((number, _)) = line.split_once(" LOG:  QUERY STATISTICS") {
            pid = number.parse().ok();
        }
        // `!	0/12 [0/345] page faults/reclaims, 0 [0] swaps`; the number in brackets is since the start.
        if let (Some(pid), Some((counts, _))) = (pid, line.split_once(" page faults/reclaims")) {
            let counts = counts.trim_start_matches(['!', '\t', ' ']);
            let (majors, minors) = counts.split_once(' ').unwrap().0.split_once('/').unwrap();
            let counts = (majors.parse().unwrap(), minors.parse().unwrap());
            statistics.entry(pid).or_default().push(counts);
        }
    }
    statistics
}

/// A server under pfrec, as an ordinary user.
fn serve(cluster: &Cluster, trace: &Path, spec: &str) -> Process {
    let server = cluster.server_program();
    let arguments = cluster.server_arguments();
    let mut command = vec![
        "-o",
        text(trace),
        "--user",
        "nobody",
        "--query",
        spec,
        "--",
        text(&server),
    ];
    command.extend(arguments.iter().map(String::as_str));
    let server = start(pfrec(&command));
    cluster.until_ready();
    server
}

#[test]
#[ignore = "needs root"]
fn each_statement_of_two_clients_has_its_text_and_the_faults_of_its_own_session() {
    if !supported() {
        return;
    }
    let (cluster, folder) = (Cluster::make(), disk_folder());
    let trace = folder.path().join("t.pfz");
    let spec = format!(
        "usdt:{}:postgresql:query__start..query__done,text=arg0",
        text(&cluster.server_program())
    );
    let server = serve(&cluster, &trace, &spec);
    let clients = [("apples", 60_000), ("pears", 30_000)].map(|(table, rows)| {
        let (pid, sort) = ("SELECT pg_backend_pid()", sorting(table, rows));
        let client = cluster.client(&[pid, &sort, &sort, &sort]);
        (table, sort.clone(), start(client))
    });
    let clients = clients.map(|(table, sort, client)| (table, sort, client.wait().ok().stdout));
    cluster.stop();
    let ended = server.wait().ok();
    assert_books_balance(&trace, &ended.stderr);

    let counted = statistics(&ended.stderr);
    let queries = queries(&trace);
    for (table, sort, stdout) in &clients {
        let pid = session(stdout);
        let mine: Vec<&Query> = queries.rows.iter().filter(|query| query.pid == pid).collect();
        let texts: Vec<&str> = mine.iter().map(|query| query.text.as_deref().unwrap()).collect();
        assert_eq!(texts, ["SELECT pg_backend_pid()", sort, sort, sort]);
        let elsewhere = queries.rows.iter().filter(|query| query.pid != pid);
        for query in elsewhere {
            assert!(!query.text.as_deref().unwrap().contains(table), "{query:?}");
        }
        assert_eq!(counted[&pid].len(), mine.len());
        for (query, (majors, minors)) in mine.iter().zip(&counted[&pid]) {
            let total = query.total();
            eprintln!(
                "{table}: {total:?}, by the server {majors}/{minors}: {:?}",
                query.text
            );
            assert_eq!(
                (query.name.as_str(), query.end),
                ("postgresql:query", QueryEnd::Ended)
            );
            assert!(!query.text_cut && !query.begun_before, "{query:?}");
            assert_eq!(total.majors, *majors, "{query:?}");
            // The server reads its counters a little inside of its probes, and writes its log between the two.
            assert!(
                total.minors >= *minors && total.minors <= minors + 5,
                "{query:?}: {minors}"
            );
        }
        assert!(mine[1].own.minors >= 1000, "{:?}", mine[1]);
    }
}

#[test]
#[ignore = "needs root"]
fn a_long_statement_is_cut_at_a_whole_character() {
    if !supported() {
        return;
    }
    let (cluster, folder) = (Cluster::make(), disk_folder());
    let trace = folder.path().join("t.pfz");
    // What the probes' arguments mean is known, and they are looked for in the command.
    let server = serve(&cluster, &trace, "usdt:postgresql:query__start..query__done");
    // 255 bytes before the two of `ü`.
    let start = "SELECT 'seen' -- ";
    let long = format!("{start}{}ü and the rest", "x".repeat(255 - start.len()));
    let short = format!("{start}{}", "y".repeat(256 - start.len()));
    for statement in [&long, &short] {
        let said = run(cluster.client(&[statement])).ok();
        assert_eq!(said.stdout, "seen\n");
    }
    cluster.stop();
    server.wait().ok();
    let queries = queries(&trace);
    let with = |letter: char| {
        let mut rows = queries.rows.iter();
        rows.find(|query| {
            query
                .text
                .as_deref()
                .is_some_and(|text| text.starts_with(&format!("{start}{letter}")))
        })
        .unwrap_or_else(|| panic!("{letter}: {:#?}", queries.rows))
    };
    assert_eq!(
        (with('x').text.as_deref(), with('x').text_cut),
        (Some(&long[..255]), true)
    );
    assert_eq!(
        (with('y').text.as_deref(), with('y').text_cut),
        (Some(&*short), false)
    );
}

/// The server leaves a statement that fails by longjmp, past the probe at its end. It runs already here, and its
/// sessions are processes that start later.
#[test]
#[ignore = "needs root"]
fn a_statement_that_fails_is_told_as_left_and_takes_no_faults_of_the_next() {
    if !supported() {
        return;
    }
    let (cluster, folder) = (Cluster::make(), disk_folder());
    let trace = folder.path().join("t.pfz");
    let server = start(cluster.server_command());
    cluster.until_ready();
    let pid = server.pid().to_string();
    let spec = "usdt:postgresql:query__start..query__done";
    let recorder = start(pfrec(&["-o", text(&trace), "--query", spec, "-p", &pid]));
    // A server without sessions hardly faults.
    until("a recording that has begun", || {
        run(cluster.client(&["SELECT 1"])).ok();
        let partial = try_contents(&folder.path().join("t.pfz.partial"));
        partial.filter(|contents| contents.summary.events > 0)
    });
    let (wrong, sort) = ("SELECT 1 / 0 AS wrong", sorting("plums", 20_000));
    let said = run(cluster.client(&[wrong, &sort]));
    assert!(said.stderr.contains("division by zero"), "{said:?}");
    assert_eq!(said.stdout, "plums|20000\n");
    cluster.stop();
    server.wait().ok();
    recorder.wait().ok();
    let queries = queries(&trace);
    let of = |text: &str| {
        let mut rows = queries.rows.iter();
        rows.find(|query| query.text.as_deref() == Some(text))
            .unwrap_or_else(|| panic!("{text}: {:#?}", queries.rows))
    };
    let (wrong, sort) = (of(wrong), of(&sort));
    assert_eq!((wrong.end, sort.end), (QueryEnd::Abandoned, QueryEnd::Ended));
    assert_eq!((wrong.parent.0, sort.parent.0), (0, 0));
    assert!(
        sort.own.minors >= 500 && wrong.own.minors < 500,
        "{wrong:?} {sort:?}"
    );
}

#[test]
#[ignore = "needs root"]
fn a_server_in_a_folder_starts_counts_and_stops() {
    let cluster = Cluster::make();
    let server = start(cluster.server_command());
    cluster.until_ready();
    let said = run(cluster.client(&["SELECT pg_backend_pid()", &sorting("apples", 10_000)])).ok();
    assert!(said.stdout.contains("apples|10000"), "{said:?}");
    cluster.stop();
    let ended = server.wait().ok();
    let counted = &statistics(&ended.stderr)[&session(&said.stdout)];
    assert_eq!(counted.len(), 2, "{}", ended.stderr);
    assert!(counted[1].1 > 100, "{counted:?}");
    let readable = run(common::plain(
        Path::new("readelf"),
        &["-n", text(&cluster.server_program())],
    ))
    .ok();
    for probe in ["query__start", "query__done"] {
        assert!(readable.stdout.contains(&format!("Name: {probe}\n")), "{probe}");
    }
}
