//! What 1.0 promises: files of 1.0 stay readable for ever, and a reader of 1.0 gets along with what later minor versions
//! may add.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::raw::{EVENTS, FOOTER, LOSS, META, frame, trace_with};
use common::read;
use pf_formats::{
    Columns, Event, FormatError, Item, Loss, LossReason, Meta, ObjectKind, Projection, Totals, TraceReader,
    Witnesses,
};

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

/// The payload of the META record that all traces of the tests have.
fn meta() -> Vec<u8> {
    let none = [0u8; 8];
    let mut payload = [text("pfrec 0.1.0"), text("h"), text("6.12"), text("x86_64")].concat();
    payload.extend(4096u32.to_le_bytes());
    payload.extend(2u32.to_le_bytes());
    payload.extend((1u64 << 33).to_le_bytes());
    payload.extend(1u64.to_le_bytes());
    payload.extend(text("true"));
    payload.extend(none);
    payload.extend([text("command"), text("perf"), text("")].concat());
    payload.extend(none);
    payload.extend(1000u64.to_le_bytes());
    payload.extend(none);
    payload.extend(1u32.to_le_bytes());
    payload
}

fn one(rest: &[u8]) -> Item {
    let (mut items, _) = read(&trace_with(rest));
    assert_eq!(items.len(), 2, "{items:?}");
    items.remove(1)
}

/// The header of a trace with some of its bytes changed, under a right checksum.
fn header_with(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut trace = trace_with(&[]);
    trace[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = crc32c::crc32c(&trace[..60]);
    trace[60..64].copy_from_slice(&crc.to_le_bytes());
    trace
}

#[test]
fn a_later_minor_version_and_unknown_compatible_features_are_read() {
    for trace in [
        header_with(10, &7u16.to_le_bytes()),
        header_with(16, &u32::MAX.to_le_bytes()),
    ] {
        let (items, summary) = read(&trace);
        assert_eq!(items, [Item::Meta(Box::new(common::meta()))]);
        assert_eq!(summary.damages, 0);
    }
}

#[test]
fn an_unknown_incompatible_feature_and_another_major_version_are_refused_by_name() {
    let error = |trace: Vec<u8>| TraceReader::new(&trace[..]).err().unwrap();
    let features = error(header_with(12, &4u32.to_le_bytes()));
    assert!(matches!(features, FormatError::Newer { .. }));
    assert!(features.to_string().contains("0x4"), "{features}");
    let newer = error(header_with(8, &[2, 0, 0, 0]));
    assert!(newer.to_string().contains("format 2.0"), "{newer}");
    let older = error(header_with(8, &[0, 0, 3, 0]));
    assert!(matches!(older, FormatError::Older { .. }));
    assert!(older.to_string().contains("0.3"), "{older}");
}

#[test]
fn a_record_of_a_kind_that_comes_later_is_skipped() {
    let rest = [frame(11, 1, 0, 1, b"of 1.9"), frame(200, 9, 5, 2, b"private")].concat();
    let (items, summary) = read(&trace_with(&rest));
    assert_eq!(items.len(), 1);
    assert_eq!((summary.damages, summary.frames_missing), (0, 0));
}

#[test]
fn fields_that_come_later_are_ignored_in_meta_and_in_the_totals() {
    let grown = [meta(), b"of 1.1".to_vec()].concat();
    assert_eq!(
        one(&frame(META, 1, 0, 1, &grown)),
        Item::Meta(Box::new(common::meta()))
    );
    let mut totals = vec![1];
    totals.extend(
        [10u64, 3, 6, 1, 2, 99]
            .iter()
            .flat_map(|number| number.to_le_bytes()),
    );
    totals.push(0);
    totals.extend(b"of 1.1");
    let payload = [&(totals.len() as u32).to_le_bytes()[..], &[0; 4], &totals].concat();
    let Item::Footer(footer) = one(&frame(FOOTER, 1, 0, 1, &payload)) else {
        panic!("no footer")
    };
    assert_eq!(
        (footer.clean, footer.totals.failed, footer.totals.end_ns),
        (true, 1, 99)
    );
}

#[test]
fn fields_that_are_missing_are_damage() {
    let payload = meta();
    assert_eq!(
        one(&frame(META, 1, 0, 1, &payload)),
        Item::Meta(Box::new(Meta {
            sample: 1,
            ..common::meta()
        }))
    );
    let item = one(&frame(META, 1, 0, 1, &payload[..payload.len() - 4]));
    assert!(matches!(item, Item::Damage(_)), "{item:?}");
}

#[test]
fn a_payload_of_a_later_codec_version_is_unreadable_and_tells_its_events() {
    let Item::Damage(damage) = one(&frame(EVENTS, 2, 77, 1, b"of 1.1")) else {
        panic!("it was read")
    };
    assert_eq!((damage.events_missing, damage.frames_missing), (77, 1));
}

/// What a reader of 1.2 does with the causes of 1.3: their columns are of no known number, and so is the kind of object.
#[test]
fn causes_of_1_3_are_left_out_by_a_reader_that_does_not_know_them() {
    let events: Vec<_> = (0..60).map(common::caused_event).collect();
    let mut writer = common::writer();
    events.iter().for_each(|event| writer.push(event).unwrap());
    let trace = writer.finish(Totals::default()).unwrap();
    let (at, len) = common::raw::frames(&trace)[1];
    let mut payload = trace[at + 32..at + len].to_vec();
    let columns = u32::from_le_bytes(*payload[92..].first_chunk().unwrap()) as usize;
    let end = 96 + 8 * columns;
    let mut renamed = 0;
    for entry in payload[96..end].chunks_exact_mut(8) {
        if (34..=36).contains(&entry[0]) {
            entry[0] += 100;
            renamed += 1;
        }
    }
    let crc = crc32c::crc32c(&payload[..end]);
    payload[end..end + 4].copy_from_slice(&crc.to_le_bytes());
    let (items, summary) = read(&trace_with(&frame(EVENTS, 1, 60, 1, &payload)));
    assert_eq!((renamed, summary.damages), (3, 0));
    let without = |event: &Event| Event {
        witnesses: Witnesses::default(),
        ..*event
    };
    let expected: Vec<_> = events.iter().map(without).collect();
    assert!(common::blocks(&items) == [common::by_thread(&expected)]);
    assert_eq!(
        ObjectKind::from_code(ObjectKind::Kernel as u8),
        ObjectKind::Kernel
    );
    assert_eq!(ObjectKind::from_code(7), ObjectKind::Unknown);
}

/// One of the three without the others is damage, and bits that are not defined are ignored.
#[test]
fn a_block_has_all_columns_of_causes_or_none() {
    let mut writer = common::writer();
    let event = common::caused_event(15);
    writer.push(&event).unwrap();
    let trace = writer.finish(Totals::default()).unwrap();
    let (at, len) = common::raw::frames(&trace)[1];
    let payload = &trace[at + 32..at + len];
    let columns = u32::from_le_bytes(*payload[92..].first_chunk().unwrap()) as usize;
    let end = 96 + 8 * columns;
    let decoded = |change: &dyn Fn(&mut [u8])| {
        let mut payload = payload.to_vec();
        change(&mut payload);
        let crc = crc32c::crc32c(&payload[..end]);
        payload[end..end + 4].copy_from_slice(&crc.to_le_bytes());
        let (items, _) = read(&trace_with(&frame(EVENTS, 1, 1, 1, &payload)));
        let Some(Item::Events(block)) = items.get(1) else {
            panic!("no block")
        };
        let mut columns = Columns::default();
        common::decode(block, Projection::ALL, &mut columns).map(|()| columns.event(0).unwrap())
    };
    for id in 34..=36 {
        let rename = |payload: &mut [u8]| {
            let mut entries = payload[96..end].chunks_exact_mut(8);
            entries.find(|entry| entry[0] == id).unwrap()[0] += 100;
        };
        decoded(&rename).unwrap_err();
    }
    // The last column is one constant plane: its value is the first byte of the word behind the byte of presence.
    let last = payload.len() - 4;
    assert_eq!(payload[last], 15);
    assert_eq!(decoded(&|payload| payload[last] = 0x8f).unwrap(), event);
    let nobody_looked = decoded(&|payload| payload[last] = 0x80).unwrap();
    assert!(nobody_looked.witnesses.is_none());
}

#[test]
fn a_loss_for_a_reason_that_comes_later_still_counts() {
    let loss = |reason: u8| {
        let entry = [&[1; 16][..], &[0, reason], &5u64.to_le_bytes()].concat();
        frame(LOSS, 1, 0, 1, &[&1u64.to_le_bytes()[..], &entry].concat())
    };
    for (code, reason, costs_events) in [
        (8, LossReason::InFlight, false),
        (128, LossReason::Damage, true),
        (100, LossReason::Later, false),
        (200, LossReason::LaterEvents, true),
    ] {
        let expected = Loss {
            from_ns: u64::from_le_bytes([1; 8]),
            to_ns: u64::from_le_bytes([1; 8]),
            cpu: None,
            reason,
            count: 5,
        };
        assert_eq!(one(&loss(code)), Item::Loss(vec![expected]));
        assert_eq!(reason.costs_events(), costs_events);
    }
    let known = LossReason::ALL.iter();
    assert!(
        known
            .clone()
            .all(|reason| LossReason::from_code(*reason as u8) == *reason)
    );
}
