//! `sql`: questions in SQL to the tables of a trace. A question is parsed by the crate sqlparser, its names and
//! types are resolved (`bind`), and it is computed step by step over columns of polars: FROM and WHERE, groups,
//! windows, the select list, ORDER BY and LIMIT. It means what it means in DuckDB; what is not known here is
//! refused in words, and no number wraps or loses digits.

pub mod accumulate;
pub mod bind;
pub mod budget;
pub mod build_column;
pub mod evaluate;
pub mod expression;
pub mod faults;
pub mod from;
pub mod function;
pub mod functions;
pub mod group;
pub mod hashing;
pub mod join;
pub mod metadata;
pub mod naming;
pub mod ordering;
pub mod pushdown;
pub mod query;
pub mod result;
pub mod row_set;
pub mod schema;
pub mod select_list;
pub mod set_operations;
pub mod statement;
pub mod tables;
pub mod text;
pub mod time;
pub mod types;
pub mod vector;
pub mod windowing;

use crate::engine::columns::Column;
use crate::engine::filter::Filter;
use crate::error::AnalyzeError;
use crate::output::answer::{Answer, Room};
use crate::output::command::Caller;
use crate::output::document::Document;
use crate::output::sink::Output;
use crate::output::table::Table;
use crate::request::Request;
use crate::request::options::SqlOptions;
use crate::trace::class::Class;
use crate::trace::input::{Input, Source};
use crate::trace::sampling;
use crate::trace::session::Session;
use crate::verbs::context::{
    Outcome, open_output, read_all, say_remarks, say_warnings, with_queries, write_answer,
};
use crate::verbs::sql::schema::{TableName, faults_columns};
use budget::Budget;
use faults::Faults;
use metadata::Side;
use naming::Relation;
use statement::Question;
use std::sync::Arc;
use tables::{KnownTables, TraceTables};

/// Answers.
///
/// # Errors
/// Input, output, or a question that cannot be answered.
pub fn run(request: &Request, options: &SqlOptions) -> anyhow::Result<Outcome> {
    let source = Source::open(&request.trace, true)?;
    let input = source.input()?;
    let question = options.query.as_deref().map(statement::parse).transpose();
    let question = question.map_err(wrong_question)?;
    let query = match question {
        None => {
            let catalog = Catalog {
                trace: Caller::of(&request.trace).trace(),
            };
            return written(&catalog, request, &input);
        }
        Some(Question::Tables) => return written(&Listed(result::table_names()), request, &input),
        Some(Question::Describe(name)) => {
            let described = result::described(&name).ok_or_else(|| wrong_question(text::no_table(&name)))?;
            return written(&Listed(described), request, &input);
        }
        Some(Question::Query(query)) => query,
    };
    let known = KnownTables::default();
    let needed = query::check(&query, &known).map_err(wrong_question)?;
    let tables = known.used();
    let mut output = open_output(request, &input)?;
    let filter = with_queries(request, &source)?;
    let budget = Arc::new(Budget::new(options.max_memory));
    let mut side = Side::new(&tables, &budget);
    // Whole: filters are about faults.
    let whole = Request {
        filter: Filter::default(),
        ..request.clone()
    };
    let session = read_all(&whole, input, &mut [&mut side])?;
    let frames = side.frames(&session)?;
    let faults = Faults {
        source,
        filter,
        start_ns: session.start_ns(),
        utc_offset_ns: Some(session.header.utc_offset_ns).filter(|&offset| offset != 0),
        budget: Arc::clone(&budget),
    };
    let answer = query::answer(&query, needed, &TraceTables { faults, frames }, &budget)?;
    let words = options.query.as_deref().unwrap_or_default();
    let done = write(&answer, words, &tables, &session, request, &mut output);
    output.finish(done)?;
    Ok(Outcome::Done)
}

/// What is wrong with a question whatever the trace is wrong usage, as a wrong option is.
fn wrong_question(error: AnalyzeError) -> AnalyzeError {
    match error {
        AnalyzeError::Unanswerable(words) => AnalyzeError::Usage(words),
        other => other,
    }
}

/// Writes what needs no faults.
fn written(answer: &dyn Answer, request: &Request, input: &Input) -> anyhow::Result<Outcome> {
    let mut output = open_output(request, input)?;
    let done = write_answer(answer, request, &mut output);
    output.finish(done)?;
    Ok(Outcome::Done)
}

/// The tables that can be asked.
struct Catalog {
    /// What the user calls the trace, for examples.
    trace: String,
}

impl Answer for Catalog {
    fn text(&self, room: Room) -> Result<Document, AnalyzeError> {
        let mut drawn = Vec::new();
        text::list_tables(&self.trace, room.width, &mut drawn)?;
        let mut document = Document::default();
        document.drawing(drawn);
        Ok(document)
    }

    fn table(&self) -> Table {
        result::catalog()
    }
}

/// A list of tables or columns.
struct Listed(Table);

impl Answer for Listed {
    fn text(&self, room: Room) -> Result<Document, AnalyzeError> {
        let Some(width) = room.table else {
            return Ok(Document::of_table(self.0.clone()));
        };
        let mut drawn = Vec::new();
        text::write_explained(&self.0, width, &mut drawn)?;
        let mut document = Document::default();
        document.drawing(drawn);
        Ok(document)
    }

    fn table(&self) -> Table {
        self.0.clone()
    }
}

fn write(
    answer: &Relation,
    query: &str,
    tables: &[TableName],
    session: &Session,
    request: &Request,
    output: &mut Output,
) -> Result<(), AnalyzeError> {
    say_warnings(session, request.format, output)?;
    let width = output.terminal.map(|_| output.width());
    let cut = result::write(answer, request.format, width, &mut output.out)?;
    let is_sampled = session.sampling().is_sampled() && tables.contains(&TableName::Faults);
    let sampled = is_sampled.then(|| {
        format!(
            "minor faults sampled 1 in {}: rows are as recorded, SUM(weight) counts what they stand for",
            sampling::Sampling::factor(session.sampling())
        )
    });
    let unseen = describe_unseen(request, query, session, tables);
    say_remarks(cut.into_iter().chain(sampled).chain(unseen), request, output)
}

/// What the recording could not see of what was asked for.
fn describe_unseen(request: &Request, query: &str, session: &Session, tables: &[TableName]) -> Vec<String> {
    if !tables.contains(&TableName::Faults) {
        return Vec::new();
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words: Vec<&str> = query.split(|c| !is_word(c)).collect();
    let names = |column: &Column| words.iter().any(|word| word.eq_ignore_ascii_case(column.name()));
    let mut named: Vec<Column> = faults_columns().filter(names).collect();
    if request.filter.class == Some(Class::Failed) {
        named.push(Column::Failed);
    }
    let sight = session.sight();
    sight.describe_unseen(&named)
}
