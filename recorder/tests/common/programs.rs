//! The C programs of tests/programs: compiled when a test wants one, or taken ready-made from the folder that
//! PFREC_TEST_PROGRAMS names, where there is no compiler.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use super::package;

/// The program `name`; `folder` is where it is put if it must be compiled.
pub fn compile(name: &str, folder: &Path) -> PathBuf {
    if let Some(ready) = env::var_os("PFREC_TEST_PROGRAMS") {
        return Path::new(&ready).join(name);
    }
    let source = package().join(format!("tests/programs/{name}.c"));
    let program = folder.join(name);
    let mut cc = Command::new("cc");
    let status = cc
        .args(["-O1", "-fno-omit-frame-pointer", "-pthread", "-o"])
        .arg(&program)
        .arg(source)
        .status()
        .unwrap();
    assert!(status.success(), "cc {name}.c");
    program
}
