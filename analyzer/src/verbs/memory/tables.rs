//! The tables of `memory`: what more memory would have avoided, by file, and how far apart the faults of a page are.

use crate::output::table::{ColumnHead, Table, Value};
use crate::stats::bounded_map::OTHERS_NAME;
use crate::trace::session::Session;
use crate::verbs::memory::curve::Tally;
use crate::verbs::memory::estimate::{Estimate, Step};
use crate::verbs::memory::pass::Memory;
use crate::verbs::memory::refaults::{Both, Faults};
use std::cmp::Reverse;
use std::collections::BTreeMap;

fn share(part: u64, whole: u64) -> Value {
    Value::Percent { part, whole }
}

/// Only what people need of the steps: from where more memory may begin to help to where it helps no more.
#[must_use]
pub(crate) fn telling(steps: Vec<Step>, estimate: &Estimate) -> Vec<Step> {
    let all = estimate.all().count;
    let count = |step: &Step| {
        if estimate.is_known {
            step.most.count
        } else {
            step.least.count
        }
    };
    let first = steps
        .iter()
        .position(|step| step.most.count > all / 20)
        .unwrap_or(0)
        .saturating_sub(1);
    let last = steps.iter().position(|step| count(step) >= all);
    let last = last.unwrap_or(steps.len());
    // Fewer than ten halvings below what is enough, nobody buys less.
    let first = first.max(last.saturating_sub(9));
    steps.into_iter().take(last + 1).skip(first).collect()
}

impl Memory {
    /// What more memory would have avoided, by its amount. The upper bound is an estimate where memory is known.
    #[must_use]
    pub fn curve_table(&self, steps: &[Step], estimate: &Estimate, session: &Session) -> Table {
        let all = self.refaults.all();
        let cells = |tally: Tally| {
            let tally = all.of_all(tally);
            [
                Value::Count(tally.count),
                share(tally.count, all.majors.count),
                Value::Ms(tally.wait_ns),
            ]
        };
        let rows = steps.iter().map(|step| {
            let extra = Value::Bytes(step.extra_pages.saturating_mul(session.page_size()));
            let bounds = cells(step.least).into_iter().chain(cells(step.most));
            std::iter::once(extra).chain(bounds).collect()
        });
        let most = if estimate.is_known {
            [
                ColumnHead::new("avoided"),
                ColumnHead::new("avoided_percent"),
                ColumnHead::new("avoided_ms"),
            ]
        } else {
            [
                ColumnHead::new("at_most"),
                ColumnHead::new("at_most_percent"),
                ColumnHead::new("at_most_ms"),
            ]
        };
        let least = [
            ColumnHead::new("extra_bytes"),
            ColumnHead::new("at_least"),
            ColumnHead::new("at_least_percent"),
            ColumnHead::new("at_least_ms"),
        ];
        Table {
            heads: [&least[..], &most].concat(),
            rows: rows.collect(),
            total: None,
        }
    }

    /// By file or kind of memory, the most waiting for pages read again first.
    #[must_use]
    pub fn files_table(&self, estimate: &Estimate, session: &Session) -> Table {
        let mut by_label: BTreeMap<String, Faults> = BTreeMap::new();
        for (object, faults) in self.refaults.objects() {
            let label = session.dicts.label(*object).into_owned();
            by_label.entry(label).or_default().merge(faults);
        }
        let others = self.refaults.other_objects();
        let mut files: Vec<_> = by_label.into_iter().collect();
        // Stable: equals stay in the order of their names.
        files.sort_by_key(|(_, faults)| {
            let again = faults.of_all(faults.again);
            (Reverse(again.wait_ns), Reverse(faults.majors.wait_ns))
        });
        // Half of a file's refaults: by the estimate, or in any case.
        let held = estimate.held_pages.filter(|_| estimate.is_known).unwrap_or(0);
        let row = |label: &str, faults: &Faults| {
            let again = faults.of_all(faults.again);
            let median = faults.distances.quantile(50_000).saturating_add(1);
            let is_again = faults.distances.count() > 0;
            let half = median.saturating_sub(held).saturating_mul(session.page_size());
            vec![
                Value::Text(label.to_owned()),
                Value::Count(faults.majors.count),
                Value::Count(again.count),
                share(again.count, faults.majors.count),
                Value::Bytes(again.count.saturating_mul(session.page_size())),
                Value::Ms(again.wait_ns),
                if is_again { Value::Bytes(half) } else { Value::Null },
                Value::Count(faults.minor_again.count),
            ]
        };
        let mut rows: Vec<_> = files.iter().map(|(label, faults)| row(label, faults)).collect();
        rows.extend(others.map(|(faults, _)| row(OTHERS_NAME, faults)));
        let total = (rows.len() > 1).then(|| row("total", &self.refaults.all()));
        Table {
            heads: vec![
                ColumnHead::new("file"),
                ColumnHead::new("major"),
                ColumnHead::new("again"),
                ColumnHead::new("again_percent"),
                ColumnHead::new("bytes_again"),
                ColumnHead::new("wait_again_ms"),
                ColumnHead::new("half_with_bytes"),
                ColumnHead::new("minor_again"),
            ],
            rows,
            total,
        }
    }

    /// Refaults by the time since the page's fault before.
    #[must_use]
    pub(crate) fn times_table(&self) -> Table {
        let times = self.refaults.times().iter().zip(0u32..);
        let steps: Vec<(u64, Both)> = times
            .map(|(&both, decade)| (10u64.checked_pow(decade).unwrap_or(u64::MAX), both))
            .collect();
        let row = |from: u64, both: &Both| {
            vec![
                Value::Count(if from == 1 { 0 } else { from }),
                Value::Count(both.major.count),
                Value::Count(both.minor.count),
                Value::Ms(both.major.wait_ns.saturating_add(both.minor.wait_ns)),
            ]
        };
        Table {
            heads: vec![
                ColumnHead::new("after_ns"),
                ColumnHead::new("major"),
                ColumnHead::new("minor"),
                ColumnHead::new("wait_ms"),
            ],
            rows: used(&steps).map(|(from, both)| row(*from, both)).collect(),
            total: None,
        }
    }

    /// Refaults by the number of distinct other pages that were faulted since the page's fault before.
    #[must_use]
    pub(crate) fn distances_table(&self, session: &Session) -> Table {
        let majors = self.refaults.curve();
        let minors = self.refaults.minor_distances();
        let powers = std::iter::once(None).chain((0..63).map(Some));
        let steps: Vec<(u64, Both)> = powers
            .map(|power| {
                let both = Both {
                    major: majors.octave(power),
                    minor: minors.octave(power),
                };
                (power.map_or(0, |power| 1 << power), both)
            })
            .collect();
        let row = |from: u64, both: &Both| {
            vec![
                Value::Count(from),
                Value::Bytes(from.saturating_mul(session.page_size())),
                Value::Count(both.major.count),
                Value::Count(both.minor.count),
                Value::Ms(both.major.wait_ns.saturating_add(both.minor.wait_ns)),
            ]
        };
        Table {
            heads: vec![
                ColumnHead::new("after_pages"),
                ColumnHead::new("after_bytes"),
                ColumnHead::new("major"),
                ColumnHead::new("minor"),
                ColumnHead::new("wait_ms"),
            ],
            rows: used(&steps).map(|(from, both)| row(*from, both)).collect(),
            total: None,
        }
    }
}

/// From the first step with refaults to the last.
fn used(steps: &[(u64, Both)]) -> impl Iterator<Item = &(u64, Both)> {
    let is_used = |(_, both): &(u64, Both)| both.major.count > 0 || both.minor.count > 0;
    let last = steps.iter().rposition(is_used).map_or(0, |last| last + 1);
    steps.iter().take(last).skip_while(move |step| !is_used(step))
}
