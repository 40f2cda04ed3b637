//! A COMMAND of another user (`--user`): it gets nothing of the session, the terminal, the environment and the open files that
//! pfrec was started with, and works on a terminal as it would without pfrec.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use common::{
    NOBODY, pfrec, plain, process::run, programs::compile, public_folder, terminal::Terminal, text, until,
};
use tempfile::TempDir;

/// `pfrec` and what follows, as a line for a shell.
fn line(arguments: &[&str]) -> String {
    let command = pfrec(arguments);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = words.map(|word| format!("'{}'", word.to_str().unwrap().replace('\'', r"'\''")));
    quoted.collect::<Vec<_>>().join(" ")
}

fn bash(script: &str) -> Command {
    plain(Path::new("bash"), &["-c", script])
}

fn trace(folder: &TempDir) -> String {
    text(&folder.path().join("t.pfz")).to_owned()
}

#[test]
#[ignore = "needs root"]
fn it_cannot_type_into_the_terminal_that_pfrec_was_started_from() {
    if fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti").is_ok_and(|text| text.trim() == "0") {
        pf_checks::not_run("tiocsti", "this kernel lets nobody type into a terminal");
        return;
    }
    let folder = public_folder();
    let program = compile("type_into_terminal", folder.path());
    let trace = trace(&folder);
    let to_nobody = ["--user", "nobody", "--", text(&program)];
    let in_a_pipe = format!(
        "{} < /dev/null 2>&1 | cat",
        line(&[&["-o", &trace], &to_nobody[..]].concat())
    );
    // A shell of root's, from `sudo -s`; nobody could write a trace there.
    let from_a_shell = format!(
        "SUDO_UID={NOBODY} SUDO_GID={NOBODY} SUDO_COMMAND=/bin/bash {}",
        line(&["-i", "50", "--", text(&program)])
    );
    for start in [
        line(&[&["-o", &trace], &to_nobody[..]].concat()),
        line(&[&["-i", "50"], &to_nobody[..]].concat()),
        in_a_pipe,
        from_a_shell,
    ] {
        let script = format!("{start}; read -t 1 -r typed; echo \"read: <$typed>\"");
        let terminal = Terminal::start(bash(&script));
        let (_, shown) = terminal.wait();
        assert!(shown.contains("tried"), "{start}: {shown}");
        assert!(shown.contains("read: <>"), "{start}: {shown}");
    }
}

#[test]
#[ignore = "needs root"]
fn its_environment_is_made_anew() {
    let folder = public_folder();
    let trace = trace(&folder);
    let environment = |options: &[&str]| {
        let mut command = pfrec(&[&["-o", &trace, "--user", "nobody"], options, &["--", "env"]].concat());
        command.env_clear();
        let given = [
            ("PATH", "/root/bin:/usr/bin:/bin"),
            ("HOME", "/root"),
            ("USER", "root"),
            ("TERM", "xterm"),
            ("LANG", "C.UTF-8"),
            ("LC_ALL", "/root/locale"),
            ("TZ", ":/etc/shadow"),
            ("XAUTHORITY", "/root/.Xauthority"),
            ("SSH_AUTH_SOCK", "/run/root/agent"),
            ("SECRET", "of root"),
            ("LD_LIBRARY_PATH", "/root/lib"),
            ("BASH_FUNC_ls%%", "() { id; }"),
            ("SUDO_USER", "somebody"),
        ];
        command.envs(given);
        let ended = run(command).ok();
        let lines = ended.stdout.lines().map(|line| line.split_once('=').unwrap());
        lines
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect::<BTreeMap<_, _>>()
    };
    let nobody = nix::unistd::User::from_uid(NOBODY.into()).unwrap().unwrap();
    let mut expected = BTreeMap::from(
        [
            ("HOME", text(&nobody.dir)),
            ("LANG", "C.UTF-8"),
            ("LOGNAME", &nobody.name),
            (
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ),
            ("SHELL", text(&nobody.shell)),
            ("TERM", "xterm"),
            ("USER", &nobody.name),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    assert_eq!(environment(&[]), expected);
    expected.insert("SECRET".to_owned(), "of root".to_owned());
    expected.insert("HOME".to_owned(), "/root".to_owned());
    assert_eq!(environment(&["--preserve-env", "SECRET,HOME,MISSING"]), expected);
}

#[test]
#[ignore = "needs root"]
fn it_has_no_open_file_of_ours_and_makes_none_that_others_write() {
    let folder = public_folder();
    // A shell's own, that reads no script from a file.
    let script = "echo /proc/$$/fd/*; umask; id -G";
    let start = line(&[
        "-o",
        &trace(&folder),
        "--user",
        "nobody",
        "--",
        "bash",
        "-c",
        script,
    ]);
    let ended = run(bash(&format!("umask 0; exec 7</etc/shadow; {start}"))).ok();
    let lines: Vec<&str> = ended.stdout.lines().collect();
    let fds = |line: &str| {
        let fds = line
            .split(' ')
            .map(|path| path.rsplit('/').next().unwrap().to_owned());
        fds.filter(|fd| fd != "255").collect::<Vec<_>>()
    };
    // 3 is the folder that the shell lists.
    assert!(
        fds(lines[0])
            .iter()
            .all(|fd| ["0", "1", "2", "3"].contains(&fd.as_str())),
        "{ended:#?}"
    );
    assert_eq!(lines[1..], ["0022", "65534"], "{ended:#?}");
}

#[test]
#[ignore = "needs root"]
fn it_works_on_a_terminal_as_without_pfrec() {
    let folder = public_folder();
    let script = "id -u; tty; stty size; stty -a | grep -o -- '-\\?opost'; read -r -p 'name? ' name; echo \"hello $name\"; \
                  while [ \"$(stty size)\" = '24 132' ]; do sleep 0.1; done; stty size; read -r end; exit 7";
    let start = [
        "-o",
        &trace(&folder),
        "--user",
        "nobody",
        "--",
        "bash",
        "-c",
        script,
    ];
    let mut terminal = Terminal::start(pfrec(&start));
    terminal.until_shown("name? ");
    assert!(!terminal.is_cooked(), "keys are for its own terminal");
    terminal.press_until("me\r", "hello me\r\n");
    let from = terminal.shown().len();
    terminal.resize(33, 77);
    terminal.until_shown_from(from, "33 77\r\n");
    terminal.press("\r");
    let (status, shown) = terminal.wait();
    assert_eq!(status.code(), Some(7), "{shown}");
    let lines: Vec<&str> = shown.split("\r\n").collect();
    // Nothing of pfrec's is in front of what it prints.
    let at = lines.iter().position(|line| *line == "65534");
    let at = at.unwrap_or_else(|| panic!("{shown}"));
    assert!(lines[at + 1].starts_with("/dev/pts/"), "{shown}");
    assert_eq!(lines[at + 2], "24 132", "{shown}");
    assert_eq!(lines[at + 3], "opost", "{shown}");
    assert_eq!(lines[at + 4], "name? me", "echoed once: {shown}");
    // What is told of it comes behind what it printed, line by line.
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("pfrec: ") && line.ends_with(": balanced")),
        "{shown}"
    );
    assert!(!shown.replace("\r\n", "").contains('\n'), "{shown:?}");
}

#[test]
#[ignore = "needs root"]
fn ctrl_c_reaches_it() {
    let folder = public_folder();
    let script = "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.1; done";
    let trace = trace(&folder);
    let command = ["--user", "nobody", "--", "bash", "-c", script];
    let started = [
        (line(&[&["-o", &trace], &command[..]].concat()), "ready"),
        // Keys go to pfrec alone.
        (
            format!("{} < /dev/null", line(&[&["-o", &trace], &command[..]].concat())),
            "ready",
        ),
        (line(&[&["-i", "100"], &command[..]].concat()), "output: ready"),
    ];
    for (start, begun) in started {
        let mut terminal = Terminal::start(bash(&format!("exec {start}")));
        terminal.until_shown(begun);
        terminal.press("\x03");
        let (status, shown) = terminal.wait();
        assert_eq!(status.code(), Some(9), "{start}: {shown}");
        let caught = shown.lines().filter(|line| line.ends_with("caught")).count();
        assert_eq!(caught, 1, "{start}: {shown}");
        assert!(shown.contains(": balanced"), "{start}: {shown}");
    }
}

#[test]
#[ignore = "needs root"]
fn ctrl_z_stops_it_and_pfrec_and_both_go_on_in_the_foreground() {
    let folder = public_folder();
    let script = "echo begun; read -r word; echo \"got $word\"";
    let start = line(&[
        "-o",
        &trace(&folder),
        "--user",
        "nobody",
        "--",
        "sh",
        "-c",
        script,
    ]);
    let mut shell = plain(Path::new("bash"), &["--norc", "--noprofile", "-i"]);
    shell.env("PS1", "prompt> ");
    let mut terminal = Terminal::start(shell);
    terminal.until_shown("prompt> ");
    terminal.press_until(&format!("{start}\r"), "begun\r\n");
    terminal.press_until("\x1a", "Stopped");
    until("the prompt's own terminal", || (!terminal.is_raw()).then_some(()));
    let from = terminal.shown().len();
    terminal.press("fg\r");
    until("the command's terminal", || terminal.is_raw().then_some(()));
    terminal.press("word\r");
    terminal.until_shown_from(from, "got word\r\n");
    terminal.until_shown_from(from, ": balanced\r\n");
    terminal.press_until("echo status $?\r", "status 0");
    terminal.press("exit\r");
    let shown = terminal.shown();
    assert!(!shown.contains("UNEXPLAINED"), "{shown}");
}

/// A hang-up ends it, too: its own terminal ends with pfrec's.
#[test]
#[ignore = "needs root"]
fn a_killed_recorder_leaves_no_command_behind_on_its_terminal() {
    let folder = public_folder();
    let script = "echo pid $$; while :; do sleep 0.1; done";
    let start = [
        "-o",
        &trace(&folder),
        "--user",
        "nobody",
        "--",
        "bash",
        "-c",
        script,
    ];
    let mut terminal = Terminal::start(pfrec(&start));
    terminal.until_shown("\r\n");
    let shown = terminal.shown();
    let pid = shown
        .split("pid ")
        .nth(1)
        .unwrap()
        .split("\r\n")
        .next()
        .unwrap()
        .to_owned();
    terminal.child.kill().unwrap();
    until("the end of the command", || {
        (!Path::new(&format!("/proc/{pid}/exe")).exists()).then_some(())
    });
}
