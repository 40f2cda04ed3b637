//! Places in a list for ids out of a dictionary: small numbers as a rule, whatever a forged file may have.

use crate::stats::bounded_map::Index;
use polars::prelude::PlHashMap;

/// Ids below this are looked up in an array.
const SMALL: u32 = 1 << 16;

/// Slots by id.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    /// Slot + 1 by id; 0 is not known.
    small: Vec<u32>,
    large: PlHashMap<u32, u32>,
}

impl Index<u32> for Slots {
    #[inline]
    fn find(&self, &id: &u32) -> Option<usize> {
        match self.small.get(id as usize) {
            Some(&slot) => (slot as usize).checked_sub(1),
            None if id < SMALL => None,
            None => self.large.find(&id),
        }
    }

    #[cold]
    fn set(&mut self, id: u32, slot: usize) {
        if id >= SMALL {
            return self.large.set(id, slot);
        }
        if id as usize >= self.small.len() {
            self.small.resize(id as usize + 1, 0);
        }
        if let Some(place) = self.small.get_mut(id as usize) {
            *place = u32::try_from(slot).map_or(u32::MAX, |slot| slot.saturating_add(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::bounded_map::OTHERS;

    #[test]
    fn every_id_has_one_slot() {
        let mut slots = Slots::default();
        let ids = [7, 0, u32::MAX, 7, SMALL, SMALL - 1, u32::MAX, 0];
        let mut next = 0;
        let found = ids.map(|id| {
            slots.find(&id).unwrap_or_else(|| {
                slots.set(id, next);
                next += 1;
                next - 1
            })
        });
        assert_eq!(found, [0, 1, 2, 0, 3, 4, 2, 1]);
        for id in [7, u32::MAX] {
            slots.set(id, OTHERS);
            assert_eq!(slots.find(&id), Some(OTHERS));
        }
    }
}
