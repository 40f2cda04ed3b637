//! Faults by cause, with the file and the function of the kernel in which most of the wait was.

use crate::engine::columns::Column;
use crate::engine::frame::{u8s, u32s, u64s};
use crate::engine::scan::Pass;
use crate::engine::witnesses::functions;
use crate::error::AnalyzeError;
use crate::output::table::{ColumnHead, Table, Value};
use crate::output::units::quantity;
use crate::stats::bounded_map::{Kept, Sum};
use crate::stats::histogram::Histogram;
use crate::trace::cause::Cause;
use crate::trace::class::ClassBits;
use crate::trace::session::Session;
use crate::trace::sleep::witness_of;
use polars::prelude::DataFrame;
use std::collections::BTreeMap;

/// The columns: a contract.
pub const HEADS: [ColumnHead; 12] = [
    ColumnHead::new("cause"),
    ColumnHead::new("count"),
    ColumnHead::new("total_ms"),
    ColumnHead::new("wait_percent"),
    ColumnHead::new("avg_ms"),
    ColumnHead::new("p50_us"),
    ColumnHead::new("p99_us"),
    ColumnHead::new("max_ms"),
    ColumnHead::new("pages_read"),
    ColumnHead::new("top_file"),
    ColumnHead::new("top_function"),
    ColumnHead::new("wait_ns"),
];

/// Columns that give way to a narrow terminal, the first first.
pub(crate) const DROP_ORDER: [&str; 7] = [
    "wait_ns",
    "avg_ms",
    "p50_us",
    "max_ms",
    "p99_us",
    "pages_read",
    "top_function",
];

/// What is known of one cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CauseFacts {
    /// Which.
    pub cause: Cause,
    /// Faults.
    pub count: u64,
    /// Time waited in them.
    pub wait_ns: u64,
    /// Pages that they added to the page cache, where that was looked at.
    pub pages_read: Option<u64>,
    /// File or kind of memory with most of that time.
    pub label: String,
}

/// What faults of one file brought into the page cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadFacts {
    /// Path.
    pub label: String,
    /// Faults in it, whatever their cause.
    pub faults: u64,
    /// Pages that they added to the page cache.
    pub pages_read: u64,
    /// Time waited for pages that were being read.
    pub wait_ns: u64,
}

/// The same of one object.
#[derive(Clone, Copy, Debug, Default)]
struct Reads {
    faults: u64,
    pages_read: u64,
    wait_ns: u64,
}

impl Sum for Reads {
    fn weight(&self) -> u128 {
        self.wait_ns.into()
    }

    fn merge(&mut self, other: Self) {
        self.faults = self.faults.saturating_add(other.faults);
        self.pages_read = self.pages_read.saturating_add(other.pages_read);
        self.wait_ns = self.wait_ns.saturating_add(other.wait_ns);
    }
}

/// A wait that adds up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wait(pub(super) u128);

impl Sum for Wait {
    fn weight(&self) -> u128 {
        self.0
    }

    fn merge(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }
}

/// The faults of one cause, by weight.
#[derive(Clone, Debug, Default)]
struct OfCause {
    latencies: Histogram,
    pages_read: u64,
    sees_pages: bool,
}

impl OfCause {
    fn merge(&mut self, other: &Self) {
        self.latencies.merge(&other.latencies);
        self.pages_read = self.pages_read.saturating_add(other.pages_read);
        self.sees_pages |= other.sees_pages;
    }
}

/// Collects faults by cause.
#[derive(Debug, Default)]
pub struct Causes {
    causes: BTreeMap<Cause, OfCause>,
    files: Kept<(u8, u32), Wait>,
    reads: Kept<u32, Reads>,
    sleeps: Kept<(u8, u32), Wait>,
    /// Rows of which nobody looked for a cause.
    unseen: u64,
}

impl Pass for Causes {
    fn columns(&self) -> Vec<Column> {
        vec![
            Column::CauseCode,
            Column::ClassBits,
            Column::LatencyNs,
            Column::ObjectId,
            Column::PagesRead,
            Column::SleepStackId,
        ]
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let codes = frame.column(Column::CauseCode.name())?;
        // Asked first: looking at the values would make a row for every null.
        if codes.null_count() == codes.len() {
            self.unseen = self.unseen.saturating_add(codes.len() as u64);
            return Ok(());
        }
        let codes = codes.u8()?;
        let pages = frame.column(Column::PagesRead.name())?.u32()?;
        let sleeps = frame.column(Column::SleepStackId.name())?.u32()?;
        let objects = u32s(frame, Column::ObjectId)?.iter();
        let faults = u64s(frame, Column::LatencyNs)?
            .iter()
            .zip(u8s(frame, Column::ClassBits)?);
        let sampling = session.sampling();
        let seen = codes.iter().zip(pages.iter()).zip(sleeps.iter());
        for (((code, pages), sleep), (&object, (&latency_ns, &bits))) in seen.zip(objects.zip(faults)) {
            let weight = sampling.weight(ClassBits(bits).class());
            let Some(code) = code else {
                self.unseen = self.unseen.saturating_add(1);
                continue;
            };
            let cause = self.causes.entry(Cause::from_code(code)).or_default();
            cause.latencies.add_times(latency_ns, weight);
            cause.sees_pages |= pages.is_some();
            let pages = u64::from(pages.unwrap_or(0)).saturating_mul(weight);
            cause.pages_read = cause.pages_read.saturating_add(pages);
            let is_read = matches!(Cause::from_code(code), Cause::Read | Cause::ReadWait);
            self.reads.of(object).merge(Reads {
                faults: weight,
                pages_read: pages,
                wait_ns: if is_read {
                    latency_ns.saturating_mul(weight)
                } else {
                    0
                },
            });
            let wait = Wait(u128::from(latency_ns) * u128::from(weight));
            self.files.of((code, object)).merge(wait);
            if let Some(stack) = sleep {
                self.sleeps.of((code, stack)).merge(wait);
            }
        }
        Ok(())
    }
}

impl Causes {
    /// Whether anybody looked for causes.
    #[must_use]
    pub(crate) fn are_known(&self) -> bool {
        !self.causes.is_empty()
    }

    /// What a report weighs, longest wait first.
    #[must_use]
    pub(crate) fn facts(&self, session: &Session) -> Vec<CauseFacts> {
        let facts = |(&cause, of): (&Cause, &OfCause)| CauseFacts {
            cause,
            count: of.latencies.count(),
            wait_ns: of.latencies.sum(),
            pages_read: of.sees_pages.then_some(of.pages_read),
            label: largest(&self.files, cause)
                .map_or_else(String::new, |id| session.dicts.label(id).into_owned()),
        };
        let mut all: Vec<CauseFacts> = self.causes.iter().map(facts).collect();
        all.sort_by_key(|of| (std::cmp::Reverse(of.wait_ns), of.cause));
        all
    }

    /// What faults brought in, by the name of the file.
    #[must_use]
    pub(crate) fn reads(&self, session: &Session) -> Vec<ReadFacts> {
        let mut by_label: BTreeMap<String, Reads> = BTreeMap::new();
        for (&id, reads) in self.reads.iter().filter(|(_, reads)| reads.pages_read > 0) {
            let label = session.dicts.label(id).into_owned();
            by_label.entry(label).or_default().merge(*reads);
        }
        let facts = by_label.into_iter().map(|(label, reads)| ReadFacts {
            label,
            faults: reads.faults,
            pages_read: reads.pages_read,
            wait_ns: reads.wait_ns,
        });
        facts.collect()
    }

    /// The table, longest wait first.
    #[must_use]
    pub fn table(&self, session: &Session) -> Table {
        let whole = self.causes.values().map(|of| of.latencies.sum());
        let whole = whole.fold(0, u64::saturating_add);
        let mut causes: Vec<_> = self.causes.iter().collect();
        causes.sort_by_key(|&(&cause, of)| (std::cmp::Reverse(of.latencies.sum()), cause));
        let mut total = OfCause::default();
        causes.iter().for_each(|(_, of)| total.merge(of));
        let rows: Vec<_> = causes
            .into_iter()
            .map(|(&cause, of)| self.row(cause, of, whole, session))
            .collect();
        let total = || of_all("total", &total, whole, (Value::Null, Value::Null));
        Table {
            heads: HEADS.to_vec(),
            total: (!rows.is_empty()).then(total),
            rows,
        }
    }

    fn row(&self, cause: Cause, of: &OfCause, whole: u64, session: &Session) -> Vec<Value> {
        let text = |name: Option<String>| name.map_or(Value::Null, Value::Text);
        let file = largest(&self.files, cause).map(|object| session.dicts.label(object).into_owned());
        // What a fault slept for is not what it waited for, where that was a CPU.
        let sums = (cause != Cause::Preempted).then(|| self.sums_by_function(cause, session));
        let function = sums.unwrap_or_default();
        let function = function
            .into_iter()
            .max_by_key(|(_, wait)| *wait)
            .map(|(name, _)| name);
        of_all(cause.name(), of, whole, (text(file), text(function)))
    }

    /// What was slept in the functions that tell the cause.
    fn sums_by_function(&self, cause: Cause, session: &Session) -> BTreeMap<String, u128> {
        let mut sums: BTreeMap<String, u128> = BTreeMap::new();
        for (&(code, stack), wait) in self.sleeps.iter() {
            if code == cause.code()
                && let Some(name) = witness_of(functions(&session.dicts.stacks, stack))
            {
                *sums.entry(name.to_owned()).or_default() += wait.0;
            }
        }
        sums
    }

    /// What the table does not tell.
    #[must_use]
    pub(crate) fn remarks(&self) -> Vec<String> {
        match (self.are_known(), self.unseen) {
            (_, 0) => Vec::new(),
            (true, unseen) => vec![format!(
                "{} without a look at their cause",
                quantity(unseen, "fault")
            )],
            (false, _) => {
                vec!["this recording did not look for causes: record with pfrec --causes".to_owned()]
            }
        }
    }
}

/// A row.
fn of_all(name: &str, of: &OfCause, whole: u64, (file, function): (Value, Value)) -> Vec<Value> {
    let latencies = &of.latencies;
    vec![
        Value::Text(name.to_owned()),
        Value::Count(latencies.count()),
        Value::Ms(latencies.sum()),
        Value::Percent {
            part: latencies.sum(),
            whole,
        },
        Value::Ms(latencies.mean()),
        Value::Us(latencies.quantile(50_000)),
        Value::Us(latencies.quantile(99_000)),
        Value::Ms(latencies.max()),
        if of.sees_pages {
            Value::Count(of.pages_read)
        } else {
            Value::Null
        },
        file,
        function,
        Value::Count(latencies.sum()),
    ]
}

/// Whose wait is the longest for this cause.
fn largest(waits: &Kept<(u8, u32), Wait>, cause: Cause) -> Option<u32> {
    let of_cause = waits.iter().filter(|((code, _), _)| *code == cause.code());
    let longest = of_cause.max_by_key(|&(&(_, id), wait)| (wait.0, std::cmp::Reverse(id)));
    longest.map(|(&(_, id), _)| id)
}
