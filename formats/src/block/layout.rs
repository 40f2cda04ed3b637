//! Where things are in a block: its head of statistics and directory, and the table of columns.

use super::BlockInfo;
use crate::bytes::Cursor;
use crate::column::{Entry, directory};
use crate::error::{FormatError, Result};
use crate::limits;

/// Bytes of a block's statistics, without its offset.
pub(crate) const BLOCK_STATS_LEN: usize = 88;

/// Statistics, runs and number of columns; then the directory and a checksum.
const FIXED_LEN: usize = BLOCK_STATS_LEN + 8;
const CRC_LEN: usize = 4;

/// Bytes within which every head ends.
pub(crate) const HEAD_MAX: usize = FIXED_LEN + limits::COLUMNS * directory::ENTRY_LEN + CRC_LEN;

/// A page is an address divided by this, whatever the page size of the machine.
pub(super) const PAGE_BITS: u32 = 12;

/// The columns; the codes are stored. Those from 26 on are optional.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Column {
    RunPid = 1,
    RunTid = 2,
    RunComm = 3,
    RunLength = 4,
    Latency = 16,
    Ts = 17,
    Page = 18,
    PageOffset = 19,
    Ip = 20,
    Object = 21,
    ObjectPage = 22,
    Cpu = 23,
    Class = 24,
    Retries = 25,
    Blocked = 26,
    Runqueue = 27,
    Reclaim = 28,
    Lock = 29,
    Stack = 30,
    Query = 31,
    Interruptions = 32,
    Signal = 33,
    Sleep = 34,
    PagesRead = 35,
    Witnesses = 36,
    PagesBefore = 37,
}

impl Column {
    /// Bytes of a value, and so the number of planes.
    pub(super) fn width(self) -> usize {
        match self {
            Self::Latency | Self::Ts | Self::Ip | Self::ObjectPage => 8,
            Self::Blocked | Self::Runqueue | Self::Reclaim | Self::Lock | Self::Query => 8,
            Self::Page => 7,
            Self::RunPid | Self::RunTid | Self::RunComm | Self::RunLength | Self::Object | Self::Stack => 4,
            Self::Sleep | Self::PagesRead | Self::PagesBefore => 4,
            Self::Cpu | Self::PageOffset => 2,
            Self::Class | Self::Retries | Self::Interruptions | Self::Signal | Self::Witnesses => 1,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::RunPid => "column run_pid",
            Self::RunTid => "column run_tid",
            Self::RunComm => "column run_comm",
            Self::RunLength => "column run_length",
            Self::Latency => "column latency",
            Self::Ts => "column ts",
            Self::Page => "column page",
            Self::PageOffset => "column page_offset",
            Self::Ip => "column ip",
            Self::Object => "column object",
            Self::ObjectPage => "column object_page",
            Self::Cpu => "column cpu",
            Self::Class => "column class",
            Self::Retries => "column retries",
            Self::Blocked => "column blocked",
            Self::Runqueue => "column runqueue",
            Self::Reclaim => "column reclaim",
            Self::Lock => "column lock",
            Self::Stack => "column stack",
            Self::Query => "column query",
            Self::Interruptions => "column interruptions",
            Self::Signal => "column signal",
            Self::Sleep => "column sleep",
            Self::PagesRead => "column pages_read",
            Self::Witnesses => "column witnesses",
            Self::PagesBefore => "column pages_before",
        }
    }
}

/// What comes before the columns of a block; it has a checksum of its own, so that a block can be skipped without
/// a look at the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) info: BlockInfo,
    pub(super) runs: u32,
    pub(super) entries: Vec<Entry>,
    /// Where the last column ends.
    end: usize,
}

impl Head {
    /// Appends the head of a block.
    pub(super) fn put(info: &BlockInfo, runs: u32, entries: &[Entry], out: &mut Vec<u8>) {
        let start = out.len();
        info.put_stats(out);
        out.extend_from_slice(&runs.to_le_bytes());
        directory::put(entries, out);
        let crc = crc32c::crc32c(&out[start..]);
        out.extend_from_slice(&crc.to_le_bytes());
    }

    /// Reads the head from the first bytes of a payload, at least [`HEAD_MAX`] of them if there are as many; `offset`
    /// is that of the block's frame, `events` what it says.
    pub(crate) fn parse(bytes: &[u8], offset: u64, events: u32) -> Result<Self> {
        let cut = || FormatError::Undecodable {
            offset,
            what: "EVENTS",
            detail: "its head is cut short".into(),
        };
        let mut cursor = Cursor(bytes);
        let info = BlockInfo::take_stats(&mut cursor, offset).ok_or_else(cut)?;
        let runs = cursor.u32().ok_or_else(cut)?;
        let (entries, end) = directory::take(&mut cursor, FIXED_LEN + CRC_LEN, offset, cut)?;
        let head_len = bytes.len() - cursor.0.len();
        let (expected, actual) = (crc32c::crc32c(&bytes[..head_len]), cursor.u32().ok_or_else(cut)?);
        if expected != actual {
            return Err(FormatError::Corrupt {
                offset,
                what: "checksum of the head of a block",
                expected: expected.into(),
                actual: actual.into(),
            });
        }
        info.check(events, runs)?;
        Ok(Self {
            info,
            runs,
            entries,
            end,
        })
    }

    /// The columns fill the payload.
    pub(super) fn check_len(&self, payload_len: usize) -> Result<()> {
        if self.end == payload_len {
            return Ok(());
        }
        Err(FormatError::Corrupt {
            offset: self.info.offset,
            what: "bytes of head and columns",
            expected: self.end as u64,
            actual: payload_len as u64,
        })
    }

    pub(super) fn find(&self, column: Column) -> Option<Entry> {
        self.entries
            .iter()
            .find(|entry| entry.id == column as u8)
            .copied()
    }
}

impl BlockInfo {
    pub(crate) fn put_stats(&self, out: &mut Vec<u8>) {
        for count in [self.events, self.threads, self.majors, self.failed] {
            out.extend_from_slice(&count.to_le_bytes());
        }
        for value in [
            self.ts_min,
            self.ts_max,
            self.end_max,
            self.page_min,
            self.page_max,
            self.latency_min,
            self.latency_max,
        ] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        for id in [self.pid_min, self.pid_max, self.tid_min, self.tid_max] {
            out.extend_from_slice(&id.to_le_bytes());
        }
    }

    pub(crate) fn take_stats(cursor: &mut Cursor<'_>, offset: u64) -> Option<Self> {
        Some(Self {
            offset,
            events: cursor.u32()?,
            threads: cursor.u32()?,
            majors: cursor.u32()?,
            failed: cursor.u32()?,
            ts_min: cursor.u64()?,
            ts_max: cursor.u64()?,
            end_max: cursor.u64()?,
            page_min: cursor.u64()?,
            page_max: cursor.u64()?,
            latency_min: cursor.u64()?,
            latency_max: cursor.u64()?,
            pid_min: cursor.u32()?,
            pid_max: cursor.u32()?,
            tid_min: cursor.u32()?,
            tid_max: cursor.u32()?,
        })
    }

    /// The counts agree with the frame and among each other, and every range has its ends in order.
    fn check(&self, frame_events: u32, runs: u32) -> Result<()> {
        let limit = limits::EVENTS_PER_BLOCK as u64;
        if u64::from(self.events) > limit {
            let actual = self.events.into();
            return Err(FormatError::Limit {
                what: "events in a block",
                limit,
                actual,
            });
        }
        let equal = [(
            "events in the frame",
            u64::from(self.events),
            u64::from(frame_events),
        )];
        let ordered = [
            ("at least one event", 1, u64::from(self.events)),
            ("thread runs against events", runs.into(), self.events.into()),
            ("threads against thread runs", self.threads.into(), runs.into()),
            ("at least one thread", 1, self.threads.into()),
            (
                "majors and failed against events",
                u64::from(self.majors) + u64::from(self.failed),
                self.events.into(),
            ),
            (
                "pid_min against pid_max",
                self.pid_min.into(),
                self.pid_max.into(),
            ),
            (
                "tid_min against tid_max",
                self.tid_min.into(),
                self.tid_max.into(),
            ),
            ("ts_min against ts_max", self.ts_min, self.ts_max),
            ("ts_max against end_max", self.ts_max, self.end_max),
            ("page_min against page_max", self.page_min, self.page_max),
            ("page_max in 52 bits", self.page_max, u64::MAX >> PAGE_BITS),
            (
                "latency_min against latency_max",
                self.latency_min,
                self.latency_max,
            ),
        ];
        let wrong = equal
            .into_iter()
            .find(|(_, left, right)| left != right)
            .or_else(|| ordered.into_iter().find(|(_, low, high)| low > high));
        match wrong {
            None => Ok(()),
            Some((what, expected, actual)) => Err(FormatError::Corrupt {
                offset: self.offset,
                what,
                expected,
                actual,
            }),
        }
    }
}
