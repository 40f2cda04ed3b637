//! What a WHERE says about single rows as a [`Filter`], so that whole blocks are passed over. The condition itself is still
//! asked of every row: a part that is not understood here costs time and nothing else.

use crate::engine::columns::Column;
use crate::engine::filter::Filter;
use crate::trace::class::Class;
use polars::prelude::{Expr, Operator};

/// `filter`, narrowed by what `condition` implies. Times count from `start_ns`.
#[must_use]
pub fn narrowed(filter: &Filter, condition: &Expr, start_ns: u64) -> Filter {
    let mut narrowed = filter.clone();
    narrow(&mut narrowed, condition, start_ns);
    narrowed
}

fn narrow(filter: &mut Filter, condition: &Expr, start_ns: u64) {
    match condition {
        Expr::BinaryExpr {
            left,
            op: Operator::And,
            right,
        } => {
            narrow(filter, left, start_ns);
            narrow(filter, right, start_ns);
        }
        Expr::Column(name) if name == Column::Major.name() => {
            filter.class.get_or_insert(Class::Major);
        }
        Expr::BinaryExpr { left, op, right } => {
            if let (Expr::Column(name), Some(number)) = (&**left, number(right)) {
                compare(filter, name, *op, number, start_ns);
            } else if let (Some(number), Expr::Column(name)) = (number(left), &**right) {
                compare(filter, name, mirrored(*op), number, start_ns);
            }
        }
        _ => {}
    }
}

fn number(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Literal(literal) => u64::try_from(literal.extract_i64().ok()?).ok(),
        _ => None,
    }
}

fn mirrored(op: Operator) -> Operator {
    match op {
        Operator::Lt => Operator::Gt,
        Operator::LtEq => Operator::GtEq,
        Operator::Gt => Operator::Lt,
        Operator::GtEq => Operator::LtEq,
        other => other,
    }
}

fn compare(filter: &mut Filter, name: &str, op: Operator, number: u64, start_ns: u64) {
    let (least, most) = match op {
        Operator::Eq => (Some(number), Some(number)),
        Operator::GtEq => (Some(number), None),
        Operator::Gt => (number.checked_add(1), None),
        Operator::LtEq => (None, Some(number)),
        Operator::Lt => (None, number.checked_sub(1)),
        _ => (None, None),
    };
    if name == Column::LatencyNs.name() {
        filter.min_latency_ns = filter.min_latency_ns.max(least);
        if let Some(most) = most {
            filter.max_latency_ns = Some(filter.max_latency_ns.map_or(most, |max| max.min(most)));
        }
    } else if name == Column::TsNs.name() {
        // A fault that was open when the recording began is earlier than its start: 0 would cut nothing.
        let from = least
            .map(|least| least.saturating_sub(start_ns))
            .filter(|&from| from > 0);
        filter.from_ns = filter.from_ns.max(from);
        let to = most.and_then(|most| most.checked_sub(start_ns)?.checked_add(1));
        if let Some(to) = to {
            filter.to_ns = Some(filter.to_ns.map_or(to, |before| before.min(to)));
        }
    } else if let (Operator::Eq, Ok(id)) = (op, u32::try_from(number)) {
        let ids = match name {
            name if name == Column::Pid.name() => &mut filter.pids,
            name if name == Column::Tid.name() => &mut filter.tids,
            _ => return,
        };
        if ids.is_empty() || ids.contains(&id) {
            *ids = vec![id];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::{col, lit};

    #[test]
    fn what_a_condition_implies_is_asked_of_blocks() {
        let condition = col("latency_ns")
            .gt(lit(99i64))
            .and(lit(500i64).gt_eq(col("latency_ns")))
            .and(col("tid").eq(lit(7i64)))
            .and(col("major"))
            .and(col("ts_ns").gt_eq(lit(1_500i64)))
            .and(col("ts_ns").lt(lit(2_000i64)))
            .and(col("comm").eq(lit("x")));
        let expected = Filter {
            min_latency_ns: Some(100),
            max_latency_ns: Some(500),
            tids: vec![7],
            class: Some(Class::Major),
            from_ns: Some(500),
            to_ns: Some(1_000),
            ..Filter::default()
        };
        assert_eq!(narrowed(&Filter::default(), &condition, 1_000), expected);
    }

    #[test]
    fn alternatives_and_what_the_filter_says_already_stay() {
        let filter = Filter {
            pids: vec![1, 2],
            class: Some(Class::Minor),
            max_latency_ns: Some(10),
            ..Filter::default()
        };
        let either = col("tid").eq(lit(7i64)).or(col("major"));
        assert_eq!(narrowed(&filter, &either, 0), filter);
        let condition = col("pid")
            .eq(lit(2i64))
            .and(col("latency_ns").lt(lit(50i64)))
            .and(col("major"));
        let expected = Filter {
            pids: vec![2],
            ..filter.clone()
        };
        assert_eq!(narrowed(&filter, &condition, 0), expected);
    }
}
