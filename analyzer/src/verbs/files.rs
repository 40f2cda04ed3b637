//! `files`: which file or kind of memory was waited for, how many distinct pages of it, and in which order.

use crate::engine::columns::Column;
use crate::engine::frame::{u8s, u32s, u64s};
use crate::engine::runs::{part, runs};
use crate::engine::scan::Pass;
use crate::engine::thread_order::{Visit, each_visit};
use crate::error::AnalyzeError;
use crate::integrity::scaling;
use crate::output::table::{ColumnHead, Table, Value};
use crate::request::Request;
use crate::stats::access_pattern::{self, Steps, Streams};
use crate::stats::bounded_map::Sum;
use crate::stats::breakdown;
use crate::stats::brought_in::{self, BroughtIn};
use crate::stats::by_class::{self, Classes, Extras, Rows};
use crate::stats::by_object::Objects;
use crate::stats::rereads::{Major, Recent, Touched, page_of};
use crate::trace::class::{Class, ClassBits};
use crate::trace::sampling::Sampling;
use crate::trace::session::Session;
use crate::verbs::context::{self, Outcome, legend, read, say_remarks, write_narrow};
use polars::prelude::DataFrame;

/// The first columns of the table.
pub(crate) const HEADS: [ColumnHead; 6] = [
    ColumnHead::new("file"),
    ColumnHead::new("major"),
    ColumnHead::new("minor"),
    ColumnHead::new("total_ms"),
    ColumnHead::new("avg_ms"),
    ColumnHead::new("max_ms"),
];

/// Bytes read again.
pub const REREAD: ColumnHead = ColumnHead::new("reread_bytes");

/// What the columns at the end mean, for tables.
pub(crate) const LEGEND: &str = "REREAD_BYTES: major faults on pages that had one before. SEQ_%: share of a thread's steps in the file \
                          that go to a page at or just behind an earlier place. STRIDE_%: share of steps as long as the one before";

/// Columns that give way to a narrow terminal, the first first.
pub(crate) const DROP_ORDER: [&str; 11] = [
    "untouched_percent",
    "lock_ms",
    "reclaim_ms",
    "cpu_ms",
    "runqueue_ms",
    "blocked_ms",
    "stride_percent",
    "avg_ms",
    "minor",
    "pages",
    "max_ms",
];

/// Entries of page sets, of all files together; each is 24 bytes and covers 64 neighbouring pages.
pub(crate) const PAGE_ENTRIES: usize = 2_000_000;

/// Distinct pages; of a sample only those that it happened to hold, which no factor can scale.
pub(crate) fn pages_head(sampling: Sampling) -> ColumnHead {
    if sampling.is_sampled() {
        ColumnHead::new("pages_seen")
    } else {
        ColumnHead::new("pages")
    }
}

#[derive(Clone, Debug, Default)]
struct ObjectFaults {
    classes: Classes,
    touched: Touched,
    steps: Steps,
    brought: BroughtIn,
    /// Pages and reads again of objects that were put together here, and what these brought in.
    gone: (u64, u64, brought_in::Sums),
}

impl ObjectFaults {
    fn pages(&self) -> u64 {
        self.touched.pages().saturating_add(self.gone.0)
    }

    fn reread(&self) -> u64 {
        self.touched.reread().saturating_add(self.gone.1)
    }

    fn brought(&self) -> brought_in::Sums {
        let mut sums = self.brought.sums(self.touched.page_set());
        sums.merge(&self.gone.2);
        sums
    }
}

impl Sum for ObjectFaults {
    fn weight(&self) -> u128 {
        self.classes.wait_ns().into()
    }

    fn merge(&mut self, other: Self) {
        self.gone.0 = self.gone.0.saturating_add(other.pages());
        self.gone.1 = self.gone.1.saturating_add(other.reread());
        self.gone.2.merge(&other.brought());
        self.classes.merge(&other.classes);
        self.steps.merge(&other.steps);
    }
}

/// Collects faults by object.
#[derive(Debug)]
pub struct Files {
    objects: Objects<ObjectFaults>,
    streams: Streams,
    /// Objects and spaces of majors.
    recent: Recent<(u32, u32)>,
    page_room: usize,
    has_left_pages_out: bool,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            objects: Objects::default(),
            streams: Streams::default(),
            recent: Recent::default(),
            page_room: PAGE_ENTRIES,
            has_left_pages_out: false,
        }
    }
}

impl Pass for Files {
    fn columns(&self) -> Vec<Column> {
        let own = [
            Column::TsNs,
            Column::Pid,
            Column::Tid,
            Column::Address,
            Column::ObjectId,
            Column::ObjectPage,
            Column::PagesRead,
            Column::ReadOffset,
        ];
        [&own[..], &by_class::COLUMNS, &breakdown::COLUMNS].concat()
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let pids = u32s(frame, Column::Pid)?;
        let ids = u32s(frame, Column::ObjectId)?;
        let times = u64s(frame, Column::TsNs)?;
        let addresses = u64s(frame, Column::Address)?;
        let object_pages = u64s(frame, Column::ObjectPage)?;
        let rows = Rows::of(frame, session)?;
        let page_shift = session.page_shift();
        for run in runs(pids, ids) {
            let (Some(&pid), Some(&id)) = (pids.get(run.start), ids.get(run.start)) else {
                continue;
            };
            let slot = self.objects.slot(id, session);
            let object = self.objects.at(slot);
            let (is_file, object) = (object.is_file, &mut object.counted);
            object.classes.add_rows(&rows, run.clone());
            let begins = part(times, &run).iter();
            let places = part(addresses, &run).iter().zip(part(object_pages, &run));
            let ends = part(rows.latencies_ns, &run).iter().zip(part(rows.bits, &run));
            for ((&ts_ns, (&address, &object_page)), (&latency_ns, &bits)) in begins.zip(places).zip(ends) {
                let (space, page) = page_of(is_file, pid, object_page, address >> page_shift);
                self.has_left_pages_out |= !object.touched.add(space, page, &mut self.page_room);
                if ClassBits(bits).class() == Class::Major {
                    self.recent
                        .add(Major::new((id, space), page, ts_ns, latency_ns, (id, space)));
                }
            }
        }
        for read in self.recent.reads() {
            let (id, space) = read.of;
            let slot = self.objects.slot(id, session);
            let touched = &mut self.objects.at(slot).counted.touched;
            let is_in = touched.add_read(space, read.page, &mut self.page_room);
            self.has_left_pages_out |= !is_in;
        }
        self.bring_in(frame, session)?;
        self.walk(frame, session)
    }
}

impl Files {
    /// Takes in what the faults of a block brought into the page cache, where somebody looked.
    fn bring_in(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let pages = frame.column(Column::PagesRead.name())?;
        if pages.null_count() == pages.len() {
            return Ok(());
        }
        let offsets = frame.column(Column::ReadOffset.name())?.u64()?;
        let rows = pages.u32()?.iter().zip(offsets.iter());
        let rows = rows
            .zip(u32s(frame, Column::ObjectId)?)
            .zip(u8s(frame, Column::ClassBits)?);
        let (page_size, sampling) = (session.page_size().max(1), session.sampling());
        for (((pages, offset), &id), &bits) in rows {
            let Some(pages) = pages else { continue };
            let slot = self.objects.slot(id, session);
            let object = self.objects.at(slot);
            if object.is_file {
                let weight = sampling.weight(ClassBits(bits).class());
                let first = offset.map(|offset| offset / page_size);
                object
                    .counted
                    .brought
                    .add(pages.into(), first, weight, &mut self.page_room);
            }
        }
        Ok(())
    }

    /// Judges the steps of a block.
    fn walk(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let page_size = session.page_size();
        let (objects, streams) = (&mut self.objects, &mut self.streams);
        let mut last: Option<(u32, usize)> = None;
        each_visit(frame, |visit| {
            let Visit { object: id, page, .. } = visit;
            let slot = match last {
                Some((object, slot)) if object == id => slot,
                _ => objects.slot(id, session),
            };
            last = Some((id, slot));
            let object = objects.at(slot);
            let (pid, tid) = visit.thread;
            if object.is_file
                && let Some(step) = streams.step((pid, tid, id), page, page_size)
            {
                object.counted.steps.add(step);
            }
        })
    }

    /// All objects together.
    #[must_use]
    pub fn classes(&self) -> Classes {
        let mut all = Classes::default();
        self.objects
            .iter()
            .for_each(|object| all.merge(&object.counted.classes));
        all
    }

    /// The table, longest wait first. Pages of objects with one name are added up.
    #[must_use]
    pub fn table(&self, session: &Session) -> Table {
        let labels = self
            .objects
            .by_label(session, Sums::add, |sums: &Sums| sums.classes.wait_ns());
        let mut total = Sums::default();
        labels.iter().for_each(|(_, sums)| total.merge(sums));
        let (extras, total_brought) = (total.classes.extras(), total.brought);
        let sees_reads = total_brought.are_known();
        let rows: Vec<_> = labels
            .iter()
            .map(|(label, sums)| sums.row(label, extras, sees_reads, session))
            .collect();
        let total = (!rows.is_empty()).then(|| total.row("total", extras, sees_reads, session));
        let mut heads = HEADS.to_vec();
        heads.push(pages_head(session.sampling()));
        heads.extend(extras.failed_head());
        heads.push(REREAD);
        if total_brought.are_known() {
            heads.extend(brought_in::HEADS);
        }
        heads.extend(access_pattern::HEADS);
        heads.extend(extras.part_heads());
        Table { heads, rows, total }
    }

    /// What to know of the numbers.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let limits = describe_limits(self.has_left_pages_out, &self.streams);
        self.objects.remark().into_iter().chain(limits).collect()
    }
}

/// What the bounds of the memory did to the numbers.
pub(crate) fn describe_limits(has_left_pages_out: bool, streams: &Streams) -> Vec<String> {
    let mut remarks = Vec::new();
    if has_left_pages_out {
        remarks.push(
            "PAGES and REREAD_BYTES are too low: there are more pages than fit into memory; ask for fewer with --file, --from or --to"
                .to_owned(),
        );
    }
    if streams.has_left_out() {
        remarks.push(
            "SEQ_% and STRIDE_% leave out some threads: there are too many, in too many files; ask for fewer with --pid or --file"
                .to_owned(),
        );
    }
    remarks
}

/// What one label has in all of its objects.
#[derive(Clone, Debug, Default)]
struct Sums {
    classes: Classes,
    pages: u64,
    reread: u64,
    steps: Steps,
    brought: brought_in::Sums,
}

impl Sums {
    fn add(&mut self, object: &ObjectFaults) {
        self.merge(&Self {
            classes: object.classes.clone(),
            pages: object.pages(),
            reread: object.reread(),
            steps: object.steps,
            brought: object.brought(),
        });
    }

    fn merge(&mut self, other: &Self) {
        self.classes.merge(&other.classes);
        self.pages = self.pages.saturating_add(other.pages);
        self.reread = self.reread.saturating_add(other.reread);
        self.steps.merge(&other.steps);
        self.brought.merge(&other.brought);
    }

    fn row(&self, label: &str, extras: Extras, sees_reads: bool, session: &Session) -> Vec<Value> {
        let mut row = vec![Value::Text(label.to_owned())];
        row.extend(self.classes.wait_cells());
        row.push(Value::Count(self.pages));
        row.extend(extras.failed_cell(&self.classes));
        row.push(Value::Bytes(self.reread.saturating_mul(session.page_size())));
        if sees_reads {
            row.extend(self.brought.cells(session));
        }
        row.extend(self.steps.cells(session.sampling().is_sampled()));
        row.extend(extras.part_cells(&self.classes.parts.all()));
        row
    }
}

/// Reads the trace and writes the table.
///
/// # Errors
/// Input, output, or a question that the trace cannot answer.
pub fn run(request: &Request) -> anyhow::Result<Outcome> {
    context::answer(request, false, |request, trace, output| {
        let mut files = Files::default();
        let session = read(request, trace.input()?, &mut [&mut files])?;
        let table = files.table(&session);
        let legend = legend(LEGEND, request).map(|legend| match table.column(brought_in::HEADS[0].name) {
            Some(_) => format!("{legend}. {}", brought_in::LEGEND),
            None => legend,
        });
        let for_width = write_narrow(table, &DROP_ORDER, &session, request, output)?;
        let remarks = legend.into_iter().chain(for_width);
        let remarks = remarks.chain(scaling::remark(&session)).chain(files.remarks());
        let remarks = remarks.chain(files.classes().describe_failed());
        Ok(say_remarks(remarks, request, output)?)
    })
}
