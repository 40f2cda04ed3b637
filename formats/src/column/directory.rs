//! The directory of columns in a record: what each is, how it is encoded, how long it is.

use super::{Storage, Transform};
use crate::bytes::Cursor;
use crate::error::{FormatError, Result};
use crate::limits;

/// Bytes of one entry.
pub(crate) const ENTRY_LEN: usize = 8;

/// One column in the directory. Encodings are codes: those of a column that nobody asks for may be unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: u8,
    transform: u8,
    storage: [u8; 2],
    /// Bytes in the payload.
    stored: u32,
    /// Start in the payload.
    start: usize,
}

impl Entry {
    /// A column of `stored` bytes; where it starts only the reader has to know.
    pub(crate) fn new(id: u8, transform: Transform, storage: Storage, stored: usize) -> Self {
        Self {
            id,
            transform: transform as u8,
            storage: storage.code(),
            stored: stored as u32,
            start: 0,
        }
    }

    /// Its bytes in the payload.
    pub(crate) fn body(self, payload: &[u8]) -> Option<&[u8]> {
        payload.get(self.start..self.start.saturating_add(self.stored as usize))
    }

    /// How the column `what` of the record at `offset` is to be understood.
    pub(crate) fn encoding(self, offset: u64, what: &'static str) -> Result<(Transform, Storage)> {
        let transform = Transform::from_code(self.transform);
        let storage = Storage::from_code(self.storage);
        transform
            .zip(storage)
            .ok_or_else(|| self.unknown_encoding(offset, what))
    }

    pub(crate) fn unknown_encoding(self, offset: u64, what: &'static str) -> FormatError {
        let [storage, parameter] = self.storage;
        FormatError::UnknownEncoding {
            offset,
            what,
            found: format!("{}/{storage}/{parameter}", self.transform),
        }
    }

    fn put(self, out: &mut Vec<u8>) {
        let [storage, parameter] = self.storage;
        out.extend_from_slice(&[self.id, self.transform, storage, parameter]);
        out.extend_from_slice(&self.stored.to_le_bytes());
    }

    fn take(cursor: &mut Cursor<'_>, start: usize) -> Option<Self> {
        Some(Self {
            id: cursor.u8()?,
            transform: cursor.u8()?,
            storage: cursor.array()?,
            stored: cursor.u32()?,
            start,
        })
    }
}

/// Appends the number of columns and the directory.
pub(crate) fn put(entries: &[Entry], out: &mut Vec<u8>) {
    out.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    entries.iter().for_each(|entry| entry.put(out));
}

/// Reads what [`put`] wrote. The columns start at `start` plus the length of the directory. Returns the entries, and
/// where the last column ends.
pub(crate) fn take(
    cursor: &mut Cursor<'_>,
    start: usize,
    offset: u64,
    cut: impl Fn() -> FormatError,
) -> Result<(Vec<Entry>, usize)> {
    let columns = cursor.u32().ok_or_else(&cut)?;
    let limit = limits::COLUMNS as u64;
    if u64::from(columns) > limit {
        return Err(FormatError::Limit {
            what: "columns in a record",
            limit,
            actual: columns.into(),
        });
    }
    let mut entries: Vec<Entry> = Vec::with_capacity(columns as usize);
    let mut start = start + columns as usize * ENTRY_LEN;
    for _ in 0..columns {
        let entry = Entry::take(cursor, start).ok_or_else(&cut)?;
        if entries.iter().any(|other| other.id == entry.id) {
            let actual = entry.id.into();
            return Err(FormatError::Corrupt {
                offset,
                what: "a column occurs twice",
                expected: 0,
                actual,
            });
        }
        start = start.saturating_add(entry.stored as usize);
        entries.push(entry);
    }
    Ok((entries, start))
}
