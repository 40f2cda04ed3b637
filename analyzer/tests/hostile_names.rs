//! Every verb in every format on a trace whose names are made to steer a terminal, forge a page or break a table, through
//! pipes and on a terminal of 80 columns. A new verb has to be listed in [`questions`]; formats come by themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod model_files;
mod query_fixture;
mod stack_fixture;
mod support;

use clap::{CommandFactory, ValueEnum};
use pf_formats::{
    Condition, Dict, Event, FrameId, Inlined, Meta, ObjectId, ObjectKind, ProcessEntry, Query, Symbol,
};
use pfanalyze::cli::Cli;
use pfanalyze::output::render::Format;
use pfanalyze::output::text::width;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use support::terminal;
use tempfile::TempDir;

/// Clear the screen, links, the clipboard, colours by C1, overrides of direction, lines, backspaces, markup, wide characters.
const EVIL: &str = "/\x1b[2J\x1b]8;;http://x\x07\x1b]52;c;QUJD\x07\u{9b}31m\u{85}\u{202e}\u{2066}\u{2028}\u{200b}\u{206a}\u{feff}\
                    \n! forged\r\x08\x7f\t<script>alert('\"&')</script>|`**日本語日本語日本語\u{e0041}";
const COLUMNS: u16 = 80;
/// Formats that give every byte as it is to files and pipes.
const EXACT: [&str; 1] = ["csv"];

/// What is asked of each verb, behind the trace. `LIST` and `MODEL` are files of regions with such names.
fn questions(verb: &str) -> Vec<Vec<&'static str>> {
    let none = || vec![vec![]];
    match verb {
        "" | "threads" | "files" | "causes" | "info" | "verify" => none(),
        "events" => vec![vec![], vec!["--query", "script"]],
        "percentiles" => ["class", "tid", "comm", "file", "query", "query-id", "stack"]
            .map(|by| vec!["--by", by, "--histogram", "--exact"])
            .to_vec(),
        "heatmap" => vec![vec![], vec!["--file", "*script*"], vec!["--y", "latency"]],
        "timeline" => vec![vec![], vec!["--part", "stalls", "--threads", "1"]],
        "memory" => vec![vec![], vec!["--part", "files"]],
        "sql" => vec![
            vec![],
            vec!["SELECT * FROM faults"],
            vec!["SELECT * FROM threads"],
            vec!["SELECT * FROM processes"],
            vec!["SELECT file, count(*) AS n FROM faults GROUP BY file"],
            vec!["SELECT * FROM host"],
            vec!["SELECT * FROM conditions"],
        ],
        "diff" => vec![vec!["t.pfz"], vec!["u.pfz"]],
        "stacks" => vec![vec!["--min-percent", "0"], vec!["--folded"]],
        "queries" => vec![vec![], vec!["--slowest", "9"], vec!["--id", "1"]],
        "regions" => vec![
            vec!["--file", "*script*"],
            vec!["--file", "*script*", "--parts", "5"],
            vec!["--file", "*script*", "--regions", "LIST"],
            vec!["--file", "*script*", "--copy", "MODEL"],
        ],
        "repair" => vec![vec!["-o", "repaired.pfz"]],
        other => panic!("list the new verb {other} here, with what is to be asked of it"),
    }
}

fn verbs() -> Vec<String> {
    let command = Cli::command();
    let verbs = command.get_subcommands().map(|verb| verb.get_name().to_owned());
    std::iter::once(String::new()).chain(verbs).collect()
}

fn formats() -> Vec<String> {
    let names = Format::value_variants()
        .iter()
        .filter_map(Format::to_possible_value);
    names.map(|value| value.get_name().to_owned()).collect()
}

fn hostile_dicts(evil: impl Fn() -> String) -> Vec<Dict> {
    let mut dicts = stack_fixture::stack_dicts();
    for dict in &mut dicts {
        if let Dict::Objects { entries, .. } = dict {
            entries.iter_mut().for_each(|object| object.path = evil());
        }
    }
    dicts.push(Dict::Comms {
        first_id: 1,
        entries: vec![evil(), evil()],
    });
    dicts.push(Dict::Objects {
        first_id: 1,
        entries: vec![
            support::object(ObjectKind::File, &evil()),
            support::object(ObjectKind::Heap, ""),
        ],
    });
    dicts.push(Dict::Symbols {
        entries: vec![Symbol {
            frame: FrameId(3),
            name: evil(),
            offset: 1,
            file: evil(),
            line: 5,
            inlined: vec![Inlined {
                name: evil(),
                file: evil(),
                line: 7,
            }],
        }],
    });
    dicts
}

/// A trace whose every string is hostile, between two others.
fn hostile_trace(before: &str, after: &str) -> Vec<u8> {
    let evil = || format!("{before}{EVIL}{after}");
    let mut meta = Meta {
        recorder: evil(),
        command: vec![evil(), evil()],
        options: vec!["--query".into(), "--stacks".into(), "--breakdown".into(), evil()],
        target: evil(),
        backend: evil(),
        entry: evil(),
        blind: vec![evil()],
        filters: vec![evil()],
        ..support::meta()
    };
    meta.host.hostname = evil();
    meta.host.kernel = evil();
    meta.host.arch = evil();
    let dicts = hostile_dicts(evil);
    let mut events: Vec<Event> = query_fixture::events();
    events.extend(stack_fixture::faults());
    events.push(Event {
        latency_ns: u64::MAX / 1_000,
        object_page: u64::MAX / 4096 - 1,
        ..support::file_fault(3, 0, 7)
    });
    events.push(Event {
        failed: true,
        object: ObjectId(99),
        ..support::file_fault(4, 7, 1)
    });
    let queries: Vec<Query> = query_fixture::queries()
        .into_iter()
        .map(|query| Query {
            name: evil(),
            text: Some(evil()),
            ..query
        })
        .collect();
    let losses = [support::loss(pf_formats::LossReason::Reserve, 3)];
    let mut writer = support::writer(&meta, &dicts, &events, &losses);
    writer.queries(&queries).unwrap();
    let process = |pid, executable: String| ProcessEntry {
        ts_ns: support::START_NS,
        pid,
        executable,
        command: vec![evil(), evil()],
    };
    writer
        .processes(&[process(100, evil()), process(101, String::new())])
        .unwrap();
    let condition = |ts_ns, value| Condition {
        ts_ns,
        subject: evil(),
        name: evil(),
        value,
    };
    let last = format!("{}x", evil());
    writer
        .conditions(&[condition(1, evil()), condition(2, last)])
        .unwrap();
    let mut totals = support::totals(&events);
    if let Some(books) = &mut totals.accounting {
        books.source = evil();
    }
    if let Some(check) = &mut totals.check {
        check.source = evil();
        check.notes = vec![evil()];
    }
    writer.finish(totals).unwrap()
}

struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("t.pfz"), hostile_trace("", "")).unwrap();
        fs::write(dir.path().join("u.pfz"), hostile_trace("", "other")).unwrap();
        let list = format!("\"{}\",0,5000\n", EVIL.replace('"', "\"\""));
        fs::write(dir.path().join("LIST"), list).unwrap();
        let tensor = (EVIL, &[4096u64][..], 24, 4096);
        fs::write(dir.path().join("MODEL"), model_files::gguf(3, 32, &[tensor]).0).unwrap();
        Self { dir }
    }

    fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pfanalyze"));
        command
            .current_dir(self.dir.path())
            .args(arguments)
            .stdin(Stdio::null());
        command.env_remove("NO_COLOR").env("TERM", "xterm-256color");
        command
    }

    fn piped(&self, arguments: &[impl AsRef<OsStr>]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Standard output and standard error, the former a terminal.
    fn on_terminal(&self, arguments: &[impl AsRef<OsStr>]) -> (String, String) {
        self.with_terminal(arguments, |command, terminal| {
            command.stdout(terminal).stderr(Stdio::piped());
        })
    }

    /// What is shown on a terminal of `COLUMNS`, and what else was said.
    fn with_terminal(
        &self,
        arguments: &[impl AsRef<OsStr>],
        connect: impl Fn(&mut Command, OwnedFd),
    ) -> (String, String) {
        terminal::shown(self.command(arguments), COLUMNS, connect)
    }
}

/// Every command line: verb, trace, question, format.
fn lines(trace: &'static str) -> Vec<(Vec<String>, String)> {
    let mut lines = Vec::new();
    for verb in verbs() {
        for question in questions(&verb) {
            let pictures = ["svg", "raw"].map(str::to_owned);
            let pictures = pictures.into_iter().filter(|_| verb == "heatmap");
            for format in formats().into_iter().chain(pictures) {
                let words = [verb.as_str(), trace].into_iter().filter(|word| !word.is_empty());
                let words = words
                    .chain(question.iter().copied())
                    .chain(["--format", format.as_str()]);
                lines.push((words.map(str::to_owned).collect(), format.clone()));
            }
            let words = [verb.as_str(), trace].into_iter().filter(|word| !word.is_empty());
            lines.push((
                words.chain(question).map(str::to_owned).collect(),
                "table".to_owned(),
            ));
        }
    }
    lines
}

fn is_harmless(c: char) -> bool {
    let hides = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
    c == '\n' || !c.is_control() && !hides
}

fn assert_harmless(text: &str, of: &dyn std::fmt::Debug) {
    let harm = text.chars().find(|&c| !is_harmless(c));
    assert!(harm.is_none(), "{harm:?} in {of:?}:\n{text:?}");
}

/// What a page or document must not contain, by the name of its format.
fn assert_well_formed(text: &str, format: &str, of: &dyn std::fmt::Debug) {
    if ["html", "svg"].iter().any(|markup| format.contains(markup)) {
        assert!(!text.contains("<script>alert"), "{of:?}:\n{text}");
    }
    if ["markdown", "md"].contains(&format) {
        let bars = |line: &str| line.replace("\\\\", "").replace("\\|", "").matches('|').count();
        let lines: Vec<&str> = text.lines().collect();
        let is_row = |line: &&str| line.starts_with('|');
        let rows = lines.windows(2).filter(|pair| pair.iter().all(is_row));
        let mut rows = rows.map(|pair| (bars(pair[0]), bars(pair[1])));
        assert!(rows.all(|(one, next)| one == next), "{of:?}:\n{text}");
    }
    if format == "json" {
        let whole = serde_json::from_str::<serde_json::Value>(text).is_ok();
        let by_line = || {
            text.lines()
                .all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
        };
        assert!(whole || by_line(), "{of:?}:\n{text}");
    }
}

/// Without colours, which only pictures have.
fn plain(text: &str) -> String {
    let mut pieces = text.split('\x1b');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let colour = piece.strip_prefix('[').and_then(|rest| {
            rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';')
                .strip_prefix('m')
        });
        match colour {
            Some(rest) => out.push_str(rest),
            None => out.push_str(&format!("\x1b{piece}")),
        }
    }
    out
}

#[test]
fn nothing_of_a_hostile_trace_is_obeyed_behind_a_pipe() {
    let place = Place::new();
    let mut answered = 0;
    for (line, format) in lines("t.pfz") {
        let output = place.piped(&line);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert_harmless(&text(&output.stderr), &line);
        let code = output.status.code();
        // 2: not every verb has every format; 3: the trace has losses.
        assert!(
            matches!(code, Some(0 | 2 | 3)),
            "{line:?}: {code:?} {}",
            text(&output.stderr)
        );
        if code != Some(2) {
            answered += 1;
            if !EXACT.contains(&format.as_str()) {
                assert_harmless(&text(&output.stdout), &line);
            }
            assert_well_formed(&text(&output.stdout), &format, &line);
        }
    }
    assert!(answered > 40, "{answered}");
}

#[test]
fn nothing_of_a_hostile_trace_is_obeyed_on_a_terminal_or_wider_than_it() {
    let place = Place::new();
    for (line, format) in lines("t.pfz") {
        let (shown, said) = place.on_terminal(&line);
        assert_harmless(&said, &line);
        let shown = if format == "table" { plain(&shown) } else { shown };
        assert_harmless(&shown, &line);
        if format == "table" {
            assert_fits(&shown, &line);
        }
    }
}

/// Spreadsheets take what begins so for a formula, whatever quotes are around it.
#[test]
fn no_text_in_csv_is_a_formula_and_each_can_be_had_back() {
    let place = Place::new();
    for before in ["=1+1", "+", "-", "@SUM(A1)", "\t=", "\r=", "'="] {
        fs::write(place.dir.path().join("f.pfz"), hostile_trace(before, "")).unwrap();
        let asked = if before == "=1+1" { usize::MAX } else { 3 };
        let lines = lines("f.pfz").into_iter().filter(|(_, format)| format == "csv");
        for (line, _) in lines.take(asked) {
            let output = place.piped(&line);
            let mut cells = csv::ReaderBuilder::new();
            let cells = cells
                .flexible(true)
                .has_headers(false)
                .from_reader(&output.stdout[..])
                .into_records();
            for row in cells {
                for cell in &row.unwrap() {
                    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
                    assert!(!is_formula || cell.parse::<f64>().is_ok(), "{line:?}: {cell:?}");
                }
            }
        }
        let exact = place.piped(&["threads", "f.pfz", "--format", "json"]);
        let exact: serde_json::Value = serde_json::from_slice(&exact.stdout).unwrap();
        let output = place.piped(&["threads", "f.pfz", "--format", "csv"]);
        let mut rows = csv::Reader::from_reader(&output.stdout[..]);
        let comm = rows
            .headers()
            .unwrap()
            .iter()
            .position(|name| name == "comm")
            .unwrap();
        for (row, exact) in rows.records().zip(exact.as_array().unwrap()) {
            assert_eq!(row.unwrap()[comm].strip_prefix('\''), exact["comm"].as_str());
        }
    }
}

/// `-o /dev/tty`: a terminal that is not standard output, here standard input.
#[test]
fn a_terminal_that_is_named_as_the_output_is_one() {
    let place = Place::new();
    for (mut line, format) in lines("t.pfz") {
        if line.contains(&"repair".to_owned()) {
            continue;
        }
        line.extend(["-o", "/proc/self/fd/0"].map(str::to_owned));
        let (shown, _) = place.with_terminal(&line, |command, terminal| {
            command
                .stdin(terminal)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
        });
        let shown = if format == "table" { plain(&shown) } else { shown };
        assert_harmless(&shown, &line);
    }
}

fn assert_fits(shown: &str, of: &dyn std::fmt::Debug) {
    // Commands are left to the terminal to break: so they can be copied.
    for line in shown
        .lines()
        .filter(|line| !line.trim_start().starts_with("pfanalyze "))
    {
        assert!(
            width(line) <= usize::from(COLUMNS),
            "{of:?}: {} columns:\n{line}",
            width(line)
        );
    }
}

#[test]
fn a_real_recording_and_all_help_fit_a_terminal() {
    let place = Place::new();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/cold-zipf/trace.pfz");
    fs::copy(sample, place.dir.path().join("real.pfz")).unwrap();
    for (line, format) in lines("real.pfz") {
        if format == "table" && !line.contains(&"repair".to_owned()) {
            let (shown, said) = place.on_terminal(&line);
            assert!(
                !said.starts_with("error: ") || said.contains("has no"),
                "{line:?}: {said}"
            );
            assert_fits(&plain(&shown), &line);
        }
    }
    for verb in verbs() {
        let words = [verb.as_str(), "--help"]
            .into_iter()
            .filter(|word| !word.is_empty());
        let line: Vec<&str> = words.collect();
        let (shown, _) = place.on_terminal(&line);
        assert_fits(&plain(&shown), &line);
    }
}

#[test]
fn names_on_the_command_line_are_not_obeyed_either() {
    let place = Place::new();
    let evil = EVIL.replace('/', "");
    let mut broken: OsString = evil.clone().into();
    broken.push(OsStr::from_bytes(b"\xff\xfe\x1b[2J"));
    fs::write(place.dir.path().join(OsStr::from_bytes(b"empty\xff\x1b[2J")), b"").unwrap();
    let word = |text: &str| OsString::from(text);
    let given = |option: &str| vec![word("threads"), word("t.pfz"), word(option), evil.clone().into()];
    let mut lines: Vec<Vec<OsString>> = vec![
        vec![broken.clone()],
        vec![broken.clone(), broken.clone()],
        vec![OsStr::from_bytes(b"empty\xff\x1b[2J").into()],
        vec![
            word("threads"),
            word("t.pfz"),
            word("-o"),
            Path::new("no/such").join(&broken).into(),
        ],
        vec![word("threads"), word("t.pfz"), format!("--{evil}").into()],
        vec![
            word("regions"),
            word("t.pfz"),
            word("--file"),
            word("script"),
            word("--copy"),
            broken.clone(),
        ],
        vec![
            word("regions"),
            word("t.pfz"),
            word("--file"),
            word("script"),
            word("--regions"),
            broken.clone(),
        ],
        vec![word("--manuals"), Path::new("/dev/null").join(&broken).into()],
    ];
    let options = [
        "--comm",
        "--file",
        "--query",
        "--pid",
        "--from",
        "--min-latency",
        "--format",
        "--output",
    ];
    lines.extend(options.map(given));
    for verb in verbs().iter().filter(|verb| !verb.is_empty()) {
        lines.push(vec![verb.into(), broken.clone()]);
    }
    for line in lines {
        let output = place.piped(&line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_harmless(&said, &line);
        let result = String::from_utf8(output.stdout).unwrap();
        assert!(result.chars().all(is_harmless), "{line:?}: {result:?}");
        assert!(
            !output.status.success() || said.contains("no faults pass") || line.contains(&word("--output")),
            "{line:?}: {said}"
        );
    }
}
