//! `timeline` against a brute force that asks at every moment at which something changes who is inside a fault.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use pf_formats::{CommId, Dict, Event, Happening, Meta, TimelineEntry};
use pfanalyze::engine::filter::Filter;
use pfanalyze::output::render::Format;
use pfanalyze::request::options::StallThreshold;
use pfanalyze::request::options::TimelineOptions;
use pfanalyze::request::options::TimelinePart;
use pfanalyze::trace::session::Session;
use pfanalyze::verbs::timeline::pass1::Pass1;
use pfanalyze::verbs::timeline::text::{Found, TimelineAnswer};
use pfanalyze::verbs::timeline::{found_by, sweep_after};
use std::collections::BTreeSet;
use support::ask::{flat_report, read, written};
use support::{MS, Random, START_NS, dicts, file_fault, heap_fault, in_blocks, meta, object, small, trace};

const THREADS: u32 = 6;

/// Faults of six threads, mostly short, some very long, some within others; in the order in which they were done.
fn faults(count: u64) -> Vec<Event> {
    let mut random = Random(count);
    let mut events = Vec::new();
    for thread in 0..THREADS {
        let mut at_ns = START_NS + random.below(5_000);
        for _ in 0..count {
            let latency_ns = match random.below(100) {
                0 => 200_000 + random.below(900_000),
                1 => 0,
                _ => 100 + random.below(9_000),
            };
            let base = match random.below(4) {
                0 => heap_fault(0, 0, random.below(50)),
                _ => file_fault(0, 0, random.below(50)),
            };
            let event = Event {
                ts_ns: at_ns,
                latency_ns,
                tid: 200 + thread,
                comm: CommId(1 + u32::try_from(random.below(2)).unwrap()),
                failed: random.below(40) == 0,
                ..base
            };
            if latency_ns > 8_000 && random.below(3) == 0 {
                events.push(Event {
                    ts_ns: at_ns + 1_000,
                    latency_ns: 2_000,
                    ..event
                });
            }
            events.push(event);
            at_ns += latency_ns + random.below(12_000);
        }
    }
    events.sort_by_key(|event| event.ts_ns + event.latency_ns);
    events
}

/// Births and ends of some of the threads, all of them with faults outside of neither.
fn lives(events: &[Event]) -> Vec<TimelineEntry> {
    let of = |tid: u32| events.iter().filter(move |event| event.tid == tid);
    let entry = |ts_ns, tid, what| TimelineEntry {
        ts_ns,
        pid: 100,
        tid,
        what,
    };
    let mut entries = Vec::new();
    for tid in 200..203 {
        let parent = Happening::Fork {
            parent_pid: 100,
            parent_tid: 100,
        };
        entries.push(entry(
            of(tid).map(|event| event.ts_ns).min().unwrap() - 10,
            tid,
            parent,
        ));
    }
    for tid in 201..205 {
        let exit = Happening::Exit {
            maj_flt: 1,
            min_flt: 1,
            counters_known: true,
        };
        let last = of(tid).map(|event| event.ts_ns + event.latency_ns).max().unwrap();
        entries.push(entry(last + 10, tid, exit));
    }
    entries
}

fn options(least: StallThreshold, interval_ns: Option<u64>, stalls: usize) -> TimelineOptions {
    TimelineOptions {
        interval_ns,
        least,
        stalls,
        part: None,
    }
}

/// All three looks; the first one keeps so many long faults, and the sweep lets so many begins and ends wait.
fn look(
    bytes: &[u8],
    filter: &Filter,
    options: TimelineOptions,
    kept: usize,
    room: usize,
) -> (Found, Session) {
    let mut first = Pass1::keeping(kept);
    let session = read(bytes, filter, &mut [&mut first]);
    let mut sweep = sweep_after(first, filter, options, &session)
        .unwrap()
        .with_room(room);
    let session = read(bytes, filter, &mut [&mut sweep]);
    let (mut found, insides) = found_by(sweep, options);
    if let Some(mut insides) = insides {
        read(bytes, filter, &mut [&mut insides]);
        found.stalls = insides.finish();
    }
    (found, session)
}

fn end(event: &Event) -> u64 {
    event.ts_ns + event.latency_ns
}

/// Begin, end, peak and wait of every stall.
fn stalls_by_force(events: &[Event], least: StallThreshold, session: &Session) -> Vec<(u64, u64, u32, u64)> {
    let lives: Vec<(u64, u64)> = (200..200 + THREADS)
        .map(|tid| {
            let life = session.lifetimes.get(&(100, tid)).copied().unwrap_or_default();
            (
                life.begin_ns.unwrap_or(session.start_ns()),
                life.end_ns.unwrap_or(session.end_ns()),
            )
        })
        .collect();
    let ends = events.iter().flat_map(|event| [event.ts_ns, end(event)]);
    let times: BTreeSet<u64> = ends
        .chain(lives.iter().flat_map(|life| [life.0, life.1]))
        .collect();
    let times: Vec<u64> = times.into_iter().collect();
    let mut stalls: Vec<(u64, u64, u32, u64)> = Vec::new();
    let mut is_open = false;
    for pair in times.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let inside: BTreeSet<u32> = events
            .iter()
            .filter(|event| event.ts_ns <= from && end(event) >= to)
            .map(|event| event.tid)
            .collect();
        let inside = inside.len() as u32;
        let alive = lives.iter().filter(|life| life.0 <= from && life.1 >= to).count();
        let is_stall = inside >= least.of(alive as u32);
        let wait_ns = u64::from(inside) * (to - from);
        if is_stall && is_open {
            let last = stalls.last_mut().unwrap();
            *last = (last.0, to, last.2.max(inside), last.3 + wait_ns);
        } else if is_stall {
            stalls.push((from, to, inside, wait_ns));
        }
        is_open = is_stall;
    }
    stalls
}

#[test]
fn stalls_are_those_of_a_brute_force_in_any_blocks_and_with_any_memory_for_long_faults() {
    let events = faults(120);
    for least in [
        StallThreshold::Threads(1),
        StallThreshold::Threads(2),
        StallThreshold::Threads(4),
        StallThreshold::Share(50_000),
        StallThreshold::Share(90_000),
    ] {
        for (block, kept) in [(10_000, 100_000), (64, 100_000), (64, 20), (7, 3), (200, 1)] {
            let bytes = in_blocks(&events, block, &lives(&events));
            let (found, session) = look(
                &bytes,
                &Filter::default(),
                options(least, None, 10_000),
                kept,
                1 << 20,
            );
            let expected = stalls_by_force(&events, least, &session);
            let mut stalls: Vec<_> = found
                .stalls
                .iter()
                .map(|(window, _)| (window.begin_ns, window.end_ns, window.peak, window.wait_ns))
                .collect();
            stalls.sort_unstable();
            assert_eq!(stalls, expected, "{least:?} {block} {kept}");
            assert_eq!(found.late, 0);
            assert_eq!(found.stall_count, expected.len() as u64);
            assert_eq!(
                found.stalled_ns,
                expected.iter().map(|stall| stall.1 - stall.0).sum::<u64>()
            );
            assert!(expected.len() > 3, "{least:?}");
        }
    }
}

#[test]
fn intervals_are_those_of_a_brute_force() {
    let events = faults(150);
    for (block, kept, width_ns) in [(10_000, 100_000, 50_000), (50, 10, 7_000), (300, 2, 400_000)] {
        let bytes = in_blocks(&events, block, &lives(&events));
        let least = StallThreshold::Threads(3);
        let (found, session) = look(
            &bytes,
            &Filter::default(),
            options(least, Some(width_ns), 5),
            kept,
            1 << 20,
        );
        let stalls = stalls_by_force(&events, least, &session);
        let mut begin_ns = session.start_ns();
        assert_eq!(found.intervals.last().unwrap().end_ns, session.end_ns());
        for interval in &found.intervals {
            let (from, to) = (begin_ns, (begin_ns + width_ns).min(session.end_ns()));
            assert_eq!((interval.begin_ns, interval.end_ns), (from, to));
            begin_ns = to;
            // The last moment belongs to the last interval.
            let is_last = to == session.end_ns();
            let began = |event: &&Event| event.ts_ns >= from && (event.ts_ns < to || is_last);
            let majors = events
                .iter()
                .filter(began)
                .filter(|event| event.major && !event.failed);
            assert_eq!(interval.counts[0], majors.count() as u64);
            let failed = events.iter().filter(began).filter(|event| event.failed);
            assert_eq!(interval.counts[2], failed.count() as u64);
            let longest = events.iter().filter(began).map(|event| event.latency_ns).max();
            assert_eq!(interval.max_ns, longest.unwrap_or(0));
            let within = |begin: u64, end: u64| end.min(to).saturating_sub(begin.max(from));
            let waits = events.iter().map(|event| within(event.ts_ns, end(event)));
            assert_eq!(interval.wait_ns, waits.sum::<u64>());
            let threads: BTreeSet<u32> = events
                .iter()
                .filter(|event| within(event.ts_ns, end(event)) > 0)
                .map(|event| event.tid)
                .collect();
            assert_eq!(interval.threads, threads.len() as u64);
            let stalled: u64 = stalls.iter().map(|stall| within(stall.0, stall.1)).sum();
            assert_eq!(interval.stalled_ns, stalled);
        }
    }
}

#[test]
fn what_was_waited_on_is_what_lies_inside_the_stall() {
    let events = faults(120);
    let bytes = in_blocks(&events, 64, &lives(&events));
    let (found, session) = look(
        &bytes,
        &Filter::default(),
        options(StallThreshold::Threads(4), None, 3),
        20,
        1 << 20,
    );
    assert_eq!(found.stalls.len(), 3);
    assert!(found.stalls[0].0.length_ns() >= found.stalls[1].0.length_ns());
    for (window, inside) in &found.stalls {
        let overlap = |event: &&Event| event.ts_ns < window.end_ns && end(event) > window.begin_ns;
        let within: Vec<&Event> = events.iter().filter(overlap).collect();
        let file: Vec<_> = within.iter().filter(|event| event.object.0 == 1).collect();
        let wait = |event: &Event| end(event).min(window.end_ns) - event.ts_ns.max(window.begin_ns);
        let place = inside.places[&1];
        assert_eq!(place.wait_ns, file.iter().map(|event| wait(event)).sum::<u64>());
        assert_eq!(place.first_page, file.iter().map(|event| event.object_page).min());
        assert_eq!(place.last_page, file.iter().map(|event| event.object_page).max());
        let longest = within.iter().map(|event| event.latency_ns).max().unwrap();
        assert_eq!(inside.longest.unwrap().latency_ns, longest);
        let tids: BTreeSet<u32> = within.iter().map(|event| event.tid).collect();
        let waiters: BTreeSet<u32> = inside.waiters.keys().map(|key| key.1).collect();
        assert_eq!(waiters, tids);
        assert_eq!(inside.counts.iter().sum::<u64>(), within.len() as u64);
    }
    assert_eq!(session.page_size(), 4096);
}

fn words(found: &Found, session: &Session, filter: &Filter) -> (String, serde_json::Value) {
    let written = |format, part| {
        let answer = TimelineAnswer {
            found,
            session,
            filter,
            part,
        };
        written(&answer, format)
    };
    let text = written(Format::Table, None);
    // Only centuries do not fit.
    let is_narrow = text.lines().all(|line| line.chars().count() <= 80);
    assert!(is_narrow || session.duration_ns() > 1_000_000_000 * MS, "{text}");
    for part in [TimelinePart::Intervals, TimelinePart::Stalls] {
        assert!(written(Format::Csv, Some(part)).starts_with("begin_s,"));
        let _: serde_json::Value = serde_json::from_str(&written(Format::Json, Some(part))).unwrap();
    }
    (text, serde_json::from_str(&written(Format::Json, None)).unwrap())
}

#[test]
fn a_stall_is_told_with_its_file_threads_and_longest_fault() {
    let mut events = vec![
        file_fault(10, 20 * MS, 4),
        Event {
            tid: 102,
            ..file_fault(15, 25 * MS, 9)
        },
        heap_fault(60, 5_000, 1),
    ];
    events[1].comm = CommId(1);
    let filter = Filter::default();
    let bytes = trace(&meta(), &dicts(), &events, &[]);
    let (found, session) = look(
        &bytes,
        &filter,
        options(StallThreshold::Threads(2), None, 10),
        10,
        1 << 20,
    );
    let (text, json) = words(&found, &session, &filter);
    for expected in [
        "50 intervals of 2.00 ms",
        "Stalls: once 2 threads or more were inside a fault at once, for 15.00 ms in all",
        "on       /data/segments.bin 0x4000-0xa000 (24.0 KiB)",
        "main (tid 102), worker (tid 101)",
        "25.00 ms major of main (tid 102), begun at 0.015000 s,",
        "exact: every fault is at its place in time",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert_eq!(json["summary"]["stalls"], 1);
    assert_eq!(json["stalls"][0]["length_ms"], 15.0);
    assert_eq!(json["stalls"][0]["wait_ms"], 30.0);
    assert_eq!(json["stalls"][0]["top_file_end"], 0xa000);
    assert_eq!(json["intervals"][5]["major"], 1);
    assert_eq!(json["intervals"][5]["major_per_s"], 500.0);
}

#[test]
fn a_trace_without_stalls_says_so() {
    let filter = Filter::default();
    for (bytes, expected) in [
        (small(), "the most at once: 1"),
        (trace(&meta(), &dicts(), &[], &[]), "no thread waited"),
        (
            trace(&meta(), &dicts(), &[file_fault(1, 5, 1)], &[]),
            "for a single thread, --threads 1 shows each wait",
        ),
    ] {
        let (found, session) = look(
            &bytes,
            &filter,
            options(StallThreshold::Share(50_000), None, 10),
            10,
            1 << 20,
        );
        let (text, json) = words(&found, &session, &filter);
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            flat.contains("No stalls: it never happened that") && flat.contains(expected),
            "{text}"
        );
        assert_eq!(json["summary"]["stalls"], 0);
    }
}

#[test]
fn a_sweep_without_memory_says_that_it_is_not_exact() {
    let events = faults(400);
    let bytes = in_blocks(&events, 64, &lives(&events));
    let filter = Filter::default();
    let (found, session) = look(
        &bytes,
        &filter,
        options(StallThreshold::Threads(3), None, 10),
        1,
        10,
    );
    let (text, json) = words(&found, &session, &filter);
    assert!(found.late > 0);
    assert!(text.contains("not exact"), "{text}");
    assert_eq!(json["summary"]["exact"], false);
    // Intervals do not depend on it.
    let wait: u64 = found.intervals.iter().map(|interval| interval.wait_ns).sum();
    assert_eq!(wait, events.iter().map(|event| event.latency_ns).sum::<u64>());
}

#[test]
fn sampled_minors_count_as_many() {
    let sampled = Meta { sample: 10, ..meta() };
    let bytes = trace(
        &sampled,
        &dicts(),
        &[heap_fault(1, 1_000, 1), file_fault(2, 1_000, 1)],
        &[],
    );
    let filter = Filter::default();
    let (found, session) = look(
        &bytes,
        &filter,
        options(StallThreshold::Share(50_000), Some(100 * MS), 10),
        10,
        99,
    );
    assert_eq!(found.intervals[0].counts, [1, 10, 0]);
    assert_eq!(found.intervals[0].wait_ns, 11_000);
    assert!(
        words(&found, &session, &filter)
            .0
            .contains("minor faults were sampled")
    );
}

#[test]
fn too_many_intervals_are_refused_in_words() {
    let mut first = Pass1::default();
    let session = read(&small(), &Filter::default(), &mut [&mut first]);
    let wanted = options(StallThreshold::Threads(2), Some(1), 1);
    let error = sweep_after(first, &Filter::default(), wanted, &session)
        .err()
        .unwrap();
    assert!(error.to_string().contains("--interval 1.0us, or"), "{error}");
}

#[test]
fn hostile_names_and_huge_times_do_no_harm() {
    let names = vec![
        Dict::Comms {
            first_id: 1,
            entries: vec!["\x1b[2J".into(), "w\nx".into()],
        },
        Dict::Objects {
            first_id: 1,
            entries: vec![
                object(pf_formats::ObjectKind::File, "/d\x1b[31m"),
                object(pf_formats::ObjectKind::Heap, ""),
            ],
        },
    ];
    let mut events: Vec<Event> = (0..40)
        .map(|index| Event {
            tid: 100 + index % 5,
            ts_ns: if index % 7 == 0 {
                u64::MAX - 3
            } else {
                u64::from(index)
            },
            latency_ns: 1 << (index % 63),
            object_page: u64::MAX,
            ..file_fault(0, 0, 0)
        })
        .collect();
    events.push(file_fault(0, 20 * MS, 1));
    let filter = Filter::default();
    let bytes = trace(&meta(), &names, &events, &[]);
    let (found, session) = look(
        &bytes,
        &filter,
        options(StallThreshold::Threads(2), None, 10),
        5,
        8,
    );
    let (text, _) = words(&found, &session, &filter);
    assert!(found.stall_count > 0);
    assert!(!text.contains('\x1b') && !text.contains("w\nx"), "{text}");
}

#[test]
fn the_report_mentions_the_stalls_that_the_timeline_finds() {
    let events = faults(300);
    let trace = in_blocks(&events, 64, &lives(&events));
    let (found, session) = look(
        &trace,
        &Filter::default(),
        options(StallThreshold::default(), None, 5),
        1_000_000,
        4_000_000,
    );
    assert!(found.stall_count > 1);
    let share = pfanalyze::output::units::percent(found.stalled_ns.into(), session.duration_ns().into());
    let expected = format!(
        "stalls {} stalls, {} in all ({share} of the time), with half of the threads alive, two at least, inside a fault at \
         once: pfanalyze timeline t.pfz --part stalls",
        pfanalyze::output::units::grouped(found.stall_count),
        pfanalyze::output::units::duration(found.stalled_ns),
    );
    let report = flat_report(&trace);
    assert!(report.contains(&expected), "{expected}\n{report}");
    assert!(
        !flat_report(&small()).contains("stalls"),
        "{}",
        flat_report(&small())
    );
}
