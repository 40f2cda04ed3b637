//! The error of numbers that come from a part of the pages: pages are dealt out to sixteen groups by chance, each group
//! gives an estimate of its own, and how far these lie apart tells how far the whole may be off.

use crate::verbs::memory::curve::{Curve, Tally};

/// Groups of pages.
const GROUPS: usize = 16;

/// What one group of pages has.
#[derive(Clone, Debug, Default)]
struct Group {
    curve: Curve,
    /// All majors of followed pages, first ones too.
    majors: Tally,
}

/// Refaults of followed pages, by group.
#[derive(Clone, Debug)]
pub struct Groups {
    groups: Vec<Group>,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            groups: vec![Group::default(); GROUPS],
        }
    }
}

impl Groups {
    /// Adds a major of a followed page; `pages` is its distance if it is a refault.
    pub fn add(&mut self, hash: u64, pages: Option<u64>, latency_ns: u64, times: u64) {
        let slot = usize::try_from(hash % GROUPS as u64).unwrap_or(0);
        if let Some(group) = self.groups.get_mut(slot) {
            group.majors.add(latency_ns, times);
            if let Some(pages) = pages {
                group.curve.add(pages, latency_ns, times);
            }
        }
    }

    /// All groups together.
    #[must_use]
    pub fn curve(&self) -> Curve {
        let mut all = Curve::default();
        self.groups.iter().for_each(|group| all.merge(&group.curve));
        all
    }

    /// Majors of followed pages, scaled up.
    #[must_use]
    pub fn majors(&self) -> Tally {
        let mut all = Tally::default();
        self.groups.iter().for_each(|group| all.merge(group.majors));
        all
    }

    /// Two standard errors of the share of majors and of the share of waiting that distances below `room` have, in tenths of a
    /// percent, rounded up.
    #[must_use]
    pub fn error_per_mille(&self, room: u64) -> (u64, u64) {
        let all = (self.curve().within(room), self.majors());
        let error = |of: fn(Tally) -> u64| {
            let whole = of(all.1) as f64;
            if whole == 0.0 {
                return 0;
            }
            let share = of(all.0) as f64 / whole;
            // The error of a ratio: what each group has more or less than the common share gives it.
            let squares: f64 = self
                .groups
                .iter()
                .map(|group| of(group.curve.within(room)) as f64 - share * of(group.majors) as f64)
                .map(|residual| residual * residual)
                .sum();
            let groups = GROUPS as f64;
            let standard = (squares * groups / (groups - 1.0)).sqrt() / whole;
            // No share is negative, and a cast of what is too large ends at the largest.
            (2_000.0 * standard).ceil() as u64
        };
        (error(|tally| tally.count), error(|tally| tally.wait_ns))
    }
}
