//! The values of options, from text: which kind each is, in which bounds, and which unit a bare number has. How they are
//! written is the business of `pf_notation`.

use std::{ops::Range, path::PathBuf, time::Duration};

use pf_notation::{
    address,
    duration::{self, Unit},
    names::{Kind, Names},
    size,
};

const SECOND_NS: u64 = 1_000_000_000;
const HOUR_NS: u64 = 3_600 * SECOND_NS;
/// The shortest and the longest interval between two pictures.
const INTERVALS_NS: (u64, u64) = (10_000_000, HOUR_NS);
/// The least and the most room for each CPU.
const RING_BYTES: std::ops::RangeInclusive<u64> = 4 << 10..=1 << 30;

/// How long to record.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    duration::parse_within(text, Unit::Seconds, (1, u64::MAX)).map(Duration::from_nanos)
}

/// Between two pictures.
pub(super) fn milliseconds(text: &str) -> Result<Duration, String> {
    duration::parse_within(text, Unit::Milliseconds, INTERVALS_NS).map(Duration::from_nanos)
}

/// Latencies.
pub(super) fn microseconds(text: &str) -> Result<Duration, String> {
    duration::parse_within(text, Unit::Microseconds, (1, u64::MAX)).map(Duration::from_nanos)
}

/// Addresses, END not included.
pub(super) fn address_range(text: &str) -> Result<Range<u64>, String> {
    address::parse_range(text)
}

/// Names of threads.
pub(super) fn threads(text: &str) -> Result<Names, String> {
    Names::parse(text, Kind::Thread)
}

/// A name of the environment.
pub(super) fn variable(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains('=') {
        return Err("must be names of variables, separated by commas, as in LANG,PATH".to_owned());
    }
    Ok(text.to_owned())
}

/// Room for faults: a power of two.
pub(super) fn ring_bytes(text: &str) -> Result<u32, String> {
    let bytes = size::parse(text, size::Unit::Bytes)?;
    match u32::try_from(bytes) {
        Ok(ring) if bytes.is_power_of_two() && RING_BYTES.contains(&bytes) => Ok(ring),
        _ => Err(format!(
            "must be a power of two from 4KiB to 1GiB, as in 16MiB{}",
            match nearest_power(bytes) {
                Some(near) => format!(": the next one is {}", size::bytes(near)),
                None => String::new(),
            }
        )),
    }
}

/// The power of two that is at least this, where that is allowed.
fn nearest_power(bytes: u64) -> Option<u64> {
    bytes
        .checked_next_power_of_two()
        .filter(|power| RING_BYTES.contains(power))
}

/// A path, and no pattern: the file is opened.
pub(super) fn existing_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if text.is_empty() {
        return Err("a path is missing: give that of a file".to_owned());
    }
    if text.contains(['*', '?', ',']) && !path.exists() {
        return Err("there is no such file: pfrec opens one file, by its path; patterns and lists are for pfanalyze --file".to_owned());
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_powers_of_two_in_any_notation() {
        assert_eq!(ring_bytes("4K"), Ok(4 << 10));
        assert_eq!(ring_bytes("16MiB"), Ok(16 << 20));
        assert_eq!(ring_bytes("1g"), Ok(1 << 30));
        assert_eq!(ring_bytes("16777216"), Ok(16 << 20));
        for (bad, says) in [
            ("", "a size is missing"),
            ("M", "not a size"),
            ("3M", "the next one is 4.0 MiB"),
            ("16MB", "the next one is 16.0 MiB"),
            ("2K", "from 4KiB to 1GiB"),
            ("2G", "from 4KiB to 1GiB"),
            ("-1", "never below 0"),
            ("99999999999999999999G", "too large"),
            ("1é", "not a size"),
        ] {
            let error = ring_bytes(bad).err().unwrap_or_default();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }

    #[test]
    fn each_time_has_its_own_unit_and_bounds() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(seconds("1500ms"), seconds("1.5"));
        assert_eq!(milliseconds("250"), Ok(Duration::from_millis(250)));
        assert_eq!(milliseconds("1s"), milliseconds("1000"));
        assert_eq!(microseconds("50"), Ok(Duration::from_micros(50)));
        assert_eq!(microseconds("100µs"), microseconds("0.1ms"));
        assert_eq!(microseconds("1e3"), microseconds("1ms"));
        for bad in ["", "0", "-1", "nan", "inf", "1e300", "x"] {
            assert!(
                seconds(bad).is_err() && microseconds(bad).is_err() && milliseconds(bad).is_err(),
                "{bad}"
            );
        }
        assert!(milliseconds("9").is_err() && milliseconds("2h").is_err());
    }

    #[test]
    fn a_pattern_is_not_taken_for_a_path() {
        assert_eq!(existing_file("/no/such/file"), Ok("/no/such/file".into()));
        for bad in ["", "/no/such/*.dat", "a,b"] {
            assert!(existing_file(bad).is_err(), "{bad}");
        }
    }
}
