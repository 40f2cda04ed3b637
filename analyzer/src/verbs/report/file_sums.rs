//! What the report says of files and kinds of memory: [`crate::verbs::files`] has more columns, and takes longer.

use crate::engine::partition::Piece;
use crate::output::table::{Table, Value};
use crate::stats::bounded_map::Sum;
use crate::stats::by_class::FAILED;
use crate::stats::by_object::Objects;
use crate::stats::histogram::extent_of;
use crate::stats::page_set::PageSet;
use crate::trace::class::{Class, ClassBits};
use crate::trace::sampling::Sampling;
use crate::trace::session::Session;
use crate::verbs::files::{HEADS, pages_head};
use crate::verbs::report::findings::FileFacts;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default)]
struct Sums {
    /// In the order of [`Class::ALL`].
    counts: [u64; 3],
    wait_ns: u128,
    max_ns: u64,
    pages: u64,
}

impl Sums {
    /// Sums of a piece.
    fn of(piece: &Piece<'_>, sampling: Sampling) -> Self {
        let (_, longest_ns, wait_ns) = extent_of(piece.faults.waits_ns);
        let mut counts = ClassBits::counts(piece.bits);
        for (count, class) in counts.iter_mut().zip(Class::ALL) {
            *count = count.saturating_mul(sampling.weight(class));
        }
        // A wait is the latency of all faults that one stands for.
        let max_ns = if sampling.is_sampled() {
            extent_of(piece.faults.latencies_ns).1
        } else {
            longest_ns
        };
        Self {
            counts,
            wait_ns,
            max_ns,
            pages: 0,
        }
    }

    fn merge(&mut self, other: &Self) {
        for (count, other) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(other);
        }
        self.wait_ns = self.wait_ns.saturating_add(other.wait_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.pages = self.pages.saturating_add(other.pages);
    }

    fn row(&self, label: &str, has_failed: bool) -> Vec<Value> {
        let [major, minor, failed] = self.counts;
        let count = self.counts.into_iter().map(u128::from).sum::<u128>();
        let ms = |ns: u128| Value::Ms(u64::try_from(ns).unwrap_or(u64::MAX));
        let mut row = vec![
            Value::Text(label.to_owned()),
            Value::Count(major),
            Value::Count(minor),
            ms(self.wait_ns),
            ms(self.wait_ns.checked_div(count).unwrap_or(0)),
            Value::Ms(self.max_ns),
            Value::Count(self.pages),
        ];
        row.extend(has_failed.then_some(Value::Count(failed)));
        row
    }
}

#[derive(Clone, Debug, Default)]
struct Counted {
    sums: Sums,
    pages: PageSet,
}

impl Sum for Counted {
    fn weight(&self) -> u128 {
        self.sums.wait_ns
    }

    fn merge(&mut self, other: Self) {
        self.sums.merge(&other.sums);
        self.sums.pages = self.sums.pages.saturating_add(other.pages.len());
    }
}

/// Sums by object.
#[derive(Debug, Default)]
pub struct FileSums {
    objects: Objects<Counted>,
}

impl FileSums {
    /// Adds faults of a file by its pages, and others by those of their process.
    pub fn add(&mut self, piece: &Piece<'_>, session: &Session) {
        let slot = self.objects.slot(piece.object, session);
        // Nameless pages of two processes are different pages.
        let space = if piece.by_object { 0 } else { piece.pid };
        let counted = &mut self.objects.at(slot).counted;
        counted.sums.merge(&Sums::of(piece, session.sampling()));
        counted.pages.insert_all(space, piece.faults.pages);
    }

    fn by_label(&self, session: &Session) -> Vec<(String, Sums)> {
        let add = |sums: &mut Sums, counted: &Counted| {
            sums.merge(&counted.sums);
            sums.pages = sums.pages.saturating_add(counted.pages.len());
        };
        self.objects.by_label(session, add, |sums| sums.wait_ns)
    }

    /// Whether numbers of pages are estimates.
    #[must_use]
    pub(crate) fn has_estimates(&self) -> bool {
        self.objects
            .iter()
            .any(|object| object.counted.pages.is_estimate())
    }

    /// What the last row is, where there are others.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        self.objects.remark()
    }

    /// What is told in words; `again` has the reads that were not the first of their page.
    #[must_use]
    pub fn facts(&self, again: &BTreeMap<String, u64>, session: &Session) -> Vec<FileFacts> {
        let facts = self.by_label(session).into_iter().map(|(label, sums)| FileFacts {
            again: again.get(&label).copied().unwrap_or(0),
            label,
            majors: sums.counts.first().copied().unwrap_or(0),
            wait_ns: u64::try_from(sums.wait_ns).unwrap_or(u64::MAX),
        });
        facts.collect()
    }

    /// The table, longest wait first.
    #[must_use]
    pub fn table(&self, session: &Session) -> Table {
        let labels = self.by_label(session);
        let mut total = Sums::default();
        labels.iter().for_each(|(_, sums)| total.merge(sums));
        let has_failed = total.counts.get(Class::Failed as usize) > Some(&0);
        let rows: Vec<_> = labels
            .iter()
            .map(|(label, sums)| sums.row(label, has_failed))
            .collect();
        let mut heads = HEADS.to_vec();
        heads.push(pages_head(session.sampling()));
        heads.extend(has_failed.then_some(FAILED));
        Table {
            heads,
            total: (!rows.is_empty()).then(|| total.row("total", has_failed)),
            rows,
        }
    }
}
