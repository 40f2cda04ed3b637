//! "Where the time went": the breakdown of the wait by class, for people one line per part, for programs one row per class.

use crate::output::table::{ColumnHead, Table, Value};
use crate::output::units::percent;
use crate::stats::breakdown::{self, Parts};
use crate::stats::by_class::Classes;
use crate::trace::class::Class;

/// The heading of the section.
pub(crate) const TITLE: &str = "Where the time went (blocked: asleep; \"of which\" overlaps the others)";

/// A line of the table: what it is called, and its sum, if it was seen.
type Line = (&'static str, fn(&Parts) -> Option<u64>);

const LINES: [Line; 5] = [
    ("blocked", |parts| Some(parts.blocked_ns)),
    ("run queue", |parts| Some(parts.runqueue_ns)),
    ("CPU", |parts| Some(parts.cpu_ns)),
    ("of which reclaim", |parts| Some(parts.reclaim_ns)),
    ("of which lock", |parts| parts.lock_ns),
];

/// Milliseconds and percent of the wait, a pair of columns for each class that has faults, and one for all.
#[must_use]
pub(crate) fn by_part(classes: &Classes) -> Table {
    let mut heads = vec![ColumnHead::new("part")];
    let mut columns: Vec<Parts> = Vec::new();
    for class in Class::ALL {
        if let Some(&parts) = classes.parts.of(class).filter(|parts| parts.is_recorded) {
            heads.extend(heads_of(class));
            columns.push(parts);
        }
    }
    heads.extend([ColumnHead::new("all_ms"), ColumnHead::new("all_percent")]);
    columns.push(classes.parts.all());
    let row = |&(name, of): &Line| {
        let cells = columns.iter().flat_map(|parts| {
            let whole = parts.wait_ns;
            of(parts).map_or([Value::Null, Value::Null], |part| {
                [Value::Ms(part), Value::Percent { part, whole }]
            })
        });
        std::iter::once(Value::Text(name.to_owned()))
            .chain(cells)
            .collect()
    };
    Table {
        heads,
        rows: LINES.iter().map(row).collect(),
        total: None,
    }
}

/// One row per class with a breakdown, and one for all.
#[must_use]
pub fn by_class(classes: &Classes) -> Table {
    let mut heads = vec![ColumnHead::new("class"), ColumnHead::new("wait_ms")];
    heads.extend(breakdown::HEADS);
    let row = |name: &str, parts: &Parts| {
        let mut row = vec![Value::Text(name.to_owned()), Value::Ms(parts.wait_ns)];
        row.extend(parts.cells());
        row
    };
    let mut rows = Vec::new();
    for class in Class::ALL {
        if let Some(parts) = classes.parts.of(class).filter(|parts| parts.is_recorded) {
            rows.push(row(class.name(), parts));
        }
    }
    if !rows.is_empty() {
        rows.push(row("all", &classes.parts.all()));
    }
    Table {
        heads,
        rows,
        total: None,
    }
}

/// What to know of the table: what it does not cover.
#[must_use]
pub fn remarks(classes: &Classes) -> Vec<String> {
    let all = classes.parts.all();
    let mut remarks = Vec::new();
    let missing = classes.wait_ns().saturating_sub(all.wait_ns);
    if missing > 0 {
        let share = percent(u128::from(missing), u128::from(classes.wait_ns()));
        remarks.push(format!(
            "{share} of the wait has no breakdown and is not in this table"
        ));
    }
    match all.lock_ns {
        None => remarks.push(
            "the time in lock waits is not measured by the backend of this recording; fentry and kprobe do"
                .to_owned(),
        ),
        Some(0) => remarks.push("no wait for a lock was recorded".to_owned()),
        Some(_) => {}
    }
    remarks
}

/// Milliseconds, and their share.
fn heads_of(class: Class) -> [ColumnHead; 2] {
    match class {
        Class::Major => ["major_ms", "major_percent"],
        Class::Minor => ["minor_ms", "minor_percent"],
        Class::Failed => ["failed_ms", "failed_percent"],
    }
    .map(ColumnHead::new)
}
