//! Files that have no use unless they are finished: removed when a signal ends the program. On errors their owners remove
//! them; SIGKILL and a power cut are beyond it.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::NamedTempFile;

/// Every file made so far; those that have got their name since are no longer there under this one.
static MADE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn made() -> MutexGuard<'static, Vec<PathBuf>> {
    MADE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a temporary file that no SIGHUP, SIGINT or SIGTERM leaves behind.
///
/// # Errors
/// Those of `make`.
pub fn removed_on_signals(make: impl FnOnce() -> io::Result<NamedTempFile>) -> io::Result<NamedTempFile> {
    watch();
    // Held meanwhile: no file is there that is not listed.
    let mut files = made();
    let file = make()?;
    files.push(file.path().to_owned());
    Ok(file)
}

/// Starts the thread that waits for signals, once. Where there can be none, signals end the program as ever.
#[cfg(unix)]
fn watch() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;
    use std::sync::Once;

    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        let ignored = ignored();
        let ending = [SIGHUP, SIGINT, SIGTERM];
        let ending = ending
            .into_iter()
            .filter(|signal| ignored >> (signal - 1) & 1 == 0);
        let Ok(mut signals) = Signals::new(ending) else {
            return;
        };
        let wait = move || {
            if let Some(signal) = signals.forever().next() {
                // Held until the end, so that no new file appears.
                let files = made();
                for file in files.iter() {
                    // It may have got its name.
                    let _ = std::fs::remove_file(file);
                }
                // Dying of the signal itself tells the parent the truth.
                if emulate_default_handler(signal).is_err() {
                    std::process::exit(1);
                }
            }
        };
        // Without it the signals that are caught would do nothing: a program that cannot make a thread ends anyway.
        let _ = std::thread::Builder::new().name("signals".into()).spawn(wait);
    });
}

#[cfg(not(unix))]
fn watch() {}

/// A bit for each signal that is ignored, as by `nohup`, and stays so.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
