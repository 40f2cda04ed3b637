//! What the recorder knows of the recorded processes while it records: it turns wire records into
//! stored events by joining each fault with the thread's name and with what is mapped at its address
//! at that time.

mod address_space;
mod adoption;
mod budget;
mod devices;
mod dictionary;
mod files;
mod folded;
mod held;
mod lifecycle;
mod locate;
mod nameless;
mod only;
pub mod proc;
mod programs;
mod queries;
mod renewal;
mod seen;
mod stack;

use std::{collections::HashSet, io};

use address_space::{AddressSpace, Mapping};
use devices::Devices;
use dictionary::Dictionary;
pub use files::FileIdentity;
use files::Sighting;
pub use folded::Folded;
use held::HeldChild;
pub use only::Only;
use pf_bpf::{Fault, Record};
use pf_formats::{
    Access, Breakdown, CommId, Dict, Event, Happening, HiddenWait, Loss, ObjectId, Origin, ProcessEntry,
    Query, TimelineEntry,
};
use pf_notation::names::{Names, none_fits};
use programs::Programs;
use queries::Queries;
use renewal::{CROWDED, Renewal};
use rustc_hash::FxHashMap;
use seen::Seen;

use crate::{
    clock::monotonic_ns,
    pipeline::backlog::Batch,
    pipeline::sideband::{Map, Sideband, What},
    stacks::StackTable,
};

/// Side-band records this close to the horizon wait for the next batch: another CPU may still be
/// writing an older one.
const SIDEBAND_SETTLE_NS: u64 = 1_000_000;

/// Names of threads that are told where none passed a filter.
const NAMES: usize = 12;

/// Takes what the session produces, in order.
pub trait Sink {
    /// Why it may refuse.
    type Error;
    /// New dictionary entries; always before anything that uses them.
    fn dict(&mut self, dict: &Dict) -> Result<(), Self::Error>;
    /// One fault.
    fn event(&mut self, event: &Event) -> Result<(), Self::Error>;
    /// Queries that have ended.
    fn queries(&mut self, queries: &mut Vec<Query>) -> Result<(), Self::Error>;
    /// Happenings of one batch.
    fn timeline(&mut self, entries: &[TimelineEntry]) -> Result<(), Self::Error>;
    /// Waits of which no fault tells, of one batch.
    fn hidden_waits(&mut self, waits: &[HiddenWait]) -> Result<(), Self::Error>;
    /// Which programs processes run.
    fn processes(&mut self, entries: &[ProcessEntry]) -> Result<(), Self::Error>;
    /// What one batch told that is not kept.
    fn loss(&mut self, losses: &[Loss]) -> Result<(), Self::Error>;
}

/// Which processes belong to the recording.
#[derive(Debug)]
pub enum Members {
    /// All of them.
    All,
    /// These and, with `children`, whatever they fork.
    Some {
        /// The processes.
        pids: HashSet<u32>,
        /// Whether forks join.
        children: bool,
    },
}

/// Faults by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Major ones.
    pub majors: u64,
    /// Minor ones.
    pub minors: u64,
    /// Those that did not complete, which the kernel counts as neither.
    pub failed: u64,
    /// Of these: interrupted, and not tried again.
    pub abandoned: u64,
}

impl Faults {
    fn add(&mut self, fault: &Fault) {
        *match (fault.failed, fault.major) {
            (true, _) => &mut self.failed,
            (false, true) => &mut self.majors,
            (false, false) => &mut self.minors,
        } += 1;
        self.abandoned += u64::from(fault.abandoned);
    }
}

/// The recorded processes as of the last record seen.
#[derive(Debug)]
pub struct Session {
    members: Members,
    page_size: u64,
    held: HeldChild,
    processes: FxHashMap<u32, Process>,
    threads: FxHashMap<u32, Thread>,
    dictionary: Dictionary,
    /// Files whose numbers in the kernel's mappings are not those of its records, as on overlayfs.
    aliases: FxHashMap<FileIdentity, ObjectId>,
    seen: Seen,
    /// Processes whose mappings were read again, until that takes the place of what was known.
    renewals: Vec<u32>,
    /// All records before this time are through.
    settled_ns: u64,
    pending: Vec<Sideband>,
    /// Of the pending records: the last exec of each process.
    execs_ahead: FxHashMap<u32, u64>,
    timeline: Vec<TimelineEntry>,
    hidden_waits: Vec<HiddenWait>,
    stacks: StackTable,
    queries: Queries,
    programs: Programs,
    only: Option<Only>,
    only_threads: Vec<Names>,
    /// The filters of the probes, in words.
    filters: Vec<String>,
    before_exec: Faults,
    before_exec_events: u64,
    recorded: Faults,
    filtered: Faults,
    devices: Devices,
}

#[derive(Debug)]
struct Process {
    space: AddressSpace,
    /// Side-band mappings before this time are in `space` already.
    known_since_ns: u64,
    /// When /proc was asked last for addresses that no record explains.
    seen_ns: u64,
    /// More mappings than this in `space`, and some are gone for certain.
    crowded_at: usize,
    renewal: Option<Box<Renewal>>,
    threads: u32,
    /// When it was missed, after records were lost: its end may be among them.
    gone_ns: Option<u64>,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            space: AddressSpace::default(),
            known_since_ns: 0,
            seen_ns: 0,
            crowded_at: CROWDED,
            renewal: None,
            threads: 0,
            gone_ns: None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Thread {
    pid: u32,
    comm: CommId,
    counters: Option<(u32, u32)>,
}

impl Session {
    /// `held` is the child that becomes the launched command.
    #[must_use]
    pub fn new(members: Members, page_size: u64, held: Option<u32>) -> Self {
        Self {
            members,
            page_size,
            held: HeldChild::new(held),
            processes: FxHashMap::default(),
            threads: FxHashMap::default(),
            dictionary: Dictionary::new(),
            aliases: FxHashMap::default(),
            seen: Seen::default(),
            renewals: Vec::new(),
            settled_ns: 0,
            pending: Vec::new(),
            execs_ahead: FxHashMap::default(),
            timeline: Vec::new(),
            hidden_waits: Vec::new(),
            stacks: StackTable::default(),
            queries: Queries::default(),
            programs: Programs::default(),
            only: None,
            only_threads: Vec::new(),
            filters: Vec::new(),
            before_exec: Faults::default(),
            before_exec_events: 0,
            recorded: Faults::default(),
            filtered: Faults::default(),
            devices: Devices::default(),
        }
    }

    /// What the probes of queries are called, by their number. Queries that began before `start_ns` are told as
    /// that.
    pub fn name_queries(&mut self, names: Vec<String>, start_ns: u64) {
        self.queries = Queries::new(names, start_ns);
    }

    /// Looks for the executables and command lines of processes. `command` is what the held child becomes.
    ///
    /// # Errors
    ///
    /// When there can be no thread for it.
    pub fn read_programs(&mut self, command: Vec<String>) -> io::Result<()> {
        self.programs.set_command(command);
        self.programs.read()
    }

    /// Leaves out the faults of all other files.
    pub fn only(&mut self, file: Option<Only>) {
        self.dictionary
            .want(file.as_ref().map_or(&[], |only| only.shown()));
        self.only = file;
    }

    /// Only threads of these names are recorded; the probes see to it.
    pub fn only_threads(&mut self, names: Vec<Names>) {
        self.only_threads = names;
    }

    /// What the probes leave out, in words.
    pub fn set_filters(&mut self, filters: Vec<String>) {
        self.filters = filters;
    }

    /// What is worth telling people at the end.
    pub fn remarks(&self) -> impl Iterator<Item = String> {
        self.nothing().into_iter().chain(self.programs.describe())
    }

    /// Why nothing was recorded: what was there instead.
    fn nothing(&self) -> Option<String> {
        if self.recorded != Faults::default() {
            return None;
        }
        let is_wanted = |name: &str| self.only_threads.iter().any(|names| names.matches(name));
        if !self.only_threads.is_empty() && !self.dictionary.comms().any(is_wanted) {
            let wanted: Vec<&Names> = self.only_threads.iter().collect();
            return Some(format!("--comm: {}", none_fits(&wanted, self.dictionary.comms())));
        }
        match &self.only {
            Some(only) => Some(only.none_found(&self.dictionary)),
            None => self.none_passed(),
        }
    }

    /// Where filters left nothing: the threads that there were.
    fn none_passed(&self) -> Option<String> {
        if self.filters.is_empty() {
            return None;
        }
        let mut names: Vec<&str> = self.dictionary.comms().collect();
        names.sort_unstable();
        let more = match names.len().checked_sub(NAMES) {
            None | Some(0) => String::new(),
            Some(more) => format!(" and {more} others"),
        };
        names.truncate(NAMES);
        Some(format!(
            "no fault passed the filters ({}); the threads were named: {}{more}",
            self.filters.join(", "),
            names.join(", ")
        ))
    }

    /// Works through a batch in the order of time. `last` says that none follows.
    pub fn process<S: Sink>(&mut self, batch: &mut Batch, last: bool, sink: &mut S) -> Result<(), S::Error> {
        // In place, as a batch may be large: what was left goes before.
        drop(batch.sideband.splice(0..0, self.pending.drain(..)));
        self.pending = std::mem::take(&mut batch.sideband);
        self.pending.sort_by_key(|record| record.ts_ns);
        self.execs_ahead = execs_of(&self.pending);
        batch.records.sort_by_key(Record::at_ns);
        let settled = if last {
            u64::MAX
        } else {
            batch.horizon_ns.saturating_sub(SIDEBAND_SETTLE_NS)
        };

        let mut sideband = std::mem::take(&mut self.pending).into_iter().peekable();
        for record in &batch.records {
            let now = record.at_ns();
            while let Some(earlier) = sideband.next_if(|next| next.ts_ns <= now) {
                self.sideband(earlier);
            }
            match record {
                Record::Fault(fault) => self.fault(fault, sink)?,
                Record::Exit(exit) => self.counters(exit),
                Record::Exec(exec) => self.exec(exec),
                Record::Stack(stack) => self.stack(stack),
                Record::KernelStack(stack) => self.kernel_stack(stack),
                Record::HiddenWait(wait) => self.hidden_wait(wait),
                Record::Query(query) if !self.held.began(query) => self.queries.end(query),
                Record::QueryText(text) if !self.held.said(text) => self.queries.text(text),
                Record::Query(_) | Record::QueryText(_) | Record::Wake => {}
            }
        }
        while let Some(earlier) = sideband.next_if(|next| next.ts_ns <= settled) {
            self.sideband(earlier);
        }
        self.pending = sideband.collect();
        self.pending.shrink_to_fit();
        self.seen.forget_before(settled);
        self.finish_renewals(settled);
        self.settled_ns = settled;
        self.write_names(sink)?;
        sink.queries(self.queries.ended())?;
        sink.timeline(&self.timeline)?;
        self.timeline.clear();
        sink.hidden_waits(&self.hidden_waits)?;
        self.hidden_waits.clear();
        sink.processes(&self.programs.take_known(settled, last))?;
        match self.dictionary.folded().take_loss() {
            Some(loss) => sink.loss(&[loss]),
            None => Ok(()),
        }
    }

    /// What was told and is not kept.
    pub fn folded(&mut self) -> Folded {
        *self.dictionary.folded()
    }

    /// Faults of the held child before it became the command.
    #[must_use]
    pub fn before_exec(&self) -> Faults {
        self.before_exec
    }

    /// Of these, those that software events told of.
    #[must_use]
    pub fn before_exec_events(&self) -> u64 {
        self.before_exec_events
    }

    /// Faults that were not wanted, and that the probes could not tell.
    #[must_use]
    pub fn filtered(&self) -> Faults {
        self.filtered
    }

    /// Events handed to the sink.
    #[must_use]
    pub fn recorded(&self) -> Faults {
        self.recorded
    }

    /// Devices of files that faulted, no more of them than are told of.
    #[must_use]
    pub fn faulted_devices(&self) -> &[(u32, u32)] {
        self.devices.met()
    }

    /// Mapping records were lost, so what is known may be wrong: reads it again. To be called when what
    /// was recorded before the loss is processed.
    pub fn distrust_mappings(&mut self) {
        let pids: Vec<u32> = self.processes.keys().copied().collect();
        let now = monotonic_ns();
        for pid in pids {
            self.replace_space(pid);
            if !self.held.is(pid) {
                self.programs.meet(pid, now);
            }
        }
        self.bury_the_gone();
    }

    fn fault<S: Sink>(&mut self, fault: &Fault, sink: &mut S) -> Result<(), S::Error> {
        if self.held.is(fault.tgid) {
            self.before_exec.add(fault);
            self.before_exec_events += u64::from(fault.is_event());
            return Ok(());
        }
        let comm = self.comm_of(fault.tgid, fault.tid);
        let (object, object_page) = self.locate(fault);
        if let Some(only) = &mut self.only
            && !only.wants(&self.dictionary, object, fault.vma)
        {
            self.filtered.add(fault);
            return Ok(());
        }
        let event = Event {
            ts_ns: fault.ts_ns,
            latency_ns: fault.latency_ns,
            pid: fault.tgid,
            tid: fault.tid,
            comm,
            cpu: fault.cpu,
            address: fault.address,
            ip: fault.ip,
            object,
            object_page,
            major: fault.major,
            failed: fault.failed,
            access: Access::from_code(fault.access),
            origin: Origin::from_code(fault.origin),
            abandoned: fault.abandoned,
            retries: fault.retries,
            interruptions: u8::try_from(fault.interruptions).unwrap_or(u8::MAX),
            signal: fault.signal,
            breakdown: fault.times.map(|times| Breakdown {
                blocked_ns: times.blocked_ns,
                runqueue_ns: times.runqueue_ns,
                reclaim_ns: times.reclaim_ns,
                lock_ns: times.lock_ns,
            }),
            witnesses: self.witnesses(fault, object, object_page),
            stack: self.stacks.known(fault.stack).unwrap_or_default(),
            query: self.queries.id(fault.tid, fault.query),
        };
        self.write_names(sink)?;
        sink.event(&event)?;
        self.devices.meet(object, &self.dictionary);
        self.recorded.add(fault);
        Ok(())
    }

    fn write_names<S: Sink>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        if self.dictionary.has_new() {
            for dict in self.dictionary.take_new() {
                sink.dict(&dict)?;
            }
        }
        // After the objects their frames are in.
        if self.stacks.has_new() {
            for dict in self.stacks.take_new() {
                sink.dict(&dict)?;
            }
        }
        Ok(())
    }

    fn comm_of(&mut self, pid: u32, tid: u32) -> CommId {
        let known = |session: &Self| {
            session
                .threads
                .get(&tid)
                .filter(|thread| thread.pid == pid)
                .map(|t| t.comm)
        };
        if let Some(comm) = known(self) {
            return comm;
        }
        // Its fork was missed, but the probes record it, so it belongs here.
        if !self.processes.contains_key(&pid) {
            self.join(pid);
            self.adopt(pid);
        }
        if let Some(comm) = known(self) {
            return comm;
        }
        // A thread that is gone by now stays nameless.
        let comm = proc::comm_of(pid, tid);
        let comm = comm.map_or(CommId::default(), |comm| {
            self.dictionary.comm(&comm, pid, monotonic_ns())
        });
        self.add_thread(tid, pid, comm);
        comm
    }

    /// Takes over what /proc says now.
    fn replace_space(&mut self, pid: u32) {
        let now = monotonic_ns();
        let maps = proc::maps(pid);
        let process = self.processes.entry(pid).or_default();
        // A process that is gone, or between two programs, keeps what was known of it.
        let Some(maps) = maps.filter(|maps| !maps.is_empty()) else {
            let is_gone = proc::is_gone(pid);
            process.gone_ns = process.gone_ns.or(Some(now)).filter(|_| is_gone);
            return;
        };
        process.gone_ns = None;
        process.known_since_ns = now;
        process.renewal = None;
        process.space.clear();
        for map in maps {
            let mapping = to_mapping(&mut self.dictionary, pid, now, &map);
            process.space.insert(map.start, mapping);
        }
        process.crowded_at = renewal::crowded_at(process.space.len());
    }
}

fn happening(map: &Map, object: ObjectId) -> Happening {
    Happening::Map {
        start: map.start,
        len: map.len,
        offset: map.offset,
        prot: map.prot,
        flags: map.flags,
        object,
    }
}

fn to_mapping(dictionary: &mut Dictionary, pid: u32, at_ns: u64, map: &Map) -> Mapping {
    let (object, kind) = dictionary.object(&Sighting { map, pid, at_ns });
    Mapping {
        end: map.start.saturating_add(map.len),
        offset: map.offset,
        object,
        kind,
        is_shared: map.flags & libc::MAP_SHARED.cast_unsigned() != 0,
    }
}

fn execs_of(records: &[Sideband]) -> FxHashMap<u32, u64> {
    let execs = records
        .iter()
        .filter(|record| matches!(record.what, What::Comm { exec: true, .. }));
    // In the order of time, so the last one stays.
    execs.map(|record| (record.pid, record.ts_ns)).collect()
}

#[cfg(test)]
mod tests;
