//! A finished trace as a memory map, and the window that moves along it and gives pages back behind itself.

use std::fs::File;
use std::sync::Arc;

use crate::block::map::Map;
use crate::block::payload::Payload;
use crate::read::head_reader::{LOOK, Look};

/// Looked at together where nobody asked for more: a window without an end would let a search for the
/// next record map a whole damaged file.
const CHUNK: usize = 64 << 10;

/// Pages are given back in steps of this.
const STEP: usize = 4 << 20;

/// Blocks that are still being decoded are usually within this, and keep their pages.
const LAG: usize = 4 << 20;

/// Those that are not have brought their pages back, so each step gives back this much again.
const AGAIN: usize = 64 << 20;

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
