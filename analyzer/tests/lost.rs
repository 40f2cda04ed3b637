//! Losses are told first, the worst interval first, whatever the reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use pf_formats::{Event, Happening, Loss, LossReason, TimelineEntry};
use pfanalyze::engine::filter::Filter;
use pfanalyze::integrity::losses;
use support::ask::{flat_report, info_json, info_text, report, session};
use support::{MS, START_NS, dicts, events, file_fault, header, meta, totals, trace};

fn loss(reason: LossReason, from_ms: u64, to_ms: u64, count: u64) -> Loss {
    Loss {
        from_ns: START_NS + from_ms * MS,
        to_ns: START_NS + to_ms * MS,
        cpu: None,
        reason,
        count,
    }
}

fn with(losses: &[Loss]) -> Vec<u8> {
    trace(&meta(), &dicts(), &events(), losses)
}

fn first_lines(losses: &[Loss]) -> Vec<String> {
    let shown = report(&with(losses), &Filter::default());
    let first = shown.lines().take_while(|line| line.starts_with("! "));
    first.map(str::to_owned).collect()
}

#[test]
fn the_worst_interval_comes_first_and_neighbours_are_one() {
    let losses = [
        loss(LossReason::Reserve, 0, 50, 3),
        loss(LossReason::Queue, 300, 420, 7),
        loss(LossReason::Reserve, 50, 100, 4),
        loss(LossReason::Reserve, 500, 700, 1_000),
    ];
    assert_eq!(
        first_lines(&losses),
        [
            "! lost: 1,000 faults between 0.50 s and 0.70 s (the kernel's ring buffer was full: a larger pfrec --buffer-size helps), of 1,014 in 3 \
             intervals; counts and waits are too low there",
            "! lost: 7 faults between 0.00 s and 0.10 s (the kernel's ring buffer was full: a larger pfrec --buffer-size helps)",
            "! lost: 7 faults between 0.30 s and 0.42 s (the recorder could not keep up, as with a slow disk)",
        ]
    );
}

#[test]
fn every_reason_has_its_words_and_its_interval() {
    for reason in LossReason::ALL {
        let shown = flat_report(&with(&[loss(reason, 100, 300, 12)]));
        let interval = "between 0.10 s and 0.30 s";
        match reason {
            LossReason::Unfinished => {
                assert!(
                    shown.contains("note 12 faults began and did not complete"),
                    "{shown}"
                );
                assert!(shown.contains(interval), "{shown}");
            }
            LossReason::Recursion => {
                assert!(shown.contains("note the kernel skipped 12 probe runs"), "{shown}");
                assert!(shown.contains(interval), "{shown}");
            }
            LossReason::InFlight => {
                assert!(shown.contains("note 12 faults were still open when"), "{shown}");
            }
            _ => {
                let first = shown.split(" recorded mmap-workload").next().unwrap();
                assert!(first.starts_with("! lost: 12 "), "{reason:?}: {first}");
                assert!(first.contains(interval), "{reason:?}: {first}");
                assert!(first.contains(losses::describe_reason(reason)), "{first}");
                // Only what costs a fault makes counts wrong.
                assert_eq!(
                    first.contains("counts and waits are too low"),
                    reason.costs_events()
                );
            }
        }
    }
}

#[test]
fn lost_faults_come_before_lost_stacks_however_many() {
    let losses = [
        loss(LossReason::Stack, 0, 200, 1_000_000),
        loss(LossReason::Exits, 0, 200, 1),
        loss(LossReason::Sideband, 0, 200, 1),
        loss(LossReason::NoEntry, 0, 200, 1),
    ];
    let lines = first_lines(&losses);
    let starts = [
        "! lost: 1 fault ",
        "! lost: 1 record of map",
        "! lost: 1 end of a thread ",
        "! lost: 1,000,000 stacks ",
    ];
    assert_eq!(lines.len(), starts.len());
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
}

#[test]
fn many_intervals_are_summed_up_and_listed_by_info() {
    let losses: Vec<Loss> = (0..9)
        .map(|i| loss(LossReason::Reserve, i * 10, i * 10 + 5, 1 + i))
        .collect();
    let lines = first_lines(&losses);
    assert_eq!(lines.len(), 6);
    assert!(
        lines[0].starts_with("! lost: 9 faults between 0.080000 s and 0.085000 s"),
        "{}",
        lines[0]
    );
    assert_eq!(
        lines[5],
        "! lost: 10 faults in 4 more intervals: pfanalyze info t.pfz"
    );
    let info = info_json(&with(&losses));
    let listed = info["losses"].as_array().unwrap();
    assert_eq!((listed.len(), &info["lost"]), (9, &45.into()));
    assert_eq!(
        (&listed[0]["count"], &listed[0]["from_s"]),
        (&9.into(), &0.08.into())
    );
    assert!(info_text(&with(&losses)).contains("9 between 0.080000 s and 0.085000 s (the kernel's ring"));
}

/// A trace in which thread 101 lived from 5 to 95 ms and had four faults of its own count, of which `events` has some.
fn with_a_life(kernel_count: u64, events: &[Event], losses: &[Loss]) -> Vec<u8> {
    let mut writer = pf_formats::TraceWriter::create(Vec::new(), &header(), &meta()).unwrap();
    for dict in dicts() {
        writer.dict(&dict).unwrap();
    }
    for event in events {
        writer.push(event).unwrap();
    }
    writer.flush_block().unwrap();
    let life = |at_ms, what| TimelineEntry {
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
        maj_flt: kernel_count - 1,
        min_flt: 1,
        counters_known: true,
    };
    writer.timeline(&[life(5, fork), life(95, exit)]).unwrap();
    writer.loss(losses).unwrap();
    writer.finish(totals(events)).unwrap()
}

#[test]
fn the_threads_that_miss_faults_are_named_where_the_kernel_told_their_count() {
    let losses = [loss(LossReason::Reserve, 20, 40, 6)];
    let mut all = events();
    all.push(Event {
        failed: true,
        ..file_fault(92, 10, 1)
    });
    let shown = flat_report(&with_a_life(10, &all, &losses));
    assert!(
        shown.contains(
            "! missing by thread (lost or hidden, where the kernel's count is known): 101 worker 6 of 10 recorded"
        ),
        "the failed fault is not in the kernel's count: {shown}"
    );
    // Nothing lost, or nothing missing: nothing to name.
    assert!(!flat_report(&with_a_life(10, &all, &[])).contains("missing by thread"));
    assert!(!flat_report(&with_a_life(4, &all, &losses)).contains("missing by thread"));
    // Under a filter of the analyzer, rows are absent for another reason.
    let filter = Filter {
        min_latency_ns: Some(1),
        ..Filter::default()
    };
    assert!(!report(&with_a_life(10, &all, &losses), &filter).contains("missing by thread"));
    // A thread of which every fault was lost has no row, and is named by its number.
    let shown = flat_report(&with_a_life(10, &events()[..1], &losses));
    assert!(shown.contains("is known): 101 10 of 10 recorded"), "{shown}");
}

#[test]
fn absurd_losses_do_no_harm() {
    let absurd = Loss {
        from_ns: u64::MAX,
        to_ns: 0,
        cpu: Some(u16::MAX),
        reason: LossReason::State,
        count: u64::MAX,
    };
    let again = Loss {
        from_ns: 0,
        ..absurd.clone()
    };
    let bytes = with(&[absurd, again]);
    assert_eq!(session(&bytes).events_lost(), u64::MAX);
    assert!(report(&bytes, &Filter::default()).starts_with("! lost: 18,446,744,073,709,551,615 faults"));
}
