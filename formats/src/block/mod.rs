//! The payload of an EVENTS record: statistics, column directory, columns.
//!
//! This file owns the statistics and the directory; `encode` and `decode` turn events into
//! columns and back, `statistics` compares them with what the block says of itself, `residual` knows how a
//! column is predicted, `planes` how its bytes are stored.

mod decode;
mod encode;
pub(crate) mod layout;
pub(crate) mod planes;
pub(crate) mod residual;
mod statistics;

pub(crate) use encode::BlockEncoder;
pub(crate) use layout::{BLOCK_STATS_LEN, HEAD_MAX};

use crate::error::Result;
use crate::frame::RecordFrame;
use crate::payload::Payload;
use crate::{Columns, Projection};

/// What a block holds, known without decoding it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockInfo {
    /// Offset of the block's frame in the file.
    pub offset: u64,
    /// Events in the block.
    pub events: u32,
    /// Distinct threads.
    pub threads: u32,
    /// Earliest entry, `CLOCK_MONOTONIC` nanoseconds.
    pub ts_min: u64,
    /// Latest entry.
    pub ts_max: u64,
    /// Latest completion (`ts_ns + latency_ns`, at most `u64::MAX`).
    pub end_max: u64,
    /// Lowest faulting address divided by 4096.
    pub page_min: u64,
    /// Highest faulting address divided by 4096.
    pub page_max: u64,
    /// Shortest latency, nanoseconds.
    pub latency_min: u64,
    /// Longest latency, nanoseconds.
    pub latency_max: u64,
    /// Major faults, failed ones aside.
    pub majors: u32,
}

/// A block whose checksum is right and whose columns are not decoded yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsBlock {
    /// Statistics of the block.
    pub info: BlockInfo,
    /// Version 1 counted failed faults among the majors.
    codec: u8,
    payload: Payload,
    directory: layout::Directory,
}

impl EventsBlock {
    /// Reads statistics and directory; `offset` is that of the block's frame.
    pub(crate) fn parse(payload: Payload, offset: u64, frame: RecordFrame) -> Result<Self> {
        let (info, directory) = layout::Directory::parse(&payload, payload.len(), offset, frame.events)?;
        Ok(Self {
            info,
            codec: frame.codec,
            payload,
            directory,
        })
    }

    /// The statistics in the head of a payload, of which these are the first [`HEAD_MAX`] bytes or all, when it is
    /// one of this frame.
    pub(crate) fn info_of(bytes: &[u8], offset: u64, frame: RecordFrame) -> Option<BlockInfo> {
        let payload_len = frame.payload_len as usize;
        let parsed = layout::Directory::parse(bytes, payload_len, offset, frame.events);
        parsed.ok().map(|(info, _)| info)
    }

    /// The bytes, when the block is done with.
    pub(crate) fn into_payload(self) -> Payload {
        self.payload
    }
}

/// Decodes blocks, one after the other, with memory that it keeps.
pub struct BlockDecoder {}

impl BlockDecoder {
    /// A decoder for any number of blocks.
    ///
    /// # Errors
    ///
    /// When there is no memory for it.
    pub fn new() -> Result<Self> {
        Ok(Self {})
    }

    /// Replaces the contents of `into` by the wanted columns of `block`. Rows are ordered by (pid, tid,
    /// comm); those of one thread keep the order in which they were written. Columns that are not
    /// wanted are neither decoded nor filled; optional ones that the block does not hold stay empty.
    ///
    /// # Errors
    ///
    /// A column that contradicts its directory, the statistics or its limits, or has an encoding of a later
    /// version. `into` is then empty.
    pub fn decode(&mut self, block: &EventsBlock, want: Projection, into: &mut Columns) -> Result<()> {
        let done = decode::decode(block, want, into);
        if done.is_err() {
            into.clear();
        }
        done
    }
}
