//! The 32 bytes before every record: how long it is, and whether it is whole.

use crate::bytes::{Cursor, crc32c_of};
use crate::limits;

/// Bytes of a frame before its payload.
pub(crate) const FRAME_LEN: usize = 32;

/// Not valid UTF-8 and not the start of a zstd frame: rare in names and in compressed columns.
pub(crate) const SYNC: [u8; 4] = [0xF7, b'p', b'f', 0xB5];

/// The codec version of every payload so far.
pub(crate) const CODEC: u8 = 1;

const CRC_AT: usize = FRAME_LEN - 4;

/// Flag of a dictionary frame that repeats what was already written.
pub(crate) const FLAG_SNAPSHOT: u16 = 1;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Meta = 1,
    Dict = 2,
    Timeline = 3,
    Events = 4,
    Loss = 5,
    Footer = 6,
    Queries = 7,
    Processes = 8,
    HiddenWaits = 9,
    Conditions = 10,
}

impl Kind {
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Meta,
            2 => Self::Dict,
            3 => Self::Timeline,
            4 => Self::Events,
            5 => Self::Loss,
            6 => Self::Footer,
            7 => Self::Queries,
            8 => Self::Processes,
            9 => Self::HiddenWaits,
            10 => Self::Conditions,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Meta => "META",
            Self::Dict => "DICT",
            Self::Timeline => "TIMELINE",
            Self::Events => "EVENTS",
            Self::Loss => "LOSS",
            Self::Footer => "FOOTER",
            Self::Queries => "QUERIES",
            Self::Processes => "PROCESSES",
            Self::HiddenWaits => "HIDDEN_WAITS",
            Self::Conditions => "CONDITIONS",
        }
    }
}

/// One frame's fields, the checksum of the frame itself aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordFrame {
    pub(crate) kind: u8,
    pub(crate) codec: u8,
    pub(crate) flags: u16,
    pub(crate) payload_len: u32,
    /// Events in the payload; 0 unless the kind is EVENTS.
    pub(crate) events: u32,
    /// 0 for the first frame of the file, then one more each.
    pub(crate) sequence: u64,
    pub(crate) payload_crc: u32,
}

impl RecordFrame {
    pub(crate) fn to_bytes(self, trace_id: &[u8; 16]) -> [u8; FRAME_LEN] {
        let mut bytes = [0; FRAME_LEN];
        bytes[..4].copy_from_slice(&SYNC);
        bytes[4] = self.kind;
        bytes[5] = self.codec;
        bytes[6..8].copy_from_slice(&self.flags.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.payload_len.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.events.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.payload_crc.to_le_bytes());
        let crc = crc32c_of(&[trace_id, &bytes[..CRC_AT]]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The frame at the start of `bytes`, if there is one of this trace, whole and within the limits.
    pub(crate) fn parse(bytes: &[u8], trace_id: &[u8; 16]) -> Option<Self> {
        let bytes = bytes.first_chunk::<FRAME_LEN>()?;
        let mut cursor = Cursor(bytes);
        if cursor.array::<4>()? != SYNC {
            return None;
        }
        let frame = Self {
            kind: cursor.u8()?,
            codec: cursor.u8()?,
            flags: cursor.u16()?,
            payload_len: cursor.u32()?,
            events: cursor.u32()?,
            sequence: cursor.u64()?,
            payload_crc: cursor.u32()?,
        };
        let whole = cursor.u32()? == crc32c_of(&[trace_id, &bytes[..CRC_AT]]);
        (whole && frame.payload_len as usize <= frame.payload_limit()).then_some(frame)
    }

    fn payload_limit(self) -> usize {
        match Kind::from_code(self.kind) {
            Some(Kind::Footer) => limits::FOOTER,
            _ => limits::PAYLOAD,
        }
    }

    /// Events that are lost with the payload. The field means nothing in records of other kinds.
    pub(crate) fn events_inside(self) -> u64 {
        if self.kind == Kind::Events as u8 {
            self.events.into()
        } else {
            0
        }
    }

    /// Bytes of the frame and its payload.
    pub(crate) fn total_len(self) -> usize {
        FRAME_LEN + self.payload_len as usize
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    const FRAME: RecordFrame = RecordFrame {
        kind: 4,
        codec: 1,
        flags: 0,
        payload_len: 9,
        events: 3,
        sequence: 77,
        payload_crc: 5,
    };

    #[test]
    fn a_frame_comes_back_as_written() {
        assert_eq!(
            RecordFrame::parse(&FRAME.to_bytes(&[1; 16]), &[1; 16]),
            Some(FRAME)
        );
    }

    #[test]
    fn a_frame_of_another_trace_is_not_taken() {
        assert_eq!(RecordFrame::parse(&FRAME.to_bytes(&[1; 16]), &[2; 16]), None);
    }

    #[test]
    fn a_length_over_the_limit_is_refused_even_with_a_right_checksum() {
        let huge = RecordFrame {
            payload_len: (limits::PAYLOAD + 1) as u32,
            ..FRAME
        };
        assert_eq!(RecordFrame::parse(&huge.to_bytes(&[1; 16]), &[1; 16]), None);
    }
}
