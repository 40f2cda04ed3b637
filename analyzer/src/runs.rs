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
}
