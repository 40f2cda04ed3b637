//! Queries summed up by name. The numbers are those of the query rows: exact even where events were lost.

use crate::output::table::{ColumnHead, Table, Value};
use crate::output::text::keep_start;
use crate::output::units::{duration, grouped, percent};
use crate::stats::histogram::Histogram;
use crate::stats::recursion::{Nesting, Share};
use crate::trace::queries::label;
use pf_formats::{Query, QueryEnd};
use polars::prelude::PlHashMap;
use std::cmp::Reverse;

/// Names kept apart; a program can make up a new one for every query.
pub(crate) const NAMES_KEPT: usize = 4_000;

/// What the queries beyond are called.
const OTHERS: &str = "(all other names)";

/// The queries of one name.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// How many.
    pub count: u64,
    /// Those whose begin or end was not seen.
    pub incomplete: u64,
    /// Durations of the others.
    pub wall: Histogram,
    /// Waits of all, those of queries inside them included.
    pub wait: Histogram,
    /// What they have together: of those that run inside each other the outermost one has it all.
    pub once: Share,
}

impl Group {
    fn add(&mut self, query: &Query) {
        self.count = self.count.saturating_add(1);
        self.wait.add(query.total().wait_ns);
        self.once.add(&Share::of(query));
        match query.wall_ns() {
            Some(wall_ns) => self.wall.add(wall_ns),
            None => self.incomplete = self.incomplete.saturating_add(1),
        }
    }

    /// Major and minor faults.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.once.faults.majors.saturating_add(self.once.faults.minors)
    }
}

/// What the rows say all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Queries.
    pub queries: u64,
    /// Those that began before the recording.
    pub begun_before: u64,
    /// Those that were open when it ended.
    pub open: u64,
    /// Those that were left without an end.
    pub abandoned: u64,
    /// Major and minor faults, each counted once.
    pub faults: u64,
}

/// Groups by name.
#[derive(Debug, Default)]
pub struct Groups {
    by_name: PlHashMap<String, u32>,
    groups: Vec<Group>,
    nesting: Nesting,
    sums: Sums,
}

impl Groups {
    /// Adds a query; returns the number of its group.
    pub fn add(&mut self, query: &Query) -> u32 {
        let name = label(query);
        let number = match self.by_name.get(name.as_ref()) {
            Some(number) => *number,
            None => self.number(name.into_owned()),
        };
        if let Some(group) = self.groups.get_mut(number as usize) {
            group.add(query);
        }
        let groups = &mut self.groups;
        self.nesting.add(query, number, |number, twice| {
            if let Some(group) = groups.get_mut(number as usize) {
                group.once.take_away(twice);
            }
        });
        let sums = &mut self.sums;
        sums.queries = sums.queries.saturating_add(1);
        sums.begun_before += u64::from(query.begun_before);
        sums.open += u64::from(query.end == QueryEnd::Open);
        sums.abandoned += u64::from(query.end == QueryEnd::Abandoned);
        sums.faults = sums
            .faults
            .saturating_add(query.own.majors)
            .saturating_add(query.own.minors);
        number
    }

    fn number(&mut self, name: String) -> u32 {
        let name = if self.groups.len() >= NAMES_KEPT {
            OTHERS.to_owned()
        } else {
            name
        };
        let groups = &mut self.groups;
        *self.by_name.entry(name).or_insert_with(|| {
            groups.push(Group::default());
            groups.len() as u32 - 1
        })
    }

    /// What the rows say all together.
    #[must_use]
    pub fn sums(&self) -> Sums {
        self.sums
    }

    /// Name, number and numbers of each group, longest wait first.
    #[must_use]
    pub fn sorted(&self) -> Vec<(&str, u32, &Group)> {
        let mut sorted: Vec<_> = self
            .by_name
            .iter()
            .filter_map(|(name, &number)| Some((name.as_str(), number, self.groups.get(number as usize)?)))
            .collect();
        sorted.sort_by_key(|&(name, _, group)| {
            let Share { faults, wall_ns, .. } = group.once;
            (Reverse(faults.wait_ns), Reverse(wall_ns), name)
        });
        sorted
    }

    /// Whether some query has no known duration.
    #[must_use]
    pub(crate) fn has_incomplete(&self) -> bool {
        self.groups.iter().any(|group| group.incomplete > 0)
    }

    /// The table that the rows alone give.
    #[must_use]
    pub fn table(&self) -> Table {
        let sorted = self.sorted();
        Table {
            heads: HEADS.to_vec(),
            rows: sorted.iter().map(|(name, _, group)| cells(name, group)).collect(),
            total: None,
        }
    }

    /// Queries whose begin or end is not known, in words.
    #[must_use]
    pub(crate) fn describe_incomplete(&self) -> Option<String> {
        let sums = self.sums;
        let parts = [
            (sums.begun_before, "began before the recording"),
            (sums.open, "still ran at its end"),
            (sums.abandoned, "had no end"),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", grouped(*count)))
            .collect();
        (!parts.is_empty()).then(|| {
            format!(
                "of {} {}: their duration is not known, so WALL and SHARE_% leave them out",
                match sums.queries {
                    1 => "1 query".to_owned(),
                    queries => format!("{} queries", grouped(queries)),
                },
                parts.join(", ")
            )
        })
    }

    /// One sentence for each of the first `count` names with a wait, of which no more than `width` characters are told.
    #[must_use]
    pub fn sentences(&self, count: usize, width: usize) -> Vec<String> {
        let sorted = self.sorted();
        let waiting = sorted
            .iter()
            .filter(|(_, _, group)| group.once.faults.wait_ns > 0);
        let waiting = waiting.take(count);
        waiting
            .map(|(name, _, group)| sentence(&keep_start(name, width), group))
            .collect()
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there is no query.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

fn sentence(name: &str, group: &Group) -> String {
    let Share {
        faults,
        wall_ns,
        wait_in_wall_ns,
    } = group.once;
    let times = match group.count {
        1 => String::new(),
        count => format!(", {} times", grouped(count)),
    };
    if wall_ns == 0 {
        let wait = duration(faults.wait_ns);
        return format!("query {name} waited {wait} in page faults{times}; how long it took is not known");
    }
    format!(
        "{} of the time of query {name} was page-fault wait: {} of {}{times}",
        percent(u128::from(wait_in_wall_ns), u128::from(wall_ns)),
        duration(wait_in_wall_ns),
        duration(wall_ns),
    )
}

const HEADS: [ColumnHead; 12] = [
    ColumnHead::new("query"),
    ColumnHead::new("count"),
    ColumnHead::new("wall_p50_ms"),
    ColumnHead::new("wall_p99_ms"),
    ColumnHead::new("wall_max_ms"),
    ColumnHead::new("wait_ms"),
    ColumnHead::new("wait_p50_ms"),
    ColumnHead::new("wait_p99_ms"),
    ColumnHead::new("wait_max_ms"),
    ColumnHead::new("share_percent"),
    ColumnHead::new("major"),
    ColumnHead::new("minor"),
];

/// The cells under these heads.
fn cells(name: &str, group: &Group) -> Vec<Value> {
    let known = group.wall.count() > 0;
    let wall = |value| if known { Value::Ms(value) } else { Value::Null };
    let share = Value::Percent {
        part: group.once.wait_in_wall_ns,
        whole: group.once.wall_ns,
    };
    vec![
        Value::Prose(name.to_owned()),
        Value::Count(group.count),
        wall(group.wall.quantile(50_000)),
        wall(group.wall.quantile(99_000)),
        wall(group.wall.max()),
        Value::Ms(group.once.faults.wait_ns),
        Value::Ms(group.wait.quantile(50_000)),
        Value::Ms(group.wait.quantile(99_000)),
        Value::Ms(group.wait.max()),
        if known { share } else { Value::Null },
        Value::Count(group.once.faults.majors),
        Value::Count(group.once.faults.minors),
    ]
}
