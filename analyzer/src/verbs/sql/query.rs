//! Answers a query: WITH, set operations, ORDER BY and LIMIT of the whole. A question is first answered over
//! empty tables, which finds what is wrong with it, and which columns it needs; then over the rows.

use crate::error::AnalyzeError;
use crate::verbs::sql::bind::sort_key_of;
use crate::verbs::sql::budget::Budget;
use crate::verbs::sql::expression::{Expression, SortKey};
use crate::verbs::sql::functions::literal_whole;
use crate::verbs::sql::naming::{Named, Relation, Scope, Subqueries};
use crate::verbs::sql::ordering::sorted;
use crate::verbs::sql::row_set::Rows;
use crate::verbs::sql::types::refusal;
use sqlparser::ast::{self, LimitClause, OrderByKind, SetExpr, TableAlias};
use std::sync::Arc;

/// Most often that the columns which are needed become fewer.
const MOST_PASSES: usize = 8;

/// The tables that there are.
pub trait Tables {
    /// The columns of a table, if there is such.
    fn columns(&self, table: &str) -> Option<Vec<Named>>;

    /// Rows of a table: the columns that are wanted, and the first rows, as many as `most`, that pass all conditions.
    ///
    /// # Errors
    /// When it cannot be read, or does not fit into memory.
    fn read(
        &self,
        table: &str,
        wanted: &[bool],
        conditions: &[Expression],
        most: Option<usize>,
    ) -> Result<Rows, AnalyzeError>;

    /// The word on a name that no table has.
    fn no_table(&self, name: &str) -> AnalyzeError;

    /// The word on a name that no column has.
    fn no_column(&self, scope: &Scope, table: Option<&str>, name: &str) -> AnalyzeError;
}

/// Answers queries.
pub struct Engine<'e> {
    /// The tables.
    pub tables: &'e dyn Tables,
    /// What rows may take.
    pub budget: &'e Arc<Budget>,
    /// Whether tables are taken to be empty.
    pub is_dry: bool,
    /// What WITH has named so far, and which relation that is.
    pub named: Vec<(String, usize, Relation)>,
    /// The columns of the queries around this one.
    outer: Vec<Scope>,
    /// Columns that the pass before found to be needed, by relation.
    needed: Vec<Vec<bool>>,
    /// Columns that are needed, as far as this pass has come.
    marks: Vec<Vec<bool>>,
}

/// The columns that a query needs, relation by relation.
#[derive(Clone, Debug, Default)]
pub struct Needed(Vec<Vec<bool>>);

/// Answers a query over empty tables, which finds what is wrong with it, and what it needs.
///
/// # Errors
/// What is wrong with it, in words.
pub fn check(query: &ast::Query, tables: &dyn Tables) -> Result<Needed, AnalyzeError> {
    let mut needed = Vec::new();
    let budget = Arc::new(Budget::new(u64::MAX));
    for _ in 0..MOST_PASSES {
        let mut engine = Engine::new(tables, &budget, true, needed.clone());
        engine.query(query, None)?;
        if engine.marks == needed {
            break;
        }
        needed = engine.marks;
    }
    Ok(Needed(needed))
}

/// Answers a query that was checked.
///
/// # Errors
/// When it cannot be answered.
pub fn answer(
    query: &ast::Query,
    needed: Needed,
    tables: &dyn Tables,
    budget: &Arc<Budget>,
) -> Result<Relation, AnalyzeError> {
    Engine::new(tables, budget, false, needed.0).query(query, None)
}

impl Subqueries for Engine<'_> {
    fn answered(&mut self, query: &ast::Query, scope: &Scope) -> Result<Relation, AnalyzeError> {
        self.outer.push(scope.clone());
        let answered = self.query(query, None);
        self.outer.pop();
        answered
    }

    fn no_column(&self, scope: &Scope, table: Option<&str>, name: &str) -> AnalyzeError {
        let is_outer = |scope: &Scope| !matches!(scope.find(table, name), Ok(None));
        if self.outer.iter().any(is_outer) {
            return refusal(format!(
                "{name} is a column of the query around this subquery, which a subquery cannot look at: join the two instead"
            ));
        }
        self.tables.no_column(scope, table, name)
    }
}

impl<'e> Engine<'e> {
    fn new(tables: &'e dyn Tables, budget: &'e Arc<Budget>, is_dry: bool, needed: Vec<Vec<bool>>) -> Self {
        Self {
            tables,
            budget,
            is_dry,
            named: Vec::new(),
            outer: Vec::new(),
            needed,
            marks: Vec::new(),
        }
    }

    /// A place for what is needed of a relation.
    pub fn new_relation(&mut self) -> usize {
        self.marks.push(Vec::new());
        self.marks.len() - 1
    }

    /// What is needed of a relation, as far as it is known; nothing known is all.
    #[must_use]
    pub fn needed_of(&self, relation: usize) -> Option<Vec<bool>> {
        self.needed
            .get(relation)
            .filter(|needed| !needed.is_empty())
            .cloned()
    }

    /// Says how many columns a relation has.
    pub fn begin_marks(&mut self, relation: usize, columns: usize) {
        if let Some(marks) = self.marks.get_mut(relation) {
            marks.resize(columns, false);
        }
    }

    /// Says that a column is needed.
    pub fn mark(&mut self, relation: usize, column: usize) {
        let mark = self
            .marks
            .get_mut(relation)
            .and_then(|marks| marks.get_mut(column));
        if let Some(mark) = mark {
            *mark = true;
        }
    }

    /// Answers a query. Of its columns only those of `needed` must be right.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn query(&mut self, query: &ast::Query, needed: Option<&[bool]>) -> Result<Relation, AnalyzeError> {
        let unsupported = [
            (query.fetch.is_some(), "FETCH is not supported: write LIMIT"),
            (
                !query.locks.is_empty(),
                "FOR UPDATE is not supported: a trace does not change",
            ),
            (query.for_clause.is_some(), "FOR is not supported"),
            (query.settings.is_some(), "SETTINGS is not supported"),
            (
                query.format_clause.is_some(),
                "FORMAT is not supported: give --format",
            ),
            (!query.pipe_operators.is_empty(), "|> is not supported"),
        ];
        if let Some((_, word)) = unsupported.iter().find(|(is_there, _)| *is_there) {
            return Err(refusal(*word));
        }
        let before = self.named.len();
        if let Some(with) = &query.with {
            self.with(with)?;
        }
        let limits = limits_of(query.limit_clause.as_ref())?;
        let done = match &*query.body {
            SetExpr::Select(select) => self.select(select, query.order_by.as_ref(), limits, needed),
            body => self.set(body).and_then(|relation| {
                let relation = self.ordered(relation, query.order_by.as_ref())?;
                self.limited(relation, limits)
            }),
        };
        self.named.truncate(before);
        done
    }

    fn with(&mut self, with: &ast::With) -> Result<(), AnalyzeError> {
        if with.recursive {
            return Err(refusal(
                "WITH RECURSIVE is not supported: join the table with itself once for each level, as in FROM queries AS a \
                 JOIN queries AS b ON b.parent_id = a.query_id",
            ));
        }
        for cte in &with.cte_tables {
            let id = self.new_relation();
            let needed = self.needed_of(id);
            let mut relation = self.query(&cte.query, needed.as_deref())?;
            rename(&mut relation.columns, &cte.alias)?;
            self.begin_marks(id, relation.columns.len());
            self.named.push((cte.alias.name.value.clone(), id, relation));
        }
        Ok(())
    }

    /// ORDER BY of what has no columns but those of the answer.
    fn ordered(
        &mut self,
        relation: Relation,
        order: Option<&ast::OrderBy>,
    ) -> Result<Relation, AnalyzeError> {
        let Some(order) = order else {
            return Ok(relation);
        };
        let mut keys = Vec::new();
        for (expr, key) in sort_expressions(order, &relation.columns)? {
            let Some(expr) = expr else {
                return Err(refusal(format!(
                    "ORDER BY {} of a set operation must name a column of its answer, or its number",
                    key.expr
                )));
            };
            keys.push(sort_key_of(expr, &key));
        }
        let rows = sorted(&relation.rows, &keys, None, self.budget)?;
        Ok(Relation {
            rows: relation.rows.take(&rows, self.budget)?,
            columns: relation.columns,
        })
    }

    fn limited(&self, relation: Relation, limits: (Option<usize>, usize)) -> Result<Relation, AnalyzeError> {
        Ok(Relation {
            rows: relation.rows.slice(limits.1, limits.0.unwrap_or(usize::MAX)),
            columns: relation.columns,
        })
    }
}

/// Gives columns the names of an alias.
///
/// # Errors
/// When it has more names than there are columns.
pub fn rename(columns: &mut [Named], alias: &TableAlias) -> Result<(), AnalyzeError> {
    if alias.columns.len() > columns.len() {
        return Err(refusal(format!("{alias} names more columns than there are")));
    }
    for (column, alias) in columns.iter_mut().zip(&alias.columns) {
        column.name.clone_from(&alias.name.value);
    }
    Ok(())
}

/// The keys of ORDER BY, and the output column that each names, if it does.
///
/// # Errors
/// For a number that no column has.
pub fn sort_expressions(
    order: &ast::OrderBy,
    columns: &[Named],
) -> Result<Vec<(Option<Expression>, ast::OrderByExpr)>, AnalyzeError> {
    if order.interpolate.is_some() {
        return Err(refusal("INTERPOLATE is not supported"));
    }
    let output = |index: usize| {
        columns
            .get(index)
            .map(|column| Expression::Column(index, column.of))
    };
    let keys = match &order.kind {
        OrderByKind::All(options) => {
            let all = columns.iter().enumerate().map(|(index, column)| {
                let key = ast::OrderByExpr {
                    expr: ast::Expr::Identifier(ast::Ident::new(column.name.clone())),
                    options: *options,
                    with_fill: None,
                };
                (output(index), key)
            });
            return Ok(all.collect());
        }
        OrderByKind::Expressions(keys) => keys,
    };
    let mut found = Vec::new();
    for key in keys {
        let column = match &key.expr {
            ast::Expr::Value(value) => match &value.value {
                ast::Value::Number(text, _) => {
                    let index = text
                        .parse::<usize>()
                        .ok()
                        .and_then(|number| output(number.checked_sub(1)?));
                    let refused = || refusal(format!("ORDER BY {text}: there are {} columns", columns.len()));
                    Some(index.ok_or_else(refused)?)
                }
                _ => None,
            },
            ast::Expr::Identifier(name) => {
                let is_named = |column: &&Named| column.name.eq_ignore_ascii_case(&name.value);
                columns
                    .iter()
                    .position(|column| is_named(&column))
                    .and_then(output)
            }
            _ => None,
        };
        found.push((column, key.clone()));
    }
    Ok(found)
}

/// LIMIT and OFFSET.
fn limits_of(clause: Option<&LimitClause>) -> Result<(Option<usize>, usize), AnalyzeError> {
    let number = |expr: &ast::Expr| {
        let value = match expr {
            ast::Expr::Value(value) => match &value.value {
                ast::Value::Number(text, _) => crate::verbs::sql::types::Literal::parse_number(text).ok(),
                _ => None,
            },
            _ => None,
        };
        let number = value.and_then(|value| literal_whole(&Expression::Literal(value)));
        number
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| refusal(format!("LIMIT and OFFSET need a number, and {expr} is none")))
    };
    match clause {
        None => Ok((None, 0)),
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => Ok((Some(number(limit)?), number(offset)?)),
        Some(LimitClause::LimitOffset {
            limit,
            offset,
            limit_by,
        }) => {
            if !limit_by.is_empty() {
                return Err(refusal(
                    "LIMIT BY is not supported: ROW_NUMBER() OVER (PARTITION BY …) with QUALIFY is",
                ));
            }
            let limit = limit.as_ref().map(number).transpose()?;
            Ok((
                limit,
                offset.as_ref().map_or(Ok(0), |offset| number(&offset.value))?,
            ))
        }
    }
}

/// Keys that sort by other expressions.
#[must_use]
pub fn keys_by(keys: &[SortKey], by: impl Fn(usize, &Expression) -> Expression) -> Vec<SortKey> {
    let keys = keys.iter().enumerate();
    keys.map(|(index, key)| SortKey {
        by: by(index, &key.by),
        ..key.clone()
    })
    .collect()
}
