//! What both recordings have under one name, side by side, and the tables of that.

use super::pages::{Overlap, Pages};
use super::pair::{Reason, pair};
use super::side::{FileFaults, Side};
use crate::class::Class;
use crate::histogram::Histogram;
use crate::queries::groups::{Group, Groups};
use crate::query::classes::Classes;
use crate::session::Session;
use crate::table::{Head, Table, Value};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// All faults of a class, or of all.
    Class,
    /// A thread name.
    Thread,
    /// A file or kind of memory.
    File,
    /// A query name: quantiles are those of a query's whole wait.
    Query,
    /// The innermost frames of stacks.
    Stack,
}

impl By {
    /// The name in exports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Thread => "thread",
            Self::File => "file",
            Self::Query => "query",
            Self::Stack => "stack",
        }
    }
}

/// The numbers of one recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Major faults.
    pub majors: u64,
    /// Minor faults.
    pub minors: u64,
    /// Failed faults.
    pub failed: u64,
    /// Wait in all of them.
    pub wait_ns: u64,
    /// Median; `None` where there is none.
    pub p50_ns: Option<u64>,
    /// 99 of 100 took no longer.
    pub p99_ns: Option<u64>,
}

impl Numbers {
    /// Of faults.
    #[must_use]
    pub fn of(classes: &Classes) -> Self {
        let all = classes.all();
        Self {
            majors: classes.major.count(),
            minors: classes.minor.count(),
            failed: classes.failed.count(),
            wait_ns: classes.wait_ns(),
            ..Self::quantiles(&all)
        }
    }

    fn of_class(classes: &Classes, class: Class) -> Self {
        let mut alone = Classes::default();
        match class {
            Class::Major => alone.major = classes.major.clone(),
            Class::Minor => alone.minor = classes.minor.clone(),
            Class::Failed => alone.failed = classes.failed.clone(),
        }
        Self::of(&alone)
    }

    fn of_queries(group: &Group) -> Self {
        Self {
            majors: group.majors,
            minors: group.minors,
            wait_ns: group.wait.sum(),
            ..Self::quantiles(&group.wait)
        }
    }

    fn quantiles(histogram: &Histogram) -> Self {
        let quantile = |per_100k| (histogram.count() > 0).then(|| histogram.quantile(per_100k));
        Self {
            p50_ns: quantile(50_000),
            p99_ns: quantile(99_000),
            ..Self::default()
        }
    }
}

/// One name in both recordings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is about.
    pub by: By,
    /// Its name; in A, where B has another.
    pub name: String,
    /// The name in B and why it is the same, where it is another.
    pub paired: Option<(String, Reason)>,
    /// In A.
    pub a: Numbers,
    /// In B.
    pub b: Numbers,
    /// Pages of a file.
    pub pages: Option<Overlap>,
}

impl Row {
    fn new(by: By, name: &str, a: Numbers, b: Numbers) -> Self {
        Self {
            by,
            name: name.to_owned(),
            paired: None,
            a,
            b,
            pages: None,
        }
    }

    /// By how much the wait has changed.
    #[must_use]
    pub fn change_ns(&self) -> u64 {
        self.a.wait_ns.abs_diff(self.b.wait_ns)
    }

    /// As people see it: both paths where there are two.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.paired {
            Some((other, _)) => format!("{} = {other}", self.name),
            None => self.name.clone(),
        }
    }
}

/// Biggest change of wait first, then the longer wait.
fn sort(rows: &mut [Row]) {
    rows.sort_by_cached_key(|row| {
        (
            Reverse(row.change_ns()),
            Reverse(row.a.wait_ns.max(row.b.wait_ns)),
            row.name.clone(),
        )
    });
}

/// Major, minor, failed if any, all.
#[must_use]
pub fn classes(a: &Side, b: &Side) -> Vec<Row> {
    let (a, b) = (a.classes(), b.classes());
    let has = |class| a.of(class).count() > 0 || b.of(class).count() > 0;
    let of_class = |class: Class| {
        let numbers = |of| Numbers::of_class(of, class);
        Row::new(By::Class, class.name(), numbers(&a), numbers(&b))
    };
    let mut rows: Vec<Row> = Class::ALL
        .into_iter()
        .filter(|&class| class != Class::Failed || has(class))
        .map(of_class)
        .collect();
    rows.push(Row::new(By::Class, "all", Numbers::of(&a), Numbers::of(&b)));
    rows
}

/// Rows of faults under names that both may have.
#[must_use]
pub fn named(by: By, a: &BTreeMap<String, Classes>, b: &BTreeMap<String, Classes>) -> Vec<Row> {
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let of = |side: &BTreeMap<String, Classes>, name| side.get(name).map(Numbers::of).unwrap_or_default();
    let mut rows: Vec<Row> = names
        .into_iter()
        .map(|name| Row::new(by, name, of(a, name), of(b, name)))
        .collect();
    sort(&mut rows);
    rows
}

/// Files, those of different paths paired where only one can be meant.
#[must_use]
pub fn files(a: (&Side, &Session), b: (&Side, &Session)) -> Vec<Row> {
    let (in_a, in_b) = (a.0.files(a.1), b.0.files(b.1));
    let sizes = |files: &BTreeMap<String, FileFaults>| -> BTreeMap<String, u64> {
        let sizes = files.iter().map(|(path, file)| (path.clone(), file.mapped));
        sizes.collect()
    };
    let pairs = pair(&sizes(&in_a), &sizes(&in_b));
    let mut names: BTreeSet<&String> = in_a.keys().chain(in_b.keys()).collect();
    let mut rows = Vec::with_capacity(names.len());
    for (from, to, reason) in &pairs {
        names.remove(from);
        names.remove(to);
        let mut row = file_row(from, in_a.get(from), in_b.get(to));
        row.paired = Some((to.clone(), *reason));
        rows.push(row);
    }
    rows.extend(
        names
            .into_iter()
            .map(|name| file_row(name, in_a.get(name), in_b.get(name))),
    );
    sort(&mut rows);
    rows
}

fn file_row(name: &str, a: Option<&FileFaults>, b: Option<&FileFaults>) -> Row {
    let numbers = |file: Option<&FileFaults>| file.map(|file| Numbers::of(&file.classes)).unwrap_or_default();
    let nothing = Pages::default();
    let pages = |file: Option<&'_ FileFaults>| file.and_then(|file| file.pages.clone());
    let (in_a, in_b) = (pages(a), pages(b));
    let is_known = in_a.is_some() || in_b.is_some();
    let overlap = is_known.then(|| {
        in_a.as_ref()
            .unwrap_or(&nothing)
            .overlap(in_b.as_ref().unwrap_or(&nothing))
    });
    Row {
        pages: overlap,
        ..Row::new(By::File, name, numbers(a), numbers(b))
    }
}

/// Queries by name.
#[must_use]
pub fn queries(a: &Groups, b: &Groups) -> Vec<Row> {
    let by_name = |groups: &Groups| -> BTreeMap<String, Numbers> {
        let sorted = groups.sorted().into_iter();
        sorted
            .map(|(name, _, group)| (name.to_owned(), Numbers::of_queries(group)))
            .collect()
    };
    let (a, b) = (by_name(a), by_name(b));
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let of = |side: &BTreeMap<String, Numbers>, name| side.get(name).copied().unwrap_or_default();
    let mut rows: Vec<Row> = names
        .into_iter()
        .map(|name| Row::new(By::Query, name, of(&a, name), of(&b, name)))
        .collect();
    sort(&mut rows);
    rows
}

const fn head(name: &'static str, title: &'static str) -> Head {
    Head { name, title }
}

/// The columns after the name. `quantile_unit` is that of people's tables.
const HEADS: [Head; 14] = [
    head("wait_a_ms", "WAIT_A_MS"),
    head("wait_b_ms", "WAIT_B_MS"),
    head("change_ms", "CHANGE_MS"),
    head("change_percent", "CHANGE_%"),
    head("major_a", "MAJOR_A"),
    head("major_b", "MAJOR_B"),
    head("minor_a", "MINOR_A"),
    head("minor_b", "MINOR_B"),
    head("failed_a", "FAILED_A"),
    head("failed_b", "FAILED_B"),
    head("p50_a_us", "P50_A_US"),
    head("p50_b_us", "P50_B_US"),
    head("p99_a_us", "P99_A_US"),
    head("p99_b_us", "P99_B_US"),
];

/// What gives way on a narrow terminal, first first.
pub const NARROW: [&str; 8] = [
    "p50_a_us", "p50_b_us", "minor_a", "minor_b", "p99_a_us", "p99_b_us", "major_a", "major_b",
];

fn cells(row: &Row) -> Vec<Value> {
    let (a, b) = (&row.a, &row.b);
    let us = |ns: Option<u64>| ns.map_or(Value::Null, Value::Us);
    vec![
        Value::Ms(a.wait_ns),
        Value::Ms(b.wait_ns),
        change(a.wait_ns, b.wait_ns, Value::Ms(row.change_ns())),
        relative(a.wait_ns, b.wait_ns),
        Value::Count(a.majors),
        Value::Count(b.majors),
        Value::Count(a.minors),
        Value::Count(b.minors),
        Value::Count(a.failed),
        Value::Count(b.failed),
        us(a.p50_ns),
        us(b.p50_ns),
        us(a.p99_ns),
        us(b.p99_ns),
    ]
}

fn change(a: u64, b: u64, by: Value) -> Value {
    Value::Change {
        is_less: b < a,
        by: Box::new(by),
    }
}

/// In percent of A; nothing where A has none.
fn relative(a: u64, b: u64) -> Value {
    let share = Value::Percent {
        part: a.abs_diff(b),
        whole: a,
    };
    match (a, b) {
        (0, 1..) => Value::Null,
        _ => change(a, b, share),
    }
}

/// Rows of one kind for people.
#[must_use]
pub fn table(rows: &[Row], title: &'static str) -> Table {
    let has_failed = rows.iter().any(|row| row.a.failed > 0 || row.b.failed > 0);
    let is_shown = |name: &str| has_failed || !name.starts_with("failed");
    let heads = HEADS.into_iter().filter(|head| is_shown(head.name));
    let body = rows.iter().map(|row| {
        let cells = cells(row).into_iter().zip(HEADS);
        let shown = cells.filter(|(_, head)| is_shown(head.name));
        std::iter::once(name_cell(row))
            .chain(shown.map(|(cell, _)| cell))
            .collect()
    });
    Table {
        rows: body.collect(),
        heads: std::iter::once(head("name", title)).chain(heads).collect(),
        total: None,
    }
}

/// Queries and stacks are told by their start, paths by their end.
fn name_cell(row: &Row) -> Value {
    match row.by {
        By::Query | By::Stack => Value::Prose(row.name.clone()),
        By::Class | By::Thread | By::File => Value::Text(row.label()),
    }
}

/// The pages of files for people.
#[must_use]
pub fn pages_table(rows: &[Row]) -> Table {
    let body = rows.iter().filter_map(|row| {
        let pages = row.pages?;
        Some(
            std::iter::once(name_cell(row))
                .chain(page_cells(&pages))
                .collect(),
        )
    });
    Table {
        rows: body.collect(),
        heads: std::iter::once(head("file", "FILE")).chain(PAGES).collect(),
        total: None,
    }
}

const PAGES: [Head; 6] = [
    head("pages_a", "PAGES_A"),
    head("pages_b", "PAGES_B"),
    head("pages_both", "IN_BOTH"),
    head("pages_only_a", "ONLY_A"),
    head("pages_only_b", "ONLY_B"),
    head("jaccard_percent", "JACCARD_%"),
];

fn page_cells(pages: &Overlap) -> [Value; 6] {
    let jaccard = Value::Percent {
        part: pages.both,
        whole: pages.either(),
    };
    [
        Value::Count(pages.a),
        Value::Count(pages.b),
        Value::Count(pages.both),
        Value::Count(pages.only_a()),
        Value::Count(pages.only_b()),
        if pages.either() > 0 { jaccard } else { Value::Null },
    ]
}

/// All rows for programs.
#[must_use]
pub fn export(rows: &[Row]) -> Table {
    let body = rows.iter().map(|row| {
        let paired = row.paired.as_ref();
        let mut line = vec![
            Value::Text(row.by.name().to_owned()),
            Value::Text(row.name.clone()),
            paired.map_or(Value::Null, |(name, _)| Value::Text(name.clone())),
        ];
        line.extend(cells(row));
        match &row.pages {
            Some(pages) => line.extend(page_cells(pages)),
            None => line.extend(PAGES.map(|_| Value::Null)),
        }
        line.push(
            row.pages
                .map_or(Value::Null, |pages| Value::Flag(pages.is_estimated)),
        );
        line
    });
    let first = [head("by", "BY"), head("name", "NAME"), head("name_b", "NAME_B")];
    let last = [head("pages_estimated", "ESTIMATED")];
    Table {
        rows: body.collect(),
        heads: first.into_iter().chain(HEADS).chain(PAGES).chain(last).collect(),
        total: None,
    }
}
