//! Records of a few hundred bytes that stand for megabytes: how much of a reader's time a byte of the file can take.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::raw::{PROCESSES, QUERIES, TIMELINE, frame, trace_with};
use common::{read, timeline};
use pf_formats::{Happening, Item, Totals};

/// Entries in a list.
const MOST: usize = 65_536;

/// Packed as in TIMELINE, PROCESSES and QUERIES.
fn packed(raw: &[u8]) -> Vec<u8> {
    let mut payload = (raw.len() as u32).to_le_bytes().to_vec();
    payload.extend(zstd::bulk::compress(raw, 19).unwrap());
    payload
}

/// As much as a record can unpack to, from as little: a list without entries, and zeros behind it, which are damage only once
/// they are unpacked.
fn zeros() -> Vec<u8> {
    packed(&vec![0; 8 << 20])
}

/// A query, and what is packed behind its columns.
fn query_with(strings: &[u8]) -> Vec<u8> {
    let head = [1u32, 1].map(u32::to_le_bytes).concat();
    // ID: plain, planes, 5 bytes; a constant plane of the number 1.
    let column = [1, 0, 0, 0, 5, 0, 0, 0, 1, 1, 0, 0, 0x80];
    [&head, &column[..], strings].concat()
}

#[test]
fn what_is_unpacked_of_a_file_is_bounded_by_its_length() {
    let timelines = "unpacked bytes of all TIMELINE records";
    let texts = "unpacked bytes of all records with texts";
    for (kind, payload, each, what) in [
        (TIMELINE, zeros(), 256, timelines),
        (PROCESSES, zeros(), 1024, texts),
        (QUERIES, query_with(&zeros()), 1024, texts),
    ] {
        let frames = (1..=400).map(|sequence| frame(kind, 1, 0, sequence, &payload));
        let trace = trace_with(&frames.collect::<Vec<_>>().concat());
        let (items, summary) = read(&trace);
        assert_eq!((items.len(), summary.damages), (401, 400));
        let refused = items.iter().filter(|item| match item {
            Item::Damage(damage) => {
                let is_refused = damage.reason.contains(what);
                assert!(
                    is_refused || damage.reason.contains("bytes used of the record"),
                    "{}",
                    damage.reason
                );
                is_refused
            }
            _ => false,
        });
        let unpacked = 400 - refused.count();
        let allowed = ((64 << 20) + each * trace.len()) / (8 << 20);
        assert!(
            unpacked <= allowed && unpacked + 2 > allowed,
            "kind {kind}: {unpacked} of {allowed}"
        );
    }
}

#[test]
fn what_comes_behind_too_much_is_read_where_the_file_has_grown() {
    let payload = zeros();
    let mut frames: Vec<u8> = (1..=50)
        .flat_map(|sequence| frame(TIMELINE, 1, 0, sequence, &payload))
        .collect();
    let fork = [[1; 16].as_slice(), &2u32.to_le_bytes(), &[1; 8]].concat();
    let list = [&(MOST as u64).to_le_bytes()[..], &fork.repeat(MOST)].concat();
    let list = packed(&list);
    (51..=57).for_each(|sequence| frames.extend(frame(TIMELINE, 1, 0, sequence, &list)));
    // A private kind of record, passed over.
    frames.extend(frame(200, 1, 0, 58, &vec![0; 1 << 20]));
    frames.extend(frame(TIMELINE, 1, 0, 59, &list));
    let (items, summary) = read(&trace_with(&frames));
    assert!((51..=57).contains(&summary.damages), "{}", summary.damages);
    assert!(matches!(items.last(), Some(Item::Timeline(entries)) if entries.len() == MOST));
}

#[test]
fn as_many_entries_as_a_recorder_writes_are_all_read() {
    // Mappings of a process at equal distances, all of one time: nothing is told in fewer bytes.
    let mut writer = common::writer();
    let pattern = timeline()[2].clone();
    let mut entries = Vec::new();
    for number in 0..200_000u64 {
        let mut entry = pattern.clone();
        if let Happening::Map { start, .. } = &mut entry.what {
            *start = number * 4096;
        }
        entries.push(entry);
    }
    writer.timeline(&entries).unwrap();
    let trace = writer.finish(Totals::default()).unwrap();
    let (_, summary) = read(&trace);
    let unpacked = 200_000 * 56;
    eprintln!("{} bytes unpack to {unpacked}", trace.len());
    assert_eq!(summary.damages, 0);
    assert!(256 * trace.len() > 4 * unpacked);
}
