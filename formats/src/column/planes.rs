//! A column of integers as byte planes: all lowest bytes, then all second ones, and so on.
//!
//! One byte says which planes are not all zeros; each of those is a *plane*: a word, then its bytes. The upper two
//! bits of the word say how they are stored.

use std::io;

use multiversion::multiversion;
use zstd::zstd_safe::CParameter;

use crate::bytes::Cursor;

/// What is left of a column is noise in the low planes and almost constant above: higher levels gain nothing.
const LEVEL: i32 = 1;

/// Bytes that are tried to tell noise.
const NOISE_SAMPLE: usize = 4096;

const ZSTD: u32 = 0;
const RAW: u32 = 1;
const CONSTANT: u32 = 2;

const MODE_SHIFT: u32 = 30;
const LENGTH: u32 = (1 << MODE_SHIFT) - 1;

/// Turns columns into planes, with buffers that live as long as the writer.
pub(super) struct PlaneWriter {
    zstd: zstd::bulk::Compressor<'static>,
    plane: Vec<u8>,
    packed: Vec<u8>,
}

impl PlaneWriter {
    pub(super) fn new() -> io::Result<Self> {
        let mut zstd = zstd::bulk::Compressor::new(LEVEL)?;
        // Short matches save less than their place costs beside an entropy code for bytes.
        zstd.set_parameter(CParameter::MinMatch(7))?;
        zstd.set_parameter(CParameter::HashLog(10))?;
        Ok(Self {
            zstd,
            plane: Vec::new(),
            packed: Vec::new(),
        })
    }

    /// Appends the low `width` bytes of all values.
    pub(super) fn write(&mut self, values: &[u64], width: usize, out: &mut Vec<u8>) -> io::Result<()> {
        self.write_used(used_bits(values), values, width, out)
    }

    /// The same, where it is known which bits are set in any value.
    pub(super) fn write_used(
        &mut self,
        used: u64,
        values: &[u64],
        width: usize,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let present = (0..width).filter(|index| (used >> (8 * index)) as u8 != 0);
        out.push(present.clone().fold(0, |mask, index| mask | 1 << index));
        for index in present {
            let mut plane = std::mem::take(&mut self.plane);
            cut(values, 8 * index as u32, &mut plane);
            let done = self.write_plane(&plane, out);
            self.plane = plane;
            done?;
        }
        Ok(())
    }

    /// Whether the middle of a plane does not become smaller. Then the rest is not tried: the low planes of times are
    /// noise in every block.
    fn is_noise(&mut self, plane: &[u8]) -> io::Result<bool> {
        let start = plane.len() / 2;
        let middle = plane.get(start..start + NOISE_SAMPLE);
        let Some(middle) = middle.filter(|bytes| plane.len() >= 4 * NOISE_SAMPLE && is_even(bytes)) else {
            return Ok(false);
        };
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(middle.len()));
        let packed_len = self.zstd.compress_to_buffer(middle, &mut self.packed)?;
        Ok(packed_len >= NOISE_SAMPLE)
    }

    /// Appends one plane.
    pub(super) fn write_plane(&mut self, plane: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let mut word = |mode: u32, rest: usize, bytes: &[u8]| {
            out.extend_from_slice(&(mode << MODE_SHIFT | rest as u32).to_le_bytes());
            out.extend_from_slice(bytes);
        };
        if let Some(first) = plane.first().filter(|first| is_constant(plane, **first)) {
            word(CONSTANT, usize::from(*first), &[]);
            return Ok(());
        }
        if self.is_noise(plane)? {
            word(RAW, plane.len(), plane);
            return Ok(());
        }
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(plane.len()));
        let packed_len = self.zstd.compress_to_buffer(plane, &mut self.packed)?;
        if packed_len < plane.len() {
            word(ZSTD, packed_len, &self.packed);
        } else {
            word(RAW, plane.len(), plane);
        }
        Ok(())
    }
}

/// Whether no byte is much likelier than others, by every fourth of them: noise is so, and some patterns.
fn is_even(bytes: &[u8]) -> bool {
    let mut counts = [0_u16; 256];
    let mut total = 0_u32;
    for byte in bytes.iter().step_by(4) {
        let count = &mut counts[usize::from(*byte)];
        *count = count.wrapping_add(1);
        total = total.wrapping_add(1);
    }
    let squares: u32 = counts.iter().map(|count| u32::from(*count).pow(2)).sum();
    // On average total^2 / 256 + total for noise.
    squares < total.wrapping_mul(total) / 256 + 2 * total
}

/// The bits that are set in any value.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
pub(super) fn used_bits(values: &[u64]) -> u64 {
    let mut bits = 0;
    for value in values {
        bits |= value;
    }
    bits
}

/// The byte of each value from this bit on.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn cut(values: &[u64], shift: u32, plane: &mut Vec<u8>) {
    plane.resize(values.len(), 0);
    for (byte, value) in plane.iter_mut().zip(values) {
        *byte = value.wrapping_shr(shift) as u8;
    }
}

#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn is_constant(plane: &[u8], first: u8) -> bool {
    let mut bits = 0;
    for byte in plane {
        bits |= byte ^ first;
    }
    bits == 0
}

/// Turns planes back into columns.
pub(super) struct PlaneReader {
    zstd: zstd::bulk::Decompressor<'static>,
    inflated: [Vec<u8>; 8],
}

/// A plane as it is in the file.
enum Plane<'a> {
    Zstd(&'a [u8]),
    Raw(&'a [u8]),
    Constant(u8),
}

impl<'a> Plane<'a> {
    fn take(cursor: &mut Cursor<'a>, rows: usize) -> Result<Self, String> {
        let word = cursor.u32().ok_or("a plane is cut short")?;
        let length = (word & LENGTH) as usize;
        let bytes = |cursor: &mut Cursor<'a>| {
            let left = cursor.0.len();
            cursor
                .take(length)
                .ok_or_else(|| format!("a plane has {left} of its {length} bytes"))
        };
        match word >> MODE_SHIFT {
            ZSTD => Ok(Self::Zstd(bytes(cursor)?)),
            RAW if length == rows => Ok(Self::Raw(bytes(cursor)?)),
            RAW => Err(format!("a plane has {length} bytes for {rows} rows")),
            CONSTANT if length < 256 => Ok(Self::Constant(length as u8)),
            mode => Err(format!("a plane is stored in the unknown way {mode} ({length})")),
        }
    }
}

impl PlaneReader {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            zstd: zstd::bulk::Decompressor::new()?,
            inflated: Default::default(),
        })
    }

    /// Decodes `rows` values of `width` bytes.
    pub(super) fn read(
        &mut self,
        cursor: &mut Cursor<'_>,
        width: usize,
        rows: usize,
        values: &mut Vec<u64>,
    ) -> Result<(), String> {
        let present = cursor.u8().ok_or("its planes are missing")?;
        if u32::from(present) >> width != 0 {
            return Err(format!("planes {present:#010b} of a column of {width} bytes"));
        }
        let mut constant = 0;
        let mut noise: [(u32, &[u8]); 8] = [(0, &[]); 8];
        let mut noisy = 0;
        let zstd = &mut self.zstd;
        for (index, inflated) in self.inflated.iter_mut().enumerate().take(width) {
            if present & 1 << index == 0 {
                continue;
            }
            let shift = 8 * index as u32;
            let bytes = match Plane::take(cursor, rows)? {
                Plane::Constant(byte) => {
                    constant |= u64::from(byte) << shift;
                    continue;
                }
                Plane::Raw(bytes) => bytes,
                Plane::Zstd(packed) => inflate(zstd, packed, rows, inflated)?,
            };
            noise[noisy] = (shift, bytes);
            noisy += 1;
        }
        join(&noise[..noisy], constant, rows, values);
        Ok(())
    }

    /// Decodes a column of single bytes.
    pub(super) fn read_bytes(
        &mut self,
        cursor: &mut Cursor<'_>,
        rows: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), String> {
        bytes.clear();
        match cursor.u8() {
            Some(0) => bytes.resize(rows, 0),
            Some(1) => bytes.extend_from_slice(self.read_plane(cursor, rows)?),
            _ => return Err("its planes are not those of a column of bytes".to_owned()),
        }
        Ok(())
    }

    /// Decodes one plane.
    pub(super) fn read_plane(&mut self, cursor: &mut Cursor<'_>, rows: usize) -> Result<&[u8], String> {
        let inflated = &mut self.inflated[0];
        match Plane::take(cursor, rows)? {
            Plane::Zstd(packed) => return inflate(&mut self.zstd, packed, rows, inflated),
            Plane::Raw(bytes) => {
                inflated.clear();
                inflated.extend_from_slice(bytes);
            }
            Plane::Constant(byte) => {
                inflated.clear();
                inflated.resize(rows, byte);
            }
        }
        Ok(inflated)
    }
}

/// Into a buffer of exactly `rows` bytes, so that a small frame cannot claim a large plane.
fn inflate<'a>(
    zstd: &mut zstd::bulk::Decompressor<'static>,
    packed: &[u8],
    rows: usize,
    into: &'a mut Vec<u8>,
) -> Result<&'a [u8], String> {
    into.resize(rows, 0);
    let got = zstd
        .decompress_to_buffer(packed, into.as_mut_slice())
        .map_err(|error| format!("a plane: {error}"))?;
    if got == rows {
        Ok(into)
    } else {
        Err(format!("a plane holds {got} bytes instead of {rows}"))
    }
}

/// All planes in one pass, where they are few; values are written once.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn join(planes: &[(u32, &[u8])], constant: u64, rows: usize, values: &mut Vec<u64>) {
    values.resize(rows, 0);
    match planes {
        [] => values.fill(constant),
        [(a, first)] => {
            for (value, x) in values.iter_mut().zip(*first) {
                *value = constant | u64::from(*x).wrapping_shl(*a);
            }
        }
        [(a, first), (b, second)] => {
            for ((value, x), y) in values.iter_mut().zip(*first).zip(*second) {
                *value = constant | u64::from(*x).wrapping_shl(*a) | u64::from(*y).wrapping_shl(*b);
            }
        }
        [(a, first), (b, second), (c, third), rest @ ..] => {
            for (((value, x), y), z) in values.iter_mut().zip(*first).zip(*second).zip(*third) {
                let two = u64::from(*x).wrapping_shl(*a) | u64::from(*y).wrapping_shl(*b);
                *value = constant | two | u64::from(*z).wrapping_shl(*c);
            }
            for (shift, plane) in rest {
                for (value, byte) in values.iter_mut().zip(*plane) {
                    *value |= u64::from(*byte).wrapping_shl(*shift);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn round_trip(values: &[u64], width: usize) -> usize {
        let (mut stored, mut back) = (Vec::new(), Vec::new());
        PlaneWriter::new()
            .unwrap()
            .write(values, width, &mut stored)
            .unwrap();
        let mut cursor = Cursor(&stored);
        let mut reader = PlaneReader::new().unwrap();
        reader.read(&mut cursor, width, values.len(), &mut back).unwrap();
        assert_eq!(back, values);
        assert!(cursor.0.is_empty());
        stored.len()
    }

    #[test]
    fn planes_of_every_kind_come_back() {
        assert_eq!(round_trip(&[0; 100], 8), 1);
        assert_eq!(round_trip(&[0x0700_0000_0009; 100], 8), 1 + 2 * 4);
        assert_eq!(round_trip(&[0, u64::MAX], 8), 1 + 8 * (4 + 2));
        let noise: Vec<u64> = (0..1000_u64)
            .map(|row| row.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(row as u32))
            .collect();
        round_trip(&noise, 8);
        let walk: Vec<u64> = (0..65_536).collect();
        assert!(round_trip(&walk, 4) < 5000);
        round_trip(&[], 2);
    }

    #[test]
    fn a_plane_that_is_not_as_long_as_its_column_is_refused() {
        let mut stored = Vec::new();
        PlaneWriter::new()
            .unwrap()
            .write(&[1, 2, 3], 1, &mut stored)
            .unwrap();
        let mut reader = PlaneReader::new().unwrap();
        for rows in [0, 2, 4, 1 << 16] {
            assert!(
                reader
                    .read(&mut Cursor(&stored), 1, rows, &mut Vec::new())
                    .is_err()
            );
        }
        for len in 0..stored.len() {
            assert!(
                reader
                    .read(&mut Cursor(&stored[..len]), 1, 3, &mut Vec::new())
                    .is_err()
            );
        }
        assert!(
            reader
                .read(&mut Cursor(&[2, 0, 0, 0, 0]), 1, 3, &mut Vec::new())
                .is_err()
        );
    }
}
