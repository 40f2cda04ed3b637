//! A memory map, reads by position and a stream give the same items, whatever happened to the trace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};

use common::raw::{EVENTS, frame_header, frames};
use common::{blocks, full_trace, small_blocks, small_trace};
use pf_formats::{AnyStream, Item, Predicate, Summary, TraceReader, Via};
use proptest::prelude::*;

const WAYS: [Via; 3] = [Via::Map, Via::Position, Via::Stream];

/// A file without a name that holds these bytes. Its position is at its start.
fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

fn all(mut reader: TraceReader<AnyStream>, wanted: Option<&Predicate>) -> (Vec<Item>, Summary, u64) {
    let mut items = Vec::new();
    while let Some(item) = match wanted {
        Some(wanted) => reader.next_where(wanted).unwrap(),
        None => reader.next().unwrap(),
    } {
        items.push(item);
    }
    (items, reader.summary().clone(), reader.offset())
}

/// What all ways give, with a predicate that skips the second of three blocks and without.
fn same_in_every_way(bytes: &[u8]) -> Vec<Item> {
    let late = Predicate {
        from_ns: Some(1_000_000 + 41 * 700),
        ..Predicate::default()
    };
    let mut whole = Vec::new();
    for wanted in [Some(&late), None] {
        let [map, position, stream] =
            WAYS.map(|via| TraceReader::open_via(file(bytes), via).map(|reader| all(reader, wanted)));
        let Ok(stream) = stream else {
            assert!(map.is_err() && position.is_err());
            return whole;
        };
        assert_eq!(map.unwrap(), stream);
        assert_eq!(position.unwrap(), stream);
        assert_eq!(stream.2, bytes.len() as u64, "every byte is accounted for");
        whole = stream.0;
    }
    whole
}

#[test]
fn a_whole_trace_is_the_same_in_every_way() {
    assert_eq!(same_in_every_way(&small_trace()), common::read(&small_trace()).0);
    same_in_every_way(&full_trace());
}

#[test]
fn a_trace_cut_anywhere_is_the_same_in_every_way() {
    let whole = small_trace();
    for cut in 0..whole.len() {
        same_in_every_way(&whole[..cut]);
    }
}

#[test]
fn any_flipped_byte_is_the_same_damage_in_every_way() {
    let whole = small_trace();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0xff;
        same_in_every_way(&flipped);
    }
}

#[test]
fn holes_junk_and_lost_bytes_are_the_same_in_every_way() {
    let whole = small_trace();
    for (at, len) in frames(&whole) {
        for hole in [200_000, 70_000, len] {
            same_in_every_way(&[&whole[..at], &vec![0; hole], &whole[at..]].concat());
        }
        same_in_every_way(&[&whole[..at], &whole[at + len..]].concat());
        same_in_every_way(&[&whole[..at + 40], &whole[at + len - 10..]].concat());
    }
}

#[test]
fn records_that_claim_each_other_are_the_same_in_every_way() {
    let mut bytes = small_trace();
    let (at, len) = frames(&bytes)[6];
    // Each has a good header, a long payload and a wrong checksum, and the next one is inside it.
    let lies: Vec<u8> = (0..40)
        .flat_map(|lie| frame_header(EVENTS, 1, 300_000, 1, 6 + lie, 0))
        .collect();
    bytes.splice(at + len..at + len, lies);
    bytes.extend(vec![7; 400_000]);
    let items = same_in_every_way(&bytes);
    assert_eq!(blocks(&items)[..3], small_blocks());
}

#[test]
fn the_totals_of_a_finished_file_are_known_beforehand() {
    let whole = small_trace();
    let told = common::read(&whole).0.into_iter().find_map(|item| match item {
        Item::Footer(footer) => Some(footer.totals),
        _ => None,
    });
    assert!(told.is_some());
    let ahead = |bytes: &[u8]| {
        let reader = TraceReader::open(file(bytes)).unwrap();
        reader.totals_ahead().cloned()
    };
    assert_eq!(ahead(&whole), told);
    assert_eq!(ahead(&whole[..whole.len() - 1]), None);
    let reader = TraceReader::new(&whole[..]).unwrap();
    assert_eq!(reader.totals_ahead(), None);
    // The footer is not where the trailer says, or it is damaged.
    let (at, _) = *frames(&whole).last().unwrap();
    for place in [at, at + 5, at + 33] {
        let mut other = whole.clone();
        other[place] ^= 0xff;
        assert_eq!(ahead(&other), None);
        same_in_every_way(&other);
    }
}

#[test]
fn a_finished_file_is_mapped_and_all_others_are_not() {
    let whole = small_trace();
    let best = |bytes: &[u8]| Via::best(&file(bytes)).unwrap();
    assert_eq!(best(&whole), Via::Map);
    assert_eq!(best(&whole[..whole.len() - 1]), Via::Position);
    assert_eq!(best(&[&whole[..], b"\n"].concat()), Via::Position);
    assert_eq!(best(&[]), Via::Position);
    assert_eq!(
        best(b"#!/bin/sh\nexit 0 # long enough for a trailer\n"),
        Via::Position
    );
    let mut other = whole.clone();
    other[30] ^= 1;
    assert_eq!(best(&other), Via::Position);
}

#[cfg(unix)]
#[test]
fn a_pipe_is_a_stream() {
    let (read, mut write) = std::io::pipe().unwrap();
    let whole = small_trace();
    let sent = whole.clone();
    let sender = std::thread::spawn(move || write.write_all(&sent).unwrap());
    let file = File::from(std::os::fd::OwnedFd::from(read));
    assert_eq!(Via::best(&file).unwrap(), Via::Stream);
    let reader = TraceReader::open(file).unwrap();
    assert!(reader.may_wait());
    assert_eq!(all(reader, None).0, common::read(&whole).0);
    sender.join().unwrap();
}

#[test]
fn a_file_is_read_from_its_start_wherever_its_position_is() {
    let whole = small_trace();
    for bytes in [&whole[..], &whole[..whole.len() - 1]] {
        let mut file = file(bytes);
        file.seek(SeekFrom::End(0)).unwrap();
        let (items, ..) = all(TraceReader::open(file).unwrap(), None);
        assert_eq!(items, common::read(bytes).0);
    }
}

#[test]
fn a_file_that_grows_is_read_as_far_as_it_is_and_skipping_does_not_end_it() {
    let whole = small_trace();
    let (at, _) = frames(&whole)[5];
    let file = file(&whole[..at]);
    let mut writer = file.try_clone().unwrap();
    let mut reader = TraceReader::open(file).unwrap();
    let nothing = Predicate::nothing();
    let mut items = Vec::new();
    for _ in 0..5 {
        items.push(reader.next_where(&nothing).unwrap().unwrap());
    }
    assert!(matches!(items[4], Item::Skipped(_)));
    writer.seek(SeekFrom::End(0)).unwrap();
    writer.write_all(&whole[at..]).unwrap();
    while let Some(item) = reader.next_where(&nothing).unwrap() {
        items.push(item);
    }
    assert_eq!(items.len(), common::read(&whole).0.len());
    assert_eq!(reader.summary().damages, 0);
}

#[test]
fn a_file_that_gets_shorter_ends_early() {
    let mut writer = common::writer();
    for i in 0..200_000 {
        writer.push(&common::event(i * 7919 % 100_000)).unwrap();
    }
    writer.flush_block().unwrap();
    let file = file(&writer.into_inner());
    let length = file.metadata().unwrap().len();
    let other = file.try_clone().unwrap();
    let mut reader = TraceReader::open(file).unwrap();
    let first = std::iter::repeat_with(|| reader.next().unwrap().unwrap())
        .find(|item| matches!(item, Item::Events(_)))
        .unwrap();
    other.set_len(length / 2).unwrap();
    while reader.next().unwrap().is_some() {}
    assert_eq!(reader.summary().damages, 1);
    assert_eq!(blocks(&[first])[0].len(), 32_768);
}

#[test]
fn a_block_outlives_its_reader_and_the_pages_given_back() {
    let mut writer = common::writer();
    // Noise, so that the trace is longer than what is kept behind the reader.
    let mut state = 1u64;
    let mut noise = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state ^ state >> 29
    };
    while writer.bytes_written() < 24 << 20 {
        let event = pf_formats::Event {
            latency_ns: noise(),
            address: noise(),
            ip: noise(),
            object_page: noise(),
            ..common::event(1)
        };
        writer.push(&event).unwrap();
    }
    let bytes = writer.finish(pf_formats::Totals::default()).unwrap();
    let (items, ..) = all(TraceReader::open(file(&bytes)).unwrap(), None);
    assert!(blocks(&items) == blocks(&common::read(&bytes).0));
}

#[test]
fn memory_given_back_serves_the_next_block() {
    let whole = small_trace();
    let mut reader = TraceReader::new(&whole[..]).unwrap();
    let mut events = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        let is_block = matches!(item, Item::Events(_));
        if is_block {
            events.extend(blocks(std::slice::from_ref(&item)));
        }
        if let Item::Events(block) = item {
            reader.recycle(block);
        }
    }
    assert_eq!(events, small_blocks());
}

proptest! {
    #[test]
    fn any_damage_is_the_same_in_every_way(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..400usize), 0..3),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = small_trace();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        for (at, len) in cuts {
            let at = at.index(bytes.len());
            bytes.drain(at..(at + len).min(bytes.len()));
            if bytes.is_empty() {
                break;
            }
        }
        same_in_every_way(&bytes);
    }
}
