//! `sql`: questions in SQL to the tables of a trace. Polars parses and answers them; here its tables come from the trace, a part
//! at a time and no more than the question needs, and its answers and errors are made readable.

pub mod budget;
pub mod faults;
pub mod metadata;
pub mod pushdown;
pub mod result;
pub mod schema;
pub mod text;

use crate::engine::columns::Column;
use crate::engine::filter::Filter;
use crate::error::AnalyzeError;
use crate::output::answer::{Answer, Room};
use crate::output::document::Document;
use crate::output::shell::shell_path;
use crate::output::sink::Output;
use crate::output::table::Table;
use crate::request::Request;
use crate::request::options::SqlOptions;
use crate::trace::class::Class;
use crate::trace::input::Source;
use crate::trace::sampling;
use crate::trace::session::Session;
use crate::verbs::context::{
    Outcome, open_output, read_all, say_remarks, say_warnings, with_queries, write_answer,
};
use crate::verbs::sql::schema::{TableName, faults_columns};
use budget::Budget;
use faults::Faults;
use metadata::Side;
use polars::prelude::{DataFrame, IntoLazy, LazyFrame, PolarsError, PolarsResult, ScanArgsAnonymous};
use polars::sql::{SQLContext, extract_table_identifiers};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Answers.
///
/// # Errors
/// Input, output, or a question that cannot be answered.
pub fn run(request: &Request, options: &SqlOptions) -> anyhow::Result<Outcome> {
    let source = Source::open(&request.trace, true)?;
    let input = source.input()?;
    let mut output = open_output(request, &input)?;
    let Some(query) = &options.query else {
        let catalog = Catalog {
            trace: shell_path(&request.trace),
        };
        let done = write_answer(&catalog, request, &mut output);
        output.finish(done)?;
        return Ok(Outcome::Done);
    };
    let filter = with_queries(request, &source)?;
    let budget = Arc::new(Budget::new(options.max_memory));
    let tables = tables_of(query)?;
    let mut side = Side::new(&tables, &budget);
    // Whole: filters are about faults.
    let whole = Request {
        filter: Filter::default(),
        ..request.clone()
    };
    let session = read_all(&whole, input, &mut [&mut side])?;
    let frames = side.frames(&session)?;
    let faults = Arc::new(Faults {
        source,
        filter,
        start_ns: session.start_ns(),
        budget,
        error: Mutex::new(None),
        takes_conditions: AtomicBool::new(true),
    });
    let answer = ask(query, &tables, &faults, &frames)?;
    let done = write(&answer, query, &tables, &session, request, &mut output);
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

/// The tables that a question names, those that there are.
fn tables_of(query: &str) -> anyhow::Result<Vec<TableName>> {
    let names = extract_table_identifiers(query, false, true)
        .map_err(|error| anyhow::anyhow!("{}", text::explain(&error.to_string(), &[])))?;
    let known = TableName::ALL.into_iter();
    Ok(known
        .filter(|table| names.iter().any(|name| name == table.name()))
        .collect())
}

/// Asks polars. `frames` are the small tables.
///
/// # Errors
/// One line on what is wrong with the question, or with the trace.
pub fn ask(
    query: &str,
    tables: &[TableName],
    faults: &Arc<Faults>,
    frames: &[(TableName, DataFrame)],
) -> anyhow::Result<DataFrame> {
    let used = faults.budget.used();
    let mut answer = ask_once(query, faults, frames);
    if answer.is_err() && !faults.takes_conditions.load(Ordering::Relaxed) {
        take_error(faults);
        faults.budget.reset(used);
        answer = ask_once(query, faults, frames);
    }
    answer.map_err(|error| match take_error(faults) {
        Some(ours) => anyhow::Error::from(ours),
        None => anyhow::anyhow!("{}", text::explain(&error.to_string(), tables)),
    })
}

fn take_error(faults: &Faults) -> Option<AnalyzeError> {
    faults.error.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn ask_once(query: &str, faults: &Arc<Faults>, frames: &[(TableName, DataFrame)]) -> PolarsResult<DataFrame> {
    let mut context = SQLContext::new();
    let schema = ScanArgsAnonymous {
        schema: Some(Arc::new(TableName::Faults.schema())),
        name: "faults",
        ..ScanArgsAnonymous::default()
    };
    let lazy = LazyFrame::anonymous_scan(faults.clone(), schema)?;
    context.register(TableName::Faults.name(), lazy);
    // The others are known, too, and empty: the question does not name them.
    for table in TableName::ALL.into_iter().skip(1) {
        context.register(table.name(), DataFrame::empty_with_schema(&table.schema()).lazy());
    }
    for (table, frame) in frames {
        context.register(table.name(), frame.clone().lazy());
    }
    without_panic(|| context.execute(query).and_then(LazyFrame::collect))
}

/// Rare questions end polars in a panic: for us that is an error like others.
fn without_panic(answer: impl FnOnce() -> PolarsResult<DataFrame>) -> PolarsResult<DataFrame> {
    let hook = panic::take_hook();
    // What it says is for those who can change polars.
    panic::set_hook(Box::new(|_| {}));
    // Nothing that the answer has half done is looked at afterwards.
    let done = panic::catch_unwind(AssertUnwindSafe(answer));
    panic::set_hook(hook);
    done.unwrap_or_else(|_| {
        let text = "polars gives up on this question: put it another way, for example in steps with WITH";
        Err(PolarsError::ComputeError(text.into()))
    })
}

fn write(
    answer: &DataFrame,
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
    let mut unseen = sight.describe_unseen(&named);
    if named.iter().any(|column| !sight.has(*column)) {
        unseen.push("the SUM of an empty column is 0 here".to_owned());
    }
    unseen
}
