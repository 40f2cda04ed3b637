//! A small record that is worth compressing: its length, then one zstd frame of it.

use crate::bytes::Cursor;
use crate::error::{FormatError, Result};
use crate::limits;

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
