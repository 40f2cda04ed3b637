//! A recorder that cannot keep up says exactly how much it lost, and when.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::fs;

use common::{
    alone, disk_folder, now_ns, pfanalyze, pfrec,
    process::{run, start},
    program,
    programs::compile,
    text,
    trace::{assert_books_balance, contents},
    until_written,
};
use nix::sys::signal::Signal;
use pf_formats::LossReason;

#[test]
#[ignore = "needs root"]
fn what_a_stopped_recorder_lost_is_counted_to_the_fault_and_placed_in_time() {
    let _alone = alone();
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    // One storm while the recorder is stopped, one while it runs.
    let script = r#"
        cd "$TMPDIR"
        echo > ready
        while [ ! -e go ]; do sleep 0.02; done
        "$1" --anon --size 400 --pattern seq --threads 2 --count 100000 --write > /dev/null
        echo > first
        while [ ! -e go-on ]; do sleep 0.02; done
        "$1" --anon --size 400 --pattern seq --threads 2 --count 100000 --write > /dev/null
    "#;
    let mut command = pfrec(&["-o", text(&trace), "--buffer-size", "64K"]);
    command
        .args([
            "--",
            "bash",
            "-c",
            script,
            "bash",
            text(&program("mmap-workload")),
        ])
        .env("TMPDIR", folder.path());
    let recorder = start(command);
    until_written(&folder.path().join("ready"));
    let stopped_ns = now_ns();
    recorder.signal(Signal::SIGSTOP);
    fs::write(folder.path().join("go"), "").unwrap();
    until_written(&folder.path().join("first"));
    recorder.signal(Signal::SIGCONT);
    let continued_ns = now_ns();
    fs::write(folder.path().join("go-on"), "").unwrap();
    let ended = recorder.wait().ok();
    eprintln!("{}", ended.stderr);

    let books = assert_books_balance(&trace, &ended.stderr);
    assert!(books.lost > 50_000, "{books:?}");
    assert!(books.recorded > 500, "{books:?}");
    assert!(ended.stderr.contains("LOST"), "{ended:#?}");
    assert!(ended.stderr.contains("wait4(2) agrees"), "{ended:#?}");

    let losses = contents(&trace).losses;
    let costly: Vec<_> = losses.iter().filter(|loss| loss.reason.costs_events()).collect();
    assert_eq!(
        costly.iter().map(|loss| loss.count).sum::<u64>(),
        books.lost,
        "{losses:?}"
    );
    assert!(costly.iter().all(|loss| loss.from_ns < loss.to_ns), "{losses:?}");
    assert!(
        costly
            .iter()
            .any(|loss| loss.from_ns < continued_ns && loss.to_ns > stopped_ns && loss.count > 10_000),
        "{losses:?}"
    );

    let report = run(pfanalyze(&[text(&trace)])).ok();
    let first = report
        .stdout
        .lines()
        .chain(report.stderr.lines())
        .find(|line| line.contains("lost"));
    assert!(first.is_some(), "{report:#?}");
    let first = report.stdout.lines().next().unwrap();
    assert!(
        first.contains("lost")
            || report
                .stderr
                .lines()
                .next()
                .is_some_and(|line| line.contains("lost")),
        "the losses come first: {report:#?}"
    );
}

#[test]
#[ignore = "needs root"]
fn what_is_rare_has_a_ring_of_its_own_and_its_losses_are_counted_too() {
    let _alone = alone();
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let script = r#"
        cd "$1"
        echo > ready
        while [ ! -e go ]; do sleep 0.02; done
        "$2" 14
        "$3" 30000 100 1 > /dev/null
        echo > done
    "#;
    let mut command = pfrec(&["-o", text(&trace), "--stacks", "--", "sh", "-c", script, "sh"]);
    command
        .arg(folder.path())
        .arg(compile("many_stacks", folder.path()))
        .arg(compile("many_threads", folder.path()));
    let recorder = start(command);
    until_written(&folder.path().join("ready"));
    let stopped_ns = now_ns();
    recorder.signal(Signal::SIGSTOP);
    fs::write(folder.path().join("go"), "").unwrap();
    until_written(&folder.path().join("done"));
    recorder.signal(Signal::SIGCONT);
    let continued_ns = now_ns();
    let ended = recorder.wait().ok();
    eprintln!("{}", ended.stderr);

    // The faults themselves had room in their lanes; the few of get_user_pages, which fentry sees, have none.
    let books = assert_books_balance(&trace, &ended.stderr);
    assert!(books.lost < 20, "{books:?}");
    let losses = contents(&trace).losses;
    for (reason, least) in [(LossReason::Stack, 5_000), (LossReason::Exits, 5_000)] {
        let of_it: Vec<_> = losses.iter().filter(|loss| loss.reason == reason).collect();
        let count: u64 = of_it.iter().map(|loss| loss.count).sum();
        assert!(count > least, "{reason:?}: {losses:?}");
        for loss in of_it {
            assert!(
                loss.from_ns < continued_ns && loss.to_ns > stopped_ns,
                "not within {stopped_ns} to {continued_ns}: {loss:?} of {losses:?}"
            );
        }
    }
    assert!(
        ended
            .stderr
            .contains("ends of threads: the kernel's ring buffer was full")
    );
    assert!(
        ended
            .stderr
            .contains("user stacks: the kernel's ring buffer was full")
    );
    let report = run(pfanalyze(&[text(&trace)])).ok();
    let marked: Vec<&str> = report
        .stdout
        .lines()
        .take_while(|line| line.starts_with("! "))
        .collect();
    assert!(marked.iter().any(|line| line.contains("stack")), "{marked:?}");
    assert!(
        marked.iter().any(|line| line.contains("ends of threads")),
        "{marked:?}"
    );
}
