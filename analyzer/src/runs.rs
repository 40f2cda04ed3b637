//! Rows of a block that have something in common: a block is sorted by thread, and threads mostly stay in one file for a
//! while. What is asked once per run of such rows, or once per block for all runs that are alike, need not be asked for
//! every row.

use multiversion::multiversion;
use polars::prelude::PlHashMap;
use std::ops::Range;

/// Rows that are looked at together.
const LOOK: usize = 32;

/// Runs of rows that are alike in two columns, in order.
pub fn runs<'a>(first: &'a [u32], second: &'a [u32]) -> impl Iterator<Item = Range<usize>> + 'a {
    let mut end = 0;
    std::iter::from_fn(move || {
        let start = end;
        let (a, b) = (first.get(start..)?, second.get(start..)?);
        let head = (*a.first()?, *b.first()?);
        end = start + alike(a, b, head);
        Some(start..end)
    })
}

/// The rows of a run in a column.
#[must_use]
pub fn part<'a, T>(column: &'a [T], run: &Range<usize>) -> &'a [T] {
    column.get(run.clone()).unwrap_or_default()
}

/// Rows of a group that are looked at together.
pub const PIECE: usize = 512;

/// Places of the keys of a block that are found without a hash map.
const QUICK: usize = 256;

/// Rows of a block that are alike in two columns, wherever they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// What they have in the two columns.
    pub key: (u32, u32),
    /// The rows, in order; never empty. No run has more than [`PIECE`] rows.
    pub runs: Vec<Range<usize>>,
}

impl Group {
    fn push(&mut self, run: Range<usize>) {
        if run.len() <= PIECE {
            return self.runs.push(run);
        }
        let end = run.end;
        let starts = run.step_by(PIECE);
        self.runs
            .extend(starts.map(|start| start..end.min(start.saturating_add(PIECE))));
    }
}

/// Finds the groups of a block. Its memory serves the next one.
#[derive(Debug, Default)]
pub struct Groups {
    /// Those of the block come first.
    groups: Vec<Group>,
    len: usize,
    borders: Vec<u8>,
    quick: Vec<usize>,
    index: PlHashMap<(u32, u32), usize>,
}

impl Groups {
    /// The groups of two columns, in the order of their first rows.
    pub fn of(&mut self, first: &[u32], second: &[u32]) -> &[Group] {
        self.len = 0;
        self.index.clear();
        self.quick.clear();
        self.quick.resize(QUICK, usize::MAX);
        let mut borders = std::mem::take(&mut self.borders);
        let rows = first.len().min(second.len());
        borders.clear();
        borders.resize(rows.next_multiple_of(8), 0);
        mark_borders(first, second, &mut borders);
        let mut start = 0;
        for (word, place) in borders.as_chunks().0.iter().zip((0..).step_by(8)) {
            let mut word = u64::from_le_bytes(*word);
            while word != 0 {
                let end = place + word.trailing_zeros() as usize / 8;
                self.push(first, second, start..end);
                start = end;
                word &= word - 1;
            }
        }
        self.push(first, second, start..rows);
        self.borders = borders;
        self.groups.get(..self.len).unwrap_or_default()
    }

    fn push(&mut self, first: &[u32], second: &[u32], run: Range<usize>) {
        let (Some(&first), Some(&second)) = (first.get(run.start), second.get(run.start)) else {
            return;
        };
        let key = (first, second);
        let mixed = (u64::from(first) << 32 | u64::from(second)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let quick = (mixed >> 56) as usize % QUICK;
        let known = self.quick.get(quick).and_then(|&slot| self.groups.get_mut(slot));
        if let Some(group) = known.filter(|group| group.key == key) {
            group.push(run);
            return;
        }
        let slot = *self.index.entry(key).or_insert(self.len);
        if let Some(quick) = self.quick.get_mut(quick) {
            *quick = slot;
        }
        if slot == self.len {
            self.len += 1;
            if slot == self.groups.len() {
                self.groups.push(Group::default());
            }
            if let Some(group) = self.groups.get_mut(slot) {
                group.key = key;
                group.runs.clear();
            }
        }
        if let Some(group) = self.groups.get_mut(slot) {
            group.push(run);
        }
    }
}

/// Writes 1 where a row differs from the one before it.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn mark_borders(a: &[u32], b: &[u32], borders: &mut [u8]) {
    let next = |column| <[u32]>::get(column, 1..).unwrap_or_default();
    let rows = a.iter().zip(next(a)).zip(b.iter().zip(next(b)));
    let borders = borders.iter_mut().skip(1);
    for (border, ((a, next_a), (b, next_b))) in borders.zip(rows) {
        *border = u8::from((a ^ next_a) | (b ^ next_b) != 0);
    }
}

/// How many rows from the first on are `head`.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn alike(a: &[u32], b: &[u32], head: (u32, u32)) -> usize {
    let whole = a.chunks_exact(LOOK).zip(b.chunks_exact(LOOK));
    let differing = |(a, b): &(&[u32], &[u32])| {
        let rows = a.iter().zip(*b);
        rows.fold(0, |all, (a, b)| all | (a ^ head.0) | (b ^ head.1)) != 0
    };
    let skipped = whole.take_while(|rows| !differing(rows)).count() * LOOK;
    let (a, b) = (
        a.get(skipped..).unwrap_or_default(),
        b.get(skipped..).unwrap_or_default(),
    );
    let mut rest = a.iter().zip(b);
    skipped + rest.position(|(&a, &b)| (a, b) != head).unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_run() {
        let found: Vec<_> = runs(&[1, 1, 2, 2, 2, 1], &[5, 5, 5, 6, 6, 6]).collect();
        assert_eq!(found, [0..2, 2..3, 3..5, 5..6]);
        assert_eq!(runs(&[], &[]).count(), 0);
        let long: Vec<u32> = (0..300).map(|row| row / 97).collect();
        let found: Vec<_> = runs(&long, &[7; 300]).collect();
        assert_eq!(found, [0..97, 97..194, 194..291, 291..300]);
    }

    #[test]
    fn every_run_is_in_the_group_of_its_key() {
        let mut groups = Groups::default();
        // More keys than are found quickly; then few again.
        for keys in [1_000, 3] {
            for rows in [0, 1, 7, 8, 9, 5_000] {
                let column = |by: u32| -> Vec<u32> { (0..rows).map(|row| row / by % keys).collect() };
                let (a, b) = (column(3), column(2));
                let mut plain: Vec<Group> = Vec::new();
                for run in runs(&a, &b) {
                    let key = (a[run.start], b[run.start]);
                    match plain.iter_mut().find(|group| group.key == key) {
                        Some(group) => group.runs.push(run),
                        None => plain.push(Group { key, runs: vec![run] }),
                    }
                }
                assert_eq!(groups.of(&a, &b), plain);
            }
        }
        let long = groups.of(&[1; PIECE + 1], &[2; PIECE + 1]);
        assert_eq!(long.len(), 1);
        assert_eq!(long[0].runs, [0..PIECE, PIECE..PIECE + 1]);
    }
}
