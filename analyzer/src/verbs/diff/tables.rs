//! Rows of a comparison as tables, for people and for programs.

use crate::output::table::{ColumnHead, Table, Value};
use crate::verbs::diff::page_sample::Overlap;
use crate::verbs::diff::rows::{By, Row};

/// The columns after the name.
const HEADS: [ColumnHead; 14] = [
    ColumnHead::new("wait_a_ms"),
    ColumnHead::new("wait_b_ms"),
    ColumnHead::new("change_ms"),
    ColumnHead::new("change_percent"),
    ColumnHead::new("major_a"),
    ColumnHead::new("major_b"),
    ColumnHead::new("minor_a"),
    ColumnHead::new("minor_b"),
    ColumnHead::new("failed_a"),
    ColumnHead::new("failed_b"),
    ColumnHead::new("p50_a_us"),
    ColumnHead::new("p50_b_us"),
    ColumnHead::new("p99_a_us"),
    ColumnHead::new("p99_b_us"),
];

/// What gives way on a narrow terminal, first first.
pub(crate) const DROP_ORDER: [[&str; 2]; 4] = [
    ["p50_a_us", "p50_b_us"],
    ["minor_a", "minor_b"],
    ["p99_a_us", "p99_b_us"],
    ["major_a", "major_b"],
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
pub fn table(rows: &[Row], name: &'static str) -> Table {
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
        heads: std::iter::once(ColumnHead::new(name)).chain(heads).collect(),
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
pub(crate) fn pages_table(rows: &[Row]) -> Table {
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
        heads: std::iter::once(ColumnHead::new("file")).chain(PAGES).collect(),
        total: None,
    }
}

const PAGES: [ColumnHead; 6] = [
    ColumnHead::new("pages_a"),
    ColumnHead::new("pages_b"),
    ColumnHead::new("pages_both"),
    ColumnHead::new("pages_only_a"),
    ColumnHead::new("pages_only_b"),
    ColumnHead::new("jaccard_percent"),
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
    let first = [
        ColumnHead::new("by"),
        ColumnHead::new("name"),
        ColumnHead::new("name_b"),
    ];
    let last = [ColumnHead::new("pages_estimated")];
    Table {
        rows: body.collect(),
        heads: first.into_iter().chain(HEADS).chain(PAGES).chain(last).collect(),
        total: None,
    }
}
