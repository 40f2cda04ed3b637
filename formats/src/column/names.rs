//! Columns that name few things, such as instructions: each different number once, and for each row its place.

use std::io;

use rustc_hash::FxHashMap;

use super::planes::{PlaneReader, PlaneWriter};
use crate::bytes::Cursor;
use crate::limits;

/// With more different numbers the table is no longer small beside the rows.
const MOST_NAMES: usize = 4096;

/// Rows that an estimate looks at.
const ESTIMATED: usize = 4096;

/// Numbers whose place is found without a look into the table.
const RECENT: usize = 64;

/// Collects the different numbers of a column and writes it by them.
#[derive(Default)]
pub(super) struct NameWriter {
    places: FxHashMap<u64, u32>,
    /// Each number with how often it occurs, in the order of first sight.
    names: Vec<(u64, u32)>,
    rows: Vec<u32>,
    order: Vec<u32>,
    numbers: Vec<u64>,
}

impl NameWriter {
    /// Bits of a row, by the names in some of the rows; `None` when there are too many.
    pub(super) fn estimate(&mut self, values: &[u64], width: usize) -> Option<f32> {
        let start = values.len() / 2;
        let end = values.len().min(start + ESTIMATED);
        self.collect(values.get(start..end)?, width)
    }

    /// Bits of a row, by the entropy of the names and the size of the table; `None` when there are too many.
    pub(super) fn collect(&mut self, values: &[u64], width: usize) -> Option<f32> {
        self.places.clear();
        self.names.clear();
        self.rows.clear();
        let mut recent: [Option<(u64, u32)>; RECENT] = [None; RECENT];
        for &value in values {
            let seen = &mut recent[(value ^ value >> 6) as usize % RECENT];
            let place = match *seen {
                Some((number, place)) if number == value => place,
                _ => {
                    let place = *self.places.entry(value).or_insert_with(|| {
                        self.names.push((value, 0));
                        self.names.len() as u32 - 1
                    });
                    *seen = Some((value, place));
                    place
                }
            };
            if self.names.len() > MOST_NAMES {
                return None;
            }
            let count = &mut self.names[place as usize].1;
            *count = count.wrapping_add(1);
            self.rows.push(place);
        }
        let rows = values.len() as f32;
        let weight = |count: f32| count * count.log2();
        let sum: f32 = self.names.iter().map(|(_, count)| weight(*count as f32)).sum();
        let table = (self.names.len() * width * 8) as f32;
        Some((weight(rows) - sum + table) / rows)
    }

    /// Appends what was collected. The most frequent names come first, so that the high plane of their places is empty
    /// for most rows.
    pub(super) fn write(
        &mut self,
        width: usize,
        planes: &mut PlaneWriter,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        self.order.clear();
        self.order.extend(0..self.names.len() as u32);
        let count = |place: &u32| std::cmp::Reverse(self.names[*place as usize].1);
        self.order.sort_by_key(count);
        out.extend_from_slice(&(self.order.len() as u32).to_le_bytes());
        let ordered = self.order.iter().map(|place| self.names[*place as usize].0);
        self.numbers.clear();
        self.numbers.extend(ordered);
        planes.write(&self.numbers, width, out)?;
        for (rank, place) in self.order.iter().enumerate() {
            self.names[*place as usize].1 = rank as u32;
        }
        self.numbers.clear();
        let ranks = self
            .rows
            .iter()
            .map(|place| u64::from(self.names[*place as usize].1));
        self.numbers.extend(ranks);
        planes.write(&self.numbers, place_width(self.order.len()), out)
    }
}

/// Bytes of a place among so many names.
fn place_width(names: usize) -> usize {
    if names <= 256 { 1 } else { 2 }
}

/// Reads a column of `rows` numbers. `table` is scratch.
pub(super) fn read(
    cursor: &mut Cursor<'_>,
    width: usize,
    rows: usize,
    planes: &mut PlaneReader,
    table: &mut Vec<u64>,
    values: &mut Vec<u64>,
) -> Result<(), String> {
    let count = cursor.u32().ok_or("its number of names is cut short")? as usize;
    if count > limits::EVENTS_PER_BLOCK {
        return Err(format!("{count} names, {} are allowed", limits::EVENTS_PER_BLOCK));
    }
    planes.read(cursor, width, count, table)?;
    planes.read(cursor, place_width(count), rows, values)?;
    for value in values {
        *value = *table
            .get(*value as usize)
            .ok_or_else(|| format!("name {value} of {count}"))?;
    }
    Ok(())
}
