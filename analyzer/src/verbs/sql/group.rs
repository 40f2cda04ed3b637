//! GROUP BY: the values of keys and aggregates for each group, and expressions over them.

use crate::error::AnalyzeError;
use crate::verbs::sql::accumulate::Accumulator;
use crate::verbs::sql::budget::{Budget, Lease};
use crate::verbs::sql::evaluate::evaluate;
use crate::verbs::sql::expression::{Aggregate, Expression};
use crate::verbs::sql::hashing::RowNumbers;
use crate::verbs::sql::naming::Scope;
use crate::verbs::sql::ordering::computed;
use crate::verbs::sql::row_set::Rows;
use crate::verbs::sql::types::refusal;
use polars::prelude::IdxSize;
use std::sync::Arc;

/// What a grouped SELECT computes of its rows: the columns of its groups.
#[derive(Debug, Default)]
pub struct Grouping {
    /// First the keys.
    pub keys: Vec<Expression>,
    /// Then the aggregates.
    pub aggregates: Vec<Aggregate>,
}

impl Grouping {
    /// An expression over rows as one over groups.
    ///
    /// # Errors
    /// When it looks at a column that is neither a key nor in an aggregate.
    pub fn over_groups(
        &mut self,
        expression: &Expression,
        scope: &Scope,
    ) -> Result<Expression, AnalyzeError> {
        if let Some(place) = self.keys.iter().position(|key| key == expression) {
            return Ok(Expression::Column(place, expression.of()));
        }
        match expression {
            Expression::Column(index, _) => {
                let name = scope.name(*index);
                Err(refusal(format!(
                    "{name} is neither in GROUP BY nor in an aggregate function: a group has many of it. \
                     Add it to GROUP BY, or write MIN({name}) or MAX({name})"
                )))
            }
            Expression::Aggregate(aggregate) => {
                let known = self.aggregates.iter().position(|known| known == &**aggregate);
                let place = known.unwrap_or_else(|| {
                    self.aggregates.push((**aggregate).clone());
                    self.aggregates.len() - 1
                });
                Ok(Expression::Column(self.keys.len() + place, aggregate.gives))
            }
            other => other.try_map(&mut |part| self.over_groups(part, scope)),
        }
    }

    /// The groups: a column for each key, then one for each aggregate.
    ///
    /// # Errors
    /// When they cannot be computed, or take too much memory.
    pub fn groups(&self, rows: &Rows, budget: &Arc<Budget>) -> Result<Rows, AnalyzeError> {
        let mut numbers = RowNumbers::default();
        let mut accumulators: Vec<Accumulator> = self.aggregates.iter().map(accumulator).collect();
        // The first row of each group.
        let mut firsts: Vec<IdxSize> = Vec::new();
        let mut count = usize::from(self.keys.is_empty());
        let mut start: IdxSize = 0;
        let mut held: Option<Arc<Lease>> = None;
        for piece in rows.pieces() {
            let keys: Result<Vec<_>, _> = self.keys.iter().map(|key| evaluate(key, &piece)).collect();
            let groups = numbers.of(&keys?, piece.height);
            if !self.keys.is_empty() {
                for (row, &group) in (start..).zip(&groups) {
                    if group as usize == firsts.len() {
                        firsts.push(row);
                    }
                }
                count = firsts.len();
            }
            for (accumulator, aggregate) in accumulators.iter_mut().zip(&self.aggregates) {
                accumulator.grow(count);
                let order = aggregate.order.iter().map(|key| &key.by);
                let arguments: Result<Vec<_>, _> = aggregate
                    .arguments
                    .iter()
                    .chain(order)
                    .map(|argument| evaluate(argument, &piece))
                    .collect();
                let filter = aggregate
                    .filter
                    .as_ref()
                    .map(|filter| evaluate(filter, &piece))
                    .transpose()?;
                accumulator.add_rows(&groups, &arguments?, filter.as_ref())?;
            }
            numbers.hold(budget)?;
            drop(held.take());
            let bytes: u64 = accumulators.iter().map(Accumulator::bytes).sum();
            held = Some(Budget::lease(budget, bytes, 0)?);
            start = start.saturating_add(piece.height as IdxSize);
        }
        let mut columns = Vec::new();
        let mut leases: Vec<Arc<Lease>> = Vec::new();
        if !self.keys.is_empty() {
            let firsts = rows.take(&firsts, budget)?;
            leases.extend(firsts.leases());
            for key in &self.keys {
                let (column, lease) = computed(key, &firsts, budget)?;
                leases.extend(lease);
                columns.push(Some(column));
            }
        }
        let cost = 16 * accumulators.len() as u64 * count as u64;
        leases.push(Budget::lease(budget, cost, count)?);
        columns.extend(
            accumulators
                .iter()
                .map(|accumulator| Some(accumulator.column(count))),
        );
        Ok(Rows::new(count, columns).holding(leases))
    }
}

fn accumulator(aggregate: &Aggregate) -> Accumulator {
    let types = aggregate.arguments.iter().map(Expression::of).collect();
    Accumulator::new(
        &aggregate.what,
        types,
        aggregate.gives,
        aggregate.is_distinct,
        &aggregate.order,
    )
}
