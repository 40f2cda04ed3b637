//! The third pass: what the threads waited for during the longest stalls.

use crate::engine::columns::Column;
use crate::engine::frame::{u32s, u64s};
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::stats::by_class::{self, faults};
use crate::trace::class::Class;
use crate::trace::session::Session;
use crate::verbs::timeline::stalls::Window;
use polars::prelude::{DataFrame, PlHashMap};
use std::cmp::Reverse;

/// Files and threads told apart in all stalls together; waits of others go to one sum.
const MOST_NAMES: usize = 500_000;

/// What was waited for in one file or kind of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Wait during the stall.
    pub wait_ns: u64,
    /// Lowest page of the file; none for memory without one.
    pub first_page: Option<u64>,
    /// Highest page.
    pub last_page: Option<u64>,
}

/// One thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiter {
    /// Wait during the stall.
    pub wait_ns: u64,
    /// Its name then.
    pub comm_id: u32,
}

/// The longest fault of a stall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Longest {
    /// Entry.
    pub begin_ns: u64,
    /// Entry to completion, beyond the stall, too.
    pub latency_ns: u64,
    /// How it ended.
    pub class: Class,
    /// Thread.
    pub tid: u32,
    /// Its name.
    pub comm_id: u32,
    /// What is mapped there.
    pub object: u32,
    /// Page of that.
    pub object_page: u64,
    /// Faulting address.
    pub address: u64,
}

/// A stall and what was inside of it.
#[derive(Clone, Debug, Default)]
pub struct Inside {
    /// By object.
    pub places: PlHashMap<u32, Place>,
    /// By process and thread.
    pub waiters: PlHashMap<(u32, u32), Waiter>,
    /// Faults, in the order of [`Class::ALL`].
    pub counts: [u64; 3],
    /// The longest.
    pub longest: Option<Longest>,
    /// Wait in places or of threads that found no room.
    pub elsewhere_ns: u64,
}

/// Collects what is inside of stalls.
#[derive(Debug)]
pub struct Insides {
    /// In the order of time; stalls never overlap.
    windows: Vec<(Window, Inside)>,
    room: usize,
}

impl Insides {
    /// Of these stalls.
    #[must_use]
    pub fn new(windows: &[Window]) -> Self {
        let mut windows: Vec<_> = windows
            .iter()
            .map(|&window| (window, Inside::default()))
            .collect();
        windows.sort_by_key(|(window, _)| window.begin_ns);
        Self {
            windows,
            room: MOST_NAMES,
        }
    }

    /// The stalls, the longest first.
    #[must_use]
    pub fn finish(mut self) -> Vec<(Window, Inside)> {
        self.windows
            .sort_by_key(|(window, _)| (Reverse(window.length_ns()), window.begin_ns));
        self.windows
    }
}

impl Pass for Insides {
    fn columns(&self) -> Vec<Column> {
        let own = [
            Column::TsNs,
            Column::Pid,
            Column::Tid,
            Column::CommId,
            Column::Address,
            Column::ObjectId,
            Column::ObjectPage,
        ];
        [&own[..], &by_class::COLUMNS].concat()
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let times = u64s(frame, Column::TsNs)?.iter().zip(faults(frame, session)?);
        let threads = u32s(frame, Column::Pid)?
            .iter()
            .zip(u32s(frame, Column::Tid)?)
            .zip(u32s(frame, Column::CommId)?);
        let places = u32s(frame, Column::ObjectId)?
            .iter()
            .zip(u64s(frame, Column::ObjectPage)?)
            .zip(u64s(frame, Column::Address)?);
        for (((&begin_ns, fault), ((&pid, &tid), &comm_id)), ((&object, &object_page), &address)) in
            times.zip(threads).zip(places)
        {
            let end_ns = begin_ns.saturating_add(fault.latency_ns);
            let first = self
                .windows
                .partition_point(|(window, _)| window.end_ns <= begin_ns);
            let later = self.windows.iter_mut().skip(first);
            for (window, inside) in later.take_while(|(window, _)| window.begin_ns < end_ns) {
                let wait_ns = window
                    .end_ns
                    .min(end_ns)
                    .saturating_sub(window.begin_ns.max(begin_ns));
                for (class, count) in Class::ALL.iter().zip(&mut inside.counts) {
                    *count += u64::from(*class == fault.class);
                }
                if inside
                    .longest
                    .is_none_or(|longest| longest.latency_ns < fault.latency_ns)
                {
                    inside.longest = Some(Longest {
                        begin_ns,
                        latency_ns: fault.latency_ns,
                        class: fault.class,
                        tid,
                        comm_id,
                        object,
                        object_page,
                        address,
                    });
                }
                let page = session.dicts.is_file_backed(object).then_some(object_page);
                let is_in = inside.add(wait_ns, object, page, (pid, tid), comm_id, &mut self.room);
                if !is_in {
                    inside.elsewhere_ns = inside.elsewhere_ns.saturating_add(wait_ns);
                }
            }
        }
        Ok(())
    }
}

impl Inside {
    /// False when there is no room for a new name.
    fn add(
        &mut self,
        wait_ns: u64,
        object: u32,
        page: Option<u64>,
        thread: (u32, u32),
        comm_id: u32,
        room: &mut usize,
    ) -> bool {
        let is_new = !self.places.contains_key(&object) || !self.waiters.contains_key(&thread);
        if is_new {
            match room.checked_sub(2) {
                Some(left) => *room = left,
                None => return false,
            }
        }
        let place = self.places.entry(object).or_default();
        place.wait_ns = place.wait_ns.saturating_add(wait_ns);
        if let Some(page) = page {
            place.first_page = Some(place.first_page.map_or(page, |first| first.min(page)));
            place.last_page = Some(place.last_page.map_or(page, |last| last.max(page)));
        }
        let waiter = self.waiters.entry(thread).or_default();
        waiter.wait_ns = waiter.wait_ns.saturating_add(wait_ns);
        waiter.comm_id = comm_id;
        true
    }
}
