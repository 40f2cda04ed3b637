//! The stretch of the input that a reader looks at: as much as it asked for, no more than it needs.
//!
//! This is the one place that knows whether a trace is a memory map, a file or a stream.

use std::fs::File;
use std::io::{self, ErrorKind, Read};

use crate::block::payload::Payload;
use crate::read::head_reader::read_at;
use crate::read::mapped::MapWindow;

const CHUNK: usize = 64 << 10;

/// A file is read this much ahead of what is asked for: most records besides blocks fit, and what lies behind the
/// head of a block may be skipped.
const READ_AHEAD: usize = 4 << 10;

/// Bytes that can be looked at behind a record: a frame.
pub(crate) const PEEK: usize = 32;

/// Buffers kept for the next blocks.
const SPARE: usize = 16;

/// A stretch that moves along an input.
pub(crate) enum Window<R> {
    Mapped(MapWindow),
    Buffered(Buffered<R>),
}

/// A buffer that moves along an input.
pub(crate) struct Buffered<R> {
    input: Input<R>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset of `start` in the input.
    offset: u64,
    at_end: bool,
    behind: [u8; PEEK],
    spare: Vec<Vec<u8>>,
}

enum Input<R> {
    Stream(R),
    /// Read by position: a file that gets shorter ends early, where a map of it would end the process.
    File(File),
}

impl<R: Read> Window<R> {
    pub(crate) fn stream(input: R) -> Self {
        Self::Buffered(Buffered::new(Input::Stream(input)))
    }

    pub(crate) fn positioned(file: File) -> Self {
        Self::Buffered(Buffered::new(Input::File(file)))
    }

    /// Where there is no map, as [`positioned`](Self::positioned): some file systems have none, and small machines no room
    /// for large ones.
    pub(crate) fn mapped(file: File) -> Self {
        MapWindow::new(file).map_or_else(Self::positioned, Self::Mapped)
    }

    /// Whether reading may have to wait for somebody to write.
    pub(crate) fn may_wait(&self) -> bool {
        matches!(
            self,
            Self::Buffered(Buffered {
                input: Input::Stream(_),
                ..
            })
        )
    }

    pub(crate) fn offset(&self) -> u64 {
        match self {
            Self::Mapped(window) => window.offset(),
            Self::Buffered(window) => window.offset,
        }
    }

    /// Everything at hand from the current position on.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(window) => window.bytes(),
            Self::Buffered(window) => window.bytes(),
        }
    }

    /// Moves forward over bytes at hand.
    pub(crate) fn consume(&mut self, count: usize) {
        match self {
            Self::Mapped(window) => window.consume(count),
            Self::Buffered(window) => window.consume(count),
        }
    }

    /// Has `count` bytes at hand; fewer only when the input ends before.
    pub(crate) fn want(&mut self, count: usize) -> io::Result<&[u8]> {
        match self {
            Self::Mapped(window) => Ok(window.want(count)),
            Self::Buffered(window) => window.want(count),
        }
    }

    /// The [`PEEK`] bytes that begin `at` bytes from here, fewer when the input ends, `None` when it ends before
    /// `at`. Bytes before are not read, unless the input is a stream.
    pub(crate) fn peek(&mut self, at: usize) -> io::Result<Option<&[u8]>> {
        match self {
            Self::Mapped(window) => Ok(window.peek(at, PEEK)),
            Self::Buffered(window) => window.peek(at),
        }
    }

    /// Moves forward over bytes that [`peek`](Self::peek) looked behind.
    pub(crate) fn skip(&mut self, count: usize) {
        match self {
            Self::Mapped(window) => window.skip(count),
            Self::Buffered(window) => window.skip(count),
        }
    }

    /// Bytes at hand, from and until so many bytes from here, to keep.
    pub(crate) fn payload(&mut self, from: usize, until: usize) -> Payload {
        match self {
            Self::Mapped(window) => window.payload(from, until),
            Self::Buffered(window) => window.payload(from, until),
        }
    }

    /// Takes the memory of a payload for the next one.
    pub(crate) fn recycle(&mut self, payload: Payload) {
        if let (Self::Buffered(window), Payload::Owned(buffer)) = (self, payload)
            && window.spare.len() < SPARE
        {
            window.spare.push(buffer);
        }
    }

    /// Whether the next block is likely to be skipped as this one was: then reading ahead is wasted.
    pub(crate) fn expect_skips(&mut self, skips: bool) {
        if let Self::Mapped(window) = self {
            window.expect_skips(skips);
        }
    }
}

impl<R: Read> Buffered<R> {
    fn new(input: Input<R>) -> Self {
        Self {
            input,
            buffer: vec![0; CHUNK],
            start: 0,
            end: 0,
            offset: 0,
            at_end: false,
            behind: [0; PEEK],
            spare: Vec::new(),
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        self.offset = self.offset.saturating_add(count as u64);
    }

    fn want(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.end - self.start < count && !self.at_end {
            self.make_room();
            let at_hand = self.end - self.start;
            let at = self.offset.saturating_add(at_hand as u64);
            let room = &mut self.buffer[self.end..];
            match self.input.read(at, room, count - at_hand) {
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

    fn peek(&mut self, at: usize) -> io::Result<Option<&[u8]>> {
        let at_hand = self.end - self.start;
        let until = at.saturating_add(PEEK);
        let file = match &self.input {
            Input::File(file) if until > at_hand => file,
            _ => {
                let bytes = self.want(until)?;
                return Ok(bytes.get(at..until.min(bytes.len())));
            }
        };
        let position = self.offset.saturating_add(at as u64);
        let mut got = 0;
        while got < PEEK {
            match read_at(file, &mut self.behind[got..], position.saturating_add(got as u64)) {
                Ok(0) => break,
                Ok(more) => got += more.min(PEEK - got),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let is_there = got > 0 || file.metadata()?.len() >= position;
        Ok(is_there.then_some(&self.behind[..got]))
    }

    fn skip(&mut self, count: usize) {
        let beyond = count.saturating_sub(self.end - self.start);
        self.consume(count);
        if beyond > 0 {
            // Only in a file: a stream was read as far as this.
            self.offset = self.offset.saturating_add(beyond as u64);
            (self.start, self.end) = (0, 0);
            // One that grows has an end further on by now.
            self.at_end = false;
        }
    }

    fn payload(&mut self, from: usize, until: usize) -> Payload {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(self.bytes().get(from..until).unwrap_or_default());
        Payload::Owned(buffer)
    }
}

impl<R: Read> Input<R> {
    /// Reads into `room` what is at this offset, which is the next one of a stream; `missing` bytes are needed.
    fn read(&mut self, at: u64, room: &mut [u8], missing: usize) -> io::Result<usize> {
        match self {
            Self::Stream(input) => input.read(room),
            Self::File(file) => {
                let len = missing.max(READ_AHEAD).min(room.len());
                read_at(file, &mut room[..len], at)
            }
        }
    }
}
