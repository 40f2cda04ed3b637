//! Addresses, and ranges of them: hexadecimal, and never guessed.

use std::ops::Range;

/// A text as a number, and whether its writing tells that it is hexadecimal.
struct Written {
    text: String,
    is_hexadecimal: bool,
}

impl Written {
    fn new(text: &str) -> Result<Self, String> {
        let rule = "give it in hexadecimal, as 0x7f0012340000";
        let trimmed = text.trim();
        let digits = trimmed.strip_prefix("0x").or_else(|| trimmed.strip_prefix("0X"));
        let text = digits.unwrap_or(trimmed).to_owned();
        if text.is_empty() {
            return Err(format!("an address is missing: {rule}"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("'{trimmed}' is not an address: {rule}"));
        }
        Ok(Self {
            is_hexadecimal: digits.is_some() || text.bytes().any(|byte| byte.is_ascii_alphabetic()),
            text,
        })
    }

    /// One digit is the same in both.
    fn is_decided(&self) -> bool {
        self.is_hexadecimal || self.text.len() == 1
    }

    fn value(&self) -> Result<u64, String> {
        u64::from_str_radix(&self.text, 16).map_err(|_| {
            format!(
                "'{}' is too large: an address has at most 16 hexadecimal digits",
                self.text
            )
        })
    }

    fn undecided(&self) -> String {
        let decimal = match self.text.parse::<u64>() {
            Ok(decimal) => format!(" or decimal ({decimal:#x})"),
            Err(_) => String::new(),
        };
        format!(
            "'{0}' could be hexadecimal (0x{0}){decimal}: write it with 0x",
            self.text
        )
    }
}

/// Reads `0x7f0012340000`, or without 0x where a letter tells that it is hexadecimal. Digits alone are refused: they
/// could be decimal.
///
/// # Errors
/// What is wrong, and what a right value looks like.
pub fn parse(text: &str) -> Result<u64, String> {
    let written = Written::new(text)?;
    let value = written.value()?;
    if written.is_decided() {
        Ok(value)
    } else {
        Err(written.undecided())
    }
}

/// Reads `START-END`, END excluded. It is enough when one of the two tells that both are hexadecimal, as in
/// /proc/PID/maps.
///
/// # Errors
/// What is wrong, and what a right value looks like.
pub fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let (start, end) = text
        .trim()
        .split_once('-')
        .ok_or("give START-END, as 0x7f0000000000-0x7f0000100000")?;
    let (start, end) = (Written::new(start)?, Written::new(end)?);
    let range = start.value()?..end.value()?;
    if !start.is_hexadecimal
        && !end.is_hexadecimal
        && let Some(undecided) = [&start, &end].into_iter().find(|written| !written.is_decided())
    {
        return Err(undecided.undecided());
    }
    if range.start >= range.end {
        return Err("START must be below END, which is not part of the range".to_owned());
    }
    Ok(range)
}

/// `0x1000-0x2000`, as [`parse_range`] reads it.
#[must_use]
pub fn range(range: &Range<u64>) -> String {
    format!("{:#x}-{:#x}", range.start, range.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_is_hexadecimal_where_that_can_be_seen() {
        for (text, address) in [
            ("0x1000", 0x1000),
            ("0X7F00", 0x7f00),
            ("7f00", 0x7f00),
            ("DEADbeef", 0xdead_beef),
            ("0", 0),
            ("9", 9),
            ("0xffffffffffffffff", u64::MAX),
        ] {
            assert_eq!(parse(text), Ok(address), "{text}");
        }
        for (text, says) in [
            ("", "missing"),
            ("0x", "missing"),
            (
                "1000",
                "'1000' could be hexadecimal (0x1000) or decimal (0x3e8): write it with 0x",
            ),
            ("0x1g", "not an address"),
            ("-1", "not an address"),
            ("+1", "not an address"),
            ("0x10000000000000000", "too large"),
        ] {
            let error = parse(text).err().unwrap_or_default();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_range_is_hexadecimal_if_one_end_tells_so_and_is_not_empty() {
        for (text, range) in [
            ("0x1000-0x2fff", 0x1000..0x2fff),
            ("0x1000-2000", 0x1000..0x2000),
            ("559000000000-55900010f000", 0x5590_0000_0000..0x5590_0010_f000),
            ("0-0x1000", 0..0x1000),
            ("1-2", 1..2),
        ] {
            assert_eq!(parse_range(text), Ok(range), "{text}");
        }
        for (text, says) in [
            ("", "give START-END"),
            ("0x1000", "give START-END"),
            (
                "1000-2000",
                "'1000' could be hexadecimal (0x1000) or decimal (0x3e8)",
            ),
            ("0-1000", "'1000' could be"),
            ("0x2000-0x1000", "START must be below END"),
            ("0x5-0x5", "START must be below END"),
            ("x-y", "'x' is not an address"),
            ("-", "missing"),
        ] {
            let error = parse_range(text).err().unwrap_or_default();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(a: u64, b: u64) {
            prop_assume!(a != b);
            prop_assert_eq!(parse(&format!("{a:#x}")), Ok(a));
            let both = a.min(b)..a.max(b);
            prop_assert_eq!(parse_range(&range(&both)), Ok(both));
        }
    }
}
