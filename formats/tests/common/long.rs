//! A trace of several blocks, threads and dictionaries, and what repairing makes of damaged ones.

use pf_formats::{
    Accounting, Dict, Event, Header, Loss, Meta, Object, ObjectId, Query, Repair, Totals, TraceReader,
    TraceWriter, Verification, repair, verify,
};

use super::{TRACE_ID, by_thread, comms, event, frames, objects, queries, stacks, timeline};

/// Events of each block.
pub(crate) const PER_BLOCK: u64 = 150;
/// Blocks.
pub(crate) const BLOCKS: u64 = 12;
/// Start of the recording.
pub(crate) const START_NS: u64 = 1000;
/// End of the recording.
pub(crate) const END_NS: u64 = 3_000_000;

/// The events of a block, as they are written.
pub(crate) fn block(number: u64) -> Vec<Event> {
    let from = number * PER_BLOCK;
    (from..from + PER_BLOCK)
        .map(|i| Event {
            // Not in the order of time, as threads of several CPUs come.
            ts_ns: event(i ^ 1).ts_ns,
            tid: 100 + (i % 7) as u32,
            object: ObjectId(1 + u32::from(number > 5)),
            stack: pf_formats::StackId((number % 2 * (i % 4)) as u32),
            query: pf_formats::QueryId(i % 3),
            ..event(i)
        })
        .collect()
}

/// The events of a block in the order in which they come back.
pub(crate) fn block_back(number: u64) -> Vec<Event> {
    by_thread(&block(number))
}

/// Two losses within the recording.
pub(crate) fn losses() -> Vec<Loss> {
    let within = |loss| Loss {
        from_ns: START_NS + 1,
        to_ns: START_NS + 2,
        ..loss
    };
    super::losses().into_iter().map(within).collect()
}

/// Books that balance.
pub(crate) fn totals() -> Totals {
    let all: Vec<Event> = (0..BLOCKS).flat_map(block).collect();
    let failed = all.iter().filter(|event| event.failed).count() as u64;
    let majors = all.iter().filter(|event| event.major && !event.failed).count() as u64;
    let events = all.len() as u64;
    let minors = events - majors - failed;
    Totals {
        events,
        majors,
        minors,
        failed,
        lost: 3,
        end_ns: END_NS,
        accounting: Some(Accounting {
            kernel_majors: majors + 3,
            kernel_minors: minors + 10,
            recorded: majors + minors,
            lost: 3,
            hidden: 10,
            filtered: 0,
            source: "maj_flt and min_flt".into(),
        }),
        check: None,
        hidden_majors: None,
        command_end: None,
    }
}

fn write() -> TraceWriter<Vec<u8>> {
    write_with(&super::meta(), &losses(), &queries())
}

fn write_with(meta: &Meta, losses: &[Loss], queries: &[Query]) -> TraceWriter<Vec<u8>> {
    let mut writer = TraceWriter::create(Vec::new(), &Header::new(TRACE_ID, 77), meta).unwrap();
    for dict in [comms(&["worker"]), objects(), frames(), stacks()] {
        writer.dict(&dict).unwrap();
    }
    writer.timeline(&timeline()).unwrap();
    for number in 0..BLOCKS {
        if number == 5 {
            let entries = vec![Object::default()];
            writer.dict(&Dict::Objects { first_id: 2, entries }).unwrap();
            writer.loss(losses).unwrap();
        }
        for event in block(number) {
            writer.push(&event).unwrap();
        }
        writer.flush_block().unwrap();
    }
    writer.queries(queries).unwrap();
    writer
}

/// 0 META, 1 to 4 dictionaries, 5 timeline, 6 to 10 blocks, 11 the second object, 12 losses, 13 to 19 blocks,
/// 20 queries, 21 footer.
pub(crate) fn long_trace() -> Vec<u8> {
    long_with(totals())
}

/// The same with another end record.
pub(crate) fn long_with(totals: Totals) -> Vec<u8> {
    write().finish(totals).unwrap()
}

/// The same with another META, losses of the same number, and other queries.
pub(crate) fn long_of(meta: &Meta, losses: &[Loss], queries: &[Query], totals: Totals) -> Vec<u8> {
    write_with(meta, losses, queries).finish(totals).unwrap()
}

/// The frame of a block in it.
pub(crate) fn frame_of_block(number: usize) -> usize {
    number + if number < 5 { 6 } else { 8 }
}

/// The same of a recorder that was killed.
pub(crate) fn unfinished() -> Vec<u8> {
    let mut writer = write();
    std::mem::take(writer.get_mut())
}

pub(crate) fn verified(bytes: &[u8]) -> Verification {
    let mut reader = TraceReader::new(bytes).unwrap();
    let found = verify(&mut reader, &mut |_| {}).unwrap();
    assert_eq!(found.bytes, bytes.len() as u64);
    found
}

/// A repaired trace, and what its proof found.
pub(crate) fn repaired(bytes: &[u8]) -> (Repair, Vec<u8>, Verification) {
    let mut reader = TraceReader::new(bytes).unwrap();
    let (repair, out) = repair(&mut reader, Vec::new(), &mut |_| {}).unwrap();
    let mut reopened = TraceReader::new(&out[..]).unwrap();
    let proof = repair.prove(&mut reopened, &mut |_| {}).unwrap();
    // What META says is copied, right or wrong.
    assert!(!proof.can_be_repaired());
    (repair, out, proof)
}
