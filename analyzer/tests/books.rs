//! What a session adds up while a trace streams by: lifetimes and the books of the end record.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use pf_formats::TraceReader;
use pfanalyze::engine::filter::Filter;
use pfanalyze::engine::scan::scan;
use pfanalyze::integrity::warnings;
use pfanalyze::trace::session::Session;
use support::{MS, START_NS, events, meta};

fn read(bytes: &[u8]) -> Session {
    let reader = TraceReader::new(bytes).unwrap();
    scan(reader, &Filter::default(), &mut [], &mut |_| {}).unwrap()
}

#[test]
fn a_tid_that_comes_again_keeps_the_time_of_its_first_thread() {
    use pf_formats::{Happening, TimelineEntry};
    let entry = |at_ms, what| TimelineEntry {
        ts_ns: START_NS + at_ms * MS,
        pid: 100,
        tid: 101,
        what,
    };
    let fork = Happening::Fork {
        parent_pid: 100,
        parent_tid: 100,
    };
    let exit = Happening::Exit {
        maj_flt: 0,
        min_flt: 0,
        counters_known: false,
    };
    let mut writer = pf_formats::TraceWriter::create(Vec::new(), &support::header(), &meta()).unwrap();
    for entries in [
        [entry(10, fork.clone()), entry(40, exit.clone())],
        [entry(60, fork), entry(80, exit)],
    ] {
        writer.timeline(&entries).unwrap();
    }
    let bytes = writer.finish(support::totals(&[])).unwrap();
    let session = read(&bytes);
    assert_eq!(session.lived_ns(100, 101), 50 * MS);
    assert_eq!(session.lived_ns(100, 100), 100 * MS);
}

#[test]
fn events_that_the_end_record_counts_and_nobody_finds_are_named() {
    let writer = pf_formats::TraceWriter::create(Vec::new(), &support::header(), &meta()).unwrap();
    let bytes = writer.finish(support::totals(&events())).unwrap();
    let warnings = warnings::warnings(&read(&bytes)).join("\n");
    assert!(
        warnings.contains("the end record counts 7 events more that are not there"),
        "{warnings}"
    );
}

#[test]
fn events_that_the_end_record_does_not_count_are_named() {
    let mut totals = support::totals(&events());
    totals.events -= 2;
    let writer = support::writer(&meta(), &support::dicts(), &events(), &[]);
    let warnings = warnings::warnings(&read(&writer.finish(totals).unwrap())).join("\n");
    assert_eq!(
        warnings,
        "damaged: the end record counts 2 events fewer than are there"
    );
}

/// The small trace, whose end record says that a filter left some faults out.
fn filtered(filters: &[&str], left_out: u64) -> Vec<u8> {
    let meta = pf_formats::Meta {
        filters: filters.iter().map(|&filter| filter.to_owned()).collect(),
        ..meta()
    };
    let writer = support::writer(&meta, &support::dicts(), &events(), &[]);
    let mut totals = support::totals(&events());
    let books = totals.accounting.as_mut().unwrap();
    books.kernel_minors += left_out + 2;
    books.filtered = left_out;
    books.hidden = 2;
    writer.finish(totals).unwrap()
}

#[test]
fn what_filters_left_out_is_in_the_books_by_the_name_of_the_filters() {
    let bytes = filtered(&["--major-only", "--uid 1000"], 5_000);
    let shown = support::ask::flat_report(&bytes);
    let check = "check kernel counted 5,009 faults = 7 recorded + 0 lost + 2 hidden + 5,000 filtered (--major-only; \
                 --uid 1000): balanced wait";
    assert!(shown.contains(check), "{shown}");
    assert!(
        shown.contains(" filters --major-only; --uid 1000 not seen "),
        "{shown}"
    );
    let info = support::ask::info_json(&bytes);
    assert_eq!((&info["filtered"], &info["recorded"]), (&5_000.into(), &7.into()));
    assert!(support::ask::info_text(&bytes).contains("5,000 filtered (--major-only; --uid 1000): balanced"));
    // A filter that nothing met is still told.
    let shown = support::ask::flat_report(&filtered(&["--major-only"], 0));
    assert!(
        shown.contains("+ 2 hidden + 0 filtered (--major-only): balanced"),
        "{shown}"
    );
}

#[test]
fn without_filters_nothing_tells_of_them() {
    let shown = support::ask::flat_report(&support::small());
    assert!(!shown.contains("filter"), "{shown}");
}

#[test]
fn books_that_do_not_balance_say_by_how_much() {
    let writer = support::writer(&meta(), &support::dicts(), &events(), &[]);
    let mut totals = support::totals(&events());
    let books = totals.accounting.as_mut().unwrap();
    books.kernel_minors += 10;
    books.filtered = 4;
    let session = read(&writer.finish(totals).unwrap());
    let check = warnings::reconciliation(&session);
    assert!(
        check.ends_with("+ 0 hidden + 4 filtered: 6 unexplained"),
        "{check}"
    );
}
