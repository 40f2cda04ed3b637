//! Sentences of reports and notes: that they are English for one thing as for many, say why, and agree with other verbs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod query_fixture;
mod support;

use pf_formats::{Check, CommandEnd, Event, Header, Totals, TraceWriter};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use support::{dicts, events, file_fault, heap_fault, meta, totals, trace};
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn new(trace: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("t.pfz"), trace).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str], stdin: Stdio) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pfanalyze"));
        command.current_dir(self.0.path()).args(arguments);
        command.stdin(stdin).output().unwrap()
    }

    /// Without line breaks, to look for sentences.
    fn words(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments, Stdio::null());
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Without begins and ends of threads, as of a process that was there before and after.
fn without_lives(totals: Totals, header: &Header) -> Vec<u8> {
    let mut writer = TraceWriter::create(Vec::new(), header, &meta()).unwrap();
    dicts().iter().for_each(|dict| writer.dict(dict).unwrap());
    events().iter().for_each(|event| writer.push(event).unwrap());
    writer.flush_block().unwrap();
    writer.finish(totals).unwrap()
}

#[test]
fn one_is_not_many() {
    let failed = Event {
        failed: true,
        ..heap_fault(1, 300, 1)
    };
    let faults = [file_fault(10, 3_010_000, 0), failed];
    let mut alone = meta();
    alone.host.cpus = 1;
    let place = Place::new(&trace(&alone, &dicts(), &faults, &[]));
    let report = place.words(&["t.pfz"]);
    for sentence in [
        "one major fault of 3.01 ms has 100.0 % of the waiting, in /data/segments.bin",
        "kernel counted 1 fault = 1 recorded",
        "x86_64, 1 CPU, ",
        " 1 fault (",
    ] {
        assert!(report.contains(sentence), "{sentence}: {report}");
    }
    let failed = place.words(&["t.pfz", "--failed"]);
    assert!(failed.contains(" 1 fault failed, and got no page; "), "{failed}");
    let rows = place.words(&["events", "t.pfz", "--sort", "latency", "--top", "1"]);
    assert!(!rows.contains("1 more rows"), "{rows}");
    let rows = place.words(&["files", "t.pfz", "--top", "1"]);
    assert!(rows.contains("... and 1 more row "), "{rows}");
}

#[test]
fn pages_read_again_are_one_number_in_the_report_and_in_memory() {
    // The second and third wait for one read together.
    let again: Vec<Event> = (0..20).map(|at| file_fault(at * 5, 100_000, 3)).collect();
    let together = Event {
        tid: 102,
        ts_ns: again[7].ts_ns + 10,
        ..file_fault(0, 100_000, 3)
    };
    let place = Place::new(&trace(&meta(), &dicts(), &[again, vec![together]].concat(), &[]));
    let report = place.words(&["t.pfz"]);
    let counted = "pages have a major fault more than once: 19 of the 21 major faults in /data/segments.bin (90.5 %) were on \
                   a page that had one before, 76.0 KiB in all;";
    assert!(report.contains(counted), "{report}");
    let memory = place.words(&["memory", "t.pfz", "--part", "files", "--format", "csv"]);
    assert!(memory.contains("/data/segments.bin,21,19,"), "{memory}");
}

/// Words of causes. A class is none: a recording that saw no cause says nothing of one.
const CAUSES: [&str; 14] = [
    "disk",
    "swap",
    "read from",
    "reads from",
    "read again",
    "was reading",
    "being read",
    "page cache",
    "short memory",
    "memory is short",
    "evict",
    "another thread",
    "writeback",
    "copy-on-write",
];

/// The first cause in a text.
fn cause_in(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase();
    CAUSES.into_iter().find(|cause| text.contains(cause))
}

#[test]
fn no_sentence_names_a_cause_that_was_not_seen() {
    assert_eq!(cause_in("is due to major faults (reads from Disk)"), Some("disk"));
    let slow_minor = |at| Event {
        major: false,
        ..file_fault(at, 5_000_000, 1_000 + at)
    };
    let failed = Event {
        failed: true,
        ..heap_fault(900, 300, 1)
    };
    let again: Vec<Event> = (0..20).map(|at| file_fault(at * 5, 100_000, at % 4)).collect();
    let faults = [
        vec![file_fault(10, 3_010_000, 0)],
        again.clone(),
        (0..9).map(slow_minor).collect(),
        [again, (30..39).map(slow_minor).collect(), vec![failed]].concat(),
    ];
    let verbs: [&[&str]; 14] = [
        &["t.pfz"],
        &["t.pfz", "--failed"],
        &["t.pfz", "--from", "1us"],
        &["t.pfz", "--format", "json"],
        &["threads", "t.pfz"],
        &["files", "t.pfz"],
        &["memory", "t.pfz"],
        &["memory", "t.pfz", "--format", "json"],
        &["percentiles", "t.pfz"],
        &["timeline", "t.pfz"],
        &["heatmap", "t.pfz"],
        &["regions", "t.pfz", "--file", "/data/segments.bin"],
        &["diff", "t.pfz", "t.pfz"],
        &["events", "t.pfz"],
    ];
    for faults in faults {
        let place = Place::new(&trace(&meta(), &dicts(), &faults, &[]));
        for verb in verbs {
            let output = place.run(verb, Stdio::null());
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8(said).unwrap();
            assert!(!said.is_empty(), "{verb:?}");
            assert_eq!(cause_in(&said), None, "{verb:?}: {said}");
        }
    }
}

#[test]
fn a_life_is_whole_only_if_the_recording_saw_both_ends() {
    let seen = Place::new(&trace(&meta(), &dicts(), &events(), &[]));
    let report = seen.words(&["t.pfz"]);
    assert!(report.contains("% of its life: "), "{report}");
    let attached = Place::new(&without_lives(totals(&events()), &support::header()));
    let report = attached.words(&["t.pfz"]);
    assert!(report.contains("% of its life in this recording: "), "{report}");
}

#[test]
fn a_signal_has_its_name() {
    let mut ended = totals(&events());
    ended.command_end = Some(CommandEnd {
        by_signal: true,
        number: 7,
    });
    let mut writer = support::writer(&meta(), &dicts(), &events(), &[]);
    writer.flush_block().unwrap();
    let place = Place::new(&writer.finish(ended).unwrap());
    assert!(place.words(&["t.pfz"]).contains(" ended signal 7 (SIGBUS) host "));
    assert!(
        place
            .words(&["info", "t.pfz"])
            .contains("command_end signal 7 (SIGBUS)")
    );
}

#[test]
fn counts_that_were_not_checked_say_why() {
    let with = |check: Option<Check>, header: &Header| {
        let mut counted = totals(&events());
        counted.check = check;
        let place = Place::new(&without_lives(counted, header));
        place.words(&["t.pfz"])
    };
    let noted = Check {
        notes: vec!["perf events are not allowed here".into()],
        ..Check::default()
    };
    let report = with(Some(noted), &support::header());
    let says = "balanced: not checked (perf events are not allowed here)";
    assert!(report.contains(&says["balanced: ".len()..]), "{report}");
    let report = with(None, &support::header());
    assert!(
        report.contains("not checked (the trace does not say why)"),
        "{report}"
    );
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../samples/cold-zipf/trace.pfz");
    let place = Place::new(&[]);
    let report = place.words(&[sample]);
    assert!(
        report.contains("not checked (recorded before there was a check)"),
        "{report}"
    );
}

#[test]
fn commands_for_what_came_through_a_pipe_ask_for_a_file() {
    let place = Place::new(&query_fixture::known());
    for arguments in [&["-"][..], &["sql", "-"], &["memory", "-"], &["queries", "-"]] {
        let trace = fs::File::open(place.path("t.pfz")).unwrap();
        let output = place.run(arguments, trace.into());
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        for line in text.lines().filter(|line| line.contains("pfanalyze ")) {
            assert!(line.contains(" FILE"), "{arguments:?}: {line}");
        }
    }
}

#[test]
fn places_that_are_not_drawn_are_named_by_options_that_draw_them() {
    let place = Place::new(&trace(&meta(), &dicts(), &events(), &[]));
    let heap = [heap_fault(5, 900_000, 0), file_fault(10, 1_000_000, 0)];
    fs::write(place.path("h.pfz"), trace(&meta(), &dicts(), &heap, &[])).unwrap();
    let report = place.words(&["h.pfz"]);
    let (_, options) = report.split_once("not shown: ").unwrap();
    let (options, _) = options.split_once(" with ").unwrap();
    assert!(options.starts_with("--pid 100 --address 0x5555"), "{options}");
    let words: Vec<&str> = ["heatmap", "h.pfz"]
        .into_iter()
        .chain(options.split(' '))
        .collect();
    assert!(place.words(&words).contains("1 fault (100.0 % of the wait)"));
}

#[test]
fn memory_without_a_file_has_no_regions_and_that_is_said() {
    let place = Place::new(&trace(&meta(), &dicts(), &events(), &[]));
    let said = place.words(&["regions", "t.pfz", "--file", "[heap]"]);
    assert!(
        said.ends_with("which has no regions; where in it: pfanalyze heatmap t.pfz --file '[heap]'"),
        "{said}"
    );
    let said = place.words(&["regions", "t.pfz", "--file", "segments.bin"]);
    assert!(said.contains("0x0-0x"), "offsets, exact: {said}");
}

#[test]
fn a_repaired_trace_replaces_other_files_on_request_only() {
    let place = Place::new(&support::unfinished(&meta(), &dicts(), &events()));
    fs::write(place.path("k.csv"), "a,b\n").unwrap();
    fs::write(place.path("empty"), "").unwrap();
    let repair = |more: &[&str]| place.run(&[&["repair", "t.pfz", "-o"], more].concat(), Stdio::null());
    let refused = repair(&["k.csv"]);
    assert_eq!(refused.status.code(), Some(1));
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(message.contains("k.csv exists and is not a trace"), "{message}");
    assert_eq!(fs::read(place.path("k.csv")).unwrap(), b"a,b\n");
    assert_eq!(repair(&["k.csv", "--force"]).status.code(), Some(3));
    assert_eq!(repair(&["empty"]).status.code(), Some(3));
    // Nothing in it is damaged, and nobody knows what was not recorded any more.
    let verified = place.run(&["verify", "k.csv"], Stdio::null());
    let said = String::from_utf8(verified.stdout).unwrap();
    assert_eq!(verified.status.code(), Some(3), "{said}");
    assert!(
        said.starts_with(
            "undamaged: 7 events in 1 block; but not all may be in them that was recorded\nunfinished: "
        ),
        "{said}"
    );
    assert!(said.contains("the trace was repaired"), "{said}");
}
