//! What the report says of files and kinds of memory: [`crate::query::files`] has more columns, and takes longer.

use crate::breakdown;
use crate::class::{self, Class, ClassBits};
use crate::error::AnalyzeError;
use crate::findings::FileFacts;
use crate::frame::{u32s, u64s};
use crate::histogram::extent_of;
use crate::pages::PageSet;
use crate::query::classes::{self, FAILED, Rows};

use crate::query::files::{HEADS, pages_head};
use crate::query::objects::Objects;
use crate::runs::{part, runs};
use crate::scan::Query;
use crate::schema::Column;
use crate::session::Session;
use crate::table::{Table, Value};
use polars::prelude::DataFrame;
use std::ops::Range;

#[derive(Clone, Debug, Default)]
struct Sums {
    /// In the order of [`Class::ALL`].
    counts: [u64; 3],
    wait_ns: u128,
    max_ns: u64,
    pages: u64,
}

impl Sums {
    fn add(&mut self, rows: &Rows<'_>, run: Range<usize>) {
        let (latencies_ns, bits) = (part(rows.latencies_ns, &run), part(rows.bits, &run));
        let mut sums = Self {
            counts: class::counts(bits),
            ..Self::default()
        };
        if rows.is_sampled() {
            for (&latency_ns, &bits) in latencies_ns.iter().zip(bits) {
                let weight = rows.weight(ClassBits(bits).class());
                let wait_ns = u128::from(latency_ns).wrapping_mul(u128::from(weight));
                sums.wait_ns = sums.wait_ns.saturating_add(wait_ns);
                sums.max_ns = sums.max_ns.max(latency_ns);
            }
            for (count, class) in sums.counts.iter_mut().zip(Class::ALL) {
                *count = count.saturating_mul(rows.weight(class));
            }
        } else {
            (_, sums.max_ns, sums.wait_ns) = extent_of(latencies_ns);
        }
        self.merge(&sums);
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

/// Sums by object.
#[derive(Debug, Default)]
pub struct FileSums {
    objects: Objects<Counted>,
}

impl Query for FileSums {
    fn columns(&self) -> Vec<Column> {
        let own = [Column::Pid, Column::Address, Column::ObjectId, Column::ObjectPage];
        [&own[..], &classes::COLUMNS, &breakdown::COLUMNS].concat()
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let pids = u32s(frame, Column::Pid)?;
        let ids = u32s(frame, Column::ObjectId)?;
        let addresses = u64s(frame, Column::Address)?;
        let pages = u64s(frame, Column::ObjectPage)?;
        let rows = Rows::of(frame, session)?;
        let to_page = session.to_page();
        for run in runs(pids, ids) {
            let (Some(&pid), Some(&id)) = (pids.get(run.start), ids.get(run.start)) else {
                continue;
            };
            let slot = self.objects.slot(id, session);
            let Some(object) = self.objects.get_mut(slot) else {
                continue;
            };
            let (is_file, counted) = (object.is_file, &mut object.counted);
            counted.sums.add(&rows, run.clone());
            // Nameless pages of two processes are different pages.
            if is_file {
                part(pages, &run)
                    .iter()
                    .for_each(|&page| counted.pages.insert(0, page));
            } else {
                let pages = part(addresses, &run).iter().map(|&address| to_page(address));
                pages.for_each(|page| counted.pages.insert(pid, page));
            }
        }
        Ok(())
    }
}

impl FileSums {
    fn by_label(&self, session: &Session) -> Vec<(String, Sums)> {
        let add = |sums: &mut Sums, counted: &Counted| {
            sums.merge(&counted.sums);
            sums.pages = sums.pages.saturating_add(counted.pages.len());
        };
        self.objects.by_label(session, add, |sums| sums.wait_ns)
    }

    /// Whether numbers of pages are estimates.
    #[must_use]
    pub fn has_estimates(&self) -> bool {
        self.objects
            .iter()
            .any(|object| object.counted.pages.is_estimate())
    }

    /// What is told in words.
    #[must_use]
    pub fn facts(&self, session: &Session) -> Vec<FileFacts> {
        let is_sampled = session.sampling().is_sampled();
        let facts = self.by_label(session).into_iter().map(|(label, sums)| FileFacts {
            label,
            majors: sums.counts.first().copied().unwrap_or(0),
            wait_ns: u64::try_from(sums.wait_ns).unwrap_or(u64::MAX),
            pages: (!is_sampled).then_some(sums.pages),
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
