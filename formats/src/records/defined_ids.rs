//! Which dictionary ids a trace has defined so far, and what keeping their entries costs a reader.
//!
//! Counts by the ids themselves: flags and ranges are claims of the file.

use crate::error::{FormatError, Result};
use crate::{Dict, Object, limits};

/// Bytes of an object besides its path: kind, device, inode.
const OBJECT: u64 = 1 + 4 + 4 + 8;

/// Bytes of a frame.
const FRAME: u64 = 4 + 8;

/// Bytes of a node of the trie of stacks.
const STACK: u64 = 4 + 4 + 1;

/// The ids seen of each table, and the stored bytes of their first entries.
#[derive(Default)]
pub(crate) struct Known {
    comms: Seen,
    objects: Seen,
    frames: Seen,
    stacks: Seen,
    symbols: Seen,
    build_ids: Seen,
    bytes: u64,
}

/// One bit for each id, as far as the largest one seen: at most 512 KiB.
#[derive(Default)]
pub(crate) struct Seen(Vec<u64>);

impl Known {
    /// Counts the entries whose ids are new; those that come again cost a reader nothing. Entries that
    /// would exceed the limit are refused together and stay unknown.
    pub(crate) fn note(&mut self, dict: &Dict) -> Result<()> {
        let (seen, costs): (_, Vec<(u32, u64)>) = match dict {
            Dict::Comms { first_id, entries } => {
                let cost = |comm: &String| limits::LENGTH + comm.len() as u64;
                (&mut self.comms, numbered(*first_id, entries, cost))
            }
            Dict::Objects { first_id, entries } => {
                let cost = |object: &Object| OBJECT + limits::LENGTH + object.path.len() as u64;
                (&mut self.objects, numbered(*first_id, entries, cost))
            }
            Dict::Frames { first_id, entries } => (&mut self.frames, numbered(*first_id, entries, |_| FRAME)),
            Dict::Stacks { first_id, entries } => (&mut self.stacks, numbered(*first_id, entries, |_| STACK)),
            Dict::Symbols { entries } => {
                let costs = entries.iter().map(|symbol| (symbol.frame.0, symbol.stored()));
                (&mut self.symbols, costs.collect())
            }
            Dict::BuildIds { entries } => {
                let costs = entries
                    .iter()
                    .map(|build_id| (build_id.object.0, build_id.stored()));
                (&mut self.build_ids, costs.collect())
            }
        };
        let new = costs.iter().filter(|(id, _)| !seen.contains(*id));
        // A record holds 8 MiB at most: no overflow.
        let bytes = self.bytes + new.map(|(_, cost)| cost).sum::<u64>();
        if bytes > limits::DICTIONARIES {
            return Err(FormatError::Limit {
                what: "bytes of all dictionaries",
                limit: limits::DICTIONARIES,
                actual: bytes,
            });
        }
        for (id, _) in costs {
            seen.insert(id);
        }
        self.bytes = bytes;
        Ok(())
    }
}

/// Each entry's id and cost.
fn numbered<T>(first_id: u32, entries: &[T], cost: impl Fn(&T) -> u64) -> Vec<(u32, u64)> {
    (first_id..).zip(entries.iter().map(cost)).collect()
}

impl Seen {
    pub(crate) fn contains(&self, id: u32) -> bool {
        let word = self.0.get(id as usize / 64);
        word.is_some_and(|bits| bits & (1 << (id % 64)) != 0)
    }

    /// How many of them are not among others.
    pub(crate) fn not_in(&self, others: &Self) -> u64 {
        let others = others.0.iter().copied().chain(std::iter::repeat(0));
        let missing = self.0.iter().zip(others).map(|(ids, others)| ids & !others);
        missing.map(|ids| u64::from(ids.count_ones())).sum()
    }

    pub(crate) fn insert(&mut self, id: u32) {
        let at = id as usize / 64;
        if at >= self.0.len() {
            self.0.resize(at + 1, 0);
        }
        self.0[at] |= 1 << (id % 64);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn comms(first_id: u32, count: usize, len: usize) -> Dict {
        let entries = vec!["x".repeat(len); count];
        Dict::Comms { first_id, entries }
    }

    #[test]
    fn only_entries_with_new_ids_count() {
        let mut known = Known::default();
        known.note(&comms(limits::DICT_ID, 1, 2)).unwrap();
        assert_eq!(known.bytes, 10);
        known.note(&comms(1, 2, 2)).unwrap();
        known.note(&comms(1, 3, 2)).unwrap();
        known.note(&comms(2, 2, 2)).unwrap();
        assert_eq!(known.bytes, 40);
        let entries = vec![Object::default()];
        known.note(&Dict::Objects { first_id: 1, entries }).unwrap();
        assert_eq!(known.bytes, 65);
        assert!(known.comms.0.len() * 8 <= (512 << 10) + 8);
    }

    #[test]
    fn entries_refused_stay_unknown_and_are_refused_again() {
        let mut known = Known {
            bytes: limits::DICTIONARIES - 20,
            ..Known::default()
        };
        for _ in 0..2 {
            known.note(&comms(1, 1, 13)).unwrap_err();
        }
        known.note(&comms(1, 1, 12)).unwrap();
        assert_eq!(known.bytes, limits::DICTIONARIES);
    }
}
