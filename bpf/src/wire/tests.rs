//! Records byte by byte, as the probes write them.

#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

fn fault_bytes(flags: u8) -> Vec<u8> {
    // The presence is told beside the access, with or without the rest of the causes.
    let mut bytes = vec![1, flags, 2 | 4 | 8, 1, 3, 14];
    bytes.extend(7u16.to_ne_bytes());
    for value in [11u64, 22, 33, 44] {
        bytes.extend(value.to_ne_bytes());
    }
    for value in [5u32, 6, 1, 2, 3, 4, 9, (8 << 20) | 1] {
        bytes.extend(value.to_ne_bytes());
    }
    for value in [77u64, 88, 99, 55] {
        bytes.extend(value.to_ne_bytes());
    }
    // Four numbers of 48 bits.
    for value in TIMES {
        bytes.extend(&value.to_le_bytes()[..6]);
    }
    bytes.extend(66u64.to_ne_bytes());
    bytes.extend([5u32, 0].map(u32::to_ne_bytes).concat());
    bytes.extend([111u64, 222].map(u64::to_ne_bytes).concat());
    bytes.extend([512u32, 7].map(u32::to_ne_bytes).concat());
    bytes
}

/// What the byte of the access says besides.
const PRESENT: Witnesses = Witnesses {
    sleep: 0,
    first_added: 0,
    pages_added: 0,
    looked: Looked {
        at_sleeps: false,
        at_additions: false,
        at_first: false,
        present: Some(true),
    },
};

const TIMES: [u64; 4] = [0xffff_ffff_ffff, 2, 0x8000_0000_0003, 0x1234_5678_9abc];

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
        signal: 14,
        interruptions: 5,
        between_ns: 66,
        abandoned: false,
        counts,
        vma: None,
        times: None,
        witnesses: PRESENT,
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
            blocked_ns: TIMES[0],
            runqueue_ns: TIMES[1],
            reclaim_ns: TIMES[2],
            lock_ns: TIMES[3],
        }),
        stack: 99,
        query: 55,
        ..plain
    };
    assert_eq!(Record::decode(&fault_bytes(0x1f)), Some(Record::Fault(full)));
    assert_eq!(full.completed_ns(), 11 + 22 + 66);
    let abandoned = Fault {
        abandoned: true,
        ..full
    };
    assert_eq!(Record::decode(&fault_bytes(0x3f)), Some(Record::Fault(abandoned)));
}

#[test]
fn the_witnesses_of_a_fault_are_read_where_somebody_looked() {
    let seen = |change: &dyn Fn(&mut [u8])| {
        let mut bytes = fault_bytes(0x5f);
        change(&mut bytes);
        let Some(Record::Fault(fault)) = Record::decode(&bytes) else {
            panic!("no fault");
        };
        assert_eq!(fault.access, 2);
        let seen = fault.witnesses;
        (
            seen.sleep(),
            seen.pages_added(),
            seen.first_added(),
            seen.present(),
        )
    };
    // The byte of the access, and that of the other witnesses.
    let (access, witnesses) = (2, 164);
    let (sleep, pages, first) = (Some(111), Some(512), Some(222));
    assert_eq!(seen(&|_| ()), (sleep, pages, first, Some(true)));
    assert_eq!(
        seen(&|bytes| bytes[witnesses] = 1),
        (sleep, None, None, Some(true))
    );
    assert_eq!(
        seen(&|bytes| bytes[witnesses] = 2),
        (None, pages, None, Some(true))
    );
    assert_eq!(
        seen(&|bytes| bytes[witnesses] = 6),
        (None, pages, first, Some(true))
    );
    assert_eq!(
        seen(&|bytes| bytes[access] = 2 | 4),
        (sleep, pages, first, Some(false))
    );
    assert_eq!(seen(&|bytes| bytes[access] = 2 | 8), (sleep, pages, first, None));
    assert_eq!(seen(&|bytes| bytes[1] = 0x1f), (None, None, None, Some(true)));
}

#[test]
fn the_second_half_of_a_fault_in_a_lane_is_read_only_where_it_is_announced() {
    let plain = pf_fault {
        kind: pf_kind::PF_FAULT.0 as u8,
        ..pf_fault::default()
    };
    let unread = || panic!("it was not announced");
    assert_eq!(
        Record::from_lane(plain, unread, || panic!("it was not announced")),
        Some(Record::Fault(Fault::default()))
    );
    let full = pf_fault {
        flags: pf_flag::PF_HAS_MORE.0 as u8,
        ..plain
    };
    let more = || pf_more {
        query: 55,
        ..pf_more::default()
    };
    let fault = Fault {
        query: 55,
        ..Fault::default()
    };
    assert_eq!(Record::from_lane(full, more, || None), Some(Record::Fault(fault)));
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
    bytes[0] = 8;
    assert_eq!(Record::decode(&bytes), Some(Record::KernelStack(stack.clone())));
    assert_eq!(Record::decode(&bytes[..bytes.len() - 1]), None);
}

#[test]
fn a_query_is_read_field_by_field() {
    let mut bytes = vec![5, 1 | 4, 0, 0];
    bytes.extend(3u32.to_ne_bytes());
    for value in [11u64, 22, 33, 44] {
        bytes.extend(value.to_ne_bytes());
    }
    for value in [5u32, 6, 1, 2] {
        bytes.extend(value.to_ne_bytes());
    }
    bytes.extend(77u64.to_ne_bytes());
    for value in [3u32, 4] {
        bytes.extend(value.to_ne_bytes());
    }
    bytes.extend(88u64.to_ne_bytes());
    let faults = |majors, minors, wait_ns| QueryFaults {
        majors,
        minors,
        wait_ns,
    };
    let query = Query {
        probe: 3,
        begin_ns: 11,
        end_ns: 22,
        parent_ns: 33,
        key: Some(44),
        tgid: 5,
        tid: 6,
        open: false,
        abandoned: true,
        own: faults(1, 2, 77),
        nested: faults(3, 4, 88),
    };
    assert_eq!(Record::decode(&bytes), Some(Record::Query(Box::new(query))));
    assert_eq!(Record::decode(&bytes[..79]), None);
}

#[test]
fn a_text_is_as_long_as_it_says() {
    let mut bytes = vec![6, 1, 3, 0];
    bytes.extend(6u32.to_ne_bytes());
    bytes.extend(11u64.to_ne_bytes());
    bytes.extend([b'x'; 264]);
    let text = QueryText {
        tid: 6,
        begin_ns: 11,
        text: b"xxx".to_vec(),
        cut: true,
    };
    assert_eq!(Record::decode(&bytes), Some(Record::QueryText(Box::new(text))));
    // A length beyond the record is that of the record.
    bytes[2..4].copy_from_slice(&[255, 255]);
    let Some(Record::QueryText(text)) = Record::decode(&bytes) else {
        panic!("no text");
    };
    assert_eq!(text.text.len(), 264);
}

#[test]
fn a_short_or_unknown_record_is_refused() {
    assert_eq!(Record::decode(&[]), None);
    assert_eq!(Record::decode(&[1; 167]), None);
    assert_eq!(Record::decode(&[10; 128]), None);
}

#[test]
fn a_hidden_wait_is_read_field_by_field() {
    let bytes = |call: i32, inode: u64| {
        let mut bytes = vec![9, 0, 0, 0];
        bytes.extend(call.to_ne_bytes());
        bytes.extend([11u64, 22, 33, inode].map(u64::to_ne_bytes).concat());
        bytes.extend([(8u32 << 20) | 1, 5, 6, 0].map(u32::to_ne_bytes).concat());
        bytes
    };
    let wait = HiddenWait {
        begin_ns: 11,
        wait_ns: 22,
        tgid: 5,
        tid: 6,
        call: Some(9),
        sleep: 33,
        file: Some(((8, 1), 44)),
    };
    let record = Record::decode(&bytes(9, 44)).unwrap();
    assert_eq!((record.at_ns(), &record), (33, &Record::HiddenWait(wait)));
    let unknown = HiddenWait {
        call: None,
        file: None,
        ..wait
    };
    assert_eq!(Record::decode(&bytes(-1, 0)), Some(Record::HiddenWait(unknown)));
    assert_eq!(Record::decode(&bytes(9, 44)[..55]), None);
}
