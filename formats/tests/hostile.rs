//! Traces made to hurt: right checksums around contents that lie.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::Instant;

use common::raw::{DICT, EVENTS, FOOTER, LOSS, TIMELINE, frame, frame_header, frames, trace_with};
use common::{read, small_trace};
use pf_formats::{Columns, Damage, Item, Projection};
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
        payload
    };
    for (at, value, word) in [
        (0, 65_537, "events in a block"),
        (0, 19, "frame"),
        (4, 21, "threads"),
        (8, 21, "majors"),
        (68, 0, "runs"),
        (68, 21, "runs"),
        (72, 65, "columns"),
        (72, 13, "columns"),
        (72, 15, "column"),
        (76, 2, "twice"),
        (80, u32::MAX, "columns"),
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
    block.decode(Projection::ALL, &mut columns).map_err(|error| {
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
        (88 + 1, 9, "encoding 9"),
        (88 + 8, 1, "decoded bytes"),
        (88, 77, "run_tid"),
    ] {
        let mut payload = good.clone();
        payload[at] = value;
        let error = decode(&payload).unwrap_err();
        assert!(error.contains(word), "{error}");
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
        kind in 0..8u8,
        payload in prop::collection::vec(prop_oneof![Just(0), Just(1), any::<u8>()], 0..400),
    ) {
        let (items, _) = read(&trace_with(&frame(kind, 1, 1, 1, &payload)));
        for item in items {
            if let Item::Events(block) = item {
                let _ = block.decode(Projection::ALL, &mut Columns::default());
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
        if let Ok(columns) = decode(&payload) {
            prop_assert_eq!(columns.pid.len(), 20);
            prop_assert_eq!(columns.address.len(), 20);
        }
    }
}
