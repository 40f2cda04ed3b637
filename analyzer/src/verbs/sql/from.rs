//! FROM and WHERE: what is read, which conditions it can be read with, and joins.

use crate::error::AnalyzeError;
use crate::verbs::sql::bind::{Binder, Place};
use crate::verbs::sql::build_column::empty_column;
use crate::verbs::sql::expression::{Expression, conjuncts};
use crate::verbs::sql::function::Function;
use crate::verbs::sql::functions::compare;
use crate::verbs::sql::join::{JoinKind, Sides, join};
use crate::verbs::sql::naming::{Named, Scope, ScopeColumn, Subqueries};
use crate::verbs::sql::query::{Engine, rename};
use crate::verbs::sql::row_set::Rows;
use crate::verbs::sql::types::refusal;
use sqlparser::ast::{self, JoinConstraint, JoinOperator, TableFactor};

/// A part of FROM.
struct Source {
    columns: Vec<Named>,
    what: What,
    /// The number under which the query notes which columns are needed of it.
    relation: usize,
}

enum What {
    Table(String),
    Rows(Rows),
}

/// How a part joins those before it.
struct Step {
    kind: JoinKind,
    on: Vec<Expression>,
}

/// A FROM with its names.
#[derive(Default)]
pub struct From {
    /// All columns.
    pub scope: Scope,
    sources: Vec<Source>,
    /// How each source but the first is joined.
    steps: Vec<Step>,
    /// Columns that are needed.
    used: Vec<bool>,
}

impl From {
    /// Says that expressions need their columns.
    pub fn use_columns(&mut self, expressions: &[&Expression]) {
        self.used.resize(self.scope.columns.len(), false);
        for expression in expressions {
            expression.columns(&mut |index| {
                if let Some(used) = self.used.get_mut(index) {
                    *used = true;
                }
            });
        }
    }

    /// The sources that an expression looks at, from the least to the greatest.
    fn sources_of(&self, expression: &Expression) -> Option<(usize, usize)> {
        let mut range: Option<(usize, usize)> = None;
        expression.columns(&mut |index| {
            if let Some(column) = self.scope.columns.get(index) {
                let (least, most) = range.unwrap_or((column.source, column.source));
                range = Some((least.min(column.source), most.max(column.source)));
            }
        });
        range
    }
}

impl Engine<'_> {
    /// Resolves a FROM; tables are not read yet.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn from(&mut self, tables: &[ast::TableWithJoins]) -> Result<From, AnalyzeError> {
        let mut from = From::default();
        for table in tables {
            self.add_source(&mut from, &table.relation)?;
            if from.sources.len() > 1 {
                from.steps.push(Step {
                    kind: JoinKind::Inner,
                    on: Vec::new(),
                });
            }
            for join in &table.joins {
                self.add_source(&mut from, &join.relation)?;
                let step = self.step(&mut from, &join.join_operator)?;
                from.steps.push(step);
            }
        }
        Ok(from)
    }

    fn add_source(&mut self, from: &mut From, factor: &TableFactor) -> Result<(), AnalyzeError> {
        let (source, alias) = match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                with_hints,
                version: None,
                with_ordinality: false,
                partitions,
                json_path: None,
                sample: None,
                index_hints,
            } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => {
                let name = match name.0.as_slice() {
                    [ast::ObjectNamePart::Identifier(name)] => name.value.clone(),
                    _ => name.to_string(),
                };
                let source = self.table(&name)?;
                let alias_name = alias.as_ref().map_or(name, |alias| alias.name.value.clone());
                (source, (alias_name, alias.as_ref()))
            }
            TableFactor::Derived {
                lateral: false,
                subquery,
                alias,
                sample: None,
            } => {
                let relation = self.new_relation();
                let needed = self.needed_of(relation);
                let answer = self.query(subquery, needed.as_deref())?;
                self.begin_marks(relation, answer.columns.len());
                let source = Source {
                    columns: answer.columns,
                    what: What::Rows(answer.rows),
                    relation,
                };
                let name = alias.as_ref().map_or("", |alias| alias.name.value.as_str());
                (source, (name.to_owned(), alias.as_ref()))
            }
            other => {
                return Err(refusal(format!(
                    "FROM {other} is not supported: FROM takes tables, subqueries and joins of them"
                )));
            }
        };
        let (mut source, (name, alias)) = (source, alias);
        if let Some(alias) = alias {
            rename(&mut source.columns, alias)?;
        }
        let is_taken = |column: &ScopeColumn| !name.is_empty() && column.table.eq_ignore_ascii_case(&name);
        if from.scope.columns.iter().any(is_taken) {
            return Err(refusal(format!(
                "FROM has {name} twice: give one of them another name with AS"
            )));
        }
        let number = from.sources.len();
        for (place, column) in source.columns.iter().enumerate() {
            from.scope.columns.push(ScopeColumn {
                table: name.clone(),
                name: column.name.clone(),
                of: column.of,
                source: number,
                place,
                is_merged: false,
            });
        }
        from.sources.push(source);
        Ok(())
    }

    /// What a name in FROM stands for: something of WITH, or a table.
    fn table(&mut self, name: &str) -> Result<Source, AnalyzeError> {
        let named = self
            .named
            .iter()
            .rev()
            .find(|(known, ..)| known.eq_ignore_ascii_case(name));
        if let Some((_, relation, answer)) = named {
            return Ok(Source {
                columns: answer.columns.clone(),
                what: What::Rows(answer.rows.clone()),
                relation: *relation,
            });
        }
        let columns = self
            .tables
            .columns(name)
            .ok_or_else(|| self.tables.no_table(name))?;
        let relation = self.new_relation();
        self.begin_marks(relation, columns.len());
        Ok(Source {
            columns,
            what: What::Table(name.to_ascii_lowercase()),
            relation,
        })
    }

    fn step(&mut self, from: &mut From, operator: &JoinOperator) -> Result<Step, AnalyzeError> {
        let (kind, constraint) = match operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (JoinKind::Inner, constraint),
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
                (JoinKind::Left, constraint)
            }
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
                (JoinKind::Right, constraint)
            }
            JoinOperator::FullOuter(constraint) => (JoinKind::Full, constraint),
            JoinOperator::CrossJoin(constraint) => (JoinKind::Inner, constraint),
            _ => {
                return Err(refusal(
                    "this kind of join is not supported: INNER, LEFT, RIGHT, FULL and CROSS are, and WHERE x IN (SELECT …)",
                ));
            }
        };
        let is_cross = matches!(operator, JoinOperator::CrossJoin(_));
        let on = match constraint {
            JoinConstraint::On(expr) => {
                let scope = from.scope.clone();
                conjuncts(Binder::new(self, &scope, Place::On).condition(expr)?)
            }
            JoinConstraint::None if is_cross => Vec::new(),
            JoinConstraint::None => return Err(refusal("JOIN needs ON, or USING; CROSS JOIN needs none")),
            JoinConstraint::Natural => return Err(refusal("NATURAL JOIN is not supported: write USING (…)")),
            JoinConstraint::Using(names) => {
                if matches!(kind, JoinKind::Right | JoinKind::Full) {
                    return Err(refusal(
                        "USING of RIGHT and FULL JOIN is not supported: write ON, and COALESCE",
                    ));
                }
                let mut on = Vec::new();
                for name in names {
                    on.push(self.using(from, name.to_string().trim_matches('"'))?);
                }
                on
            }
        };
        Ok(Step { kind, on })
    }

    /// The condition of USING: the column of the new source becomes one with that of those before.
    fn using(&self, from: &mut From, name: &str) -> Result<Expression, AnalyzeError> {
        let last = from.sources.len() - 1;
        let is_new = |column: &ScopeColumn| column.source == last;
        let before = Scope {
            columns: from
                .scope
                .columns
                .iter()
                .filter(|column| !is_new(column))
                .cloned()
                .collect(),
        };
        let left = before
            .find(None, name)?
            .ok_or_else(|| self.no_column(&before, None, name))?;
        let found = from
            .scope
            .columns
            .iter_mut()
            .enumerate()
            .find(|(_, column)| column.source == last && column.name.eq_ignore_ascii_case(name));
        let Some((index, column)) = found else {
            return Err(refusal(format!(
                "USING ({name}): only one of the two has a column {name}"
            )));
        };
        column.is_merged = true;
        compare(Function::Equal, left, Expression::Column(index, column.of))
    }

    /// Reads and joins; of the rows those that pass all conditions, and no more than `most`.
    ///
    /// # Errors
    /// When they cannot be read, or take too much memory.
    pub fn rows_of(
        &mut self,
        mut from: From,
        conditions: Vec<Expression>,
        most: Option<usize>,
    ) -> Result<Rows, AnalyzeError> {
        let on: Vec<Expression> = from.steps.iter().flat_map(|step| step.on.clone()).collect();
        let all: Vec<&Expression> = conditions.iter().chain(&on).collect();
        from.use_columns(&all);
        for (column, used) in from.scope.columns.iter().zip(&from.used) {
            if let (Some(source), true) = (from.sources.get(column.source), used) {
                self.mark(source.relation, column.place);
            }
        }
        if from.sources.is_empty() {
            return self.filtered(Rows::new(1, Vec::new()), &conditions);
        }
        let is_inner = from.steps.iter().all(|step| step.kind == JoinKind::Inner);
        let keeps_first = from
            .steps
            .iter()
            .all(|step| matches!(step.kind, JoinKind::Inner | JoinKind::Left));
        let mut later = Vec::new();
        let mut of_source: Vec<Vec<Expression>> = from.sources.iter().map(|_| Vec::new()).collect();
        let mut pool = conditions;
        if is_inner {
            pool.extend(
                from.steps
                    .iter_mut()
                    .flat_map(|step| std::mem::take(&mut step.on)),
            );
        }
        for condition in pool {
            match from.sources_of(&condition) {
                Some((one, two)) if one == two && (is_inner || (one == 0 && keeps_first)) => {
                    if let Some(conditions) = of_source.get_mut(one) {
                        conditions.push(condition);
                    }
                }
                _ => later.push(condition),
            }
        }
        let places = Places::of(&from);
        let only = most.filter(|_| from.sources.len() == 1 && later.is_empty());
        let mut conditions = of_source.into_iter();
        let mut sources = std::mem::take(&mut from.sources).into_iter().enumerate();
        let mut rows = Rows::default();
        if let Some((number, first)) = sources.next() {
            rows = self.read(
                first,
                &places,
                number,
                conditions.next().unwrap_or_default(),
                only,
            )?;
        }
        let steps = std::mem::take(&mut from.steps);
        for ((number, source), step) in sources.zip(steps) {
            let mut on = step.on;
            if is_inner {
                let is_ready = |condition: &mut Expression| {
                    from.sources_of(condition).is_some_and(|(_, last)| last <= number)
                };
                on.extend(later.extract_if(.., is_ready));
            }
            let mut own = conditions.next().unwrap_or_default();
            // What ON says of the new source alone rules its rows out before they are joined.
            if matches!(step.kind, JoinKind::Inner | JoinKind::Left) {
                own.extend(on.extract_if(.., |condition| {
                    from.sources_of(condition) == Some((number, number))
                }));
            }
            let right = self.read(source, &places, number, own, None)?;
            let sides = Sides {
                left: rows,
                right,
                is_right: &|index| {
                    from.scope
                        .columns
                        .get(index)
                        .is_some_and(|column| column.source == number)
                },
            };
            rows = join(sides, step.kind, on, self.budget)?;
        }
        self.filtered(rows, &later)
    }

    /// The rows of one source, its columns at their places among all.
    fn read(
        &self,
        source: Source,
        places: &Places,
        number: usize,
        conditions: Vec<Expression>,
        most: Option<usize>,
    ) -> Result<Rows, AnalyzeError> {
        let start = places.start(number);
        let wanted: Vec<bool> = (0..source.columns.len())
            .map(|place| places.is_used(start + place))
            .collect();
        let own: Vec<Expression> = conditions
            .iter()
            .map(|condition| condition.moved(&|index| index - start))
            .collect();
        let rows = match source.what {
            What::Table(_) if self.is_dry => {
                let empty = |column: &Named| Some(empty_column(column.of));
                Rows::new(0, source.columns.iter().map(empty).collect())
            }
            What::Table(name) => self.tables.read(&name, &wanted, &own, most)?,
            What::Rows(rows) => self.filtered(rows, &own)?,
        };
        let leases: Vec<_> = rows.leases().collect();
        let mut columns = vec![None; places.used.len()];
        for ((place, column), wanted) in rows.columns.into_iter().enumerate().zip(wanted) {
            if let (Some(slot), true) = (columns.get_mut(start + place), wanted) {
                *slot = column;
            }
        }
        Ok(Rows::new(rows.height, columns).holding(leases))
    }
}

/// Where the columns of the sources stand among all.
struct Places {
    starts: Vec<usize>,
    used: Vec<bool>,
}

impl Places {
    fn of(from: &From) -> Self {
        let mut start = 0;
        let starts = from.sources.iter().map(|source| {
            let begins = start;
            start += source.columns.len();
            begins
        });
        Self {
            starts: starts.collect(),
            used: from.used.clone(),
        }
    }

    fn start(&self, source: usize) -> usize {
        self.starts.get(source).copied().unwrap_or_default()
    }

    fn is_used(&self, index: usize) -> bool {
        self.used.get(index) == Some(&true)
    }
}
