//! mmap-workload: its own counts are what traces are measured against.

use std::{collections::HashMap, fs, path::Path};

use serde_json::Value;

use super::{trace::Fault, until};

/// A thread as mmap-workload reports it, counted by `getrusage(RUSAGE_THREAD)`.
#[derive(Clone, Debug)]
pub struct Worker {
    pub tid: u32,
    pub comm: String,
    pub majors: u64,
    pub minors: u64,
    pub begin_ns: u64,
    pub end_ns: u64,
}

/// One access, with the kernel's counts before and after.
#[derive(Clone, Debug)]
pub struct Touch {
    pub tid: u32,
    pub begin_ns: u64,
    pub end_ns: u64,
    pub address: u64,
    pub majors: u64,
    pub minors: u64,
}

/// The threads in the report on standard output.
pub fn workers(report: &str) -> Vec<Worker> {
    let report: Value = serde_json::from_str(report).unwrap_or_else(|e| panic!("{e}: {report}"));
    let threads = report["threads"].as_array().unwrap();
    threads.iter().map(worker).collect()
}

fn worker(row: &Value) -> Worker {
    let number = |name: &str| row[name].as_u64().unwrap();
    Worker {
        tid: u32::try_from(number("tid")).unwrap(),
        comm: row["comm"].as_str().unwrap().to_owned(),
        majors: number("majors"),
        minors: number("minors"),
        begin_ns: number("begin_ns"),
        end_ns: number("end_ns"),
    }
}

/// The file of `--log-touches`.
pub fn touches(log: &Path) -> Vec<Touch> {
    let text = fs::read_to_string(log).unwrap();
    let mut lines = text.lines();
    assert_eq!(
        lines.next(),
        Some("tid,begin_ns,end_ns,address,page,majors,minors")
    );
    lines.map(touch).collect()
}

fn touch(line: &str) -> Touch {
    let fields: Vec<u64> = line.split(',').map(|field| field.parse().unwrap()).collect();
    let [tid, begin_ns, end_ns, address, _page, majors, minors] = fields[..] else {
        panic!("not a touch: {line}");
    };
    Touch {
        tid: u32::try_from(tid).unwrap(),
        begin_ns,
        end_ns,
        address,
        majors,
        minors,
    }
}

/// Asserts that what was recorded of each worker while it walked is what the kernel told it, to the fault.
pub fn assert_equal_counts(workers: &[Worker], faults: &[Fault]) {
    let mut of_thread: HashMap<u32, Vec<&Fault>> = HashMap::new();
    for fault in faults {
        of_thread.entry(fault.tid).or_default().push(fault);
    }
    for worker in workers {
        let during: Vec<_> = of_thread
            .get(&worker.tid)
            .into_iter()
            .flatten()
            .filter(|fault| (worker.begin_ns..=worker.end_ns).contains(&fault.ts_ns))
            .collect();
        let majors = during.iter().filter(|fault| fault.major).count() as u64;
        let minors = during.len() as u64 - majors;
        assert_eq!((majors, minors), (worker.majors, worker.minors), "{worker:?}");
    }
}

/// Asserts that each touch has exactly its faults: class, page, and within its time. Returns for each touch
/// with a fault its duration less the recorded latency, in nanoseconds.
pub fn assert_each_touch(touches: &[Touch], faults: &[Fault]) -> Vec<u64> {
    let page_size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .unwrap()
        .unwrap();
    let page_size = u64::try_from(page_size).unwrap();
    let mut of_thread: HashMap<u32, Vec<&Fault>> = HashMap::new();
    for fault in faults {
        of_thread.entry(fault.tid).or_default().push(fault);
    }
    for list in of_thread.values_mut() {
        list.sort_by_key(|fault| fault.ts_ns);
    }
    let mut around = Vec::new();
    for touch in touches {
        let list = of_thread.get(&touch.tid).map_or(&[][..], Vec::as_slice);
        let from = list.partition_point(|fault| fault.ts_ns < touch.begin_ns);
        let to = list.partition_point(|fault| fault.ts_ns <= touch.end_ns);
        let during = &list[from..to];
        let majors = during.iter().filter(|fault| fault.major).count() as u64;
        let minors = during.len() as u64 - majors;
        assert_eq!(
            (majors, minors),
            (touch.majors, touch.minors),
            "{touch:?}: {during:?}"
        );
        for fault in during {
            assert_eq!(
                fault.address / page_size,
                touch.address / page_size,
                "{touch:?}: {fault:?}"
            );
            assert!(
                fault.ts_ns + fault.latency_ns <= touch.end_ns,
                "{touch:?}: {fault:?}"
            );
        }
        if !during.is_empty() {
            let waited: u64 = during.iter().map(|fault| fault.latency_ns).sum();
            around.push(touch.end_ns - touch.begin_ns - waited);
        }
    }
    around
}

/// It walks once its file is there and mapped.
pub fn until_walking(pid: u32) {
    until("a walk", || {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
        let name = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("comm")).ok();
        let mut names = threads.filter_map(name);
        names.any(|name| name.starts_with("pf-worker")).then_some(())
    });
}
