//! `memory`: pages faulted again, and what more memory would have avoided. This brings the faults into the order in which
//! they were done; the counting is in [`crate::refaults`], the words are in [`crate::query::memory_words`].

use crate::error::AnalyzeError;
use crate::frame::{u32s, u64s};
use crate::query::classes::{self, faults};
use crate::refaults::Refaults;
use crate::refaults::pages::PageKey;
use crate::scan::Query;
use crate::schema::Column;
use crate::session::Session;
use polars::prelude::DataFrame;

/// How far the order of the trace is from the order in which faults were done. A page comes into memory when its fault is
/// done, so that is the order that distances are counted in. Blocks follow each other in it and are sorted by it here;
/// only where a block begins can a few faults be late, for the recorder waits a moment for what other CPUs have to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Faults looked at.
    pub faults: u64,
    /// Faults that stand in a later block than faults that were done after them.
    pub late: u64,
    /// The most that one was late, nanoseconds.
    pub latest_ns: u64,
}

/// Collects refaults.
#[derive(Debug, Default)]
pub struct Memory {
    /// What was counted.
    pub refaults: Refaults,
    /// Whether it was counted in the right order.
    pub order: Order,
    /// End of the last fault of the blocks before.
    done_ns: u64,
    /// Ends and rows of a block, kept for their room.
    rows: Vec<(u64, u32)>,
}

impl Memory {
    /// Follows at most so many pages at a time.
    #[must_use]
    pub fn following(most_pages: usize) -> Self {
        Self {
            refaults: Refaults::following(most_pages),
            ..Self::default()
        }
    }
}

impl Query for Memory {
    fn columns(&self) -> Vec<Column> {
        let own = [
            Column::TsNs,
            Column::Pid,
            Column::Address,
            Column::ObjectId,
            Column::ObjectPage,
        ];
        [&own[..], &classes::COLUMNS].concat()
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let begins = u64s(frame, Column::TsNs)?;
        let latencies = u64s(frame, Column::LatencyNs)?;
        let pids = u32s(frame, Column::Pid)?;
        let addresses = u64s(frame, Column::Address)?;
        let objects = u32s(frame, Column::ObjectId)?;
        let object_pages = u64s(frame, Column::ObjectPage)?;
        let faults: Vec<_> = faults(frame, session)?.collect();
        let page_size = session.page_size();
        // Of a sample of the minors only some are there: distances count majors alone.
        let is_sampled = session.sampling().is_sampled();

        self.rows.clear();
        let ends = begins
            .iter()
            .zip(latencies)
            .map(|(begin, latency)| begin.saturating_add(*latency));
        self.rows.extend(ends.zip(0u32..));
        self.rows.sort_unstable();
        let mut last: Option<(u32, bool)> = None;
        for &(end_ns, row) in &self.rows {
            let row = row as usize;
            let place = (objects.get(row), object_pages.get(row), pids.get(row));
            let (Some(&object), Some(&object_page), Some(&pid)) = place else {
                continue;
            };
            let (Some(&address), Some(&begin_ns), Some(fault)) =
                (addresses.get(row), begins.get(row), faults.get(row))
            else {
                continue;
            };
            self.order.faults += 1;
            if end_ns < self.done_ns {
                self.order.late += 1;
                self.order.latest_ns = self.order.latest_ns.max(self.done_ns - end_ns);
            }
            let is_file = match last {
                Some((id, is_file)) if id == object => is_file,
                _ => session.dicts.is_file_backed(object),
            };
            last = Some((object, is_file));
            let key = if is_file {
                PageKey::of_file(object, object_page)
            } else {
                PageKey::of_process(pid, address / page_size)
            };
            if is_sampled && fault.class == crate::class::Class::Minor {
                self.refaults.count_minor(object, fault);
            } else {
                self.refaults.add(object, key, begin_ns, fault);
            }
        }
        self.done_ns = self
            .done_ns
            .max(self.rows.last().map_or(0, |&(end_ns, _)| end_ns));
        Ok(())
    }
}
