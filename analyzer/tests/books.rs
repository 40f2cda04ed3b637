//! What a session adds up while a trace streams by: lifetimes and the books of the end record.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use pf_formats::TraceReader;
use pfanalyze::filter::Filter;
use pfanalyze::notice;
use pfanalyze::scan::scan;
use pfanalyze::session::Session;
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
    let warnings = notice::warnings(&read(&bytes)).join("\n");
    assert!(
        warnings.contains("the end record counts 7 events more that are not there"),
        "{warnings}"
    );
}
