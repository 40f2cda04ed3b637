//! Dictionaries: the strings and objects that events refer to by number.

use bincode::{Decode, Encode};

use crate::ObjectKind;
use crate::error::{FormatError, Result};
use crate::limits;

/// Something that can be mapped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Object {
    /// What it is.
    pub kind: ObjectKind,
    /// Major number of the file's device.
    pub dev_major: u32,
    /// Minor number of the file's device.
    pub dev_minor: u32,
    /// Inode number, 0 for what is no file.
    pub inode: u64,
    /// Path of the file, or a name such as `[heap]`.
    pub path: String,
}

/// Entries of one dictionary. The first has `first_id`, the next one more. Ids are never 0 and never
/// get another meaning; the same entries may come again.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Dict {
    /// Thread names.
    Comms {
        /// Id of the first entry.
        first_id: u32,
        /// The names.
        entries: Vec<String>,
    },
    /// Mapped objects.
    Objects {
        /// Id of the first entry.
        first_id: u32,
        /// The objects.
        entries: Vec<Object>,
    },
}

impl Dict {
    /// The ids are in range and no string is over the limit.
    pub(crate) fn check(&self) -> Result<()> {
        let (first_id, count, longest) = match self {
            Self::Comms { first_id, entries } => {
                (*first_id, entries.len(), entries.iter().map(String::len).max())
            }
            Self::Objects { first_id, entries } => (
                *first_id,
                entries.len(),
                entries.iter().map(|object| object.path.len()).max(),
            ),
        };
        let last = u64::from(first_id).saturating_add(count as u64).saturating_sub(1);
        if first_id == 0 || last > u64::from(limits::DICT_ID) {
            let actual = if first_id == 0 { 0 } else { last };
            return Err(FormatError::Limit {
                what: "dictionary id, counted from 1",
                limit: limits::DICT_ID.into(),
                actual,
            });
        }
        limits::check_string(longest.unwrap_or(0))
    }
}
