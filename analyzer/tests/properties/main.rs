//! What must hold of the answers to any trace: parts sum up to the whole in every window and under every filter, shares lie
//! within 0 and 100 %, and two verbs that tell the same figure tell the same one. The traces are made by chance; `generate`
//! says of what, and each verb has a module of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    missing_docs
)]

mod diff;
mod files;
mod generate;
mod histories;
mod made;
mod memory;
mod queries;
mod report;
#[path = "../support/mod.rs"]
mod support;
mod timeline;
mod walks;

use pfanalyze::engine::filter::Filter;
use pfanalyze::output::render::Format;
use pfanalyze::output::table::Table;
use pfanalyze::verbs::files::Files;
use proptest::prelude::ProptestConfig;
use serde_json::Value;

/// As many traces as a second or two allows.
pub fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// The rows as programs get them.
pub fn rows(table: &Table) -> Vec<Value> {
    serde_json::from_str(&support::ask::text(table, Format::Json)).unwrap()
}

/// The rows of `files`.
pub fn files(bytes: &[u8], filter: &Filter) -> Vec<Value> {
    let mut files = Files::default();
    let session = support::ask::read(bytes, filter, &mut [&mut files]);
    rows(&files.table(&session))
}

/// The row whose `column` says so.
pub fn row_of<'a>(rows: &'a [Value], column: &str, is: &str) -> Option<&'a Value> {
    rows.iter().find(|row| row[column] == is)
}

/// A count.
pub fn count(row: &Value, column: &str) -> u64 {
    row[column]
        .as_u64()
        .unwrap_or_else(|| panic!("{column} in {row}"))
}

/// Milliseconds as nanoseconds.
pub fn ns(row: &Value, column: &str) -> u64 {
    (row[column]
        .as_f64()
        .unwrap_or_else(|| panic!("{column} in {row}"))
        * 1e6)
        .round() as u64
}

/// The sum of a column of counts.
pub fn sum(rows: &[Value], column: &str) -> u64 {
    rows.iter().map(|row| count(row, column)).sum()
}

/// Whether a share is one.
pub fn is_share(share: &Value) -> bool {
    share.is_null() || share.as_f64().is_some_and(|share| (0.0..=100.0).contains(&share))
}
