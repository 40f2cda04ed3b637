//! The check of the counts fails when something is wrong, and says by how much: faults of our own making, in every scope.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{fs, path::Path, process::Command};

use common::{
    alone, disk_folder, pfrec, plain,
    process::{Ended, run, start},
    program, text,
    trace::{contents, json},
    until,
};
use nix::sys::signal::Signal;
use pf_formats::Check;

/// What goes wrong, and how the trace has to say it.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Nothing,
    Completions,
    Entries,
    Records,
    Exits,
    States,
}

const ALL: [Wrong; 6] = [
    Wrong::Nothing,
    Wrong::Completions,
    Wrong::Entries,
    Wrong::Records,
    Wrong::Exits,
    Wrong::States,
];

/// The events of the machine are counted, or those of the recorded tasks.
const COUNTINGS: [&[&str]; 2] = [&[], STRICT];
const STRICT: &[&str] = &["--strict"];

fn every_way() -> impl Iterator<Item = (&'static [&'static str], Wrong)> {
    COUNTINGS
        .into_iter()
        .flat_map(|counting| ALL.map(|wrong| (counting, wrong)))
}

impl Wrong {
    fn environment(self) -> &'static str {
        match self {
            Self::Nothing => "exits=0",
            Self::Completions => "completions=7",
            Self::Entries => "entries=9",
            Self::Records => "records=11",
            Self::Exits => "exits=2",
            Self::States => "states=2",
        }
    }

    /// Whether it is an alarm; else it is a loss, or nothing.
    fn is_told(self) -> bool {
        matches!(self, Self::Completions | Self::Records | Self::Exits)
    }

    /// How the recorder ends that finds it.
    fn status(self, counting: &[&str]) -> i32 {
        if counting == STRICT && self.is_told() {
            3
        } else {
            0
        }
    }

    fn apply(self, mut command: Command) -> Command {
        command.env("PFREC_TEST_INJECT", self.environment());
        command
    }

    /// How often it went wrong, as pfrec says itself.
    fn times(self, stderr: &str) -> u64 {
        let place = match self {
            Self::Nothing => return 0,
            Self::Completions => 0,
            Self::Entries => 1,
            Self::Records => 2,
            Self::Exits => 3,
            Self::States => 4,
        };
        let line = stderr
            .lines()
            .find(|line| line.contains("A TEST: "))
            .unwrap_or_else(|| panic!("{stderr}"));
        let numbers = line
            .split_whitespace()
            .filter_map(|word| word.parse::<u64>().ok());
        numbers.collect::<Vec<_>>()[place]
    }
}

/// Asserts that the recording tells of `wrong`, in its trace and on the terminal.
fn assert_told(wrong: Wrong, trace: &Path, ended: &Ended, scope: &str) {
    let read = contents(trace);
    let (books, check): (_, Check) = (read.accounting.unwrap(), read.check.unwrap());
    let what = format!("{scope}, {wrong:?}: {check:?} {books:?}\n{}", ended.stderr);
    let times = wrong.times(&ended.stderr);
    assert!(times > 0 || matches!(wrong, Wrong::Nothing), "{what}");
    assert!(check.events.is_some(), "{what}");
    let kernel = books.kernel_majors + books.kernel_minors;
    let told = books.recorded + books.lost + books.hidden + books.filtered + check.unexplained;
    assert_eq!(kernel, told, "{what}");
    let missed: u64 = check
        .notes
        .iter()
        .filter(|note| note.contains("no probe saw"))
        .map(|note| {
            let mut words = note.split_whitespace();
            let number = words.find_map(|word| word.replace(',', "").parse::<u64>().ok());
            number.unwrap_or_else(|| panic!("no number: {note}"))
        })
        .sum();
    // What of the machine's own events was skipped meanwhile is told with it; nothing in a quiet one.
    let skipped = match wrong {
        Wrong::Completions => missed.saturating_sub(times),
        _ => missed,
    };
    assert!(skipped == 0 || scope == "all", "{what}");
    let unexplained = check.unexplained - skipped;
    match wrong {
        Wrong::Nothing => assert_eq!((unexplained, check.ends_missing), (0, 0), "{what}"),
        // Whoever meets the task next tries again, so that this costs a fault each time at most.
        Wrong::States => {
            assert_eq!((unexplained, check.ends_missing), (0, 0), "{what}");
            assert!(books.lost <= times, "{what}");
        }
        Wrong::Completions | Wrong::Records => assert_eq!(unexplained, times, "{what}"),
        // A completion without an entry is a loss, and always was told as one. What runs on completes the last ones of
        // its threads after the recording, when they are none of it.
        Wrong::Entries => {
            assert_eq!(unexplained, 0, "{what}");
            let slack = match scope {
                "command" => 0,
                "all" => 20,
                _ => 4,
            };
            assert!(books.lost <= times && books.lost + slack >= times, "{what}");
        }
        Wrong::Exits => {
            assert_eq!(unexplained, 0, "{what}");
            // Threads that never faulted under the recording have no account that could stay open.
            assert!(check.ends_missing <= times && check.ends_missing > 0, "{what}");
            if scope == "command" {
                assert_eq!(check.ends_missing, times, "{what}");
            }
        }
    }
    let is_told = wrong.is_told();
    if skipped == 0 {
        assert_eq!(ended.stderr.contains("NOT BALANCED"), is_told, "{what}");
        let verified = run(common::pfanalyze(&["verify", text(trace)]));
        let alarmed = verified.stdout.contains("UNEXPLAINED");
        assert_eq!(alarmed, is_told, "{verified:?} {what}");
        let report = run(common::pfanalyze(&[text(trace)])).ok();
        assert_eq!(report.stdout.contains("UNEXPLAINED"), is_told, "{report:?}");
        assert_eq!(
            json("info", trace)["check"]["unexplained"],
            check.unexplained,
            "{what}"
        );
    }
}

#[test]
#[ignore = "needs root"]
fn the_check_of_a_command_finds_what_is_wrong() {
    let _alone = alone();
    for (counting, wrong) in every_way() {
        let folder = disk_folder();
        let trace = folder.path().join("t.pfz");
        let load = text(&program("mmap-workload")).to_owned();
        let own = ["-o", text(&trace), "--query", "none", "--", &load];
        let load = ["--size", "4", "--threads", "4", "--count", "500"];
        let mut command = wrong.apply(pfrec(&[counting, &own[..], &load].concat()));
        command.env("TMPDIR", folder.path());
        let ended = run(command).with_status(wrong.status(counting));
        assert_told(wrong, &trace, &ended, "command");
    }
}

#[test]
#[ignore = "needs root"]
fn strict_makes_counts_that_are_not_explained_an_exit_status() {
    let _alone = alone();
    for (wrong, status) in [(Wrong::Nothing, 0), (Wrong::Completions, 3)] {
        let folder = disk_folder();
        let trace = folder.path().join("t.pfz");
        let own = ["-o", text(&trace), "--strict", "--", "/bin/true"];
        let ended = run(wrong.apply(pfrec(&own)));
        assert_eq!(ended.status.code(), Some(status), "{ended:?}");
    }
}

#[test]
#[ignore = "needs root"]
fn counting_alone_finds_it_too() {
    let _alone = alone();
    let load = text(&program("mmap-workload")).to_owned();
    for wrong in [Wrong::Nothing, Wrong::Completions] {
        let folder = disk_folder();
        let own = ["-i", "1000", "--", &load, "--size", "4", "--count", "500"];
        let mut command = wrong.apply(pfrec(&own));
        command.env("TMPDIR", folder.path());
        let ended = run(command).ok();
        let sum = ended
            .stderr
            .lines()
            .find(|line| line.contains("the kernel counted"))
            .unwrap();
        match wrong {
            Wrong::Nothing => assert!(sum.ends_with(": balanced"), "{ended:?}"),
            _ => {
                let told = sum.split(" + ").find_map(|part| part.split_once(" UNEXPLAINED"));
                let told: u64 = told.unwrap().0.replace(',', "").parse().unwrap();
                assert_eq!(told, wrong.times(&ended.stderr), "{ended:?}");
                assert!(sum.ends_with(": NOT BALANCED"), "{sum}");
            }
        }
    }
}

/// Records a shell that starts the load when it is told to, from outside.
fn record_from_outside(counting: &[&str], wrong: Wrong, scope: &str, prepare: impl Fn(u32) -> Vec<String>) {
    eprintln!("{scope}, {counting:?}, {wrong:?}");
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let (go, done) = (folder.path().join("go"), folder.path().join("done"));
    let script = format!(
        "until [ -e {0} ]; do sleep 0.05; done; TMPDIR={3} {1} --size 4 --threads 4 --count 500 >/dev/null; : >{2}; \
         while [ -e {0} ]; do sleep 0.05; done",
        text(&go),
        text(&program("mmap-workload")),
        text(&done),
        text(folder.path()),
    );
    let target = start(plain(Path::new("/bin/sh"), &["-c", &script]));
    let options = prepare(target.pid());
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let own = [counting, &["-o", text(&trace), "--query", "none"], &options].concat();
    let recorder = start(wrong.apply(pfrec(&own)));
    // The shell's own faults are in it: it has begun.
    common::trace::until_recording(&trace.with_extension("pfz.partial"));
    fs::write(&go, "").unwrap();
    until("the end of the load", || done.exists().then_some(()));
    recorder.signal(Signal::SIGTERM);
    let ended = recorder.wait().with_status(wrong.status(counting));
    fs::remove_file(&go).unwrap();
    target.wait().ok();
    assert_told(wrong, &trace, &ended, scope);
}

#[test]
#[ignore = "needs root"]
fn the_check_of_a_running_process_finds_what_is_wrong() {
    let _alone = alone();
    for (counting, wrong) in every_way() {
        record_from_outside(counting, wrong, "process", |pid| {
            vec!["-p".to_owned(), pid.to_string()]
        });
    }
    // The second of two states is refused: that of a shell that forks and never faults.
    let first = start(plain(Path::new("sleep"), &["1000"]));
    record_from_outside(&[], Wrong::States, "process", |pid| {
        vec!["-p".to_owned(), format!("{},{pid}", first.pid())]
    });
}

#[test]
#[ignore = "needs root"]
fn the_check_of_everything_finds_what_is_wrong() {
    let _alone = alone();
    for wrong in ALL {
        record_from_outside(&[], wrong, "all", |_| vec!["-a".to_owned()]);
    }
}

#[test]
#[ignore = "needs root"]
fn the_check_of_a_cgroup_finds_what_is_wrong() {
    let _alone = alone();
    let mount = tempfile::tempdir().unwrap();
    let options = ["-t", "cgroup2", "none", text(mount.path())];
    run(plain(Path::new("mount"), &options)).ok();
    let group = mount.path().join(format!("pfrec-check-{}", std::process::id()));
    fs::create_dir(&group).unwrap();
    for (counting, wrong) in every_way() {
        record_from_outside(counting, wrong, "cgroup", |pid| {
            fs::write(group.join("cgroup.procs"), pid.to_string()).unwrap();
            vec!["--cgroup".to_owned(), text(&group).to_owned()]
        });
    }
    until("the end of what runs in the cgroup", || {
        fs::remove_dir(&group).ok()
    });
    run(plain(Path::new("umount"), &[text(mount.path())]));
}
