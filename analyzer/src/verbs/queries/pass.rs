//! `queries`: what queries of each name waited for. Counts and times are those of the query rows, read before; this adds
//! what only the faults tell: how many pages, and which file.

use crate::engine::columns::Column;
use crate::engine::frame::{u32s, u64s};
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::output::table::{ColumnHead, Table, Value};
use crate::output::units::{grouped, quantity};
use crate::stats::by_class::{self, faults};
use crate::stats::by_query_name::{Groups, Sums};
use crate::stats::page_set::PageSet;
use crate::trace::class::Class;
use crate::trace::queries::nesting::Links;
use crate::trace::session::Session;
use crate::verbs::files::pages_head;
use pf_formats::Query as Row;
use polars::prelude::{DataFrame, PlHashMap};

/// Of a query that a filter leaves out.
const NO_GROUP: u32 = u32::MAX;

/// Entries of page sets of all names together, some 30 bytes each.
const PAGE_ENTRIES: usize = 8_000_000;

/// What gives way on a narrow terminal, in this order.
pub(crate) const DROP_ORDER: [&str; 8] = [
    "wait_p50_ms",
    "wall_max_ms",
    "wall_p50_ms",
    "minor",
    "wait_max_ms",
    "wall_p99_ms",
    "pages",
    "recorded",
];

/// How the numbers of nested queries are to be read.
pub(crate) const LEGEND: &str = "a query includes the faults of the queries inside it, which also have rows of their own; WAIT is \
                          page-fault wait, WALL the time of the query, SHARE_% the part of WALL that is WAIT";

/// What the query rows say, before any fault is looked at.
#[derive(Debug, Default)]
pub struct Rows {
    groups: Groups,
    links: Links,
}

impl Rows {
    /// Adds a row; one that does not pass the filter only links others.
    pub fn add(&mut self, row: &Row, passes: bool) {
        let group = if passes { self.groups.add(row) } else { NO_GROUP };
        self.links.add(row.id.0, row.parent.0, group);
    }

    /// Whether no row has passed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

/// What the faults say of a group.
#[derive(Debug, Default)]
struct Places {
    files: PageSet,
    memory: PageSet,
    wait_ns: PlHashMap<u32, u64>,
    rows: u64,
}

/// Groups that a fault counts in at most, its own first. Queries nest up to 16 deep; a forged trace has them deeper.
const MOST_AROUND: usize = 64;

/// The query of the fault before.
#[derive(Debug, Default)]
struct Last {
    id: u64,
    /// The look-up that met each group last, by its number, and how many there were.
    met: Vec<u64>,
    look_ups: u64,
    row: OwnRow,
    /// The groups of it and of the queries around it, each once.
    groups: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum OwnRow {
    #[default]
    Missing,
    LeftOut,
    Counted,
}

/// The rows, joined with the faults.
#[derive(Debug)]
pub struct Queries {
    rows: Rows,
    places: Vec<Places>,
    last: Last,
    /// Faults whose query has a row that passed, failed ones aside.
    known: u64,
    /// Faults whose query has no row.
    unknown: u64,
    page_room: usize,
    /// Pages that found no room.
    pages_left_out: bool,
}

impl Queries {
    /// To be called with all rows.
    #[must_use]
    pub fn new(mut rows: Rows) -> Self {
        rows.links.settle();
        let places = (0..rows.groups.len()).map(|_| Places::default()).collect();
        let met = vec![0; rows.groups.len()];
        Self {
            rows,
            places,
            last: Last {
                met,
                ..Last::default()
            },
            known: 0,
            unknown: 0,
            page_room: PAGE_ENTRIES,
            pages_left_out: false,
        }
    }

    fn look_up(&mut self, id: u64) {
        if self.last.id == id {
            return;
        }
        let last = &mut self.last;
        last.id = id;
        last.groups.clear();
        last.look_ups += 1;
        last.row = OwnRow::Missing;
        for (outer, group) in self.rows.links.chain(id) {
            if outer == id && group.is_some() {
                last.row = match group {
                    Some(NO_GROUP) => OwnRow::LeftOut,
                    _ => OwnRow::Counted,
                };
            }
            let Some(group) = group.filter(|&group| group != NO_GROUP) else {
                continue;
            };
            if let Some(met) = last.met.get_mut(group as usize)
                && *met != last.look_ups
                && last.groups.len() < MOST_AROUND
            {
                *met = last.look_ups;
                last.groups.push(group);
            }
        }
    }

    /// The table, longest wait first. `is_data`: with the same columns every time.
    #[must_use]
    pub fn table(&self, session: &Session, is_data: bool) -> Table {
        let mut table = self.rows.groups.table();
        let groups = self.rows.groups.sorted();
        let has_incomplete = is_data || self.rows.groups.has_incomplete();
        let place = |number: u32| self.places.get(number as usize);
        let recorded = |number: u32| place(number).map_or(0, |place| place.rows);
        let is_partial = is_data
            || groups
                .iter()
                .any(|&(_, number, group)| recorded(number) != group.faults());
        for (row, &(_, number, group)) in table.rows.iter_mut().zip(&groups) {
            let pages = place(number).map_or(0, |place| place.files.len().saturating_add(place.memory.len()));
            row.push(Value::Count(pages));
            if is_partial {
                row.push(Value::Count(recorded(number)));
            }
            if has_incomplete {
                row.push(Value::Count(group.incomplete));
            }
            let file = place(number).and_then(|place| top_file(place, session));
            row.push(file.map_or(Value::Null, Value::Text));
        }
        let heads = [
            (true, pages_head(session.sampling())),
            (is_partial, ColumnHead::new("recorded")),
            (has_incomplete, ColumnHead::new("incomplete")),
            (true, ColumnHead::new("top_file")),
        ];
        let shown = heads.into_iter().filter(|(is_shown, _)| *is_shown);
        table.heads.extend(shown.map(|(_, head)| head));
        table
    }

    /// What to know of the numbers.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let sums: Sums = self.rows.groups.sums();
        let mut remarks: Vec<String> = self.rows.groups.describe_incomplete().into_iter().collect();
        let missing = sums.faults.saturating_sub(self.known);
        if missing > 0 {
            remarks.push(format!(
                "{} of the {} counted in these queries {} not in the trace (lost, filtered or not sampled): counts and \
                 waits have {}, RECORDED, PAGES and TOP_FILE do not",
                grouped(missing),
                quantity(sums.faults, "fault"),
                if missing == 1 { "is" } else { "are" },
                if missing == 1 { "it" } else { "them" }
            ));
        }
        if self.known > sums.faults {
            remarks.push(format!(
                "the trace has {} of these queries, {} more than were counted: RECORDED has them, MAJOR and MINOR do not",
                quantity(self.known, "fault"),
                grouped(self.known - sums.faults)
            ));
        }
        if self.pages_left_out {
            remarks.push(
                "PAGES are too low: there are too many pages for this number of names; ask for fewer with --query".to_owned(),
            );
        }
        if self.rows.links.left_out() > 0 {
            remarks.push(format!(
                "too many queries: {} were counted and not joined with their faults",
                grouped(self.rows.links.left_out())
            ));
        }
        if self.unknown > 0 {
            let (faults, are) = match self.unknown {
                1 => ("fault names", "is"),
                _ => ("faults name", "are"),
            };
            remarks.push(format!(
                "{} {faults} a query whose record is missing, and {are} in no row",
                grouped(self.unknown)
            ));
        }
        remarks
    }
}

/// The file, or kind of memory, with the longest wait.
fn top_file(place: &Places, session: &Session) -> Option<String> {
    let mut by_label: PlHashMap<String, u64> = PlHashMap::default();
    for (&object, &wait_ns) in &place.wait_ns {
        let label = session.dicts.label(object).into_owned();
        let sum = by_label.entry(label).or_default();
        *sum = sum.saturating_add(wait_ns);
    }
    let top = by_label
        .into_iter()
        .max_by(|(a, waited), (b, other)| waited.cmp(other).then(b.cmp(a)));
    top.map(|(label, _)| label)
}

impl Pass for Queries {
    fn columns(&self) -> Vec<Column> {
        let own = [
            Column::QueryId,
            Column::Pid,
            Column::Address,
            Column::ObjectId,
            Column::ObjectPage,
        ];
        [&own[..], &by_class::COLUMNS].concat()
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let ids = frame.column(Column::QueryId.name())?.u64()?;
        if ids.null_count() == frame.height() {
            return Ok(());
        }
        let pids = u32s(frame, Column::Pid)?;
        let objects = u32s(frame, Column::ObjectId)?;
        let places = u64s(frame, Column::Address)?
            .iter()
            .zip(u64s(frame, Column::ObjectPage)?);
        let page_size = session.page_size();
        let rows = ids
            .iter()
            .zip(pids)
            .zip(objects)
            .zip(places)
            .zip(faults(frame, session)?);
        for ((((id, &pid), &object), (&address, &object_page)), fault) in rows {
            let Some(id) = id else { continue };
            self.look_up(id);
            // The kernel counts no failed fault.
            let is_counted = fault.class != Class::Failed;
            match self.last.row {
                OwnRow::Missing => self.unknown += 1,
                OwnRow::LeftOut => {}
                OwnRow::Counted => self.known += u64::from(is_counted),
            }
            let is_file = session.dicts.is_file_backed(object);
            for &group in &self.last.groups {
                let Some(place) = self.places.get_mut(group as usize) else {
                    continue;
                };
                place.rows = place.rows.saturating_add(u64::from(is_counted));
                let room = &mut self.page_room;
                let is_in = if is_file {
                    place.files.insert_within(object, object_page, room)
                } else {
                    place.memory.insert_within(pid, address / page_size, room)
                };
                self.pages_left_out |= !is_in;
                let wait = place.wait_ns.entry(object).or_default();
                *wait = wait.saturating_add(fault.latency_ns.saturating_mul(fault.weight));
            }
        }
        Ok(())
    }
}
