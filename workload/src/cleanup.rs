//! Files that must not outlive the program unless they are finished: removed on error, and on the
//! signals that end it. SIGKILL and a power cut are beyond it.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tempfile::TempPath;

/// Watches for the signals that end the program, and knows which file to remove then.
#[derive(Clone, Debug)]
pub struct Cleanup {
    file: Arc<Mutex<Option<TempPath>>>,
}

impl Cleanup {
    /// Starts the watch: one thread, named `pf-signals`, that sleeps until a signal comes. What was
    /// ignored when the program started (by `nohup`, or by a script for its background jobs) stays
    /// ignored.
    pub fn watch() -> io::Result<Self> {
        let ending = [SIGINT, SIGTERM, SIGQUIT, SIGHUP];
        let mut signals = Signals::new(ending.into_iter().filter(|signal| !is_ignored(*signal)))?;
        let cleanup = Self { file: Arc::default() };
        let watched = cleanup.clone();
        thread::Builder::new().name("pf-signals".into()).spawn(move || {
            if let Some(signal) = signals.forever().next() {
                // Held until the end, so that no new file can appear behind our back.
                let mut file = watched.lock();
                drop(file.take());
                // Dying of the signal itself tells the parent the truth.
                if emulate_default_handler(signal).is_err() {
                    std::process::exit(1);
                }
            }
        })?;
        Ok(cleanup)
    }

    /// Creates a new file with a name of its own in `directory`.
    pub(crate) fn create_unnamed(&self, directory: &Path, prefix: &str) -> io::Result<(File, Doomed)> {
        let mut slot = self.lock();
        let made = tempfile::Builder::new()
            .prefix(prefix)
            .suffix(".dat")
            .tempfile_in(directory)?;
        let (file, path) = made.into_parts();
        Ok((file, self.doom(&mut slot, path)))
    }

    /// Creates `path`, which must not exist.
    pub fn create_new(&self, path: &Path) -> io::Result<(File, Doomed)> {
        let mut slot = self.lock();
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        let path = TempPath::try_from_path(path)?;
        Ok((file, self.doom(&mut slot, path)))
    }

    fn doom(&self, slot: &mut Option<TempPath>, path: TempPath) -> Doomed {
        let doomed = Doomed {
            path: path.to_path_buf(),
            cleanup: self.clone(),
        };
        *slot = Some(path);
        doomed
    }

    fn lock(&self) -> MutexGuard<'_, Option<TempPath>> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that is removed when this is dropped, unless it was kept.
#[derive(Debug)]
pub struct Doomed {
    path: PathBuf,
    cleanup: Cleanup,
}

impl Doomed {
    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the file under its final name, in one step. Without `replace`, a file that has that
    /// name by now is an error.
    pub(crate) fn rename_to(self, target: &Path, replace: bool) -> io::Result<()> {
        self.settle(|path| {
            let renamed = if replace {
                path.persist(target)
            } else {
                path.persist_noclobber(target)
            };
            renamed.map_err(|failed| failed.error)
        })
    }

    /// Removes the file now, and says if that failed.
    pub fn remove(self) -> io::Result<()> {
        self.settle(TempPath::close)
    }

    /// Decides the file's fate. The slot is locked until that is done: a signal in between waits, and
    /// cannot end the program with a file of which nobody knows.
    fn settle(&self, decide: impl FnOnce(TempPath) -> io::Result<()>) -> io::Result<()> {
        let mut slot = self.cleanup.lock();
        let done = slot.take().map_or(Ok(()), decide);
        drop(slot);
        done
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        let mut slot = self.cleanup.lock();
        drop(slot.take());
    }
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: all zeroes is a valid `sigaction`.
    let mut current: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null new action only asks; `current` is valid for the kernel to fill.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut current) };
    asked == 0 && current.sa_sigaction == libc::SIG_IGN
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_signal_waits_until_the_fate_of_the_file_is_decided() {
        let directory = tempfile::tempdir().unwrap();
        let cleanup = Cleanup::watch().unwrap();
        let (_file, doomed) = cleanup.create_new(&directory.path().join("half")).unwrap();
        let decided = doomed.settle(|path| {
            assert!(cleanup.file.try_lock().is_err());
            path.close()
        });
        decided.unwrap();
        assert!(cleanup.file.try_lock().is_ok());
    }

    #[test]
    fn a_dropped_file_is_gone_and_a_renamed_one_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (half, whole) = (directory.path().join("half"), directory.path().join("whole"));
        let cleanup = Cleanup::watch().unwrap();
        let (_file, doomed) = cleanup.create_new(&half).unwrap();
        assert!(half.exists());
        drop(doomed);
        assert!(!half.exists());
        let (_file, doomed) = cleanup.create_new(&half).unwrap();
        doomed.rename_to(&whole, false).unwrap();
        assert!(whole.exists() && !half.exists());
        let (_file, doomed) = cleanup.create_new(&half).unwrap();
        assert_eq!(
            doomed.rename_to(&whole, false).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert!(!half.exists());
    }
}
