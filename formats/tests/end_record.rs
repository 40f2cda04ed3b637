//! What the end record of a trace claims, held against the trace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::long::{
    BLOCKS, PER_BLOCK, START_NS, frame_of_block, long_trace, long_with, repaired, totals, verified,
};
use common::raw::{frame, frames};
use pf_formats::Totals;

#[test]
fn an_end_record_that_lies_is_found_out() {
    let mut writer = common::writer();
    writer.push(&common::event(1)).unwrap();
    let mut lying = totals();
    (lying.events, lying.majors, lying.minors, lying.failed) = (1, 1, 0, 0);
    (lying.lost, lying.accounting) = (0, None);
    let trace = writer.finish(lying).unwrap();
    let found = verified(&trace);
    let what: Vec<_> = found.contradictions.iter().map(|claim| claim.what).collect();
    assert_eq!(what, ["major faults", "minor faults"]);
    assert!(!found.is_undamaged());
    let (repair, _, proof) = repaired(&trace);
    assert_eq!((proof.contradictions.len(), repair.totals.minors), (0, 1));
}

#[test]
fn what_the_end_record_claims_of_the_recording_is_compared_too() {
    let accounting = |change: fn(&mut pf_formats::Accounting)| {
        let mut totals = totals();
        change(totals.accounting.as_mut().unwrap());
        totals
    };
    let honest = long_with(totals());
    let found = verified(&honest);
    assert_eq!((found.contradictions, found.damage.count), (vec![], 0));
    let early = START_NS - 1;
    let lies = [
        ("events known to be lost", Totals { lost: 0, ..totals() }),
        (
            "nanoseconds on the clock at the end",
            Totals {
                end_ns: early,
                ..totals()
            },
        ),
        (
            "recorded faults in the accounting",
            accounting(|books| books.recorded -= 1),
        ),
        (
            "faults counted by the kernel",
            accounting(|books| books.hidden += 1),
        ),
        (
            "faults counted by the kernel",
            accounting(|books| books.hidden = u64::MAX),
        ),
    ];
    for (what, lie) in lies {
        let trace = long_with(lie);
        let found = verified(&trace);
        assert!(
            found.contradictions.iter().any(|claim| claim.what == what),
            "{what}: {:?}",
            found.contradictions
        );
        assert!(!found.is_undamaged(), "{what}");
        let (_, _, proof) = repaired(&trace);
        assert_eq!(proof.contradictions, [], "{what}");
    }
    // A recording that counts itself what does not add up has told so.
    let mut told = accounting(|books| books.hidden += 1);
    told.check = Some(pf_formats::Check {
        unexplained: 1,
        ..Default::default()
    });
    assert_eq!(verified(&long_with(told)).contradictions, []);
}

#[test]
fn the_first_end_record_counts_and_nothing_belongs_behind_it() {
    let trace = long_trace();
    let all = frames(&trace);
    let ((block, _), (footer, len)) = (all[frame_of_block(3)], all[21]);
    let again = |at: usize, sequence| {
        let (_, len) = *all.iter().find(|(start, _)| *start == at).unwrap();
        let events = u32::from_le_bytes(trace[at + 12..at + 16].try_into().unwrap());
        frame(
            trace[at + 4],
            trace[at + 5],
            events,
            sequence,
            &trace[at + 32..at + len],
        )
    };
    let mut longer = trace[..footer + len].to_vec();
    longer.extend(again(block, 22));
    longer.extend(again(footer, 23));
    let found = verified(&longer);
    let what: Vec<_> = found.contradictions.iter().map(|claim| claim.what).collect();
    assert!(what.contains(&"end records"), "{found:?}");
    assert!(what.contains(&"events before the end record"), "{found:?}");
    let (_, _, proof) = repaired(&longer);
    assert_eq!(proof.counts.events, (BLOCKS + 1) * PER_BLOCK);
}

#[test]
fn an_accounting_loses_no_more_than_all_and_hides_no_more_than_is_hidden() {
    let with = |change: fn(&mut Totals)| {
        let mut lying = totals();
        change(&mut lying);
        long_with(lying)
    };
    let more_lost = with(|totals| {
        let books = totals.accounting.as_mut().unwrap();
        (books.lost, books.kernel_minors) = (books.lost + 900, books.kernel_minors + 900);
    });
    let more_hidden = with(|totals| totals.hidden_majors = Some(11));
    for (trace, what) in [
        (more_lost, "lost faults in the accounting"),
        (more_hidden, "major faults among the hidden ones"),
    ] {
        let found = verified(&trace).contradictions;
        assert!(found.len() == 1 && found[0].what == what, "{found:?}");
        repaired(&trace);
    }
}
