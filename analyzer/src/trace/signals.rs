//! Names of Linux's signals. A trace may be read on another system, where the same number is another signal.

/// From signal 1 on, as on x86-64 and arm64.
const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// `signal 7 (SIGBUS)`; real-time signals have no name.
#[must_use]
pub(crate) fn describe(number: u32) -> String {
    let index = number
        .checked_sub(1)
        .and_then(|index| usize::try_from(index).ok());
    match index.and_then(|index| NAMES.get(index)) {
        Some(name) => format!("signal {number} ({name})"),
        None => format!("signal {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_the_names_of_the_system() {
        for (number, name) in [
            (libc::SIGBUS, "signal 7 (SIGBUS)"),
            (libc::SIGSEGV, "signal 11 (SIGSEGV)"),
            (libc::SIGSYS, "signal 31 (SIGSYS)"),
            (34, "signal 34"),
            (0, "signal 0"),
        ] {
            assert_eq!(describe(number.unsigned_abs()), name);
        }
    }
}
