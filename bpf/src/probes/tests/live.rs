//! Counting in the kernel, against the records of the same faults and the kernel's own counts.

use std::collections::HashMap;

use super::*;
use crate::{LiveCounting, LiveCounts, LiveThread};

struct Counted {
    threads: Vec<LiveThread>,
    crowd: LiveCounts,
    /// How many threads were without a slot at the end.
    crowded: u64,
    /// By thread.
    records: HashMap<u32, (u64, u64)>,
}

/// Counts what the load of the other tests does, slots being read once and again meanwhile.
fn count_a_tree(backend: &'static dyn Backend, features: Features, room: u32, alone: bool) -> Counted {
    let mut child = Command::new("sh")
        .args([
            "-c",
            "read go; for i in 1 2 3; do \"$0\" --exact probes::tests::touch_pages > /dev/null; done",
        ])
        .arg(std::env::current_exe().unwrap())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut config = Config::new(Target::Tree(vec![child.id()]));
    config.live = Some(LiveCounting { threads: room, alone });
    let mut probes = Probes::open_backend(&config, backend, features).unwrap();
    let mut live = probes.live().unwrap().unwrap();
    let mut ring = probes.ring().unwrap();
    probes.start();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let (mut records, mut threads) = (Vec::new(), Vec::new());
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut status = None;
    while status.is_none() {
        assert!(Instant::now() < deadline, "the shell does not end");
        status = child.try_wait().unwrap();
        probes.expect_wake_up();
        ring.wait(&[], Duration::from_millis(20)).unwrap();
        ring.drain(now_ns(), |record| records.push(record)).unwrap();
        live.take_ended(|thread| threads.push(thread));
    }
    // Reaped by try_wait already; clippy wants to see it.
    assert!(child.wait().unwrap().success());
    probes.stop(now_ns());
    assert_eq!(probes.in_flight().unwrap(), 0);
    ring.drain_all(|record| records.push(record)).unwrap();
    live.take_ended(|thread| threads.push(thread));
    live.for_each(|thread| panic!("{} has not ended", thread.tid));
    let drops = probes.drops();
    assert_eq!(
        (drops.reserve, drops.no_entry, drops.state, drops.exits),
        (0, 0, 0, 0)
    );
    let mut by_thread: HashMap<u32, (u64, u64)> = HashMap::new();
    for fault in faults_of(&records).iter().filter(|fault| !fault.failed) {
        let (majors, minors) = by_thread.entry(fault.tid).or_default();
        *(if fault.major { majors } else { minors }) += 1;
    }
    let (crowd, crowded) = live.crowd();
    Counted {
        threads,
        crowd,
        crowded,
        records: by_thread,
    }
}

fn assert_is_balanced(counts: &LiveCounts) {
    let told = counts.majors + counts.minors + counts.hidden + counts.filtered + counts.lost;
    assert_eq!(counts.kernel_majors + counts.kernel_minors, told);
    let latencies: u64 = counts.latencies.iter().map(|&count| u64::from(count)).sum();
    assert_eq!(latencies, counts.majors + counts.minors + counts.failed);
}

#[test]
#[ignore = "needs root"]
fn the_kernels_own_table_holds_what_the_records_tell_thread_by_thread() {
    for backend in usable() {
        for task_storage in [true, false] {
            let features = Features {
                task_storage,
                ..Features::of_this_kernel()
            };
            let counted = count_a_tree(backend, features, 64, false);
            let mut seen = HashMap::new();
            for thread in &counted.threads {
                assert_is_balanced(&thread.counts);
                let counts = &thread.counts;
                assert!(counts.min_ns > 0 && counts.min_ns <= counts.max_ns);
                assert!(counts.total_ns >= counts.max_ns);
                assert!(!thread.comm.is_empty() && thread.tgid != 0);
                seen.insert(thread.tid, (counts.majors, counts.minors));
            }
            assert_eq!(seen, counted.records, "{}", backend.name());
            assert!(seen.values().map(|(_, minors)| minors).sum::<u64>() > 3 * PAGES as u64);
            // What a thread does after its end is nobody's.
            assert_is_balanced(&counted.crowd);
            assert_eq!(counted.crowded, 0);
        }
    }
}

#[test]
#[ignore = "needs root"]
fn alone_nothing_crosses_and_nothing_is_missing() {
    for backend in usable() {
        let counted = count_a_tree(backend, Features::of_this_kernel(), 64, true);
        assert!(counted.records.is_empty());
        assert!(counted.threads.len() >= 4, "a shell and three programs");
        counted
            .threads
            .iter()
            .for_each(|thread| assert_is_balanced(&thread.counts));
        let minors: u64 = counted.threads.iter().map(|thread| thread.counts.minors).sum();
        assert!(minors > 3 * PAGES as u64, "{minors}");
    }
}

#[test]
#[ignore = "needs root"]
fn threads_without_a_slot_are_counted_together() {
    for backend in usable() {
        // One slot: the shell has it.
        let counted = count_a_tree(backend, Features::of_this_kernel(), 1, false);
        assert!(!counted.threads.is_empty());
        assert_is_balanced(&counted.crowd);
        assert_eq!(counted.crowded, 0, "all of them have ended");
        let sum = |pairs: &mut dyn Iterator<Item = (u64, u64)>| {
            pairs.fold((0, 0), |sum, (majors, minors)| (sum.0 + majors, sum.1 + minors))
        };
        let rows = counted
            .threads
            .iter()
            .map(|thread| (thread.counts.majors, thread.counts.minors));
        let crowd = (counted.crowd.majors, counted.crowd.minors);
        assert!(crowd.1 > PAGES as u64, "{crowd:?}");
        assert_eq!(
            sum(&mut rows.chain([crowd])),
            sum(&mut counted.records.values().copied())
        );
    }
}
