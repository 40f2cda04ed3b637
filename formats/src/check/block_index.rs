//! The block index of the footer against the blocks that were read: which of them are gone, and where they were.

use std::collections::HashMap;

use crate::BlockInfo;
use crate::check::digest;

/// Blocks remembered: more than an index can list.
const REMEMBERED: usize = 1 << 20;

/// How the block index of the footer fits the blocks that were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IndexCheck {
    /// Blocks it lists.
    pub listed: u64,
    /// Of these, blocks that were not read.
    pub missing: u64,
    /// Blocks read that it does not list.
    pub extra: u64,
    /// Blocks that are not where it says: bytes were added or taken away before them.
    pub moved: u64,
}

/// A block that the index lists and that was not read.
pub(crate) struct Missing<'a> {
    /// Blocks that were read before its place.
    pub(crate) blocks_before: usize,
    /// Where it would be, as the last block read before it tells.
    pub(crate) offset: u64,
    pub(crate) info: &'a BlockInfo,
}

/// The blocks read so far, in 16 bytes each.
#[derive(Default)]
pub(crate) struct BlocksRead {
    blocks: Vec<(u64, u64)>,
    total: usize,
}

impl BlocksRead {
    pub(crate) fn add(&mut self, info: &BlockInfo) {
        if self.blocks.len() < REMEMBERED {
            self.blocks.push((info.offset, digest::of_statistics(info)));
        }
        self.total += 1;
    }

    pub(crate) fn len(&self) -> usize {
        self.total
    }

    /// Compares with an index, and tells of each block that is missing, in order. `None` when there is nothing to
    /// compare with.
    pub(crate) fn compare(
        &self,
        index: &[BlockInfo],
        tell: &mut dyn FnMut(Missing<'_>),
    ) -> Option<IndexCheck> {
        if index.is_empty() || self.total > self.blocks.len() {
            return None;
        }
        let mut check = IndexCheck {
            listed: index.len() as u64,
            ..IndexCheck::default()
        };
        // By what blocks say of themselves: their places are wrong behind bytes that were taken away.
        let mut left: HashMap<u64, u32> = HashMap::new();
        for (_, statistics) in &self.blocks {
            *left.entry(*statistics).or_default() += 1;
        }
        let mut blocks_before = 0;
        let mut shift = 0;
        for info in index {
            match left.get_mut(&digest::of_statistics(info)) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    if let Some((offset, _)) = self.blocks.get(blocks_before) {
                        shift = i128::from(*offset) - i128::from(info.offset);
                        check.moved += u64::from(shift != 0);
                    }
                    blocks_before += 1;
                }
                _ => {
                    check.missing += 1;
                    tell(Missing {
                        blocks_before,
                        offset: u64::try_from(i128::from(info.offset) + shift).unwrap_or(0),
                        info,
                    });
                }
            }
        }
        check.extra = left.values().map(|count| u64::from(*count)).sum();
        Some(check)
    }
}
