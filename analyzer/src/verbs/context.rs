//! One request from open to flush. It decides nothing about numbers; it wires input, queries and output together.

use crate::cli::{QueryOptions, Request, StackOptions, TimelineOptions, Verb};
use crate::engine::scan::{Query, scan};
use crate::error::AnalyzeError;
use crate::integrity::warnings;
use crate::output::progress::Progress;
use crate::output::sink::Output;
use crate::output::table::{Format, Table};
use crate::output::text::escape;
use crate::output::units::grouped;
use crate::trace::input::{self, Input, Source};
use crate::trace::name_pattern::Pattern;
use crate::trace::sampling;
use crate::trace::session::Session;
use crate::verbs::diff;
use crate::verbs::events::Events;
use crate::verbs::files::{self, Files};
use crate::verbs::heatmap::scale::{Spread, Weight};
use crate::verbs::heatmap::text::Style;
use crate::verbs::heatmap::{self, heatmap};
use crate::verbs::info::{self, shell_words};
use crate::verbs::memory::pass::Memory;
use crate::verbs::memory::text::Answer;
use crate::verbs::percentiles::{look_at_latencies, reads_again};
use crate::verbs::queries::pass::{LEGEND, NARROW, Queries};
use crate::verbs::queries::slowest::Singles;
use crate::verbs::queries::text as single_text;
use crate::verbs::regions::pass::{self, Regions};
use crate::verbs::repair;
use crate::verbs::report::{Layout, Report};
use crate::verbs::sql;
use crate::verbs::stacks::pass::{Base, Stacks, hidden_in_words};
use crate::verbs::threads::{self, Threads};
use crate::verbs::timeline::look_at_time;
use crate::verbs::timeline::text::{self, Found};
use crate::verbs::verify;
use crate::verbs::with_queries::{FirstLook, filter_of_faults, first_look, with_queries};
use std::io::Write;

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
    match &request.verb {
        Verb::Verify => verify::run(request),
        Verb::Repair => repair::run(request),
        Verb::Sql(options) => sql::run(request, options),
        Verb::Diff(options) => diff::run(request, options),
        _ => look(request).map(|()| Outcome::Done),
    }
}

/// The verbs that look at events.
fn look(request: &Request) -> anyhow::Result<()> {
    let reads_rows_first = !request.queries.is_empty() || matches!(request.verb, Verb::Queries(_));
    let again = match request.verb {
        Verb::Timeline(_) => true,
        Verb::Percentiles(options) => reads_rows_first || reads_again(options),
        _ => reads_rows_first,
    };
    let source = Source::open(&request.trace, again)?;
    let mut input = source.input()?;
    let mut output = Output::open(request, input.identity)?;
    output.suit(request.format);
    if let Verb::Heatmap(options) = request.verb {
        heatmap::check(options, &output)?;
    }
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
    } else if let Verb::Percentiles(options) = request.verb {
        let once = (!again).then_some(input);
        look_at_latencies(request, options, once, &source)?.write(request, &mut output)
    } else {
        if reads_rows_first {
            input = source.input()?;
        }
        answer(request, input, &mut output)
    };
    match done {
        Err(AnalyzeError::Format(error)) => Err(input::explain_format(
            &escape(&request.trace.display().to_string()),
            &error,
        )),
        done => output.finish(done),
    }
}

fn answer(request: &Request, input: Input, output: &mut Output) -> Result<(), AnalyzeError> {
    match request.verb {
        Verb::Report => {
            let mut report = Report::new(matches!(request.format, Format::Table | Format::Markdown));
            report.within(&request.filter);
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
                is_markdown: request.format == Format::Markdown,
            };
            match request.format {
                Format::Table | Format::Markdown => {
                    report.write_text(&session, &request.filter, &layout, &mut output.out)?;
                }
                Format::Csv | Format::Json => {
                    warn(&session);
                    let remarks = sampling::remark(&session).into_iter();
                    say_remarks(remarks.chain(report.remarks()), request, output)?;
                    report.write_json(&session, &request.filter, &mut output.out)?;
                }
            }
        }
        Verb::Threads => {
            let mut threads = Threads::default();
            let session = read(request, input, &mut [&mut threads])?;
            let for_width = write_narrow(
                threads.table(&session),
                &threads::NARROW,
                &session,
                request,
                output,
            )?;
            let failed = threads.classes().failed_in_words();
            say_remarks(
                sampling::remark(&session)
                    .into_iter()
                    .chain(failed)
                    .chain(for_width)
                    .chain(threads.remark()),
                request,
                output,
            )?;
        }
        Verb::Files => {
            let mut files = Files::default();
            let session = read(request, input, &mut [&mut files])?;
            let legend = legend(files::LEGEND, request);
            let for_width = write_narrow(files.table(&session), &files::NARROW, &session, request, output)?;
            let remarks = legend.into_iter().chain(for_width);
            let remarks = remarks.chain(sampling::remark(&session)).chain(files.remarks());
            say_remarks(remarks.chain(files.classes().failed_in_words()), request, output)?;
        }
        // They have looks of their own.
        Verb::Percentiles(_)
        | Verb::Queries(_)
        | Verb::Timeline(_)
        | Verb::Sql(_)
        | Verb::Diff(_)
        | Verb::Verify
        | Verb::Repair => {}
        Verb::Stacks(options) => stacks(request, options, input, output)?,
        Verb::Heatmap(options) => heatmap(request, options, input, output)?,
        Verb::Regions(ref asked) => {
            let wanted = request.filter.files.first().map_or("", Pattern::text);
            let mut parts = Regions::new(wanted, asked.source()?);
            let session = read(request, input, &mut [&mut parts])?;
            parts.file().map_or(Ok(()), |file| output.refuse(file))?;
            let for_width = write_narrow(parts.table(&session)?, &pass::NARROW, &session, request, output)?;
            let remarks = parts.remarks().into_iter().chain(for_width);
            say_remarks(remarks.chain(sampling::remark(&session)), request, output)?;
        }
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
            let (order, width) = (&request.order, output.width());
            answer.write(options.part, request.format, order, width, &mut output.out)?;
            let note = answer.note().filter(|_| request.format != Format::Table);
            let remarks = note.into_iter().chain(sampling::remark(&session));
            say_remarks(remarks.chain(memory.remark()), request, output)?;
        }
        Verb::Events => {
            let width = output.terminal.map(|_| output.width());
            let mut events = Events::new(request.format, &mut output.out).within(width);
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
    Ok(())
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
        write_notes(tree.remarks(options.weight));
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
    let answer = text::Answer {
        found,
        session,
        filter: &request.filter,
    };
    answer.write(options.part, request.format, output.width(), &mut output.out)?;
    let note = answer.note().filter(|_| request.format != Format::Table);
    say_remarks(note.into_iter().chain(sampling::remark(session)), request, output)?;
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
            let table = queries.table(&session, request.format);
            let for_width = write_narrow(table, &NARROW, &session, request, output)?;
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
            single_text::write(&singles, alone, &session, request.format, width, &mut output.out)?;
        }
    }
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
        let nothing = warnings::nothing_passes(session, &request.filter);
        let hint = format!("{nothing}; pfanalyze files {trace} lists what there is");
        pf_printing::say(hint);
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
    let more = request
        .order
        .apply(&mut table)
        .map_err(AnalyzeError::Unanswerable)?;
    say_warnings(session, request.format, output)?;
    let width = output.terminal.map(|_| output.width());
    let left_out = match (request.format, width) {
        (Format::Table, Some(width)) => table.narrow(width, names),
        _ => Vec::new(),
    };
    table.write(request.format, width, &mut output.out)?;
    let more = (more > 0).then(|| format!("... and {} more rows", grouped(more as u64)));
    say_remarks(more, request, output)?;
    Ok((!left_out.is_empty()).then(|| format!("a wider terminal also shows {}", left_out.join(", "))))
}

/// Explains columns to people.
fn legend(text: &str, request: &Request) -> Option<String> {
    (request.format == Format::Table).then(|| text.to_owned())
}

/// With the table for people, before it; for programs, on stderr.
pub(crate) fn say_warnings(
    session: &Session,
    format: Format,
    output: &mut Output,
) -> Result<(), AnalyzeError> {
    if format != Format::Table {
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
    if request.format != Format::Table {
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

fn warn(session: &Session) {
    for warning in warnings::warnings(session) {
        pf_printing::say(format_args!("warning: {warning}"));
    }
}
