//! The values of options, from text.

use std::{ops::Range, time::Duration};

/// Seconds, with a fraction.
pub(super) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("must be more than 0 seconds, and less than the age of the universe".to_owned()),
    }
}

/// Milliseconds between two pictures.
pub(super) fn parse_interval(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(ms) if (10..=3_600_000).contains(&ms) => Ok(Duration::from_millis(ms)),
        _ => Err("must be a number of milliseconds from 10 to 3600000 (an hour)".to_owned()),
    }
}

/// Threads that have a row of their own.
pub(super) fn parse_threads(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(threads) if (1..=1 << 18).contains(&threads) => Ok(threads),
        _ => Err("must be a number from 1 to 262144".to_owned()),
    }
}

/// Microseconds, or a number with one of the units ns, us, ms, s.
pub(super) fn parse_latency(text: &str) -> Result<Duration, String> {
    let units = [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let found = units
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let (number, seconds) = found.unwrap_or((text, 1e-6));
    let number: f64 = number
        .trim_end()
        .parse()
        .map_err(|_| "not a time: use microseconds, or ns, us, ms, s, as in 1.5ms".to_owned())?;
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(duration) if !duration.is_zero() && duration.as_secs() < 1 << 32 => Ok(duration),
        _ => Err("must be at least 1 ns, and less than a century".to_owned()),
    }
}

/// One in so many.
pub(super) fn parse_sample(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(count) if (1..=1_000_000).contains(&count) => Ok(count),
        _ => Err("must be a number from 1 to 1000000: one minor fault in so many".to_owned()),
    }
}

/// `START-END`, hexadecimal with or without 0x, END not included.
pub(super) fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let hex = |text: &str| u64::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).ok();
    let bounds = text
        .split_once('-')
        .and_then(|(start, end)| Some((hex(start)?, hex(end)?)));
    match bounds {
        Some((start, end)) if start < end => Ok(start..end),
        Some(_) => Err("ends before it begins".to_owned()),
        None => Err("not START-END in hexadecimal, as in 7f0000000000-7f0000100000".to_owned()),
    }
}

/// Bytes, or K, M, G: a power of two.
pub(super) fn parse_ring_size(text: &str) -> Result<u32, String> {
    let (digits, shift) = match text.trim_end_matches(['B', 'b']).char_indices().last() {
        Some((at, 'K' | 'k')) => (&text[..at], 10),
        Some((at, 'M' | 'm')) => (&text[..at], 20),
        Some((at, 'G' | 'g')) => (&text[..at], 30),
        _ => (text, 0),
    };
    let count: u64 = digits
        .parse()
        .map_err(|_| "not a size: use bytes, or K, M, G, as in 64M".to_owned())?;
    let bytes = count.checked_shl(shift).filter(|bytes| bytes >> shift == count);
    match bytes.and_then(|bytes| u32::try_from(bytes).ok()) {
        Some(bytes) if bytes.is_power_of_two() && (4 << 10..=1 << 30).contains(&bytes) => Ok(bytes),
        _ => Err("must be a power of two from 4K to 1G".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_sizes_are_powers_of_two_with_a_unit() {
        assert_eq!(parse_ring_size("4K"), Ok(4 << 10));
        assert_eq!(parse_ring_size("1G"), Ok(1 << 30));
        assert_eq!(parse_ring_size("16777216"), Ok(16 << 20));
        for bad in ["", "M", "3M", "2K", "2G", "-1", "99999999999999999999G", "1é"] {
            assert!(parse_ring_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_that_are_no_durations_are_refused() {
        assert_eq!(parse_seconds("1.5"), Ok(Duration::from_millis(1500)));
        for bad in ["", "0", "-1", "nan", "inf", "1e300", "x"] {
            assert!(parse_seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_latency_is_in_microseconds_unless_it_says_otherwise() {
        assert_eq!(parse_latency("50"), Ok(Duration::from_micros(50)));
        assert_eq!(parse_latency("1.5ms"), Ok(Duration::from_micros(1500)));
        assert_eq!(parse_latency("800ns"), Ok(Duration::from_nanos(800)));
        for bad in ["", "0", "-1us", "ms", "nan", "1e40s", "1h"] {
            assert!(parse_latency(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_range_is_hexadecimal_and_not_empty() {
        assert_eq!(parse_range("0x1000-2fff"), Ok(0x1000..0x2fff));
        for bad in ["", "1000", "2000-1000", "1000-1000", "x-y", "-"] {
            assert!(parse_range(bad).is_err(), "{bad}");
        }
        assert!(parse_sample("0").is_err() && parse_sample("10") == Ok(10));
    }
}
