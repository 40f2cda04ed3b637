//! What both recordings have under one name, side by side.

use crate::stats::by_class::Classes;
use crate::stats::by_query_name::{Group, Groups};
use crate::stats::histogram::Histogram;
use crate::trace::class::Class;
use crate::trace::session::Session;
use crate::verbs::diff::inodes::{File, overlap};
use crate::verbs::diff::page_sample::Overlap;
use crate::verbs::diff::pair::{Reason, pair};
use crate::verbs::diff::recording::{FileFaults, Side};
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
            majors: group.once.faults.majors,
            minors: group.once.faults.minors,
            wait_ns: group.once.faults.wait_ns,
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
    let files = |file: Option<&'_ FileFaults>| -> Vec<File> {
        let files = file.map(|file| file.files.clone());
        files.unwrap_or_default()
    };
    let (in_a, in_b) = (files(a), files(b));
    let is_known = !in_a.is_empty() || !in_b.is_empty();
    Row {
        pages: is_known.then(|| overlap(&in_a, &in_b)),
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
