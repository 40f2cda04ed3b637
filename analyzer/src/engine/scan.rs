//! The engine: streams a trace once, block by block, and shows every pass the faults that pass the filter. Blocks are
//! decoded on other threads; frames, filters and passes stay on this one. Memory is a few blocks plus what the
//! passes keep.

use crate::engine::columns::Column;
use crate::engine::condition::NameCache;
use crate::engine::filter::Filter;
use crate::engine::frame;
use crate::error::AnalyzeError;
use crate::trace::memory_limit;
use crate::trace::session::Session;
use pf_formats::{
    Damage, DecodeAhead, DecodedBlock, HiddenWait, Item, Predicate, Projection, Query, Step, TimelineEntry,
    TraceReader, Wanted,
};
use polars::prelude::DataFrame;
use std::io::Read;

/// Something that looks at every fault once and keeps a small summary.
pub trait Pass {
    /// The columns it looks at.
    fn columns(&self) -> Vec<Column>;

    /// Takes in one filtered block. Rows are ordered by pid, tid and thread name, and within these by the time when they were
    /// recorded; blocks follow each other in the order in which faults completed. [`crate::engine::thread_order`] has what a thread did in
    /// its order. The frame may be empty but has all columns.
    ///
    /// # Errors
    /// When a result cannot be written, or a column is missing.
    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError>;

    /// Takes in a recorded query that passes the filter. It may come before or after the faults that name it.
    fn row(&mut self, _row: &Query, _session: &Session) {}

    /// Takes in a wait of which no fault tells, if it passes the filter.
    fn hidden_wait(&mut self, _wait: &HiddenWait, _session: &Session) {}

    /// Takes in what happened to threads and address spaces, whatever the filter; `session` knows of it already.
    fn timeline(&mut self, _entries: &[TimelineEntry], _session: &Session) {}
}

/// Reads the whole trace. `tick` is called with the bytes consumed so far.
///
/// # Errors
/// I/O errors of the input and errors of the passes. Damage is no error: it is in the returned session.
pub fn scan<R: Read>(
    reader: TraceReader<R>,
    filter: &Filter,
    passes: &mut [&mut dyn Pass],
    tick: &mut dyn FnMut(u64),
) -> Result<Session, AnalyzeError> {
    let mut session = Session::new(reader.header().clone());
    session.totals_ahead = reader.totals_ahead().cloned();
    let mut columns: Vec<Column> = passes.iter().flat_map(|pass| pass.columns()).collect();
    let decode = !columns.is_empty();
    columns.extend(filter.columns());
    columns.sort_unstable();
    columns.dedup();
    // Without passes every block is looked at all the same: is it whole?
    let predicate = |start_ns| {
        if decode {
            filter.predicate(start_ns)
        } else {
            Predicate::default()
        }
    };
    let stored = if decode {
        frame::projection_of(&columns)
    } else {
        Projection::NONE
    };
    let mut start_ns = None;
    let mut wanted = Wanted {
        predicate: predicate(start_ns),
        columns: stored.union(Projection::CLASS),
    };
    let mut cache = NameCache::default();
    let mut steps = DecodeAhead::new(reader);
    while let Some(step) = steps.next(&wanted)? {
        memory_limit::check()?;
        match step {
            Step::Item(item) => see(item, filter, passes, &mut session),
            Step::Block(block) => {
                session.announce_block(&block.info);
                if is_sound(block, &mut session) {
                    if decode {
                        let whole = frame::build(&mut block.columns, &columns, &session)?;
                        let mask = filter.mask(&whole, &session, &mut cache)?;
                        let frame = match mask.filter(|mask| !mask.all()) {
                            Some(mask) => whole.filter_seq(&mask)?,
                            None => whole,
                        };
                        session.passed = session.passed.saturating_add(frame.height() as u64);
                        for pass in passes.iter_mut() {
                            pass.block(&frame, &session)?;
                        }
                        frame::give_back(frame, &columns, &mut block.columns);
                    }
                    session.see_block(&block.info);
                }
            }
        }
        if session.known_start_ns() != start_ns {
            start_ns = session.known_start_ns();
            wanted.predicate = predicate(start_ns);
        }
        tick(steps.reader().offset());
    }
    session.finished = steps.reader().summary().finished;
    session.bytes = steps.reader().offset();
    Ok(session)
}

/// Everything but the faults.
fn see(item: Item, filter: &Filter, passes: &mut [&mut dyn Pass], session: &mut Session) {
    match item {
        Item::Meta(meta) => session.see_meta(*meta),
        Item::Dict(dict) => session.dicts.learn(dict),
        Item::Timeline(entries) => {
            session.see_timeline(&entries);
            passes
                .iter_mut()
                .for_each(|pass| pass.timeline(&entries, session));
        }
        Item::Processes(entries) => session.processes.see(entries),
        Item::HiddenWaits(waits) => {
            for wait in waits
                .iter()
                .filter(|wait| filter.passes_hidden_wait(wait, session))
            {
                passes.iter_mut().for_each(|pass| pass.hidden_wait(wait, session));
            }
        }
        Item::Conditions(entries) => session.conditions.see(entries),
        Item::Loss(losses) => session.see_losses(&losses),
        Item::Queries(rows) => {
            session.see_queries(&rows);
            for row in rows.iter().filter(|row| filter.passes_query(row, session)) {
                passes.iter_mut().for_each(|pass| pass.row(row, session));
            }
        }
        Item::Footer(footer) => session.see_footer(*footer),
        Item::Damage(damage) => session.see_damage(damage),
        Item::Skipped(info) => {
            session.announce_block(&info);
            session.see_block(&info);
        }
        // They come decoded.
        Item::Events(_) => {}
    }
}

/// False when the block turns out to be damaged inside.
fn is_sound(block: &DecodedBlock, session: &mut Session) -> bool {
    if let Some(error) = &block.error {
        session.see_damage(Damage {
            offset: block.info.offset,
            bytes: 0,
            reason: error.to_string(),
            frames_missing: 1,
            frames_seen: 1,
            events_missing: u64::from(block.info.events),
        });
        return false;
    }
    session.see_columns(&block.columns);
    true
}
