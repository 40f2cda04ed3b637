//! Reasons to stop recording: signals, and targets that are gone.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use anyhow::{Context, Result, bail};
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
    /// The recorder could not go on.
    Failed,
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
            // In this order: the default action is taken only if the flag was set before.
            flag::register_conditional_default(signal, Arc::clone(noted)).context("signal handler")?;
            flag::register(signal, Arc::clone(noted)).context("signal handler")?;
        }
        Ok(signals)
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
