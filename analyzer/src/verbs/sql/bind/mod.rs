//! Gives the names in a parsed expression their columns and its parts their types. What is not listed here
//! is refused in words.

mod calls;
mod casts;

use crate::error::AnalyzeError;
use crate::verbs::sql::evaluate::evaluate;
use crate::verbs::sql::expression::{Expression, SortKey};
use crate::verbs::sql::function::Function;
use crate::verbs::sql::functions::{arithmetic, compare, condition, in_common, shown, widened};
use crate::verbs::sql::hashing::Members;
use crate::verbs::sql::naming::{Relation, Scope, Subqueries};
use crate::verbs::sql::row_set::Rows;
use crate::verbs::sql::text::unsupported;
use crate::verbs::sql::types::{Literal, Type, refusal};
use casts::cast;
use sqlparser::ast::{self, BinaryOperator, CastKind, Expr, Ident, OrderByExpr, UnaryOperator, Value};
use std::sync::Arc;

/// How deep an expression may be nested.
const DEEPEST: usize = 200;

/// Where an expression stands: what may be in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The select list, ORDER BY and QUALIFY: anything.
    Select,
    /// HAVING.
    Having,
    /// WHERE.
    Where,
    /// ON.
    On,
    /// GROUP BY.
    GroupBy,
    /// Within an aggregate function.
    Aggregate,
    /// Within a window function.
    Window,
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Having => "HAVING",
            Self::Where => "WHERE",
            Self::On => "ON",
            Self::GroupBy => "GROUP BY",
            Self::Aggregate => "an aggregate function",
            Self::Window => "a window function",
        }
    }

    fn takes_aggregates(self) -> bool {
        matches!(self, Self::Select | Self::Having | Self::Window)
    }

    fn takes_windows(self) -> bool {
        self == Self::Select
    }
}

/// Binds expressions of one SELECT.
pub struct Binder<'b> {
    /// Answers subqueries.
    pub subqueries: &'b mut dyn Subqueries,
    /// The columns that there are.
    pub scope: &'b Scope,
    /// Names that the select list gives.
    pub aliases: &'b [(String, Expr)],
    /// In ORDER BY a name of the select list goes before a column.
    pub prefers_aliases: bool,
    /// WINDOW.
    pub windows: &'b [(String, ast::WindowSpec)],
    /// Where the expression stands.
    pub place: Place,
    /// Names of the select list that are being looked up.
    expanding: Vec<String>,
    depth: usize,
}

impl<'b> Binder<'b> {
    /// For the columns of `scope` alone.
    pub fn new(subqueries: &'b mut dyn Subqueries, scope: &'b Scope, place: Place) -> Self {
        Self {
            subqueries,
            scope,
            aliases: &[],
            prefers_aliases: false,
            windows: &[],
            place,
            expanding: Vec::new(),
            depth: 0,
        }
    }

    /// Binds.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn bind(&mut self, expr: &Expr) -> Result<Expression, AnalyzeError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(refusal(
                "the question is nested too deep: put it in steps, with WITH",
            ));
        }
        let bound = self.bound(expr);
        self.depth -= 1;
        bound
    }

    /// A condition.
    ///
    /// # Errors
    /// As [`Binder::bind`], and for other values.
    pub fn condition(&mut self, expr: &Expr) -> Result<Expression, AnalyzeError> {
        let bound = self.bind(expr)?;
        condition(bound, self.place.name())
    }

    /// The keys of ORDER BY.
    ///
    /// # Errors
    /// As [`Binder::bind`].
    pub fn sort_key(&mut self, key: &OrderByExpr) -> Result<SortKey, AnalyzeError> {
        if key.with_fill.is_some() {
            return Err(refusal("WITH FILL is not supported"));
        }
        Ok(sort_key_of(self.bind(&key.expr)?, key))
    }

    fn bound(&mut self, expr: &Expr) -> Result<Expression, AnalyzeError> {
        let test = |function, value: Expression| Expression::call(function, vec![value], Type::Boolean);
        let not = |value: Expression| test(Function::Not, value);
        Ok(match expr {
            Expr::Identifier(name) => self.named(None, name)?,
            Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                [table, name] => self.named(Some(table), name)?,
                _ => {
                    return Err(refusal(format!(
                        "{expr} is not a name of a column: write table.column"
                    )));
                }
            },
            Expr::Nested(inner) => self.bind(inner)?,
            Expr::Value(value) => literal(&value.value)?,
            Expr::BinaryOp { left, op, right } => self.operation(left, op, right)?,
            Expr::UnaryOp { op, expr: inner } => self.unary(*op, inner)?,
            Expr::IsNull(inner) => test(Function::IsNull, self.bind(inner)?),
            Expr::IsNotNull(inner) => not(test(Function::IsNull, self.bind(inner)?)),
            Expr::IsTrue(inner) => test(Function::IsTrue, self.truth(inner)?),
            Expr::IsNotTrue(inner) => not(test(Function::IsTrue, self.truth(inner)?)),
            Expr::IsFalse(inner) => test(Function::IsFalse, self.truth(inner)?),
            Expr::IsNotFalse(inner) => not(test(Function::IsFalse, self.truth(inner)?)),
            Expr::IsUnknown(inner) => test(Function::IsNull, self.truth(inner)?),
            Expr::IsNotUnknown(inner) => not(test(Function::IsNull, self.truth(inner)?)),
            Expr::IsDistinctFrom(left, right) => self.distinct_from(left, right, false)?,
            Expr::IsNotDistinctFrom(left, right) => self.distinct_from(left, right, true)?,
            Expr::Between {
                expr: value,
                negated,
                low,
                high,
            } => {
                let value = self.bind(value)?;
                let (low, high) = (self.bind(low)?, self.bind(high)?);
                let both = vec![
                    compare(Function::GreaterOrEqual, value.clone(), low)?,
                    compare(Function::LessOrEqual, value, high)?,
                ];
                let both = Expression::call(Function::And, both, Type::Boolean);
                if *negated { not(both) } else { both }
            }
            Expr::InList {
                expr: value,
                list,
                negated,
            } => {
                let is_in = self.in_list(value, list)?;
                if *negated { not(is_in) } else { is_in }
            }
            Expr::InSubquery {
                expr: value,
                subquery,
                negated,
            } => {
                let is_in = self.in_subquery(value, subquery)?;
                if *negated { not(is_in) } else { is_in }
            }
            Expr::Exists { subquery, negated } => {
                let relation = self.subquery(subquery)?;
                Expression::Literal(Literal::Boolean((relation.rows.height > 0) != *negated))
            }
            Expr::Subquery(subquery) => self.scalar(subquery)?,
            Expr::Like {
                negated,
                any: false,
                expr: value,
                pattern,
                escape_char,
            } => self.like(value, pattern, escape_char.as_ref(), false, *negated)?,
            Expr::ILike {
                negated,
                any: false,
                expr: value,
                pattern,
                escape_char,
            } => self.like(value, pattern, escape_char.as_ref(), true, *negated)?,
            Expr::Case {
                operand,
                conditions,
                else_result,
                ..
            } => self.case(operand.as_deref(), conditions, else_result.as_deref())?,
            Expr::Cast {
                kind,
                expr: value,
                data_type,
                array: false,
                format: None,
            } => {
                let value = self.bind(value)?;
                cast(
                    value,
                    data_type,
                    matches!(kind, CastKind::TryCast | CastKind::SafeCast),
                )?
            }
            Expr::TypedString(typed) => {
                let text = match &typed.value.value {
                    Value::SingleQuotedString(text) => text.as_str(),
                    _ => "",
                };
                cast(
                    Expression::Literal(Literal::Text(text.into())),
                    &typed.data_type,
                    false,
                )?
            }
            Expr::Function(function) => self.function(function)?,
            Expr::Ceil {
                expr: value,
                field: ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime),
            } => self.scalar_call("CEIL", &[value])?,
            Expr::Floor {
                expr: value,
                field: ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime),
            } => self.scalar_call("FLOOR", &[value])?,
            Expr::Position {
                expr: part,
                r#in: all,
            } => self.scalar_call("STRPOS", &[all, part])?,
            Expr::Substring {
                expr: text,
                substring_from: Some(from),
                substring_for,
                ..
            } => match substring_for {
                Some(count) => self.scalar_call("SUBSTRING", &[text, from, count])?,
                None => self.scalar_call("SUBSTRING", &[text, from])?,
            },
            Expr::Trim {
                trim_where,
                trim_what,
                expr: text,
                trim_characters,
            } => {
                let name = match trim_where {
                    None | Some(ast::TrimWhereField::Both) => "TRIM",
                    Some(ast::TrimWhereField::Leading) => "LTRIM",
                    Some(ast::TrimWhereField::Trailing) => "RTRIM",
                };
                let listed = trim_characters.iter().flatten();
                let what: Vec<&Expr> = trim_what.iter().map(AsRef::as_ref).chain(listed).collect();
                self.scalar_call(name, &[&[&**text], what.as_slice()].concat())?
            }
            _ => return Err(unsupported(expr)),
        })
    }

    /// IS [NOT] DISTINCT FROM. The parser takes all that follows for the right side, also what AND and OR bind weaker.
    fn distinct_from(
        &mut self,
        left: &Expr,
        right: &Expr,
        is_negated: bool,
    ) -> Result<Expression, AnalyzeError> {
        if let Expr::BinaryOp {
            left: first,
            op: op @ (BinaryOperator::And | BinaryOperator::Or),
            right: second,
        } = right
        {
            let first = self.distinct_from(left, first, is_negated)?;
            let second = condition(self.bind(second)?, &op.to_string())?;
            let function = if *op == BinaryOperator::And {
                Function::And
            } else {
                Function::Or
            };
            return Ok(Expression::call(function, vec![first, second], Type::Boolean));
        }
        let same = compare(Function::NotDistinct, self.bind(left)?, self.bind(right)?)?;
        Ok(match is_negated {
            true => same,
            false => Expression::call(Function::Not, vec![same], Type::Boolean),
        })
    }

    fn truth(&mut self, expr: &Expr) -> Result<Expression, AnalyzeError> {
        let bound = self.bind(expr)?;
        condition(bound, "IS TRUE")
    }

    fn scalar_call(&mut self, name: &str, arguments: &[&Expr]) -> Result<Expression, AnalyzeError> {
        let arguments: Result<_, _> = arguments.iter().map(|argument| self.bind(argument)).collect();
        crate::verbs::sql::functions::called(name, arguments?)
    }

    /// A column, or a name of the select list.
    fn named(&mut self, table: Option<&Ident>, name: &Ident) -> Result<Expression, AnalyzeError> {
        let column = self
            .scope
            .find(table.map(|table| table.value.as_str()), &name.value)?;
        let alias = self.aliases.iter().find(|(alias, _)| {
            table.is_none() && alias.eq_ignore_ascii_case(&name.value) && !self.expanding.contains(alias)
        });
        match (column, alias) {
            (Some(column), None) => Ok(column),
            (Some(column), Some(_)) if !self.prefers_aliases => Ok(column),
            (_, Some((alias, expr))) => {
                let (before, prefers) = (self.expanding.clone(), self.prefers_aliases);
                self.expanding.push(alias.clone());
                self.prefers_aliases = false;
                let bound = self.bind(expr);
                self.expanding = before;
                self.prefers_aliases = prefers;
                bound
            }
            (None, None) => {
                Err(self
                    .subqueries
                    .no_column(self.scope, table.map(|t| t.value.as_str()), &name.value))
            }
        }
    }

    fn operation(
        &mut self,
        left: &Expr,
        op: &BinaryOperator,
        right: &Expr,
    ) -> Result<Expression, AnalyzeError> {
        let (one, two) = (self.bind(left)?, self.bind(right)?);
        let sign = op.to_string();
        let whole = |function, one: Expression, two: Expression| match (one.of(), two.of()) {
            (Type::Number(0) | Type::Null, Type::Number(0) | Type::Null) => {
                Ok(Expression::call(function, vec![one, two], Type::WHOLE))
            }
            _ => Err(refusal(format!("{op} needs two whole numbers"))),
        };
        match op {
            BinaryOperator::Plus => arithmetic(Function::Add, &sign, one, two),
            BinaryOperator::Minus => arithmetic(Function::Subtract, &sign, one, two),
            BinaryOperator::Multiply => arithmetic(Function::Multiply, &sign, one, two),
            BinaryOperator::Divide => arithmetic(Function::Divide, &sign, one, two),
            BinaryOperator::DuckIntegerDivide => arithmetic(Function::WholeDivide, &sign, one, two),
            BinaryOperator::Modulo => arithmetic(Function::Modulo, &sign, one, two),
            BinaryOperator::Eq => compare(Function::Equal, one, two),
            BinaryOperator::NotEq => compare(Function::NotEqual, one, two),
            BinaryOperator::Lt => compare(Function::Less, one, two),
            BinaryOperator::LtEq => compare(Function::LessOrEqual, one, two),
            BinaryOperator::Gt => compare(Function::Greater, one, two),
            BinaryOperator::GtEq => compare(Function::GreaterOrEqual, one, two),
            BinaryOperator::And | BinaryOperator::Or => {
                let function = if *op == BinaryOperator::And {
                    Function::And
                } else {
                    Function::Or
                };
                let both = vec![condition(one, &sign)?, condition(two, &sign)?];
                Ok(Expression::call(function, both, Type::Boolean))
            }
            BinaryOperator::StringConcat => Ok(Expression::call(
                Function::Concatenate,
                vec![shown(one)?, shown(two)?],
                Type::Text,
            )),
            BinaryOperator::BitwiseAnd => whole(Function::BitAnd, one, two),
            BinaryOperator::BitwiseOr => whole(Function::BitOr, one, two),
            BinaryOperator::PGBitwiseShiftLeft => whole(Function::ShiftLeft, one, two),
            BinaryOperator::PGBitwiseShiftRight => whole(Function::ShiftRight, one, two),
            _ => Err(refusal(format!("the operator {op} is not supported"))),
        }
    }

    fn unary(&mut self, op: UnaryOperator, inner: &Expr) -> Result<Expression, AnalyzeError> {
        let value = self.bind(inner)?;
        match op {
            UnaryOperator::Not => Ok(Expression::call(
                Function::Not,
                vec![condition(value, "NOT")?],
                Type::Boolean,
            )),
            UnaryOperator::Plus if value.of().is_numeric() => Ok(value),
            UnaryOperator::Minus if value.of().is_numeric() => Ok(match value {
                Expression::Literal(Literal::Number { digits, scale }) => {
                    Expression::Literal(Literal::Number {
                        digits: -digits,
                        scale,
                    })
                }
                value => {
                    let of = value.of();
                    Expression::call(Function::Negate, vec![value], of)
                }
            }),
            _ => Err(refusal(format!("{op} needs a number"))),
        }
    }

    fn in_list(&mut self, value: &Expr, list: &[Expr]) -> Result<Expression, AnalyzeError> {
        let mut all = vec![self.bind(value)?];
        for item in list {
            all.push(self.bind(item)?);
        }
        let (all, _) = in_common(all, "IN")?;
        let mut all = all.into_iter();
        let value = all.next().unwrap_or(Expression::NULL);
        let is_constant = |item: &Expression| {
            !item.has(&|part| {
                matches!(
                    part,
                    Expression::Column(..) | Expression::Aggregate(_) | Expression::Window(_)
                )
            })
        };
        let items: Vec<Expression> = all.collect();
        if items.iter().all(is_constant) {
            let one_row = Rows::new(1, Vec::new());
            let mut members = Members::default();
            for item in &items {
                members.add(&evaluate(item, &one_row)?);
            }
            return Ok(Expression::IsIn(Box::new(value), Arc::new(members)));
        }
        let mut any = Expression::Literal(Literal::Boolean(false));
        for item in items {
            let is = compare(Function::Equal, value.clone(), item)?;
            any = Expression::call(Function::Or, vec![any, is], Type::Boolean);
        }
        Ok(any)
    }

    fn in_subquery(&mut self, value: &Expr, subquery: &ast::Query) -> Result<Expression, AnalyzeError> {
        let value = self.bind(value)?;
        let relation = self.subquery(subquery)?;
        let [column] = relation.columns.as_slice() else {
            return Err(refusal("IN needs a subquery with one column"));
        };
        let (both, of) = in_common(vec![value, Expression::Column(0, column.of)], "IN")?;
        if of == Type::List {
            return Err(refusal("lists cannot be compared"));
        }
        let mut both = both.into_iter();
        let value = both.next().unwrap_or(Expression::NULL);
        let member = both.next().unwrap_or(Expression::NULL);
        let mut members = Members::default();
        for piece in relation.rows.pieces() {
            members.add(&evaluate(&member, &piece)?);
        }
        Ok(Expression::IsIn(Box::new(value), Arc::new(members)))
    }

    fn scalar(&mut self, subquery: &ast::Query) -> Result<Expression, AnalyzeError> {
        let relation = self.subquery(subquery)?;
        let [column] = relation.columns.as_slice() else {
            return Err(refusal("a subquery that stands for a value needs one column"));
        };
        if relation.rows.height > 1 {
            return Err(refusal(format!(
                "a subquery that stands for a value has {} rows: it needs LIMIT 1, or an aggregate such as MAX",
                relation.rows.height
            )));
        }
        if relation.rows.height == 0 {
            return Ok(Expression::NULL);
        }
        let value = evaluate(&Expression::Column(0, column.of), &relation.rows)?;
        Ok(Expression::Literal(value.literal(0, column.of)))
    }

    fn subquery(&mut self, subquery: &ast::Query) -> Result<Relation, AnalyzeError> {
        self.subqueries.answered(subquery, self.scope)
    }

    fn like(
        &mut self,
        value: &Expr,
        pattern: &Expr,
        escape: Option<&ast::ValueWithSpan>,
        ignores_case: bool,
        negated: bool,
    ) -> Result<Expression, AnalyzeError> {
        let both = vec![self.bind(value)?, self.bind(pattern)?];
        if let Some(other) = both
            .iter()
            .find(|one| !matches!(one.of(), Type::Text | Type::Null))
        {
            return Err(refusal(format!("LIKE needs text, and this is {}", other.of())));
        }
        let escape = match escape.map(|escape| &escape.value) {
            None => None,
            Some(Value::SingleQuotedString(text)) if text.chars().count() == 1 => text.chars().next(),
            Some(_) => return Err(refusal("ESCAPE needs one character in quotes")),
        };
        let like = Expression::call(Function::Like { ignores_case, escape }, both, Type::Boolean);
        Ok(match negated {
            true => Expression::call(Function::Not, vec![like], Type::Boolean),
            false => like,
        })
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[ast::CaseWhen],
        otherwise: Option<&Expr>,
    ) -> Result<Expression, AnalyzeError> {
        let operand = operand.map(|operand| self.bind(operand)).transpose()?;
        let (mut whens, mut thens) = (Vec::new(), Vec::new());
        for branch in conditions {
            let when = self.bind(&branch.condition)?;
            whens.push(match &operand {
                Some(operand) => compare(Function::Equal, operand.clone(), when)?,
                None => condition(when, "WHEN")?,
            });
            thens.push(self.bind(&branch.result)?);
        }
        thens.push(match otherwise {
            Some(otherwise) => self.bind(otherwise)?,
            None => Expression::NULL,
        });
        let (mut thens, gives) = in_common(thens, "CASE")?;
        let otherwise = Box::new(thens.pop().unwrap_or(Expression::NULL));
        Ok(Expression::Case {
            branches: whens.into_iter().zip(thens).collect(),
            otherwise,
            gives,
        })
    }
}

/// With its direction. Nulls come last, unless it says otherwise.
#[must_use]
pub fn sort_key_of(by: Expression, key: &OrderByExpr) -> SortKey {
    SortKey {
        by,
        is_descending: key.options.asc == Some(false),
        nulls_first: key.options.nulls_first == Some(true),
    }
}

fn literal(value: &Value) -> Result<Expression, AnalyzeError> {
    Ok(Expression::Literal(match value {
        Value::Number(text, _) => Literal::parse_number(text)?,
        Value::SingleQuotedString(text) => Literal::Text(text.as_str().into()),
        Value::Boolean(flag) => Literal::Boolean(*flag),
        Value::Null => Literal::Null,
        // As tables print addresses: 0x7f00.
        Value::HexStringLiteral(digits) => Literal::parse_hexadecimal(digits)?,
        other => {
            return Err(refusal(format!(
                "{other} is not supported: text stands in single quotes"
            )));
        }
    }))
}

/// As `widened`, for arguments that are given a type.
fn argument_as(value: Expression, of: Type, why: &str) -> Result<Expression, AnalyzeError> {
    widened(value, of, why)
}
