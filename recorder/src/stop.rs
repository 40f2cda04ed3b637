//! Reasons to stop recording: signals, and targets that are gone.

use std::{
    io,
    mem::MaybeUninit,
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{self, SigHandler, Signal};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    low_level::{emulate_default_handler, register},
};

use crate::{cli::Scope, clock::monotonic_ns, session::proc};

/// Why the recording stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// COMMAND ended.
    CommandEnded,
    /// Every process of `-p` ended.
    TargetGone,
    /// `-d` is over.
    Duration,
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM or SIGHUP.
    Terminated,
    /// Whoever watched pressed `q`, or closed the terminal.
    Left,
    /// Whoever read the lines wants no more of them.
    ReaderGone,
    /// The recorder could not go on.
    Failed,
}

impl Stop {
    /// In words, where it is worth a word.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Interrupted => " (stopped by Ctrl-C)",
            Self::Terminated => " (stopped by a signal)",
            Self::TargetGone => " (all its processes ended)",
            Self::Left => " (the live view was closed)",
            Self::ReaderGone => " (the reader of the lines closed the pipe)",
            Self::CommandEnded | Self::Duration | Self::Failed => "",
        }
    }
}

/// A signal that comes again so soon belongs to the first one: `timeout` sends one to the process and one to its group.
const SAME_REQUEST_NS: u64 = 1_000_000_000;

/// Signals that end the recording. The first one is noted, a later one of the same kind kills.
pub struct StopSignals {
    interrupted: Arc<Noted>,
    terminated: Arc<Noted>,
}

/// Whether any of them came: what takes long before the recording begins looks here.
static ASKED_FOR: AtomicBool = AtomicBool::new(false);

/// Whether a signal asked for the end.
#[must_use]
pub fn is_asked_for() -> bool {
    ASKED_FOR.load(SeqCst)
}

/// What a handler leaves behind.
#[derive(Default)]
struct Noted {
    came: AtomicBool,
    /// The first one since it was asked for.
    at_ns: AtomicU64,
}

impl Noted {
    /// In a handler: nothing but what is safe there.
    fn note(&self, signal: i32) {
        let now_ns = monotonic_ns();
        ASKED_FOR.store(true, SeqCst);
        if !self.came.swap(true, SeqCst) {
            self.at_ns.store(now_ns, SeqCst);
        } else if now_ns.saturating_sub(self.at_ns.load(SeqCst)) >= SAME_REQUEST_NS {
            crate::target::own_terminal::give_back();
            // It fails for signals without a default only.
            emulate_default_handler(signal).ok();
        }
    }

    fn handle(self: &Arc<Self>, signal: i32) -> Result<()> {
        let noted = Arc::clone(self);
        // SAFETY: `note` uses atomics, clock_gettime(2), tcsetattr(3), and what signal-hook has for handlers.
        unsafe { register(signal, move || noted.note(signal)) }
            .map(|_| ())
            .context("signal handler")
    }
}

impl StopSignals {
    /// Installs the handlers.
    pub fn install() -> Result<Self> {
        let signals = Self {
            interrupted: Arc::default(),
            terminated: Arc::default(),
        };
        // A shell switches it off for what a script starts with `&`; whoever sends it by hand means it.
        signals.interrupted.handle(SIGINT)?;
        for signal in [SIGTERM, SIGHUP] {
            // What a parent such as nohup switched off stays off.
            if !is_ignored(signal)? {
                signals.terminated.handle(signal)?;
            }
        }
        // A file that may not grow is then an error of write(2), and not the end of pfrec.
        // SAFETY: ignoring a signal runs no handler.
        unsafe { signal::signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.context("SIGXFSZ")?;
        // An inherited SIG_IGN would make the kernel forget how the command ended.
        // SAFETY: the default disposition runs no handler.
        unsafe { signal::signal(Signal::SIGCHLD, SigHandler::SigDfl) }.context("SIGCHLD")?;
        Ok(signals)
    }

    /// SIGTERM or SIGHUP came since the last call.
    #[must_use]
    pub fn take_terminated(&self) -> bool {
        self.terminated.came.swap(false, SeqCst)
    }

    /// Ctrl-C was pressed.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        self.interrupted.came.load(SeqCst)
    }

    /// SIGTERM or SIGHUP came.
    #[must_use]
    pub fn terminated(&self) -> bool {
        self.terminated.came.load(SeqCst)
    }
}

fn is_ignored(signal: i32) -> Result<bool> {
    let mut old = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: asks only; the pointer is valid for the call.
    let rc = unsafe { libc::sigaction(signal, ptr::null(), old.as_mut_ptr()) };
    if rc != 0 {
        return Err(io::Error::last_os_error()).context("sigaction");
    }
    // SAFETY: zeroed is a valid sigaction, and the call has filled it.
    Ok(unsafe { old.assume_init() }.sa_sigaction == libc::SIG_IGN)
}

/// The processes of `-p`, told apart from later ones of the same number by when they started.
pub struct Watched {
    processes: Vec<(u32, u64)>,
}

impl Watched {
    /// Checks that every process of `-p` exists.
    pub fn new(scope: &Scope) -> Result<Self> {
        let Scope::Pids { pids, .. } = scope else {
            return Ok(Self {
                processes: Vec::new(),
            });
        };
        let mut processes = Vec::with_capacity(pids.len());
        for &pid in pids {
            if let Some(process) = proc::process_of_thread(pid) {
                bail!("-p {pid}: is a thread of process {process}: use -p {process}");
            }
            match proc::start_of(pid) {
                Some(start) => processes.push((pid, start)),
                None => bail!("-p {pid}: there is no such process (it may have ended: see ps -p {pid})"),
            }
        }
        Ok(Self { processes })
    }

    /// Whether there were processes to watch and none is left.
    #[must_use]
    pub fn all_gone(&self) -> bool {
        !self.processes.is_empty()
            && self
                .processes
                .iter()
                .all(|&(pid, start)| proc::start_of(pid) != Some(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_within_a_second_are_one_request() {
        let noted = Noted::default();
        noted.note(SIGTERM);
        noted.note(SIGTERM);
        assert!(noted.came.load(SeqCst), "and this process lives");
    }
}
