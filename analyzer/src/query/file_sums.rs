//! What the report says of files and kinds of memory: [`crate::query::files`] has more columns, and takes longer.

use crate::breakdown;
use crate::bytes;
use crate::class::{Class, ClassBits};
use crate::error::AnalyzeError;
use crate::findings::FileFacts;
use crate::frame::{u32s, u64s};
use crate::histogram::Extent;
use crate::pages::PageSet;
use crate::query::classes::{self, FAILED, Rows};
use crate::query::files::{HEADS, pages_head};
use crate::query::objects::Objects;
use crate::runs::{Group, Groups};
use crate::scan::Query;
use crate::schema::Column;
use crate::session::Session;
use crate::table::{Table, Value};
use multiversion::multiversion;
use polars::prelude::DataFrame;

/// Rows from which on vectors pay.
const SHORT: usize = 32;

#[derive(Clone, Debug, Default)]
struct Sums {
    /// In the order of [`Class::ALL`].
    counts: [u64; 3],
    wait_ns: u128,
    max_ns: u64,
    pages: u64,
}

impl Sums {
    fn add(&mut self, rows: &Rows<'_>, group: &Group) {
        let mut sums = Self::default();
        if rows.is_sampled() {
            let latencies_ns = group.parts(rows.latencies_ns).flatten();
            for (&latency_ns, &bits) in latencies_ns.zip(group.parts(rows.bits).flatten()) {
                let class = ClassBits(bits).class();
                let weight = rows.weight(class);
                let wait_ns = u128::from(latency_ns).wrapping_mul(u128::from(weight));
                sums.wait_ns = sums.wait_ns.saturating_add(wait_ns);
                sums.max_ns = sums.max_ns.max(latency_ns);
                if let Some(count) = sums.counts.get_mut(class as usize) {
                    *count = count.saturating_add(weight);
                }
            }
        } else {
            sums = sums_of(group, rows.latencies_ns, rows.bits);
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

/// The sums of rows that stand for themselves. Short runs are added up by one loop, which needs no vectors.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn sums_of(group: &Group, latencies_ns: &[u64], bits: &[u8]) -> Sums {
    let mut extent = Extent::default();
    let (mut rows, mut majors, mut failed) = (0u64, 0u64, 0u64);
    for (latencies_ns, bits) in group.parts(latencies_ns).zip(group.parts(bits)) {
        rows = rows.wrapping_add(bits.len() as u64);
        if bits.len() < SHORT {
            for (&latency_ns, &bits) in latencies_ns.iter().zip(bits) {
                extent.add(latency_ns);
                majors = majors.wrapping_add(u64::from(bits & 3 == 1));
                failed = failed.wrapping_add(u64::from(bits & 2 == 2));
            }
        } else {
            latencies_ns.iter().for_each(|&latency_ns| extent.add(latency_ns));
            majors = majors.wrapping_add(bytes::count_inline(bits, 3, 1));
            failed = failed.wrapping_add(bytes::count_inline(bits, 2, 2));
        }
    }
    Sums {
        counts: [majors, rows.saturating_sub(majors).saturating_sub(failed), failed],
        wait_ns: extent.sum(),
        max_ns: extent.max,
        pages: 0,
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
    groups: Groups,
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
        for group in self.groups.of(ids, pids) {
            let (id, pid) = group.key;
            let slot = self.objects.slot(id, session);
            let Some(object) = self.objects.get_mut(slot) else {
                continue;
            };
            let (is_file, counted) = (object.is_file, &mut object.counted);
            counted.sums.add(&rows, group);
            // Nameless pages of two processes are different pages.
            if is_file {
                counted.pages.insert_all(0, group.parts(pages), |page| page);
            } else {
                counted.pages.insert_all(pid, group.parts(addresses), &to_page);
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
