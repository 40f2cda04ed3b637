//! The report's few lines on code: the functions that faulted, for recordings with stacks. The verb `stacks` has their callers.

use crate::engine::columns::Column;
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::output::command::Caller;
use crate::output::document::Document;
use crate::output::table::{ColumnHead, Table, Value};
use crate::trace::session::Session;
use crate::verbs::stacks::pass::{Base, Stacks};
use polars::prelude::DataFrame;

/// Functions in the report.
const SHOWN: usize = 5;

const HEADS: [ColumnHead; 5] = [
    ColumnHead::new("function"),
    ColumnHead::new("source"),
    ColumnHead::new("faults"),
    ColumnHead::new("total_ms"),
    ColumnHead::new("max_ms"),
];

/// Collects faults by stack.
#[derive(Debug, Default)]
pub struct CodeShares {
    stacks: Stacks,
    has_stacks: bool,
}

impl Pass for CodeShares {
    fn columns(&self) -> Vec<Column> {
        self.stacks.columns()
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let stacks = frame.column(Column::StackId.name())?;
        if stacks.null_count() == stacks.len() {
            return Ok(());
        }
        self.has_stacks = true;
        self.stacks.block(frame, session)
    }
}

impl CodeShares {
    /// The functions with most of the wait in themselves, and the command for their callers; nothing without stacks.
    ///
    /// # Errors
    /// When the stacks cannot be folded.
    pub fn describe(
        &self,
        session: &Session,
        caller: &Caller,
        width: usize,
        page: &mut Document,
    ) -> Result<(), AnalyzeError> {
        if !self.has_stacks {
            return Ok(());
        }
        let tree = self.stacks.finish(session, Base::Function)?;
        let functions = tree.own_by_function();
        let more = functions.len().saturating_sub(SHOWN);
        let rows = functions.into_iter().take(SHOWN).map(|(function, own)| {
            vec![
                Value::Prose(function.label()),
                function.source().map_or(Value::Null, Value::Text),
                Value::Count(own.count),
                Value::Ms(own.wait_ns),
                Value::Ms(own.max_ns),
            ]
        });
        page.heading("Code, longest wait first: the functions that faulted");
        let table = Table {
            heads: HEADS.to_vec(),
            rows: rows.collect(),
            total: None,
        };
        page.table(table, Some(width));
        let command = caller.command("stacks", &[]);
        page.line(match more {
            0 => format!("who called them: {command}"),
            more => format!("{more} more functions, and who called them: {command}"),
        });
        Ok(())
    }
}
