//! A predicate skips blocks, never an event, and does not look at what it skips.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::raw::frames;
use common::{blocks, small_blocks, small_trace};
use pf_formats::{Event, FaultClass, Item, Predicate, Summary, Totals, TraceReader};
use proptest::prelude::*;

fn read_where(bytes: &[u8], wanted: &Predicate) -> (Vec<Item>, Summary) {
    let mut reader = TraceReader::new(bytes).unwrap();
    let mut items = Vec::new();
    while let Some(item) = reader.next_where(wanted).unwrap() {
        items.push(item);
    }
    assert_eq!(reader.offset(), bytes.len() as u64, "every byte is accounted for");
    (items, reader.summary().clone())
}

/// Bytes of the heads of the blocks of `small_trace`: statistics and 14 columns.
const HEAD: usize = 96 + 14 * 8 + 4;

/// What the second of the three blocks of `small_trace` cannot hold.
fn last_block_only() -> Predicate {
    Predicate {
        from_ns: Some(1_000_000 + 41 * 700),
        ..Predicate::default()
    }
}

#[test]
fn blocks_that_cannot_match_come_as_their_statistics_in_their_place() {
    let whole = small_trace();
    let (all, _) = common::read(&whole);
    let (items, summary) = read_where(&whole, &last_block_only());
    assert_eq!(items.len(), all.len());
    for (item, full) in items.iter().zip(&all) {
        match (item, full) {
            (Item::Skipped(info), Item::Events(block)) => assert_eq!(*info, block.info),
            (item, full) => assert_eq!(item, full),
        }
    }
    assert_eq!(blocks(&items), small_blocks()[2..]);
    assert_eq!(
        (summary.events, summary.blocks, summary.blocks_skipped),
        (22, 1, 2)
    );
    assert!(summary.finished);
}

#[test]
fn no_condition_reads_every_block() {
    let whole = small_trace();
    assert_eq!(read_where(&whole, &Predicate::default()), common::read(&whole));
}

#[test]
fn damage_in_the_columns_of_a_skipped_block_is_not_seen() {
    let whole = small_trace();
    let (at, len) = frames(&whole)[5];
    for damaged in at + 32 + HEAD..at + len {
        let mut bytes = whole.clone();
        bytes[damaged] ^= 0xff;
        let (items, summary) = read_where(&bytes, &last_block_only());
        assert_eq!(
            (summary.damages, summary.blocks_skipped),
            (0, 2),
            "byte {damaged}"
        );
        assert_eq!(blocks(&items), small_blocks()[2..]);
        assert_eq!(common::read(&bytes).1.damages, 1);
    }
}

#[test]
fn damage_in_the_head_of_a_block_never_costs_the_next_one() {
    let whole = small_trace();
    let (at, _) = frames(&whole)[5];
    for damaged in at..at + 32 + HEAD {
        for flip in [1, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[damaged] ^= flip;
            let (items, _) = read_where(&bytes, &last_block_only());
            let got = blocks(&items);
            assert_eq!(got[got.len() - 1], small_blocks()[2], "byte {damaged}");
        }
    }
}

#[test]
fn bytes_missing_from_a_block_that_nobody_wants_do_not_cost_the_next_one() {
    let whole = small_trace();
    let (at, len) = frames(&whole)[5];
    for removed in [1, 7, 100] {
        let bytes = [&whole[..at + len - removed], &whole[at + len..]].concat();
        let (items, summary) = read_where(&bytes, &last_block_only());
        assert_eq!(blocks(&items), small_blocks()[2..], "{removed} bytes removed");
        assert_eq!(summary.damages, 1);
        assert!(
            items
                .iter()
                .any(|item| matches!(item, Item::Damage(damage) if damage.events_missing == 21))
        );
    }
}

#[test]
fn a_block_that_is_cut_is_damage_even_if_nobody_wants_it() {
    let whole = small_trace();
    let (at, len) = frames(&whole)[4];
    for cut in at + 1..at + len {
        let (items, summary) = read_where(&whole[..cut], &Predicate::nothing());
        assert_eq!((summary.damages, summary.blocks_skipped), (1, 0), "cut at {cut}");
        assert_eq!(items.len(), 5);
    }
    let (_, summary) = read_where(&whole[..at + len], &Predicate::nothing());
    assert_eq!((summary.damages, summary.blocks_skipped), (0, 1));
}

/// Whether an event meets every condition, by looking at it.
fn meets(event: &Event, wanted: &Predicate) -> bool {
    let class = if event.failed {
        FaultClass::Failed
    } else if event.major {
        FaultClass::Major
    } else {
        FaultClass::Minor
    };
    wanted.from_ns.is_none_or(|from| event.ts_ns >= from)
        && wanted.to_ns.is_none_or(|to| event.ts_ns < to)
        && wanted.pids.as_ref().is_none_or(|pids| pids.contains(&event.pid))
        && wanted.tids.as_ref().is_none_or(|tids| tids.contains(&event.tid))
        && wanted
            .pages
            .as_ref()
            .is_none_or(|pages| pages.contains(&(event.address / 4096)))
        && wanted.class.is_none_or(|wanted| wanted == class)
        && wanted.min_latency_ns.is_none_or(|min| event.latency_ns >= min)
        && wanted.max_latency_ns.is_none_or(|max| event.latency_ns <= max)
}

/// Few values, so that bounds are met exactly; some at the ends of what there is.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..12u64, 1 => Just(u64::MAX), 1 => Just(u64::MAX - 1)]
}

fn small_event() -> impl Strategy<Value = Event> {
    (
        value(),
        value(),
        0..4u32,
        0..4u32,
        (value(), 0..4096u64),
        any::<(bool, bool)>(),
    )
        .prop_map(
            |(ts_ns, latency_ns, pid, tid, (page, offset), (major, failed))| Event {
                ts_ns,
                latency_ns,
                pid,
                tid,
                address: (page << 12) | offset,
                major,
                failed,
                ..Event::default()
            },
        )
}

fn predicate() -> impl Strategy<Value = Predicate> {
    let ids = || prop::option::weighted(0.3, prop::collection::vec(0..5u32, 0..3));
    let bound = || prop::option::weighted(0.3, value());
    let class = prop_oneof![
        Just(FaultClass::Major),
        Just(FaultClass::Minor),
        Just(FaultClass::Failed)
    ];
    let pages = (value(), value()).prop_map(|(first, last)| first..=last);
    (
        (bound(), bound(), bound(), bound()),
        ids(),
        ids(),
        prop::option::weighted(0.3, pages),
        prop::option::weighted(0.3, class),
    )
        .prop_map(
            |((from_ns, to_ns, min, max), pids, tids, pages, class)| Predicate {
                from_ns,
                to_ns,
                pids,
                tids,
                pages,
                class,
                min_latency_ns: min,
                max_latency_ns: max,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_event_that_matches_is_in_a_block_that_is_skipped(
        groups in prop::collection::vec(prop::collection::vec(small_event(), 1..6), 1..6),
        wanted in predicate(),
    ) {
        let mut writer = common::writer();
        for group in &groups {
            for event in group {
                writer.push(event).unwrap();
            }
            writer.flush_block().unwrap();
        }
        let bytes = writer.finish(Totals::default()).unwrap();
        let matching = |blocks: Vec<Vec<Event>>| {
            let events = blocks.into_iter().flatten();
            events.filter(|event| meets(event, &wanted)).collect::<Vec<_>>()
        };
        let (items, summary) = read_where(&bytes, &wanted);
        prop_assert_eq!(matching(blocks(&items)), matching(blocks(&common::read(&bytes).0)));
        prop_assert_eq!(summary.blocks + summary.blocks_skipped, groups.len() as u64);
    }
}
