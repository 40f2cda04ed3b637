//! `--breakdown`: where the time of each fault went, against waits that are known.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{
    alone, disk_folder, pfanalyze, pfrec, plain,
    process::{Process, run, start},
    program,
    programs::compile,
    text,
    trace::assert_whole,
};
use serde_json::Value;

#[derive(Debug, Default)]
struct Parts {
    latency: u64,
    blocked: u64,
    runqueue: u64,
    reclaim: u64,
}

/// The sums over all rows; each row's parts are no more than the whole.
fn parts(trace: &Path, filters: &[&str]) -> Parts {
    let arguments = [&["events", text(trace), "--format", "json"], filters].concat();
    let listed = run(pfanalyze(&arguments)).ok();
    let mut sums = Parts::default();
    for line in listed.stdout.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let part = |name: &str| row[name].as_u64().unwrap_or_else(|| panic!("{name} in {line}"));
        let (latency, blocked, runqueue) = (part("latency_ns"), part("blocked_ns"), part("runqueue_ns"));
        assert!(blocked + runqueue <= latency, "{line}");
        assert!(
            part("reclaim_ns") <= latency && part("lock_ns") <= latency,
            "{line}"
        );
        sums.latency += latency;
        sums.blocked += blocked;
        sums.runqueue += runqueue;
        sums.reclaim += part("reclaim_ns");
    }
    sums
}

fn record_command(command: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let arguments = [&["-o", text(&trace), "--breakdown", "--"], command].concat();
    let ended = run(pfrec(&arguments)).ok();
    assert_whole(&trace, &ended.stderr);
    (folder, trace)
}

#[test]
#[ignore = "needs root"]
fn blocked_run_queue_and_cpu_are_the_latency_of_every_row() {
    let workload = program("mmap-workload");
    let (_folder, trace) = record_command(&[
        text(&workload),
        "--size",
        "32",
        "-c",
        "2000",
        "-t",
        "4",
        "-p",
        "mixed",
    ]);
    let sums = parts(&trace, &[]);
    assert!(
        sums.latency > 0 && sums.blocked > 0,
        "a cold file blocks: {sums:?}"
    );
}

#[test]
#[ignore = "needs root"]
fn a_page_that_is_served_late_shows_as_blocked() {
    let _alone = alone();
    let programs = disk_folder();
    let program = compile("serve_pages", programs.path());
    let (_folder, trace) = record_command(&[text(&program), "20", "5000"]);
    let sums = parts(&trace, &[]);
    assert!(sums.blocked >= 20 * 4_500_000, "{sums:?}");
}

/// Burns the first CPU until it is dropped.
fn hog() -> Process {
    start(plain(
        Path::new("/bin/sh"),
        &["-c", "exec taskset -c 0 sh -c 'while :; do :; done'"],
    ))
}

#[test]
#[ignore = "needs root"]
fn a_cpu_hog_shows_as_time_in_the_run_queue() {
    let _alone = alone();
    let workload = program("mmap-workload");
    let command = [
        "taskset",
        "-c",
        "0",
        text(&workload),
        "--size",
        "32",
        "-c",
        "2000",
    ];
    let share = |hogged: bool| {
        let hog = hogged.then(hog);
        let (_folder, trace) = record_command(&command);
        drop(hog);
        let sums = parts(&trace, &["--major"]);
        eprintln!("hogged: {hogged}: {sums:?}");
        sums.runqueue as f64 / sums.latency as f64
    };
    // What else this machine does may show in the first one, too, so it is only told.
    let (alone, hogged) = (share(false), share(true));
    assert!(hogged > 0.1, "{alone:.3} and {hogged:.3}");
}

/// A cgroup that is removed at the end, and the mount it is in if nobody had mounted one.
struct Limited {
    folder: PathBuf,
    mount: Option<tempfile::TempDir>,
}

impl Limited {
    /// In the hierarchy that has the memory controller, of version 1 or 2; `None` where this machine cannot limit
    /// memory.
    fn new(bytes: u64) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let of_version_1 = mounts.lines().find_map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            let has_memory = fields[3].split(',').any(|option| option == "memory");
            (fields[2] == "cgroup" && has_memory).then(|| PathBuf::from(fields[1]))
        });
        if let Some(root) = of_version_1 {
            return Self::below(&root, None, "memory.limit_in_bytes", bytes);
        }
        let mount = tempfile::tempdir().unwrap();
        let command = plain(Path::new("mount"), &["-t", "cgroup2", "none", text(mount.path())]);
        if !run(command).status.success() {
            return None;
        }
        let root = mount.path().to_owned();
        fs::write(root.join("cgroup.subtree_control"), "+memory").ok();
        Self::below(&root, Some(mount), "memory.max", bytes)
    }

    fn below(root: &Path, mount: Option<tempfile::TempDir>, limit: &str, bytes: u64) -> Option<Self> {
        let folder = root.join(format!("pfrec-test-{}", std::process::id()));
        fs::create_dir(&folder).ok()?;
        let limited = Self { folder, mount };
        fs::write(limited.folder.join(limit), bytes.to_string()).ok()?;
        Some(limited)
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        fs::remove_dir(&self.folder).ok();
        if let Some(mount) = &self.mount {
            run(plain(Path::new("umount"), &[text(mount.path())]));
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_cgroup_without_memory_to_spare_shows_as_reclaim() {
    let _alone = alone();
    let Some(limited) = Limited::new(24 << 20) else {
        println!("NOT RUN here: this machine has no memory controller for cgroups");
        return;
    };
    let workload = program("mmap-workload");
    let join = format!(
        "echo $$ > {}/cgroup.procs; exec \"$0\" \"$@\"",
        limited.folder.display()
    );
    let walk = ["--size", "96", "-p", "seq", "-c", "24576", "--advice", "normal"];
    let (_folder, trace) = record_command(&[&["sh", "-c", &join, text(&workload)], &walk[..]].concat());
    let sums = parts(&trace, &[]);
    assert!(sums.reclaim > 0, "{sums:?}");
}
