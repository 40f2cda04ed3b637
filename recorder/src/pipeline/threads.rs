//! The threads of a recording, and their memory.

use std::thread::{Builder, JoinHandle};

use anyhow::{Context, Result};
use crossbeam_channel::Sender;

/// Runs `work` on a thread that holds `alive` for as long as it runs.
pub fn spawn<T: Send + 'static>(
    name: &str,
    alive: Sender<()>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    let body = move || {
        let result = work();
        drop(alive);
        result
    };
    Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .with_context(|| format!("cannot start {name}"))
}

/// Page faults of the recorder would compete with those it records. Without the right to lock
/// memory it works all the same.
pub fn lock_memory() {
    // SAFETY: changes nothing but the residency of this process.
    unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) };
}
