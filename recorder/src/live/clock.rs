//! Times for people and scripts: UTC, as ISO 8601 writes it.

/// `2026-11-23T18:00:00.123456Z`, with so many digits of the second.
#[must_use]
pub fn iso(utc_ns: u64, digits: usize) -> String {
    let seconds = libc::time_t::try_from(utc_ns / 1_000_000_000).unwrap_or(0);
    // SAFETY: zero is a valid tm, which the call fills; both pointers are valid for the call.
    let tm = unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        libc::gmtime_r(&raw const seconds, &raw mut tm);
        tm
    };
    let fraction = format!("{:09}", utc_ns % 1_000_000_000);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{}Z",
        tm.tm_year + 1900,
        tm.tm_mon + 1,
        tm.tm_mday,
        tm.tm_hour,
        tm.tm_min,
        tm.tm_sec,
        &fraction[..digits.clamp(1, 9)]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_standard_has_it() {
        assert_eq!(iso(0, 3), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(1_709_210_096_123_456_789, 6), "2024-02-29T12:34:56.123456Z");
    }
}
