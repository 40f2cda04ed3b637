//! Blocks that a filter skips cost no row, and what is counted of all faults stays the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use pf_formats::{Event, TraceReader, TraceWriter};
use pfanalyze::engine::filter::Filter;
use pfanalyze::engine::scan::scan;
use pfanalyze::output::render::Format;
use pfanalyze::trace::class::Class;
use pfanalyze::trace::session::Session;
use pfanalyze::verbs::events::Events;
use support::{MS, dicts, events, header, heap_fault, meta, totals};

/// A major fault, minor ones, and a failed one, some in the order of their end and not of their beginning.
fn faults() -> Vec<Event> {
    let failed = Event {
        failed: true,
        ..heap_fault(3, 20, 9)
    };
    let other = Event {
        pid: 7,
        tid: 8,
        ..heap_fault(40, 70_000, 2)
    };
    [events(), vec![failed, other]].concat()
}

/// The faults in blocks of so many.
fn in_blocks_of(count: usize) -> Vec<u8> {
    let all = faults();
    let mut writer = TraceWriter::create(Vec::new(), &header(), &meta()).unwrap();
    for dict in dicts() {
        writer.dict(&dict).unwrap();
    }
    for block in all.chunks(count) {
        for event in block {
            writer.push(event).unwrap();
        }
        writer.flush_block().unwrap();
    }
    writer.finish(totals(&all)).unwrap()
}

/// The rows that pass, sorted: within a block they are ordered by thread.
fn rows(bytes: &[u8], filter: &Filter) -> (Vec<String>, Session) {
    let mut out = Vec::new();
    let mut rows = Events::new(Format::Json, &mut out);
    let reader = TraceReader::new(bytes).unwrap();
    let session = scan(reader, filter, &mut [&mut rows], &mut |_| {}).unwrap();
    rows.finish(&session).unwrap();
    let text = String::from_utf8(out).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    (lines, session)
}

fn filters() -> Vec<Filter> {
    let base = Filter::default;
    let mut filters = vec![base()];
    for at in [0, 1, 20 * MS, 30 * MS, 40 * MS, 41 * MS, u64::MAX] {
        filters.push(Filter {
            from_ns: Some(at),
            ..base()
        });
        filters.push(Filter {
            to_ns: Some(at),
            ..base()
        });
    }
    let latencies = faults().into_iter().map(|fault| fault.latency_ns);
    for latency in latencies.flat_map(|latency| [latency - 1, latency, latency + 1]) {
        filters.push(Filter {
            min_latency_ns: Some(latency),
            ..base()
        });
        filters.push(Filter {
            max_latency_ns: Some(latency),
            ..base()
        });
    }
    for class in Class::ALL {
        filters.push(Filter {
            class: Some(class),
            ..base()
        });
    }
    for id in [7, 8, 100, 101, 999] {
        filters.push(Filter {
            pids: vec![id],
            ..base()
        });
        filters.push(Filter {
            tids: vec![id, 1],
            ..base()
        });
    }
    filters
}

#[test]
fn a_filter_passes_the_same_rows_however_they_are_spread_over_blocks() {
    let whole = in_blocks_of(100);
    for filter in filters() {
        let (expected, all) = rows(&whole, &filter);
        for count in [1, 2, 3] {
            let (got, session) = rows(&in_blocks_of(count), &filter);
            assert_eq!(got, expected, "{count} a block, {filter:?}");
            assert_eq!(session.passed, expected.len() as u64);
            assert_eq!(session.events, faults().len() as u64);
            for class in Class::ALL {
                assert_eq!(session.of_class(class), all.of_class(class), "{class:?}");
            }
            assert_eq!(session.end_ns(), all.end_ns());
        }
    }
}

#[test]
fn without_its_first_record_a_trace_begins_with_its_first_block_for_filters_too() {
    // Its checksum is wrong, so the start of the recording is lost.
    let lose_meta = |mut bytes: Vec<u8>| {
        bytes[64 + 40] ^= 1;
        bytes
    };
    let whole = lose_meta(in_blocks_of(1));
    assert!(rows(&whole, &Filter::default()).1.meta.is_none());
    let first_ns = faults()[0].ts_ns;
    for at in [0, 1, 5 * MS, 20 * MS, 39 * MS] {
        let late = Filter {
            from_ns: Some(at),
            ..Filter::default()
        };
        let early = Filter {
            to_ns: Some(at),
            ..Filter::default()
        };
        let expected = faults()
            .iter()
            .filter(|fault| at == 0 || fault.ts_ns >= first_ns + at)
            .count();
        assert_eq!(rows(&whole, &late).0.len(), expected, "from {at}");
        let expected = faults()
            .iter()
            .filter(|fault| fault.ts_ns < first_ns + at)
            .count();
        assert_eq!(rows(&whole, &early).0.len(), expected, "to {at}");
    }
}
