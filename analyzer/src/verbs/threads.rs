//! `threads`: who waited, and how long. Also the totals of the report, which are sums over threads.

use crate::engine::columns::Column;
use crate::engine::filter::Filter;
use crate::engine::frame::{u32s, u64s};
use crate::engine::runs::{part, sorted_runs};
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::integrity::scaling;
use crate::output::table::{ColumnHead, Table, Value};
use crate::output::units::grouped;
use crate::request::Request;
use crate::stats::bounded_map::{Kept, OTHERS_NAME, Sum};
use crate::stats::breakdown;
use crate::stats::by_class::{self, Classes, Extras, Rows};
use crate::trace::class::ClassBits;
use crate::trace::session::Session;
use crate::verbs::context::{self, Outcome, read, say_remarks, write_narrow};
use polars::prelude::DataFrame;
use std::ops::Range;

/// The first columns of the table: a contract. FAILED follows when there is any, and [`PROCESS`] the name where processes are
/// known.
pub const HEADS: [ColumnHead; 9] = [
    ColumnHead::new("pid"),
    ColumnHead::new("tid"),
    ColumnHead::new("comm"),
    ColumnHead::new("major"),
    ColumnHead::new("minor"),
    ColumnHead::new("total_ms"),
    ColumnHead::new("avg_ms"),
    ColumnHead::new("max_ms"),
    ColumnHead::new("min_us"),
];

/// What the process of a thread ran at its last fault; behind the name of the thread.
pub const PROCESS: ColumnHead = ColumnHead::new("process");

/// Columns that give way to a narrow terminal, the first first.
pub const DROP_ORDER: [&str; 10] = [
    "lock_ms",
    "reclaim_ms",
    "cpu_ms",
    "runqueue_ms",
    "min_us",
    "blocked_ms",
    "avg_ms",
    "process",
    "p50_us",
    "p99_us",
];

const QUANTILES: [ColumnHead; 2] = [ColumnHead::new("p50_us"), ColumnHead::new("p99_us")];

/// One thread.
#[derive(Clone, Debug, Default)]
pub struct ThreadFaults {
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Its latencies, by weight.
    pub classes: Classes,
    /// Its rows that the kernel counted, unweighted.
    pub rows_in_kernel_count: u64,
    /// The part of its wait before the begin or behind the end of the time that was asked for.
    outside_ns: u64,
    /// The name in its last fault, and when that was.
    comm_id: u32,
    comm_ts_ns: u64,
}

impl Sum for ThreadFaults {
    fn weight(&self) -> u128 {
        self.classes.wait_ns().into()
    }

    fn merge(&mut self, other: Self) {
        self.classes.merge(&other.classes);
        self.rows_in_kernel_count = self
            .rows_in_kernel_count
            .saturating_add(other.rows_in_kernel_count);
        self.outside_ns = self.outside_ns.saturating_add(other.outside_ns);
    }
}

/// Collects faults by thread.
#[derive(Debug, Default)]
pub struct Threads {
    threads: Kept<(u32, u32), ThreadFaults>,
    to_ns: Option<u64>,
}

impl Pass for Threads {
    fn columns(&self) -> Vec<Column> {
        let own = [Column::TsNs, Column::Pid, Column::Tid, Column::CommId];
        [&own[..], &by_class::COLUMNS, &breakdown::COLUMNS].concat()
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let pids = u32s(frame, Column::Pid)?;
        let tids = u32s(frame, Column::Tid)?;
        let comms = u32s(frame, Column::CommId)?;
        let times = u64s(frame, Column::TsNs)?;
        let rows = Rows::of(frame, session)?;
        let window_ns = self.window_ns(session);
        let (first_ns, last_ns) = session.block_span_ns();
        // No other block has faults that are cut.
        let cut_by = (first_ns < window_ns.0 || window_ns.1 < last_ns).then_some(window_ns);
        for run in sorted_runs([pids, tids]) {
            let (Some(&pid), Some(&tid)) = (pids.get(run.start), tids.get(run.start)) else {
                continue;
            };
            // A thread that took other names has its rows by name, and only those of one name in the order of time.
            let own = part(comms, &run);
            let names = sorted_runs([own]);
            let lasts = names.filter_map(|of_name| (run.start + of_name.end).checked_sub(1));
            let last = lasts
                .filter_map(|row| Some((row, times.get(row)?)))
                .max_by_key(|&(_, ts_ns)| ts_ns);
            let thread = self.threads.of((pid, tid));
            // Of the others it is the last one, which nobody asks for.
            (thread.pid, thread.tid) = (pid, tid);
            if let Some(window_ns) = cut_by {
                thread.add_outside(part(times, &run), &rows, &run, window_ns);
            }
            let [majors, minors, _] = thread.classes.add_rows(&rows, run);
            let counted = majors.saturating_add(minors);
            thread.rows_in_kernel_count = thread.rows_in_kernel_count.saturating_add(counted);
            if let Some((row, &ts_ns)) = last
                && let Some(&comm_id) = comms.get(row)
                && ts_ns >= thread.comm_ts_ns
            {
                thread.comm_ts_ns = ts_ns;
                thread.comm_id = comm_id;
            }
        }
        Ok(())
    }
}

impl ThreadFaults {
    /// Its last name.
    #[must_use]
    pub fn comm_id(&self) -> u32 {
        self.comm_id
    }

    /// What its process ran at its last fault.
    #[must_use]
    pub fn process<'a>(&self, session: &'a Session) -> Option<&'a str> {
        session.processes.at(self.pid, self.comm_ts_ns)?.name()
    }

    /// The part of its wait that lies in the time that was asked for: of what counts in `classes`, by weight.
    #[must_use]
    pub fn wait_within_ns(&self) -> u64 {
        self.classes.wait_ns().saturating_sub(self.outside_ns)
    }

    fn add_outside(
        &mut self,
        begins_ns: &[u64],
        rows: &Rows<'_>,
        run: &Range<usize>,
        (from_ns, to_ns): (u64, u64),
    ) {
        let ends = part(rows.latencies_ns, run).iter().zip(part(rows.bits, run));
        for (&begin_ns, (&latency_ns, &bits)) in begins_ns.iter().zip(ends) {
            let end_ns = begin_ns.saturating_add(latency_ns);
            let inside_ns = end_ns.min(to_ns).saturating_sub(begin_ns.max(from_ns));
            let outside_ns = latency_ns.saturating_sub(inside_ns);
            let weight = rows.weight(ClassBits(bits).class());
            self.outside_ns = self.outside_ns.saturating_add(outside_ns.saturating_mul(weight));
        }
    }
}

impl Threads {
    /// Tells waits apart by whether they lie in the time of the filter.
    pub fn within(&mut self, filter: &Filter) {
        self.to_ns = filter.to_ns;
    }

    /// Faults that pass began before its end; what is older than the recording passes where nothing is cut at the begin.
    fn window_ns(&self, session: &Session) -> (u64, u64) {
        let start_ns = session.start_ns();
        let to_ns = self
            .to_ns
            .map_or(u64::MAX, |to_ns| start_ns.saturating_add(to_ns));
        (start_ns, to_ns)
    }

    /// One thread, if it had a fault and is kept apart.
    #[must_use]
    pub fn get(&self, pid: u32, tid: u32) -> Option<&ThreadFaults> {
        self.threads.get(&(pid, tid))
    }

    /// All threads that are not kept apart, where there are too many.
    #[must_use]
    pub fn others(&self) -> Option<&ThreadFaults> {
        self.threads.others()
    }

    /// How many threads had a fault.
    #[must_use]
    pub fn describe_count(&self) -> String {
        let kept = self.threads.len() as u64;
        match self.threads.describe_others("others") {
            None if kept == 1 => "thread".to_owned(),
            None => format!("{} threads", grouped(kept)),
            Some(others) => format!("{} threads and {others}", grouped(kept)),
        }
    }

    /// What the last row is, where there are others.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        let others = self.threads.describe_others("threads")?;
        Some(format!(
            "too many threads to keep apart: the row {OTHERS_NAME} has those with the shortest waits together, {others}"
        ))
    }

    /// Whether no fault was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }

    /// The threads that are kept apart, longest wait first.
    #[must_use]
    pub fn sorted(&self) -> Vec<&ThreadFaults> {
        let mut threads: Vec<&ThreadFaults> = self.threads.iter().map(|(_, thread)| thread).collect();
        threads.sort_by_key(|thread| {
            (
                std::cmp::Reverse(thread.classes.wait_ns()),
                thread.pid,
                thread.tid,
            )
        });
        threads
    }

    /// All threads together.
    #[must_use]
    pub fn classes(&self) -> Classes {
        let mut all = Classes::default();
        let kept = self.threads.iter().map(|(_, thread)| thread);
        kept.chain(self.threads.others())
            .for_each(|thread| all.merge(&thread.classes));
        all
    }

    /// Whether threads of more than one process had a fault.
    #[must_use]
    pub fn are_of_several_processes(&self) -> bool {
        let mut pids = self.threads.iter().map(|(&(pid, _), _)| pid);
        let first = pids.next();
        pids.any(|pid| Some(pid) != first)
    }

    /// The table with its total line.
    #[must_use]
    pub fn table(&self, session: &Session) -> Table {
        self.table_with(session, session.processes.are_known())
    }

    /// The same with or without the column [`PROCESS`].
    #[must_use]
    pub fn table_with(&self, session: &Session, has_process: bool) -> Table {
        let mut table = self.without_process(session);
        if !has_process {
            return table;
        }
        let mut names = self.sorted().into_iter().map(|thread| {
            let name = thread.process(session)?;
            Some(Value::Text(name.to_owned()))
        });
        let at = table
            .heads
            .iter()
            .position(|head| head.name == "major")
            .unwrap_or(0);
        table.heads.insert(at, PROCESS);
        for row in &mut table.rows {
            // The last row may be that of the others.
            row.insert(at, names.next().flatten().unwrap_or(Value::Null));
        }
        table.total.iter_mut().for_each(|row| row.insert(at, Value::Null));
        table
    }

    fn without_process(&self, session: &Session) -> Table {
        let all = self.classes();
        let extras = all.extras();
        let mut rows = Vec::with_capacity(self.threads.len());
        for thread in self.sorted() {
            let mut row = vec![
                Value::Id(u64::from(thread.pid)),
                Value::Id(u64::from(thread.tid)),
                Value::Text(session.dicts.comm(thread.comm_id).into_owned()),
            ];
            row.extend(latency_cells(&thread.classes, extras));
            rows.push(row);
        }
        if let Some(others) = self.threads.others() {
            let mut row = vec![Value::Null, Value::Null, Value::Text(OTHERS_NAME.into())];
            row.extend(latency_cells(&others.classes, extras));
            rows.push(row);
        }
        let total = (!rows.is_empty()).then(|| {
            let mut row = vec![Value::Null, Value::Null, Value::Text("total".into())];
            row.extend(latency_cells(&all, extras));
            row
        });
        let mut heads = HEADS.to_vec();
        heads.extend(extras.failed_head());
        heads.extend(QUANTILES);
        heads.extend(extras.part_heads());
        Table { heads, rows, total }
    }
}

fn latency_cells(classes: &Classes, extras: Extras) -> Vec<Value> {
    let all = classes.all();
    let mut cells = classes.wait_cells();
    cells.push(Value::Us(all.min()));
    cells.extend(extras.failed_cell(classes));
    cells.extend([50_000, 99_000].map(|q| Value::Us(all.quantile(q))));
    cells.extend(extras.part_cells(&classes.parts.all()));
    cells
}

/// Reads the trace and writes the table.
///
/// # Errors
/// Input, output, or a question that the trace cannot answer.
pub fn run(request: &Request) -> anyhow::Result<Outcome> {
    context::answer(request, false, |request, trace, output| {
        let mut threads = Threads::default();
        let session = read(request, trace.input()?, &mut [&mut threads])?;
        let for_width = write_narrow(threads.table(&session), &DROP_ORDER, &session, request, output)?;
        let failed = threads.classes().describe_failed();
        let remarks = scaling::remark(&session).into_iter().chain(failed);
        let remarks = remarks.chain(for_width).chain(threads.remark());
        Ok(say_remarks(remarks, request, output)?)
    })
}
