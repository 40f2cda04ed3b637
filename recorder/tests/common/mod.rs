//! What the tests of the whole chain share: the programs as a user has them, processes that never outlive
//! their test, conditions to wait for, and traces read back. The tests themselves are in the files beside it.
#![allow(
    dead_code,
    reason = "each test file is a program of its own and uses a part of this"
)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod cgroups;
pub mod eviction;
pub mod postgresql;
pub mod process;
pub mod programs;
pub mod queries;
pub mod sqlite;
pub mod terminal;
pub mod touched;
pub mod trace;
pub mod workload;

use std::{
    env,
    fs::{self, File, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// The one budget of everything that is waited for. An emulated machine takes half of it to start 30,000 threads.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Whether the CPU is emulated: a probe then takes microseconds, and time stands still now and then.
pub fn emulated() -> bool {
    env::var_os("PFREC_TEST_EMULATED").is_some()
}

/// The folder of this package: where its tests run, not where they were built.
pub fn package() -> PathBuf {
    env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// A user without any rights, `nobody` on most systems.
pub const NOBODY: u32 = 65534;

/// A program of this workspace, beside the pfrec under test.
pub fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_pfrec")).with_file_name(name);
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --release --workspace` first",
        path.display()
    );
    path
}

/// pfrec, as started by the current user: a sudo around the tests is not one around pfrec. Recordings use the
/// backend that PFREC_TEST_BACKEND names, unless the test names one.
pub fn pfrec(arguments: &[&str]) -> Command {
    let own = arguments
        .split(|argument| *argument == "--")
        .next()
        .unwrap_or_default();
    let records = own
        .iter()
        .any(|argument| ["-o", "--output", "-i", "-v"].contains(argument));
    match env::var("PFREC_TEST_BACKEND") {
        Ok(backend) if records && !own.contains(&"--backend") => plain(
            &program("pfrec"),
            &[&["--backend", backend.as_str()], arguments].concat(),
        ),
        _ => plain(&program("pfrec"), arguments),
    }
}

/// pfanalyze.
pub fn pfanalyze(arguments: &[&str]) -> Command {
    plain(&program("pfanalyze"), arguments)
}

/// `program` without traces of sudo and of the terminal in its environment.
pub fn plain(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    for name in ["SUDO_UID", "SUDO_GID", "SUDO_USER", "SUDO_COMMAND", "TMPDIR"] {
        command.env_remove(name);
    }
    command
}

/// A folder on a real disk: what is in a tmpfs never faults from disk.
pub fn disk_folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("pfrec-test-")
        .tempdir_in("/var/tmp")
        .unwrap()
}

/// A folder anybody may enter and read.
pub fn public_folder() -> TempDir {
    let folder = disk_folder();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    folder
}

/// A folder that belongs to [`NOBODY`], and that nobody else may enter.
pub fn folder_of_nobody() -> TempDir {
    let folder = disk_folder();
    chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    folder
}

/// A copy of one of our programs where [`NOBODY`] can reach it.
pub fn public_copy(folder: &TempDir, name: &str) -> PathBuf {
    let copy = folder.path().join(name);
    fs::copy(program(name), &copy).unwrap();
    fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
    copy
}

/// The path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Waits for `condition` to give something.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        let patience = if emulated() { PATIENCE * 10 } else { PATIENCE };
        assert!(start.elapsed() < patience, "waited {patience:?} for: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Waits for a file and returns what is in it once that ends with a line feed.
pub fn until_written(path: &Path) -> String {
    until(&format!("a line in {}", path.display()), || {
        fs::read_to_string(path).ok().filter(|text| text.ends_with('\n'))
    })
}

/// CLOCK_MONOTONIC, as in traces.
pub fn now_ns() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

/// Held by tests that load the whole machine or watch all of it: one at a time, in all test programs.
pub fn alone() -> File {
    let lock = File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("alone.lock")).unwrap();
    lock.lock().unwrap();
    lock
}
