//! Why a fault waited, from what the kernel showed of it. A class is no witness: without one the cause is `unknown`.

use crate::trace::class::Class;
use crate::trace::sleep::Sleep;

/// One cause per fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Cause {
    /// It brought pages into the page cache itself.
    Read,
    /// It slept for a page that somebody had begun to read.
    ReadWait,
    /// A page came back from swap.
    SwapIn,
    /// It slept until a page that was being written was on the device.
    Writeback,
    /// It slept inside the file system.
    Fs,
    /// It slept or ran in direct reclaim.
    Reclaim,
    /// It slept for a lock of the address space.
    Lock,
    /// It slept for a page server in user space.
    Userfault,
    /// A store to a private page that was there: it was copied, or made writable.
    Cow,
    /// A store to a shared page that was there.
    Mkwrite,
    /// A page of memory without a file, shared memory as well, was mapped without a sleep: touched for the first time, or
    /// again after it was taken away.
    AnonMap,
    /// A page of a file was mapped without a sleep, and nothing was added to the page cache for it.
    Map,
    /// Most of it was spent ready to run, without a CPU.
    Preempted,
    /// It ended in a signal.
    Signal,
    /// No witness tells.
    Unknown,
}

/// What is known of a fault. `None`: nobody looked.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// The kernel's class.
    pub class: Class,
    /// It ended in a signal.
    pub has_signal: bool,
    /// A signal interrupted it, and no later attempt completed it.
    pub is_abandoned: bool,
    /// A store, where that is known.
    pub is_write: Option<bool>,
    /// The page is of a file, which shared memory is not.
    pub is_file: bool,
    /// Of a mapping whose writes others see.
    pub is_shared: Option<bool>,
    /// What it slept for longest; the outer `None` is for nobody looked, the inner one for it did not sleep.
    pub sleep: Option<Option<Sleep>>,
    /// Pages that it added to the page cache.
    pub pages_read: Option<u32>,
    /// Whether its own page is among these; else they were read ahead of it.
    pub reads_own_page: Option<bool>,
    /// Whether the page was there, and only not allowed.
    pub is_present: Option<bool>,
    /// From entry to completion.
    pub latency_ns: u64,
    /// Ready to run without a CPU.
    pub runqueue_ns: Option<u64>,
    /// In direct reclaim.
    pub reclaim_ns: Option<u64>,
}

impl Cause {
    /// All of them, in the order of this list.
    pub const ALL: [Self; 15] = [
        Self::Read,
        Self::ReadWait,
        Self::SwapIn,
        Self::Writeback,
        Self::Fs,
        Self::Reclaim,
        Self::Lock,
        Self::Userfault,
        Self::Cow,
        Self::Mkwrite,
        Self::AnonMap,
        Self::Map,
        Self::Preempted,
        Self::Signal,
        Self::Unknown,
    ];

    /// The number of its place in the list.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The cause of a number.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        Self::ALL.get(usize::from(code)).copied().unwrap_or(Self::Unknown)
    }

    /// As in tables, CSV, JSON, SQL and filters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadWait => "read-wait",
            Self::SwapIn => "swap-in",
            Self::Writeback => "writeback",
            Self::Fs => "fs",
            Self::Reclaim => "reclaim",
            Self::Lock => "lock",
            Self::Userfault => "userfault",
            Self::Cow => "cow",
            Self::Mkwrite => "mkwrite",
            Self::AnonMap => "anon-map",
            Self::Map => "map",
            Self::Preempted => "preempted",
            Self::Signal => "signal",
            Self::Unknown => "unknown",
        }
    }

    /// In a sentence: the waiting was …
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Read => "bringing pages into the page cache",
            Self::ReadWait => "for pages that were being read",
            Self::SwapIn => "swapping in",
            Self::Writeback => "for pages that were being written",
            Self::Fs => "in the file system, not for reading",
            Self::Reclaim => "in direct reclaim",
            Self::Lock => "for a lock of the address space",
            Self::Userfault => "for a page server in user space",
            Self::Cow => "in stores to private pages that were there",
            Self::Mkwrite => "in stores to shared pages that were there",
            Self::AnonMap => "mapping memory without a file",
            Self::Map => "mapping pages of files",
            Self::Preempted => "in faults that mostly waited for a CPU",
            Self::Signal => "in faults that ended in a signal",
            Self::Unknown => "in faults of which nothing tells the cause",
        }
    }

    /// The largest part of the wait decides: without a CPU, asleep, or at work.
    #[must_use]
    pub fn of(evidence: &Evidence) -> Self {
        if evidence.class == Class::Failed && !evidence.is_abandoned {
            return if evidence.has_signal {
                Self::Signal
            } else {
                Self::Unknown
            };
        }
        let is_most = |part: Option<u64>| part.is_some_and(|ns| ns > evidence.latency_ns / 2);
        // Whoever reclaims may wait for a CPU meanwhile.
        if is_most(evidence.reclaim_ns) && evidence.reclaim_ns >= evidence.runqueue_ns {
            return Self::Reclaim;
        }
        if is_most(evidence.runqueue_ns) {
            return Self::Preempted;
        }
        // Whether it slept decides between all others.
        let Some(sleep) = evidence.sleep else {
            return Self::Unknown;
        };
        match sleep {
            Some(Sleep::Userfault) => Self::Userfault,
            Some(Sleep::Writeback) => Self::Writeback,
            Some(Sleep::Reclaim) => Self::Reclaim,
            Some(Sleep::Swap) => Self::SwapIn,
            Some(Sleep::Fs) => Self::Fs,
            Some(Sleep::Lock) => Self::Lock,
            Some(Sleep::Page) => match evidence.pages_read {
                Some(0) => Self::ReadWait,
                // It began to read further on, while it waited for what had been begun before.
                Some(_) if evidence.reads_own_page == Some(false) => Self::ReadWait,
                Some(_) => Self::Read,
                None => Self::Unknown,
            },
            Some(Sleep::Other) => Self::Unknown,
            None if evidence.is_abandoned => Self::Unknown,
            None => Self::awake(evidence),
        }
    }

    /// Of a fault that did not sleep.
    fn awake(evidence: &Evidence) -> Self {
        let (Some(pages_read), Some(is_present)) = (evidence.pages_read, evidence.is_present) else {
            return Self::Unknown;
        };
        match (pages_read > 0, is_present, evidence.is_file) {
            (true, ..) => Self::Read,
            // A load of a page that is there has lost a race, or found a stale entry.
            (false, true, _) if evidence.is_write != Some(true) => Self::Unknown,
            (false, true, _) => match evidence.is_shared {
                Some(true) => Self::Mkwrite,
                Some(false) => Self::Cow,
                None => Self::Unknown,
            },
            (false, false, false) if evidence.class == Class::Major => Self::SwapIn,
            (false, false, false) => Self::AnonMap,
            (false, false, true) if evidence.class == Class::Major => Self::Unknown,
            (false, false, true) => Self::Map,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Evidence {
        Evidence {
            class: Class::Minor,
            has_signal: false,
            is_abandoned: false,
            is_write: None,
            is_file: false,
            is_shared: None,
            sleep: None,
            pages_read: None,
            reads_own_page: None,
            is_present: None,
            latency_ns: 1_000,
            runqueue_ns: None,
            reclaim_ns: None,
        }
    }

    /// Everything was looked at, and nothing seen.
    fn awake() -> Evidence {
        Evidence {
            sleep: Some(None),
            pages_read: Some(0),
            is_present: Some(false),
            runqueue_ns: Some(0),
            reclaim_ns: Some(0),
            ..nothing()
        }
    }

    #[test]
    fn without_a_witness_no_cause_is_told_whatever_the_class() {
        for class in [Class::Major, Class::Minor, Class::Failed] {
            for is_file in [false, true] {
                let classed = Evidence {
                    class,
                    is_file,
                    ..nothing()
                };
                assert_eq!(Cause::of(&classed), Cause::Unknown);
                // One witness alone does not tell what the others would.
                let slept_not = Evidence {
                    sleep: Some(None),
                    ..classed
                };
                assert_eq!(Cause::of(&slept_not), Cause::Unknown);
                let read = Evidence {
                    pages_read: Some(3),
                    ..classed
                };
                assert_eq!(Cause::of(&read), Cause::Unknown);
            }
        }
    }

    #[test]
    fn what_was_seen_gives_the_cause() {
        let slept = |sleep, pages_read| Evidence {
            sleep: Some(Some(sleep)),
            pages_read: Some(pages_read),
            is_file: true,
            ..awake()
        };
        let file = Evidence {
            is_file: true,
            ..awake()
        };
        let present = |is_file, is_shared| Evidence {
            is_file,
            is_shared,
            is_write: Some(true),
            is_present: Some(true),
            ..awake()
        };
        for (evidence, cause) in [
            (slept(Sleep::Page, 4), Cause::Read),
            (slept(Sleep::Page, 0), Cause::ReadWait),
            // Further on in the file, while its own page was being read already.
            (
                Evidence {
                    reads_own_page: Some(false),
                    ..slept(Sleep::Page, 4)
                },
                Cause::ReadWait,
            ),
            (
                Evidence {
                    reads_own_page: Some(true),
                    ..slept(Sleep::Page, 4)
                },
                Cause::Read,
            ),
            (slept(Sleep::Swap, 0), Cause::SwapIn),
            (slept(Sleep::Writeback, 0), Cause::Writeback),
            (slept(Sleep::Fs, 0), Cause::Fs),
            (slept(Sleep::Reclaim, 9), Cause::Reclaim),
            (slept(Sleep::Lock, 0), Cause::Lock),
            (slept(Sleep::Userfault, 0), Cause::Userfault),
            (slept(Sleep::Other, 1), Cause::Unknown),
            (awake(), Cause::AnonMap),
            (file, Cause::Map),
            (
                Evidence {
                    pages_read: Some(1),
                    ..file
                },
                Cause::Read,
            ),
            (
                Evidence {
                    class: Class::Major,
                    ..awake()
                },
                Cause::SwapIn,
            ),
            (
                Evidence {
                    class: Class::Major,
                    ..file
                },
                Cause::Unknown,
            ),
            (present(false, Some(false)), Cause::Cow),
            (present(false, None), Cause::Unknown),
            (
                Evidence {
                    is_write: Some(false),
                    ..present(false, Some(false))
                },
                Cause::Unknown,
            ),
            (
                Evidence {
                    class: Class::Failed,
                    is_abandoned: true,
                    has_signal: true,
                    ..slept(Sleep::Userfault, 0)
                },
                Cause::Userfault,
            ),
            (
                Evidence {
                    reclaim_ns: Some(600),
                    runqueue_ns: Some(550),
                    ..slept(Sleep::Page, 1)
                },
                Cause::Reclaim,
            ),
            (present(true, Some(false)), Cause::Cow),
            (present(true, Some(true)), Cause::Mkwrite),
            (present(true, None), Cause::Unknown),
            (
                Evidence {
                    runqueue_ns: Some(501),
                    ..slept(Sleep::Page, 4)
                },
                Cause::Preempted,
            ),
            (
                Evidence {
                    runqueue_ns: Some(500),
                    ..slept(Sleep::Page, 4)
                },
                Cause::Read,
            ),
            (
                Evidence {
                    reclaim_ns: Some(501),
                    ..awake()
                },
                Cause::Reclaim,
            ),
            (
                Evidence {
                    class: Class::Failed,
                    has_signal: true,
                    ..awake()
                },
                Cause::Signal,
            ),
        ] {
            assert_eq!(Cause::of(&evidence), cause, "{evidence:?}");
        }
    }

    #[test]
    fn codes_are_places_in_the_list() {
        for (code, cause) in (0..).zip(Cause::ALL) {
            assert_eq!((cause.code(), Cause::from_code(code)), (code, cause));
        }
        assert_eq!(Cause::from_code(200), Cause::Unknown);
    }
}
