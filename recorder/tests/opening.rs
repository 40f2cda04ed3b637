//! Paths that a user or a recorded process names are opened in one place, which neither waits nor opens a device.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use common::{disk_folder, package, pfrec, process::run, text};
use nix::{sys::stat::Mode, unistd::mkfifo};

/// What opens a file by its path.
const OPENERS: [&str; 11] = [
    "File::open",
    "File::create",
    "File::options",
    "OpenOptions::new",
    "fs::read(",
    "fs::read_to_string(",
    "fs::write(",
    "fs::copy(",
    "fcntl::open",
    "openat",
    "libc::open",
];

/// Where that is right, in which line, and why.
const EXCEPTIONS: [(&str, &str, &str); 18] = [
    ("doctor.rs", "\"/proc/self/status\"", "the kernel's"),
    ("doctor.rs", "fs::read_to_string(PARANOID)", "the kernel's"),
    ("doctor.rs", "fs::read_to_string(LOCKDOWN)", "the kernel's"),
    ("doctor.rs", "fs::read(BTF)", "the kernel's"),
    ("target/launch.rs", "\"/dev/null\"", "a device, and meant"),
    ("live/screen.rs", "\"/dev/tty\"", "a device, and meant"),
    ("target/own_terminal.rs", "\"/dev/tty\"", "a device, and meant"),
    (
        "pipeline/trace_file.rs",
        "OpenOptions::new()",
        "creates, and never opens what is there",
    ),
    (
        "session/proc.rs",
        "File::open(path)",
        "the kernel's: /proc/PID/maps, and that of a thread",
    ),
    (
        "session/proc.rs",
        "\"/proc/{pid}/task/{tid}/comm\"",
        "the kernel's",
    ),
    (
        "session/programs/reader.rs",
        "\"/proc/{pid}/cmdline\"",
        "the kernel's",
    ),
    ("files/sandbox/mod.rs", "\"/dev/null\"", "a device, and meant"),
    (
        "files/sandbox/mod.rs",
        "\"/proc/self/oom_score_adj\"",
        "the kernel's",
    ),
    (
        "files/sandbox/seccomp.rs",
        "libc::SYS_openat",
        "the number of a system call",
    ),
    (
        "stacks/kernel.rs",
        "File::open(SYMBOLS)",
        "the kernel's: /proc/kallsyms",
    ),
    ("stacks/perf_map.rs", "\"/proc/{pid}/status\"", "the kernel's"),
    ("stacks/symbols.rs", "\"/proc/self/mem\"", "the kernel's"),
    ("files/open.rs", "", "the one place"),
];

/// `TraceFile::create` is not `File::create`.
fn has_word(line: &str, word: &str) -> bool {
    let mut places = line.match_indices(word);
    places.any(|(at, _)| !line[..at].ends_with(|before: char| before.is_alphanumeric()))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() && !is_test {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
            found.push(path);
        }
    }
}

#[test]
fn nothing_but_one_module_opens_what_others_name() {
    let root = package().join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 40, "{files:?}");
    let mut met = BTreeSet::new();
    for path in files {
        let name = text(path.strip_prefix(&root).unwrap()).to_owned();
        let source = fs::read_to_string(&path).unwrap();
        let code = source.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().filter(|line| !line.trim().starts_with("//")) {
            if !OPENERS.iter().any(|opener| has_word(line, opener)) {
                continue;
            }
            let allowed = EXCEPTIONS
                .iter()
                .position(|(file, part, _)| *file == name && line.contains(part));
            met.insert(allowed.unwrap_or_else(|| {
                panic!(
                    "{name} opens a path by itself instead of with open.rs, or needs a reason here: {line}"
                )
            }));
        }
    }
    for (at, exception) in EXCEPTIONS.iter().enumerate() {
        assert!(met.contains(&at), "no such line any more: {exception:?}");
    }
}

/// The error of `options`, told at once and before anything is begun.
fn refused(options: &[&str]) -> String {
    let folder = disk_folder();
    let (trace, proof) = (folder.path().join("t.pfz"), folder.path().join("it-ran"));
    let command = ["--", "touch", text(&proof)];
    let error = run(pfrec(&[&["-o", text(&trace)], options, &command].concat())).error(125);
    assert_eq!(
        folder.path().read_dir().unwrap().count(),
        0,
        "{options:?}: something is left"
    );
    error
}

#[test]
#[ignore = "needs root"]
fn a_fifo_or_a_device_in_the_place_of_a_file_is_refused_at_once_and_called_what_it_is() {
    let folder = disk_folder();
    let fifo = folder.path().join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    for (path, kind) in [
        (fifo.as_path(), "a FIFO"),
        (folder.path(), "a folder"),
        (Path::new("/dev/tty"), "a character device"),
    ] {
        let error = refused(&["--file", text(path)]);
        assert!(error.contains(text(path)) && error.contains(kind), "{error}");
    }
    // A query of a function is looked for in a file, too.
    let error = refused(&["--query", &format!("func:{}:main", text(&fifo))]);
    assert!(error.contains(text(&fifo)), "{error}");
}
