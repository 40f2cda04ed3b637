//! `memory` against a plain recomputation that looks at all faults for each fault.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use pf_formats::{Event, Meta, ObjectId};
use pfanalyze::engine::filter::Filter;
use pfanalyze::output::render::Format;
use pfanalyze::request::options::MemoryPart;
use pfanalyze::trace::session::Session;
use pfanalyze::verbs::memory::estimate::Estimate;
use pfanalyze::verbs::memory::pass::Memory;
use pfanalyze::verbs::memory::text::MemoryAnswer;
use std::collections::{BTreeMap, BTreeSet};
use support::ask::{read, text, written};
use support::{Random, START_NS, dicts, file_fault, heap_fault, in_blocks, meta, trace};

/// Faults of four threads on a file and of one on its heap, some at once on the same page, some failed.
fn faults(count: u64, pages: u64) -> Vec<Event> {
    let mut random = Random(count + pages);
    let mut at_ns = START_NS;
    let mut events: Vec<Event> = Vec::new();
    for _ in 0..count {
        at_ns += 1 + random.below(900);
        // Small pages come more often.
        let bound = 1 + random.below(pages);
        let page = random.below(bound);
        let base = match random.below(5) {
            0 => heap_fault(0, 0, page),
            _ => file_fault(0, 0, page),
        };
        events.push(Event {
            ts_ns: at_ns,
            latency_ns: 1 + random.below(3_000),
            tid: base.tid + 10 * u32::try_from(random.below(4)).unwrap(),
            major: base.major && random.below(4) > 0,
            failed: random.below(50) == 0,
            ..base
        });
    }
    // As a recorder writes them.
    events.sort_by_key(|event| event.ts_ns + event.latency_ns);
    events.dedup_by_key(|event| event.ts_ns + event.latency_ns);
    events
}

fn look(bytes: &[u8], most_pages: usize) -> (Memory, Session) {
    let mut memory = Memory::following(most_pages);
    let session = read(bytes, &Filter::default(), &mut [&mut memory]);
    (memory, session)
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Plain {
    first: u64,
    again: Vec<(u64, u64)>,
    at_once: u64,
    minor_again: u64,
    distances: Vec<(u64, u64)>,
}

fn end(event: &Event) -> u64 {
    event.ts_ns + event.latency_ns
}

fn key(event: &Event) -> (ObjectId, u64) {
    (event.object, event.address / 4096)
}

/// A fault in the order in which pages came.
#[derive(Clone, Copy)]
struct Turn<'a> {
    event: &'a Event,
    is_read: bool,
    came_ns: u64,
}

/// Block by block: of the majors of a page that wait together the first reads it, and the page is there as soon as somebody who
/// waited for it is through.
fn turns(events: &[Event], block: usize) -> Vec<Turn<'_>> {
    let mut turns = Vec::new();
    // Begin and end of the latest read of each page.
    let mut last: BTreeMap<_, (u64, u64)> = BTreeMap::new();
    for block in events.chunks(block) {
        let mut of_block: Vec<Turn<'_>> = block
            .iter()
            .filter(|event| !event.failed)
            .map(|event| Turn {
                event,
                is_read: false,
                came_ns: end(event),
            })
            .collect();
        of_block.sort_by_key(|turn| turn.event.ts_ns);
        for turn in of_block.iter_mut().filter(|turn| turn.event.major) {
            let (begin_ns, end_ns) = (turn.event.ts_ns, end(turn.event));
            match last.get_mut(&key(turn.event)) {
                Some(span) if span.0 < end_ns && begin_ns < span.1 => {
                    *span = (span.0.min(begin_ns), span.1.max(end_ns));
                }
                _ => {
                    turn.is_read = true;
                    last.insert(key(turn.event), (begin_ns, end_ns));
                }
            }
        }
        let all = of_block.clone();
        for turn in of_block.iter_mut().filter(|turn| turn.is_read) {
            let own = turn.event;
            let others = all.iter().map(|other| other.event);
            let others = others.filter(|other| key(other) == key(own) && own.ts_ns < end(other));
            turn.came_ns = others.map(end).min().unwrap();
        }
        of_block.sort_by_key(|turn| (turn.came_ns, !turn.is_read));
        turns.extend(of_block);
    }
    turns
}

/// For each fault, all faults since the last one on its page.
fn plainly(events: &[Event], block: usize) -> Plain {
    let mut plain = Plain::default();
    let turns = turns(events, block);
    let mut known: Vec<(Option<u64>, bool)> = Vec::new();
    for (index, &Turn { event, is_read, .. }) in turns.iter().enumerate() {
        let on_page = |other: &usize| key(turns[*other].event) == key(event);
        let before: Vec<usize> = (0..index).filter(on_page).collect();
        let Some(&last) = before.last() else {
            plain.first += u64::from(event.major);
            known.push((None, is_read));
            continue;
        };
        let ends = before.iter().map(|&other| end(turns[other].event));
        let (first_ns, last_ns) = (ends.clone().min().unwrap(), ends.max().unwrap());
        let between = turns[last + 1..index].iter().map(|turn| key(turn.event));
        let between = between.collect::<BTreeSet<_>>().len() as u64;
        let is_at_once = event.ts_ns < last_ns;
        if event.major && !is_read || !event.major && is_at_once {
            plain.at_once += u64::from(event.major);
            known.push(known[last]);
        } else {
            // It was told a block after those that waited for it.
            let is_late = is_read && is_at_once && !known[last].1;
            let was_read = before.iter().any(|&other| turns[other].is_read);
            if is_late && !was_read && event.ts_ns < first_ns {
                plain.first += 1;
                known.push((None, true));
                continue;
            }
            let distance = known[last].0.filter(|_| is_late).unwrap_or(between);
            known.push((Some(distance), is_read));
            if event.major {
                plain
                    .again
                    .push((event.ts_ns.saturating_sub(last_ns), event.latency_ns));
            } else {
                plain.minor_again += 1;
            }
        }
        if let (Some(distance), true) = (known[index].0, event.major) {
            plain.distances.push((distance, event.latency_ns));
        }
    }
    plain
}

#[test]
fn refaults_and_their_distances_are_those_of_a_plain_recomputation() {
    for (count, pages, block) in [(3_000, 300, 5_000), (3_000, 40, 97), (2_000, 2_000, 512)] {
        let events = faults(count, pages);
        let plain = plainly(&events, block);
        let (memory, session) = look(&in_blocks(&events, block, &[]), 1 << 20);
        let all = memory.refaults.all();
        assert_eq!(memory.order.late, 0);
        assert_eq!(memory.refaults.one_in(), 1);
        assert_eq!(session.page_size(), 4096);
        let majors = events.iter().filter(|event| event.major && !event.failed).count() as u64;
        assert_eq!(all.majors.count, majors);
        assert_eq!(all.again.count, plain.again.len() as u64);
        assert_eq!(
            all.again.wait_ns,
            plain.again.iter().map(|again| again.1).sum::<u64>()
        );
        assert_eq!(all.at_once.count, plain.at_once);
        assert_eq!(all.minor_again.count, plain.minor_again);
        assert!(plain.at_once > 0 && plain.first > 0 && !plain.again.is_empty());
        let curve = memory.refaults.curve();
        for power in 0..12 {
            let room = 1 << power;
            let near = plain.distances.iter().filter(|(distance, _)| *distance < room);
            let (found, wait_ns) = near.fold((0, 0), |sum, (_, wait)| (sum.0 + 1, sum.1 + wait));
            let within = curve.within(room);
            assert_eq!((within.count, within.wait_ns), (found, wait_ns), "{room}");
        }
        for (decade, both) in memory.refaults.times().iter().enumerate() {
            let of_decade = |since: u64| since.max(1).ilog10() as usize == decade;
            let expected = plain.again.iter().filter(|again| of_decade(again.0)).count();
            assert_eq!(both.major.count, expected as u64);
        }
    }
}

#[test]
fn a_part_of_the_pages_gives_the_curve_within_the_stated_error() {
    let events = faults(120_000, 30_000);
    let bytes = in_blocks(&events, 32_768, &[]);
    let (exact, _) = look(&bytes, 1 << 20);
    for most in [8_000, 2_000, 500] {
        let (part, _) = look(&bytes, most);
        assert!(part.refaults.one_in() > 1);
        assert!(part.refaults.pages_followed() <= most as u64);
        let (all, whole) = (part.refaults.all(), exact.refaults.all());
        assert_eq!(all.majors, whole.majors);
        for power in 4..15 {
            let room = 1u64 << power;
            let share = |of: u64| of as f64 / whole.majors.count as f64;
            let estimated = share(all.of_all(part.refaults.curve().within(room)).count);
            let true_share = share(exact.refaults.curve().within(room).count);
            // Distances are scaled up, too: some percent of them may fall on the other side of a power of two.
            let near = share(exact.refaults.curve().reaching(room + room / 8).count)
                - share(exact.refaults.curve().within(room - room / 8).count);
            let error = part.refaults.error_per_mille(room).0 as f64 / 1_000.0;
            assert!(
                (estimated - true_share).abs() <= 1.5 * error + near,
                "1 page in {}, {room}: {estimated} {true_share} {error} {near}",
                part.refaults.one_in()
            );
            assert!(error < 0.15, "{error}");
        }
    }
}

fn words(bytes: &[u8], filter: &Filter, memory_bytes: Option<u64>) -> (String, serde_json::Value) {
    let mut memory = Memory::default();
    let session = read(bytes, filter, &mut [&mut memory]);
    let answer = MemoryAnswer {
        memory: &memory,
        session: &session,
        filter,
        memory_bytes,
    };
    let shown = written(&answer, Format::Table);
    // Rows of tables have all of their columns where there is no terminal.
    let mut sentences = shown.lines().filter(|line| !line.contains("  "));
    assert!(sentences.all(|line| line.chars().count() <= 80), "{shown}");
    for part in [
        MemoryPart::Curve,
        MemoryPart::Files,
        MemoryPart::Times,
        MemoryPart::Distances,
    ] {
        assert!(text(&answer.part(part, true), Format::Csv).contains(','));
    }
    let json = serde_json::from_str(&written(&answer, Format::Json)).unwrap();
    (shown.split_whitespace().collect::<Vec<_>>().join(" "), json)
}

/// Passes over 400 pages, one after the other.
fn passes(passes: u64) -> Vec<Event> {
    (0..400 * passes)
        .map(|index| file_fault(index, 100_000, index % 400))
        .collect()
}

#[test]
fn repeated_passes_are_answered_in_a_sentence() {
    let bytes = trace(&meta(), &dicts(), &passes(5), &[]);
    let (text, json) = words(&bytes, &Filter::default(), None);
    assert!(
        text.starts_with(
            "If these pages left memory because it was short, and came by faults alone, 2.0 MiB more memory would have avoided 80.0 % of the 2,000 majors and 160.00 ms of \
             their 200.00 ms of waiting. 80.0 % were not the first of their page"
        ),
        "{text}"
    );
    assert!(text.contains("AT_MOST adds the"), "{text}");
    assert_eq!(json["summary"]["exact"], true);
    assert_eq!(json["summary"]["again"], 1_600);
    let last = json["curve"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(
        (&last["extra_bytes"], &last["at_least"]),
        (&(2 << 20).into(), &1_600.into())
    );
    assert_eq!(json["distances"][0]["after_pages"], 256);
    // 300 of 400 pages fit: 100 are missing, and 128 are the next power of two.
    let (text, _) = words(&bytes, &Filter::default(), Some(300 * 4096));
    assert!(
        text.contains(", 512.0 KiB more memory would have avoided about 80.0 % of the 2,000 majors"),
        "{text}"
    );
}

#[test]
fn traces_without_majors_and_without_refaults_say_so() {
    let minors: Vec<Event> = (0..20).map(|index| heap_fault(index, 500, index % 4)).collect();
    let (text, _) = words(&trace(&meta(), &dicts(), &minors, &[]), &Filter::default(), None);
    assert!(text.starts_with("There are no major faults here"), "{text}");
    assert!(
        text.contains("16 faults of a page faulted before were minor"),
        "{text}"
    );
    let (text, json) = words(
        &trace(&meta(), &dicts(), &passes(1), &[]),
        &Filter::default(),
        None,
    );
    assert!(
        text.starts_with("None of the 400 majors is on a page that had one before"),
        "{text}"
    );
    assert_eq!(json["curve"].as_array().unwrap().len(), 0);
    let (text, _) = words(&trace(&meta(), &dicts(), &[], &[]), &Filter::default(), None);
    assert!(text.starts_with("There are no major faults here"), "{text}");
}

/// Three passes over 400 pages; another thread comes for each page while it is read, and is through first.
fn passes_of_two() -> Vec<Event> {
    let majors = passes(3).into_iter();
    majors
        .flat_map(|major| {
            let minor = Event {
                ts_ns: major.ts_ns + 20_000,
                latency_ns: 79_000,
                tid: 102,
                major: false,
                ..major
            };
            [minor, major]
        })
        .collect()
}

#[test]
fn a_minor_that_is_through_before_the_major_it_waited_for_does_not_take_its_read() {
    let events = passes_of_two();
    // Together, in blocks of their own, and in blocks that divide some of them.
    for block in [10_000, 1, 7] {
        let bytes = in_blocks(&events, block, &[]);
        let (text, json) = words(&bytes, &Filter::default(), None);
        let file = &json["files"][0];
        assert_eq!(
            (&file["major"], &file["again"]),
            (&1_200.into(), &800.into()),
            "{block}"
        );
        assert_eq!(file["wait_again_ms"].as_f64(), Some(80.0));
        assert_eq!(file["bytes_again"], 800 * 4096);
        assert_eq!(json["summary"]["again"], 800);
        assert!(
            text.contains("66.7 % were not the first of their page: 3.1 MiB and 80.00 ms of waiting"),
            "{text}"
        );
        assert!(!text.contains("another major on the same page"), "{text}");
        let files = support::ask::files(&bytes, Format::Csv);
        assert!(files.contains(&format!(",{},", 800 * 4096)), "{files}");
    }
    let (memory, _) = look(&in_blocks(&events, 10_000, &[]), 1 << 20);
    assert_eq!(memory.refaults.all().minor_again.count, 0);
    assert_eq!(memory.refaults.curve().within(399).count, 0);
    assert_eq!(memory.refaults.curve().within(400).count, 800);
}

#[test]
fn majors_that_wait_for_one_read_are_told_apart_from_it_in_the_words_and_in_the_table() {
    let mut events = passes(2);
    let waiting = events.iter().skip(400).take(100).map(|major| Event {
        ts_ns: major.ts_ns + 1_000,
        tid: 102,
        ..*major
    });
    events.extend(waiting.collect::<Vec<_>>());
    events.sort_by_key(end);
    let bytes = trace(&meta(), &dicts(), &events, &[]);
    let (text, json) = words(&bytes, &Filter::default(), None);
    assert_eq!(json["files"][0]["again"], 400);
    assert!(
        text.contains(
            "44.4 % were not the first of their page: 1.6 MiB; with 100 that began while another on the same page was under \
             way 50.00 ms of waiting."
        ),
        "{text}"
    );
    assert!(
        text.contains("100 majors began while another major on the same page was under way"),
        "{text}"
    );
}

#[test]
fn of_a_sample_only_majors_are_followed() {
    let sampled = Meta { sample: 16, ..meta() };
    let mut events = passes(3);
    events.extend((0..50).map(|index| heap_fault(2_000 + index, 500, index % 4)));
    let bytes = trace(&sampled, &dicts(), &events, &[]);
    let (memory, _) = look(&bytes, 1 << 20);
    let all = memory.refaults.all();
    assert_eq!(
        (all.minors.count, all.minor_again.count, all.again.count),
        (800, 0, 800)
    );
    let (text, _) = words(&bytes, &Filter::default(), None);
    assert!(text.contains("minor faults were sampled"), "{text}");
}

#[test]
fn a_fault_that_stands_too_late_is_counted() {
    let mut events = passes(2);
    // It was done at the beginning.
    events.push(file_fault(1, 5_000, 900));
    let (memory, _) = look(&in_blocks(&events, 800, &[]), 1 << 20);
    assert_eq!((memory.order.late, memory.order.faults), (1, 801));
    let (text, json) = words(&in_blocks(&events, 800, &[]), &Filter::default(), None);
    assert!(text.contains("1 of 801 that come up to"), "{text}");
    assert_eq!(json["summary"]["late_faults"], 1);
}

#[test]
fn times_and_pages_of_any_size_do_no_harm() {
    let huge: Vec<Event> = (0..300u64)
        .map(|index| Event {
            ts_ns: if index % 3 == 0 { u64::MAX - 5 } else { index },
            latency_ns: 1 << (index % 60),
            object_page: u64::MAX - index % 7,
            address: u64::MAX,
            ..file_fault(0, 0, 0)
        })
        .collect();
    let (text, _) = words(
        &trace(&meta(), &dicts(), &huge, &[]),
        &Filter::default(),
        Some(u64::MAX),
    );
    assert!(text.contains("of the 300 majors"), "{text}");
    let estimate = Estimate::of(pfanalyze::verbs::memory::curve::Curve::default(), Some(0));
    assert_eq!(estimate.worth(50), None);
}
