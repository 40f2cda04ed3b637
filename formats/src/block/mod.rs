//! The payload of an EVENTS record: statistics, column directory, columns.
//!
//! `layout` owns the head and the table of columns; `encode` and `decode` turn events into columns and back,
//! `statistics` compares them with what the block says of itself.

mod decode;
mod encode;
mod layout;
pub(crate) mod map;
pub(crate) mod payload;
mod statistics;

pub use decode::BlockDecoder;
pub(crate) use encode::BlockEncoder;
pub(crate) use layout::{BLOCK_STATS_LEN, HEAD_MAX};

use crate::block::payload::Payload;
use crate::error::Result;
use crate::records::frame::RecordFrame;

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
    /// Failed faults.
    pub failed: u32,
    /// Smallest process number.
    pub pid_min: u32,
    /// Largest process number.
    pub pid_max: u32,
    /// Smallest thread number.
    pub tid_min: u32,
    /// Largest thread number.
    pub tid_max: u32,
}

impl BlockInfo {
    /// Minor faults, failed ones aside.
    #[must_use]
    pub fn minors(&self) -> u32 {
        self.events
            .saturating_sub(self.majors)
            .saturating_sub(self.failed)
    }
}

/// A block whose checksums are right and whose columns are not decoded yet; [`BlockDecoder`] does that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsBlock {
    /// Statistics of the block.
    pub info: BlockInfo,
    payload: Payload,
    head: layout::Head,
}

impl EventsBlock {
    /// Reads the head; `offset` is that of the block's frame.
    pub(crate) fn parse(payload: Payload, offset: u64, frame: RecordFrame) -> Result<Self> {
        let head = layout::Head::parse(&payload, offset, frame.events)?;
        head.check_len(payload.len())?;
        Ok(Self {
            info: head.info,
            payload,
            head,
        })
    }

    /// The statistics in the head of a payload, of which these are the first [`HEAD_MAX`] bytes or all, when it is
    /// one of this frame.
    pub(crate) fn info_of(bytes: &[u8], offset: u64, frame: RecordFrame) -> Option<BlockInfo> {
        let head = layout::Head::parse(bytes, offset, frame.events).ok()?;
        head.check_len(frame.payload_len as usize).ok()?;
        Some(head.info)
    }

    /// The bytes, when the block is done with.
    pub(crate) fn into_payload(self) -> Payload {
        self.payload
    }
}
