//! Each entry event on the running kernel, against the kernel's own counts.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    io::Write,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::*;
use crate::{BackendChoice, CommTables, EntryEvent, Exit, Fault, Filters, Record};

mod live;

fn now_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: fills the struct it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec.cast_unsigned() * 1_000_000_000 + now.tv_nsec.cast_unsigned()
}

const PAGES: usize = 2048;

/// Faults of this thread that the kernel has counted.
fn faults_of_this_thread() -> i64 {
    // SAFETY: a struct of numbers, and getrusage fills the one it is given.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage);
        usage.ru_minflt + usage.ru_majflt
    }
}

/// The load of the others, which run this one in another process. Pages of 4 KiB whatever the machine's settings.
#[test]
fn touch_pages() {
    let len = PAGES * 4096;
    // SAFETY: new memory, used by nobody else, inside its bounds.
    unsafe {
        let (prot, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        );
        let start = libc::mmap(ptr::null_mut(), len, prot, flags, -1, 0).cast::<u8>();
        libc::madvise(start.cast(), len, libc::MADV_NOHUGEPAGE);
        let before = faults_of_this_thread();
        for page in 0..PAGES {
            start.add(page * 4096).write_volatile(1);
        }
        let took = faults_of_this_thread() - before;
        libc::munmap(start.cast(), len);
        // The stack and the code of this test may add a few.
        let expected = i64::try_from(PAGES * 4096 / page_size()).unwrap();
        assert!((expected..expected + 16).contains(&took), "{took}");
    }
}

fn page_size() -> usize {
    // SAFETY: only asks.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap()
}

/// Records a shell that starts a program with a few thousand faults.
fn record_a_tree(
    backend: &'static dyn Backend,
    features: Features,
    change: impl FnOnce(&mut Config),
) -> (Vec<Record>, Drops, u32) {
    let mut child = Command::new("sh")
        .args([
            "-c",
            "read go; \"$0\" --exact probes::tests::touch_pages > /dev/null",
        ])
        .arg(std::env::current_exe().unwrap())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut config = Config::new(Target::Tree(vec![child.id()]));
    change(&mut config);
    let mut probes = Probes::open_backend(&config, backend, features).unwrap();
    let mut ring = probes.ring().unwrap();
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
        ring.wait(&[], Duration::from_millis(20)).unwrap();
        ring.drain(now_ns(), |record| records.push(record)).unwrap();
    }
    // Reaped by try_wait already; clippy wants to see it.
    assert!(child.wait().unwrap().success());
    probes.stop(now_ns());
    assert_eq!(probes.in_flight().unwrap(), 0);
    ring.drain_all(|record| records.push(record)).unwrap();
    assert_eq!(ring.malformed(), 0);
    (records, probes.drops(), root)
}

fn faults_of(records: &[Record]) -> Vec<Fault> {
    let faults = records.iter().filter_map(|record| match record {
        Record::Fault(fault) => Some(*fault),
        _ => None,
    });
    faults.collect()
}

fn exits_of(records: &[Record]) -> Vec<Exit> {
    let exits = records.iter().filter_map(|record| match record {
        Record::Exit(exit) => Some(*exit),
        _ => None,
    });
    exits.collect()
}

/// From one record of a task to the next, the kernel counts exactly what the records tell.
fn assert_balanced(records: &[Record], root: u32) {
    for exit in exits_of(records) {
        let own = faults_of(records)
            .into_iter()
            .filter(|fault| fault.tid == exit.tid)
            .map(|fault| (fault.counts, u32::from(!fault.failed)));
        let mut before = None;
        for (counts, own) in own.chain([(exit.counts, 0)]) {
            let total = counts.majors + counts.minors;
            let told = own + counts.hidden + counts.lost + counts.filtered;
            let since = before.unwrap_or(if exit.tid == root { total - told } else { 0 });
            assert_eq!(total, since + told, "thread {}", exit.tid);
            before = Some(total);
        }
    }
}

fn assert_nothing_is_missing(backend: &'static dyn Backend, features: Features) -> Vec<Fault> {
    let (records, drops, root) = record_a_tree(backend, features, |_| {});
    let lost = (drops.reserve, drops.no_entry, drops.state, drops.exits);
    assert_eq!((lost, drops.recursion), ((0, 0, 0, 0), 0));
    assert!(
        exits_of(&records).iter().any(|exit| exit.tid != root),
        "the end of the program"
    );
    assert_balanced(&records, root);
    let faults = faults_of(&records);
    assert!(faults.len() > PAGES, "{} faults", faults.len());
    let plausible = |fault: &Fault| fault.latency_ns > 0 && fault.latency_ns < 30_000_000_000;
    assert!(faults.iter().all(plausible));
    faults
}

fn has_access(faults: &[Fault], access: types::pf_access) -> bool {
    faults.iter().any(|fault| u32::from(fault.access) == access.0)
}

/// Those that this kernel takes. The others are told, so that nobody takes one for tested that was not.
fn usable() -> Vec<&'static dyn Backend> {
    let config = Config::new(Target::Pids(Vec::new()));
    let mut usable = Vec::new();
    for backend in candidates(BackendChoice::Auto).iter().copied() {
        match Probes::open_backend(&config, backend, Features::of_this_kernel()) {
            Ok(_) => usable.push(backend),
            Err(problem) => pf_checks::not_run(
                &format!("backend/{}", backend.name()),
                &format!("entry by {}: {problem}", backend.entry().name()),
            ),
        }
    }
    assert!(!usable.is_empty(), "no backend loads here");
    usable
}

#[test]
#[ignore = "needs root"]
fn every_fault_of_a_tree_arrives_by_every_backend_that_loads() {
    for backend in usable() {
        println!("backend {}, entry by {}", backend.name(), backend.entry().name());
        let faults = assert_nothing_is_missing(backend, Features::of_this_kernel());
        let kernel = types::pf_origin::PF_ORIGIN_KERNEL.0;
        assert!(faults.iter().any(|fault| u32::from(fault.origin) == kernel));
        let knows_access = backend.entry() == EntryEvent::Tracepoints || backend.sees_vma();
        assert_eq!(
            has_access(&faults, types::pf_access::PF_ACCESS_WRITE),
            knows_access
        );
        assert_eq!(
            has_access(&faults, types::pf_access::PF_ACCESS_EXEC),
            knows_access
        );
        assert_eq!(faults.iter().any(|fault| fault.vma.is_some()), backend.sees_vma());
        if backend.name() == "fentry" {
            assert!(faults.iter().all(|fault| fault.counts.hidden == 0));
        }
    }
}

#[test]
#[ignore = "needs root"]
fn without_task_storage_nothing_is_missing_either() {
    for backend in usable() {
        let features = Features {
            task_storage: false,
            ..Features::of_this_kernel()
        };
        assert_nothing_is_missing(backend, features);
    }
}

/// A state for each byte that was met.
fn exactly(name: &[u8]) -> CommTables {
    let mut step = Box::new([0; 256]);
    for (at, &byte) in name.iter().enumerate() {
        step[usize::from(byte)] |= 1 << at;
    }
    CommTables {
        step,
        stay: [0; 4],
        start: 1,
        accept: 1 << name.len(),
    }
}

#[test]
#[ignore = "needs root"]
fn what_is_filtered_is_counted() {
    for backend in usable() {
        let change = |config: &mut Config| {
            config.filters = Filters {
                sample: 10,
                // The thread of that test: its name, cut by the kernel.
                comm: Some(exactly(b"probes::tests::")),
                ..Filters::default()
            };
        };
        let (records, drops, root) = record_a_tree(backend, Features::of_this_kernel(), change);
        assert_eq!((drops.reserve, drops.no_entry), (0, 0));
        assert_balanced(&records, root);
        let faults = faults_of(&records);
        assert!(faults.iter().all(|fault| fault.tid != root));
        // 2048 pages, one in ten.
        assert!((100..400).contains(&faults.len()), "{}", faults.len());
        let (records, _, root) = record_a_tree(backend, Features::of_this_kernel(), |config| {
            config.filters.major_only = true;
        });
        assert_balanced(&records, root);
        assert!(faults_of(&records).iter().all(|fault| fault.major));
    }
}

#[test]
#[ignore = "needs root"]
fn the_parts_of_a_fault_are_no_more_than_the_whole() {
    for backend in usable() {
        let change = |config: &mut Config| {
            config.breakdown = true;
            config.stacks = true;
        };
        let (records, _, root) = record_a_tree(backend, Features::of_this_kernel(), change);
        assert_balanced(&records, root);
        for fault in faults_of(&records) {
            let times = fault.times.unwrap();
            assert!(
                times.blocked_ns + times.runqueue_ns <= fault.latency_ns,
                "{fault:?}"
            );
            assert!(times.lock_ns <= fault.latency_ns && times.reclaim_ns <= fault.latency_ns);
            assert!(fault.stack != 0 || fault.origin > 1);
        }
        assert!(records.iter().any(|record| matches!(record, Record::Stack(_))));
    }
}

/// As on kernels of all ages: with the entry by tracepoints and without, in task storage and by thread number.
#[test]
#[ignore = "needs root"]
fn every_fault_has_the_witnesses_of_its_cause_that_there_are() {
    for (backend, task_storage) in usable()
        .into_iter()
        .flat_map(|backend| [(backend, true), (backend, false)])
    {
        let here = Features::of_this_kernel();
        let features = Features {
            task_storage: task_storage && here.task_storage,
            ..here
        };
        let change = |config: &mut Config| {
            config.breakdown = true;
            config.causes = true;
        };
        let (records, drops, root) = record_a_tree(backend, features, change);
        assert_eq!((drops.reserve, drops.stacks, drops.recursion), (0, 0, 0));
        assert_balanced(&records, root);
        let mut stacks = std::collections::HashSet::new();
        let mut fresh = 0;
        for record in &records {
            match record {
                Record::KernelStack(stack) => {
                    assert!(stack.tgid == 0 && !stack.frames.is_empty(), "{stack:?}");
                    stacks.insert(stack.hash);
                }
                Record::Fault(fault) => {
                    let seen = fault.witnesses;
                    let sleep = seen.sleep().unwrap();
                    assert!(sleep == 0 || stacks.contains(&sleep), "{fault:?}");
                    assert_eq!(sleep != 0, fault.times.unwrap().blocked_ns != 0, "{fault:?}");
                    let tells = backend.entry().tells_presence() && fault.origin <= 1;
                    assert_eq!(seen.present().is_some(), tells, "{fault:?}");
                    let is_new = seen.present() != Some(true) && seen.pages_added() == Some(0);
                    fresh += usize::from(is_new && !fault.major);
                }
                _ => {}
            }
        }
        assert!(fresh >= PAGES, "{fresh} first touches");
    }
}
