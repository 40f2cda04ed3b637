//! A reader that stalls while the program goes on: the recorder's memory stays within what docs/recording.md says, what it had
//! to drop is counted and placed in time, and afterwards files are right again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    fs::{self, File},
    io::{PipeReader, pipe},
    path::PathBuf,
    thread::JoinHandle,
};

use common::{
    alone, disk_folder, pfrec,
    process::{Process, start_into},
    programs::compile,
    text,
    trace::{assert_books_balance, assert_offsets, contents, try_contents},
    until, until_written,
};
use pf_formats::LossReason;

/// KiB that docs/recording.md promises, besides the buffers of this recording: 16M for each CPU.
const MEMORY_KIB: u64 = 512 << 10;

fn peak_kib(recorder: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", recorder.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|kib| kib.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap()
}

fn drain(mut reader: PipeReader, trace: PathBuf) -> JoinHandle<()> {
    std::thread::spawn(move || {
        std::io::copy(&mut reader, &mut File::create(trace).unwrap()).unwrap();
    })
}

#[test]
#[ignore = "needs root"]
fn a_stalled_reader_costs_neither_memory_nor_certainty() {
    let _alone = alone();
    let folder = disk_folder();
    let (program, trace) = (compile("map_storm", folder.path()), folder.path().join("t.pfz"));
    let (file, times, pages) = (folder.path().join("data"), "1500000", 500);
    let mut command = pfrec(&["-o", "-", "--buffer-size", "16M", "--"]);
    command
        .arg(&program)
        .args([text(&file), times, &pages.to_string()])
        .current_dir(folder.path());
    let (reader, writer) = pipe().unwrap();
    let recorder = start_into(command, writer);

    until_written(&folder.path().join("mapped"));
    let peak = peak_kib(&recorder);
    eprintln!("pfrec took {} MiB at most", peak >> 10);
    let reader = drain(reader, trace.clone());
    until("the loss in the trace", || {
        let contents = try_contents(&trace)?;
        let lost = |reason| contents.losses.iter().any(|loss| loss.reason == reason);
        (lost(LossReason::Queue) && lost(LossReason::Sideband)).then_some(())
    });
    fs::write(folder.path().join("go"), "").unwrap();
    until_written(&folder.path().join("touched"));
    fs::write(folder.path().join("end"), "").unwrap();
    let peak = peak.max(peak_kib(&recorder));
    let cpus = std::thread::available_parallelism().unwrap().get() as u64;
    assert!(peak < MEMORY_KIB + (cpus << 14), "{peak} KiB");
    let ended = recorder.wait().ok();
    reader.join().unwrap();

    let books = assert_books_balance(&trace, &ended.stderr);
    assert!(ended.stderr.contains("wait4(2) agrees"), "{}", ended.stderr);
    let losses = contents(&trace).losses;
    assert!(losses.len() < 20, "{losses:?}");
    assert!(losses.iter().all(|loss| loss.from_ns < loss.to_ns), "{losses:?}");
    let costly = losses.iter().filter(|loss| loss.reason.costs_events());
    assert_eq!(
        costly.map(|loss| loss.count).sum::<u64>(),
        books.lost,
        "{losses:?}"
    );
    assert!(ended.stderr.contains("faults: the recorder could not keep up"));
    assert!(
        ended
            .stderr
            .contains("mapping records: the files of some faults may be unknown")
    );

    let touched: Vec<&str> = ended.stderr.lines().filter(|line| !line.contains(' ')).collect();
    assert_eq!(touched.len(), pages);
    assert_offsets(&trace, &file, &touched);
}
