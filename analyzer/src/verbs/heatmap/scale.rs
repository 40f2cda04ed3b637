//! From values to ten levels and back to words for the legend.

use crate::output::units::{grouped, short_count, short_duration};
use crate::request::weight::ColorScale;
use crate::request::weight::Weight;
use crate::verbs::heatmap::view::View;

impl Weight {
    /// What the number is.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Count => "faults",
            Self::Wait => "fault wait",
            Self::Max => "longest fault",
        }
    }

    /// The number for the right margin.
    #[must_use]
    pub fn long(self, value: u64) -> String {
        if self == Self::Count {
            grouped(value)
        } else {
            crate::output::units::duration(value)
        }
    }

    fn short(self, value: u64) -> String {
        if self == Self::Count {
            short_count(value)
        } else {
            short_duration(value)
        }
    }
}

/// Lower bounds of the levels, rising; the last is not above the largest value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scale {
    bounds: Vec<u64>,
    highest: u64,
    spread: ColorScale,
}

impl Scale {
    /// For the cells of a view.
    #[must_use]
    pub fn of(view: &View, weight: Weight, spread: ColorScale) -> Self {
        Self::new(view.cells.iter().flatten().map(|&cell| weight.of(cell)), spread)
    }

    /// Ten levels, or fewer when there are fewer different values, between the smallest and the largest value above 0.
    #[must_use]
    pub fn new(values: impl Iterator<Item = u64>, spread: ColorScale) -> Self {
        let (mut low, mut high) = (u64::MAX, 0);
        for value in values.filter(|&value| value > 0) {
            low = low.min(value);
            high = high.max(value);
        }
        let mut bounds: Vec<u64> = Vec::with_capacity(10);
        for level in 0..10u32 {
            let bound = match spread {
                ColorScale::Log => {
                    let ratio = (high as f64 / low as f64).powf(f64::from(level) / 10.0);
                    (low as f64 * ratio).round() as u64
                }
                ColorScale::Linear => low.saturating_add(high.saturating_sub(low) / 10 * u64::from(level)),
            };
            let bound = bounds
                .last()
                .map_or(low, |&last| bound.max(last.saturating_add(1)));
            if bound > high || bounds.last() == Some(&bound) {
                break;
            }
            bounds.push(bound);
        }
        Self {
            bounds,
            highest: high,
            spread,
        }
    }

    /// The level of a value, `None` for 0.
    #[must_use]
    pub fn level(&self, value: u64) -> Option<usize> {
        if value == 0 {
            None
        } else {
            self.bounds
                .partition_point(|&bound| bound <= value)
                .checked_sub(1)
        }
    }

    /// What the levels do not say: the highest value, and how they are spread.
    #[must_use]
    pub fn describe(&self, weight: Weight) -> String {
        let spread = match self.spread {
            ColorScale::Log => "logarithmic",
            ColorScale::Linear => "linear",
        };
        format!("{spread}, highest {}", weight.long(self.highest))
    }

    /// Each level with its lower bound in words.
    pub(crate) fn legend(&self, weight: Weight) -> impl Iterator<Item = (usize, String)> + '_ {
        self.bounds
            .iter()
            .enumerate()
            .map(move |(level, &bound)| (level, weight.short(bound)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_cover_small_and_large_ranges() {
        let scale = Scale::new([0, 1, 2, 3].into_iter(), ColorScale::Log);
        assert_eq!(scale.bounds, [1, 2, 3]);
        assert_eq!(
            [0, 1, 2, 3].map(|v| scale.level(v)),
            [None, Some(0), Some(1), Some(2)]
        );
        let scale = Scale::new([1, 1024].into_iter(), ColorScale::Log);
        assert_eq!(scale.bounds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
        assert_eq!(scale.level(1024), Some(9));
        let scale = Scale::new([100, 1000].into_iter(), ColorScale::Linear);
        assert_eq!(scale.bounds, [100, 190, 280, 370, 460, 550, 640, 730, 820, 910]);
    }

    #[test]
    fn nothing_and_extremes_have_a_scale() {
        assert_eq!(Scale::new(std::iter::empty(), ColorScale::Log).level(5), None);
        for spread in [ColorScale::Log, ColorScale::Linear] {
            let scale = Scale::new([1, u64::MAX].into_iter(), spread);
            assert_eq!(scale.level(u64::MAX), Some(9));
            assert_eq!(scale.level(1), Some(0));
            let scale = Scale::new([u64::MAX, u64::MAX].into_iter(), spread);
            assert_eq!(scale.level(u64::MAX), Some(0));
        }
    }
}
