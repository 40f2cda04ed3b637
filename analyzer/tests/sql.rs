//! SQL against the exports of the other verbs and against plain loops over the events.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod query_fixture;
mod sql_fixture;
mod support;

use pf_formats::{Access, CommId, Condition, Event, Happening, LossReason, Meta, ObjectId, TimelineEntry};
use pfanalyze::verbs::sql::schema::TableName;
use pfanalyze::verbs::sql::text::examples;
use serde_json::Value;
use sql_fixture::{Place, varied, varied_trace};
use std::collections::BTreeMap;
use support::{START_NS, dicts, loss, meta, small, totals, trace, writer};

#[test]
fn every_column_of_faults_is_what_events_exports() {
    let place = Place::new(&varied_trace());
    let events = place.text(&["events", "t.pfz", "--format", "csv"]);
    let header = events.lines().next().unwrap();
    let query = format!("SELECT {header} FROM faults ORDER BY ts_ns, pid, tid");
    let answer = place.text(&["sql", "t.pfz", &query, "--format", "csv"]);
    assert!(events == answer, "the exports differ");
    // Each column alone, too: only what is asked for is decoded.
    let mut rows = csv::Reader::from_reader(events.as_bytes());
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    for (index, column) in header.split(',').enumerate() {
        let query = format!("SELECT {column} FROM faults");
        let answer = place.text(&["sql", "t.pfz", &query, "--format", "csv"]);
        let mut own: Vec<String> = csv::Reader::from_reader(answer.as_bytes())
            .records()
            .map(|row| row.unwrap()[0].to_owned())
            .collect();
        let mut expected: Vec<String> = rows.iter().map(|row| row[index].to_owned()).collect();
        own.sort_unstable();
        expected.sort_unstable();
        assert!(own == expected, "{column}");
    }
}

#[test]
fn groups_are_those_of_a_plain_loop() {
    let place = Place::new(&varied_trace());
    let mut expected: BTreeMap<(u32, bool), (u64, u64, u64)> = BTreeMap::new();
    for event in varied() {
        let group = expected.entry((event.tid, event.major)).or_default();
        group.0 += 1;
        group.1 += event.latency_ns;
        group.2 = group.2.max(event.latency_ns);
    }
    let rows = place.ask(
        "SELECT tid, major, COUNT(*) AS n, SUM(latency_ns) AS wait, MAX(latency_ns) AS most FROM faults \
         GROUP BY tid, major ORDER BY tid, major",
    );
    let got: BTreeMap<(u32, bool), (u64, u64, u64)> = rows
        .iter()
        .map(|row| {
            let number = |name: &str| row[name].as_u64().unwrap();
            (
                (number("tid") as u32, row["major"].as_bool().unwrap()),
                (number("n"), number("wait"), number("most")),
            )
        })
        .collect();
    assert_eq!(got, expected);
}

#[test]
fn conditions_on_rows_are_those_of_a_plain_loop() {
    let place = Place::new(&varied_trace());
    let is_long_path = |event: &Event| event.object == ObjectId(4);
    type Condition = (&'static str, Box<dyn Fn(&Event) -> bool>);
    let conditions: Vec<Condition> = vec![
        (
            "major AND latency_ns > 50000",
            Box::new(|e| e.major && e.latency_ns > 50_000),
        ),
        ("file LIKE '/a/path/%'", Box::new(is_long_path)),
        (
            "file IS NULL",
            Box::new(|e| e.object == ObjectId(2) || e.object == ObjectId(3)),
        ),
        (
            "comm IN ('main', 'worker') AND NOT failed",
            Box::new(|e| e.comm.0 < 3 && !e.failed),
        ),
        (
            "access = 'read' OR kind = 'heap'",
            Box::new(|e| e.access == Some(Access::Read) || e.object == ObjectId(2)),
        ),
        (
            "tid BETWEEN 101 AND 102",
            Box::new(|e| e.tid == 101 || e.tid == 102),
        ),
        (
            "query_id IS NOT NULL AND stack_id = 2",
            Box::new(|e| e.query.0 != 0 && e.stack.0 == 2),
        ),
        (
            "CASE WHEN major THEN latency_ns ELSE 0 END > 80000",
            Box::new(|e| e.major && e.latency_ns > 80_000),
        ),
        (
            "tid IN (SELECT tid FROM faults WHERE latency_ns > 90100)",
            Box::new({
                let slow: Vec<u32> = varied()
                    .iter()
                    .filter(|e| e.latency_ns > 90_100)
                    .map(|e| e.tid)
                    .collect();
                move |e| slow.contains(&e.tid)
            }),
        ),
    ];
    for (condition, passes) in conditions {
        let expected = varied().iter().filter(|event| passes(event)).count() as u64;
        let rows = place.ask(&format!("SELECT COUNT(*) AS n FROM faults WHERE {condition}"));
        assert_eq!(rows[0]["n"].as_u64(), Some(expected), "{condition}");
        assert!(expected > 0, "{condition}");
    }
}

#[test]
fn ordinary_sql_works() {
    let place = Place::new(&varied_trace());
    let mut latencies: Vec<u64> = varied().iter().map(|event| event.latency_ns).collect();
    latencies.sort_unstable();
    let rows = place.ask("SELECT latency_ns FROM faults ORDER BY latency_ns DESC LIMIT 3 OFFSET 1");
    let got: Vec<u64> = rows
        .iter()
        .map(|row| row["latency_ns"].as_u64().unwrap())
        .collect();
    let top: Vec<u64> = latencies.iter().rev().skip(1).take(3).copied().collect();
    assert_eq!(got, top);
    let rows = place.ask(
        "SELECT QUANTILE_DISC(latency_ns, 0.5) AS p50, ROUND(AVG(latency_ns), 1) AS mean, COUNT(DISTINCT tid) AS tids, \
         MEDIAN(latency_ns) AS median FROM faults",
    );
    let p50 = rows[0]["p50"].as_f64().unwrap() as u64;
    assert!(latencies[34_999..=35_000].contains(&p50), "{p50}");
    assert_eq!(rows[0]["tids"], 4);
    let rows =
        place.ask("SELECT latency_ns FROM faults WHERE latency_ns > 80000 ORDER BY latency_ns DESC LIMIT 2");
    assert_eq!(
        rows[1]["latency_ns"].as_u64(),
        latencies.iter().rev().nth(1).copied()
    );
    // A join, a subquery, a window and a union.
    let rows = place.ask(
        "WITH per AS (SELECT tid, COUNT(*) AS n FROM faults GROUP BY tid) \
         SELECT per.tid, per.n, threads.comm, ROW_NUMBER() OVER (ORDER BY per.n DESC) AS place \
         FROM per JOIN threads ON per.tid = threads.tid ORDER BY per.tid",
    );
    assert_eq!(rows.len(), 4);
    assert_eq!(
        rows.iter().map(|row| row["n"].as_u64().unwrap()).sum::<u64>(),
        70_000
    );
    let rows = place.ask("SELECT 'x' AS a, 1 AS n UNION ALL SELECT 'y' AS a, 2 AS n");
    assert_eq!(rows.len(), 2);
    let mean = latencies.iter().sum::<u64>() as f64 / latencies.len() as f64;
    let above = latencies.iter().filter(|&&ns| ns as f64 > mean).count();
    let rows = place.ask(
        "WITH whole AS (SELECT AVG(latency_ns) AS mean FROM faults) \
         SELECT COUNT(*) AS n FROM faults CROSS JOIN whole WHERE latency_ns > mean",
    );
    assert_eq!(rows[0]["n"], above);
    let rows = place.ask("SELECT * FROM faults LIMIT 5");
    assert_eq!(rows.len(), 5);
    assert_eq!(
        rows[0].as_object().unwrap().len(),
        TableName::Faults.fields().len()
    );
}

#[test]
fn filters_are_about_faults_and_no_other_table() {
    let place = Place::new(&small());
    let all = place.ask("SELECT COUNT(*) AS n FROM faults");
    assert_eq!(all[0]["n"], 7);
    let filtered = place.ask_with(
        "SELECT COUNT(*) AS n FROM faults",
        &["--tid", "101", "--from", "0.02"],
    );
    assert_eq!(filtered[0]["n"], 3);
    let threads = place.ask_with("SELECT * FROM threads ORDER BY tid", &["--tid", "101"]);
    assert_eq!(threads.len(), 2);
    assert_eq!(threads[1]["comm"], "worker");
    assert_eq!(threads[1]["kernel_faults"], 4);
    assert_eq!(threads[0]["begin_ns"], Value::Null);
}

#[test]
fn the_small_tables_have_what_the_trace_says() {
    let mut writer = writer(
        &meta(),
        &dicts(),
        &support::events(),
        &[loss(LossReason::Reserve, 5)],
    );
    writer
        .timeline(&[TimelineEntry {
            ts_ns: START_NS + 7,
            pid: 100,
            tid: 100,
            what: Happening::Map {
                start: 0x7000,
                len: 0x2000,
                offset: 4096,
                prot: 5,
                flags: 2,
                object: ObjectId(1),
            },
        }])
        .unwrap();
    writer.queries(&query_fixture::queries()).unwrap();
    let condition = |ts_ns, value: &str| Condition {
        ts_ns,
        subject: "cgroup /db".into(),
        name: "memory.current".into(),
        value: value.into(),
    };
    let both = [condition(START_NS, "12"), condition(START_NS + 9, "34")];
    writer.conditions(&both).unwrap();
    let place = Place::new(&writer.finish(totals(&support::events())).unwrap());
    let mapping = &place.ask("SELECT * FROM mappings")[0];
    assert_eq!(mapping["perms"], "r-xp");
    assert_eq!(mapping["file"], "/data/segments.bin");
    assert_eq!(mapping["end_address"], 0x9000);
    let file = &place.ask("SELECT * FROM files")[0];
    assert_eq!(
        (&file["file"], &file["inode"]),
        (&"/data/segments.bin".into(), &42.into())
    );
    let lost = &place.ask("SELECT * FROM losses")[0];
    assert_eq!(
        (&lost["lost"], &lost["reason"], &lost["cpu"]),
        (&5.into(), &"reserve".into(), &1.into())
    );
    let condition = &place.ask("SELECT * FROM conditions")[0];
    assert_eq!(condition["subject"], "cgroup /db");
    assert_eq!(condition["name"], "memory.current");
    assert_eq!(
        (&condition["start_value"], &condition["end_value"]),
        (&"12".into(), &"34".into())
    );
    let host = &place.ask("SELECT * FROM host")[0];
    assert_eq!((&host["kernel"], &host["events"]), (&"6.12.0".into(), &7.into()));
    assert_eq!(host["command"], "mmap-workload -t 2");
    let queries = place.ask("SELECT * FROM queries ORDER BY query_id");
    assert_eq!(queries.len(), 4);
    assert_eq!(queries[1]["parent_id"], query_fixture::SELECT);
    assert_eq!(queries[0]["label"], queries[2]["label"]);
    assert_eq!(queries[0]["nested_wait_ns"], 200_000);
    assert_eq!(
        (&queries[3]["outcome"], &queries[0]["parent_id"]),
        (&"open".into(), &Value::Null)
    );
}

#[test]
fn the_examples_are_answered() {
    let place = Place::new(&query_fixture::known());
    for query in examples() {
        assert!(
            !place.ask(query).is_empty() || query.contains("HAVING"),
            "{query}"
        );
    }
    let listed = place.text(&["sql", "t.pfz"]);
    for table in TableName::ALL {
        for field in table.fields() {
            assert!(listed.contains(field.name), "{}", field.name);
        }
    }
    assert!(listed.lines().all(|line| line.chars().count() <= 80), "{listed}");
    let listed: Value = serde_json::from_str(&place.text(&["sql", "t.pfz", "--format", "json"])).unwrap();
    assert_eq!(listed[0]["column"], "time");
    assert_eq!(listed[1]["type"], "integer");
}

#[test]
fn a_wrong_question_is_one_line_with_the_columns_there_are() {
    let place = Place::new(&small());
    let message = place.fails("SELECT latncy_ns FROM faults", &[]);
    assert!(message.contains("did you mean latency_ns?"), "{message}");
    assert!(
        message.contains("faults has time, ts_ns, latency_ns"),
        "{message}"
    );
    let message = place.fails("SELECT x FROM fault", &[]);
    assert!(
        message.contains("did you mean faults?") && message.contains("host"),
        "{message}"
    );
    place.fails("SELECT FROM WHERE", &[]);
    place.fails("SELEC 1", &[]);
    place.fails("", &[]);
    place.fails("SELECT latency_ns + comm + \x1b[2J FROM faults", &[]);
    place.fails("SELECT NOSUCH(latency_ns) FROM faults", &[]);
}

#[test]
fn more_than_the_memory_allowed_is_refused_with_what_costs_what() {
    let place = Place::new(&varied_trace());
    let message = place.fails("SELECT comm, latency_ns FROM faults", &["--max-memory", "100K"]);
    for part in ["comm", "latency_ns", "KiB", "--max-memory", "WHERE"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    // Rows that a condition rules out take nothing.
    let query = "SELECT comm, latency_ns FROM faults WHERE latency_ns > 90000";
    assert!(!place.ask_with(query, &["--max-memory", "100K"]).is_empty());
    let limited = place.ask_with("SELECT comm FROM faults LIMIT 10", &["--max-memory", "100K"]);
    assert_eq!(limited.len(), 10);
}

#[test]
fn all_kinds_of_values_come_out_in_every_format() {
    let place = Place::new(&small());
    let query = "SELECT major, CAST(tid AS BIGINT) - 200 AS less, latency_ns / 1000.0 AS us, access, NULL AS nothing, \
                 0.0 / 0.0 AS nan FROM faults WHERE tid = 101 ORDER BY ts_ns LIMIT 1";
    let csv = place.text(&["sql", "t.pfz", query, "--format", "csv"]);
    assert_eq!(
        csv,
        "major,less,us,access,nothing,nan\ntrue,-99,100.0,read,,NaN\n"
    );
    let row = &place.ask(query)[0];
    assert_eq!(row["major"], true);
    assert_eq!(row["less"], -99);
    assert_eq!(row["us"], 100.0);
    assert!(row["nothing"].is_null() && row["nan"].is_null());
    let table = place.text(&["sql", "t.pfz", query]);
    assert!(
        table.contains("true") && table.contains("-99") && table.contains("100.000"),
        "{table}"
    );
    let lists = "SELECT tid, ARRAY_AGG(latency_ns) AS every FROM faults GROUP BY tid ORDER BY tid";
    assert_eq!(place.ask(lists)[0]["every"], serde_json::json!([500, 700, 900]));
    let csv = place.text(&["sql", "t.pfz", lists, "--format", "csv"]);
    assert!(csv.contains("100,\"[500,700,900]\""), "{csv}");
}

#[test]
fn names_cannot_steer_a_terminal() {
    let place = Place::new(&varied_trace());
    let query = "SELECT comm AS \"c\x1b[2J\", file, COUNT(*) AS n FROM faults GROUP BY comm, file";
    for format in ["table", "json"] {
        let text = place.text(&["sql", "t.pfz", query, "--format", format]);
        assert!(!text.contains('\x1b') && !text.contains('\x07'), "{text}");
    }
    let named = place.ask("SELECT COUNT(*) AS n FROM faults WHERE comm LIKE 'a\"b%'");
    let expected = varied().iter().filter(|event| event.comm == CommId(3)).count() as u64;
    assert_eq!(named[0]["n"], expected);
}

#[test]
fn a_sampled_trace_says_so_and_has_weights() {
    let sampled = Meta { sample: 16, ..meta() };
    let place = Place::new(&trace(&sampled, &dicts(), &support::events(), &[]));
    let row = &place.ask("SELECT COUNT(*) AS n, SUM(weight) AS faults FROM faults")[0];
    assert_eq!((&row["n"], &row["faults"]), (&7.into(), &52.into()));
    let text = place.text(&["sql", "t.pfz", "SELECT COUNT(*) FROM faults"]);
    assert!(text.contains("SUM(weight)"), "{text}");
}

#[test]
fn a_trace_without_events_has_tables_without_rows() {
    let place = Place::new(&trace(&meta(), &dicts(), &[], &[]));
    assert_eq!(place.ask("SELECT * FROM faults"), Vec::<Value>::new());
    assert_eq!(
        place.ask("SELECT COUNT(*) AS n, SUM(latency_ns) AS s FROM faults")[0]["n"],
        0
    );
    assert_eq!(
        place.ask("SELECT comm, COUNT(*) AS n FROM faults GROUP BY comm"),
        Vec::<Value>::new()
    );
    assert_eq!(place.ask("SELECT * FROM queries"), Vec::<Value>::new());
    let csv = place.text(&["sql", "t.pfz", "SELECT tid FROM faults", "--format", "csv"]);
    assert_eq!(csv, "tid\n");
}
