//! One SELECT: rows of FROM and WHERE, groups, windows, then the select list, in the order that SQL gives them.

use crate::error::AnalyzeError;
use crate::verbs::sql::bind::{Binder, Place};
use crate::verbs::sql::evaluate::passing;
use crate::verbs::sql::expression::{Expression, SortKey, conjuncts};
use crate::verbs::sql::functions::literal_whole;
use crate::verbs::sql::group::Grouping;
use crate::verbs::sql::naming::{Named, Relation, Scope};
use crate::verbs::sql::ordering::{computed, sorted};
use crate::verbs::sql::query::{Engine, keys_by, sort_expressions};
use crate::verbs::sql::row_set::Rows;
use crate::verbs::sql::types::{Type, refusal};
use crate::verbs::sql::windowing::{over_windows, with_windows};
use sqlparser::ast::{
    self, Distinct, ExcludeSelectItem, Expr, GroupByExpr, NamedWindowExpr, SelectItem,
    SelectItemQualifiedWildcardKind, WildcardAdditionalOptions,
};

const NO_SETS: &str = "ROLLUP, CUBE and GROUPING SETS are not supported: join queries with UNION ALL";

/// The select list before it is bound.
enum Item {
    /// An expression with its name.
    Expr(Box<Expr>, String),
    /// A column that * stands for.
    Column(usize),
}

/// A SELECT with names resolved.
struct Bound {
    /// The select list with its names.
    list: Vec<(Expression, String)>,
    having: Option<Expression>,
    qualify: Option<Expression>,
    order: Vec<SortKey>,
}

impl Bound {
    fn expressions(&self) -> impl Iterator<Item = &Expression> {
        let list = self.list.iter().map(|(expression, _)| expression);
        let order = self.order.iter().map(|key| &key.by);
        list.chain(&self.having).chain(&self.qualify).chain(order)
    }

    /// The same over other rows.
    fn try_map(
        self,
        change: &mut impl FnMut(&Expression) -> Result<Expression, AnalyzeError>,
    ) -> Result<Self, AnalyzeError> {
        let list = self
            .list
            .into_iter()
            .map(|(expression, name)| Ok((change(&expression)?, name)));
        let list: Result<_, AnalyzeError> = list.collect();
        let list = list?;
        let having = self.having.map(|having| change(&having)).transpose()?;
        let qualify = self.qualify.map(|qualify| change(&qualify)).transpose()?;
        let mut order = Vec::new();
        for key in self.order {
            order.push(SortKey {
                by: change(&key.by)?,
                ..key
            });
        }
        Ok(Self {
            list,
            having,
            qualify,
            order,
        })
    }
}

impl Engine<'_> {
    /// Answers a SELECT. Of its columns only those of `needed` must be right.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn select(
        &mut self,
        select: &ast::Select,
        order: Option<&ast::OrderBy>,
        limits: (Option<usize>, usize),
        needed: Option<&[bool]>,
    ) -> Result<Relation, AnalyzeError> {
        refuse_rare(select)?;
        let is_distinct = match &select.distinct {
            None | Some(Distinct::All) => false,
            Some(Distinct::Distinct) => true,
            Some(Distinct::On(_)) => {
                return Err(refusal(
                    "DISTINCT ON is not supported: QUALIFY ROW_NUMBER() OVER (PARTITION BY … ORDER BY …) = 1 is",
                ));
            }
        };
        let mut from = self.from(&select.from)?;
        let scope = from.scope.clone();
        let items = items_of(&select.projection, &scope)?;
        let aliases: Vec<(String, Expr)> = select
            .projection
            .iter()
            .filter_map(|item| match item {
                SelectItem::ExprWithAlias { expr, alias } => Some((alias.value.clone(), expr.clone())),
                _ => None,
            })
            .collect();
        let mut conditions = Vec::new();
        if let Some(selection) = &select.selection {
            let mut binder = Binder::new(self, &scope, Place::Where);
            binder.aliases = &aliases;
            conditions = conjuncts(binder.condition(selection)?);
        }
        let mut bound = self.bound(select, &items, &aliases, order, &scope)?;
        let columns: Vec<Named> = bound
            .list
            .iter()
            .map(|(expression, name)| Named {
                name: name.clone(),
                of: expression.of(),
            })
            .collect();
        let keys = self.group_keys(select, &bound, &aliases, &scope)?;
        // What nobody looks at is not computed.
        let is_needed = |index: usize| needed.is_none_or(|needed| needed.get(index) != Some(&false));
        if !is_distinct {
            for (index, (expression, _)) in bound.list.iter_mut().enumerate() {
                if !is_needed(index) && !expression.has_aggregate() {
                    *expression = Expression::NULL;
                }
            }
        }
        let is_grouped = !keys.is_empty()
            || !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty())
            || bound.having.is_some()
            || bound.expressions().any(Expression::has_aggregate);
        let is_plain = !is_grouped
            && !is_distinct
            && bound.order.is_empty()
            && bound.qualify.is_none()
            && !bound.expressions().any(Expression::has_window);
        let used: Vec<&Expression> = bound.expressions().chain(&keys).collect();
        from.use_columns(&used);
        let most = limits
            .0
            .filter(|_| is_plain)
            .map(|limit| limit.saturating_add(limits.1));
        let mut rows = self.rows_of(from, conditions, most)?;
        let mut width = scope.columns.len();
        if is_grouped {
            let mut grouping = Grouping {
                keys,
                ..Grouping::default()
            };
            bound = bound.try_map(&mut |expression| grouping.over_groups(expression, &scope))?;
            rows = grouping.groups(&rows, self.budget)?;
            width = grouping.keys.len() + grouping.aggregates.len();
            if let Some(having) = &bound.having {
                rows = self.filtered(rows, std::slice::from_ref(having))?;
            }
        }
        let mut windows = Vec::new();
        bound = bound.try_map(&mut |expression| over_windows(expression, &mut windows, width))?;
        if !windows.is_empty() {
            rows = with_windows(&rows, &windows, width, self.budget)?;
        }
        if let Some(qualify) = &bound.qualify {
            rows = self.filtered(rows, std::slice::from_ref(qualify))?;
        }
        let rows = match is_distinct {
            true => self.distinct_list(&rows, &bound, limits)?,
            false => self.list(rows, &bound, limits)?,
        };
        Ok(Relation { rows, columns })
    }

    /// The select list, sorted and limited.
    fn list(&self, rows: Rows, bound: &Bound, limits: (Option<usize>, usize)) -> Result<Rows, AnalyzeError> {
        let (limit, offset) = limits;
        let mut rows = rows;
        if bound.order.is_empty() {
            rows = rows.slice(offset, limit.unwrap_or(usize::MAX));
        } else {
            let most = limit.map(|limit| limit.saturating_add(offset));
            let order = sorted(&rows, &bound.order, most, self.budget)?;
            rows = rows.take(
                order.get(offset.min(order.len())..).unwrap_or_default(),
                self.budget,
            )?;
        }
        self.computed_list(&rows, bound)
    }

    fn computed_list(&self, rows: &Rows, bound: &Bound) -> Result<Rows, AnalyzeError> {
        let mut columns = Vec::new();
        let mut leases: Vec<_> = rows.leases().collect();
        for (expression, _) in &bound.list {
            let (column, lease) = computed(expression, rows, self.budget)?;
            leases.extend(lease);
            columns.push(Some(column));
        }
        Ok(Rows::new(rows.height, columns).holding(leases))
    }

    fn distinct_list(
        &self,
        rows: &Rows,
        bound: &Bound,
        limits: (Option<usize>, usize),
    ) -> Result<Rows, AnalyzeError> {
        if bound
            .list
            .iter()
            .any(|(expression, _)| expression.of() == Type::List)
        {
            return Err(refusal("DISTINCT cannot compare lists"));
        }
        let all = self.computed_list(rows, bound)?;
        let rows = self.distinct(&all)?;
        let mut places = Vec::new();
        for key in &bound.order {
            let place = bound
                .list
                .iter()
                .position(|(expression, _)| *expression == key.by);
            places.push(place.ok_or_else(|| {
                refusal("ORDER BY of SELECT DISTINCT must be in the select list: rows that are one have several of it")
            })?);
        }
        let keys = keys_by(&bound.order, |index, by| {
            Expression::Column(places.get(index).copied().unwrap_or_default(), by.of())
        });
        let (limit, offset) = limits;
        if keys.is_empty() {
            return Ok(rows.slice(offset, limit.unwrap_or(usize::MAX)));
        }
        let most = limit.map(|limit| limit.saturating_add(offset));
        let order = sorted(&rows, &keys, most, self.budget)?;
        rows.take(
            order.get(offset.min(order.len())..).unwrap_or_default(),
            self.budget,
        )
    }

    /// The rows for which all conditions are true.
    ///
    /// # Errors
    /// When they cannot be computed.
    pub fn filtered(&self, rows: Rows, conditions: &[Expression]) -> Result<Rows, AnalyzeError> {
        passing(&rows, conditions, self.budget)
    }

    fn bound(
        &mut self,
        select: &ast::Select,
        items: &[Item],
        aliases: &[(String, Expr)],
        order: Option<&ast::OrderBy>,
        scope: &Scope,
    ) -> Result<Bound, AnalyzeError> {
        let windows = windows_of(select)?;
        let mut binder = Binder::new(self, scope, Place::Select);
        binder.aliases = aliases;
        binder.windows = &windows;
        let mut list = Vec::new();
        for item in items {
            list.push(match item {
                Item::Expr(expr, name) => (binder.bind(expr)?, name.clone()),
                Item::Column(index) => {
                    let of = scope.columns.get(*index).map_or(Type::Null, |column| column.of);
                    (Expression::Column(*index, of), scope.name(*index).to_owned())
                }
            });
        }
        let qualify = select
            .qualify
            .as_ref()
            .map(|qualify| binder.condition(qualify))
            .transpose()?;
        let columns: Vec<Named> = list
            .iter()
            .map(|(expression, name)| Named {
                name: name.clone(),
                of: expression.of(),
            })
            .collect();
        let mut keys = Vec::new();
        if let Some(order) = order {
            binder.prefers_aliases = true;
            for (output, key) in sort_expressions(order, &columns)? {
                let mut bound = match output {
                    None => binder.sort_key(&key)?,
                    Some(output) => crate::verbs::sql::bind::sort_key_of(output, &key),
                };
                if let (Expression::Column(index, _), true) = (&bound.by, is_output(&key, &columns, order)) {
                    bound.by = list
                        .get(*index)
                        .map_or(Expression::NULL, |(expression, _)| expression.clone());
                }
                if bound.by.of() == Type::List {
                    return Err(refusal("lists have no order"));
                }
                keys.push(bound);
            }
            binder.prefers_aliases = false;
        }
        binder.place = Place::Having;
        let having = select
            .having
            .as_ref()
            .map(|having| binder.condition(having))
            .transpose()?;
        Ok(Bound {
            list,
            having,
            qualify,
            order: keys,
        })
    }

    fn group_keys(
        &mut self,
        select: &ast::Select,
        bound: &Bound,
        aliases: &[(String, Expr)],
        scope: &Scope,
    ) -> Result<Vec<Expression>, AnalyzeError> {
        let listed = |index: usize| bound.list.get(index).map(|(expression, _)| expression.clone());
        let exprs = match &select.group_by {
            GroupByExpr::All(modifiers) if modifiers.is_empty() => {
                let list = bound.list.iter().map(|(expression, _)| expression);
                return Ok(list
                    .filter(|expression| !expression.has_aggregate())
                    .cloned()
                    .collect());
            }
            GroupByExpr::Expressions(exprs, modifiers) if modifiers.is_empty() => exprs,
            _ => {
                return Err(refusal(NO_SETS));
            }
        };
        let mut keys = Vec::new();
        for expr in exprs {
            if matches!(expr, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_)) {
                return Err(refusal(NO_SETS));
            }
            let mut binder = Binder::new(self, scope, Place::GroupBy);
            binder.aliases = aliases;
            let key = binder.bind(expr)?;
            let key = match literal_whole(&key).and_then(|number| usize::try_from(number).ok()) {
                Some(number) => number.checked_sub(1).and_then(listed).ok_or_else(|| {
                    refusal(format!(
                        "GROUP BY {number}: there are {} columns",
                        bound.list.len()
                    ))
                })?,
                None => key,
            };
            if key.has_aggregate() || key.has_window() {
                return Err(refusal(format!(
                    "GROUP BY {expr} names an aggregate: a group is made before it"
                )));
            }
            if key.of() == Type::List {
                return Err(refusal("lists cannot be grouped by"));
            }
            keys.push(key);
        }
        Ok(keys)
    }
}

/// Whether a key of ORDER BY was found to name a column of the answer.
fn is_output(key: &ast::OrderByExpr, columns: &[Named], order: &ast::OrderBy) -> bool {
    match (&key.expr, &order.kind) {
        (_, ast::OrderByKind::All(_)) => true,
        (Expr::Value(value), _) => matches!(value.value, ast::Value::Number(..)),
        (Expr::Identifier(name), _) => columns
            .iter()
            .any(|column| column.name.eq_ignore_ascii_case(&name.value)),
        _ => false,
    }
}

fn refuse_rare(select: &ast::Select) -> Result<(), AnalyzeError> {
    let rare = [
        (select.top.is_some(), "TOP is not supported: write LIMIT"),
        (select.exclude.is_some(), "EXCLUDE is supported after * alone"),
        (
            select.into.is_some(),
            "SELECT INTO is not supported: give -o FILE",
        ),
        (!select.lateral_views.is_empty(), "LATERAL VIEW is not supported"),
        (
            select.prewhere.is_some(),
            "PREWHERE is not supported: write WHERE",
        ),
        (!select.connect_by.is_empty(), "CONNECT BY is not supported"),
        (!select.cluster_by.is_empty(), "CLUSTER BY is not supported"),
        (!select.distribute_by.is_empty(), "DISTRIBUTE BY is not supported"),
        (
            !select.sort_by.is_empty(),
            "SORT BY is not supported: write ORDER BY",
        ),
        (select.value_table_mode.is_some(), "AS STRUCT is not supported"),
        (
            select.select_modifiers.is_some(),
            "modifiers of SELECT are not supported",
        ),
        (!select.optimizer_hints.is_empty(), "hints are not supported"),
    ];
    match rare.iter().find(|(is_there, _)| *is_there) {
        Some((_, word)) => Err(refusal(*word)),
        None => Ok(()),
    }
}

fn windows_of(select: &ast::Select) -> Result<Vec<(String, ast::WindowSpec)>, AnalyzeError> {
    let windows = select
        .named_window
        .iter()
        .map(|ast::NamedWindowDefinition(name, window)| match window {
            NamedWindowExpr::WindowSpec(spec) => Ok((name.value.clone(), spec.clone())),
            NamedWindowExpr::NamedWindow(_) => Err(refusal(format!("WINDOW {name} must say what it is"))),
        });
    windows.collect()
}

fn items_of(projection: &[SelectItem], scope: &Scope) -> Result<Vec<Item>, AnalyzeError> {
    // FROM alone stands for SELECT *.
    if projection.is_empty() && !scope.columns.is_empty() {
        return Ok((0..scope.columns.len()).map(Item::Column).collect());
    }
    let mut items = Vec::new();
    for item in projection {
        match item {
            SelectItem::UnnamedExpr(expr) => items.push(Item::Expr(Box::new(expr.clone()), name_of(expr))),
            SelectItem::ExprWithAlias { expr, alias } => {
                items.push(Item::Expr(Box::new(expr.clone()), alias.value.clone()));
            }
            SelectItem::Wildcard(options) => items.extend(star(None, options, scope)?),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                let name = name.to_string();
                items.extend(star(Some(name.trim_matches('"')), options, scope)?);
            }
            other => return Err(refusal(format!("{other} is not supported in SELECT"))),
        }
    }
    if items.is_empty() {
        return Err(refusal("SELECT needs a list of columns, or *"));
    }
    Ok(items)
}

fn star(
    table: Option<&str>,
    options: &WildcardAdditionalOptions,
    scope: &Scope,
) -> Result<Vec<Item>, AnalyzeError> {
    let is_rare = options.opt_ilike.is_some()
        || options.opt_except.is_some()
        || options.opt_replace.is_some()
        || options.opt_rename.is_some()
        || options.opt_alias.is_some();
    if is_rare {
        return Err(refusal(format!(
            "*{options} is not supported: name the columns, or write * EXCLUDE (a, b)"
        )));
    }
    let excluded: Vec<String> = match &options.opt_exclude {
        None => Vec::new(),
        Some(ExcludeSelectItem::Single(name)) => vec![name.to_string()],
        Some(ExcludeSelectItem::Multiple(names)) => names.iter().map(ToString::to_string).collect(),
    };
    let is_listed = |column: &crate::verbs::sql::naming::ScopeColumn| {
        let is_of_table = match table {
            Some(table) => column.table.eq_ignore_ascii_case(table),
            None => !column.is_merged,
        };
        is_of_table
            && !excluded
                .iter()
                .any(|name| name.trim_matches('"').eq_ignore_ascii_case(&column.name))
    };
    let columns = scope
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| is_listed(column));
    let items: Vec<Item> = columns.map(|(index, _)| Item::Column(index)).collect();
    match (items.is_empty(), table) {
        (false, _) => Ok(items),
        (true, Some(table)) => Err(refusal(format!("{table}.*: FROM has no {table}"))),
        (true, None) => Err(refusal("* stands for the columns of FROM, and there are none")),
    }
}

/// The name of a column without AS: that of the column it is, or its text.
fn name_of(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(name) => name.value.clone(),
        Expr::CompoundIdentifier(parts) => parts.last().map_or_else(String::new, |name| name.value.clone()),
        Expr::Nested(inner) => name_of(inner),
        other => other.to_string(),
    }
}
