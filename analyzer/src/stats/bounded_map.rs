//! Sums by key in bounded memory, for the tables that grow with what a trace says: threads, files, stacks. When there are too
//! many keys the lighter half is put together, and stays together: so every sum that is kept is whole, and with the sum of the
//! others all of them are those of the trace. It does not know what is summed up.

use crate::output::units::grouped;
use polars::prelude::PlHashMap;
use std::cmp::Reverse;
use std::hash::Hash;

/// Threads, files or names of threads kept apart: some 50 MB. A machine that builds software for an hour has fewer.
pub(crate) const MOST: usize = 1 << 16;

/// Keys that are known to be among the others; when there are more, no key is new any more.
const KNOWN_OTHERS: u64 = 1 << 20;

/// The slot of all that are not kept apart.
pub(crate) const OTHERS: usize = u32::MAX as usize - 1;

/// What their row is called.
pub(crate) const OTHERS_NAME: &str = "others";

/// What is kept of a key.
pub trait Sum: Default {
    /// The heavier are kept.
    fn weight(&self) -> u128;

    /// Adds what another key had.
    fn merge(&mut self, other: Self);
}

/// Where slots are found by key.
pub trait Index<K>: Default {
    /// The slot of a key.
    fn find(&self, key: &K) -> Option<usize>;

    /// Gives a key another slot.
    fn set(&mut self, key: K, slot: usize);
}

impl<K: Eq + Hash> Index<K> for PlHashMap<K, u32> {
    fn find(&self, key: &K) -> Option<usize> {
        self.get(key).map(|&slot| slot as usize)
    }

    fn set(&mut self, key: K, slot: usize) {
        self.insert(key, u32::try_from(slot).unwrap_or(OTHERS as u32));
    }
}

/// The collector.
#[derive(Clone, Debug)]
pub struct Kept<K, T, I = PlHashMap<K, u32>> {
    most: usize,
    index: I,
    kept: Vec<(K, T)>,
    others: T,
    known_others: u64,
    is_closed: bool,
}

impl<K, T: Default, I: Default> Default for Kept<K, T, I> {
    fn default() -> Self {
        Self {
            most: MOST,
            index: I::default(),
            kept: Vec::new(),
            others: T::default(),
            known_others: 0,
            is_closed: false,
        }
    }
}

impl<K: Copy + Ord, T: Sum, I: Index<K>> Kept<K, T, I> {
    /// For `most` keys.
    #[must_use]
    pub fn at_most(most: usize) -> Self {
        Self {
            most: most.max(1),
            ..Self::default()
        }
    }

    /// The slot of a key if it has one already.
    #[inline]
    pub fn find(&self, key: &K) -> Option<usize> {
        self.index.find(key)
    }

    /// The slot of a key, which is made if need be; then those of other keys may change.
    #[inline]
    pub(crate) fn slot(&mut self, key: K) -> usize {
        match self.index.find(&key) {
            Some(slot) => slot,
            None => self.make(key),
        }
    }

    /// What is in a slot.
    #[inline]
    pub fn at(&mut self, slot: usize) -> &mut T {
        match self.kept.get_mut(slot) {
            Some((_, sum)) => sum,
            None => &mut self.others,
        }
    }

    /// What is kept of a key, or of the others if it is one of them.
    pub fn of(&mut self, key: K) -> &mut T {
        let slot = self.slot(key);
        self.at(slot)
    }

    /// What is kept of a key alone.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&T> {
        let (_, sum) = self.kept.get(self.index.find(key)?)?;
        Some(sum)
    }

    /// Those that are kept apart, in the order in which they were met.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &T)> {
        self.kept.iter().map(|(key, sum)| (key, sum))
    }

    /// How many are kept apart.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// All others together; `None` when every key is kept apart.
    #[must_use]
    pub fn others(&self) -> Option<&T> {
        (self.known_others > 0).then_some(&self.others)
    }

    /// How many others there are, in words such as `more than 1,048,576 threads`; `None` when every key is kept apart.
    #[must_use]
    pub(crate) fn describe_others(&self, what: &str) -> Option<String> {
        let more = if self.is_closed { "more than " } else { "" };
        (self.known_others > 0).then(|| format!("{more}{} {what}", grouped(self.known_others)))
    }

    #[cold]
    fn make(&mut self, key: K) -> usize {
        if !self.is_closed && self.kept.len() >= self.most {
            self.put_lighter_half_together();
        }
        if self.is_closed {
            return OTHERS;
        }
        let slot = self.kept.len();
        self.kept.push((key, T::default()));
        self.index.set(key, slot);
        slot
    }

    fn put_lighter_half_together(&mut self) {
        if self.known_others >= KNOWN_OTHERS {
            self.is_closed = true;
            return;
        }
        let mut order: Vec<(Reverse<u128>, K, usize)> = self
            .kept
            .iter()
            .enumerate()
            .map(|(slot, (key, sum))| (Reverse(sum.weight()), *key, slot))
            .collect();
        order.sort_unstable();
        let count = self.kept.len().div_ceil(2).min(self.most - 1);
        let mut stays = vec![false; self.kept.len()];
        for (_, _, slot) in order.into_iter().take(count) {
            if let Some(stays) = stays.get_mut(slot) {
                *stays = true;
            }
        }
        for ((key, sum), stays) in std::mem::take(&mut self.kept).into_iter().zip(stays) {
            if stays {
                self.index.set(key, self.kept.len());
                self.kept.push((key, sum));
            } else {
                self.index.set(key, OTHERS);
                self.others.merge(sum);
                self.known_others += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Sum for u64 {
        fn weight(&self) -> u128 {
            u128::from(*self)
        }

        fn merge(&mut self, other: Self) {
            *self += other;
        }
    }

    #[test]
    fn what_is_kept_is_whole_and_nothing_is_lost() {
        let mut kept: Kept<u32, u64> = Kept::at_most(16);
        // A heavy key, and a thousand light ones that come again and again.
        let rows: Vec<u32> = (0..20_000)
            .map(|row| if row % 3 == 0 { 7 } else { row % 1_000 + 100 })
            .collect();
        for &row in &rows {
            *kept.of(row) += 1;
        }
        assert!(kept.len() <= 16);
        for (key, &count) in kept.iter() {
            let own = rows.iter().filter(|row| *row == key);
            assert_eq!(count, own.count() as u64, "{key}");
        }
        assert!(kept.get(&7).is_some());
        let sum: u64 = kept.iter().map(|(_, count)| count).sum();
        assert_eq!(kept.others().map(|others| others + sum), Some(20_000));
        let others = 1_001 - kept.len();
        assert_eq!(
            kept.describe_others("keys"),
            Some(format!("{} keys", grouped(others as u64)))
        );
    }

    #[test]
    fn few_keys_have_no_others() {
        let mut kept: Kept<u32, u64> = Kept::at_most(3);
        [5, 6, 5, 4].into_iter().for_each(|key| *kept.of(key) += 1);
        let all: Vec<_> = kept.iter().collect();
        assert_eq!(all, [(&5, &2), (&6, &1), (&4, &1)]);
        assert_eq!((kept.others(), kept.describe_others("keys")), (None, None));
    }
}
