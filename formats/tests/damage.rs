//! Cut, flipped, punched, repeated: every intact record of a damaged trace comes back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::raw::frames;
use common::{blocks, read, small_blocks, small_trace};
use pf_formats::{Damage, Item, TraceReader};

const HEADER: usize = 64;
const TRAILER: usize = 24;

fn damages(items: &[Item]) -> Vec<&Damage> {
    items
        .iter()
        .filter_map(|item| {
            if let Item::Damage(damage) = item {
                Some(damage)
            } else {
                None
            }
        })
        .collect()
}

/// Records that are not damage.
fn intact(items: &[Item]) -> Vec<&Item> {
    items
        .iter()
        .filter(|item| !matches!(item, Item::Damage(_)))
        .collect()
}

#[test]
fn a_trace_cut_anywhere_gives_back_every_whole_record_before_the_cut() {
    let whole = small_trace();
    let frames = frames(&whole);
    let (all, _) = read(&whole);
    for cut in HEADER..whole.len() {
        let (items, summary) = read(&whole[..cut]);
        let before = frames.iter().filter(|(at, len)| at + len <= cut).count();
        assert_eq!(
            intact(&items),
            all[..before].iter().collect::<Vec<_>>(),
            "cut at {cut}"
        );
        assert!(!summary.finished, "cut at {cut}");
        assert!(summary.damages <= 1, "cut at {cut}");
    }
}

#[test]
fn a_trace_cut_in_its_header_is_an_error_that_says_so() {
    let whole = small_trace();
    for cut in 0..HEADER {
        let error = TraceReader::new(&whole[..cut]).err().unwrap().to_string();
        assert!(
            error.contains(if cut == 0 { "empty" } else { "header" }),
            "{cut}: {error}"
        );
    }
}

#[test]
fn any_flipped_byte_costs_at_most_the_record_it_is_in() {
    let whole = small_trace();
    let frames = frames(&whole);
    let (all, _) = read(&whole);
    for at in HEADER..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0xff;
        let (items, summary) = read(&flipped);
        let expected: Vec<_> = frames
            .iter()
            .zip(&all)
            .filter(|((start, len), _)| !(*start..start + len).contains(&at))
            .map(|(_, item)| item)
            .collect();
        assert_eq!(intact(&items), expected, "byte {at}");
        assert_eq!(summary.damages, 1, "byte {at}");
        let in_footer = at >= frames.last().unwrap().0;
        assert_eq!(summary.finished, !in_footer, "byte {at}");
        let missing = u64::from(at < whole.len() - TRAILER && !in_footer);
        assert!(summary.frames_missing >= missing, "byte {at}");
    }
}

#[test]
fn a_flipped_header_is_an_error() {
    let whole = small_trace();
    for at in 0..HEADER {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        assert!(TraceReader::new(&flipped[..]).is_err(), "byte {at}");
    }
}

#[test]
fn a_destroyed_block_says_how_many_events_it_had_when_its_frame_survived() {
    let mut trace = small_trace();
    let (at, len) = frames(&trace)[5];
    trace[at + 100] ^= 1;
    let (items, summary) = read(&trace);
    let damages = damages(&items);
    assert_eq!(damages.len(), 1);
    assert_eq!((damages[0].offset, damages[0].bytes), (at as u64, len as u64));
    assert_eq!((damages[0].events_missing, damages[0].frames_missing), (21, 1));
    assert!(damages[0].reason.contains("EVENTS"), "{}", damages[0].reason);
    assert_eq!(
        (summary.events, summary.blocks, summary.frames_missing),
        (42, 2, 1)
    );
    assert!(summary.finished);
}

#[test]
fn a_removed_record_shows_as_a_gap_in_the_numbers() {
    let whole = small_trace();
    let (at, len) = frames(&whole)[4];
    let trace = [&whole[..at], &whole[at + len..]].concat();
    let (items, summary) = read(&trace);
    let damages = damages(&items);
    assert_eq!(
        (damages.len(), damages[0].bytes, damages[0].frames_missing),
        (1, 0, 1)
    );
    assert_eq!(blocks(&items), small_blocks()[1..]);
    assert!(summary.finished);
}

#[test]
fn bytes_missing_inside_a_record_do_not_cost_the_next_one() {
    let whole = small_trace();
    let (at, len) = frames(&whole)[4];
    for removed in [1, 7, len - 33] {
        let trace = [&whole[..at + 32], &whole[at + 32 + removed..]].concat();
        let (items, _) = read(&trace);
        assert_eq!(blocks(&items), small_blocks()[1..], "{removed} bytes removed");
        assert_eq!(damages(&items)[0].events_missing, 20);
    }
}

#[test]
fn junk_between_records_is_passed_over() {
    let whole = small_trace();
    let zeros = vec![0; 200_000];
    let sync = [0xF7, b'p', b'f', 0xB5].repeat(1000);
    let other = b"\x89PFZ\r\n\x1a\n not a trace at all".to_vec();
    for (junk, name) in [
        (zeros, "zeros"),
        (sync, "sync markers"),
        (other, "text"),
        (vec![0xF7], "one byte"),
    ] {
        for (at, _) in frames(&whole) {
            let trace = [&whole[..at], &junk, &whole[at..]].concat();
            let (items, summary) = read(&trace);
            assert_eq!(blocks(&items), small_blocks(), "{name} at {at}");
            assert_eq!(
                (summary.damages, summary.damaged_bytes),
                (1, junk.len() as u64),
                "{name} at {at}"
            );
            assert_eq!(summary.frames_missing, 0, "{name} at {at}");
        }
    }
}

#[test]
fn a_hole_of_zeros_costs_only_what_it_covers() {
    let whole = small_trace();
    let frames = frames(&whole);
    let from = frames[3].0 + 5;
    let to = frames[5].0 + 50;
    let mut trace = whole.clone();
    trace[from..to].fill(0);
    let (items, summary) = read(&trace);
    assert_eq!(blocks(&items), small_blocks()[2..]);
    assert_eq!((summary.damages, summary.frames_missing), (1, 3));
}

#[test]
fn a_repeated_trace_is_not_counted_twice() {
    let whole = small_trace();
    let (items, summary) = read(&whole.repeat(3));
    assert_eq!(blocks(&items), small_blocks());
    assert_eq!((summary.events, summary.damages), (63, 1));
    assert!(summary.finished);
}

#[test]
fn another_trace_behind_this_one_is_not_taken_for_it() {
    use pf_formats::{Header, Meta, Totals, TraceWriter};
    let mut other = TraceWriter::create(Vec::new(), &Header::new([9; 16], 0), &Meta::default()).unwrap();
    for i in 0..500 {
        other.push(&common::event(i)).unwrap();
        other.flush_block().unwrap();
    }
    let other = other.finish(Totals::default()).unwrap();
    let whole = small_trace();
    let cut = frames(&whole)[5].0;
    let (items, summary) = read(&[&whole[..cut], &other].concat());
    assert_eq!(blocks(&items), small_blocks()[..1]);
    assert_eq!(summary.damages, 1);
}

#[test]
fn a_writer_that_is_dropped_leaves_a_readable_trace() {
    let mut writer = common::writer();
    for i in 0..20 {
        writer.push(&common::event(i)).unwrap();
    }
    writer.flush_block().unwrap();
    writer.push(&common::event(20)).unwrap();
    let bytes = std::mem::take(writer.get_mut());
    drop(writer);
    let (items, summary) = read(&bytes);
    assert_eq!(blocks(&items), small_blocks()[..1]);
    assert_eq!((summary.finished, summary.damages), (false, 0));
}
