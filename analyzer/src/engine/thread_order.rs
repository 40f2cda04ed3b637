//! The rows of a block as their threads went through them: thread by thread, the faults of each in the order in which they began.
//! In a block the rows of a thread are apart by the name that it had, and a fault inside of another one comes before it; what a
//! thread does one after the other depends on neither.

use crate::engine::columns::Column;
use crate::engine::frame::{u32s, u64s};
use crate::engine::runs::{part, sorted_runs};
use crate::error::AnalyzeError;
use polars::prelude::DataFrame;

/// Shows every row of a block once.
///
/// # Errors
/// When the query did not declare PID, TID and TS_NS.
pub fn each_row(frame: &DataFrame, see: impl FnMut(usize)) -> Result<(), AnalyzeError> {
    let pids = u32s(frame, Column::Pid)?;
    let tids = u32s(frame, Column::Tid)?;
    each(pids, tids, u64s(frame, Column::TsNs)?, see);
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
