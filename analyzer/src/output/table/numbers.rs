//! Numbers of cells as text, where [`crate::output::units`] has no words for them: shares, signs and floating point.

use crate::output::units::{fixed, grouped};

/// With its sign; what is written as nothing has none.
pub(crate) fn signed(is_less: bool, more: &str, text: String) -> String {
    let is_nothing = text.chars().all(|c| matches!(c, '0' | '.' | ','));
    match (is_nothing, is_less) {
        (true, _) => text,
        (false, true) => format!("-{text}"),
        (false, false) => format!("{more}{text}"),
    }
}

/// With three decimals; what these do not show has an exponent.
pub(crate) fn rounded(number: f64) -> String {
    if number != 0.0 && (number.abs() < 0.0005 || number.abs() >= 1e15) || !number.is_finite() {
        return if number.is_finite() {
            format!("{number:.3e}")
        } else {
            format!("{number}")
        };
    }
    let text = format!("{:.3}", number.abs());
    let sign = if number < 0.0 { "-" } else { "" };
    match text.split_once('.') {
        Some((whole, decimals)) => match whole.parse() {
            Ok(whole) => format!("{sign}{}.{decimals}", grouped(whole)),
            Err(_) => format!("{sign}{text}"),
        },
        None => format!("{sign}{text}"),
    }
}

/// `100 × part / whole`.
pub(crate) fn hundredfold(part: u64, whole: u64, decimals: u32) -> String {
    if whole == 0 {
        return fixed(0, 1, decimals);
    }
    // Numbers close to the largest lose what no decimal shows.
    let (part, whole) = match part.checked_mul(100) {
        Some(part) => (part, whole),
        None => (part, (whole / 100).max(1)),
    };
    fixed(part, whole, decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nothing_has_no_sign() {
        assert_eq!(signed(true, "+", "0.000".into()), "0.000");
        assert_eq!(signed(true, "+", "1,200.5".into()), "-1,200.5");
        assert_eq!(signed(false, "+", "3.0".into()), "+3.0");
        assert_eq!(signed(false, "", "3.0".into()), "3.0");
    }

    #[test]
    fn floating_point_is_short_and_never_hides_a_value() {
        let texts = [0.0, -1_234_567.891_2, 0.000_012_5, 1e300, f64::NAN, f64::INFINITY].map(rounded);
        assert_eq!(
            texts,
            ["0.000", "-1,234,567.891", "1.250e-5", "1.000e300", "NaN", "inf"]
        );
    }
}
