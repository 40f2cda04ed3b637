//! sqlite3 on a database in mapped memory, one table of which is cold: the query that reads it is the slow one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{collections::BTreeSet, path::Path};

use common::{
    disk_folder,
    eviction::page_size,
    pfanalyze, pfrec,
    process::run,
    queries::{Queries, queries, supported},
    sqlite::{Database, SHELL, TABLES},
    text,
    trace::assert_whole,
};
use pf_formats::Query;
use serde_json::{Value, json};

const LIBRARY: &str = "libsqlite3.so.0";

/// The library as the shell maps it.
fn library() -> String {
    let mut ldd = std::process::Command::new("ldd");
    ldd.arg(SHELL);
    let listed = run(ldd).ok().stdout;
    let line = listed.lines().find(|line| line.trim().starts_with(LIBRARY));
    let line = line.unwrap_or_else(|| panic!("{SHELL} has no {LIBRARY}: {listed}"));
    line.split_whitespace().nth(2).unwrap().to_owned()
}

fn record(database: &Database, script: &Path, trace: &Path) -> Queries {
    let spec = format!("func:{}:sqlite3_step", library());
    let read = format!(".read {}", text(script));
    let shell = [SHELL, "-batch", "-init", "/dev/null", text(&database.path), &read];
    let start = ["-o", text(trace), "--query", &spec, "--"];
    let ended = run(pfrec(&[&start[..], &shell[..]].concat())).ok();
    let rows: Vec<&str> = ended
        .stdout
        .lines()
        .filter(|line| line.contains("_one|"))
        .collect();
    assert_eq!(rows.len(), TABLES.len(), "{ended:#?}");
    assert_whole(trace, &ended.stderr);
    queries(trace)
}

#[test]
#[ignore = "needs root"]
fn the_query_on_the_cold_table_waits_longest_and_for_pages_of_that_table() {
    if !supported() {
        return;
    }
    let folder = disk_folder();
    let database = Database::make(folder.path());
    let script = database.script(folder.path());
    let pages = database.pages("cold_one");
    let (cold, held) = database.chill("cold_one");
    let path = text(&database.path).to_owned();

    let first = record(&database, &script, &folder.path().join("cold.pfz"));
    // A statement with one row is two calls: the row, and the end.
    assert!(first.rows.len() >= 2 * TABLES.len(), "{:#?}", first.rows);
    assert!(first.rows.iter().all(|query| query.name == "sqlite3_step"));
    let slowest = first.slowest()[0];
    let in_database: Vec<_> = first
        .faults(slowest)
        .iter()
        .filter(|fault| fault.object == path)
        .collect();
    for fault in &in_database {
        assert!(pages.contains(&fault.page), "{fault:?}");
        assert!(!fault.major || cold.contains(&fault.page), "{fault:?}");
    }
    let majors = in_database.iter().filter(|fault| fault.major).count();
    eprintln!(
        "{} of {} pages cold; {majors} majors in {} faults on the table, {:?} in the slowest query",
        cold.len(),
        pages.len(),
        in_database.len(),
        slowest.total()
    );
    assert!(majors >= 3, "{slowest:?}");
    let others = first.slowest()[1..].to_vec();
    assert!(
        slowest.total().wait_ns > 2 * others[0].total().wait_ns,
        "{:?}",
        others[0]
    );
    for query in others {
        let mut faults = first.faults(query).iter();
        assert!(
            !faults.any(|fault| fault.major && fault.object == path),
            "{query:?}"
        );
    }

    assert_on_top(&folder.path().join("cold.pfz"), slowest, &path, &pages);

    drop(held);
    let _held = database.warm();
    let second = record(&database, &script, &folder.path().join("warm.pfz"));
    assert_eq!(second.rows.len(), first.rows.len());
    for query in &second.rows {
        // Only the database is held in memory: what a busy machine takes of a library is another matter.
        let mut faults = second.faults(query).iter();
        let major = faults.find(|fault| fault.major && fault.object == path);
        assert!(major.is_none(), "{query:?}: {major:?}");
    }
}

/// Asserts what a user is shown: that query first, with its faults in those pages.
fn assert_on_top(trace: &Path, slowest: &Query, path: &str, pages: &BTreeSet<usize>) {
    let arguments = ["queries", text(trace), "--slowest", "1", "--format", "json"];
    let shown: Value = serde_json::from_str(&run(pfanalyze(&arguments)).ok().stdout).unwrap();
    assert_eq!(shown[0]["query_id"], slowest.id.0, "{shown}");
    let total = slowest.total();
    assert_eq!(
        (&shown[0]["major"], &shown[0]["minor"]),
        (&json!(total.majors), &json!(total.minors))
    );
    let faults = shown[0]["faults"].as_array().unwrap();
    let in_database: Vec<u64> = faults
        .iter()
        .filter(|fault| fault["file"] == path)
        .map(|fault| fault["file_offset"].as_u64().unwrap())
        .collect();
    assert!(in_database.len() * 2 > faults.len(), "{shown}");
    for offset in in_database {
        let page = usize::try_from(offset).unwrap() / page_size();
        assert!(pages.contains(&page), "{offset}: {shown}");
    }
}

#[test]
#[ignore = "needs sqlite3"]
fn the_database_is_cold_in_one_table_only() {
    let folder = disk_folder();
    let database = Database::make(folder.path());
    let (cold, _held) = database.chill("cold_one");
    let pages = database.pages("cold_one");
    eprintln!(
        "{} of {} pages of {} are cold",
        cold.len(),
        pages.len(),
        text(&database.path)
    );
    // In turns with those of the others.
    assert!(pages.len() < pages.last().unwrap() - pages.first().unwrap());
    assert!(!library().is_empty());
}
