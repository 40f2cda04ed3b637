//! A trace whose stacks are known.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    missing_docs
)]

use crate::support::{dicts, file_fault, heap_fault, object, trace};
use pf_formats::{
    BuildId, Dict, Event, Frame, FrameId, Inlined, Meta, ObjectId, ObjectKind, StackId, StackNode, Symbol,
};

pub fn stack_of(stack: u32, event: Event) -> Event {
    Event {
        stack: StackId(stack),
        ..event
    }
}

pub fn stack_dicts() -> Vec<Dict> {
    let frame = |object, offset| Frame {
        object: ObjectId(object),
        offset,
    };
    let node = |parent, frame, truncated| StackNode {
        parent: StackId(parent),
        frame: FrameId(frame),
        truncated,
    };
    vec![
        Dict::Objects {
            first_id: 3,
            entries: vec![object(ObjectKind::File, "/usr/bin/app")],
        },
        Dict::Frames {
            first_id: 1,
            entries: vec![
                frame(3, 0x100),
                frame(3, 0x200),
                frame(3, 0x300),
                frame(3, 0x310),
                frame(3, 0x999),
                frame(0, 0x7fff_0000),
            ],
        },
        Dict::Stacks {
            first_id: 1,
            entries: vec![
                node(0, 1, StackNode::WHOLE),
                node(1, 2, 0),
                node(2, 3, 0),
                node(2, 4, 0),
                node(0, 5, StackNode::NO_FRAME_POINTERS),
                node(5, 6, 0),
                node(0, 2, StackNode::NOT_RESIDENT),
            ],
        },
    ]
}

pub fn symbol_dicts() -> Vec<Dict> {
    let symbol = |frame, name: &str, line, inlined| Symbol {
        frame: FrameId(frame),
        name: name.into(),
        offset: 0x1f,
        file: "app.c".into(),
        line,
        inlined,
    };
    let inlined = |name: &str, line| Inlined {
        name: name.into(),
        file: "step.h".into(),
        line,
    };
    vec![
        Dict::Symbols {
            entries: vec![
                symbol(1, "_start", 0, vec![]),
                symbol(2, "main", 7, vec![]),
                symbol(3, "walk", 20, vec![inlined("touch", 3), inlined("step", 9)]),
                symbol(4, "walk", 21, vec![]),
            ],
        },
        Dict::BuildIds {
            entries: vec![BuildId {
                object: ObjectId(3),
                id: vec![0xde, 0xad, 0x01],
            }],
        },
    ]
}

/// 2 ms in all: 1.4 and 0.3 ms in `walk`, with functions inlined into it once; 0.2 ms without callers, twice in
/// different ways; and a fault without a stack.
pub fn faults() -> Vec<Event> {
    vec![
        stack_of(3, file_fault(10, 1_400_000, 0)),
        stack_of(4, file_fault(20, 300_000, 1)),
        stack_of(6, file_fault(30, 150_000, 2)),
        stack_of(7, file_fault(40, 50_000, 3)),
        stack_of(3, heap_fault(50, 99_000, 1)),
        heap_fault(60, 1_000, 2),
    ]
}

pub fn stack_trace(meta: &Meta, faults: &[Event]) -> Vec<u8> {
    let dicts = [dicts(), stack_dicts(), symbol_dicts()].concat();
    trace(meta, &dicts, faults, &[])
}
