//! `timeline`: intervals, each summed up from all faults anew, and the longest stalls.

use super::Checks;
use super::stalls::{Stall, stalls};
use super::tables::{grouped, passing};
use crate::filters::Filter;
use crate::sums::Sums;
use crate::table::{Cell, Expected, int, text};
use crate::truth::{Fault, Trace};
use std::cmp::Reverse;
use std::collections::HashSet;

const INTERVALS: [&str; 13] = [
    "begin_s",
    "end_s",
    "major",
    "minor",
    "failed",
    "major_per_s",
    "minor_per_s",
    "failed_per_s",
    "wait_ms",
    "waiting",
    "threads",
    "max_ms",
    "stalled_ms",
];
const STALLS: [&str; 21] = [
    "begin_s",
    "length_ms",
    "peak_threads",
    "alive",
    "wait_ms",
    "major",
    "minor",
    "failed",
    "max_ms",
    "max_tid",
    "max_comm",
    "max_class",
    "max_begin_s",
    "max_file",
    "max_file_offset",
    "top_file",
    "top_file_begin",
    "top_file_end",
    "waiters",
    "waited_on",
    "who",
];

pub fn timeline(trace: &Trace, filter: &Filter, checks: &mut Checks) {
    let faults = passing(trace, filter);
    let (begin_ns, end_ns) = window(trace, filter);
    let half = |alive: i64| ((alive * 50 + 99) / 100).max(2);
    let all = stalls(trace, &faults, (begin_ns, end_ns), half);
    let time_ns = (end_ns - begin_ns).max(1);
    for count in [7, 100] {
        let width_ns = (time_ns / count).max(1);
        let width = format!("{width_ns}ns");
        let table = interval_table(trace, &faults, &all, (begin_ns, end_ns), width_ns);
        checks.csv(&["timeline", "--interval", &width], &table);
    }
    let asked = ["timeline", "--part", "stalls", "--stalls", "40"];
    checks.csv(&asked, &stall_table(trace, &faults, &all, 40));
    let three = stalls(trace, &faults, (begin_ns, end_ns), |_| 3);
    let asked = ["timeline", "--part", "stalls", "--threads", "3"];
    checks.csv(&asked, &stall_table(trace, &faults, &three, 5));
}

/// The time that the filter leaves.
pub fn window(trace: &Trace, filter: &Filter) -> (u64, u64) {
    let given = |name: &str| {
        let at = filter.arguments.iter().position(|argument| argument == name)?;
        let ns: u64 = filter.arguments[at + 1].trim_end_matches("ns").parse().unwrap();
        Some(trace.start_ns() + ns)
    };
    let begin_ns = given("--from").unwrap_or(trace.start_ns());
    let end_ns = given("--to").unwrap_or(u64::MAX).min(trace.end_ns());
    (begin_ns, end_ns.max(begin_ns))
}

/// Nanoseconds that two spans have in common.
pub fn common(a: (u64, u64), b: (u64, u64)) -> u64 {
    a.1.min(b.1).saturating_sub(a.0.max(b.0))
}

pub fn span(fault: &Fault) -> (u64, u64) {
    (fault.event.ts_ns, fault.event.ts_ns + fault.event.latency_ns)
}

fn interval_table(
    trace: &Trace,
    faults: &[&Fault],
    stalls: &[Stall],
    (begin_ns, end_ns): (u64, u64),
    width_ns: u64,
) -> Expected {
    let end_ns = end_ns.max(begin_ns + 1);
    let mut rows = Vec::new();
    let mut from = begin_ns;
    while from < end_ns {
        let to = (from + width_ns).min(end_ns);
        // What began before the recording, or at its very end, belongs to the nearest interval.
        let began = |fault: &&&Fault| {
            let at = fault.event.ts_ns.clamp(begin_ns, end_ns - 1);
            (from..to).contains(&at)
        };
        let sums = Sums::of(faults.iter().filter(began).copied());
        let inside: Vec<&&Fault> = faults
            .iter()
            .filter(|fault| common(span(fault), (from, to)) > 0)
            .collect();
        let wait = |fault: &&&Fault| u128::from(common(span(fault), (from, to))) * u128::from(fault.weight);
        let wait_ns: u128 = inside.iter().map(wait).sum();
        let threads: HashSet<_> = inside
            .iter()
            .map(|fault| (fault.event.pid, fault.event.tid))
            .collect();
        let stalled = stalls
            .iter()
            .map(|stall| common((stall.begin_ns, stall.end_ns), (from, to)));
        let time_ns = u128::from(to - from);
        let per_second = |count: u64| Cell::Decimal(u128::from(count) * 1_000_000_000_000 / time_ns);
        let if_seen = |cell: Cell| if trace.sees_failed() { cell } else { Cell::Null };
        rows.push(vec![
            Cell::Seconds(trace.since_ns(from).into()),
            Cell::Seconds(trace.since_ns(to).into()),
            int(sums.major),
            int(sums.minor),
            if_seen(int(sums.failed)),
            per_second(sums.major),
            per_second(sums.minor),
            if_seen(per_second(sums.failed)),
            Cell::Ms(wait_ns),
            Cell::Decimal(wait_ns * 1_000 / time_ns),
            int(threads.len() as u64),
            Cell::Ms(sums.max().into()),
            Cell::Ms(stalled.map(u128::from).sum()),
        ]);
        from = to;
    }
    Expected {
        heads: INTERVALS.to_vec(),
        rows,
    }
}

fn stall_table(trace: &Trace, faults: &[&Fault], stalls: &[Stall], count: usize) -> Expected {
    let row = |stall: &Stall| {
        let during = (stall.begin_ns, stall.end_ns);
        let is_inside = |fault: &&&Fault| {
            let (begin, end) = span(fault);
            // One that took no time at all and lies inside counts, too.
            begin < stall.end_ns && end > stall.begin_ns
        };
        let inside: Vec<&Fault> = faults.iter().filter(is_inside).copied().collect();
        let of_class = |class| int(inside.iter().filter(|fault| fault.class() == class).count() as u64);
        // Of several that took as long the first.
        let longest = inside
            .iter()
            .rev()
            .max_by_key(|fault| fault.event.latency_ns)
            .unwrap();
        let mut places: Vec<(u64, String, Vec<&Fault>)> = grouped(&inside, |fault| fault.label.clone())
            .into_iter()
            .map(|(label, faults)| {
                let wait_ns = faults.iter().map(|fault| common(span(fault), during)).sum();
                (wait_ns, label, faults)
            })
            .collect();
        places.sort_by_key(|place| Reverse(place.0));
        let (_, top, of_top) = &places[0];
        let pages = of_top.iter().filter(|fault| fault.in_file);
        let pages: Vec<u64> = pages.map(|fault| fault.event.object_page).collect();
        let byte = |page: Option<u64>| page.map_or(Cell::Null, |page| int(page * trace.page_size()));
        let waiters: HashSet<_> = inside
            .iter()
            .map(|fault| (fault.event.pid, fault.event.tid))
            .collect();
        vec![
            Cell::Seconds(trace.since_ns(stall.begin_ns).into()),
            Cell::Ms(stall.length_ns().into()),
            int(stall.peak as u64),
            int(stall.alive as u64),
            Cell::Ms(stall.wait_ns.into()),
            of_class("major"),
            of_class("minor"),
            if trace.sees_failed() {
                of_class("failed")
            } else {
                Cell::Null
            },
            Cell::Ms(longest.event.latency_ns.into()),
            int(longest.event.tid),
            text(&longest.comm),
            text(longest.class()),
            Cell::Seconds(trace.since_ns(longest.event.ts_ns).into()),
            text(&longest.label),
            byte(longest.in_file.then_some(longest.event.object_page)),
            text(top),
            byte(pages.iter().min().copied()),
            byte(pages.iter().max().map(|page| page + 1)),
            int(waiters.len() as u64),
            Cell::Any,
            Cell::Any,
        ]
    };
    Expected {
        heads: STALLS.to_vec(),
        rows: stalls.iter().take(count).map(row).collect(),
    }
}
