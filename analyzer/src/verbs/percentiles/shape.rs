//! A histogram for the eye: latencies in rows of 1, 2 and 5 times the powers of ten, each class with its own bars. Its counts
//! are exact.

use crate::engine::tally::Cell;
use crate::output::table::{ColumnHead, Table, Value};
use crate::output::units::{grouped, percent, short_duration};
use crate::stats::by_class::Fault;
use crate::trace::class::Class;
use std::io::{self, Write};

/// Lower bounds of the rows, nanoseconds.
const BOUNDS: [u64; 59] = bounds();

/// 0, and 1, 2 and 5 times every power of ten that fits.
const fn bounds() -> [u64; 59] {
    let mut bounds = [0; 59];
    let (mut row, mut power) = (1, 1u64);
    while row < bounds.len() {
        let of_three = (row - 1) % 3;
        bounds[row] = match of_three {
            0 => power,
            1 => power * 2,
            _ => power * 5,
        };
        if of_three == 2 {
            power *= 10;
        }
        row += 1;
    }
    bounds
}

/// Faults by row and class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    rows: Vec<[Cell; 3]>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            rows: vec![[Cell::default(); 3]; BOUNDS.len()],
        }
    }
}

impl Shape {
    /// Adds a fault.
    pub fn add(&mut self, fault: &Fault) {
        let row = BOUNDS.partition_point(|&bound| bound <= fault.latency_ns);
        let cells = self.rows.get_mut(row.saturating_sub(1));
        if let Some(cell) = cells.and_then(|cells| cells.get_mut(fault.class as usize)) {
            cell.merge(Cell::of(fault.latency_ns, fault.weight));
        }
    }

    fn total(&self) -> Cell {
        let mut total = Cell::default();
        self.rows.iter().flatten().for_each(|cell| total.merge(*cell));
        total
    }

    /// Rows from the first to the last with a fault: bounds, cells, and what there is up to here.
    fn used(&self) -> Vec<(u64, u64, [Cell; 3], Cell)> {
        let count = |cells: &[Cell; 3]| cells.iter().map(|cell| u128::from(cell.count)).sum::<u128>();
        let is_used = |cells: &[Cell; 3]| count(cells) > 0;
        let first = self.rows.iter().position(is_used).unwrap_or(0);
        let last = self.rows.iter().rposition(is_used);
        let end = last.map_or(0, |last| last + 1);
        let mut so_far = Cell::default();
        let ends = BOUNDS.iter().skip(1).copied().chain([u64::MAX]);
        let rows = BOUNDS.iter().zip(ends).zip(&self.rows).take(end).skip(first);
        rows.map(|((&from, to), cells)| {
            cells.iter().for_each(|cell| so_far.merge(*cell));
            (from, to, *cells, so_far)
        })
        .collect()
    }

    /// The rows for programs.
    #[must_use]
    pub fn table(&self) -> Table {
        let whole = self.total();
        let rows = self.used().into_iter().map(|(from, to, cells, so_far)| {
            let mut row = vec![Value::Us(from), Value::Us(to)];
            let mut own = Cell::default();
            for cell in &cells {
                row.push(Value::Count(cell.count));
                own.merge(*cell);
            }
            row.extend([
                Value::Ms(own.wait_ns),
                Value::Percent {
                    part: so_far.count,
                    whole: whole.count,
                },
                Value::Percent {
                    part: so_far.wait_ns,
                    whole: whole.wait_ns,
                },
            ]);
            row
        });
        Table {
            heads: vec![
                ColumnHead::new("from_us"),
                ColumnHead::new("to_us"),
                ColumnHead::new("major"),
                ColumnHead::new("minor"),
                ColumnHead::new("failed"),
                ColumnHead::new("wait_ms"),
                ColumnHead::new("cum_percent"),
                ColumnHead::new("cum_wait_percent"),
            ],
            rows: rows.collect(),
            total: None,
        }
    }

    /// Draws it, `width` characters wide.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_text(&self, width: usize, colour: bool, out: &mut dyn Write) -> io::Result<()> {
        let rows = self.used();
        let columns: Vec<Column> = Class::ALL
            .into_iter()
            .filter_map(|class| Column::new(class, &rows))
            .collect();
        if columns.is_empty() {
            return Ok(());
        }
        let labels: Vec<String> = rows
            .iter()
            .map(|&(from, to, ..)| format!("{} - {}", round(from), round(to)))
            .collect();
        let label_width = labels
            .iter()
            .map(|label| label.chars().count())
            .max()
            .unwrap_or(0);
        let fixed: usize =
            label_width + SHARES + columns.iter().map(|column| column.width + 3).sum::<usize>();
        let bar = (width.saturating_sub(fixed) / columns.len()).clamp(5, 60);
        let mut line = format!("{:<label_width$}", "LATENCY");
        for column in &columns {
            let title = column.class.name().to_uppercase();
            line.push_str(&format!("  {title:>0$} {1:bar$}", column.width, ""));
        }
        writeln!(out, "{line}  {:>6}  {:>10}", "CUM_%", "CUM_WAIT_%")?;
        let whole = self.total();
        for (label, (_, _, cells, so_far)) in labels.iter().zip(&rows) {
            let mut line = format!("{label:>label_width$}");
            for column in &columns {
                let cell = cells.get(column.class as usize).copied().unwrap_or_default();
                line.push_str(&column.cell(cell.count, bar, colour));
            }
            let share =
                |part: u64, whole: u64| percent(u128::from(part), u128::from(whole)).replace(" %", "");
            let count = share(so_far.count, whole.count);
            let wait = share(so_far.wait_ns, whole.wait_ns);
            writeln!(out, "{line}  {count:>6}  {wait:>10}")?;
        }
        writeln!(
            out,
            "each class has its own scale; CUM_% is the share of the faults, CUM_WAIT_% of the wait, from the top"
        )
    }
}

/// Characters of the two shares with their gaps.
const SHARES: usize = 8 + 12;

/// `2us`: bounds are whole numbers of their unit.
fn round(ns: u64) -> String {
    if ns == u64::MAX {
        return "…".to_owned();
    }
    short_duration(ns).replace(".0", "")
}

/// A class in the drawing.
struct Column {
    class: Class,
    largest: u64,
    width: usize,
}

impl Column {
    /// `None` for a class without faults.
    fn new(class: Class, rows: &[(u64, u64, [Cell; 3], Cell)]) -> Option<Self> {
        let counts = rows
            .iter()
            .filter_map(|(_, _, cells, _)| cells.get(class as usize));
        let largest = counts.map(|cell| cell.count).max().unwrap_or(0);
        let width = grouped(largest).chars().count().max(class.name().len());
        (largest > 0).then_some(Self {
            class,
            largest,
            width,
        })
    }

    fn cell(&self, count: u64, bar: usize, colour: bool) -> String {
        let full = u128::from(count) * bar as u128;
        let length = usize::try_from(full.div_ceil(u128::from(self.largest))).unwrap_or(bar);
        let (mark, code) = match self.class {
            Class::Major => ("#", 203),
            Class::Minor => ("=", 75),
            Class::Failed => ("x", 228),
        };
        let number = if count == 0 { String::new() } else { grouped(count) };
        let marks = mark.repeat(length);
        let marks = if colour && length > 0 {
            format!("\x1b[38;5;{code}m{marks}\x1b[0m")
        } else {
            marks
        };
        let gap = " ".repeat(bar - length);
        format!("  {number:>0$} {marks}{gap}", self.width)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shape(faults: &[(u64, Class, u64)]) -> Shape {
        let mut shape = Shape::default();
        for &(latency_ns, class, weight) in faults {
            shape.add(&Fault {
                latency_ns,
                class,
                weight,
                is_abandoned: false,
                breakdown: None,
            });
        }
        shape
    }

    fn drawn(shape: &Shape, colour: bool) -> String {
        let mut out = Vec::new();
        shape.write_text(64, colour, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn majors_and_minors_have_bars_of_their_own() {
        let shape = shape(&[
            (999, Class::Minor, 6),
            (1_000, Class::Minor, 2),
            (1_999, Class::Minor, 1),
            (6_000, Class::Major, 1),
        ]);
        let expected = "\
LATENCY      MAJOR           MINOR            CUM_%  CUM_WAIT_%
500ns - 1us                      6 ========    60.0        37.5
  1us - 2us                      3 ====        90.0        62.5
  2us - 5us                                    90.0        62.5
 5us - 10us      1 ########                   100.0       100.0
each class has its own scale; CUM_% is the share of the faults, CUM_WAIT_% of the wait, from the top
";
        assert_eq!(drawn(&shape, false), expected);
        assert!(drawn(&shape, true).contains("\x1b[38;5;203m########\x1b[0m"));
    }

    #[test]
    fn every_latency_has_a_row() {
        let all = shape(&[(0, Class::Minor, 1), (u64::MAX, Class::Failed, u64::MAX)]);
        let table = all.table();
        assert_eq!(table.rows.len(), 59);
        assert_eq!(
            table.rows[0][..4],
            [Value::Us(0), Value::Us(1), Value::Count(0), Value::Count(1)]
        );
        assert!(BOUNDS.is_sorted() && BOUNDS[1..5] == [1, 2, 5, 10]);
        assert!(drawn(&all, false).lines().count() == 61);
        assert_eq!(drawn(&Shape::default(), false), "");
        assert!(Shape::default().table().rows.is_empty());
    }
}
