//! Man pages and completions of pfanalyze: every verb and every option is in them, and formatters like the pages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use clap::CommandFactory;
use pfanalyze::cli::Cli;
use std::process::Command;

#[test]
fn every_verb_and_option_is_in_the_manuals() {
    let prefix = tempfile::tempdir().unwrap();
    let complaints = pf_manuals::check::complaints(&Cli::command(), prefix.path()).unwrap();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn the_program_writes_its_own() {
    let prefix = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pfanalyze"));
        command
            .current_dir(prefix.path())
            .args(arguments)
            .output()
            .unwrap()
    };
    let output = run(&["--manuals", "usr"]);
    assert!(output.status.success(), "{output:?}");
    let written = String::from_utf8(output.stdout).unwrap();
    for path in [
        "usr/share/man/man1/pfanalyze-regions.1",
        "usr/share/zsh/site-functions/_pfanalyze",
    ] {
        assert!(written.lines().any(|line| line == path), "{written}");
    }
    assert!(written.lines().all(|path| prefix.path().join(path).is_file()));
    let output = run(&["--manuals", "/dev/null/x"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.starts_with("error: manuals cannot be written: /dev/null/x/"),
        "{said}"
    );
}
