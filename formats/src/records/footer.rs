//! The end of a finished trace: index of the blocks, totals, and the trailer that points back to them.
//!
//! All of it is a hint that saves a walk over the frames; the blocks themselves stay the truth.

use bincode::{Decode, Encode, de::Decoder, error::DecodeError};

use crate::block::{BLOCK_STATS_LEN, BlockInfo};
use crate::bytes::{Cursor, crc32c_of};
use crate::error::{FormatError, Result};
use crate::limits;
use crate::records::meta::shorten;
use crate::records::metadata;

/// Sums over the whole recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode)]
pub struct Totals {
    /// Events in the trace.
    pub events: u64,
    /// Major faults among them, failed ones aside.
    pub majors: u64,
    /// Minor faults among them, failed ones aside.
    pub minors: u64,
    /// Failed faults among them: `events == majors + minors + failed`.
    pub failed: u64,
    /// Events known to be missing.
    pub lost: u64,
    /// `CLOCK_MONOTONIC` nanoseconds when the probes were detached.
    pub end_ns: u64,
    /// Comparison with the kernel's own counters, where they could be read.
    pub accounting: Option<Accounting>,
    /// Whether that comparison was checked, and what came of it; none in traces before 1.1.
    pub check: Option<Check>,
    /// Major faults among the hidden ones of the accounting; none in traces before 1.1.
    pub hidden_majors: Option<u64>,
    /// How the command ended, where it did while it was recorded; none in traces before 1.2.
    pub command_end: Option<CommandEnd>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct CommandEnd {
    /// Whether a signal ended it.
    pub by_signal: bool,
    /// The number of that signal, else its exit status.
    pub number: u32,
}

impl<C> Decode<C> for Totals {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> std::result::Result<Self, DecodeError> {
        Ok(Self {
            events: Decode::decode(decoder)?,
            majors: Decode::decode(decoder)?,
            minors: Decode::decode(decoder)?,
            failed: Decode::decode(decoder)?,
            lost: Decode::decode(decoder)?,
            end_ns: Decode::decode(decoder)?,
            accounting: Decode::decode(decoder)?,
            // 1.0 ends here; what a checksum has found whole and is no check is of another version.
            check: Decode::decode(decoder).unwrap_or_default(),
            hidden_majors: Decode::decode(decoder).unwrap_or_default(),
            // 1.1 ends here.
            command_end: Decode::decode(decoder).unwrap_or_default(),
        })
    }
}

bincode::impl_borrow_decode!(Totals);

/// The accounting against counts that do not rest on the recorder's probes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Check {
    /// Faults of the recording that the kernel counted apart from the probes; none where it was not asked, or has no
    /// such count.
    pub events: Option<u64>,
    /// By how much `events` may be wrong, because the recorded tasks ran while it was read.
    pub uncertain: u64,
    /// Faults that are in no other number: nobody saw them, or they vanished. 0 is what is expected.
    pub unexplained: u64,
    /// Completions that were met and belong to no recording: they entered before it began, or after it ended.
    pub outside: u64,
    /// Threads whose end was not told, though another source knows of it.
    pub ends_missing: u64,
    /// Faults of the command and the children that were waited for, as `wait4(2)` counts them; and what the tasks'
    /// own counters say of all of them.
    pub wait4: Option<(u64, u64)>,
    /// What `events` counts, or why it is not there.
    pub source: String,
    /// What else was found, in words.
    pub notes: Vec<String>,
}

impl Check {
    /// Whether something is wrong that was not told elsewhere.
    #[must_use]
    pub fn is_alarming(&self) -> bool {
        let above = self.wait4.is_some_and(|(wait4, tasks)| wait4 > tasks);
        self.unexplained > 0 || self.ends_missing > 0 || above
    }
}

/// The recording against the kernel's own counters:
/// `kernel_majors + kernel_minors == recorded + lost + hidden + filtered`, and what is unexplained besides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Accounting {
    /// Major faults counted by the kernel.
    pub kernel_majors: u64,
    /// Minor faults counted by the kernel.
    pub kernel_minors: u64,
    /// Events recorded of the threads counted.
    pub recorded: u64,
    /// Events known to be lost.
    pub lost: u64,
    /// Counted by the kernel and invisible to the backend, such as GUP faults.
    pub hidden: u64,
    /// Counted by the kernel and left out by a filter or by sampling.
    pub filtered: u64,
    /// Where the kernel's counts come from.
    pub source: String,
}

impl Totals {
    /// What the kernel counted, and the sum of the parts that it is said to be made of; of a comparison.
    #[must_use]
    pub fn kernel_and_parts(&self) -> Option<(u128, u128)> {
        let books = self.accounting.as_ref()?;
        let unexplained = self.check.as_ref().map_or(0, |check| check.unexplained);
        let sum = |parts: &[u64]| parts.iter().map(|part| u128::from(*part)).sum();
        Some((
            sum(&[books.kernel_majors, books.kernel_minors]),
            sum(&[
                books.recorded,
                books.lost,
                books.hidden,
                books.filtered,
                unexplained,
            ]),
        ))
    }

    /// Whether the sum of the parts is right, where it can be: a recording whose probes saw what the kernel did not count
    /// says so, and has no right sum.
    pub(crate) fn adds_up(&self) -> bool {
        let alarming = self.check.as_ref().is_some_and(Check::is_alarming);
        alarming
            || self
                .kernel_and_parts()
                .is_none_or(|(kernel, parts)| kernel == parts)
    }
}

/// Index and totals of a finished trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footer {
    /// The EVENTS blocks in file order; empty when there were too many to list.
    pub blocks: Vec<BlockInfo>,
    /// Sums over the recording.
    pub totals: Totals,
    /// The recording ended as intended.
    pub clean: bool,
}

/// Bytes of one block in the index: its offset and its statistics.
const ENTRY_LEN: usize = 8 + BLOCK_STATS_LEN;

/// Notes that a check may have.
const CHECK_NOTES: usize = 16;

/// Room for the totals within the footer's limit.
pub(crate) const MAX_BLOCKS: usize = (limits::FOOTER - (3 + CHECK_NOTES) * limits::STRING) / ENTRY_LEN;

impl Footer {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        let mut totals = self.totals.clone();
        if let Some(accounting) = &mut totals.accounting {
            shorten(&mut accounting.source);
        }
        if let Some(check) = &mut totals.check {
            shorten(&mut check.source);
            check.notes.truncate(CHECK_NOTES);
            check.notes.iter_mut().for_each(shorten);
        }
        let record = (self.clean, totals);
        let mut totals = Vec::new();
        metadata::encode(&record, &mut totals)?;
        // An index with holes would be a trap; without one a reader walks the frames.
        let blocks = if self.blocks.len() <= MAX_BLOCKS {
            self.blocks.as_slice()
        } else {
            &[]
        };
        out.extend_from_slice(&(totals.len() as u32).to_le_bytes());
        out.extend_from_slice(&(blocks.len() as u32).to_le_bytes());
        out.extend_from_slice(&totals);
        for block in blocks {
            out.extend_from_slice(&block.offset.to_le_bytes());
            block.put_stats(out);
        }
        Ok(())
    }

    /// What a payload begins with, all else but the index: whether the recording is clean, the totals, and the number of blocks.
    pub(crate) fn take_totals(cursor: &mut Cursor<'_>, offset: u64) -> Result<(bool, Totals, u32)> {
        let cut = || too_short(offset);
        let totals_len = cursor.u32().ok_or_else(cut)?;
        let count = cursor.u32().ok_or_else(cut)?;
        let totals = cursor.take(totals_len as usize).ok_or_else(cut)?;
        let (clean, totals) = metadata::decode(totals, offset)?;
        Ok((clean, totals, count))
    }

    pub(crate) fn decode(payload: &[u8], offset: u64) -> Result<Self> {
        let mut cursor = Cursor(payload);
        let (clean, totals, count) = Self::take_totals(&mut cursor, offset)?;
        let expected = u64::from(count) * ENTRY_LEN as u64;
        let actual = cursor.0.len() as u64;
        if actual != expected {
            return Err(FormatError::Corrupt {
                offset,
                what: "bytes of the block index",
                expected,
                actual,
            });
        }
        let mut blocks = Vec::with_capacity(count as usize);
        while !cursor.0.is_empty() {
            let at = cursor.u64().ok_or_else(|| too_short(offset))?;
            blocks.push(BlockInfo::take_stats(&mut cursor, at).ok_or_else(|| too_short(offset))?);
        }
        Ok(Self {
            blocks,
            totals,
            clean,
        })
    }
}

fn too_short(offset: u64) -> FormatError {
    FormatError::Undecodable {
        offset,
        what: "FOOTER",
        detail: "it is too short".into(),
    }
}

/// Bytes of the trailer.
pub(crate) const TRAILER_LEN: usize = 24;

const TRAILER_MAGIC: [u8; 8] = *b"PFZend\r\n";

/// The last 24 bytes of a finished trace: where its footer's frame starts and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub(crate) offset: u64,
    pub(crate) len: u32,
}

impl Trailer {
    pub(crate) fn to_bytes(self, trace_id: &[u8; 16]) -> [u8; TRAILER_LEN] {
        let mut bytes = [0; TRAILER_LEN];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.len.to_le_bytes());
        let crc = crc32c_of(&[trace_id, &bytes[..12]]);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes[16..].copy_from_slice(&TRAILER_MAGIC);
        bytes
    }

    pub(crate) fn parse(bytes: &[u8], trace_id: &[u8; 16]) -> Option<Self> {
        let bytes = bytes.first_chunk::<TRAILER_LEN>()?;
        let mut cursor = Cursor(bytes);
        let trailer = Self {
            offset: cursor.u64()?,
            len: cursor.u32()?,
        };
        (trailer.to_bytes(trace_id) == *bytes).then_some(trailer)
    }
}
