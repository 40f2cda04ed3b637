//! Sizes. KiB, MiB, GiB and the bare letters are powers of 1024; KB, MB, GB are powers of 1000, as their
//! standards have it. What is printed always has the `i`.

use crate::decimal::{Decimal, is_negative, split};
use crate::duration::fixed;

/// What a bare number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 1 byte.
    Bytes,
    /// 2^20 bytes.
    MiB,
}

/// Reads `4096`, `512K`, `1.5GiB`, `1 MB` into bytes.
///
/// # Errors
/// What is wrong, and what a right value looks like; the value itself is for the caller to name.
pub fn parse(text: &str, bare: Unit) -> Result<u64, String> {
    let rule = match bare {
        Unit::Bytes => {
            "give a number of bytes, or one with a unit, as in 64KiB, 512M (the same as 512MiB) or 2GB (10^9)"
        }
        Unit::MiB => {
            "give a number of MiB, or one with a unit, as in 512K (the same as 512KiB), 2GiB or 2GB (10^9)"
        }
    };
    if text.trim().is_empty() {
        return Err(format!("a size is missing: {rule}"));
    }
    if is_negative(text) {
        return Err(format!("a size is never below 0: {rule}"));
    }
    let (number, suffix) = split(text);
    let unit = match suffix.to_ascii_lowercase().as_str() {
        "" => match bare {
            Unit::Bytes => 1,
            Unit::MiB => 1 << 20,
        },
        "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "p" | "pib" => 1 << 50,
        "e" | "eib" => 1 << 60,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "pb" => 1_000_000_000_000_000,
        "eb" => 1_000_000_000_000_000_000,
        _ => return Err(format!("not a size: {rule}")),
    };
    let number = Decimal::parse(number).ok_or_else(|| format!("not a size: {rule}"))?;
    number
        .times(unit)
        .ok_or_else(|| "too large: no size is above 16 EiB, in bytes 2^64".to_owned())
}

/// A size in binary units: `512 B`, `1.2 MiB`.
#[must_use]
pub fn bytes(size: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if size < 1024 {
        return format!("{size} B");
    }
    let step = (size.ilog2() / 10).min(6);
    let name = UNITS.get(step as usize - 1).copied().unwrap_or("EiB");
    format!("{} {name}", fixed(size, 1u64 << (10 * step), 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_read_in_all_the_usual_forms() {
        for (text, size) in [
            ("4096", 4_096),
            ("4k", 4 << 10),
            ("16m", 16 << 20),
            ("16M", 16 << 20),
            ("16MiB", 16 << 20),
            ("16 mib", 16 << 20),
            ("1g", 1 << 30),
            ("2GiB", 2 << 30),
            (" 1.5 GiB", 3 << 29),
            (".5k", 512),
            ("1T", 1 << 40),
            ("512 B", 512),
            ("1KB", 1_000),
            ("1 kB", 1_000),
            ("10MB", 10_000_000),
            ("1GB", 1_000_000_000),
            ("1e6", 1_000_000),
            ("1E", 1 << 60),
            ("0", 0),
        ] {
            assert_eq!(parse(text, Unit::Bytes), Ok(size), "{text}");
        }
        assert_eq!(parse("64", Unit::MiB), Ok(64 << 20));
        assert_eq!(parse("64k", Unit::MiB), Ok(64 << 10));
    }

    #[test]
    fn wrong_sizes_are_refused_with_the_rule_and_an_example() {
        for (text, says) in [
            ("", "a size is missing"),
            (".", "not a size"),
            ("M", "not a size"),
            ("-1", "never below 0"),
            ("1.2.3", "as in 64KiB"),
            ("5 pages", "number of bytes"),
            ("much", "512M (the same as 512MiB)"),
            ("99999999999T", "too large"),
            ("16EiB", "too large"),
        ] {
            let error = parse(text, Unit::Bytes).err().unwrap_or_default();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn sizes_are_printed_in_binary_units() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(size: u64, shift in 0u32..64) {
            let size = size >> shift;
            prop_assert_eq!(parse(&size.to_string(), Unit::Bytes), Ok(size));
            prop_assert_eq!(parse(&format!("{size} B"), Unit::MiB), Ok(size));
            let shown = bytes(size);
            match parse(&shown, Unit::Bytes) {
                Ok(read) => prop_assert!(read.abs_diff(size) as f64 <= 0.051 * size as f64, "{}", shown),
                // The last ones round to 2^64.
                Err(_) => prop_assert_eq!(shown, "16.0 EiB"),
            }
        }
    }
}
