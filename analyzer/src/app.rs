//! One request from open to flush. It decides nothing about numbers; it wires input, queries and output together.

use crate::ask_queries::{FirstLook, filter_of_faults, first_look, with_queries};
use crate::ask_timeline::look_at_time;
use crate::cli::{HeatOptions, QueryOptions, Request, StackOptions, TimelineOptions, Verb};
use crate::error::AnalyzeError;
use crate::heat::collect::{Extent, Heat};
use crate::heat::draw::{MARGIN_COLUMNS, Style};
use crate::heat::scale::{Spread, Weight};
use crate::histogram::precision;
use crate::input::{self, Input, Source};
use crate::notice;
use crate::output::Output;
use crate::progress::Progress;
use crate::query::events::Events;
use crate::query::files::Files;
use crate::query::info::{self, shell_words};
use crate::query::memory::Memory;
use crate::query::memory_words::Answer;
use crate::query::percentiles::Percentiles;
use crate::query::queries::{LEGEND, NARROW, Queries};
use crate::query::single::Singles;
use crate::query::single_words;
use crate::query::stacks::{Base, Stacks, hidden_in_words};
use crate::query::threads::Threads;
use crate::query::timeline_words::{self, Found};
use crate::repair;
use crate::report::{Layout, Report};
use crate::sampling;
use crate::scan::{Query, scan};
use crate::session::Session;
use crate::table::{Format, Table};
use crate::verify;
use std::io::Write;

/// Rows of a heatmap without a terminal.
const PLAIN_ROWS: usize = 24;
/// Rows and columns of heatmap data when none are given.
const DATA_SIZE: (usize, usize) = (64, 128);

/// How a request that was done ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to add.
    Done,
    /// The trace was checked, and has losses or damage.
    Incomplete,
}

/// Does what was asked.
///
/// # Errors
/// Input, output, or a question that the trace cannot answer.
pub fn run(request: &Request) -> anyhow::Result<Outcome> {
    match request.verb {
        Verb::Verify => verify::run(request),
        Verb::Repair => repair::run(request),
        _ => look(request).map(|()| Outcome::Done),
    }
}

/// The verbs that look at events.
fn look(request: &Request) -> anyhow::Result<()> {
    let reads_rows_first = !request.queries.is_empty() || matches!(request.verb, Verb::Queries(_));
    let reads_again = reads_rows_first || matches!(request.verb, Verb::Timeline(_));
    let source = Source::open(&request.trace, reads_again)?;
    let mut input = source.input()?;
    let mut output = Output::open(request.output.as_deref(), input.identity)?;
    let request = &Request {
        filter: with_queries(request, &source)?,
        ..request.clone()
    };
    let done = if let Verb::Queries(options) = request.verb {
        let look = first_look(&request.filter, options, &source)?;
        queries(request, options, look, source.input()?, &mut output)
    } else if let Verb::Timeline(options) = request.verb {
        let (found, session) = look_at_time(request, options, &source)?;
        timeline(request, options, &found, &session, &mut output)
    } else {
        if reads_rows_first {
            input = source.input()?;
        }
        answer(request, input, &mut output)
    };
    match done {
        Err(error) if error.is_broken_pipe() => Ok(()),
        Err(AnalyzeError::Format(error)) => Err(input::explain_format(
            &crate::text::escape(&request.trace.display().to_string()),
            &error,
        )),
        other => Ok(other?),
    }
}

fn answer(request: &Request, input: Input, output: &mut Output) -> Result<(), AnalyzeError> {
    match request.verb {
        Verb::Report => {
            let mut report = Report::default();
            let session = read(request, input, &mut report.queries())?;
            let style = Style {
                weight: Weight::Wait,
                spread: Spread::Log,
                colour: output.colour,
            };
            let layout = Layout {
                width: output.width(),
                style,
                trace: request.trace.display().to_string(),
                filters: request.filters.clone(),
            };
            match request.format {
                Format::Table => report.write_text(&session, &request.filter, &layout, &mut output.out)?,
                Format::Csv | Format::Json => {
                    warn(&session);
                    say_remarks(sampling::remark(&session), request, output)?;
                    report.write_json(&session, &request.filter, &mut output.out)?;
                }
            }
        }
        Verb::Threads => {
            let mut threads = Threads::default();
            let session = read(request, input, &mut [&mut threads])?;
            write_table(&threads.table(&session), &session, request, output)?;
            let failed = threads.classes().failed_in_words();
            say_remarks(
                sampling::remark(&session).into_iter().chain(failed),
                request,
                output,
            )?;
        }
        Verb::Files => {
            let mut files = Files::default();
            let session = read(request, input, &mut [&mut files])?;
            write_table(&files.table(&session), &session, request, output)?;
            let failed = files.classes().failed_in_words();
            say_remarks(
                sampling::remark(&session).into_iter().chain(failed),
                request,
                output,
            )?;
        }
        Verb::Percentiles(by) => {
            let mut percentiles = Percentiles::new(by);
            let session = read(request, input, &mut [&mut percentiles])?;
            write_table(&percentiles.table(&session), &session, request, output)?;
            if request.format == Format::Table {
                writeln!(output.out, "{}", precision(session.sampling()))?;
            }
            say_remarks(sampling::remark(&session), request, output)?;
        }
        // These have several looks at the trace, or none at events.
        Verb::Queries(_) | Verb::Timeline(_) | Verb::Verify | Verb::Repair => {}
        Verb::Stacks(options) => stacks(request, options, input, output)?,
        Verb::Heatmap(options) => heatmap(request, options, input, output)?,
        Verb::Memory(options) => {
            let mut memory = Memory::default();
            let session = read(request, input, &mut [&mut memory])?;
            say_warnings(&session, request.format, output)?;
            let answer = Answer {
                memory: &memory,
                session: &session,
                filter: &request.filter,
                memory_bytes: options.memory_bytes,
            };
            answer.write(options.part, request.format, output.width(), &mut output.out)?;
            let note = answer.note().filter(|_| request.format != Format::Table);
            say_remarks(
                note.into_iter().chain(sampling::remark(&session)),
                request,
                output,
            )?;
        }
        Verb::Events => {
            let mut events = Events::new(request.format, &mut output.out);
            let session = read(request, input, &mut [&mut events])?;
            events.finish(&session)?;
            // Known only now that the events are out.
            warn(&session);
        }
        Verb::Info => {
            let session = read(request, input, &mut [])?;
            say_warnings(&session, request.format, output)?;
            info::write(&session, request.format, &mut output.out)?;
        }
    }
    output.out.flush()?;
    Ok(())
}

fn heatmap(
    request: &Request,
    options: HeatOptions,
    input: Input,
    output: &mut Output,
) -> Result<(), AnalyzeError> {
    let by_file = !request.filter.files.is_empty();
    let mut heat = if by_file {
        Heat::by_file()
    } else {
        Heat::by_address(options.range)
    };
    let session = read(request, input, &mut [&mut heat])?;
    heat.settle();
    say_warnings(&session, request.format, output)?;
    if request.format != Format::Table {
        let size = (
            options.rows.unwrap_or(DATA_SIZE.0),
            options.columns.unwrap_or(DATA_SIZE.1),
        );
        let table = heat.table(&session, &request.filter, size, options.weight);
        table.write(request.format, None, &mut output.out)?;
        return say_remarks(sampling::remark(&session), request, output);
    }
    let fitting_rows = output
        .height()
        .map_or(PLAIN_ROWS, |height| height.saturating_sub(8).clamp(8, 40));
    let fitting_columns = output.width().saturating_sub(MARGIN_COLUMNS).max(10);
    let extent = Extent {
        size: (
            options.rows.unwrap_or(fitting_rows),
            options.columns.unwrap_or(fitting_columns),
        ),
        regions: options.regions,
    };
    let style = Style {
        weight: options.weight,
        spread: options.spread,
        colour: output.colour,
    };
    heat.write_text(&session, &request.filter, extent, style, &mut output.out)?;
    say_remarks(sampling::remark(&session), request, output)
}

fn stacks(
    request: &Request,
    options: StackOptions,
    input: Input,
    output: &mut Output,
) -> Result<(), AnalyzeError> {
    let mut stacks = Stacks::default();
    let session = read(request, input, &mut [&mut stacks])?;
    if options.folded {
        let tree = stacks.finish(&session, Base::Thread)?;
        warn(&session);
        for remark in tree.remarks(options.weight) {
            // Nothing can be done about a closed stderr.
            let _ = writeln!(std::io::stderr(), "note: {remark}");
        }
        return tree.write_folded(options.weight, &mut output.out);
    }
    let tree = stacks.finish(&session, Base::Function)?;
    let limits = options.limits;
    let shown = tree.shown(options.weight, limits);
    say_warnings(&session, request.format, output)?;
    if request.format == Format::Table {
        let width = output.terminal.map(|_| output.width());
        tree.write_text(&shown, options.weight, width, &mut output.out)?;
    } else {
        tree.table(&shown).write(request.format, None, &mut output.out)?;
    }
    let remarks = hidden_in_words(&shown, limits)
        .into_iter()
        .chain(tree.remarks(options.weight))
        .chain(sampling::remark(&session));
    say_remarks(remarks, request, output)
}

fn timeline(
    request: &Request,
    options: TimelineOptions,
    found: &Found,
    session: &Session,
    output: &mut Output,
) -> Result<(), AnalyzeError> {
    say_warnings(session, request.format, output)?;
    let answer = timeline_words::Answer {
        found,
        session,
        filter: &request.filter,
    };
    answer.write(options.part, request.format, output.width(), &mut output.out)?;
    let note = answer.note().filter(|_| request.format != Format::Table);
    say_remarks(note.into_iter().chain(sampling::remark(session)), request, output)?;
    output.out.flush()?;
    Ok(())
}

fn queries(
    request: &Request,
    options: QueryOptions,
    look: FirstLook,
    input: Input,
    output: &mut Output,
) -> Result<(), AnalyzeError> {
    let request = &Request {
        filter: filter_of_faults(&request.filter),
        ..request.clone()
    };
    match look {
        FirstLook::Names(rows) => {
            let mut queries = Queries::new(rows);
            let session = read_all(request, input, &mut [&mut queries])?;
            let mut table = queries.table(&session, request.format);
            let width = output.terminal.map_or(usize::MAX, |_| output.width());
            let left_out = match request.format {
                Format::Table => table.narrow(width, &NARROW),
                Format::Csv | Format::Json => Vec::new(),
            };
            write_table(&table, &session, request, output)?;
            let for_width = (!left_out.is_empty())
                .then(|| format!("a wider terminal also shows {}", left_out.join(", ")));
            let remarks = std::iter::once(LEGEND.to_owned())
                .chain(for_width)
                .chain(queries.remarks())
                .chain(sampling::remark(&session));
            say_remarks(remarks, request, output)?;
        }
        FirstLook::Singles(chosen) => {
            let mut singles = Singles::new(chosen);
            let session = read_all(request, input, &mut [&mut singles])?;
            say_warnings(&session, request.format, output)?;
            let width = output.terminal.map(|_| output.width());
            let alone = matches!(options, QueryOptions::Id(_));
            let singles = singles.finish();
            single_words::write(&singles, alone, &session, request.format, width, &mut output.out)?;
        }
    }
    output.out.flush()?;
    Ok(())
}

pub(crate) fn read(
    request: &Request,
    input: Input,
    queries: &mut [&mut dyn Query],
) -> Result<Session, AnalyzeError> {
    let session = read_all(request, input, queries);
    if let Ok(session) = &session
        && session.passed == 0
        && !request.filter.is_empty()
    {
        let trace = shell_words(&[request.trace.display().to_string()]);
        let hint = format!("no faults pass the filter; pfanalyze files {trace} lists what there is");
        // Nothing can be done about a closed stderr.
        let _ = writeln!(std::io::stderr(), "{}", crate::text::escape(&hint));
    }
    session
}

pub(crate) fn read_all(
    request: &Request,
    input: Input,
    queries: &mut [&mut dyn Query],
) -> Result<Session, AnalyzeError> {
    let mut progress = Progress::new(input.size);
    let session = scan(input.reader, &request.filter, queries, &mut |bytes| {
        progress.tick(bytes);
    });
    progress.finish();
    session
}

fn write_table(
    table: &Table,
    session: &Session,
    request: &Request,
    output: &mut Output,
) -> Result<(), AnalyzeError> {
    say_warnings(session, request.format, output)?;
    let width = output.terminal.map(|_| output.width());
    table.write(request.format, width, &mut output.out)
}

/// With the table for people, before it; for programs, on stderr.
fn say_warnings(session: &Session, format: Format, output: &mut Output) -> Result<(), AnalyzeError> {
    if format != Format::Table {
        warn(session);
        return Ok(());
    }
    for warning in notice::warnings(session) {
        writeln!(output.out, "! {warning}")?;
    }
    Ok(())
}

/// What to know of the numbers: with the table for people, after it; for programs, on stderr.
fn say_remarks(
    remarks: impl IntoIterator<Item = String>,
    request: &Request,
    output: &mut Output,
) -> Result<(), AnalyzeError> {
    for remark in remarks {
        if request.format == Format::Table {
            writeln!(output.out, "{remark}")?;
        } else {
            // Nothing can be done about a closed stderr.
            let _ = writeln!(std::io::stderr(), "note: {remark}");
        }
    }
    Ok(())
}

fn warn(session: &Session) {
    for warning in notice::warnings(session) {
        // Nothing can be done about a closed stderr.
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
}
