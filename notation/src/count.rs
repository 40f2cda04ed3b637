//! Numbers of things, and numbers that name something.

use crate::decimal::{Decimal, is_negative, split};

/// Reads `12345`, `12,345`, `12k`, `3.4M`, `1e6`; `bounds` are both allowed.
///
/// # Errors
/// What is wrong, and what a right value looks like.
pub fn parse(text: &str, bounds: (u64, u64)) -> Result<u64, String> {
    let (low, high) = bounds;
    let rule = || match high {
        u64::MAX => format!(
            "give a whole number of {} or more, as in {}",
            grouped(low),
            low.max(10)
        ),
        _ => format!("give a whole number from {} to {}", grouped(low), grouped(high)),
    };
    if text.trim().is_empty() {
        return Err(format!("a number is missing: {}", rule()));
    }
    let (number, suffix) = split(text);
    let unit = match suffix {
        "" => 1,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        _ => 0,
    };
    let number = Decimal::parse(number).filter(|_| unit > 0);
    if is_negative(text) {
        return Err(format!("a number is never below 0 here: {}", rule()));
    }
    let number = number.ok_or_else(|| format!("not a number: {}", rule()))?;
    // Half of a thing is none.
    let is_whole = number.is_whole(unit);
    match number.times(unit) {
        Some(count) if is_whole && (low..=high).contains(&count) => Ok(count),
        _ if !is_whole => Err(format!("not a whole number: {}", rule())),
        _ => Err(rule()),
    }
}

/// [`parse`] for an option of type `T`, within its bounds.
pub fn within<T: TryFrom<u64>>(
    low: u64,
    high: u64,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync {
    move |text| {
        let count = parse(text, (low, high))?;
        T::try_from(count).map_err(|_| format!("{} is too large", grouped(count)))
    }
}

/// Reads the number of a process or thread.
///
/// # Errors
/// What is wrong, and what a right value looks like.
pub fn parse_id(text: &str) -> Result<u32, String> {
    let rule = "give the number of a process or thread, as ps shows it, or several with commas: 4711,4712";
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(format!("a number is missing: {rule}"));
    }
    if !trimmed.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("not a number: {rule}"));
    }
    trimmed
        .parse()
        .map_err(|_| format!("too large: there are none above {}", grouped(u32::MAX.into())))
}

/// `12345678` → `12,345,678`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count in at most five characters: `999`, `12k`, `3.4M`.
#[must_use]
pub fn short_count(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{}k", count / 1_000),
        1_000_000..10_000_000 => format!("{}.{}M", count / 1_000_000, count / 100_000 % 10),
        10_000_000..1_000_000_000 => format!("{}M", count / 1_000_000),
        _ => format!("{}G", count / 1_000_000_000),
    }
}

/// A number with its noun, which is given for one: `1 query`, `2 queries`.
#[must_use]
pub fn quantity(count: u64, noun: &str) -> String {
    let count_text = grouped(count);
    if count == 1 {
        return format!("{count_text} {noun}");
    }
    let vowel_before = |stem: &str| stem.ends_with(['a', 'e', 'i', 'o', 'u']);
    match noun.strip_suffix('y') {
        Some(stem) if !vowel_before(stem) => format!("{count_text} {stem}ies"),
        _ if noun.ends_with(['s', 'x']) => format!("{count_text} {noun}es"),
        _ => format!("{count_text} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_are_read_as_they_are_written() {
        for (text, count) in [
            ("10", 10),
            ("12,345", 12_345),
            ("12k", 12_000),
            ("3.4M", 3_400_000),
            ("1e6", 1_000_000),
            ("1.5e1", 15),
            ("2.0", 2),
            ("0", 0),
        ] {
            assert_eq!(parse(text, (0, u64::MAX)), Ok(count), "{text}");
        }
    }

    #[test]
    fn wrong_counts_are_refused_with_the_rule() {
        for (text, says) in [
            ("", "a number is missing: give a whole number from 1 to 1,000"),
            ("x", "not a number"),
            ("-5", "never below 0"),
            ("1.5", "not a whole number"),
            ("0", "from 1 to 1,000"),
            ("1001", "from 1 to 1,000"),
            ("5 threads", "not a number"),
            ("99999999999999999999", "from 1 to 1,000"),
        ] {
            let error = parse(text, (1, 1_000)).err().unwrap_or_default();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert_eq!(
            within::<u16>(0, 1 << 20)("70000"),
            Err("70,000 is too large".to_owned())
        );
        assert_eq!(within::<u16>(0, 1 << 20)("700"), Ok(700));
    }

    #[test]
    fn ids_are_plain_numbers() {
        assert_eq!(parse_id(" 4711 "), Ok(4711));
        for (text, says) in [
            ("", "missing"),
            ("x", "as ps shows"),
            ("-1", "not a number"),
            ("4294967296", "too large"),
        ] {
            let error = parse_id(text).err().unwrap_or_default();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn counts_are_written_as_people_read_them() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(
            ["9999", "12k", "3.4M", "12M", "5G"],
            [9_999, 12_345, 3_456_789, 12_345_678, 5_000_000_000].map(short_count)
        );
        assert_eq!(
            [quantity(1, "fault"), quantity(2_000, "fault")],
            ["1 fault", "2,000 faults"]
        );
        assert_eq!(
            [
                quantity(0, "query"),
                quantity(2, "more process"),
                quantity(2, "day")
            ],
            ["0 queries", "2 more processes", "2 days"]
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(count: u64, shift in 0u32..64) {
            let count = count >> shift;
            let all = (0, u64::MAX);
            prop_assert_eq!(parse(&count.to_string(), all), Ok(count));
            prop_assert_eq!(parse(&grouped(count), all), Ok(count));
            let short = short_count(count);
            prop_assert_eq!(parse(&short, all).map(short_count), Ok(short));
        }
    }
}
