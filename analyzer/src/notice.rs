//! What a reader must know before trusting any number: losses, damage, an unfinished recording, and how the counts
//! compare with the kernel's own. Every verb prints these first.

use crate::session::Session;
use crate::text::escape;
use crate::units::{fixed, grouped};
use pf_formats::LossReason;

/// Warnings, one line each; empty for a clean trace.
#[must_use]
pub fn warnings(session: &Session) -> Vec<String> {
    let mut lines = Vec::new();
    if !session.finished {
        let events = grouped(session.events);
        lines.push(format!(
            "unfinished: no valid end: the recorder was killed, is still writing, or the end is damaged; {events} events read"
        ));
    } else if session.clean == Some(false) {
        lines.push("unfinished: the recorder closed the file early after an error".to_owned());
    }
    lines.extend(losses(session));
    if session.damage_count > 0 {
        let mut line = format!(
            "damaged: {} in {} place{}",
            quantity(session.damaged_bytes, "unreadable byte"),
            grouped(session.damage_count),
            if session.damage_count == 1 { "" } else { "s" }
        );
        if session.events_missing > 0 {
            line.push_str(&format!(
                ", {} missing",
                quantity(session.events_missing, "event")
            ));
        }
        line.push_str(&uncounted(session));
        if let Some(first) = session.damages.first() {
            line.push_str(&format!(
                "; first at byte {}: {}",
                first.offset,
                escape(&first.reason)
            ));
        }
        lines.push(line);
    } else {
        let uncounted = uncounted(session);
        if !uncounted.is_empty() {
            lines.push(format!("damaged{uncounted}").replacen("damaged, ", "damaged: ", 1));
        }
    }
    lines
}

/// Events that the end record knows of and that are neither read nor known to be in a damaged place.
fn uncounted(session: &Session) -> String {
    let written = session.totals.as_ref().map_or(0, |totals| totals.events);
    let known = session.events.saturating_add(session.events_missing);
    match written.saturating_sub(known) {
        0 => String::new(),
        difference => format!(
            ", the end record counts {} more that {} not there",
            quantity(difference, "event"),
            if difference == 1 { "is" } else { "are" }
        ),
    }
}

/// What was lost, when, and why.
fn losses(session: &Session) -> Option<String> {
    let costly = || {
        session
            .losses
            .iter()
            .filter(|loss| loss.reason.costs_events() && loss.count > 0)
    };
    let from_ns = costly().map(|loss| loss.from_ns).min()?;
    let to_ns = costly().map(|loss| loss.to_ns).max()?;
    let reasons: Vec<String> = costly()
        .map(|loss| format!("{}: {}", reason_in_words(loss.reason), grouped(loss.count)))
        .collect();
    let (from_ns, to_ns) = (session.since_start_ns(from_ns), session.since_start_ns(to_ns));
    let decimals = if to_ns.saturating_sub(from_ns) < 100_000_000 {
        6
    } else {
        2
    };
    let seconds = |ns| format!("{} s", fixed(ns, 1_000_000_000, decimals));
    Some(format!(
        "lost: {} between {} and {} ({}); counts and waits are too low there",
        quantity(session.events_lost(), "fault"),
        seconds(from_ns),
        seconds(to_ns),
        reasons.join(", "),
    ))
}

/// What is worth knowing but cost no event.
#[must_use]
pub fn notes(session: &Session) -> Vec<String> {
    let uncostly = session
        .losses
        .iter()
        .filter(|loss| !loss.reason.costs_events() && loss.count > 0);
    uncostly
        .map(|loss| {
            let one = loss.count == 1;
            match loss.reason {
                LossReason::Unfinished => format!(
                    "{} began and did not complete ({}, or {} restarted)",
                    quantity(loss.count, "fault"),
                    if one {
                        "its thread was ended"
                    } else {
                        "their threads were ended"
                    },
                    if one { "it was" } else { "they were" },
                ),
                LossReason::InFlight => format!(
                    "{} {} still open when the recording ended",
                    quantity(loss.count, "fault"),
                    if one { "was" } else { "were" },
                ),
                other => format!(
                    "{}: {} (no faults missing through it)",
                    reason_in_words(other),
                    grouped(loss.count)
                ),
            }
        })
        .collect()
}

/// A reason as a sentence without its end.
#[must_use]
pub fn reason_in_words(reason: LossReason) -> &'static str {
    match reason {
        LossReason::Reserve => "the kernel's ring buffer was full",
        LossReason::Recursion => "the kernel skipped a probe that would have interrupted itself",
        LossReason::Unfinished => "a fault began and did not complete",
        LossReason::NoEntry => "only the end of a fault was seen",
        LossReason::Queue => "the recorder's own queue was full",
        LossReason::Sideband => "records of mappings and threads were lost, names may be wrong",
        LossReason::State => "there was no room to remember open faults",
        LossReason::InFlight => "faults were still open when the recording ended",
        LossReason::Exits => "ends of threads were not seen",
        LossReason::Stack => "stacks could not be passed on",
    }
}

fn quantity(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// The recorder's books against the kernel's counters, in one line.
#[must_use]
pub fn reconciliation(session: &Session) -> String {
    let Some(totals) = &session.totals else {
        return "not possible: the recording has no end record".to_owned();
    };
    let Some(books) = &totals.accounting else {
        return "not possible: the recorder had no kernel counters to compare with".to_owned();
    };
    let kernel = u128::from(books.kernel_majors) + u128::from(books.kernel_minors);
    let ours = u128::from(books.recorded) + u128::from(books.lost) + u128::from(books.hidden);
    let verdict = if kernel == ours {
        "exact".to_owned()
    } else {
        let difference = u64::try_from(kernel.abs_diff(ours)).unwrap_or(u64::MAX);
        let direction = if ours < kernel { "unexplained" } else { "too many" };
        format!("{} {direction}", grouped(difference))
    };
    let read = if books.recorded == session.events {
        String::new()
    } else {
        format!("; but {} events were read", grouped(session.events))
    };
    format!(
        "kernel counted {} faults = {} recorded + {} lost + {} hidden: {verdict}{read}",
        grouped(u64::try_from(kernel).unwrap_or(u64::MAX)),
        grouped(books.recorded),
        grouped(books.lost),
        grouped(books.hidden),
    )
}
