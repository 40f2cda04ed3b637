//! `regions` on traces with known faults, against a plain count, and as a user runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod model_files;
mod support;

use model_files::{TENSORS, gguf};
use pf_formats::{Dict, Event, Meta, ObjectId, ObjectKind};
use pfanalyze::output::render::Format;
use pfanalyze::output::table::{Table, Value};
use pfanalyze::request::options::RegionOptions;
use pfanalyze::verbs::regions::pass::Regions;
use pfanalyze::verbs::regions::source::Source;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use support::ask::{read, text};
use support::{FILE_BASE, file_fault, meta, object, trace};
use tempfile::TempDir;

const PATH: &str = "/data/segments.bin";

/// A fault at a byte of the file.
fn at(ms: u64, byte: u64, latency_ns: u64) -> Event {
    Event {
        address: FILE_BASE + byte,
        ..file_fault(ms, latency_ns, byte / 4096)
    }
}

fn list(text: &str) -> Source {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("list.csv");
    fs::write(&path, text).unwrap();
    let asked = RegionOptions {
        list: Some(path),
        ..RegionOptions::default()
    };
    Source::of(&asked).unwrap()
}

fn parts(most: u16) -> Source {
    let asked = RegionOptions {
        parts: Some(most),
        ..RegionOptions::default()
    };
    Source::of(&asked).unwrap()
}

fn asked(
    source: Source,
    wanted: &str,
    meta: &Meta,
    dicts: &[Dict],
    events: &[Event],
) -> Result<Table, String> {
    let mut regions = Regions::new(wanted, source);
    let bytes = trace(meta, dicts, events, &[]);
    let session = read(
        &bytes,
        &pfanalyze::engine::filter::Filter::default(),
        &mut [&mut regions],
    );
    regions.table(&session).map_err(|error| error.to_string())
}

fn table(source: Source, events: &[Event]) -> Table {
    asked(source, PATH, &meta(), &support::dicts(), events).unwrap()
}

fn csv(table: &Table) -> String {
    text(table, Format::Csv)
}

#[test]
fn a_shared_page_is_told_apart_by_the_address_and_gaps_have_rows() {
    let events = [
        at(1, 0, 100),
        at(2, 99, 1_000),
        at(3, 100, 2_000),
        at(4, 4_100, 3_000),
        at(5, 9_000, 50),
        at(6, 100, 10),
    ];
    let table = table(
        list("name,offset,len\nhead,0,100\nbody,100,4000\ntail,5000,10\n"),
        &events,
    );
    let expected = "\
region,major,minor,total_ms,max_ms,pages,reread_bytes,seq_percent,stride_percent,offset,size_bytes,type,shape
(between body and tail),1,0,0.003000,0.003000,1,0,100.000,0.000,4100,900,,
body,2,0,0.002010,0.002000,1,4096,0.000,0.000,100,4000,,
head,2,0,0.001100,0.001000,1,4096,,,0,100,,
(after tail),1,0,0.000050,0.000050,1,0,100.000,0.000,5010,7278,,
";
    assert_eq!(csv(&table), expected);
    // The first page is one page, and was read again three times in all.
    let total = table.total.unwrap();
    assert_eq!(
        (&total[5], &total[6]),
        (&Value::Count(3), &Value::Bytes(3 * 4096))
    );
}

#[test]
fn the_innermost_of_overlapping_regions_counts() {
    let events = [at(1, 10, 1), at(2, 5_000, 2), at(3, 9_000, 4)];
    let table = table(list("all,0,0x100000\nmiddle,4096,4096\n"), &events);
    let names: Vec<&Value> = table.rows.iter().map(|row| &row[0]).collect();
    assert_eq!(names, [&Value::Text("all".into()), &Value::Text("middle".into())]);
}

#[test]
fn every_fault_is_in_the_region_that_a_plain_search_finds() {
    let mut state = 7u64;
    let mut random = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let regions: Vec<(u64, u64)> = (0..200).map(|i| (i * 5_000, 3_000 + random(1_500))).collect();
    let lines: Vec<String> = (0..200)
        .map(|i| format!("r{i},{},{}", regions[i].0, regions[i].1))
        .collect();
    let events: Vec<Event> = (0..5_000)
        .map(|i| at(i, random(1_000_000), 1 + random(1_000)))
        .collect();
    let table = table(list(&lines.join("\n")), &events);
    let mut rows = 0;
    for row in &table.rows {
        let Value::Text(name) = &row[0] else { panic!() };
        let (Value::Id(offset), Value::Bytes(len)) = (&row[9], &row[10]) else {
            panic!("{row:?}")
        };
        let inside: Vec<&Event> = events
            .iter()
            .filter(|event| (*offset..offset + len).contains(&(event.address - FILE_BASE)))
            .collect();
        let mut pages: Vec<u64> = inside.iter().map(|event| event.object_page).collect();
        pages.sort_unstable();
        pages.dedup();
        let wait = inside.iter().map(|event| event.latency_ns).sum();
        let max = inside.iter().map(|event| event.latency_ns).max().unwrap();
        let expected = [
            Value::Count(inside.len() as u64),
            Value::Count(0),
            Value::Ms(wait),
            Value::Ms(max),
            Value::Count(pages.len() as u64),
        ];
        assert_eq!(row[1..6], expected, "{name}");
        rows += inside.len();
    }
    assert_eq!(rows, events.len());
    assert!(table.rows.is_sorted_by(|a, b| match (&a[3], &b[3]) {
        (Value::Ms(a), Value::Ms(b)) => a >= b,
        _ => false,
    }));
}

#[test]
fn equal_parts_double_until_they_reach() {
    let events: Vec<Event> = (0..64).map(|page| at(page, page * 4096, 10)).collect();
    let sizes = |most| {
        let table = table(parts(most), &events);
        (
            table.rows.len(),
            table.rows[0][10].clone(),
            table.rows[0][1].clone(),
        )
    };
    assert_eq!(sizes(1), (1, Value::Bytes(64 * 4096), Value::Count(64)));
    assert_eq!(sizes(4), (4, Value::Bytes(16 * 4096), Value::Count(16)));
    assert_eq!(sizes(5), (4, Value::Bytes(16 * 4096), Value::Count(16)));
    assert_eq!(sizes(4096), (64, Value::Bytes(4096), Value::Count(1)));
    // A page beyond everything is no reason to stumble.
    let far = Event {
        object_page: u64::MAX,
        ..at(1, 0, 5)
    };
    assert_eq!(table(parts(1), &[at(1, 0, 5), far]).rows.len(), 1);
    assert_eq!(table(parts(3), &[at(1, 0, 5), far]).rows.len(), 2);
    assert_eq!(table(list("a,0,10"), &[at(1, 0, 5), far]).rows.len(), 2);
}

#[test]
fn nothing_and_nameless_memory_have_no_regions() {
    assert!(table(parts(4), &[]).rows.is_empty());
    assert!(table(parts(4), &[support::heap_fault(1, 5, 1)]).rows.is_empty());
}

#[test]
fn the_file_of_just_the_given_path_is_meant_or_else_the_only_one() {
    let mut dicts = support::dicts();
    dicts.push(Dict::Objects {
        first_id: 3,
        entries: vec![object(ObjectKind::File, "/data/segments.bin.idx\x1b[2J")],
    });
    let other = Event {
        object: ObjectId(3),
        ..at(1, 0, 7)
    };
    let count = |wanted: &str, events: &[Event]| {
        let table = asked(parts(4), wanted, &meta(), &dicts, events);
        table.map(|table| table.rows.iter().map(|row| row[1].clone()).collect::<Vec<_>>())
    };
    for events in [
        [other, at(2, 0, 5)],
        [
            at(1, 0, 5),
            Event {
                ts_ns: other.ts_ns + 5,
                ..other
            },
        ],
    ] {
        assert_eq!(count(PATH, &events), Ok(vec![Value::Count(1)]));
        let error = count("segments", &events).unwrap_err();
        assert!(
            error.contains("several files") && error.contains("idx\\x1b[2J"),
            "{error}"
        );
    }
    assert_eq!(count("segments", &[other, other]), Ok(vec![Value::Count(2)]));
}

#[test]
fn a_sample_is_scaled_and_has_no_order() {
    let minor = Event {
        major: false,
        ..at(1, 0, 100)
    };
    let meta = Meta { sample: 8, ..meta() };
    let events = [minor, at(2, 4096, 7)];
    let table = asked(parts(1), PATH, &meta, &support::dicts(), &events).unwrap();
    assert_eq!(
        csv(&table).lines().collect::<Vec<_>>(),
        [
            "region,major,minor,total_ms,max_ms,pages_seen,reread_bytes,seq_percent,stride_percent,offset,size_bytes,type,shape",
            "0x0-0x2000,1,8,0.000807,0.000100,2,0,,,0,8192,,"
        ]
    );
}

struct Place {
    dir: TempDir,
    model: String,
}

impl Place {
    /// A folder with a model and a trace of two faults on each of its tensors.
    fn new(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join(name).display().to_string();
        let (bytes, offsets, _) = gguf(3, 32, &TENSORS);
        fs::write(&model, bytes).unwrap();
        let events: Vec<Event> = offsets
            .iter()
            .enumerate()
            .flat_map(|(index, &offset)| {
                let at = |ms, byte| Event {
                    object: ObjectId(3),
                    ..at(ms, byte, 100 << index)
                };
                [
                    at(index as u64 * 2, offset),
                    at(index as u64 * 2 + 1, offset + 200),
                ]
            })
            .collect();
        let mut dicts = support::dicts();
        dicts.push(Dict::Objects {
            first_id: 3,
            entries: vec![object(ObjectKind::File, &model)],
        });
        fs::write(dir.path().join("t.pfz"), trace(&meta(), &dicts, &events, &[])).unwrap();
        Self { dir, model }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
            .current_dir(self.dir.path())
            .args([&["regions", "t.pfz"], arguments].concat())
            .output()
            .unwrap()
    }

    fn says(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn fails(&self, arguments: &[&str], code: i32, says: &str) {
        let output = self.run(arguments);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert!(
            message.starts_with("error: ") && message.contains(says),
            "{message}"
        );
        let lines = if code == 2 { 3..=6 } else { 1..=1 };
        assert!(lines.contains(&message.lines().count()), "{message}");
    }
}

#[test]
fn tensors_are_found_at_the_recorded_path_or_in_a_copy() {
    let place = Place::new("model.gguf");
    let shown = place.says(&["--file", "*model*"]);
    let first = shown.lines().nth(1).unwrap();
    assert!(first.starts_with("output_norm.weight "), "{shown}");
    let said = format!(
        "5 tensors of the GGUF file {}; 1 of 6 regions without a fault\n",
        place.model
    );
    assert!(shown.ends_with(&said), "{shown}");
    let csv = place.says(&["--file", "*model*", "--format", "csv"]);
    assert_eq!(csv.lines().count(), 6);
    for tensor in TENSORS {
        let row = csv.lines().find(|line| line.starts_with(tensor.0)).unwrap();
        assert!(row.starts_with(&format!("{},2,0,", tensor.0)), "{row}");
    }
    fs::rename(&place.model, place.dir.path().join("copy")).unwrap();
    assert_eq!(
        place.says(&["--file", "*model*", "--copy", "copy", "--format", "csv"]),
        csv
    );
    let shown = place.says(&["--file", "*model*"]);
    assert!(
        shown.contains("equal parts: ") && shown.contains("is not available here"),
        "{shown}"
    );
}

#[test]
fn whatever_is_wrong_is_said_with_its_reason() {
    let place = Place::new("model.gguf");
    let write = |name: &str, bytes: &[u8]| fs::write(place.dir.path().join(name), bytes).unwrap();
    write("list", b"a,0,5\nb,zero,5\n");
    write("none", b"");
    write("bad.gguf", b"GGUF\x03\0\0\0");
    for (arguments, code, says) in [
        (&[][..], 2, "name it with --file PATH"),
        (&["--file", "a", "--file", "b"], 2, "parts of one file"),
        (&["--file", "a", "--parts", "0"], 2, "invalid value '0'"),
        (
            &["--file", "a", "--parts", "4", "--copy", "x"],
            2,
            "cannot be used with",
        ),
        (
            &["--file", "*model*", "--regions", "list"],
            1,
            "list: line 2: offset 'zero' is not a number",
        ),
        (&["--file", "*model*", "--regions", "none"], 1, "none: no regions"),
        (
            &["--file", "*model*", "--regions", "missing"],
            1,
            "missing cannot be read",
        ),
        (
            &["--file", "*model*", "--copy", "."],
            1,
            "it is not a regular file",
        ),
        (
            &["--file", "*model*", "--copy", "bad.gguf"],
            1,
            "bad.gguf: byte 8: number of tensors",
        ),
    ] {
        place.fails(arguments, code, says);
    }
    fs::write(&place.model, b"GGUF\x09\0\0\0").unwrap();
    place.fails(
        &["--file", "*model*"],
        1,
        "GGUF version 9, and only 2 and 3 can be read; --parts does without",
    );
    assert!(
        place
            .says(&["--file", "*model*", "--parts", "2"])
            .contains("0x0-0x")
    );
    // A path in a trace can be a pipe, which would never end.
    fs::remove_file(&place.model).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&place.model)
            .status()
            .unwrap()
            .success()
    );
    assert!(
        place
            .says(&["--file", "*model*"])
            .contains("it is not a regular file")
    );
    assert!(Path::new(&place.model).exists());
}
