//! The payload of a block to the columns a reader wants, and no others. The buffers are kept from block to block.

use multiversion::multiversion;

use super::layout::{Column, PAGE_BITS};
use super::{EventsBlock, statistics};
use crate::column::{ColumnReader, Storage, Transform, transform};
use crate::error::{FormatError, Result};
use crate::{Columns, Projection};

/// Decodes blocks one after another.
pub struct BlockDecoder {
    columns: ColumnReader,
    runs: Vec<[u32; 3]>,
    lengths: Vec<u64>,
    latencies: Vec<u64>,
    pages: Vec<u64>,
    values: Vec<u64>,
}

impl BlockDecoder {
    /// A decoder; one serves any number of blocks of any trace.
    ///
    /// # Errors
    ///
    /// When there is no memory for it.
    pub fn new() -> Result<Self> {
        Ok(Self {
            columns: ColumnReader::new()?,
            runs: Vec::new(),
            lengths: Vec::new(),
            latencies: Vec::new(),
            pages: Vec::new(),
            values: Vec::new(),
        })
    }

    /// Replaces the contents of `into` by the wanted columns of a block. Rows are ordered by (pid, tid, comm); those
    /// of one thread keep the order in which they were written. Columns that are not wanted are neither
    /// decoded nor filled; optional ones that the block does not hold stay empty.
    ///
    /// # Errors
    ///
    /// A column that contradicts its directory, the statistics or its limits, or has an encoding of a later
    /// version. `into` is then empty.
    pub fn decode(&mut self, block: &EventsBlock, want: Projection, into: &mut Columns) -> Result<()> {
        let mut kept = Columns::default();
        swap_whole(want, into, &mut kept);
        into.clear();
        swap_whole(want, into, &mut kept);
        let done = Decoding { scratch: self, block }.columns(want, into);
        if done.is_err() {
            into.clear();
        }
        done
    }
}

/// Swaps the columns that will be written over from the first row to the last: zeros need not be there before.
fn swap_whole(want: Projection, a: &mut Columns, b: &mut Columns) {
    let whole = [
        (Projection::TS, &mut a.ts_ns, &mut b.ts_ns),
        (Projection::LATENCY, &mut a.latency_ns, &mut b.latency_ns),
        (Projection::ADDRESS, &mut a.address, &mut b.address),
        (Projection::OBJECT, &mut a.object_page, &mut b.object_page),
        (Projection::IP, &mut a.ip, &mut b.ip),
    ];
    for (part, of_a, of_b) in whole {
        if want.contains(part) {
            std::mem::swap(of_a, of_b);
        }
    }
}

struct Decoding<'a> {
    scratch: &'a mut BlockDecoder,
    block: &'a EventsBlock,
}

impl<'a> Decoding<'a> {
    fn columns(&mut self, want: Projection, into: &mut Columns) -> Result<()> {
        let block = self.block;
        let wants = |part| want.contains(part);
        let holds = |column| block.head.find(column).is_some();
        if wants(Projection::THREAD) || wants(Projection::TS) {
            self.run_lengths()?;
        }
        if wants(Projection::THREAD) {
            self.threads(into)?;
        }
        let breakdown = wants(Projection::BREAKDOWN)
            && [Column::Blocked, Column::Runqueue, Column::Reclaim, Column::Lock]
                .into_iter()
                .any(holds);
        if wants(Projection::LATENCY) || wants(Projection::TS) || breakdown {
            self.times(want, into)?;
        }
        if breakdown {
            self.breakdown(into)?;
        }
        if wants(Projection::LATENCY) {
            std::mem::swap(&mut into.latency_ns, &mut self.scratch.latencies);
        }
        if wants(Projection::ADDRESS) || wants(Projection::OBJECT) {
            self.places(want, into)?;
        }
        if wants(Projection::IP) {
            self.column(Column::Ip, &mut into.ip)?;
        }
        if wants(Projection::CPU) {
            self.narrow(Column::Cpu, &mut into.cpu, |value| value as u16)?;
        }
        if wants(Projection::CLASS) {
            self.bytes(Column::Class, &mut into.class)?;
            statistics::check_classes(&block.info, &into.class)?;
        }
        if wants(Projection::RETRIES) {
            self.bytes(Column::Retries, &mut into.retries)?;
        }
        if wants(Projection::STACK) && holds(Column::Stack) {
            self.narrow(Column::Stack, &mut into.stack, |value| value as u32)?;
        }
        if wants(Projection::QUERY) && holds(Column::Query) {
            self.column(Column::Query, &mut into.query)?;
        }
        if wants(Projection::SIGNAL) && [Column::Interruptions, Column::Signal].into_iter().any(holds) {
            self.bytes(Column::Interruptions, &mut into.interruptions)?;
            self.bytes(Column::Signal, &mut into.signal)?;
        }
        let witnesses = [Column::Sleep, Column::PagesRead, Column::Witnesses];
        if wants(Projection::WITNESSES) && witnesses.into_iter().any(holds) {
            self.narrow(Column::Sleep, &mut into.sleep, |value| value as u32)?;
            self.narrow(Column::PagesRead, &mut into.pages_read, |value| value as u32)?;
            self.bytes(Column::Witnesses, &mut into.witnesses)?;
        }
        if wants(Projection::WITNESSES) && holds(Column::PagesBefore) {
            self.narrow(Column::PagesBefore, &mut into.pages_before, |value| value as u32)?;
        }
        Ok(())
    }

    fn corrupt(&self, what: &'static str, expected: u64, actual: u64) -> FormatError {
        FormatError::Corrupt {
            offset: self.block.info.offset,
            what,
            expected,
            actual,
        }
    }

    /// The numbers of a column with one row per event, and how they are to be understood.
    fn stored(&mut self, column: Column, values: &mut Vec<u64>) -> Result<Transform> {
        self.rows(column, self.block.info.events as usize, values)
    }

    fn rows(&mut self, column: Column, rows: usize, values: &mut Vec<u64>) -> Result<Transform> {
        let (body, by, storage) = self.body(column)?;
        let undecodable = self.undecodable(column);
        self.scratch
            .columns
            .read(body, storage, column.width(), rows, values)
            .map_err(undecodable)?;
        Ok(by)
    }

    /// The bytes of a column and how they are to be understood.
    fn body(&self, column: Column) -> Result<(&'a [u8], Transform, Storage)> {
        let (block, undecodable) = (self.block, self.undecodable(column));
        let entry = block.head.find(column);
        let entry = entry.ok_or_else(|| undecodable("it is not in the block".to_owned()))?;
        let (by, storage) = entry.encoding(block.info.offset, column.name())?;
        let body = entry.body(&block.payload);
        let body = body.ok_or_else(|| undecodable("it is outside the block".to_owned()))?;
        Ok((body, by, storage))
    }

    fn undecodable(&self, column: Column) -> impl Fn(String) -> FormatError + use<> {
        let (offset, what) = (self.block.info.offset, column.name());
        move |detail| FormatError::Undecodable { offset, what, detail }
    }

    /// A column that depends on no other.
    fn column(&mut self, column: Column, values: &mut Vec<u64>) -> Result<()> {
        let by = self.stored(column, values)?;
        self.undo(column, by, values)
    }

    fn undo(&self, column: Column, by: Transform, values: &mut [u64]) -> Result<()> {
        match by {
            Transform::Plain => Ok(()),
            Transform::Delta => {
                transform::undo_delta(values, column.width());
                Ok(())
            }
            _ => Err(self.misplaced(column)),
        }
    }

    /// A transform that is known, and not for this column.
    fn misplaced(&self, column: Column) -> FormatError {
        let (offset, what) = (self.block.info.offset, column.name());
        match self.block.head.find(column) {
            Some(entry) => entry.unknown_encoding(offset, what),
            None => self.corrupt(what, 1, 0),
        }
    }

    /// As [`column`](Self::column), for one of smaller numbers.
    fn narrow<T>(&mut self, column: Column, into: &mut Vec<T>, narrow: impl Fn(u64) -> T) -> Result<()> {
        let mut values = std::mem::take(&mut self.scratch.values);
        let done = self
            .column(column, &mut values)
            .and_then(|()| statistics::check_ids(&self.block.info, column, &values));
        into.extend(values.iter().map(|value| narrow(*value)));
        self.scratch.values = values;
        done
    }

    /// A column of single bytes.
    fn bytes(&mut self, column: Column, into: &mut Vec<u8>) -> Result<()> {
        let rows = self.block.info.events as usize;
        let (body, by, storage) = self.body(column)?;
        if (by, storage) != (Transform::Plain, Storage::Planes) {
            return self.narrow(column, into, |value| value as u8);
        }
        let undecodable = self.undecodable(column);
        self.scratch
            .columns
            .read_bytes(body, rows, into)
            .map_err(undecodable)
    }

    fn run_column(&mut self, column: Column, values: &mut Vec<u64>) -> Result<()> {
        let by = self.rows(column, self.block.head.runs as usize, values)?;
        self.undo(column, by, values)
    }

    /// Lengths of the runs; none is 0 and together they are all events.
    fn run_lengths(&mut self) -> Result<()> {
        let mut lengths = std::mem::take(&mut self.scratch.lengths);
        self.run_column(Column::RunLength, &mut lengths)?;
        if lengths.contains(&0) {
            return Err(self.corrupt("events in a thread run", 1, 0));
        }
        // At most 65,536 numbers of 32 bits: no overflow.
        let (expected, actual) = (self.block.info.events.into(), lengths.iter().sum());
        if actual != expected {
            return Err(self.corrupt("events in all thread runs", expected, actual));
        }
        self.scratch.lengths = lengths;
        Ok(())
    }

    fn threads(&mut self, into: &mut Columns) -> Result<()> {
        let mut keys = std::mem::take(&mut self.scratch.values);
        let mut runs = std::mem::take(&mut self.scratch.runs);
        runs.clear();
        runs.resize(self.block.head.runs as usize, [0; 3]);
        let columns = [
            (Column::RunPid, &mut into.pid),
            (Column::RunTid, &mut into.tid),
            (Column::RunComm, &mut into.comm),
        ];
        for (place, (column, out)) in columns.into_iter().enumerate() {
            self.run_column(column, &mut keys)?;
            statistics::check_threads(&self.block.info, column, &keys)?;
            statistics::check_ids(&self.block.info, column, &keys)?;
            for (key, length) in keys.iter().zip(&self.scratch.lengths) {
                out.resize(out.len() + *length as usize, *key as u32);
            }
            for (run, key) in runs.iter_mut().zip(&keys) {
                run[place] = *key as u32;
            }
        }
        if let Some(run) = (1..runs.len()).find(|run| runs[run - 1] >= runs[*run]) {
            return Err(self.corrupt("runs in order", runs.len() as u64, run as u64));
        }
        self.scratch.values = keys;
        self.scratch.runs = runs;
        Ok(())
    }

    /// Times, where they are wanted, and latencies, which are left in the scratch.
    fn times(&mut self, want: Projection, into: &mut Columns) -> Result<()> {
        let mut latencies = std::mem::take(&mut self.scratch.latencies);
        self.column(Column::Latency, &mut latencies)?;
        statistics::check_latencies(&self.block.info, &latencies)?;
        if want.contains(Projection::TS) {
            let times = &mut into.ts_ns;
            match self.stored(Column::Ts, times)? {
                Transform::Gap => {
                    let mut start = 0;
                    for length in &self.scratch.lengths {
                        let end = start + *length as usize;
                        transform::undo_gap(
                            &mut times[start..end],
                            &latencies[start..end],
                            self.block.info.ts_min,
                        );
                        start = end;
                    }
                }
                by => self.undo(Column::Ts, by, times)?,
            }
            statistics::check_times(&self.block.info, times, &latencies)?;
        }
        self.scratch.latencies = latencies;
        Ok(())
    }

    /// All four columns or none.
    fn breakdown(&mut self, into: &mut Columns) -> Result<()> {
        match self.stored(Column::Blocked, &mut into.blocked_ns)? {
            Transform::Rest => transform::undo_rest(&mut into.blocked_ns, &self.scratch.latencies),
            by => self.undo(Column::Blocked, by, &mut into.blocked_ns)?,
        }
        self.column(Column::Runqueue, &mut into.runqueue_ns)?;
        self.column(Column::Reclaim, &mut into.reclaim_ns)?;
        self.column(Column::Lock, &mut into.lock_ns)
    }

    fn places(&mut self, want: Projection, into: &mut Columns) -> Result<()> {
        let mut objects = std::mem::take(&mut self.scratch.values);
        self.column(Column::Object, &mut objects)?;
        statistics::check_ids(&self.block.info, Column::Object, &objects)?;
        match self.stored(Column::ObjectPage, &mut into.object_page)? {
            Transform::Walk => transform::undo_walk(&mut into.object_page, &objects),
            by => self.undo(Column::ObjectPage, by, &mut into.object_page)?,
        }
        if want.contains(Projection::ADDRESS) {
            self.addresses(&objects, into)?;
        }
        if want.contains(Projection::OBJECT) {
            into.object.extend(objects.iter().map(|object| *object as u32));
        } else {
            into.object_page.clear();
        }
        self.scratch.values = objects;
        Ok(())
    }

    fn addresses(&mut self, objects: &[u64], into: &mut Columns) -> Result<()> {
        let width = Column::Page.width();
        let mut pages = std::mem::take(&mut self.scratch.pages);
        match self.stored(Column::Page, &mut pages)? {
            Transform::Follow => transform::undo_follow(&mut pages, objects, &into.object_page, width),
            by => self.undo(Column::Page, by, &mut pages)?,
        }
        // With that, every page is below 2^52.
        statistics::check_pages(&self.block.info, &pages)?;
        self.column(Column::PageOffset, &mut into.address)?;
        let offset_bits = put_together(&mut into.address, &pages);
        if offset_bits >> PAGE_BITS != 0 {
            return Err(self.corrupt("bits of an offset in a page", (1 << PAGE_BITS) - 1, offset_bits));
        }
        self.scratch.pages = pages;
        Ok(())
    }
}

/// Addresses from offsets in pages. Returns the bits that are set in any offset.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn put_together(offsets: &mut [u64], pages: &[u64]) -> u64 {
    let mut bits = 0;
    for (offset, page) in offsets.iter_mut().zip(pages) {
        bits |= *offset;
        *offset |= page << PAGE_BITS;
    }
    bits
}
