//! What a recording could see: its record names the backend, and what that is blind to. What it could not see is not there, which
//! is something else than 0.

use pf_formats::Meta;
use std::borrow::Cow;

/// As in META of backends that list no failed fault.
const FAILED: &str = "failed faults";
/// As in META of backends that list those that end in a signal.
const FAILED_IN_SILENCE: &str = "failed faults that end without a signal";
/// As in META of backends that do not see attempts.
const RETRIES: &str = "retries";
/// As in META of backends that see no attempt, where it was written by a recorder that knew of this.
const LOCK: &str = "lock waits (with --breakdown)";
/// As in META of recordings that looked for causes on a kernel that hides where its functions are.
const HIDDEN_WAITS: &str = "waits of hidden faults (with --causes)";
/// The backend that sees no attempt: older recorders did not name all that it cannot see, and wrote zeros.
const BY_EVENTS: &str = "perf";

/// Which failed faults are rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// All.
    Whole,
    /// Those that ended in a signal.
    WithSignal,
    /// None.
    Unseen,
}

/// What one recording could see; where its record is lost, all that there is counts as seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight<'a>(Option<&'a Meta>);

impl<'a> Sight<'a> {
    /// Of a recording with this record.
    #[must_use]
    pub fn of(meta: Option<&'a Meta>) -> Self {
        Self(meta)
    }

    fn is_blind_to(self, what: &str) -> bool {
        self.0
            .is_some_and(|meta| meta.blind.iter().any(|blind| blind == what))
    }

    pub(crate) fn backend(self) -> &'a str {
        self.0.map_or("", |meta| &meta.backend)
    }

    /// Which failed faults.
    #[must_use]
    pub fn failed(self) -> Failed {
        if self.is_blind_to(FAILED) {
            Failed::Unseen
        } else if self.is_blind_to(FAILED_IN_SILENCE) {
            Failed::WithSignal
        } else {
            Failed::Whole
        }
    }

    /// Whether it saw how often the kernel began again.
    #[must_use]
    pub fn retries(self) -> bool {
        !self.is_blind_to(RETRIES)
    }

    /// Whether it saw waits for the lock of the address space, if it was asked for a breakdown.
    #[must_use]
    pub fn lock(self) -> bool {
        !self.is_blind_to(LOCK) && self.backend() != BY_EVENTS
    }

    /// Whether it saw no waits of which no fault tells.
    #[must_use]
    pub(crate) fn is_blind_to_hidden_waits(self) -> bool {
        self.is_blind_to(HIDDEN_WAITS)
    }

    /// All that it could not see, in words.
    #[must_use]
    pub fn blind(self) -> Vec<Cow<'a, str>> {
        let told = self.0.map_or(&[][..], |meta| &meta.blind);
        let mut blind: Vec<Cow<'a, str>> = told.iter().map(|what| what.as_str().into()).collect();
        if !self.lock() && !self.is_blind_to(LOCK) {
            blind.push(LOCK.into());
        }
        blind
    }

    /// Why a question for failed faults alone has no answer, or only a part of one.
    #[must_use]
    pub(crate) fn describe_failed(self) -> Option<String> {
        let backend = self.backend();
        match self.failed() {
            Failed::Whole => None,
            Failed::WithSignal => Some(format!(
                "this backend ({backend}) sees failed faults only where they end in a signal; pfrec --backend \
                 fentry records all of them"
            )),
            Failed::Unseen => Some(format!(
                "failed faults are not visible to this backend ({backend}); pfrec --backend fentry records them"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(backend: &str, blind: &[&str]) -> Meta {
        Meta {
            backend: backend.to_owned(),
            blind: blind.iter().map(|&what| what.to_owned()).collect(),
            ..Meta::default()
        }
    }

    #[test]
    fn each_backend_sees_what_its_record_says() {
        let gup = "faults taken on behalf of get_user_pages (counted, not listed)";
        for (meta, failed, retries, lock) in [
            (meta("fentry", &[]), Failed::Whole, true, true),
            (meta("kprobe", &[gup, FAILED]), Failed::Unseen, true, true),
            // Of a recorder that did not name the locks.
            (
                meta("perf", &[gup, FAILED, RETRIES]),
                Failed::Unseen,
                false,
                false,
            ),
            (
                meta("perf", &[gup, FAILED_IN_SILENCE, RETRIES, LOCK]),
                Failed::WithSignal,
                false,
                false,
            ),
            (meta("another", &[LOCK]), Failed::Whole, true, false),
        ] {
            let sight = Sight::of(Some(&meta));
            assert_eq!(
                (sight.failed(), sight.retries(), sight.lock()),
                (failed, retries, lock),
                "{meta:?}"
            );
            assert_eq!(
                sight.blind().iter().filter(|what| **what == LOCK).count(),
                usize::from(!lock)
            );
            assert_eq!(sight.describe_failed().is_none(), failed == Failed::Whole);
        }
        let unknown = Sight::of(None);
        assert_eq!(
            (unknown.failed(), unknown.retries(), unknown.lock()),
            (Failed::Whole, true, true)
        );
        assert!(unknown.blind().is_empty());
    }
}
