//! Programs that time their own touches (tests/programs/touch.h), and the recording of one of them.

use std::path::Path;

use tempfile::TempDir;

use super::{
    disk_folder, emulated, pfrec,
    process::run,
    programs::compile,
    text,
    trace::{Fault, Sight, assert_whole, faults, sight},
};

/// What the programs print first.
pub const HEADER: &str = "address,begin_ns,end_ns,served_ns,majors,minors,preemptions";

/// One touch, as the program saw it.
#[derive(Clone, Debug)]
pub struct Touched {
    pub address: u64,
    pub begin_ns: u64,
    pub end_ns: u64,
    /// It waited for at least as long; 0 when the program does not know.
    pub served_ns: u64,
    pub majors: u64,
    pub minors: u64,
    /// How often the thread was put off its CPU against its will meanwhile.
    pub preemptions: u64,
}

/// A program and what was recorded of it.
pub struct Recorded {
    pub stdout: String,
    pub faults: Vec<Fault>,
    pub sight: Sight,
    pub hidden: u64,
    _folder: TempDir,
}

/// Records the C program `name`, with every fault accounted for. `options` are pfrec's.
pub fn record(name: &str, options: &[&str], arguments: &[&str]) -> Recorded {
    let folder = disk_folder();
    let program = compile(name, folder.path());
    let trace = folder.path().join("t.pfz");
    let command = [options, &["-o", text(&trace), "--", text(&program)], arguments].concat();
    let ended = run(pfrec(&command)).ok();
    let books = assert_whole(&trace, &ended.stderr);
    Recorded {
        stdout: ended.stdout,
        faults: faults(&trace, &[]),
        sight: sight(&trace),
        hidden: books.hidden,
        _folder: folder,
    }
}

/// The touches that the program printed.
pub fn touches(stdout: &str) -> Vec<Touched> {
    let mut lines = stdout.lines();
    assert_eq!(lines.next(), Some(HEADER));
    lines.map(touched).collect()
}

fn touched(line: &str) -> Touched {
    let fields: Vec<u64> = line.split(',').map(|field| field.parse().unwrap()).collect();
    let [address, begin_ns, end_ns, served_ns, majors, minors, preemptions] = fields[..] else {
        panic!("not a touch: {line}");
    };
    Touched {
        address,
        begin_ns,
        end_ns,
        served_ns,
        majors,
        minors,
        preemptions,
    }
}

/// The rows of the touched page. Pages are touched once, so that other rows of it are too many.
pub fn rows<'a>(touch: &Touched, faults: &'a [Fault]) -> Vec<&'a Fault> {
    let size = page_size();
    faults
        .iter()
        .filter(|fault| fault.address / size == touch.address / size)
        .collect()
}

fn page_size() -> u64 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    u64::try_from(size.unwrap().unwrap()).unwrap()
}

/// Asserts that the touch has exactly one row, of the kernel's class and within the touch's own time; with
/// the wait that the program knows of in it.
pub fn the_row<'a>(touch: &Touched, faults: &'a [Fault]) -> &'a Fault {
    let rows = rows(touch, faults);
    let [row] = rows[..] else {
        panic!("one row expected: {touch:?}: {rows:#?}");
    };
    assert_eq!(
        (touch.majors, touch.minors),
        (u64::from(row.major), u64::from(!row.major)),
        "{touch:?}: {row:?}"
    );
    assert!(
        touch.begin_ns <= row.ts_ns && row.ts_ns + row.latency_ns <= touch.end_ns,
        "{touch:?}: {row:?}"
    );
    assert!(row.latency_ns >= touch.served_ns, "{touch:?}: {row:?}");
    assert!(!row.failed && row.origin == "user", "{touch:?}: {row:?}");
    row
}

/// Asserts that no latency is more than 5 % or 50 us below the time that the program itself took from one side
/// of the touch to the other. What is between the two is the way in and out, and reading the clock, and
/// whatever else the machine does just then. A touch in which the scheduler took the CPU away says nothing, and
/// is left out; an interrupt or another virtual machine shows nowhere, which is why one touch in ten may be over.
///
/// An emulated CPU (PFREC_TEST_EMULATED) takes 0.1 ms for the way in and out, and stands still when its host is
/// busy: there only waits of 10 ms and more show anything, and one touch in four may be over. `the_row` holds
/// all of them to the wait that the program knows of, to the nanosecond.
pub fn assert_close(touches: &[Touched], faults: &[Fault]) {
    let (shortest, one_in) = if emulated() { (10_000_000, 4) } else { (0, 10) };
    let quiet: Vec<&Touched> = touches.iter().filter(|touch| touch.preemptions == 0).collect();
    assert!(
        quiet.len() * 2 >= touches.len(),
        "a machine too busy to measure on: {touches:#?}"
    );
    let mut took: Vec<u64> = quiet.iter().map(|touch| touch.end_ns - touch.begin_ns).collect();
    took.sort_unstable();
    if took[took.len() / 2] < shortest {
        return;
    }
    let mut missing: Vec<(u64, u64)> = quiet
        .iter()
        .map(|touch| {
            let took = touch.end_ns - touch.begin_ns;
            (took - the_row(touch, faults).latency_ns, (took / 20).max(50_000))
        })
        .collect();
    missing.sort_unstable();
    if let (Some(median), Some(largest)) = (missing.get(missing.len() / 2), missing.last()) {
        eprintln!(
            "{} touches; their own time less latency: median {} ns, largest {} ns",
            missing.len(),
            median.0,
            largest.0,
        );
    }
    let over = missing
        .iter()
        .filter(|(missing, allowed)| missing > allowed)
        .count();
    assert!(
        over * one_in <= missing.len(),
        "(missing, allowed) in ns: {missing:?}"
    );
}

/// The path of `file`, made of so many pages.
pub fn file_of_pages(file: &Path, pages: usize) -> String {
    std::fs::write(file, vec![7; pages * usize::try_from(page_size()).unwrap()]).unwrap();
    text(file).to_owned()
}
