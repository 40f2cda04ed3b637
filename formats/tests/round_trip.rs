//! What is written comes back, row for row and record for record.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{blocks, by_thread, small_blocks, small_trace};
use pf_formats::{
    Access, Breakdown, CommId, Event, Item, ObjectId, Origin, QueryId, StackId, Totals, Witnesses,
};
use proptest::prelude::*;

#[test]
fn every_record_of_a_trace_comes_back_as_written() {
    let (items, summary) = common::read(&small_trace());
    assert_eq!(items.len(), 9);
    assert_eq!(items[0], Item::Meta(Box::new(common::meta())));
    assert_eq!(items[1], Item::Dict(common::comms(&["worker"])));
    assert_eq!(items[2], Item::Dict(common::objects()));
    assert_eq!(items[3], Item::Timeline(common::timeline()));
    assert_eq!(items[7], Item::Loss(common::losses()));
    assert_eq!(blocks(&items), small_blocks());
    assert!(summary.finished);
    assert_eq!(
        (
            summary.events,
            summary.blocks,
            summary.damages,
            summary.frames_missing
        ),
        (63, 3, 0, 0)
    );
}

#[test]
fn the_footer_lists_the_blocks_as_the_reader_found_them() {
    let (items, _) = common::read(&small_trace());
    let Item::Footer(footer) = &items[8] else {
        panic!("{:?}", items[8])
    };
    let found: Vec<_> = items
        .iter()
        .filter_map(|item| {
            if let Item::Events(block) = item {
                Some(block.info)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(footer.blocks, found);
    assert!(footer.clean);
    assert_eq!(footer.totals.majors, 11);
    assert_eq!(found.iter().map(|info| info.majors).sum::<u32>(), 11);
    assert_eq!(found[0].threads, 3);
    assert_eq!(
        (found[0].ts_min, found[0].ts_max),
        (1_000_000, 1_000_000 + 19 * 700)
    );
}

#[test]
fn signals_come_back_and_cost_nothing_where_there_are_none() {
    let plain: Vec<Event> = (0..200).map(common::event).collect();
    let mut interrupted = plain.clone();
    for (row, event) in interrupted
        .iter_mut()
        .enumerate()
        .filter(|(row, _)| row % 50 == 7)
    {
        event.interruptions = row as u8;
        event.signal = 14;
        event.failed = row > 100;
        event.abandoned = row > 100;
        event.major &= !event.failed;
    }
    let write = |events: &[Event]| {
        let mut writer = common::writer();
        events.iter().for_each(|event| writer.push(event).unwrap());
        writer.finish(Totals::default()).unwrap()
    };
    let (items, summary) = common::read(&write(&interrupted));
    assert_eq!(summary.damages, 0);
    assert!(blocks(&items) == [by_thread(&interrupted)]);
    let (items, _) = common::read(&write(&plain));
    assert!(items.iter().find_map(common::columns).unwrap().signal.is_empty());
}

#[test]
fn witnesses_come_back_and_cost_nothing_where_there_are_none() {
    let write = |events: &[Event]| {
        let mut writer = common::writer();
        events.iter().for_each(|event| writer.push(event).unwrap());
        writer.finish(Totals::default()).unwrap()
    };
    let seen: Vec<Event> = (0..200).map(common::caused_event).collect();
    let (items, summary) = common::read(&write(&seen));
    assert_eq!(summary.damages, 0);
    assert!(blocks(&items) == [by_thread(&seen)]);
    let columns = items.iter().find_map(common::columns).unwrap();
    let rows = 0..columns.len();
    // What nobody looked at is 0, and no value of another row.
    assert!(rows.clone().all(|row| {
        let bits = columns.witnesses[row];
        (bits & 1 != 0 || columns.sleep[row] == 0) && (bits & 2 != 0 || columns.pages_read[row] == 0)
    }));
    assert!(rows.clone().any(|row| columns.sleep[row] != 0));
    assert!(rows.clone().any(|row| columns.pages_read[row] != 0));
    let none: Vec<Event> = seen
        .iter()
        .map(|event| Event {
            witnesses: Witnesses::default(),
            ..*event
        })
        .collect();
    let (items, _) = common::read(&write(&none));
    let columns = items.iter().find_map(common::columns).unwrap();
    assert!(columns.witnesses.is_empty() && columns.sleep.is_empty() && columns.pages_read.is_empty());
}

#[test]
fn places_of_reads_come_back_and_cost_nothing_where_all_begin_at_their_page() {
    let write = |events: &[Event]| {
        let mut writer = common::writer();
        events.iter().for_each(|event| writer.push(event).unwrap());
        writer.finish(Totals::default()).unwrap()
    };
    let placed: Vec<Event> = (0..200).map(common::placed_event).collect();
    let (items, summary) = common::read(&write(&placed));
    assert_eq!(summary.damages, 0);
    assert!(blocks(&items) == [by_thread(&placed)]);
    let at_page = |event: &Event| Event {
        witnesses: Witnesses {
            pages_before: Some(0),
            ..event.witnesses
        },
        ..*event
    };
    let at_page: Vec<Event> = placed.iter().map(at_page).collect();
    let (items, _) = common::read(&write(&at_page));
    assert!(blocks(&items) == [by_thread(&at_page)]);
    let columns = items.iter().find_map(common::columns).unwrap();
    assert!(columns.pages_before.is_empty() && !columns.witnesses.is_empty());
}

#[test]
fn hidden_waits_and_conditions_come_back() {
    let mut writer = common::writer();
    writer.hidden_waits(&common::hidden_waits()).unwrap();
    writer.conditions(&common::conditions()).unwrap();
    writer.hidden_waits(&[]).unwrap();
    let many: Vec<_> = common::conditions().into_iter().cycle().take(20_000).collect();
    writer.conditions(&many).unwrap();
    let (items, summary) = common::read(&writer.finish(Totals::default()).unwrap());
    assert_eq!(summary.damages, 0);
    assert_eq!(items[1], Item::HiddenWaits(common::hidden_waits()));
    assert_eq!(items[2], Item::Conditions(common::conditions()));
    let told: Vec<_> = items[3..]
        .iter()
        .filter_map(|item| match item {
            Item::Conditions(entries) => Some(entries.clone()),
            _ => None,
        })
        .collect();
    assert!(told.len() > 1 && told.concat() == many);
}

#[test]
fn long_names_of_calls_and_long_conditions_are_cut_and_marked() {
    let mut wait = common::hidden_waits().remove(0);
    wait.syscall = "x".repeat(9000);
    let mut condition = common::conditions().remove(0);
    condition.subject = "y".repeat(9000);
    condition.name = "n".repeat(9000);
    condition.value = "z".repeat(9000);
    let mut writer = common::writer();
    writer.hidden_waits(&[wait]).unwrap();
    writer.conditions(&[condition]).unwrap();
    let (items, _) = common::read(&writer.finish(Totals::default()).unwrap());
    let (Item::HiddenWaits(waits), Item::Conditions(conditions)) = (&items[1], &items[2]) else {
        panic!("{items:?}")
    };
    assert!(waits[0].syscall.len() == 256 && waits[0].syscall.ends_with("x…"));
    let lengths = [&conditions[0].subject, &conditions[0].name, &conditions[0].value].map(String::len);
    assert_eq!(lengths, [4096, 256, 4096]);
}

#[test]
fn the_check_of_the_counts_comes_back() {
    let check = pf_formats::Check {
        events: Some(7),
        unexplained: 3,
        wait4: Some((9, 8)),
        source: "events of the same tasks".into(),
        notes: vec!["n".into(); 99],
        ..pf_formats::Check::default()
    };
    let totals = Totals {
        check: Some(check.clone()),
        ..Totals::default()
    };
    let (items, _) = common::read(&common::writer().finish(totals).unwrap());
    let Some(Item::Footer(footer)) = items.last() else {
        panic!("no footer")
    };
    let read = footer.totals.check.as_ref().unwrap();
    assert!(read.is_alarming() && read.notes.len() == 16);
    assert_eq!((read.events, read.wait4), (Some(7), Some((9, 8))));
}

#[test]
fn a_block_is_written_as_soon_as_it_is_full() {
    let mut writer = common::writer();
    let empty = writer.bytes_written();
    for i in 0..32_767 {
        writer.push(&common::event(i)).unwrap();
    }
    assert_eq!(writer.bytes_written(), empty);
    writer.push(&common::event(32_767)).unwrap();
    assert!(writer.bytes_written() > empty);
    writer.push(&common::event(32_768)).unwrap();
    assert_eq!(writer.events_written(), 32_769);
    let (items, summary) = common::read(&writer.finish(Totals::default()).unwrap());
    assert_eq!(summary.events, 32_769);
    let all: Vec<_> = (0..32_768).map(common::event).collect();
    assert_eq!(blocks(&items)[0], by_thread(&all));
}

/// No dictionary has a larger one, and a reader refuses it.
const LARGEST_ID: u32 = 4_194_304;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(u64::MAX), Just(1 << 63), 0..100u64, any::<u64>()]
}

fn any_event() -> impl Strategy<Value = Event> {
    let places = (number(), number(), number(), 0..4u32, number(), number());
    let small = (
        any::<u16>(),
        0..4u8,
        0..4u8,
        any::<bool>(),
        any::<bool>(),
        any::<u8>(),
    );
    let parts = (number(), number(), number(), number());
    let breakdown = prop::option::weighted(0.3, parts).prop_map(|parts| {
        parts.map(|(blocked_ns, runqueue_ns, reclaim_ns, lock_ns)| Breakdown {
            blocked_ns,
            runqueue_ns,
            reclaim_ns,
            lock_ns,
        })
    });
    let optional = (
        breakdown,
        prop_oneof![Just(0), Just(LARGEST_ID), 0..=LARGEST_ID],
        prop_oneof![Just(0), number()],
    );
    let thread = (prop_oneof![0..5u32, any::<u32>()], 0..3u32);
    (places, small, thread, optional).prop_map(|(places, small, (tid, comm), (breakdown, stack, query))| {
        let (ts_ns, latency_ns, address, object, object_page, ip) = places;
        let (cpu, access, origin, major, failed, retries) = small;
        Event {
            ts_ns,
            latency_ns,
            pid: tid / 2,
            tid,
            comm: CommId(comm),
            cpu,
            address,
            ip,
            object: ObjectId(object * (LARGEST_ID / 3)),
            object_page,
            major,
            failed,
            access: Access::from_code(access),
            origin: Origin::from_code(origin),
            retries,
            abandoned: failed && access == 0,
            interruptions: retries / 2,
            signal: (ip % 3) as u8,
            witnesses: Witnesses::from_columns(
                if stack == 0 { 0 } else { retries },
                stack,
                cpu.into(),
                address as u32,
            ),
            breakdown,
            stack: StackId(stack),
            query: QueryId(query),
        }
    })
}

fn survives(events: &[Event]) {
    let mut writer = common::writer();
    for event in events {
        writer.push(event).unwrap();
    }
    let (items, summary) = common::read(&writer.finish(Totals::default()).unwrap());
    assert_eq!(blocks(&items).concat(), by_thread(events));
    assert_eq!((summary.events, summary.damages), (events.len() as u64, 0));
}

proptest! {
    #[test]
    fn any_events_come_back(events in prop::collection::vec(any_event(), 1..300)) {
        survives(&events);
    }

    #[test]
    fn equal_events_come_back(event in any_event(), count in 1..2000usize) {
        survives(&vec![event; count]);
    }
}

#[test]
fn a_block_with_a_thread_per_event_comes_back() {
    let events: Vec<_> = (0..65_536)
        .map(|i| Event {
            tid: u32::MAX - i as u32,
            ..common::event(i)
        })
        .collect();
    let mut writer = common::writer();
    writer.set_block_events(65_536);
    events.iter().for_each(|event| writer.push(event).unwrap());
    let (items, _) = common::read(&writer.finish(Totals::default()).unwrap());
    assert!(blocks(&items) == [by_thread(&events)]);
}

#[test]
fn times_that_run_backwards_come_back() {
    let events: Vec<_> = (0..5000).rev().map(common::event).collect();
    survives(&events);
}
