//! The stretch of the input that a reader looks at: as much as it asked for, no more than it needs.

use std::io::{ErrorKind, Read};

const CHUNK: usize = 64 << 10;

/// A buffer that moves along an input.
pub(crate) struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset of `start` in the input.
    offset: u64,
    at_end: bool,
}

impl<R: Read> Window<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            buffer: vec![0; CHUNK],
            start: 0,
            end: 0,
            offset: 0,
            at_end: false,
        }
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Everything buffered from the current position on.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Moves forward over buffered bytes.
    pub(crate) fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.offset = self.offset.saturating_add(count as u64);
    }

    /// Buffers `count` bytes; fewer only when the input ends before.
    pub(crate) fn want(&mut self, count: usize) -> std::io::Result<&[u8]> {
        while self.end - self.start < count && !self.at_end {
            self.make_room();
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.at_end = true,
                Ok(got) => self.end += got.min(self.buffer.len() - self.end),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.bytes())
    }

    /// The buffer grows only when it is full, so a length that lies about the rest of the input
    /// costs no memory.
    fn make_room(&mut self) {
        if self.end < self.buffer.len() {
            return;
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        } else {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }
}
