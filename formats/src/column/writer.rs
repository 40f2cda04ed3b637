//! Writes columns in the storage that suits them; the buffers are kept from column to column.

use std::io;

use super::cost::Cost;
use super::names::NameWriter;
use super::planes::{PlaneWriter, used_bits};
use super::{Storage, Transform, classes, transform};

/// By how much another storage or transform has to be smaller, for estimates are not exact.
const CLEARLY: f32 = 0.99;

/// Bits of a row below which names are of differences: something else is named now and then only.
const FEW: f32 = 2.0;

/// Bits of a row below which nothing better is looked for.
const HARDLY_ANY: f32 = 0.05;

/// Encodes columns one after another.
pub(crate) struct ColumnWriter {
    planes: PlaneWriter,
    names: NameWriter,
    cost: Cost,
    plain: Vec<u64>,
    classes: Vec<u8>,
    below: Vec<u8>,
}

impl ColumnWriter {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            planes: PlaneWriter::new()?,
            names: NameWriter::default(),
            cost: Cost::new(),
            plain: Vec::new(),
            classes: Vec::new(),
            below: Vec::new(),
        })
    }

    /// Appends numbers of at most `width` bytes, in planes or in classes.
    pub(crate) fn write(&mut self, values: &[u64], width: usize, out: &mut Vec<u8>) -> io::Result<Storage> {
        let (storage, _) = self.cheaper(values, width);
        self.write_as(storage, values, width, out)
    }

    /// Appends the candidate that takes the fewest bits: the same column after different transforms, the likeliest
    /// first.
    pub(crate) fn write_best(
        &mut self,
        candidates: &[(Transform, &[u64])],
        width: usize,
        out: &mut Vec<u8>,
    ) -> io::Result<(Transform, Storage)> {
        let mut best: Option<(f32, Storage, usize)> = None;
        for (index, (_, values)) in candidates.iter().enumerate() {
            let (storage, bits) = self.cheaper(values, width);
            if best.is_none_or(|(fewest, ..)| bits < fewest * CLEARLY) {
                best = Some((bits, storage, index));
            }
            if bits < HARDLY_ANY {
                break;
            }
        }
        let Some((_, storage, index)) = best else {
            return Ok((Transform::Plain, Storage::Planes));
        };
        let (transform, values) = candidates[index];
        Ok((transform, self.write_as(storage, values, width, out)?))
    }

    /// Appends values that name things: where they are few, as names, else as differences. Names can be of the
    /// differences, too: who names one thing for long and then another has few of them. Leaves the differences
    /// in `values`.
    pub(crate) fn write_names(
        &mut self,
        values: &mut [u64],
        width: usize,
        out: &mut Vec<u8>,
    ) -> io::Result<(Transform, Storage)> {
        let mut plain = std::mem::take(&mut self.plain);
        plain.clear();
        plain.extend_from_slice(values);
        transform::delta(values, width);
        let (storage, bits) = self.cheaper(values, width);
        let mut best = (bits * CLEARLY, Transform::Delta, storage);
        if bits > HARDLY_ANY {
            for (by, values) in [(Transform::Delta, &*values), (Transform::Plain, &plain[..])] {
                let names = self.names.collect(values, width);
                if let Some(bits) = names.filter(|bits| *bits < best.0) {
                    best = (bits, by, Storage::Names);
                }
                // Names of the values themselves would take as many.
                if best.0 < FEW {
                    break;
                }
            }
        }
        let done = match best {
            (_, by, Storage::Names) => {
                if by == Transform::Delta && best.0 >= FEW {
                    self.names.collect(values, width);
                }
                let done = self.names.write(width, &mut self.planes, out);
                done.map(|()| (by, Storage::Names))
            }
            (_, by, storage) => self
                .write_as(storage, values, width, out)
                .map(|storage| (by, storage)),
        };
        self.plain = plain;
        done
    }

    /// The storage that takes fewer bits, and how many a row.
    fn cheaper(&mut self, values: &[u64], width: usize) -> (Storage, f32) {
        let used = used_bits(values);
        if used == 0 {
            return (Storage::Planes, 0.0);
        }
        self.cost.look_at(values);
        let planes = self.cost.planes(width);
        // One plane tells all there is.
        if used < 256 {
            return (Storage::Planes, planes);
        }
        let (classes, mantissa) = self.cost.classes();
        if classes < planes * CLEARLY {
            (Storage::Classes(mantissa), classes)
        } else {
            (Storage::Planes, planes)
        }
    }

    /// Writes in this storage, or in planes where that turns out to be larger than the values themselves: the rows that
    /// were looked at can mislead, a class for a large number takes 64 bits whatever the width, and a block of such
    /// columns would not fit a record.
    fn write_as(
        &mut self,
        storage: Storage,
        values: &[u64],
        width: usize,
        out: &mut Vec<u8>,
    ) -> io::Result<Storage> {
        if let Storage::Classes(mantissa) = storage {
            let start = out.len();
            self.classes.clear();
            self.below.clear();
            classes::write(values, mantissa, &mut self.classes, &mut self.below);
            self.planes.write_plane(&self.classes, out)?;
            out.extend_from_slice(&self.below);
            if out.len() - start <= values.len() * width {
                return Ok(storage);
            }
            out.truncate(start);
        }
        self.planes.write(values, width, out)?;
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
        let mut values: Vec<u64> = (0..65_536).map(value).collect();
        let mut writer = ColumnWriter::new().unwrap();
        let mut out = Vec::new();
        assert!(matches!(writer.cheaper(&values, 2).0, Storage::Classes(5..)));
        let storage = writer.write(&values, 2, &mut out).unwrap();
        assert!(out.len() <= 2 * 65_536 + 9, "{} bytes", out.len());
        let mut back = Vec::new();
        let mut reader = ColumnReader::new().unwrap();
        reader.read(&out, storage, 2, 65_536, &mut back).unwrap();
        assert_eq!(back, values);
        out.clear();
        let written = writer.write_names(&mut values, 2, &mut out).unwrap();
        reader.read(&out, written.1, 2, 65_536, &mut back).unwrap();
        assert_eq!(back, values);
    }
}
