//! What the kernel knows of us: the clock, and the page faults it has counted.

use rustix::time::{ClockId, clock_gettime};

/// Page faults as the kernel counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Faults {
    /// Faults that waited for a disk.
    pub majors: u64,
    /// All others.
    pub minors: u64,
}

impl Faults {
    /// Those that happened after `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            majors: self.majors.saturating_sub(earlier.majors),
            minors: self.minors.saturating_sub(earlier.minors),
        }
    }
}

/// `CLOCK_MONOTONIC`, in nanoseconds.
pub fn now_ns() -> u64 {
    read_ns(ClockId::Monotonic)
}

/// CPU time of the calling thread so far, in nanoseconds.
pub(crate) fn thread_cpu_ns() -> u64 {
    read_ns(ClockId::ThreadCPUTime)
}

fn read_ns(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    // Both clocks start at 0 and its nanoseconds stay below a second: never negative.
    time.tv_sec
        .cast_unsigned()
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec.cast_unsigned())
}

/// Faults of the calling thread so far.
pub(crate) fn thread_faults() -> Faults {
    faults(libc::RUSAGE_THREAD)
}

/// Faults of all threads of this process so far.
pub(crate) fn process_faults() -> Faults {
    faults(libc::RUSAGE_SELF)
}

fn faults(who: libc::c_int) -> Faults {
    // SAFETY: all zeroes is a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is valid for the kernel to fill. The call fails only for a bad pointer or an
    // unknown `who`, neither of which is possible here.
    unsafe { libc::getrusage(who, &raw mut usage) };
    Faults {
        majors: usage.ru_majflt.cast_unsigned(),
        minors: usage.ru_minflt.cast_unsigned(),
    }
}
