//! `queries --slowest` and `--id`: single queries, each with its faults in the order in which they began.

use crate::engine::columns::Column;
use crate::engine::frame::{u8s, u32s, u64s};
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::trace::class::ClassBits;
use crate::trace::queries::nesting::Links;
use crate::trace::session::Session;
use pf_formats::Query as Row;
use polars::prelude::{DataFrame, PlHashMap};
use std::cmp::Reverse;

/// Faults kept of all chosen queries together, and the most and fewest of one of them.
const FAULTS_KEPT: usize = 1_000_000;
const MOST_OF_ONE: usize = 10_000;
const FEWEST_OF_ONE: usize = 1_000;

/// Queries inside a query that are told.
const CHILDREN_KEPT: usize = 1_000;

/// One fault of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Entry.
    pub ts_ns: u64,
    /// Entry to completion.
    pub latency_ns: u64,
    /// How it ended, and what it was.
    pub class: ClassBits,
    /// Faulting address.
    pub address: u64,
    /// What is mapped there.
    pub object: u32,
    /// Page of that.
    pub object_page: u64,
    /// Its query: this one, or one inside it.
    pub query: u64,
}

/// A query with what belongs to it.
#[derive(Clone, Debug)]
pub struct Single {
    /// The query.
    pub row: Row,
    /// Its faults and those of queries inside it, by their begin.
    pub faults: Vec<Fault>,
    /// Faults that are in the trace and not kept.
    pub more: u64,
    /// Faults in the trace without the failed ones, to compare with what was counted.
    pub recorded: u64,
    /// The query it ran in.
    pub parent: Option<Row>,
    /// Queries directly inside it.
    pub children: Vec<Row>,
    /// Queries directly inside it that are not kept.
    pub more_children: u64,
}

/// Which queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Those with the longest wait, then the longest duration.
    Slowest(usize),
    /// This one.
    Id(u64),
}

/// The first pass: rows alone.
#[derive(Debug)]
pub struct Chosen {
    choice: Choice,
    rows: Vec<Row>,
    links: Links,
}

impl Chosen {
    /// Nothing chosen yet.
    #[must_use]
    pub fn new(choice: Choice) -> Self {
        Self {
            choice,
            rows: Vec::new(),
            links: Links::default(),
        }
    }

    /// Adds a row; one that does not pass the filter only links others.
    pub fn add(&mut self, row: &Row, passes: bool) {
        // Links of queries without a parent say nothing here.
        if row.parent.0 != 0 {
            self.links.add(row.id.0, row.parent.0, 0);
        }
        match self.choice {
            Choice::Id(id) => {
                if row.id.0 == id && self.rows.is_empty() {
                    self.rows.push(row.clone());
                }
            }
            Choice::Slowest(count) => {
                if passes {
                    self.rows.push(row.clone());
                    if self.rows.len() >= count.saturating_mul(2).max(64) {
                        self.keep(count);
                    }
                }
            }
        }
    }

    /// Whether no query was chosen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn keep(&mut self, count: usize) {
        self.rows.sort_by_key(|row| {
            let wall_ns = row.end_ns.saturating_sub(row.begin_ns);
            (Reverse(row.total().wait_ns), Reverse(wall_ns), row.id)
        });
        self.rows.truncate(count);
    }
}

/// The second pass: faults of the chosen queries.
#[derive(Debug)]
pub struct Singles {
    links: Links,
    by_id: PlHashMap<u64, usize>,
    by_parent: PlHashMap<u64, Vec<usize>>,
    singles: Vec<Single>,
    kept_of_one: usize,
    /// The query of the fault before, and the chosen ones it belongs to.
    last: (u64, Vec<usize>),
    /// The look-up that met each chosen one last, and how many there were.
    met: Vec<u64>,
    look_ups: u64,
}

impl Singles {
    /// To be called with all rows.
    #[must_use]
    pub fn new(mut chosen: Chosen) -> Self {
        if let Choice::Slowest(count) = chosen.choice {
            chosen.keep(count);
        }
        chosen.links.settle();
        let singles: Vec<Single> = chosen.rows.into_iter().map(Single::of).collect();
        let by_id = singles
            .iter()
            .enumerate()
            .map(|(index, single)| (single.row.id.0, index));
        let mut by_parent: PlHashMap<u64, Vec<usize>> = PlHashMap::default();
        for (index, single) in singles.iter().enumerate() {
            by_parent.entry(single.row.parent.0).or_default().push(index);
        }
        Self {
            by_id: by_id.collect(),
            by_parent,
            kept_of_one: (FAULTS_KEPT / singles.len().max(1)).clamp(FEWEST_OF_ONE, MOST_OF_ONE),
            links: chosen.links,
            met: vec![0; singles.len()],
            look_ups: 0,
            singles,
            last: (0, Vec::new()),
        }
    }

    /// The queries with their faults, in the order of the choice.
    #[must_use]
    pub fn finish(mut self) -> Vec<Single> {
        for single in &mut self.singles {
            single.faults.sort_by_key(|fault| fault.ts_ns);
            single.children.sort_by_key(|row| (row.begin_ns, row.id));
        }
        self.singles
    }

    fn look_up(&mut self, id: u64) {
        if self.last.0 == id {
            return;
        }
        let mut indices = std::mem::take(&mut self.last.1);
        indices.clear();
        self.look_ups += 1;
        // Those without a link are outermost queries.
        for (outer, _) in self.links.chain(id) {
            if let Some(&index) = self.by_id.get(&outer)
                && let Some(met) = self.met.get_mut(index)
                && *met != self.look_ups
            {
                *met = self.look_ups;
                indices.push(index);
            }
        }
        self.last = (id, indices);
    }
}

impl Single {
    fn of(row: Row) -> Self {
        Self {
            row,
            faults: Vec::new(),
            more: 0,
            recorded: 0,
            parent: None,
            children: Vec::new(),
            more_children: 0,
        }
    }
}

impl Pass for Singles {
    fn columns(&self) -> Vec<Column> {
        vec![
            Column::QueryId,
            Column::TsNs,
            Column::LatencyNs,
            Column::ClassBits,
            Column::Address,
            Column::ObjectId,
            Column::ObjectPage,
        ]
    }

    fn block(&mut self, frame: &DataFrame, _session: &Session) -> Result<(), AnalyzeError> {
        let ids = frame.column(Column::QueryId.name())?.u64()?;
        if ids.null_count() == frame.height() {
            return Ok(());
        }
        let times = u64s(frame, Column::TsNs)?
            .iter()
            .zip(u64s(frame, Column::LatencyNs)?);
        let places = u64s(frame, Column::Address)?
            .iter()
            .zip(u32s(frame, Column::ObjectId)?);
        let places = places.zip(u64s(frame, Column::ObjectPage)?);
        let rows = ids
            .iter()
            .zip(times)
            .zip(u8s(frame, Column::ClassBits)?)
            .zip(places);
        for (((id, (&ts_ns, &latency_ns)), &bits), ((&address, &object), &object_page)) in rows {
            let Some(query) = id else { continue };
            self.look_up(query);
            let fault = Fault {
                ts_ns,
                latency_ns,
                class: ClassBits(bits),
                address,
                object,
                object_page,
                query,
            };
            for &index in &self.last.1 {
                let Some(single) = self.singles.get_mut(index) else {
                    continue;
                };
                single.recorded += u64::from(!fault.class.is_failed());
                if single.faults.len() < self.kept_of_one {
                    single.faults.push(fault);
                } else {
                    single.more += 1;
                }
            }
        }
        Ok(())
    }

    fn row(&mut self, row: &Row, _session: &Session) {
        if let Some(&index) = self.by_id.get(&row.parent.0)
            && let Some(single) = self.singles.get_mut(index)
            && row.id != row.parent
        {
            if single.children.len() < CHILDREN_KEPT {
                single.children.push(row.clone());
            } else {
                single.more_children += 1;
            }
        }
        for &index in self.by_parent.get(&row.id.0).into_iter().flatten() {
            if let Some(single) = self.singles.get_mut(index) {
                single.parent.get_or_insert_with(|| row.clone());
            }
        }
    }
}
