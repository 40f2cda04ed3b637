//! A number that stands for many: whether what is read back is what was written.
//!
//! Against accidents, not against an enemy: the checksums of the trace are none, either.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::class::ClassBits;
use crate::{BlockInfo, Event};

/// Odd, with its bits spread: the golden ratio of 2^64.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// Mixes 64-bit words. Every step is invertible in the word and in the state, so two inputs that differ in
/// one word never have the same digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest(u64);

impl Digest {
    pub(crate) fn add(&mut self, word: u64) {
        self.0 = (self.0 ^ word)
            .wrapping_mul(FACTOR)
            .rotate_left(29)
            .wrapping_add(FACTOR);
    }

    /// Small records one by one: how they are cut into lists does not count.
    pub(crate) fn add_all(&mut self, records: &[impl Hash]) {
        records.iter().for_each(|record| self.add(of(record)));
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

/// Of a small record; the same within one run of a program.
pub(crate) fn of(record: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    record.hash(&mut hasher);
    hasher.finish()
}

/// Of everything in these events, and of their order.
pub(crate) fn of_events(events: &[Event]) -> u64 {
    let mut digest = Digest::default();
    for event in events {
        let small = [
            u64::from(event.cpu),
            ClassBits::of(event).0.into(),
            event.retries.into(),
            event.witnesses.bits().into(),
        ];
        let seen = event.witnesses;
        let breakdown = event.breakdown.unwrap_or_default();
        for word in [
            event.ts_ns,
            event.latency_ns,
            pair(event.pid, event.tid),
            pair(event.comm.0, event.object.0),
            event.address,
            event.ip,
            event.object_page,
            small[0] << 24 | small[1] << 16 | small[2] << 8 | small[3],
            pair(event.interruptions.into(), event.signal.into()),
            pair(
                seen.sleep.unwrap_or_default().0,
                seen.pages_read.unwrap_or_default(),
            ),
            event.query.0,
            seen.stored_before().into(),
            pair(event.stack.0, event.breakdown.is_some().into()),
            breakdown.blocked_ns,
            breakdown.runqueue_ns,
            breakdown.reclaim_ns,
            breakdown.lock_ns,
        ] {
            digest.add(word);
        }
    }
    digest.value()
}

/// Of what a block says of itself, its place in the file aside.
pub(crate) fn of_statistics(info: &BlockInfo) -> u64 {
    let mut digest = Digest::default();
    for word in [
        pair(info.events, info.threads),
        pair(info.majors, info.failed),
        pair(info.pid_min, info.pid_max),
        pair(info.tid_min, info.tid_max),
        info.ts_min,
        info.ts_max,
        info.end_max,
        info.page_min,
        info.page_max,
        info.latency_min,
        info.latency_max,
    ] {
        digest.add(word);
    }
    digest.value()
}

fn pair(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_field_and_the_order_change_the_digest() {
        let one = Event::default();
        let other = Event {
            retries: 1,
            ..Event::default()
        };
        assert_ne!(of_events(&[one]), of_events(&[other]));
        assert_ne!(of_events(&[one, other]), of_events(&[other, one]));
        assert_ne!(of_events(&[one]), of_events(&[one, one]));
        let with = Event {
            breakdown: Some(crate::Breakdown::default()),
            ..one
        };
        assert_ne!(of_events(&[one]), of_events(&[with]));
        for seen in [
            (1, 0, 0, 0),
            (1, 1, 0, 0),
            (2, 0, 0, 0),
            (2, 0, 1, 0),
            (4, 0, 0, 0),
            (12, 0, 0, 0),
            (64, 0, 0, 0),
            (64, 0, 0, 1),
        ] {
            let with = Event {
                witnesses: crate::Witnesses::from_columns(seen.0, seen.1, seen.2, seen.3),
                ..one
            };
            assert_ne!(of_events(&[one]), of_events(&[with]), "{seen:?}");
        }
    }
}
