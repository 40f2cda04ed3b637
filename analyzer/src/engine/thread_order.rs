//! The rows of a block as their threads went through them: thread by thread, the faults of each in the order in which they began.
//! In a block the rows of a thread are apart by the name that it had, and a fault inside of another one comes before it; what a
//! thread does one after the other depends on neither.

use crate::engine::columns::Column;
use crate::engine::frame::{u8s, u32s, u64s};
use crate::engine::runs::{part, sorted_runs};
use crate::error::AnalyzeError;
use crate::trace::class::ClassBits;
use polars::prelude::DataFrame;

/// Where a thread went: a page that it got.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    /// The row of the block.
    pub(crate) row: usize,
    /// Process and thread.
    pub(crate) thread: (u32, u32),
    /// What is mapped there.
    pub(crate) object: u32,
    /// The page of that.
    pub(crate) page: u64,
}

/// Shows every row of a block once, but for failed faults, which bring no page.
///
/// # Errors
/// When the pass did not declare the columns that are read here.
pub(crate) fn each_visit(frame: &DataFrame, mut see: impl FnMut(Visit)) -> Result<(), AnalyzeError> {
    let (pids, tids) = (u32s(frame, Column::Pid)?, u32s(frame, Column::Tid)?);
    let (objects, pages) = (u32s(frame, Column::ObjectId)?, u64s(frame, Column::ObjectPage)?);
    let bits = u8s(frame, Column::ClassBits)?;
    each(pids, tids, u64s(frame, Column::TsNs)?, |row| {
        if let (Some(&pid), Some(&tid)) = (pids.get(row), tids.get(row))
            && let (Some(&object), Some(&page)) = (objects.get(row), pages.get(row))
            && bits.get(row).is_some_and(|&bits| !ClassBits(bits).is_failed())
        {
            see(Visit {
                row,
                thread: (pid, tid),
                object,
                page,
            });
        }
    });
    Ok(())
}

fn each(pids: &[u32], tids: &[u32], times_ns: &[u64], mut see: impl FnMut(usize)) {
    let mut rows: Vec<usize> = Vec::new();
    for run in sorted_runs([pids, tids]) {
        if part(times_ns, &run).is_sorted() {
            run.for_each(&mut see);
            continue;
        }
        rows.clear();
        rows.extend(run);
        // Stable: what began at one time stays in its order.
        rows.sort_by_key(|&row| times_ns.get(row));
        rows.iter().copied().for_each(&mut see);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_thread_come_in_the_order_of_their_begins_and_threads_one_after_the_other() {
        let pids = [1, 1, 1, 1, 1, 2, 2, 2];
        let tids = [5, 5, 5, 5, 6, 5, 5, 5];
        let times_ns = [10, 30, 20, 30, 1, 7, 7, 6];
        let mut rows = Vec::new();
        each(&pids, &tids, &times_ns, |row| rows.push(row));
        assert_eq!(rows, [0, 2, 1, 3, 4, 7, 5, 6]);
        each(&[], &[], &[], |_| unreachable!("there is no row"));
    }
}
