//! Which columns a name can mean.

use crate::error::AnalyzeError;
use crate::verbs::sql::expression::Expression;
use crate::verbs::sql::row_set::Rows;
use crate::verbs::sql::types::{Type, refusal};
use sqlparser::ast::Query;

/// A column of a relation.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Its type.
    pub of: Type,
}

/// Rows with names: a table, or the answer to a query.
#[derive(Clone, Debug)]
pub struct Relation {
    /// The rows.
    pub rows: Rows,
    /// Their columns.
    pub columns: Vec<Named>,
}

/// A column that expressions of a SELECT can name.
#[derive(Clone, Debug)]
pub struct ScopeColumn {
    /// The name, or the alias, of what it is a column of.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Its type.
    pub of: Type,
    /// Which part of FROM it is of.
    pub source: usize,
    /// Its place there.
    pub place: usize,
    /// USING made it one with that of a table before.
    pub is_merged: bool,
}

/// All columns of a FROM.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// In order.
    pub columns: Vec<ScopeColumn>,
}

impl Scope {
    /// The column of a name, if there is one.
    ///
    /// # Errors
    /// When several have the name.
    pub fn find(&self, table: Option<&str>, name: &str) -> Result<Option<Expression>, AnalyzeError> {
        let has_name = |column: &ScopeColumn| {
            column.name.eq_ignore_ascii_case(name)
                && match table {
                    Some(table) => column.table.eq_ignore_ascii_case(table),
                    None => !column.is_merged,
                }
        };
        let mut found = self
            .columns
            .iter()
            .enumerate()
            .filter(|(_, column)| has_name(column));
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some((index, column)), None) => Ok(Some(Expression::Column(index, column.of))),
            (Some((_, one)), Some((_, two))) => Err(refusal(format!(
                "{name} is a column of {} and of {}: write {}.{name}",
                one.table, two.table, one.table
            ))),
        }
    }

    /// The name that a column has in words.
    #[must_use]
    pub fn name(&self, index: usize) -> &str {
        self.columns.get(index).map_or("", |column| column.name.as_str())
    }
}

/// What an expression needs of the query that it stands in.
pub trait Subqueries {
    /// Answers a subquery of an expression over the columns of `scope`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    fn answered(&mut self, query: &Query, scope: &Scope) -> Result<Relation, AnalyzeError>;

    /// The word on a name that no column has.
    fn no_column(&self, scope: &Scope, table: Option<&str>, name: &str) -> AnalyzeError;
}
