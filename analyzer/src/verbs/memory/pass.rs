//! `memory`: pages faulted again, and what more memory would have avoided. This brings the faults of each block to where they
//! are put in order and counted, [`crate::verbs::memory::refaults`]; the words are in [`crate::verbs::memory::text`].

use crate::engine::columns::Column;
use crate::engine::frame::{u32s, u64s};
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::stats::bounded_map::OTHERS_NAME;
use crate::stats::by_class::{self, faults};
use crate::trace::class::Class;
use crate::trace::session::Session;
use crate::verbs::memory::page_order::PageKey;
use crate::verbs::memory::refaults::Refaults;
use crate::verbs::memory::turns::{Turn, Turns};
use polars::prelude::DataFrame;

/// How far the order of the trace is from the order in which faults were done. A page comes into memory when the first of those
/// who waited for it is through, so that is the order that distances are counted in. Blocks follow each other in it and are sorted
/// by it here; only where a block begins can a few faults be late, for the recorder waits a moment for what other CPUs have to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Faults looked at.
    pub faults: u64,
    /// Faults that stand in a later block than faults that were done after them.
    pub late: u64,
    /// The most that one was late, nanoseconds.
    pub latest_ns: u64,
}

/// What faults brought into the page cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadAhead {
    /// Pages, read-ahead included.
    pub pages: u64,
    /// Faults that brought in any.
    pub faults: u64,
}

impl ReadAhead {
    /// Whether it is so much that what it pushed out decides which pages are read again.
    #[must_use]
    pub fn is_much(self) -> bool {
        self.pages > self.faults.saturating_mul(MUCH)
    }
}

/// Pages for each fault that reads.
const MUCH: u64 = 2;

/// Collects refaults.
#[derive(Debug, Default)]
pub struct Memory {
    /// What was counted.
    pub refaults: Refaults,
    /// Whether it was counted in the right order.
    pub order: Order,
    /// Pages that majors and others brought in themselves, and the majors among them; where somebody looked.
    pub read_ahead: Option<ReadAhead>,
    /// End of the last fault of the blocks before.
    done_ns: u64,
    order_of_pages: Turns,
    /// Those of a block, kept for their room.
    turns: Vec<Turn>,
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

impl Memory {
    /// What the last row of the files is, where there are too many.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        let (_, others) = self.refaults.other_objects()?;
        Some(format!(
            "too many files to keep apart: the row {OTHERS_NAME} has those with the shortest waits together, {others}"
        ))
    }
}

impl Memory {
    fn see_reads(&mut self, frame: &DataFrame) -> Result<(), AnalyzeError> {
        let pages = frame.column(Column::PagesRead.name())?;
        if pages.null_count() == pages.len() {
            return Ok(());
        }
        let read = self.read_ahead.get_or_insert_default();
        for pages in pages.u32()?.iter().flatten() {
            read.pages = read.pages.saturating_add(pages.into());
            read.faults += u64::from(pages > 0);
        }
        Ok(())
    }
}

impl Pass for Memory {
    fn columns(&self) -> Vec<Column> {
        let own = [
            Column::TsNs,
            Column::Pid,
            Column::Address,
            Column::ObjectId,
            Column::ObjectPage,
            Column::PagesRead,
        ];
        [&own[..], &by_class::COLUMNS].concat()
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let begins = u64s(frame, Column::TsNs)?;
        let pids = u32s(frame, Column::Pid)?;
        let addresses = u64s(frame, Column::Address)?;
        let objects = u32s(frame, Column::ObjectId)?;
        let object_pages = u64s(frame, Column::ObjectPage)?;
        let faults: Vec<_> = faults(frame, session)?.collect();
        let page_size = session.page_size();
        // Of a sample of the minors only some are there: distances count majors alone.
        let is_sampled = session.sampling().is_sampled();

        self.turns.clear();
        let mut done_ns = self.done_ns;
        let mut last: Option<(u32, bool)> = None;
        let places = objects.iter().zip(object_pages).zip(pids.iter().zip(addresses));
        let rows = places.zip(begins).zip(&faults).enumerate();
        for (row, ((((&object, &object_page), (&pid, &address)), &begin_ns), fault)) in rows {
            let end_ns = begin_ns.saturating_add(fault.latency_ns);
            self.order.faults += 1;
            if end_ns < self.done_ns {
                self.order.late += 1;
                self.order.latest_ns = self.order.latest_ns.max(self.done_ns - end_ns);
            }
            done_ns = done_ns.max(end_ns);
            let is_file = match last {
                Some((id, is_file)) if id == object => is_file,
                _ => session.dicts.is_file_backed(object),
            };
            last = Some((object, is_file));
            match fault.class {
                // It brings no page.
                Class::Failed => {}
                Class::Minor if is_sampled => self.refaults.count_minor(object, fault),
                class => {
                    let key = match is_file {
                        true => PageKey::of_file(object, object_page),
                        false => PageKey::of_process(pid, address / page_size),
                    };
                    self.turns.push(Turn::new(row, key, (begin_ns, end_ns), class));
                }
            }
        }
        self.see_reads(frame)?;
        self.done_ns = done_ns;
        self.order_of_pages.settle(&mut self.turns);
        for turn in &self.turns {
            if let (Some(&object), Some(fault)) = (objects.get(turn.row), faults.get(turn.row)) {
                self.refaults.add(object, turn, fault);
            }
        }
        Ok(())
    }
}
