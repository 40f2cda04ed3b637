//! What every verb does around its passes: open the trace and the output, read with a progress bar, warn, and write tables
//! and remarks.

use crate::engine::clock;
use crate::engine::filter::Filter;
use crate::engine::scan::{Pass, scan};
use crate::error::AnalyzeError;
use crate::integrity::warnings;
use crate::output::answer::Answer;
use crate::output::command::Caller;
use crate::output::progress::Progress;
use crate::output::render::{self, Format};
use crate::output::sink::Output;
use crate::output::table::Table;
use crate::output::text::escape;
use crate::output::units::quantity;
use crate::request::Request;
use crate::trace::input::{self, Input, Source};
use crate::trace::queries::select::select;
use crate::trace::session::Session;
use std::io::Write;

/// How a request that was done ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to add.
    Done,
    /// The trace was checked, and has losses or damage, or no proper end.
    Incomplete,
}

/// The trace of a request, as often as it is needed.
pub(crate) struct Trace {
    caller: Caller,
    source: Source,
    /// Open already, where it can be read once only.
    first: Option<Input>,
}

impl Trace {
    /// From its start. More than once only where that was said before.
    pub(crate) fn input(&mut self) -> anyhow::Result<Input> {
        self.first.take().map_or_else(|| self.source.input(), Ok)
    }

    /// How a command for it is written.
    pub(crate) fn caller(&self) -> Caller {
        self.caller.clone()
    }
}

/// Opens the trace and the output; `write` answers. The trace is read `again` by verbs of several passes, and by all that
/// look for queries first. The request that `write` gets knows the queries of its filter.
pub(crate) fn answer(
    request: &Request,
    again: bool,
    write: impl FnOnce(&Request, &mut Trace, &mut Output) -> anyhow::Result<()>,
) -> anyhow::Result<Outcome> {
    let again = again || !request.filter.query_names.is_empty() || request.filter.asks_the_clock();
    let source = Source::open(&request.trace, again)?;
    let input = source.input()?;
    let mut output = open_output(request, &input)?;
    let request = &Request {
        filter: with_queries(request, &source)?,
        ..request.clone()
    };
    let first = (!again).then_some(input);
    let caller = Caller::of(&request.trace);
    let mut trace = Trace {
        caller,
        source,
        first,
    };
    let done = match write(request, &mut trace, &mut output).map_err(anyhow::Error::downcast) {
        Ok(()) => Ok(()),
        Err(Ok(AnalyzeError::Format(error))) => {
            let name = escape(&request.trace.display().to_string());
            return Err(input::explain_format(&name, &error));
        }
        Err(Ok(error)) => Err(error),
        Err(Err(other)) => return Err(other),
    };
    output.finish(done)?;
    Ok(Outcome::Done)
}

/// Where `request` wants its answer to go, which must be none of the files that it reads.
pub(crate) fn open_output(request: &Request, trace: &Input) -> anyhow::Result<Output> {
    let mut output = Output::open(request.output.as_deref(), trace.identity, &request.inputs())?;
    output.suit(request.format);
    Ok(output)
}

/// The filter, with the queries that `--query` means, and the times of the recording that the clock means.
///
/// # Errors
/// I/O errors of the input, a trace without queries, or a time outside of the recording.
pub(crate) fn with_queries(request: &Request, source: &Source) -> anyhow::Result<Filter> {
    let mut filter = request.filter.clone();
    if filter.asks_the_clock() {
        clock::place(&mut filter, source.input()?.reader)?;
    }
    if filter.query_names.is_empty() {
        return Ok(filter);
    }
    let selection = select(source.input()?.reader, &filter.query_names)?;
    if let Some(hint) = selection.hint {
        pf_printing::say(hint);
    }
    filter.queries = Some(selection.ids);
    Ok(filter)
}

pub(crate) fn read(
    request: &Request,
    input: Input,
    passes: &mut [&mut dyn Pass],
) -> Result<Session, AnalyzeError> {
    let session = read_all(request, input, passes);
    if let Ok(session) = &session
        && session.passed == 0
        && !request.filter.is_empty()
    {
        pf_printing::say(warnings::nothing_passes(session, &request.filter));
    }
    session
}

pub(crate) fn read_all(
    request: &Request,
    input: Input,
    passes: &mut [&mut dyn Pass],
) -> Result<Session, AnalyzeError> {
    let mut progress = Progress::new(input.size);
    let session = scan(input.reader, &request.filter, passes, &mut |bytes| {
        progress.tick(bytes);
    });
    progress.finish();
    let mut session = session?;
    session.caller = Caller::of(&request.trace);
    Ok(session)
}

/// Columns that do not fit a terminal are left out, the last first.
pub(crate) fn write_table(
    table: Table,
    session: &Session,
    request: &Request,
    output: &mut Output,
) -> Result<(), AnalyzeError> {
    let names = table.last_first();
    let remark = write_narrow(table, &names, session, request, output)?;
    say_remarks(remark, request, output)
}

/// A table for a narrow terminal leaves out columns of `names`, the first first, and says which.
pub(crate) fn write_narrow(
    mut table: Table,
    names: &[&str],
    session: &Session,
    request: &Request,
    output: &mut Output,
) -> Result<Option<String>, AnalyzeError> {
    let more = request.order.apply(&mut table).map_err(AnalyzeError::Usage)?;
    say_warnings(session, request.format, output)?;
    let width = output.room().table;
    let left_out = match width.filter(|_| request.format.is_text()) {
        Some(width) => {
            let mut left_out = render::text::narrow(&mut table, width, names);
            left_out.extend(render::text::keep_fitting(&mut table, width));
            left_out
        }
        None => Vec::new(),
    };
    render::table(&table, request.format, width, &mut output.out)?;
    let more = (more > 0).then(|| format!("... and {}", quantity(more as u64, "more row")));
    say_remarks(more, request, output)?;
    Ok(render::text::describe_left_out(&left_out))
}

/// Writes what a verb answers.
pub(crate) fn write_answer(
    answer: &dyn Answer,
    request: &Request,
    output: &mut Output,
) -> Result<(), AnalyzeError> {
    let room = output.room();
    render::answer(answer, request.format, room, &mut output.out)
}

/// Explains columns to people.
pub(crate) fn legend(text: &str, request: &Request) -> Option<String> {
    request.format.is_text().then(|| text.to_owned())
}

/// With the table for people, before it; for programs, on stderr.
pub(crate) fn say_warnings(
    session: &Session,
    format: Format,
    output: &mut Output,
) -> Result<(), AnalyzeError> {
    if !format.is_text() {
        warn(session);
        return Ok(());
    }
    for warning in warnings::warnings(session) {
        writeln!(output.out, "! {}", escape(&warning))?;
    }
    Ok(())
}

/// What to know of the numbers: with the table for people, after it; for programs, on stderr.
pub(crate) fn say_remarks(
    remarks: impl IntoIterator<Item = String>,
    request: &Request,
    output: &mut Output,
) -> Result<(), AnalyzeError> {
    if !request.format.is_text() {
        write_notes(remarks);
        return Ok(());
    }
    for remark in remarks {
        writeln!(output.out, "{}", escape(&remark))?;
    }
    Ok(())
}

pub(crate) fn write_notes(notes: impl IntoIterator<Item = String>) {
    for note in notes {
        pf_printing::say(format_args!("note: {note}"));
    }
}

pub(crate) fn warn(session: &Session) {
    for warning in warnings::warnings(session) {
        pf_printing::say(format_args!("warning: {warning}"));
    }
}
