//! A column of integers as byte planes: all lowest bytes, then all second ones, and so on.
//!
//! Stored as one u32 per plane, then the planes. The u32 is 0 for a plane of zeros, which takes no
//! bytes; the number of rows for a plane stored as it is; less than that for one zstd frame.

use std::io;

use crate::bytes::Cursor;

/// Residuals are noise in the low planes and almost constant above: higher levels gain nothing.
const LEVEL: i32 = 1;

/// Turns columns into planes, with buffers that live as long as the writer.
pub(crate) struct PlaneWriter {
    zstd: zstd::bulk::Compressor<'static>,
    plane: Vec<u8>,
    packed: Vec<u8>,
}

impl PlaneWriter {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            zstd: zstd::bulk::Compressor::new(LEVEL)?,
            plane: Vec::new(),
            packed: Vec::new(),
        })
    }

    /// Appends the low `width` bytes of all values.
    pub(crate) fn write(&mut self, values: &[u64], width: usize, out: &mut Vec<u8>) -> io::Result<()> {
        let lengths_at = out.len();
        out.resize(lengths_at + 4 * width, 0);
        let used = values.iter().fold(0, |bits, value| bits | value);
        for index in 0..width {
            let shift = 8 * index as u32;
            if (used >> shift) as u8 == 0 {
                continue;
            }
            self.plane.clear();
            self.plane
                .extend(values.iter().map(|value| (value >> shift) as u8));
            self.packed.clear();
            self.packed
                .reserve(zstd::zstd_safe::compress_bound(self.plane.len()));
            let packed_len = self.zstd.compress_to_buffer(&self.plane, &mut self.packed)?;
            let stored = if packed_len < self.plane.len() {
                &self.packed
            } else {
                &self.plane
            };
            out.extend_from_slice(stored);
            let length_at = lengths_at + 4 * index;
            out[length_at..length_at + 4].copy_from_slice(&(stored.len() as u32).to_le_bytes());
        }
        Ok(())
    }
}

/// Turns planes back into values.
pub(crate) struct PlaneReader {
    zstd: zstd::bulk::Decompressor<'static>,
    plane: Vec<u8>,
}

impl PlaneReader {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            zstd: zstd::bulk::Decompressor::new()?,
            plane: Vec::new(),
        })
    }

    /// Decodes `rows` values of `width` bytes that fill `stored` exactly.
    pub(crate) fn read(
        &mut self,
        stored: &[u8],
        width: usize,
        rows: usize,
        values: &mut Vec<u64>,
    ) -> Result<(), String> {
        values.clear();
        values.resize(rows, 0);
        let mut cursor = Cursor(stored);
        let lengths = cursor.take(4 * width).ok_or("its list of planes is cut short")?;
        for (index, len) in lengths.as_chunks().0.iter().enumerate() {
            let len = u32::from_le_bytes(*len) as usize;
            if len == 0 {
                continue;
            }
            let stored = cursor
                .take(len)
                .ok_or_else(|| format!("plane {index} is cut short"))?;
            let plane = if len == rows {
                stored
            } else {
                self.inflate(stored, rows)
                    .map_err(|error| format!("plane {index}: {error}"))?
            };
            let shift = 8 * index as u32;
            for (value, byte) in values.iter_mut().zip(plane) {
                *value |= u64::from(*byte) << shift;
            }
        }
        if cursor.0.is_empty() {
            Ok(())
        } else {
            Err(format!("{} bytes are left over", cursor.0.len()))
        }
    }

    /// Into a buffer of exactly `rows` bytes, so that a small frame cannot claim a large plane.
    fn inflate(&mut self, stored: &[u8], rows: usize) -> Result<&[u8], String> {
        if stored.len() > rows {
            return Err(format!(
                "{} bytes are more than the {rows} it would take uncompressed",
                stored.len()
            ));
        }
        self.plane.resize(rows, 0);
        let got = self
            .zstd
            .decompress_to_buffer(stored, self.plane.as_mut_slice())
            .map_err(|error| error.to_string())?;
        if got == rows {
            Ok(&self.plane)
        } else {
            Err(format!("holds {got} bytes instead of {rows}"))
        }
    }
}
