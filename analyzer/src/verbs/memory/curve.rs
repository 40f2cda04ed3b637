//! How many refaults would have been avoided by how much more memory: counts and waits by distance, and their sums up to
//! a distance. It knows no pages.

/// Steps per power of two of distance, as a power of two.
const SUB_BITS: u32 = 6;
const SUB: u64 = 1 << SUB_BITS;

/// Faults and what they waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Faults.
    pub count: u64,
    /// Sum of their latencies.
    pub wait_ns: u64,
}

impl Tally {
    /// Adds `times` faults of one latency.
    pub fn add(&mut self, latency_ns: u64, times: u64) {
        self.merge(Self {
            count: times,
            wait_ns: latency_ns.saturating_mul(times),
        });
    }

    /// Adds what `other` has.
    pub(crate) fn merge(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.wait_ns = self.wait_ns.saturating_add(other.wait_ns);
    }
}

/// Refaults by distance. Sums up to a power of two are exact, others to 1/64 of the distance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Curve {
    steps: Vec<Tally>,
}

impl Curve {
    /// Adds `times` refaults with so many distinct pages between.
    pub fn add(&mut self, pages: u64, latency_ns: u64, times: u64) {
        let step = step_of(pages);
        if self.steps.len() <= step {
            self.steps.resize(step + 1, Tally::default());
        }
        if let Some(tally) = self.steps.get_mut(step) {
            tally.add(latency_ns, times);
        }
    }

    /// Adds what `other` has.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.steps.len() < other.steps.len() {
            self.steps.resize(other.steps.len(), Tally::default());
        }
        for (own, &theirs) in self.steps.iter_mut().zip(&other.steps) {
            own.merge(theirs);
        }
    }

    /// Those with fewer than `room` pages between: they find their page among the last `room` ones. A step that is not
    /// whole does not count.
    #[must_use]
    pub fn within(&self, room: u64) -> Tally {
        self.first(step_of(room))
    }

    /// As [`Curve::within`], but a step counts if a part of it is within.
    #[must_use]
    pub fn reaching(&self, room: u64) -> Tally {
        match room.checked_sub(1) {
            Some(last) => self.first(step_of(last) + 1),
            None => Tally::default(),
        }
    }

    fn first(&self, steps: usize) -> Tally {
        let mut sum = Tally::default();
        self.steps.iter().take(steps).for_each(|&tally| sum.merge(tally));
        sum
    }

    /// Those with `2^power` pages between or more, and fewer than twice as many; `None` stands for no page between.
    #[must_use]
    pub(crate) fn octave(&self, power: Option<u32>) -> Tally {
        let below = |room: u64| self.within(room);
        let (low, high) = match power {
            None => (Tally::default(), below(1)),
            Some(power) => (below(1 << power.min(62)), below(2 << power.min(62))),
        };
        Tally {
            count: high.count - low.count,
            wait_ns: high.wait_ns - low.wait_ns,
        }
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> Tally {
        self.first(usize::MAX)
    }

    /// The smallest distance of a step that `per_mille` of the refaults do not exceed; `None` without refaults.
    #[must_use]
    pub fn quantile(&self, per_mille: u64) -> Option<u64> {
        let total = u128::from(self.total().count);
        let mut seen = 0u128;
        for (step, tally) in self.steps.iter().enumerate() {
            seen += u128::from(tally.count);
            if tally.count > 0 && seen * 1_000 >= total * u128::from(per_mille) {
                return Some(lower_bound(step));
            }
        }
        None
    }
}

fn step_of(pages: u64) -> usize {
    if pages < SUB {
        return usize::try_from(pages).unwrap_or(0);
    }
    let shift = pages.ilog2() - SUB_BITS;
    usize::try_from(SUB * u64::from(shift) + (pages >> shift)).unwrap_or(0)
}

fn lower_bound(step: usize) -> u64 {
    let step = step as u64;
    if step < SUB {
        return step;
    }
    let shift = u32::try_from(step / SUB - 1).unwrap_or(0).min(63 - SUB_BITS);
    (SUB + step % SUB).checked_shl(shift).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn steps_follow_each_other_and_powers_of_two_begin_one() {
        for step in 0..3_700 {
            assert_eq!(step_of(lower_bound(step)), step);
            assert_eq!(step_of(lower_bound(step + 1) - 1), step);
        }
        assert!((0..60).all(|power| lower_bound(step_of(1 << power)) == 1 << power));
        assert!(step_of(u64::MAX) < 4_000);
    }

    #[test]
    fn sums_up_to_a_power_of_two_are_exact() {
        let mut curve = Curve::default();
        (0..1_000).for_each(|pages| curve.add(pages, 10, 2));
        for room in [0, 1, 2, 8, 16, 64, 512] {
            assert_eq!(
                curve.within(room),
                Tally {
                    count: 2 * room,
                    wait_ns: 20 * room
                }
            );
        }
        assert_eq!(curve.within(1_024).count, 2_000);
        assert_eq!(curve.total().count, 2_000);
        assert_eq!(
            (curve.within(997).count, curve.reaching(997).count),
            (1_984, 2_000)
        );
        assert_eq!((curve.octave(None).count, curve.octave(Some(3)).count), (2, 16));
        let sums: u64 = (0..64).map(|power| curve.octave(Some(power)).count).sum();
        assert_eq!(sums, 1_998);
        assert!((480..=500).contains(&curve.quantile(500).unwrap()));
        assert_eq!(Curve::default().quantile(500), None);
    }

    #[test]
    fn extreme_distances_do_not_overflow() {
        let mut curve = Curve::default();
        curve.add(u64::MAX, u64::MAX, u64::MAX);
        assert_eq!(curve.within(u64::MAX).count, 0);
        assert_eq!(curve.total().count, u64::MAX);
        assert_eq!(curve.reaching(u64::MAX).count, u64::MAX);
    }
}
