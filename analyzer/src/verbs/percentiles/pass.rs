//! `percentiles`: how long faults took, by class or in groups of any other column. What groups are made of and how they stay
//! few is in the files beside this one.

pub use crate::request::options::GroupBy;

use crate::engine::columns::Column;
use crate::engine::frame::u64s;
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::output::order::{By, Order};
use crate::output::table::{ColumnHead, Table, Value};
use crate::output::units::{grouped, quantity};
use crate::stats::by_class::{self, Classes, Rows, faults};
use crate::stats::histogram::Histogram;
use crate::trace::class::Class;
use crate::trace::session::Session;
use crate::verbs::percentiles::exact::Exact;
use crate::verbs::percentiles::groups::Groups;
use crate::verbs::percentiles::key::Name;
use crate::verbs::percentiles::key_names::QueryNames;
use crate::verbs::percentiles::shape::Shape;
use polars::prelude::{DataFrame, PlHashMap};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Quantiles of every row, in parts of 100,000.
const QUANTILES: [u64; 5] = [50_000, 90_000, 99_000, 99_900, 99_990];

const QUANTILE_HEADS: [ColumnHead; 5] = [
    ColumnHead::new("p50_us"),
    ColumnHead::new("p90_us"),
    ColumnHead::new("p99_us"),
    ColumnHead::new("p99_9_us"),
    ColumnHead::new("p99_99_us"),
];

/// Columns that give way to a narrow terminal, the first first.
pub(crate) const DROP_ORDER: [&str; 6] = [
    "p99_99_us",
    "p99_9_us",
    "p90_us",
    "stack_id",
    "query_id",
    "max_us",
];

/// Collects latencies by group.
#[derive(Debug)]
pub struct Percentiles {
    by: GroupBy,
    names: QueryNames,
    groups: Groups,
    classes: Classes,
    shape: Option<Shape>,
}

/// A row before it is one of a table.
#[derive(Debug)]
struct Row {
    name: Vec<Value>,
    keys: Vec<u64>,
    latencies: Histogram,
}

impl Percentiles {
    /// Empty.
    #[must_use]
    pub fn new(by: GroupBy) -> Self {
        Self {
            by,
            names: QueryNames::default(),
            groups: Groups::default(),
            classes: Classes::default(),
            shape: None,
        }
    }

    /// With the names of queries, which are to be known before the faults are read.
    #[must_use]
    pub fn with_names(self, names: QueryNames) -> Self {
        Self { names, ..self }
    }

    /// Keeps so many groups apart.
    #[must_use]
    pub fn with_groups(self, most: usize) -> Self {
        Self {
            groups: Groups::new(most),
            ..self
        }
    }

    /// Counts for a histogram as well.
    #[must_use]
    pub fn with_shape(self) -> Self {
        Self {
            shape: Some(Shape::default()),
            ..self
        }
    }

    /// The histogram, if it was asked for.
    #[must_use]
    pub fn shape(&self) -> Option<&Shape> {
        self.shape.as_ref()
    }
}

impl Pass for Percentiles {
    fn columns(&self) -> Vec<Column> {
        columns(self.by)
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        if let Some(shape) = &mut self.shape {
            faults(frame, session)?.for_each(|fault| shape.add(&fault));
        }
        let rows = Rows::without_parts(frame, session)?;
        if self.by == GroupBy::Class {
            self.classes.add_rows(&rows, 0..frame.height());
            return Ok(());
        }
        let keys = self.by.keys(frame, &self.names)?;
        if rows.is_sampled() {
            let keyed = keys.into_iter().zip(faults(frame, session)?);
            self.groups
                .add(keyed.map(|(key, fault)| (key, fault.latency_ns, fault.weight)));
        } else {
            self.groups.add_whole(&keys, u64s(frame, Column::LatencyNs)?);
        }
        Ok(())
    }
}

fn columns(by: GroupBy) -> Vec<Column> {
    let mut columns = by_class::COLUMNS.to_vec();
    columns.extend(by.columns());
    columns
}

impl Percentiles {
    /// The table: classes in their fixed order, groups with the most faults first, all others at the end.
    #[must_use]
    pub fn table(&self, session: &Session) -> Table {
        table(self.by, &self.rows(session), |row, _| approximate(&row.latencies))
    }

    /// What to know of the rows.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let (others, count, has_more) = self.groups.others();
        let together = (others.count() > 0).then(|| {
            format!(
                "too many rows: the last one has the {} of {}{} others with few faults",
                quantity(others.count(), "fault"),
                if has_more { "more than " } else { "" },
                grouped(count)
            )
        });
        together.into_iter().chain(self.names.remark()).collect()
    }

    /// A second pass that finds the exact quantiles of the rows that `order` leaves.
    #[must_use]
    pub fn exact_pass(&self, session: &Session, order: &Order) -> ExactPass<'_> {
        let rows = self.rows(session);
        let nothing = Histogram::default();
        let is_wanted = wanted(table(self.by, &rows, |row, _| approximate(&row.latencies)), order);
        let sought = rows
            .iter()
            .zip(&is_wanted)
            .map(|(row, &wanted)| if wanted { &row.latencies } else { &nothing });
        let exact = Exact::new(sought, &QUANTILES);
        let keyed = rows.iter().enumerate();
        let slots = keyed.flat_map(|(slot, row)| row.keys.iter().map(move |&key| (key, slot)));
        ExactPass {
            of: self,
            slots: slots.collect(),
            last: rows.len().saturating_sub(1),
            exact,
            rows,
            is_wanted,
        }
    }

    fn rows(&self, session: &Session) -> Vec<Row> {
        if self.by == GroupBy::Class {
            return class_rows(&self.classes);
        }
        // Several keys can have one name, such as two files that had one path.
        let mut named: BTreeMap<Vec<Name>, (Vec<u64>, Histogram)> = BTreeMap::new();
        for group in self.groups.all() {
            let name = self.by.name(group.key, session, &self.names);
            let (keys, latencies) = named.entry(name).or_default();
            keys.push(group.key);
            latencies.merge(&group.latencies);
        }
        let rows = named.into_iter().map(|(name, (keys, latencies))| Row {
            name: name.into_iter().map(Name::value).collect(),
            keys,
            latencies,
        });
        let mut rows: Vec<Row> = rows.collect();
        rows.sort_by_key(|row| Reverse(row.latencies.count()));
        let (others, ..) = self.groups.others();
        if others.count() > 0 {
            rows.push(Row {
                name: self.by.others(),
                keys: Vec::new(),
                latencies: others.clone(),
            });
        }
        rows
    }
}

/// Which rows are left by `order`; all of them where it goes by quantiles, which are yet to be found.
fn wanted(mut table: Table, order: &Order) -> Vec<bool> {
    let goes_by_quantiles = |by: &By| QUANTILE_HEADS.iter().any(|head| head.is_called(&by.column));
    let count = table.rows.len();
    if order.top.is_none() || order.by.as_ref().is_some_and(goes_by_quantiles) {
        return vec![true; count];
    }
    for (number, row) in table.rows.iter_mut().enumerate() {
        row.push(Value::Id(number as u64));
    }
    // What is wrong with the order is said when the table is written.
    let _ = order.apply(&mut table);
    let mut is_wanted = vec![false; count];
    for row in table.rows {
        if let Some(Value::Id(number)) = row.last()
            && let Some(wanted) = is_wanted.get_mut(usize::try_from(*number).unwrap_or(usize::MAX))
        {
            *wanted = true;
        }
    }
    is_wanted
}

/// Looks at all faults again, for exact quantiles.
#[derive(Debug)]
pub struct ExactPass<'a> {
    of: &'a Percentiles,
    slots: PlHashMap<u64, usize>,
    /// Of faults without a row of their own: all others, or all classes.
    last: usize,
    exact: Exact,
    rows: Vec<Row>,
    is_wanted: Vec<bool>,
}

impl Pass for ExactPass<'_> {
    fn columns(&self) -> Vec<Column> {
        columns(self.of.by)
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let keys = self.of.by.keys(frame, &self.of.names)?;
        let mut last = None;
        for (key, fault) in keys.into_iter().zip(faults(frame, session)?) {
            let slot = match last {
                Some((before, slot)) if before == key => slot,
                _ => self.slots.get(&key).copied().unwrap_or(self.last),
            };
            last = Some((key, slot));
            self.exact.add(slot, fault.latency_ns, fault.weight);
            if self.of.by == GroupBy::Class {
                self.exact.add(self.last, fault.latency_ns, fault.weight);
            }
        }
        Ok(())
    }
}

impl ExactPass<'_> {
    /// The table, and what it took.
    ///
    /// # Errors
    /// When that would take too much memory, or the trace was not the same in both readings.
    pub fn finish(self) -> Result<(Table, String), AnalyzeError> {
        let cost = self.exact.cost();
        let found = self.exact.finish()?;
        let quantiles = |row: &Row, index: usize| match (self.is_wanted.get(index), found.get(index)) {
            (Some(true), Some(found)) => found.clone(),
            _ => approximate(&row.latencies),
        };
        Ok((table(self.of.by, &self.rows, quantiles), cost))
    }
}

/// Major, minor, failed if there are any, and all; a class without faults has no percentiles.
#[must_use]
pub fn class_table(classes: &Classes) -> Table {
    table(GroupBy::Class, &class_rows(classes), |row, _| {
        approximate(&row.latencies)
    })
}

fn class_rows(classes: &Classes) -> Vec<Row> {
    let row = |name: &str, key: Option<Class>, latencies| Row {
        name: vec![Value::Text(name.to_owned())],
        keys: key.into_iter().map(|class| class as u64).collect(),
        latencies,
    };
    let shown = Class::ALL
        .into_iter()
        .filter(|&class| class != Class::Failed || classes.failed.count() > 0);
    let rows = shown.map(|class| row(class.name(), Some(class), classes.of(class).clone()));
    rows.chain([row("all", None, classes.all())]).collect()
}

fn approximate(latencies: &Histogram) -> Vec<u64> {
    QUANTILES.map(|quantile| latencies.quantile(quantile)).to_vec()
}

fn table(by: GroupBy, rows: &[Row], quantiles: impl Fn(&Row, usize) -> Vec<u64>) -> Table {
    let mut heads = by.heads();
    heads.push(ColumnHead::new("count"));
    heads.extend(QUANTILE_HEADS);
    heads.push(ColumnHead::new("max_us"));
    let cells = |(index, row): (usize, &Row)| {
        let mut cells = row.name.clone();
        cells.push(Value::Count(row.latencies.count()));
        if row.latencies.count() == 0 {
            cells.resize(heads.len(), Value::Null);
        } else {
            cells.extend(quantiles(row, index).into_iter().map(Value::Us));
            cells.push(Value::Us(row.latencies.max()));
        }
        cells
    };
    let rows = rows.iter().enumerate().map(cells).collect();
    Table {
        heads,
        rows,
        total: None,
    }
}
