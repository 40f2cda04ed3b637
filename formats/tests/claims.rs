//! What META, and the accounting of the end record, claim of a recording, held against the rest of the trace; and what
//! stacks are made of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::long::{END_NS, START_NS, long_of, long_with, losses, repaired, totals, verified};
use common::{meta, queries};
use pf_formats::{
    Accounting, Check, Claimant, Dict, Frame, FrameId, Host, Loss, LossReason, Meta, ObjectId, Query,
    StackId, StackNode, Totals, Verification,
};

fn what(found: &Verification, by: Claimant) -> Vec<&'static str> {
    let claims = found.contradictions.iter().filter(|claim| claim.by == by);
    claims.map(|claim| claim.what).collect()
}

fn books(change: impl FnOnce(&mut Accounting, &mut Check)) -> Totals {
    let mut totals = totals();
    let mut check = Check::default();
    change(totals.accounting.as_mut().unwrap(), &mut check);
    totals.check = Some(check);
    totals
}

#[test]
fn a_start_behind_the_first_fault_query_or_loss_is_found_out() {
    let at = |start_ns| Meta { start_ns, ..meta() };
    let late_query = || {
        vec![Query {
            begin_ns: 990,
            end_ns: 999,
            ..queries()[0].clone()
        }]
    };
    let late_loss = || {
        losses()
            .into_iter()
            .map(|loss| Loss { from_ns: 900, ..loss })
            .collect::<Vec<_>>()
    };
    let [fault, query, loss] = ["entry of a fault", "query", "loss"]
        .map(|first| format!("start, nanoseconds on the clock, and the first {first}"));
    for (meta, losses, queries, expected) in [
        (at(1_000_001), losses(), queries(), vec![&fault, &loss]),
        (meta(), losses(), late_query(), vec![&query]),
        (meta(), late_loss(), queries(), vec![&loss]),
    ] {
        let trace = long_of(&meta, &losses, &queries, totals());
        let found = verified(&trace);
        assert_eq!(what(&found, Claimant::Meta), expected, "{found:?}");
        assert_eq!(what(&found, Claimant::EndRecord), [""; 0]);
        // Nothing that a copy could mend: it says the same.
        assert!(!found.is_undamaged() && !found.can_be_repaired());
        let (_, _, proof) = repaired(&trace);
        assert_eq!(proof.contradictions, found.contradictions);
    }
}

#[test]
fn what_reaches_beyond_the_recording_by_its_nature_is_no_contradiction() {
    let before = Query {
        begin_ns: 5,
        end_ns: 2000,
        begun_before: true,
        ..queries()[0].clone()
    };
    let of = |reason, from_ns| Loss {
        from_ns,
        to_ns: END_NS + 9,
        reason,
        count: 3,
        cpu: None,
    };
    // Mappings were read before the probes were on, and are told of after they are off.
    let sideband = [of(LossReason::Sideband, 3), of(LossReason::Sideband, END_NS + 5)];
    let others = [
        of(LossReason::Reserve, START_NS),
        of(LossReason::InFlight, END_NS),
    ];
    let losses: Vec<Loss> = sideband.into_iter().chain(others).collect();
    let found = verified(&long_of(&meta(), &losses, &[before], totals()));
    assert_eq!(found.contradictions, []);
    // A record that took the place of a lost one does not know the start.
    let unknown = Meta {
        host: Host::default(),
        start_ns: END_NS,
        ..meta()
    };
    let found = verified(&long_of(&unknown, &losses, &queries(), totals()));
    assert_eq!(found.contradictions, []);
}

#[test]
fn an_end_before_the_last_query_or_loss_is_found_out_and_repaired() {
    let long = Query {
        end_ns: END_NS + 1,
        ..queries()[0].clone()
    };
    let late = Loss {
        from_ns: END_NS + 1,
        to_ns: END_NS + 2,
        ..losses()[0].clone()
    };
    for (losses, queries, last) in [(losses(), vec![long], "query"), (vec![late], queries(), "loss")] {
        let trace = long_of(&meta(), &losses, &queries, totals());
        let found = verified(&trace);
        let expected = format!("end, nanoseconds on the clock, and the last {last}");
        assert_eq!(what(&found, Claimant::EndRecord), [expected.as_str()]);
        assert!(found.can_be_repaired());
        let (repair, _, proof) = repaired(&trace);
        assert_eq!(
            (proof.contradictions.len(), repair.totals.end_ns > END_NS),
            (0, true)
        );
    }
}

#[test]
fn a_recording_of_everything_leaves_no_fault_out() {
    let left_out = || {
        books(|books, _| {
            (books.filtered, books.hidden) = (books.hidden, 0);
        })
    };
    let with = |meta: &Meta| long_of(meta, &losses(), &queries(), left_out());
    let trace = with(&meta());
    let found = verified(&trace);
    assert_eq!(
        what(&found, Claimant::EndRecord),
        ["faults left out of a recording of everything"]
    );
    let (repair, _, _) = repaired(&trace);
    assert!(repair.totals.accounting.is_none() && repair.books_dropped.is_some());
    // A task that leaves the cgroup and comes back has faults that are not asked for.
    let filters = vec!["threads named x".to_owned()];
    let target = "cgroup /a".to_owned();
    for honest in [
        Meta { sample: 10, ..meta() },
        Meta { filters, ..meta() },
        Meta { target, ..meta() },
    ] {
        assert_eq!(verified(&with(&honest)).contradictions, [], "{honest:?}");
    }
}

#[test]
fn the_independent_count_is_between_what_was_recorded_and_all_that_is_accounted_for() {
    const WHAT: &str = "page faults counted apart from the probes";
    let honest = totals().accounting.unwrap();
    let told = verified(&long_with(totals())).counts.told_by_events;
    assert!((1..honest.recorded).contains(&told));
    // Rows of get_user_pages are recorded and are no events; what is hidden is neither.
    let most = honest.recorded + honest.lost;
    let with = |events, uncertain| {
        long_with(books(|_, check| {
            (check.events, check.uncertain) = (Some(events), uncertain);
        }))
    };
    for (events, uncertain) in [(told, 0), (most, 0), (told - 5, 5), (most + 5, 5), (0, u64::MAX)] {
        let found = verified(&with(events, uncertain));
        assert_eq!(found.contradictions, [], "{events} to within {uncertain}");
    }
    for (events, uncertain) in [(0, 0), (told - 1, 0), (most + 1, 0), (most + 6, 5), (u64::MAX, 5)] {
        let trace = with(events, uncertain);
        let found = verified(&trace);
        assert_eq!(
            what(&found, Claimant::EndRecord),
            [WHAT],
            "{events} to within {uncertain}"
        );
        let (repair, _, _) = repaired(&trace);
        assert!(repair.totals.accounting.is_none() && repair.books_dropped.is_some());
    }
    // A recording whose counts disagree has told so, and which of them is wrong nobody knows.
    let alarming = books(|_, check| {
        (check.events, check.ends_missing) = (Some(0), 1);
    });
    assert_eq!(verified(&long_with(alarming)).contradictions, []);
}

#[test]
fn frames_and_their_files_that_are_nowhere_are_found_out() {
    let trace = |object: u32, frame: u32| {
        let mut writer = common::writer();
        let frames = Dict::Frames {
            first_id: 1,
            entries: vec![Frame {
                object: ObjectId(object),
                offset: 1,
            }],
        };
        let node = StackNode {
            parent: StackId(0),
            frame: FrameId(frame),
            truncated: 0,
        };
        let stacks = Dict::Stacks {
            first_id: 1,
            entries: vec![node],
        };
        // The order of the records does not matter.
        for dict in [stacks, frames, common::objects()] {
            writer.dict(&dict).unwrap();
        }
        writer
            .finish(Totals {
                end_ns: END_NS,
                ..Totals::default()
            })
            .unwrap()
    };
    for (object, frame, expected) in [
        (1, 1, (0, 0)),
        (0, 1, (0, 0)),
        (2, 1, (0, 1)),
        (1, 2, (1, 0)),
        (9, 9, (1, 1)),
    ] {
        let (_, _, proof) = repaired(&trace(object, frame));
        for found in [verified(&trace(object, frame)), proof] {
            let undefined = found.undefined;
            assert_eq!(
                (undefined.frames, undefined.frame_objects),
                expected,
                "{object} {frame}"
            );
            assert_eq!(undefined.is_none(), expected == (0, 0));
            assert!(found.is_undamaged());
        }
    }
}
