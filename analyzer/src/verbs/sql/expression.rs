//! An expression with all names resolved and all types known.

use crate::verbs::sql::function::Function;
use crate::verbs::sql::hashing::Members;
use crate::verbs::sql::types::{Literal, Type};
use std::sync::Arc;

/// An expression over the columns of some [`crate::verbs::sql::row_set::Rows`].
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// The column at a place.
    Column(usize, Type),
    /// A constant.
    Literal(Literal),
    /// A function or an operator.
    Call {
        /// Which.
        function: Function,
        /// What it is given.
        arguments: Vec<Expression>,
        /// The type of what it gives.
        gives: Type,
    },
    /// CASE: the first branch whose condition is true.
    Case {
        /// Conditions with their results.
        branches: Vec<(Expression, Expression)>,
        /// The result if none is true.
        otherwise: Box<Expression>,
        /// The type of all results.
        gives: Type,
    },
    /// Whether it is one of many.
    IsIn(Box<Expression>, Arc<Members>),
    /// Computed from the rows of a group.
    Aggregate(Box<Aggregate>),
    /// Computed from other rows for each row.
    Window(Box<Window>),
}

/// How an aggregate computes.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "named as in SQL")]
pub enum Aggregation {
    Count,
    Sum,
    Average,
    Min,
    Max,
    /// The value at a share of the sorted ones; between two of them, if it is continuous.
    Quantile {
        share: f64,
        is_continuous: bool,
    },
    /// Of a sample, unless it is of all.
    Variance {
        is_of_all: bool,
        is_root: bool,
    },
    BoolAnd,
    BoolOr,
    AnyValue,
    /// The first argument where the second is least, or greatest.
    Extreme {
        is_greatest: bool,
    },
    List,
    /// Joined by a text.
    StringAggregate(Arc<str>),
}

/// An aggregate function.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Which.
    pub what: Aggregation,
    /// What it is given; none for COUNT(*).
    pub arguments: Vec<Expression>,
    /// Equal values count once.
    pub is_distinct: bool,
    /// Only rows for which this is true.
    pub filter: Option<Expression>,
    /// Order of the values, where it matters.
    pub order: Vec<SortKey>,
    /// The type of what it gives.
    pub gives: Type,
}

/// What rows are sorted by.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKey {
    /// The value.
    pub by: Expression,
    /// From the greatest to the least.
    pub is_descending: bool,
    /// Nulls come first; otherwise last, whatever the direction.
    pub nulls_first: bool,
}

/// How a window function computes.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "named as in SQL")]
pub enum Windowed {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    Ntile,
    /// So many rows before, or behind if negative.
    Lag(i64),
    FirstValue,
    LastValue,
    Aggregate(Aggregation),
}

/// Which rows of its partition a row looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// From the first, or to the last row of the partition.
    Unbounded,
    /// Rows from the current one; negative ones are before it.
    Rows(i64),
    /// The rows that the order makes equal to the current one.
    Peers,
}

/// A window function.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Which.
    pub what: Windowed,
    /// What it is given.
    pub arguments: Vec<Expression>,
    /// Only rows for which this is true.
    pub filter: Option<Expression>,
    /// PARTITION BY.
    pub partition: Vec<Expression>,
    /// ORDER BY.
    pub order: Vec<SortKey>,
    /// First row that it looks at.
    pub from: Bound,
    /// Last row that it looks at.
    pub to: Bound,
    /// The type of what it gives.
    pub gives: Type,
}

impl Expression {
    /// NULL.
    pub const NULL: Self = Self::Literal(Literal::Null);

    /// Its type.
    #[must_use]
    pub fn of(&self) -> Type {
        match self {
            Self::Column(_, of) => *of,
            Self::Literal(literal) => literal.of(),
            Self::Call { gives, .. } | Self::Case { gives, .. } => *gives,
            Self::IsIn(..) => Type::Boolean,
            Self::Aggregate(aggregate) => aggregate.gives,
            Self::Window(window) => window.gives,
        }
    }

    /// A call.
    #[must_use]
    pub fn call(function: Function, arguments: Vec<Self>, gives: Type) -> Self {
        Self::Call {
            function,
            arguments,
            gives,
        }
    }

    /// What it is directly made of.
    #[must_use]
    pub fn parts(&self) -> Vec<&Self> {
        match self {
            Self::Column(..) | Self::Literal(_) => Vec::new(),
            Self::Call { arguments, .. } => arguments.iter().collect(),
            Self::Case {
                branches, otherwise, ..
            } => {
                let branches = branches.iter().flat_map(|(when, then)| [when, then]);
                branches.chain([&**otherwise]).collect()
            }
            Self::IsIn(of, _) => vec![of],
            Self::Aggregate(aggregate) => {
                let order = aggregate.order.iter().map(|key| &key.by);
                aggregate
                    .arguments
                    .iter()
                    .chain(&aggregate.filter)
                    .chain(order)
                    .collect()
            }
            Self::Window(window) => {
                let order = window.order.iter().map(|key| &key.by);
                let others = window.arguments.iter().chain(&window.filter);
                others.chain(&window.partition).chain(order).collect()
            }
        }
    }

    /// The same with other parts.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn try_map<E>(&self, change: &mut impl FnMut(&Self) -> Result<Self, E>) -> Result<Self, E> {
        let all = |parts: &[Self], change: &mut dyn FnMut(&Self) -> Result<Self, E>| {
            parts.iter().map(change).collect::<Result<Vec<Self>, E>>()
        };
        let keys = |keys: &[SortKey], change: &mut dyn FnMut(&Self) -> Result<Self, E>| {
            let changed = keys.iter().map(|key| {
                Ok(SortKey {
                    by: change(&key.by)?,
                    ..key.clone()
                })
            });
            changed.collect::<Result<Vec<SortKey>, E>>()
        };
        Ok(match self {
            Self::Column(..) | Self::Literal(_) => self.clone(),
            Self::Call {
                function,
                arguments,
                gives,
            } => Self::call(function.clone(), all(arguments, change)?, *gives),
            Self::Case {
                branches,
                otherwise,
                gives,
            } => Self::Case {
                branches: branches
                    .iter()
                    .map(|(when, then)| Ok((change(when)?, change(then)?)))
                    .collect::<Result<_, E>>()?,
                otherwise: Box::new(change(otherwise)?),
                gives: *gives,
            },
            Self::IsIn(of, members) => Self::IsIn(Box::new(change(of)?), Arc::clone(members)),
            Self::Aggregate(aggregate) => Self::Aggregate(Box::new(Aggregate {
                what: aggregate.what.clone(),
                arguments: all(&aggregate.arguments, change)?,
                is_distinct: aggregate.is_distinct,
                filter: aggregate.filter.as_ref().map(&mut *change).transpose()?,
                order: keys(&aggregate.order, change)?,
                gives: aggregate.gives,
            })),
            Self::Window(window) => Self::Window(Box::new(Window {
                what: window.what.clone(),
                arguments: all(&window.arguments, change)?,
                filter: window.filter.as_ref().map(&mut *change).transpose()?,
                partition: all(&window.partition, change)?,
                order: keys(&window.order, change)?,
                ..(**window).clone()
            })),
        })
    }

    /// Whether a part of it is such.
    #[must_use]
    pub fn has(&self, is_such: &dyn Fn(&Self) -> bool) -> bool {
        is_such(self) || self.parts().iter().any(|part| part.has(is_such))
    }

    /// Whether an aggregate is in it that is not a window.
    #[must_use]
    pub fn has_aggregate(&self) -> bool {
        self.has(&|part| matches!(part, Self::Aggregate(_)))
    }

    /// Whether a window is in it.
    #[must_use]
    pub fn has_window(&self) -> bool {
        self.has(&|part| matches!(part, Self::Window(_)))
    }

    /// Calls `see` with the place of every column in it.
    pub fn columns(&self, see: &mut dyn FnMut(usize)) {
        if let Self::Column(index, _) = self {
            see(*index);
        }
        for part in self.parts() {
            part.columns(see);
        }
    }

    /// The same with its columns at other places.
    #[must_use]
    pub fn moved(&self, to: &dyn Fn(usize) -> usize) -> Self {
        if let Self::Column(index, of) = self {
            return Self::Column(to(*index), *of);
        }
        let moved: Result<Self, std::convert::Infallible> = self.try_map(&mut |part| Ok(part.moved(to)));
        match moved {
            Ok(moved) => moved,
            Err(never) => match never {},
        }
    }
}

/// The conditions that all must be true for this one to be.
#[must_use]
pub fn conjuncts(condition: Expression) -> Vec<Expression> {
    match condition {
        Expression::Call {
            function: Function::And,
            arguments,
            ..
        } => arguments.into_iter().flat_map(conjuncts).collect(),
        other => vec![other],
    }
}
