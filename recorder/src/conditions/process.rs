//! The first recorded process: where it may run, and how many threads it was told to run.

use std::thread::Builder;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::{
    list::List,
    root::{Root, figure},
};

const SUBJECT: &str = "process";

/// The one variable of the environment that is told: so many threads of a Go program run at once.
pub const MOST_THREADS: &str = "GOMAXPROCS";

/// Bytes of an environment that are looked at.
const ENVIRONMENT: u64 = 256 << 10;

/// How long one reading waits for the environment.
const PATIENCE: Duration = Duration::from_millis(2);

const STATUS: [&str; 2] = ["Pid", "Cpus_allowed_list"];

/// A process, and since when it runs.
pub struct Process {
    pid: u32,
    started: Option<String>,
    most_threads: Asked,
}

enum Asked {
    Known(Option<String>),
    /// On its way.
    Pending(Receiver<String>),
}

impl Process {
    /// The child that becomes the command, with its variable as the command will have it.
    #[must_use]
    pub fn held(root: &Root, pid: u32, most_threads: Option<String>) -> Self {
        Self {
            pid,
            started: started(root, pid),
            most_threads: Asked::Known(most_threads),
        }
    }

    /// One that runs. Its environment lies in its own memory, and it can make a reader wait for as long as it likes: so it is
    /// read by a thread that nobody waits for.
    #[must_use]
    pub fn running(root: &Root, pid: u32) -> Self {
        let (tell, told) = bounded(1);
        let own = root.clone();
        let work = move || {
            let text = own.read_to(&format!("/proc/{pid}/environ"), ENVIRONMENT);
            if let Some(value) = variable(&text.unwrap_or_default()) {
                tell.send(value).ok();
            }
        };
        let thread = Builder::new().name("pfrec-environ".to_owned()).spawn(work);
        Self {
            pid,
            started: started(root, pid),
            most_threads: thread.map_or(Asked::Known(None), |_| Asked::Pending(told)),
        }
    }

    /// As it is now, unless another process has its number by now.
    pub fn read(&mut self, root: &Root, list: &mut List) {
        if let Asked::Pending(told) = &self.most_threads
            && let Ok(value) = told.recv_timeout(PATIENCE)
        {
            self.most_threads = Asked::Known(Some(value));
        }
        if let Asked::Known(value) = &self.most_threads {
            list.put(SUBJECT, MOST_THREADS, value.as_deref());
        }
        if self.started.is_none() || started(root, self.pid) != self.started {
            return;
        }
        let status = root
            .read(&format!("/proc/{}/status", self.pid))
            .unwrap_or_default();
        for name in STATUS {
            list.put(SUBJECT, name, figure(&status, name));
        }
    }
}

/// When it was started: with its number, an identity. Its name comes before, and may be anything.
fn started(root: &Root, pid: u32) -> Option<String> {
    let stat = root.read(&format!("/proc/{pid}/stat"))?;
    let (_, behind) = stat.rsplit_once(')')?;
    behind.split_whitespace().nth(19).map(str::to_owned)
}

/// The value in an environment whose entries end in a NUL each. An entry without that is cut.
fn variable(environment: &str) -> Option<String> {
    let whole = environment.rsplit_once('\0').map(|(whole, _)| whole)?;
    let mut values = whole
        .split('\0')
        .filter_map(|entry| entry.strip_prefix(MOST_THREADS)?.strip_prefix('='));
    values.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_variable_of_an_environment_is_found_and_none_that_is_cut() {
        let of = |text| variable(text);
        assert_eq!(of("A=1\0GOMAXPROCS=4\0B=2\0"), Some("4".to_owned()));
        assert_eq!(of("GOMAXPROCS=4\0"), Some("4".to_owned()));
        for other in [
            "",
            "GOMAXPROCS=4",
            "A=1\0GOMAXPROCS=1",
            "GOMAXPROCSX=4\0",
            "XGOMAXPROCS=4\0",
        ] {
            assert_eq!(of(other), None, "{other:?}");
        }
    }
}
