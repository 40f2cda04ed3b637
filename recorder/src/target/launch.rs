//! Starting COMMAND: forked at once, held until the probes are attached, executed as the invoking
//! user. Its exit status and what the kernel counted for it come back.

use std::{
    env,
    ffi::{CString, OsStr, OsString},
    fs::{self, File},
    io::{self, IsTerminal, Read, Write},
    mem::MaybeUninit,
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStrExt, fs::PermissionsExt},
    },
    path::PathBuf,
};

use anyhow::{Context, Result};
use nix::{
    fcntl::OFlag,
    sys::signal::Signal,
    unistd::{self, ForkResult, Pid},
};
use pf_formats::CommandEnd;
use thiserror::Error;

use crate::{
    target::identity::Identity,
    target::own_terminal::{self, OwnSession},
};

/// COMMAND cannot be started.
#[derive(Debug, Error)]
pub enum LaunchError {
    /// There is no such command: exit status 127.
    #[error("{0}: command not found")]
    NotFound(String),
    /// It exists and cannot be executed: exit status 126.
    #[error("{command}: cannot execute")]
    NotExecutable {
        /// What was asked for.
        command: String,
        /// The system's answer.
        source: io::Error,
    },
}

/// A child that waits to become COMMAND.
pub struct Held {
    pid: Pid,
    go: File,
    failure: File,
    command: String,
    environment: Vec<CString>,
    is_apart: bool,
    may_stop: bool,
}

/// Where COMMAND reads and writes.
pub enum Streams<'a> {
    /// As pfrec does.
    Ours,
    /// Standard output is pfrec's own: what COMMAND writes there goes to standard error.
    StdoutToStderr,
    /// pfrec draws on the terminal and reads its keys: what COMMAND writes to it goes to this file, and it finds
    /// nothing to read there.
    Aside(&'a File),
}

impl Streams<'_> {
    /// In the child.
    fn connect(&self) -> nix::Result<()> {
        match self {
            Self::Ours => {}
            Self::StdoutToStderr => unistd::dup2_stdout(io::stderr())?,
            Self::Aside(file) => {
                if io::stdin().is_terminal() {
                    let nothing =
                        nix::fcntl::open("/dev/null", OFlag::O_RDONLY, nix::sys::stat::Mode::empty())?;
                    unistd::dup2_stdin(nothing)?;
                }
                if io::stderr().is_terminal() {
                    unistd::dup2_stderr(file)?;
                }
                unistd::dup2_stdout(file)?;
            }
        }
        Ok(())
    }
}

/// How COMMAND ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Its exit status, or the signal that ended it.
    pub end: CommandEnd,
    /// Major faults of the command and of all descendants that were waited for, as `wait4(2)` says.
    pub majors: u64,
    /// Minor faults, likewise.
    pub minors: u64,
}

impl Ended {
    /// As a shell would report it: the exit status, or 128 + signal.
    #[must_use]
    pub fn status(&self) -> u8 {
        let base = if self.end.by_signal { 128 } else { 0 };
        u8::try_from(base + self.end.number).unwrap_or(255)
    }

    /// In words, where it did not end well.
    #[must_use]
    pub fn describe(&self) -> Option<String> {
        let CommandEnd { by_signal, number } = self.end;
        match (by_signal, number) {
            (false, 0) => None,
            (false, status) => Some(format!("the command ended with exit status {status}")),
            (true, signal) => {
                let name = i32::try_from(signal)
                    .ok()
                    .and_then(|signal| Signal::try_from(signal).ok());
                let name = name.map_or_else(String::new, |name| format!(" ({name})"));
                Some(format!("the command was ended by signal {signal}{name}"))
            }
        }
    }
}

/// Forks a child that will run `command` as `user` once released.
///
/// To be called before any thread is started.
pub fn hold(
    command: &[OsString],
    user: &Identity,
    streams: &Streams<'_>,
    session: Option<&OwnSession>,
) -> Result<Held> {
    let name = command.first().context("an empty command")?;
    let shown = name.to_string_lossy().into_owned();
    let path = find(name)?;
    let path = CString::new(path.as_os_str().as_bytes()).context("a NUL byte in the command")?;
    let argv = command
        .iter()
        .map(|argument| CString::new(argument.as_bytes()))
        .collect::<Result<Vec<_>, _>>()
        .context("a NUL byte in an argument of the command")?;
    let environment = user.environment();
    let (go_read, go_write) = unistd::pipe2(OFlag::O_CLOEXEC).context("pipe")?;
    let (failure_read, failure_write) = unistd::pipe2(OFlag::O_CLOEXEC).context("pipe")?;

    // SAFETY: no other thread exists yet, so the child may use any function.
    match unsafe { unistd::fork() }.context("fork")? {
        ForkResult::Child => {
            drop((go_write, failure_read));
            let errno = become_command(go_read, user, &path, &argv, &environment, (streams, session));
            // Nobody listens when pfrec is gone, and then nothing was started.
            File::from(failure_write)
                .write_all(&(errno as i32).to_ne_bytes())
                .ok();
            // SAFETY: ends this child without running the parent's destructors.
            unsafe { libc::_exit(125) }
        }
        ForkResult::Parent { child } => Ok(Held {
            pid: child,
            go: go_write.into(),
            failure: failure_read.into(),
            command: shown,
            environment,
            is_apart: session.is_some(),
            may_stop: session.is_some_and(OwnSession::has_terminal),
        }),
    }
}

/// In the child: wait for the word, shed privileges, exec. Returns only on failure.
fn become_command(
    go: OwnedFd,
    user: &Identity,
    path: &CString,
    argv: &[CString],
    environment: &[CString],
    (streams, session): (&Streams<'_>, Option<&OwnSession>),
) -> nix::errno::Errno {
    let attempt = || -> nix::Result<()> {
        let mut word = [0];
        if unistd::read(&go, &mut word)? == 0 {
            // pfrec went away without the word.
            return Err(nix::errno::Errno::EPIPE);
        }
        if let Some(session) = session {
            session.enter()?;
        }
        streams.connect()?;
        if user.passed.is_some() {
            keep_to_oneself()?;
        }
        if let Some(groups) = &user.groups {
            unistd::setgroups(groups)?;
            unistd::setresgid(user.gid, user.gid, user.gid)?;
            unistd::setresuid(user.uid, user.uid, user.uid)?;
        }
        // Capabilities that pfrec was given are not meant for the command. Without any this does nothing.
        // SAFETY: changes only the ambient set of this process.
        unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
        // Rust ignores SIGPIPE for itself; the command must not inherit that.
        // SAFETY: the default disposition runs no handler.
        unsafe { nix::sys::signal::signal(Signal::SIGPIPE, nix::sys::signal::SigHandler::SigDfl)? };
        unistd::execve(path, argv, environment)?;
        Ok(())
    };
    attempt().err().unwrap_or(nix::errno::Errno::UnknownErrno)
}

/// What somebody else's command does not get of a process of root's, as with `sudo`: open files besides the three, and
/// rights of others to write its new files.
fn keep_to_oneself() -> nix::Result<()> {
    // SAFETY: marks descriptors; none is closed before the exec, which wants the pipe for failures.
    let marked = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if marked != 0 {
        // Linux before 5.11.
        let highest = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE)?.0;
        for fd in 3..i32::try_from(highest).unwrap_or(i32::MAX).min(1 << 20) {
            // SAFETY: changes a flag of a descriptor, if there is one.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::S_IWGRP | nix::sys::stat::Mode::S_IWOTH);
    nix::sys::stat::umask(mask | nix::sys::stat::Mode::S_IWGRP | nix::sys::stat::Mode::S_IWOTH);
    Ok(())
}

impl Held {
    /// Process id of the child, which becomes that of COMMAND.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// The value of a variable of the environment that COMMAND gets.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        let mut values = self.environment.iter().filter_map(|entry| {
            let entry = entry.to_bytes();
            entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
        });
        values
            .next()
            .map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Lets the child become COMMAND and waits until it has.
    pub fn release(mut self) -> Result<Running> {
        self.go.write_all(&[1]).context("cannot release the command")?;
        let mut errno = [0; 4];
        match self.failure.read_exact(&mut errno) {
            // Closed by the exec: it runs.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(Running {
                pid: self.pid,
                is_apart: self.is_apart,
                may_stop: self.may_stop,
            }),
            Err(e) => Err(e).context("cannot learn whether the command was started"),
            Ok(()) => {
                wait(self.pid, false)?;
                let source = io::Error::from_raw_os_error(i32::from_ne_bytes(errno));
                if source.kind() == io::ErrorKind::NotFound {
                    return Err(LaunchError::NotFound(self.command).into());
                }
                Err(LaunchError::NotExecutable {
                    command: self.command,
                    source,
                }
                .into())
            }
        }
    }

    /// Ends the child without running COMMAND.
    pub fn abandon(self) {
        drop(self.go);
        wait(self.pid, false).ok();
    }
}

/// COMMAND, running.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    pid: Pid,
    is_apart: bool,
    may_stop: bool,
}

impl Running {
    /// Waits for its end.
    pub fn wait(self) -> Result<Ended> {
        wait(self.pid, self.may_stop)
    }

    /// Passes Ctrl-C on to a session of its own, where the terminal does not.
    pub fn interrupt(self) {
        if self.is_apart {
            nix::sys::signal::killpg(self.pid, Signal::SIGINT).ok();
        }
    }

    /// Passes a signal on; the command may be gone by then, which is no error.
    pub fn signal(self, signal: Signal) {
        nix::sys::signal::kill(self.pid, signal).ok();
    }
}

/// Waits for the end of a child. `may_stop`: on a terminal of its own, where pfrec stops with it.
fn wait(pid: Pid, may_stop: bool) -> Result<Ended> {
    let mut status = 0;
    let options = if may_stop { libc::WUNTRACED } else { 0 };
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both pointers are valid for the call.
        let rc = unsafe { libc::wait4(pid.as_raw(), &raw mut status, options, usage.as_mut_ptr()) };
        match rc {
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            -1 => return Err(io::Error::last_os_error()).context("wait4"),
            _ if libc::WIFSTOPPED(status) => stop_with(pid),
            _ => break,
        }
    }
    // SAFETY: zeroed is a valid rusage, and wait4 has filled it.
    let usage = unsafe { usage.assume_init() };
    let by_signal = libc::WIFSIGNALED(status);
    let number = if by_signal {
        libc::WTERMSIG(status)
    } else {
        libc::WEXITSTATUS(status)
    };
    Ok(Ended {
        end: CommandEnd {
            by_signal,
            number: number.unsigned_abs(),
        },
        majors: u64::try_from(usage.ru_majflt).unwrap_or(0),
        minors: u64::try_from(usage.ru_minflt).unwrap_or(0),
    })
}

/// Gives the terminal to whoever waits for pfrec, until it is called back to the front.
fn stop_with(pid: Pid) {
    own_terminal::give_back_while(|| {
        // To this thread, so that it stops all of pfrec before the next line. Ignored where nobody could wake it.
        nix::sys::signal::raise(Signal::SIGTSTP).ok();
    });
    nix::sys::signal::killpg(pid, Signal::SIGCONT).ok();
}

/// Where a shell would find `name`: itself when it has a slash, else the first executable in PATH.
/// The file that a command means.
pub fn find(name: &OsStr) -> Result<PathBuf, LaunchError> {
    let shown = || name.to_string_lossy().into_owned();
    if name.as_bytes().contains(&b'/') {
        return match fs::metadata(name) {
            Ok(_) => Ok(PathBuf::from(name)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(LaunchError::NotFound(shown())),
            Err(source) => Err(LaunchError::NotExecutable {
                command: shown(),
                source,
            }),
        };
    }
    let mut found_plain = None;
    for folder in env::split_paths(&env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into())) {
        let candidate = folder.join(name);
        match fs::metadata(&candidate) {
            Ok(meta) if meta.is_file() && is_executable(&meta) => return Ok(candidate),
            Ok(meta) if meta.is_file() => found_plain = Some(candidate),
            _ => {}
        }
    }
    match found_plain {
        Some(path) => Err(LaunchError::NotExecutable {
            command: path.display().to_string(),
            source: io::Error::from_raw_os_error(libc::EACCES),
        }),
        None => Err(LaunchError::NotFound(shown())),
    }
}

fn is_executable(meta: &fs::Metadata) -> bool {
    meta.permissions().mode() & 0o111 != 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn start(command: &[&str]) -> Result<Running> {
        let command: Vec<OsString> = command.iter().map(OsString::from).collect();
        hold(&command, &Identity::invoking()?, &Streams::Ours, None)?.release()
    }

    #[test]
    fn the_exit_status_comes_back_as_a_shell_would_say_it() {
        let ended = |script: &str| start(&["sh", "-c", script]).unwrap().wait().unwrap();
        let told = |script: &str| (ended(script).status(), ended(script).describe());
        assert_eq!(told("true"), (0, None));
        let words = "the command ended with exit status 7";
        assert_eq!(told("exit 7"), (7, Some(words.to_owned())));
        let words = "the command was ended by signal 9 (SIGKILL)";
        assert_eq!(told("kill -9 $$"), (137, Some(words.to_owned())));
    }

    #[test]
    fn a_command_that_is_not_there_or_not_executable_is_told_apart() {
        let error = start(&["no-such-command-anywhere"]).unwrap_err();
        assert!(
            matches!(error.downcast_ref(), Some(LaunchError::NotFound(_))),
            "{error:#}"
        );
        let error = start(&["/no/such/command"]).unwrap_err();
        assert!(
            matches!(error.downcast_ref(), Some(LaunchError::NotFound(_))),
            "{error:#}"
        );
        let plain = tempfile::NamedTempFile::new().unwrap();
        let error = start(&[plain.path().to_str().unwrap()]).unwrap_err();
        assert!(
            matches!(error.downcast_ref(), Some(LaunchError::NotExecutable { .. })),
            "{error:#}"
        );
    }

    #[test]
    fn an_abandoned_command_never_runs() {
        let dir = tempfile::tempdir().unwrap();
        let proof = dir.path().join("proof");
        let command = ["touch".into(), proof.clone().into_os_string()];
        hold(&command, &Identity::invoking().unwrap(), &Streams::Ours, None)
            .unwrap()
            .abandon();
        assert!(!proof.exists());
    }
}
