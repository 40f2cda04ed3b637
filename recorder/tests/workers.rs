//! Threads that the kernel makes in a process for itself: no fork tells of them, and they fault on its memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{
    alone, disk_folder, pfrec,
    process::run,
    programs::compile,
    text,
    touched::file_of_pages,
    trace::{assert_whole, rows},
};

const PAGES: u64 = 256;
/// What the program ends with where there is no io_uring.
const NOT_HERE: i32 = 77;

#[test]
#[ignore = "needs root"]
fn faults_of_the_workers_of_io_uring_are_those_of_the_command() {
    let _alone = alone();
    let folder = disk_folder();
    let (trace, source) = (folder.path().join("t.pfz"), folder.path().join("source"));
    file_of_pages(&source, PAGES as usize);
    let program = compile("workers", folder.path());
    let own = ["-o", text(&trace), "--", text(&program), text(&source), "256"];
    let ended = run(pfrec(&own));
    if ended.status.code() == Some(NOT_HERE) {
        pf_checks::not_run("io-uring", "the kernel has no io_uring, or does not allow it");
        return;
    }
    let ended = ended.ok();
    // The kernel's own sum for the command holds them: with them it agrees.
    assert_whole(&trace, &ended.stderr);
    let start: u64 = ended.stdout.trim().parse().unwrap();
    let of_workers = rows(&trace)
        .into_iter()
        .filter(|row| row.tid != row.pid && (start..start + PAGES * 4096).contains(&row.address));
    let count = of_workers.count() as u64;
    // Kernels before 5.12 have workers that belong to nobody.
    assert!(
        count >= PAGES / 16 || common::emulated(),
        "{count}\n{}",
        ended.stderr
    );
}
