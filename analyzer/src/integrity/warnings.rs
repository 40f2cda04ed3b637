//! What a reader must know before trusting any number: losses, damage, an unfinished recording, and how the counts
//! compare with the kernel's own. Every verb prints these first.

use crate::engine::filter::Filter;
use crate::integrity::losses;
use crate::output::text::escape;
use crate::output::units::grouped;
use crate::output::units::quantity;
use crate::trace::class::Class;
use crate::trace::session::Session;
use crate::trace::visibility::Failed;
use pf_formats::Check;
use std::cmp::Ordering;

/// Of a trace with an end record that does not claim a good end: repairing writes it where there was none.
pub(crate) const UNCLEAN: &str = "unfinished: the recording did not end as intended (the recorder was killed, or the end \
                                  was damaged), and the trace was repaired; the last events may be missing";

/// Warnings, one line each; empty for a clean trace.
#[must_use]
pub fn warnings(session: &Session) -> Vec<String> {
    let mut lines = alarms(session.totals.as_ref().and_then(|totals| totals.check.as_ref()));
    if !session.finished {
        let events = grouped(session.events);
        lines.push(format!(
            "unfinished: no valid end: the recorder was killed, is still writing, or the end is damaged; {events} events read"
        ));
    } else if session.clean == Some(false) {
        lines.push(UNCLEAN.to_owned());
    }
    lines.extend(losses::lines(session));
    if session.damage_count > 0 {
        let places = quantity(session.damage_count, "place");
        let mut line = match session.damaged_bytes {
            // Bytes that are all there, with values that cannot be.
            0 => format!("damaged: {places} with impossible values"),
            bytes => format!("damaged: {} in {places}", quantity(bytes, "unreadable byte")),
        };
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
    if session.behind_the_end > 0 {
        let events = quantity(session.behind_the_end, "event");
        lines.push(format!(
            "wrong: {events} behind the end record, where there should be none"
        ));
    }
    if session.lives_left_out > 0 {
        lines.push(format!(
            "too many threads: {} not kept, so lifetimes may be too long",
            match session.lives_left_out {
                1 => "1 begin or end was".to_owned(),
                count => format!("{} begins and ends were", grouped(count)),
            }
        ));
    }
    if session.impossible_breakdowns > 0 {
        lines.push(format!(
            "wrong: {} more time blocked and in the run queue than in all; left out of the breakdown",
            match session.impossible_breakdowns {
                1 => "1 fault has".to_owned(),
                count => format!("{} faults have", grouped(count)),
            }
        ));
    }
    lines
}

/// Events that the end record knows of and that are neither read nor known to be in a damaged place; or those that are
/// there and that it does not know of.
fn uncounted(session: &Session) -> String {
    let Some(written) = session.totals.as_ref().map(|totals| totals.events) else {
        return String::new();
    };
    let known = session.events.saturating_add(session.events_missing);
    let difference = quantity(written.abs_diff(known), "event");
    match written.cmp(&known) {
        Ordering::Equal => String::new(),
        Ordering::Less => format!(", the end record counts {difference} fewer than are there"),
        Ordering::Greater => format!(
            ", the end record counts {difference} more that {} not there",
            if written - known == 1 { "is" } else { "are" }
        ),
    }
}

/// What an answer without faults means, with the command that shows what there is: that none pass the filter and why, or that
/// the recording could not see such faults.
#[must_use]
pub(crate) fn nothing_passes(session: &Session, filter: &Filter) -> String {
    if session.events == 0 {
        return format!(
            "the trace has no faults at all; what was recorded: {}",
            session.caller.command("info", &[])
        );
    }
    let nothing = "no faults pass the filter";
    let unmet = filter.unmet(session);
    let command = session.caller.command(unmet.verb, &[]);
    match failed_alone(session, filter) {
        Some(words) if session.sight().failed() == Failed::Unseen => format!("{words}; others: {command}"),
        Some(words) => format!("{nothing}: {}; {words}: {command}", unmet.reason),
        None => format!("{nothing}: {}: {command}", unmet.reason),
    }
}

/// What to know of an answer about failed faults alone: which of them the recording could not see.
#[must_use]
pub(crate) fn failed_alone(session: &Session, filter: &Filter) -> Option<String> {
    (filter.class == Some(Class::Failed))
        .then(|| session.sight().describe_failed())
        .flatten()
}

/// The fault accounting against the kernel's counters, in one line.
#[must_use]
pub fn reconciliation(session: &Session) -> String {
    let Some(totals) = &session.totals else {
        return "not possible: the recording has no end record".to_owned();
    };
    let (Some(books), Some((kernel, ours))) = (&totals.accounting, totals.kernel_and_parts()) else {
        return "not possible: the recorder had no kernel counters to compare with".to_owned();
    };
    let check = totals.check.as_ref();
    let unexplained = check.map_or(0, |check| check.unexplained);
    let verdict = if kernel == ours {
        verdict(check, session)
    } else {
        let difference = u64::try_from(kernel.abs_diff(ours)).unwrap_or(u64::MAX);
        let direction = if ours < kernel {
            "unexplained"
        } else {
            "more accounted for than the kernel counted"
        };
        format!("{} {direction}", grouped(difference))
    };
    // The kernel counts no failed fault.
    let counted = session.events.saturating_sub(session.of_class(Class::Failed));
    let read = if books.recorded == counted {
        String::new()
    } else {
        format!(
            "; but {} {} read",
            quantity(counted, "event"),
            if counted == 1 { "was" } else { "were" }
        )
    };
    let filters = filters(session);
    let filtered = match (books.filtered, filters.is_empty()) {
        (0, true) => String::new(),
        (count, true) => format!(" + {} filtered", grouped(count)),
        (count, false) => format!(" + {} filtered ({})", grouped(count), escape(&listed(&filters))),
    };
    let unexplained = match unexplained {
        0 => String::new(),
        count => format!(" + {} UNEXPLAINED", grouped(count)),
    };
    let majors = match session.hidden_majors() {
        0 => String::new(),
        majors => format!(" ({} of them MAJOR)", grouped(majors)),
    };
    format!(
        "kernel counted {} = {} recorded + {} lost + {} hidden{majors}{filtered}{unexplained}: {verdict}{read}",
        quantity(u64::try_from(kernel).unwrap_or(u64::MAX), "fault"),
        grouped(books.recorded),
        grouped(books.lost),
        grouped(books.hidden),
    )
}

/// What the check of the counts says, where the sum is right: it is by construction, before 1.1 and without a check.
fn verdict(check: Option<&Check>, session: &Session) -> String {
    match check {
        Some(check) if check.is_alarming() => "NOT BALANCED".to_owned(),
        Some(Check {
            events: Some(_),
            uncertain: 0,
            ..
        }) => "balanced".to_owned(),
        Some(Check {
            events: Some(_),
            uncertain,
            ..
        }) => format!("balanced to within {}", grouped(*uncertain)),
        Some(Check { notes, .. }) if !notes.is_empty() => {
            format!("not checked ({})", escape(&notes.join("; ")))
        }
        _ if (session.header.major, session.header.minor) < (1, 1) => {
            "not checked (recorded before there was a check)".to_owned()
        }
        _ => "not checked (the trace does not say why)".to_owned(),
    }
}

/// What the check of the counts found wrong, the worst news of a trace; nothing where it found nothing.
#[must_use]
pub(crate) fn alarms(check: Option<&Check>) -> Vec<String> {
    let Some(check) = check.filter(|check| check.is_alarming()) else {
        return Vec::new();
    };
    let alarms = check
        .notes
        .iter()
        .filter(|note| note.starts_with("UNEXPLAINED") || note.starts_with("ALARM"));
    let told: Vec<String> = alarms.map(|note| escape(note)).collect();
    if told.is_empty() {
        vec![without_words(check)]
    } else {
        told
    }
}

/// The numbers of a trace whose notes say nothing of them.
fn without_words(check: &Check) -> String {
    let mut parts = Vec::new();
    if check.unexplained > 0 {
        parts.push(quantity(check.unexplained, "page fault"));
    }
    if check.ends_missing > 0 {
        parts.push(format!(
            "{} without an end",
            quantity(check.ends_missing, "thread")
        ));
    }
    if let Some((wait4, tasks)) = check.wait4.filter(|(wait4, tasks)| wait4 > tasks) {
        parts.push(format!(
            "{} by wait4(2) alone",
            quantity(wait4 - tasks, "page fault")
        ));
    }
    format!(
        "UNEXPLAINED: the end record has {} without an explanation",
        parts.join(", ")
    )
}

/// What the recorder was told to leave out, in its words; sampling is one of these even if it has no word for it.
#[must_use]
pub fn filters(session: &Session) -> Vec<String> {
    let words = session
        .meta
        .as_ref()
        .map_or_else(Vec::new, |meta| meta.filters.clone());
    let sampling = session.sampling();
    if sampling.is_sampled() && words.is_empty() {
        return vec![format!("--sample {}", sampling.factor())];
    }
    words
}

/// Filters in one line; their words may have commas.
#[must_use]
pub fn listed(filters: &[String]) -> String {
    filters.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_nothing_explains_are_told_with_and_without_words() {
        let mut check = Check {
            unexplained: 10,
            ..Check::default()
        };
        let told = alarms(Some(&check));
        assert_eq!(
            told,
            ["UNEXPLAINED: the end record has 10 page faults without an explanation"]
        );
        check.notes = vec!["checked: something".to_owned(), "UNEXPLAINED: 10".to_owned()];
        assert_eq!(alarms(Some(&check)), ["UNEXPLAINED: 10"]);
        check.unexplained = 0;
        assert!(alarms(Some(&check)).is_empty() && alarms(None).is_empty());
    }

    #[test]
    fn events_behind_the_end_record_are_named() {
        let mut session = Session::new(pf_formats::Header::new([7; 16], 0));
        let block = pf_formats::BlockInfo {
            events: 3,
            ..Default::default()
        };
        session.see_block(&block);
        session.finished = true;
        session.see_footer(pf_formats::Footer {
            clean: true,
            totals: pf_formats::Totals {
                events: 6,
                ..Default::default()
            },
            ..Default::default()
        });
        session.see_block(&block);
        assert_eq!(
            warnings(&session),
            ["wrong: 3 events behind the end record, where there should be none"]
        );
    }
}
