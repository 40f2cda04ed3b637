//! Functions: scalar ones, aggregates, and windows.

use super::{Binder, Place, argument_as};
use crate::error::AnalyzeError;
use crate::verbs::sql::expression::{Aggregate, Aggregation, Bound, Expression, SortKey, Window, Windowed};
use crate::verbs::sql::functions::{called, condition, in_common, literal_whole, shown};
use crate::verbs::sql::types::{Literal, Type, power_of_ten, refusal};
use sqlparser::ast::{
    self, DuplicateTreatment, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments,
    WindowFrameBound, WindowFrameUnits, WindowType,
};

/// The parts of a call as they are written.
struct Call<'f> {
    name: String,
    arguments: Vec<&'f ast::Expr>,
    is_star: bool,
    is_distinct: bool,
    order: &'f [ast::OrderByExpr],
}

impl<'f> Call<'f> {
    fn of(function: &'f ast::Function) -> Result<Self, AnalyzeError> {
        let name = function.name.to_string().to_ascii_uppercase();
        let unsupported = |what: &str| refusal(format!("{what} in {name} is not supported"));
        if function.uses_odbc_syntax || !matches!(function.parameters, FunctionArguments::None) {
            return Err(unsupported("this way to call"));
        }
        if function.null_treatment.is_some() {
            return Err(unsupported("IGNORE NULLS"));
        }
        if !function.within_group.is_empty() {
            return Err(refusal(format!(
                "WITHIN GROUP is not supported: QUANTILE_CONT(x, 0.5) stands for {name}"
            )));
        }
        let mut call = Self {
            name: name.clone(),
            arguments: Vec::new(),
            is_star: false,
            is_distinct: false,
            order: &[],
        };
        let list = match &function.args {
            FunctionArguments::None => return Ok(call),
            FunctionArguments::Subquery(_) => return Err(unsupported("a subquery")),
            FunctionArguments::List(list) => list,
        };
        call.is_distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        for clause in &list.clauses {
            match clause {
                FunctionArgumentClause::OrderBy(keys) => call.order = keys,
                other => return Err(unsupported(&other.to_string())),
            }
        }
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => call.arguments.push(expr),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if name == "COUNT" => call.is_star = true,
                other => return Err(unsupported(&other.to_string())),
            }
        }
        if call.is_star && (!call.arguments.is_empty() || call.is_distinct) {
            return Err(refusal("COUNT(*) takes nothing else"));
        }
        Ok(call)
    }
}

impl<'b> Binder<'b> {
    pub(super) fn function(&mut self, function: &ast::Function) -> Result<Expression, AnalyzeError> {
        let call = Call::of(function)?;
        if let Some(over) = &function.over {
            return self.window(&call, function, over);
        }
        if !is_aggregate(&call.name) {
            if is_window(&call.name) {
                return Err(refusal(format!(
                    "{0} needs a window: {0}(…) OVER (PARTITION BY … ORDER BY …)",
                    call.name
                )));
            }
            if call.is_distinct || !call.order.is_empty() || function.filter.is_some() {
                return Err(refusal(format!("{} is not an aggregate function", call.name)));
            }
            let arguments: Result<_, _> = call
                .arguments
                .iter()
                .map(|argument| self.bind(argument))
                .collect();
            return called(&call.name, arguments?);
        }
        if !self.place.takes_aggregates() {
            let hint = match self.place {
                Place::Where => ": HAVING has conditions on groups",
                Place::Aggregate => ": compute the inner one in a subquery first",
                _ => "",
            };
            return Err(refusal(format!(
                "{} cannot stand in {}{hint}",
                call.name,
                self.place.name()
            )));
        }
        let before = std::mem::replace(&mut self.place, Place::Aggregate);
        let aggregate = self.aggregate(&call, function.filter.as_deref());
        self.place = before;
        Ok(Expression::Aggregate(Box::new(aggregate?)))
    }

    fn aggregate(&mut self, call: &Call<'_>, filter: Option<&ast::Expr>) -> Result<Aggregate, AnalyzeError> {
        let arguments: Result<_, _> = call
            .arguments
            .iter()
            .map(|argument| self.bind(argument))
            .collect();
        let (what, arguments, gives) = aggregation(call, arguments?)?;
        let filter = filter
            .map(|filter| condition(self.bind(filter)?, "FILTER"))
            .transpose()?;
        let order = self.keys(call.order)?;
        if !order.is_empty() && !matches!(what, Aggregation::List | Aggregation::StringAggregate(_)) {
            return Err(refusal(format!(
                "ORDER BY in {} changes nothing: leave it out",
                call.name
            )));
        }
        if call.is_distinct && matches!(what, Aggregation::Extreme { .. }) {
            return Err(refusal(format!("DISTINCT in {} is not supported", call.name)));
        }
        if call.is_distinct && !order.is_empty() {
            return Err(refusal(format!(
                "DISTINCT with ORDER BY in {} is not supported",
                call.name
            )));
        }
        Ok(Aggregate {
            is_distinct: call.is_distinct && !matches!(what, Aggregation::Min | Aggregation::Max),
            what,
            arguments,
            filter,
            order,
            gives,
        })
    }

    fn keys(&mut self, keys: &[ast::OrderByExpr]) -> Result<Vec<SortKey>, AnalyzeError> {
        let bound: Result<Vec<SortKey>, _> = keys.iter().map(|key| self.sort_key(key)).collect();
        let bound = bound?;
        match bound.iter().any(|key| key.by.of() == Type::List) {
            true => Err(refusal("lists have no order")),
            false => Ok(bound),
        }
    }

    fn window(
        &mut self,
        call: &Call<'_>,
        function: &ast::Function,
        over: &WindowType,
    ) -> Result<Expression, AnalyzeError> {
        if !self.place.takes_windows() {
            return Err(refusal(format!(
                "a window function cannot stand in {}: compute it in a subquery first, or use QUALIFY",
                self.place.name()
            )));
        }
        if call.is_distinct || !call.order.is_empty() {
            return Err(refusal(format!(
                "DISTINCT or ORDER BY within {}(…) OVER is not supported",
                call.name
            )));
        }
        let before = std::mem::replace(&mut self.place, Place::Window);
        let window = self.window_of(call, function, over);
        self.place = before;
        Ok(Expression::Window(Box::new(window?)))
    }

    fn window_of(
        &mut self,
        call: &Call<'_>,
        function: &ast::Function,
        over: &WindowType,
    ) -> Result<Window, AnalyzeError> {
        let spec = match over {
            WindowType::WindowSpec(spec) => spec,
            WindowType::NamedWindow(name) => self.window_named(name)?,
        };
        let base = spec
            .window_name
            .as_ref()
            .map(|name| self.window_named(name))
            .transpose()?;
        let (partition, order) = match base {
            Some(base) if spec.order_by.is_empty() => (&base.partition_by, &base.order_by),
            Some(base) => (&base.partition_by, &spec.order_by),
            None => (&spec.partition_by, &spec.order_by),
        };
        let arguments: Result<Vec<_>, _> = call
            .arguments
            .iter()
            .map(|argument| self.bind(argument))
            .collect();
        let (what, arguments, gives) = windowed(call, arguments?)?;
        let partition: Result<Vec<_>, _> = partition.iter().map(|key| self.bind(key)).collect();
        let order = self.keys(order)?;
        let is_aggregate = matches!(what, Windowed::Aggregate(_));
        let filter = function.filter.as_deref();
        if filter.is_some() && !is_aggregate {
            return Err(refusal(format!("{} takes no FILTER", call.name)));
        }
        let filter = filter
            .map(|filter| condition(self.bind(filter)?, "FILTER"))
            .transpose()?;
        let has_frame = is_aggregate || matches!(what, Windowed::FirstValue | Windowed::LastValue);
        let (from, to) = match &spec.window_frame {
            Some(_) if !has_frame => {
                return Err(refusal(format!("{} takes no frame", call.name)));
            }
            Some(frame) => frame_of(frame, order.is_empty())?,
            None if order.is_empty() => (Bound::Unbounded, Bound::Unbounded),
            None => (Bound::Unbounded, Bound::Peers),
        };
        let is_whole = (from, to) == (Bound::Unbounded, Bound::Unbounded);
        let is_costly = matches!(
            what,
            Windowed::Aggregate(Aggregation::Quantile { .. } | Aggregation::StringAggregate(_))
        );
        if is_costly && !is_whole {
            return Err(refusal(format!(
                "{} OVER takes the whole partition: leave out ORDER BY and the frame",
                call.name
            )));
        }
        Ok(Window {
            what,
            arguments,
            filter,
            partition: partition?,
            order,
            from,
            to,
            gives,
        })
    }

    fn window_named(&self, name: &ast::Ident) -> Result<&'b ast::WindowSpec, AnalyzeError> {
        let windows: &'b [(String, ast::WindowSpec)] = self.windows;
        let found = windows
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(&name.value));
        match found {
            Some((_, spec)) if spec.window_name.is_none() => Ok(spec),
            _ => Err(refusal(format!("there is no WINDOW {name}"))),
        }
    }
}

fn frame_of(frame: &ast::WindowFrame, is_unordered: bool) -> Result<(Bound, Bound), AnalyzeError> {
    let refused = || refusal("this frame is not supported: ROWS BETWEEN n PRECEDING AND CURRENT ROW is");
    let rows = frame.units == WindowFrameUnits::Rows;
    let bound = |bound: &WindowFrameBound, is_start: bool| match bound {
        WindowFrameBound::CurrentRow if rows => Ok(Bound::Rows(0)),
        WindowFrameBound::CurrentRow if is_unordered => Ok(Bound::Unbounded),
        WindowFrameBound::CurrentRow if frame.units == WindowFrameUnits::Range => Ok(Bound::Peers),
        WindowFrameBound::Preceding(None) if is_start => Ok(Bound::Unbounded),
        WindowFrameBound::Following(None) if !is_start => Ok(Bound::Unbounded),
        WindowFrameBound::Preceding(Some(count)) if rows => {
            written(count).map(|n| Bound::Rows(-n)).ok_or_else(refused)
        }
        WindowFrameBound::Following(Some(count)) if rows => {
            written(count).map(Bound::Rows).ok_or_else(refused)
        }
        _ => Err(refused()),
    };
    let from = bound(&frame.start_bound, true)?;
    let to = match &frame.end_bound {
        Some(end) => bound(end, false)?,
        None => bound(&WindowFrameBound::CurrentRow, false)?,
    };
    Ok((from, to))
}

/// A small number that is written out.
fn written(expr: &ast::Expr) -> Option<i64> {
    match expr {
        ast::Expr::Value(value) => match &value.value {
            ast::Value::Number(text, _) => text
                .parse()
                .ok()
                .filter(|&number: &i64| (0..=1 << 40).contains(&number)),
            _ => None,
        },
        _ => None,
    }
}

fn is_aggregate(name: &str) -> bool {
    matches!(
        name,
        "COUNT"
            | "SUM"
            | "AVG"
            | "MEAN"
            | "MIN"
            | "MAX"
            | "MEDIAN"
            | "QUANTILE"
            | "QUANTILE_CONT"
            | "QUANTILE_DISC"
            | "STDDEV"
            | "STDDEV_SAMP"
            | "STDDEV_POP"
            | "VARIANCE"
            | "VAR_SAMP"
            | "VAR_POP"
            | "BOOL_AND"
            | "BOOL_OR"
            | "ANY_VALUE"
            | "ARG_MIN"
            | "ARG_MAX"
            | "MIN_BY"
            | "MAX_BY"
            | "ARRAY_AGG"
            | "LIST"
            | "STRING_AGG"
            | "GROUP_CONCAT"
            | "LISTAGG"
    )
}

fn is_window(name: &str) -> bool {
    matches!(
        name,
        "ROW_NUMBER"
            | "RANK"
            | "DENSE_RANK"
            | "PERCENT_RANK"
            | "CUME_DIST"
            | "NTILE"
            | "LAG"
            | "LEAD"
            | "FIRST_VALUE"
            | "LAST_VALUE"
    )
}

fn exactly(name: &str, arguments: &[Expression], count: usize) -> Result<(), AnalyzeError> {
    match arguments.len() == count {
        true => Ok(()),
        false => Err(refusal(format!(
            "{name} takes {count} argument{}, and here are {}",
            if count == 1 { "" } else { "s" },
            arguments.len()
        ))),
    }
}

fn aggregation(
    call: &Call<'_>,
    mut arguments: Vec<Expression>,
) -> Result<(Aggregation, Vec<Expression>, Type), AnalyzeError> {
    let name = call.name.as_str();
    let of = arguments.first().map_or(Type::Null, Expression::of);
    let number = || match of.is_numeric() {
        true => Ok(()),
        false => Err(refusal(format!("{name} needs numbers, and this is {of}"))),
    };
    if name == "COUNT" {
        if !call.is_star && arguments.len() != 1 {
            return Err(refusal("COUNT takes * or one argument"));
        }
        return Ok((Aggregation::Count, arguments, Type::WHOLE));
    }
    let count = match name {
        "QUANTILE" | "QUANTILE_CONT" | "QUANTILE_DISC" | "ARG_MIN" | "ARG_MAX" | "MIN_BY" | "MAX_BY" => 2,
        "STRING_AGG" | "GROUP_CONCAT" | "LISTAGG" => arguments.len().clamp(1, 2),
        _ => 1,
    };
    exactly(name, &arguments, count)?;
    if of == Type::List {
        return Err(refusal(format!("{name} of lists is not supported")));
    }
    Ok(match name {
        "SUM" => match of {
            Type::Boolean => (Aggregation::Sum, arguments, Type::WHOLE),
            _ => {
                number()?;
                (Aggregation::Sum, arguments, of)
            }
        },
        "AVG" | "MEAN" => {
            number()?;
            (Aggregation::Average, arguments, Type::Float)
        }
        "MIN" => (Aggregation::Min, arguments, of),
        "MAX" => (Aggregation::Max, arguments, of),
        "MEDIAN" => {
            number()?;
            let what = Aggregation::Quantile {
                share: 0.5,
                is_continuous: true,
            };
            (what, arguments, Type::Float)
        }
        "QUANTILE" | "QUANTILE_CONT" | "QUANTILE_DISC" => {
            number()?;
            let share = match arguments.pop() {
                Some(Expression::Literal(Literal::Number { digits, scale })) => {
                    digits as f64 / power_of_ten(scale) as f64
                }
                Some(Expression::Literal(Literal::Float(share))) => share,
                _ => f64::NAN,
            };
            if !(0.0..=1.0).contains(&share) {
                return Err(refusal(format!(
                    "{name} needs a number from 0 to 1 as its second argument"
                )));
            }
            let is_continuous = name == "QUANTILE_CONT";
            let what = Aggregation::Quantile { share, is_continuous };
            (what, arguments, if is_continuous { Type::Float } else { of })
        }
        "STDDEV" | "STDDEV_SAMP" | "STDDEV_POP" | "VARIANCE" | "VAR_SAMP" | "VAR_POP" => {
            number()?;
            let what = Aggregation::Variance {
                is_of_all: name.ends_with("_POP"),
                is_root: name.starts_with("STDDEV"),
            };
            let argument = arguments.pop().unwrap_or(Expression::NULL);
            (what, vec![argument_as(argument, Type::Float, name)?], Type::Float)
        }
        "BOOL_AND" | "BOOL_OR" => {
            let argument = condition(arguments.pop().unwrap_or(Expression::NULL), name)?;
            let what = if name == "BOOL_AND" {
                Aggregation::BoolAnd
            } else {
                Aggregation::BoolOr
            };
            (what, vec![argument], Type::Boolean)
        }
        "ANY_VALUE" => (Aggregation::AnyValue, arguments, of),
        "ARG_MIN" | "MIN_BY" | "ARG_MAX" | "MAX_BY" => {
            let is_greatest = name.contains("MAX");
            (Aggregation::Extreme { is_greatest }, arguments, of)
        }
        "ARRAY_AGG" | "LIST" => (Aggregation::List, arguments, Type::List),
        _ => {
            let separator = match arguments.get(1) {
                None => ",".into(),
                Some(Expression::Literal(Literal::Text(separator))) => separator.clone(),
                Some(_) => {
                    return Err(refusal(format!(
                        "{name} needs a text in quotes as its second argument"
                    )));
                }
            };
            arguments.truncate(1);
            let text = shown(arguments.pop().unwrap_or(Expression::NULL))?;
            (Aggregation::StringAggregate(separator), vec![text], Type::Text)
        }
    })
}

fn windowed(
    call: &Call<'_>,
    mut arguments: Vec<Expression>,
) -> Result<(Windowed, Vec<Expression>, Type), AnalyzeError> {
    let name = call.name.as_str();
    if is_aggregate(name) {
        let (what, arguments, gives) = aggregation(call, arguments)?;
        if matches!(what, Aggregation::List | Aggregation::Extreme { .. }) {
            return Err(refusal(format!("{name} OVER is not supported")));
        }
        return Ok((Windowed::Aggregate(what), arguments, gives));
    }
    let of = arguments.first().map_or(Type::Null, Expression::of);
    let plain = |what, gives, arguments: Vec<Expression>| {
        exactly(name, &arguments, 0)?;
        Ok((what, arguments, gives))
    };
    match name {
        "ROW_NUMBER" => plain(Windowed::RowNumber, Type::WHOLE, arguments),
        "RANK" => plain(Windowed::Rank, Type::WHOLE, arguments),
        "DENSE_RANK" => plain(Windowed::DenseRank, Type::WHOLE, arguments),
        "PERCENT_RANK" => plain(Windowed::PercentRank, Type::Float, arguments),
        "CUME_DIST" => plain(Windowed::CumeDist, Type::Float, arguments),
        "NTILE" => match arguments.first().and_then(literal_whole) {
            Some(parts) if parts > 0 && arguments.len() == 1 => Ok((Windowed::Ntile, arguments, Type::WHOLE)),
            _ => Err(refusal("NTILE needs a number above 0")),
        },
        "LAG" | "LEAD" => {
            let steps = match arguments.get(1) {
                None => 1,
                Some(steps) => literal_whole(steps)
                    .and_then(|steps| i64::try_from(steps).ok())
                    .filter(|steps| steps.unsigned_abs() < 1 << 40)
                    .ok_or_else(|| refusal(format!("{name} needs a number as its second argument")))?,
            };
            if arguments.is_empty() || arguments.len() > 3 {
                return Err(refusal(format!("{name} takes 1 to 3 arguments")));
            }
            if arguments.len() > 1 {
                arguments.remove(1);
            }
            let (arguments, gives) = in_common(arguments, name)?;
            Ok((
                Windowed::Lag(if name == "LAG" { steps } else { -steps }),
                arguments,
                gives,
            ))
        }
        "FIRST_VALUE" | "LAST_VALUE" => {
            exactly(name, &arguments, 1)?;
            let what = if name == "FIRST_VALUE" {
                Windowed::FirstValue
            } else {
                Windowed::LastValue
            };
            Ok((what, arguments, of))
        }
        _ => Err(refusal(format!("{name} is not a window function"))),
    }
}
