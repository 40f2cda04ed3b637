//! docs/analyzing.md explains each column of a fault, and each table of `sql`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use pfanalyze::engine::columns::{Column, FAULTS};
use pfanalyze::verbs::sql::schema::TableName;

#[test]
fn every_column_and_every_table_is_in_the_document() {
    let document = include_str!("../../docs/analyzing.md");
    let columns = FAULTS.into_iter().chain([Column::Weight]).map(Column::name);
    let missing: Vec<_> = columns
        .chain(TableName::ALL.map(TableName::name))
        .filter(|name| !document.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
