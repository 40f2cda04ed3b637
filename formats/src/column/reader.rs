//! Reads the numbers of a column, whatever their storage; the buffers are kept from column to column.

use std::io;

use super::planes::{PlaneReader, used_bits};
use super::{Storage, classes, mask, names};
use crate::bytes::Cursor;

/// Decodes columns one after another.
pub(crate) struct ColumnReader {
    planes: PlaneReader,
    table: Vec<u64>,
}

impl ColumnReader {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            planes: PlaneReader::new()?,
            table: Vec::new(),
        })
    }

    /// Decodes a column of single bytes that is stored in planes.
    pub(crate) fn read_bytes(
        &mut self,
        stored: &[u8],
        rows: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), String> {
        let mut cursor = Cursor(stored);
        self.planes.read_bytes(&mut cursor, rows, bytes)?;
        all_used(&cursor)
    }

    /// Decodes `rows` numbers of at most `width` bytes that fill `stored` exactly.
    pub(crate) fn read(
        &mut self,
        stored: &[u8],
        storage: Storage,
        width: usize,
        rows: usize,
        values: &mut Vec<u64>,
    ) -> Result<(), String> {
        let mut cursor = Cursor(stored);
        match storage {
            Storage::Planes => self.planes.read(&mut cursor, width, rows, values)?,
            Storage::Classes(mantissa) => {
                let classes = self.planes.read_plane(&mut cursor, rows)?;
                classes::read(classes, mantissa, cursor.0, values)?;
                cursor.0 = &[];
                let beyond = used_bits(values) & !mask(width);
                if beyond != 0 {
                    return Err(format!("a number has bits {beyond:#x} beyond its {width} bytes"));
                }
            }
            Storage::Names => {
                names::read(
                    &mut cursor,
                    width,
                    rows,
                    &mut self.planes,
                    &mut self.table,
                    values,
                )?;
            }
        }
        all_used(&cursor)
    }
}

fn all_used(cursor: &Cursor<'_>) -> Result<(), String> {
    if cursor.0.is_empty() {
        Ok(())
    } else {
        Err(format!("{} bytes are left over", cursor.0.len()))
    }
}
