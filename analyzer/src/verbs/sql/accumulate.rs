//! What aggregate functions keep while they see values, one state for each group.

use crate::error::AnalyzeError;
use crate::verbs::sql::build_column::{column_of, lists_of};
use crate::verbs::sql::evaluate::order_of;
use crate::verbs::sql::evaluate::too_large;
use crate::verbs::sql::expression::{Aggregation, SortKey};
use crate::verbs::sql::hashing::RowNumbers;
use crate::verbs::sql::types::{Literal, Type};
use crate::verbs::sql::vector::{Data, Vector, to_float};
use polars::prelude::{Column, PlHashSet};
use std::cmp::Ordering;

/// What a distinct value takes in a set, with the room that it keeps free, and has twice while it grows.
const PAIR: u64 = 32;

/// The state of a group.
#[derive(Clone, Debug)]
enum State {
    Count(u64),
    /// The sum of whole numbers, and of how many.
    Sum(i128, u64),
    FloatSum(f64, u64),
    Value(Option<Literal>),
    Number(Option<i128>),
    Float(Option<f64>),
    /// Number, mean, and sum of squared distances from it (Welford).
    Moments(u64, f64, f64),
    Numbers(Vec<i128>),
    Floats(Vec<f64>),
    /// A value, and what it is chosen by.
    Extreme(Option<(Literal, Literal)>),
    /// Values, and what they are sorted by.
    List(Vec<(Vec<Literal>, Literal)>),
}

/// All groups of one aggregate function.
pub struct Accumulator {
    what: Aggregation,
    /// Types of the arguments.
    types: Vec<Type>,
    gives: Type,
    order: Vec<SortKey>,
    states: Vec<State>,
    distinct: Option<(RowNumbers, PlHashSet<(u32, u32)>)>,
    kept: u64,
}

impl Accumulator {
    /// For arguments of these types.
    #[must_use]
    pub fn new(
        what: &Aggregation,
        types: Vec<Type>,
        gives: Type,
        is_distinct: bool,
        order: &[SortKey],
    ) -> Self {
        Self {
            what: what.clone(),
            types,
            gives,
            order: order.to_vec(),
            states: Vec::new(),
            distinct: is_distinct.then(Default::default),
            kept: 0,
        }
    }

    /// Bytes that it holds.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let states = self.states.len() * size_of::<State>();
        let distinct = self.distinct.as_ref();
        let distinct = distinct.map_or(0, |(numbers, seen)| numbers.bytes() + seen.len() as u64 * PAIR);
        states as u64 + distinct + self.kept
    }

    /// Has a state for so many groups.
    pub fn grow(&mut self, groups: usize) {
        if self.states.len() < groups {
            let fresh = self.fresh();
            self.states.resize(groups, fresh);
        }
    }

    /// Forgets what the first group has seen.
    pub fn restart(&mut self) {
        let fresh = self.fresh();
        if let Some(state) = self.states.first_mut() {
            *state = fresh;
        }
        if let Some((_, seen)) = &mut self.distinct {
            seen.clear();
        }
    }

    fn fresh(&self) -> State {
        let of = self.types.first().copied().unwrap_or(Type::Null);
        match &self.what {
            Aggregation::Count => State::Count(0),
            Aggregation::Sum | Aggregation::Average if of == Type::Float => State::FloatSum(0.0, 0),
            Aggregation::Sum | Aggregation::Average => State::Sum(0, 0),
            Aggregation::Min | Aggregation::Max => match of {
                Type::Number(_) | Type::Time => State::Number(None),
                Type::Float => State::Float(None),
                _ => State::Value(None),
            },
            Aggregation::Variance { .. } => State::Moments(0, 0.0, 0.0),
            Aggregation::Quantile { .. } if of == Type::Float => State::Floats(Vec::new()),
            Aggregation::Quantile { .. } => State::Numbers(Vec::new()),
            Aggregation::Extreme { .. } => State::Extreme(None),
            Aggregation::BoolAnd | Aggregation::BoolOr | Aggregation::AnyValue => State::Value(None),
            Aggregation::List | Aggregation::StringAggregate(_) => State::List(Vec::new()),
        }
    }

    /// Takes in rows, each into its group. `arguments` end with the values that lists are sorted by.
    ///
    /// # Errors
    /// When a sum does not fit.
    pub fn add_rows(
        &mut self,
        groups: &[u32],
        arguments: &[Vector<'_>],
        filter: Option<&Vector<'_>>,
    ) -> Result<(), AnalyzeError> {
        let passes = |row: usize| filter.is_none_or(|filter| filter.flag(row) == Some(true));
        if self.distinct.is_some() {
            let numbers = match (&mut self.distinct, arguments.split_first()) {
                (Some((numbers, _)), Some((first, _))) => {
                    numbers.of(std::slice::from_ref(first), groups.len())
                }
                _ => vec![0; groups.len()],
            };
            for ((row, &group), number) in groups.iter().enumerate().zip(numbers) {
                let is_new = |seen: &mut PlHashSet<(u32, u32)>| seen.insert((group, number));
                if passes(row) && self.distinct.as_mut().is_some_and(|(_, seen)| is_new(seen)) {
                    self.add(group as usize, arguments, row)?;
                }
            }
            return Ok(());
        }
        // The usual ones without a look at each row's state.
        match (&self.what, arguments.first()) {
            (Aggregation::Count, None) => {
                for (row, &group) in groups.iter().enumerate() {
                    if let Some(State::Count(count)) = self.states.get_mut(group as usize)
                        && passes(row)
                    {
                        *count += 1;
                    }
                }
                Ok(())
            }
            (Aggregation::Sum | Aggregation::Average, Some(values))
                if values.valid.is_none() && filter.is_none() && !values.is_constant =>
            {
                match &values.data {
                    // A piece of 64-bit numbers cannot fill what is left of 128 bits, unless the sum is near the end.
                    Data::Small(numbers) if self.has_room() => {
                        for (&group, &number) in groups.iter().zip(numbers) {
                            if let Some(State::Sum(sum, count)) = self.states.get_mut(group as usize) {
                                *sum += i128::from(number);
                                *count += 1;
                            }
                        }
                        Ok(())
                    }
                    _ => self.add_each(groups, arguments, &passes),
                }
            }
            _ => self.add_each(groups, arguments, &passes),
        }
    }

    fn has_room(&self) -> bool {
        let limit = 1u128 << 120;
        self.states.iter().all(|state| match state {
            State::Sum(sum, _) => sum.unsigned_abs() < limit,
            _ => true,
        })
    }

    fn add_each(
        &mut self,
        groups: &[u32],
        arguments: &[Vector<'_>],
        passes: &dyn Fn(usize) -> bool,
    ) -> Result<(), AnalyzeError> {
        for (row, &group) in groups.iter().enumerate() {
            if passes(row) {
                self.add(group as usize, arguments, row)?;
            }
        }
        Ok(())
    }

    /// Takes in a row of one group; a null is left out.
    ///
    /// # Errors
    /// When a sum does not fit.
    pub fn add(&mut self, group: usize, arguments: &[Vector<'_>], row: usize) -> Result<(), AnalyzeError> {
        let Some(state) = self.states.get_mut(group) else {
            return Ok(());
        };
        let Some(values) = arguments.first() else {
            if let State::Count(count) = state {
                *count += 1;
            }
            return Ok(());
        };
        let of = self.types.first().copied().unwrap_or(Type::Null);
        if !values.is_there(row) && self.what != Aggregation::List {
            return Ok(());
        }
        match state {
            State::Count(count) => *count += 1,
            State::Sum(sum, count) => {
                let digits = values.digits(row).unwrap_or_default();
                *sum = sum.checked_add(digits).ok_or_else(|| too_large("a sum"))?;
                *count += 1;
            }
            State::FloatSum(sum, count) => {
                *sum += values.float(row).unwrap_or_default();
                *count += 1;
            }
            State::Number(kept) => {
                let digits = values.digits(row).unwrap_or_default();
                let is_less = kept.is_none_or(|kept| digits < kept);
                if is_less == (self.what == Aggregation::Min) || kept.is_none() {
                    *kept = Some(digits);
                }
            }
            State::Float(kept) => {
                let number = values.float(row).unwrap_or_default();
                let order = kept.map(|kept| crate::verbs::sql::evaluate::of_floats(number, kept));
                let wanted = if self.what == Aggregation::Min {
                    Ordering::Less
                } else {
                    Ordering::Greater
                };
                if order.is_none_or(|order| order == wanted) {
                    *kept = Some(number);
                }
            }
            State::Value(kept) => {
                let better = match (&self.what, &kept) {
                    (_, None) => true,
                    (Aggregation::Min, Some(Literal::Text(kept))) => values.text(row) < Some(kept),
                    (Aggregation::Max, Some(Literal::Text(kept))) => values.text(row) > Some(kept),
                    (Aggregation::Min | Aggregation::BoolAnd, Some(_)) => values.flag(row) == Some(false),
                    (Aggregation::Max | Aggregation::BoolOr, Some(_)) => values.flag(row) == Some(true),
                    _ => false,
                };
                if better {
                    *kept = Some(values.literal(row, of));
                }
            }
            State::Moments(count, mean, squares) => {
                let number = values.float(row).unwrap_or_default();
                *count += 1;
                let distance = number - *mean;
                *mean += distance / *count as f64;
                *squares += distance * (number - *mean);
            }
            State::Numbers(kept) => {
                kept.push(values.digits(row).unwrap_or_default());
                self.kept += 2 * size_of::<i128>() as u64;
            }
            State::Floats(kept) => {
                kept.push(values.float(row).unwrap_or_default());
                self.kept += 2 * size_of::<f64>() as u64;
            }
            State::Extreme(kept) => {
                let Some(by) = arguments.get(1).filter(|by| by.is_there(row)) else {
                    return Ok(());
                };
                let key = by.literal(row, self.types.get(1).copied().unwrap_or(Type::Null));
                let greatest = matches!(self.what, Aggregation::Extreme { is_greatest: true });
                let wanted = if greatest {
                    Ordering::Greater
                } else {
                    Ordering::Less
                };
                let is_better = |(_, before): &(Literal, Literal)| compare(&key, before) == wanted;
                if kept.as_ref().is_none_or(is_better) {
                    *kept = Some((values.literal(row, of), key));
                }
            }
            State::List(kept) => {
                let keys = arguments.iter().skip(1).zip(&self.order);
                let keys = keys
                    .map(|(values, key)| values.literal(row, key.by.of()))
                    .collect();
                let value = values.literal(row, of);
                self.kept += 2 * size_of::<(Vec<Literal>, Literal)>() as u64;
                self.kept += values.text(row).map_or(0, |text| text.len() as u64 + 16);
                kept.push((keys, value));
            }
        }
        Ok(())
    }

    /// What a group gives.
    #[must_use]
    pub fn value(&self, group: usize) -> Literal {
        let scale = match self.types.first() {
            Some(Type::Number(scale)) => *scale,
            _ => 0,
        };
        let number = |digits| match self.gives {
            Type::Time => i64::try_from(digits).map_or(Literal::Null, Literal::Time),
            _ => Literal::Number { digits, scale },
        };
        match self.states.get(group) {
            None => Literal::Null,
            Some(State::Count(count)) => Literal::whole((*count).into()),
            Some(State::Sum(_, 0) | State::FloatSum(_, 0) | State::Moments(0, ..)) => Literal::Null,
            Some(State::Sum(sum, count)) if self.what == Aggregation::Average => {
                Literal::Float(average(*sum, *count, scale))
            }
            Some(State::Sum(sum, _)) => number(*sum),
            Some(State::FloatSum(sum, count)) if self.what == Aggregation::Average => {
                Literal::Float(sum / *count as f64)
            }
            Some(State::FloatSum(sum, _)) => Literal::Float(*sum),
            Some(State::Number(kept)) => kept.map_or(Literal::Null, number),
            Some(State::Float(kept)) => kept.map_or(Literal::Null, Literal::Float),
            Some(State::Value(kept)) => kept.clone().unwrap_or(Literal::Null),
            Some(State::Extreme(kept)) => kept.clone().map_or(Literal::Null, |(value, _)| value),
            Some(State::Moments(count, _, squares)) => self.variance(*count, *squares),
            Some(State::Numbers(kept)) => self.quantile_of_numbers(kept.clone(), scale),
            Some(State::Floats(kept)) => self.quantile_of_floats(kept.clone()),
            Some(State::List(kept)) => self.joined(kept),
        }
    }

    /// What all groups give, as a column.
    #[must_use]
    pub fn column(&self, groups: usize) -> Column {
        if self.what != Aggregation::List {
            return column_of((0..groups).map(|group| self.value(group)).collect(), self.gives);
        }
        let of = self.types.first().copied().unwrap_or(Type::Null);
        let list = |group: usize| match self.states.get(group) {
            Some(State::List(kept)) if !kept.is_empty() => {
                Some(self.in_order(kept).into_iter().cloned().collect())
            }
            _ => None,
        };
        lists_of((0..groups).map(list).collect(), of)
    }

    fn variance(&self, count: u64, squares: f64) -> Literal {
        let Aggregation::Variance { is_of_all, is_root } = self.what else {
            return Literal::Null;
        };
        let divisor = if is_of_all { count } else { count.saturating_sub(1) };
        if divisor == 0 {
            return Literal::Null;
        }
        let variance = squares / divisor as f64;
        Literal::Float(if is_root { variance.sqrt() } else { variance })
    }

    fn quantile_of_numbers(&self, mut kept: Vec<i128>, scale: u8) -> Literal {
        let Aggregation::Quantile { share, is_continuous } = self.what else {
            return Literal::Null;
        };
        if kept.is_empty() {
            return Literal::Null;
        }
        if !is_continuous {
            let place = place_of(share, kept.len());
            let (_, digits, _) = kept.select_nth_unstable(place);
            return Literal::Number {
                digits: *digits,
                scale,
            };
        }
        let at = share * (kept.len() - 1) as f64;
        let (low, high) = (at.floor() as usize, at.ceil() as usize);
        let (_, one, above) = kept.select_nth_unstable(low);
        let one = *one;
        let two = if high == low {
            one
        } else {
            above.iter().copied().min().unwrap_or(one)
        };
        let step = to_float(two - one, scale);
        Literal::Float(to_float(one, scale) + step * (at - at.floor()))
    }

    fn quantile_of_floats(&self, mut kept: Vec<f64>) -> Literal {
        let Aggregation::Quantile { share, is_continuous } = self.what else {
            return Literal::Null;
        };
        if kept.is_empty() {
            return Literal::Null;
        }
        kept.sort_unstable_by(|one, two| crate::verbs::sql::evaluate::of_floats(*one, *two));
        let value = |place: usize| kept.get(place).copied().unwrap_or_default();
        if !is_continuous {
            return Literal::Float(value(place_of(share, kept.len())));
        }
        let at = share * (kept.len() - 1) as f64;
        let (one, two) = (value(at.floor() as usize), value(at.ceil() as usize));
        let share = at - at.floor();
        Literal::Float(if share == 0.0 {
            one
        } else {
            one + (two - one) * share
        })
    }

    fn in_order<'k>(&self, kept: &'k [(Vec<Literal>, Literal)]) -> Vec<&'k Literal> {
        let mut all: Vec<&(Vec<Literal>, Literal)> = kept.iter().collect();
        all.sort_by(|one, two| {
            let keys = self.order.iter().zip(one.0.iter().zip(&two.0));
            let orders = keys.map(|(key, (one, two))| match (one, two) {
                (Literal::Null, Literal::Null) => Ordering::Equal,
                (Literal::Null, _) if key.nulls_first => Ordering::Less,
                (Literal::Null, _) => Ordering::Greater,
                (_, Literal::Null) if key.nulls_first => Ordering::Greater,
                (_, Literal::Null) => Ordering::Less,
                _ if key.is_descending => compare(two, one),
                _ => compare(one, two),
            });
            orders
                .into_iter()
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
        });
        all.into_iter().map(|(_, value)| value).collect()
    }

    fn joined(&self, kept: &[(Vec<Literal>, Literal)]) -> Literal {
        let Aggregation::StringAggregate(separator) = &self.what else {
            return Literal::Null;
        };
        if kept.is_empty() {
            return Literal::Null;
        }
        let mut text = String::new();
        for (index, value) in self.in_order(kept).into_iter().enumerate() {
            if index > 0 {
                text.push_str(separator);
            }
            if let Literal::Text(part) = value {
                text.push_str(part);
            }
        }
        Literal::Text(text.into())
    }
}

/// The average of whole numbers; that of equal ones is the same, however many they are.
fn average(sum: i128, count: u64, scale: u8) -> f64 {
    let count = i128::from(count);
    to_float(sum / count, scale) + to_float(sum % count, scale) / count as f64
}

/// The place of a discrete quantile among so many sorted values.
fn place_of(share: f64, count: usize) -> usize {
    let place = (share * count as f64).ceil() as usize;
    place.saturating_sub(1).min(count.saturating_sub(1))
}

/// The order of two literals of one type that are there.
fn compare(one: &Literal, two: &Literal) -> Ordering {
    let vector = |literal: &Literal| Vector::constant(literal, 1);
    order_of(&vector(one), 0, &vector(two), 0)
}
