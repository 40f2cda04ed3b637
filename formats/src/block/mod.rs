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
pub(crate) use layout::BLOCK_STATS_LEN;

use crate::error::Result;
use crate::frame::RecordFrame;
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
    payload: Vec<u8>,
    directory: layout::Directory,
}

impl EventsBlock {
    /// Reads statistics and directory; `offset` is that of the block's frame.
    pub(crate) fn parse(payload: Vec<u8>, offset: u64, frame: RecordFrame) -> Result<Self> {
        let (info, directory) = layout::Directory::parse(&payload, offset, frame.events)?;
        Ok(Self {
            info,
            codec: frame.codec,
            payload,
            directory,
        })
    }

    /// Replaces the contents of `into` by the wanted columns of this block. Rows are ordered by (pid, tid,
    /// comm); those of one thread keep the order in which they were written. Columns that are not
    /// wanted are neither decoded nor filled; optional ones that the block does not hold stay empty.
    ///
    /// # Errors
    ///
    /// A column that contradicts its directory, the statistics or its limits, or has an encoding of a later
    /// version. `into` is then empty.
    pub fn decode(&self, want: Projection, into: &mut Columns) -> Result<()> {
        let done = decode::decode(self, want, into);
        if done.is_err() {
            into.clear();
        }
        done
    }
}
