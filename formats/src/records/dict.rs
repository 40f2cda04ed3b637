//! Dictionaries: the strings, objects and stacks that events refer to by number.

use std::borrow::Cow;

use bincode::{Decode, Encode};

use crate::error::{FormatError, Result};
use crate::limits;
use crate::{BuildId, Frame, ObjectKind, StackNode, Symbol};

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

/// Entries of one dictionary. The first has `first_id`, the next one more; symbols and build ids name
/// what they belong to. Ids are never 0 and never get another meaning; the same entries may come
/// again.
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
    /// Places in the code.
    Frames {
        /// Id of the first entry.
        first_id: u32,
        /// The frames.
        entries: Vec<Frame>,
    },
    /// Call stacks, as nodes of a trie.
    Stacks {
        /// Id of the first entry.
        first_id: u32,
        /// The nodes.
        entries: Vec<StackNode>,
    },
    /// Names of frames, at the end of a recording. When a frame comes again, the first name stands.
    Symbols {
        /// The names.
        entries: Vec<Symbol>,
    },
    /// Build ids of mapped files, at the end of a recording. When a file comes again, the first stands.
    BuildIds {
        /// The build ids.
        entries: Vec<BuildId>,
    },
}

impl Dict {
    /// A copy whose symbols are within the limits, where it has symbols.
    pub(crate) fn bounded(&self) -> Cow<'_, Self> {
        match self {
            Self::Symbols { entries } => Cow::Owned(Self::Symbols {
                entries: entries.iter().map(Symbol::bounded).collect(),
            }),
            _ => Cow::Borrowed(self),
        }
    }

    /// The ids are in range and no string is over the limit.
    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Comms { first_id, entries } => {
                check_range(*first_id, entries.len())?;
                entries
                    .iter()
                    .try_for_each(|comm| limits::check_string(comm.len()))
            }
            Self::Objects { first_id, entries } => {
                check_range(*first_id, entries.len())?;
                let mut paths = entries.iter().map(|object| object.path.len());
                paths.try_for_each(limits::check_string)
            }
            Self::Frames { first_id, entries } => {
                check_range(*first_id, entries.len())?;
                let mut objects = entries.iter().map(|frame| frame.object.0);
                objects.try_for_each(|id| limits::check_id(id.into()))
            }
            Self::Stacks { first_id, entries } => {
                check_range(*first_id, entries.len())?;
                let mut frames = entries.iter().map(|node| node.frame.0);
                frames.try_for_each(|id| limits::check_id(id.into()))?;
                check_parents(*first_id, entries)
            }
            Self::Symbols { entries } => entries.iter().try_for_each(|symbol| {
                check_range(symbol.frame.0, 1)?;
                symbol.check()
            }),
            Self::BuildIds { entries } => entries.iter().try_for_each(|build_id| {
                check_range(build_id.object.0, 1)?;
                build_id.check()
            }),
        }
    }
}

fn check_range(first_id: u32, count: usize) -> Result<()> {
    let last = u64::from(first_id).saturating_add(count as u64).saturating_sub(1);
    if first_id == 0 || last > u64::from(limits::DICT_ID) {
        let actual = if first_id == 0 { 0 } else { last };
        return Err(FormatError::Limit {
            what: "dictionary id, counted from 1",
            limit: limits::DICT_ID.into(),
            actual,
        });
    }
    Ok(())
}

/// Parents with smaller ids make a walk to the outermost frame end, whatever the file says.
fn check_parents(first_id: u32, nodes: &[StackNode]) -> Result<()> {
    let wrong = (first_id..).zip(nodes).find(|(id, node)| node.parent.0 >= *id);
    match wrong {
        None => Ok(()),
        Some((id, node)) => Err(FormatError::StackParent {
            id,
            parent: node.parent.0,
        }),
    }
}
