//! Shares of a whole, in percent.

use crate::decimal::{Decimal, is_negative};

/// Reads `0.5`, `0.5%` or `50 %`, from 0 to 100, into thousandths of a percent; digits below are cut off.
///
/// # Errors
/// What is wrong, and what a right value looks like; the value itself is for the caller to name.
pub fn parse_thousandths(text: &str) -> Result<u32, String> {
    let rule = "give percent from 0 to 100, as in 0.5 or 50%";
    let number = text.trim();
    let number = number.strip_suffix('%').unwrap_or(number).trim_end();
    if number.is_empty() {
        return Err(format!("a share is missing: {rule}"));
    }
    if is_negative(number) {
        return Err(format!("a share is never below 0: {rule}"));
    }
    let number = Decimal::parse(number).ok_or_else(|| format!("not a share: {rule}"))?;
    let share = number.times(1_000).filter(|&share| share <= 100_000);
    share
        .and_then(|share| u32::try_from(share).ok())
        .ok_or_else(|| format!("more than the whole: {rule}"))
}

/// `part / whole` in percent with one decimal; 0 of 0 is `0.0 %`.
#[must_use]
pub fn percent(part: u128, whole: u128) -> String {
    let tenths = (part.saturating_mul(1000).saturating_add(whole / 2))
        .checked_div(whole)
        .unwrap_or(0);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shares_are_read_with_and_without_the_sign() {
        for (text, share) in [
            ("0", 0),
            ("0.5", 500),
            ("0.5%", 500),
            ("50 %", 50_000),
            ("100", 100_000),
            (".0019", 1),
            ("1e1", 10_000),
        ] {
            assert_eq!(parse_thousandths(text), Ok(share), "{text}");
        }
    }

    #[test]
    fn wrong_shares_are_refused_with_the_rule() {
        for (text, says) in [
            ("", "a share is missing"),
            ("%", "a share is missing"),
            ("half", "not a share: give percent from 0 to 100"),
            ("+1", "not a share"),
            ("-1", "never below 0"),
            ("100.1", "more than the whole"),
        ] {
            let error = parse_thousandths(text).err().unwrap_or_default();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn shares_have_one_decimal() {
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(1, 0), "0.0 %");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(part in 0u32..=1000) {
            prop_assert_eq!(parse_thousandths(&percent(part.into(), 1000)), Ok(part * 100));
        }
    }
}
