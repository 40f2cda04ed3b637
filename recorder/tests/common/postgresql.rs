//! PostgreSQL in a folder of its own: no port, no system-wide cluster, gone with the test.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use super::{NOBODY, folder_of_nobody, process::run, text, until};

/// A cluster that [`NOBODY`] owns.
pub struct Cluster {
    folder: TempDir,
    programs: PathBuf,
}

impl Cluster {
    /// Makes it, without starting a server.
    pub fn make() -> Self {
        let cluster = Self {
            folder: folder_of_nobody(),
            programs: programs(),
        };
        let data = cluster.data();
        let options = [
            "-U",
            "nobody",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "-N",
            "-D",
            text(&data),
        ];
        run(cluster.command("initdb", &options)).ok();
        cluster
    }

    /// Its server program.
    pub fn server_program(&self) -> PathBuf {
        self.programs.join("postgres")
    }

    /// Arguments of its server: a socket and nothing else, and the kernel's counts of each statement in the log.
    pub fn server_arguments(&self) -> Vec<String> {
        let mut arguments = vec!["-D".to_owned(), text(&self.data()).to_owned()];
        for setting in [
            "listen_addresses=",
            &format!("unix_socket_directories={}", text(self.folder.path())),
            "fsync=off",
            "autovacuum=off",
            "max_parallel_workers_per_gather=0",
            "jit=off",
            "work_mem=64MB",
            "log_statement_stats=on",
            "log_line_prefix=%p ",
        ] {
            arguments.extend(["-c".to_owned(), setting.to_owned()]);
        }
        arguments
    }

    /// The server, started by nobody but its owner.
    pub fn server_command(&self) -> Command {
        let mut command = self.command("postgres", &[]);
        command.args(self.server_arguments());
        command
    }

    /// A client with these statements, each a query of its own; prints rows only.
    pub fn client(&self, statements: &[&str]) -> Command {
        let mut options = vec![
            "-XAtq",
            "-h",
            text(self.folder.path()),
            "-U",
            "nobody",
            "-d",
            "postgres",
        ];
        for statement in statements {
            options.extend(["-c", statement]);
        }
        self.command("psql", &options)
    }

    /// Waits until the server takes statements.
    pub fn until_ready(&self) {
        until("a server that answers", || {
            run(self.client(&["SELECT 1"])).status.success().then_some(())
        });
    }

    /// Asks the server to end its sessions and go.
    pub fn stop(&self) {
        if let Some(server) = self.server() {
            kill(server, Signal::SIGINT).unwrap();
        }
    }

    /// The running server.
    pub fn server(&self) -> Option<Pid> {
        let lock = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        lock.lines().next()?.parse().ok().map(Pid::from_raw)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str, options: &[&str]) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command
            .args(options)
            .env_clear()
            .env("LC_ALL", "C")
            .current_dir("/")
            .uid(NOBODY)
            .gid(NOBODY);
        command
    }
}

impl Drop for Cluster {
    /// A server that is still there when a test fails goes at once, with its sessions.
    fn drop(&mut self) {
        let Some(server) = self.server().filter(|server| is_ours(*server, &self.data())) else {
            return;
        };
        kill(server, Signal::SIGQUIT).ok();
        let deadline = Instant::now() + Duration::from_secs(5);
        while kill(server, None).is_ok() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        kill(server, Signal::SIGKILL).ok();
    }
}

/// A number in a file may be somebody else's by now.
fn is_ours(pid: Pid, data: &Path) -> bool {
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut arguments = command_line.split(|byte| *byte == 0).map(OsStr::from_bytes);
    arguments.any(|argument| argument == data)
}

/// The folder with postgres, initdb and psql in it: Debian's, of the newest version; else the first in PATH.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let folders = versions.map(|version| version.path().join("bin"));
    let installed = folders.filter(|folder| folder.join("postgres").is_file()).max();
    let in_path = || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).find(|folder| folder.join("postgres").is_file());
        found.expect("PostgreSQL is missing: run scripts/setup_environment.sh --dev")
    };
    installed.unwrap_or_else(in_path)
}
