//! Names that are made to steer a terminal or to forge lines: of threads, files, programs and cgroups that are recorded, and
//! of what the command line names. Nothing that pfrec prints has them as they are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::{ffi::OsStrExt, fs::symlink},
    path::PathBuf,
};

use common::{disk_folder, pfrec, process::run, programs::compile, terminal::Terminal};
use tempfile::TempDir;

/// Clear the screen, set the title, C1, overrides of direction, lines, no UTF-8.
const EVIL: &[u8] = b"\x1b[2J\x1b]0;x\x07\xc2\x9b31m\xc2\x85\xe2\x80\xae\xe2\x81\xa6\xe2\x80\xa8\n! forged\r\x08\x7f\xef\xbb\xbf\xff\x9b";

fn evil() -> &'static OsStr {
    OsStr::from_bytes(EVIL)
}

fn is_harmless(c: char) -> bool {
    let hides = matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}');
    c == '\n' || !c.is_control() && !hides
}

fn assert_harmless(text: &str, of: &dyn std::fmt::Debug) {
    let harm = text.chars().find(|&c| !is_harmless(c));
    assert!(harm.is_none(), "{harm:?} of {of:?}:\n{text:?}");
    assert!(
        !text.lines().any(|line| line.starts_with("! forged")),
        "{of:?}:\n{text}"
    );
}

/// A program and a file, both with such names.
fn target(folder: &TempDir) -> (PathBuf, PathBuf) {
    let compiled = compile("hostile_names", folder.path());
    let program = folder.path().join(evil());
    fs::copy(compiled, &program).unwrap();
    let mut name = OsString::from("data");
    name.push(evil());
    let file = folder.path().join(name);
    fs::write(&file, vec![1; 8 * 4096]).unwrap();
    (program, file)
}

#[test]
#[ignore = "needs root"]
fn nothing_of_a_hostile_target_is_obeyed_in_lines() {
    let folder = disk_folder();
    let (program, file) = target(&folder);
    for watch in [
        &[][..],
        &["-v"],
        &["-i", "50"],
        &["-v", "-i", "50", "--stacks", "--breakdown"],
        &["-v", "--format", "json"],
        &["-i", "50", "--format", "json"],
    ] {
        let mut command = pfrec(watch);
        command.arg("-o").arg(folder.path().join("t.pfz"));
        command.arg("--force").arg("--").arg(&program).arg(&file);
        let ended = run(command).ok();
        assert_harmless(&ended.stdout, &watch);
        assert_harmless(&ended.stderr, &watch);
        if watch.contains(&"json") {
            let lines = || ended.stdout.lines();
            assert!(lines().count() > 1, "{ended:#?}");
            let values = lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            let names: Vec<String> = values
                .filter_map(|value| value["comm"].as_str().map(str::to_owned))
                .collect();
            // Nothing is lost by that.
            assert!(
                names.contains(&"\u{1b}[2J\u{9b}\u{202e}\u{2066}!".to_owned()),
                "{names:?}"
            );
        } else if !watch.is_empty() {
            assert!(ended.stdout.contains("\\x1b[2J"), "{ended:#?}");
        }
    }
}

#[test]
#[ignore = "needs root"]
fn nothing_of_a_hostile_target_is_obeyed_on_the_screen() {
    let folder = disk_folder();
    let (program, file) = target(&folder);
    for watch in [&["-i", "50"][..], &["-v"], &["-v", "--format", "json"]] {
        let mut command = pfrec(watch);
        command.arg("--").arg(&program).arg(&file);
        let terminal = Terminal::start(command);
        let (status, shown) = terminal.wait();
        assert_eq!(status.code(), Some(0), "{shown}");
        assert!(
            shown.contains("\\x1b[2J") || shown.contains("\\u001b[2J"),
            "{shown:?}"
        );
        for harm in [
            "\x1b[2J\u{9b}",
            "\x1b]0",
            "\u{9b}",
            "\u{85}",
            "\u{202e}",
            "\u{2066}",
            "\u{2028}",
            "\x07",
            "\x7f",
        ] {
            assert!(!shown.contains(harm), "{watch:?}: {harm:?} in {shown:?}");
        }
    }
}

/// Each fails before or after the probes are attached, and says of what.
#[test]
#[ignore = "needs root"]
fn names_on_the_command_line_are_not_obeyed_either() {
    let folder = disk_folder();
    let missing = folder.path().join("no").join(evil());
    let in_the_way = folder.path().join(evil());
    fs::create_dir(&in_the_way).unwrap();
    let mut link = in_the_way.as_os_str().to_owned();
    link.push("link");
    symlink("/etc/passwd", &link).unwrap();
    let mut plain = in_the_way.as_os_str().to_owned();
    plain.push("plain");
    fs::write(&plain, b"no trace, no program").unwrap();
    let word = |text: &str| OsString::from(text);
    let joined = |before: &str, name: &OsStr, after: &str| {
        let mut word = OsString::from(before);
        word.push(name);
        word.push(after);
        word
    };
    // The same without what is no UTF-8, which clap refuses before anybody looks at it.
    let text = OsStr::from_bytes(&EVIL[..EVIL.len() - 2]);
    let trace = folder.path().join("t.pfz").into_os_string();
    let to_trace = |words: Vec<OsString>| [vec![word("-o"), trace.clone()], words].concat();
    let truth = || vec![word("--"), word("true")];
    let with = |option: &str, value: OsString| to_trace([vec![word(option), value], truth()].concat());
    let lines = [
        vec![word("-o"), missing.clone().into(), word("--"), word("true")],
        vec![word("-o"), in_the_way.into(), word("--"), word("true")],
        vec![word("-o"), link, word("--"), word("true")],
        vec![word("-o"), plain.clone(), word("--"), word("true")],
        to_trace(vec![word("--"), missing.clone().into()]),
        to_trace(vec![word("--"), evil().into()]),
        to_trace(vec![word("--"), plain.clone()]),
        to_trace(vec![word("--cgroup"), evil().into()]),
        to_trace(vec![word("-p"), evil().into()]),
        to_trace(vec![word("-p"), text.into()]),
        with("--file", missing.into()),
        with("--user", text.into()),
        with("--uid", text.into()),
        with("--address", text.into()),
        with("--backend", text.into()),
        with("--query", joined("usdt:/", text, ":p:a..b")),
        with("--query", joined("func:/", text, ":main")),
        with("--query", joined("func:/bin/true:", text, "")),
        with("--query", text.into()),
        vec![joined("--", text, "")],
        vec![joined("", text, "")],
        vec![word("--manuals"), joined("/dev/null/", evil(), "")],
    ];
    for line in lines {
        let mut command = pfrec(&[]);
        command.args(&line);
        let ended = run(command);
        assert!(!ended.status.success(), "{line:?}: {ended:#?}");
        assert!(ended.stderr.contains("error: "), "{line:?}: {ended:#?}");
        assert_harmless(&ended.stderr, &line);
        assert_harmless(&ended.stdout, &line);
    }
}
