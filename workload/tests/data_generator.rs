//! `data-generator` as a user runs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use pf_workload::cleanup::Cleanup;
use pf_workload::generate::cli::Kind;
use pf_workload::generate::content;
use tempfile::TempDir;

const MB: u64 = 1 << 20;

fn on_disk() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn generator(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_data-generator"));
    command.args(arguments).current_dir(directory);
    command
}

fn run(directory: &Path, arguments: &[&str]) -> Output {
    generator(directory, arguments).output().unwrap()
}

fn error_line(output: &Output, status: i32) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(status), "{text}");
    // Wrong usage is reported in clap's form, with more than a line.
    let is_usage = text.ends_with("\nFor more information, try '--help'.\n");
    let is_one_line = text.lines().count() == 1;
    assert!(if status == 2 { is_usage } else { is_one_line }, "{text}");
    assert!(text.starts_with("error: "), "{text}");
    text
}

fn entries(directory: &Path) -> usize {
    fs::read_dir(directory).unwrap().count()
}

#[test]
fn random_bytes_do_not_compress_and_follow_the_seed() {
    let directory = on_disk();
    for (name, seed) in [("a", "1"), ("b", "1"), ("c", "2")] {
        assert!(
            run(
                directory.path(),
                &["-f", name, "-s", "2", "-p", "random", "--seed", seed]
            )
            .status
            .success()
        );
    }
    let read = |name| fs::read(directory.path().join(name)).unwrap();
    assert_eq!(read("a").len() as u64, 2 * MB);
    assert!(read("a") == read("b"));
    assert!(read("a") != read("c"));
    let mut counts = [0_f64; 256];
    for byte in read("a") {
        counts[usize::from(byte)] += 1.0;
    }
    let total = 2.0 * MB as f64;
    let entropy: f64 = counts
        .iter()
        .map(|count| -count / total * (count / total).log2())
        .sum();
    assert!(entropy > 7.999, "{entropy} bits in a byte");
}

#[test]
fn a_sequential_file_verifies_and_the_first_bad_page_is_named() {
    let directory = on_disk();
    assert!(
        run(directory.path(), &["-f", "s", "-s", "3", "-p", "sequential"])
            .status
            .success()
    );
    assert!(run(directory.path(), &["--verify", "-f", "s"]).status.success());
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(directory.path().join("s"))
        .unwrap();
    let mut number = [0; 8];
    file.read_exact_at(&mut number, 700 * 4096).unwrap();
    assert_eq!(u64::from_le_bytes(number), 700);
    for page in [600, 500] {
        file.write_all_at(b"damage", page * 4096 + 1000).unwrap();
        let line = error_line(&run(directory.path(), &["--verify", "-f", "s"]), 1);
        assert!(
            line.contains(&format!("page {page} ")) && !line.contains("-p"),
            "{line}"
        );
    }
    file.set_len(100 * 4096 + 7).unwrap();
    let line = error_line(&run(directory.path(), &["--verify", "-f", "s"]), 1);
    assert!(line.contains("page 100 ") && line.contains("7 of 4096"), "{line}");
    file.set_len(0).unwrap();
    assert!(error_line(&run(directory.path(), &["--verify", "-f", "s"]), 1).contains("empty"));
}

#[test]
fn a_file_of_another_kind_is_asked_for_its_pattern() {
    let directory = on_disk();
    assert!(run(directory.path(), &["-f", "r", "-s", "1"]).status.success());
    let line = error_line(&run(directory.path(), &["--verify", "-f", "r"]), 1);
    assert!(line.contains("was it made with -p sequential?"), "{line}");
}

#[test]
fn a_size_of_nothing_is_answered_in_words() {
    let directory = on_disk();
    let line = error_line(&run(directory.path(), &["-f", "x", "-s", "0"]), 2);
    assert!(line.contains("must be more than 0"), "{line}");
    let line = error_line(&run(directory.path(), &["-f", "x", "-s", "8796093022208"]), 2);
    assert!(line.contains("too large"), "{line}");
}

#[test]
fn a_sparse_file_has_real_holes_between_its_islands() {
    let directory = on_disk();
    assert!(
        run(directory.path(), &["-f", "holes", "-s", "36", "-p", "sparse"])
            .status
            .success()
    );
    let path = directory.path().join("holes");
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(metadata.len(), 36 * MB);
    let on_disk_bytes = metadata.blocks() * 512;
    assert!(
        (5 * MB..9 * MB).contains(&on_disk_bytes),
        "{on_disk_bytes} bytes on disk"
    );
    let bytes = fs::read(path).unwrap();
    for (index, megabyte) in bytes.chunks(1 << 20).enumerate() {
        assert_eq!(
            megabyte.iter().any(|&byte| byte != 0),
            index % 8 == 0,
            "MB {index}"
        );
    }
}

#[test]
fn a_file_is_replaced_only_by_force_and_nothing_else_ever() {
    let directory = on_disk();
    let path = directory.path().join("old");
    fs::write(&path, "old").unwrap();
    let line = error_line(&run(directory.path(), &["-f", "old", "-s", "1"]), 1);
    assert!(line.contains("old") && line.contains("--force"), "{line}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert!(
        run(directory.path(), &["-f", "old", "-s", "1", "--force"])
            .status
            .success()
    );
    assert_eq!(fs::metadata(&path).unwrap().len(), MB);
    std::os::unix::fs::symlink("old", directory.path().join("link")).unwrap();
    for name in ["link", "/dev/null", "."] {
        error_line(&run(directory.path(), &["-f", name, "-s", "1", "--force"]), 1);
    }
    assert_eq!(entries(directory.path()), 2);
}

#[test]
fn a_partial_file_of_someone_else_is_left_alone() {
    let directory = on_disk();
    fs::write(directory.path().join("x.partial"), "theirs").unwrap();
    assert!(error_line(&run(directory.path(), &["-f", "x", "-s", "1"]), 1).contains("x.partial"));
    assert_eq!(fs::read(directory.path().join("x.partial")).unwrap(), b"theirs");
    assert_eq!(entries(directory.path()), 1);
}

#[test]
fn a_write_that_fails_midway_leaves_the_old_file_and_nothing_else() {
    let directory = on_disk();
    fs::write(directory.path().join("x"), "old").unwrap();
    for kind in ["random", "sequential", "sparse"] {
        let mut command = generator(directory.path(), &["-f", "x", "-s", "20", "--force", "-p", kind]);
        // SAFETY: setrlimit(2) is async-signal-safe and touches no memory of the parent.
        unsafe {
            command.pre_exec(|| {
                let limit = libc::rlimit {
                    rlim_cur: 5 * MB,
                    rlim_max: 5 * MB,
                };
                if libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) == 0 {
                    Ok(())
                } else {
                    Err(io::Error::last_os_error())
                }
            });
        }
        let line = error_line(&command.output().unwrap(), 1);
        assert!(line.contains("File too large"), "{line}");
        assert_eq!(fs::read(directory.path().join("x")).unwrap(), b"old");
        assert_eq!(entries(directory.path()), 1, "{kind}");
    }
}

#[test]
fn a_signal_removes_the_half_file_and_is_the_cause_of_death() {
    let directory = on_disk();
    let free = rustix::fs::statvfs(directory.path()).unwrap();
    if free.f_bavail.saturating_mul(free.f_frsize) < 8192 * MB {
        pf_checks::not_run(
            "long-generation",
            "less than 8 GB free: no file takes long enough",
        );
        return;
    }
    let partial = directory.path().join("x.partial");
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let mut child = generator(directory.path(), &["-f", "x", "-s", "8000"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while fs::metadata(&partial).map_or(0, |metadata| metadata.len()) == 0 {
            assert!(Instant::now() < deadline, "nothing was written");
            std::thread::sleep(Duration::from_millis(5));
        }
        // SAFETY: the child is ours and was not waited for yet.
        assert_eq!(unsafe { libc::kill(child.id().cast_signed(), signal) }, 0);
        assert_eq!(child.wait().unwrap().signal(), Some(signal));
        assert_eq!(entries(directory.path()), 0);
    }
}

#[test]
fn missing_space_is_said_before_anything_is_written() {
    let directory = on_disk();
    let line = error_line(&run(directory.path(), &["-f", "x", "-s", "8000000000000"]), 1);
    assert!(
        line.contains("not enough space") && line.contains("missing"),
        "{line}"
    );
    assert_eq!(entries(directory.path()), 0);
}

#[test]
fn wrong_flags_are_named() {
    let directory = on_disk();
    for (arguments, flag) in [
        (&["-f", "x", "-s", "0"][..], "--size"),
        (&["-f", "x", "-s", "many"], "--size"),
        (&["-f", "x", "-s", "99999999999999999999"], "--size"),
        (&["-f", "x"], "--size"),
        (&["-s", "1"], "--file"),
        (&["-f", "x", "-s", "1", "-p", "odd"], "--pattern"),
        (&["-f", "x", "-s", "1", "--verify"], "--verify"),
    ] {
        let line = error_line(&run(directory.path(), arguments), 2);
        assert!(line.contains(flag), "{line}");
    }
    assert_eq!(entries(directory.path()), 0);
}

/// A small tmpfs that goes away with this.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let directory = on_disk();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(directory.path())
            .status();
        assert!(status.unwrap().success(), "cannot mount a tmpfs");
        Self(directory)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let path = CString::new(self.0.path().to_str().unwrap()).unwrap();
        // SAFETY: a valid C string.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
    }
}

#[test]
#[ignore = "needs root: mounts a small tmpfs"]
fn a_disk_that_fills_up_keeps_no_half_file() {
    let disk = SmallDisk::mount();
    let path = disk.0.path();
    let line = error_line(&run(path, &["-f", "x", "-s", "5"]), 1);
    assert!(line.contains("1.0 MiB (1048576 bytes) missing"), "{line}");
    // The space was there when it was asked for, and is gone when it is used.
    let cleanup = Cleanup::watch().unwrap();
    let (mut file, doomed) = cleanup.create_new(&path.join("x.partial")).unwrap();
    let error = content::write(&mut file, Kind::Random, 5 * MB, 1, |_| {}).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    // An open file keeps its space even without a name.
    drop((file, doomed));
    assert_eq!(entries(path), 0);
    assert!(run(path, &["-f", "x", "-s", "4"]).status.success());
    assert!(run(path, &["-f", "x", "-s", "4", "--force"]).status.code() == Some(1));
    assert_eq!(fs::metadata(path.join("x")).unwrap().len(), 4 * MB);
}
