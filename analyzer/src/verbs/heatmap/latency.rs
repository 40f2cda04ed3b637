//! Latencies on a logarithmic scale: 40 steps to a decade, so that groups of 1, 2, 4, 5, 8, 10, 20 or 40 of them have
//! a border at every power of ten.

use std::sync::LazyLock;

/// Steps to a decade.
const PER_DECADE: u64 = 40;

/// Numbers of steps that rows may have, but for multiples of a decade.
const GROUPS: [u64; 8] = [1, 2, 4, 5, 8, 10, 20, 40];

/// First nanosecond of each step; the last step begins below 2^64.
static BOUNDS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let steps = 0..=PER_DECADE * 19 + 10;
    let bound = |step: u64| {
        let decade = 10u64.saturating_pow(u32::try_from(step / PER_DECADE).unwrap_or(u32::MAX));
        match step % PER_DECADE {
            0 => decade,
            part => (decade as f64 * 10f64.powf(part as f64 / PER_DECADE as f64)).round() as u64,
        }
    };
    steps.map(bound).collect()
});

/// The steps of the values between two powers of two.
static BY_SIZE: LazyLock<Vec<(usize, usize)>> = LazyLock::new(|| {
    let below = |value: u64| BOUNDS.partition_point(|&bound| bound <= value);
    let sizes = (0..64).map(|bits| (1u64 << bits, u64::MAX >> (63 - bits)));
    sizes.map(|(first, last)| (below(first), below(last))).collect()
});

/// The step that a latency is in; 0 is in the first.
#[must_use]
pub(crate) fn step_of(latency_ns: u64) -> u64 {
    let size = latency_ns.max(1).ilog2() as usize;
    let (first, last) = BY_SIZE.get(size).copied().unwrap_or_default();
    let within = BOUNDS.get(first..last).unwrap_or_default();
    let step = first + within.partition_point(|&bound| bound <= latency_ns);
    step.saturating_sub(1) as u64
}

/// The first nanosecond of a step; the largest number for steps beyond the last.
#[must_use]
pub(crate) fn start_of(step: u64) -> u64 {
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    BOUNDS.get(step).copied().unwrap_or(u64::MAX)
}

/// Where a latency is on the scale, in thousandths of a step: what a power of ten or twice that has as its place on an axis.
#[must_use]
pub(crate) fn place_of(latency_ns: u64) -> u64 {
    let place = (latency_ns.max(1) as f64).log10() * PER_DECADE as f64 * 1_000.0;
    place.round() as u64
}

/// First step and steps per row, for at most `rows` rows over the steps `first` to `last`, which come in groups of 2^`shift`.
#[must_use]
pub fn rows(first: u64, last: u64, rows: u64, shift: u32) -> (u64, u64) {
    let least = 1u64.checked_shl(shift).unwrap_or(u64::MAX);
    let decades = (1..=20).map(|count| count * PER_DECADE);
    let groups = GROUPS.into_iter().chain(decades);
    let fits = |step: u64| last / step - first / step < rows.max(1);
    let step = groups
        .filter(|step| step % least == 0)
        .find(|&step| fits(step))
        .unwrap_or_else(|| (PER_DECADE * 20).next_multiple_of(least.min(1 << 20)));
    (first / step * step, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_is_in_the_step_whose_borders_hold_it() {
        let mut value = 1u64;
        while value < u64::MAX / 3 {
            for probe in [value - 1, value, value + 1, value + value / 3] {
                let step = step_of(probe);
                assert!(start_of(step) <= probe.max(1), "{probe}");
                assert!(start_of(step + 1) > probe, "{probe}");
            }
            value = value * 2 + 1;
        }
        assert_eq!((step_of(0), step_of(1)), (step_of(1), step_of(1)));
        assert!(start_of(step_of(u64::MAX)) > u64::MAX / 10 * 9);
        assert_eq!(start_of(u64::MAX), u64::MAX);
    }

    #[test]
    fn powers_of_ten_are_borders_and_places() {
        for (decade, power) in (0..20).zip((0..20).map(|n| 10u64.pow(n))) {
            assert_eq!(start_of(decade * 40), power);
            assert_eq!(place_of(power), decade * 40_000);
        }
        assert_eq!(step_of(1_000), 120);
        assert_eq!(step_of(999), 119);
    }

    #[test]
    fn rows_begin_at_powers_of_ten_and_fit() {
        // 300 ns to 2 ms are 153 steps.
        let (first, step) = rows(step_of(300), step_of(2_000_000), 24, 0);
        assert_eq!((first % step, step), (0, 8));
        assert_eq!(rows(5, 5, 10, 0), (5, 1));
        assert_eq!(rows(0, 770, 1, 0), (0, 800));
        assert_eq!(rows(0, 7, 4, 3), (0, 8));
        let (first, step) = rows(0, u64::MAX, 3, 63);
        assert!(first == 0 && step > 0);
    }
}
