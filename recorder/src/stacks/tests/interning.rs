//! Ids of stacks and frames.

use pf_formats::{Frame, FrameId, StackNode};

use crate::stacks::*;

fn raw(hash: u64, addresses: &[u64]) -> RawStack<'_> {
    RawStack {
        hash,
        pid: 1,
        addresses,
        truncated: 0,
    }
}

/// Every address is in object 1, at itself.
fn anywhere(address: u64) -> Option<Place<'static>> {
    Some(Place {
        object: ObjectId(1),
        offset: address,
        memory: Memory::Vdso { start: 1 << 40 },
    })
}

/// All frames and all nodes that came since the last call, checking that they are in order.
fn taken(table: &mut StackTable) -> (Vec<Frame>, Vec<StackNode>) {
    let (mut frames, mut nodes) = (Vec::new(), Vec::new());
    for dict in table.take_new() {
        match dict {
            Dict::Frames { entries, .. } => {
                assert!(nodes.is_empty(), "frames come before stacks");
                frames.extend(entries);
            }
            Dict::Stacks { first_id, entries } => {
                for (id, node) in (first_id..).zip(&entries) {
                    assert!(node.parent.0 < id, "parents come before children");
                }
                nodes.extend(entries);
            }
            other => panic!("{other:?}"),
        }
    }
    (frames, nodes)
}

fn node(parent: u32, frame: u32, truncated: u8) -> StackNode {
    StackNode {
        parent: StackId(parent),
        frame: FrameId(frame),
        truncated,
    }
}

#[test]
fn stacks_share_their_callers() {
    let mut table = StackTable::default();
    let a = table.intern(&raw(1, &[0x30, 0x20, 0x10]), anywhere);
    let b = table.intern(&raw(2, &[0x40, 0x20, 0x10]), anywhere);
    assert_eq!((a, b), (StackId(3), StackId(4)));
    let (frames, nodes) = taken(&mut table);
    let offsets: Vec<u64> = frames.iter().map(|frame| frame.offset).collect();
    assert_eq!(
        offsets,
        [0x10, 0x20, 0x30, 0x40],
        "addresses are kept as they are"
    );
    assert_eq!(
        nodes,
        [node(0, 1, 0), node(1, 2, 0), node(2, 3, 0), node(2, 4, 0)]
    );
    assert!(!table.has_new());
    let c = table.intern(&raw(3, &[0x20, 0x10]), anywhere);
    assert_eq!(c, StackId(5), "as the innermost frame, 0x20 is no return address");
    assert_eq!(taken(&mut table), (vec![frames[1]], vec![node(1, 5, 0)]));
}

#[test]
fn a_known_hash_is_not_located_again() {
    let mut table = StackTable::default();
    let id = table.intern(&raw(7, &[0x20, 0x10]), anywhere);
    assert_eq!(table.known(7), Some(id));
    let again = table.intern(&raw(7, &[0x20, 0x10]), |_| panic!("located"));
    assert_eq!(again, id);
    let other_hash = table.intern(&raw(8, &[0x20, 0x10]), anywhere);
    assert_eq!(other_hash, id, "what is stored is the same");
}

#[test]
fn callers_are_located_at_the_byte_before_the_return_address() {
    let mut asked = Vec::new();
    let mut table = StackTable::default();
    table.intern(&raw(1, &[0x30, 0x20, 0]), |address| {
        asked.push(address);
        None
    });
    assert_eq!(asked, [0, 0x1f, 0x30]);
    let (frames, _) = taken(&mut table);
    assert_eq!(
        frames[1],
        Frame {
            object: ObjectId(0),
            offset: 0x20
        }
    );
}

#[test]
fn why_callers_are_missing_is_said_of_the_outermost_frame_only() {
    let mut table = StackTable::default();
    let cut = RawStack {
        truncated: StackNode::NOT_RESIDENT,
        ..raw(1, &[0x20, 0x10])
    };
    let cut = table.intern(&cut, anywhere);
    let whole = table.intern(&raw(2, &[0x20, 0x10]), anywhere);
    assert_ne!(cut, whole);
    let (_, nodes) = taken(&mut table);
    assert_eq!(
        nodes,
        [node(0, 1, 1), node(1, 2, 0), node(0, 1, 0), node(3, 2, 0)]
    );
}

#[test]
fn over_the_limit_stacks_are_counted_and_known_ones_keep_their_ids() {
    let mut table = StackTable::default();
    assert_eq!(table.intern(&raw(0, &[]), anywhere), StackId(0));
    assert_eq!(table.dropped(), 0, "an empty stack is none");
    for hash in 0..STACKS as u64 {
        assert_eq!(table.intern(&raw(hash, &[0x10]), anywhere), StackId(1));
    }
    assert_eq!(table.intern(&raw(u64::MAX, &[0x10]), anywhere), StackId(0));
    assert_eq!(table.dropped(), 1);
    assert_eq!(table.intern(&raw(5, &[0x10]), anywhere), StackId(1));
}

#[test]
fn code_that_two_processes_made_at_one_address_is_two_frames() {
    let jit = |address| {
        Some(Place {
            object: ObjectId(1),
            offset: address,
            memory: Memory::Anonymous,
        })
    };
    let mut table = StackTable::default();
    let a = table.intern(&raw(1, &[0x20]), jit);
    let b = table.intern(
        &RawStack {
            pid: 2,
            ..raw(2, &[0x20])
        },
        jit,
    );
    assert_ne!(a, b);
}
