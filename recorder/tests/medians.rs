//! One load, every backend that this kernel takes: they measure the same thing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{collections::BTreeMap, path::Path};

use common::{
    alone, disk_folder, pfrec,
    process::run,
    programs::compile,
    text,
    touched::{file_of_pages, touches},
    trace::latencies,
};

/// Backends take turns: what else the machine does hits all of them.
const ROUNDS: usize = 5;

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

/// The median latency of the program's touches under `backend`, ns. That rows and touches agree one by one is
/// shown elsewhere; here it is enough that there are as many.
fn median_under(backend: &str, program: &Path, arguments: &[&str], trace: &Path) -> u64 {
    let options = ["--backend", backend, "-o", text(trace), "--", text(program)];
    let ended = run(pfrec(&[&options, arguments].concat())).ok();
    assert!(ended.stderr.contains("pfrec: nothing lost\n"), "{ended:#?}");
    let touches = touches(&ended.stdout);
    let range = touches[0].address..touches[touches.len() - 1].address + 1;
    let latencies = latencies(trace, &range);
    assert_eq!(latencies.len(), touches.len(), "{ended:#?}");
    median(latencies)
}

/// The lowest median of all rounds for each backend, ns: what else the machine does only ever adds.
fn medians(backends: &[&'static str], arguments: &[&str]) -> BTreeMap<&'static str, u64> {
    let folder = disk_folder();
    let program = compile("touch_pages", folder.path());
    let trace = folder.path().join("t.pfz");
    let mut of_rounds: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for round in 0..ROUNDS {
        for turn in 0..backends.len() {
            let backend = backends[(round + turn) % backends.len()];
            let of_round = median_under(backend, &program, arguments, &trace);
            of_rounds.entry(backend).or_default().push(of_round);
        }
    }
    eprintln!("medians of the rounds, ns: {of_rounds:?}");
    let all = of_rounds.into_iter();
    all.map(|(backend, rounds)| (backend, rounds.into_iter().min().unwrap()))
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
    let (count, stride) = (40, 16);
    let path = std::env::var("PFREC_TEST_DEVICE")
        .unwrap_or_else(|_| file_of_pages(&folder.path().join("pages"), (count + 1) * stride));
    assert_medians_agree(&[&count.to_string(), &path, &stride.to_string()]);
}
