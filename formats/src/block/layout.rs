//! Where things are in a block: statistics, directory, and the table of columns.

use super::BlockInfo;
use crate::bytes::Cursor;
use crate::error::{FormatError, Result};
use crate::limits;

/// Bytes of a block's statistics, without its offset.
pub(crate) const BLOCK_STATS_LEN: usize = 68;

/// Bytes of one directory entry.
const ENTRY_LEN: usize = 12;

/// Statistics, runs and number of columns; then the directory.
const FIXED_LEN: usize = BLOCK_STATS_LEN + 8;

/// Bytes within which every head ends.
pub(crate) const HEAD_MAX: usize = FIXED_LEN + limits::COLUMNS * ENTRY_LEN;

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
}

impl Column {
    /// Bytes of a value, and so the number of planes.
    pub(super) fn width(self) -> usize {
        match self {
            Self::Latency | Self::Ts | Self::Ip | Self::ObjectPage => 8,
            Self::Blocked | Self::Runqueue | Self::Reclaim | Self::Lock | Self::Query => 8,
            Self::Page => 7,
            Self::RunPid | Self::RunTid | Self::RunComm | Self::RunLength | Self::Object | Self::Stack => 4,
            Self::Cpu | Self::PageOffset => 2,
            Self::Class | Self::Retries => 1,
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
        }
    }
}

/// How a column's values became the numbers in its planes; the codes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Encoding {
    /// As they are.
    Plain = 0,
    /// Difference to the row before.
    Delta = 1,
    /// Difference to the end of the row before in the same run.
    Gap = 2,
    /// Difference to where the object's last seen mapping would put it.
    Follow = 3,
}

impl Encoding {
    pub(super) fn from_code(code: u8) -> Option<Self> {
        [Self::Plain, Self::Delta, Self::Gap, Self::Follow]
            .into_iter()
            .find(|known| *known as u8 == code)
    }
}

/// One column in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: u8,
    pub(crate) encoding: u8,
    /// Bytes in the payload.
    pub(crate) stored: u32,
    /// Bytes of all planes decoded.
    pub(crate) raw: u32,
    /// Start in the payload.
    pub(crate) start: usize,
}

/// The directory of a block, checked against the payload's length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) runs: u32,
    pub(super) entries: Vec<Entry>,
}

impl Directory {
    /// From the first bytes of a payload of this length, at least [`HEAD_MAX`] of them if there are as many.
    pub(super) fn parse(
        bytes: &[u8],
        payload_len: usize,
        offset: u64,
        events: u32,
    ) -> Result<(BlockInfo, Self)> {
        let cut = || FormatError::Undecodable {
            offset,
            what: "EVENTS",
            detail: "its directory is cut short".into(),
        };
        let mut cursor = Cursor(bytes);
        let info = BlockInfo::take_stats(&mut cursor, offset).ok_or_else(cut)?;
        let runs = cursor.u32().ok_or_else(cut)?;
        let columns = cursor.u32().ok_or_else(cut)?;
        info.check(events, runs)?;
        let (entries, end) = take_directory(&mut cursor, columns, FIXED_LEN, offset, cut)?;
        if end != payload_len {
            let (expected, actual) = (end as u64, payload_len as u64);
            return Err(FormatError::Corrupt {
                offset,
                what: "bytes of statistics and columns",
                expected,
                actual,
            });
        }
        Ok((info, Self { runs, entries }))
    }

    pub(super) fn find(&self, column: Column) -> Option<Entry> {
        self.entries
            .iter()
            .find(|entry| entry.id == column as u8)
            .copied()
    }
}

/// Reads a directory of this many columns that starts at `start`. Returns it with the end of the last column.
pub(crate) fn take_directory(
    cursor: &mut Cursor<'_>,
    columns: u32,
    start: usize,
    offset: u64,
    cut: impl Fn() -> FormatError,
) -> Result<(Vec<Entry>, usize)> {
    let limit = limits::COLUMNS as u64;
    if u64::from(columns) > limit {
        return Err(FormatError::Limit {
            what: "columns in a block",
            limit,
            actual: columns.into(),
        });
    }
    let mut entries: Vec<Entry> = Vec::with_capacity(columns as usize);
    let mut start = start + columns as usize * ENTRY_LEN;
    for _ in 0..columns {
        let entry = Entry::take(cursor, start).ok_or_else(&cut)?;
        if entries.iter().any(|other| other.id == entry.id) {
            let actual = entry.id.into();
            return Err(FormatError::Corrupt {
                offset,
                what: "a column occurs twice",
                expected: 0,
                actual,
            });
        }
        start = start.saturating_add(entry.stored as usize);
        entries.push(entry);
    }
    Ok((entries, start))
}

impl Entry {
    /// Its bytes in the payload.
    pub(crate) fn body(self, payload: &[u8]) -> Option<&[u8]> {
        payload.get(self.start..self.start.saturating_add(self.stored as usize))
    }

    pub(crate) fn put(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.id, self.encoding, 0, 0]);
        out.extend_from_slice(&self.stored.to_le_bytes());
        out.extend_from_slice(&self.raw.to_le_bytes());
    }

    fn take(cursor: &mut Cursor<'_>, start: usize) -> Option<Self> {
        let (id, encoding, _reserved) = (cursor.u8()?, cursor.u8()?, cursor.u16()?);
        Some(Self {
            id,
            encoding,
            stored: cursor.u32()?,
            raw: cursor.u32()?,
            start,
        })
    }
}

impl BlockInfo {
    pub(crate) fn put_stats(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.events.to_le_bytes());
        out.extend_from_slice(&self.threads.to_le_bytes());
        out.extend_from_slice(&self.majors.to_le_bytes());
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
    }

    pub(crate) fn take_stats(cursor: &mut Cursor<'_>, offset: u64) -> Option<Self> {
        let (events, threads, majors) = (cursor.u32()?, cursor.u32()?, cursor.u32()?);
        Some(Self {
            offset,
            events,
            threads,
            majors,
            ts_min: cursor.u64()?,
            ts_max: cursor.u64()?,
            end_max: cursor.u64()?,
            page_min: cursor.u64()?,
            page_max: cursor.u64()?,
            latency_min: cursor.u64()?,
            latency_max: cursor.u64()?,
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
            ("majors against events", self.majors.into(), self.events.into()),
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
