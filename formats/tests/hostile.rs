//! Traces made to hurt: right checksums around contents that lie.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Instant;

use common::raw::{
    DICT, EVENTS, FOOTER, LOSS, META, TIMELINE, frame, frame_header, frame_with_flags, frames, seal_head,
    trace_with,
};
use common::{event, read, small_trace, writer};
use pf_formats::{BlockDecoder, Columns, CommId, Damage, Item, Projection, Totals};
use proptest::prelude::*;

/// The one damage in a trace of a META record and these bytes.
fn only_damage(rest: &[u8]) -> Damage {
    let (items, _) = read(&trace_with(rest));
    match items.as_slice() {
        [Item::Meta(_), Item::Damage(damage)] => damage.clone(),
        other => panic!("{other:?}"),
    }
}

/// The payload of the first block of the small trace.
fn block_payload() -> Vec<u8> {
    let trace = small_trace();
    let (at, len) = frames(&trace)[4];
    trace[at + 32..at + len].to_vec()
}

#[test]
fn an_unknown_kind_is_skipped_without_damage() {
    let rest = [
        frame(99, 7, 0, 1, b"from the future"),
        frame(LOSS, 1, 0, 2, &0u64.to_le_bytes()),
    ]
    .concat();
    let (items, summary) = read(&trace_with(&rest));
    assert_eq!(items[1..], [Item::Loss(vec![])]);
    assert_eq!((summary.damages, summary.frames_missing), (0, 0));
}

#[test]
fn an_unknown_codec_version_is_damage_with_a_reason() {
    let damage = only_damage(&frame(EVENTS, 2, 123, 1, b"something else"));
    assert!(
        damage.reason.contains("EVENTS") && damage.reason.contains('2'),
        "{}",
        damage.reason
    );
    assert_eq!((damage.events_missing, damage.frames_missing), (123, 1));
}

#[test]
fn a_list_that_claims_more_than_its_bytes_is_refused() {
    for count in [1, 1 << 20, 1 << 40, 1u64 << 61, u64::MAX] {
        for kind in [TIMELINE, LOSS] {
            only_damage(&frame(kind, 1, 0, 1, &count.to_le_bytes()));
        }
        let mut dict = vec![0, 0, 0, 0, 1, 0, 0, 0];
        dict.extend(count.to_le_bytes());
        only_damage(&frame(DICT, 1, 0, 1, &dict));
    }
}

#[test]
fn a_record_with_bytes_left_over_is_refused() {
    let damage = only_damage(&frame(LOSS, 1, 0, 1, &[0; 9]));
    assert!(damage.reason.contains("expected 9, found 8"), "{}", damage.reason);
}

fn comms(first_id: u32, entries: &[&str]) -> Vec<u8> {
    let mut payload = vec![0; 4];
    payload.extend(first_id.to_le_bytes());
    payload.extend((entries.len() as u64).to_le_bytes());
    for entry in entries {
        payload.extend((entry.len() as u64).to_le_bytes());
        payload.extend(entry.as_bytes());
    }
    payload
}

#[test]
fn dictionary_ids_out_of_range_and_long_strings_are_refused() {
    let long = "x".repeat(65_537);
    for (first_id, entries) in [
        (0, ["a"]),
        (u32::MAX, ["a"]),
        (1 << 23, ["a"]),
        (1, [long.as_str()]),
    ] {
        let damage = only_damage(&frame(DICT, 1, 0, 1, &comms(first_id, &entries)));
        assert!(damage.reason.contains("limit"), "{}", damage.reason);
    }
    let (items, _) = read(&trace_with(&frame(DICT, 1, 0, 1, &comms(1, &["fine"]))));
    assert_eq!(items[1], Item::Dict(common::comms(&["fine"])));
}

#[test]
fn all_dictionaries_together_stay_under_their_limit() {
    let text = "y".repeat(60_000);
    let entries = vec![text.as_str(); 100];
    let frames: Vec<_> = (0..60)
        .map(|i| frame(DICT, 1, 0, 1 + i, &comms(1 + 100 * i as u32, &entries)))
        .collect();
    let (items, summary) = read(&trace_with(&frames.concat()));
    let accepted = items.iter().filter(|item| matches!(item, Item::Dict(_))).count();
    assert!(accepted * 6_000_000 <= 256 << 20, "{accepted}");
    assert!(accepted > 40 && summary.damages > 0);
}

#[test]
fn calling_entries_a_snapshot_does_not_make_new_ids_free() {
    let text = "y".repeat(60_000);
    let entries = vec![text.as_str(); 100];
    let mut rest = frame(DICT, 1, 0, 1, &comms(1 << 22, &["far off"]));
    for i in 0..60 {
        rest.extend(frame_with_flags(
            DICT,
            1,
            2 + i,
            &comms(1 + 100 * i as u32, &entries),
        ));
    }
    // Refused once, refused again.
    for i in 0..10 {
        rest.extend(frame_with_flags(DICT, 1, 62 + i, &comms(5901, &entries)));
    }
    // What is known may come again.
    rest.extend(frame_with_flags(DICT, 1, 72, &comms(1, &entries)));
    let (items, summary) = read(&trace_with(&rest));
    let accepted = items.iter().filter(|item| matches!(item, Item::Dict(_))).count();
    assert_eq!(accepted, 1 + (256 << 20) / 6_000_800 + 1);
    assert_eq!(summary.damages, 60 - (256 << 20) / 6_000_800 + 10);
    assert!(matches!(items.last(), Some(Item::Dict(_))));
}

#[test]
fn a_list_has_65536_entries_and_not_one_more() {
    let loss = |count: usize| {
        let mut payload = (count as u64).to_le_bytes().to_vec();
        for _ in 0..count {
            payload.extend([[1; 16].as_slice(), &[0, 1], &[1; 8]].concat());
        }
        frame(LOSS, 1, 0, 1, &payload)
    };
    let timeline = |count: usize| {
        let mut raw = (count as u64).to_le_bytes().to_vec();
        for _ in 0..count {
            raw.extend([[1; 16].as_slice(), &[0; 4], &[1; 32], &1u32.to_le_bytes()].concat());
        }
        let mut payload = (raw.len() as u32).to_le_bytes().to_vec();
        payload.extend(zstd::bulk::compress(&raw, 1).unwrap());
        frame(TIMELINE, 1, 0, 1, &payload)
    };
    let names = |count: usize| frame(DICT, 1, 0, 1, &comms(1, &vec!["n"; count]));
    let objects = |count: usize| {
        // Together with the list, just under the 8 MiB of a payload.
        let path = [b'p'; 102];
        let mut payload = [1u32, 1].map(u32::to_le_bytes).concat();
        payload.extend((count as u64).to_le_bytes());
        for _ in 0..count {
            payload.extend([[1; 17].as_slice(), &102u64.to_le_bytes(), &path].concat());
        }
        assert!(payload.len() < 8 << 20);
        frame(DICT, 1, 0, 1, &payload)
    };
    let kinds: [&dyn Fn(usize) -> Vec<u8>; 4] = [&loss, &timeline, &names, &objects];
    for made in kinds {
        let (items, summary) = read(&trace_with(&made(65_536)));
        assert_eq!(
            (items.len(), summary.damages),
            (2, 0),
            "{:?}",
            items.last().map(kind)
        );
        let damage = only_damage(&made(65_537));
        assert!(damage.reason.contains("entries in a list"), "{}", damage.reason);
    }
}

/// What an item is, without its contents.
fn kind(item: &Item) -> String {
    match item {
        Item::Damage(damage) => damage.reason.clone(),
        _ => "no damage".into(),
    }
}

#[test]
fn the_largest_lists_of_meta_are_read() {
    let mut payload = Vec::new();
    let no_text = 0u64.to_le_bytes();
    let list = |count: usize| [&(count as u64).to_le_bytes()[..], &no_text.repeat(count)].concat();
    for part in [&no_text.repeat(4), &vec![0; 16], &list(65_536), &list(65_536)] {
        payload.extend(part);
    }
    for part in [&no_text.repeat(3), &list(65_536), &vec![0; 8], &list(65_536)] {
        payload.extend(part);
    }
    let sampled = [&payload[..], &1u32.to_le_bytes()].concat();
    let (items, summary) = read(&trace_with(&frame(META, 1, 0, 1, &sampled)));
    assert_eq!(
        (items.len(), summary.damages),
        (2, 0),
        "{:?}",
        items.last().map(kind)
    );
    let cut = payload.len() - 65_537 * 8;
    payload.truncate(cut);
    payload.extend(list(65_537));
    payload.extend(1u32.to_le_bytes());
    let damage = only_damage(&frame(META, 1, 0, 1, &payload));
    assert!(damage.reason.contains("entries in a list"), "{}", damage.reason);
}

#[test]
fn only_a_broken_events_record_costs_events() {
    for (kind, missing) in [(LOSS, 0), (DICT, 0), (TIMELINE, 0), (FOOTER, 0), (EVENTS, 77)] {
        // One does not decode, one has a wrong checksum.
        let damage = only_damage(&frame(kind, 1, 77, 1, &[1]));
        assert_eq!(damage.events_missing, missing);
        let mut wrong = frame(kind, 1, 77, 1, &[1; 50]);
        wrong[40] ^= 1;
        assert_eq!(only_damage(&wrong).events_missing, missing);
    }
}

#[test]
fn a_record_longer_than_allowed_is_passed_over() {
    let rest = [
        frame_header(EVENTS, 1, u32::MAX, 1, 1, 0),
        frame(LOSS, 1, 0, 2, &[0; 8]),
    ]
    .concat();
    let (items, _) = read(&trace_with(&rest));
    assert!(
        matches!(items[1..], [Item::Damage(_), Item::Loss(_)]),
        "{items:?}"
    );
}

#[test]
fn records_nested_in_each_others_claimed_length_do_not_cost_a_checksum_each() {
    let mut rest = Vec::new();
    for sequence in 1..300_000 {
        rest.extend(frame_header(EVENTS, 1, 8 << 20, 1, sequence, 0));
    }
    let start = Instant::now();
    let (_, summary) = read(&trace_with(&rest));
    assert!(summary.damages > 0);
    // 300,000 checksums of up to 8 MiB would take minutes.
    assert!(start.elapsed().as_secs() < 30);
}

#[test]
fn statistics_and_directories_that_lie_are_refused() {
    let good = block_payload();
    let patched = |at: usize, value: u32| {
        let mut payload = good.clone();
        payload[at..at + 4].copy_from_slice(&value.to_le_bytes());
        seal_head(&mut payload);
        payload
    };
    for (at, value, word) in [
        (0, 65_537, "events in a block"),
        (0, 19, "frame"),
        (4, 21, "threads"),
        (8, 21, "majors"),
        (12, 21, "failed"),
        (72, 101, "pid_min"),
        (84, 99, "tid_min"),
        (88, 0, "runs"),
        (88, 21, "runs"),
        (92, 65, "columns"),
        (92, 13, "columns"),
        (92, 15, "column"),
        (96, 2, "twice"),
        (100, u32::MAX, "columns"),
    ] {
        let damage = only_damage(&frame(EVENTS, 1, 20, 1, &patched(at, value)));
        assert!(damage.reason.contains(word), "{at} {value}: {}", damage.reason);
        assert_eq!(damage.events_missing, 20);
    }
}

fn decode(payload: &[u8]) -> Result<Columns, String> {
    let (items, _) = read(&trace_with(&frame(EVENTS, 1, 20, 1, payload)));
    let Item::Events(block) = &items[1] else {
        return Err("refused at once".into());
    };
    let mut columns = Columns::default();
    let decoded = BlockDecoder::new()
        .unwrap()
        .decode(block, Projection::ALL, &mut columns);
    decoded.map_err(|error| {
        assert!(columns.is_empty());
        error.to_string()
    })?;
    Ok(columns)
}

#[test]
fn a_column_whose_lengths_or_encoding_lie_is_refused() {
    let good = block_payload();
    decode(&good).unwrap();
    // The second directory entry is RUN_TID.
    for (at, value, word) in [
        (104 + 1, 9, "encoding 9/0/0"),
        (104 + 1, 2, "encoding 2/0/0"),
        (104 + 2, 3, "encoding 1/3/0"),
        (104 + 3, 1, "encoding 1/0/1"),
        (104 + 2, 1, "a plane has"),
        (104 + 2, 2, "planes"),
        (104, 77, "run_tid"),
    ] {
        let mut payload = good.clone();
        payload[at] = value;
        seal_head(&mut payload);
        let error = decode(&payload).unwrap_err();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn runs_that_are_not_in_order_are_refused() {
    // One thread under three names, which no statistic tells of.
    let mut writer = writer();
    writer.dict(&common::comms(&["a", "b", "c", "d"])).unwrap();
    for i in 0..20 {
        let mut event = event(3 * i);
        event.comm = CommId([1, 3, 4][i as usize % 3]);
        writer.push(&event).unwrap();
    }
    writer.flush_block().unwrap();
    let trace = writer.finish(Totals::default()).unwrap();
    let (at, len) = frames(&trace)[2];
    let good = &trace[at + 32..at + len];
    assert_eq!(decode(good).unwrap().comm[19], 4);
    let length = |column: usize| {
        let at = 96 + 8 * column + 4;
        u32::from_le_bytes(good[at..at + 4].try_into().unwrap()) as usize
    };
    let columns = u32::from_le_bytes(good[92..96].try_into().unwrap()) as usize;
    // RUN_COMM is the third one; its last byte that of the third run, one more than the run before: 2 in zigzag.
    let last = 96 + 8 * columns + 4 + length(0) + length(1) + length(2) - 1;
    assert_eq!(good[last], 2);
    for (difference, comms) in [(0, "twice"), (1, "falling")] {
        let mut payload = good.to_vec();
        payload[last] = difference;
        let error = decode(&payload).unwrap_err();
        assert!(error.contains("runs in order"), "{comms}: {error}");
    }
}

#[test]
fn statistics_that_contradict_the_events_are_refused_with_the_column() {
    let good = block_payload();
    // Where a statistic is, the step that keeps its range in order, and the columns that show the lie.
    for (at, step, column, word) in [
        (8, 1i64, Projection::CLASS, "majors"),
        // Every first time of a run is stored relative to ts_min, so they all move with it.
        (16, -1, Projection::TS, "ts_max"),
        (24, 1, Projection::TS, "ts_max"),
        (32, 1, Projection::TS, "end_max"),
        (40, -1, Projection::ADDRESS, "page_min"),
        (48, 1, Projection::ADDRESS, "page_max"),
        (56, -1, Projection::LATENCY, "latency_min"),
        (64, 1, Projection::LATENCY, "latency_max"),
    ] {
        let mut payload = good.clone();
        if at == 8 {
            payload[8] += 1;
        } else {
            let value = u64::from_le_bytes(payload[at..at + 8].try_into().unwrap());
            let value = value.wrapping_add_signed(step);
            payload[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        seal_head(&mut payload);
        let (items, _) = read(&trace_with(&frame(EVENTS, 1, 20, 1, &payload)));
        let Item::Events(block) = &items[1] else {
            panic!("{word}: refused at once")
        };
        let mut columns = Columns::default();
        let mut decoder = BlockDecoder::new().unwrap();
        let error = decoder.decode(block, column, &mut columns).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(word) && columns.is_empty(), "{word}: {error}");
        let others = Projection::THREAD | Projection::IP | Projection::CPU;
        decoder.decode(block, others, &mut columns).unwrap();
    }
}

#[test]
fn a_footer_whose_index_lies_is_refused() {
    for payload in [
        vec![],
        vec![0xff; 8],
        vec![0xff; 300],
        [vec![0; 4], vec![0xff; 4], vec![0; 100]].concat(),
    ] {
        only_damage(&frame(FOOTER, 1, 0, 1, &payload));
    }
}

proptest! {
    #[test]
    fn any_bytes_after_the_header_never_panic(rest in prop::collection::vec(any::<u8>(), 0..2000)) {
        read(&trace_with(&rest));
    }

    #[test]
    fn any_payload_of_any_kind_never_panics(
        kind in 0..9u8,
        codec in 0..4u8,
        payload in prop::collection::vec(prop_oneof![Just(0), Just(1), any::<u8>()], 0..400),
    ) {
        let (items, _) = read(&trace_with(&frame(kind, codec, 1, 1, &payload)));
        for item in items {
            if let Item::Events(block) = item {
                let mut decoder = BlockDecoder::new().unwrap();
                let _ = decoder.decode(&block, Projection::ALL, &mut Columns::default());
            }
        }
    }

    #[test]
    fn a_block_with_any_bytes_changed_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut payload = block_payload();
        for (at, value) in changes {
            let at = at.index(payload.len());
            payload[at] = value;
        }
        seal_head(&mut payload);
        if let Ok(columns) = decode(&payload) {
            prop_assert_eq!(columns.pid.len(), 20);
            prop_assert_eq!(columns.address.len(), 20);
        }
    }
}
