//! `percentiles` against lists of all latencies, sorted: every `--by`, whole and sampled, within 1 % and exact.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod query_fixture;
mod stack_fixture;
mod support;

use clap::ValueEnum;
use pf_formats::{
    Access, CommId, Dict, Event, FrameId, Meta, ObjectId, ObjectKind, Origin, Query as Row, QueryId, StackId,
    Symbol, TraceReader,
};
use pfanalyze::engine::filter::Filter;
use pfanalyze::output::order::{self, Order};
use pfanalyze::output::render::Format;
use pfanalyze::output::table::{Table, Value};
use pfanalyze::request::options::GroupBy;
use pfanalyze::trace::queries::each_row;
use pfanalyze::verbs::percentiles::key_names::QueryNames;
use pfanalyze::verbs::percentiles::pass::Percentiles;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use support::ask::{read, text};
use support::{dicts, file_fault, heap_fault, meta, small, totals, writer};
use tempfile::TempDir;

const PERMYRIAD: [u64; 5] = [5_000, 9_000, 9_900, 9_990, 9_999];

fn random_events(count: u64) -> Vec<Event> {
    let mut state = 11u64;
    let mut random = |bound: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    let mut narrow = |bound: u64| u32::try_from(random(bound)).unwrap();
    let event = |index: u64| {
        let latency_ns = u64::from(200 + narrow(900) * (1 + narrow(2_000) * narrow(2)));
        let base = match narrow(3) {
            0 => heap_fault(index / 50, latency_ns, 3),
            _ => file_fault(index / 50, latency_ns, 4),
        };
        Event {
            pid: 100 + narrow(2),
            tid: 200 + narrow(4),
            comm: CommId(1 + narrow(2)),
            cpu: u16::try_from(narrow(5)).unwrap(),
            object: ObjectId(1 + narrow(3)),
            major: narrow(3) == 0,
            failed: narrow(40) == 0,
            access: [None, Some(Access::Read), Some(Access::Write), Some(Access::Exec)][narrow(4) as usize],
            origin: if narrow(4) == 0 {
                Origin::Kernel
            } else {
                Origin::User
            },
            retries: u8::try_from(narrow(3)).unwrap(),
            query: QueryId(u64::from(narrow(5))),
            stack: StackId(narrow(4)),
            ..base
        }
    };
    (0..count).map(event).collect()
}

fn query_rows() -> Vec<Row> {
    let named = |id: u64, name: &str| Row {
        name: name.into(),
        text: None,
        ..query_fixture::query(id, 1, 5, query_fixture::faults(0, 0, 0))
    };
    // 4 has no record.
    vec![named(1, "seek"), named(2, "scan"), named(3, "seek")]
}

fn trace(meta: &Meta, events: &[Event]) -> Vec<u8> {
    let dicts = [
        dicts(),
        stack_fixture::stack_dicts(),
        stack_fixture::symbol_dicts(),
    ]
    .concat();
    let mut writer = writer(meta, &dicts, &[], &[]);
    writer.set_block_events(700);
    for event in events {
        writer.push(event).unwrap();
    }
    writer.flush_block().unwrap();
    writer.queries(&query_rows()).unwrap();
    writer.finish(totals(events)).unwrap()
}

/// What a row is called, by someone who has the event and no dictionaries.
fn name(by: GroupBy, event: &Event) -> Vec<String> {
    let one = |text: &str| vec![text.to_owned()];
    let query = match event.query.0 {
        0 => "(no query)",
        2 => "scan",
        4 => "(query without a record)",
        _ => "seek",
    };
    let known = |id: u64| if id == 0 { String::new() } else { id.to_string() };
    match by {
        GroupBy::Class => one(match (event.failed, event.major) {
            (true, _) => "failed",
            (false, true) => "major",
            (false, false) => "minor",
        }),
        // Nobody looked.
        GroupBy::Cause => one(""),
        GroupBy::Pid => one(&event.pid.to_string()),
        GroupBy::Tid => vec![event.pid.to_string(), event.tid.to_string()],
        GroupBy::Comm => one(["main", "worker"][event.comm.0 as usize - 1]),
        GroupBy::File => one(["/data/segments.bin", "[heap]", "/usr/bin/app"][event.object.0 as usize - 1]),
        GroupBy::Kind => one(["file", "heap", "file"][event.object.0 as usize - 1]),
        GroupBy::Query => one(query),
        GroupBy::QueryId => vec![known(event.query.0), query.to_owned()],
        GroupBy::Access => one(event.access.map_or("unknown", Access::name)),
        GroupBy::Origin => one(event.origin.name()),
        GroupBy::Cpu => one(&event.cpu.to_string()),
        GroupBy::Retries => one(&event.retries.to_string()),
        GroupBy::Failed => one(&event.failed.to_string()),
        GroupBy::Stack => {
            let words = [
                "[no stack]",
                "_start",
                "main < _start",
                "touch (inlined) < step (inlined) < walk < main < _start",
            ];
            vec![
                known(u64::from(event.stack.0)),
                words[event.stack.0 as usize].to_owned(),
            ]
        }
    }
}

/// Name, and every latency as often as it counts, sorted; the most first.
fn expected(by: GroupBy, events: &[Event], one_in: usize) -> Vec<(Vec<String>, Vec<u64>)> {
    let mut groups: BTreeMap<Vec<String>, Vec<u64>> = BTreeMap::new();
    for event in events {
        let is_scaled = !event.failed && !event.major;
        let times = if is_scaled { one_in } else { 1 };
        let mut rows = vec![name(by, event)];
        rows.extend((by == GroupBy::Class).then(|| vec!["all".to_owned()]));
        for row in rows {
            let group = groups.entry(row).or_default();
            group.extend(std::iter::repeat_n(event.latency_ns, times));
        }
    }
    groups.values_mut().for_each(|values| values.sort_unstable());
    groups.into_iter().collect()
}

fn names_of(bytes: &[u8]) -> QueryNames {
    let mut names = QueryNames::default();
    each_row(TraceReader::new(bytes).unwrap(), |row, _| names.add(row)).unwrap();
    names.settle();
    names
}

/// Within 1 %, and exact.
fn tables(by: GroupBy, bytes: &[u8], filter: &Filter, order: &Order) -> (Table, Table) {
    let mut first = Percentiles::new(by).with_names(names_of(bytes));
    let session = read(bytes, filter, &mut [&mut first]);
    let mut second = first.exact_pass(&session, order);
    read(bytes, filter, &mut [&mut second]);
    let (exact, cost) = second.finish().unwrap();
    assert!(
        cost.starts_with("exact quantiles: the trace was read twice"),
        "{cost}"
    );
    (first.table(&session), exact)
}

fn us(value: &Value) -> u64 {
    match value {
        Value::Us(ns) => *ns,
        other => panic!("{other:?}"),
    }
}

fn compare(by: GroupBy, table: &Table, expected: &[(Vec<String>, Vec<u64>)], is_exact: bool) {
    assert_eq!(table.rows.len(), expected.len(), "{by:?} {:?}", table.rows);
    let names = table.heads.iter().position(|head| head.name == "count").unwrap();
    let mut before = Value::Count(u64::MAX);
    for row in &table.rows {
        let (name, values) = row.split_at(names);
        let name: Vec<String> = name.iter().map(Value::plain).collect();
        let (_, latencies) = expected
            .iter()
            .find(|(other, _)| *other == name)
            .unwrap_or_else(|| {
                panic!("{by:?}: there is no {name:?}");
            });
        assert_eq!(values[0], Value::Count(latencies.len() as u64), "{by:?} {name:?}");
        if let (Value::Count(count), Value::Count(before), false) =
            (&values[0], &before, by == GroupBy::Class)
        {
            assert!(count <= before);
        }
        before = values[0].clone();
        for (value, share) in values[1..].iter().zip(PERMYRIAD) {
            let rank = (latencies.len() as u64 * share).div_ceil(10_000).max(1);
            let (found, right) = (us(value), latencies[rank as usize - 1]);
            let is_right = found == right || !is_exact && found.abs_diff(right) * 100 <= right;
            assert!(is_right, "{by:?} {name:?} {share}: {found} for {right}");
        }
        assert_eq!(us(&values[6]), *latencies.last().unwrap());
    }
}

#[test]
fn every_group_has_the_quantiles_of_its_sorted_latencies() {
    let events = random_events(6_000);
    for one_in in [1, 16] {
        let meta = Meta {
            sample: one_in,
            ..meta()
        };
        let bytes = trace(&meta, &events);
        for by in GroupBy::value_variants() {
            let expected = expected(*by, &events, one_in as usize);
            let (about, exact) = tables(*by, &bytes, &Filter::default(), &Order::default());
            compare(*by, &about, &expected, false);
            compare(*by, &exact, &expected, true);
        }
    }
}

#[test]
fn a_filter_holds_in_both_readings() {
    let events = random_events(2_000);
    let bytes = trace(&meta(), &events);
    let filter = Filter {
        pids: vec![101],
        ..Filter::default()
    };
    let passing: Vec<Event> = events.into_iter().filter(|event| event.pid == 101).collect();
    let (about, exact) = tables(GroupBy::Cpu, &bytes, &filter, &Order::default());
    let expected = expected(GroupBy::Cpu, &passing, 1);
    compare(GroupBy::Cpu, &about, &expected, false);
    compare(GroupBy::Cpu, &exact, &expected, true);
}

#[test]
fn nothing_and_one_fault_have_rows_too() {
    for by in GroupBy::value_variants() {
        for events in [&[][..], &[file_fault(3, u64::MAX, 0)]] {
            let (about, exact) = tables(
                *by,
                &trace(&meta(), events),
                &Filter::default(),
                &Order::default(),
            );
            assert_eq!(about, exact);
            let rows = if *by == GroupBy::Class { 3 } else { events.len() };
            assert_eq!(about.rows.len(), rows, "{by:?}");
            if !events.is_empty() {
                assert!(
                    about
                        .rows
                        .iter()
                        .any(|row| row.last() == Some(&Value::Us(u64::MAX)))
                );
            }
        }
    }
}

#[test]
fn only_rows_that_are_shown_are_looked_up_unless_they_are_sorted_by_quantiles() {
    let events = random_events(3_000);
    let bytes = trace(&meta(), &events);
    let shown = |by: Option<&str>| {
        let order = Order {
            by: by.map(|column| order::By::parse(column).unwrap()),
            top: Some(2),
        };
        let (_, mut table) = tables(GroupBy::Tid, &bytes, &Filter::default(), &order);
        order.apply(&mut table).unwrap();
        assert_eq!(table.rows.len(), 2);
        table
    };
    let all = expected(GroupBy::Tid, &events, 1);
    for by in [
        None,
        Some("tid"),
        Some("p50_us"),
        Some("P99_9_US:asc"),
        Some("max_us"),
    ] {
        let table = shown(by);
        let names: Vec<Vec<String>> = table
            .rows
            .iter()
            .map(|row| row[..2].iter().map(Value::plain).collect())
            .collect();
        let of_shown: Vec<_> = all
            .iter()
            .filter(|(name, _)| names.contains(name))
            .cloned()
            .collect();
        let mut in_order = table.clone();
        in_order
            .rows
            .sort_by_key(|row| std::cmp::Reverse(row[2].plain().parse::<u64>().unwrap()));
        compare(GroupBy::Tid, &in_order, &of_shown, true);
    }
}

#[test]
fn too_many_groups_share_the_last_row_which_says_so() {
    let events = random_events(3_000);
    let bytes = trace(&meta(), &events);
    let mut first = Percentiles::new(GroupBy::Tid).with_groups(3);
    let session = read(&bytes, &Filter::default(), &mut [&mut first]);
    let table = first.table(&session);
    let last = table.rows.last().unwrap();
    assert_eq!(last[..2], [Value::Null, Value::Null]);
    let count = |row: &[Value]| row[2].plain().parse::<u64>().unwrap();
    assert_eq!(table.rows.iter().map(|row| count(row)).sum::<u64>(), 3_000);
    assert!(table.rows.len() <= 4);
    let remark = first.remarks().join("\n");
    let others = 8 - (table.rows.len() - 1);
    assert!(
        remark.starts_with("too many rows: the last one has the ")
            && remark.contains(&format!(" of {others} others")),
        "{remark}"
    );
    let own: Vec<Vec<String>> = table.rows[..table.rows.len() - 1]
        .iter()
        .map(|row| row[..2].iter().map(Value::plain).collect())
        .collect();
    let mut rest: Vec<u64> = Vec::new();
    let mut all = expected(GroupBy::Tid, &events, 1);
    all.retain(|(name, values)| {
        let is_own = own.contains(name);
        if !is_own {
            rest.extend(values);
        }
        is_own
    });
    rest.sort_unstable();
    let mut second = first.exact_pass(&session, &Order::default());
    read(&bytes, &Filter::default(), &mut [&mut second]);
    let (mut exact, _) = second.finish().unwrap();
    let last = exact.rows.pop().unwrap();
    compare(GroupBy::Tid, &exact, &all, true);
    assert_eq!(us(&last[3]), rest[rest.len().div_ceil(2) - 1]);
    let names = Percentiles::new(GroupBy::Comm).with_groups(1);
    assert!(text(&names.table(&session), Format::Csv).starts_with("comm,count,"));
}

struct Run {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(trace: &[u8], is_piped: bool, arguments: &[&str]) -> Run {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("t.pfz"), trace).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
        .current_dir(dir.path())
        .args(["percentiles", if is_piped { "-" } else { "t.pfz" }])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    if is_piped {
        stdin.write_all(trace).unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Run {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn files_and_pipes_are_read_as_often_as_needed() {
    let bytes = trace(&meta(), &random_events(500));
    for arguments in [
        &["--by", "query-id", "--exact"][..],
        &["--by", "query"],
        &["--exact", "--query", "seek"],
        &["--by", "tid"],
    ] {
        let (file, pipe) = (run(&bytes, false, arguments), run(&bytes, true, arguments));
        assert_eq!(
            (file.status, file.stderr.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
        assert_eq!((&file.stdout, &file.stderr), (&pipe.stdout, &pipe.stderr));
    }
    let without = run(&small(), false, &["--by", "query"]);
    assert_eq!(without.status, Some(1));
    assert!(
        without.stderr.contains("the trace has no queries"),
        "{}",
        without.stderr
    );
}

#[test]
fn tables_say_how_exact_they_are_and_what_that_cost() {
    let table = run(&small(), false, &[]).stdout;
    assert!(
        table.ends_with("\nquantiles are within 1 %; minimum and maximum are exact\n"),
        "{table}"
    );
    let exact = run(&small(), false, &["--exact", "--by", "kind"]).stdout;
    assert!(
        exact.contains("\nexact quantiles: the trace was read twice, "),
        "{exact}"
    );
    let csv = run(&small(), false, &["--exact", "--format", "csv"]);
    assert!(
        csv.stdout.contains("\nmajor,4,200.000,1400.000,"),
        "{}",
        csv.stdout
    );
    assert!(
        csv.stderr.starts_with("note: exact quantiles: "),
        "{}",
        csv.stderr
    );
    let csv = run(&small(), false, &["--format", "csv"]);
    assert!(csv.stdout.contains("\nmajor,4,199.") && csv.stderr.is_empty());
}

#[test]
fn the_histogram_is_drawn_under_the_table_and_programs_get_its_buckets() {
    let drawn = run(&small(), false, &["--histogram", "--by", "comm"]).stdout;
    assert!(
        drawn.starts_with("COMM ") && drawn.contains("\nLATENCY "),
        "{drawn}"
    );
    assert!(drawn.lines().all(|line| line.chars().count() <= 110), "{drawn}");
    let markdown = run(&small(), false, &["--histogram", "--format", "markdown"]).stdout;
    assert!(
        markdown.contains("\n```text\nLATENCY ") && markdown.ends_with("\n```\n"),
        "{markdown}"
    );
    let csv = run(
        &small(),
        false,
        &["--histogram", "--format", "csv", "--sort", "minor", "--top", "1"],
    );
    let expected = "from_us,to_us,major,minor,failed,wait_ms,cum_percent,cum_wait_percent\n\
                    0.500,1.000,0,3,0,0.002100,42.857,0.105\n";
    assert_eq!(csv.stdout, expected);
    assert!(!csv.stderr.contains("left out"), "{}", csv.stderr);
    let json = run(&small(), false, &["--histogram", "--format", "json", "--exact"]);
    assert!(json.stderr.contains("--exact is left out"), "{}", json.stderr);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&json.stdout).unwrap();
    let majors: u64 = rows.iter().map(|row| row["major"].as_u64().unwrap()).sum();
    assert_eq!((rows.len(), majors), (11, 4));
    let nothing = run(&small(), false, &["--histogram", "--comm", "nobody"]);
    assert_eq!(nothing.status, Some(0));
    assert!(!nothing.stdout.contains("LATENCY"), "{}", nothing.stdout);
}

/// Clear the screen, a link, an override of direction, a line, markup.
const EVIL: &str = "/\x1b[2J\x1b]8;;http://x\x07\u{9b}31m\u{202e}\u{200b}\n! forged\r\x08<b>`**|\"";

fn hostile_trace() -> Vec<u8> {
    let evil = || EVIL.to_owned();
    let comms = Dict::Comms {
        first_id: 1,
        entries: vec![evil(), evil()],
    };
    let objects = Dict::Objects {
        first_id: 1,
        entries: vec![support::object(ObjectKind::File, EVIL)],
    };
    let symbols = Dict::Symbols {
        entries: vec![Symbol {
            frame: FrameId(1),
            name: evil(),
            offset: 1,
            file: evil(),
            line: 5,
            inlined: vec![],
        }],
    };
    let mut dicts = vec![comms, objects, symbols];
    dicts.extend(stack_fixture::stack_dicts());
    let event = Event {
        query: QueryId(1),
        ..stack_fixture::stack_of(1, file_fault(3, 500, 1))
    };
    let unknown = Event {
        comm: CommId(99),
        object: ObjectId(99),
        query: QueryId(u64::MAX),
        stack: StackId(4_194_304),
        cpu: u16::MAX,
        retries: u8::MAX,
        ..event
    };
    let row = Row {
        name: evil(),
        text: None,
        ..query_rows().remove(0)
    };
    let mut writer = writer(&meta(), &dicts, &[event, unknown], &[]);
    writer.queries(&[row]).unwrap();
    writer.finish(totals(&[event, unknown])).unwrap()
}

#[test]
fn hostile_names_are_harmless_to_people_and_exact_for_programs() {
    let bytes = hostile_trace();
    for by in GroupBy::value_variants() {
        let by = by.to_possible_value().unwrap();
        for format in ["table", "markdown"] {
            let asked = [
                "--by",
                by.get_name(),
                "--exact",
                "--histogram",
                "--format",
                format,
            ];
            let written = run(&bytes, false, &asked);
            assert_eq!(written.status, Some(0), "{}", written.stderr);
            let is_harmless = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}' && c != '\u{200b}';
            assert!(written.stdout.chars().all(is_harmless), "{:?}", written.stdout);
            assert!(!written.stdout.contains("\n! forged"), "{}", written.stdout);
        }
        let json = run(&bytes, false, &["--by", by.get_name(), "--format", "json"]);
        let rows: Vec<serde_json::Value> = serde_json::from_str(&json.stdout).unwrap();
        if let name @ ("comm" | "file" | "query" | "stack") = by.get_name() {
            assert!(rows.iter().any(|row| row[name] == EVIL), "{}", json.stdout);
        }
    }
}
