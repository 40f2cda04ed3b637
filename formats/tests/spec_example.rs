//! The example in SPEC.md is what the writer writes and the reader reads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fmt::Write;

use pf_formats::{Access, CommId, Dict, Event, Header, Meta, Origin, Totals, TraceWriter};

fn example_event() -> Event {
    Event {
        ts_ns: 1_000_000,
        latency_ns: 1500,
        pid: 7,
        tid: 8,
        comm: CommId(1),
        cpu: 3,
        address: 0x7f00_0000_1234,
        ip: 0x40_1000,
        major: true,
        access: Some(Access::Read),
        origin: Origin::User,
        ..Event::default()
    }
}

fn example() -> Vec<u8> {
    let header = Header::new(*b"an example trace", 1_700_000_000_000_000_000);
    let meta = Meta {
        recorder: "pfrec 0.1.0".into(),
        start_ns: 999_000,
        ..Meta::default()
    };
    let mut writer = TraceWriter::create(Vec::new(), &header, &meta).unwrap();
    writer
        .dict(&Dict::Comms {
            first_id: 1,
            entries: vec!["app".into()],
        })
        .unwrap();
    writer.push(&example_event()).unwrap();
    writer
        .finish(Totals {
            events: 1,
            majors: 1,
            end_ns: 2_000_000,
            ..Totals::default()
        })
        .unwrap()
}

/// The bytes in the block of SPEC.md that starts with ```hex; what follows a # is for people.
fn bytes_in_spec() -> Vec<u8> {
    let spec = include_str!("../SPEC.md");
    let block = spec
        .split("```hex\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let digits = block
        .lines()
        .flat_map(|line| line.split('#').next().unwrap().split_whitespace());
    digits.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

#[test]
fn the_example_in_the_specification_is_what_the_writer_writes() {
    let written = example();
    let mut hex = String::new();
    for byte in &written {
        write!(hex, "{byte:02x} ").unwrap();
    }
    assert!(bytes_in_spec() == written, "the writer wrote\n{hex}");
}

#[test]
fn the_example_in_the_specification_reads_back() {
    let (items, summary) = common::read(&bytes_in_spec());
    assert_eq!(common::blocks(&items), [[example_event()]]);
    assert!(summary.finished);
    assert_eq!(summary.damages, 0);
}
