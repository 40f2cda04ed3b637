//! `--causes`: where faults slept, what they read and whether their page was there, against programs that know it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::BufReader,
    ops::Range,
    path::Path,
};

use common::{
    alone, disk_folder, emulated,
    eviction::{evict, page_size},
    pfrec,
    process::run,
    programs::compile,
    text,
    touched::{Touched, file_of_pages, touches},
    trace::{assert_books_balance, assert_whole, json, rows},
};
use pf_formats::{Access, Dict, Event, HiddenWait, Item, ObjectKind, StackId, TraceReader};

/// What was recorded of one program.
struct Recorded {
    stdout: String,
    rows: Vec<Event>,
    kernel: Kernel,
    /// What the trace says that nobody could see.
    blind: String,
}

/// The stacks of the kernel in a trace.
#[derive(Default)]
struct Kernel {
    objects: BTreeMap<u32, (ObjectKind, String)>,
    frames: BTreeMap<u32, (u32, u64)>,
    names: BTreeMap<u32, String>,
    stacks: BTreeMap<u32, (u32, u32)>,
}

impl Kernel {
    fn of(trace: &Path) -> Self {
        let mut reader = TraceReader::new(BufReader::new(File::open(trace).unwrap())).unwrap();
        let mut kernel = Self::default();
        while let Some(item) = reader.next().unwrap() {
            match item {
                Item::Dict(Dict::Objects { first_id, entries }) => kernel
                    .objects
                    .extend((first_id..).zip(entries.into_iter().map(|object| (object.kind, object.path)))),
                Item::Dict(Dict::Frames { first_id, entries }) => kernel
                    .frames
                    .extend((first_id..).zip(entries.iter().map(|frame| (frame.object.0, frame.offset)))),
                Item::Dict(Dict::Stacks { first_id, entries }) => kernel
                    .stacks
                    .extend((first_id..).zip(entries.iter().map(|node| (node.parent.0, node.frame.0)))),
                Item::Dict(Dict::Symbols { entries }) => kernel
                    .names
                    .extend(entries.into_iter().map(|symbol| (symbol.frame.0, symbol.name))),
                _ => {}
            }
        }
        kernel
    }

    /// Functions of a stack, innermost first. All of its frames are in the kernel, and none tells an address.
    fn functions(&self, stack: StackId) -> Vec<&str> {
        let mut functions = Vec::new();
        let mut at = stack.0;
        while at != 0 {
            let (parent, frame) = self.stacks[&at];
            let (object, offset) = self.frames[&frame];
            let (kind, path) = &self.objects[&object];
            assert_eq!(*kind, ObjectKind::Kernel, "{path}");
            assert!(path.starts_with('[') && path.ends_with(']'), "{path}");
            assert!(offset < 1 << 32, "{offset:#x} in {path}");
            functions.push(self.names.get(&frame).map_or("", String::as_str));
            at = parent;
        }
        functions
    }
}

impl Recorded {
    /// Rows of these addresses, none of which failed.
    fn at(&self, addresses: &Range<u64>) -> Vec<&Event> {
        let rows = self.rows.iter();
        let rows: Vec<&Event> = rows.filter(|row| addresses.contains(&row.address)).collect();
        assert!(rows.iter().all(|row| !row.failed));
        rows
    }

    /// The row of a touch.
    fn of(&self, touch: &Touched) -> &Event {
        let page = page_size() as u64;
        let start = touch.address / page * page;
        let rows = self.at(&(start..start + page));
        let [row] = rows[..] else {
            panic!("one row expected: {touch:?}: {rows:#?}");
        };
        row
    }

    /// Asserts that the page was there or not, where the recorder sees it.
    fn assert_present(&self, row: &Event, present: bool) {
        let sees = !self.blind.contains("present");
        assert_eq!(row.witnesses.present, sees.then_some(present), "{row:?}");
    }

    fn assert_pages_read(&self, row: &Event, pages: u32) {
        let sees = !self.blind.contains("pages that a fault reads");
        assert_eq!(row.witnesses.pages_read, sees.then_some(pages), "{row:?}");
    }

    /// The functions of a row's longest sleep. It has such a stack if it slept, and only then.
    fn sleep(&self, row: &Event) -> Vec<&str> {
        let sleep = row.witnesses.sleep.expect("sleeps are seen everywhere");
        let slept = row.breakdown.unwrap().blocked_ns > 0;
        assert_eq!(slept, sleep != StackId(0), "{row:?}");
        let functions = self.kernel.functions(sleep);
        // How the stack was taken is no part of it.
        assert!(!slept || functions[0].contains("schedule"), "{functions:?}");
        functions
    }
}

fn record_with(options: &[&str], name: &str, arguments: &[&str]) -> Recorded {
    let folder = disk_folder();
    let program = compile(name, folder.path());
    let trace = folder.path().join("t.pfz");
    let command = [options, &["-o", text(&trace), "--", text(&program)], arguments].concat();
    let ended = run(pfrec(&command)).ok();
    // The books balance, and nothing is missing: no stack, either.
    assert_whole(&trace, &ended.stderr);
    let found = json("info", &trace);
    Recorded {
        stdout: ended.stdout,
        rows: rows(&trace),
        kernel: Kernel::of(&trace),
        blind: found["cannot_see"].to_string(),
    }
}

fn record(name: &str, arguments: &[&str]) -> Recorded {
    record_with(&["--causes"], name, arguments)
}

#[test]
#[ignore = "needs root"]
fn a_page_that_a_server_gives_is_waited_for_in_handle_userfault() {
    let _alone = alone();
    let recorded = record("serve_pages", &["20", "20000"]);
    let touches = touches(&recorded.stdout);
    assert_eq!(touches.len(), 20);
    for touch in &touches {
        let row = recorded.of(touch);
        assert!(row.breakdown.unwrap().blocked_ns >= 15_000_000, "{row:?}");
        let functions = recorded.sleep(row);
        assert!(functions.contains(&"handle_userfault"), "{functions:?}");
        recorded.assert_pages_read(row, 0);
        recorded.assert_present(row, false);
    }
    let stacks: BTreeSet<_> = touches
        .iter()
        .map(|touch| recorded.of(touch).witnesses.sleep)
        .collect();
    assert!(stacks.len() <= 3, "the same wait has the same stack: {stacks:?}");
}

#[test]
#[ignore = "needs root"]
fn a_cold_page_without_read_ahead_is_one_page_read_and_waited_for() {
    let _alone = alone();
    let folder = disk_folder();
    let path = file_of_pages(&folder.path().join("pages"), 257);
    evict(Path::new(&path));
    let recorded = record("touch_pages", &["256", &path, "1"]);
    let touches = touches(&recorded.stdout);
    assert_eq!(touches.len(), 256);
    let mut slept = 0;
    for touch in &touches {
        let row = recorded.of(touch);
        recorded.assert_pages_read(row, 1);
        let before = row.witnesses.pages_read.map(|_| 0);
        assert_eq!(row.witnesses.pages_before, before, "{row:?}");
        recorded.assert_present(row, false);
        let functions = recorded.sleep(row);
        if !functions.is_empty() {
            slept += 1;
            let reads = ["folio_wait_bit_common", "filemap_fault"];
            assert!(
                functions.iter().any(|function| reads.contains(function)),
                "{functions:?}"
            );
        }
    }
    // The disk of an emulated machine is nearly always through before anybody sleeps.
    assert!(slept >= 128 || emulated(), "{slept} of 256 waited");
}

/// The addresses that `known_causes` printed, and how many pages of its file came into memory.
fn known(stdout: &str) -> (Range<u64>, u64) {
    let words: Vec<&str> = stdout.split_whitespace().collect();
    let hex = |word: &str| u64::from_str_radix(word, 16).unwrap();
    (hex(words[0])..hex(words[1]), words[2].parse().unwrap())
}

#[test]
#[ignore = "needs root"]
fn what_read_ahead_brings_in_is_told_page_for_page_of_the_faults_that_asked() {
    let _alone = alone();
    let folder = disk_folder();
    let path = file_of_pages(&folder.path().join("pages"), 2048);
    evict(Path::new(&path));
    let recorded = record("known_causes", &["walk", &path, "2048"]);
    let (addresses, came) = known(&recorded.stdout);
    assert_eq!(came, 2048, "the file was cold, and all of it was read");
    let rows = recorded.at(&addresses);
    if recorded.blind.contains("pages that a fault reads") {
        return;
    }
    let pages = |row: &&&Event| row.witnesses.pages_read.unwrap();
    // Each page of the file is in one read, and no read is anywhere else.
    let mut places: Vec<u64> = Vec::new();
    for row in rows.iter().filter(|row| pages(row) > 0) {
        let first = row.object_page as i64 - i64::from(row.witnesses.pages_before.unwrap());
        places.extend((first as u64..).take(pages(&row) as usize));
    }
    places.sort_unstable();
    assert_eq!(places, (0..2048).collect::<Vec<u64>>());
    let sum: u64 = rows.iter().map(|row| u64::from(pages(&row))).sum();
    assert_eq!(sum, came);
    let readers = rows.iter().filter(|row| pages(row) > 0).count();
    assert!((1..512).contains(&readers), "{readers} faults read 2048 pages");
    for row in &rows {
        recorded.assert_present(row, false);
        recorded.sleep(row);
    }
}

#[test]
#[ignore = "needs root"]
fn a_store_to_a_page_that_was_read_before_finds_it_present() {
    let folder = disk_folder();
    let path = file_of_pages(&folder.path().join("pages"), 300);
    let recorded = record("known_causes", &["copy", &path, "300"]);
    let (addresses, came) = known(&recorded.stdout);
    assert_eq!(came, 0, "it was just written");
    let page = page_size() as u64;
    let mut stored = BTreeSet::new();
    let mut presence = 0;
    for row in recorded.at(&addresses) {
        recorded.assert_pages_read(row, 0);
        // Where the access is not seen, neither is the presence.
        let Some(access) = row.access else {
            assert_eq!(row.witnesses.present, None);
            continue;
        };
        recorded.assert_present(row, access == Access::Write);
        presence += usize::from(row.witnesses.present == Some(true));
        if access == Access::Write {
            stored.insert(row.address / page);
        }
    }
    if !recorded.blind.contains("present") {
        assert_eq!((stored.len(), presence), (300, 300));
    }
}

#[test]
#[ignore = "needs root"]
fn the_first_touch_of_fresh_memory_neither_sleeps_nor_reads_nor_finds_a_page() {
    let recorded = record("touch_pages", &["2000"]);
    let touches = touches(&recorded.stdout);
    assert_eq!(touches.len(), 2000);
    let mut slept = 0;
    for touch in &touches {
        let row = recorded.of(touch);
        recorded.assert_pages_read(row, 0);
        recorded.assert_present(row, false);
        slept += usize::from(!recorded.sleep(row).is_empty());
    }
    // Another thread of the machine may hold a lock for a moment.
    assert!(slept <= 20, "{slept} slept");
}

#[test]
#[ignore = "needs root"]
fn without_the_option_no_witness_is_in_the_trace() {
    let folder = disk_folder();
    let path = file_of_pages(&folder.path().join("pages"), 65);
    let recorded = record_with(&["--breakdown"], "touch_pages", &["64", &path, "1"]);
    assert!(recorded.rows.iter().all(|row| row.witnesses.is_none()));
    assert!(!recorded.blind.contains("--causes"), "{}", recorded.blind);
    let mut objects = recorded.kernel.objects.values();
    assert!(objects.all(|(kind, _)| *kind != ObjectKind::Kernel));
}

/// Waits that no fault tells of.
fn hidden_waits(trace: &Path) -> Vec<HiddenWait> {
    let mut reader = TraceReader::new(BufReader::new(File::open(trace).unwrap())).unwrap();
    let mut waits = Vec::new();
    while let Some(item) = reader.next().unwrap() {
        if let Item::HiddenWaits(entries) = item {
            waits.extend(entries);
        }
    }
    waits
}

/// The kernel touches the pages for mlock(2): where these faults are no rows, the time is told all the same.
#[test]
#[ignore = "needs root"]
fn what_a_system_call_waits_for_pages_is_told_with_its_name_and_where_it_slept() {
    let _alone = alone();
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let program = compile("serve_pages", folder.path());
    let arguments = ["--causes", "-o", text(&trace), "--", text(&program)];
    let ended = run(pfrec(&[&arguments[..], &["20", "20000", "mlock"]].concat())).ok();
    assert_whole(&trace, &ended.stderr);
    let took_ns: u64 = ended.stdout.trim().parse().unwrap();
    let kernel = Kernel::of(&trace);
    let waits = hidden_waits(&trace);
    for wait in &waits {
        assert_eq!((wait.syscall.as_str(), wait.object.0), ("mlock", 0), "{wait:?}");
        let functions = kernel.functions(wait.sleep);
        assert!(functions.contains(&"handle_userfault"), "{functions:?}");
    }
    // When the kernel tries again the page is there: none of these is counted as a fault, by whatever backend.
    assert_eq!(waits.len(), 20, "{waits:?}");
    let told_ns = waits.iter().map(|wait| wait.wait_ns).sum::<u64>();
    // An emulated CPU takes its time to map what came.
    let least = if emulated() { 80 } else { 95 };
    assert!(
        told_ns <= took_ns && told_ns >= took_ns / 100 * least,
        "{told_ns} of {took_ns}"
    );
}

/// What an interrupted attempt slept in is kept for the row that all attempts become.
#[test]
#[ignore = "needs root"]
fn the_waits_of_interrupted_attempts_have_their_stack() {
    let _alone = alone();
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let program = compile("interrupted", folder.path());
    let arguments = ["--causes", "-o", text(&trace), "--", text(&program)];
    let command = [&arguments[..], &["20", "20000", "timer", "5000"]].concat();
    let ended = run(pfrec(&command)).ok();
    assert_books_balance(&trace, &ended.stderr);
    let kernel = Kernel::of(&trace);
    let rows = rows(&trace);
    let interrupted: Vec<&Event> = rows.iter().filter(|row| row.interruptions > 0).collect();
    assert!(interrupted.len() >= 10, "{}", interrupted.len());
    for row in interrupted {
        let sleep = row.witnesses.sleep.expect("sleeps are seen everywhere");
        let functions = kernel.functions(sleep);
        assert!(functions.contains(&"handle_userfault"), "{row:?}: {functions:?}");
    }
}
