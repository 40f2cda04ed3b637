//! The tables of a trace for questions: their columns without the trace, and their rows with it.

use crate::error::AnalyzeError;
use crate::verbs::sql::expression::Expression;
use crate::verbs::sql::faults::Faults;
use crate::verbs::sql::naming::{Named, Scope};
use crate::verbs::sql::query::Tables;
use crate::verbs::sql::row_set::Rows;
use crate::verbs::sql::schema::TableName;
use crate::verbs::sql::text;
use polars::prelude::DataFrame;
use std::cell::RefCell;
use std::collections::BTreeSet;

fn named(name: &str) -> Option<TableName> {
    TableName::ALL
        .into_iter()
        .find(|table| table.name().eq_ignore_ascii_case(name))
}

fn columns_of(table: TableName) -> Vec<Named> {
    let fields = table.fields().into_iter();
    fields
        .map(|field| Named {
            name: field.name.to_owned(),
            of: field.of,
        })
        .collect()
}

/// What tables there are, and which of them a question names.
#[derive(Debug, Default)]
pub struct KnownTables {
    used: RefCell<BTreeSet<TableName>>,
}

impl KnownTables {
    /// The tables that were asked for.
    #[must_use]
    pub fn used(&self) -> Vec<TableName> {
        self.used.borrow().iter().copied().collect()
    }
}

impl Tables for KnownTables {
    fn columns(&self, table: &str) -> Option<Vec<Named>> {
        let table = named(table)?;
        self.used.borrow_mut().insert(table);
        Some(columns_of(table))
    }

    fn read(&self, _: &str, _: &[bool], _: &[Expression], _: Option<usize>) -> Result<Rows, AnalyzeError> {
        Ok(Rows::default())
    }

    fn no_table(&self, name: &str) -> AnalyzeError {
        text::no_table(name)
    }

    fn no_column(&self, scope: &Scope, table: Option<&str>, name: &str) -> AnalyzeError {
        text::no_column(scope, table, name)
    }
}

/// The tables of a trace.
pub struct TraceTables {
    /// The faults, which are read when they are asked for.
    pub faults: Faults,
    /// The others, if the question names them.
    pub frames: Vec<(TableName, DataFrame)>,
}

impl Tables for TraceTables {
    fn columns(&self, table: &str) -> Option<Vec<Named>> {
        named(table).map(columns_of)
    }

    fn read(
        &self,
        table: &str,
        wanted: &[bool],
        conditions: &[Expression],
        most: Option<usize>,
    ) -> Result<Rows, AnalyzeError> {
        let table = named(table).ok_or_else(|| text::no_table(table))?;
        if table == TableName::Faults {
            return self.faults.read(wanted, conditions, most);
        }
        let frame = self.frames.iter().find(|(known, _)| *known == table);
        let (_, frame) = frame.ok_or_else(|| text::no_table(table.name()))?;
        let columns = frame.columns().iter().cloned().map(Some).collect();
        let rows = Rows::new(frame.height(), columns);
        crate::verbs::sql::evaluate::passing(&rows, conditions, &self.faults.budget)
    }

    fn no_table(&self, name: &str) -> AnalyzeError {
        text::no_table(name)
    }

    fn no_column(&self, scope: &Scope, table: Option<&str>, name: &str) -> AnalyzeError {
        text::no_column(scope, table, name)
    }
}
