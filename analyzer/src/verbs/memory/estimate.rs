//! From the distances of refaults to what more memory would have avoided, under a kernel that drops what was used longest
//! ago (LRU). A trace has the misses only, so the answer lies between two bounds.
//!
//! With M pages more, a page is still there when it comes back if not more than memory and M together were used since. Of
//! what was used since, the distance counts what was faulted. What was used without a fault was in memory all the time, and
//! cannot be more than memory holds: so distances below M are avoided in any case. Nor does a page come back that memory
//! kept: short distances show how many faults a page outlived, and only distances not much beyond that and M can be avoided.
//!
//! Pages do not all outlive as much: a kernel looks at use now and then, and keeps what was used twice for longer. So the bound
//! takes a distance that a quarter of the refaults stay below, and the estimate, which is made where it is known how much memory
//! there was, one that a tenth stays below, and no more than that memory. Measured where a random walk with a hot set was recorded
//! with 64 and 96 MiB, and again with 16 to 96 MiB more, the estimate was off by up to a fifth of what
//! was avoided, and what was avoided exceeded the upper bound once, by a fiftieth.

use crate::verbs::memory::curve::{Curve, Tally};

/// Refaults in thousandths below the distance that pages outlive: for the bound, and for the estimate.
const BOUND_PER_MILLE: u64 = 250;
const ESTIMATE_PER_MILLE: u64 = 100;

/// Fewer refaults do not tell what memory held.
const ENOUGH: u64 = 100;

/// What one amount of memory more would have avoided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Pages more.
    pub extra_pages: u64,
    /// Majors avoided at least.
    pub least: Tally,
    /// Majors avoided at most, or where memory is known about so many: all that memory can avoid if too few pages came back
    /// to tell.
    pub most: Tally,
}

/// The bounds.
#[derive(Clone, Debug)]
pub struct Estimate {
    curve: Curve,
    /// Faults that a page outlived in memory, in distinct pages; `None` if too few came back to tell.
    pub held_pages: Option<u64>,
    /// Whether it was known how much memory there was.
    pub is_known: bool,
}

impl Estimate {
    /// Of majors by distance; `memory_pages` if it is known how many pages memory held.
    #[must_use]
    pub fn of(curve: Curve, memory_pages: Option<u64>) -> Self {
        let is_enough = curve.total().count >= ENOUGH;
        let per_mille = match memory_pages {
            Some(_) => ESTIMATE_PER_MILLE,
            None => BOUND_PER_MILLE,
        };
        let shown = curve.quantile(per_mille).filter(|_| is_enough);
        let held_pages = match (shown, memory_pages) {
            (Some(shown), Some(known)) => Some(shown.min(known)),
            (shown, known) => shown.or(known),
        };
        Self {
            curve,
            held_pages,
            is_known: memory_pages.is_some(),
        }
    }

    /// Majors that any amount of memory can avoid.
    #[must_use]
    pub fn all(&self) -> Tally {
        self.curve.total()
    }

    /// Distances that so many pages more may avoid, and more.
    #[must_use]
    pub fn room(&self, extra_pages: u64) -> u64 {
        match self.held_pages {
            Some(held) => held.saturating_add(extra_pages),
            None => u64::MAX,
        }
    }

    /// What so many pages more avoid.
    #[must_use]
    pub fn step(&self, extra_pages: u64) -> Step {
        Step {
            extra_pages,
            least: self.curve.within(extra_pages),
            most: self.curve.reaching(self.room(extra_pages)),
        }
    }

    /// Powers of two from one page to what avoids all in any case.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let all = self.all().count;
        let mut steps = Vec::new();
        for power in 0..64 {
            let step = self.step(1 << power);
            steps.push(step);
            if step.least.count >= all {
                break;
            }
        }
        if all == 0 { Vec::new() } else { steps }
    }

    /// The smallest step that avoids `percent` of what can be avoided: by the estimate if memory is known, else in any case.
    #[must_use]
    pub fn worth(&self, percent: u64) -> Option<Step> {
        let enough = u128::from(self.all().count) * u128::from(percent);
        let count = |step: &Step| {
            if self.is_known {
                step.most.count
            } else {
                step.least.count
            }
        };
        self.steps()
            .into_iter()
            .find(|step| u128::from(count(step)) * 100 >= enough)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Of 1,600 pages 1,000 fit, and they are read in turn.
    fn passes() -> Curve {
        let mut curve = Curve::default();
        (0..1_000).for_each(|_| curve.add(1_599, 10, 1));
        curve
    }

    #[test]
    fn the_truth_of_repeated_passes_lies_between_the_bounds() {
        let estimate = Estimate::of(passes(), None);
        let shown = estimate.held_pages.unwrap();
        assert!((1_584..1_600).contains(&shown), "{shown}");
        // 600 are missing.
        let bounds = |extra| (estimate.step(extra).least.count, estimate.step(extra).most.count);
        assert_eq!(bounds(16), (0, 1_000));
        assert_eq!(bounds(512), (0, 1_000));
        assert_eq!(bounds(2_048), (1_000, 1_000));
        assert_eq!(estimate.worth(80).unwrap().extra_pages, 2_048);
        assert_eq!(estimate.steps().last().unwrap().extra_pages, 2_048);
    }

    #[test]
    fn who_knows_the_memory_gets_an_estimate() {
        let estimate = Estimate::of(passes(), Some(1_000));
        assert_eq!(estimate.held_pages, Some(1_000));
        assert_eq!(estimate.step(512).most.count, 0);
        assert_eq!(estimate.worth(80).unwrap().extra_pages, 1_024);
    }

    #[test]
    fn few_refaults_do_not_tell_what_memory_held() {
        let mut curve = Curve::default();
        curve.add(5_000, 10, 99);
        let estimate = Estimate::of(curve, None);
        assert_eq!(estimate.held_pages, None);
        assert_eq!(
            (estimate.step(1).least.count, estimate.step(1).most.count),
            (0, 99)
        );
        assert_eq!(estimate.worth(80).unwrap().extra_pages, 8_192);
        assert!(Estimate::of(Curve::default(), None).steps().is_empty());
    }
}
