//! A finished trace as a memory map, and the window that moves along it and gives pages back behind itself.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

use memmap2::Mmap;

use crate::look::{LOOK, Look};
use crate::payload::Payload;

/// Looked at together where nobody asked for more: a window without an end would let a search for the
/// next record map a whole damaged file.
const CHUNK: usize = 64 << 10;

/// Pages are given back in steps of this.
const STEP: usize = 4 << 20;

/// Blocks that are still being decoded are usually within this, and keep their pages.
const LAG: usize = 4 << 20;

/// Those that are not have brought their pages back, so each step gives back this much again.
const AGAIN: usize = 64 << 20;

/// A whole file, read-only.
#[derive(Debug)]
pub(crate) struct Map(Mmap);

impl Map {
    fn new(file: &File) -> io::Result<Self> {
        // SAFETY: The map is only read. A finished trace is not written to any more; when another program
        // does so all the same, checksums and decoders, which take any bytes, see other bytes: no
        // reference is used to rely on a second look being equal to the first. One that cuts the file short
        // ends this process with SIGBUS, as the documentation of `Via::Map` says.
        let map = unsafe { Mmap::map(file)? };
        Ok(Self(map))
    }

    /// Takes pages out of this process; who looks at them again gets them from the page cache.
    #[cfg(unix)]
    fn give_back(&self, from: usize, until: usize) {
        let len = until.min(self.len()).saturating_sub(from);
        // SAFETY: On a shared map of a file that nobody wrote to through it, this changes no byte: blocks that
        // still look at these pages read the same ones from the file again.
        let done = unsafe {
            self.0
                .unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, from, len)
        };
        // Reading is right without it, and only takes more memory.
        drop(done);
    }

    #[cfg(not(unix))]
    fn give_back(&self, _: usize, _: usize) {}

    /// Tells the kernel what is read next; it may ignore that.
    #[cfg(unix)]
    fn read_soon(&self, from: usize, len: usize) {
        drop(self.0.advise_range(memmap2::Advice::WillNeed, from, len));
    }

    #[cfg(not(unix))]
    fn read_soon(&self, _: usize, _: usize) {}

    /// Whether pages are read one after the other, so that the kernel reads ahead, or here and there.
    #[cfg(unix)]
    fn expect(&self, here_and_there: bool) {
        let advice = if here_and_there {
            memmap2::Advice::Random
        } else {
            memmap2::Advice::Sequential
        };
        drop(self.0.advise(advice));
    }

    #[cfg(not(unix))]
    fn expect(&self, _: bool) {}
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// A stretch of the map that moves forward.
pub(crate) struct MapWindow {
    map: Arc<Map>,
    file: File,
    start: usize,
    end: usize,
    /// Pages before this were given back, at least once.
    given_back: usize,
    /// Blocks are being skipped: of those the map is left alone.
    skipping: bool,
    here: Look,
    behind: Look,
}

impl MapWindow {
    pub(crate) fn new(file: File) -> Result<Self, File> {
        let Ok(map) = Map::new(&file) else {
            return Err(file);
        };
        map.expect(false);
        Ok(Self {
            map: Arc::new(map),
            file,
            start: 0,
            end: 0,
            given_back: 0,
            skipping: false,
            here: Look::new(),
            behind: Look::new(),
        })
    }

    pub(crate) fn offset(&self) -> u64 {
        self.start as u64
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        let mapped = || self.map.get(self.start..self.end).unwrap_or_default();
        self.here.from(self.start).unwrap_or_else(mapped)
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count.min(self.end - self.start);
        self.give_back();
    }

    pub(crate) fn want(&mut self, count: usize) -> &[u8] {
        if self.skipping && count <= LOOK {
            let at_hand = self.here.from(self.start).map_or(0, <[u8]>::len);
            let is_here = at_hand >= count || self.here.read(&self.file, self.start, self.map.len());
            if is_here {
                self.end = self.start + self.bytes().len();
                return self.bytes();
            }
        }
        self.here.forget();
        let end = self.start.saturating_add(count.max(CHUNK)).min(self.map.len());
        if self.skipping && count > CHUNK {
            self.map.read_soon(self.start, end - self.start);
        }
        self.end = self.end.max(end);
        self.bytes()
    }

    pub(crate) fn peek(&mut self, at: usize, count: usize) -> Option<&[u8]> {
        let at = self.start.saturating_add(at);
        let end = at.saturating_add(count).min(self.map.len());
        if self.skipping && at < end && self.behind.read(&self.file, at, self.map.len()) {
            return self.behind.from(at)?.get(..end - at);
        }
        self.map.get(at..end)
    }

    pub(crate) fn skip(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.map.len());
        if let Some(bytes) = self.behind.from(self.start) {
            self.end = self.start + bytes.len();
            std::mem::swap(&mut self.here, &mut self.behind);
        }
        self.end = self.end.max(self.start);
        self.give_back();
    }

    pub(crate) fn payload(&self, from: usize, until: usize) -> Payload {
        Payload::Mapped(Arc::clone(&self.map), self.start + from..self.start + until)
    }

    pub(crate) fn expect_skips(&mut self, skips: bool) {
        if self.skipping != skips {
            self.skipping = skips;
            self.map.expect(skips);
        }
    }

    fn give_back(&mut self) {
        if self.start - self.given_back >= LAG + STEP {
            let until = self.start - LAG;
            self.map.give_back(self.given_back.saturating_sub(AGAIN), until);
            self.given_back = until;
        }
    }
}
