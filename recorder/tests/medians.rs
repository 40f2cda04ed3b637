//! One load, every backend that this kernel takes: they measure the same thing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::collections::HashMap;

use common::{
    alone, disk_folder, pfrec,
    process::run,
    text,
    touched::{file_of_pages, record, the_row, touches},
};

/// Backends take turns: what else the machine does hits all of them.
const ROUNDS: usize = 7;

fn usable_backends() -> Vec<&'static str> {
    let folder = disk_folder();
    let trace = folder.path().join("trial.pfz");
    let records = |backend: &&str| {
        let trial = run(pfrec(&["--backend", backend, "-o", text(&trace), "--", "true"]));
        trial.status.success()
    };
    ["fentry", "perf", "kprobe"].into_iter().filter(records).collect()
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values[values.len() / 2]
}

/// The median latency in ns of each backend.
fn medians(backends: &[&'static str], arguments: &[&str]) -> HashMap<&'static str, u64> {
    let mut of_rounds: HashMap<&str, Vec<u64>> = HashMap::new();
    for round in 0..ROUNDS {
        for turn in 0..backends.len() {
            let backend = backends[(round + turn) % backends.len()];
            let recorded = record("touch_pages", &["--backend", backend], arguments);
            assert_eq!(recorded.sight.backend, backend);
            let latencies = touches(&recorded.stdout)
                .iter()
                .map(|touch| the_row(touch, &recorded.faults).latency_ns)
                .collect();
            of_rounds.entry(backend).or_default().push(median(latencies));
        }
    }
    eprintln!("medians of the rounds, ns: {of_rounds:?}");
    of_rounds
        .into_iter()
        .map(|(backend, rounds)| (backend, median(rounds)))
        .collect()
}

fn assert_medians_agree(arguments: &[&str]) {
    let _alone = alone();
    let backends = usable_backends();
    assert!(!backends.is_empty());
    let medians = medians(&backends, arguments);
    let largest = medians.values().max().unwrap();
    let smallest = medians.values().min().unwrap();
    assert!(largest * 10 < smallest * 11, "10 % or more apart: {medians:?}");
}

#[test]
#[ignore = "needs root"]
fn the_backends_agree_on_the_median_of_minor_faults() {
    assert_medians_agree(&["4000"]);
}

#[test]
#[ignore = "needs root"]
fn the_backends_agree_on_the_median_of_major_faults() {
    let folder = disk_folder();
    let (count, stride) = (100, 16);
    let path = std::env::var("PFREC_TEST_DEVICE")
        .unwrap_or_else(|_| file_of_pages(&folder.path().join("pages"), (count + 1) * stride));
    assert_medians_agree(&[&count.to_string(), &path, &stride.to_string()]);
}
