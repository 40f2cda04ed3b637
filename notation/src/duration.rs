//! Spans of time.

use crate::count::grouped;
use crate::decimal::{Decimal, is_negative, split};

/// What a bare number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 1 us.
    Microseconds,
    /// 1 ms.
    Milliseconds,
    /// 1 s.
    Seconds,
}

impl Unit {
    /// How long one is.
    #[must_use]
    pub const fn ns(self) -> u64 {
        match self {
            Self::Microseconds => 1_000,
            Self::Milliseconds => 1_000_000,
            Self::Seconds => 1_000_000_000,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Microseconds => "microseconds",
            Self::Milliseconds => "milliseconds",
            Self::Seconds => "seconds",
        }
    }
}

/// Reads `12`, `1.5ms`, `1e3 us`, `2min` into nanoseconds; a bare number counts in `bare`.
///
/// # Errors
/// What is wrong, and what a right value looks like; the value itself is for the caller to name.
pub fn parse(text: &str, bare: Unit) -> Result<u64, String> {
    let (number, suffix) = split(text);
    let rule = || {
        format!(
            "give a number of {}, or one with a unit: ns, us, ms, s, min or h, as in 1.5ms",
            bare.name()
        )
    };
    if text.trim().is_empty() {
        return Err(format!("a time is missing: {}", rule()));
    }
    if is_negative(text) {
        return Err(format!("a time is never below 0: {}", rule()));
    }
    let number = Decimal::parse(number).ok_or_else(|| format!("not a time: {}", rule()))?;
    let unit_ns = match suffix {
        "" => bare.ns(),
        "ns" => 1,
        // The micro sign and the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" | "sec" => 1_000_000_000,
        "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "m" => return Err("m could be minutes or milliseconds: write min or ms".to_owned()),
        _ => return Err(format!("not a time: {}", rule())),
    };
    number
        .times(unit_ns)
        .ok_or_else(|| "too long: no time is longer than 584 years, in nanoseconds 2^64".to_owned())
}

/// As [`parse`], between two bounds.
///
/// # Errors
/// As [`parse`], and outside of the bounds.
pub fn parse_within(text: &str, bare: Unit, bounds_ns: (u64, u64)) -> Result<u64, String> {
    let ns = parse(text, bare)?;
    let (low, high) = bounds_ns;
    if (low..=high).contains(&ns) {
        return Ok(ns);
    }
    Err(match (ns < low, low) {
        (true, 1) => "must be more than 0".to_owned(),
        (true, _) => format!("too short: must be {} or more", describe(low)),
        (false, _) => format!("too long: must be {} or less", describe(high)),
    })
}

/// A bound, without decimals where it has none.
fn describe(ns: u64) -> String {
    let units = [
        (3_600_000_000_000, "h"),
        (60_000_000_000, "min"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
    ];
    let whole = units
        .into_iter()
        .find(|(unit, _)| ns >= *unit && ns.is_multiple_of(*unit));
    match whole {
        Some((unit, name)) => format!("{} {name}", grouped(ns / unit)),
        None => duration(ns),
    }
}

/// `value_ns / unit_ns` with a fixed number of decimals, rounded half up, without floating point.
#[must_use]
pub fn fixed(value_ns: u64, unit_ns: u64, decimals: u32) -> String {
    let scale = 10u128.saturating_pow(decimals);
    let unit = u128::from(unit_ns.max(1));
    let scaled = (u128::from(value_ns) * scale + unit / 2) / unit;
    if decimals == 0 {
        return scaled.to_string();
    }
    format!(
        "{}.{:0width$}",
        scaled / scale,
        scaled % scale,
        width = decimals as usize
    )
}

/// A duration in the unit that suits it: `734 ns`, `12.3 us`, `4.56 ms`, `1.23 s`.
#[must_use]
pub fn duration(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{} us", fixed(ns, 1_000, 1)),
        1_000_000..1_000_000_000 => format!("{} ms", fixed(ns, 1_000_000, 2)),
        _ => format!("{} s", fixed(ns, 1_000_000_000, 2)),
    }
}

/// A duration in about five characters, for legends: `734ns`, `12us`, `4.5ms`, `1.2s`.
#[must_use]
pub fn short_duration(ns: u64) -> String {
    let (unit_ns, name) = match ns {
        0..1_000 => return format!("{ns}ns"),
        1_000..1_000_000 => (1_000, "us"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    format!("{}{name}", fixed(ns, unit_ns, u32::from(ns / unit_ns < 10)))
}

/// A duration to the nanosecond, in the largest unit that makes it no longer: `1.5ms`, `50us`, `2s`. What it is
/// given as on the command line.
#[must_use]
pub fn exact_duration(ns: u64) -> String {
    let (unit_ns, decimals, name) = match ns {
        0..1_000 => return format!("{ns}ns"),
        1_000..1_000_000 => (1_000, 3, "us"),
        1_000_000..1_000_000_000 => (1_000_000, 6, "ms"),
        _ => (1_000_000_000, 9, "s"),
    };
    let number = fixed(ns, unit_ns, decimals);
    format!("{}{name}", number.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_read_with_and_without_units() {
        for (text, ns) in [
            ("1.5", 1_500),
            ("10us", 10_000),
            ("100µs", 100_000),
            ("100μs", 100_000),
            ("2.25ms", 2_250_000),
            (" 3 s ", 3_000_000_000),
            (".5us", 500),
            ("1e3", 1_000_000),
            ("1e-3s", 1_000_000),
            ("2min", 120_000_000_000),
            ("1h", 3_600_000_000_000),
            ("1,500 ns", 1_500),
            ("0", 0),
        ] {
            assert_eq!(parse(text, Unit::Microseconds), Ok(ns), "{text}");
        }
        assert_eq!(parse("1.5", Unit::Seconds), Ok(1_500_000_000));
        assert_eq!(parse("1000", Unit::Milliseconds), Ok(1_000_000_000));
    }

    #[test]
    fn wrong_times_are_refused_with_the_rule_and_an_example() {
        for (text, says) in [
            ("", "a time is missing: give a number of microseconds"),
            (".", "not a time"),
            ("-5", "never below 0"),
            ("-.5ms", "never below 0"),
            ("1.2.3", "not a time"),
            ("nan", "as in 1.5ms"),
            ("5 minutes", "min or h"),
            ("5m", "write min or ms"),
            ("1:30", "not a time"),
            ("99999999999999999999", "too long"),
            ("20000000000s", "584 years"),
        ] {
            let error = parse(text, Unit::Microseconds).err().unwrap_or_default();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn bounds_are_named() {
        let interval = |text| parse_within(text, Unit::Milliseconds, (10_000_000, 3_600_000_000_000));
        assert_eq!(interval("250"), Ok(250_000_000));
        assert_eq!(interval("1s"), Ok(1_000_000_000));
        assert_eq!(interval("9"), Err("too short: must be 10 ms or more".to_owned()));
        assert_eq!(interval("2h"), Err("too long: must be 1 h or less".to_owned()));
        let longer = parse_within("0", Unit::Seconds, (1, u64::MAX));
        assert_eq!(longer, Err("must be more than 0".to_owned()));
    }

    #[test]
    fn durations_are_written_as_people_read_them() {
        assert_eq!(duration(734), "734 ns");
        assert_eq!(duration(1_230_000_000), "1.23 s");
        assert_eq!(
            ["734ns", "1.5us", "12us", "9.9s"],
            [734, 1_500, 12_000, 9_900_000_000].map(short_duration)
        );
        assert_eq!(
            ["734ns", "50us", "1.5ms", "2s", "2.000000001s"],
            [734, 50_000, 1_500_000, 2_000_000_000, 2_000_000_001].map(exact_duration)
        );
        assert_eq!(fixed(1_999_500, 1_000_000, 3), "2.000");
        assert_eq!(fixed(u64::MAX, 1_000, 1), "18446744073709551.6");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(ns: u64, shift in 0u32..64) {
            let ns = ns >> shift;
            prop_assert_eq!(parse(&exact_duration(ns), Unit::Seconds), Ok(ns));
            // Rounded, and the same text again.
            for print in [duration, short_duration] {
                // The last centiseconds before 2^64 round beyond it.
                let Ok(read) = parse(&print(ns), Unit::Seconds) else {
                    prop_assert!(ns > u64::MAX - 1_000_000_000);
                    continue;
                };
                prop_assert!(read.abs_diff(ns) as f64 <= 0.06 * ns as f64, "{} {}", ns, read);
            }
            // As Rust writes a filter into a trace.
            let debug = format!("{:?}", std::time::Duration::from_nanos(ns));
            prop_assert_eq!(parse(&debug, Unit::Seconds), Ok(ns));
        }
    }
}
