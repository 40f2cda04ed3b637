//! Where the session's events go: into the trace, to the printer of `-v`, to the files of the live view.

use pf_formats::{
    Condition, Dict, Event, FormatError, HiddenWait, Loss, ProcessEntry, Query, TimelineEntry, Totals,
    TraceWriter,
};

use crate::{
    live::{FaultSlot, FileCounter},
    pipeline::trace_file::TraceFile,
    pipeline::write_queue::WriteQueue,
    session::Sink,
};

/// Queries that make a record before its time.
const QUERIES: usize = 16_384;

/// At least one of these ends.
pub struct Outlet {
    trace: Option<TraceWriter<WriteQueue>>,
    printer: Option<FaultSlot>,
    files: Option<FileCounter>,
    /// Not yet written.
    queries: Vec<Query>,
    queries_written: u64,
}

impl Outlet {
    /// To those that are there.
    #[must_use]
    pub fn new(
        trace: Option<TraceWriter<WriteQueue>>,
        printer: Option<FaultSlot>,
        files: Option<FileCounter>,
    ) -> Self {
        Self {
            trace,
            printer,
            files,
            queries: Vec::new(),
            queries_written: 0,
        }
    }

    /// A batch is through: the printer waits no longer.
    pub fn end_batch(&mut self) -> Result<(), FormatError> {
        if let Some(printer) = &mut self.printer {
            printer.flush();
        }
        if let Some(files) = &mut self.files {
            files.flush();
        }
        if self.queries.len() >= QUERIES {
            self.write_queries()?;
        }
        Ok(())
    }

    /// Nothing that is complete waits any longer.
    pub fn flush(&mut self) -> Result<(), FormatError> {
        if let Some(trace) = &mut self.trace {
            trace.flush_block()?;
        }
        self.write_queries()
    }

    /// Settings and figures, for the trace.
    pub fn conditions(&mut self, entries: &[Condition]) -> Result<(), FormatError> {
        self.trace
            .as_mut()
            .map_or(Ok(()), |trace| trace.conditions(entries))
    }

    /// Nothing more is printed.
    pub fn finish_lines(&mut self) {
        if let Some(printer) = self.printer.take() {
            printer.finish();
        }
    }

    /// Queries in the trace.
    #[must_use]
    pub fn queries_written(&self) -> u64 {
        self.queries_written
    }

    /// The latest time of a fault or a query in the trace.
    #[must_use]
    pub fn last_ns(&self) -> u64 {
        self.trace.as_ref().map_or(0, TraceWriter::last_ns)
    }

    /// Completes the trace; its file, and how much was written to it.
    pub fn finish(self, totals: Totals) -> anyhow::Result<Option<(TraceFile, u64)>> {
        let Some(trace) = self.trace else {
            return Ok(None);
        };
        let (file, written) = trace.finish(totals)?.finish()?;
        Ok(Some((file, written?)))
    }

    /// Removes the trace: nothing in it is worth keeping.
    pub fn discard(self) {
        if let Some(trace) = self.trace
            && let Ok((file, _)) = trace.into_inner().finish()
        {
            file.discard();
        }
    }

    fn write_queries(&mut self) -> Result<(), FormatError> {
        self.queries_written += self.queries.len() as u64;
        if let Some(trace) = &mut self.trace {
            trace.queries(&self.queries)?;
        }
        self.queries.clear();
        Ok(())
    }
}

impl Sink for Outlet {
    type Error = FormatError;

    fn dict(&mut self, dict: &Dict) -> Result<(), FormatError> {
        if let Some(printer) = &mut self.printer {
            printer.learn(dict);
        }
        if let Some(files) = &mut self.files {
            files.learn(dict);
        }
        self.trace.as_mut().map_or(Ok(()), |trace| trace.dict(dict))
    }

    fn event(&mut self, event: &Event) -> Result<(), FormatError> {
        if let Some(printer) = &mut self.printer {
            printer.push(event);
        }
        if let Some(files) = &mut self.files {
            files.push(event);
        }
        self.trace.as_mut().map_or(Ok(()), |trace| trace.push(event))
    }

    fn queries(&mut self, queries: &mut Vec<Query>) -> Result<(), FormatError> {
        self.queries.append(queries);
        Ok(())
    }

    fn timeline(&mut self, entries: &[TimelineEntry]) -> Result<(), FormatError> {
        self.trace
            .as_mut()
            .map_or(Ok(()), |trace| trace.timeline(entries))
    }

    fn hidden_waits(&mut self, waits: &[HiddenWait]) -> Result<(), FormatError> {
        self.trace
            .as_mut()
            .map_or(Ok(()), |trace| trace.hidden_waits(waits))
    }

    fn processes(&mut self, entries: &[ProcessEntry]) -> Result<(), FormatError> {
        self.trace
            .as_mut()
            .map_or(Ok(()), |trace| trace.processes(entries))
    }

    fn loss(&mut self, losses: &[Loss]) -> Result<(), FormatError> {
        self.trace.as_mut().map_or(Ok(()), |trace| trace.loss(losses))
    }
}
