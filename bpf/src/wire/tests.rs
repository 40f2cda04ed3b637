//! Records byte by byte, as the probes write them.

#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

fn fault_bytes(flags: u8) -> Vec<u8> {
    let mut bytes = vec![1, flags, 2, 1, 3, 0];
    bytes.extend(7u16.to_ne_bytes());
    for value in [11u64, 22, 33, 44] {
        bytes.extend(value.to_ne_bytes());
    }
    for value in [5u32, 6, 1, 2, 3, 4, 9, (8 << 20) | 1] {
        bytes.extend(value.to_ne_bytes());
    }
    for value in [77u64, 88, 99, 1, 2, 3, 4] {
        bytes.extend(value.to_ne_bytes());
    }
    bytes
}

#[test]
fn a_fault_is_read_field_by_field() {
    let counts = Counts {
        majors: 1,
        minors: 2,
        lost: 3,
        hidden: 4,
        filtered: 0,
    };
    let plain = Fault {
        ts_ns: 11,
        latency_ns: 22,
        address: 33,
        ip: 44,
        tgid: 5,
        tid: 6,
        cpu: 7,
        major: true,
        failed: false,
        access: 2,
        origin: 1,
        retries: 3,
        counts,
        vma: None,
        times: None,
        stack: 0,
        query: 0,
    };
    // The second half is not announced, so it is left alone.
    assert_eq!(Record::decode(&fault_bytes(1)), Some(Record::Fault(plain)));
    let full = Fault {
        failed: true,
        counts: Counts {
            filtered: 9,
            ..counts
        },
        vma: Some(Vma {
            device: (8, 1),
            inode: 77,
            file_page: 88,
        }),
        times: Some(Times {
            blocked_ns: 1,
            runqueue_ns: 2,
            reclaim_ns: 3,
            lock_ns: 4,
        }),
        stack: 99,
        ..plain
    };
    assert_eq!(Record::decode(&fault_bytes(0x1f)), Some(Record::Fault(full)));
}

#[test]
fn a_stack_is_as_long_as_it_says() {
    let mut bytes = vec![3, 2];
    bytes.extend(2u16.to_ne_bytes());
    bytes.extend(5u32.to_ne_bytes());
    for value in [11u64, 22, 33, 44] {
        bytes.extend(value.to_ne_bytes());
    }
    let Some(Record::Stack(stack)) = Record::decode(&bytes) else {
        panic!("no stack");
    };
    assert_eq!((stack.ts_ns, stack.tgid, stack.hash, stack.end), (11, 5, 22, 2));
    assert_eq!(stack.frames, [33, 44]);
    assert_eq!(Record::decode(&bytes[..bytes.len() - 1]), None);
}

#[test]
fn a_short_or_unknown_record_is_refused() {
    assert_eq!(Record::decode(&[]), None);
    assert_eq!(Record::decode(&[1; 127]), None);
    assert_eq!(Record::decode(&[9; 128]), None);
}
