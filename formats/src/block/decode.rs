//! The payload of a block to the columns a reader wants, and no others.

use super::EventsBlock;
use super::layout::{Column, Encoding, PAGE_BITS};
use super::planes::PlaneReader;
use super::{residual, statistics};
use crate::error::{FormatError, Result};
use crate::{Columns, Projection};

/// Decodes into `into`, whose contents are replaced.
pub(super) fn decode(block: &EventsBlock, want: Projection, into: &mut Columns) -> Result<()> {
    into.clear();
    let mut decoder = Decoder {
        block,
        planes: PlaneReader::new()?,
    };
    let mut values = Vec::new();
    let wants = |part| want.contains(part);
    if wants(Projection::LATENCY) || wants(Projection::TS) {
        decoder.column(Column::Latency, &mut values)?;
        statistics::check_latencies(&block.info, &values)?;
        if wants(Projection::TS) {
            decoder.times(&values, &mut into.ts_ns)?;
            statistics::check_times(&block.info, &into.ts_ns, &values)?;
        }
        if wants(Projection::LATENCY) {
            std::mem::swap(&mut into.latency_ns, &mut values);
        }
    }
    if wants(Projection::THREAD) {
        decoder.threads(into)?;
    }
    if wants(Projection::ADDRESS) || wants(Projection::OBJECT) {
        decoder.places(want, into)?;
    }
    if wants(Projection::IP) {
        decoder.column(Column::Ip, &mut into.ip)?;
    }
    if wants(Projection::CPU) {
        decoder.column(Column::Cpu, &mut values)?;
        into.cpu.extend(values.iter().map(|value| *value as u16));
    }
    if wants(Projection::CLASS) {
        decoder.column(Column::Class, &mut values)?;
        statistics::check_classes(&block.info, block.codec, &values)?;
        into.class.extend(values.iter().map(|value| *value as u8));
    }
    if wants(Projection::RETRIES) {
        decoder.column(Column::Retries, &mut values)?;
        into.retries.extend(values.iter().map(|value| *value as u8));
    }
    if wants(Projection::BREAKDOWN) {
        decoder.breakdown(into)?;
    }
    if wants(Projection::STACK) && block.directory.find(Column::Stack).is_some() {
        decoder.column(Column::Stack, &mut values)?;
        into.stack.extend(values.iter().map(|value| *value as u32));
    }
    if wants(Projection::QUERY) && block.directory.find(Column::Query).is_some() {
        decoder.column(Column::Query, &mut into.query)?;
    }
    Ok(())
}

struct Decoder<'a> {
    block: &'a EventsBlock,
    planes: PlaneReader,
}

impl Decoder<'_> {
    fn corrupt(&self, what: &'static str, expected: u64, actual: u64) -> FormatError {
        FormatError::Corrupt {
            offset: self.block.info.offset,
            what,
            expected,
            actual,
        }
    }

    /// The stored numbers of a column with one row per event.
    fn stored(&mut self, column: Column, values: &mut Vec<u64>) -> Result<Encoding> {
        self.rows(column, self.block.info.events as usize, values)
    }

    /// The stored numbers of a column, and how they are to be understood.
    fn rows(&mut self, column: Column, rows: usize, values: &mut Vec<u64>) -> Result<Encoding> {
        let (offset, what) = (self.block.info.offset, column.name());
        let undecodable = |detail| FormatError::Undecodable { offset, what, detail };
        let entry = self
            .block
            .directory
            .find(column)
            .ok_or_else(|| undecodable("it is not in the block".to_owned()))?;
        let unknown = FormatError::UnknownEncoding {
            offset,
            what,
            found: entry.encoding.into(),
        };
        let encoding = Encoding::from_code(entry.encoding).ok_or(unknown)?;
        let expected = (rows * column.width()) as u64;
        if u64::from(entry.raw) != expected {
            return Err(self.corrupt("decoded bytes of a column", expected, entry.raw.into()));
        }
        let body = entry.body(&self.block.payload);
        let body = body.ok_or_else(|| undecodable("it is outside the block".to_owned()))?;
        self.planes
            .read(body, column.width(), rows, values)
            .map_err(undecodable)?;
        Ok(encoding)
    }

    fn unexpected(&self, column: Column, encoding: Encoding) -> FormatError {
        let found = (encoding as u8).into();
        FormatError::UnknownEncoding {
            offset: self.block.info.offset,
            what: column.name(),
            found,
        }
    }

    /// A column that depends on no other.
    fn column(&mut self, column: Column, values: &mut Vec<u64>) -> Result<()> {
        let encoding = self.stored(column, values)?;
        self.undo(column, encoding, values)
    }

    fn undo(&self, column: Column, encoding: Encoding, values: &mut [u64]) -> Result<()> {
        match encoding {
            Encoding::Plain => Ok(()),
            Encoding::Delta => {
                residual::undo_delta(values, column.width());
                Ok(())
            }
            Encoding::Gap | Encoding::Follow => Err(self.unexpected(column, encoding)),
        }
    }

    fn run_column(&mut self, column: Column) -> Result<Vec<u64>> {
        let mut values = Vec::new();
        let encoding = self.rows(column, self.block.directory.runs as usize, &mut values)?;
        self.undo(column, encoding, &mut values)?;
        Ok(values)
    }

    /// Lengths of the runs; none is 0 and together they are all events.
    fn run_lengths(&mut self) -> Result<Vec<u64>> {
        let lengths = self.run_column(Column::RunLength)?;
        if lengths.contains(&0) {
            return Err(self.corrupt("events in a thread run", 1, 0));
        }
        // At most 65,536 numbers of 32 bits: no overflow.
        let (expected, actual) = (self.block.info.events.into(), lengths.iter().sum());
        if actual != expected {
            return Err(self.corrupt("events in all thread runs", expected, actual));
        }
        Ok(lengths)
    }

    fn threads(&mut self, into: &mut Columns) -> Result<()> {
        let lengths = self.run_lengths()?;
        for (column, out) in [
            (Column::RunPid, &mut into.pid),
            (Column::RunTid, &mut into.tid),
            (Column::RunComm, &mut into.comm),
        ] {
            let keys = self.run_column(column)?;
            for (key, length) in keys.iter().zip(&lengths) {
                out.resize(out.len() + *length as usize, *key as u32);
            }
        }
        Ok(())
    }

    fn times(&mut self, latencies: &[u64], times: &mut Vec<u64>) -> Result<()> {
        let encoding = self.stored(Column::Ts, times)?;
        if encoding != Encoding::Gap {
            return self.undo(Column::Ts, encoding, times);
        }
        let mut start = 0;
        for length in self.run_lengths()? {
            let end = start + length as usize;
            residual::undo_gap(
                &mut times[start..end],
                &latencies[start..end],
                self.block.info.ts_min,
            );
            start = end;
        }
        Ok(())
    }

    /// All four columns or none.
    fn breakdown(&mut self, into: &mut Columns) -> Result<()> {
        let columns = [
            (Column::Blocked, &mut into.blocked_ns),
            (Column::Runqueue, &mut into.runqueue_ns),
            (Column::Reclaim, &mut into.reclaim_ns),
            (Column::Lock, &mut into.lock_ns),
        ];
        let directory = &self.block.directory;
        if columns
            .iter()
            .all(|(column, _)| directory.find(*column).is_none())
        {
            return Ok(());
        }
        for (column, values) in columns {
            self.column(column, values)?;
        }
        Ok(())
    }

    fn places(&mut self, want: Projection, into: &mut Columns) -> Result<()> {
        let mut pages = Vec::new();
        self.column(Column::Page, &mut pages)?;
        // With that, every page is below 2^52.
        statistics::check_pages(&self.block.info, &pages)?;
        if want.contains(Projection::OBJECT) {
            self.objects(&pages, into)?;
        }
        if want.contains(Projection::ADDRESS) {
            self.column(Column::PageOffset, &mut into.address)?;
            let offset_bits = into.address.iter().fold(0, |bits, offset| bits | offset);
            if offset_bits >> PAGE_BITS != 0 {
                return Err(self.corrupt("bits of an offset in a page", (1 << PAGE_BITS) - 1, offset_bits));
            }
            for (address, page) in into.address.iter_mut().zip(&pages) {
                *address |= page << PAGE_BITS;
            }
        }
        Ok(())
    }

    fn objects(&mut self, pages: &[u64], into: &mut Columns) -> Result<()> {
        let mut objects = Vec::new();
        self.column(Column::Object, &mut objects)?;
        let encoding = self.stored(Column::ObjectPage, &mut into.object_page)?;
        if encoding == Encoding::Follow {
            residual::undo_follow(&mut into.object_page, &objects, pages);
        } else {
            self.undo(Column::ObjectPage, encoding, &mut into.object_page)?;
        }
        into.object.extend(objects.iter().map(|object| *object as u32));
        Ok(())
    }
}
