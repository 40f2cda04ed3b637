//! Each entry event on the running kernel, against the kernel's own counts.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    io::Write,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::*;
use crate::{Exit, Fault, Record};

/// Records a shell that starts a program with a few thousand faults.
fn record_a_tree(backend: &'static dyn Backend) -> (Vec<Fault>, Vec<Exit>, Drops, u32) {
    let mut child = Command::new("sh")
        .args([
            "-c",
            "read go; dd if=/dev/zero of=/dev/null bs=8M count=1 2>/dev/null; exit 0",
        ])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let target = Target::Tree(vec![child.id()]);
    let config = Config {
        target,
        ring_bytes: 4 << 20,
        backend: BackendChoice::Auto,
    };
    let mut probes = Probes::open_backend(&config, backend).unwrap();
    let ring = probes.ring().unwrap();
    probes.start();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let root = child.id();

    let mut records = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut status = None;
    // One more drain after the end, for what came last.
    while status.is_none() {
        assert!(Instant::now() < deadline, "the shell does not end");
        status = child.try_wait().unwrap();
        probes.expect_wake_up();
        ring.wait(Duration::from_millis(20)).unwrap();
        ring.drain(&mut records).unwrap();
    }
    // Reaped by try_wait already; clippy wants to see it.
    assert!(child.wait().unwrap().success());
    probes.stop();
    assert_eq!(probes.in_flight().unwrap(), 0);
    assert_eq!(ring.malformed(), 0);
    let faults = records
        .iter()
        .filter_map(|r| if let Record::Fault(f) = r { Some(*f) } else { None });
    let exits = records
        .iter()
        .filter_map(|r| if let Record::Exit(e) = r { Some(*e) } else { None });
    (faults.collect(), exits.collect(), probes.drops(), root)
}

fn assert_nothing_is_missing(backend: &'static dyn Backend) -> Vec<Fault> {
    let (faults, exits, drops, root) = record_a_tree(backend);
    assert_eq!(
        (
            drops.reserve,
            drops.no_entry,
            drops.state,
            drops.exits,
            drops.recursion
        ),
        (0, 0, 0, 0, 0)
    );
    assert!(exits.iter().any(|exit| exit.tid != root), "the end of dd");
    for exit in exits {
        // From one record of a task to the next, the kernel counts exactly what the records tell.
        let own = faults
            .iter()
            .filter(|fault| fault.tid == exit.tid)
            .map(|fault| (fault.counts, 1));
        let mut before = None;
        for (counts, own) in own.chain([(exit.counts, 0)]) {
            let total = counts.majors + counts.minors;
            let told = own + counts.hidden + counts.lost;
            let since = before.unwrap_or(if exit.tid == root { total - told } else { 0 });
            assert_eq!(total, since + told, "thread {}", exit.tid);
            before = Some(total);
        }
    }
    assert!(faults.len() > 2048, "dd touches 8 MiB: {} faults", faults.len());
    assert!(
        faults
            .iter()
            .all(|fault| fault.latency_ns > 0 && fault.latency_ns < 30_000_000_000)
    );
    faults
}

#[test]
#[ignore = "needs root"]
fn with_tracepoints_every_fault_of_a_tree_arrives_with_its_access() {
    let faults = assert_nothing_is_missing(candidates(BackendChoice::Perf)[0]);
    assert!(
        faults
            .iter()
            .any(|fault| fault.access == types::pf_access::PF_ACCESS_WRITE.0 as u8)
    );
    assert!(
        faults
            .iter()
            .any(|fault| fault.access == types::pf_access::PF_ACCESS_EXEC.0 as u8)
    );
}

#[test]
#[ignore = "needs root"]
fn with_the_software_event_every_fault_of_a_tree_arrives() {
    let faults = assert_nothing_is_missing(candidates(BackendChoice::Perf)[1]);
    assert!(faults.iter().all(|fault| fault.access == 0));
    assert!(
        faults
            .iter()
            .any(|fault| fault.origin == types::pf_origin::PF_ORIGIN_KERNEL.0 as u8)
    );
}
