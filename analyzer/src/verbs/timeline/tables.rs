//! The tables of `timeline`: what happened in each interval, and the longest stalls.

use crate::output::table::{ColumnHead, Table, Value};
use crate::output::text::escape;
use crate::output::units::{bytes, percent};
use crate::trace::class::Class;
use crate::trace::session::Session;
use crate::verbs::timeline::intervals::Interval;
use crate::verbs::timeline::pass3::{Inside, Longest};
use crate::verbs::timeline::stalls::Window;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Names told of one stall.
const NAMES: usize = 4;

/// `count` in `time_ns`, per second, in thousandths.
fn per_second(count: u64, time_ns: u64) -> Value {
    let thousandths = u128::from(count) * 1_000_000_000_000 / u128::from(time_ns.max(1));
    Value::Decimal(u64::try_from(thousandths).unwrap_or(u64::MAX))
}

/// What the recording could not see is empty.
fn if_seen(value: Value, is_seen: bool) -> Value {
    if is_seen { value } else { Value::Null }
}

/// How many threads waited on average, in thousandths.
#[must_use]
pub fn waiting(row: &Interval) -> u64 {
    let time_ns = u128::from((row.end_ns - row.begin_ns).max(1));
    u64::try_from(u128::from(row.wait_ns) * 1_000 / time_ns).unwrap_or(u64::MAX)
}

/// For programs: counts and rates.
#[must_use]
pub(crate) fn intervals_table(rows: &[Interval], session: &Session) -> Table {
    let sees_failed = session.sees_failed();
    let cells = |row: &Interval| {
        let time_ns = row.end_ns - row.begin_ns;
        let [major, minor, failed] = row.counts;
        vec![
            Value::Seconds(session.since_start_ns(row.begin_ns)),
            Value::Seconds(session.since_start_ns(row.end_ns)),
            Value::Count(major),
            Value::Count(minor),
            if_seen(Value::Count(failed), sees_failed),
            per_second(major, time_ns),
            per_second(minor, time_ns),
            if_seen(per_second(failed, time_ns), sees_failed),
            Value::Ms(row.wait_ns),
            Value::Decimal(waiting(row)),
            Value::Count(row.threads),
            Value::Ms(row.max_ns),
            Value::Ms(row.stalled_ns),
        ]
    };
    Table {
        heads: vec![
            ColumnHead::new("begin_s"),
            ColumnHead::new("end_s"),
            ColumnHead::new("major"),
            ColumnHead::new("minor"),
            ColumnHead::new("failed"),
            ColumnHead::new("major_per_s"),
            ColumnHead::new("minor_per_s"),
            ColumnHead::new("failed_per_s"),
            ColumnHead::new("wait_ms"),
            ColumnHead::new("waiting"),
            ColumnHead::new("threads"),
            ColumnHead::new("max_ms"),
            ColumnHead::new("stalled_ms"),
        ],
        rows: rows.iter().map(cells).collect(),
        total: None,
    }
}

/// The path, or kind of memory, and bytes.
struct Waited {
    label: String,
    wait_ns: u64,
    range: Option<(u64, u64)>,
}

/// What was waited for, the longest first; objects of one name are one.
fn waited(inside: &Inside, session: &Session) -> Vec<Waited> {
    let mut by_label: BTreeMap<String, Waited> = BTreeMap::new();
    for (&object, place) in &inside.places {
        let label = session.dicts.label(object).into_owned();
        let page_size = session.page_size();
        let range = place.first_page.zip(place.last_page).map(|(first, last)| {
            let end = last.saturating_add(1).saturating_mul(page_size);
            (first.saturating_mul(page_size), end)
        });
        let waited = by_label.entry(label.clone()).or_insert_with(|| Waited {
            label,
            wait_ns: 0,
            range: None,
        });
        waited.wait_ns = waited.wait_ns.saturating_add(place.wait_ns);
        waited.range = match (waited.range, range) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
    }
    let mut all: Vec<Waited> = by_label.into_values().collect();
    // Stable: equals stay in the order of their names.
    all.sort_by_key(|waited| Reverse(waited.wait_ns));
    all
}

/// The files and kinds of memory in words: `98.0 % /data/x 0x0-0x5000 (20.0 KiB); 2.0 % [heap]`.
#[must_use]
pub(crate) fn describe_places(inside: &Inside, session: &Session) -> String {
    let all = waited(inside, session);
    let whole: u128 = all.iter().map(|waited| u128::from(waited.wait_ns)).sum();
    let whole = whole + u128::from(inside.elsewhere_ns);
    let mut words: Vec<String> = all
        .iter()
        .take(NAMES)
        .map(|waited| {
            // What is alone has no share.
            let share = match (all.len(), inside.elsewhere_ns) {
                (1, 0) => String::new(),
                _ => percent(waited.wait_ns.into(), whole) + " ",
            };
            let range = waited.range.map_or_else(String::new, |(begin, end)| {
                format!(" {begin:#x}-{end:#x} ({})", bytes(end.saturating_sub(begin)))
            });
            format!("{share}{}{range}", waited.label)
        })
        .collect();
    if all.len() > NAMES || inside.elsewhere_ns > 0 {
        words.push(match all.len().saturating_sub(NAMES) {
            0 => "others".to_owned(),
            more => format!("{more} others"),
        });
    }
    words.join("; ")
}

/// The threads by name, the longest wait first: `worker x3 (tid 5, 6, 7), main (tid 4)`.
#[must_use]
pub(crate) fn describe_waiters(inside: &Inside, session: &Session) -> String {
    let mut by_name: BTreeMap<String, (u64, Vec<u32>)> = BTreeMap::new();
    for (&(_, tid), waiter) in &inside.waiters {
        let name = session.dicts.comm(waiter.comm_id).into_owned();
        let (wait_ns, tids) = by_name.entry(name).or_default();
        *wait_ns = wait_ns.saturating_add(waiter.wait_ns);
        tids.push(tid);
    }
    let mut names: Vec<_> = by_name.into_iter().collect();
    names.sort_by_key(|(_, (wait_ns, _))| Reverse(*wait_ns));
    let more = names.len().saturating_sub(NAMES);
    let mut words: Vec<String> = names
        .into_iter()
        .take(NAMES)
        .map(|(name, (_, mut tids))| {
            tids.sort_unstable();
            let times = match tids.len() {
                1 => String::new(),
                count => format!(" x{count}"),
            };
            let numbers: Vec<String> = tids.iter().take(NAMES).map(u32::to_string).collect();
            let dots = if tids.len() > NAMES { ", …" } else { "" };
            format!("{name}{times} (tid {}{dots})", numbers.join(", "))
        })
        .collect();
    if more > 0 {
        words.push(format!("{more} other names"));
    }
    words.join(", ")
}

/// Where a fault was: path and offset, or kind of memory and address.
#[must_use]
pub(crate) fn describe_place(longest: &Longest, session: &Session) -> String {
    let label = session.dicts.label(longest.object);
    if session.dicts.is_file_backed(longest.object) {
        let offset = longest.object_page.saturating_mul(session.page_size());
        format!("{label} at {offset:#x}")
    } else {
        format!("{label} at address {:#x}", longest.address)
    }
}

/// The longest stalls; for programs with what was inside in words, as they are in the trace.
#[must_use]
pub(crate) fn stalls_table(stalls: &[(Window, Inside)], session: &Session, for_programs: bool) -> Table {
    let cells = |(window, inside): &(Window, Inside)| {
        let [major, minor, failed] = inside.counts;
        let longest = inside.longest.unwrap_or_default();
        let mut cells = vec![
            Value::Seconds(session.since_start_ns(window.begin_ns)),
            Value::Ms(window.length_ns()),
            Value::Count(window.peak.into()),
            Value::Count(window.alive.into()),
            Value::Ms(window.wait_ns),
            Value::Count(major),
            Value::Count(minor),
            if_seen(Value::Count(failed), session.sees_failed()),
            Value::Ms(longest.latency_ns),
        ];
        if for_programs {
            let top = waited(inside, session).into_iter().next();
            let range = top.as_ref().and_then(|top| top.range);
            let is_file = session.dicts.is_file_backed(longest.object);
            let offset = longest.object_page.saturating_mul(session.page_size());
            cells.extend([
                Value::Id(longest.tid.into()),
                Value::Text(session.dicts.comm(longest.comm_id).into_owned()),
                Value::Text(longest.class.name().to_owned()),
                Value::Seconds(session.since_start_ns(longest.begin_ns)),
                Value::Text(session.dicts.label(longest.object).into_owned()),
                if is_file { Value::Id(offset) } else { Value::Null },
                top.map_or(Value::Null, |top| Value::Text(top.label)),
                range.map_or(Value::Null, |range| Value::Id(range.0)),
                range.map_or(Value::Null, |range| Value::Id(range.1)),
                Value::Count(inside.waiters.len() as u64),
                Value::Prose(describe_places(inside, session)),
                Value::Prose(describe_waiters(inside, session)),
            ]);
        }
        cells
    };
    let heads = [
        ColumnHead::new("begin_s"),
        ColumnHead::new("length_ms"),
        ColumnHead::new("peak_threads"),
        ColumnHead::new("alive"),
        ColumnHead::new("wait_ms"),
        ColumnHead::new(Class::Major.name()),
        ColumnHead::new(Class::Minor.name()),
        ColumnHead::new(Class::Failed.name()),
        ColumnHead::new("max_ms"),
        ColumnHead::new("max_tid"),
        ColumnHead::new("max_comm"),
        ColumnHead::new("max_class"),
        ColumnHead::new("max_begin_s"),
        ColumnHead::new("max_file"),
        ColumnHead::new("max_file_offset"),
        ColumnHead::new("top_file"),
        ColumnHead::new("top_file_begin"),
        ColumnHead::new("top_file_end"),
        ColumnHead::new("waiters"),
        ColumnHead::new("waited_on"),
        ColumnHead::new("who"),
    ];
    let shown = if for_programs { heads.len() } else { 9 };
    Table {
        heads: heads.into_iter().take(shown).collect(),
        rows: stalls.iter().map(cells).collect(),
        total: None,
    }
}

/// For a terminal: never what could steer it.
#[must_use]
pub(crate) fn details(inside: &Inside, session: &Session) -> [String; 3] {
    let longest = inside.longest.map_or_else(String::new, |longest| {
        format!(
            "{} {} of {} (tid {}), begun at {} s, {}",
            crate::output::units::duration(longest.latency_ns),
            longest.class.name(),
            session.dicts.comm(longest.comm_id),
            longest.tid,
            crate::output::units::fixed(session.since_start_ns(longest.begin_ns), 1_000_000_000, 6),
            describe_place(&longest, session)
        )
    });
    [
        describe_places(inside, session),
        describe_waiters(inside, session),
        longest,
    ]
    .map(|text| escape(&text))
}
