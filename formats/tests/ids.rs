//! Ids that no dictionary can define: wherever a record uses one, it is damage, and what is as large as the limit is none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::raw::{DICT, frame, trace_with};
use common::{event, read, writer};
use pf_formats::{
    BlockDecoder, Columns, CommId, Event, Happening, Item, ObjectId, Projection, StackId, TimelineEntry,
    Totals,
};

const LARGEST_ID: u32 = 4_194_304;

/// What decoding the one block of these events says, and where that block is.
fn decoded(events: &[Event]) -> (u64, Result<Columns, String>) {
    let mut writer = writer();
    for event in events {
        writer.push(event).unwrap();
    }
    let (items, _) = read(&writer.finish(Totals::default()).unwrap());
    let blocks = items.iter().find_map(|item| match item {
        Item::Events(block) => Some(block),
        _ => None,
    });
    let block = blocks.unwrap();
    let mut columns = Columns::default();
    let done = BlockDecoder::new()
        .unwrap()
        .decode(block, Projection::ALL, &mut columns);
    let columns = done.map(|()| columns).map_err(|error| error.to_string());
    (block.info.offset, columns)
}

fn with(row: u64, change: impl Fn(&mut Event)) -> Vec<Event> {
    let mut events: Vec<Event> = (0..20).map(event).collect();
    change(&mut events[row as usize]);
    events
}

#[test]
fn a_block_with_an_id_above_the_limit_is_damaged_and_says_which_and_where() {
    type Change = fn(&mut Event, u32);
    let columns: [(&str, Change); 3] = [
        ("object", |event, id| event.object = ObjectId(id)),
        ("stack", |event, id| event.stack = StackId(id)),
        ("run_comm", |event, id| event.comm = CommId(id)),
    ];
    for (name, change) in columns {
        let (_, good) = decoded(&with(7, |event| change(event, LARGEST_ID)));
        assert_eq!(good.unwrap().len(), 20, "{name}");
        for id in [LARGEST_ID + 1, u32::MAX] {
            let (offset, bad) = decoded(&with(7, |event| change(event, id)));
            assert_eq!(
                bad.unwrap_err(),
                format!(
                    "record at byte {offset}: cannot decode column {name}: dictionary id: {id} is over the limit of 4194304"
                )
            );
        }
    }
}

#[test]
fn an_id_above_the_limit_in_the_timeline_is_damage() {
    let map = |id| Happening::Map {
        start: 4096,
        len: 4096,
        offset: 0,
        prot: 1,
        flags: 2,
        object: ObjectId(id),
    };
    let comm = |id| Happening::Comm {
        comm: CommId(id),
        exec: false,
    };
    for (what, damages) in [
        (map(LARGEST_ID), 0),
        (map(LARGEST_ID + 1), 1),
        (comm(LARGEST_ID), 0),
        (comm(u32::MAX), 1),
    ] {
        let mut writer = writer();
        let entry = TimelineEntry {
            ts_ns: 1,
            pid: 1,
            tid: 1,
            what: what.clone(),
        };
        writer.timeline(&[entry]).unwrap();
        let (_, summary) = read(&writer.finish(Totals::default()).unwrap());
        assert_eq!(summary.damages, damages, "{what:?}");
    }
}

#[test]
fn a_frame_of_an_object_and_a_stack_of_a_frame_that_cannot_be_defined_are_damage() {
    let list = |table: u32, entry: &[u8]| {
        let head = [&table.to_le_bytes()[..], &1u32.to_le_bytes(), &1u64.to_le_bytes()].concat();
        frame(DICT, 1, 0, 1, &[&head, entry].concat())
    };
    let frame_of = |object: u32| list(2, &[&object.to_le_bytes()[..], &64u64.to_le_bytes()].concat());
    let stack_of = |frame: u32| list(3, &[&0u32.to_le_bytes()[..], &frame.to_le_bytes(), &[0]].concat());
    for of in [&frame_of as &dyn Fn(u32) -> Vec<u8>, &stack_of] {
        for (id, damages) in [(0, 0), (LARGEST_ID, 0), (LARGEST_ID + 1, 1), (u32::MAX, 1)] {
            let (items, summary) = read(&trace_with(&of(id)));
            assert_eq!(summary.damages, damages, "{items:?}");
        }
    }
}
