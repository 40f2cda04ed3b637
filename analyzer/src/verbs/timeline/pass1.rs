//! The first pass: which threads there are, when they lived, and all that the sweep needs to put faults in order.
//!
//! A fault is in the trace where it was done, so one that took seconds lies far behind its beginning. The sweep would have to
//! wait for the longest fault of all. So the longest ones, as many as fit, are kept here, and the sweep waits for the longest
//! of the others only.

use crate::engine::columns::Column;
use crate::engine::frame::{u32s, u64s};
use crate::engine::runs::{part, sorted_runs};
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::trace::session::Session;
use polars::prelude::{DataFrame, PlHashMap};

/// Faults kept, 24 bytes each.
const LONG_KEPT: usize = 1_000_000;

/// Threads told apart, some 50 bytes each in all; the others are taken for one.
pub(crate) const MOST_THREADS: u32 = 1 << 20;

/// A fault of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Entry.
    pub begin_ns: u64,
    /// Completion.
    pub end_ns: u64,
    /// Number of the thread.
    pub thread: u32,
}

/// Numbers for threads, from 0.
#[derive(Clone, Debug, Default)]
pub struct ThreadIndex {
    numbers: PlHashMap<(u32, u32), u32>,
    last: Option<((u32, u32), u32)>,
    /// Whether there are threads that are not told apart.
    pub has_others: bool,
}

impl ThreadIndex {
    /// The number of a thread; rows come in runs of one thread.
    pub fn number(&mut self, pid: u32, tid: u32) -> u32 {
        let key = (pid, tid);
        if let Some((_, number)) = self.last.filter(|(last, _)| *last == key) {
            return number;
        }
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        let number = if next < MOST_THREADS {
            *self.numbers.entry(key).or_insert(next)
        } else {
            let known = self.numbers.get(&key).copied();
            self.has_others |= known.is_none();
            known.unwrap_or(MOST_THREADS)
        };
        self.last = Some((key, number));
        number
    }

    /// How many threads.
    #[must_use]
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }
}

/// What the first pass finds.
#[derive(Clone, Debug)]
pub struct Pass1 {
    /// The threads with faults.
    pub threads: ThreadIndex,
    /// First entry and last completion of each thread.
    seen: Vec<(u64, u64)>,
    /// Every fault of at least `cut_ns`.
    pub long: Vec<Span>,
    /// Length that makes a fault a long one.
    pub cut_ns: u64,
    /// The most that a fault stands behind one that was done later, across blocks.
    pub late_ns: u64,
    done_ns: u64,
    kept: usize,
}

impl Default for Pass1 {
    fn default() -> Self {
        Self::keeping(LONG_KEPT)
    }
}

impl Pass1 {
    /// Keeps at most so many long faults.
    #[must_use]
    pub fn keeping(kept: usize) -> Self {
        Self {
            threads: ThreadIndex::default(),
            seen: Vec::new(),
            long: Vec::new(),
            cut_ns: 1,
            late_ns: 0,
            done_ns: 0,
            kept: kept.max(1),
        }
    }

    fn see(&mut self, thread: u32, (begin_ns, end_ns): (u64, u64)) {
        let number = thread as usize;
        if number >= self.seen.len() {
            self.seen.resize(number + 1, (u64::MAX, 0));
        }
        if let Some((first_ns, last_ns)) = self.seen.get_mut(number) {
            *first_ns = begin_ns.min(*first_ns);
            *last_ns = end_ns.max(*last_ns);
        }
    }

    /// Keeps those of a thread that are long.
    fn keep(&mut self, begins_ns: &[u64], latencies_ns: &[u64], thread: u32) {
        for (&begin_ns, &latency_ns) in begins_ns.iter().zip(latencies_ns) {
            let end_ns = begin_ns.saturating_add(latency_ns);
            if end_ns - begin_ns >= self.cut_ns {
                self.long.push(Span {
                    begin_ns,
                    end_ns,
                    thread,
                });
                if self.long.len() > self.kept {
                    self.shorten();
                }
            }
        }
    }

    /// Leaves out the shorter half.
    fn shorten(&mut self) {
        let middle = self.long.len() / 2;
        let length = |span: &Span| span.end_ns - span.begin_ns;
        let (_, median, _) = self.long.select_nth_unstable_by_key(middle, length);
        self.cut_ns = length(median).saturating_add(1);
        let cut_ns = self.cut_ns;
        self.long.retain(|span| length(span) >= cut_ns);
    }

    /// When the number of threads alive changes, and by how much, in order of time. A thread is alive from its birth to its
    /// end, or where these were not seen, from the beginning to the end of the recording.
    #[must_use]
    pub fn lives(&self, session: &Session) -> Vec<(u64, i32)> {
        let mut changes = Vec::with_capacity(2 * self.seen.len());
        for (&(pid, tid), &number) in &self.threads.numbers {
            let Some(&(first_ns, last_ns)) = self.seen.get(number as usize) else {
                continue;
            };
            let life = session.lifetimes.get(&(pid, tid)).copied().unwrap_or_default();
            // Of a number that came again only the last life is known.
            let born = if session.came_again(&(pid, tid)) {
                Some(first_ns)
            } else {
                life.begin_ns
            };
            let begin = born.unwrap_or(session.start_ns()).min(first_ns);
            let end = life.end_ns.unwrap_or(session.end_ns()).max(last_ns);
            changes.extend([(begin, 1), (end, -1)]);
        }
        if let Some(&(first_ns, last_ns)) = self.seen.get(MOST_THREADS as usize) {
            changes.extend([(first_ns, 1), (last_ns, -1)]);
        }
        changes.sort_unstable();
        changes
    }

    /// Threads whose number was given to another before: they count as alive in between.
    #[must_use]
    pub(crate) fn numbers_used_again(&self, session: &Session) -> usize {
        let keys = self.threads.numbers.keys();
        keys.filter(|key| session.came_again(key)).count()
    }
}

/// The columns of [`spans`].
pub const COLUMNS: [Column; 4] = [Column::TsNs, Column::LatencyNs, Column::Pid, Column::Tid];

/// Every row as a span of time of a thread.
///
/// # Errors
/// When the query did not declare [`COLUMNS`].
pub fn spans<'a>(
    frame: &'a DataFrame,
    threads: &'a mut ThreadIndex,
) -> Result<impl Iterator<Item = Span> + use<'a>, AnalyzeError> {
    let times = u64s(frame, Column::TsNs)?
        .iter()
        .zip(u64s(frame, Column::LatencyNs)?);
    let ids = u32s(frame, Column::Pid)?.iter().zip(u32s(frame, Column::Tid)?);
    Ok(times
        .zip(ids)
        .map(|((&begin_ns, &latency_ns), (&pid, &tid))| Span {
            begin_ns,
            end_ns: begin_ns.saturating_add(latency_ns),
            thread: threads.number(pid, tid),
        }))
}

impl Pass for Pass1 {
    fn columns(&self) -> Vec<Column> {
        COLUMNS.to_vec()
    }

    fn block(&mut self, frame: &DataFrame, _: &Session) -> Result<(), AnalyzeError> {
        let (times, latencies) = (u64s(frame, Column::TsNs)?, u64s(frame, Column::LatencyNs)?);
        let (pids, tids) = (u32s(frame, Column::Pid)?, u32s(frame, Column::Tid)?);
        let (mut earliest_ns, mut done_ns) = (u64::MAX, self.done_ns);
        // Of one thread at a time: a block has them one after the other.
        for run in sorted_runs([pids, tids]) {
            let (Some(&pid), Some(&tid)) = (pids.get(run.start), tids.get(run.start)) else {
                continue;
            };
            let thread = self.threads.number(pid, tid);
            let (begins, latencies) = (part(times, &run), part(latencies, &run));
            let (mut first_ns, mut last_ns) = (u64::MAX, 0);
            for (&begin_ns, &latency_ns) in begins.iter().zip(latencies) {
                let end_ns = begin_ns.saturating_add(latency_ns);
                first_ns = begin_ns.min(first_ns);
                last_ns = end_ns.max(last_ns);
                earliest_ns = end_ns.min(earliest_ns);
            }
            done_ns = done_ns.max(last_ns);
            self.see(thread, (first_ns, last_ns));
            self.keep(begins, latencies, thread);
        }
        self.late_ns = self.late_ns.max(self.done_ns.saturating_sub(earliest_ns));
        self.done_ns = done_ns;
        Ok(())
    }
}
