//! The queue at its limits: what is shed first, and that every thing shed is counted.
#![allow(clippy::unwrap_used, clippy::panic)]

use pf_bpf::{Exit, Fault, Stack};

use super::*;
use crate::pipeline::sideband::Map;

fn fault(ts_ns: u64) -> Record {
    Record::Fault(Fault {
        ts_ns,
        ..Fault::default()
    })
}

fn mapping(path: &str) -> Sideband {
    Sideband {
        ts_ns: 1,
        pid: 1,
        tid: 1,
        what: What::Map(Map {
            path: path.to_owned(),
            ..Map::default()
        }),
    }
}

fn exec() -> Sideband {
    Sideband {
        what: What::Comm {
            comm: "ls".to_owned(),
            exec: true,
        },
        ..mapping("")
    }
}

/// A backlog with room for ten records and ten short mappings, whose queue is full already.
fn stalled() -> (Backlog, Batches) {
    let (mut backlog, batches) = backlog(0);
    backlog.limits = Size {
        records: 10,
        sideband_bytes: bytes_of(&vec![mapping("/x"); 10]),
    };
    for now in 0..QUEUE_BATCHES as u64 {
        assert!(backlog.offer(now));
    }
    (backlog, batches)
}

const LAST_ROOM_NS: u64 = QUEUE_BATCHES as u64 - 1;

#[test]
fn a_stalled_encoder_costs_faults_and_they_are_counted_in_one_window() {
    let (mut backlog, mut batches) = stalled();
    for now in 100..200 {
        let failed = Fault {
            failed: true,
            ..Fault::default()
        };
        backlog
            .pending
            .records
            .extend([fault(now), Record::Fault(failed), fault(now)]);
        assert!(backlog.offer(now), "the encoder is alive");
        assert!(backlog.pending.records.len() <= 10);
    }
    let kept = backlog.pending.records.len() as u64;
    assert_eq!(backlog.dropped.faults + backlog.dropped.failed + kept, 300);
    assert_eq!(backlog.dropped.failed, (300 - kept) / 3);
    let [loss] = &backlog.pending.losses[..] else {
        panic!("{:?}", backlog.pending.losses);
    };
    assert_eq!((loss.reason, loss.count), (LossReason::Queue, 300 - kept));
    assert_eq!((loss.from_ns, loss.to_ns), (LAST_ROOM_NS, 199));

    let (mut batch, mut arrived) = (Batch::default(), 0);
    for _ in 0..QUEUE_BATCHES {
        batch = batches.next(Duration::ZERO).unwrap();
        arrived += batch.records.len();
    }
    assert_eq!((batch.records.len(), arrived), (0, 0));
    assert!(backlog.offer(300));
    let batch = batches.next(Duration::ZERO).unwrap();
    assert_eq!(batch.records.len() as u64, kept);
    assert_eq!(backlog.waiting.records.load(Relaxed), kept);
    assert_eq!(batch.losses.len(), 1);
}

#[test]
fn ends_of_threads_outlast_faults_until_they_alone_are_too_many() {
    let (mut backlog, _batches) = stalled();
    let end = || Record::Exit(Exit::default());
    backlog.pending.records = vec![fault(1); 20];
    backlog.pending.records.extend([end(), end()]);
    assert!(backlog.offer(100));
    assert_eq!(backlog.pending.records, [end(), end()]);
    backlog.pending.records = vec![end(); 20];
    backlog
        .pending
        .records
        .push(Record::Stack(Box::<Stack>::default()));
    assert!(backlog.offer(101));
    assert!(backlog.pending.records.is_empty());
    let dropped = Dropped {
        faults: 20,
        exits: 20,
        stacks: 1,
        ..Dropped::default()
    };
    assert_eq!(backlog.dropped, dropped);
    let reasons: Vec<_> = backlog.pending.losses.iter().map(|loss| loss.reason).collect();
    assert_eq!(reasons, [LossReason::Queue, LossReason::Exits, LossReason::Stack]);
}

#[test]
fn large_stacks_count_for_several_records_and_go_before_faults() {
    let (mut backlog, _batches) = stalled();
    let stack = Record::Stack(Box::new(Stack {
        frames: vec![7; 127],
        ..Stack::default()
    }));
    let fill = |backlog: &mut Backlog, stacks: usize| {
        backlog.pending.records = vec![fault(1); 3];
        backlog.pending.records.extend(vec![stack.clone(); stacks]);
        backlog.pending.besides = backlog.pending.records.iter().map(besides).sum();
    };
    // A kilobyte each.
    fill(&mut backlog, 1);
    assert_eq!(backlog.pending.besides, 9);
    assert!(backlog.offer(100));
    assert_eq!(backlog.dropped.stacks, 1);
    assert_eq!((backlog.pending.records.len(), backlog.pending.besides), (3, 0));
    fill(&mut backlog, 5);
    assert!(backlog.offer(101));
    assert_eq!((backlog.dropped.stacks, backlog.dropped.faults), (6, 0));
    assert_eq!(backlog.pending.losses[0].reason, LossReason::Stack);
}

#[test]
fn mappings_are_bounded_by_what_they_take_and_go_before_an_exec() {
    let (mut backlog, _batches) = stalled();
    backlog.pending.sideband = vec![exec(), mapping("/x"), mapping(&"x".repeat(4096))];
    assert!(backlog.offer(100));
    assert_eq!(backlog.pending.sideband, [exec()]);
    backlog.pending.sideband = vec![exec(); 20];
    assert!(backlog.offer(101));
    assert!(backlog.pending.sideband.is_empty());
    assert_eq!(backlog.dropped.sideband, 22);
    assert_eq!(backlog.pending.losses[0].count, 22);
}

#[test]
fn what_the_encoder_works_on_still_counts() {
    let (mut backlog, mut batches) = backlog(0);
    backlog.limits.records = 10;
    backlog.pending.records = vec![fault(1); 8];
    assert!(backlog.offer(1));
    let batch = batches.next(Duration::ZERO).unwrap();
    assert_eq!(batch.records.len(), 8);
    assert_eq!(backlog.waiting.records.load(Relaxed), 8);
    assert!(batches.next(Duration::ZERO).is_err());
    assert_eq!(backlog.waiting.records.load(Relaxed), 0);
}

#[test]
fn a_very_long_stall_leaves_a_bounded_number_of_losses() {
    let mut batch = Batch::default();
    for now in 0..10_000 {
        batch.lose(LossReason::Reserve, 2, now, now + 1);
        batch.lose(LossReason::Sideband, 1, now, now + 1);
    }
    assert!(batch.losses.len() <= LOSSES, "{}", batch.losses.len());
    let of = |reason| batch.losses.iter().filter(move |loss| loss.reason == reason);
    assert_eq!(
        of(LossReason::Reserve).map(|loss| loss.count).sum::<u64>(),
        20_000
    );
    assert_eq!(
        of(LossReason::Sideband).map(|loss| loss.to_ns).max(),
        Some(10_000)
    );
}

#[test]
fn an_encoder_that_is_gone_is_noticed() {
    let (mut backlog, batches) = backlog(0);
    drop(batches);
    assert!(!backlog.offer(1));
}

#[test]
fn memory_that_comes_back_empty_is_used_again() {
    let (mut backlog, mut batches) = backlog(0);
    backlog.pending.records = Vec::with_capacity(100);
    backlog.pending.records.push(fault(1));
    assert!(backlog.offer(1));
    assert_eq!(backlog.pending.records.capacity(), 0);
    let batch = batches.next(Duration::ZERO).unwrap();
    batches.give_back(batch);
    assert!(backlog.offer(2));
    assert!(backlog.pending.records.is_empty() && backlog.pending.records.capacity() >= 100);
}
