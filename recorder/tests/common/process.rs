//! Processes of a test: output kept in files, ended with the test, waited for with one budget.

use std::{
    fs::{self, File},
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use super::until;

/// A process that is killed when its test ends early.
pub struct Process {
    child: Child,
    output: TempDir,
}

/// How a process ended, and what it wrote.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// Starts `command`. Its output goes to files, so that it never waits for a reader.
pub fn start(command: Command) -> Process {
    let output = TempDir::new().unwrap();
    let stdout = File::create(output.path().join("stdout")).unwrap();
    start_in(output, command, stdout)
}

/// The same with its standard output in `stdout`.
pub fn start_into(command: Command, stdout: impl Into<Stdio>) -> Process {
    start_in(TempDir::new().unwrap(), command, stdout)
}

fn start_in(output: TempDir, mut command: Command, stdout: impl Into<Stdio>) -> Process {
    let child = command
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(File::create(output.path().join("stderr")).unwrap())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    Process { child, output }
}

/// Runs `command` to its end.
pub fn run(command: Command) -> Ended {
    start(command).wait()
}

impl Process {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid().cast_signed()), signal).unwrap();
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What it has written to standard output so far, where that is a file.
    pub fn stdout(&self) -> String {
        self.read("stdout")
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        self.read("stderr")
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ended {
        let pid = self.pid();
        let child = &mut self.child;
        let output = self.output.path().join("stderr");
        let status = until(
            &format!("the end of process {pid} (see {})", output.display()),
            || child.try_wait().unwrap(),
        );
        Ended {
            status,
            stdout: self.read("stdout"),
            stderr: self.read("stderr"),
        }
    }

    fn read(&self, name: &str) -> String {
        let path: PathBuf = self.output.path().join(name);
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already after a wait; then there is nothing to do.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Ended {
    /// Asserts success.
    pub fn ok(self) -> Self {
        self.with_status(0)
    }

    /// Asserts an exit status.
    pub fn with_status(self, status: i32) -> Self {
        assert_eq!(self.status.code(), Some(status), "{self:#?}");
        assert_eq!(self.status.signal(), None, "{self:#?}");
        self
    }

    /// Asserts an error in one line, with a hint in at most one more; returns the error.
    pub fn error(self, status: i32) -> String {
        let ended = self.with_status(status);
        let lines: Vec<&str> = ended
            .stderr
            .lines()
            .filter(|line| !line.starts_with("pfrec: "))
            .collect();
        assert!(lines[0].starts_with("error: "), "{ended:#?}");
        assert!(lines.len() <= 2, "{ended:#?}");
        assert!(
            lines[1..].iter().all(|line| line.starts_with("hint: ")),
            "{ended:#?}"
        );
        ended.stderr
    }
}
