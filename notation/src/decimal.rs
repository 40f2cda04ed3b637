//! Decimal numbers as people write them, exact: no floating point. Units are none of its business.

/// As many digits as are kept; the product with the largest unit, 2^60, still fits.
const DIGITS: usize = 20;

/// `digits × 10^exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    digits: u128,
    exponent: i32,
}

impl Decimal {
    /// Reads `12`, `1.5`, `.5`, `1e3`, `2.5E-3`, `1,234.5`; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, parse_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let whole = without_separators(whole)?;
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !are_digits(&whole) || !are_digits(fraction) {
            return None;
        }
        let all = whole.bytes().chain(fraction.bytes());
        let significant: Vec<u8> = all.skip_while(|&digit| digit == b'0').collect();
        let kept = significant.iter().take(DIGITS);
        let digits = kept.fold(0, |sum: u128, digit| sum * 10 + u128::from(digit - b'0'));
        let left_out = significant.len().saturating_sub(DIGITS);
        let shift = i64::try_from(left_out).ok()? - i64::try_from(fraction.len()).ok()?;
        Some(Self {
            digits,
            exponent: i32::try_from(i64::from(exponent) + shift).ok()?,
        })
    }

    /// The number of times `unit`, cut off below one; `None` when it does not fit.
    pub(crate) fn times(self, unit: u64) -> Option<u64> {
        let product = self.digits.checked_mul(u128::from(unit))?;
        let power = 10u128.checked_pow(self.exponent.unsigned_abs());
        let value = match (self.exponent < 0, power) {
            _ if product == 0 => 0,
            (true, None) => 0,
            (true, Some(power)) => product / power,
            (false, power) => product.checked_mul(power?)?,
        };
        u64::try_from(value).ok()
    }

    /// Whether the number times `unit` has nothing behind the point.
    pub(crate) fn is_whole(self, unit: u64) -> bool {
        let product = self.digits.checked_mul(u128::from(unit));
        let power = 10u128.checked_pow(self.exponent.unsigned_abs());
        match (product, power) {
            (Some(product), Some(power)) => self.exponent >= 0 || product.is_multiple_of(power),
            (Some(0), _) => true,
            _ => self.exponent >= 0,
        }
    }
}

/// Cuts a text into its number and what follows. An `e` belongs to the number when digits follow it: `1e3`, but `1EiB`.
pub(crate) fn split(text: &str) -> (&str, &str) {
    let trimmed = text.trim();
    let bytes = trimmed.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut end = 0;
    while is_digit(end) || matches!(bytes.get(end), Some(b'.' | b',')) {
        end += 1;
    }
    if end > 0 && matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let mut after = end + 1 + sign;
        if is_digit(after) {
            while is_digit(after) {
                after += 1;
            }
            end = after;
        }
    }
    let (number, rest) = trimmed.split_at(end);
    (number, rest.trim_start())
}

/// Whether a text is a number below zero, which deserves an answer of its own.
pub(crate) fn is_negative(text: &str) -> bool {
    let rest = text.trim().strip_prefix('-');
    rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
}

fn parse_exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// Commas may stand before groups of three digits.
fn without_separators(whole: &str) -> Option<String> {
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let mut digits = first.to_owned();
    for group in groups {
        if group.len() != 3 || first.is_empty() || first.len() > 3 {
            return None;
        }
        digits.push_str(group);
    }
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(text: &str, unit: u64) -> Option<u64> {
        Decimal::parse(text)?.times(unit)
    }

    #[test]
    fn decimals_are_exact() {
        for (text, unit, value) in [
            ("12", 1, 12),
            ("1.5", 1_000, 1_500),
            (".5", 1 << 10, 512),
            ("5.", 1, 5),
            ("1e3", 1_000, 1_000_000),
            ("2.5E-3", 1_000_000, 2_500),
            ("1,234.5", 10, 12_345),
            ("0.1", 1_000_000_000, 100_000_000),
            ("0.0000000001", 1_000_000_000, 0),
            ("18446744073709551615", 1, u64::MAX),
            ("0e999", 1, 0),
            ("1e-999", 1, 0),
        ] {
            assert_eq!(times(text, unit), Some(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_or_too_large_is_refused() {
        for text in [
            "", ".", "-1", "+1", "1.2.3", "nan", "inf", "1e", "e3", "1,23", "1234,567", ",123", "1e+", "½",
            "١",
        ] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
        for text in [
            "18446744073709551616",
            "1e20",
            "1e999",
            "99999999999999999999999999999999999999999",
        ] {
            assert_eq!(times(text, 1), None, "{text}");
        }
    }

    #[test]
    fn a_unit_is_what_follows_the_number() {
        for (text, number, unit) in [
            ("1.5ms", "1.5", "ms"),
            (" 3 s ", "3", "s"),
            ("1EiB", "1", "EiB"),
            ("1e3us", "1e3", "us"),
            ("1e-3s", "1e-3", "s"),
            ("12,345", "12,345", ""),
            ("soon", "", "soon"),
            ("1e", "1", "e"),
        ] {
            assert_eq!(split(text), (number, unit), "{text}");
        }
    }
}
