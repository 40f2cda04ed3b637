//! Files of formats 1.0, 1.3 and 1.4 that every later version reads, and files of versions to come that 1.0 gets along with or
//! refuses. They are kept in tests/data and never made anew.
//!
//! `PF_WRITE_GOLDEN=1 cargo test -p pf-formats --test golden` writes those that are not there yet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::PathBuf;

use common::raw::{META, frame, frames};
use common::{blocks, caused_event, event, full_event, placed_event, read};
use pf_formats::{
    Dict, Event, FormatError, Frame, FrameId, Item, Object, ObjectId, ObjectKind, StackId, StackNode, Totals,
    TraceReader, repair, verify,
};

fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data")).join(name)
}

/// The bytes of a file in tests/data.
fn golden(name: &str, make: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let path = path(name);
    if !path.exists() && std::env::var_os("PF_WRITE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, make()).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every kind of record.
fn records() -> Vec<u8> {
    let mut writer = common::writer();
    for dict in [common::comms(&["worker"]), common::objects()] {
        writer.dict(&dict).unwrap();
    }
    writer.dict(&common::frames()).unwrap();
    writer.dict(&common::stacks()).unwrap();
    writer.timeline(&common::timeline()).unwrap();
    for i in 0..20 {
        writer.push(&full_event(i)).unwrap();
    }
    writer.flush_block().unwrap();
    writer.queries(&common::queries()).unwrap();
    writer.loss(&common::losses()).unwrap();
    writer.dict(&common::symbols()).unwrap();
    writer.dict(&common::build_ids()).unwrap();
    let totals = Totals {
        events: 20,
        ..Totals::default()
    };
    writer.finish(totals).unwrap()
}

/// Events for every transform and storage: walks and random places, noise and constants, few names and many.
fn varied() -> Vec<Event> {
    let mut state = 1_u64;
    let mut below = move |limit: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    let event = |i: u64| {
        let full = full_event(i % 20);
        let page = if (i / 600).is_multiple_of(2) {
            i
        } else {
            below(1 << 22)
        };
        Event {
            ts_ns: 1_000_000 + i * 900 - below(400),
            latency_ns: 400 + below(1 << (4 + i / 600 * 5)),
            tid: 100 + (i % 5) as u32,
            address: 0x7f00_0000_0000 + page * 4096 + below(4096),
            object_page: page,
            ip: 0x40_0000 + below(3) * 0x7_1235,
            breakdown: full.breakdown.filter(|_| i / 600 == 2),
            stack: if i / 600 == 3 { full.stack } else { StackId(0) },
            ..event(i)
        }
    };
    (0..2400).map(event).collect()
}

fn columns() -> Vec<u8> {
    let mut writer = common::writer();
    writer.dict(&common::comms(&["worker"])).unwrap();
    writer.dict(&common::objects()).unwrap();
    for block in varied().chunks(600) {
        block.iter().for_each(|event| writer.push(event).unwrap());
        writer.flush_block().unwrap();
    }
    writer.finish(Totals::default()).unwrap()
}

/// Causes: what was looked at in some blocks and not in others, and a stack of the kernel and of a module of it.
fn causes() -> Vec<u8> {
    let mut writer = common::writer();
    for dict in [common::comms(&["worker"]), common::objects()] {
        writer.dict(&dict).unwrap();
    }
    writer.dict(&common::frames()).unwrap();
    writer.dict(&common::stacks()).unwrap();
    kernel_stack().iter().for_each(|dict| writer.dict(dict).unwrap());
    for (block, event) in (0_u64..).zip([caused_event, full_event, caused_event]) {
        for i in block * 20..block * 20 + 20 {
            writer.push(&event(i)).unwrap();
        }
        writer.flush_block().unwrap();
    }
    let totals = Totals {
        events: 60,
        ..Totals::default()
    };
    writer.finish(totals).unwrap()
}

/// Where reads begin, waits of which no fault tells, and what was set.
fn waits() -> Vec<u8> {
    let mut writer = common::writer();
    for dict in [
        common::comms(&["worker"]),
        common::objects(),
        common::frames(),
        common::stacks(),
    ] {
        writer.dict(&dict).unwrap();
    }
    writer.conditions(&common::conditions()).unwrap();
    for i in 0..60 {
        writer.push(&placed_event(i)).unwrap();
    }
    writer.flush_block().unwrap();
    writer.hidden_waits(&common::hidden_waits()).unwrap();
    let totals = Totals {
        events: 60,
        ..Totals::default()
    };
    writer.finish(totals).unwrap()
}

/// Objects 2 and 3, frames 4 and 5, stacks 4 and 5.
fn kernel_stack() -> [Dict; 3] {
    let object = |path: &str| Object {
        kind: ObjectKind::Kernel,
        path: path.into(),
        ..Object::default()
    };
    let frame = |object, offset| Frame {
        object: ObjectId(object),
        offset,
    };
    let node = |parent, frame| StackNode {
        parent: StackId(parent),
        frame: FrameId(frame),
        truncated: StackNode::WHOLE,
    };
    let (objects, frames, nodes) = (
        vec![object("[kernel]"), object("[fuse]")],
        vec![frame(2, 0x1000), frame(3, 0x40)],
        vec![node(0, 4), node(4, 5)],
    );
    [
        Dict::Objects {
            first_id: 2,
            entries: objects,
        },
        Dict::Frames {
            first_id: 4,
            entries: frames,
        },
        Dict::Stacks {
            first_id: 4,
            entries: nodes,
        },
    ]
}

/// As a version 1.7 may write it: a flag, fields behind those of META, and a kind of record that are not known.
fn later_minor() -> Vec<u8> {
    let whole = records();
    let (at, len) = frames(&whole)[0];
    let mut trace = whole[..64].to_vec();
    trace[10] = 7;
    trace[16] = 0x80;
    let crc = crc32c::crc32c(&trace[..60]);
    trace[60..].copy_from_slice(&crc.to_le_bytes());
    let meta = [&whole[at + 32..at + len], b"of 1.7"].concat();
    trace.extend(frame(META, 1, 0, 0, &meta));
    trace.extend(frame(77, 1, 0, 1, b"of 1.7"));
    for (number, (at, len)) in frames(&whole)[1..].iter().enumerate() {
        let payload = &whole[at + 32..at + len];
        let events = u32::from_le_bytes(*whole[at + 12..].first_chunk().unwrap());
        trace.extend(frame(whole[at + 4], 1, events, 2 + number as u64, payload));
    }
    trace
}

fn changed_header(at: usize, byte: u8) -> Vec<u8> {
    let mut trace = records();
    trace[at] = byte;
    let crc = crc32c::crc32c(&trace[..60]);
    trace[60..64].copy_from_slice(&crc.to_le_bytes());
    trace
}

#[test]
fn every_kind_of_record_of_1_0_is_read() {
    let bytes = golden("1.0-records.pfz", records);
    let (items, summary) = read(&bytes);
    assert_eq!((summary.finished, summary.damages), (true, 0));
    let (expected, _) = read(&records());
    assert_eq!(items.len(), expected.len());
    for (item, expected) in items.iter().zip(&expected) {
        // How a block is encoded is the writer's choice; the places of blocks follow.
        if !matches!(item, Item::Events(_) | Item::Footer(_)) {
            assert_eq!(item, expected);
        }
    }
    let written: Vec<Event> = (0..20).map(full_event).collect();
    assert!(blocks(&items) == [common::by_thread(&written)]);
    let found = verify(&mut TraceReader::new(&bytes[..]).unwrap(), &mut |_| ()).unwrap();
    assert!(found.damage.count == 0);
}

#[test]
fn every_column_of_1_0_is_read() {
    let (items, summary) = read(&golden("1.0-columns.pfz", columns));
    assert_eq!(summary.damages, 0);
    let expected = varied();
    let expected = expected.chunks(600).map(common::by_thread);
    assert!(blocks(&items).into_iter().eq(expected));
}

#[test]
fn the_causes_of_1_3_are_read_and_survive_a_repair() {
    let bytes = golden("1.3-causes.pfz", causes);
    let (items, summary) = read(&bytes);
    assert_eq!((summary.finished, summary.damages), (true, 0));
    let caused = |from: u64| common::by_thread(&(from..from + 20).map(caused_event).collect::<Vec<_>>());
    let full = common::by_thread(&(20..40).map(full_event).collect::<Vec<_>>());
    let expected = [caused(0), full, caused(40)];
    assert!(blocks(&items) == expected);
    for dict in kernel_stack() {
        assert!(items.contains(&Item::Dict(dict)));
    }
    let found = verify(&mut TraceReader::new(&bytes[..]).unwrap(), &mut |_| ()).unwrap();
    assert!(found.damage.count == 0 && found.undefined.is_none());
    // The block in the middle gets lost.
    let (at, len) = frames(&bytes)[9];
    let mut damaged = bytes.clone();
    damaged[at + len - 1] ^= 1;
    let mut reader = TraceReader::new(&damaged[..]).unwrap();
    let (_, repaired) = repair(&mut reader, Vec::new(), &mut |_| ()).unwrap();
    assert!(blocks(&read(&repaired).0) == [expected[0].clone(), expected[2].clone()]);
}

#[test]
fn the_places_waits_and_conditions_of_1_4_are_read_and_survive_a_repair() {
    let bytes = golden("1.4-waits.pfz", waits);
    let (items, summary) = read(&bytes);
    assert_eq!((summary.finished, summary.damages), (true, 0));
    let placed: Vec<Event> = (0..60).map(placed_event).collect();
    assert!(blocks(&items) == [common::by_thread(&placed)]);
    let told = |items: &[Item]| {
        items.contains(&Item::HiddenWaits(common::hidden_waits()))
            && items.contains(&Item::Conditions(common::conditions()))
    };
    assert!(told(&items));
    let found = verify(&mut TraceReader::new(&bytes[..]).unwrap(), &mut |_| ()).unwrap();
    assert!(found.damage.count == 0 && found.undefined.is_none());
    assert_eq!((found.counts.hidden_waits, found.counts.conditions), (3, 4));
    // The end is gone.
    let (at, _) = *frames(&bytes).last().unwrap();
    let mut reader = TraceReader::new(&bytes[..at]).unwrap();
    let (_, repaired) = repair(&mut reader, Vec::new(), &mut |_| ()).unwrap();
    assert!(told(&read(&repaired).0));
}

#[test]
fn an_unfinished_trace_of_1_0_is_read_to_its_end() {
    let cut = || {
        let whole = columns();
        let (at, _) = frames(&whole)[5];
        whole[..at + 100].to_vec()
    };
    let (items, summary) = read(&golden("1.0-unfinished.pfz", cut));
    assert_eq!((summary.finished, summary.blocks, summary.damages), (false, 2, 1));
    assert_eq!(blocks(&items).concat().len(), 1200);
}

#[test]
fn what_a_later_minor_version_adds_is_passed_over() {
    let (items, summary) = read(&golden("1.7-additions.pfz", later_minor));
    assert_eq!(summary.frames_missing, 0);
    let (mut expected, _) = read(&records());
    let (Some(Item::Meta(meta)), Item::Meta(known)) = (items.first(), expected.remove(0)) else {
        panic!("no META")
    };
    assert_eq!(*meta, known);
    assert_eq!(blocks(&items), blocks(&expected));
}

#[test]
fn what_cannot_be_understood_is_refused_by_the_version_that_can() {
    for (name, at, byte, word) in [
        ("1.0-unknown-feature.pfz", 12, 2, "features 0x2"),
        ("2.0.pfz", 8, 2, "format 2.0"),
        ("0.0.pfz", 8, 0, "format 0.0"),
    ] {
        let bytes = golden(&format!("refused-{name}"), || changed_header(at, byte));
        let error = TraceReader::new(&bytes[..]).err().unwrap();
        assert!(matches!(
            error,
            FormatError::Newer { .. } | FormatError::Older { .. }
        ));
        assert!(error.to_string().contains(word), "{error}");
    }
}
