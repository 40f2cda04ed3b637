//! Reading as the bench does it: every block, into the same columns.

use std::error::Error;
use std::io::Read;

use pf_formats::{BlockDecoder, Columns, EventsBlock, Item, Projection, TraceReader};

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
