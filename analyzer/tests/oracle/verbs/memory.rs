//! `memory`: distances by a plain list of pages, the last one faulted in front. What more memory avoids for certain is
//! counted; the other bound is held within the steps of its curve.

use super::Checks;
use super::tables::passing;
use super::walks::reads;
use crate::filters::Filter;
use crate::table::{Cell, Expected, int, text};
use crate::truth::{Fault, Trace};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A list is walked through for every fault.
const MOST_FAULTS: usize = 10_000;

/// What a fault of a page that was faulted before is.
struct Again<'a> {
    fault: &'a Fault,
    /// Other pages since; of one that waits for the same as the last fault of the page those of that fault.
    distance: Option<u64>,
    /// Since the fault before was done; `None` for one that waits for the same, or is the first.
    since_ns: Option<u64>,
}

impl Again<'_> {
    fn is(&self, class: &str) -> bool {
        self.fault.class() == class
    }

    /// Page gone, and back.
    fn is_back(&self, class: &str) -> bool {
        self.is(class) && self.since_ns.is_some()
    }
}

pub fn memory(trace: &Trace, filter: &Filter, checks: &mut Checks) {
    let faults = passing(trace, filter);
    if faults.len() > MOST_FAULTS && !filter.is_empty() {
        return;
    }
    let again = refaults(trace, &faults);
    let part = |part| ["memory", "--part", part];
    checks.csv(&part("files"), &file_table(trace, &faults, &again));
    checks.csv(&part("times"), &time_table(&again));
    checks.csv(&part("distances"), &distance_table(trace, &again));
    let curve = [&part("curve")[..], &["--format", "csv"]].concat();
    let written = checks.output(&curve);
    let result = curve_table(trace, &faults, &again, &written);
    checks.note(&curve, result.and_then(|expected| expected.compare_csv(&written)));
}

/// A page whose faults so far are known.
struct Page {
    first_ns: u64,
    done_ns: u64,
    distance: Option<u64>,
    was_read: bool,
    /// By its last fault, or by what that waited for.
    is_read: bool,
}

/// A fault with the time at which its page was there, and whether it reads it.
#[derive(Clone, Copy)]
struct Came<'a> {
    fault: &'a Fault,
    at_ns: u64,
    is_read: bool,
}

fn done_ns(fault: &Fault) -> u64 {
    fault.event.ts_ns + fault.event.latency_ns
}

/// Faults in the order in which their pages were there, block by block: a page that is being read is there as soon as another fault
/// of it is done.
fn came<'a>(trace: &Trace, faults: &[&'a Fault]) -> Vec<Came<'a>> {
    let reads = reads(faults, trace);
    let faults = faults.iter().zip(reads).filter(|(fault, _)| {
        // Of a sample of the minors distances cannot be told.
        fault.class() == "major" || fault.class() == "minor" && trace.one_in() == 1
    });
    let mut came: Vec<Came<'_>> = faults
        .map(|(&fault, is_read)| Came {
            fault,
            at_ns: done_ns(fault),
            is_read,
        })
        .collect();
    let mut of_page: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (index, came) in came.iter().enumerate() {
        let page = (
            came.fault.block,
            came.fault.event.object,
            came.fault.page(trace.page_size()),
        );
        of_page.entry(page).or_default().push(index);
    }
    for indices in of_page.values() {
        let ends: Vec<u64> = indices.iter().map(|&index| done_ns(came[index].fault)).collect();
        for &index in indices {
            let read = &mut came[index];
            let in_the_middle = read.fault.event.ts_ns + 1..read.at_ns;
            let first = ends.iter().filter(|end| in_the_middle.contains(end)).min();
            if let (true, Some(&first)) = (read.is_read, first) {
                read.at_ns = first;
            }
        }
    }
    came.sort_by_key(|came| (came.fault.block, came.at_ns, !came.is_read));
    came
}

fn refaults<'a>(trace: &Trace, faults: &[&'a Fault]) -> Vec<Again<'a>> {
    // Numbers for pages are faster to compare than names.
    let mut names = BTreeMap::new();
    let mut latest: Vec<usize> = Vec::new();
    let mut pages: Vec<Page> = Vec::new();
    let mut again = Vec::new();
    for Came { fault, is_read, .. } in came(trace, faults) {
        let key = if fault.in_file {
            (0, fault.event.object.0, fault.event.object_page)
        } else {
            fault.page(trace.page_size())
        };
        let begin_ns = fault.event.ts_ns;
        let number = *names.entry(key).or_insert(pages.len());
        if number == pages.len() {
            latest.push(number);
            pages.push(Page {
                first_ns: done_ns(fault),
                done_ns: done_ns(fault),
                distance: None,
                was_read: is_read,
                is_read,
            });
            continue;
        }
        let others = latest.iter().rev().position(|&page| page == number).unwrap();
        latest.remove(latest.len() - 1 - others);
        latest.push(number);
        let page = &mut pages[number];
        let is_at_once = begin_ns < page.done_ns;
        let waits = match fault.class() {
            "major" => !is_read,
            _ => is_at_once,
        };
        // Who waited for it is in the block before.
        let comes_late = is_read && is_at_once && !page.is_read;
        let is_first = comes_late && !page.was_read && begin_ns < page.first_ns;
        let mut since_ns = None;
        if is_first {
            page.distance = None;
        } else if !waits {
            since_ns = Some(begin_ns.saturating_sub(page.done_ns));
            page.distance = page.distance.filter(|_| comes_late).or(Some(others as u64));
        }
        if !waits {
            page.is_read = is_read;
            page.was_read |= is_read;
        }
        page.done_ns = page.done_ns.max(done_ns(fault));
        again.push(Again {
            fault,
            distance: page.distance,
            since_ns,
        });
    }
    again
}

fn tally<'a>(faults: impl Iterator<Item = &'a Again<'a>>) -> (u64, u128) {
    faults.fold((0, 0), |(count, wait_ns), again| {
        (count + 1, wait_ns + again.fault.wait_ns())
    })
}

fn file_table(trace: &Trace, faults: &[&Fault], again: &[Again<'_>]) -> Expected {
    let mut majors: BTreeMap<&str, (u64, u128)> = BTreeMap::new();
    for fault in faults.iter().filter(|fault| fault.class() != "failed") {
        let (count, wait_ns) = majors.entry(&fault.label).or_default();
        if fault.class() == "major" {
            *count += 1;
            *wait_ns += fault.wait_ns();
        }
    }
    let mut rows = Vec::new();
    for (label, (count, wait_ns)) in majors {
        let of_file: Vec<&Again<'_>> = again.iter().filter(|again| again.fault.label == label).collect();
        let (read, again_ns) = tally(of_file.iter().copied().filter(|again| again.is_back("major")));
        let (minor, _) = tally(of_file.iter().copied().filter(|again| again.is_back("minor")));
        let is_major = of_file.iter().filter(|again| again.is("major"));
        let mut distances: Vec<u64> = is_major.filter_map(|again| again.distance).collect();
        distances.sort_unstable();
        let half = distances.get((distances.len().max(1) - 1) / 2).map(|&pages| {
            let bytes = |pages: u64| u128::from((pages + 1) * trace.page_size());
            Cell::Between(bytes(pages - pages / 100), bytes(pages + pages / 100))
        });
        let row = vec![
            text(label),
            int(count),
            int(read),
            Cell::Percent(read.into(), count.into()),
            int(read * trace.page_size()),
            Cell::Ms(again_ns),
            half.unwrap_or(Cell::Null),
            int(minor),
        ];
        rows.push(((again_ns, wait_ns), row));
    }
    rows.sort_by_key(|&(waits, _)| Reverse(waits));
    Expected {
        heads: vec![
            "file",
            "major",
            "again",
            "again_percent",
            "bytes_again",
            "wait_again_ms",
            "half_with_bytes",
            "minor_again",
        ],
        rows: rows.into_iter().map(|(_, row)| row).collect(),
    }
}

/// Rows from the first with a fault to the last one.
fn used(rows: impl Iterator<Item = (u64, u64, Vec<Cell>)>) -> Vec<Vec<Cell>> {
    let rows: Vec<_> = rows.collect();
    let is_used = |row: &&(u64, u64, Vec<Cell>)| row.0 + row.1 > 0;
    let unused = rows.iter().take_while(|row| !is_used(row)).count();
    let last = rows
        .iter()
        .rposition(|row| is_used(&row))
        .map_or(0, |last| last + 1);
    let rows = rows.into_iter().take(last).skip(unused);
    rows.map(|(_, _, row)| row).collect()
}

fn time_table(again: &[Again<'_>]) -> Expected {
    let rows = (0..20).map(|decade| {
        let least = 10_u64.pow(decade);
        let is_in = |again: &&Again<'_>| {
            again
                .since_ns
                .is_some_and(|since| since.max(1).ilog10() == decade)
        };
        let (major, major_ns) = tally(again.iter().filter(is_in).filter(|again| again.is("major")));
        let (minor, minor_ns) = tally(again.iter().filter(is_in).filter(|again| again.is("minor")));
        let from = if decade == 0 { 0 } else { least };
        let row = vec![int(from), int(major), int(minor), Cell::Ms(major_ns + minor_ns)];
        (major, minor, row)
    });
    Expected {
        heads: vec!["after_ns", "major", "minor", "wait_ms"],
        rows: used(rows),
    }
}

fn distance_table(trace: &Trace, again: &[Again<'_>]) -> Expected {
    let rows = (0..40).map(|row| {
        let (from, to) = if row == 0 {
            (0, 1)
        } else {
            (1 << (row - 1), 1 << row)
        };
        let is_in = |again: &&Again<'_>| again.distance.is_some_and(|pages| (from..to).contains(&pages));
        let (major, major_ns) = tally(again.iter().filter(is_in).filter(|again| again.is("major")));
        let (minor, minor_ns) = tally(again.iter().filter(is_in).filter(|again| again.is_back("minor")));
        let row = vec![
            int(from),
            int(from * trace.page_size()),
            int(major),
            int(minor),
            Cell::Ms(major_ns + minor_ns),
        ];
        (major, minor, row)
    });
    Expected {
        heads: vec!["after_pages", "after_bytes", "major", "minor", "wait_ms"],
        rows: used(rows),
    }
}

/// Which amounts of memory it tells of is its own choice, as long as they are doublings and the last avoids all.
fn curve_table(
    trace: &Trace,
    faults: &[&Fault],
    again: &[Again<'_>],
    written: &str,
) -> Result<Expected, String> {
    let mut reader = csv::Reader::from_reader(written.as_bytes());
    let amounts = reader
        .records()
        .map(|record| record.unwrap()[0].parse::<u64>().unwrap() / trace.page_size());
    let amounts: Vec<u64> = amounts.collect();
    if amounts.iter().any(|pages| !pages.is_power_of_two())
        || amounts.windows(2).any(|two| two[1] != 2 * two[0])
    {
        return Err(format!("{amounts:?} pages are no doublings"));
    }
    let majors: Vec<&Again<'_>> = again
        .iter()
        .filter(|again| again.is("major") && again.distance.is_some())
        .collect();
    let below = |room: u64| {
        tally(
            majors
                .iter()
                .copied()
                .filter(|again| again.distance.unwrap() < room),
        )
    };
    if amounts.is_empty() != majors.is_empty()
        || amounts
            .last()
            .is_some_and(|&most| below(most).0 < majors.len() as u64)
    {
        return Err(format!("{amounts:?} pages do not reach"));
    }
    let all = faults.iter().filter(|fault| fault.class() == "major").count() as u128;
    let mut distances: Vec<u64> = majors.iter().filter_map(|again| again.distance).collect();
    distances.sort_unstable();
    let held = distances
        .get(distances.len().div_ceil(4).max(1) - 1)
        .filter(|_| distances.len() >= 100);
    let row = |extra: u64| {
        let (count, wait_ns) = below(extra);
        // Steps of the curve are 64 to a doubling.
        let (least, most) = match held {
            Some(held) => (
                below(held - held / 64 + extra),
                below((held + extra) * 65 / 64 + 2),
            ),
            None => (below(u64::MAX), below(u64::MAX)),
        };
        vec![
            int(extra * trace.page_size()),
            int(count),
            Cell::Percent(count.into(), all),
            Cell::Ms(wait_ns),
            Cell::Between(least.0.into(), most.0.into()),
            Cell::Any,
            Cell::MsBetween(least.1, most.1),
        ]
    };
    Ok(Expected {
        heads: vec![
            "extra_bytes",
            "at_least",
            "at_least_percent",
            "at_least_ms",
            "at_most",
            "at_most_percent",
            "at_most_ms",
        ],
        rows: amounts.into_iter().map(row).collect(),
    })
}
