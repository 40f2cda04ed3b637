//! `pfrec doctor` on a machine that can record.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{pfrec, process::run};

#[test]
#[ignore = "needs root"]
fn doctor_names_the_backend_that_would_be_used() {
    let doctor = run(pfrec(&["doctor"])).ok();
    assert!(doctor.stdout.contains("pfrec would use: perf"), "{doctor:#?}");
    assert!(
        doctor.stdout.contains("probes in user code can be attached to"),
        "{doctor:#?}"
    );
}
