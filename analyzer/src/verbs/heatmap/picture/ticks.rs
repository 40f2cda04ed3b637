//! Round numbers for axes, as few as fit, with labels that all have the same unit.

use crate::output::units::{fixed, grouped};

/// A place on an axis and its label.
pub type Tick = (u64, String);

/// Multiples of 1, 2 or 5 times a power of ten, in nanoseconds.
#[must_use]
pub fn of_time(from_ns: u64, to_ns: u64, most: u64) -> Vec<Tick> {
    let span = to_ns.saturating_sub(from_ns);
    let steps = (0..19u32).flat_map(|decade| [1, 2, 5].map(|digit| digit * 10u64.pow(decade)));
    let Some(step) = steps.into_iter().find(|step| span / step < most.max(1)) else {
        return Vec::new();
    };
    let (unit, name) = match to_ns {
        0..1_000 => (1, "ns"),
        1_000..1_000_000 => (1_000, "us"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    // As many decimals as a step has.
    let decimals = (0..9u32)
        .find(|&digits| step.saturating_mul(10u64.pow(digits)) % unit == 0)
        .unwrap_or(9);
    multiples(from_ns, to_ns, step)
        .map(|ns| (ns, format!("{} {name}", fixed(ns, unit, decimals))))
        .collect()
}

/// Multiples of a power of two, at least `least`, in bytes: sizes for offsets of a file, hexadecimal for addresses.
#[must_use]
pub(crate) fn of_bytes(from: u64, to: u64, most: u64, least: u64, is_address: bool) -> Vec<Tick> {
    let span = to.saturating_sub(from);
    let steps = (0..64u32)
        .map(|bits| 1u64 << bits)
        // Pages are not divided.
        .skip_while(|&step| step < least);
    let Some(step) = steps.into_iter().find(|step| span / step < most.max(1)) else {
        return Vec::new();
    };
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")];
    let (unit, name) = units
        .into_iter()
        .find(|&(unit, _)| step >= unit)
        .unwrap_or((1, "B"));
    let label = |byte: u64| {
        if is_address {
            format!("{byte:#x}")
        } else {
            format!("{} {name}", grouped(byte / unit))
        }
    };
    multiples(from, to, step)
        .map(|byte| (byte, label(byte)))
        .collect()
}

/// Powers of ten, and where there is room 2 and 5 times these.
#[must_use]
pub(crate) fn of_latency(from_ns: u64, to_ns: u64) -> Vec<Tick> {
    let decades = (to_ns.max(1) / from_ns.max(1)).max(1).ilog10();
    let digits: &[u64] = if decades < 4 { &[1, 2, 5] } else { &[1] };
    let powers = (0..20u32).map(|power| 10u64.saturating_pow(power));
    let marks = powers.flat_map(|power| digits.iter().map(move |digit| power.saturating_mul(*digit)));
    // Whole numbers, all of them.
    let label = |ns: u64| match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{} us", ns / 1_000),
        1_000_000..1_000_000_000 => format!("{} ms", ns / 1_000_000),
        _ => format!("{} s", grouped(ns / 1_000_000_000)),
    };
    marks
        .filter(|&ns| from_ns <= ns && ns <= to_ns)
        .map(|ns| (ns, label(ns)))
        .collect()
}

fn multiples(from: u64, to: u64, step: u64) -> impl Iterator<Item = u64> {
    let first = from.div_ceil(step);
    (first..=to / step).map_while(move |index| index.checked_mul(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn times_are_round_and_have_one_unit() {
        let ticks = of_time(0, 4_600_000_000, 6);
        assert_eq!(labels(&ticks), ["0 s", "1 s", "2 s", "3 s", "4 s"]);
        let ticks = of_time(1_230_000_000, 1_270_000_000, 5);
        assert_eq!(labels(&ticks), ["1.23 s", "1.24 s", "1.25 s", "1.26 s", "1.27 s"]);
        assert_eq!(
            labels(&of_time(0, 1_500, 4)),
            ["0.0 us", "0.5 us", "1.0 us", "1.5 us"]
        );
    }

    #[test]
    fn bytes_are_multiples_of_powers_of_two() {
        let mib = 1 << 20;
        assert_eq!(
            labels(&of_bytes(0, 16 * mib, 5, 1, false)),
            ["0 MiB", "4 MiB", "8 MiB", "12 MiB", "16 MiB"]
        );
        assert_eq!(
            labels(&of_bytes(4096, 3 * 4096, 9, 4096, true)),
            ["0x1000", "0x2000", "0x3000"]
        );
    }

    #[test]
    fn latencies_have_powers_of_ten() {
        assert_eq!(
            labels(&of_latency(251, 15_849_000)),
            ["1 us", "10 us", "100 us", "1 ms", "10 ms"]
        );
        assert_eq!(labels(&of_latency(400, 2_500)), ["500 ns", "1 us", "2 us"]);
    }

    #[test]
    fn extremes_have_few_ticks() {
        for (from, to) in [(0, u64::MAX), (u64::MAX, u64::MAX), (5, 5), (9, 3), (0, 0)] {
            assert!(of_time(from, to, 8).len() <= 10);
            assert!(of_bytes(from, to, 8, 4096, false).len() <= 10);
            assert!(of_latency(from, to).len() <= 60);
        }
    }
}
