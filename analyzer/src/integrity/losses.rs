//! What was lost, in words: first of all in every output, the worst interval first, with times from the start of the
//! recording.

use crate::output::units::quantity;
use crate::output::units::{fixed, grouped};
use crate::trace::loss_ledger::LostInterval;
use crate::trace::session::Session;
use pf_formats::LossReason;

/// Intervals told one by one.
const SHOWN: usize = 5;

/// Reasons that cost no fault but leave something else incomplete: what is missing, one and several, and what follows.
const INCOMPLETE: [(LossReason, [&str; 2], &str); 5] = [
    (
        LossReason::Sideband,
        [
            "record of mappings and threads",
            "records of mappings and threads",
        ],
        "names of threads and files may be wrong there",
    ),
    (
        LossReason::Exits,
        ["end of a thread", "ends of threads"],
        "lifetimes may be too long, and the check may not balance",
    ),
    (
        LossReason::Stack,
        ["stack", "stacks"],
        "those faults are recorded without one",
    ),
    (
        LossReason::Query,
        ["record of a query", "records of queries"],
        "those queries are in no table, or without their text",
    ),
    (
        LossReason::Later,
        ["thing other than a fault", "things other than faults"],
        "a newer pfanalyze knows what",
    ),
];

/// Losses, one line each; empty when nothing is missing.
#[must_use]
pub fn lines(session: &Session) -> Vec<String> {
    let faults = session.losses.intervals(LossReason::costs_events);
    let mut lines = told(
        session,
        &faults,
        ["fault", "faults"],
        "counts and waits are too low there",
    );
    for (reason, nouns, consequence) in INCOMPLETE {
        let intervals = session.losses.intervals(|each| each == reason);
        lines.extend(told(session, &intervals, nouns, consequence));
    }
    lines
}

/// The worst intervals, and how many more there are. The first line says what follows from all of them.
fn told(session: &Session, intervals: &[LostInterval], nouns: [&str; 2], consequence: &str) -> Vec<String> {
    let all = intervals
        .iter()
        .fold(0, |sum: u64, i| sum.saturating_add(i.count));
    let mut lines: Vec<String> = Vec::new();
    for (index, interval) in intervals.iter().take(SHOWN).enumerate() {
        let mut line = format!(
            "lost: {} {} ({})",
            counted(interval, nouns),
            between(session, interval),
            cause(interval),
        );
        if index == 0 {
            if intervals.len() > 1 {
                line.push_str(&format!(
                    ", of {} in {} intervals",
                    grouped(all),
                    grouped(intervals.len() as u64)
                ));
            }
            line.push_str(&format!("; {consequence}"));
        }
        lines.push(line);
    }
    let rest = intervals.get(SHOWN..).unwrap_or_default();
    if !rest.is_empty() {
        let count = rest.iter().fold(0, |sum: u64, i| sum.saturating_add(i.count));
        lines.push(format!(
            "lost: {} in {}: {}",
            number(count, nouns),
            quantity(rest.len() as u64, "more interval"),
            session.caller.command("info", &[]),
        ));
    }
    lines
}

/// What is worth knowing but lost nothing.
#[must_use]
pub fn notes(session: &Session) -> Vec<String> {
    let mut notes = Vec::new();
    let unfinished = session.losses.intervals(|each| each == LossReason::Unfinished);
    if !unfinished.is_empty() {
        let count = session.lost_to(LossReason::Unfinished);
        notes.push(format!(
            "{} began and did not complete (the kernel gave up, or the thread continued elsewhere), {}",
            quantity(count, "fault"),
            spread(session, &unfinished),
        ));
    }
    let skipped = session.losses.intervals(|each| each == LossReason::Recursion);
    if !skipped.is_empty() {
        notes.push(format!(
            "the kernel skipped {} (a preempted task was inside the probe), so some faults have no retries, and some failed \
             faults no row, {}",
            quantity(session.lost_to(LossReason::Recursion), "probe run"),
            spread(session, &skipped),
        ));
    }
    let count = session.lost_to(LossReason::InFlight);
    if count > 0 {
        notes.push(format!(
            "{} {} still open when the recording ended",
            quantity(count, "fault"),
            if count == 1 { "was" } else { "were" },
        ));
    }
    notes
}

/// A reason as a sentence without its end.
#[must_use]
pub fn describe_reason(reason: LossReason) -> &'static str {
    match reason {
        LossReason::Reserve => "the kernel's ring buffer was full: a larger pfrec --buffer-size helps",
        LossReason::Recursion => "the kernel skipped a probe that was already running on that CPU",
        LossReason::Unfinished => "a fault began and did not complete",
        LossReason::NoEntry => "only the end of a fault was seen",
        LossReason::Queue => "the recorder could not keep up, as with a slow disk",
        LossReason::Sideband => "records of mappings and threads came too fast, or there were too many",
        LossReason::State => "there was no room to remember open faults",
        LossReason::InFlight => "faults were still open when the recording ended",
        LossReason::Exits => "ends of threads were not recorded",
        LossReason::Stack => "stacks could not be recorded",
        LossReason::Query => "records of queries could not be recorded",
        LossReason::Damage => "the trace was damaged there, and repaired",
        LossReason::Later | LossReason::LaterEvents => "for a reason that only a newer pfanalyze knows",
    }
}

fn cause(interval: &LostInterval) -> String {
    let words = describe_reason(interval.reason);
    match interval.cpu {
        Some(cpu) => format!("{words}, on CPU {cpu}"),
        None => words.to_owned(),
    }
}

/// `between 0.10 s and 0.25 s`, fine enough to tell the two apart.
#[must_use]
pub fn between(session: &Session, interval: &LostInterval) -> String {
    span(
        session.since_start_ns(interval.from_ns),
        session.since_start_ns(interval.to_ns),
    )
}

/// The same for times since the start of the recording.
#[must_use]
pub fn span(from_ns: u64, to_ns: u64) -> String {
    let decimals = if to_ns.saturating_sub(from_ns) < 100_000_000 {
        6
    } else {
        2
    };
    let seconds = |ns| fixed(ns, 1_000_000_000, decimals);
    format!("between {} s and {} s", seconds(from_ns), seconds(to_ns))
}

/// Where several intervals lie.
fn spread(session: &Session, intervals: &[LostInterval]) -> String {
    match intervals {
        [] => String::new(),
        [one] => between(session, one),
        [worst, ..] => format!(
            "most of them, {}, {}",
            grouped(worst.count),
            between(session, worst)
        ),
    }
}

fn counted(interval: &LostInterval, nouns: [&str; 2]) -> String {
    match (interval.count, interval.is_at_least) {
        (0, true) => format!("an unknown number of {}", nouns[1]),
        (count, true) => format!("at least {}", number(count, nouns)),
        (count, false) => number(count, nouns),
    }
}

fn number(count: u64, [one, several]: [&str; 2]) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { several })
}
