//! The 64 bytes at the start of a trace: what it is, which version, which clock.
//!
//! The size, the magic, the version and the place of the checksum are the same in every version, so that
//! any reader can tell damage from a version it does not know.

use crate::bytes::{Cursor, crc32c_of};
use crate::error::{FormatError, Result};

/// Bytes of the header.
pub(crate) const HEADER_LEN: usize = 64;

/// As in PNG: a byte with the high bit set, the name, and both line ends, so that a transfer as 7-bit
/// or as text shows.
pub(crate) const MAGIC: [u8; 8] = *b"\x89PFZ\r\n\x1a\n";

/// Major version written and read here.
pub const MAJOR: u16 = 1;
/// Minor version written here; a reader accepts any.
pub const MINOR: u16 = 4;

/// The only clock in use: `CLOCK_MONOTONIC` as numbered by `clock_gettime(2)`.
pub const CLOCK_MONOTONIC: u32 = 1;

/// Features a reader must know to read the trace at all: none so far.
const KNOWN_INCOMPAT: u32 = 0;

const CRC_AT: usize = HEADER_LEN - 4;

/// Identity, version and clock of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Major version of the format.
    pub major: u16,
    /// Minor version of the format.
    pub minor: u16,
    /// Features without which the trace cannot be read.
    pub incompat: u32,
    /// Features that may be ignored.
    pub compat: u32,
    /// Random, and part of every frame's checksum: frames of another trace are never taken for this one's.
    pub trace_id: [u8; 16],
    /// Clock of all `ts_ns`: 1 is `CLOCK_MONOTONIC`.
    pub clock_id: u32,
    /// UTC in nanoseconds since 1970 is `ts_ns + utc_offset_ns`.
    pub utc_offset_ns: i64,
}

impl Header {
    /// A header of the current version.
    #[must_use]
    pub fn new(trace_id: [u8; 16], utc_offset_ns: i64) -> Self {
        Self {
            major: MAJOR,
            minor: MINOR,
            incompat: 0,
            compat: 0,
            trace_id,
            clock_id: CLOCK_MONOTONIC,
            utc_offset_ns,
        }
    }

    /// Nanoseconds since 1970 in UTC of a time of this trace; clamped to what an `i64` holds.
    #[must_use]
    pub fn utc_of(&self, ts_ns: u64) -> i64 {
        let utc = i128::from(ts_ns) + i128::from(self.utc_offset_ns);
        i64::try_from(utc).unwrap_or(if utc < 0 { i64::MIN } else { i64::MAX })
    }

    pub(crate) fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&self.major.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.minor.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.incompat.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.compat.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.clock_id.to_le_bytes());
        bytes[24..40].copy_from_slice(&self.trace_id);
        bytes[40..48].copy_from_slice(&self.utc_offset_ns.to_le_bytes());
        let crc = crc32c_of(&[&bytes[..CRC_AT]]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header from the first bytes of a trace; `bytes` is shorter than a header only at the end
    /// of the input.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Err(FormatError::Empty);
        }
        let start = &bytes[..bytes.len().min(MAGIC.len())];
        if !MAGIC.starts_with(start) {
            return Err(FormatError::NotATrace {
                found: start.to_vec(),
                expected: MAGIC,
            });
        }
        let Some(bytes) = bytes.first_chunk::<HEADER_LEN>() else {
            let actual = bytes.len() as u64;
            return Err(FormatError::BadHeader {
                what: "its length",
                expected: HEADER_LEN as u64,
                actual,
            });
        };
        let expected = crc32c_of(&[&bytes[..CRC_AT]]);
        let header = Self::fields(bytes).filter(|(_, crc)| *crc == expected);
        let Some((header, _)) = header else {
            let actual = bytes.last_chunk().map_or(0, |crc| u32::from_le_bytes(*crc));
            return Err(FormatError::BadHeader {
                what: "its checksum",
                expected: expected.into(),
                actual: actual.into(),
            });
        };
        header.check_version()?;
        header.check_clock()?;
        Ok(header)
    }

    fn fields(bytes: &[u8; HEADER_LEN]) -> Option<(Self, u32)> {
        let mut cursor = Cursor(bytes);
        cursor.take(MAGIC.len())?;
        let header = Self {
            major: cursor.u16()?,
            minor: cursor.u16()?,
            incompat: cursor.u32()?,
            compat: cursor.u32()?,
            clock_id: cursor.u32()?,
            trace_id: cursor.array()?,
            utc_offset_ns: cursor.array().map(i64::from_le_bytes)?,
        };
        cursor.take(CRC_AT - 48)?;
        Some((header, cursor.u32()?))
    }

    fn check_clock(&self) -> Result<()> {
        if self.clock_id == CLOCK_MONOTONIC {
            return Ok(());
        }
        Err(FormatError::UnknownClock {
            found: self.clock_id,
            supported: CLOCK_MONOTONIC,
        })
    }

    fn check_version(&self) -> Result<()> {
        if self.major < MAJOR {
            return Err(FormatError::Older {
                found: format!("{}.{}", self.major, self.minor),
                supported: format!("{MAJOR}.0"),
            });
        }
        let unknown = self.incompat & !KNOWN_INCOMPAT;
        if self.major == MAJOR && unknown == 0 {
            return Ok(());
        }
        let mut found = format!("{}.{}", self.major, self.minor);
        if unknown != 0 {
            found += &format!(" with features {unknown:#x}");
        }
        Err(FormatError::Newer {
            found,
            supported: format!("{MAJOR}.{MINOR}"),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_header_comes_back_as_written() {
        let header = Header::new([7; 16], -5);
        assert_eq!(Header::parse(&header.to_bytes()).unwrap(), header);
    }

    #[test]
    fn a_newer_major_version_and_an_unknown_feature_are_refused_by_name() {
        let newer = Header {
            major: 3,
            minor: 2,
            ..Header::new([0; 16], 0)
        };
        let error = Header::parse(&newer.to_bytes()).unwrap_err().to_string();
        assert!(error.contains("3.2") && error.contains("1.4"), "{error}");
        let strange = Header {
            incompat: 0x40,
            ..Header::new([0; 16], 0)
        };
        let error = Header::parse(&strange.to_bytes()).unwrap_err().to_string();
        assert!(error.contains("0x40"), "{error}");
    }

    #[test]
    fn a_trace_from_before_the_first_version_is_refused_by_name() {
        let older = Header {
            major: 0,
            minor: 3,
            ..Header::new([0; 16], 0)
        };
        let error = Header::parse(&older.to_bytes()).unwrap_err().to_string();
        assert!(error.contains("0.3") && error.contains("1.0"), "{error}");
    }

    #[test]
    fn another_clock_is_refused_by_its_number() {
        for clock_id in [0, 7, u32::MAX] {
            let header = Header {
                clock_id,
                ..Header::new([0; 16], 0)
            };
            let error = Header::parse(&header.to_bytes()).unwrap_err().to_string();
            assert!(error.contains(&format!("clock {clock_id},")), "{error}");
        }
    }

    #[test]
    fn a_newer_minor_version_and_compatible_features_are_read() {
        let header = Header {
            minor: 9,
            compat: u32::MAX,
            ..Header::new([0; 16], 0)
        };
        assert_eq!(Header::parse(&header.to_bytes()).unwrap(), header);
    }

    #[test]
    fn utc_is_clamped_instead_of_wrapping() {
        assert_eq!(Header::new([0; 16], 10).utc_of(5), 15);
        assert_eq!(Header::new([0; 16], i64::MAX).utc_of(u64::MAX), i64::MAX);
    }
}
