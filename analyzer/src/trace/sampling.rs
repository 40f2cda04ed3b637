//! What one row stands for: the only place that knows the weight of a row. With `--sample N` the recorder kept one minor
//! fault in N, chosen by chance; every other fault was kept.

use crate::trace::class::Class;

/// The sampling of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    one_in: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self::one_in(1)
    }
}

impl Sampling {
    /// One minor fault in `one_in` was recorded; 0 and 1 mean every one.
    #[must_use]
    pub fn one_in(one_in: u32) -> Self {
        Self {
            one_in: u64::from(one_in.max(1)),
        }
    }

    /// How many minor faults one recorded minor fault stands for.
    #[must_use]
    pub fn factor(self) -> u64 {
        self.one_in
    }

    /// Whether minor faults are missing by intention.
    #[must_use]
    pub fn is_sampled(self) -> bool {
        self.one_in > 1
    }

    /// How many faults a row of this class stands for.
    #[must_use]
    pub fn weight(self, class: Class) -> u64 {
        match class {
            Class::Minor => self.one_in,
            Class::Major | Class::Failed => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_minor_faults_stand_for_others() {
        let sampling = Sampling::one_in(16);
        assert_eq!(Class::ALL.map(|class| sampling.weight(class)), [1, 16, 1]);
        for every in [Sampling::one_in(0), Sampling::one_in(1), Sampling::default()] {
            assert!(!every.is_sampled());
            assert_eq!(every.weight(Class::Minor), 1);
        }
    }
}
