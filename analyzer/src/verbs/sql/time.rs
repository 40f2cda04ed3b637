//! Times as text: UTC, to the nanosecond.

use crate::error::AnalyzeError;
use crate::verbs::sql::types::refusal;

const SECOND: i128 = 1_000_000_000;
const DAY: i64 = 86_400;

/// Nanoseconds since 1970 as `2026-11-30T04:28:03.123456789Z`.
#[must_use]
pub fn text(ns: i64) -> String {
    let seconds = ns.div_euclid(1_000_000_000);
    let fraction = ns.rem_euclid(1_000_000_000);
    let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{fraction:09}Z",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

/// The date of a day since 1970, by Howard Hinnant's `civil_from_days`.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// The day since 1970 of a date, by Howard Hinnant's `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The nanoseconds since 1970 of a date, or a date with a time, in UTC.
///
/// # Errors
/// When it is none.
pub fn parse(text: &str) -> Result<i64, AnalyzeError> {
    parsed(text.trim()).ok_or_else(|| {
        refusal(format!(
            "{text:?} is not a time: write it in UTC, as '2026-11-30 04:28:03.5' or '2026-11-30'"
        ))
    })
}

fn parsed(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, clock) = match text.split_once([' ', 'T']) {
        Some((date, clock)) => (date, clock),
        None => (text, "00:00:00"),
    };
    let mut date = date.splitn(3, '-').map(|part| whole(part, 4));
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut clock = clock.splitn(3, ':').map(|part| whole(part, 2));
    let (hour, minute) = (clock.next()??, clock.next()??);
    let second = clock.next().unwrap_or(Some(0))?;
    let is_date =
        (1..=12).contains(&month) && day >= 1 && civil(days(year, month, day)) == (year, month, day);
    if !is_date || hour > 23 || minute > 59 || second > 59 || fraction.len() > 9 {
        return None;
    }
    let fraction = whole(&format!("{fraction:0<9}"), 9)?;
    let seconds = days(year, month, day) * DAY + hour * 3_600 + minute * 60 + second;
    i64::try_from(i128::from(seconds) * SECOND + i128::from(fraction)).ok()
}

fn whole(text: &str, most: usize) -> Option<i64> {
    let is_number = !text.is_empty() && text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for (ns, written) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (1_795_998_483_123_456_789, "2026-11-30T00:28:03.123456789Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
        ] {
            assert_eq!(text(ns), written);
            assert_eq!(parse(written).ok(), Some(ns));
        }
        assert_eq!(parse("2000-03-01").ok(), Some(951_868_800_000_000_000));
        assert_eq!(parse("2000-02-29 00:00:00.5").ok(), Some(951_782_400_500_000_000));
        for wrong in [
            "",
            "x",
            "2001-02-29",
            "2000-13-01",
            "2000-01-01 24:00:00",
            "2000-01-01 1:2:3:4",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
