//! What was told and is not kept, because there is too much of it: counted, and placed in time for the trace.

use indicatif::HumanCount;
use pf_formats::{Loss, LossReason};

use super::{
    adoption,
    budget::{COMMS, OTHERS},
};
use crate::queries::patience;

/// Sums since the recording began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    comms: u64,
    objects: u64,
    mappings: u64,
    unread: u64,
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

    /// Processes were not read when the recording began, as there was too much to read.
    pub fn unread(&mut self, from_ns: u64, to_ns: u64, count: u64) {
        self.unread += count;
        self.count(from_ns, count);
        self.count(to_ns, 0);
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
            (
                self.unread,
                format!(
                    "processes were not read when the recording began, the oldest ones: all of them together get {} s and {} \
                     mappings; they are read when they first fault, and their names are unknown where they end first",
                    patience::MOST.as_secs(),
                    HumanCount(adoption::MAPPINGS as u64)
                ),
            ),
        ];
        let some = all.into_iter().filter(|(count, _)| *count > 0);
        some.map(|(count, what)| format!("{} {what}", HumanCount(count)))
            .collect()
    }
}
