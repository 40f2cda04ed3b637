//! One load, every backend that this kernel takes: they measure the same thing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use common::{
    alone, disk_folder, emulated, pfrec,
    process::run,
    programs::compile,
    text,
    touched::{HEADER, Touched, file_of_pages, touches},
    trace::latencies,
};
use pf_checks::not_run;

/// Backends take turns: what else the machine does hits all of them.
const ROUNDS: usize = 5;
const COLD_PAGES: usize = 40;
const COLD_STRIDE: usize = 16;

/// What each recording has faults of, in this order.
const LOADS: [&str; 3] = ["one page of memory", "huge page of memory", COLD];
const COLD: &str = "cold page";

/// The load whose medians are told and not judged. A probe that runs within the fault is part of what it
/// measures, and where the kernel does next to nothing that shows: an emulated CPU takes 2 us for the trap of a
/// kprobe, and as much again for each look-up of a state, of 8 us for such a fault.
const OF_PROBES_TOO: &str = LOADS[0];

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

/// The median latency of these touches, ns. That rows and touches agree one by one is shown elsewhere; here it
/// is enough that there are as many.
fn median_of(touches: &[Touched], latencies: &[(u64, u64, u64)]) -> u64 {
    let (first, last) = (&touches[0], &touches[touches.len() - 1]);
    let inside = |(ts, address, _): &&(u64, u64, u64)| {
        (first.begin_ns..=last.end_ns).contains(ts) && (first.address..=last.address).contains(address)
    };
    let found: Vec<u64> = latencies.iter().filter(inside).map(|row| row.2).collect();
    assert_eq!(found.len(), touches.len());
    median(found)
}

/// What counts of the medians of all rounds. Another program on the machine only ever adds to the time that
/// memory takes, so the lowest; a throttled disk may also answer early, so the median.
fn typical(load: &str, rounds: &[u64]) -> u64 {
    if load == COLD {
        median(rounds.to_vec())
    } else {
        *rounds.iter().min().unwrap()
    }
}

/// The three loads, one after the other.
struct Loads {
    program: PathBuf,
    cold: String,
    trace: PathBuf,
}

impl Loads {
    fn in_folder(folder: &Path) -> Self {
        let file = || file_of_pages(&folder.join("pages"), (COLD_PAGES + 1) * COLD_STRIDE);
        Self {
            program: compile("touch_pages", folder),
            cold: std::env::var("PFREC_TEST_DEVICE").unwrap_or_else(|_| file()),
            trace: folder.join("t.pfz"),
        }
    }

    /// Their medians under `backend`, ns.
    fn medians_under(&self, backend: &str) -> Vec<u64> {
        let script = format!(r#""$1" 3000 && "$1" 30 huge && "$1" {COLD_PAGES} "$2" {COLD_STRIDE}"#);
        let options = ["--backend", backend, "-o", text(&self.trace), "--"];
        let command = ["sh", "-c", &script, "sh", text(&self.program), &self.cold];
        let ended = run(pfrec(&[&options[..], &command].concat())).ok();
        let latencies = latencies(&self.trace);
        let parts = ended.stdout.split(HEADER).skip(1);
        parts
            .map(|part| median_of(&touches(&format!("{HEADER}{part}")), &latencies))
            .collect()
    }
}

#[test]
#[ignore = "needs root"]
fn the_backends_agree_on_the_medians_of_the_same_loads() {
    let _alone = alone();
    let folder = disk_folder();
    let loads = Loads::in_folder(folder.path());
    let backends = usable_backends();
    assert!(!backends.is_empty());
    if let [only] = backends[..] {
        not_run(
            "backend/medians",
            &format!("only {only} works here: with nothing to compare"),
        );
        return;
    }
    let mut of_rounds: BTreeMap<(&str, &str), Vec<u64>> = BTreeMap::new();
    for round in 0..ROUNDS {
        for turn in 0..backends.len() {
            let backend = backends[(round + turn) % backends.len()];
            for (load, median) in LOADS.into_iter().zip(loads.medians_under(backend)) {
                of_rounds.entry((load, backend)).or_default().push(median);
            }
        }
    }
    for load in LOADS {
        let medians: BTreeMap<&str, u64> = backends
            .iter()
            .map(|backend| (*backend, typical(load, &of_rounds[&(load, *backend)])))
            .collect();
        eprintln!("{load}: medians {medians:?} ns");
        let (smallest, largest) = (medians.values().min().unwrap(), medians.values().max().unwrap());
        // An emulated CPU stands still when its host is busy, which is longer than it clears a huge page.
        let told_only = load == OF_PROBES_TOO || emulated() && load != COLD;
        assert!(
            told_only || (largest - smallest) * 10 < *smallest,
            "{load}: 10 % or more apart: {medians:?}; rounds: {of_rounds:?}"
        );
    }
}
