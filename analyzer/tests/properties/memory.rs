//! `memory`: what it says of pages read again, beside `files` and beside the faults themselves.

use crate::generate::{Made, class_of, end_of, filters, label_of, page_of, traces, traces_of_lone_reads};
use crate::support::ask::{read, written};
use crate::{config, count, files, is_share, ns, row_of, rows, sum};
use pf_formats::Event;
use pfanalyze::engine::filter::Filter;
use pfanalyze::output::render::Format;
use pfanalyze::output::units::{bytes, percent};
use pfanalyze::trace::class::Class;
use pfanalyze::verbs::memory::pass::Memory;
use pfanalyze::verbs::memory::text::MemoryAnswer;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

fn memory(trace: &[u8], filter: &Filter) -> (Memory, Value) {
    let mut memory = Memory::default();
    let session = read(trace, filter, &mut [&mut memory]);
    let answer = MemoryAnswer {
        memory: &memory,
        session: &session,
        filter,
        memory_bytes: None,
    };
    let all = serde_json::from_str(&written(&answer, Format::Json)).unwrap();
    (memory, all)
}

fn part<'a>(answer: &'a Value, part: &str) -> &'a [Value] {
    answer[part].as_array().unwrap()
}

/// Majors that read their page: of those that wait for it together the first one.
fn reads<'a>(majors: &[&'a Event]) -> Vec<&'a Event> {
    let mut majors = majors.to_vec();
    majors.sort_by_key(|event| (event.ts_ns, event.pid, event.tid));
    let mut until_ns = 0;
    majors.retain(|event| {
        let is_read = event.ts_ns >= until_ns;
        until_ns = until_ns.max(end_of(event));
        is_read
    });
    majors
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Again {
    pub count: u64,
    pub wait_ns: u64,
    /// Reads of pages that had been read, as `files` counts them.
    pub reread: u64,
}

/// Reads of pages that had come into memory before, by file; and whether two majors waited for one page at once.
pub fn plainly(made: &Made, filter: &Filter) -> (BTreeMap<&'static str, Again>, bool) {
    let mut by_page: BTreeMap<_, Vec<&Event>> = BTreeMap::new();
    let (mut files, mut is_together) = (BTreeMap::new(), false);
    for event in made.passing(filter) {
        files.entry(label_of(event)).or_default();
        // Of a sample of the minors it is not known what they had brought.
        let is_followed = match class_of(event) {
            Class::Major => true,
            Class::Minor => made.sample == 1,
            Class::Failed => false,
        };
        if is_followed {
            by_page.entry(page_of(event)).or_default().push(event);
        }
    }
    for events in by_page.values() {
        let majors: Vec<&Event> = events.iter().copied().filter(|event| event.major).collect();
        let reads = reads(&majors);
        is_together |= reads.len() < majors.len();
        let again: &mut Again = files.entry(label_of(events[0])).or_default();
        again.reread += reads.len().saturating_sub(1) as u64;
        for read in reads {
            if events.iter().any(|before| end_of(before) <= read.ts_ns) {
                again.count += 1;
                again.wait_ns += read.latency_ns;
            }
        }
    }
    (files, is_together)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_page_is_read_again_by_each_major_that_waited_for_it_alone_after_it_had_come(
        made in prop_oneof![traces(), traces_of_lone_reads()], filter in filters()
    ) {
        let trace = made.bytes();
        let (memory, answer) = memory(&trace, &filter);
        let (expected, is_together) = plainly(&made, &filter);
        if !is_together {
            prop_assert_eq!(memory.refaults.all().at_once.count, 0);
        }
        // Majors that wait together are told apart within a block.
        if is_together && made.block < made.events.len() {
            return Ok(());
        }
        for row in part(&answer, "files") {
            let again = &expected[row["file"].as_str().unwrap()];
            prop_assert_eq!(count(row, "again"), again.count, "{}", row);
            prop_assert_eq!(ns(row, "wait_again_ms"), again.wait_ns, "{}", row);
            prop_assert_eq!(count(row, "bytes_again"), 4096 * again.count, "{}", row);
        }
    }

    #[test]
    fn pages_read_again_are_those_of_files_and_those_that_minors_had_brought(made in traces(), filter in filters()) {
        let trace = made.bytes();
        let (_, answer) = memory(&trace, &filter);
        let of_files = files(&trace, &filter);
        let (expected, is_together) = plainly(&made, &filter);
        let is_exact = !is_together || made.block >= made.events.len();
        for row in part(&answer, "files") {
            let label = row["file"].as_str().unwrap();
            let of_file = row_of(&of_files, "file", label).unwrap();
            prop_assert_eq!(count(row, "major"), count(of_file, "major"));
            let (again, reread) = (count(row, "bytes_again"), count(of_file, "reread_bytes"));
            prop_assert!(again >= reread, "{} {}", row, of_file);
            if filter.class == Some(Class::Major) || made.sample > 1 {
                prop_assert_eq!(again, reread, "{} {}", row, of_file);
            }
            if is_exact {
                prop_assert_eq!(reread, 4096 * expected[label].reread);
            }
        }
    }

    #[test]
    fn parts_of_what_is_read_again_sum_up_and_the_words_say_the_same(made in traces(), filter in filters()) {
        let (memory, answer) = memory(&made.bytes(), &filter);
        let (all, summary) = (memory.refaults.all(), &answer["summary"]);
        let majors = made.passing(&filter).into_iter().filter(|event| class_of(event) == Class::Major);
        let majors: Vec<&Event> = majors.collect();
        prop_assert_eq!(count(summary, "majors"), majors.len() as u64);
        let (files, again) = (part(&answer, "files"), count(summary, "again"));
        prop_assert_eq!(sum(files, "major"), majors.len() as u64);
        prop_assert_eq!(sum(files, "again"), again);
        prop_assert_eq!(sum(files, "minor_again"), all.minor_again.count);
        prop_assert_eq!(sum(part(&answer, "times"), "major"), again);
        prop_assert_eq!(sum(part(&answer, "times"), "minor"), all.minor_again.count);
        let refaults = sum(part(&answer, "distances"), "major");
        prop_assert_eq!(sum(part(&answer, "distances"), "minor"), all.minor_again.count);
        // Those that waited for another's read count as that does, here and in what memory avoids.
        prop_assert!((again..=again + all.at_once.count).contains(&refaults));
        let pages: BTreeSet<_> = majors.iter().map(|event| page_of(event)).collect();
        prop_assert!(again + all.at_once.count + pages.len() as u64 >= majors.len() as u64);
        let curve = part(&answer, "curve");
        prop_assert_eq!(curve.last().map_or(0, |step| count(step, "at_least")), refaults);
        for row in files.iter().chain(curve) {
            for share in ["again_percent", "at_least_percent", "at_most_percent"] {
                prop_assert!(is_share(&row[share]), "{}", row);
            }
        }
        if refaults > 0 {
            let share = percent(again.into(), majors.len() as u128);
            let said = format!("{share} were not the first of their page: {}", bytes(4096 * again));
            prop_assert!(summary["answer"].as_str().unwrap().contains(&said), "{}", summary["answer"]);
        }
    }

    #[test]
    fn what_lone_majors_read_does_not_depend_on_blocks(made in traces_of_lone_reads(), block in 1..30usize) {
        let filter = Filter::default();
        let of = |block| {
            let mut memory = Memory::default();
            let session = read(&made.in_blocks(block), &filter, &mut [&mut memory]);
            let estimate = pfanalyze::verbs::memory::estimate::Estimate::of(memory.refaults.curve(), None);
            let files = rows(&memory.files_table(&estimate, &session));
            files.iter().map(|row| (row["file"].to_string(), count(row, "again"), ns(row, "wait_again_ms"))).collect::<BTreeSet<_>>()
        };
        prop_assert_eq!(of(block), of(made.events.len().max(1)));
    }
}
