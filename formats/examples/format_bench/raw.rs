//! The rival that anybody would write first: an array of structs of 56 bytes, and zstd over each block of it.

use std::io;

use pf_formats::Event;

/// What the trace stores of an event in one byte, bit for bit: major, failed, access, origin.
pub(crate) fn class(event: &Event) -> u8 {
    let access = event.access.map_or(0, |access| access as u8);
    u8::from(event.major) | u8::from(event.failed) << 1 | access << 2 | (event.origin as u8) << 4
}

/// Replaces the contents of `rows` by the structs of these events.
pub(crate) fn lay_out(events: &[Event], rows: &mut Vec<u8>) {
    rows.clear();
    for event in events {
        rows.extend_from_slice(&event.ts_ns.to_le_bytes());
        rows.extend_from_slice(&event.latency_ns.to_le_bytes());
        rows.extend_from_slice(&event.address.to_le_bytes());
        rows.extend_from_slice(&event.ip.to_le_bytes());
        rows.extend_from_slice(&event.object_page.to_le_bytes());
        rows.extend_from_slice(&event.pid.to_le_bytes());
        rows.extend_from_slice(&event.tid.to_le_bytes());
        rows.extend_from_slice(&event.object.0.to_le_bytes());
        rows.extend_from_slice(&event.cpu.to_le_bytes());
        rows.extend_from_slice(&[class(event), event.retries]);
    }
}

/// Blocks of structs, each a zstd frame. The buffers are kept, as those of the trace are.
pub(crate) struct Packed {
    compressor: zstd::bulk::Compressor<'static>,
    decompressor: zstd::bulk::Decompressor<'static>,
    scratch: Vec<u8>,
    stored: Vec<u8>,
    /// End of each frame in `stored`, and what it decodes to.
    frames: Vec<(usize, usize)>,
}

impl Packed {
    pub(crate) fn new(level: i32) -> io::Result<Self> {
        Ok(Self {
            compressor: zstd::bulk::Compressor::new(level)?,
            decompressor: zstd::bulk::Decompressor::new()?,
            scratch: Vec::new(),
            stored: Vec::new(),
            frames: Vec::new(),
        })
    }

    pub(crate) fn clear(&mut self) {
        self.stored.clear();
        self.frames.clear();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.stored.len()
    }

    pub(crate) fn blocks(&self) -> usize {
        self.frames.len()
    }

    /// Appends a block.
    pub(crate) fn encode(&mut self, rows: &[u8]) -> io::Result<()> {
        self.scratch.clear();
        self.scratch.reserve(zstd::zstd_safe::compress_bound(rows.len()));
        self.compressor.compress_to_buffer(rows, &mut self.scratch)?;
        self.stored.extend_from_slice(&self.scratch);
        self.frames.push((self.stored.len(), rows.len()));
        Ok(())
    }

    /// Decodes one block. The structs are then in memory, which is where a program wants them.
    pub(crate) fn decode(&mut self, block: usize) -> io::Result<&[u8]> {
        let (end, raw) = self.frames[block];
        let start = block.checked_sub(1).map_or(0, |before| self.frames[before].0);
        self.scratch.clear();
        self.scratch.reserve(raw);
        self.decompressor
            .decompress_to_buffer(&self.stored[start..end], &mut self.scratch)?;
        Ok(&self.scratch)
    }
}
