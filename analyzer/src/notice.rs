//! What a reader must know before trusting any number: losses, damage, an unfinished recording, and how the counts
//! compare with the kernel's own. Every verb prints these first.

use crate::session::Session;
use crate::text::escape;
use crate::units::grouped;

/// Warnings, one line each; empty for a clean trace.
#[must_use]
pub fn warnings(session: &Session) -> Vec<String> {
    let mut lines = Vec::new();
    if !session.finished {
        let events = grouped(session.events);
        lines.push(format!(
            "unfinished: the recorder was killed or is still writing; {events} events read"
        ));
    } else if session.clean == Some(false) {
        lines.push("unfinished: the recorder closed the file early after an error".to_owned());
    }
    if session.events_lost() > 0 {
        let reasons: Vec<String> = session
            .losses
            .iter()
            .filter(|loss| loss.reason.costs_events())
            .map(|loss| format!("{} {}", loss.reason.name(), grouped(loss.count)))
            .collect();
        let lost = grouped(session.events_lost());
        lines.push(format!(
            "lost: {lost} faults were not recorded ({}); counts are too low",
            reasons.join(", ")
        ));
    }
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
        if let Some(first) = session.damages.first() {
            line.push_str(&format!(
                "; first at byte {}: {}",
                first.offset,
                escape(&first.reason)
            ));
        }
        lines.push(line);
    }
    lines
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
