//! Traces as the bench writes and reads them: in memory, and without damage.

use std::error::Error;
use std::io::{Read, Write};

use pf_formats::{
    BlockDecoder, Columns, Dict, EventsBlock, Header, Host, Item, Meta, Projection, Totals, TraceReader,
    TraceWriter,
};

use crate::mix::START_NS;
use crate::source::Source;

/// What a table of threads needs.
pub(crate) const FEW: Projection = Projection::THREAD
    .union(Projection::LATENCY)
    .union(Projection::CLASS);

/// A writer into the memory of `buffer`, whose contents are dropped.
pub(crate) fn writer(mut buffer: Vec<u8>, dicts: &[Dict]) -> Result<TraceWriter<Vec<u8>>, Box<dyn Error>> {
    buffer.clear();
    writer_to(buffer, dicts)
}

fn writer_to<W: Write>(output: W, dicts: &[Dict]) -> Result<TraceWriter<W>, Box<dyn Error>> {
    let meta = Meta {
        recorder: "format_bench".into(),
        start_ns: START_NS,
        host: Host {
            page_size: 4096,
            ..Host::default()
        },
        ..Meta::default()
    };
    let mut writer = TraceWriter::create(output, &Header::new([7; 16], 0), &meta)?;
    dicts.iter().try_for_each(|dict| writer.dict(dict))?;
    Ok(writer)
}

/// Writes all events of `source`.
pub(crate) fn write<W: Write>(output: W, source: &Source) -> Result<(), Box<dyn Error>> {
    let mut writer = writer_to(output, &source.dicts())?;
    let (mut blocks, mut events) = (source.blocks(), Vec::new());
    let mut totals = Totals::default();
    while blocks.next(&mut events) {
        for event in &events {
            writer.push(event)?;
            totals.events += 1;
            totals.majors += u64::from(event.major && !event.failed);
            totals.failed += u64::from(event.failed);
            totals.end_ns = totals.end_ns.max(event.ts_ns + event.latency_ns);
        }
    }
    totals.minors = totals.events - totals.majors - totals.failed;
    writer.finish(totals)?.flush()?;
    Ok(())
}

/// Reads a trace and decodes its blocks, one after another, into the same columns.
pub(crate) struct Decoding<R: Read> {
    reader: TraceReader<R>,
    want: Projection,
    decoder: BlockDecoder,
    columns: Columns,
}

impl<R: Read> Decoding<R> {
    pub(crate) fn new(input: R, want: Projection) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            reader: TraceReader::new(input)?,
            want,
            decoder: BlockDecoder::new()?,
            columns: Columns::default(),
        })
    }

    pub(crate) fn all(input: R) -> Result<Self, Box<dyn Error>> {
        Self::new(input, Projection::ALL)
    }

    /// Decodes the next block; false at the end.
    pub(crate) fn next(&mut self) -> Result<bool, Box<dyn Error>> {
        while let Some(item) = self.reader.next()? {
            match item {
                Item::Events(block) => {
                    self.decode(&block)?;
                    return Ok(true);
                }
                Item::Damage(damage) => return Err(format!("the trace is damaged: {damage:?}").into()),
                _ => {}
            }
        }
        Ok(false)
    }

    /// The rows of the block that was decoded last.
    pub(crate) fn columns(&self) -> &Columns {
        &self.columns
    }

    fn decode(&mut self, block: &EventsBlock) -> Result<(), Box<dyn Error>> {
        Ok(self.decoder.decode(block, self.want, &mut self.columns)?)
    }
}
