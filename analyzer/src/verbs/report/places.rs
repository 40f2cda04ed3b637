//! What the report says of places: files, kinds of memory, and the small heatmap. The faults of a block are put together by
//! place once for all of it.

use crate::engine::columns::Column;
use crate::engine::partition::Gatherer;
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::trace::session::Session;
use crate::verbs::heatmap::pass::{Heat, Names};
use crate::verbs::report::file_sums::FileSums;
use polars::prelude::DataFrame;

/// Collects both.
#[derive(Debug)]
pub struct Places {
    /// The table.
    pub files: FileSums,
    /// The heatmap.
    pub heat: Heat,
    gatherer: Gatherer,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            files: FileSums::default(),
            heat: Heat::by_place(),
            gatherer: Gatherer::default(),
        }
    }
}

impl Pass for Places {
    fn columns(&self) -> Vec<Column> {
        self.heat.columns()
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let names = Names::of(frame)?;
        let (files, heat) = (&mut self.files, &mut self.heat);
        let bins = heat.begin(session);
        self.gatherer.each(frame, session, bins, true, |piece| {
            files.add(&piece, session);
            heat.add(&piece, &names, session);
        })?;
        heat.fit();
        Ok(())
    }
}
