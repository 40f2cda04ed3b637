//! Where the weight is on an axis that is mostly empty.

/// What may stay outside: one part in this many.
const OUTSIDE: u128 = 100;
/// An axis is cut only to less than one part in this many.
const WORTH: u64 = 2;

/// The shortest interval of bins that holds 99 % of the weight, with a little air, if it is less than half of `whole` (first
/// and last bin). It has no less than `least` bins.
#[must_use]
pub(crate) fn hottest(mut weights: Vec<(u64, u64)>, whole: (u64, u64), least: u64) -> Option<(u64, u64)> {
    weights.sort_unstable();
    let total: u128 = weights.iter().map(|&(_, weight)| u128::from(weight)).sum();
    let mut shortest: Option<(u64, u64)> = None;
    let mut inside = 0u128;
    let mut ends = weights.iter();
    let mut last = None;
    for &(begin, weight) in &weights {
        while total - inside > total / OUTSIDE {
            let Some(&(bin, weight)) = ends.next() else { break };
            inside += u128::from(weight);
            last = Some(bin);
        }
        if total - inside > total / OUTSIDE {
            break;
        }
        if let Some(end) = last
            && shortest.is_none_or(|(from, to)| end.saturating_sub(begin) < to - from)
        {
            shortest = Some((begin, end.max(begin)));
        }
        inside = inside.saturating_sub(u128::from(weight));
    }
    let (first, last) = shortest?;
    let length = last - first;
    let air = (length / 32).max(least.saturating_sub(length) / 2);
    let first = first.saturating_sub(air).max(whole.0);
    let last = last
        .saturating_add(air)
        .max(first.saturating_add(least))
        .min(whole.1);
    let is_worth = last.checked_sub(first)? < whole.1.saturating_sub(whole.0) / WORTH;
    is_worth.then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_found_and_stragglers_are_left_out() {
        let mut weights: Vec<(u64, u64)> = (500..600).map(|bin| (bin, 10)).collect();
        weights.extend([(3, 4), (990, 5)]);
        assert_eq!(hottest(weights.clone(), (0, 1_000), 10), Some((497, 602)));
        // Two in a hundred may not be left out.
        weights.push((4, 20));
        assert_eq!(hottest(weights, (0, 1_000), 10), None);
    }

    #[test]
    fn an_axis_in_use_stays_whole() {
        assert_eq!(
            hottest((0..1_000).map(|bin| (bin, 1)).collect(), (0, 999), 10),
            None
        );
        assert_eq!(hottest(vec![(0, 1), (999, 1)], (0, 999), 10), None);
        assert_eq!(hottest(Vec::new(), (0, 999), 10), None);
    }

    #[test]
    fn a_single_bin_gets_room_and_extremes_do_not_overflow() {
        assert_eq!(hottest(vec![(700, 9)], (0, 999), 100), Some((650, 750)));
        assert_eq!(hottest(vec![(0, 9)], (0, 999), 100), Some((0, 100)));
        let far = hottest(vec![(u64::MAX, u64::MAX), (0, 1)], (0, u64::MAX), 8);
        assert!(far.is_some_and(|(first, last)| first > 0 && last == u64::MAX));
        assert_eq!(hottest(vec![(5, 1)], (9, 2), 8), None);
    }
}
