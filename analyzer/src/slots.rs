//! Places in a list for ids out of a dictionary: small numbers as a rule, whatever a forged file may have.

use polars::prelude::PlHashMap;

/// Ids below this are looked up in an array.
const SMALL: u32 = 1 << 16;

/// Slots 0, 1, 2 … in the order in which ids were first seen.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    /// Slot + 1 by id; 0 is not known.
    small: Vec<u32>,
    large: PlHashMap<u32, u32>,
    len: u32,
}

impl Slots {
    /// The slot of an id, the next one if it is new.
    #[inline]
    pub fn of(&mut self, id: u32) -> usize {
        match self.small.get(id as usize) {
            Some(&slot) if slot > 0 => slot as usize - 1,
            _ => self.make(id),
        }
    }

    #[cold]
    fn make(&mut self, id: u32) -> usize {
        let next = self.len.saturating_add(1);
        let slot = if id < SMALL {
            if id as usize >= self.small.len() {
                self.small.resize(id as usize + 1, 0);
            }
            match self.small.get_mut(id as usize) {
                Some(slot) => {
                    *slot = next;
                    next
                }
                None => next,
            }
        } else {
            *self.large.entry(id).or_insert(next)
        };
        self.len = self.len.max(slot);
        slot as usize - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_has_one_slot() {
        let mut slots = Slots::default();
        let ids = [7, 0, u32::MAX, 7, SMALL, SMALL - 1, u32::MAX, 0];
        assert_eq!(ids.map(|id| slots.of(id)), [0, 1, 2, 0, 3, 4, 2, 1]);
    }
}
