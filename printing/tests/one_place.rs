//! Nobody prints past `pf_printing`: the sources are searched for every way to do so. What must is listed here, with the
//! reason; an entry that is not needed any more fails, too.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The crates whose code runs in `pfrec` and `pfanalyze`.
const CRATES: [&str; 6] = ["analyzer", "bpf", "formats", "manuals", "notation", "recorder"];

/// Ways to print.
const WAYS: [&str; 17] = [
    "println!",
    "print!(",
    "eprintln!",
    "eprint!(",
    "dbg!",
    "stdout()",
    "stderr()",
    "STDOUT_FILENO",
    "STDERR_FILENO",
    "/dev/tty",
    "/dev/stdout",
    "/dev/stderr",
    "/dev/fd/",
    "raw_out()",
    // clap's own.
    ".print()",
    ".exit()",
    "::parse()",
];

/// Who may, and why.
const ALLOWED: [(&str, &str, &str); 11] = [
    (
        "analyzer/src/trace/memory_limit.rs",
        "STDERR_FILENO",
        "where no memory is left; a number and fixed words",
    ),
    (
        "recorder/src/pipeline/trace_file.rs",
        "raw_out()",
        "the bytes of a trace, never to a terminal",
    ),
    (
        "recorder/src/live/screen.rs",
        "raw_out()",
        "draws; each text is escaped there",
    ),
    (
        "recorder/src/live/screen.rs",
        "STDOUT_FILENO",
        "asks who is in front",
    ),
    ("recorder/src/live/screen.rs", "/dev/tty", "keys are read there"),
    (
        "recorder/src/live/command_output.rs",
        "raw_out()",
        "what COMMAND itself has printed",
    ),
    (
        "recorder/src/target/launch.rs",
        "stderr()",
        "COMMAND's standard output, led there",
    ),
    (
        "recorder/src/target/own_terminal.rs",
        "/dev/tty",
        "what COMMAND itself prints, passed on",
    ),
    (
        "notation/src/usage.rs",
        ".print()",
        "clap's help and errors, when each word of the command line can be printed as it is",
    ),
    (
        "analyzer/src/output/sink.rs",
        "raw_out()",
        "behind `Screen`, which escapes",
    ),
    (
        "analyzer/src/output/file_identity.rs",
        "raw_out()",
        "asks which file it is",
    ),
];

/// What looks like one of them and asks something, or is of the same name.
const HARMLESS: [&str; 7] = [
    "stdout().is_terminal()",
    "stderr().is_terminal()",
    ".use_stderr()",
    "Output::stdout()",
    "Self::stdout()",
    "fn stdout()",
    "output.print()",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        // Tests print what they like.
        if name == "tests" || name == "tests.rs" {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
}

/// The code of a file: without its tests, comments, and questions that print nothing.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n");
    HARMLESS
        .iter()
        .fold(code, |code, harmless| code.replace(harmless, ""))
}

#[test]
fn everything_is_printed_in_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in CRATES {
        sources(&root.join(folder).join("src"), &mut files);
    }
    assert!(files.len() > 150, "{} files", files.len());
    let mut found = BTreeSet::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let code = code(&fs::read_to_string(&file).unwrap());
        found.extend(
            WAYS.iter()
                .filter(|way| code.contains(*way))
                .map(|way| (name.clone(), *way)),
        );
    }
    let allowed: BTreeSet<_> = ALLOWED
        .iter()
        .map(|(file, way, _)| ((*file).to_owned(), *way))
        .collect();
    let past: Vec<_> = found.difference(&allowed).collect();
    assert!(
        past.is_empty(),
        "print through pf_printing, or say here why not: {past:#?}"
    );
    let unneeded: Vec<_> = allowed.difference(&found).collect();
    assert!(unneeded.is_empty(), "nobody does this any more: {unneeded:#?}");
}
