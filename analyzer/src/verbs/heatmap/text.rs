//! A view as text: time to the right, places downwards, what one cell is, and what each level means.

use crate::output::units::{bytes, duration, fixed};
use crate::request::weight::ColorScale;
use crate::request::weight::Weight;
use crate::verbs::heatmap::scale::Scale;
use crate::verbs::heatmap::view::{Rows, View};
use std::io::{self, Write};

/// How the cells are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// What a cell shows.
    pub weight: Weight,
    /// How levels are spread.
    pub spread: ColorScale,
    /// Blocks of colour instead of digits.
    pub colour: bool,
}

/// 256-colour codes from cold to hot, rising in brightness so that they also read without hue.
const PALETTE: [u8; 10] = [17, 18, 55, 90, 126, 161, 197, 203, 215, 228];

/// Columns that are not cells: a label of 14, the right margin, the frame.
pub(crate) const MARGIN_COLUMNS: usize = 14 + 3 + 12;

/// Draws the view; the legend is broken at `width`.
///
/// # Errors
/// When `out` cannot be written.
pub fn draw(view: &View, style: Style, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let weight = style.weight;
    let scale = Scale::of(view, weight, style.spread);
    for row in view.rows_downwards() {
        let line = view.cells.get(row).map(Vec::as_slice).unwrap_or_default();
        let total = view.row_totals.get(row).copied().unwrap_or_default();
        let levels: Vec<Option<usize>> = line.iter().map(|&cell| scale.level(weight.of(cell))).collect();
        let label = view.row_label(row);
        let margin = if total.count == 0 {
            String::new()
        } else {
            weight.long(weight.of(total))
        };
        writeln!(
            out,
            "{}",
            format!("{label:>14} |{}| {margin:>10}", paint(&levels, style.colour)).trim_end()
        )?;
    }
    let (ruler, labels) = time_axis(view, view.columns());
    writeln!(out, "{:>14} +{ruler}+", "")?;
    writeln!(out, "{:>14}  {labels}", "")?;
    let time = duration(view.column_ns);
    let cell = match view.rows {
        Rows::Bytes { step, .. } => format!("one cell: {time} x {}", bytes(step)),
        Rows::Latency { .. } => format!("one cell: {time}, from its latency to that above"),
    };
    writeln!(
        out,
        "{cell}; blank: none; at least this {} per cell:",
        noun(weight)
    )?;
    let levels = scale.legend(weight).map(|(level, bound)| {
        let shown = format!("{}={bound}", paint(&[Some(level)], style.colour));
        (bound.chars().count() + 4, shown)
    });
    let described = format!("({})", scale.describe(weight));
    let mut line = String::new();
    let mut used = 0;
    // Colours have no width.
    for (length, part) in levels.chain([(described.chars().count() + 2, described)]) {
        if used > 0 && used + length > width {
            writeln!(out, "{line}")?;
            (line, used) = (String::new(), 0);
        }
        line.push_str(&format!("  {part}"));
        used += length;
    }
    writeln!(out, "{line}")
}

fn noun(weight: Weight) -> &'static str {
    match weight {
        Weight::Count => "many faults",
        Weight::Wait => "wait",
        Weight::Max => "longest fault",
    }
}

/// Digits, or runs of background colour.
fn paint(levels: &[Option<usize>], colour: bool) -> String {
    let digit = |level: usize| char::from_digit(u32::try_from(level).unwrap_or(9), 10).unwrap_or('9');
    if !colour {
        return levels.iter().map(|level| level.map_or(' ', digit)).collect();
    }
    let mut text = String::new();
    let mut current = None;
    for &level in levels {
        if level != current {
            text.push_str(&match level.and_then(|level| PALETTE.get(level)) {
                Some(code) => format!("\x1b[48;5;{code}m"),
                None => "\x1b[0m".to_owned(),
            });
            current = level;
        }
        text.push(' ');
    }
    if current.is_some() {
        text.push_str("\x1b[0m");
    }
    text
}

/// A ruler with a tick at every label, and the labels in seconds.
fn time_axis(view: &View, columns: usize) -> (String, String) {
    const TICK_EVERY: usize = 12;
    let tick_ns = view.column_ns.saturating_mul(TICK_EVERY as u64);
    // As many decimals as it takes to tell two ticks apart to a tenth.
    let decimals = (1..9u32)
        .find(|&digits| 10u64.pow(10 - digits) <= tick_ns)
        .unwrap_or(9);
    let ruler = (0..columns)
        .map(|column| if column % TICK_EVERY == 0 { '|' } else { '-' })
        .collect();
    let mut labels = String::new();
    for column in (0..columns).step_by(TICK_EVERY) {
        let mut label = fixed(view.column_start_ns(column), 1_000_000_000, decimals);
        if column == 0 {
            label.push_str(" s");
        }
        // A label may only start where the one before has ended.
        if labels.len() <= column {
            labels.push_str(&" ".repeat(column - labels.len()));
            labels.push_str(&label);
            labels.push(' ');
        }
    }
    (ruler, labels.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::engine::tally::Cell;
    use crate::verbs::heatmap::grid::{Fineness, Grid};
    use crate::verbs::heatmap::view::{Ask, Unit, Zoom};

    fn drawn(colour: bool) -> String {
        let mut grid = Grid::new(Fineness::MOST, u64::MAX, 0);
        for i in 0..4u64 {
            for _ in 0..=i {
                grid.add(i * 1_000_000_000, i, Cell::of(1_000, 1));
            }
        }
        let ask = Ask {
            window_ns: (0, 4_000_000_000),
            pages: None,
            size: (4, 15),
            unit: Unit::Pages(4096),
            zoom: Zoom::OFF,
        };
        let view = View::new(&grid, &grid.regions()[0], &ask);
        let mut out = Vec::new();
        draw(
            &view,
            Style {
                weight: Weight::Count,
                spread: ColorScale::Log,
                colour,
            },
            80,
            &mut out,
        )
        .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_heatmap_has_axes_totals_and_a_scale() {
        let expected = "           0x0 |0              |          1
        0x1000 |   1           |          2
        0x2000 |       2       |          3
        0x3000 |           3   |          4
               +|-----------|--+
                0.0 s       3.2
one cell: 267.39 ms x 4.0 KiB; blank: none; at least this many faults per cell:
  0=1  1=2  2=3  3=4  (logarithmic, highest 4)
";
        assert_eq!(drawn(false), expected);
    }

    #[test]
    fn colour_is_always_switched_off_again() {
        let text = drawn(true);
        assert!(text.contains("\x1b[48;5;17m \x1b[0m"));
        for line in text.lines().filter(|line| line.contains('\x1b')) {
            assert!(line.rfind("\x1b[0m") > line.rfind("\x1b[48"), "{line}");
        }
    }
}
