//! When many threads stood still in faults at once, and what happens over time. Three looks at a trace: the first learns the
//! threads, their lives and how far faults are out of order; the second sweeps over time, fills the intervals and finds the
//! stalls; the third sees what was waited on in the longest of them.

/// How many threads make a stall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Least {
    /// So many.
    Threads(u32),
    /// So many percent of the threads alive then, and two at least.
    Percent(u32),
}

impl Least {
    /// With so many threads alive.
    #[must_use]
    pub fn of(self, alive: u32) -> u32 {
        match self {
            Self::Threads(threads) => threads.max(1),
            Self::Percent(percent) => {
                let threads = (u64::from(alive) * u64::from(percent)).div_ceil(100);
                u32::try_from(threads).unwrap_or(u32::MAX).max(2)
            }
        }
    }
}
