//! The report and its sentences: shares of the time that was asked for, and sums that other verbs tell, too.

use crate::histories::{History, PID, class, end, plans, wait_within};
use crate::support::START_NS;
use crate::support::ask::{read, report};
use pf_formats::Event;
use pfanalyze::output::table::Value;
use pfanalyze::trace::class::Class;
use pfanalyze::verbs::files::Files;
use pfanalyze::verbs::report::file_sums::FileSums;
use pfanalyze::verbs::report::places::Places;
use pfanalyze::verbs::report::read_again::ReadAgain;
use pfanalyze::verbs::report::waits_over_time::WaitsOverTime;
use pfanalyze::verbs::threads::Threads;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Every share in a text, in percent.
fn shares(text: &str) -> Vec<f64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let pairs = words.windows(2).filter(|pair| pair[1].starts_with('%'));
    let numbers = pairs.filter_map(|pair| pair[0].trim_start_matches('(').parse().ok());
    numbers.collect()
}

fn total_of(sums: &FileSums, session: &pfanalyze::trace::session::Session) -> (u64, u64) {
    let facts = sums.facts(&BTreeMap::new(), session);
    (
        facts.iter().map(|file| file.majors).sum(),
        facts.iter().map(|file| file.wait_ns).sum(),
    )
}

proptest! {
    #[test]
    fn waits_and_lives_are_those_in_the_time_that_was_asked_for(plan in plans(), cut in 0u64..=100) {
        let history = History::of(&plan);
        let (filter, window) = (history.filter(&plan), history.window(&plan));
        let mut threads = Threads::default();
        threads.within(&filter);
        let session = read(&history.trace(plan.block), &filter, &mut [&mut threads]);
        let passing = history.passing(&plan);
        prop_assert_eq!(filter.window_ns(&session), window);
        for thread in threads.sorted() {
            let own = |event: &&Event| event.tid == thread.tid;
            let own: Vec<Event> = passing.iter().filter(own).copied().collect();
            prop_assert_eq!(thread.wait_within_ns(), wait_within(&own, window));
        }
        let middle = window.0 + (window.1 - window.0) * cut / 100;
        for tid in PID..PID + plan.numbers {
            let lived = |within| session.lived_within_ns(PID, tid, within);
            prop_assert_eq!(lived(window), history.lived_within(tid, window));
            prop_assert_eq!(lived((window.0, middle)) + lived((middle, window.1)), lived(window));
            prop_assert_eq!(lived((0, u64::MAX)), session.lived_ns(PID, tid));
        }
    }

    #[test]
    fn a_burst_has_the_wait_that_lies_in_it_and_half_of_all_in_the_window(plan in plans()) {
        let history = History::of(&plan);
        let (filter, window) = (history.filter(&plan), history.window(&plan));
        let mut waits = WaitsOverTime::default();
        waits.within(&filter);
        read(&history.trace(plan.block), &filter, &mut [&mut waits]);
        let passing = history.passing(&plan);
        let all = wait_within(&passing, window);
        let burst = waits.burst(window);
        prop_assert_eq!(burst.is_some(), all > 0);
        if let Some(burst) = burst {
            let within = (START_NS + burst.from_ns, START_NS + burst.to_ns);
            prop_assert!(window.0 <= within.0 && within.1 <= window.1, "{burst:?} {window:?}");
            prop_assert_eq!(burst.wait_ns, wait_within(&passing, (within.0, within.1.min(window.1))));
            prop_assert!(burst.wait_ns * 2 >= all && burst.wait_ns <= all);
        }
    }

    #[test]
    fn no_share_is_more_than_all_and_tables_add_up_to_the_same(plan in plans()) {
        let history = History::of(&plan);
        let bytes = history.trace(plan.block);
        let filter = history.filter(&plan);
        let text = report(&bytes, &filter);
        let told = shares(&text);
        prop_assert!(told.iter().all(|share| (0.0..=100.0).contains(share)), "{told:?} {text}");
        let (mut threads, mut files, mut places) = (Threads::default(), Files::default(), Places::default());
        let mut again = ReadAgain::default();
        let session = read(&bytes, &filter, &mut [&mut threads, &mut files, &mut places, &mut again]);
        let passing = history.passing(&plan);
        let classes = threads.classes();
        prop_assert_eq!(&classes, &files.classes());
        let reread: u64 = again.by_label(&session).values().sum();
        let table = files.table(&session);
        let bytes_of = |row: &Vec<_>| match row[table.column("reread_bytes").unwrap()] {
            Value::Bytes(bytes) => bytes,
            _ => 0,
        };
        prop_assert_eq!(reread * session.page_size(), table.rows.iter().map(bytes_of).sum::<u64>());
        prop_assert_eq!(total_of(&places.files, &session), (classes.major.count(), classes.wait_ns()));
        for of in Class::ALL {
            let own: Vec<&Event> = passing.iter().filter(|event| class(event) == of).collect();
            prop_assert_eq!(classes.of(of).count(), own.len() as u64);
            prop_assert_eq!(classes.of(of).sum(), own.iter().map(|event| end(event) - event.ts_ns).sum::<u64>());
        }
        prop_assert_eq!(session.passed, passing.len() as u64);
    }
}
