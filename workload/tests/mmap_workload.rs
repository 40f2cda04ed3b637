//! `mmap-workload` as a user runs it. Files go to the target directory, which is on a disk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::HashSet;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use pf_workload::walk::pattern::{Pattern, Shape};
use serde_json::Value;
use tempfile::TempDir;

fn on_disk() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn workload(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mmap-workload"));
    command
        .args(arguments)
        .env("TMPDIR", directory)
        .current_dir(directory);
    command
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    workload(directory, arguments).output().unwrap()
}

fn json(directory: &Path, arguments: &[&str]) -> Value {
    let output = run(directory, &[arguments, &["--format", "json"]].concat());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn sum(report: &Value, field: &str) -> u64 {
    report["threads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|thread| thread[field].as_u64().unwrap())
        .sum()
}

/// Different pages in the walk of thread 0.
fn distinct(shape: Shape, seed: u64, pages: u64, count: usize) -> u64 {
    Pattern { shape, seed }
        .pages(pages, 0)
        .take(count)
        .collect::<HashSet<_>>()
        .len() as u64
}

fn error_line(output: &Output, status: i32) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(status), "{text}");
    // Wrong usage is reported in clap's form, with more than a line.
    let is_usage = text.ends_with("\nFor more information, try '--help'.\n");
    let is_one_line = text.lines().count() == 1;
    assert!(if status == 2 { is_usage } else { is_one_line }, "{text}");
    assert!(text.starts_with("error: "), "{text}");
    text
}

#[test]
fn a_cold_random_walk_pays_one_major_fault_per_page_it_reaches() {
    let directory = on_disk();
    let report = json(directory.path(), &["--size", "16", "-c", "2000", "--seed", "9"]);
    let majors = sum(&report, "majors");
    let resident = report["resident_after_evict"].as_u64().unwrap();
    let reached = distinct(Shape::Random, 9, report["pages"].as_u64().unwrap(), 2000);
    // Not an equation: a file system with large blocks loads neighbours, and a machine short of
    // memory may evict a page again before its second touch.
    assert!(majors > 0);
    assert!(majors + sum(&report, "minors") <= 2000);
    if report["page_size"] == 4096 && resident == 0 {
        assert!(
            majors <= reached + reached / 10,
            "{majors} majors for {reached} pages"
        );
    }
}

#[test]
fn anonymous_memory_costs_exactly_one_minor_fault_per_page() {
    let directory = on_disk();
    for access in [&[][..], &["--write"]] {
        let report = json(
            directory.path(),
            &[&["--anon", "--size", "4", "-p", "seq", "-c", "5000"], access].concat(),
        );
        assert_eq!(sum(&report, "minors"), report["pages"].as_u64().unwrap());
        assert_eq!(sum(&report, "majors"), 0);
        assert_eq!(report["file"], Value::Null);
    }
}

#[test]
fn threads_that_split_the_memory_never_meet_on_a_page() {
    let directory = on_disk();
    let arguments = ["--anon", "--size", "4", "-p", "seq", "-t", "2", "--split"];
    let report = json(directory.path(), &[&arguments[..], &["-c", "512"]].concat());
    assert_eq!(report["split"], true);
    // 4 MB are at least 64 pages; each thread has half of them.
    let half = report["pages"].as_u64().unwrap() / 2;
    for thread in report["threads"].as_array().unwrap() {
        assert_eq!(thread["minors"].as_u64().unwrap(), half.min(512));
        assert!(thread["cpu_ns"].as_u64().unwrap() > 0);
    }
}

#[test]
fn a_cached_file_has_no_major_faults() {
    let directory = on_disk();
    let report = json(
        directory.path(),
        &["--keep-cached", "--size", "4", "-t", "3", "-c", "500"],
    );
    // Now and then a thread meets another one at a page and tries again, which the kernel counts as major.
    assert!(sum(&report, "majors") <= 5, "{report}");
    assert_eq!(report["evicted"], false);
    assert_eq!(sum(&report, "accesses"), 1500);
}

#[test]
fn the_json_object_has_the_promised_fields() {
    let directory = on_disk();
    let report = json(
        directory.path(),
        &["--size", "1", "-c", "10", "-t", "2", "-p", "stride", "-s", "4"],
    );
    for (field, value) in [("size_bytes", 1_048_576), ("seed", 1)] {
        assert_eq!(report[field], value);
    }
    assert_eq!(report["pattern"], "stride");
    assert!(report["page_size"].is_u64() && report["checksum"].is_string());
    assert!(report["process"]["majors"].is_u64() && report["process"]["minors"].is_u64());
    let threads = report["threads"].as_array().unwrap();
    assert_eq!(threads.len(), 2);
    for (number, thread) in threads.iter().enumerate() {
        assert_eq!(thread["comm"], format!("pf-worker-{number}"));
        assert!(thread["tid"].as_u64().unwrap() > 0);
        assert!(thread["begin_ns"].as_u64() < thread["end_ns"].as_u64());
        assert!(thread["cpu_ns"].is_u64());
    }
}

#[test]
fn the_same_seed_reads_the_same_bytes() {
    let directory = on_disk();
    let checksum =
        |seed| json(directory.path(), &["--size", "1", "-t", "2", "--seed", seed])["checksum"].clone();
    assert_eq!(checksum("5"), checksum("5"));
    assert_ne!(checksum("5"), checksum("6"));
}

#[test]
fn the_log_of_touches_adds_up_to_the_threads_counts() {
    let directory = on_disk();
    let log = directory.path().join("touches.csv");
    let log_name = log.to_str().unwrap();
    let report = json(
        directory.path(),
        &["--size", "4", "-c", "300", "-t", "2", "--log-touches", log_name],
    );
    let text = fs::read_to_string(log).unwrap();
    let mut lines = text.lines();
    assert_eq!(
        lines.next(),
        Some("tid,begin_ns,end_ns,address,page,majors,minors")
    );
    let touches: Vec<Vec<u64>> = lines
        .map(|line| line.split(',').map(|number| number.parse().unwrap()).collect())
        .collect();
    assert_eq!(touches.len(), 600);
    let page_size = report["page_size"].as_u64().unwrap();
    for (number, thread) in (0..).zip(report["threads"].as_array().unwrap()) {
        let mine: Vec<_> = touches.iter().filter(|touch| thread["tid"] == touch[0]).collect();
        assert_eq!(
            mine.iter().map(|touch| touch[5]).sum::<u64>(),
            thread["majors"].as_u64().unwrap()
        );
        assert_eq!(
            mine.iter().map(|touch| touch[6]).sum::<u64>(),
            thread["minors"].as_u64().unwrap()
        );
        assert!(mine.iter().all(|touch| touch[1] <= touch[2]));
        assert!(mine.windows(2).all(|pair| pair[0][2] <= pair[1][1]));
        assert!(mine.first().unwrap()[1] >= thread["begin_ns"].as_u64().unwrap());
        assert!(mine.last().unwrap()[2] <= thread["end_ns"].as_u64().unwrap());
        let start = mine[0][3] - mine[0][4] * page_size;
        assert!(mine.iter().all(|touch| touch[3] == start + touch[4] * page_size));
        let pages = Pattern {
            shape: Shape::Random,
            seed: 1,
        }
        .pages(report["pages"].as_u64().unwrap(), number);
        assert!(pages.zip(&mine).all(|(page, touch)| page == touch[4]));
    }
}

#[test]
fn writing_to_a_file_does_not_change_it() {
    let directory = on_disk();
    let file = directory.path().join("data");
    let bytes: Vec<u8> = (0..50_001_u32).map(|index| (index % 251) as u8).collect();
    fs::write(&file, &bytes).unwrap();
    let report = json(
        directory.path(),
        &["-f", "data", "--write", "--evict", "-c", "100"],
    );
    assert_eq!(report["size_bytes"], 50_001);
    assert!(sum(&report, "majors") + sum(&report, "minors") > 0);
    assert_eq!(fs::read(&file).unwrap(), bytes);
}

#[test]
fn the_table_names_the_columns_and_the_temporary_file_is_gone() {
    let directory = on_disk();
    let output = run(directory.path(), &["--size", "1", "-c", "5"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let header = text.lines().find(|line| line.contains("TID")).unwrap();
    let columns: Vec<_> = header.split_whitespace().collect();
    assert_eq!(
        columns,
        [
            "TID", "COMM", "ACCESSES", "MAJOR", "MINOR", "WALL_MS", "BEGIN_NS", "END_NS"
        ]
    );
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_signal_removes_the_temporary_file_and_is_the_cause_of_death() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGQUIT] {
        let directory = on_disk();
        let mut child = workload(directory.path(), &["--size", "1", "-d", "60000"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while fs::read_dir(directory.path()).unwrap().count() == 0 {
            assert!(Instant::now() < deadline, "no temporary file appeared");
            std::thread::sleep(Duration::from_millis(5));
        }
        // SAFETY: the child is ours and was not waited for yet.
        assert_eq!(unsafe { libc::kill(child.id().cast_signed(), signal) }, 0);
        assert_eq!(child.wait().unwrap().signal(), Some(signal));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

#[test]
fn signals_ignored_at_the_start_stay_ignored() {
    let signals = [libc::SIGINT, libc::SIGTERM, libc::SIGQUIT, libc::SIGHUP];
    let directory = on_disk();
    let mut command = workload(directory.path(), &["--size", "1", "-c", "2", "-d", "1500"]);
    // SAFETY: signal(2) is async-signal-safe and touches no memory of the parent.
    unsafe {
        command.pre_exec(move || {
            for signal in signals {
                libc::signal(signal, libc::SIG_IGN);
            }
            Ok(())
        });
    }
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    // The file appears only after the watch has started.
    while fs::read_dir(directory.path()).unwrap().count() == 0 {
        assert!(Instant::now() < deadline, "no temporary file appeared");
        std::thread::sleep(Duration::from_millis(5));
    }
    for signal in signals {
        // SAFETY: the child is ours and was not waited for yet.
        assert_eq!(unsafe { libc::kill(child.id().cast_signed(), signal) }, 0);
    }
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_directory_without_space_is_passed_over_and_named() {
    let directory = on_disk();
    // /proc has no space, whoever asks.
    let output = workload(directory.path(), &["--size", "1", "-c", "1"])
        .env("TMPDIR", "/proc")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("/proc") && text.contains("not enough space"),
        "{text}"
    );
}

#[test]
fn wrong_flags_are_named() {
    let directory = on_disk();
    let too_large = u64::MAX.to_string();
    for (arguments, flag) in [
        (&["-c", "0"][..], "--count"),
        (&["-t", "0"], "--threads"),
        (&["-t", "4097"], "--threads"),
        (&["-s", "0"], "--stride"),
        (&["--size", "0"], "--size"),
        (&["--size", &too_large], "--size"),
        (&["-p", "zigzag"], "--pattern"),
        (&["--anon", "-f", "x"], "--anon"),
    ] {
        let line = error_line(&run(directory.path(), arguments), 2);
        assert!(line.contains(flag), "{line}");
    }
}

#[test]
fn files_that_cannot_be_walked_are_one_line_that_names_them() {
    let directory = on_disk();
    fs::write(directory.path().join("empty"), "").unwrap();
    fs::create_dir(directory.path().join("folder")).unwrap();
    for (name, reason) in [
        ("absent", "No such file"),
        ("empty", "empty"),
        ("folder", "regular"),
        ("/dev/null", "regular"),
    ] {
        let line = error_line(&run(directory.path(), &["-f", name]), 1);
        assert!(line.contains(name) && line.contains(reason), "{line}");
    }
    let line = error_line(&run(directory.path(), &["--log-touches", "absent/x"]), 1);
    assert!(line.contains("--log-touches"), "{line}");
}

#[test]
fn the_log_never_overwrites_the_file_that_is_walked() {
    let directory = on_disk();
    fs::write(directory.path().join("data"), "precious").unwrap();
    fs::hard_link(directory.path().join("data"), directory.path().join("hard")).unwrap();
    std::os::unix::fs::symlink("hard", directory.path().join("soft")).unwrap();
    for log in ["./data", "hard", "soft"] {
        let line = error_line(&run(directory.path(), &["-f", "data", "--log-touches", log]), 1);
        assert!(line.contains("the file to walk"), "{line}");
        assert_eq!(fs::read(directory.path().join("data")).unwrap(), b"precious");
    }
}

#[test]
fn an_old_log_is_replaced_as_a_whole() {
    let directory = on_disk();
    fs::write(directory.path().join("data"), vec![1; 9000]).unwrap();
    fs::write(directory.path().join("log"), "old\n".repeat(10_000)).unwrap();
    let arguments = ["-f", "data", "-c", "3", "--log-touches", "log"];
    assert!(run(directory.path(), &arguments).status.success());
    let text = fs::read_to_string(directory.path().join("log")).unwrap();
    assert_eq!(text.lines().count(), 4, "{text}");
}

#[test]
fn a_directory_in_memory_is_passed_over_and_named() {
    let in_memory = Path::new("/dev/shm");
    if !pf_workload::disk::is_in_memory(in_memory).unwrap_or(false) {
        pf_checks::not_run("folder-in-memory", "/dev/shm is no tmpfs here");
        return;
    }
    let directory = on_disk();
    let output = workload(directory.path(), &["--size", "1", "-c", "1"])
        .env("TMPDIR", in_memory)
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("/dev/shm is in memory"));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("/dev/shm"));
}
