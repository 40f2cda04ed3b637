//! A small record that is worth compressing: its length, then one zstd frame of it.

use crate::bytes::Cursor;
use crate::error::{FormatError, Result};
use crate::limits;
use crate::records::frame::Kind;

/// What all packed lists of one kind may unpack to before it hangs on the length of the file.
const ALLOWANCE: u64 = 64 << 20;

/// What a reader has unpacked of a trace. Each record may be a few hundred bytes and stand for 8 MiB, so without a bound
/// for all together a small file could keep a reader busy for hours.
#[derive(Default)]
pub(crate) struct Unpacked {
    timelines: u64,
    texts: u64,
}

impl Unpacked {
    /// Before a record of this kind is unpacked, which ends `end` bytes from the start of the file; `packed` is what
    /// [`pack`] made.
    pub(crate) fn claim(&mut self, kind: Kind, packed: &[u8], end: u64) -> Result<()> {
        let claimed = packed
            .first_chunk()
            .map_or(0, |len| u32::from_le_bytes(*len).into());
        let (what, before, each) = match kind {
            Kind::Timeline => (
                "unpacked bytes of all TIMELINE records, for a file of this length",
                &mut self.timelines,
                limits::TIMELINE_PER_BYTE,
            ),
            _ => (
                "unpacked bytes of all records with texts, and of texts of queries, for a file of this length",
                &mut self.texts,
                limits::TEXTS_PER_BYTE,
            ),
        };
        let limit = ALLOWANCE.saturating_add(each.saturating_mul(end));
        let actual = before.saturating_add(claimed);
        if actual > limit {
            return Err(FormatError::Limit { what, limit, actual });
        }
        *before = actual;
        Ok(())
    }
}

/// As for the planes of a block: higher levels cost more than they save.
const LEVEL: i32 = 1;

/// Appends `raw` to `out`, packed.
pub(crate) fn pack(raw: &[u8], out: &mut Vec<u8>) -> Result<()> {
    out.extend_from_slice(&(raw.len() as u32).to_le_bytes());
    out.extend_from_slice(&zstd::bulk::compress(raw, LEVEL)?);
    Ok(())
}

/// The bytes that were packed, exactly as many as the record says; `offset` is that of its frame.
pub(crate) fn unpack(payload: &[u8], offset: u64, what: &'static str) -> Result<Vec<u8>> {
    let undecodable = |detail: String| FormatError::Undecodable { offset, what, detail };
    let mut cursor = Cursor(payload);
    let len = cursor
        .u32()
        .ok_or_else(|| undecodable("it is too short".into()))?;
    if len as usize > limits::PAYLOAD {
        return Err(FormatError::Limit {
            what: "unpacked bytes in a record",
            limit: limits::PAYLOAD as u64,
            actual: len.into(),
        });
    }
    // The buffer holds no more than the claim, so no frame can unpack to more.
    let raw =
        zstd::bulk::decompress(cursor.0, len as usize).map_err(|error| undecodable(error.to_string()))?;
    if raw.len() != len as usize {
        let (expected, actual) = (len.into(), raw.len() as u64);
        return Err(FormatError::Corrupt {
            offset,
            what: "unpacked bytes of the record",
            expected,
            actual,
        });
    }
    Ok(raw)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_record_unpacks_to_exactly_what_was_packed() {
        let raw = b"mapping mapping mapping mapping mapping".repeat(99);
        let mut packed = Vec::new();
        pack(&raw, &mut packed).unwrap();
        assert!(packed.len() < 100);
        assert_eq!(unpack(&packed, 0, "TIMELINE").unwrap(), raw);
    }

    #[test]
    fn all_records_together_unpack_to_no_more_than_the_file_is_long_enough_for() {
        let mut unpacked = Unpacked::default();
        let eight = (8u32 << 20).to_le_bytes();
        for _ in 0..8 {
            unpacked.claim(Kind::Timeline, &eight, 0).unwrap();
        }
        unpacked.claim(Kind::Timeline, &eight, 0).unwrap_err();
        unpacked.claim(Kind::Processes, &eight, 0).unwrap();
        unpacked.claim(Kind::Timeline, &eight, (8 << 20) / 256).unwrap();
        // What was refused was not unpacked.
        unpacked.claim(Kind::Timeline, &eight, (16 << 20) / 256).unwrap();
        unpacked.claim(Kind::Timeline, &[], u64::MAX).unwrap();
    }

    #[test]
    fn a_length_that_lies_is_refused() {
        let mut packed = Vec::new();
        pack(&[7; 1000], &mut packed).unwrap();
        for lie in [0u32, 999, 1001, u32::MAX] {
            packed[..4].copy_from_slice(&lie.to_le_bytes());
            assert!(unpack(&packed, 0, "TIMELINE").is_err(), "{lie}");
        }
        assert!(unpack(&packed[..3], 0, "TIMELINE").is_err());
        assert!(unpack(&[9, 0, 0, 0, 1, 2, 3], 0, "TIMELINE").is_err());
    }
}
