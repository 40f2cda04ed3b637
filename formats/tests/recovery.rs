//! What damage costs, said exactly, and a repaired trace that holds all the rest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::long::{
    BLOCKS, END_NS, PER_BLOCK, START_NS, block_back, frame_of_block, long_trace, repaired, totals,
    unfinished, verified,
};
use common::raw::{DICT, frame, frames, trace_with};
use common::{blocks, read};
use pf_formats::{
    BooksDropped, Dict, Event, Header, Item, LossReason, Meta, Place, Totals, TraceReader, TraceWriter,
    Undefined, Verification, repair,
};
use proptest::prelude::*;

/// Where a frame and its payload lie.
fn range(trace: &[u8], frame: usize) -> std::ops::Range<usize> {
    let (at, len) = frames(trace)[frame];
    at..at + len
}

/// Every block but these.
fn all_but(gone: &[u64]) -> Vec<Vec<Event>> {
    let left = (0..BLOCKS).filter(|number| !gone.contains(number));
    left.map(block_back).collect()
}

/// The one place, the events that it cost, and a repaired trace with all the others.
fn costs(bytes: &[u8], gone: &[u64]) -> (Place, Verification) {
    let found = verified(bytes);
    assert_eq!(found.damage.first.len(), 1, "{:?}", found.damage);
    let place = found.damage.first[0].clone();
    let missing = gone.len() as u64 * PER_BLOCK;
    assert_eq!(
        (place.events_missing, place.is_exact),
        (missing, true),
        "{place:?}"
    );
    assert_eq!(found.counts.events, BLOCKS * PER_BLOCK - missing);
    assert_eq!(found.contradictions, [], "{found:?}");
    assert!(found.finished && !found.is_undamaged());
    let (_, out, proof) = repaired(bytes);
    assert_eq!(blocks(&read(&out).0), all_but(gone));
    let lost = proof.lost.get(&LossReason::Damage).copied();
    assert_eq!(lost.unwrap_or(0), missing);
    balances(&proof, missing);
    (place, proof)
}

/// Totals of what is there, and books whose sum is still the kernel's.
fn balances(proof: &Verification, missing: u64) {
    let (old, new) = (totals(), proof.totals.clone().unwrap());
    assert_eq!(
        (new.events, new.lost, new.end_ns),
        (old.events - missing, old.lost + missing, END_NS)
    );
    let books = new.accounting.unwrap();
    assert_eq!(books.recorded, new.majors + new.minors);
    assert_eq!(
        books.kernel_majors + books.kernel_minors,
        books.recorded + books.lost + books.hidden + books.filtered
    );
}

#[test]
fn a_whole_trace_is_whole_and_its_repair_is_the_same_trace() {
    let trace = long_trace();
    let found = verified(&trace);
    assert!(found.is_undamaged() && found.undefined.is_none(), "{found:?}");
    assert_eq!((found.clean, found.counts.blocks), (Some(true), BLOCKS));
    assert_eq!(
        (found.counts.events, found.counts.queries),
        (BLOCKS * PER_BLOCK, 3)
    );
    assert_eq!((found.start_ns, found.events_lost()), (Some(START_NS), 3));
    let (repair, out, proof) = repaired(&trace);
    assert_eq!((repair.losses_added, repair.clean), (0, true));
    assert_eq!(proof, found);
    assert!(out == trace, "record for record");
}

#[test]
fn the_largest_block_that_there_may_be_stays_one() {
    let header = Header::new([7; 16], 0);
    for count in [32_769, 65_536] {
        let mut writer = TraceWriter::create(Vec::new(), &header, &Meta::default()).unwrap();
        writer.set_block_events(65_536);
        for number in 0..count {
            writer
                .push(&Event {
                    ts_ns: number,
                    ..Event::default()
                })
                .unwrap();
        }
        let trace = writer
            .finish(Totals {
                events: count,
                minors: count,
                ..Totals::default()
            })
            .unwrap();
        let (_, out, proof) = repaired(&trace);
        assert_eq!((proof.counts.blocks, proof.counts.events), (1, count));
        assert!(
            blocks(&read(&out).0) == blocks(&read(&trace).0),
            "event for event"
        );
    }
}

#[test]
fn a_flipped_bit_costs_its_block_and_the_interval_is_told() {
    let whole = long_trace();
    for number in [0, 1, 5, 11] {
        let frame = range(&whole, frame_of_block(number));
        for at in [frame.start + 9, frame.start + 40, frame.end - 1] {
            let mut trace = whole.clone();
            trace[at] ^= 0x10;
            let (place, _) = costs(&trace, &[number as u64]);
            assert_eq!(
                (place.offset, place.bytes),
                (frame.start as u64, frame.len() as u64)
            );
            let events = block_back(number as u64);
            let first = events.iter().map(|event| event.ts_ns).min();
            let last = events.iter().map(|event| event.ts_ns + event.latency_ns).max();
            assert_eq!((place.from_ns, place.to_ns), (first, last), "from the index");
        }
    }
}

#[test]
fn without_an_index_the_neighbours_tell_the_interval() {
    let whole = long_trace();
    let mut trace = whole[..range(&whole, 21).start].to_vec();
    let frame = range(&whole, frame_of_block(3));
    trace[frame.start + 40] ^= 1;
    let found = verified(&trace);
    let place = &found.damage.first[0];
    assert_eq!((place.events_missing, place.is_exact), (PER_BLOCK, true));
    let before = block_back(2).iter().map(|event| event.ts_ns).max();
    let behind = block_back(4)
        .iter()
        .map(|event| event.ts_ns + event.latency_ns)
        .min();
    assert_eq!((place.from_ns, place.to_ns), (before, behind));
    for event in block_back(3) {
        assert!((before..=behind).contains(&Some(event.ts_ns)));
    }
    assert_eq!((found.clean, found.finished), (None, false));
}

#[test]
fn a_block_without_its_frame_counts_exactly_with_the_index_and_as_unknown_without() {
    let whole = long_trace();
    let frame = range(&whole, frame_of_block(7));
    let mut trace = whole.clone();
    trace[frame.start..frame.start + 32].fill(0);
    costs(&trace, &[7]);
    trace.truncate(range(&whole, 21).start);
    let found = verified(&trace);
    let place = &found.damage.first[0];
    assert_eq!((place.events_missing, place.is_exact), (0, false));
    let (repair, out, proof) = repaired(&trace);
    assert_eq!((repair.clean, repair.losses_added), (false, 1));
    assert_eq!((proof.lost_unknown, proof.lost[&LossReason::Damage]), (1, 0));
    assert_eq!(blocks(&read(&out).0), all_but(&[7]));
}

#[test]
fn a_zeroed_page_costs_the_blocks_it_touches() {
    let whole = long_trace();
    let frames = frames(&whole);
    for from in (4096..whole.len() - 8192).step_by(4096) {
        let page = from..from + 4096;
        let mut trace = whole.clone();
        trace[page.clone()].fill(0);
        let touched = |number: &u64| {
            let (at, len) = frames[frame_of_block(*number as usize)];
            at < page.end && page.start < at + len
        };
        let gone: Vec<u64> = (0..BLOCKS).filter(touched).collect();
        assert!(!gone.is_empty());
        costs(&trace, &gone);
    }
}

#[test]
fn a_missing_middle_costs_what_is_not_there() {
    let whole = long_trace();
    let (from, to) = (range(&whole, frame_of_block(2)), range(&whole, frame_of_block(4)));
    // Whole records; from inside one to inside another; some bytes of one.
    for (cut, gone) in [
        (from.start..to.start, vec![2, 3]),
        (from.start + 50..to.start + 70, vec![2, 3, 4]),
        (to.start + 7..to.start + 8, vec![4]),
    ] {
        let trace = [&whole[..cut.start], &whole[cut.end..]].concat();
        costs(&trace, &gone);
    }
}

#[test]
fn a_repeated_stretch_costs_nothing() {
    let whole = long_trace();
    let (from, to) = (
        range(&whole, frame_of_block(2)).start,
        range(&whole, frame_of_block(4)).start,
    );
    for repeated in [from..to, from + 5..to, from..to - 5] {
        let trace = [&whole[..to], &whole[repeated.clone()], &whole[to..]].concat();
        let (place, _) = costs(&trace, &[]);
        assert_eq!((place.offset, place.bytes), (to as u64, repeated.len() as u64));
    }
}

#[test]
fn a_lost_tail_leaves_a_trace_that_did_not_end_as_intended() {
    let whole = long_trace();
    for (cut, left) in [
        (range(&whole, frame_of_block(9)).start, 9),
        (range(&whole, frame_of_block(9)).start + 11, 9),
        (range(&whole, frame_of_block(9)).end - 1, 9),
        (range(&whole, 21).start, 12),
        (range(&whole, 21).end - 1, 12),
    ] {
        let trace = &whole[..cut];
        let found = verified(trace);
        assert_eq!((found.finished, found.clean), (false, None), "{cut}");
        assert_eq!(found.counts.blocks, left);
        assert!(found.damage.all().all(|place| !place.is_exact), "{cut}");
        let (repair, out, proof) = repaired(trace);
        assert_eq!(repair.books_dropped, Some(BooksDropped::NoEndRecord));
        assert_eq!((proof.clean, proof.counts.blocks), (Some(false), left));
        let gone: Vec<u64> = (left..BLOCKS).collect();
        assert_eq!(blocks(&read(&out).0), all_but(&gone));
        assert_eq!(proof.totals.unwrap().end_ns, found.last_ns.unwrap());
    }
}

#[test]
fn a_recording_that_was_killed_is_unfinished_and_not_damaged() {
    let trace = unfinished();
    let found = verified(&trace);
    assert_eq!(
        (found.damage.count, found.finished, found.clean),
        (0, false, None)
    );
    let (repair, out, proof) = repaired(&trace);
    assert_eq!((repair.losses_added, proof.clean), (0, Some(false)));
    assert_eq!(blocks(&read(&out).0), all_but(&[]));
    assert_eq!(
        proof.totals.unwrap().lost,
        3,
        "what LOSS records say without a footer"
    );
}

#[test]
fn a_lost_trailer_costs_nothing_but_the_end() {
    let whole = long_trace();
    let mut trace = whole.clone();
    let last = trace.len() - 20;
    trace[last] ^= 1;
    for trace in [&trace[..], &whole[..whole.len() - 24]] {
        let found = verified(trace);
        assert_eq!((found.finished, found.clean), (false, Some(true)));
        assert_eq!(found.damage.events_missing(), 0);
        let (repair, out, _) = repaired(trace);
        assert_eq!((repair.losses_added, repair.clean), (0, true));
        assert!(out == whole);
    }
}

#[test]
fn a_lost_dictionary_costs_names_and_no_events() {
    let whole = long_trace();
    let mut trace = whole.clone();
    trace[range(&whole, 11).start + 40] ^= 1;
    let (_, proof) = costs(&trace, &[]);
    let events = 6 * PER_BLOCK;
    assert_eq!(
        proof.undefined.objects,
        Undefined { ids: 1, events },
        "still unknown when repaired"
    );
    assert_eq!(proof.undefined.comms, Undefined::default());
    trace[range(&whole, 1).start + 40] ^= 1;
    let found = verified(&trace);
    assert_eq!(found.undefined.comms.events, BLOCKS * PER_BLOCK);
    assert_eq!((found.damage.count, found.counts.events), (2, BLOCKS * PER_BLOCK));
}

#[test]
fn a_lost_meta_leaves_a_trace_that_says_so() {
    let whole = long_trace();
    let mut trace = whole.clone();
    trace[range(&whole, 0).start + 40] ^= 1;
    let (_, out, proof) = repaired(&trace);
    assert!(!verified(&trace).has_meta);
    let (items, _) = read(&out);
    let Item::Meta(meta) = &items[0] else {
        panic!("{:?}", items[0])
    };
    let first = block_back(0).iter().map(|event| event.ts_ns).min();
    assert_eq!((Some(meta.start_ns), proof.start_ns), (first, first));
    assert!(meta.target.contains("not known"));
    assert_eq!(
        (meta.host.page_size, meta.sample),
        (0, 1),
        "the page size is not known"
    );
    let kinds = |items: &[Item]| items.iter().map(std::mem::discriminant).collect::<Vec<_>>();
    assert_eq!(kinds(&items), kinds(&read(&whole).0), "everything else is there");
    assert_eq!(blocks(&items), all_but(&[]));
    assert_ne!(**meta, Meta::default());
}

#[test]
fn a_trace_of_nothing_but_a_header_can_be_repaired() {
    let whole = long_trace();
    let (repair, out, proof) = repaired(&whole[..64]);
    assert_eq!((repair.input.has_meta, proof.counts.events), (false, 0));
    assert_eq!(read(&out).0.len(), 2);
    let (_, _, proof) = repaired(&[&whole[..64], &[0; 5000]].concat());
    assert_eq!(proof.lost_unknown, 1);
}

#[test]
fn several_places_between_two_blocks_are_told_apart() {
    let whole = long_trace();
    let mut trace = whole.clone();
    for number in [3, 4, 5, 9] {
        trace[range(&whole, frame_of_block(number)).start + 60] ^= 1;
    }
    trace[range(&whole, 12).start + 33] ^= 1;
    let found = verified(&trace);
    let missing: Vec<u64> = found
        .damage
        .first
        .iter()
        .map(|place| place.events_missing)
        .collect();
    assert_eq!(missing, [PER_BLOCK, PER_BLOCK, 0, PER_BLOCK, PER_BLOCK]);
    let (_, out, proof) = repaired(&trace);
    assert_eq!(blocks(&read(&out).0), all_but(&[3, 4, 5, 9]));
    balances(&proof, 4 * PER_BLOCK);
}

#[test]
fn thousands_of_places_are_counted_and_kept_as_a_sum() {
    let mut writer = common::writer();
    for i in 0..3000 {
        writer.push(&common::event(i)).unwrap();
        writer.flush_block().unwrap();
    }
    let mut trace = writer.finish(Totals { lost: 0, ..totals() }).unwrap();
    let blocks: Vec<_> = frames(&trace)[1..3001].to_vec();
    for (at, len) in blocks.iter().step_by(2) {
        trace[at + len - 1] ^= 1;
    }
    let found = verified(&trace);
    assert_eq!((found.damage.count, found.damage.first.len()), (1500, 1000));
    let further = found.damage.further.as_ref().unwrap();
    assert_eq!((further.events_missing, further.records_missing), (500, 500));
    assert_eq!(found.damage.events_missing(), 1500);
    let (repair, _, proof) = repaired(&trace);
    assert_eq!((repair.losses_added, proof.counts.events), (1001, 1500));
}

#[test]
fn events_that_only_the_end_record_knows_of_are_lost_somewhere() {
    let mut writer = common::writer();
    writer.push(&common::event(1)).unwrap();
    let trace = writer.finish(totals()).unwrap();
    let found = verified(&trace);
    let missing = totals().events - 1;
    assert_eq!(found.damage.elsewhere.as_ref().unwrap().events_missing, missing);
    assert_eq!(found.contradictions[0].what, "events");
    let (_, _, proof) = repaired(&trace);
    balances(&proof, missing);
}

#[test]
fn a_copy_that_differs_is_not_proven() {
    let trace = long_trace();
    let mut reader = TraceReader::new(&trace[..]).unwrap();
    let (repair, out) = repair(&mut reader, Vec::new(), &mut |_| {}).unwrap();
    let prove = |bytes: &[u8]| {
        let mut reopened = TraceReader::new(bytes).unwrap();
        repair.prove(&mut reopened, &mut |_| {})
    };
    prove(&out).unwrap();
    let mut flipped = out.clone();
    flipped[range(&out, frame_of_block(4)).start + 80] ^= 1;
    prove(&flipped).unwrap_err();
    prove(&out[..out.len() - 1]).unwrap_err();
    // Whole, and one event is another.
    let mut writer = common::writer();
    for event in (0..PER_BLOCK).map(common::event) {
        writer.push(&event).unwrap();
    }
    let error = prove(&writer.finish(totals()).unwrap()).unwrap_err().to_string();
    assert!(error.contains("digest of a block's events"), "{error}");
}

#[test]
fn names_that_differ_are_not_proven() {
    let trace = |name| {
        let mut writer = common::writer();
        writer.dict(&common::comms(&[name])).unwrap();
        writer.push(&common::event(1)).unwrap();
        writer.finish(totals()).unwrap()
    };
    let (one, other) = (trace("worker"), trace("walker"));
    let (repair, out, _) = repaired(&one);
    let prove = |bytes: &[u8]| repair.prove(&mut TraceReader::new(bytes).unwrap(), &mut |_| {});
    prove(&out).unwrap();
    let (_, other, _) = repaired(&other);
    let error = prove(&other).unwrap_err().to_string();
    assert!(error.contains("digest of the names"), "{error}");
}

#[test]
fn an_id_with_two_meanings_keeps_the_first() {
    let names = |first_id: u32, names: &[&str]| {
        let mut payload = vec![0; 4];
        payload.extend(first_id.to_le_bytes());
        payload.extend((names.len() as u64).to_le_bytes());
        for name in names {
            payload.extend((name.len() as u64).to_le_bytes());
            payload.extend(name.as_bytes());
        }
        payload
    };
    let trace = trace_with(
        &[
            frame(DICT, 1, 0, 1, &names(1, &["first"])),
            frame(DICT, 1, 0, 2, &names(1, &["other", "second"])),
        ]
        .concat(),
    );
    let (repair, out, _) = repaired(&trace);
    assert_eq!(repair.names_refused, 1);
    let kept: Vec<Item> = read(&out)
        .0
        .into_iter()
        .filter(|item| matches!(item, Item::Dict(_)))
        .collect();
    let single = |first_id, name: &str| {
        Item::Dict(Dict::Comms {
            first_id,
            entries: vec![name.to_owned()],
        })
    };
    assert_eq!(kept, [single(1, "first"), single(2, "second")]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// What decodes is written and proven, what does not is damage: whatever it claims, and with right checksums.
    #[test]
    fn records_that_lie_are_repaired_or_dropped(
        number in 0..22usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        fields in prop::option::weighted(0.2, (1..9u8, 1..5u8, any::<u32>())),
    ) {
        let mut trace = long_trace();
        let (at, len) = frames(&trace)[number];
        for (index, value) in changes {
            trace[at + 32 + index.index(len - 32)] = value;
        }
        let (kind, codec, events) = fields.unwrap_or_else(|| {
            let events = u32::from_le_bytes(trace[at + 12..at + 16].try_into().unwrap());
            (trace[at + 4], trace[at + 5], events)
        });
        let lie = frame(kind, codec, events, number as u64, &trace[at + 32..at + len]);
        trace[at..at + len].copy_from_slice(&lie);
        let found = verified(&trace);
        let (_, _, proof) = repaired(&trace);
        prop_assert_eq!(found.counts, pf_formats::Counts { losses: found.counts.losses, ..proof.counts });
    }
}
