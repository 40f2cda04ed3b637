//! Writes a trace front to back: one `write_all` per frame, never a seek.

use std::io::{self, Write};

use bincode::Encode;

use crate::block::BlockEncoder;
use crate::error::{FormatError, Result};
use crate::records::footer::{MAX_BLOCKS, Trailer};
use crate::records::frame::{CODEC, FLAG_SNAPSHOT, FRAME_LEN, Kind, RecordFrame};
use crate::records::metadata;
use crate::records::packed;
use crate::records::query_record;
use crate::records::query_record::QueryEncoder;
use crate::write::dict_writer::Tables;
use crate::{
    BlockInfo, Columns, Condition, Dict, Event, Footer, Header, HiddenWait, Loss, Meta, ProcessEntry, Query,
    TimelineEntry, Totals, limits,
};

/// Events that are put into columns together: as many as a fast cache holds.
const ARRIVED: usize = 64;

/// Writes one trace. Dropped without [`finish`](Self::finish), it leaves a file that lacks the open block
/// and the footer, and is readable.
pub struct TraceWriter<W: Write> {
    out: W,
    trace_id: [u8; 16],
    frame: Vec<u8>,
    sequence: u64,
    written: u64,
    next_snapshot: u64,
    /// A write failed half-way: what follows would have wrong offsets.
    broken: bool,
    /// Events of the open block that are not in its columns yet.
    arrived: Vec<Event>,
    open: Columns,
    open_events: usize,
    block_events: usize,
    events: u64,
    last_ns: u64,
    encoder: BlockEncoder,
    queries: QueryEncoder,
    blocks: Vec<BlockInfo>,
    tables: Tables,
}

impl<W: Write> TraceWriter<W> {
    /// Writes the header and the META record.
    ///
    /// Strings over 64 KiB and argument lists over 1 MiB are cut, and say so.
    ///
    /// # Errors
    ///
    /// When `out` fails.
    pub fn create(mut out: W, header: &Header, meta: &Meta) -> Result<Self> {
        let bytes = header.to_bytes();
        out.write_all(&bytes)?;
        let mut writer = Self {
            out,
            trace_id: header.trace_id,
            frame: Vec::new(),
            sequence: 0,
            written: bytes.len() as u64,
            next_snapshot: limits::SNAPSHOT_EVERY,
            broken: false,
            arrived: Vec::with_capacity(ARRIVED),
            open: Columns::default(),
            open_events: 0,
            block_events: limits::WRITTEN_PER_BLOCK,
            events: 0,
            last_ns: 0,
            encoder: BlockEncoder::new()?,
            queries: QueryEncoder::new()?,
            blocks: Vec::new(),
            tables: Tables::default(),
        };
        writer.begin();
        metadata::encode(&meta.bounded(), &mut writer.frame)?;
        writer.end(Kind::Meta, 0, 0)?;
        Ok(writer)
    }

    /// Writes dictionary entries at once; those already written are left out. Names of symbols that are too
    /// long are cut, and say so.
    ///
    /// # Errors
    ///
    /// When `out` fails, an id or a string is over its limit, or an id gets another value.
    pub fn dict(&mut self, dict: &Dict) -> Result<()> {
        let dict = dict.bounded();
        dict.check()?;
        let fresh = self.tables.learn(&dict)?;
        fresh.iter().try_for_each(|dict| self.dict_frame(dict, 0))
    }

    /// Writes timeline entries, in as many frames as they need.
    ///
    /// # Errors
    ///
    /// When `out` fails.
    pub fn timeline(&mut self, entries: &[TimelineEntry]) -> Result<()> {
        let mut raw = Vec::new();
        for chunk in entries.chunks(limits::ENTRIES_PER_FRAME) {
            raw.clear();
            metadata::encode(&chunk, &mut raw)?;
            self.begin();
            packed::pack(&raw, &mut self.frame)?;
            self.end(Kind::Timeline, 0, 0)?;
        }
        Ok(())
    }

    /// Writes which programs processes run, in as many frames as they need. Paths and command lines over 4,096 bytes are
    /// cut, and say so.
    ///
    /// # Errors
    ///
    /// When `out` fails.
    pub fn processes(&mut self, entries: &[ProcessEntry]) -> Result<()> {
        let mut chunk: Vec<ProcessEntry> = Vec::new();
        let (mut bytes, mut arguments) = (0, 0);
        for entry in entries {
            let entry = entry.bounded();
            let (more_bytes, more_arguments) = (entry.stored(), entry.command.len());
            if chunk.len() == limits::ENTRIES_PER_FRAME
                || bytes + more_bytes > limits::METADATA_CHUNK
                || arguments + more_arguments > limits::LIST
            {
                self.process_frame(&chunk)?;
                chunk.clear();
                (bytes, arguments) = (0, 0);
            }
            bytes += more_bytes;
            arguments += more_arguments;
            chunk.push(entry);
        }
        self.process_frame(&chunk)
    }

    /// Writes waits of which no fault tells, in as many frames as they need.
    ///
    /// # Errors
    ///
    /// When `out` fails.
    pub fn hidden_waits(&mut self, entries: &[HiddenWait]) -> Result<()> {
        let entries: Vec<_> = entries.iter().map(HiddenWait::bounded).collect();
        self.packed_frames(Kind::HiddenWaits, &entries, HiddenWait::stored)
    }

    /// Writes what was set, in as many frames as it needs. Texts over 4,096 bytes are cut, and say so.
    ///
    /// # Errors
    ///
    /// When `out` fails.
    pub fn conditions(&mut self, entries: &[Condition]) -> Result<()> {
        let entries: Vec<_> = entries.iter().map(Condition::bounded).collect();
        self.packed_frames(Kind::Conditions, &entries, Condition::stored)
    }

    /// Writes losses, in as many frames as they need.
    ///
    /// # Errors
    ///
    /// When `out` fails.
    pub fn loss(&mut self, losses: &[Loss]) -> Result<()> {
        for chunk in losses.chunks(limits::ENTRIES_PER_FRAME) {
            self.begin();
            metadata::encode(&chunk, &mut self.frame)?;
            self.end(Kind::Loss, 0, 0)?;
        }
        Ok(())
    }

    /// Writes queries, in as many frames as they need. Names over 1024 bytes and texts over 256 are cut, and say
    /// so.
    ///
    /// # Errors
    ///
    /// When `out` fails, or an id is 0.
    pub fn queries(&mut self, queries: &[Query]) -> Result<()> {
        let mut chunk = Vec::new();
        let mut bytes = 0;
        for query in queries {
            let query = query_record::bounded(query);
            self.last_ns = self.last_ns.max(query.end_ns);
            bytes += query_record::text_bytes(&query);
            if chunk.len() == limits::QUERIES_PER_FRAME || bytes > limits::QUERY_STRINGS_PER_FRAME {
                bytes = query_record::text_bytes(&query);
                self.query_frame(&chunk)?;
                chunk.clear();
            }
            chunk.push(query);
        }
        self.query_frame(&chunk)
    }

    /// From how many events on a block is full: 1 to 65,536, and half of that unless something else is said.
    pub fn set_block_events(&mut self, events: usize) {
        self.block_events = events.clamp(1, limits::EVENTS_PER_BLOCK);
    }

    /// Appends an event to the open block, which is written when it is full.
    ///
    /// # Errors
    ///
    /// When `out` fails.
    pub fn push(&mut self, event: &Event) -> Result<()> {
        self.arrived.push(*event);
        self.open_events += 1;
        if self.arrived.len() == ARRIVED {
            self.open.extend(&self.arrived);
            self.arrived.clear();
        }
        self.events += 1;
        if self.open_events >= self.block_events {
            self.write_block()
        } else {
            Ok(())
        }
    }

    /// Writes the open block, if it has events, and flushes `out`.
    ///
    /// # Errors
    ///
    /// When `out` fails.
    pub fn flush_block(&mut self) -> Result<()> {
        self.write_block()?;
        Ok(self.out.flush()?)
    }

    /// Bytes given to `out` so far.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.written
    }

    /// Events so far, those of the open block included.
    #[must_use]
    pub fn events_written(&self) -> u64 {
        self.events
    }

    /// The latest completion of an event of all blocks so far, and the latest end of a query: a recording goes on until
    /// then. `CLOCK_MONOTONIC` nanoseconds, 0 where there was none.
    #[must_use]
    pub fn last_ns(&self) -> u64 {
        self.last_ns
    }

    /// The output.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Gives up: the output as it stands, without the open block and the footer.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// Writes the open block, the footer and the trailer, and flushes.
    ///
    /// # Errors
    ///
    /// When `out` fails.
    pub fn finish(self, totals: Totals) -> Result<W> {
        self.finish_as(totals, true)
    }

    /// As [`finish`](Self::finish); `clean` says whether the recording ended as intended.
    ///
    /// # Errors
    ///
    /// When `out` fails.
    pub(crate) fn finish_as(mut self, totals: Totals, clean: bool) -> Result<W> {
        self.write_block()?;
        let footer = Footer {
            blocks: std::mem::take(&mut self.blocks),
            totals,
            clean,
        };
        let offset = self.written;
        self.begin();
        footer.encode(&mut self.frame)?;
        self.end(Kind::Footer, 0, 0)?;
        // At most 64 MiB and a frame, so it fits.
        let trailer = Trailer {
            offset,
            len: (self.written - offset) as u32,
        };
        self.frame.clear();
        self.frame.extend_from_slice(&trailer.to_bytes(&self.trace_id));
        self.send()?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn write_block(&mut self) -> Result<()> {
        if self.open_events == 0 {
            return Ok(());
        }
        self.open.extend(&self.arrived);
        self.arrived.clear();
        self.begin();
        let info = self.encoder.encode(&self.open, &mut self.frame)?;
        self.last_ns = self.last_ns.max(info.end_max);
        let offset = self.written;
        self.end(Kind::Events, 0, info.events)?;
        self.open.clear();
        self.open_events = 0;
        // One more than can be listed says that they are not: the footer has no index with holes.
        if self.blocks.len() <= MAX_BLOCKS {
            self.blocks.push(BlockInfo { offset, ..info });
        }
        if self.written >= self.next_snapshot {
            self.snapshot()?;
            self.next_snapshot = self.written.saturating_add(limits::SNAPSHOT_EVERY);
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Result<()> {
        let dicts = self.tables.snapshot();
        dicts
            .iter()
            .try_for_each(|dict| self.dict_frame(dict, FLAG_SNAPSHOT))
    }

    fn dict_frame(&mut self, dict: &Dict, flags: u16) -> Result<()> {
        self.begin();
        metadata::encode(dict, &mut self.frame)?;
        self.end(Kind::Dict, flags, 0)
    }

    fn query_frame(&mut self, queries: &[Query]) -> Result<()> {
        if queries.is_empty() {
            return Ok(());
        }
        self.begin();
        self.queries.encode(queries, &mut self.frame)?;
        self.end(Kind::Queries, 0, 0)
    }

    fn process_frame(&mut self, entries: &[ProcessEntry]) -> Result<()> {
        self.packed_frame(Kind::Processes, entries)
    }

    /// Entries that are `stored` in so many bytes, in frames of a size that a reader takes.
    fn packed_frames<T: Encode>(
        &mut self,
        kind: Kind,
        entries: &[T],
        stored: impl Fn(&T) -> usize,
    ) -> Result<()> {
        let mut rest = entries;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take(limits::ENTRIES_PER_FRAME).take_while(|entry| {
                bytes += stored(entry);
                bytes <= limits::METADATA_CHUNK
            });
            let (chunk, others) = rest.split_at(fits.count().max(1));
            self.packed_frame(kind, chunk)?;
            rest = others;
        }
        Ok(())
    }

    fn packed_frame<T: Encode>(&mut self, kind: Kind, entries: &[T]) -> Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut raw = Vec::new();
        metadata::encode(&entries, &mut raw)?;
        self.begin();
        packed::pack(&raw, &mut self.frame)?;
        self.end(kind, 0, 0)
    }

    /// Starts a frame: its payload goes behind the room for its header.
    fn begin(&mut self) {
        self.frame.clear();
        self.frame.resize(FRAME_LEN, 0);
    }

    /// Fills in the frame's header and writes it with its payload.
    fn end(&mut self, kind: Kind, flags: u16, events: u32) -> Result<()> {
        let payload = &self.frame[FRAME_LEN..];
        let limit = if kind == Kind::Footer {
            limits::FOOTER
        } else {
            limits::PAYLOAD
        };
        if payload.len() > limit {
            let (limit, actual) = (limit as u64, payload.len() as u64);
            return Err(FormatError::Limit {
                what: "bytes in a record",
                limit,
                actual,
            });
        }
        let header = RecordFrame {
            kind: kind as u8,
            codec: CODEC,
            flags,
            payload_len: payload.len() as u32,
            events,
            sequence: self.sequence,
            payload_crc: crc32c::crc32c(payload),
        };
        self.frame[..FRAME_LEN].copy_from_slice(&header.to_bytes(&self.trace_id));
        self.sequence += 1;
        self.send()
    }

    fn send(&mut self) -> Result<()> {
        if self.broken {
            return Err(FormatError::Io(io::Error::other(
                "an earlier write to the trace failed",
            )));
        }
        if let Err(error) = self.out.write_all(&self.frame) {
            self.broken = true;
            return Err(error.into());
        }
        self.written += self.frame.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;
    use crate::{Item, TraceReader};

    /// As after days: what no index can list is not remembered.
    #[test]
    fn blocks_are_remembered_up_to_what_an_index_can_list_and_the_trace_is_whole_without_one() {
        let header = Header::new([7; 16], 0);
        let mut writer = TraceWriter::create(Vec::new(), &header, &Meta::default()).unwrap();
        writer.blocks = vec![BlockInfo::default(); MAX_BLOCKS - 1];
        writer.set_block_events(1);
        for _ in 0..4 {
            writer.push(&Event::default()).unwrap();
        }
        assert_eq!(writer.blocks.len(), MAX_BLOCKS + 1);
        let totals = Totals {
            events: 4,
            minors: 4,
            ..Totals::default()
        };
        let trace = writer.finish(totals).unwrap();
        let mut reader = TraceReader::new(trace.as_slice()).unwrap();
        let mut listed = None;
        while let Some(item) = reader.next().unwrap() {
            if let Item::Footer(footer) = item {
                listed = Some(footer.blocks.len());
            }
        }
        assert_eq!((listed, reader.summary().events), (Some(0), 4));
    }
}
