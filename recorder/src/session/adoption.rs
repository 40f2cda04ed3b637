//! Processes that exist already, when a recording begins or when the first is heard of one: what /proc tells of them.
//!
//! The beginning waits for it, and whoever has many processes of very many mappings must not hold it up for long: one
//! budget of time and mappings for all of them, the newest first. The others are read when they first fault, as those whose
//! fork was missed are.

use super::{Members, Session, proc, renewal};
use crate::{clock::monotonic_ns, queries::Patience};
use pf_formats::Happening;

/// Mappings of all processes that are read when a recording begins: 2,000 processes have 300,000, and each takes some 110
/// bytes until it is in the trace.
pub(super) const MAPPINGS: usize = 1 << 21;

/// What is left for the processes that were not read yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) patience: Patience,
    pub(super) mappings: usize,
}

impl Room {
    fn is_left(&self) -> bool {
        self.mappings > 0 && self.patience.left().is_some()
    }
}

impl Session {
    /// Reads the processes that exist already. To be called after the side-band rings were opened.
    pub fn adopt_members(&mut self) {
        let room = Room {
            patience: Patience::new(),
            mappings: MAPPINGS,
        };
        self.adopt_within(room);
    }

    pub(super) fn adopt_within(&mut self, mut room: Room) {
        let from_ns = monotonic_ns();
        let pids = match &self.members {
            Members::All => proc::newest_first(proc::all()),
            Members::Some { pids, .. } => proc::newest_first(pids.iter().copied()),
        };
        let mut unread = 0;
        for pid in pids {
            if !self.is_member(pid) {
                continue;
            }
            match self.adopt_while(pid, || room.is_left()) {
                Some(mappings) => room.mappings = room.mappings.saturating_sub(mappings),
                // Else it is gone.
                None => unread += u64::from(!room.is_left()),
            }
        }
        if unread > 0 {
            let folded = self.dictionary.folded();
            folded.unread(from_ns, monotonic_ns(), unread);
        }
    }

    /// A process that nobody told of.
    pub(super) fn adopt(&mut self, pid: u32) {
        self.adopt_while(pid, || true);
    }

    /// How many mappings it has; `None` when it is gone, or was not read because `go_on` said no.
    fn adopt_while(&mut self, pid: u32, go_on: impl Fn() -> bool) -> Option<usize> {
        let now = monotonic_ns();
        let snapshot = proc::snapshot(pid, go_on)?;
        if !self.held.is(pid) {
            self.programs.meet(pid, now);
        }
        let process = self.processes.entry(pid).or_default();
        process.known_since_ns = now;
        process.crowded_at = renewal::crowded_at(snapshot.maps.len());
        for thread in snapshot.threads {
            let comm = self.dictionary.comm(&thread.comm, pid, now);
            self.add_thread(thread.tid, pid, comm);
            self.note(now, pid, thread.tid, Happening::Comm { comm, exec: false });
        }
        for map in &snapshot.maps {
            self.map(now, pid, pid, map);
        }
        Some(snapshot.maps.len())
    }
}
