//! A trace that may not be read: pfanalyze says whom to ask. Alone in its file, since it runs a copy of the program,
//! and nobody else may fork while that is open for writing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

const NOBODY: u32 = 65_534;

#[test]
fn an_unreadable_trace_says_whom_to_ask() {
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    let path = place.path().join("secret.pfz");
    fs::write(&path, support::small()).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
    // Root reads everything, and nobody may not enter root's home.
    let program = place.path().join("pfanalyze");
    fs::copy(env!("CARGO_BIN_EXE_pfanalyze"), &program).unwrap();
    let mut command = Command::new(program);
    command.arg("secret.pfz").current_dir(place.path());
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    } else if fs::File::open(&path).is_ok() {
        pf_checks::not_run("unreadable-trace", "this user reads what nobody may read");
        return;
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("error: "), "{said}");
    assert!(
        said.contains("run as its owner, or 'sudo chown $USER secret.pfz'"),
        "{said}"
    );
}
