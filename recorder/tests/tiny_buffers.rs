//! A buffer far too small: everything that does not fit is counted, and placed in time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{
    alone, disk_folder, now_ns, pfanalyze, pfrec,
    process::run,
    program, text,
    trace::{assert_books_balance, contents, json},
    workload::workers,
};

const STORM: [&str; 12] = [
    "--anon",
    "--size",
    "2048",
    "--pattern",
    "seq",
    "--count",
    "262144",
    "--threads",
    "2",
    "--split",
    "--format",
    "json",
];

/// Time of the slower thread, ns, and what was lost.
fn storm(buffer: &str) -> (u64, u64) {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let workload = program("mmap-workload");
    let options = ["-o", text(&trace), "--buffer-size", buffer, "--", text(&workload)];
    let ended = run(pfrec(&[&options[..], &STORM].concat())).ok();
    let books = assert_books_balance(&trace, &ended.stderr);
    assert!(ended.stderr.contains("wait4(2) agrees"), "{}", ended.stderr);
    let workers = workers(&ended.stdout);
    let kernel: u64 = workers.iter().map(|worker| worker.majors + worker.minors).sum();
    assert!(kernel >= 524_288, "{kernel}");
    assert!(books.recorded + books.lost >= kernel, "{books:?}");

    let contents = contents(&trace);
    let costly: Vec<_> = contents
        .losses
        .iter()
        .filter(|loss| loss.reason.costs_events())
        .collect();
    assert_eq!(costly.iter().map(|loss| loss.count).sum::<u64>(), books.lost);
    // Windows have a length, follow one another, and are within the recording. Two that meet share the moment in
    // which the count was read.
    let mut before = json("info", &trace)["start_ns"].as_u64().unwrap();
    for loss in costly {
        assert!(before <= loss.from_ns && loss.from_ns < loss.to_ns, "{loss:?}");
        assert!(loss.to_ns <= now_ns(), "{loss:?}");
        before = loss.from_ns;
    }
    if books.lost > 0 {
        let report = run(pfanalyze(&[text(&trace)]));
        let first = report.stdout.lines().next().unwrap();
        assert!(first.starts_with("! lost: "), "{first}");
        assert!(
            ended.stderr.contains("try a larger --buffer-size"),
            "{}",
            ended.stderr
        );
    }
    let time = workers
        .iter()
        .map(|worker| worker.end_ns - worker.begin_ns)
        .max()
        .unwrap();
    (time, books.lost)
}

#[test]
#[ignore = "needs root"]
fn with_one_page_for_each_cpu_the_books_balance_and_nobody_waits() {
    let _alone = alone();
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let (small, lost) = storm("4K");
        let (large, _) = storm("64M");
        assert!(lost > 10_000, "{lost}");
        times.0.push(small);
        times.1.push(large);
    }
    // A target that waited for room would take as long as the recorder sleeps, for each 32 faults of 524,288.
    let (small, large) = (times.0.into_iter().min(), times.1.into_iter().min());
    assert!(small.unwrap() < 3 * large.unwrap(), "{small:?} {large:?}");
}
