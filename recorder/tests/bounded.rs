//! Programs that make up ever new things for the recorder to remember: the recording goes on, says what it does not
//! keep, has every fault, and takes no more memory than it says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use common::{
    NOBODY, alone,
    cgroups::Groups,
    disk_folder, emulated, folder_of_nobody, pfrec, plain,
    process::{Ended, Process, start},
    programs::compile,
    public_folder,
    queries::{queries, supported},
    text,
    trace::{assert_no_fault_lost, assert_offsets, contents, json, rows, until_everything_is_recorded},
    until,
};
use nix::sys::signal::Signal;
use pf_formats::LossReason;
use tempfile::TempDir;

/// MiB of memory that a recorder takes before anything is told, with the buffers that these tests give it: all are
/// locked, and there are some for each CPU.
const BUFFERS_MIB: u64 = 48;

/// MiB that records on their way to the encoder take besides, where it gets no CPU.
const QUEUE_MIB: u64 = 300;

/// What a storm is made of, how often, and in which turns a page is touched.
struct Storm {
    kind: &'static str,
    times: u64,
    each: u64,
}

/// What came of it.
struct Recorded {
    folder: TempDir,
    /// Of the program, where others are recorded, too.
    pid: Option<u32>,
    stderr: String,
    printed: String,
    most_mib: u64,
}

impl Storm {
    /// Less of it where a CPU is emulated, and still more than is kept.
    fn new(kind: &'static str, times: u64, each: u64) -> Self {
        let times = if emulated() { times.min(400_000) } else { times };
        Self { kind, times, each }
    }

    fn arguments(&self, file: &Path) -> [String; 4] {
        let numbers = [self.times, self.each].map(|number| number.to_string());
        let [times, each] = numbers;
        [self.kind.to_owned(), times, each, text(file).to_owned()]
    }

    /// The program is the command.
    fn record(&self) -> Recorded {
        self.record_with(|_| Vec::new())
    }

    /// With options of pfrec that may name the program.
    fn record_with(&self, options: impl FnOnce(&Path) -> Vec<String>) -> Recorded {
        let folder = disk_folder();
        let program = compile("storms", folder.path());
        let trace = folder.path().join("t.pfz");
        let mut command = pfrec(&["-o", text(&trace), "--buffer-size", "4M"]);
        command
            .args(options(&program))
            .arg("--")
            .arg(&program)
            .args(self.arguments(&folder.path().join("file")));
        let (ended, most_mib) = watch(start(command), || false);
        let ended = ended.ok();
        Recorded {
            printed: ended.stdout,
            stderr: ended.stderr,
            pid: None,
            folder,
            most_mib,
        }
    }

    /// Everything is recorded, and the program is one of a user without any rights.
    fn record_beside(&self) -> Recorded {
        let (programs, of_nobody) = (public_folder(), folder_of_nobody());
        let mut command = plain(&compile("storms", programs.path()), &[]);
        command
            .args(self.arguments(&of_nobody.path().join("file")))
            .uid(NOBODY)
            .gid(NOBODY);
        record_scope(&["-a"], command)
    }
}

/// Records while `command` runs, which is somewhere in what is recorded.
fn record_scope(scope: &[&str], command: Command) -> Recorded {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let own = ["-o", text(&trace), "--buffer-size", "4M"];
    let recorder = start(pfrec(&[&own, scope].concat()));
    until_everything_is_recorded(&folder.path().join("t.pfz.partial"));
    let mut storm = start(command);
    let pid = storm.pid();
    let mut is_told = false;
    let (ended, most_mib) = watch(recorder, || {
        let is_over = !is_told && !storm.is_alive();
        is_told |= is_over;
        is_over
    });
    assert!(is_told, "it ended of itself: {ended:#?}");
    Recorded {
        printed: storm.wait().ok().stdout,
        stderr: ended.ok().stderr,
        pid: Some(pid),
        folder,
        most_mib,
    }
}

/// Waits for the recorder's end, which `stop` may ask for, and watches its memory meanwhile, MiB.
fn watch(mut recorder: Process, mut stop: impl FnMut() -> bool) -> (Ended, u64) {
    let status = format!("/proc/{}/status", recorder.pid());
    let mut most = 0;
    while recorder.is_alive() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|kib| kib.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        most = most.max(peak.unwrap_or(0) >> 10);
        if stop() {
            recorder.signal(Signal::SIGINT);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    (recorder.wait(), most)
}

impl Recorded {
    fn trace(&self) -> PathBuf {
        self.folder.path().join("t.pfz")
    }

    /// Every fault is there, and the recorder took no more than this besides what it always may.
    fn assert_bounded(&self, more_mib: u64) {
        eprintln!("pfrec took {} MiB at most\n{}", self.most_mib, self.stderr);
        let limit = BUFFERS_MIB + QUEUE_MIB + more_mib;
        assert!(self.most_mib < limit, "{} MiB of {limit}", self.most_mib);
        let touched: u64 = self.printed.lines().next().unwrap().parse().unwrap();
        let all = rows(&self.trace()).into_iter();
        let there = all
            .filter(|row| self.pid.is_none_or(|pid| row.pid == pid))
            .count() as u64;
        let unexplained = match self.pid {
            None if self.stderr.contains("wait4(2)") => {
                assert_no_fault_lost(&self.trace(), &self.stderr);
                0
            }
            // What others do on the machine may make the kernel skip probes.
            _ => self.unexplained(),
        };
        assert!(there + unexplained >= touched, "{there} of {touched}");
    }

    fn unexplained(&self) -> u64 {
        let read = contents(&self.trace());
        let (books, check) = (read.accounting.expect("accounting"), read.check.expect("check"));
        let explained = books.recorded + books.lost + books.hidden + books.filtered;
        let kernel = books.kernel_majors + books.kernel_minors;
        assert_eq!(
            (books.lost, kernel),
            (0, explained + check.unexplained),
            "{books:?} {check:?}"
        );
        assert_eq!(json("info", &self.trace())["finished"], true);
        check.unexplained
    }

    /// So many records of names and mappings are told as not kept, in the trace and in words.
    fn assert_told(&self, words: &str) {
        let told = self.stderr.lines().find(|line| line.contains(words));
        let told = told.unwrap_or_else(|| panic!("{words}: {}", self.stderr));
        let count = told
            .split(' ')
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        let count: u64 = count.unwrap().replace(',', "").parse().unwrap();
        assert!(told.starts_with("pfrec: LOST ") && count > 0, "{told}");
        let losses = contents(&self.trace()).losses;
        let sideband = losses.iter().filter(|loss| loss.reason == LossReason::Sideband);
        assert!(
            sideband.map(|loss| loss.count).sum::<u64>() >= count,
            "{losses:?}"
        );
    }

    /// The last pages are told by file and offset.
    fn assert_last_pages(&self, file: &Path) {
        let touched: Vec<&str> = self.printed.lines().skip(1).collect();
        assert_eq!(touched.len(), 64);
        assert_offsets(&self.trace(), file, &touched);
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("file")
    }
}

const NAMES: &str = " thread names: there are more than 262,144 distinct ones";
const FILES: &str = " file mappings: there are more distinct files than are kept";

#[test]
#[ignore = "needs root"]
fn a_thread_that_is_renamed_for_ever_costs_no_more_than_the_names_that_are_kept() {
    let _alone = alone();
    let recorded = Storm::new("names", 2_000_000, 1_000).record();
    recorded.assert_bounded(64);
    recorded.assert_told(NAMES);
    recorded.assert_last_pages(&recorded.file());
}

#[test]
#[ignore = "needs root"]
fn a_thread_of_nobody_that_is_renamed_for_ever_ends_no_recording_of_everything() {
    let _alone = alone();
    let recorded = Storm::new("names", 2_000_000, 1_000).record_beside();
    recorded.assert_bounded(64);
    recorded.assert_told(NAMES);
}

#[test]
#[ignore = "needs root"]
fn mappings_at_ever_new_addresses_cost_no_more_than_those_that_are_there() {
    let _alone = alone();
    let recorded = Storm::new("mappings", 4_000_000, 1_000).record();
    recorded.assert_bounded(0);
    recorded.assert_last_pages(&recorded.file());
}

#[test]
#[ignore = "needs root"]
fn ever_new_files_cost_no_more_than_those_that_are_kept() {
    let _alone = alone();
    let recorded = Storm::new("files", 150_000, 100).record();
    recorded.assert_bounded(150);
    recorded.assert_told(FILES);
    recorded.assert_last_pages(&recorded.file());
}

#[test]
#[ignore = "needs root"]
fn ever_new_files_of_nobody_end_no_recording_of_everything() {
    let _alone = alone();
    let recorded = Storm::new("files", 150_000, 100).record_beside();
    recorded.assert_bounded(150);
    recorded.assert_told(FILES);
}

#[test]
#[ignore = "needs root"]
fn threads_that_come_and_go_are_forgotten() {
    let _alone = alone();
    let recorded = Storm::new("threads", 150_000, 100).record();
    recorded.assert_bounded(64);
    recorded.assert_told(NAMES);
    recorded.assert_last_pages(&recorded.file());
}

#[test]
#[ignore = "needs root"]
fn processes_that_come_and_go_are_forgotten() {
    let _alone = alone();
    let recorded = Storm::new("processes", 5_000, 10).record();
    recorded.assert_bounded(0);
    recorded.assert_last_pages(&recorded.file());
}

#[test]
#[ignore = "needs root"]
fn cgroups_that_come_and_go_leave_nothing() {
    let _alone = alone();
    let groups = Groups::new(&["-t", "cgroup2"]).expect("cgroup2 can be mounted");
    let folder = disk_folder();
    let storm = Storm::new("groups", 3_000, 10);
    let mut command = plain(&compile("storms", folder.path()), &[]);
    command
        .args(storm.arguments(&folder.path().join("file")))
        .env("GROUP", &groups.outer);
    // Something that faults in the cgroup all the time shows when recording has begun.
    let script = r#"echo $$ > "$0/cgroup.procs"; while :; do (:); sleep 0.05; done"#;
    let busy = start(plain(Path::new("sh"), &["-c", script, text(&groups.outer)]));
    let mut recorded = record_scope(&["--cgroup", text(&groups.outer)], command);
    drop(busy);
    // The pages were touched by its children.
    recorded.pid = None;
    recorded.assert_bounded(0);
}

#[test]
#[ignore = "needs root"]
fn ever_new_stacks_cost_no_more_than_those_that_are_kept() {
    if cfg!(not(target_arch = "x86_64")) {
        return;
    }
    let _alone = alone();
    let storm = Storm::new("stacks", 60_000, 100);
    let recorded = storm.record_with(|_| vec!["--stacks".to_owned()]);
    recorded.assert_bounded(90);
    let words = " user stacks: there are more distinct stacks than are kept";
    assert!(recorded.stderr.contains(words), "{}", recorded.stderr);
    recorded.assert_last_pages(&recorded.file());
}

#[test]
#[ignore = "needs root"]
fn code_of_ever_new_processes_costs_no_more_than_those_that_are_kept() {
    if cfg!(not(target_arch = "x86_64")) {
        return;
    }
    let _alone = alone();
    let storm = Storm::new("jit", 2_000, 10);
    let recorded = storm.record_with(|_| vec!["--stacks".to_owned()]);
    recorded.assert_bounded(0);
    let words = "code that process ";
    assert!(recorded.stderr.contains(words), "{}", recorded.stderr);
    recorded.assert_last_pages(&recorded.file());
}

/// More processes than are read when a recording begins, of as many mappings as the kernel allows.
const CROWD: usize = 40;

#[test]
#[ignore = "needs root"]
fn processes_of_very_many_mappings_do_not_hold_up_the_beginning() {
    if emulated() {
        // 2.6 million mappings take more memory than that machine has.
        return;
    }
    let _alone = alone();
    let folder = disk_folder();
    let count = CROWD.to_string();
    let mut crowd = start(plain(&compile("crowd", folder.path()), &[&count]));
    let children = format!("/proc/{0}/task/{0}/children", crowd.pid());
    until("all processes", || {
        let children = fs::read_to_string(&children).ok()?;
        (children.split_whitespace().count() == CROWD - 1).then_some(())
    });
    let trace = folder.path().join("t.pfz");
    let recorder = start(pfrec(&[
        "-o",
        text(&trace),
        "--buffer-size",
        "4M",
        "-a",
        "-d",
        "1",
    ]));
    let (ended, most_mib) = watch(recorder, || false);
    assert!(crowd.is_alive());
    crowd.signal(Signal::SIGKILL);
    let recorded = Recorded {
        folder,
        pid: None,
        stderr: ended.ok().stderr,
        printed: String::new(),
        most_mib,
    };
    recorded.assert_told(" processes were not read when the recording began");
    eprintln!("pfrec took {most_mib} MiB at most\n{}", recorded.stderr);
    assert!(most_mib < BUFFERS_MIB + QUEUE_MIB + 350, "{most_mib} MiB");
}

#[test]
#[ignore = "needs root"]
fn ever_new_queries_leave_nothing_in_the_recorder() {
    if !supported() {
        return;
    }
    let _alone = alone();
    let storm = Storm::new("queries", 1_000_000, 1_000);
    let recorded = storm.record_with(|program| vec![format!("--query=func:{}:query", program.display())]);
    recorded.assert_bounded(0);
    let told = queries(&recorded.trace()).rows.len() as u64;
    let losses = contents(&recorded.trace()).losses;
    let of_queries = losses.iter().filter(|loss| loss.reason == LossReason::Query);
    assert_eq!(told + of_queries.map(|loss| loss.count).sum::<u64>(), storm.times);
}
