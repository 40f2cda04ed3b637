//! `pfrec doctor` on a machine that can record.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{disk_folder, plain, process::run, program, text, trace::sight};

#[test]
#[ignore = "needs root"]
fn doctor_names_the_backend_that_a_recording_uses() {
    let doctor = run(plain(&program("pfrec"), &["doctor"])).ok();
    let named = doctor
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("pfrec would use: "))
        .unwrap_or_else(|| panic!("{doctor:#?}"));
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let recorded = |options: &[&str]| {
        let arguments = [options, &["-o", text(&trace), "--", "true"]].concat();
        run(plain(&program("pfrec"), &arguments))
    };
    recorded(&[]).ok();
    assert_eq!(
        named.split([',', ' ']).next(),
        Some(sight(&trace).backend.as_str())
    );
    // And that is the first one that works.
    let first = ["fentry", "perf", "kprobe"]
        .into_iter()
        .find(|backend| recorded(&["--backend", backend]).status.success());
    assert_eq!(first, Some(sight(&trace).backend.as_str()));
    assert!(doctor.stdout.contains("probes in user code work"), "{doctor:#?}");
}
