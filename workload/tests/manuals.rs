//! Man pages and completions of the two programs: every option is in them, and formatters like the pages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use clap::CommandFactory;
use std::process::Command;

#[test]
fn every_option_is_in_the_manuals() {
    let prefix = tempfile::tempdir().unwrap();
    for command in [
        pf_workload::walk::cli::Cli::command(),
        pf_workload::generate::cli::Cli::command(),
    ] {
        let complaints = pf_manuals::check::complaints(&command, prefix.path()).unwrap();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}

#[test]
fn the_programs_write_their_own() {
    let prefix = tempfile::tempdir().unwrap();
    for (program, page) in [
        (env!("CARGO_BIN_EXE_mmap-workload"), "mmap-workload.1"),
        (env!("CARGO_BIN_EXE_data-generator"), "data-generator.1"),
    ] {
        let status = Command::new(program).arg("--manuals").arg(prefix.path()).status();
        assert!(status.unwrap().success());
        assert!(prefix.path().join("share/man/man1").join(page).is_file());
    }
}
