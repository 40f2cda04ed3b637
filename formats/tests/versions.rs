//! What formats 0.1 and 0.2 wrote is read as it was meant, next to what 0.3 writes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::raw::{DICT, EVENTS, FOOTER, LOSS, META, frame, frames, trace_with};
use common::{blocks, read, small_trace};
use pf_formats::{Accounting, Columns, Item, Loss, LossReason, Meta, Projection, TraceReader};

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

/// A META record of version 1: everything up to the filters.
fn meta_v1() -> Vec<u8> {
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
    payload
}

fn one(rest: &[u8]) -> Item {
    let (mut items, _) = read(&trace_with(rest));
    assert_eq!(items.len(), 2, "{items:?}");
    items.remove(1)
}

#[test]
fn a_sample_recorded_by_0_1_is_read_whole() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../samples/cold-zipf/trace.pfz");
    let bytes = std::fs::read(path).unwrap();
    let reader = TraceReader::new(&bytes[..]).unwrap();
    assert_eq!((reader.header().major, reader.header().minor), (0, 1));
    let (items, summary) = read(&bytes);
    assert_eq!((summary.finished, summary.damages), (true, 0));
    let (Item::Meta(meta), Some(Item::Footer(footer))) = (&items[0], items.last()) else {
        panic!("{:?}", items[0])
    };
    assert_eq!((meta.sample, meta.host.page_size), (1, 4096));
    let totals = &footer.totals;
    assert_eq!(totals.failed, 0);
    assert_eq!(totals.events, totals.majors + totals.minors);
    let books = totals.accounting.clone().unwrap();
    assert_eq!(
        books.kernel_majors + books.kernel_minors,
        books.recorded + books.lost + books.hidden
    );
    assert_eq!(books.filtered, 0);
    let events = blocks(&items).concat();
    assert_eq!(events.len() as u64, totals.events);
    assert!(
        events
            .iter()
            .all(|event| event.breakdown.is_none() && event.stack.0 == 0)
    );
}

#[test]
fn meta_of_both_versions_is_read() {
    assert_eq!(
        one(&frame(META, 1, 0, 1, &meta_v1())),
        Item::Meta(Box::new(common::meta()))
    );
    let with_sample = |sample: u32| [meta_v1(), sample.to_le_bytes().to_vec()].concat();
    let expected = Meta {
        sample: 50,
        ..common::meta()
    };
    assert_eq!(
        one(&frame(META, 2, 0, 1, &with_sample(50))),
        Item::Meta(Box::new(expected))
    );
    for (codec, payload) in [
        (1, with_sample(1)),
        (2, meta_v1()),
        (2, with_sample(0)),
        (3, with_sample(1)),
    ] {
        let item = one(&frame(META, codec, 0, 1, &payload));
        assert!(matches!(item, Item::Damage(_)), "{codec}: {item:?}");
    }
}

#[test]
fn a_footer_of_both_versions_is_read() {
    let footer = |numbers: &[u64], books: &[u64]| {
        let mut totals = vec![1];
        totals.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        totals.push(1);
        totals.extend(books.iter().flat_map(|number| number.to_le_bytes()));
        totals.extend(text("books"));
        [&(totals.len() as u32).to_le_bytes()[..], &[0; 4], &totals].concat()
    };
    let old = footer(&[10, 3, 7, 2, 99], &[3, 8, 9, 1, 1]);
    let Item::Footer(got) = one(&frame(FOOTER, 1, 0, 1, &old)) else {
        panic!("no footer")
    };
    let totals = &got.totals;
    assert_eq!((totals.events, totals.majors, totals.minors), (10, 3, 7));
    assert_eq!((totals.failed, totals.lost, totals.end_ns), (0, 2, 99));
    let books = Accounting {
        kernel_majors: 3,
        kernel_minors: 8,
        recorded: 9,
        lost: 1,
        hidden: 1,
        filtered: 0,
        source: "books".into(),
    };
    assert_eq!(totals.accounting, Some(books.clone()));
    let new = footer(&[10, 3, 6, 1, 2, 99], &[3, 8, 7, 1, 1, 2]);
    let Item::Footer(got) = one(&frame(FOOTER, 2, 0, 1, &new)) else {
        panic!("no footer")
    };
    assert_eq!((got.totals.minors, got.totals.failed, got.totals.lost), (6, 1, 2));
    let books = Accounting {
        recorded: 7,
        filtered: 2,
        ..books
    };
    assert_eq!(got.totals.accounting, Some(books));
    for (codec, payload) in [(1, &new), (2, &old)] {
        let item = one(&frame(FOOTER, codec, 0, 1, payload));
        assert!(matches!(item, Item::Damage(_)), "{codec}: {item:?}");
    }
}

#[test]
fn a_failed_fault_is_a_major_one_in_version_1_of_a_block_only() {
    // The first block of the small trace has a fault that is both.
    let trace = small_trace();
    let (at, len) = frames(&trace)[4];
    assert_eq!(trace[at + 5], 2);
    let mut payload = trace[at + 32..at + len].to_vec();
    let majors = |payload: &[u8]| u32::from_le_bytes(*payload[8..].first_chunk().unwrap());
    assert_eq!(majors(&payload), 3);
    let decode = |codec, payload: &[u8]| {
        let Item::Events(block) = one(&frame(EVENTS, codec, 20, 1, payload)) else {
            panic!("refused at once")
        };
        let mut columns = Columns::default();
        common::decode(&block, Projection::ALL, &mut columns).map(|()| columns.len())
    };
    assert_eq!(decode(2, &payload).unwrap(), 20);
    assert!(decode(1, &payload).is_err());
    payload[8] = 4;
    assert_eq!(decode(1, &payload).unwrap(), 20);
    assert!(decode(2, &payload).is_err());
}

#[test]
fn losses_of_all_versions_are_read_and_an_unknown_reason_costs_its_record_only() {
    let loss = |reason: u8| {
        let entry = [&[1; 16][..], &[0, reason], &5u64.to_le_bytes()].concat();
        [&1u64.to_le_bytes()[..], &entry].concat()
    };
    let expected = |reason| {
        Item::Loss(vec![Loss {
            from_ns: u64::from_le_bytes([1; 8]),
            to_ns: u64::from_le_bytes([1; 8]),
            cpu: None,
            reason,
            count: 5,
        }])
    };
    assert_eq!(
        one(&frame(LOSS, 1, 0, 1, &loss(8))),
        expected(LossReason::InFlight)
    );
    assert_eq!(one(&frame(LOSS, 2, 0, 1, &loss(9))), expected(LossReason::Exits));
    assert_eq!(one(&frame(LOSS, 2, 0, 1, &loss(10))), expected(LossReason::Stack));
    assert_eq!(one(&frame(LOSS, 3, 0, 1, &loss(11))), expected(LossReason::Query));
    let rest = [frame(LOSS, 3, 0, 1, &loss(12)), frame(LOSS, 2, 0, 2, &loss(1))].concat();
    let (items, summary) = read(&trace_with(&rest));
    assert_eq!(items[2], expected(LossReason::Reserve));
    assert_eq!((summary.damages, summary.frames_missing), (1, 1));
    assert!(
        LossReason::ALL
            .iter()
            .all(|reason| LossReason::from_code(*reason as u8) == Some(*reason))
    );
}

#[test]
fn what_says_nothing_of_queries_is_written_as_0_2_wrote_it() {
    let loss = |reason| Loss {
        from_ns: 1,
        to_ns: 2,
        cpu: None,
        reason,
        count: 1,
    };
    let mut writer = common::writer();
    writer.push(&common::event(1)).unwrap();
    writer.flush_block().unwrap();
    writer.loss(&[loss(LossReason::Stack)]).unwrap();
    writer
        .loss(&[loss(LossReason::Stack), loss(LossReason::Query)])
        .unwrap();
    let trace = writer.finish(Default::default()).unwrap();
    let kinds: Vec<_> = frames(&trace)
        .iter()
        .map(|(at, _)| (trace[at + 4], trace[at + 5]))
        .collect();
    assert_eq!(kinds, [(META, 2), (EVENTS, 2), (LOSS, 2), (LOSS, 3), (FOOTER, 2)]);
}

#[test]
fn names_and_objects_stay_readable_for_0_1_and_stacks_say_that_they_are_not() {
    let trace = common::full_trace();
    let codecs: Vec<u8> = frames(&trace)
        .iter()
        .filter(|(at, _)| trace[at + 4] == DICT)
        .map(|(at, _)| trace[at + 5])
        .collect();
    assert_eq!(codecs, [1, 1, 2, 2, 2, 2]);
}
