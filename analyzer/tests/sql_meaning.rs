//! What questions in SQL mean: exact numbers, groups, NULL, and refusals in words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod sql_fixture;
mod support;

use pf_formats::Event;
use pfanalyze::verbs::sql::schema::TableName;
use serde_json::Value;
use sql_fixture::{Place, varied, varied_trace};
use std::collections::BTreeMap;
use support::{dicts, file_fault, meta, small, trace};

/// The file of a trace is given as `t.pfz`; each question has one row, and this is its first value.
fn one(place: &Place, query: &str) -> Value {
    let rows = place.ask(&format!("SELECT {query} AS x FROM faults"));
    assert_eq!(rows.len(), 1, "{query}");
    rows[0]["x"].clone()
}

#[test]
fn numbers_are_written_as_everyone_writes_them() {
    let place = Place::new(&small());
    assert_eq!(one(&place, "sum(latency_ns)/1e6"), 2.0021);
    assert_eq!(one(&place, "count(*) * 1.5"), 10.5);
    assert_eq!(one(&place, "count(*) * .5 + 1E1"), 13.5);
}

#[test]
fn columns_without_as_are_called_by_their_text_and_names_may_be_the_same() {
    let place = Place::new(&small());
    let csv = |query: &str| place.text(&["sql", "t.pfz", query, "--format", "csv"]);
    assert_eq!(
        csv("select avg(latency_ns), max(latency_ns), count(*), count(*) from faults"),
        "avg(latency_ns),max(latency_ns),count(*),count(*)\n286014.28571428574,1400000,7,7\n"
    );
    assert_eq!(
        csv("select latency_ns/1000, f.tid, min(ts_ns) over () from faults f order by ts_ns limit 1"),
        "latency_ns / 1000,tid,min(ts_ns) OVER ()\n0.5,100,1000000000000\n"
    );
}

#[test]
fn clock_time_is_a_column_and_a_sum() {
    let place = Place::new(&small());
    let rows = place.ask(
        "SELECT time, ts_ns + utc_offset_ns AS ns, epoch_ns(time) AS same FROM faults CROSS JOIN host ORDER BY time LIMIT 2",
    );
    assert_eq!(rows[0]["time"], "2026-11-22T20:00:00.000000000Z");
    assert_eq!(rows[1]["time"], "2026-11-22T20:00:00.010000000Z");
    assert_eq!(rows[1]["ns"], 1_795_377_600_010_000_000_u64);
    assert_eq!(rows[1]["ns"], rows[1]["same"]);
    let later = place.ask("SELECT COUNT(*) AS n FROM faults WHERE time > '2026-11-22 20:00:00.04'");
    assert_eq!(later[0]["n"], 2);
    let message = place.fails("SELECT time + 1 FROM faults", &[]);
    assert!(message.contains("ts_ns"), "{message}");
}

#[test]
fn differences_are_negative_and_sums_are_exact_where_64_bits_end() {
    let place = Place::new(&small());
    assert_eq!(one(&place, "min(latency_ns - 10000)"), -9_500);
    let huge = Event {
        latency_ns: 1 << 62,
        address: u64::MAX,
        ip: 0xffff_ffff_8100_0000,
        ..file_fault(1, 0, 1)
    };
    let events = vec![huge, huge, huge, huge, huge];
    let place = Place::new(&trace(&meta(), &dicts(), &events, &[]));
    let csv = |query: &str| place.text(&["sql", "t.pfz", query, "--format", "csv"]);
    assert_eq!(
        csv(
            "SELECT SUM(latency_ns) AS a, SUM(address) AS b, SUM(-address) AS c, AVG(latency_ns) AS d FROM faults"
        ),
        "a,b,c,d\n23058430092136939520,92233720368547758075,-92233720368547758075,4.611686018427388e18\n"
    );
    assert_eq!(
        csv("SELECT DISTINCT ip//1 AS a, ip - 1 AS b, address * 1000000 AS c FROM faults"),
        "a,b,c\n18446744071578845184,18446744071578845183,18446744073709551615000000\n"
    );
    let message = place.fails("SELECT address * address FROM faults", &[]);
    assert!(message.contains("128 bits"), "{message}");
    let message = place.fails("SELECT tid // (tid - tid) FROM faults", &[]);
    assert!(message.contains("NULLIF"), "{message}");
}

#[test]
fn a_column_beside_an_aggregate_is_an_error() {
    let place = Place::new(&small());
    for query in [
        "select min(ts_ns) - start_ns from faults cross join host",
        "select tid, count(*) from faults",
        "select comm, count(*) from faults group by tid",
        "select count(*) from faults having latency_ns > 1",
        "select count(*) from faults order by latency_ns",
        "select sum(count(*)) from faults",
        "select count(*) from faults where count(*) > 1",
    ] {
        place.fails(query, &[]);
    }
    let message = place.fails("select min(ts_ns) - start_ns from faults cross join host", &[]);
    assert!(
        message.contains("start_ns is neither in GROUP BY nor in an aggregate"),
        "{message}"
    );
}

#[test]
fn only_questions_are_answered() {
    let place = Place::new(&small());
    for query in [
        "drop table faults",
        "delete from faults",
        "create table x (a int)",
        "insert into faults values (1)",
        "update faults set tid = 1",
        "explain select 1",
    ] {
        let output = place.run(&["sql", "t.pfz", query]);
        assert_eq!(output.status.code(), Some(2), "{query}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(
            message.starts_with("error: ") && message.lines().count() == 3,
            "{query}: {message}"
        );
    }
    place.fails("select 1; select 2", &[]);
    assert_eq!(place.ask("show tables").len(), TableName::ALL.len());
    for query in [
        "DESCRIBE losses;",
        "describe table losses",
        "desc \"losses\"",
        "show columns from losses",
    ] {
        assert_eq!(place.ask(query)[0]["column"], "from_ns", "{query}");
    }
    let message = place.fails("describe fault", &[]);
    assert!(message.contains("did you mean faults?"), "{message}");
}

#[test]
fn a_wrong_question_is_wrong_usage_and_says_how_to_write_it() {
    let place = Place::new(&small());
    for (query, says) in [
        ("selec 1", "the question is not SQL"),
        ("select 1; select 2", "one question at a time"),
        (
            "select foo from faults",
            "there is no column foo; faults has time",
        ),
        ("select * from nope", "there is no table nope; the tables are"),
        ("describe select 1", "as in DESCRIBE faults; SHOW TABLES lists"),
        ("summarize faults", "SUMMARIZE is not a question"),
        (
            "select now()",
            "no function NOW: answers depend on the trace alone\n",
        ),
        (
            "select regexp_matches(comm, 'a') from faults",
            "REGEXP_MATCHES: LIKE and ILIKE",
        ),
        ("select strftime(time, '%H') from faults", "STRFTIME: DATE_TRUNC"),
        (
            "select lpad(comm, 3, 'x') from faults",
            "there is no function LPAD; there are COUNT",
        ),
        ("select medain(tid) from faults", "MEDAIN; did you mean MEDIAN?\n"),
        (
            "select extract(hour from time) from faults",
            ": DATE_TRUNC('hour', time)",
        ),
        (
            "select time + interval 1 second from faults",
            "EPOCH_NS(time) + 1000000000",
        ),
        (
            "with recursive t as (select 1) select * from t",
            "ON b.parent_id = a.query_id",
        ),
        (
            "select 0x10000000000000000",
            "hexadecimal number of at most 64 bits",
        ),
    ] {
        let output = place.run(&["sql", "t.pfz", query]);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{query}: {message}");
        assert!(message.contains(says), "{query}: {message}");
    }
    // What is advised works.
    place.ask("select epoch_ns(time) // 3600000000000 % 24 as hour, cast(time as varchar) as t from faults");
    place.ask("select count(*) from queries as a join queries as b on b.parent_id = a.query_id");
}

#[test]
fn addresses_are_compared_as_tables_print_them() {
    let place = Place::new(&small());
    let rows = place.ask("select count(*) as n from faults where address >= 0x7f0000000000");
    assert_eq!(rows[0]["n"], 4);
    assert_eq!(place.ask("select 0xFF + 1 as n")[0]["n"], 256);
}

#[test]
fn points_in_time_are_written_without_commas() {
    let place = Place::new(&small());
    let shown = place.text(&[
        "sql",
        "t.pfz",
        "SELECT utc_offset_ns, start_ns, 1000 AS n FROM host",
    ]);
    assert!(
        shown.contains("1795376600000000000  1000000000000  1,000"),
        "{shown}"
    );
}

#[test]
fn arguments_in_the_wrong_order_are_seen() {
    let place = Place::new(&small());
    let output = place.run(&["sql", "select 1", "t.pfz"]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("pfanalyze sql t.pfz 'select 1'"), "{message}");
}

#[test]
fn expressions_of_groups_are_those_of_a_plain_loop() {
    let place = Place::new(&varied_trace());
    let mut bins: BTreeMap<u64, u64> = BTreeMap::new();
    let mut tids: BTreeMap<u32, u64> = BTreeMap::new();
    for event in varied() {
        *bins.entry(event.latency_ns / 10_000 * 10_000).or_default() += 1;
        *tids.entry(event.tid).or_default() += 1;
    }
    // The expression of a key is computed once.
    let rows = place.ask(
        "SELECT latency_ns // 10000 * 10000 AS ns, COUNT(*) AS n FROM faults GROUP BY latency_ns // 10000 ORDER BY 1",
    );
    let got: Vec<(u64, u64)> = rows
        .iter()
        .map(|row| (row["ns"].as_u64().unwrap(), row["n"].as_u64().unwrap()))
        .collect();
    assert_eq!(got, bins.clone().into_iter().collect::<Vec<_>>());
    // Ordered by the grouped expression, so LIMIT has the first ones.
    let rows = place.ask(
        "SELECT COUNT(*) AS n FROM faults GROUP BY latency_ns // 10000 ORDER BY latency_ns // 10000 DESC LIMIT 2",
    );
    let got: Vec<u64> = rows.iter().map(|row| row["n"].as_u64().unwrap()).collect();
    assert_eq!(got, bins.values().rev().take(2).copied().collect::<Vec<_>>());
    // A key and an aggregate in one expression; a window over aggregates; CASE with them.
    let rows = place.ask(
        "SELECT tid, tid - COUNT(*) AS less, COUNT(*) * 100.0 / SUM(COUNT(*)) OVER () AS share, \
         CASE WHEN tid = 101 THEN -1 ELSE COUNT(*) END AS n FROM faults GROUP BY tid ORDER BY tid",
    );
    assert_eq!(rows.len(), tids.len());
    for (row, (&tid, &count)) in rows.iter().zip(&tids) {
        assert_eq!(row["less"].as_i64().unwrap(), i64::from(tid) - count as i64);
        let share = count as f64 * 100.0 / 70_000.0;
        assert!((row["share"].as_f64().unwrap() - share).abs() < 1e-9, "{row}");
        let expected = if tid == 101 { -1 } else { count as i64 };
        assert_eq!(row["n"].as_i64().unwrap(), expected);
    }
}

#[test]
fn nulls_are_those_of_sql() {
    let place = Place::new(&small());
    assert_eq!(one(&place, "sum(latency_ns) filter (where false)"), Value::Null);
    assert_eq!(one(&place, "sum(query_id)"), Value::Null);
    assert_eq!(one(&place, "count(query_id)"), 0);
    assert_eq!(one(&place, "bool_or(query_id = 1)"), Value::Null);
    let rows = place.ask("SELECT file FROM faults ORDER BY file DESC");
    assert_eq!(rows.last().unwrap()["file"], Value::Null);
    let rows = place.ask("SELECT COUNT(*) AS n FROM faults WHERE file NOT IN ('x', NULL)");
    assert_eq!(rows[0]["n"], 0);
}

#[test]
fn and_binds_weaker_than_is_distinct_from() {
    let place = Place::new(&small());
    let count = |condition: &str| {
        place.ask(&format!("SELECT COUNT(*) AS n FROM faults WHERE {condition}"))[0]["n"].clone()
    };
    assert_eq!(count("major IS DISTINCT FROM failed AND false"), 0);
    assert_eq!(
        count("major IS NOT DISTINCT FROM failed AND tid = 100 OR tid = 101"),
        7
    );
    assert_eq!(count("major IS DISTINCT FROM (failed OR true)"), 3);
}

#[test]
fn what_is_not_supported_is_refused_in_words() {
    let place = Place::new(&small());
    for (query, says) in [
        ("SELECT latency_ns = 'x' FROM faults", "CAST"),
        ("SELECT comm + 1 FROM faults", "two numbers"),
        ("SELECT major + 1 FROM faults", "0 and 1 of a boolean"),
        ("SELECT first(tid) FROM faults", "ARG_MIN"),
        ("SELECT regexp_matches(comm, 'x') FROM faults", "LIKE"),
        ("SELECT COUNT(*) FROM faults GROUP BY ROLLUP (tid)", "UNION ALL"),
        ("SELECT DISTINCT ON (tid) tid FROM faults", "QUALIFY"),
        ("SELECT (SELECT tid FROM faults)", "LIMIT 1"),
        (
            "SELECT (SELECT MAX(t.tid) FROM threads t WHERE t.tid = f.cpu) FROM faults f",
            "join the two",
        ),
        (
            "SELECT * FROM faults f JOIN threads t ON f.pid = t.pid WHERE tid = 1",
            "f.tid",
        ),
        ("SELECT tid FROM faults JOIN threads", "ON"),
        ("SELECT * FROM faults, faults", "another name"),
        ("WITH RECURSIVE a AS (SELECT 1) SELECT * FROM a", "RECURSIVE"),
        (
            "SELECT median(latency_ns) OVER (ORDER BY ts_ns) FROM faults",
            "whole partition",
        ),
        ("SELECT summ(latency_ns) FROM faults", "did you mean SUM?"),
    ] {
        let message = place.fails(query, &[]);
        assert!(message.contains(says), "{query}: {message}");
    }
}

#[test]
fn only_the_columns_that_a_question_needs_are_read() {
    let place = Place::new(&varied_trace());
    // 70,000 rows of all columns would take 14 MiB.
    for query in [
        "SELECT COUNT(*) AS n FROM (SELECT *, latency_ns / 1000 AS us FROM faults) AS f WHERE major",
        "WITH f AS (SELECT * FROM faults), g AS (SELECT * FROM f) SELECT SUM(latency_ns) AS n FROM g",
        "SELECT COUNT(*) AS n FROM faults WHERE file LIKE '%long%' AND address > 0",
    ] {
        assert_eq!(place.ask_with(query, &["--max-memory", "3M"]).len(), 1, "{query}");
    }
    // What is computed on the way counts, too.
    for query in [
        "SELECT latency_ns + 1, latency_ns + 2, latency_ns + 3 FROM faults",
        "SELECT a.tid FROM (SELECT tid FROM faults) a CROSS JOIN (SELECT tid FROM faults LIMIT 100) b",
        "SELECT SUM(latency_ns) OVER (ORDER BY ts_ns) FROM faults",
        "SELECT ARRAY_AGG(latency_ns) FROM faults",
    ] {
        let message = place.fails(query, &["--max-memory", "1M"]);
        assert!(message.contains("--max-memory"), "{message}");
    }
}
