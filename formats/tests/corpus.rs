//! What the fuzzer runs, for a few seconds and the same each time: the seeds and some thousand changes of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../fuzz/src/lib.rs"]
#[allow(dead_code)]
mod fuzz;

use fuzz::common::raw;
use fuzz::{TARGETS, change, memory, seeds};
use pf_formats::{Item, TraceReader};

/// Runs a target over its seeds and changes of them.
fn pass(name: &str, changes: u64) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    pass_over(target.run, &(target.seeds)(), changes);
}

/// A panic tells the number of the seed or change.
fn pass_over(target: fuzz::Run, seeds: &[Vec<u8>], changes: u64) {
    for (number, seed) in seeds.iter().enumerate() {
        run(target, seed, &format!("seed {number}"));
    }
    for number in 0..changes {
        run(
            target,
            &change::changed(seeds, number),
            &format!("change {number}"),
        );
    }
}

fn run(target: fuzz::Run, input: &[u8], what: &str) {
    let outcome = std::panic::catch_unwind(|| memory::bounded(|| target(input)));
    assert!(
        outcome.is_ok(),
        "{what}, of {} bytes: see the panic above",
        input.len()
    );
}

#[test]
fn changed_traces_are_read_alike_from_every_input() {
    pass("reader", 3000);
}

#[test]
fn changed_blocks_are_refused_or_come_back_when_written_again() {
    pass("block", 6000);
}

#[test]
fn changed_blocks_of_65536_events_are_refused_or_come_back_when_written_again() {
    pass_over(fuzz::block::target, &seeds::full_blocks(), 60);
}

#[test]
fn changed_records_are_refused_or_come_back_when_written_again() {
    pass("records", 20_000);
}

#[test]
fn events_of_every_pattern_come_back() {
    pass("round_trip", 300);
}

#[test]
fn the_largest_footer_is_read_within_the_memory() {
    const LIMIT: usize = 64 << 20;
    const ENTRY: usize = 96;
    // Of one block.
    let small = seeds::footer();
    let totals = &small[8..small.len() - ENTRY];
    let blocks = (LIMIT - 8 - totals.len()) / ENTRY;
    let mut payload = small[..4].to_vec();
    payload.extend((blocks as u32).to_le_bytes());
    payload.extend(totals);
    payload.resize(payload.len() + blocks * ENTRY, 0);
    let trace = raw::trace_with(&raw::frame(raw::FOOTER, 1, 0, 1, &payload));
    let mut found = 0;
    memory::bounded(|| {
        let mut reader = TraceReader::new(&trace[..]).unwrap();
        while let Some(item) = reader.next().unwrap() {
            if let Item::Footer(footer) = item {
                found = footer.blocks.len();
            }
        }
    });
    assert_eq!(found, blocks);
}
