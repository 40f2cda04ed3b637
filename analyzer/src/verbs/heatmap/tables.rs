//! A heatmap as numbers: a table of the cells with faults, or a complete grid of `time place value` lines, as damo and gnuplot
//! have it. Numbers are never zoomed: they are of all that passes the filter.

use crate::engine::filter::Filter;
use crate::error::AnalyzeError;
use crate::output::table::{ColumnHead, Table, Value};
use crate::request::weight::Weight;
use crate::trace::session::Session;
use crate::verbs::heatmap::grids::Key;
use crate::verbs::heatmap::panels::Extent;
use crate::verbs::heatmap::pass::{Axis, Heat};
use crate::verbs::heatmap::view::View;
use std::io::Write;

impl Heat {
    /// All parts as time, place and value; only cells with faults.
    #[must_use]
    pub fn table(&self, session: &Session, filter: &Filter, size: (usize, usize), weight: Weight) -> Table {
        let heads = match self.axis {
            Axis::Latency => vec![
                ColumnHead::new("time_s"),
                ColumnHead::new("latency_us"),
                ColumnHead::new("value"),
            ],
            Axis::Address(_) => vec![
                ColumnHead::new("time_s"),
                ColumnHead::new("address"),
                ColumnHead::new("value"),
                ColumnHead::new("pid"),
            ],
            Axis::File => vec![
                ColumnHead::new("time_s"),
                ColumnHead::new("file"),
                ColumnHead::new("file_offset"),
                ColumnHead::new("address"),
                ColumnHead::new("value"),
                ColumnHead::new("pid"),
            ],
        };
        let mut rows = Vec::new();
        for part in self.parts(weight) {
            let view = self.view(&part, size, None, session, filter);
            for column in 0..view.columns() {
                for (row, line) in view.cells.iter().enumerate() {
                    let Some(&cell) = line.get(column).filter(|cell| cell.count > 0) else {
                        continue;
                    };
                    let value = match weight {
                        Weight::Count => Value::Count(cell.count),
                        Weight::Wait | Weight::Max => Value::Us(weight.of(cell)),
                    };
                    let mut cells = vec![Value::Seconds(view.column_start_ns(column))];
                    let start = view.row_start(row);
                    match (self.axis, part.key) {
                        (Axis::Latency, _) | (_, Key::Latency) => cells.extend([Value::Us(start), value]),
                        (axis, key) => {
                            let (of_file, address, pid) = match key {
                                Key::File(name) => {
                                    let of_file = [Value::Text(name.clone()), Value::Id(start)];
                                    (of_file, Value::Null, Value::Null)
                                }
                                Key::Process(pid) => {
                                    let nothing = [Value::Null, Value::Null];
                                    (nothing, Value::Id(start), Value::Id(u64::from(*pid)))
                                }
                                Key::Latency => ([Value::Null, Value::Null], Value::Null, Value::Null),
                            };
                            if axis == Axis::File {
                                cells.extend(of_file);
                            }
                            cells.extend([address, value, pid]);
                        }
                    }
                    rows.push(cells);
                }
            }
        }
        Table {
            heads,
            rows,
            total: None,
        }
    }

    /// One line `time place value` for each cell of the heaviest parts, also for those without a fault: nanoseconds from
    /// the start of the recording, bytes or nanoseconds, faults or nanoseconds. Two empty lines separate parts. Returns what
    /// the lines of each part are, in words.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub(crate) fn write_raw(
        &self,
        session: &Session,
        filter: &Filter,
        extent: Extent,
        weight: Weight,
        out: &mut dyn Write,
    ) -> Result<Vec<String>, AnalyzeError> {
        let unzoomed = |part: &_| self.view(part, extent.size, None, session, filter);
        let parts = self.parts(weight);
        let mut notes = Vec::new();
        let mut line = 1;
        for (index, part) in parts.iter().take(extent.regions).enumerate() {
            let view: View = unzoomed(part);
            if index > 0 {
                write!(out, "\n\n")?;
                line += 2;
            }
            let first = line;
            for column in 0..view.columns() {
                let time_ns = view.column_start_ns(column);
                for (row, cells) in view.cells.iter().enumerate() {
                    let value = cells.get(column).map_or(0, |&cell| weight.of(cell));
                    writeln!(out, "{time_ns} {} {value}", view.row_start(row))?;
                    line += 1;
                }
            }
            let last = line - 1;
            let unit = match weight {
                Weight::Count => "faults",
                Weight::Wait => "wait in ns",
                Weight::Max => "longest fault in ns",
            };
            let place = match part.key {
                Key::Latency => "latency in ns",
                Key::File(_) | Key::Process(_) => "byte",
            };
            let title = self.title(part, session);
            notes.push(format!(
                "lines {first} to {last}: {title}; each is time in ns, {place}, {unit}"
            ));
        }
        if let Some(left_out) = parts.len().checked_sub(extent.regions).filter(|&more| more > 0) {
            notes.push(format!(
                "{} left out: --panels shows more",
                match left_out {
                    1 => "1 lighter place is".to_owned(),
                    places => format!("{places} lighter places are"),
                }
            ));
        }
        Ok(notes)
    }
}
