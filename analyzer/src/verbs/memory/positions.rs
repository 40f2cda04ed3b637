//! How many pages were faulted since a given one: a position in the order of faults for each page, and a count of the
//! positions behind one of them, in O(log n). It knows positions and no pages.

/// Positions in one word of the bit set.
const WORD: usize = 64;

/// A bit per position, and a Fenwick tree over the words of the bit set.
#[derive(Clone, Debug)]
pub(crate) struct Positions {
    words: Vec<u64>,
    /// `tree[i]` counts the bits of the words `i + 1 - lowest_bit(i + 1) ..= i`.
    tree: Vec<u32>,
    next: u32,
    live: u32,
}

impl Positions {
    /// Room for at least so many positions.
    #[must_use]
    pub fn with_room(positions: usize) -> Self {
        let words = positions.div_ceil(WORD).max(1);
        Self {
            words: vec![0; words],
            tree: vec![0; words],
            next: 0,
            live: 0,
        }
    }

    /// Whether every position was given away: time to number them anew.
    #[must_use]
    pub(crate) fn is_full(&self) -> bool {
        self.next as usize >= self.words.len() * WORD
    }

    /// The next position, which is the last one now.
    pub fn take(&mut self) -> u32 {
        let position = self.next;
        self.next = self.next.saturating_add(1);
        self.flip(position, 1);
        self.live += 1;
        position
    }

    /// Gives a position up.
    pub fn clear(&mut self, position: u32) {
        self.flip(position, u32::MAX);
        self.live -= 1;
    }

    /// Live positions behind this one.
    #[must_use]
    pub fn behind(&self, position: u32) -> u32 {
        let word = position as usize / WORD;
        let mut before = self.words.get(word).map_or(0, |bits| {
            let up_to = u64::MAX >> (WORD as u32 - 1 - position % WORD as u32);
            (bits & up_to).count_ones()
        });
        let mut index = word;
        while index > 0 {
            before += self.tree.get(index - 1).copied().unwrap_or(0);
            index &= index - 1;
        }
        self.live - before
    }

    /// Adds `change` (1, or -1 as its complement) at a position.
    fn flip(&mut self, position: u32, change: u32) {
        let word = position as usize / WORD;
        if let Some(bits) = self.words.get_mut(word) {
            *bits ^= 1 << (position % WORD as u32);
        }
        let mut index = word + 1;
        while let Some(count) = self.tree.get_mut(index - 1) {
            *count = count.wrapping_add(change);
            index += index & index.wrapping_neg();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_behind_one_are_counted_as_by_hand() {
        let mut positions = Positions::with_room(1_000);
        let mut live: Vec<u32> = Vec::new();
        let mut state = 7u64;
        while !positions.is_full() {
            live.push(positions.take());
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if state >> 63 == 0 {
                let gone = live.remove((state >> 20) as usize % live.len());
                positions.clear(gone);
            }
            for &position in live.iter().step_by(17) {
                let expected = live.iter().filter(|&&other| other > position).count();
                assert_eq!(positions.behind(position) as usize, expected);
            }
        }
        assert!(live.len() > 300);
    }
}
