//! The small tables, from what a trace says besides its events. They are collected on the way through the trace that also
//! finds its losses; only those that the question names take memory.

use crate::engine::columns::Column;
use crate::engine::frame::u32s;
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::trace::processes::Program;
use crate::trace::queries;
use crate::trace::session::Session;
use crate::verbs::sql::budget::Budget;
use crate::verbs::sql::schema::{Field, TableName};
use pf_formats::{Happening, Query as Row, TimelineEntry};
use pf_notation::shell::shell_words;
use polars::prelude::{Column as PolarsColumn, DataFrame, NamedFrom, PolarsResult, Series};
use std::collections::BTreeMap;

/// What a thread takes, once by its number, once as lists and once as columns, with a short name.
const THREAD: u64 = 200;

/// One mapping.
#[derive(Clone, Copy, Debug)]
struct Mapping {
    ts_ns: u64,
    pid: u32,
    tid: u32,
    start: u64,
    len: u64,
    offset: u64,
    prot: u32,
    flags: u32,
    object: u32,
}

/// Collects what the tables are made of.
#[derive(Debug)]
pub struct Side<'a> {
    wanted: &'a [TableName],
    budget: &'a Budget,
    /// Thread and the id of its name, 0 as long as it is not known.
    threads: BTreeMap<(u32, u32), u32>,
    mappings: Vec<Mapping>,
    queries: Vec<Row>,
    too_big: Option<TableName>,
}

impl Pass for Side<'_> {
    fn columns(&self) -> Vec<Column> {
        if self.wants(TableName::Threads) {
            vec![Column::Pid, Column::Tid, Column::CommId]
        } else {
            Vec::new()
        }
    }

    fn block(&mut self, frame: &DataFrame, _: &Session) -> Result<(), AnalyzeError> {
        if !self.wants(TableName::Threads) {
            return Ok(());
        }
        let threads = u32s(frame, Column::Pid)?.iter().zip(u32s(frame, Column::Tid)?);
        let mut last = None;
        for ((&pid, &tid), &comm) in threads.zip(u32s(frame, Column::CommId)?) {
            if last != Some((pid, tid, comm)) {
                last = Some((pid, tid, comm));
                if let Some(name) = self.thread((pid, tid)) {
                    *name = comm;
                }
            }
        }
        Ok(())
    }

    fn row(&mut self, row: &Row, _: &Session) {
        if !self.wants(TableName::Queries) || self.too_big.is_some() {
            return;
        }
        let text = row.text.as_ref().map_or(0, String::len);
        let cost = size_of::<Row>() + row.name.len() + text;
        // Kept once as rows and once as columns.
        if self.budget.takes(2 * cost as u64) {
            self.queries.push(row.clone());
        } else {
            self.too_big = Some(TableName::Queries);
        }
    }

    fn timeline(&mut self, entries: &[TimelineEntry], _: &Session) {
        for entry in entries {
            match entry.what {
                Happening::Map {
                    start,
                    len,
                    offset,
                    prot,
                    flags,
                    object,
                } if self.wants(TableName::Mappings) => self.map(Mapping {
                    ts_ns: entry.ts_ns,
                    pid: entry.pid,
                    tid: entry.tid,
                    start,
                    len,
                    offset,
                    prot,
                    flags,
                    object: object.0,
                }),
                Happening::Comm { comm, .. } if self.wants(TableName::Threads) => {
                    if let Some(name) = self.thread((entry.pid, entry.tid)) {
                        *name = comm.0;
                    }
                }
                Happening::Fork {
                    parent_pid,
                    parent_tid,
                } if self.wants(TableName::Threads) => {
                    let inherited = self.threads.get(&(parent_pid, parent_tid)).copied();
                    let is_known = self.threads.contains_key(&(entry.pid, entry.tid));
                    if let Some(name) = self.thread((entry.pid, entry.tid)).filter(|_| !is_known) {
                        *name = inherited.unwrap_or(0);
                    }
                }
                _ => {}
            }
        }
    }
}

impl<'a> Side<'a> {
    /// For a question that names `wanted`.
    #[must_use]
    pub fn new(wanted: &'a [TableName], budget: &'a Budget) -> Self {
        Self {
            wanted,
            budget,
            threads: BTreeMap::new(),
            mappings: Vec::new(),
            queries: Vec::new(),
            too_big: None,
        }
    }

    fn wants(&self, table: TableName) -> bool {
        self.wanted.contains(&table)
    }

    /// The name of a thread, 0 where none is known yet; `None` when there is no room for it.
    fn thread(&mut self, key: (u32, u32)) -> Option<&mut u32> {
        if self.too_big.is_none() && !self.threads.contains_key(&key) && !self.budget.takes(THREAD) {
            self.too_big = Some(TableName::Threads);
        }
        match self.too_big {
            None => Some(self.threads.entry(key).or_insert(0)),
            Some(_) => None,
        }
    }

    fn map(&mut self, mapping: Mapping) {
        if self.too_big.is_some() {
            return;
        }
        if self.budget.takes(2 * size_of::<Mapping>() as u64) {
            self.mappings.push(mapping);
        } else {
            self.too_big = Some(TableName::Mappings);
        }
    }

    /// The tables that were wanted, `faults` aside.
    ///
    /// # Errors
    /// When one does not fit into the budget.
    pub fn frames(mut self, session: &Session) -> Result<Vec<(TableName, DataFrame)>, AnalyzeError> {
        if self.wants(TableName::Threads) {
            for &key in session.lifetimes.keys() {
                self.thread(key);
            }
        }
        if let Some(table) = self.too_big {
            return Err(self.budget.refusal_of(table.name()));
        }
        let mut frames = Vec::new();
        for &table in self.wanted {
            let frame = match table {
                TableName::Faults => continue,
                TableName::Threads => self.threads(session),
                TableName::Processes => processes(session),
                TableName::Files => files(session),
                TableName::Mappings => self.mappings(session),
                TableName::Queries => self.queries(),
                TableName::Losses => losses(session),
                TableName::Conditions => conditions(session),
                TableName::Host => host(session),
            };
            frames.push((table, frame?));
        }
        Ok(frames)
    }

    fn threads(&self, session: &Session) -> PolarsResult<DataFrame> {
        let life = |key: &(u32, u32)| session.lifetimes.get(key).copied().unwrap_or_default();
        let keys: Vec<(u32, u32)> = self.threads.keys().copied().collect();
        let comms = self.threads.values();
        Builder::new(TableName::Threads)
            .put(keys.iter().map(|key| key.0).collect::<Vec<u32>>())
            .put(keys.iter().map(|key| key.1).collect::<Vec<u32>>())
            .put(
                comms
                    .map(|&comm| (comm != 0).then(|| session.dicts.comm(comm).into_owned()))
                    .collect::<Vec<Option<String>>>(),
            )
            .put(
                keys.iter()
                    .map(|key| life(key).begin_ns)
                    .collect::<Vec<Option<u64>>>(),
            )
            .put(
                keys.iter()
                    .map(|key| life(key).end_ns)
                    .collect::<Vec<Option<u64>>>(),
            )
            .put(
                keys.iter()
                    .map(|key| life(key).kernel_count)
                    .collect::<Vec<Option<u64>>>(),
            )
            .frame(keys.len())
    }

    fn mappings(&self, session: &Session) -> PolarsResult<DataFrame> {
        let dicts = &session.dicts;
        let all = || self.mappings.iter();
        let files: Vec<Option<_>> = all().map(|m| dicts.file(m.object)).collect();
        Builder::new(TableName::Mappings)
            .put(all().map(|m| m.ts_ns).collect::<Vec<u64>>())
            .put(all().map(|m| m.pid).collect::<Vec<u32>>())
            .put(all().map(|m| m.tid).collect::<Vec<u32>>())
            .put(all().map(|m| m.start).collect::<Vec<u64>>())
            .put(all().map(|m| m.start.saturating_add(m.len)).collect::<Vec<u64>>())
            .put(all().map(|m| m.offset).collect::<Vec<u64>>())
            .put(all().map(|m| perms(m.prot, m.flags)).collect::<Vec<String>>())
            .put(all().map(|m| m.flags).collect::<Vec<u32>>())
            .put(all().map(|m| dicts.kind(m.object).name()).collect::<Vec<&str>>())
            .put(files.iter().map(Option::as_deref).collect::<Vec<Option<&str>>>())
            .frame(self.mappings.len())
    }

    fn queries(&self) -> PolarsResult<DataFrame> {
        let all = || self.queries.iter();
        let known = |value: u64| (value != 0).then_some(value);
        let begin = |q: &Row| (!q.begun_before).then_some(q.begin_ns);
        let labels: Vec<_> = all().map(queries::label).collect();
        Builder::new(TableName::Queries)
            .put(all().map(|q| q.id.0).collect::<Vec<u64>>())
            .put(all().map(|q| known(q.parent.0)).collect::<Vec<Option<u64>>>())
            .put(all().map(|q| q.pid).collect::<Vec<u32>>())
            .put(all().map(|q| q.tid).collect::<Vec<u32>>())
            .put(all().map(|q| q.name.as_str()).collect::<Vec<&str>>())
            .put(all().map(|q| q.text.as_deref()).collect::<Vec<Option<&str>>>())
            .put(labels.iter().map(AsRef::as_ref).collect::<Vec<&str>>())
            .put(all().map(|q| q.key).collect::<Vec<Option<u64>>>())
            .put(all().map(begin).collect::<Vec<Option<u64>>>())
            .put(all().map(|q| q.end_ns).collect::<Vec<u64>>())
            .put(all().map(|q| q.end.name()).collect::<Vec<&str>>())
            .put(all().map(|q| q.own.majors).collect::<Vec<u64>>())
            .put(all().map(|q| q.own.minors).collect::<Vec<u64>>())
            .put(all().map(|q| q.own.wait_ns).collect::<Vec<u64>>())
            .put(all().map(|q| q.nested.majors).collect::<Vec<u64>>())
            .put(all().map(|q| q.nested.minors).collect::<Vec<u64>>())
            .put(all().map(|q| q.nested.wait_ns).collect::<Vec<u64>>())
            .put(all().map(|q| q.text_cut).collect::<Vec<bool>>())
            .frame(self.queries.len())
    }
}

/// As /proc/PID/maps writes them.
fn perms(prot: u32, flags: u32) -> String {
    let bit = |bit: u32, letter| if prot & bit != 0 { letter } else { '-' };
    let shared = if flags & 1 != 0 { 's' } else { 'p' };
    [bit(1, 'r'), bit(2, 'w'), bit(4, 'x'), shared]
        .into_iter()
        .collect()
}

fn files(session: &Session) -> PolarsResult<DataFrame> {
    let files = session.dicts.files();
    let all = || files.iter().map(|(_, object)| *object);
    Builder::new(TableName::Files)
        .put(all().map(|o| o.path.as_str()).collect::<Vec<&str>>())
        .put(all().map(|o| o.kind.name()).collect::<Vec<&str>>())
        .put(all().map(|o| o.dev_major).collect::<Vec<u32>>())
        .put(all().map(|o| o.dev_minor).collect::<Vec<u32>>())
        .put(all().map(|o| o.inode).collect::<Vec<u64>>())
        .frame(files.len())
}

fn processes(session: &Session) -> PolarsResult<DataFrame> {
    let all = || session.processes.all();
    let executable = |p: &Program| (!p.executable.is_empty()).then(|| p.executable.clone());
    let command = |p: &Program| (!p.command.is_empty()).then(|| shell_words(&p.command));
    Builder::new(TableName::Processes)
        .put(all().map(|(pid, _, _)| pid).collect::<Vec<u32>>())
        .put(all().map(|(_, since_ns, _)| since_ns).collect::<Vec<u64>>())
        .put(
            all()
                .map(|(_, _, program)| executable(program))
                .collect::<Vec<Option<String>>>(),
        )
        .put(
            all()
                .map(|(_, _, program)| command(program))
                .collect::<Vec<Option<String>>>(),
        )
        .frame(all().count())
}

fn losses(session: &Session) -> PolarsResult<DataFrame> {
    let intervals = session.losses.intervals(|_| true);
    let all = || intervals.iter();
    Builder::new(TableName::Losses)
        .put(all().map(|l| l.from_ns).collect::<Vec<u64>>())
        .put(all().map(|l| l.to_ns).collect::<Vec<u64>>())
        .put(all().map(|l| l.count).collect::<Vec<u64>>())
        .put(all().map(|l| l.reason.name()).collect::<Vec<&str>>())
        .put(all().map(|l| l.cpu).collect::<Vec<Option<u16>>>())
        .frame(intervals.len())
}

fn conditions(session: &Session) -> PolarsResult<DataFrame> {
    let all = || session.conditions.all();
    Builder::new(TableName::Conditions)
        .put(all().map(|(subject, _, _)| subject).collect::<Vec<&str>>())
        .put(all().map(|(_, name, _)| name).collect::<Vec<&str>>())
        .put(all().map(|(_, _, s)| s.first.1.as_str()).collect::<Vec<&str>>())
        .put(all().map(|(_, _, s)| s.last.1.as_str()).collect::<Vec<&str>>())
        .frame(all().count())
}

fn host(session: &Session) -> PolarsResult<DataFrame> {
    let meta = session.meta.as_ref();
    let text = |of: &dyn Fn(&pf_formats::Meta) -> String| vec![meta.map(of)];
    Builder::new(TableName::Host)
        .put(text(&|m| m.host.hostname.clone()))
        .put(text(&|m| m.host.kernel.clone()))
        .put(text(&|m| m.host.arch.clone()))
        .put(vec![session.page_size()])
        .put(vec![meta.map(|m| m.host.cpus)])
        .put(vec![meta.map(|m| m.host.memory_bytes)])
        .put(vec![session.start_ns()])
        .put(vec![session.end_ns()])
        .put(vec![session.header.utc_offset_ns])
        .put(text(&|m| m.recorder.clone()))
        .put(text(&|m| m.backend.clone()))
        .put(text(&|m| shell_words(&m.command)))
        .put(text(&|m| shell_words(&m.options)))
        .put(text(&|m| m.target.clone()))
        .put(text(&|m| crate::integrity::warnings::listed(&m.filters)))
        .put(vec![meta.map(|m| m.sample)])
        .put(vec![session.events])
        .put(vec![session.events_lost()])
        .frame(1)
}

/// Takes columns in the order of the schema.
struct Builder {
    fields: std::vec::IntoIter<Field>,
    columns: Vec<PolarsColumn>,
}

impl Builder {
    fn new(table: TableName) -> Self {
        Self {
            fields: table.fields().into_iter(),
            columns: Vec::new(),
        }
    }

    fn put<V, T: ?Sized>(mut self, values: V) -> Self
    where
        Series: NamedFrom<V, T>,
    {
        if let Some(field) = self.fields.next() {
            self.columns.push(Series::new(field.name.into(), values).into());
        }
        self
    }

    fn frame(self, rows: usize) -> PolarsResult<DataFrame> {
        DataFrame::new(rows, self.columns)
    }
}
