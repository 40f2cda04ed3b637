//! The child that pfrec forked for COMMAND: until its exec it is pfrec itself, and what it does then is not told.

use pf_bpf::{Query, QueryText};

/// The held child, if there is one.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeldChild {
    pid: Option<u32>,
    /// When it became COMMAND.
    exec_ns: Option<u64>,
}

impl HeldChild {
    /// `pid`: of the child, held before its exec.
    #[must_use]
    pub fn new(pid: Option<u32>) -> Self {
        Self { pid, exec_ns: None }
    }

    /// Whether `pid` is the child, still before its exec.
    #[must_use]
    pub fn is(&self, pid: u32) -> bool {
        self.pid == Some(pid) && self.exec_ns.is_none()
    }

    /// A process called exec. Later ones of the child are COMMAND's own.
    pub fn exec(&mut self, pid: u32, ts_ns: u64) {
        if self.is(pid) {
            self.exec_ns = Some(ts_ns);
        }
    }

    /// Whether a query began in the child before its exec: functions of pfrec are called there as in any program, and
    /// the exec is what ended the last of them.
    #[must_use]
    pub fn began(&self, query: &Query) -> bool {
        // One whose begin was not seen is known by its end.
        let at_ns = if query.begin_ns == 0 {
            query.end_ns
        } else {
            query.begin_ns
        };
        self.pid == Some(query.tgid) && self.is_before_exec(at_ns)
    }

    /// The same for the text of one. The child has one thread, by the number of its process.
    #[must_use]
    pub fn said(&self, text: &QueryText) -> bool {
        self.pid == Some(text.tid) && self.is_before_exec(text.begin_ns)
    }

    fn is_before_exec(&self, at_ns: u64) -> bool {
        self.exec_ns.is_none_or(|exec_ns| at_ns < exec_ns)
    }
}
