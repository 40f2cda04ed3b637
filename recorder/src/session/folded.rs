//! What was told and is not kept, because there is too much of it: counted, and placed in time for the trace.

use indicatif::HumanCount;
use pf_formats::{Loss, LossReason};

use super::budget::{COMMS, OTHERS};

/// Sums since the recording began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    comms: u64,
    objects: u64,
    mappings: u64,
    /// Since the last loss was taken: how many, and from when to when.
    untold: Option<(u64, u64, u64)>,
}

impl Folded {
    /// A thread got a name that has no id.
    pub fn comm(&mut self, at_ns: u64) {
        self.comms += 1;
        self.count(at_ns, 1);
    }

    /// Something was mapped that has no id.
    pub fn object(&mut self, at_ns: u64) {
        self.objects += 1;
        self.count(at_ns, 1);
    }

    /// Mappings of a process were forgotten.
    pub fn mappings(&mut self, at_ns: u64, count: u64) {
        self.mappings += count;
        self.count(at_ns, count);
    }

    fn count(&mut self, at_ns: u64, count: u64) {
        let (sum, from, to) = self.untold.get_or_insert((0, at_ns, at_ns));
        *sum += count;
        *from = at_ns.min(*from);
        *to = at_ns.max(*to);
    }

    /// What came since the last call, as the trace tells it.
    pub fn take_loss(&mut self) -> Option<Loss> {
        let (count, from_ns, to_ns) = self.untold.take()?;
        Some(Loss {
            from_ns,
            to_ns,
            cpu: None,
            reason: LossReason::Sideband,
            count,
        })
    }

    /// All of it, in words.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let all = [
            (
                self.comms,
                format!(
                    "thread names: there are more than {} distinct ones, or one process used half of what was left: these \
                     threads are called {OTHERS}",
                    HumanCount(COMMS as u64)
                ),
            ),
            (
                self.objects,
                format!(
                    "file mappings: there are more distinct files than are kept, or one process used half of what was left: \
                     these files are called {OTHERS}"
                ),
            ),
            (
                self.mappings,
                "mappings: a process has more than are kept, and they could not be read again: some files may be unknown"
                    .to_owned(),
            ),
        ];
        let some = all.into_iter().filter(|(count, _)| *count > 0);
        some.map(|(count, what)| format!("{} {what}", HumanCount(count)))
            .collect()
    }
}
