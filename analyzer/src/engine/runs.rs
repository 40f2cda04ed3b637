//! Rows of a block that have something in common: a block is sorted by thread, and threads mostly stay in one file for a
//! while. What is asked once per run of such rows, or once per block for all runs that are alike, need not be asked for
//! every row.

use multiversion::multiversion;
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

/// Runs of rows that are alike in all these columns, in order. Equal rows must stand side by side, as those of a thread do in a
/// block, and those of one of its names: so there is no need to look at all of them.
pub(crate) fn sorted_runs<const N: usize>(columns: [&[u32]; N]) -> impl Iterator<Item = Range<usize>> + '_ {
    let height = columns.iter().map(|column| column.len()).min().unwrap_or(0);
    let mut end = 0;
    std::iter::from_fn(move || {
        let start = end;
        (start < height).then(|| {
            let is_alike = |row: usize| columns.iter().all(|column| column.get(row) == column.get(start));
            end = end_of(start, height, is_alike);
            start..end
        })
    })
}

/// The first row that is not alike, or the last one there is: found in steps that get longer, and then by halves.
fn end_of(start: usize, height: usize, is_alike: impl Fn(usize) -> bool) -> usize {
    let (mut inside, mut step) = (start, 1);
    while inside + step < height && is_alike(inside + step) {
        inside += step;
        step *= 2;
    }
    let mut outside = height.min(inside + step);
    while inside + 1 < outside {
        let middle = inside.midpoint(outside);
        if is_alike(middle) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    outside
}

/// The rows of a run in a column.
#[must_use]
pub fn part<'a, T>(column: &'a [T], run: &Range<usize>) -> &'a [T] {
    column.get(run.clone()).unwrap_or_default()
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
    fn runs_of_sorted_rows_are_the_same() {
        let none: [&[u32]; 0] = [];
        assert_eq!(
            (sorted_runs(none).count(), sorted_runs([&[], &[]]).count()),
            (0, 0)
        );
        for lengths in [
            vec![1],
            vec![2, 1, 3],
            vec![1000, 1, 1, 511, 512, 513, 64],
            vec![65_536],
        ] {
            let rows = || lengths.iter().enumerate();
            let of = |key: fn(usize) -> u32| -> Vec<u32> {
                rows().flat_map(|(run, &length)| vec![key(run); length]).collect()
            };
            // Neither column tells all runs apart.
            let (a, b) = (of(|run| run as u32 / 2), of(|run| run as u32 % 2));
            let found: Vec<_> = sorted_runs([&a, &b]).collect();
            assert_eq!(found, runs(&a, &b).collect::<Vec<_>>());
            assert_eq!(found.len(), lengths.len());
        }
    }
}
