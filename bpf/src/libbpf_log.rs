//! What libbpf prints: the reasons of a failure belong into our error, not on the user's terminal.

use std::sync::Mutex;

use libbpf_rs::PrintLevel;

use crate::ProbeError;

static LOG: Mutex<String> = Mutex::new(String::new());

/// Begins to collect, with nothing collected yet.
pub(crate) fn capture() {
    take();
    libbpf_rs::set_print(Some((PrintLevel::Warn, |_, message| {
        if let Ok(mut log) = LOG.lock() {
            log.push_str(&message);
        }
    })));
}

/// The error for a failed load, with what was collected.
pub(crate) fn load_error(source: libbpf_rs::Error) -> ProbeError {
    ProbeError::Load { source, log: take() }
}

fn take() -> String {
    LOG.lock()
        .map(|mut log| std::mem::take(&mut *log))
        .unwrap_or_default()
}
