//! Thousands of generated SELECTs, asked of pfanalyze and of DuckDB on the same rows: the answers are equal, or
//! pfanalyze refuses the question in words. The questions, and what equal means, are in `questions.py` and `compare.py`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    missing_docs
)]

#[path = "../support/mod.rs"]
mod support;
mod traces;

use pfanalyze::engine::filter::Filter;
use pfanalyze::engine::scan::{Pass, scan};
use pfanalyze::trace::input::Source;
use pfanalyze::verbs::sql::budget::Budget;
use pfanalyze::verbs::sql::faults::Faults;
use pfanalyze::verbs::sql::metadata::Side;
use pfanalyze::verbs::sql::naming::Relation;
use pfanalyze::verbs::sql::query::{answer, check};
use pfanalyze::verbs::sql::schema::TableName;
use pfanalyze::verbs::sql::statement::{Question, parse};
use pfanalyze::verbs::sql::tables::{KnownTables, TraceTables};
use pfanalyze::verbs::sql::types::{Literal, Type};
use pfanalyze::verbs::sql::vector::Vector;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// As scripts/setup_environment.sh makes it.
const ENVIRONMENT: &str = ".cache/pfrec/test-venv/bin/python";
/// Questions to all traces together.
const QUESTIONS: &str = "2400";
const SEED: &str = "19";
/// What a question may take.
const MEMORY: u64 = 1 << 30;

fn python(script: &str, arguments: &[&str]) -> Output {
    let given = std::env::var_os("PFREC_TEST_PYTHON").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(ENVIRONMENT));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/generated_sql");
    Command::new(given.or_else(home).expect("HOME is not set"))
        .arg("-B")
        .arg(folder.join(script))
        .args(arguments)
        .output()
        .expect("NOT RUN: no Python here (scripts/setup_environment.sh --dev installs it)")
}

fn tables(path: &Path) -> TraceTables {
    let source = Source::open(path, true).unwrap();
    let budget = Arc::new(Budget::new(MEMORY));
    let mut side = Side::new(&TableName::ALL, &budget);
    let mut passes: [&mut dyn Pass; 1] = [&mut side];
    let reader = source.input().unwrap().reader;
    let session = scan(reader, &Filter::default(), &mut passes, &mut |_| {}).unwrap();
    let frames = side.frames(&session).unwrap();
    let faults = Faults {
        source,
        filter: Filter::default(),
        start_ns: session.start_ns(),
        utc_offset_ns: Some(session.header.utc_offset_ns),
        budget,
    };
    TraceTables { faults, frames }
}

fn ask(question: &str, tables: &TraceTables) -> Result<Relation, String> {
    let Question::Query(query) = parse(question).map_err(|error| error.to_string())? else {
        panic!("{question}");
    };
    let needed = check(&query, &KnownTables::default()).map_err(|error| error.to_string())?;
    answer(&query, needed, tables, &tables.faults.budget).map_err(|error| error.to_string())
}

/// Rows with the types of their values: numbers as text, so that no digit is lost.
fn written(relation: &Relation) -> Value {
    let mut rows = vec![Vec::new(); relation.rows.height];
    for (named, column) in relation.columns.iter().zip(&relation.rows.columns) {
        let column = column.as_ref().unwrap();
        let values = Vector::of_column(column).unwrap();
        for (index, row) in rows.iter_mut().enumerate() {
            row.push(match values.literal(index, named.of) {
                Literal::Null => Value::Null,
                Literal::Boolean(flag) => json!(flag),
                Literal::Text(text) => json!(*text),
                Literal::Float(number) => json!({ "float": format!("{number:?}") }),
                Literal::Time(ns) => json!({ "number": ns.to_string() }),
                Literal::Number { digits, scale } => json!({ "number": format!("{digits}e-{scale}") }),
            });
        }
    }
    json!(rows)
}

fn type_name(of: Type) -> &'static str {
    match of {
        Type::Boolean => "BOOLEAN",
        Type::Text => "VARCHAR",
        _ => "HUGEINT",
    }
}

/// The tables of a trace for DuckDB.
fn exported(tables: &TraceTables) -> Value {
    let mut all = serde_json::Map::new();
    for table in TableName::ALL {
        let relation = ask(&format!("SELECT * FROM {}", table.name()), tables).unwrap();
        let columns: Vec<Value> = relation
            .columns
            .iter()
            .map(|column| json!([column.name, type_name(column.of)]))
            .collect();
        all.insert(
            table.name().to_owned(),
            json!({ "columns": columns, "rows": written(&relation) }),
        );
    }
    Value::Object(all)
}

fn setting(name: &str, otherwise: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| otherwise.to_owned())
}

#[test]
#[ignore = "needs DuckDB for Python, which scripts/setup_environment.sh --dev installs"]
fn duckdb_answers_generated_questions_the_same_or_they_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (seed, count) = (
        setting("PFREC_SQL_SEED", SEED),
        setting("PFREC_SQL_QUESTIONS", QUESTIONS),
    );
    let generated = python("questions.py", &[&seed, &count]);
    assert!(
        generated.status.success(),
        "{}",
        String::from_utf8_lossy(&generated.stderr)
    );
    let questions: Vec<String> = serde_json::from_slice(&generated.stdout).unwrap();
    let traces = traces::all(folder.path());
    let mut asked: Vec<Vec<Value>> = vec![Vec::new(); traces.len()];
    let tables: Vec<TraceTables> = traces.iter().map(|path| tables(path)).collect();
    let began = Instant::now();
    let mut slowest = (Duration::ZERO, "");
    for (index, question) in questions.iter().enumerate() {
        let which = index % traces.len();
        let budget = &tables[which].faults.budget;
        let before = budget.used();
        let asked_at = Instant::now();
        let result = match ask(question, &tables[which]) {
            Ok(relation) => json!({ "question": question, "rows": written(&relation) }),
            Err(refused) => json!({ "question": question, "refused": refused }),
        };
        slowest = slowest.max((asked_at.elapsed(), question.as_str()));
        assert_eq!(budget.used(), before, "memory is given back: {question}");
        asked[which].push(result);
    }
    println!(
        "asked in {:?}, the slowest in {:?}: {}",
        began.elapsed(),
        slowest.0,
        slowest.1
    );
    let mut paths = Vec::new();
    for (which, asked) in asked.iter().enumerate() {
        let path = folder.path().join(format!("{which}.json"));
        let all = json!({ "tables": exported(&tables[which]), "asked": asked });
        fs::write(&path, all.to_string()).unwrap();
        paths.push(path.display().to_string());
    }
    let compared = python(
        "compare.py",
        &paths.iter().map(String::as_str).collect::<Vec<_>>(),
    );
    let stdout = String::from_utf8_lossy(&compared.stdout);
    println!("{stdout}");
    assert!(
        compared.status.success(),
        "{stdout}{}",
        String::from_utf8_lossy(&compared.stderr)
    );
}
