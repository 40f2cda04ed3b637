//! Points in time: since the start of a recording, or by the clock.

use crate::duration::{self, Unit};
use chrono::{
    DateTime, Days, FixedOffset, Local, LocalResult, NaiveDate, NaiveTime, SecondsFormat, TimeZone, Utc,
};

/// A point in time as it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Nanoseconds since the start of the recording.
    SinceStart(u64),
    /// By the clock.
    Clock(Clock),
}

/// A time by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Without one it is the first such time of the recording.
    date: Option<NaiveDate>,
    time: NaiveTime,
    /// Without one it is the zone of whoever asks.
    zone: Option<FixedOffset>,
}

const RULE: &str = "give seconds since the start of the recording, a time with a unit, as 250ms, or the clock, as 14:03, \
                    14:03:05.5, \"2026-11-29 01:58:58\", 2026-11-29T01:58:58Z or 2026-11-29T02:58:58+01:00";

/// Reads a point in time.
///
/// # Errors
/// What is wrong, and what a right value looks like; the value itself is for the caller to name.
pub fn parse(text: &str) -> Result<Moment, String> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(format!("a time is missing: {RULE}"));
    }
    if let Some((date, rest)) = split_date(trimmed) {
        let date = date.ok_or("there is no such day: a date is YEAR-MONTH-DAY, as 2026-11-29")?;
        let rest = rest.strip_prefix(['T', 't']).unwrap_or(rest).trim_start();
        return clock(Some(date), rest).map(Moment::Clock);
    }
    if trimmed.contains(':') {
        return clock(None, trimmed).map(Moment::Clock);
    }
    let is_number = trimmed.starts_with(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    match duration::parse(trimmed, Unit::Seconds) {
        Ok(ns) => Ok(Moment::SinceStart(ns)),
        Err(problem) if is_number => Err(problem),
        Err(_) => Err(format!("not a time: {RULE}")),
    }
}

/// `YYYY-MM-DD` and what follows; the date is `None` where there is no such day.
fn split_date(text: &str) -> Option<(Option<NaiveDate>, &str)> {
    let (date, rest) = text.split_at_checked(10)?;
    let is_date = date.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    is_date.then(|| (date.parse().ok(), rest))
}

/// `14:03[:05[.5]]` and a zone; with a date all of it may be missing.
fn clock(date: Option<NaiveDate>, text: &str) -> Result<Clock, String> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.'))
        .unwrap_or(text.len());
    let (time, zone) = text.split_at(end);
    let time = match (time, date) {
        ("", Some(_)) => Some(NaiveTime::MIN),
        _ => time_of_day(time),
    };
    Ok(Clock {
        date,
        time: time
            .ok_or_else(|| format!("not a time of day, which is from 00:00 to 23:59:59.999999999: {RULE}"))?,
        zone: parse_zone(zone.trim())?,
    })
}

fn time_of_day(text: &str) -> Option<NaiveTime> {
    let (text, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = text.split(':').map(|part| {
        let is_number = (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse::<u32>().ok())?
    });
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = match parts.next() {
        Some(second) => second?,
        None if fraction.is_empty() => 0,
        None => return None,
    };
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let is_number = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let nanos = is_number.then(|| digits.parse().ok())??;
    let none_more = parts.next().is_none();
    none_more.then(|| NaiveTime::from_hms_nano_opt(hour, minute, second, nanos))?
}

fn parse_zone(text: &str) -> Result<Option<FixedOffset>, String> {
    let offset = match text {
        "" => return Ok(None),
        "Z" | "z" | "UTC" | "utc" | "GMT" => FixedOffset::east_opt(0),
        _ => text
            .strip_prefix('-')
            .map_or_else(
                || text.strip_prefix('+').and_then(seconds_east),
                |west| seconds_east(west).map(|seconds| -seconds),
            )
            .and_then(FixedOffset::east_opt),
    };
    offset.map(Some).ok_or_else(|| {
        format!("'{text}' is not a zone: give Z, UTC or an offset, as +01:00; without one the time is local")
    })
}

/// `01:00`, `0100` or `01`.
fn seconds_east(text: &str) -> Option<i32> {
    let digits = text.replacen(':', "", 1);
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let (hours, minutes) = match (digits.len(), is_number) {
        (4, true) => (digits.get(..2)?, digits.get(2..)?),
        (2, true) => (digits.as_str(), "0"),
        _ => return None,
    };
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 3_600 + minutes * 60)
}

impl Clock {
    /// When it was, in nanoseconds since 1970. A time without a date is the first such time of the recording, which lasted from
    /// `start_ns` to `end_ns` as far as that is known; where it had none, it is that of its first day.
    ///
    /// # Errors
    /// What is wrong, where the clock was changed just then.
    pub fn unix_ns(self, start_ns: i64, end_ns: Option<i64>) -> Result<i64, String> {
        let on = |date: NaiveDate| match self.zone {
            Some(zone) => at(&zone, date, self.time),
            None => at(&Local, date, self.time),
        };
        if let Some(date) = self.date {
            return on(date);
        }
        let start = DateTime::from_timestamp_nanos(start_ns);
        let first_day = match self.zone {
            Some(zone) => start.with_timezone(&zone).date_naive(),
            None => start.with_timezone(&Local).date_naive(),
        };
        let on_first = on(first_day)?;
        if on_first >= start_ns {
            return Ok(on_first);
        }
        let next = first_day.checked_add_days(Days::new(1)).map(on);
        match (next, end_ns) {
            (Some(Ok(next)), Some(end_ns)) if next <= end_ns => Ok(next),
            _ => Ok(on_first),
        }
    }
}

fn at<Z: TimeZone>(zone: &Z, date: NaiveDate, time: NaiveTime) -> Result<i64, String> {
    let naive = date.and_time(time);
    let found = match zone.from_local_datetime(&naive) {
        LocalResult::Single(found) => found.timestamp_nanos_opt(),
        LocalResult::None => {
            return Err(format!(
                "{naive} did not exist here: the clocks were put forward; give the time in UTC, with Z"
            ));
        }
        LocalResult::Ambiguous(..) => {
            return Err(format!(
                "{naive} was there twice: the clocks were put back; give the time in UTC, with Z, or with its offset, as +01:00"
            ));
        }
    };
    found.ok_or_else(|| format!("{naive} is too far away: times are from 1677 to 2262"))
}

/// `2026-11-29 01:58:58 UTC`, of nanoseconds since 1970.
#[must_use]
pub fn utc(unix_ns: i64) -> String {
    DateTime::<Utc>::from_timestamp_nanos(unix_ns)
        .format("%Y-%m-%d %H:%M:%S UTC")
        .to_string()
}

/// `2026-11-29 02:58:58 +01:00`, in the zone of whoever asks.
#[must_use]
pub fn local(unix_ns: i64) -> String {
    DateTime::<Utc>::from_timestamp_nanos(unix_ns)
        .with_timezone(&Local)
        .format("%Y-%m-%d %H:%M:%S %:z")
        .to_string()
}

/// `2026-11-29T01:58:58.123456789Z`, as RFC 3339 has it.
#[must_use]
pub fn rfc3339(unix_ns: i64) -> String {
    DateTime::<Utc>::from_timestamp_nanos(unix_ns).to_rfc3339_opts(SecondsFormat::Nanos, true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    const SECOND: i64 = 1_000_000_000;
    /// 2026-11-29 01:58:58 UTC.
    const START: i64 = 1_795_917_538 * SECOND;

    fn when(text: &str, start_ns: i64, end_ns: Option<i64>) -> i64 {
        match parse(text) {
            Ok(Moment::Clock(clock)) => clock.unix_ns(start_ns, end_ns).unwrap(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn numbers_are_seconds_since_the_start() {
        for (text, ns) in [
            ("1.5", 1_500_000_000),
            ("250ms", 250_000_000),
            ("0.190 s", 190_000_000),
            ("2min", 120_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(Moment::SinceStart(ns)), "{text}");
        }
    }

    #[test]
    fn dates_are_read_with_a_zone_in_all_its_forms() {
        for text in [
            "2026-11-29 01:58:58 UTC",
            "2026-11-29 01:58:58Z",
            "2026-11-29T01:58:58Z",
            "2026-11-29t01:58:58.000z",
            "2026-11-29T02:58:58+01:00",
            "2026-11-29 02:58:58 +01:00",
            "2026-11-28T20:58:58-0500",
            "2026-11-29 03:58:58 +02",
        ] {
            assert_eq!(when(text, 0, None), START, "{text}");
        }
        assert_eq!(when("2026-11-29T01:58:58.5Z", 0, None), START + SECOND / 2);
        assert_eq!(when("2026-11-29Z", 0, None), START - 7_138 * SECOND);
    }

    #[test]
    fn a_time_of_day_is_the_first_of_the_recording() {
        let minute = 60 * SECOND;
        assert_eq!(when("02:00Z", START, None), START + 62 * SECOND);
        assert_eq!(when("1:58:58 UTC", START, None), START);
        // Before the start, and not once later.
        assert_eq!(when("01:57:58Z", START, Some(START + minute)), START - minute);
        assert_eq!(when("01:57:58Z", START, None), START - minute);
        // Over midnight.
        let end = START + 24 * 60 * minute;
        assert_eq!(when("01:57:58Z", START, Some(end)), end - minute);
    }

    #[test]
    fn wrong_times_are_refused_with_the_rule() {
        for (text, says) in [
            ("", "a time is missing"),
            ("soon", "not a time: give seconds since the start"),
            ("-1", "never below 0"),
            ("5m", "write min or ms"),
            ("99999999999999999999", "too long"),
            ("25:00", "not a time of day"),
            ("14:60", "not a time of day"),
            ("14:03:05:06", "not a time of day"),
            ("14:", "not a time of day"),
            ("14:03.5", "not a time of day"),
            ("14:03 CET", "'CET' is not a zone"),
            ("14:03+25:00", "'+25:00' is not a zone"),
            ("2026-02-30", "there is no such day"),
            ("2026-11-29 noon", "'noon' is not a zone"),
        ] {
            let error = parse(text).err().unwrap_or_default();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn dates_are_right_at_the_edges() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(-1), "1969-12-31 23:59:59 UTC");
        assert_eq!(utc(951_782_400_000_000_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(START), "2026-11-29 01:58:58 UTC");
        assert_eq!(rfc3339(START + 1), "2026-11-29T01:58:58.000000001Z");
        assert!(utc(i64::MIN).starts_with("1677-") && utc(i64::MAX).starts_with("2262-"));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(unix_ns in i64::MIN + 86_400 * SECOND..i64::MAX - 86_400 * SECOND) {
            let second = unix_ns.div_euclid(SECOND) * SECOND;
            prop_assert_eq!(when(&utc(unix_ns), 0, None), second);
            prop_assert_eq!(when(&local(unix_ns), 0, None), second);
            prop_assert_eq!(when(&rfc3339(unix_ns), 0, None), unix_ns);
        }
    }
}
