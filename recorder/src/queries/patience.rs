//! How long looking for what nobody named may hold up the beginning of a recording.

use std::time::{Duration, Instant};

use crate::stop;

/// For all of it: whoever made some of the files does not hold up the recording for longer.
pub const MOST: Duration = Duration::from_secs(10);

/// What is left of it; nothing once a signal asks for the end.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    until: Instant,
}

impl Patience {
    /// All of it.
    #[must_use]
    pub fn new() -> Self {
        Self {
            until: Instant::now() + MOST,
        }
    }

    /// None at all.
    #[cfg(test)]
    pub fn none() -> Self {
        Self {
            until: Instant::now(),
        }
    }

    /// `None` when it is over.
    #[must_use]
    pub fn left(self) -> Option<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        (!left.is_zero() && !stop::is_asked_for()).then_some(left)
    }
}
