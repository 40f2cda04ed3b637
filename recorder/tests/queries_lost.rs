//! More queries than the recorder can take: each is in the trace or counted as lost, with a window.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::fs;

use common::{
    alone, disk_folder, now_ns, pfrec,
    process::start,
    programs::compile,
    queries::{queries, supported},
    text,
    trace::{assert_books_balance, contents},
    until_written,
};
use nix::sys::signal::Signal;
use pf_formats::LossReason;

const CALLS: u64 = 400_000;

#[test]
#[ignore = "needs root"]
fn what_a_stopped_recorder_lost_of_the_queries_is_counted_and_placed_in_time() {
    if !supported() {
        return;
    }
    let _alone = alone();
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let program = compile("query_storm", folder.path());
    let spec = format!("--query=func:{}:call", program.display());
    let script = format!(
        "cd \"$1\"; echo > ready; while [ ! -e go ]; do sleep 0.02; done; \"$2\" {CALLS}; echo > done"
    );
    let mut command = pfrec(&["-o", text(&trace), &spec, "--", "sh", "-c", &script, "sh"]);
    command.arg(folder.path()).arg(&program);
    let recorder = start(command);
    until_written(&folder.path().join("ready"));
    let stopped_ns = now_ns();
    recorder.signal(Signal::SIGSTOP);
    fs::write(folder.path().join("go"), "").unwrap();
    until_written(&folder.path().join("done"));
    recorder.signal(Signal::SIGCONT);
    let continued_ns = now_ns();
    let ended = recorder.wait().ok();

    assert_books_balance(&trace, &ended.stderr);
    let told = queries(&trace).rows.len() as u64;
    let losses = contents(&trace).losses;
    let of_queries: Vec<_> = losses
        .iter()
        .filter(|loss| loss.reason == LossReason::Query)
        .collect();
    let lost: u64 = of_queries.iter().map(|loss| loss.count).sum();
    assert!(lost > CALLS / 4, "{losses:?}");
    assert_eq!(told + lost, CALLS, "{losses:?}");
    for loss in of_queries {
        assert!(loss.from_ns < continued_ns && loss.to_ns > stopped_ns, "{loss:?}");
    }
    assert!(
        ended
            .stderr
            .contains("queries: the kernel's ring buffer was full"),
        "{}",
        ended.stderr
    );
}
