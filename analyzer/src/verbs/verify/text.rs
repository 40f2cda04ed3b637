//! The findings about a whole trace in words and as JSON. It reads no trace.

use crate::integrity::losses::{describe_reason, span};
use crate::integrity::warnings::{UNCLEAN, alarms};
use crate::output::text::escape;
use crate::output::units::quantity;
use crate::output::units::{bytes, fixed, grouped};
use pf_formats::{Check, LossReason, Place, Undefined, Verification};
use serde_json::{Value, json};

/// Damaged places told one by one.
const SHOWN: usize = 20;

/// Whether the trace has everything that was recorded, and everything was.
#[must_use]
pub fn is_whole(found: &Verification) -> bool {
    let is_there = found.is_undamaged() && found.clean == Some(true) && found.undefined.is_none();
    let is_there = is_there && found.counts.impossible == 0;
    is_there && losses(found).is_empty() && !check(found).is_some_and(Check::is_alarming)
}

fn check(found: &Verification) -> Option<&Check> {
    found.totals.as_ref()?.check.as_ref()
}

/// One line for a whole trace; else a summary first, then each finding.
#[must_use]
pub fn lines(found: &Verification) -> Vec<String> {
    let counts = &found.counts;
    let there = format!(
        "{} in {}",
        quantity(counts.events, "event"),
        quantity(counts.blocks, "block")
    );
    if is_whole(found) {
        return vec![format!("whole: {there}, nothing lost")];
    }
    let mut lines = Vec::new();
    if found.damage.count > 0 || found.damage.elsewhere.is_some() {
        lines.push(damaged(found, &there));
    } else if found.is_undamaged() && found.clean == Some(false) {
        lines.push(format!(
            "undamaged: {there}; but not all may be in them that was recorded"
        ));
    } else if !found.is_undamaged() || found.clean != Some(true) {
        lines.push(format!("not whole: {there}; nothing in them is damaged"));
    } else {
        lines.push(format!("undamaged: {there}; but not everything is in them"));
    }
    lines.extend(alarms(check(found)));
    lines.extend(endings(found));
    lines.extend(places(found));
    lines.extend(found.contradictions.iter().map(|claim| {
        format!(
            "wrong: {}: {} by {}, {} by what is there",
            claim.what,
            grouped(claim.said),
            claim.by.name(),
            grouped(claim.found)
        )
    }));
    if counts.impossible > 0 {
        lines.push(format!(
            "wrong: {} with more time blocked and in the run queue than in all",
            quantity(counts.impossible, "event")
        ));
    }
    lines.extend(names(found));
    lines.extend(losses(found).into_iter().map(|(reason, count)| {
        let is_unknown = reason == LossReason::Damage && found.lost_unknown > 0;
        let number = match (count, is_unknown) {
            (0, _) => "an unknown number".to_owned(),
            (count, true) => format!("at least {}", grouped(count)),
            (count, false) => grouped(count),
        };
        format!("lost: {number} ({})", describe_reason(reason))
    }));
    lines
}

fn damaged(found: &Verification, there: &str) -> String {
    let damage = &found.damage;
    let gone = damage.events_missing();
    let unknown = !damage.is_exact();
    let events = match (gone, unknown) {
        (0, false) => "no event is gone".to_owned(),
        (0, true) => "events may be gone, how many is not known".to_owned(),
        (1, _) => format!("{}1 event is gone", if unknown { "at least " } else { "" }),
        (_, false) => format!("{} events are gone", grouped(gone)),
        (_, true) => format!("at least {} events are gone", grouped(gone)),
    };
    let places = quantity(damage.count, "place");
    let what = match damage.bytes {
        // Bytes that are all there, with values that cannot be.
        0 => format!("{places} with impossible values"),
        size => format!("{} unreadable in {places}", bytes(size)),
    };
    format!("damaged: {what}; {events}, {there} are there")
}

/// How the trace begins and ends, where that is not as it should be.
fn endings(found: &Verification) -> Vec<String> {
    let mut lines = Vec::new();
    if !found.has_meta {
        lines.push("lost: the record of the recording: host, command, options, page size".to_owned());
    }
    match (found.finished, found.clean) {
        (true, Some(false)) => lines.push(UNCLEAN.to_owned()),
        (true, _) => {}
        (false, Some(_)) => lines.push("unfinished: the last bytes are missing or damaged; no event is in them".to_owned()),
        (false, None) => lines.push(
            "unfinished: there is no end record: the recorder was killed, is still writing, or the end was cut off"
                .to_owned(),
        ),
    }
    lines
}

fn places(found: &Verification) -> Vec<String> {
    let damage = &found.damage;
    let mut lines: Vec<String> = damage
        .first
        .iter()
        .take(SHOWN)
        .map(|place| {
            let size = match place.bytes {
                0 => String::new(),
                size => format!("{}, ", bytes(size)),
            };
            let records = match place.records_missing {
                0 | 1 => String::new(),
                count => format!(" ({} records)", grouped(count)),
            };
            format!(
                "at byte {}: {size}{}{records}: {}",
                grouped(place.offset),
                escape(&place.reason),
                cost(place, found)
            )
        })
        .collect();
    let more = damage.count.saturating_sub(lines.len() as u64);
    if more > 0 {
        lines.push(format!(
            "and {} (--format json has the first thousand)",
            quantity(more, "more place")
        ));
    }
    if let Some(place) = &damage.elsewhere {
        lines.push(format!(
            "in unknown places: {}, which the end record counts",
            cost(place, found)
        ));
    }
    lines
}

/// `65,536 events gone, between 1.20 s and 2.20 s`.
fn cost(place: &Place, found: &Verification) -> String {
    let events = match (place.events_missing, place.is_exact) {
        (0, true) if place.records_missing == 0 => return "nothing of the trace is gone".to_owned(),
        (0, true) => return "no event is gone".to_owned(),
        (0, false) => "events may be gone, how many is not known".to_owned(),
        (count, true) => format!("{} gone", quantity(count, "event")),
        (count, false) => format!("at least {} gone", quantity(count, "event")),
    };
    let start_ns = found.start_ns.unwrap_or(0);
    let since = |ns: u64| ns.saturating_sub(start_ns);
    match (place.from_ns.or(found.start_ns), place.to_ns) {
        (Some(from_ns), Some(to_ns)) => format!("{events}, {}", span(since(from_ns), since(to_ns))),
        _ => events,
    }
}

fn names(found: &Verification) -> Vec<String> {
    let tables = [
        ("thread name", &found.undefined.comms),
        ("file or mapping", &found.undefined.objects),
        ("stack", &found.undefined.stacks),
    ];
    let told = tables.into_iter().filter(|(_, undefined)| undefined.events > 0);
    let told = told.map(|(what, undefined)| {
        let refer = if undefined.events == 1 { "refers" } else { "refer" };
        format!(
            "lost: {} {refer} to a {what} that is not there before them ({}); it prints as unknown#id",
            quantity(undefined.events, "event"),
            quantity(undefined.ids, "id"),
        )
    });
    let parts = [
        ("stacks refer to", "frame", found.undefined.frames),
        (
            "frames of stacks refer to",
            "file or mapping",
            found.undefined.frame_objects,
        ),
    ];
    let parts = parts.into_iter().filter(|(_, _, ids)| *ids > 0);
    let parts = parts.map(|(who, what, ids)| {
        let ids = quantity(ids, "id");
        format!("lost: {who} a {what} that is nowhere in the trace ({ids}); it prints as unknown#id")
    });
    told.chain(parts).collect()
}

/// What LOSS records say is missing; faults that did not complete, or were open at the end, are not.
fn losses(found: &Verification) -> Vec<(LossReason, u64)> {
    let is_loss = |reason: LossReason| {
        !matches!(
            reason,
            LossReason::Recursion | LossReason::Unfinished | LossReason::InFlight
        )
    };
    let lost = found.lost.iter().map(|(reason, count)| (*reason, *count));
    lost.filter(|&(reason, count)| {
        is_loss(reason) && (count > 0 || reason == LossReason::Damage && found.lost_unknown > 0)
    })
    .collect()
}

/// Everything for programs.
#[must_use]
pub fn json(found: &Verification) -> Value {
    let counts = &found.counts;
    let lost: serde_json::Map<String, Value> = found
        .lost
        .iter()
        .map(|(reason, count)| (reason.name().to_owned(), Value::from(*count)))
        .collect();
    let contradictions: Vec<Value> = found
        .contradictions
        .iter()
        .map(|claim| json!({"what": claim.what, "by": claim.by.name(), "said": claim.said, "found": claim.found}))
        .collect();
    let undefined = |table: &Undefined| json!({"ids": table.ids, "events": table.events});
    let damage = &found.damage;
    let place = |place: &Place| place_json(place, found.start_ns.unwrap_or(0));
    json!({
        "whole": is_whole(found),
        "undamaged": found.is_undamaged(),
        "finished": found.finished,
        "clean": found.clean,
        "has_meta": found.has_meta,
        "format": format!("{}.{}", found.header.major, found.header.minor),
        "bytes": found.bytes,
        "events": counts.events,
        "blocks": counts.blocks,
        "major": counts.majors,
        "minor": counts.minors,
        "failed": counts.failed,
        "queries": counts.queries,
        "damaged_places": damage.count,
        "damaged_bytes": damage.bytes,
        "records_missing": damage.records_missing,
        "events_missing": damage.events_missing(),
        "events_missing_exact": damage.is_exact(),
        "damage": damage.all().map(place).collect::<Vec<Value>>(),
        "contradictions": contradictions,
        "unexplained": check(found).map(|check| check.unexplained),
        "ends_missing": check(found).map(|check| check.ends_missing),
        "undefined": {
            "comms": undefined(&found.undefined.comms),
            "objects": undefined(&found.undefined.objects),
            "stacks": undefined(&found.undefined.stacks),
            "frames": found.undefined.frames,
            "frame_objects": found.undefined.frame_objects,
        },
        "lost": found.events_lost(),
        "lost_by_reason": lost,
        "lost_unknown_intervals": found.lost_unknown,
    })
}

fn place_json(place: &Place, start_ns: u64) -> Value {
    // Exact decimals: an f64 does not hold nanoseconds of a long recording.
    let seconds = |ns: Option<u64>| {
        let text = ns.map(|ns| fixed(ns.saturating_sub(start_ns), 1_000_000_000, 9));
        text.and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or(Value::Null)
    };
    json!({
        "offset": place.offset,
        "bytes": place.bytes,
        "reason": place.reason,
        "records_missing": place.records_missing,
        "events_missing": place.events_missing,
        "exact": place.is_exact,
        "from_s": seconds(place.from_ns),
        "to_s": seconds(place.to_ns),
    })
}
