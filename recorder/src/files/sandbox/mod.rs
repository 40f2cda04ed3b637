//! Runs what parses files of the recorded user's making in a forked child, because pfrec may be root and
//! a parser of untrusted ELF and DWARF may panic, loop, eat all memory, or get SIGBUS when its file is
//! truncated under it: the child can only end early, which costs what one file would have told. It keeps no
//! right but that to read (CAP_DAC_READ_SEARCH: binaries need not be readable by all), no descriptor but
//! those of the files it is to read, and where the kernel has Landlock and seccomp it can open nothing else
//! and talk to nobody: even code run in it can change nothing of root's. Its answer is read as untrusted data.

mod capabilities;
mod seccomp;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Read, Write},
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    panic::{self, AssertUnwindSafe},
    thread,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        prctl,
        resource::{Resource, setrlimit},
        signal::{SigHandler, Signal, kill, signal},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{self, ForkResult, Gid, Pid, Uid},
};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::files::open::Pinned;
pub use seccomp::keeps_paths;

/// What the child may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until it is killed.
    pub time: Duration,
    /// Bytes it may write to.
    pub memory: u64,
}

/// Bytes of an answer.
const ANSWER: usize = 128 << 20;
/// User and group "nobody".
const NOBODY: u32 = 65_534;
/// How often to look whether to give up.
const TICK_MS: u16 = 50;
/// For a killed child to be gone; one that is stuck in the kernel is left behind.
const REAP: Duration = Duration::from_secs(1);

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum Failure {
    /// It was ended by a signal.
    #[error("looking into it ended with {0}")]
    Crashed(Signal),
    /// It did not end in time.
    #[error("looking into it took too long")]
    TooLong,
    /// The user does not want to wait.
    #[error("interrupted")]
    GivenUp,
    /// It said why, or what it said makes no sense.
    #[error("{0}")]
    Refused(String),
    /// The system did not allow it.
    #[error("{0}")]
    System(#[from] io::Error),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::System(errno.into())
    }
}

/// Runs `work` in a child of its own, so that it is plain what failed, and returns what it returned. It can open `files`,
/// and no others where [`keeps_paths`] says so.
///
/// # Errors
///
/// When it did not return one within `limits`, or `give_up` said so before.
pub fn run<T: Serialize + DeserializeOwned>(
    limits: Limits,
    files: &[&Pinned],
    give_up: &mut dyn FnMut() -> bool,
    work: impl FnOnce() -> T,
) -> Result<T, Failure> {
    let until = Instant::now() + limits.time;
    let (from, to) = unistd::pipe2(OFlag::O_CLOEXEC)?;
    let parent = unistd::getpid();
    // SAFETY: other threads may exist, but glibc leaves malloc usable in the child. Any other lock that one of
    // them holds now can only make the child wait, and then its time is over.
    match unsafe { unistd::fork() }? {
        ForkResult::Child => {
            let done = panic::catch_unwind(AssertUnwindSafe(|| child(parent, to, limits, files, work)));
            let status = i32::from(!matches!(done, Ok(Ok(()))));
            // SAFETY: ends the child without the destructors and exit handlers of its parent.
            unsafe { libc::_exit(status) }
        }
        ForkResult::Parent { child } => {
            drop(to);
            let answer = read_answer(from, until, give_up);
            let ended = reap(child, answer.is_err());
            let answer = answer?;
            match ended {
                Some(WaitStatus::Signaled(_, signal, _)) => Err(Failure::Crashed(signal)),
                _ => serde_json::from_slice::<Result<T, String>>(&answer)
                    .map_err(|e| Failure::Refused(format!("no sensible answer: {e}")))?
                    .map_err(Failure::Refused),
            }
        }
    }
}

fn child<T: Serialize>(
    parent: Pid,
    to: OwnedFd,
    limits: Limits,
    files: &[&Pinned],
    work: impl FnOnce() -> T,
) -> io::Result<()> {
    // Whoever has to be told of a panic is the parent. A panic hook has a lock that another thread may hold.
    let silence = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    unistd::dup2_stdin(&silence)?;
    unistd::dup2_stdout(&silence)?;
    unistd::dup2_stderr(&silence)?;
    let prepared = give_up_rights(parent, limits.memory)
        .and_then(|()| close_all_but(files, to.as_raw_fd()))
        .and_then(|()| seccomp::enter(files));
    let answer = match prepared {
        Ok(()) => panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| "the parser panicked".to_owned()),
        Err(e) => Err(format!("the rights of root cannot be given up: {e}")),
    };
    let mut out = BufWriter::new(File::from(to));
    serde_json::to_writer(&mut out, &answer)?;
    out.flush()
}

fn give_up_rights(parent: Pid, memory: u64) -> io::Result<()> {
    // What a terminal sends is for the parent; too long a file is an error, like every other one.
    for ignored in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGXFSZ,
    ] {
        // SAFETY: ignoring a signal runs no handler.
        unsafe { signal(ignored, SigHandler::SigIgn) }?;
    }
    // Best effort: when memory is short, this process is the one to end.
    fs::write("/proc/self/oom_score_adj", "1000").ok();
    for (resource, limit) in [
        (Resource::RLIMIT_DATA, memory),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_NPROC, 0),
    ] {
        setrlimit(resource, limit, limit)?;
    }
    prctl::set_no_new_privs()?;
    if unistd::geteuid().is_root() {
        prctl::set_keepcaps(true)?;
        let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        unistd::setgroups(&[])?;
        unistd::setresgid(group, group, group)?;
        unistd::setresuid(user, user, user)?;
    }
    capabilities::keep_only_reading()?;
    // Now, because another user resets it.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if unistd::getppid() != parent {
        return Err(io::Error::other("pfrec is gone"));
    }
    Ok(())
}

/// The trace, the rings and whatever else the recorder has open is none of the child's business.
fn close_all_but(files: &[&Pinned], answer: RawFd) -> io::Result<()> {
    let mut kept: Vec<RawFd> = files.iter().map(|file| file.handle().as_raw_fd()).collect();
    kept.extend([0, 1, 2, answer]);
    kept.sort_unstable();
    kept.dedup();
    let ends = kept.iter().skip(1).map(|next| next - 1).chain([RawFd::MAX]);
    for (first, last) in kept.iter().map(|before| before + 1).zip(ends) {
        if first <= last {
            close_between(first, last)?;
        }
    }
    Ok(())
}

fn close_between(first: RawFd, last: RawFd) -> io::Result<()> {
    // SAFETY: what is closed belongs to objects of the parent, none of which this process uses or drops.
    let rc = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if rc == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() != Some(libc::ENOSYS) {
        return Err(error);
    }
    // Before Linux 5.9: one by one.
    let open = fs::read_dir("/proc/self/fd")?.flatten();
    let numbers: Vec<RawFd> = open
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|number| (first..=last).contains(number))
        .collect();
    for number in numbers {
        // SAFETY: as above. That of the folder is closed already.
        unsafe { libc::close(number) };
    }
    Ok(())
}

fn read_answer(from: OwnedFd, until: Instant, give_up: &mut dyn FnMut() -> bool) -> Result<Vec<u8>, Failure> {
    let mut answer = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    let mut from = File::from(from);
    loop {
        if give_up() {
            return Err(Failure::GivenUp);
        }
        if Instant::now() >= until {
            return Err(Failure::TooLong);
        }
        let mut ready = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::from(TICK_MS)) {
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(e) => return Err(e.into()),
        }
        match from.read(&mut chunk)? {
            0 => return Ok(answer),
            count if answer.len() + count > ANSWER => {
                return Err(Failure::Refused(format!(
                    "more than {} MiB of names",
                    ANSWER >> 20
                )));
            }
            count => answer.extend_from_slice(&chunk[..count]),
        }
    }
}

fn reap(child: Pid, unwanted: bool) -> Option<WaitStatus> {
    if unwanted {
        kill(child, Signal::SIGKILL).ok();
    }
    let until = Instant::now() + REAP;
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) if Instant::now() < until => thread::sleep(Duration::from_millis(1)),
            Ok(WaitStatus::StillAlive) => {
                // Its answer is there, yet it does not end.
                kill(child, Signal::SIGKILL).ok();
                return None;
            }
            Err(Errno::EINTR) => {}
            Ok(ended) => return Some(ended),
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    const LONG: Limits = limited(60_000);

    const fn limited(ms: u64) -> Limits {
        Limits {
            time: Duration::from_millis(ms),
            memory: 64 << 20,
        }
    }

    fn never() -> impl FnMut() -> bool {
        || false
    }

    #[test]
    fn what_the_child_returns_arrives() {
        let text = "x".repeat(1 << 20);
        let answer: String = run(LONG, &[], &mut never(), || text.clone()).unwrap();
        assert_eq!(answer, text);
    }

    #[test]
    fn a_panic_a_crash_and_an_endless_loop_are_told_apart() {
        let panicked = run::<u32>(LONG, &[], &mut never(), || panic!("on purpose"));
        assert!(matches!(panicked, Err(Failure::Refused(why)) if why.contains("panicked")));
        let crashed = run::<u32>(LONG, &[], &mut never(), || std::process::abort());
        assert!(
            matches!(crashed, Err(Failure::Crashed(Signal::SIGABRT))),
            "{crashed:?}"
        );
        let forever = || loop {
            thread::sleep(LONG.time);
        };
        let endless = run::<u32>(limited(100), &[], &mut never(), forever);
        assert!(matches!(endless, Err(Failure::TooLong)));
        let given_up = run::<u32>(LONG, &[], &mut || true, forever);
        assert!(matches!(given_up, Err(Failure::GivenUp)));
    }

    #[test]
    fn memory_is_limited() {
        let eaten = run::<usize>(LONG, &[], &mut never(), || {
            let mut bytes: Vec<u8> = Vec::new();
            usize::from(bytes.try_reserve(LONG.memory as usize).is_ok())
        });
        assert_eq!(eaten.unwrap(), 0);
    }

    #[test]
    fn the_child_writes_no_file_and_has_no_rights() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("written");
        let (written, rights, user): (bool, u32, u32) = run(LONG, &[], &mut never(), || {
            let written = fs::write(&path, "x").is_ok();
            (
                written,
                capabilities::permitted().unwrap(),
                unistd::geteuid().as_raw(),
            )
        })
        .unwrap();
        assert!(!written && !path.exists());
        assert_eq!(rights & !4, 0, "at most CAP_DAC_READ_SEARCH");
        if unistd::geteuid().is_root() {
            assert_eq!(user, NOBODY);
        }
    }

    #[test]
    fn the_child_has_no_other_descriptor_and_reaches_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trace");
        let mut trace = File::create(&path).unwrap();
        trace.write_all(b"a trace").unwrap();
        let number = trace.as_raw_fd();
        let (cut, socket, killed): (i32, i32, i32) = run(LONG, &[], &mut never(), || {
            // SAFETY: a descriptor that is not open, a socket that nobody uses, and a signal that is none.
            unsafe {
                (
                    libc::ftruncate(number, 0),
                    libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0),
                    libc::kill(libc::getppid(), 0),
                )
            }
        })
        .unwrap();
        assert_eq!((cut, socket, killed), (-1, -1, -1));
        assert_eq!(fs::read(&path).unwrap(), b"a trace");
    }

    #[test]
    fn the_child_opens_what_it_is_given_and_nothing_else() {
        if !keeps_paths() {
            pf_checks::not_run("landlock", "this kernel has no Landlock");
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let (given, other) = (directory.path().join("given"), directory.path().join("other"));
        fs::write(&given, "this").unwrap();
        fs::write(&other, "that").unwrap();
        let pinned = Pinned::by_path(&given).unwrap();
        let (read, refused): (String, Vec<bool>) = run(LONG, &[&pinned], &mut never(), || {
            let read = io::read_to_string(pinned.open().unwrap()).unwrap();
            let others = [
                other.as_path(),
                std::path::Path::new("/etc/passwd"),
                std::path::Path::new("/dev/zero"),
            ];
            (
                read,
                others.iter().map(|path| File::open(path).is_err()).collect(),
            )
        })
        .unwrap();
        assert_eq!((read.as_str(), refused), ("this", vec![true; 3]));
    }
}
