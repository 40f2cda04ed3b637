//! `regions`: which named part of a file was waited for. A fault counts for the region of the byte that was accessed: the
//! place in the page comes from the faulting address, and is the page's first byte where the kernel faulted for itself.

use crate::engine::columns::Column;
use crate::engine::frame::{u32s, u64s};
use crate::engine::scan::Pass;
use crate::engine::thread_order::{Visit, each_visit};
use crate::error::AnalyzeError;
use crate::output::table::{ColumnHead, Table, Value};
use crate::output::text::escape;
use crate::output::units::quantity;
use crate::output::units::{bytes, grouped};
use crate::stats::access_pattern::{self, Steps, Streams};
use crate::stats::by_class::{self, FAILED, Fault, faults};
use crate::stats::rereads::{Major, Recent, Touched};
use crate::trace::class::Class;
use crate::trace::session::Session;
use crate::verbs::files::{PAGE_ENTRIES, REREAD, describe_limits, pages_head};
use crate::verbs::regions::region::{Owner, Region};
use crate::verbs::regions::source::{Plan, Source};
use polars::prelude::{DataFrame, PlHashMap};
use std::collections::BTreeSet;
use std::path::Path;

/// Columns that give way to a narrow terminal, the first first.
pub(crate) const DROP_ORDER: [&str; 8] = [
    "shape",
    "stride_percent",
    "type",
    "size_bytes",
    "minor",
    "pages",
    "offset",
    "max_ms",
];

/// Names of further files that are kept for the message.
const OTHERS_NAMED: usize = 4;

/// Collects the faults on one file by region.
#[derive(Debug)]
pub struct Regions {
    /// As given: the file of just this path is meant, or else the only one with this in its path.
    wanted: String,
    source: Source,
    chosen: Option<Chosen>,
    others: BTreeSet<String>,
    streams: Streams,
    /// Bytes of majors.
    recent: Recent<u64>,
    page_room: usize,
    has_left_pages_out: bool,
}

#[derive(Debug)]
struct Chosen {
    path: String,
    division: Division,
    /// Behind the last byte of the last page that faulted.
    end: u64,
}

#[derive(Debug)]
enum Division {
    Named(Plan, PlHashMap<Owner, Stats>),
    Equal(Equal),
}

/// What one region has.
#[derive(Clone, Debug, Default)]
struct Stats {
    major: u64,
    minor: u64,
    failed: u64,
    wait_ns: u64,
    max_ns: u64,
    touched: Touched,
    steps: Steps,
}

/// Equal parts of a file whose size is not known: a power of two of pages, doubled when they do not reach.
#[derive(Debug)]
struct Equal {
    most: usize,
    why: Option<String>,
    /// Pages of a part, as a power of two.
    shift: u32,
    parts: Vec<Stats>,
}

impl Regions {
    /// `wanted` is the file as given to the filter.
    #[must_use]
    pub fn new(wanted: &str, source: Source) -> Self {
        Self {
            wanted: wanted.to_owned(),
            source,
            chosen: None,
            others: BTreeSet::new(),
            streams: Streams::default(),
            recent: Recent::default(),
            page_room: PAGE_ENTRIES,
            has_left_pages_out: false,
        }
    }

    /// Whether faults on this file count. The first file is taken until one comes that has the very path that was given.
    fn is_chosen(&mut self, path: &str) -> Result<bool, AnalyzeError> {
        let is_exact = path == self.wanted;
        if let Some(chosen) = &self.chosen {
            if chosen.path == path {
                return Ok(true);
            }
            if !is_exact {
                if self.others.len() < OTHERS_NAMED && !self.others.contains(path) {
                    self.others.insert(path.to_owned());
                }
                return Ok(false);
            }
            self.others.insert(chosen.path.clone());
            self.streams = Streams::default();
            self.recent = Recent::default();
            self.page_room = PAGE_ENTRIES;
            self.has_left_pages_out = false;
        }
        let division = match self.source.plan(path)? {
            Plan::Parts { most, why } => Division::Equal(Equal::new(most, why)),
            plan @ Plan::Named { .. } => Division::Named(plan, PlHashMap::default()),
        };
        self.chosen = Some(Chosen {
            path: path.to_owned(),
            division,
            end: 0,
        });
        Ok(true)
    }

    /// The recorded file whose regions these are.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.chosen.as_ref().map(|chosen| Path::new(&chosen.path))
    }

    /// The table, longest wait first; regions without a fault are left out.
    ///
    /// # Errors
    /// When several files were meant.
    pub fn table(&self, session: &Session) -> Result<Table, AnalyzeError> {
        let rows = match &self.chosen {
            Some(chosen) if chosen.path != self.wanted && !self.others.is_empty() => {
                let others: Vec<String> = self.others.iter().map(|path| escape(path)).collect();
                return Err(AnalyzeError::Unanswerable(format!(
                    "--file fits several files with faults, and regions are those of one: {}, {}; give the whole path",
                    escape(&chosen.path),
                    others.join(", ")
                )));
            }
            Some(chosen) => chosen.rows(session.page_size()),
            None => Vec::new(),
        };
        let mut total = Stats::default();
        rows.iter().for_each(|(_, stats)| total.merge(stats));
        let has_failed = total.failed > 0;
        let cells = |region: &Region, stats: &Stats| {
            let mut row = vec![Value::Text(region.name.clone())];
            row.extend(stats.cells(has_failed, session));
            let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
            row.extend([
                Value::Id(region.offset),
                Value::Bytes(region.len),
                text(&region.kind),
                text(&region.shape),
            ]);
            row
        };
        let total = (!rows.is_empty()).then(|| {
            let mut row = vec![Value::Text("total".into())];
            row.extend(total.cells(has_failed, session));
            row.extend([Value::Null, Value::Null, Value::Null, Value::Null]);
            row
        });
        Ok(Table {
            heads: heads(has_failed, session),
            rows: rows.iter().map(|(region, stats)| cells(region, stats)).collect(),
            total,
        })
    }

    /// What to know of the rows.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        let Some(chosen) = &self.chosen else {
            return remarks;
        };
        match &chosen.division {
            Division::Named(
                Plan::Named {
                    layout,
                    file_len,
                    what,
                },
                stats,
            ) => {
                let count = layout.regions().len();
                let faulted = stats
                    .keys()
                    .filter(|owner| matches!(owner, Owner::Region(_)))
                    .count();
                remarks.push(format!(
                    "{what}; {} of {} without a fault",
                    grouped(count.saturating_sub(faulted) as u64),
                    quantity(count as u64, "region")
                ));
                if layout.overlapping() > 0 {
                    remarks.push(format!(
                        "{} inside another one: a fault counts for the innermost",
                        match layout.overlapping() {
                            1 => "1 region begins".to_owned(),
                            more => format!("{} regions begin", grouped(more as u64)),
                        }
                    ));
                }
                if let Some(len) = file_len
                    && chosen.end > len.saturating_add(1 << 21)
                {
                    remarks.push(format!(
                        "the file has {} here, and there are faults up to {}: it is not the one that was recorded",
                        bytes(*len),
                        bytes(chosen.end)
                    ));
                }
            }
            Division::Equal(Equal { why: Some(why), .. }) => remarks.push(format!("equal parts: {why}")),
            Division::Named(..) | Division::Equal(_) => {}
        }
        remarks.extend(describe_limits(self.has_left_pages_out, &self.streams));
        remarks
    }
}

impl Pass for Regions {
    fn columns(&self) -> Vec<Column> {
        let own = [
            Column::TsNs,
            Column::Pid,
            Column::Tid,
            Column::Address,
            Column::ObjectId,
            Column::ObjectPage,
        ];
        [&own[..], &by_class::COLUMNS].concat()
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let places = u64s(frame, Column::Address)?
            .iter()
            .zip(u64s(frame, Column::ObjectPage)?);
        let times = u64s(frame, Column::TsNs)?.iter();
        let objects = u32s(frame, Column::ObjectId)?;
        let page_size = session.page_size();
        let mut last: Option<(u32, bool)> = None;
        let rows = objects.iter().zip(times).zip(places).zip(faults(frame, session)?);
        for (((&id, &ts_ns), (&address, &page)), fault) in rows {
            let is_chosen = match last {
                Some((object, is_chosen)) if object == id => is_chosen,
                _ if !session.dicts.is_file_backed(id) => false,
                _ => self.is_chosen(&session.dicts.label(id))?,
            };
            last = Some((id, is_chosen));
            let Some(chosen) = self.chosen.as_mut().filter(|_| is_chosen) else {
                continue;
            };
            let byte = page.saturating_mul(page_size).saturating_add(address % page_size);
            if fault.class == Class::Major {
                self.recent
                    .add(Major::new((id, 0), page, ts_ns, fault.latency_ns, byte));
            }
            if let Some(stats) = chosen.stats(byte, page) {
                stats.add(&fault);
                let is_in = stats.touched.add(id, page, &mut self.page_room);
                self.has_left_pages_out |= !is_in;
            }
            if fault.class != Class::Failed {
                chosen.end = chosen.end.max(page.saturating_add(1).saturating_mul(page_size));
            }
        }
        if let Some(chosen) = self.chosen.as_mut() {
            for read in self.recent.reads() {
                if let Some(stats) = chosen.stats(read.of, read.page) {
                    let is_in = stats
                        .touched
                        .add_read(read.object, read.page, &mut self.page_room);
                    self.has_left_pages_out |= !is_in;
                }
            }
        }
        self.walk(frame, session)
    }
}

impl Regions {
    /// Judges the steps of a block in the file that is chosen by now.
    fn walk(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let Some(chosen) = self.chosen.as_mut() else {
            return Ok(());
        };
        let addresses = u64s(frame, Column::Address)?;
        let page_size = session.page_size();
        let streams = &mut self.streams;
        let mut last: Option<(u32, bool)> = None;
        each_visit(frame, |visit| {
            let Visit { object: id, page, .. } = visit;
            let is_chosen = match last {
                Some((object, is_chosen)) if object == id => is_chosen,
                _ => session.dicts.is_file_backed(id) && session.dicts.label(id) == chosen.path,
            };
            last = Some((id, is_chosen));
            let Some(&address) = addresses.get(visit.row).filter(|_| is_chosen) else {
                return;
            };
            let (pid, tid) = visit.thread;
            let byte = page.saturating_mul(page_size).saturating_add(address % page_size);
            if let Some(step) = streams.step((pid, tid, id), page, page_size)
                && let Some(stats) = chosen.stats(byte, page)
            {
                stats.steps.add(step);
            }
        })
    }
}

impl Chosen {
    fn stats(&mut self, byte: u64, page: u64) -> Option<&mut Stats> {
        match &mut self.division {
            Division::Named(plan, stats) => {
                let owner = match plan {
                    Plan::Named { layout, .. } => layout.owner(byte),
                    Plan::Parts { .. } => Owner::Gap(0),
                };
                Some(stats.entry(owner).or_default())
            }
            Division::Equal(equal) => equal.stats(page),
        }
    }

    /// Longest wait first, then in the order of the file.
    fn rows(&self, page_size: u64) -> Vec<(Region, &Stats)> {
        let mut rows: Vec<(Region, &Stats)> = match &self.division {
            Division::Named(Plan::Named { layout, file_len, .. }, stats) => stats
                .iter()
                .map(|(&owner, stats)| (layout.region(owner, file_len.unwrap_or(self.end)), stats))
                .collect(),
            Division::Named(..) => Vec::new(),
            Division::Equal(equal) => equal.rows(page_size),
        };
        rows.sort_by(|(a, of_a), (b, of_b)| {
            let wait = of_b.wait_ns.cmp(&of_a.wait_ns);
            wait.then(a.offset.cmp(&b.offset))
                .then_with(|| a.name.cmp(&b.name))
        });
        rows
    }
}

impl Equal {
    fn new(most: usize, why: Option<String>) -> Self {
        Self {
            most: most.max(1),
            why,
            shift: 0,
            parts: Vec::new(),
        }
    }

    fn number(&self, page: u64) -> usize {
        usize::try_from(page.checked_shr(self.shift).unwrap_or(0)).unwrap_or(usize::MAX)
    }

    fn stats(&mut self, page: u64) -> Option<&mut Stats> {
        while self.number(page) >= self.most {
            self.shift += 1;
            let halves = std::mem::take(&mut self.parts);
            for (index, half) in halves.into_iter().enumerate() {
                if index % 2 == 0 {
                    self.parts.push(half);
                } else if let Some(part) = self.parts.last_mut() {
                    part.merge(&half);
                }
            }
        }
        let number = self.number(page);
        if self.parts.len() <= number {
            self.parts.resize_with(number + 1, Stats::default);
        }
        self.parts.get_mut(number)
    }

    fn rows(&self, page_size: u64) -> Vec<(Region, &Stats)> {
        let len = page_size.saturating_mul(1u64.checked_shl(self.shift).unwrap_or(u64::MAX));
        let row = |(number, stats)| {
            let offset = len.saturating_mul(number as u64);
            let region = Region {
                // Rounded sizes would give one name to several parts.
                name: format!("{offset:#x}-{:#x}", offset.saturating_add(len)),
                offset,
                len,
                ..Region::default()
            };
            (region, stats)
        };
        let rows = self.parts.iter().enumerate().map(row);
        rows.filter(|(_, stats)| stats.major + stats.minor + stats.failed > 0)
            .collect()
    }
}

impl Stats {
    fn add(&mut self, fault: &Fault) {
        let count = match fault.class {
            Class::Major => &mut self.major,
            Class::Minor => &mut self.minor,
            Class::Failed => &mut self.failed,
        };
        *count = count.saturating_add(fault.weight);
        let wait_ns = fault.latency_ns.saturating_mul(fault.weight);
        self.wait_ns = self.wait_ns.saturating_add(wait_ns);
        self.max_ns = self.max_ns.max(fault.latency_ns);
    }

    fn merge(&mut self, other: &Self) {
        self.major = self.major.saturating_add(other.major);
        self.minor = self.minor.saturating_add(other.minor);
        self.failed = self.failed.saturating_add(other.failed);
        self.wait_ns = self.wait_ns.saturating_add(other.wait_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.touched.merge(&other.touched);
        self.steps.merge(&other.steps);
    }

    fn cells(&self, has_failed: bool, session: &Session) -> Vec<Value> {
        let mut cells = vec![
            Value::Count(self.major),
            Value::Count(self.minor),
            Value::Ms(self.wait_ns),
            Value::Ms(self.max_ns),
            Value::Count(self.touched.pages()),
        ];
        cells.extend(has_failed.then_some(Value::Count(self.failed)));
        cells.push(Value::Bytes(
            self.touched.reread().saturating_mul(session.page_size()),
        ));
        cells.extend(self.steps.cells(session.sampling().is_sampled()));
        cells
    }
}

fn heads(has_failed: bool, session: &Session) -> Vec<ColumnHead> {
    let mut heads = vec![
        ColumnHead::new("region"),
        ColumnHead::new("major"),
        ColumnHead::new("minor"),
        ColumnHead::new("total_ms"),
        ColumnHead::new("max_ms"),
        pages_head(session.sampling()),
    ];
    heads.extend(has_failed.then_some(FAILED));
    heads.push(REREAD);
    heads.extend(access_pattern::HEADS);
    heads.extend([
        ColumnHead::new("offset"),
        ColumnHead::new("size_bytes"),
        ColumnHead::new("type"),
        ColumnHead::new("shape"),
    ]);
    heads
}
