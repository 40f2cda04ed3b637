//! The report's sentences on queries: how much of their time was page-fault wait. Of the query rows alone, in one pass.

use crate::engine::columns::Column;
use crate::engine::filter::Filter;
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::output::document::Document;
use crate::output::table::Table;
use crate::output::text::escape;
use crate::output::units::quantity;
use crate::stats::by_query_name::Groups;
use crate::trace::session::Session;
use pf_formats::Query as Row;
use polars::prelude::DataFrame;

/// Names in the report.
const SHOWN: usize = 5;

/// Characters of a name in a sentence.
const NAME_WIDTH: usize = 70;

/// Queries by name.
#[derive(Debug, Default)]
pub struct QueryShares {
    groups: Groups,
}

impl Pass for QueryShares {
    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    fn block(&mut self, _frame: &DataFrame, _session: &Session) -> Result<(), AnalyzeError> {
        Ok(())
    }

    fn row(&mut self, row: &Row, _session: &Session) {
        self.groups.add(row);
    }
}

impl QueryShares {
    /// One sentence for each of the first names; nothing where there are no queries.
    pub(crate) fn describe(&self, filter: &Filter, all: &str, page: &mut Document) {
        if self.groups.is_empty() {
            return;
        }
        page.heading("Queries, longest wait first");
        if let Some(condition) = filter.is_about_faults() {
            page.line(format!(
                "not shown: they are counted whole, and {condition} selects single faults"
            ));
            return;
        }
        let sentences = self.groups.sentences(SHOWN, NAME_WIDTH);
        for sentence in &sentences {
            page.item(escape(sentence));
        }
        match self.groups.len() - sentences.len() {
            0 => {}
            more if sentences.is_empty() => {
                page.line(format!("none of {} waited in page faults", names(more)));
            }
            more => page.line(format!("... and {} more: {all}", names(more))),
        }
    }

    /// As of `queries`, without what only the faults tell. Empty where the filter selects single faults.
    #[must_use]
    pub fn table(&self, filter: &Filter) -> Table {
        match filter.is_about_faults() {
            Some(_) => Table::default(),
            None => self.groups.table(),
        }
    }
}

fn names(count: usize) -> String {
    quantity(count as u64, "name")
}
