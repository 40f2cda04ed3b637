//! The first bytes of a record, read by position: less work than to have pages of a map brought in and taken away again, of
//! which nothing else is looked at.

use std::fs::File;
use std::io::{self, ErrorKind};

use crate::block::HEAD_MAX;
use crate::records::frame::FRAME_LEN;

/// Bytes that are read together: the frame and the head of a block.
pub(crate) const LOOK: usize = FRAME_LEN + HEAD_MAX;

/// What was read last.
pub(crate) struct Look {
    at: usize,
    len: usize,
    bytes: Box<[u8; LOOK]>,
}

impl Look {
    pub(crate) fn new() -> Self {
        Self {
            at: 0,
            len: 0,
            bytes: Box::new([0; LOOK]),
        }
    }

    /// What is at hand from an offset on, if anything.
    pub(crate) fn from(&self, at: usize) -> Option<&[u8]> {
        let bytes = self.bytes.get(..self.len)?;
        bytes
            .get(at.checked_sub(self.at)?..)
            .filter(|bytes| !bytes.is_empty())
    }

    pub(crate) fn forget(&mut self) {
        self.len = 0;
    }

    /// Reads what is at an offset, up to an end of the file; false when that failed, or the file is shorter by now.
    pub(crate) fn read(&mut self, file: &File, at: usize, end: usize) -> bool {
        let len = end.saturating_sub(at).min(LOOK);
        self.at = at;
        self.len = 0;
        while self.len < len {
            let room = self.bytes.get_mut(self.len..len).unwrap_or_default();
            match read_at(file, room, (at + self.len) as u64) {
                Ok(0) => return false,
                Ok(got) => self.len += got.min(len - self.len),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }
}

/// Reads from an offset, wherever the file's position is.
#[cfg(unix)]
pub(crate) fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, at)
}

/// Reads from an offset, and moves the file's position.
#[cfg(not(unix))]
pub(crate) fn read_at(mut file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    use std::io::{Seek, SeekFrom};
    file.seek(SeekFrom::Start(at))?;
    file.read(into)
}
