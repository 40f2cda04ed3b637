//! Stacks, their frames and their names: what is written comes back, what hurts is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::raw::{DICT, frame, frames, seal_head, trace_with};
use common::{blocks, by_thread, read};
use pf_formats::{
    BuildId, Columns, Dict, Event, FormatError, FrameId, Inlined, Item, ObjectId, Projection, StackId,
    StackNode, Symbol, Totals,
};
use proptest::prelude::*;

#[test]
fn every_table_and_optional_column_comes_back() {
    let (items, summary) = read(&common::full_trace());
    assert_eq!(summary.damages, 0);
    let dicts: Vec<_> = items
        .iter()
        .filter_map(|item| {
            if let Item::Dict(dict) = item {
                Some(dict)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(
        dicts[2..],
        [
            &common::frames(),
            &common::stacks(),
            &common::symbols(),
            &common::build_ids()
        ]
    );
    let events: Vec<_> = (0..20).map(common::full_event).collect();
    assert_eq!(blocks(&items), [by_thread(&events)]);
}

#[test]
fn a_block_holds_the_optional_columns_that_its_events_use_and_no_others() {
    let plain = common::event(1);
    let broken_down = Event {
        breakdown: Some(Default::default()),
        ..plain
    };
    let with_stack = Event {
        stack: StackId(7),
        ..plain
    };
    let mut writer = common::writer();
    for block in [[plain, plain], [broken_down, plain], [plain, with_stack]] {
        for event in block {
            writer.push(&event).unwrap();
        }
        writer.flush_block().unwrap();
    }
    let trace = writer.finish(Totals::default()).unwrap();
    let columns: Vec<_> = frames(&trace)[1..4]
        .iter()
        .map(|(at, _)| trace[at + 32 + 92])
        .collect();
    assert_eq!(columns, [14, 18, 15]);
    let (items, _) = read(&trace);
    let decoded: Vec<Columns> = items.iter().filter_map(common::columns).collect();
    let lengths = |columns: &Columns| {
        let breakdown = [
            &columns.blocked_ns,
            &columns.runqueue_ns,
            &columns.reclaim_ns,
            &columns.lock_ns,
        ];
        (breakdown.map(Vec::len), columns.stack.clone())
    };
    assert_eq!(lengths(&decoded[0]), ([0; 4], vec![]));
    assert_eq!(lengths(&decoded[1]), ([2; 4], vec![]));
    assert_eq!(lengths(&decoded[2]), ([0; 4], vec![0, 7]));
    assert_eq!(blocks(&items)[2], [plain, with_stack]);
}

#[test]
fn columns_pushed_to_are_as_long_as_the_others_from_the_first_value_on() {
    let mut columns = Columns::default();
    for i in [0, 3, 4] {
        columns.extend(&[if i == 3 {
            common::full_event(4)
        } else {
            common::event(i)
        }]);
    }
    assert_eq!(columns.stack, [0, 1, 0]);
    assert_eq!(columns.blocked_ns, [0, 104, 0]);
    assert_eq!(columns.event(1), Some(common::full_event(4)));
}

#[test]
fn some_of_the_four_columns_of_a_breakdown_are_damage() {
    let trace = common::full_trace();
    let (at, len) = frames(&trace)[5];
    let mut payload = trace[at + 32..at + len].to_vec();
    let lock = 96 + 8 * 17;
    assert_eq!(payload[lock], 29);
    payload[lock] = 99;
    seal_head(&mut payload);
    let (items, _) = read(&trace_with(&frame(4, 1, 20, 1, &payload)));
    let Item::Events(block) = &items[1] else {
        panic!("refused at once")
    };
    let mut columns = Columns::default();
    let error = common::decode(block, Projection::BREAKDOWN, &mut columns)
        .unwrap_err()
        .to_string();
    assert!(error.contains("lock") && columns.is_empty(), "{error}");
    common::decode(block, Projection::STACK, &mut columns).unwrap();
    assert_eq!(columns.stack.len(), 20);
}

/// The payload of a record with these numbered entries.
fn table(number: u32, first_id: u32, entries: &[&[u8]]) -> Vec<u8> {
    let mut payload = [number, first_id].map(u32::to_le_bytes).concat();
    payload.extend((entries.len() as u64).to_le_bytes());
    payload.extend(entries.concat());
    payload
}

fn refusal(payload: &[u8]) -> String {
    let (items, summary) = read(&trace_with(&frame(DICT, 1, 0, 1, payload)));
    assert_eq!((items.len(), summary.damages), (2, 1));
    let Item::Damage(damage) = &items[1] else {
        panic!("{:?}", items[1])
    };
    damage.reason.clone()
}

#[test]
fn a_stack_whose_parent_is_not_before_it_is_refused() {
    let node = |parent: u32| [&parent.to_le_bytes()[..], &1u32.to_le_bytes(), &[0]].concat();
    let (items, _) = read(&trace_with(&frame(
        DICT,
        1,
        0,
        1,
        &table(3, 5, &[&node(4), &node(5), &node(0)]),
    )));
    assert!(matches!(&items[1], Item::Dict(Dict::Stacks { first_id: 5, entries }) if entries.len() == 3));
    for parent in [6, 7, u32::MAX] {
        let reason = refusal(&table(3, 5, &[&node(4), &node(parent)]));
        assert!(
            reason.contains("stack 6") && reason.contains("smaller id"),
            "{reason}"
        );
    }
    let entries = vec![StackNode {
        parent: StackId(1),
        ..StackNode::default()
    }];
    let error = common::writer()
        .dict(&Dict::Stacks { first_id: 1, entries })
        .unwrap_err();
    assert!(
        matches!(error, FormatError::StackParent { id: 1, parent: 1 }),
        "{error}"
    );
}

#[test]
fn sizes_and_ids_out_of_range_are_refused() {
    for count in [65_537, 1 << 40, u64::MAX] {
        for table in 2..6u32 {
            let first_id: &[u8] = if table < 4 { &[1, 0, 0, 0] } else { &[] };
            let payload = [&table.to_le_bytes()[..], first_id, &count.to_le_bytes(), &[0; 99]].concat();
            assert!(refusal(&payload).contains("entries in a list"), "{table}");
        }
    }
    for first_id in [0, (1 << 22) + 1] {
        for (number, entry) in [(2, vec![0; 12]), (3, vec![0; 9])] {
            assert!(refusal(&table(number, first_id, &[&entry])).contains("dictionary id"));
        }
    }
    let one = 1u64.to_le_bytes();
    let build_id = |object: u32, len: usize| {
        let id = [&(len as u64).to_le_bytes()[..], &vec![7; len]].concat();
        [&5u32.to_le_bytes()[..], &one, &object.to_le_bytes(), &id].concat()
    };
    for (object, len, word) in [(0, 20, "dictionary id"), (1, 0, "build id"), (1, 65, "build id")] {
        assert!(refusal(&build_id(object, len)).contains(word), "{object} {len}");
    }
    refusal(&[6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let symbol = |frame: u32, inlined: u64, entries: usize| {
        let mut payload = [&4u32.to_le_bytes()[..], &one, &frame.to_le_bytes(), &[0; 28]].concat();
        payload.extend(inlined.to_le_bytes());
        payload.extend(vec![0; 20 * entries]);
        payload
    };
    let (items, _) = read(&trace_with(&frame(DICT, 1, 0, 1, &symbol(1, 255, 255))));
    assert!(matches!(&items[1], Item::Dict(Dict::Symbols { entries }) if entries[0].inlined.len() == 255));
    assert!(refusal(&symbol(1, 256, 256)).contains("inlined"));
    assert!(refusal(&symbol(0, 0, 0)).contains("dictionary id"));
    for lie in [1, 1 << 40, u64::MAX] {
        refusal(&symbol(1, lie, 0));
    }
}

#[test]
fn names_that_come_again_and_again_stay_under_the_limit_of_all_dictionaries() {
    let symbol = |frame| Symbol {
        frame: FrameId(frame),
        name: "x".repeat(60_000),
        ..Symbol::default()
    };
    let mut writer = common::writer();
    for _ in 0..2 {
        for first in 0..50 {
            let base = 1 + first * 100;
            let entries = (base..base + 100).map(symbol).collect();
            writer.dict(&Dict::Symbols { entries }).unwrap();
        }
    }
    let (items, summary) = read(&writer.finish(Totals::default()).unwrap());
    let names = |item: &Item| {
        let Item::Dict(Dict::Symbols { entries }) = item else {
            return 0;
        };
        entries.len()
    };
    let accepted: usize = items.iter().map(names).sum();
    assert!(summary.damages > 0);
    assert!(
        accepted > 2 * 4000 && accepted < 2 * ((256 << 20) / 60_000) + 100,
        "{accepted}"
    );
}

#[test]
fn long_tables_are_split_into_frames_that_read_back() {
    let symbol = |frame| Symbol {
        frame: FrameId(frame),
        name: format!("{frame:01000}"),
        inlined: vec![Inlined::default(); 3],
        ..Symbol::default()
    };
    let symbols: Vec<_> = (1..3000).map(symbol).collect();
    let nodes: Vec<_> = (1..200_000)
        .map(|id| StackNode {
            parent: StackId(id - 1),
            frame: FrameId(1),
            truncated: 0,
        })
        .collect();
    let build_ids: Vec<_> = (1..100_000)
        .map(|object| BuildId {
            object: ObjectId(object),
            id: vec![1],
        })
        .collect();
    let mut writer = common::writer();
    for dict in [
        Dict::Stacks {
            first_id: 1,
            entries: nodes.clone(),
        },
        Dict::Symbols {
            entries: symbols.clone(),
        },
        Dict::BuildIds {
            entries: build_ids.clone(),
        },
    ] {
        writer.dict(&dict).unwrap();
    }
    let (items, summary) = read(&writer.finish(Totals::default()).unwrap());
    assert_eq!(summary.damages, 0);
    let (mut got_nodes, mut got_symbols, mut got_ids) = (vec![], vec![], vec![]);
    for item in items {
        match item {
            Item::Dict(Dict::Stacks { first_id, entries }) => {
                assert_eq!(first_id as usize, got_nodes.len() + 1);
                got_nodes.extend(entries);
            }
            Item::Dict(Dict::Symbols { entries }) => got_symbols.extend(entries),
            Item::Dict(Dict::BuildIds { entries }) => got_ids.extend(entries),
            _ => {}
        }
    }
    assert!(got_nodes == nodes && got_symbols == symbols && got_ids == build_ids);
}

#[test]
fn a_monstrous_name_is_cut_and_costs_nothing_else() {
    let inlined = Inlined {
        name: "é".repeat(50_000),
        ..Inlined::default()
    };
    let symbol = Symbol {
        frame: FrameId(1),
        name: "é".repeat(50_000),
        inlined: vec![inlined; 300],
        ..Symbol::default()
    };
    let mut writer = common::writer();
    writer
        .dict(&Dict::Symbols {
            entries: vec![symbol],
        })
        .unwrap();
    let (items, summary) = read(&writer.finish(Totals::default()).unwrap());
    assert_eq!(summary.damages, 0);
    let Item::Dict(Dict::Symbols { entries }) = &items[1] else {
        panic!("{:?}", items[1])
    };
    assert!(entries[0].name.len() <= 65_536 && entries[0].name.ends_with('…'));
    assert_eq!(entries[0].inlined.len(), 15);
}

proptest! {
    #[test]
    fn a_table_with_any_bytes_changed_never_panics(
        table in 0..6usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let trace = common::full_trace();
        let is_dict = |(at, _): &(usize, usize)| trace[at + 4] == DICT;
        let (at, len) = frames(&trace).into_iter().filter(is_dict).nth(table).unwrap();
        let mut payload = trace[at + 32..at + len].to_vec();
        for (at, value) in changes {
            let at = at.index(payload.len());
            payload[at] = value;
        }
        for codec in 1..3 {
            let (items, _) = read(&trace_with(&frame(DICT, codec, 0, 1, &payload)));
            if let Item::Dict(Dict::Stacks { first_id, entries }) = &items[1] {
                prop_assert!((*first_id..).zip(entries).all(|(id, node)| node.parent.0 < id));
            }
        }
    }
}
