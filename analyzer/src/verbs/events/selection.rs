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
    by: Option<(Column, bool)>,
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
                let column = column_of(&by.column)?;
                let is_text = column.dtype() == DataType::String;
                Some((column, by.rising.unwrap_or(is_text)))
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
        let by = self.by.map(|(column, rising)| (column.name(), !rising));
        let ties = [Column::TsNs, Column::Pid, Column::Tid].map(|column| (column.name(), false));
        let (names, falling): (Vec<&str>, Vec<bool>) = by.into_iter().chain(ties).unzip();
        let order = SortMultipleOptions::default()
            .with_order_descending_multi(falling)
            .with_nulls_last(true)
            .with_maintain_order(true)
            .with_multithreaded(false);
        Ok(frame.sort(names, order)?.head(Some(self.top)))
    }
}

/// By its name, or without the unit: `latency` is `latency_ns`.
fn column_of(name: &str) -> Result<Column, AnalyzeError> {
    let fits = |column: &&Column| {
        let own = column.name();
        own.eq_ignore_ascii_case(name)
            || own
                .strip_suffix("_ns")
                .is_some_and(|own| own.eq_ignore_ascii_case(name))
    };
    FAULTS.iter().find(fits).copied().ok_or_else(|| {
        let names: Vec<&str> = FAULTS.iter().map(|column| column.name()).collect();
        AnalyzeError::Usage(format!(
            "--sort: there is no column '{name}' here; there are {}",
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
