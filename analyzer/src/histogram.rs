//! A mergeable latency histogram with log-linear buckets over all of u64. Quantiles are within 1 % of the
//! true value (the middle of a bucket 1/64 wide); count, sum, minimum and maximum are exact.

/// Buckets per power of two, as a power of two: the middle of a bucket is at most 1/128 of its value away.
const SUB_BITS: u32 = 6;
const SUB: u64 = 1 << SUB_BITS;

/// What reports say about the precision of quantiles.
pub const PRECISION: &str = "quantiles are within 1 %; minimum and maximum are exact";

/// Counts of values, nanoseconds in practice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Index of the bucket that `buckets[0]` stands for; only the used range is stored.
    base: usize,
    buckets: Vec<u64>,
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
}

impl Histogram {
    /// Adds one value.
    pub fn add(&mut self, value: u64) {
        self.grow_and_add(bucket_of(value), 1);
        self.min = if self.count == 0 {
            value
        } else {
            self.min.min(value)
        };
        self.max = self.max.max(value);
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(u128::from(value));
    }

    /// Adds everything `other` has counted.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        for (offset, &n) in other.buckets.iter().enumerate().filter(|&(_, &n)| n > 0) {
            self.grow_and_add(other.base + offset, n);
        }
        self.min = if self.count == 0 {
            other.min
        } else {
            self.min.min(other.min)
        };
        self.max = self.max.max(other.max);
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
    }

    fn grow_and_add(&mut self, bucket: usize, n: u64) {
        if self.buckets.is_empty() {
            self.base = bucket;
        } else if bucket < self.base {
            let missing = self.base - bucket;
            self.buckets.splice(0..0, std::iter::repeat_n(0, missing));
            self.base = bucket;
        }
        let index = bucket - self.base;
        if index >= self.buckets.len() {
            self.buckets.resize(index + 1, 0);
        }
        if let Some(slot) = self.buckets.get_mut(index) {
            *slot = slot.saturating_add(n);
        }
    }

    /// How many values were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sum of the values; 584 years of nanoseconds fit, more is cut.
    #[must_use]
    pub fn sum(&self) -> u64 {
        u64::try_from(self.sum).unwrap_or(u64::MAX)
    }

    /// Mean, 0 when empty.
    #[must_use]
    pub fn mean(&self) -> u64 {
        let mean = self.sum.checked_div(u128::from(self.count)).unwrap_or(0);
        u64::try_from(mean).unwrap_or(u64::MAX)
    }

    /// Smallest value, 0 when empty.
    #[must_use]
    pub fn min(&self) -> u64 {
        self.min
    }

    /// Largest value, 0 when empty.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The value that `per_100k` of 100,000 values do not exceed: 50,000 is the median, 99,990 is p99.99.
    #[must_use]
    pub fn quantile(&self, per_100k: u64) -> u64 {
        let rank = (u128::from(self.count) * u128::from(per_100k))
            .div_ceil(100_000)
            .max(1);
        let mut seen = 0u128;
        for (offset, &n) in self.buckets.iter().enumerate() {
            seen += u128::from(n);
            if seen >= rank {
                return middle_of(self.base + offset).clamp(self.min, self.max);
            }
        }
        self.max
    }
}

/// Values below `SUB` have a bucket each; above, every power of two is cut into `SUB` equal buckets.
fn bucket_of(value: u64) -> usize {
    if value < SUB {
        return usize::try_from(value).unwrap_or(0);
    }
    let shift = value.ilog2() - SUB_BITS;
    let within = (value >> shift) - SUB;
    usize::try_from(SUB * u64::from(shift + 1) + within).unwrap_or(0)
}

fn middle_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SUB {
        return bucket;
    }
    let shift = u32::try_from(bucket / SUB - 1).unwrap_or(0).min(63 - SUB_BITS);
    let lower = (SUB + bucket % SUB) << shift;
    lower + ((1u64 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_middle_is_within_one_percent_of_its_values() {
        let mut value = 1u64;
        while value < u64::MAX / 2 {
            for probe in [value - 1, value, value + 1, value + value / 3, value + value / 2] {
                let middle = middle_of(bucket_of(probe));
                assert!(
                    u128::from(middle.abs_diff(probe)) * 100 <= u128::from(probe),
                    "{probe} {middle}"
                );
            }
            value *= 2;
        }
        let top = middle_of(bucket_of(u64::MAX));
        assert!(top.abs_diff(u64::MAX) <= u64::MAX / 100);
    }

    #[test]
    fn quantiles_of_a_skewed_distribution_are_within_one_percent() {
        let mut values: Vec<u64> = (0..100_000u64)
            .map(|i| 300 + (i * i) % 9_999_991 * (1 + i % 7))
            .collect();
        let mut histogram = Histogram::default();
        values.iter().for_each(|&v| histogram.add(v));
        values.sort_unstable();
        for per_100k in [1, 1_000, 50_000, 90_000, 99_000, 99_900, 99_990, 100_000] {
            let rank = (values.len() * per_100k).div_ceil(100_000).max(1);
            let exact = values[rank - 1];
            let got = histogram.quantile(per_100k as u64);
            assert!(
                got.abs_diff(exact) * 100 <= exact,
                "p{per_100k}: {got} against {exact}"
            );
        }
        assert_eq!((histogram.min(), histogram.max()), (values[0], values[99_999]));
    }

    #[test]
    fn merging_gives_the_same_as_adding_everything_to_one() {
        let (mut low, mut high, mut both) =
            (Histogram::default(), Histogram::default(), Histogram::default());
        for value in 0..1_000u64 {
            low.add(value);
            both.add(value);
            high.add(value * 1_000_003);
            both.add(value * 1_000_003);
        }
        high.merge(&low);
        high.merge(&Histogram::default());
        assert_eq!(high, both);
    }

    #[test]
    fn the_extremes_of_u64_do_not_overflow() {
        let mut histogram = Histogram::default();
        [u64::MAX, 0, u64::MAX].into_iter().for_each(|v| histogram.add(v));
        assert_eq!(
            (histogram.sum(), histogram.min(), histogram.max()),
            (u64::MAX, 0, u64::MAX)
        );
        assert_eq!(histogram.quantile(1), 0);
        assert_eq!(Histogram::default().quantile(50_000), 0);
    }
}
