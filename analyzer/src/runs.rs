//! Rows of a block that stand together and have something in common: a block is sorted by thread, and threads mostly stay
//! in one file for a while. What is asked once per run need not be asked for every row.

use std::ops::Range;

/// Runs of rows that are alike in two columns, in order.
pub fn runs<'a>(first: &'a [u32], second: &'a [u32]) -> impl Iterator<Item = Range<usize>> + 'a {
    let mut end = 0;
    std::iter::from_fn(move || {
        let start = end;
        let (a, b) = (first.get(start..)?, second.get(start..)?);
        let head = (*a.first()?, *b.first()?);
        let mut rows = a.iter().zip(b);
        end = start + rows.position(|(&a, &b)| (a, b) != head).unwrap_or(a.len());
        Some(start..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_run() {
        let found: Vec<_> = runs(&[1, 1, 2, 2, 2, 1], &[5, 5, 5, 6, 6, 6]).collect();
        assert_eq!(found, [0..2, 2..3, 3..5, 5..6]);
        assert_eq!(runs(&[], &[]).count(), 0);
    }
}
