//! Waits for pages of which no fault tells: the kernel touched the memory itself.

use bincode::{Decode, Encode};

use crate::error::Result;
use crate::limits;
use crate::records::meta::shorten_to;
use crate::{CommId, ObjectId, StackId};

/// A sleep of a thread inside `get_user_pages`, on behalf of a system call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct HiddenWait {
    /// When it began, `CLOCK_MONOTONIC` nanoseconds.
    pub begin_ns: u64,
    /// How long the thread was not running.
    pub wait_ns: u64,
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Name of the thread.
    pub comm: CommId,
    /// Name of the system call, as in mmap(2); empty when it is not known.
    pub syscall: String,
    /// Where the kernel slept; 0 when that was lost.
    pub sleep: StackId,
    /// The file to whose page cache the thread had added pages last, in the same system call; 0 when it had not.
    pub object: ObjectId,
}

impl HiddenWait {
    /// A copy within the limits of a writer.
    pub(crate) fn bounded(&self) -> Self {
        let mut entry = self.clone();
        shorten_to(&mut entry.syscall, limits::SHORT_NAME);
        entry
    }

    /// Bytes in a record.
    pub(crate) fn stored(&self) -> usize {
        8 + 8 + 4 + 4 + 4 + 8 + self.syscall.len() + 4 + 4
    }
}

/// Refuses ids that no dictionary can define, and names that are too long.
pub(crate) fn check(entries: &[HiddenWait]) -> Result<()> {
    let ids = entries
        .iter()
        .flat_map(|entry| [entry.comm.0, entry.sleep.0, entry.object.0]);
    ids.map(u64::from).try_for_each(limits::check_id)?;
    let names = entries.iter().map(|entry| entry.syscall.len());
    names.into_iter().try_for_each(limits::check_string)
}
