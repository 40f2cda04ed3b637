//! Writes columns in the storage that suits them; the buffers are kept from column to column.

use std::io;

use super::cost::Cost;
use super::names::NameWriter;
use super::planes::{PlaneWriter, used_bits};
use super::{Storage, Transform, classes, transform};

/// By how much another storage or transform has to be smaller, for estimates are not exact.
const CLEARLY: f32 = 0.99;

/// Bits of a row below which no other transform is tried, and below which no names are.
const LITTLE: f32 = 0.5;
const HARDLY_ANY: f32 = 0.05;

/// How to lay out a column.
#[derive(Clone, Copy)]
struct Choice {
    storage: Storage,
    /// What a row takes then, as far as a sample tells.
    bits: f32,
    /// The bits that are set in any value.
    used: u64,
}

/// Encodes columns one after another.
pub(crate) struct ColumnWriter {
    planes: PlaneWriter,
    names: NameWriter,
    cost: Cost,
    differences: Vec<u64>,
    classes: Vec<u8>,
    below: Vec<u8>,
}

impl ColumnWriter {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            planes: PlaneWriter::new()?,
            names: NameWriter::default(),
            cost: Cost::new(),
            differences: Vec::new(),
            classes: Vec::new(),
            below: Vec::new(),
        })
    }

    /// Appends numbers of at most `width` bytes, in planes or in classes.
    pub(crate) fn write(&mut self, values: &[u64], width: usize, out: &mut Vec<u8>) -> io::Result<Storage> {
        let choice = self.cheaper(values, width);
        self.write_as(choice, values, width, out)
    }

    /// Appends the candidate that takes the fewest bits: the same column after different transforms, the likeliest
    /// first.
    pub(crate) fn write_best(
        &mut self,
        candidates: &[(Transform, &[u64])],
        width: usize,
        out: &mut Vec<u8>,
    ) -> io::Result<(Transform, Storage)> {
        let mut best: Option<(Choice, usize)> = None;
        for (index, (_, values)) in candidates.iter().enumerate() {
            let choice = self.cheaper(values, width);
            if best.is_none_or(|(best, _)| choice.bits < best.bits * CLEARLY) {
                best = Some((choice, index));
            }
            if choice.bits < LITTLE {
                break;
            }
        }
        let Some((choice, index)) = best else {
            return Ok((Transform::Plain, Storage::Planes));
        };
        let (transform, values) = candidates[index];
        Ok((transform, self.write_as(choice, values, width, out)?))
    }

    /// Appends values that name things: where they are few, as names, else as differences. Names can be of the
    /// differences, too: who names one thing for long and then another has few of them.
    pub(crate) fn write_names(
        &mut self,
        values: &[u64],
        width: usize,
        out: &mut Vec<u8>,
    ) -> io::Result<(Transform, Storage)> {
        let mut differences = std::mem::take(&mut self.differences);
        differences.clear();
        differences.extend_from_slice(values);
        transform::delta(&mut differences, width);
        let done = self.write_names_or(&differences, values, width, out);
        self.differences = differences;
        done
    }

    fn write_names_or(
        &mut self,
        differences: &[u64],
        values: &[u64],
        width: usize,
        out: &mut Vec<u8>,
    ) -> io::Result<(Transform, Storage)> {
        let choice = self.cheaper(differences, width);
        let mut fewest = choice.bits * CLEARLY;
        let mut by = None;
        // One plane of differences takes as many bits as their names.
        if choice.used > 255 && choice.bits > HARDLY_ANY {
            for (each, values) in [(Transform::Plain, values), (Transform::Delta, differences)] {
                let names = self.names.estimate(values, width);
                if let Some(bits) = names.filter(|bits| *bits < fewest) {
                    (fewest, by) = (bits, Some(each));
                }
            }
        }
        let named = if by == Some(Transform::Plain) {
            values
        } else {
            differences
        };
        if let Some(by) = by
            && self.names.collect(named, width).is_some()
        {
            self.names.write(width, &mut self.planes, out)?;
            return Ok((by, Storage::Names));
        }
        let storage = self.write_as(choice, differences, width, out)?;
        Ok((Transform::Delta, storage))
    }

    /// The storage that takes fewer bits.
    fn cheaper(&mut self, values: &[u64], width: usize) -> Choice {
        let mut choice = Choice {
            storage: Storage::Planes,
            bits: 0.0,
            used: used_bits(values),
        };
        if choice.used == 0 {
            return choice;
        }
        self.cost.look_at(values);
        choice.bits = self.cost.planes(width);
        // One plane tells all there is.
        if choice.used > 255 {
            let (bits, mantissa) = self.cost.classes();
            if bits < choice.bits * CLEARLY {
                (choice.bits, choice.storage) = (bits, Storage::Classes(mantissa));
            }
        }
        choice
    }

    /// Writes in this storage, or in planes where that turns out to be larger than the values themselves: the rows that
    /// were looked at can mislead, a class for a large number takes 64 bits whatever the width, and a block of such
    /// columns would not fit a record.
    fn write_as(
        &mut self,
        choice: Choice,
        values: &[u64],
        width: usize,
        out: &mut Vec<u8>,
    ) -> io::Result<Storage> {
        if let Storage::Classes(mantissa) = choice.storage {
            let start = out.len();
            self.classes.clear();
            self.below.clear();
            classes::write(values, mantissa, &mut self.classes, &mut self.below);
            self.planes.write_plane(&self.classes, out)?;
            out.extend_from_slice(&self.below);
            if out.len() - start <= values.len() * width {
                return Ok(choice.storage);
            }
            out.truncate(start);
        }
        self.planes.write_used(choice.used, values, width, out)?;
        Ok(Storage::Planes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::column::ColumnReader;

    #[test]
    fn a_column_that_is_noise_where_nobody_looked_takes_no_more_than_its_values() {
        let small = [0, 1, 2, 3, 400, 401, 402, 403];
        // Of the first 256 of each eighth of the rows some are looked at, and of no others.
        let value = |row: usize| match row % 8192 {
            0..256 => small[row * 5 % 8],
            _ => (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48,
        };
        let values: Vec<u64> = (0..65_536).map(value).collect();
        let mut writer = ColumnWriter::new().unwrap();
        let mut out = Vec::new();
        assert!(matches!(
            writer.cheaper(&values, 2).storage,
            Storage::Classes(5..)
        ));
        let storage = writer.write(&values, 2, &mut out).unwrap();
        assert!(out.len() <= 2 * 65_536 + 9, "{} bytes", out.len());
        let mut back = Vec::new();
        let mut reader = ColumnReader::new().unwrap();
        reader.read(&out, storage, 2, 65_536, &mut back).unwrap();
        assert_eq!(back, values);
        out.clear();
        let (by, storage) = writer.write_names(&values, 2, &mut out).unwrap();
        reader.read(&out, storage, 2, 65_536, &mut back).unwrap();
        if by == Transform::Delta {
            transform::undo_delta(&mut back, 2);
        }
        assert!(back == values);
    }
}
