//! `files`: which file or kind of memory was waited for, and how many distinct pages of it.

use crate::breakdown;
use crate::error::AnalyzeError;
use crate::frame::{u32s, u64s};
use crate::pages::PageSet;
use crate::query::classes::{self, Classes, Extras, faults_with_parts};
use crate::sampling::Sampling;
use crate::scan::Query;
use crate::schema::Column;
use crate::session::Session;
use crate::table::{Head, Table, Value};
use polars::prelude::{DataFrame, PlHashMap};
use std::collections::BTreeMap;

/// The first columns of the table.
pub(crate) const HEADS: [Head; 6] = [
    Head {
        name: "file",
        title: "FILE",
    },
    Head {
        name: "major",
        title: "MAJOR",
    },
    Head {
        name: "minor",
        title: "MINOR",
    },
    Head {
        name: "total_ms",
        title: "TOTAL_MS",
    },
    Head {
        name: "avg_ms",
        title: "AVG_MS",
    },
    Head {
        name: "max_ms",
        title: "MAX_MS",
    },
];

/// Distinct pages; of a sample only those that it happened to hold, which no factor can scale.
pub(crate) fn pages_head(sampling: Sampling) -> Head {
    if sampling.is_sampled() {
        Head {
            name: "pages_seen",
            title: "PAGES_SEEN",
        }
    } else {
        Head {
            name: "pages",
            title: "PAGES",
        }
    }
}

#[derive(Debug, Default)]
struct ObjectFaults {
    classes: Classes,
    pages: PageSet,
}

/// Collects faults by object.
#[derive(Debug, Default)]
pub struct Files {
    objects: PlHashMap<u32, ObjectFaults>,
}

impl Query for Files {
    fn columns(&self) -> Vec<Column> {
        let own = [Column::Pid, Column::Address, Column::ObjectId, Column::ObjectPage];
        [&own[..], &classes::COLUMNS, &breakdown::COLUMNS].concat()
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let pids = u32s(frame, Column::Pid)?;
        let objects = u32s(frame, Column::ObjectId)?;
        let places = u64s(frame, Column::Address)?
            .iter()
            .zip(u64s(frame, Column::ObjectPage)?);
        let page_size = session.page_size();
        // Object and whether it has pages of its own; the row before mostly had the same.
        let mut last: Option<(u32, bool)> = None;
        let rows = pids
            .iter()
            .zip(objects)
            .zip(places)
            .zip(faults_with_parts(frame, session)?);
        for (((&pid, &object), (&address, &object_page)), fault) in rows {
            let is_file = match last {
                Some((id, is_file)) if id == object => is_file,
                _ => session.dicts.is_file_backed(object),
            };
            last = Some((object, is_file));
            let object = self.objects.entry(object).or_default();
            object.classes.add(&fault);
            if is_file {
                object.pages.insert(0, object_page);
            } else {
                object.pages.insert(pid, address / page_size);
            }
        }
        Ok(())
    }
}

impl Files {
    /// All objects together.
    #[must_use]
    pub fn classes(&self) -> Classes {
        let mut all = Classes::default();
        self.objects
            .values()
            .for_each(|object| all.merge(&object.classes));
        all
    }

    /// The table, longest wait first. Objects of one name (a file replaced while recording, the heaps of
    /// several processes) are one row, their pages added up.
    #[must_use]
    pub fn table(&self, session: &Session) -> Table {
        let mut by_label: BTreeMap<String, (Classes, u64)> = BTreeMap::new();
        for (&id, faults) in &self.objects {
            let (classes, pages) = by_label.entry(session.dicts.label(id).into_owned()).or_default();
            classes.merge(&faults.classes);
            *pages = pages.saturating_add(faults.pages.len());
        }
        let mut labels: Vec<_> = by_label.into_iter().collect();
        // Stable: equal waits stay in the order of their names.
        labels.sort_by_key(|(_, (classes, _))| std::cmp::Reverse(classes.wait_ns()));
        let mut total = (Classes::default(), 0u64);
        for (_, (classes, pages)) in &labels {
            total.0.merge(classes);
            total.1 = total.1.saturating_add(*pages);
        }
        let extras = total.0.extras();
        let rows: Vec<_> = labels
            .iter()
            .map(|(label, (classes, pages))| row(label, classes, *pages, extras))
            .collect();
        let total = (!rows.is_empty()).then(|| row("total", &total.0, total.1, extras));
        let mut heads = HEADS.to_vec();
        heads.push(pages_head(session.sampling()));
        heads.extend(extras.failed_head());
        heads.extend(extras.part_heads());
        Table { heads, rows, total }
    }
}

fn row(label: &str, classes: &Classes, pages: u64, extras: Extras) -> Vec<Value> {
    let mut row = vec![Value::Text(label.to_owned())];
    row.extend(classes.wait_cells());
    row.push(Value::Count(pages));
    row.extend(extras.failed_cell(classes));
    row.extend(extras.part_cells(&classes.parts.all()));
    row
}
