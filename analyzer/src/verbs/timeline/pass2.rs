//! The second pass: a sweep over time that knows at each moment how many threads are inside a fault.
//!
//! Faults not seen yet were done later than any seen, but for what the first pass measured as out of order, and took less
//! than a long fault, all of which it kept. So all that lies further back is final, and the sweep is exact. Only where so
//! many faults wait for their turn that memory would not do, it goes on without; what comes too late then is counted.

use crate::engine::columns::Column;
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::request::options::StallThreshold;
use crate::stats::by_class::{self, faults};
use crate::trace::session::Session;
use crate::verbs::timeline::intervals::Intervals;
use crate::verbs::timeline::pass1::{Pass1, Span, ThreadIndex, spans};
use crate::verbs::timeline::stalls::{Window, Windows};
use polars::prelude::DataFrame;

/// Begins and ends that wait for their turn, 16 bytes each.
const MOST_PENDING: usize = 4_000_000;

/// A thread.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Faults it is inside of; there are faults within faults.
    depth: u16,
    /// Since when.
    since_ns: u64,
}

/// The sweep.
#[derive(Debug)]
pub struct Sweep {
    threads: ThreadIndex,
    states: Vec<State>,
    /// Times and threads × 2, one more for a begin; the sorted order has ends before begins.
    pending: Vec<(u64, u32)>,
    most_pending: usize,
    /// Long faults that have not begun, the next one last.
    long: Vec<Span>,
    cut_ns: u64,
    late_ns: u64,
    done_ns: u64,
    /// Changes of the number of threads alive, the next one last.
    lives: Vec<(u64, i32)>,
    least: StallThreshold,
    alive: u32,
    inside: u32,
    now_ns: u64,
    open: Option<Window>,
    /// What happened when.
    pub intervals: Intervals,
    /// What was found.
    pub windows: Windows,
    /// Faults that were seen too late to count from their begin.
    pub late: u64,
    /// The most threads that were inside a fault at once.
    pub most_inside: u32,
    /// Threads whose number was another's before.
    pub numbers_used_again: u64,
}

impl Sweep {
    /// After the first pass; keeps so many of the longest stalls.
    #[must_use]
    pub fn new(
        first: Pass1,
        least: StallThreshold,
        intervals: Intervals,
        kept: usize,
        session: &Session,
    ) -> Self {
        let mut lives = first.lives(session);
        lives.reverse();
        let numbers_used_again = first.numbers_used_again(session) as u64;
        let mut long = first.long;
        long.sort_unstable_by(|a, b| b.cmp(a));
        Self {
            states: vec![State::default(); first.threads.len()],
            threads: first.threads,
            pending: Vec::new(),
            most_pending: MOST_PENDING,
            long,
            cut_ns: first.cut_ns,
            late_ns: first.late_ns,
            done_ns: 0,
            lives,
            least,
            alive: 0,
            inside: 0,
            now_ns: 0,
            open: None,
            intervals,
            windows: Windows::keeping(kept),
            late: 0,
            most_inside: 0,
            numbers_used_again,
        }
    }

    /// How many threads have faults.
    #[must_use]
    pub fn threads(&self) -> u64 {
        self.threads.len() as u64
    }

    /// Whether there were too many to tell all of them apart.
    #[must_use]
    pub(crate) fn has_other_threads(&self) -> bool {
        self.threads.has_others
    }

    /// With room for fewer faults that wait for their turn.
    #[must_use]
    pub fn with_room(mut self, most_pending: usize) -> Self {
        self.most_pending = most_pending;
        self
    }

    /// Of what lasts beyond the time that was asked for, or into it, the part inside.
    fn push(&mut self, span: Span) {
        let (from_ns, to_ns) = self.intervals.window_ns();
        let (inside_ns, end_ns) = (span.begin_ns.max(from_ns), span.end_ns.min(to_ns));
        let begin_ns = inside_ns.max(self.now_ns);
        self.late += u64::from(begin_ns > inside_ns && inside_ns <= end_ns);
        if begin_ns < end_ns {
            let code = span.thread.saturating_mul(2);
            self.pending
                .extend([(begin_ns, code.saturating_add(1)), (end_ns, code)]);
        }
    }

    /// To be called after the last block.
    pub fn finish(&mut self) {
        self.advance(u64::MAX);
        self.close();
    }

    /// Sweeps over everything before `until_ns`.
    fn advance(&mut self, until_ns: u64) {
        while let Some(span) = self.long.pop_if(|span| span.begin_ns < until_ns) {
            self.push(span);
        }
        // Those of one thread are in order already, which this sort makes use of.
        self.pending.sort();
        let ready = self.pending.partition_point(|&(time_ns, _)| time_ns < until_ns);
        let mut pending = std::mem::take(&mut self.pending);
        for (time_ns, code) in pending.drain(..ready) {
            self.live_until(time_ns);
            self.step_to(time_ns);
            self.turn(code);
        }
        self.pending = pending;
    }

    /// Births and ends up to a time.
    fn live_until(&mut self, time_ns: u64) {
        while let Some((at_ns, change)) = self.lives.pop_if(|(at_ns, _)| *at_ns <= time_ns) {
            self.step_to(at_ns);
            self.alive = self.alive.saturating_add_signed(change);
        }
    }

    /// A begin or an end.
    fn turn(&mut self, code: u32) {
        let number = code / 2;
        if number as usize >= self.states.len() {
            self.states.resize(number as usize + 1, State::default());
        }
        let Some(state) = self.states.get_mut(number as usize) else {
            return;
        };
        if code % 2 == 1 {
            if state.depth == 0 {
                self.inside += 1;
                state.since_ns = self.now_ns;
            }
            state.depth = state.depth.saturating_add(1);
        } else if state.depth > 0 {
            state.depth -= 1;
            if state.depth == 0 {
                self.inside -= 1;
                self.intervals.thread(number, state.since_ns, self.now_ns);
            }
        }
    }

    /// Until then everything stays as it is.
    fn step_to(&mut self, time_ns: u64) {
        let Some(length_ns) = time_ns.checked_sub(self.now_ns).filter(|&length| length > 0) else {
            return;
        };
        self.most_inside = self.most_inside.max(self.inside);
        if self.inside >= self.least.of(self.alive) {
            let (now_ns, alive) = (self.now_ns, self.alive);
            let open = self.open.get_or_insert(Window {
                begin_ns: now_ns,
                end_ns: now_ns,
                peak: 0,
                alive,
                wait_ns: 0,
            });
            if self.inside > open.peak {
                open.peak = self.inside;
                open.alive = alive;
            }
            open.wait_ns = open
                .wait_ns
                .saturating_add(length_ns.saturating_mul(self.inside.into()));
        } else {
            self.close();
        }
        self.now_ns = time_ns;
    }

    fn close(&mut self) {
        if let Some(mut window) = self.open.take() {
            window.end_ns = self.now_ns;
            self.intervals.stalled(window.begin_ns, window.end_ns);
            self.windows.add(window);
        }
    }
}

impl Pass for Sweep {
    fn columns(&self) -> Vec<Column> {
        let own = [Column::TsNs, Column::Pid, Column::Tid];
        [&own[..], &by_class::COLUMNS].concat()
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let mut threads = std::mem::take(&mut self.threads);
        for (span, fault) in spans(frame, &mut threads)?.zip(faults(frame, session)?) {
            self.done_ns = self.done_ns.max(span.end_ns);
            self.intervals.fault(span.begin_ns, &fault);
            if fault.latency_ns < self.cut_ns {
                self.push(span);
            }
        }
        self.threads = threads;
        self.advance(
            self.done_ns
                .saturating_sub(self.late_ns)
                .saturating_sub(self.cut_ns),
        );
        while self.pending.len() > self.most_pending {
            // The older half has to go.
            let middle = self
                .pending
                .get(self.pending.len() / 2)
                .map_or(0, |&(time_ns, _)| time_ns);
            self.advance(middle.saturating_add(1));
        }
        Ok(())
    }
}
