//! `--sort` and `--top` of events: the few rows that come first in an order, kept while the trace is read.

use crate::engine::columns::{Column, FAULTS};
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::output::order::Order;
use crate::trace::session::Session;
use polars::prelude::{DataFrame, DataType, SortMultipleOptions};

/// The most rows that are kept: some 20 MB.
pub const MOST: usize = 100_000;

/// Keeps the rows that come first.
#[derive(Debug)]
pub struct Selection {
    /// Without one, rows come in the order of the trace.
    by: Option<(Vec<Column>, bool)>,
    top: usize,
    rows: Option<DataFrame>,
}

impl Selection {
    /// `None` where all events are asked for as they are.
    ///
    /// # Errors
    /// When there is no such column, or no bound on the number of rows.
    pub fn of(order: &Order) -> Result<Option<Self>, AnalyzeError> {
        if order.by.is_none() && order.top.is_none() {
            return Ok(None);
        }
        let top = order.top.filter(|&top| top <= MOST).ok_or_else(|| {
            AnalyzeError::Usage(format!(
                "events are written as they are read: give --top N, at most {MOST}, and these are kept and sorted"
            ))
        })?;
        let by = match &order.by {
            Some(by) => {
                let columns = columns_of(&by.column)?;
                let is_text = columns
                    .first()
                    .is_some_and(|column| column.dtype() == DataType::String);
                Some((columns, by.rising.unwrap_or(is_text)))
            }
            None => None,
        };
        Ok(Some(Self { by, top, rows: None }))
    }

    /// The rows, once the trace was read.
    #[must_use]
    pub fn rows(&self) -> Option<&DataFrame> {
        self.rows.as_ref()
    }

    /// The first rows of a frame. Equal ones come by their time.
    fn first(&self, frame: &DataFrame) -> Result<DataFrame, AnalyzeError> {
        let by = self.by.iter().flat_map(|(columns, rising)| {
            let names = columns.iter().map(|column| column.name());
            names.map(move |name| (name, !rising))
        });
        let ties = [Column::TsNs, Column::Pid, Column::Tid].map(|column| (column.name(), false));
        let (names, falling): (Vec<&str>, Vec<bool>) = by.chain(ties).unzip();
        let order = SortMultipleOptions::default()
            .with_order_descending_multi(falling)
            .with_nulls_last(true)
            .with_maintain_order(true)
            .with_multithreaded(false);
        Ok(frame.sort(names, order)?.head(Some(self.top)))
    }
}

/// By its name in CSV, that in the table, or without the unit: `latency_ns`, `LATENCY_US` and `latency` are one column.
fn columns_of(name: &str) -> Result<Vec<Column>, AnalyzeError> {
    let asked = name.to_ascii_lowercase();
    match asked.as_str() {
        "time" | "time_s" => return Ok(vec![Column::TsNs]),
        "weight" => return Ok(vec![Column::Weight]),
        "class" => return Ok(vec![Column::Failed, Column::Major]),
        "file+offset" => return Ok(vec![Column::File, Column::FileOffset]),
        _ => {}
    }
    let stem = asked.strip_suffix("_us").unwrap_or(&asked);
    let fits = |column: &&Column| {
        let own = column.name();
        own == asked
            || ["_ns", "_id"]
                .iter()
                .any(|unit| own.strip_suffix(unit) == Some(stem))
    };
    let found = FAULTS.iter().find(fits).map(|column| vec![*column]);
    found.ok_or_else(|| {
        let names: Vec<&str> = FAULTS.iter().map(|column| column.name()).collect();
        AnalyzeError::Usage(format!(
            "--sort: there is no column '{name}' here; there are {}, weight, time, class, and the titles of the table",
            names.join(", ")
        ))
    })
}

impl Pass for Selection {
    fn columns(&self) -> Vec<Column> {
        [&FAULTS[..], &[Column::Weight]].concat()
    }

    fn block(&mut self, frame: &DataFrame, _: &Session) -> Result<(), AnalyzeError> {
        if frame.height() == 0 {
            return Ok(());
        }
        let first = self.first(frame)?;
        self.rows = Some(match self.rows.take() {
            Some(kept) => self.first(&kept.vstack(&first)?)?,
            None => first,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::verbs::events::line::Layout;

    #[test]
    fn every_title_of_the_table_names_what_it_shows() {
        let all = Layout {
            has_breakdown: true,
            has_query: true,
            has_stack: true,
            has_weight: true,
            width: None,
        };
        for (title, _) in all.titles() {
            assert!(columns_of(title).is_ok(), "{title}");
            assert_eq!(
                columns_of(title).unwrap(),
                columns_of(&title.to_lowercase()).unwrap()
            );
        }
        for (name, column) in [
            ("TIME_S", Column::TsNs),
            ("time", Column::TsNs),
            ("LATENCY_US", Column::LatencyNs),
            ("latency", Column::LatencyNs),
            ("QUERY", Column::QueryId),
            ("weight", Column::Weight),
        ] {
            assert_eq!(columns_of(name).unwrap(), [column], "{name}");
        }
        assert!(columns_of("_us").is_err() && columns_of("nosuch").is_err());
    }
}
