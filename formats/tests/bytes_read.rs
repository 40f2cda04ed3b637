//! How much of a file is read when most of it is skipped. Alone in its process, whose reads are counted.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs::File;
use std::io::{Read, Write};

use pf_formats::{Event, Item, Predicate, Totals, TraceReader, Via};

/// Bytes that this process has read through system calls.
fn bytes_read() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    let line = io.lines().find(|line| line.starts_with("rchar:")).unwrap();
    line["rchar:".len()..].trim().parse().unwrap()
}

/// Reads through, and says how many bytes that took and how many blocks were skipped.
fn cost(file: &File, via: Via, wanted: &Predicate) -> (u64, u64) {
    let before = bytes_read();
    let mut reader = TraceReader::open_via(file.try_clone().unwrap(), via).unwrap();
    while let Some(item) = reader.next_where(wanted).unwrap() {
        assert!(!matches!(item, Item::Damage(_)));
    }
    (bytes_read() - before, reader.summary().blocks_skipped)
}

#[test]
fn of_a_block_that_is_skipped_only_the_beginning_is_read() {
    let mut writer = common::writer();
    let blocks = 20;
    let mut state = 1u64;
    for i in 0..blocks * 32_768 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let event = Event {
            latency_ns: state >> 40,
            ..common::event(i)
        };
        writer.push(&event).unwrap();
    }
    let bytes = writer.finish(Totals::default()).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    let length = bytes.len() as u64;
    assert!(length / blocks > 150_000, "blocks as long as real ones");

    let (all, skipped) = cost(&file, Via::Position, &Predicate::default());
    assert!(all >= length && skipped == 0, "{all} of {length}");
    let (few, skipped) = cost(&file, Via::Position, &Predicate::nothing());
    assert_eq!(skipped, blocks);
    assert!(few < length / 20, "{few} of {length}");
    let one = Predicate {
        to_ns: Some(1_000_001),
        ..Predicate::default()
    };
    let (some, skipped) = cost(&file, Via::Position, &one);
    assert_eq!(skipped, blocks - 1);
    assert!(some < length / 9, "{some} of {length}");
    // A map is not read through system calls, but for what says that a block is skipped.
    let (all, skipped) = cost(&file, Via::Map, &Predicate::default());
    assert!(all < 10_000 && skipped == 0, "{all} of {length}");
    let (few, skipped) = cost(&file, Via::Map, &Predicate::nothing());
    assert_eq!(skipped, blocks);
    assert!(few < length / 20, "{few} of {length}");
    // The counter counts.
    let before = bytes_read();
    File::open("/proc/self/maps")
        .unwrap()
        .read_exact(&mut [0; 100])
        .unwrap();
    assert!(bytes_read() >= before + 100);
}
