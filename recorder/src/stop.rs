//! Reasons to stop recording: signals, and targets that are gone.

use std::{
    io,
    mem::MaybeUninit,
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{self, SigHandler, Signal};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    flag,
};

use crate::{cli::Scope, session::proc};

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
    /// Whoever watched has seen enough.
    Left,
    /// The recorder could not go on.
    Failed,
}

impl Stop {
    /// In words, where it is worth a word.
    #[must_use]
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Interrupted => " (stopped by Ctrl-C)",
            Self::Terminated => " (stopped by a signal)",
            Self::TargetGone => " (its processes have ended)",
            Self::CommandEnded | Self::Duration | Self::Left | Self::Failed => "",
        }
    }
}

/// Signals that end the recording. The first one is noted, a second one of the same kind kills.
pub struct StopSignals {
    interrupted: Arc<AtomicBool>,
    terminated: Arc<AtomicBool>,
}

impl StopSignals {
    /// Installs the handlers.
    pub fn install() -> Result<Self> {
        let signals = Self {
            interrupted: Arc::default(),
            terminated: Arc::default(),
        };
        for (signal, noted) in [
            (SIGINT, &signals.interrupted),
            (SIGTERM, &signals.terminated),
            (SIGHUP, &signals.terminated),
        ] {
            // What a parent such as nohup switched off stays off.
            if is_ignored(signal)? {
                continue;
            }
            // In this order: the default action is taken only if the flag was set before.
            flag::register_conditional_default(signal, Arc::clone(noted)).context("signal handler")?;
            flag::register(signal, Arc::clone(noted)).context("signal handler")?;
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
        self.terminated.swap(false, Relaxed)
    }

    /// Ctrl-C was pressed.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        self.interrupted.load(Relaxed)
    }

    /// SIGTERM or SIGHUP came.
    #[must_use]
    pub fn terminated(&self) -> bool {
        self.terminated.load(Relaxed)
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
