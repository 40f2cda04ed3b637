//! Where everything of a heatmap is on the canvas: a heading, and below one another the panels, each with its title, axes,
//! cells and a colour bar of its own.

use crate::output::text::{keep_end, wrap};
use crate::output::units::{bytes, duration, fixed, grouped, short_duration};
use crate::request::weight::ColorScale;
use crate::request::weight::Weight;
use crate::verbs::heatmap::latency;
use crate::verbs::heatmap::panels::Panel;
use crate::verbs::heatmap::picture::ticks::{Tick, of_bytes, of_latency, of_time};
use crate::verbs::heatmap::picture::{Anchor, BLACK, Canvas, DARK, FAINT, Ink, Item, LETTER, LINE, PAPER};
use crate::verbs::heatmap::scale::Scale;
use crate::verbs::heatmap::view::{Rows, View};

/// Cells of a picture when no number is given: rows and columns.
pub(crate) const CELLS: (usize, usize) = (90, 220);
/// Pixels that the cells of a panel cover, or fewer, as long as a cell has one.
const PLOT: (u32, u32) = (360, 880);
/// Cells with tooltips; more would make the file slow to open.
const TIPS: usize = 12_000;
/// Empty space around everything.
const EDGE: u32 = 16;
/// Letters of the labels beside the rows.
const LABEL: u32 = 14;
/// Left of the cells: labels, tick marks.
const LEFT: u32 = EDGE + LABEL * LETTER + 12;
/// Right of the cells: the colour bar with its labels.
const RIGHT: u32 = 24 + BAR + 8 + 9 * LETTER + EDGE;
/// Width of the colour bar.
const BAR: u32 = 18;
/// Length of a tick mark.
const TICK: u32 = 5;

/// What the picture says besides its panels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The first line.
    pub title: String,
    /// What was recorded, and what to know of it; above the panels.
    pub head: Vec<String>,
    /// What is not shown; below the panels.
    pub foot: Vec<String>,
}

/// Lays out the picture. With `tips` every cell says what it holds when a pointer is on it, if there are not too many.
#[must_use]
pub fn layout(panels: &[Panel], words: &Words, weight: Weight, spread: ColorScale, tips: bool) -> Canvas {
    let widest = panels.iter().map(|panel| plot_size(&panel.view).0).max();
    let width = LEFT + widest.unwrap_or(PLOT.1).max(PLOT.1 / 2) + RIGHT;
    let filled = panels.iter().flat_map(|panel| panel.view.cells.iter().flatten());
    let tips = tips && filled.filter(|cell| cell.count > 0).count() <= TIPS;
    let mut page = Page {
        width,
        y: EDGE,
        items: Vec::new(),
    };
    page.line(&words.title, true, BLACK);
    page.paragraphs(&words.head, DARK);
    for panel in panels {
        page.y += LINE;
        page.line(&panel.title, true, BLACK);
        page.paragraphs(&panel.facts, DARK);
        page.panel(panel, &Scale::of(&panel.view, weight, spread), weight, tips);
    }
    if panels.is_empty() {
        page.y += LINE;
        page.line("no faults to draw", false, BLACK);
    }
    if !words.foot.is_empty() {
        page.y += LINE / 2;
        page.paragraphs(&words.foot, DARK);
    }
    Canvas {
        width,
        height: page.y + EDGE,
        title: words.title.clone(),
        items: page.items,
    }
}

/// Pixels of one cell.
fn cell_size(view: &View) -> (u32, u32) {
    let fit = |room: u32, count: usize| (room / u32::try_from(count.max(1)).unwrap_or(room)).max(1);
    (fit(PLOT.1, view.columns()), fit(PLOT.0, view.cells.len()))
}

fn plot_size(view: &View) -> (u32, u32) {
    let (width, height) = cell_size(view);
    let times = |size: u32, count: usize| size.saturating_mul(u32::try_from(count).unwrap_or(1));
    (times(width, view.columns()), times(height, view.cells.len()))
}

struct Page {
    width: u32,
    y: u32,
    items: Vec<Item>,
}

impl Page {
    fn letters(&self) -> usize {
        ((self.width - 2 * EDGE) / LETTER) as usize
    }

    fn line(&mut self, text: &str, bold: bool, ink: Ink) {
        let mut text = text.to_owned();
        if text.chars().count() > self.letters() {
            // The dots of keep_end are not in every font.
            text = keep_end(&text, self.letters() - 1).replace('…', "..");
        }
        self.text((EDGE, self.y), Anchor::Start, text, bold, ink);
        self.y += LINE;
    }

    fn paragraphs(&mut self, texts: &[String], ink: Ink) {
        let letters = self.letters();
        for line in texts.iter().flat_map(|text| wrap(text, letters)) {
            self.line(&line, false, ink);
        }
    }

    fn text(&mut self, (x, y): (u32, u32), anchor: Anchor, text: String, bold: bool, ink: Ink) {
        self.items.push(Item::Text {
            x,
            y,
            anchor,
            text,
            bold,
            ink,
        });
    }

    fn rect(&mut self, (x, y): (u32, u32), (width, height): (u32, u32), ink: Ink) {
        self.items.push(Item::Rect {
            x,
            y,
            width,
            height,
            ink,
            tip: None,
        });
    }

    fn panel(&mut self, panel: &Panel, scale: &Scale, weight: Weight, tips: bool) {
        let view = &panel.view;
        let (width, height) = plot_size(view);
        self.y += LINE / 4;
        let axis = match (view.rows, panel.is_address) {
            (Rows::Latency { .. }, _) => "latency",
            (Rows::Bytes { .. }, true) => "address",
            (Rows::Bytes { .. }, false) => "file offset",
        };
        self.text((LEFT - 12, self.y), Anchor::End, axis.to_owned(), false, BLACK);
        let bar_title = format!("{} per cell ({})", weight.title(), scale.describe(weight));
        let right = self.width - EDGE;
        self.text((right, self.y), Anchor::End, bar_title, false, BLACK);
        self.y += LINE + LINE / 4;
        let top = self.y;
        self.frame((LEFT, top), (width, height));
        self.row_ticks(panel, top);
        self.time_ticks(view, top + height, top);
        self.cells(view, scale, weight, tips, top);
        self.colour_bar(scale, weight, top, height);
        self.y = top + height.max(LINE * 11) + TICK + 4 + LINE;
        let cell = match view.rows {
            Rows::Bytes { step, .. } => format!("{} x {}", duration(view.column_ns), bytes(step)),
            Rows::Latency { .. } => duration(view.column_ns),
        };
        let below = format!("time since the start of the recording; a cell is {cell}");
        self.text((LEFT + width / 2, self.y), Anchor::Middle, below, false, DARK);
        self.y += LINE;
    }

    fn frame(&mut self, (x, y): (u32, u32), (width, height): (u32, u32)) {
        self.rect((x - 1, y - 1), (width + 2, height + 2), DARK);
        self.rect((x, y), (width, height), PAPER);
    }

    /// A faint line through the plot, a mark, and the label, for each tick; labels that would touch are left out.
    fn row_ticks(&mut self, panel: &Panel, top: u32) {
        let view = &panel.view;
        let (width, height) = plot_size(view);
        let (from, to) = view.shown_places();
        let most = u64::from(height / (2 * LINE)).max(1);
        let ticks: Vec<Tick> = match view.rows {
            Rows::Bytes { step, .. } => of_bytes(from, to, most, step, panel.is_address),
            Rows::Latency { .. } => of_latency(from, to),
        };
        let mut last: Option<u32> = None;
        for (value, label) in ticks {
            let down = down(view, value).min(height);
            if last.is_some_and(|last| last.abs_diff(down) < LINE) {
                continue;
            }
            last = Some(down);
            let y = top + down;
            if down > 0 && down < height {
                self.rect((LEFT, y), (width, 1), FAINT);
            }
            self.rect((LEFT - 1 - TICK, y), (TICK, 1), DARK);
            let middle = y.saturating_sub(LINE / 2);
            self.text((LEFT - TICK - 7, middle), Anchor::End, label, false, BLACK);
        }
    }

    fn time_ticks(&mut self, view: &View, bottom: u32, top: u32) {
        let (width, _) = plot_size(view);
        let (from, to) = view.shown_ns();
        let span = to.saturating_sub(from).max(1);
        let most = u64::from(width / (11 * LETTER)).max(1);
        for (ns, label) in of_time(from, to, most) {
            let across = u128::from(ns - from) * u128::from(width) / u128::from(span);
            let x = LEFT + u32::try_from(across).unwrap_or(width).min(width);
            if x > LEFT && x < LEFT + width {
                self.rect((x, top), (1, bottom - top), FAINT);
            }
            self.rect((x, bottom + 1), (1, TICK), DARK);
            self.text((x, bottom + TICK + 3), Anchor::Middle, label, false, BLACK);
        }
    }

    fn cells(&mut self, view: &View, scale: &Scale, weight: Weight, tips: bool, top: u32) {
        let (width, height) = cell_size(view);
        let mut y = top;
        for row in view.rows_downwards() {
            let line = view.cells.get(row).map(Vec::as_slice).unwrap_or_default();
            let mut x = LEFT;
            // Cells of one colour side by side are one rectangle where there are no tooltips.
            let mut run: Option<(usize, u32)> = None;
            for (column, &cell) in line.iter().enumerate() {
                let level = scale.level(weight.of(cell));
                if let (Some(level), true) = (level, tips) {
                    self.items.push(Item::Rect {
                        x,
                        y,
                        width,
                        height,
                        ink: Ink::Level(level),
                        tip: Some(tip(view, row, column)),
                    });
                } else if run.map(|(level, _)| level) != level {
                    self.end_run(run.take(), x, y, height);
                    run = level.map(|level| (level, x));
                }
                x += width;
            }
            self.end_run(run, x, y, height);
            y += height;
        }
    }

    fn end_run(&mut self, run: Option<(usize, u32)>, x: u32, y: u32, height: u32) {
        if let Some((level, start)) = run {
            self.rect((start, y), (x - start, height), Ink::Level(level));
        }
    }

    /// A field for each level, the hottest on top, with the least value that has it.
    fn colour_bar(&mut self, scale: &Scale, weight: Weight, top: u32, height: u32) {
        let x = self.width - RIGHT + 24;
        let legend: Vec<(usize, String)> = scale.legend(weight).collect();
        let field = (height / 11).max(LINE);
        let mut y = top;
        for (level, bound) in legend.into_iter().rev() {
            self.rect((x, y), (BAR, field), Ink::Level(level));
            // Just above the edge that the number is of.
            let foot = y + field - LINE + 3;
            self.text(
                (x + BAR + 8, foot),
                Anchor::Start,
                format!(">= {bound}"),
                false,
                BLACK,
            );
            y += field;
        }
        self.rect((x - 1, y), (BAR + 2, field), DARK);
        self.rect((x, y + 1), (BAR, field - 2), PAPER);
        self.text(
            (x + BAR + 8, y + (field - LINE) / 2),
            Anchor::Start,
            "none".into(),
            false,
            BLACK,
        );
    }
}

/// Pixels from the top of the cells to a byte or a latency.
fn down(view: &View, value: u64) -> u32 {
    let (_, cell) = cell_size(view);
    let (_, height) = plot_size(view);
    let pixels = |from: u64, step: u64| {
        let pixels = u128::from(value.saturating_sub(from)) * u128::from(cell) / u128::from(step.max(1));
        u32::try_from(pixels).unwrap_or(height).min(height)
    };
    match view.rows {
        Rows::Bytes { first, step } => pixels(first, step),
        Rows::Latency { first, step } => {
            let place = latency::place_of(value).saturating_sub(first.saturating_mul(1_000));
            let up = u128::from(place) * u128::from(cell) / u128::from(step.saturating_mul(1_000).max(1));
            height - u32::try_from(up).unwrap_or(height).min(height)
        }
    }
}

fn tip(view: &View, row: usize, column: usize) -> String {
    let cell = view
        .cells
        .get(row)
        .and_then(|line| line.get(column))
        .copied()
        .unwrap_or_default();
    let seconds = |column| fixed(view.column_start_ns(column), 1_000_000_000, 6);
    let (from, to) = (view.row_start(row), view.row_start(row + 1));
    let place = match view.rows {
        Rows::Bytes { .. } => format!("{from:#x}-{to:#x}"),
        Rows::Latency { .. } => format!("{} to {}", short_duration(from), short_duration(to)),
    };
    let what = match cell.count {
        1 => format!("1 fault, {}", duration(cell.max_ns)),
        count => format!(
            "{} faults, {} in all, longest {}",
            grouped(count),
            duration(cell.wait_ns),
            duration(cell.max_ns)
        ),
    };
    format!(
        "{} s to {} s, {place}: {what}",
        seconds(column),
        seconds(column + 1)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::engine::tally::Cell;
    use crate::verbs::heatmap::grid::{Fineness, Grid};
    use crate::verbs::heatmap::view::{Ask, Unit, Zoom};

    fn panel(unit: Unit, size: (usize, usize)) -> Panel {
        let mut grid = Grid::new(Fineness::MOST, u64::MAX, 0);
        for i in 0..100u64 {
            let page = if unit == Unit::Latency {
                latency::step_of(i * 1_000)
            } else {
                i
            };
            grid.add(i * 1_000_000, page, Cell::of(i * 1_000, 1));
        }
        let ask = Ask {
            window_ns: (0, 100_000_000),
            pages: None,
            size,
            unit,
            zoom: Zoom::OFF,
        };
        Panel {
            view: View::new(&grid, &grid.regions()[0], &ask),
            title: "a title that is longer than the page is wide ".repeat(9),
            facts: vec!["facts".into()],
            is_address: true,
        }
    }

    #[test]
    fn everything_is_on_the_canvas() {
        let words = Words {
            title: "title".into(),
            head: vec!["head ".repeat(99)],
            foot: vec!["foot".into()],
        };
        for size in [(1, 1), (3, 500), (1_000, 4), (90, 220)] {
            let panels = [panel(Unit::Pages(4096), size), panel(Unit::Latency, size)];
            for shown in [&panels[..], &panels[..1], &[]] {
                let canvas = layout(shown, &words, Weight::Count, ColorScale::Log, true);
                for item in &canvas.items {
                    let (left, right, bottom) = match item {
                        Item::Rect {
                            x, y, width, height, ..
                        } => (*x, x + width, y + height),
                        Item::Text {
                            x, y, anchor, text, ..
                        } => {
                            let length = text.chars().count() as u32 * LETTER;
                            let left = match anchor {
                                Anchor::Start => *x,
                                Anchor::Middle => x - length / 2,
                                Anchor::End => x - length,
                            };
                            (left, left + length, y + LINE)
                        }
                    };
                    assert!(
                        left < right && right <= canvas.width && bottom <= canvas.height,
                        "{item:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_tooltip_says_what_its_cell_holds() {
        let panels = [panel(Unit::Pages(4096), (10, 10))];
        let canvas = layout(&panels, &Words::default(), Weight::Wait, ColorScale::Log, true);
        let tips: Vec<&String> = canvas
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Rect { tip, .. } => tip.as_ref(),
                Item::Text { .. } => None,
            })
            .collect();
        assert_eq!(
            tips[0],
            "0.000000 s to 0.010027 s, 0x0-0xa000: 10 faults, 45.0 us in all, longest 9.0 us"
        );
        let without = layout(&panels, &Words::default(), Weight::Wait, ColorScale::Log, false);
        assert!(without.items.len() <= canvas.items.len());
    }
}
