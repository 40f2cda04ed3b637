//! What was set, and how things stood, when the recording began and when it ended.

use bincode::{Decode, Encode};

use crate::error::Result;
use crate::limits;
use crate::records::meta::shorten_to;

/// One setting or figure of the machine, of a device, a file system or a control group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Condition {
    /// When it was read, `CLOCK_MONOTONIC` nanoseconds.
    pub ts_ns: u64,
    /// Whose it is: `machine`, `process`, or `cgroup`, `device`, `mount` and a name.
    pub subject: String,
    /// What it is called where it was read.
    pub name: String,
    /// As it was read there.
    pub value: String,
}

impl Condition {
    /// A copy within the limits of a writer.
    pub(crate) fn bounded(&self) -> Self {
        let mut entry = self.clone();
        shorten_to(&mut entry.subject, limits::EXECUTABLE);
        shorten_to(&mut entry.name, limits::SHORT_NAME);
        shorten_to(&mut entry.value, limits::EXECUTABLE);
        entry
    }

    /// Bytes in a record.
    pub(crate) fn stored(&self) -> usize {
        8 + 8 + self.subject.len() + 8 + self.name.len() + 8 + self.value.len()
    }
}

/// Refuses texts that are too long.
pub(crate) fn check(entries: &[Condition]) -> Result<()> {
    let texts = entries
        .iter()
        .flat_map(|entry| [&entry.subject, &entry.name, &entry.value]);
    texts.map(String::len).try_for_each(limits::check_string)
}
