//! The clocks of a recording.

use nix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC` now, nanoseconds: the clock of every time in a trace.
#[must_use]
pub fn monotonic_ns() -> u64 {
    nanoseconds(ClockId::CLOCK_MONOTONIC)
}

/// What has to be added to `CLOCK_MONOTONIC` to get UTC, nanoseconds.
#[must_use]
pub fn utc_offset_ns() -> i64 {
    let before = monotonic_ns();
    let utc = nanoseconds(ClockId::CLOCK_REALTIME);
    let after = monotonic_ns();
    utc.wrapping_sub(before + (after - before) / 2).cast_signed()
}

fn nanoseconds(clock: ClockId) -> u64 {
    // Neither clock can fail on Linux, and neither is before its epoch.
    clock_gettime(clock).map_or(0, |time| {
        let (seconds, nanos) = (time.tv_sec().unsigned_abs(), time.tv_nsec().unsigned_abs());
        seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
    })
}
