//! What the recording knows it does not have.

/// Why something is missing. The codes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum LossReason {
    /// The ring buffer was full.
    Reserve = 1,
    /// The kernel skipped a probe that was already running on that CPU: a fault may lack its retries, or a
    /// failed one its row.
    Recursion = 2,
    /// A fault entered and its completion was never seen.
    Unfinished = 3,
    /// A completion without an entry: its latency is not known.
    NoEntry = 4,
    /// The recorder's own queue was full.
    Queue = 5,
    /// Records of mappings and threads were lost.
    Sideband = 6,
    /// No room to remember the task's open fault.
    State = 7,
    /// Faults still open when the recording ended.
    InFlight = 8,
    /// The ends of threads were not seen, and with them their last counters.
    Exits = 9,
    /// A stack could not be passed on; its fault is recorded without one.
    Stack = 10,
    /// Records of queries were lost, or their texts: faults may name a query of which nothing else is known.
    Query = 11,
    /// A reason that only a later version knows.
    Later = 127,
    /// The trace was damaged and then repaired: what the damage cost. 0 means that events may be missing and
    /// nobody knows how many.
    Damage = 128,
    /// A reason that only a later version knows; events are missing.
    LaterEvents = 255,
}

/// Something lost during an interval.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Loss {
    /// Start of the interval, `CLOCK_MONOTONIC` nanoseconds.
    pub from_ns: u64,
    /// End of the interval.
    pub to_ns: u64,
    /// The CPU, where it is known.
    pub cpu: Option<u16>,
    /// Why.
    pub reason: LossReason,
    /// How many.
    pub count: u64,
}

impl Loss {
    /// Something may be missing, and nobody knows how much.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.reason == LossReason::Damage && self.count == 0
    }
}

impl LossReason {
    /// All reasons, in the order of their codes.
    pub const ALL: [Self; 14] = [
        Self::Reserve,
        Self::Recursion,
        Self::Unfinished,
        Self::NoEntry,
        Self::Queue,
        Self::Sideband,
        Self::State,
        Self::InFlight,
        Self::Exits,
        Self::Stack,
        Self::Query,
        Self::Later,
        Self::Damage,
        Self::LaterEvents,
    ];

    /// From the stored code. Later versions number what costs events from 128 on, and the rest below.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        let known = Self::ALL.into_iter().find(|reason| *reason as u8 == code);
        known.unwrap_or(if code < 128 {
            Self::Later
        } else {
            Self::LaterEvents
        })
    }

    /// The name used in tables and exports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Recursion => "recursion",
            Self::Unfinished => "unfinished",
            Self::NoEntry => "no_entry",
            Self::Queue => "queue",
            Self::Sideband => "sideband",
            Self::State => "state",
            Self::InFlight => "in_flight",
            Self::Exits => "exits",
            Self::Stack => "stack",
            Self::Query => "query",
            Self::Later => "later",
            Self::Damage => "damage",
            Self::LaterEvents => "later_events",
        }
    }

    /// Whether an event is missing for each count; the others are for information.
    #[must_use]
    pub fn costs_events(self) -> bool {
        let recorder = matches!(self, Self::Reserve | Self::NoEntry | Self::Queue | Self::State);
        recorder || matches!(self, Self::Damage | Self::LaterEvents)
    }
}
