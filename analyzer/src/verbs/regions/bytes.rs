//! A file that nobody vouches for, read piece by piece: every length is held against what is left before it is used.

use crate::verbs::regions::region::RegionError;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// The longest header that is read.
pub(crate) const LONGEST_HEADER: u64 = 64 << 20;

/// A reader that knows where it is and where the end is.
#[derive(Debug)]
pub struct Bytes<R> {
    inner: BufReader<R>,
    offset: u64,
    end: u64,
}

impl<R: Read + Seek> Bytes<R> {
    /// From the start of `file`.
    ///
    /// # Errors
    /// I/O errors.
    pub fn new(mut file: R) -> Result<Self, RegionError> {
        let io = |source| RegionError::Io { offset: 0, source };
        let end = file.seek(SeekFrom::End(0)).map_err(io)?;
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        Ok(Self {
            inner: BufReader::with_capacity(1 << 16, file),
            offset: 0,
            end,
        })
    }

    /// Where the next byte is.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes in the file.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// An error at this place.
    pub fn damaged(&self, what: impl Into<String>) -> RegionError {
        RegionError::Damaged {
            offset: self.offset,
            what: what.into(),
        }
    }

    /// Whether `len` bytes are left, of the file and of the longest header.
    ///
    /// # Errors
    /// When they are not.
    pub fn check(&self, len: u64, what: &str) -> Result<(), RegionError> {
        let after = self.offset.checked_add(len);
        if after.is_none_or(|after| after > self.end) {
            let left = self.end - self.offset;
            return Err(self.damaged(format!("{what} of {len} bytes, and the file ends after {left}")));
        }
        if after.is_none_or(|after| after > LONGEST_HEADER) {
            return Err(self.damaged(format!(
                "{what}: the header is longer than {LONGEST_HEADER} bytes"
            )));
        }
        Ok(())
    }

    /// Passes over `len` bytes.
    ///
    /// # Errors
    /// When they are not there.
    pub fn skip(&mut self, len: u64, what: &str) -> Result<(), RegionError> {
        self.check(len, what)?;
        let by = i64::try_from(len).unwrap_or(i64::MAX);
        let moved = self.inner.seek_relative(by);
        moved.map_err(|source| self.io(source))?;
        self.offset += len;
        Ok(())
    }

    /// The next bytes.
    ///
    /// # Errors
    /// When they are not there.
    pub fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], RegionError> {
        self.check(N as u64, what)?;
        let mut bytes = [0; N];
        let read = self.inner.read_exact(&mut bytes);
        read.map_err(|source| self.io(source))?;
        self.offset += N as u64;
        Ok(bytes)
    }

    /// A little-endian number.
    ///
    /// # Errors
    /// When it is not there.
    pub fn u32(&mut self, what: &str) -> Result<u32, RegionError> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// A little-endian number.
    ///
    /// # Errors
    /// When it is not there.
    pub fn u64(&mut self, what: &str) -> Result<u64, RegionError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// The next `len` bytes as text; what is not UTF-8 is replaced.
    ///
    /// # Errors
    /// When there are more than `most`, or they are not there.
    pub fn text(&mut self, len: u64, most: u64, what: &str) -> Result<String, RegionError> {
        if len > most {
            return Err(self.damaged(format!("{what} of {len} bytes, and at most {most} are allowed")));
        }
        self.check(len, what)?;
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        let read = self.inner.read_exact(&mut bytes);
        read.map_err(|source| self.io(source))?;
        self.offset += len;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The next `len` bytes as a stream.
    pub(crate) fn stream(&mut self, len: u64) -> impl Read + '_ {
        Read::by_ref(&mut self.inner).take(len)
    }

    fn io(&self, source: io::Error) -> RegionError {
        RegionError::Io {
            offset: self.offset,
            source,
        }
    }
}
