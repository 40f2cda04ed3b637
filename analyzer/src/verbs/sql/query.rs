//! Answers a query: WITH, set operations, ORDER BY and LIMIT of the whole. A question is first answered over
//! empty tables, which finds what is wrong with it, and which columns it needs; then over the rows.

use crate::error::AnalyzeError;
use crate::verbs::sql::bind::{Binder, Place, sort_key_of};
use crate::verbs::sql::budget::Budget;
use crate::verbs::sql::evaluate::evaluate;
use crate::verbs::sql::expression::{Expression, SortKey};
use crate::verbs::sql::functions::{literal_whole, widened};
use crate::verbs::sql::hashing::RowNumbers;
use crate::verbs::sql::rows::Rows;
use crate::verbs::sql::scope::{Named, Relation, Scope};
use crate::verbs::sql::sort::{computed, sorted};
use crate::verbs::sql::types::{Type, refusal};
use polars::prelude::{Column, DataType, IdxSize, PlSmallStr};
use sqlparser::ast::{self, LimitClause, OrderByKind, SetExpr, SetOperator, SetQuantifier, TableAlias};
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

    /// Does something within a query that has the columns of `scope`.
    pub fn within<T>(&mut self, scope: &Scope, run: impl FnOnce(&mut Self) -> T) -> T {
        self.outer.push(scope.clone());
        let done = run(self);
        self.outer.pop();
        done
    }

    /// The word on a name that no column has.
    #[must_use]
    pub fn no_column(&self, scope: &Scope, table: Option<&str>, name: &str) -> AnalyzeError {
        let is_outer = |scope: &Scope| !matches!(scope.find(table, name), Ok(None));
        if self.outer.iter().any(is_outer) {
            return refusal(format!(
                "{name} is a column of the query around this subquery, which a subquery cannot look at: join the two instead"
            ));
        }
        self.tables.no_column(scope, table, name)
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
            return Err(refusal("WITH RECURSIVE is not supported"));
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

    fn set(&mut self, body: &SetExpr) -> Result<Relation, AnalyzeError> {
        match body {
            SetExpr::Select(select) => self.select(select, None, (None, 0), None),
            SetExpr::Query(query) => self.query(query, None),
            SetExpr::Values(values) => self.values(values),
            SetExpr::SetOperation {
                left,
                op,
                set_quantifier,
                right,
            } => {
                let (left, right) = (self.set(left)?, self.set(right)?);
                let is_all = match set_quantifier {
                    SetQuantifier::All => true,
                    SetQuantifier::None | SetQuantifier::Distinct => false,
                    _ => return Err(refusal("BY NAME is not supported: name the columns in one order")),
                };
                self.combined(left, right, *op, is_all)
            }
            _ => Err(refusal("only SELECT reads a trace, and nothing changes it")),
        }
    }

    fn values(&mut self, values: &ast::Values) -> Result<Relation, AnalyzeError> {
        let scope = Scope::default();
        let mut rows: Vec<Relation> = Vec::new();
        for row in &values.rows {
            let mut columns = Vec::new();
            let mut named = Vec::new();
            for (index, expr) in row.content.iter().enumerate() {
                let bound = Binder::new(self, &scope, Place::Where).bind(expr)?;
                named.push(Named {
                    name: format!("col{index}"),
                    of: bound.of(),
                });
                let one = Rows::new(1, Vec::new());
                columns.push(Some(evaluate(&bound, &one)?.into_column()));
            }
            rows.push(Relation {
                rows: Rows::new(1, columns),
                columns: named,
            });
        }
        let mut rows = rows.into_iter();
        let first = rows.next().ok_or_else(|| refusal("VALUES needs a row"))?;
        rows.try_fold(first, |all, row| {
            self.combined(all, row, SetOperator::Union, true)
        })
    }

    /// UNION, EXCEPT and INTERSECT.
    fn combined(
        &mut self,
        left: Relation,
        right: Relation,
        op: SetOperator,
        is_all: bool,
    ) -> Result<Relation, AnalyzeError> {
        if left.columns.len() != right.columns.len() {
            return Err(refusal(format!(
                "{op} needs two queries with as many columns, and these have {} and {}",
                left.columns.len(),
                right.columns.len()
            )));
        }
        let mut columns = Vec::new();
        for (one, two) in left.columns.iter().zip(&right.columns) {
            let common = one.of.common(two.of).filter(|of| *of != Type::List);
            let of = common.ok_or_else(|| {
                refusal(format!(
                    "{op} finds {} of type {} and of type {}: CAST one of them",
                    one.name, one.of, two.of
                ))
            })?;
            columns.push(Named {
                name: one.name.clone(),
                of,
            });
        }
        let left = self.widened(left, &columns)?;
        let right = self.widened(right, &columns)?;
        let rows = match (op, is_all) {
            (SetOperator::Union, true) => self.stacked(&left, &right)?,
            (SetOperator::Union, false) => {
                let both = self.stacked(&left, &right)?;
                self.distinct(&both)?
            }
            (_, true) => return Err(refusal(format!("{op} ALL is not supported"))),
            (SetOperator::Intersect, _) => self.sharing(&left, &right, true)?,
            (_, false) => self.sharing(&left, &right, false)?,
        };
        Ok(Relation { rows, columns })
    }

    fn widened(&self, relation: Relation, to: &[Named]) -> Result<Rows, AnalyzeError> {
        let mut columns = Vec::new();
        let mut leases: Vec<_> = relation.rows.leases().collect();
        for (index, (from, to)) in relation.columns.iter().zip(to).enumerate() {
            let column = widened(Expression::Column(index, from.of), to.of, "a set operation")?;
            let (column, lease) = computed(&column, &relation.rows, self.budget)?;
            leases.extend(lease);
            columns.push(Some(column));
        }
        Ok(Rows::new(relation.rows.height, columns).holding(leases))
    }

    /// One below the other.
    fn stacked(&self, one: &Rows, two: &Rows) -> Result<Rows, AnalyzeError> {
        let mut columns = Vec::new();
        for (one, two) in one.columns.iter().flatten().zip(two.columns.iter().flatten()) {
            columns.push(Some(appended(one.clone(), two)?));
        }
        let leases = one.leases().chain(two.leases());
        let cost = columns
            .iter()
            .flatten()
            .map(crate::verbs::sql::budget::cost_of)
            .sum::<u64>();
        let height = one.height + two.height;
        let lease = Budget::lease(self.budget, cost.saturating_mul(height as u64), height)?;
        Ok(Rows::new(height, columns).holding(leases.chain([lease])))
    }

    /// Each row once.
    ///
    /// # Errors
    /// When they do not fit into memory.
    pub fn distinct(&self, rows: &Rows) -> Result<Rows, AnalyzeError> {
        let mut numbers = RowNumbers::default();
        let kept = self.first_of_each(rows, &mut numbers, &mut Vec::new())?;
        rows.take(&kept, self.budget)
    }

    /// The rows whose number comes for the first time; `seen` has the numbers that came before.
    fn first_of_each(
        &self,
        rows: &Rows,
        numbers: &mut RowNumbers,
        seen: &mut Vec<bool>,
    ) -> Result<Vec<IdxSize>, AnalyzeError> {
        let mut kept = Vec::new();
        let mut start = 0;
        for piece in rows.pieces() {
            for number in numbers_of(&piece, numbers)? {
                let place = number as usize;
                if place >= seen.len() {
                    seen.resize(place + 1, false);
                }
                if let Some(seen) = seen.get_mut(place).filter(|seen| !**seen) {
                    *seen = true;
                    kept.push(start);
                }
                start += 1;
            }
            numbers.hold(self.budget)?;
        }
        Ok(kept)
    }

    /// Rows of `left`, each once, that `right` has, or has not.
    fn sharing(&self, left: &Rows, right: &Rows, is_shared: bool) -> Result<Rows, AnalyzeError> {
        let mut numbers = RowNumbers::default();
        let mut in_right: Vec<bool> = Vec::new();
        self.first_of_each(right, &mut numbers, &mut in_right)?;
        let mut seen: Vec<bool> = Vec::new();
        let (mut kept, mut start) = (Vec::new(), 0);
        for piece in left.pieces() {
            for number in numbers_of(&piece, &mut numbers)? {
                let place = number as usize;
                seen.resize(seen.len().max(place + 1), false);
                let is_there = in_right.get(place) == Some(&true);
                if let Some(seen) = seen
                    .get_mut(place)
                    .filter(|seen| !**seen && is_there == is_shared)
                {
                    *seen = true;
                    kept.push(start);
                }
                start += 1;
            }
            numbers.hold(self.budget)?;
        }
        left.take(&kept, self.budget)
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

/// The rows for which all conditions are true.
///
/// # Errors
/// When they cannot be computed, or take too much memory.
pub fn passing(rows: &Rows, conditions: &[Expression], budget: &Arc<Budget>) -> Result<Rows, AnalyzeError> {
    if conditions.is_empty() {
        return Ok(rows.clone());
    }
    let mut passes = Vec::with_capacity(rows.height);
    for piece in rows.pieces() {
        let mut all = vec![true; piece.height];
        for condition in conditions {
            let values = evaluate(condition, &piece)?;
            for (row, all) in all.iter_mut().enumerate() {
                *all &= values.flag(row) == Some(true);
            }
        }
        passes.extend(all);
    }
    rows.filter(&passes, budget)
}

/// The numbers of the rows of a piece, by all of its columns.
fn numbers_of(piece: &Rows, numbers: &mut RowNumbers) -> Result<Vec<u32>, AnalyzeError> {
    let columns = piece.columns.iter().flatten();
    let vectors: Result<Vec<_>, _> = columns
        .map(crate::verbs::sql::vector::Vector::of_column)
        .collect();
    Ok(numbers.of(&vectors?, piece.height))
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

/// A column with another one behind it; whole numbers become wide if the other ones are.
///
/// # Errors
/// When they are of different types.
pub fn appended(mut one: Column, two: &Column) -> Result<Column, AnalyzeError> {
    if one.dtype() == two.dtype() {
        one.append(two)?;
        return Ok(one);
    }
    let of = match (one.dtype(), two.dtype()) {
        (DataType::Null, other) | (other, DataType::Null) => other.clone(),
        (DataType::Int128, _) | (_, DataType::Int128) | (DataType::UInt64, _) | (_, DataType::UInt64) => {
            DataType::Int128
        }
        (DataType::Float64, _) | (_, DataType::Float64) => DataType::Float64,
        _ => DataType::Int64,
    };
    let mut one = one.cast(&of)?;
    one.append(&two.cast(&of)?)?;
    Ok(one)
}

/// A column without rows.
#[must_use]
pub fn empty_column(of: Type) -> Column {
    let dtype = match of {
        Type::Null | Type::List => DataType::Null,
        Type::Boolean => DataType::Boolean,
        Type::Number(_) | Type::Time => DataType::Int64,
        Type::Float => DataType::Float64,
        Type::Text => DataType::String,
    };
    Column::new_empty(PlSmallStr::EMPTY, &dtype)
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
