//! How many reads of a page were not its first, by file: as `files` and `memory` count them, so that no two numbers differ.

use crate::engine::columns::Column;
use crate::engine::frame::{u8s, u32s, u64s};
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::stats::bounded_map::Sum;
use crate::stats::by_object::Objects;
use crate::stats::rereads::{Major, Recent, Touched, page_of};
use crate::trace::class::{Class, ClassBits};
use crate::trace::session::Session;
use crate::verbs::files::PAGE_ENTRIES;
use polars::prelude::DataFrame;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
struct Reads {
    touched: Touched,
    wait_ns: u128,
    /// Of objects that were put together here.
    gone: u64,
}

impl Reads {
    fn again(&self) -> u64 {
        self.touched.reread().saturating_add(self.gone)
    }
}

impl Sum for Reads {
    fn weight(&self) -> u128 {
        self.wait_ns
    }

    fn merge(&mut self, other: Self) {
        self.gone = self.gone.saturating_add(other.again());
        self.wait_ns = self.wait_ns.saturating_add(other.wait_ns);
    }
}

/// Collects the reads.
#[derive(Debug)]
pub struct ReadAgain {
    objects: Objects<Reads>,
    /// Objects and spaces of majors.
    recent: Recent<(u32, u32)>,
    page_room: usize,
    has_left_pages_out: bool,
}

impl Default for ReadAgain {
    fn default() -> Self {
        Self {
            objects: Objects::default(),
            recent: Recent::default(),
            page_room: PAGE_ENTRIES,
            has_left_pages_out: false,
        }
    }
}

impl Pass for ReadAgain {
    fn columns(&self) -> Vec<Column> {
        vec![
            Column::TsNs,
            Column::LatencyNs,
            Column::Pid,
            Column::Address,
            Column::ObjectId,
            Column::ObjectPage,
            Column::ClassBits,
        ]
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let (pids, ids) = (u32s(frame, Column::Pid)?, u32s(frame, Column::ObjectId)?);
        let (times, latencies) = (u64s(frame, Column::TsNs)?, u64s(frame, Column::LatencyNs)?);
        let (addresses, pages) = (u64s(frame, Column::Address)?, u64s(frame, Column::ObjectPage)?);
        let page_shift = session.page_shift();
        // Most rows are no majors: of those nothing else is looked at.
        let bits = u8s(frame, Column::ClassBits)?.iter();
        let majors = bits
            .enumerate()
            .filter(|&(_, &bits)| ClassBits(bits).class() == Class::Major);
        let fault = |row: usize| {
            Some((
                (*pids.get(row)?, *ids.get(row)?),
                (*times.get(row)?, *latencies.get(row)?),
                (*addresses.get(row)?, *pages.get(row)?),
            ))
        };
        for ((pid, id), (ts_ns, latency_ns), (address, object_page)) in
            majors.filter_map(|(row, _)| fault(row))
        {
            let slot = self.objects.slot(id, session);
            let object = self.objects.at(slot);
            object.counted.wait_ns = object.counted.wait_ns.saturating_add(latency_ns.into());
            let (space, page) = page_of(object.is_file, pid, object_page, address >> page_shift);
            self.recent
                .add(Major::new((id, space), page, ts_ns, latency_ns, (id, space)));
        }
        for read in self.recent.reads() {
            let (id, space) = read.of;
            let slot = self.objects.slot(id, session);
            let touched = &mut self.objects.at(slot).counted.touched;
            self.has_left_pages_out |= !touched.add_read(space, read.page, &mut self.page_room);
        }
        Ok(())
    }
}

impl ReadAgain {
    /// Reads that were not the first of their page, by the label of their file.
    #[must_use]
    pub fn by_label(&self, session: &Session) -> BTreeMap<String, u64> {
        let add = |again: &mut u64, reads: &Reads| *again = again.saturating_add(reads.again());
        let labels = self.objects.by_label(session, add, |again| *again);
        labels.into_iter().collect()
    }

    /// Whether there were more pages than are told from each other, so that the numbers may be too low.
    #[must_use]
    pub(crate) fn is_at_least(&self) -> bool {
        self.has_left_pages_out
    }
}
