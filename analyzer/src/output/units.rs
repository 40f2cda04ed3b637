//! Numbers and times as people write and read them: the only place that knows unit suffixes.
//! It parses command-line values and formats table cells; it does not lay out tables.

/// Parses `12`, `1.5`, `10us`, `3 ms` into nanoseconds; a bare number counts in `bare_unit_ns`.
///
/// # Errors
/// One line that says what a right value looks like.
pub(crate) fn parse_duration_ns(text: &str, bare_unit_ns: u64) -> Result<u64, String> {
    let trimmed = text.trim();
    let split = trimmed
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(trimmed.len());
    let (number, suffix) = trimmed.split_at(split);
    let unit_ns = match suffix.trim() {
        "" => bare_unit_ns,
        "ns" => 1,
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => {
            return Err(format!(
                "'{text}' is not a time: give a number, or one with ns, us, ms or s"
            ));
        }
    };
    decimal_times(number, unit_ns).ok_or_else(|| {
        format!("'{text}' is not a time: give a number such as 1.5, with ns, us, ms or s if needed")
    })
}

/// `number × unit_ns`, exact to the nanosecond; digits below it are cut off.
fn decimal_times(number: &str, unit_ns: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(unit_ns)?;
    let mut digit_unit = unit_ns;
    for digit in fraction.chars() {
        digit_unit /= 10;
        total = total.checked_add(u64::from(digit.to_digit(10)?).checked_mul(digit_unit)?)?;
    }
    Some(total)
}

/// Parses `4096`, `512K`, `1.5GiB` into bytes; units are powers of 1024.
///
/// # Errors
/// One line that says what a right value looks like.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let split = trimmed
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(trimmed.len());
    let (number, suffix) = trimmed.split_at(split);
    let shift = match suffix.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => {
            return Err(format!(
                "'{text}' is not a size: give a number of bytes, or one with K, M, G or T"
            ));
        }
    };
    // Three digits of a fraction are enough.
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let thousandths: String = fraction.chars().chain("000".chars()).take(3).collect();
    let size = || {
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let thousandths: u64 = thousandths.parse().ok()?;
        let part = (thousandths << shift) / 1_000;
        whole.checked_mul(1 << shift)?.checked_add(part)
    };
    let is_number = !whole.is_empty() || !fraction.is_empty();
    is_number
        .then(size)
        .flatten()
        .ok_or_else(|| format!("'{text}' is not a size: give a number such as 512M"))
}

/// Parses `0x7f00…` or a decimal address.
///
/// # Errors
/// One line that says what a right value looks like.
pub(crate) fn parse_address(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let parsed = match trimmed.strip_prefix("0x").or_else(|| trimmed.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => trimmed.parse(),
    };
    parsed.map_err(|_| format!("'{text}' is not an address: give it as 0x7f0012340000"))
}

/// Parses `512M`, `2G`, `2GiB` or a number of bytes.
///
/// # Errors
/// One line that says what a right value looks like.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let split = trimmed
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(trimmed.len());
    let (number, suffix) = trimmed.split_at(split);
    let unit = match suffix.trim() {
        "" | "B" => Some(1),
        "K" | "k" | "KiB" => Some(1 << 10),
        "M" | "MiB" => Some(1 << 20),
        "G" | "GiB" => Some(1 << 30),
        "T" | "TiB" => Some(1 << 40),
        _ => None,
    };
    unit.and_then(|unit| decimal_times(number, unit))
        .ok_or_else(|| format!("'{text}' is not a size: give bytes, or a number with K, M or G"))
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

/// `value_ns / unit_ns` with a fixed number of decimals, rounded half up, without floating point.
#[must_use]
pub(crate) fn fixed(value_ns: u64, unit_ns: u64, decimals: u32) -> String {
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
pub(crate) fn short_duration(ns: u64) -> String {
    let (unit_ns, name) = match ns {
        0..1_000 => return format!("{ns}ns"),
        1_000..1_000_000 => (1_000, "us"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    format!("{}{name}", fixed(ns, unit_ns, u32::from(ns / unit_ns < 10)))
}

/// A count in at most five characters: `999`, `12k`, `3.4M`.
#[must_use]
pub(crate) fn short_count(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{}k", count / 1_000),
        1_000_000..10_000_000 => format!("{}.{}M", count / 1_000_000, count / 100_000 % 10),
        10_000_000..1_000_000_000 => format!("{}M", count / 1_000_000),
        _ => format!("{}G", count / 1_000_000_000),
    }
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

/// `part / whole` in percent with one decimal; 0 of 0 is `0.0 %`.
#[must_use]
pub fn percent(part: u128, whole: u128) -> String {
    let tenths = (part.saturating_mul(1000).saturating_add(whole / 2))
        .checked_div(whole)
        .unwrap_or(0);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// Nanoseconds since 1970 as `2026-11-22 20:22:29 UTC`.
#[must_use]
pub(crate) fn utc(unix_ns: i64) -> String {
    let seconds = unix_ns.div_euclid(1_000_000_000);
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to civil date, Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day_of_month:02} {:02}:{:02}:{:02} UTC",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// A number with its noun.
pub(crate) fn quantity(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn times_are_read_with_and_without_units() {
        assert_eq!(parse_duration_ns("1.5", 1_000_000_000), Ok(1_500_000_000));
        assert_eq!(parse_duration_ns("10", 1_000), Ok(10_000));
        assert_eq!(parse_duration_ns("2.25ms", 1_000), Ok(2_250_000));
        assert_eq!(parse_duration_ns(" 3 s ", 1), Ok(3_000_000_000));
        assert_eq!(parse_duration_ns(".5us", 1), Ok(500));
    }

    #[test]
    fn bad_times_are_refused() {
        for bad in [
            "",
            ".",
            "-1",
            "1e3",
            "1.2.3",
            "nan",
            "inf",
            "5 minutes",
            "99999999999999999999",
            "20000000000s",
        ] {
            assert!(parse_duration_ns(bad, 1_000).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_read_in_powers_of_1024() {
        assert_eq!(parse_bytes("4096"), Ok(4_096));
        assert_eq!(parse_bytes("96M"), Ok(96 << 20));
        assert_eq!(parse_bytes(" 1.5 GiB"), Ok(3 << 29));
        assert_eq!(parse_bytes(".5k"), Ok(512));
        for bad in ["", ".", "M", "-1", "1e3", "1.2.3", "5 pages", "99999999999T"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_are_written_as_people_read_them() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(fixed(1_999_500, 1_000_000, 3), "2.000");
        assert_eq!(fixed(u64::MAX, 1_000, 1), "18446744073709551.6");
        assert_eq!(duration(734), "734 ns");
        assert_eq!(duration(1_230_000_000), "1.23 s");
        assert_eq!(
            ["734ns", "1.5us", "12us", "9.9s"],
            [734, 1_500, 12_000, 9_900_000_000].map(short_duration)
        );
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(1, 0), "0.0 %");
    }

    #[test]
    fn dates_are_right_at_the_edges() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(-1), "1969-12-31 23:59:59 UTC");
        assert_eq!(utc(951_782_400_000_000_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_795_379_549_000_000_000), "2026-11-22 20:32:29 UTC");
        assert!(utc(i64::MIN).starts_with("1677-") && utc(i64::MAX).starts_with("2262-"));
    }
}
