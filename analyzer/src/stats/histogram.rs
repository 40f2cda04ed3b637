//! A mergeable latency histogram with log-linear buckets over all of u64. Quantiles are within 1 % of the
//! true value (the middle of a bucket 1/64 wide); count, sum, minimum and maximum are exact.

use crate::trace::sampling::Sampling;
use multiversion::multiversion;

/// Buckets per power of two, as a power of two: the middle of a bucket is at most 1/128 of its value away.
const SUB_BITS: u32 = 6;
const SUB: u64 = 1 << SUB_BITS;

/// What reports say about the precision of quantiles.
#[must_use]
pub(crate) fn precision(sampling: Sampling) -> &'static str {
    if sampling.is_sampled() {
        "quantiles are those of the weighted sample, within 1 %"
    } else {
        "quantiles are within 1 %; minimum and maximum are exact"
    }
}

/// Buckets kept as a sorted list. Most threads and files fill few, and there may be many threads; with more buckets
/// the whole range is stored.
const SPARSE: usize = 128;

/// From so many values on it pays to count them in an array of all buckets before they go into a sorted list.
const MANY: usize = 64;

/// Counts of values, nanoseconds in practice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: Buckets,
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Buckets {
    /// Sorted by bucket, counts above 0.
    Sparse(Vec<(u16, u64)>),
    /// `counts[0]` belongs to bucket `base`; only the used range is stored.
    Dense { base: usize, counts: Vec<u64> },
}

impl Default for Buckets {
    fn default() -> Self {
        Self::Sparse(Vec::new())
    }
}

impl Buckets {
    fn add(&mut self, bucket: usize, n: u64) {
        match self {
            Self::Sparse(list) => {
                let bucket = u16::try_from(bucket).unwrap_or(u16::MAX);
                match list.binary_search_by_key(&bucket, |&(bucket, _)| bucket) {
                    Ok(index) => {
                        if let Some((_, count)) = list.get_mut(index) {
                            *count = count.saturating_add(n);
                        }
                    }
                    Err(index) => list.insert(index, (bucket, n)),
                }
                if list.len() > SPARSE {
                    self.become_dense();
                }
            }
            Self::Dense { base, counts } => {
                cover(base, counts, (bucket, bucket));
                if let Some(count) = counts.get_mut(bucket - *base) {
                    *count = count.saturating_add(n);
                }
            }
        }
    }

    /// Adds values within `range`, each `times` times.
    fn add_all(&mut self, values: &[u64], range: (u64, u64), times: u64) {
        let (first, last) = (bucket_of(range.0), bucket_of(range.1));
        match self {
            Self::Sparse(_) if values.len() < MANY => {
                values.iter().for_each(|&value| self.add(bucket_of(value), times));
            }
            Self::Sparse(_) => {
                let mut counts = vec![0u64; last + 1 - first];
                count_all(values, range, first, times, &mut counts);
                for (bucket, &n) in (first..).zip(&counts) {
                    if n > 0 {
                        self.add(bucket, n);
                    }
                }
            }
            Self::Dense { base, counts } => {
                cover(base, counts, (first, last));
                count_all(values, range, *base, times, counts);
            }
        }
    }

    fn become_dense(&mut self) {
        let used: Vec<(usize, u64)> = self.used().collect();
        let (Some(&(base, _)), Some(&(last, _))) = (used.first(), used.last()) else {
            return;
        };
        let mut counts = vec![0; last - base + 1];
        for (bucket, n) in used {
            if let Some(count) = counts.get_mut(bucket - base) {
                *count = n;
            }
        }
        *self = Self::Dense { base, counts };
    }

    /// Buckets with a count, rising.
    fn used(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        let (list, base, counts) = match self {
            Self::Sparse(list) => (list.as_slice(), 0, [].as_slice()),
            Self::Dense { base, counts } => ([].as_slice(), *base, counts.as_slice()),
        };
        let sparse = list.iter().map(|&(bucket, n)| (usize::from(bucket), n));
        let dense = counts
            .iter()
            .enumerate()
            .map(move |(offset, &n)| (base + offset, n));
        sparse.chain(dense.filter(|&(_, n)| n > 0))
    }
}

/// Makes room for these buckets.
fn cover(base: &mut usize, counts: &mut Vec<u64>, (first, last): (usize, usize)) {
    if first < *base {
        let missing = *base - first;
        counts.splice(0..0, std::iter::repeat_n(0, missing));
        *base = first;
    }
    if last - *base >= counts.len() {
        counts.resize(last - *base + 1, 0);
    }
}

/// The inner loop of every summary: counts values within `range`.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn count_all(values: &[u64], range: (u64, u64), base: usize, times: u64, counts: &mut [u64]) {
    let mut add = |bucket: u64| {
        let index = usize::try_from(bucket).unwrap_or(usize::MAX).wrapping_sub(base);
        if let Some(count) = counts.get_mut(index) {
            *count = count.saturating_add(times);
        }
    };
    let mut rest = values;
    if range.0 >= SUB && range.1 < AS_FLOAT {
        let (whole, few) = values.as_chunks::<LOOK>();
        for values in whole {
            values.map(bucket_of_float).into_iter().for_each(&mut add);
        }
        rest = few;
    }
    rest.iter().for_each(|&value| add(bucket_of(value) as u64));
}

/// Values whose buckets are found together: some vectors.
const LOOK: usize = 16;

/// Whole numbers below this are floating-point numbers of 64 bits exactly.
const AS_FLOAT: u64 = 1 << 52;

/// What a floating-point number of 64 bits adds to its exponent.
const FLOAT_BIAS: u64 = 1023;

/// As [`bucket_of`] for values from [`SUB`] to below [`AS_FLOAT`], in few instructions for several at once: a floating-point
/// number has the octave and the part of it side by side.
#[inline(always)]
fn bucket_of_float(value: u64) -> u64 {
    // 2^52 + value, whose last bits are the value.
    let above = f64::from_bits((AS_FLOAT as f64).to_bits() | value);
    let octave_and_part = (above - AS_FLOAT as f64).to_bits() >> (52 - SUB_BITS);
    octave_and_part.wrapping_sub((FLOAT_BIAS + u64::from(SUB_BITS) - 1) << SUB_BITS)
}

/// Values that are looked at together, and what they are less than if their sum is to fit 64 bits.
const SUMMED: usize = 1 << 16;
const SUMMABLE: u64 = 1 << 48;

/// Smallest, largest and sum.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512dq+avx512vl+avx2+bmi1+bmi2+lzcnt+popcnt",
    "x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"
))]
pub(crate) fn extent_of(values: &[u64]) -> (u64, u64, u128) {
    let (mut min, mut max) = (u64::MAX, 0);
    let mut sum = 0u128;
    for chunk in values.chunks(SUMMED) {
        let (mut bits, mut plain_sum) = (0u64, 0u64);
        // Vectors compare numbers with a sign in fewer steps; these have none unless they are too large.
        let (mut smallest, mut largest) = (i64::MAX, i64::MIN);
        for &value in chunk {
            bits |= value;
            plain_sum = plain_sum.wrapping_add(value);
            smallest = smallest.min(value.cast_signed());
            largest = largest.max(value.cast_signed());
        }
        if bits < SUMMABLE {
            min = min.min(smallest.cast_unsigned());
            max = max.max(largest.cast_unsigned());
            sum = sum.saturating_add(u128::from(plain_sum));
            continue;
        }
        for &value in chunk {
            min = min.min(value);
            max = max.max(value);
            sum = sum.saturating_add(u128::from(value));
        }
    }
    (min, max, sum)
}

impl Histogram {
    /// Adds one value.
    pub fn add(&mut self, value: u64) {
        self.add_times(value, 1);
    }

    /// Adds one value that stands for `times` of its kind.
    pub(crate) fn add_times(&mut self, value: u64, times: u64) {
        if times == 0 {
            return;
        }
        self.buckets.add(bucket_of(value), times);
        self.min = if self.count == 0 {
            value
        } else {
            self.min.min(value)
        };
        self.max = self.max.max(value);
        self.count = self.count.saturating_add(times);
        self.sum = self
            .sum
            .saturating_add(u128::from(value).saturating_mul(u128::from(times)));
    }

    /// Adds many values, each of which stands for `times` of its kind: faster than one by one.
    pub(crate) fn add_all(&mut self, values: &[u64], times: u64) {
        if times == 0 || values.is_empty() {
            return;
        }
        let (min, max, sum) = extent_of(values);
        self.buckets.add_all(values, (min, max), times);
        self.min = if self.count == 0 { min } else { self.min.min(min) };
        self.max = self.max.max(max);
        let count = (values.len() as u64).saturating_mul(times);
        self.count = self.count.saturating_add(count);
        self.sum = self.sum.saturating_add(sum.saturating_mul(u128::from(times)));
    }

    /// Adds everything `other` has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        for (bucket, n) in other.buckets.used() {
            self.buckets.add(bucket, n);
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

    /// How many values are in the buckets that begin at `value` or above, and their sum, within 1 %.
    #[must_use]
    pub fn above(&self, value: u64) -> (u64, u64) {
        let first = bucket_of(value.saturating_sub(1)) + 1;
        let above = self.buckets.used().filter(|&(bucket, _)| bucket >= first);
        let (count, sum) = above.fold((0u64, 0u128), |(count, sum), (bucket, n)| {
            let middle = u128::from(middle_of(bucket).clamp(self.min, self.max));
            (
                count.saturating_add(n),
                sum.saturating_add(middle.saturating_mul(u128::from(n))),
            )
        });
        (count, u64::try_from(sum.min(self.sum)).unwrap_or(u64::MAX))
    }

    /// The value that `per_100k` of 100,000 values do not exceed: 50,000 is the median, 99,990 is p99.99.
    #[must_use]
    pub fn quantile(&self, per_100k: u64) -> u64 {
        match self.locate(per_100k) {
            Found::Exactly(value) => value,
            Found::Within { bucket, .. } => middle_of(bucket).clamp(self.min, self.max),
        }
    }

    /// What is known of that value.
    #[must_use]
    pub(crate) fn locate(&self, per_100k: u64) -> Found {
        let rank = (u128::from(self.count) * u128::from(per_100k))
            .div_ceil(100_000)
            .max(1);
        // The last one is known exactly.
        if rank >= u128::from(self.count) {
            return Found::Exactly(self.max);
        }
        let mut seen = 0u128;
        for (bucket, count) in self.buckets.used() {
            if seen + u128::from(count) >= rank {
                let rank = rank - seen;
                return Found::Within { bucket, rank, count };
            }
            seen += u128::from(count);
        }
        Found::Exactly(self.max)
    }
}

/// Where a quantile is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// This is it.
    Exactly(u64),
    /// In a bucket.
    Within {
        /// Which.
        bucket: usize,
        /// It is this one in the bucket, counted from 1.
        rank: u128,
        /// How many there are in the bucket.
        count: u64,
    },
}

/// Values below `SUB` have a bucket each; above, every power of two is cut into `SUB` equal buckets. Without a branch:
/// what is shifted keeps its highest bit, which stands for one more octave.
#[inline(always)]
#[must_use]
pub(crate) fn bucket_of(value: u64) -> usize {
    let shift = (63 - SUB_BITS).wrapping_sub((value | SUB).leading_zeros());
    let bucket = (u64::from(shift) << SUB_BITS).wrapping_add(value >> shift);
    usize::try_from(bucket).unwrap_or(0)
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
    fn a_bucket_is_the_same_by_way_of_a_floating_point_number() {
        for exponent in SUB_BITS..52 {
            let octave = 1u64 << exponent;
            let inside = (0..octave).step_by((octave as usize / 777).max(1));
            for value in inside.map(|more| octave + more).chain([2 * octave - 1]) {
                assert_eq!(bucket_of_float(value), bucket_of(value) as u64, "{value}");
            }
        }
        // Whatever goes with them in one piece.
        for odd in [SUB - 1, SUMMABLE - 1, SUMMABLE, AS_FLOAT, 1 << 63, u64::MAX] {
            let values: Vec<u64> = (0..100).map(|i| 64 + i * i * 1_000).chain([odd]).collect();
            let (mut one_by_one, mut together) = (Histogram::default(), Histogram::default());
            values.iter().for_each(|&value| one_by_one.add(value));
            together.add_all(&values, 1);
            assert_eq!(one_by_one, together);
        }
    }

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
    fn few_values_take_little_memory_and_the_last_rank_is_the_exact_maximum() {
        let mut histogram = Histogram::default();
        (0..12u64).for_each(|i| histogram.add(22_764 << i));
        assert!(matches!(&histogram.buckets, Buckets::Sparse(list) if list.len() == 12));
        assert_eq!(histogram.quantile(99_000), 22_764 << 11);
        let mut one = Histogram::default();
        one.add(u64::MAX);
        one.add(0);
        assert!(matches!(&one.buckets, Buckets::Sparse(list) if list.len() == 2));
    }

    #[test]
    fn many_values_at_once_give_the_same_as_one_by_one() {
        let values: Vec<u64> = (0..5_000u64)
            .map(|i| match i % 5 {
                0 => i,
                1 => u64::MAX - i,
                _ => (i * 7_919) << (i % 40),
            })
            .collect();
        for (length, times) in [
            (0, 1),
            (1, 1),
            (63, 3),
            (64, 1),
            (200, 2),
            (5_000, 1),
            (5_000, u64::MAX),
        ] {
            let (mut at_once, mut one_by_one) = (Histogram::default(), Histogram::default());
            for part in [
                &values[..length],
                &values[length / 2..length],
                &values[..length / 3],
            ] {
                at_once.add_all(part, times);
                part.iter().for_each(|&value| one_by_one.add_times(value, times));
            }
            let used = |histogram: &Histogram| histogram.buckets.used().collect::<Vec<_>>();
            assert_eq!(used(&at_once), used(&one_by_one), "{length} {times}");
            let sums = |h: &Histogram| (h.count(), h.sum(), h.min(), h.max(), h.mean());
            assert_eq!(sums(&at_once), sums(&one_by_one));
        }
    }

    #[test]
    fn buckets_rise_without_a_gap() {
        assert_eq!(bucket_of(u64::MAX), (59 << SUB_BITS) - 1);
        assert_eq!(
            [0, 63, 64, 65, 127, 128, 130].map(bucket_of),
            [0, 63, 64, 65, 127, 128, 129]
        );
        for shift in 7..64 {
            let octave = 1u64 << shift;
            assert_eq!(bucket_of(octave), bucket_of(octave - 1) + 1);
        }
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
    fn a_value_that_stands_for_many_counts_as_many() {
        let (mut weighted, mut plain) = (Histogram::default(), Histogram::default());
        for (value, times) in [(500, 7), (90, 1), (70_000, 3), (5, 0)] {
            weighted.add_times(value, times);
            (0..times).for_each(|_| plain.add(value));
        }
        assert_eq!(weighted, plain);
        weighted.add_times(u64::MAX, u64::MAX);
        assert_eq!((weighted.count(), weighted.sum()), (u64::MAX, u64::MAX));
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
