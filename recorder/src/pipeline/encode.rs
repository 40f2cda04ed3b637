//! Second thread of the hot path: batches become events, events become blocks of the trace.

use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use pf_formats::{FormatError, LossReason};

use crate::{
    conditions::Conditions,
    pipeline::backlog::{Batch, Batches},
    pipeline::event_sink::Outlet,
    session::{Faults, Folded, Session, Sink},
};

/// Longest time an event waits in the open block: with the drain's interval, what `kill -9` can cost.
const BLOCK_INTERVAL: Duration = Duration::from_millis(500);

/// The second thread's work.
pub struct Encode {
    batches: Batches,
    session: Session,
    outlet: Outlet,
    /// To be told once more at the end.
    conditions: Option<Conditions>,
    notes: Vec<String>,
    stacks_dropped: u64,
}

/// What it leaves when the drain has ended.
pub struct Encoded {
    /// To be finished with the totals.
    pub outlet: Outlet,
    /// Whether everything was written so far.
    pub outcome: Result<(), FormatError>,
    /// Events in the trace.
    pub recorded: Faults,
    /// Faults of the held child, left out on purpose.
    pub before_exec: Faults,
    /// Of these, those that software events told of.
    pub before_exec_events: u64,
    /// Faults of other files than the one asked for.
    pub filtered: Faults,
    /// What is worth telling people: of a filter that nothing passed, and of what has no names.
    pub notes: Vec<String>,
    /// Stacks beyond what is remembered.
    pub stacks_dropped: u64,
    /// Names and mappings that are not kept.
    pub folded: Folded,
    /// Queries written.
    pub queries: u64,
}

impl Encoded {
    /// Removes the output: nothing in it is worth keeping.
    pub fn discard(self) {
        self.outlet.discard();
    }
}

impl Encode {
    /// What is received from `batches` goes through `session` to `outlet`, and at the end `conditions` as they are then.
    pub fn new(batches: Batches, session: Session, outlet: Outlet, conditions: Option<Conditions>) -> Self {
        Self {
            batches,
            session,
            outlet,
            conditions,
            notes: Vec::new(),
            stacks_dropped: 0,
        }
    }

    /// Runs until the drain closes the queue, or the file can take no more.
    pub fn run(mut self) -> Encoded {
        self.batches.adopt();
        let outcome = self.work();
        self.outlet.finish_lines();
        Encoded {
            queries: self.outlet.queries_written(),
            outlet: self.outlet,
            outcome,
            recorded: self.session.recorded(),
            before_exec: self.session.before_exec(),
            before_exec_events: self.session.before_exec_events(),
            filtered: self.session.filtered(),
            notes: self.notes,
            stacks_dropped: self.stacks_dropped,
            folded: self.session.folded(),
        }
    }

    fn work(&mut self) -> Result<(), FormatError> {
        if let Some(conditions) = &mut self.conditions {
            self.outlet.conditions(&conditions.take_first())?;
        }
        // What was there before belongs into the trace also if nothing ever faults.
        self.session
            .process(&mut Batch::default(), false, &mut self.outlet)?;
        let mut flushed = Instant::now();
        loop {
            match self.batches.next(BLOCK_INTERVAL) {
                Ok(batch) => self.batch(batch)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if flushed.elapsed() >= BLOCK_INTERVAL {
                self.outlet.flush()?;
                flushed = Instant::now();
            }
        }
        self.session
            .process(&mut Batch::default(), true, &mut self.outlet)?;
        self.outlet.flush()?;
        if let Some(mut conditions) = self.conditions.take() {
            let last = conditions.read_last(self.session.faulted_devices());
            self.outlet.conditions(&last)?;
        }
        self.notes.extend(self.session.remarks());
        self.name_stacks()
    }

    /// While the binaries are still there, so that the trace can be read elsewhere.
    fn name_stacks(&mut self) -> Result<(), FormatError> {
        let stacks = self.session.take_stacks();
        self.stacks_dropped = stacks.dropped();
        // A second Ctrl-C ends pfrec: then the trace is complete but for the names.
        let symbols = stacks.symbolise(|| false);
        self.notes.extend(symbols.notes);
        symbols.dicts.iter().try_for_each(|dict| self.outlet.dict(dict))
    }

    fn batch(&mut self, mut batch: Batch) -> Result<(), FormatError> {
        if !batch.losses.is_empty() {
            self.outlet.loss(&batch.losses)?;
        }
        if batch
            .losses
            .iter()
            .any(|loss| loss.reason == LossReason::Sideband)
        {
            self.session.distrust_mappings();
        }
        self.session.process(&mut batch, false, &mut self.outlet)?;
        self.batches.give_back(batch);
        self.outlet.end_batch()
    }
}
