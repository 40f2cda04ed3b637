//! Runs the analyzer as a process of its own, and measures what it takes.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The ceiling of every verb, bytes.
pub const GIB: u64 = 1 << 30;

/// Seconds of CPU after which a run is ended.
const PATIENCE_S: u64 = 120;

/// A trace in a file.
pub struct Fed {
    folder: tempfile::TempDir,
}

/// How a run ended.
pub struct Run {
    /// Exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// The most memory it had resident, bytes.
    pub peak: u64,
    /// Seconds of all CPUs.
    pub cpu_s: u64,
    /// What it wrote to standard output, where that was asked for.
    pub output: String,
    /// What it wrote to standard error.
    pub errors: String,
}

impl Fed {
    pub fn new(trace: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("trace.pfz"), trace).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a verb on the trace; its output is kept where `keep` says so.
    pub fn run(&self, args: &[&str], keep: bool) -> Run {
        let args = args.iter().map(|arg| match *arg {
            "{trace}" => self.path("trace.pfz").into_os_string(),
            "{out}" => self.path("repaired.pfz").into_os_string(),
            other => other.into(),
        });
        let mut command = Command::new(env!("CARGO_BIN_EXE_pfanalyze"));
        command.args(args).stdin(Stdio::null());
        command.stderr(File::create(self.path("errors")).unwrap());
        if keep {
            command.stdout(File::create(self.path("output")).unwrap());
        } else {
            command.stdout(Stdio::null());
        }
        let limit = libc::rlimit {
            rlim_cur: PATIENCE_S,
            rlim_max: PATIENCE_S,
        };
        // SAFETY: setrlimit is safe between fork and exec, and `limit` is a whole value of its own.
        unsafe {
            command.pre_exec(
                move || match libc::setrlimit(libc::RLIMIT_CPU, &raw const limit) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                },
            );
        }
        #[allow(
            clippy::zombie_processes,
            reason = "it is waited for by its number, which tells more"
        )]
        let child = command.spawn().unwrap();
        let (status, usage) = wait(child.id());
        let read = |name: &str| String::from_utf8_lossy(&fs::read(self.path(name)).unwrap()).into_owned();
        Run {
            status: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
            peak: usage.ru_maxrss as u64 * 1024,
            cpu_s: (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) as u64,
            output: if keep { read("output") } else { String::new() },
            errors: read("errors"),
        }
    }
}

/// Waits for a child, which nobody else does.
fn wait(pid: u32) -> (i32, libc::rusage) {
    let mut status = 0;
    // SAFETY: all zeros is a value of this type, which has numbers only.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both places are valid for writing, and belong to this function.
    let waited = unsafe { libc::wait4(pid as i32, &raw mut status, 0, &raw mut usage) };
    assert_eq!(waited, pid as i32, "{}", std::io::Error::last_os_error());
    (status, usage)
}
