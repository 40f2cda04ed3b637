//! Mappings that are gone: munmap makes no record, so the table of a process that maps at ever new addresses would grow
//! without end. When it has become too large it is read again.
//!
//! /proc tells of now, and the records that are worked through are of before: so what was read takes the place of what
//! was known only when all records from before the reading are through. Records from then on go into both.

use super::{
    Session,
    address_space::{AddressSpace, Mapping},
    proc, to_mapping,
};
use crate::clock::monotonic_ns;

/// Mappings of a process whose table is not read again. Most have some dozens.
pub const CROWDED: usize = 1024;

/// Mappings of a process that are kept although nobody says whether they are still there.
const UNREADABLE: usize = 1 << 20;

/// What was read.
#[derive(Debug)]
pub struct Renewal {
    /// When the reading began, nanoseconds of `CLOCK_MONOTONIC`.
    pub from_ns: u64,
    until_ns: u64,
    space: AddressSpace,
}

impl Renewal {
    /// A mapping was made, which may be later than what was read.
    pub fn insert(&mut self, ts_ns: u64, start: u64, mapping: Mapping) {
        if ts_ns >= self.from_ns {
            self.space.insert(start, mapping);
        }
    }
}

/// A process may have twice as many mappings as are there for certain before it is read again.
pub fn crowded_at(mappings: usize) -> usize {
    CROWDED.max(2 * mappings)
}

impl Session {
    pub(super) fn renew_if_crowded(&mut self, pid: u32) {
        let Some(process) = self.processes.get_mut(&pid) else {
            return;
        };
        if process.space.len() <= process.crowded_at || process.renewal.is_some() {
            return;
        }
        let from_ns = monotonic_ns();
        let maps = proc::maps(pid).filter(|maps| !maps.is_empty());
        let Some(maps) = maps else {
            // It is gone, and its end not yet worked through; or it may not be read.
            process.crowded_at = UNREADABLE.min(2 * process.space.len());
            if process.space.len() > UNREADABLE {
                let count = process.space.len() as u64;
                self.dictionary.folded().mappings(from_ns, count);
                process.space.clear();
                process.crowded_at = CROWDED;
            }
            return;
        };
        let mut space = AddressSpace::default();
        for map in maps {
            let mapping = to_mapping(&mut self.dictionary, pid, from_ns, &map);
            space.insert(map.start, mapping);
        }
        process.renewal = Some(Box::new(Renewal {
            from_ns,
            until_ns: monotonic_ns(),
            space,
        }));
        self.renewals.push(pid);
    }

    /// All records before `settled` are through.
    pub(super) fn finish_renewals(&mut self, settled: u64) {
        let processes = &mut self.processes;
        self.renewals.retain(|pid| {
            let Some(process) = processes.get_mut(pid) else {
                return false;
            };
            match process.renewal.take_if(|renewal| renewal.until_ns <= settled) {
                Some(renewal) => {
                    process.space = renewal.space;
                    process.crowded_at = crowded_at(process.space.len());
                    false
                }
                // Dropped by an exec, or not yet due.
                None => process.renewal.is_some(),
            }
        });
    }
}
