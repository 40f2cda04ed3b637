//! Window functions: rows are sorted by partition and order, and each looks at those of its frame.

use crate::error::AnalyzeError;
use crate::verbs::sql::accumulate::Accumulator;
use crate::verbs::sql::budget::{Budget, Lease};
use crate::verbs::sql::build_column::column_of;
use crate::verbs::sql::expression::{Bound, Expression, Window, Windowed};
use crate::verbs::sql::functions::literal_whole;
use crate::verbs::sql::hashing::RowNumbers;
use crate::verbs::sql::ordering::{Order, computed, vectors};
use crate::verbs::sql::row_set::Rows;
use crate::verbs::sql::types::Literal;
use crate::verbs::sql::vector::Vector;
use polars::prelude::Column;
use std::ops::Range;
use std::sync::Arc;

/// What a row takes while a window is computed: its places, and its result twice.
const ROW: u64 = 100;

/// An expression over rows as one over rows with a column behind theirs for each window function.
///
/// # Errors
/// None; the type is that of what it is used with.
pub fn over_windows(
    expression: &Expression,
    windows: &mut Vec<Window>,
    columns: usize,
) -> Result<Expression, AnalyzeError> {
    let Expression::Window(window) = expression else {
        return expression.try_map(&mut |part| over_windows(part, windows, columns));
    };
    let known = windows.iter().position(|known| known == &**window);
    let place = known.unwrap_or_else(|| {
        windows.push((**window).clone());
        windows.len() - 1
    });
    Ok(Expression::Column(columns + place, window.gives))
}

/// The rows with a column behind theirs for each window function.
///
/// # Errors
/// When they cannot be computed, or take too much memory.
pub fn with_windows(
    rows: &Rows,
    windows: &[Window],
    columns: usize,
    budget: &Arc<Budget>,
) -> Result<Rows, AnalyzeError> {
    let mut all = rows.columns.clone();
    all.resize(columns, None);
    let mut leases: Vec<Arc<Lease>> = rows.leases().collect();
    for window in windows {
        let lease = Budget::lease(budget, ROW * rows.height as u64, rows.height)?;
        all.push(Some(column(window, rows, budget)?));
        drop(lease);
        leases.push(Budget::lease(budget, 16 * rows.height as u64, rows.height)?);
    }
    Ok(Rows::new(rows.height, all).holding(leases))
}

/// What several columns take, if they take anything.
type Leases = Vec<Option<Arc<Lease>>>;

/// Several expressions for all rows; what they take is counted as long as the second part lives.
fn all_computed(
    expressions: &[&Expression],
    rows: &Rows,
    budget: &Arc<Budget>,
) -> Result<(Vec<Column>, Leases), AnalyzeError> {
    let mut columns = Vec::new();
    let mut leases = Vec::new();
    for expression in expressions {
        let (column, lease) = computed(expression, rows, budget)?;
        columns.push(column);
        leases.push(lease);
    }
    Ok((columns, leases))
}

fn column(window: &Window, rows: &Rows, budget: &Arc<Budget>) -> Result<Column, AnalyzeError> {
    let partition: Vec<&Expression> = window.partition.iter().collect();
    let (partition, _first) = all_computed(&partition, rows, budget)?;
    let keys: Vec<&Expression> = window.order.iter().map(|key| &key.by).collect();
    let (keys, _second) = all_computed(&keys, rows, budget)?;
    let arguments: Vec<&Expression> = window.arguments.iter().collect();
    let (arguments, _third) = all_computed(&arguments, rows, budget)?;
    let filter: Vec<&Expression> = window.filter.iter().collect();
    let (filter, _fourth) = all_computed(&filter, rows, budget)?;
    let partitions = RowNumbers::default().of(&vectors(&partition)?, rows.height);
    let order = Order::new(&window.order, vectors(&keys)?);
    let arguments = vectors(&arguments)?;
    let filter = vectors(&filter)?;
    let part = |row: u32| partitions.get(row as usize).copied();
    let mut sorted: Vec<u32> = (0..rows.height as u32).collect();
    sorted.sort_unstable_by(|&one, &two| {
        let parts = part(one).cmp(&part(two));
        parts
            .then_with(|| order.of(one as usize, two as usize))
            .then(one.cmp(&two))
    });
    let mut results = vec![Literal::Null; rows.height];
    let types: Vec<_> = window.arguments.iter().map(Expression::of).collect();
    let accumulator = match &window.what {
        Windowed::Aggregate(what) => Some(Accumulator::new(what, types.clone(), window.gives, false, &[])),
        _ => None,
    };
    let mut state = Partition {
        window,
        order,
        arguments,
        filter: filter.into_iter().next(),
        accumulator,
        results: &mut results,
    };
    if let Some(accumulator) = &mut state.accumulator {
        accumulator.grow(1);
    }
    for rows in sorted.chunk_by(|&one, &two| part(one) == part(two)) {
        state.compute(rows)?;
    }
    Ok(column_of(results, window.gives))
}

/// What is computed for one partition after the other.
struct Partition<'w, 'v> {
    window: &'w Window,
    order: Order<'v>,
    arguments: Vec<Vector<'v>>,
    filter: Option<Vector<'v>>,
    accumulator: Option<Accumulator>,
    results: &'w mut Vec<Literal>,
}

impl Partition<'_, '_> {
    fn set(&mut self, row: u32, value: Literal) {
        if let Some(result) = self.results.get_mut(row as usize) {
            *result = value;
        }
    }

    fn argument(&self, which: usize, row: u32) -> Literal {
        let values = self.arguments.get(which);
        values.map_or(Literal::Null, |values| {
            values.literal(row as usize, self.window.gives)
        })
    }

    /// Ranges of rows that the order makes equal.
    fn peers(&self, rows: &[u32]) -> Vec<Range<usize>> {
        let mut start = 0;
        let chunks = rows.chunk_by(|&one, &two| self.order.of(one as usize, two as usize).is_eq());
        chunks
            .map(|chunk| {
                let range = start..start + chunk.len();
                start = range.end;
                range
            })
            .collect()
    }

    fn compute(&mut self, rows: &[u32]) -> Result<(), AnalyzeError> {
        match self.window.what {
            Windowed::RowNumber => {
                for (index, &row) in rows.iter().enumerate() {
                    self.set(row, Literal::whole(index as i128 + 1));
                }
            }
            Windowed::Rank | Windowed::DenseRank | Windowed::PercentRank | Windowed::CumeDist => {
                self.rank(rows);
            }
            Windowed::Ntile => self.tile(rows),
            Windowed::Lag(steps) => {
                for (index, &row) in rows.iter().enumerate() {
                    let from = i64::try_from(index).unwrap_or(i64::MAX) - steps;
                    let from = usize::try_from(from)
                        .ok()
                        .and_then(|from| rows.get(from))
                        .copied();
                    let value = match from {
                        Some(from) => self.argument(0, from),
                        None => self.argument(1, row),
                    };
                    self.set(row, value);
                }
            }
            Windowed::FirstValue | Windowed::LastValue | Windowed::Aggregate(_) => self.frames(rows)?,
        }
        Ok(())
    }

    fn rank(&mut self, rows: &[u32]) {
        let peers = self.peers(rows);
        for (dense, range) in peers.into_iter().enumerate() {
            let value = match self.window.what {
                Windowed::Rank => Literal::whole(range.start as i128 + 1),
                Windowed::DenseRank => Literal::whole(dense as i128 + 1),
                Windowed::PercentRank if rows.len() < 2 => Literal::Float(0.0),
                Windowed::PercentRank => Literal::Float(range.start as f64 / (rows.len() - 1) as f64),
                _ => Literal::Float(range.end as f64 / rows.len() as f64),
            };
            for &row in rows.get(range).unwrap_or_default() {
                self.set(row, value.clone());
            }
        }
    }

    fn tile(&mut self, rows: &[u32]) {
        let parts = self.window.arguments.first().and_then(literal_whole).unwrap_or(1);
        let parts = usize::try_from(parts).unwrap_or(usize::MAX).max(1);
        // The first ones have one more.
        let (size, larger) = (rows.len() / parts, rows.len() % parts);
        for (index, &row) in rows.iter().enumerate() {
            let in_larger = larger * (size + 1);
            let part = match index < in_larger {
                true => index / (size + 1),
                false => larger + (index - in_larger) / size.max(1),
            };
            self.set(row, Literal::whole(part as i128 + 1));
        }
    }

    fn frames(&mut self, rows: &[u32]) -> Result<(), AnalyzeError> {
        let peers = self.peers(rows);
        // What the accumulator has seen.
        let mut seen: Range<usize> = 0..0;
        if let Some(accumulator) = &mut self.accumulator {
            accumulator.restart();
        }
        let mut last: Option<(Range<usize>, Literal)> = None;
        // Frames that end with the partition grow from its end.
        let is_backward = self.window.to == Bound::Unbounded && self.window.from != Bound::Unbounded;
        let mut places: Vec<(usize, &Range<usize>)> = peers
            .iter()
            .flat_map(|range| range.clone().map(move |index| (index, range)))
            .collect();
        if is_backward {
            places.reverse();
        }
        for (index, range) in places {
            let frame = self.frame(index, range, rows.len());
            let known = last.take().filter(|(known, _)| *known == frame);
            let value = match known {
                Some((_, value)) => value,
                None => self.of_frame(&frame, rows, &mut seen)?,
            };
            if let Some(&row) = rows.get(index) {
                self.set(row, value.clone());
            }
            last = Some((frame, value));
        }
        Ok(())
    }

    fn frame(&self, index: usize, peers: &Range<usize>, count: usize) -> Range<usize> {
        let moved = |by: i64| {
            let place = i64::try_from(index).unwrap_or(i64::MAX).saturating_add(by);
            usize::try_from(place.max(0)).unwrap_or(0)
        };
        let start = match self.window.from {
            Bound::Unbounded => 0,
            Bound::Peers => peers.start,
            Bound::Rows(by) => moved(by),
        };
        let end = match self.window.to {
            Bound::Unbounded => count,
            Bound::Peers => peers.end,
            Bound::Rows(by) if i64::try_from(index).unwrap_or(i64::MAX) + by < 0 => 0,
            Bound::Rows(by) => moved(by).saturating_add(1),
        };
        let end = end.min(count);
        start.min(end)..end
    }

    fn of_frame(
        &mut self,
        frame: &Range<usize>,
        rows: &[u32],
        seen: &mut Range<usize>,
    ) -> Result<Literal, AnalyzeError> {
        let at = |index: Option<usize>| index.and_then(|index| rows.get(index)).copied();
        if self.window.what == Windowed::FirstValue {
            let first = (!frame.is_empty()).then_some(frame.start);
            return Ok(at(first).map_or(Literal::Null, |row| self.argument(0, row)));
        }
        if self.window.what == Windowed::LastValue {
            let end = (!frame.is_empty()).then(|| frame.end - 1);
            return Ok(at(end).map_or(Literal::Null, |row| self.argument(0, row)));
        }
        let Some(accumulator) = &mut self.accumulator else {
            return Ok(Literal::Null);
        };
        let new = if seen.start == frame.start && seen.end <= frame.end {
            seen.end..frame.end
        } else if seen.end == frame.end && seen.start >= frame.start && seen.start < seen.end {
            frame.start..seen.start
        } else {
            accumulator.restart();
            frame.clone()
        };
        for &row in rows.get(new).unwrap_or_default() {
            let row = row as usize;
            if self
                .filter
                .as_ref()
                .is_none_or(|filter| filter.flag(row) == Some(true))
            {
                accumulator.add(0, &self.arguments, row)?;
            }
        }
        *seen = frame.clone();
        Ok(accumulator.value(0))
    }
}
