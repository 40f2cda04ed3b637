//! Files that must not outlive the program unless they are finished: removed on error, and on the
//! signals that end it. SIGKILL and a power cut are beyond it.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tempfile::TempPath;

/// Watches for the signals that end the program, and knows which file to remove then.
#[derive(Clone, Debug)]
pub struct Cleanup {
    file: Arc<Mutex<Option<TempPath>>>,
}

impl Cleanup {
    /// Starts the watch: one thread, named `pf-signals`, that sleeps until a signal comes. A SIGHUP
    /// that was ignored when the program started (`nohup`) stays ignored.
    pub fn watch() -> io::Result<Self> {
        let mut wanted = vec![SIGINT, SIGTERM];
        if !is_ignored(SIGHUP) {
            wanted.push(SIGHUP);
        }
        let mut signals = Signals::new(wanted)?;
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
    pub fn create_unnamed(&self, directory: &Path, prefix: &str) -> io::Result<(File, Doomed)> {
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
    pub fn rename_to(self, target: &Path, replace: bool) -> io::Result<()> {
        let Some(path) = self.cleanup.lock().take() else {
            return Ok(());
        };
        let renamed = if replace {
            path.persist(target)
        } else {
            path.persist_noclobber(target)
        };
        renamed.map_err(|failed| failed.error)
    }

    /// Removes the file now, and says if that failed.
    pub fn remove(self) -> io::Result<()> {
        self.cleanup.lock().take().map_or(Ok(()), TempPath::close)
    }
}

impl Drop for Doomed {
    fn drop(&mut self) {
        drop(self.cleanup.lock().take());
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
