//! Latencies by group, in bounded memory. When there are too many groups, the lighter half is put together, and stays
//! together: so every group that is shown has all of its faults.

use crate::stats::histogram::Histogram;
use polars::prelude::{PlHashMap, PlHashSet};
use std::cmp::Reverse;

/// Groups kept apart: some 10 MB usually, 120 MB at worst.
pub(crate) const GROUPS_KEPT: usize = 4_096;
/// Groups that are known to be among the others; when there are more, no group is new any more.
const KNOWN_OTHERS: usize = 1 << 20;

/// From so many rows of one group on it pays to add them at once.
const LONG: usize = 16;

/// The faults of one group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Which.
    pub key: u64,
    /// How long they took.
    pub latencies: Histogram,
}

/// The collector.
#[derive(Clone, Debug)]
pub struct Groups {
    most: usize,
    slots: PlHashMap<u64, usize>,
    groups: Vec<Group>,
    others: Histogram,
    known_others: PlHashSet<u64>,
    is_closed: bool,
}

impl Default for Groups {
    fn default() -> Self {
        Self::new(GROUPS_KEPT)
    }
}

impl Groups {
    /// For `most` groups.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            slots: PlHashMap::default(),
            groups: Vec::new(),
            others: Histogram::default(),
            known_others: PlHashSet::default(),
            is_closed: false,
        }
    }

    /// Adds rows as (key, latency, weight). Keys mostly come in runs.
    pub fn add(&mut self, rows: impl Iterator<Item = (u64, u64, u64)>) {
        let mut last: Option<(u64, Option<usize>)> = None;
        for (key, latency_ns, weight) in rows {
            let slot = match last {
                Some((before, slot)) if before == key => slot,
                _ => self.slot(key),
            };
            last = Some((key, slot));
            self.latencies(slot).add_times(latency_ns, weight);
        }
    }

    /// Adds rows that stand for one fault each: faster where keys come in long runs.
    pub(crate) fn add_whole(&mut self, keys: &[u64], latencies_ns: &[u64]) {
        let mut rest = latencies_ns;
        for run in keys.chunk_by(|a, b| a == b) {
            let (own, others) = rest.split_at_checked(run.len()).unwrap_or((rest, &[]));
            rest = others;
            let Some(&key) = run.first() else {
                continue;
            };
            let slot = self.slot(key);
            let latencies = self.latencies(slot);
            if own.len() < LONG {
                own.iter().for_each(|&latency_ns| latencies.add(latency_ns));
            } else {
                latencies.add_all(own, 1);
            }
        }
    }

    fn latencies(&mut self, slot: Option<usize>) -> &mut Histogram {
        match slot.and_then(|slot| self.groups.get_mut(slot)) {
            Some(group) => &mut group.latencies,
            None => &mut self.others,
        }
    }

    /// The groups, in no order.
    #[must_use]
    pub fn all(&self) -> &[Group] {
        &self.groups
    }

    /// The faults of all other groups, how many these are, and whether there may be more.
    #[must_use]
    pub fn others(&self) -> (&Histogram, u64, bool) {
        (&self.others, self.known_others.len() as u64, self.is_closed)
    }

    /// Where a group is; `None` for one of the others.
    fn slot(&mut self, key: u64) -> Option<usize> {
        if let Some(&slot) = self.slots.get(&key) {
            return Some(slot);
        }
        if self.is_closed || self.known_others.contains(&key) {
            return None;
        }
        if self.groups.len() >= self.most {
            self.put_lighter_half_together();
            if self.is_closed {
                return None;
            }
        }
        let slot = self.groups.len();
        self.slots.insert(key, slot);
        self.groups.push(Group {
            key,
            latencies: Histogram::default(),
        });
        Some(slot)
    }

    fn put_lighter_half_together(&mut self) {
        if self.known_others.len() >= KNOWN_OTHERS {
            self.is_closed = true;
            return;
        }
        self.groups
            .sort_by_key(|group| (Reverse(group.latencies.count()), group.key));
        let kept = self.groups.len().div_ceil(2).min(self.most - 1);
        for group in self.groups.drain(kept..) {
            self.others.merge(&group.latencies);
            self.known_others.insert(group.key);
        }
        let slots = self.groups.iter().enumerate();
        self.slots = slots.map(|(slot, group)| (group.key, slot)).collect();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_group_that_is_kept_has_all_of_its_faults_and_none_is_lost() {
        let mut groups = Groups::new(16);
        // A heavy group, and a thousand light ones that come again and again.
        let rows = (0..20_000u64).map(|row| (if row % 3 == 0 { 7 } else { row % 1_000 + 100 }, row, 2));
        let rows: Vec<_> = rows.collect();
        groups.add(rows.iter().copied());
        assert!(groups.all().len() <= 16);
        for group in groups.all() {
            let own = rows.iter().filter(|row| row.0 == group.key);
            assert_eq!(group.latencies.count(), own.count() as u64 * 2, "{}", group.key);
        }
        assert!(groups.all().iter().any(|group| group.key == 7));
        let kept: u64 = groups.all().iter().map(|group| group.latencies.count()).sum();
        let (others, count, more) = groups.others();
        assert_eq!(kept + others.count(), 40_000);
        assert!(!more && count + groups.all().len() as u64 == 1_001);
    }

    #[test]
    fn runs_give_the_same_as_rows() {
        let keys: Vec<u64> = (0..9_000u64).map(|row| row / 7 % 5 + row / 1_000 * 10).collect();
        let latencies: Vec<u64> = (0..9_000u64).map(|row| row * row % 7_919).collect();
        let (mut at_once, mut one_by_one) = (Groups::new(8), Groups::new(8));
        at_once.add_whole(&keys, &latencies);
        one_by_one.add(
            keys.iter()
                .zip(&latencies)
                .map(|(&key, &latency)| (key, latency, 1)),
        );
        let found = |groups: &Groups| -> Vec<_> {
            let sums = groups.all().iter().map(|group| &group.latencies);
            let sums = sums.chain([groups.others().0]);
            sums.map(|sum| (sum.count(), sum.sum(), sum.max(), sum.quantile(50_000)))
                .collect()
        };
        assert_eq!(found(&at_once), found(&one_by_one));
        assert_eq!(at_once.others().1, one_by_one.others().1);
    }

    #[test]
    fn one_group_at_a_time_is_enough() {
        let mut groups = Groups::new(1);
        groups.add([(1, 5, 1), (2, 6, 1), (1, 7, 1)].into_iter());
        assert_eq!(groups.all().len() as u64 + groups.others().1, 2);
    }
}
