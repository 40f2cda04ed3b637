//! `timeline`: intervals and stalls are parts of the time that was asked for, and of the wait in it.

use crate::histories::{History, Plan, class, common, end, plans, wait_within};
use crate::support::ask::read;
use pfanalyze::request::options::StallThreshold;
use pfanalyze::request::options::TimelineOptions;
use pfanalyze::trace::class::Class;
use pfanalyze::trace::session::Session;
use pfanalyze::verbs::threads::Threads;
use pfanalyze::verbs::timeline::pass1::Pass1;
use pfanalyze::verbs::timeline::text::{Found, TimelineAnswer};
use pfanalyze::verbs::timeline::{found_by, sweep_after};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// All three looks.
fn look(
    bytes: &[u8],
    history: &History,
    plan: &Plan,
    least: StallThreshold,
    interval_ns: u64,
) -> (Found, Session) {
    let filter = history.filter(plan);
    let options = TimelineOptions {
        interval_ns: Some(interval_ns),
        least,
        stalls: 100_000,
        part: None,
    };
    let mut first = Pass1::keeping(1 + plan.block);
    let session = read(bytes, &filter, &mut [&mut first]);
    let mut sweep = sweep_after(first, &filter, options, &session).unwrap();
    let session = read(bytes, &filter, &mut [&mut sweep]);
    let (mut found, insides) = found_by(sweep, options);
    if let Some(mut insides) = insides {
        read(bytes, &filter, &mut [&mut insides]);
        found.stalls = insides.finish();
    }
    (found, session)
}

proptest! {
    #[test]
    fn intervals_and_stalls_sum_up_to_what_lies_in_the_time_that_was_asked_for(plan in plans(), least in 1u32..4) {
        let history = History::of(&plan);
        let bytes = history.trace(plan.block);
        let (passing, window) = (history.passing(&plan), history.window(&plan));
        let length_ns = window.1 - window.0;
        let threads: BTreeSet<u32> = passing.iter().map(|event| event.tid).collect();
        let mut before: Option<(u64, u64, u64)> = None;
        for intervals in [1, 7, 90] {
            let (found, session) =
                look(&bytes, &history, &plan, StallThreshold::Threads(least), (length_ns / intervals).max(1));
            let sum = |of: fn(&pfanalyze::verbs::timeline::intervals::Interval) -> u64| -> u64 {
                found.intervals.iter().map(of).sum()
            };
            // As many and as long as the faults themselves, and as another verb says.
            let mut verb = Threads::default();
            read(&bytes, &history.filter(&plan), &mut [&mut verb]);
            for (index, of) in Class::ALL.into_iter().enumerate() {
                let counted: u64 = found.intervals.iter().map(|interval| interval.counts[index]).sum();
                prop_assert_eq!(counted, passing.iter().filter(|event| class(event) == of).count() as u64);
                prop_assert_eq!(counted, verb.classes().of(of).count());
            }
            prop_assert_eq!(sum(|interval| interval.wait_ns), wait_within(&passing, window));
            let longest = found.intervals.iter().map(|interval| interval.max_ns).max();
            prop_assert_eq!(longest.unwrap_or(0), verb.classes().all().max());
            for interval in &found.intervals {
                let within = (interval.begin_ns, interval.end_ns);
                prop_assert_eq!(interval.wait_ns, wait_within(&passing, within));
                prop_assert!(interval.stalled_ns <= interval.end_ns - interval.begin_ns);
                prop_assert!(interval.threads <= threads.len() as u64);
            }
            // Stalls lie in the window, and make up what the intervals say of them.
            let lengths: u64 = found.stalls.iter().map(|(stall, _)| stall.length_ns()).sum();
            prop_assert_eq!(found.stalls.len() as u64, found.stall_count);
            prop_assert_eq!(lengths, found.stalled_ns);
            prop_assert_eq!(sum(|interval| interval.stalled_ns), found.stalled_ns);
            prop_assert!(found.stalled_ns <= length_ns, "{} of {length_ns}", found.stalled_ns);
            prop_assert!(found.stall_wait_ns <= wait_within(&passing, window));
            for (stall, inside) in &found.stalls {
                prop_assert!(window.0 <= stall.begin_ns && stall.end_ns <= window.1, "{stall:?} {window:?}");
                prop_assert!(stall.peak >= least && stall.peak as usize <= threads.len());
                prop_assert!(stall.wait_ns <= stall.length_ns() * u64::from(stall.peak));
                let waits: u64 = inside.places.values().map(|place| place.wait_ns).sum();
                prop_assert_eq!(waits, wait_within(&passing, (stall.begin_ns, stall.end_ns)));
                let waiters: u64 = inside.waiters.values().map(|waiter| waiter.wait_ns).sum();
                prop_assert_eq!(waits, waiters);
            }
            prop_assert_eq!(found.late, 0);
            // However fine the intervals are.
            let now = (found.stall_count, found.stalled_ns, found.stall_wait_ns);
            prop_assert_eq!(before.replace(now).unwrap_or(now), now);
            let filter = history.filter(&plan);
            let answer = TimelineAnswer { found: &found, session: &session, filter: &filter, part: None };
            let words = answer.describe_stalls();
            if let Some((share, _)) = words.split_once(" % of the time)") {
                let share: f64 = share.rsplit_once('(').unwrap().1.parse().unwrap();
                prop_assert!(share <= 100.0, "{words}");
            }
        }
    }

    #[test]
    fn with_one_thread_as_a_stall_the_stalls_are_all_the_time_in_which_anybody_waited(plan in plans()) {
        let history = History::of(&plan);
        let (passing, window) = (history.passing(&plan), history.window(&plan));
        let bytes = history.trace(plan.block);
        let (found, _) = look(&bytes, &history, &plan, StallThreshold::Threads(1), (window.1 - window.0).max(1));
        let mut spans: Vec<(u64, u64)> = passing
            .iter()
            .map(|event| (event.ts_ns.max(window.0), end(event).min(window.1)))
            .collect();
        spans.sort_unstable();
        let (mut covered, mut until) = (0, 0);
        for span in spans {
            covered += common(span, (until, u64::MAX));
            until = until.max(span.1);
        }
        prop_assert_eq!(found.stalled_ns, covered);
    }
}
