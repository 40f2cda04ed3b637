//! The engine: streams a trace once, block by block, and shows every query the faults that pass the filter.
//! Memory is one block plus what the queries keep.

use crate::error::AnalyzeError;
use crate::filter::{Filter, NameCache};
use crate::frame;
use crate::schema::Column;
use crate::session::Session;
use pf_formats::{BlockDecoder, Columns, Damage, EventsBlock, Item, Projection, Query as Row, TraceReader};
use polars::prelude::DataFrame;
use std::io::Read;

/// Something that looks at every fault once and keeps a small summary.
pub trait Query {
    /// The columns it looks at.
    fn columns(&self) -> Vec<Column>;

    /// Takes in one filtered block. Rows are ordered by thread, and by time within a thread; blocks follow
    /// each other in the order in which faults completed. The frame may be empty but has all columns.
    ///
    /// # Errors
    /// When a result cannot be written, or a column is missing.
    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError>;

    /// Takes in a recorded query that passes the filter. It may come before or after the faults that name it.
    fn row(&mut self, _row: &Row, _session: &Session) {}
}

/// Reads the whole trace. `tick` is called with the bytes consumed so far.
///
/// # Errors
/// I/O errors of the input and errors of the queries. Damage is no error: it is in the returned session.
pub fn scan<R: Read>(
    mut reader: TraceReader<R>,
    filter: &Filter,
    queries: &mut [&mut dyn Query],
    tick: &mut dyn FnMut(u64),
) -> Result<Session, AnalyzeError> {
    let mut session = Session::new(reader.header().clone());
    let mut wanted: Vec<Column> = queries.iter().flat_map(|query| query.columns()).collect();
    let decode = !wanted.is_empty();
    wanted.extend(filter.columns());
    wanted.sort_unstable();
    wanted.dedup();
    let mut blocks = Blocks {
        wanted,
        columns: Columns::default(),
        cache: NameCache::default(),
        decoder: BlockDecoder::new()?,
    };
    while let Some(item) = reader.next()? {
        match item {
            Item::Meta(meta) => session.see_meta(*meta),
            Item::Dict(dict) => session.dicts.learn(dict),
            Item::Timeline(entries) => session.see_timeline(&entries),
            Item::Loss(losses) => session.see_losses(&losses),
            Item::Queries(rows) => {
                session.see_queries(&rows);
                for row in rows.iter().filter(|row| filter.passes_query(row, &session)) {
                    queries.iter_mut().for_each(|query| query.row(row, &session));
                }
            }
            Item::Footer(footer) => session.see_footer(*footer),
            Item::Damage(damage) => session.see_damage(damage),
            Item::Skipped(info) => {
                session.announce_block(&info);
                session.see_skipped(&info);
            }
            Item::Events(block) => {
                session.announce_block(&block.info);
                let predicate = filter.predicate(session.known_start_ns());
                let is_wanted = decode && predicate.may_match(&block.info);
                if blocks.decode(&block, is_wanted, &mut session) {
                    if is_wanted {
                        let frame = blocks.frame(filter, &session)?;
                        session.passed = session.passed.saturating_add(frame.height() as u64);
                        for query in queries.iter_mut() {
                            query.block(&frame, &session)?;
                        }
                    }
                    session.see_block(&block.info);
                }
            }
        }
        tick(reader.offset());
    }
    session.finished = reader.summary().finished;
    session.bytes = reader.offset();
    Ok(session)
}

struct Blocks {
    wanted: Vec<Column>,
    columns: Columns,
    cache: NameCache,
    decoder: BlockDecoder,
}

impl Blocks {
    /// False when the block turns out to be damaged inside. Classes are counted of every block: its
    /// statistics do not tell of failed faults.
    fn decode(&mut self, block: &EventsBlock, is_wanted: bool, session: &mut Session) -> bool {
        let projection = if is_wanted {
            frame::projection_of(&self.wanted).union(Projection::CLASS)
        } else {
            Projection::CLASS
        };
        if let Err(error) = self.decoder.decode(block, projection, &mut self.columns) {
            session.see_damage(Damage {
                offset: block.info.offset,
                bytes: 0,
                reason: error.to_string(),
                frames_missing: 1,
                events_missing: u64::from(block.info.events),
            });
            return false;
        }
        session.see_columns(&self.columns);
        true
    }

    /// The filtered frame of what was decoded.
    fn frame(&mut self, filter: &Filter, session: &Session) -> Result<DataFrame, AnalyzeError> {
        let whole = frame::build(&mut self.columns, &self.wanted, session)?;
        Ok(match filter.mask(&whole, session, &mut self.cache)? {
            Some(mask) => whole.filter_seq(&mask)?,
            None => whole,
        })
    }
}
