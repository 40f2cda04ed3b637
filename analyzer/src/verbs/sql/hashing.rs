//! Equal values have equal numbers: what GROUP BY, DISTINCT, joins, PARTITION BY, set operations and IN are
//! made of. NULL equals NULL here; where it must not, the caller looks.

use crate::error::AnalyzeError;
use crate::verbs::sql::budget::{Budget, Lease};
use crate::verbs::sql::vector::{Data, Vector};
use polars::prelude::{PlHashMap, PlHashSet};
use std::sync::Arc;

/// What an entry takes, with the room that a table keeps free, and has twice while it grows.
const SMALL: u64 = 48;
const WIDE: u64 = 96;
const PAIR: u64 = 40;

/// Gives the values of one column numbers, from 0, as they come.
#[derive(Debug, Default)]
struct Interner {
    small: PlHashMap<i64, u32>,
    big: PlHashMap<i128, u32>,
    floats: PlHashMap<u64, u32>,
    texts: PlHashMap<Box<str>, u32>,
    null: Option<u32>,
    next: u32,
    text_bytes: u64,
}

/// Floating-point numbers that are equal have the same bits.
#[must_use]
pub fn float_key(number: f64) -> u64 {
    if number.is_nan() {
        f64::NAN.to_bits()
    } else if number == 0.0 {
        0
    } else {
        number.to_bits()
    }
}

impl Interner {
    fn number(&mut self, value: i128) -> u32 {
        let next = &mut self.next;
        match i64::try_from(value) {
            Ok(value) => *self.small.entry(value).or_insert_with(|| fresh(next)),
            Err(_) => *self.big.entry(value).or_insert_with(|| fresh(next)),
        }
    }

    fn text(&mut self, text: &str) -> u32 {
        if let Some(&known) = self.texts.get(text) {
            return known;
        }
        let number = fresh(&mut self.next);
        self.text_bytes += text.len() as u64;
        self.texts.insert(text.into(), number);
        number
    }

    fn null(&mut self) -> u32 {
        let next = &mut self.next;
        *self.null.get_or_insert_with(|| fresh(next))
    }

    fn of_row(&mut self, values: &Vector<'_>, row: usize) -> u32 {
        if !values.is_there(row) {
            return self.null();
        }
        if let Some(text) = values.text(row) {
            return self.text(text);
        }
        if let Some(number) = values.float(row) {
            let next = &mut self.next;
            let entry = self.floats.entry(float_key(number));
            return *entry.or_insert_with(|| fresh(next));
        }
        match values.digits(row) {
            Some(digits) => self.number(digits),
            None => self.null(),
        }
    }

    fn of_rows(&mut self, values: &Vector<'_>) -> Vec<u32> {
        if values.is_constant {
            let number = if values.len > 0 { self.of_row(values, 0) } else { 0 };
            return vec![number; values.len];
        }
        let mut all: Vec<u32> = Vec::with_capacity(values.len);
        match (&values.data, &values.valid) {
            // Rows mostly have what the row before had.
            (Data::Text(texts), None) => {
                let mut last: Option<(&str, u32)> = None;
                for text in texts {
                    let number = match last {
                        Some((before, number)) if before == text => number,
                        _ => self.text(text),
                    };
                    last = Some((text, number));
                    all.push(number);
                }
            }
            (Data::Small(numbers), None) => {
                let mut last: Option<(i64, u32)> = None;
                for &value in numbers {
                    let number = match last {
                        Some((before, number)) if before == value => number,
                        _ => self.number(value.into()),
                    };
                    last = Some((value, number));
                    all.push(number);
                }
            }
            _ => all.extend((0..values.len).map(|row| self.of_row(values, row))),
        }
        all
    }

    fn bytes(&self) -> u64 {
        let small = (self.small.len() + self.floats.len()) as u64 * SMALL;
        let wide = (self.big.len() + self.texts.len()) as u64 * WIDE;
        small + wide + self.text_bytes
    }
}

fn fresh(next: &mut u32) -> u32 {
    let number = *next;
    *next = next.saturating_add(1);
    number
}

/// Gives rows of several columns numbers, from 0, as they come.
#[derive(Debug, Default)]
pub struct RowNumbers {
    columns: Vec<Interner>,
    /// Pairs of what the columns so far have and what the next one has.
    pairs: Vec<PlHashMap<(u32, u32), u32>>,
    lease: Option<Arc<Lease>>,
}

impl RowNumbers {
    /// The numbers of rows; those of no columns are all the same.
    pub fn of(&mut self, columns: &[Vector<'_>], len: usize) -> Vec<u32> {
        self.columns.resize_with(columns.len(), Interner::default);
        self.pairs
            .resize_with(columns.len().saturating_sub(1), PlHashMap::default);
        let mut interners = self.columns.iter_mut().zip(columns);
        let Some((first, values)) = interners.next() else {
            return vec![0; len];
        };
        let mut all = first.of_rows(values);
        for ((interner, values), pairs) in interners.zip(&mut self.pairs) {
            let next = interner.of_rows(values);
            for (number, next) in all.iter_mut().zip(next) {
                let fresh = pairs.len() as u32;
                *number = *pairs.entry((*number, next)).or_insert(fresh);
            }
        }
        all
    }

    /// What the numbers take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let columns: u64 = self.columns.iter().map(Interner::bytes).sum();
        let pairs: usize = self.pairs.iter().map(PlHashMap::len).sum();
        columns + pairs as u64 * PAIR
    }

    /// Counts what the numbers take, until they are dropped.
    ///
    /// # Errors
    /// When that is too much.
    pub fn hold(&mut self, budget: &Arc<Budget>) -> Result<(), AnalyzeError> {
        self.lease = None;
        self.lease = Some(Budget::lease(budget, self.bytes(), 0)?);
        Ok(())
    }
}

/// The values that IN looks among.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members {
    numbers: PlHashSet<i128>,
    floats: PlHashSet<u64>,
    texts: PlHashSet<String>,
    has_null: bool,
    count: usize,
}

impl Members {
    /// Adds all values.
    pub fn add(&mut self, values: &Vector<'_>) {
        for row in 0..values.len {
            self.count += 1;
            if let Some(text) = values.text(row) {
                self.texts.insert(text.to_owned());
            } else if let Some(number) = values.float(row) {
                self.floats.insert(float_key(number));
            } else if let Some(digits) = values.digits(row) {
                self.numbers.insert(digits);
            } else {
                self.has_null = true;
            }
        }
    }

    /// Whether the value of a row is among them; unknown, if it could be.
    #[must_use]
    pub fn have(&self, values: &Vector<'_>, row: usize) -> Option<bool> {
        if self.count == 0 {
            return Some(false);
        }
        if !values.is_there(row) {
            return None;
        }
        let is_there = if let Some(text) = values.text(row) {
            self.texts.contains(text)
        } else if let Some(number) = values.float(row) {
            self.floats.contains(&float_key(number))
        } else {
            values
                .digits(row)
                .is_some_and(|digits| self.numbers.contains(&digits))
        };
        (is_there || !self.has_null).then_some(is_there)
    }
}
