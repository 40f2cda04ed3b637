//! The verb `timeline`: three looks at the trace, and what they found together.

pub mod bars;
pub mod intervals;
pub mod pass1;
pub mod pass2;
pub mod pass3;
pub mod stalls;
pub mod tables;
pub mod text;

use crate::engine::filter::Filter;
use crate::error::AnalyzeError;
use crate::integrity::scaling;
use crate::output::units::{duration, grouped, short_duration};
use crate::request::Request;
use crate::request::options::TimelineOptions;
use crate::trace::session::Session;
use crate::verbs::context::{self, Outcome, Trace, read, read_all, say_remarks, say_warnings, write_answer};
use crate::verbs::timeline::intervals::{Intervals, MOST, round_width_ns};
use crate::verbs::timeline::pass1::Pass1;
use crate::verbs::timeline::pass2::Sweep;
use crate::verbs::timeline::pass3::Insides;
use crate::verbs::timeline::text::{Found, TimelineAnswer};

/// Reads the trace three times and writes what was found.
///
/// # Errors
/// Input, output, or a question that the trace cannot answer.
pub fn run(request: &Request, options: TimelineOptions) -> anyhow::Result<Outcome> {
    context::answer(request, true, |request, trace, output| {
        let (found, session) = find(request, options, trace)?;
        say_warnings(&session, request.format, output)?;
        let answer = TimelineAnswer {
            found: &found,
            session: &session,
            filter: &request.filter,
            part: options.part,
        };
        write_answer(&answer, request, output)?;
        let note = answer.note().filter(|_| !request.format.is_text());
        let remarks = note.into_iter().chain(scaling::remark(&session));
        Ok(say_remarks(remarks, request, output)?)
    })
}

fn find(request: &Request, options: TimelineOptions, trace: &mut Trace) -> anyhow::Result<(Found, Session)> {
    let mut first = Pass1::default();
    let session = read(request, trace.input()?, &mut [&mut first])?;
    let mut sweep = sweep_after(first, &request.filter, options, &session)?;
    let session = read_all(request, trace.input()?, &mut [&mut sweep])?;
    let (mut found, insides) = found_by(sweep, options);
    let (begin_ns, end_ns) = request.filter.window_ns(&session);
    if request.filter.is_part() && begin_ns >= end_ns {
        // One interval of no length would say that there is something.
        found.intervals.clear();
    }
    if let Some(mut insides) = insides {
        read_all(request, trace.input()?, &mut [&mut insides])?;
        found.stalls = insides.finish();
    }
    Ok((found, session))
}

/// What the second pass is to do.
///
/// # Errors
/// More intervals than are kept.
pub fn sweep_after(
    first: Pass1,
    filter: &Filter,
    options: TimelineOptions,
    session: &Session,
) -> Result<Sweep, AnalyzeError> {
    let (begin_ns, end_ns) = filter.window_ns(session);
    let time_ns = end_ns - begin_ns;
    let width_ns = options.interval_ns.unwrap_or_else(|| round_width_ns(time_ns));
    let intervals = Intervals::new(begin_ns, end_ns, width_ns).ok_or_else(|| {
        let mut enough_ns = 1u64;
        while enough_ns < time_ns.div_ceil(MOST) {
            enough_ns = enough_ns.saturating_mul(10);
        }
        AnalyzeError::Unanswerable(format!(
            "intervals of {} are too short for {}: {} of them are the most, so give --interval {}, or --from and --to",
            duration(width_ns),
            duration(time_ns),
            grouped(MOST),
            short_duration(enough_ns)
        ))
    })?;
    Ok(Sweep::new(
        first,
        options.least,
        intervals,
        options.stalls,
        session,
    ))
}

/// What the second pass found, and what the third pass is to look at.
#[must_use]
pub fn found_by(mut sweep: Sweep, options: TimelineOptions) -> (Found, Option<Insides>) {
    sweep.finish();
    let width_ns = sweep.intervals.width_ns();
    let found = Found {
        width_ns,
        least: options.least,
        stalls: Vec::new(),
        stall_count: sweep.windows.count,
        stalled_ns: sweep.windows.length_ns,
        stall_wait_ns: sweep.windows.wait_ns,
        most_inside: sweep.most_inside,
        threads: sweep.threads(),
        has_other_threads: sweep.has_other_threads(),
        late: sweep.late,
        numbers_used_again: sweep.numbers_used_again,
        intervals: sweep.intervals.finish(),
    };
    let longest = sweep.windows.longest();
    let insides = (!longest.is_empty()).then(|| Insides::new(&longest));
    (found, insides)
}
