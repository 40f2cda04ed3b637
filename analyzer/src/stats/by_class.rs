//! Latency by class, the summary that several verbs share.

use crate::engine::columns::Column;
use crate::engine::frame::{u8s, u64s};
use crate::engine::runs::part;
use crate::error::AnalyzeError;
use crate::output::table::{ColumnHead, Value};
use crate::output::units::{duration, grouped};
use crate::stats::bounded_map::Sum;
use crate::stats::breakdown::{self, PartColumns, Parts, PartsByClass, Spent};
use crate::stats::histogram::Histogram;
use crate::trace::class::{Class, ClassBits};
use crate::trace::sampling::Sampling;
use crate::trace::session::Session;
use polars::prelude::DataFrame;
use std::ops::Range;

/// The columns behind [`faults`].
pub const COLUMNS: [Column; 2] = [Column::LatencyNs, Column::ClassBits];

/// The head of the column that tables have when a fault failed.
pub const FAILED: ColumnHead = ColumnHead::new("failed");

/// Rows that are sorted by class at once: 4 KiB of latencies.
const CHUNK: usize = 512;

/// At most [`CHUNK`] latencies of two classes apart: those of the first from the front on, those of the second from the back.
/// Every value is written to both ends, which move on where it counts: there is no branch to be mispredicted.
struct Apart([u64; CHUNK]);

impl Default for Apart {
    fn default() -> Self {
        Self([0; CHUNK])
    }
}

impl Apart {
    /// The latencies of `class`, and the others.
    fn by<'a>(&'a mut self, class: Class, latencies_ns: &[u64], bits: &[u8]) -> (&'a [u64], &'a [u64]) {
        let room = latencies_ns.len().min(CHUNK);
        let values = self.0.get_mut(..room).unwrap_or_default();
        let (mut front, mut back) = (0usize, room);
        for (&latency_ns, &bits) in latencies_ns.iter().zip(bits) {
            let is_first = usize::from(ClassBits(bits).class() == class);
            for place in [front, back.wrapping_sub(1)] {
                if let Some(value) = values.get_mut(place) {
                    *value = latency_ns;
                }
            }
            front = front.wrapping_add(is_first);
            back = back.wrapping_sub(1 - is_first);
        }
        values.split_at_checked(front).unwrap_or_default()
    }
}

/// What summaries look at of the rows of a block.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Entry to completion.
    pub latencies_ns: &'a [u64],
    /// How they ended, for [`ClassBits`].
    pub bits: &'a [u8],
    parts: PartColumns<'a>,
    sampling: Sampling,
}

impl<'a> Rows<'a> {
    /// Of a frame.
    ///
    /// # Errors
    /// When the query did not declare [`COLUMNS`] and those of the breakdown.
    pub fn of(frame: &'a DataFrame, session: &Session) -> Result<Self, AnalyzeError> {
        Ok(Self {
            latencies_ns: u64s(frame, Column::LatencyNs)?,
            bits: u8s(frame, Column::ClassBits)?,
            parts: PartColumns::of(frame)?,
            sampling: session.sampling(),
        })
    }

    /// As [`Rows::of`], for a query that does not ask where the time went.
    ///
    /// # Errors
    /// When the query did not declare [`COLUMNS`].
    pub(crate) fn without_parts(frame: &'a DataFrame, session: &Session) -> Result<Self, AnalyzeError> {
        Ok(Self {
            latencies_ns: u64s(frame, Column::LatencyNs)?,
            bits: u8s(frame, Column::ClassBits)?,
            parts: PartColumns::default(),
            sampling: session.sampling(),
        })
    }

    /// Whether rows of some class stand for more than one fault.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.sampling.is_sampled()
    }

    /// How many faults a row of this class stands for.
    #[must_use]
    pub fn weight(&self, class: Class) -> u64 {
        self.sampling.weight(class)
    }
}

/// What summaries look at of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Entry to completion.
    pub latency_ns: u64,
    /// How it ended.
    pub class: Class,
    /// How many faults the row stands for.
    pub weight: u64,
    /// Failed in nothing, see [`Abandoned`].
    pub is_abandoned: bool,
    /// Where the latency went, if that was recorded and asked for.
    pub breakdown: Option<Spent>,
}

/// Accesses that were interrupted, and not tried again by their thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abandoned {
    /// How many.
    pub count: u64,
    /// What they waited.
    pub wait_ns: u64,
}

impl Abandoned {
    fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.wait_ns = self.wait_ns.saturating_add(other.wait_ns);
    }
}

/// Latencies of major, minor and failed faults, by weight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    /// Faults that needed I/O.
    pub major: Histogram,
    /// Faults that did not.
    pub minor: Histogram,
    /// Faults that did not complete.
    pub failed: Histogram,
    /// Those among them that failed in nothing: they were interrupted, and no later attempt of their thread completed them.
    pub abandoned: Abandoned,
    /// Where the time went.
    pub parts: PartsByClass,
}

impl Sum for Classes {
    fn weight(&self) -> u128 {
        self.wait_ns().into()
    }

    fn merge(&mut self, other: Self) {
        Self::merge(self, &other);
    }
}

impl Classes {
    /// Adds one row.
    pub fn add(&mut self, fault: &Fault) {
        self.of_mut(fault.class).add_times(fault.latency_ns, fault.weight);
        if fault.is_abandoned {
            self.abandoned.add(Abandoned {
                count: fault.weight,
                wait_ns: fault.latency_ns.saturating_mul(fault.weight),
            });
        }
        if let Some(breakdown) = &fault.breakdown {
            self.parts
                .add(fault.class, fault.latency_ns, breakdown, fault.weight);
        }
    }

    /// Adds some rows of a block, faster than one by one, and says how many of each class they are.
    pub(crate) fn add_rows(&mut self, rows: &Rows<'_>, range: Range<usize>) -> [u64; 3] {
        let (latencies_ns, bits) = (part(rows.latencies_ns, &range), part(rows.bits, &range));
        let mut apart = None;
        let mut all = [0u64; 3];
        for (latencies_ns, bits) in latencies_ns.chunks(CHUNK).zip(bits.chunks(CHUNK)) {
            let counts = ClassBits::counts(bits);
            all.iter_mut()
                .zip(counts)
                .for_each(|(sum, count)| *sum = sum.saturating_add(count));
            let [.., failed] = counts;
            if failed > 0 {
                let rows = latencies_ns.iter().zip(bits);
                let abandoned = rows.filter(|(_, bits)| ClassBits(**bits).is_abandoned());
                abandoned.for_each(|(&wait_ns, _)| self.abandoned.add(Abandoned { count: 1, wait_ns }));
            }
            let counts = Class::ALL.into_iter().zip(counts);
            let mut present = counts.filter(|&(_, count)| count > 0).map(|(class, _)| class);
            match (present.next(), present.next(), present.next()) {
                (Some(class), None, _) => self.of_mut(class).add_all(latencies_ns, rows.weight(class)),
                (Some(first), Some(second), None) => {
                    let apart = apart.get_or_insert_with(Apart::default);
                    let (values, others) = apart.by(first, latencies_ns, bits);
                    self.of_mut(first).add_all(values, rows.weight(first));
                    self.of_mut(second).add_all(others, rows.weight(second));
                }
                _ => {
                    for (&latency_ns, &bits) in latencies_ns.iter().zip(bits) {
                        let class = ClassBits(bits).class();
                        self.of_mut(class).add_times(latency_ns, rows.weight(class));
                    }
                }
            }
        }
        let parts = range.filter_map(|row| Some((row, rows.parts.row(row)?)));
        for ((row, parts), class) in parts.zip(bits.iter().map(|&bits| ClassBits(bits).class())) {
            let latency_ns = rows.latencies_ns.get(row).copied().unwrap_or(0);
            self.parts.add(class, latency_ns, &parts, rows.weight(class));
        }
        all
    }

    /// Adds what `other` has.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.major.merge(&other.major);
        self.minor.merge(&other.minor);
        self.failed.merge(&other.failed);
        self.abandoned.add(other.abandoned);
        self.parts.merge(&other.parts);
    }

    /// The latencies of one class.
    #[must_use]
    pub fn of(&self, class: Class) -> &Histogram {
        match class {
            Class::Major => &self.major,
            Class::Minor => &self.minor,
            Class::Failed => &self.failed,
        }
    }

    fn of_mut(&mut self, class: Class) -> &mut Histogram {
        match class {
            Class::Major => &mut self.major,
            Class::Minor => &mut self.minor,
            Class::Failed => &mut self.failed,
        }
    }

    /// All classes together: a thread stands still in a failed fault, too.
    #[must_use]
    pub fn all(&self) -> Histogram {
        let mut all = self.major.clone();
        all.merge(&self.minor);
        all.merge(&self.failed);
        all
    }

    /// Number of faults.
    #[must_use]
    pub fn count(&self) -> u64 {
        let counts = Class::ALL.map(|class| self.of(class).count());
        counts.into_iter().fold(0, u64::saturating_add)
    }

    /// Time waited, nanoseconds.
    #[must_use]
    pub fn wait_ns(&self) -> u64 {
        let waits = Class::ALL.map(|class| self.of(class).sum());
        waits.into_iter().fold(0, u64::saturating_add)
    }

    /// The cells MAJOR MINOR TOTAL_MS AVG_MS MAX_MS, which several tables share.
    #[must_use]
    pub fn wait_cells(&self) -> Vec<Value> {
        let all = self.all();
        vec![
            Value::Count(self.major.count()),
            Value::Count(self.minor.count()),
            Value::Ms(all.sum()),
            Value::Ms(all.mean()),
            Value::Ms(all.max()),
        ]
    }

    /// Those that failed, without those that were abandoned.
    #[must_use]
    pub(crate) fn failed_count(&self) -> u64 {
        self.failed.count().saturating_sub(self.abandoned.count)
    }

    /// What a table with failed faults says of them.
    #[must_use]
    pub(crate) fn describe_failed(&self) -> Vec<String> {
        let failed = match self.failed_count() {
            0 => None,
            1 => Some("1 fault failed; it is neither major nor minor, and its wait counts".to_owned()),
            count => Some(format!(
                "{} faults failed; they are neither major nor minor, and their waits count",
                grouped(count)
            )),
        };
        let abandoned = (self.abandoned.count > 0).then(|| {
            format!(
                "{} interrupted by a signal and completed by no later attempt of its thread, which did not return to the access, \
                 or found the page there: listed with the failed faults, and {} waited in all",
                match self.abandoned.count {
                    1 => "1 access was".to_owned(),
                    count => format!("{} accesses were each", grouped(count)),
                },
                duration(self.abandoned.wait_ns)
            )
        });
        failed.into_iter().chain(abandoned).collect()
    }

    /// Which further columns a table about these faults has.
    #[must_use]
    pub(crate) fn extras(&self) -> Extras {
        Extras {
            has_failed: self.failed.count() > 0,
            has_parts: self.parts.is_recorded(),
        }
    }
}

/// Columns that a table has only when there is something in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extras {
    /// FAILED.
    pub has_failed: bool,
    /// BLOCKED_MS and the others.
    pub has_parts: bool,
}

impl Extras {
    /// FAILED, if any fault of the whole table failed.
    #[must_use]
    pub(crate) fn failed_head(self) -> Option<ColumnHead> {
        self.has_failed.then_some(FAILED)
    }

    /// Its cell in one row.
    #[must_use]
    pub(crate) fn failed_cell(self, classes: &Classes) -> Option<Value> {
        self.has_failed.then(|| Value::Count(classes.failed.count()))
    }

    /// Heads of the breakdown, if the table has one.
    #[must_use]
    pub(crate) fn part_heads(self) -> Vec<ColumnHead> {
        if self.has_parts {
            breakdown::HEADS.to_vec()
        } else {
            Vec::new()
        }
    }

    /// Cells of the breakdown in one row.
    #[must_use]
    pub fn part_cells(self, parts: &Parts) -> Vec<Value> {
        if self.has_parts { parts.cells() } else { Vec::new() }
    }
}

/// Every row, without its breakdown.
///
/// # Errors
/// When the query did not declare [`COLUMNS`].
pub fn faults<'a>(
    frame: &'a DataFrame,
    session: &Session,
) -> Result<impl Iterator<Item = Fault> + use<'a>, AnalyzeError> {
    let sampling = session.sampling();
    let latencies = u64s(frame, Column::LatencyNs)?.iter();
    let bits = u8s(frame, Column::ClassBits)?.iter();
    Ok(latencies.zip(bits).map(move |(&latency_ns, &bits)| {
        let class = ClassBits(bits).class();
        Fault {
            latency_ns,
            class,
            weight: sampling.weight(class),
            is_abandoned: ClassBits(bits).is_abandoned(),
            breakdown: None,
        }
    }))
}
