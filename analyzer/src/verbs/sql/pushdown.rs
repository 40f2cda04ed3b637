//! What a WHERE says about single rows as a [`Filter`], so that whole blocks are passed over. The condition itself is still
//! asked of every row: a part that is not understood here costs time and nothing else.

use crate::engine::columns::Column;
use crate::engine::filter::Filter;
use crate::trace::class::Class;
use crate::verbs::sql::expression::Expression;
use crate::verbs::sql::function::Function;
use crate::verbs::sql::types::Literal;

/// `filter`, narrowed by what `conditions` imply that must all be true. Times count from `start_ns`; `name_of` knows the
/// columns.
#[must_use]
pub fn narrowed(
    filter: &Filter,
    conditions: &[Expression],
    start_ns: u64,
    name_of: &dyn Fn(usize) -> &'static str,
) -> Filter {
    let mut narrowed = filter.clone();
    for condition in conditions {
        narrow(&mut narrowed, condition, start_ns, name_of);
    }
    narrowed
}

fn narrow(
    filter: &mut Filter,
    condition: &Expression,
    start_ns: u64,
    name_of: &dyn Fn(usize) -> &'static str,
) {
    match condition {
        Expression::Column(index, _) if name_of(*index) == Column::Major.name() => {
            filter.class.get_or_insert(Class::Major);
        }
        Expression::Call {
            function: Function::And,
            arguments,
            ..
        } => {
            for argument in arguments {
                narrow(filter, argument, start_ns, name_of);
            }
        }
        Expression::Call {
            function, arguments, ..
        } => {
            let [left, right] = arguments.as_slice() else {
                return;
            };
            if let (Expression::Column(index, _), Some(number)) = (left, number(right)) {
                compare(filter, name_of(*index), function, number, start_ns);
            } else if let (Some(number), Expression::Column(index, _)) = (number(left), right) {
                compare(filter, name_of(*index), mirrored(function), number, start_ns);
            }
        }
        _ => {}
    }
}

fn number(expression: &Expression) -> Option<u64> {
    match expression {
        Expression::Literal(Literal::Number { digits, scale: 0 }) => u64::try_from(*digits).ok(),
        _ => None,
    }
}

fn mirrored(function: &Function) -> &Function {
    match function {
        Function::Less => &Function::Greater,
        Function::LessOrEqual => &Function::GreaterOrEqual,
        Function::Greater => &Function::Less,
        Function::GreaterOrEqual => &Function::LessOrEqual,
        other => other,
    }
}

fn compare(filter: &mut Filter, name: &str, function: &Function, number: u64, start_ns: u64) {
    let (least, most) = match function {
        Function::Equal => (Some(number), Some(number)),
        Function::GreaterOrEqual => (Some(number), None),
        Function::Greater => (number.checked_add(1), None),
        Function::LessOrEqual => (None, Some(number)),
        Function::Less => (None, number.checked_sub(1)),
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
    } else if let (Function::Equal, Ok(id)) = (function, u32::try_from(number)) {
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
    use crate::verbs::sql::types::Type;

    const NAMES: [&str; 6] = ["latency_ns", "tid", "major", "ts_ns", "comm", "pid"];

    fn column(name: &str) -> Expression {
        let index = NAMES.iter().position(|known| *known == name).unwrap_or_default();
        let of = if name == "major" {
            Type::Boolean
        } else {
            Type::WHOLE
        };
        Expression::Column(index, of)
    }

    fn call(function: Function, left: Expression, right: Expression) -> Expression {
        Expression::call(function, vec![left, right], Type::Boolean)
    }

    fn number(digits: i128) -> Expression {
        Expression::Literal(Literal::whole(digits))
    }

    fn narrow_by(filter: &Filter, conditions: &[Expression], start_ns: u64) -> Filter {
        narrowed(filter, conditions, start_ns, &|index| NAMES[index])
    }

    #[test]
    fn what_a_condition_implies_is_asked_of_blocks() {
        let conditions = [
            call(Function::Greater, column("latency_ns"), number(99)),
            call(
                Function::And,
                call(Function::GreaterOrEqual, number(500), column("latency_ns")),
                call(Function::Equal, column("tid"), number(7)),
            ),
            column("major"),
            call(Function::GreaterOrEqual, column("ts_ns"), number(1_500)),
            call(Function::Less, column("ts_ns"), number(2_000)),
            call(Function::Less, column("ts_ns"), number(-1)),
        ];
        let expected = Filter {
            min_latency_ns: Some(100),
            max_latency_ns: Some(500),
            tids: vec![7],
            class: Some(Class::Major),
            from_ns: Some(500),
            to_ns: Some(1_000),
            ..Filter::default()
        };
        assert_eq!(narrow_by(&Filter::default(), &conditions, 1_000), expected);
    }

    #[test]
    fn alternatives_and_what_the_filter_says_already_stay() {
        let filter = Filter {
            pids: vec![1, 2],
            class: Some(Class::Minor),
            max_latency_ns: Some(10),
            ..Filter::default()
        };
        let is_seven = call(Function::Equal, column("tid"), number(7));
        let either = call(Function::Or, is_seven, column("major"));
        assert_eq!(narrow_by(&filter, &[either], 0), filter);
        let conditions = [
            call(Function::Equal, column("pid"), number(2)),
            call(Function::Less, column("latency_ns"), number(50)),
            column("major"),
        ];
        let expected = Filter {
            pids: vec![2],
            ..filter.clone()
        };
        assert_eq!(narrow_by(&filter, &conditions, 0), expected);
    }
}
