//! What was set, and how things stood, as facts: all of it for programs, and what helps, a line each, for people.

use super::{Fact, FactValue};
use crate::output::text::json_text;
use crate::output::units::{bytes, duration, grouped};
use crate::trace::conditions::Setting;
use crate::trace::session::Session;

/// Lines for people.
const SHOWN: usize = 200;

/// What version 1 of cgroups calls no limit is the largest number of whole pages.
const NO_LIMIT: u64 = 1 << 62;

/// Figures that only grow. One that stayed as it was says nothing.
const COUNTS: [&str; 7] = [
    "pgmajfault",
    "workingset_refault_file",
    "workingset_refault_anon",
    "pswpin",
    "pswpout",
    "memory.failcnt",
    "memory.events",
];

/// Names of sizes in bytes; those of version 1 end in [`IN_BYTES`].
const SIZES: [&str; 9] = [
    "memory.max",
    "memory.high",
    "memory.current",
    "memory.swap.max",
    "memory.swap.current",
    "memory.stat.file",
    "memory.stat.anon",
    "memory.stat.total_cache",
    "memory.stat.total_rss",
];

const IN_BYTES: &str = "_in_bytes";
const IN_KIB: &str = "_kb";

/// Nothing where the trace tells of none.
pub(super) fn facts(session: &Session) -> Vec<Fact> {
    let conditions = &session.conditions;
    if !conditions.are_known() && conditions.left_out == 0 {
        return Vec::new();
    }
    let object = |(subject, name, setting): (&str, &str, &Setting)| {
        let (start, end) = (&setting.first.1, &setting.last.1);
        json_text(&serde_json::json!({"subject": subject, "name": name, "start": start, "end": end}))
    };
    let objects: Vec<String> = conditions.all().map(object).collect();
    let lines: Vec<String> = conditions.all().filter_map(line).collect();
    let changed = conditions.all().filter(|(_, _, setting)| setting.has_changed());
    let mut words = format!(
        "{}, of which {} changed",
        grouped(objects.len() as u64),
        grouped(changed.count() as u64)
    );
    if conditions.left_out > 0 {
        words.push_str(&format!(
            ", and {} that are not kept",
            grouped(conditions.left_out)
        ));
    }
    let shown = lines.len().min(SHOWN);
    if shown < objects.len() {
        words.push_str(&format!(
            "; here {} (--format json has all)",
            grouped(shown as u64)
        ));
    }
    let all = FactValue::Json(format!("[{}]", objects.join(",")));
    let lines = lines.into_iter().take(SHOWN);
    std::iter::once(Fact::new("conditions", all, Some(words)))
        .chain(lines.map(|line| Fact::new("condition", FactValue::OnlyWords, Some(line))))
        .collect()
}

/// `cgroup /db: memory.max 134217728 (128.0 MiB)`; nothing where it does not help.
fn line((subject, name, setting): (&str, &str, &Setting)) -> Option<String> {
    let (start, end) = (setting.first.1.as_str(), setting.last.1.as_str());
    let said = if let Some(times) = times_waited(name, start, end) {
        let (start, end) = times?;
        let more = duration(end.saturating_sub(start).saturating_mul(1_000));
        format!("total={start} -> total={end} (+{more})")
    } else if !setting.has_changed() {
        if is_count(name) {
            return None;
        }
        with_size(name, start)
    } else {
        let grown = grown(start, end).filter(|_| is_count(name));
        let grown = grown.map_or_else(String::new, |grown| format!(" (+{})", grouped(grown)));
        format!("{} -> {}{grown}", with_size(name, start), with_size(name, end))
    };
    Some(format!("{subject}: {name} {said}"))
}

/// Of a line of pressure: microseconds waited, first and last, if they differ. `None` where it is none.
#[allow(clippy::option_option, reason = "another thing, or nothing to tell")]
fn times_waited(name: &str, start: &str, end: &str) -> Option<Option<(u64, u64)>> {
    if !name.contains("pressure.") {
        return None;
    }
    let total = |line: &str| line.rsplit_once("total=")?.1.parse::<u64>().ok();
    let (start, end) = (total(start)?, total(end)?);
    Some((start != end).then_some((start, end)))
}

fn is_count(name: &str) -> bool {
    let figure = name.strip_prefix("memory.stat.").unwrap_or(name);
    let figure = figure.strip_prefix("total_").unwrap_or(figure);
    COUNTS.iter().any(|count| figure.starts_with(count))
}

fn grown(start: &str, end: &str) -> Option<u64> {
    let (start, end): (u64, u64) = (start.parse().ok()?, end.parse().ok()?);
    end.checked_sub(start)
}

/// A value, and what it is as a size, if it is one.
fn with_size(name: &str, value: &str) -> String {
    let number = |text: &str, unit: u64| text.parse::<u64>().ok()?.checked_mul(unit);
    let size = if let Some(kib) = value.strip_suffix(" kB") {
        number(kib, 1024)
    } else if name.ends_with(IN_KIB) {
        number(value, 1024)
    } else if SIZES.contains(&name) || name.ends_with(IN_BYTES) {
        number(value, 1)
    } else {
        None
    };
    match size {
        Some(NO_LIMIT..) => format!("{value} (no limit)"),
        Some(size) => format!("{value} ({})", bytes(size)),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, start: &str, end: &str) -> Option<String> {
        let setting = Setting {
            first: (1, start.to_owned()),
            last: (2, end.to_owned()),
        };
        line(("cgroup /db", name, &setting))
    }

    #[test]
    fn sizes_have_a_unit_counts_what_was_added_and_what_says_nothing_is_left_out() {
        for (name, start, end, expected) in [
            ("memory.max", "134217728", "134217728", "134217728 (128.0 MiB)"),
            ("memory.max", "max", "4096", "max -> 4096 (4.0 KiB)"),
            (
                "memory.limit_in_bytes",
                "9223372036854771712",
                "9223372036854771712",
                "9223372036854771712 (no limit)",
            ),
            (
                "MemFree",
                "2048 kB",
                "1024 kB",
                "2048 kB (2.0 MiB) -> 1024 kB (1.0 MiB)",
            ),
            ("read_ahead_kb", "128", "128", "128 (128.0 KiB)"),
            ("pgmajfault", "12", "1034", "12 -> 1034 (+1,022)"),
            ("memory.stat.total_pgmajfault", "12", "13", "12 -> 13 (+1)"),
            ("memory.events.oom", "0", "1", "0 -> 1 (+1)"),
            ("type", "ext4", "ext4", "ext4"),
            (
                "memory.pressure.some",
                "avg10=0.00 total=1000",
                "avg10=1.00 total=3500",
                "total=1000 -> total=3500 (+2.50 ms)",
            ),
            ("pressure.io.some", "x", "y", "x -> y"),
            (
                "memory.max",
                "99999999999999999999",
                "x",
                "99999999999999999999 -> x",
            ),
        ] {
            let expected = format!("cgroup /db: {name} {expected}");
            assert_eq!(said(name, start, end), Some(expected));
        }
        for (name, start, end) in [
            ("pgmajfault", "12", "12"),
            ("memory.events.oom", "0", "0"),
            ("memory.stat.workingset_refault_file", "0", "0"),
            ("pressure.io.some", "avg10=0.00 total=5", "avg10=1.00 total=5"),
        ] {
            assert_eq!(said(name, start, end), None, "{name}");
        }
    }
}
