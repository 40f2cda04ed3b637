//! A text as a question: one SELECT, or what lists tables and their columns. Nothing else reads a trace.

use crate::error::AnalyzeError;
use crate::output::text::escape;
use crate::verbs::sql::types::refusal;
use sqlparser::ast::{Query, Statement};
use sqlparser::dialect::{Dialect, DuckDbDialect};
use sqlparser::parser::Parser;
use std::any::TypeId;

/// As DuckDB's, but `f(a = 1)` is a comparison: the one of sqlparser takes it for an argument with a name.
#[derive(Debug)]
struct QuestionDialect;

impl Dialect for QuestionDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<DuckDbDialect>()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        DuckDbDialect.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        DuckDbDialect.is_identifier_part(ch)
    }

    fn supports_trailing_commas(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    fn supports_from_first_select(&self) -> bool {
        true
    }

    fn supports_order_by_all(&self) -> bool {
        true
    }

    fn supports_select_wildcard_exclude(&self) -> bool {
        true
    }

    fn supports_notnull_operator(&self) -> bool {
        true
    }

    fn supports_comma_separated_trim(&self) -> bool {
        true
    }
}

/// Bytes that a question may have.
const LONGEST: usize = 100_000;

/// What is asked.
#[derive(Debug)]
pub enum Question {
    /// SELECT, with or without WITH.
    Query(Box<Query>),
    /// SHOW TABLES.
    Tables,
    /// DESCRIBE, with the name of a table.
    Describe(String),
}

/// Parses.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse(text: &str) -> Result<Question, AnalyzeError> {
    if text.len() > LONGEST {
        return Err(refusal(format!("the question has more than {LONGEST} bytes")));
    }
    let words: Vec<&str> = text.trim().trim_end_matches(';').split_whitespace().collect();
    match words.as_slice() {
        [] => {
            return Err(refusal(
                "the question is empty: write SELECT …, or leave it out for a list of tables",
            ));
        }
        [show, tables] if is(show, "SHOW") && is(tables, "TABLES") => return Ok(Question::Tables),
        [describe, name] if is_describe(describe) => return Ok(of_table(name)),
        [describe, table, name] if is_describe(describe) && is(table, "TABLE") => return Ok(of_table(name)),
        [show, columns, from, name] if is(show, "SHOW") && is(columns, "COLUMNS") && is(from, "FROM") => {
            return Ok(of_table(name));
        }
        [describe, ..] if is_describe(describe) => {
            return Err(refusal(format!(
                "{} lists the columns of one table, as in DESCRIBE faults; SHOW TABLES lists the tables",
                describe.to_uppercase()
            )));
        }
        [first, ..] if COMMANDS.iter().any(|command| is(first, command)) => return Err(no_question(first)),
        _ => {}
    }
    let mut statements = Parser::parse_sql(&QuestionDialect, text).map_err(|error| {
        let message = error.to_string();
        let message = message
            .trim_start_matches("sql parser error: ")
            .split_whitespace()
            .collect::<Vec<_>>();
        refusal(format!("the question is not SQL: {}", escape(&message.join(" "))))
    })?;
    match (statements.pop(), statements.is_empty()) {
        (Some(Statement::Query(query)), true) => Ok(Question::Query(query)),
        (Some(_), true) => Err(no_question(words.first().copied().unwrap_or_default())),
        _ => Err(refusal(
            "one question at a time: leave out what is behind the first ;",
        )),
    }
}

/// What changes tables, or says how they would be read: nothing of that is a question to a trace.
const COMMANDS: [&str; 25] = [
    "ALTER",
    "ANALYZE",
    "ATTACH",
    "BEGIN",
    "CALL",
    "COMMIT",
    "COPY",
    "CREATE",
    "DELETE",
    "DETACH",
    "DROP",
    "EXECUTE",
    "EXPLAIN",
    "EXPORT",
    "GRANT",
    "IMPORT",
    "INSERT",
    "MERGE",
    "PRAGMA",
    "PREPARE",
    "REPLACE",
    "SET",
    "SUMMARIZE",
    "TRUNCATE",
    "UPDATE",
];

fn no_question(first: &str) -> AnalyzeError {
    refusal(format!(
        "{} is not a question: a trace is only read, by SELECT, WITH, SHOW TABLES and DESCRIBE, as in DESCRIBE faults",
        escape(first).to_uppercase()
    ))
}

fn is_describe(word: &str) -> bool {
    ["DESCRIBE", "DESC", "SHOW"].iter().any(|name| is(word, name))
}

fn of_table(name: &str) -> Question {
    Question::Describe(name.trim_matches('"').to_owned())
}

fn is(word: &str, name: &str) -> bool {
    word.eq_ignore_ascii_case(name)
}
