//! Everything a trace says besides its events: who recorded it and how, names, thread lifetimes, losses, damage, totals.
//! It is filled while the trace streams by; queries read it, and never the other way round.

use crate::output::command::Caller;
use crate::trace::class::Class;
use crate::trace::conditions::Conditions;
use crate::trace::dicts::Dicts;
use crate::trace::loss_ledger::Losses;
use crate::trace::processes::Processes;
use crate::trace::sampling::Sampling;
use crate::trace::visibility::{Failed, Sight};
use pf_formats::{
    BlockInfo, Columns, Damage, Footer, Happening, Header, Loss, LossReason, Meta, TimelineEntry, Totals,
};
use std::collections::BTreeMap;

/// Places of damage kept one by one; beyond this only their number is.
const DAMAGES_KEPT: usize = 1_000;

/// Threads whose lives are kept, and lives of earlier threads of their numbers: 60 bytes each. Only a trace made to hurt has
/// more; the lives of other threads count as the whole recording.
const LIVES_KEPT: usize = 1 << 20;

/// When a thread began and ended, as far as the recording saw it. A tid can come again for a new thread of the same
/// process: the dates are those of the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// Its creation, when that was during the recording.
    pub begin_ns: Option<u64>,
    /// Its end, when that was during the recording.
    pub end_ns: Option<u64>,
    /// The kernel's count of the faults of its whole life, major and minor, where its end told.
    pub kernel_count: Option<u64>,
}

/// The least and the most of all faults that were read, whether they pass a filter or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extremes {
    /// When the first and the last one began, in `CLOCK_MONOTONIC`.
    pub begin_ns: (u64, u64),
    /// The shortest and the longest latency.
    pub latency_ns: (u64, u64),
}

/// The trace without its events.
#[derive(Clone, Debug)]
pub struct Session {
    /// The file header.
    pub header: Header,
    /// How a command for this trace is written.
    pub caller: Caller,
    /// Host, command and backend; `None` when that record was damaged.
    pub meta: Option<Meta>,
    /// Names.
    pub dicts: Dicts,
    /// By (pid, tid).
    pub lifetimes: BTreeMap<(u32, u32), Lifetime>,
    /// By (pid, tid): begins and ends of the threads that had it before the one in `lifetimes`.
    earlier: BTreeMap<(u32, u32), Vec<(u64, u64)>>,
    earlier_kept: usize,
    /// Begins and ends of threads that were not kept, because there were too many.
    pub lives_left_out: u64,
    /// Which programs processes ran.
    pub processes: Processes,
    /// What the recorder knows it does not have.
    pub losses: Losses,
    /// The first places of damage.
    pub damages: Vec<Damage>,
    /// Number of all places of damage.
    pub damage_count: u64,
    /// Bytes that could not be read.
    pub damaged_bytes: u64,
    /// Events known to be missing through damage.
    pub events_missing: u64,
    /// What the recorder counted, when it finished.
    pub totals: Option<Totals>,
    /// What the end of a finished file says: known before anything else is read, and not to be relied on.
    pub totals_ahead: Option<Totals>,
    /// Whether the recorder closed the file in good order; `None` without a footer.
    pub clean: Option<bool>,
    /// Whether the trailer was there and valid.
    pub finished: bool,
    /// Events in all blocks read, before any filter.
    pub events: u64,
    /// Events in blocks behind the end record, where there should be none.
    pub behind_the_end: u64,
    /// Events that passed the filter, when a query looked.
    pub passed: u64,
    /// Rows whose breakdown exceeds their latency, as far as a query looked at breakdowns.
    pub impossible_breakdowns: u64,
    /// Whether a block had witnesses of causes, as far as a query looked at them.
    saw_witnesses: bool,
    /// What was set, and how things stood.
    pub conditions: Conditions,
    /// Rows of queries read, before any filter.
    pub queries: u64,
    /// Blocks read.
    pub blocks: u64,
    /// Size of the file or stream.
    pub bytes: u64,
    /// Rows in the order of [`Class::ALL`].
    classes: [u64; 3],
    /// Begins and latencies of all faults, from the first to the last; `None` without any.
    extremes: Option<Extremes>,
    first_ns: Option<u64>,
    last_ns: u64,
    /// When the first and the last fault of the block at hand began, and when the last one ended.
    block_ns: (u64, u64),
    block_end_ns: u64,
}

impl Session {
    /// A session that has seen the header only.
    #[must_use]
    pub fn new(header: Header) -> Self {
        Self {
            header,
            caller: Caller::default(),
            meta: None,
            dicts: Dicts::default(),
            lifetimes: BTreeMap::new(),
            earlier: BTreeMap::new(),
            earlier_kept: 0,
            lives_left_out: 0,
            processes: Processes::default(),
            losses: Losses::default(),
            damages: Vec::new(),
            damage_count: 0,
            damaged_bytes: 0,
            events_missing: 0,
            totals: None,
            totals_ahead: None,
            clean: None,
            finished: false,
            events: 0,
            behind_the_end: 0,
            passed: 0,
            impossible_breakdowns: 0,
            saw_witnesses: false,
            conditions: Conditions::default(),
            queries: 0,
            blocks: 0,
            bytes: 0,
            classes: [0; 3],
            extremes: None,
            first_ns: None,
            block_ns: (0, u64::MAX),
            block_end_ns: u64::MAX,
            last_ns: 0,
        }
    }

    /// When the recording began; without its record, the first event read.
    #[must_use]
    pub fn start_ns(&self) -> u64 {
        self.known_start_ns().unwrap_or(0)
    }

    /// `None` as long as neither was read.
    pub(crate) fn known_start_ns(&self) -> Option<u64> {
        self.meta.as_ref().map(|meta| meta.start_ns).or(self.first_ns)
    }

    /// When the recording ended, never before the end of the last fault read.
    #[must_use]
    pub fn end_ns(&self) -> u64 {
        let detached_ns = self.totals.as_ref().map_or(0, |totals| totals.end_ns);
        detached_ns.max(self.last_ns).max(self.start_ns())
    }

    /// Length of the recording.
    #[must_use]
    pub fn duration_ns(&self) -> u64 {
        self.end_ns().saturating_sub(self.start_ns())
    }

    /// Time since the start of the recording; a fault already open at the start counts as 0.
    #[must_use]
    pub(crate) fn since_start_ns(&self, ts_ns: u64) -> u64 {
        ts_ns.saturating_sub(self.start_ns())
    }

    /// The least and the most of all faults; `None` without any.
    #[must_use]
    pub fn extremes(&self) -> Option<Extremes> {
        self.extremes
    }

    /// Page size of the recording machine, a power of two; where its record is lost, or says something else, the usual one.
    #[must_use]
    pub fn page_size(&self) -> u64 {
        let recorded = self.meta.as_ref().map(|meta| u64::from(meta.host.page_size));
        recorded.filter(|size| size.is_power_of_two()).unwrap_or(4096)
    }

    /// Addresses of a page differ in so many low bits.
    #[must_use]
    pub(crate) fn page_shift(&self) -> u32 {
        self.page_size().ilog2()
    }

    /// Major faults of the whole recording that were only counted, without a row: see [`Totals`].
    #[must_use]
    pub fn hidden_majors(&self) -> u64 {
        let totals = self.totals.as_ref();
        totals.and_then(|totals| totals.hidden_majors).unwrap_or(0)
    }

    /// Events that the recorder knows it could not record.
    #[must_use]
    pub fn events_lost(&self) -> u64 {
        self.losses.events()
    }

    /// How many for one reason.
    #[must_use]
    pub fn lost_to(&self, reason: LossReason) -> u64 {
        self.losses.of(reason)
    }

    /// Rows of one class read, before any filter and as recorded.
    #[must_use]
    pub fn of_class(&self, class: Class) -> u64 {
        let counts = Class::ALL.iter().zip(self.classes);
        counts
            .filter(|(each, _)| **each == class)
            .map(|(_, count)| count)
            .sum()
    }

    /// Whether it looked for causes.
    #[must_use]
    pub(crate) fn sees_causes(&self) -> bool {
        let asked = |meta: &Meta| meta.options.iter().any(|option| option == "--causes");
        self.saw_witnesses || self.meta.as_ref().is_some_and(asked)
    }

    /// What the recording could see.
    #[must_use]
    pub(crate) fn sight(&self) -> Sight<'_> {
        Sight::of(self.meta.as_ref())
    }

    /// Whether it had an eye for failed faults, so that none means that there were none.
    #[must_use]
    pub fn sees_failed(&self) -> bool {
        self.sight().failed() != Failed::Unseen || self.of_class(Class::Failed) > 0
    }

    /// What one row stands for.
    #[must_use]
    pub fn sampling(&self) -> Sampling {
        self.meta
            .as_ref()
            .map_or_else(Sampling::default, |meta| Sampling::one_in(meta.sample))
    }

    /// How long the threads with this pid and tid lived during the recording.
    #[must_use]
    pub fn lived_ns(&self, pid: u32, tid: u32) -> u64 {
        self.lived_within_ns(pid, tid, (self.start_ns(), self.end_ns()))
    }

    /// Whether the thread with this pid and tid began and ended during the recording.
    #[must_use]
    pub(crate) fn saw_whole_life(&self, pid: u32, tid: u32) -> bool {
        let life = self.lifetimes.get(&(pid, tid));
        life.is_some_and(|life| life.begin_ns.is_some() && life.end_ns.is_some())
    }

    /// How long they lived in a part of it, a time in `CLOCK_MONOTONIC`.
    #[must_use]
    pub fn lived_within_ns(&self, pid: u32, tid: u32, (from_ns, to_ns): (u64, u64)) -> u64 {
        let key = (pid, tid);
        let life = self.lifetimes.get(&key).copied().unwrap_or_default();
        let last = (life.begin_ns.unwrap_or(0), life.end_ns.unwrap_or(u64::MAX));
        let lives = self.earlier.get(&key).into_iter().flatten().copied();
        let (from_ns, to_ns) = (from_ns.max(self.start_ns()), to_ns.min(self.end_ns()));
        lives
            .chain([last])
            .map(|(begin_ns, end_ns)| end_ns.min(to_ns).saturating_sub(begin_ns.max(from_ns)))
            .fold(0, u64::saturating_add)
    }

    /// Whether a thread had this pid and tid before the one in `lifetimes`.
    #[must_use]
    pub(crate) fn came_again(&self, key: &(u32, u32)) -> bool {
        self.earlier.contains_key(key)
    }

    /// A birth closes the life before it.
    fn see_birth(&mut self, key: (u32, u32), ts_ns: u64) {
        let Some(&life) = self.lifetimes.get(&key) else {
            if let Some(life) = self.life(key) {
                life.begin_ns = Some(ts_ns);
            }
            return;
        };
        // Records of different CPUs can come out of order: an end after this birth is its own end.
        let is_new = life.end_ns.is_some_and(|end| end <= ts_ns)
            || life.end_ns.is_none() && life.begin_ns.is_none_or(|begin| begin < ts_ns);
        let next = if is_new {
            // The end may have been lost, but then the next birth is the latest that it can have been.
            let end = life.end_ns.unwrap_or(ts_ns);
            self.see_earlier(key, (life.begin_ns.unwrap_or(0), end));
            Lifetime {
                begin_ns: Some(ts_ns),
                end_ns: None,
                kernel_count: None,
            }
        } else {
            Lifetime {
                begin_ns: Some(life.begin_ns.map_or(ts_ns, |begin| begin.max(ts_ns))),
                ..life
            }
        };
        self.lifetimes.insert(key, next);
    }

    /// The life of a thread, which is made if need be and possible.
    fn life(&mut self, key: (u32, u32)) -> Option<&mut Lifetime> {
        if self.lifetimes.len() >= LIVES_KEPT && !self.lifetimes.contains_key(&key) {
            self.lives_left_out = self.lives_left_out.saturating_add(1);
            return None;
        }
        Some(self.lifetimes.entry(key).or_default())
    }

    /// One of several threads that had a number. When there are too many the last two are taken for one.
    fn see_earlier(&mut self, key: (u32, u32), (begin_ns, end_ns): (u64, u64)) {
        let earlier = self.earlier.entry(key).or_default();
        if self.earlier_kept >= LIVES_KEPT
            && let Some(last) = earlier.last_mut()
        {
            *last = (last.0.min(begin_ns), last.1.max(end_ns));
            self.lives_left_out = self.lives_left_out.saturating_add(1);
            return;
        }
        self.earlier_kept += 1;
        earlier.push((begin_ns, end_ns));
    }

    /// Before a block is looked at: without a meta record, time starts with the first block.
    pub(crate) fn announce_block(&mut self, info: &BlockInfo) {
        self.first_ns.get_or_insert(info.ts_min);
        self.block_ns = (info.ts_min, info.ts_max);
        self.block_end_ns = info.end_max;
    }

    /// When the first and the last fault of the block at hand began, of all rows of it.
    pub(crate) fn block_ns(&self) -> (u64, u64) {
        self.block_ns
    }

    /// When the first fault of the block at hand began, and when the last one ended, of all rows of it.
    pub(crate) fn block_span_ns(&self) -> (u64, u64) {
        (self.block_ns.0, self.block_end_ns)
    }

    /// A block that is whole, decoded or not: its statistics, which decoding checks, stand for its rows.
    pub(crate) fn see_block(&mut self, info: &BlockInfo) {
        for (class, count) in Class::ALL.iter().zip(&mut self.classes) {
            *count = count.saturating_add(u64::from(match class {
                Class::Major => info.majors,
                Class::Minor => info.minors(),
                Class::Failed => info.failed,
            }));
        }
        self.last_ns = self.last_ns.max(info.end_max);
        self.events = self.events.saturating_add(u64::from(info.events));
        if self.totals.is_some() {
            self.behind_the_end = self.behind_the_end.saturating_add(u64::from(info.events));
        }
        self.blocks = self.blocks.saturating_add(1);
        if info.events > 0 {
            self.see_extremes(info);
        }
    }

    fn see_extremes(&mut self, info: &BlockInfo) {
        let of_block = Extremes {
            begin_ns: (info.ts_min, info.ts_max),
            latency_ns: (info.latency_min, info.latency_max),
        };
        let both = |a: (u64, u64), b: (u64, u64)| (a.0.min(b.0), a.1.max(b.1));
        self.extremes = Some(self.extremes.map_or(of_block, |before| Extremes {
            begin_ns: both(before.begin_ns, of_block.begin_ns),
            latency_ns: both(before.latency_ns, of_block.latency_ns),
        }));
    }

    /// What every decoded block is looked at for, whether its rows pass a filter or not.
    pub(crate) fn see_columns(&mut self, columns: &Columns) {
        self.saw_witnesses |= !columns.witnesses.is_empty();
        self.impossible_breakdowns = self
            .impossible_breakdowns
            .saturating_add(columns.impossible_breakdowns());
    }

    pub(crate) fn see_timeline(&mut self, entries: &[TimelineEntry]) {
        for entry in entries {
            let key = (entry.pid, entry.tid);
            match entry.what {
                Happening::Fork { .. } => self.see_birth(key, entry.ts_ns),
                Happening::Exit {
                    maj_flt,
                    min_flt,
                    counters_known,
                } => {
                    if let Some(life) = self.life(key) {
                        life.end_ns = Some(entry.ts_ns);
                        life.kernel_count = counters_known.then(|| maj_flt.saturating_add(min_flt));
                    }
                }
                Happening::Map { .. } | Happening::Comm { .. } => {}
            }
        }
    }

    /// The first record counts: a second one can only be a forgery or an accident.
    pub(crate) fn see_meta(&mut self, meta: Meta) {
        self.meta.get_or_insert(meta);
    }

    pub(crate) fn see_queries(&mut self, rows: &[pf_formats::Query]) {
        self.queries = self.queries.saturating_add(rows.len() as u64);
    }

    pub(crate) fn see_losses(&mut self, losses: &[Loss]) {
        losses.iter().for_each(|loss| self.losses.add(loss));
    }

    pub(crate) fn see_damage(&mut self, damage: Damage) {
        self.damage_count = self.damage_count.saturating_add(1);
        self.damaged_bytes = self.damaged_bytes.saturating_add(damage.bytes);
        self.events_missing = self.events_missing.saturating_add(damage.events_missing);
        if self.damages.len() < DAMAGES_KEPT {
            self.damages.push(damage);
        }
    }

    /// The first counts, as of META.
    pub(crate) fn see_footer(&mut self, footer: Footer) {
        if self.totals.is_some() {
            return;
        }
        self.clean = Some(footer.clean);
        self.totals = Some(footer.totals);
    }
}

/// What is left of the latency; `None` when the parts exceed it.
pub(crate) fn cpu_ns(latency_ns: u64, blocked_ns: u64, runqueue_ns: u64) -> Option<u64> {
    latency_ns.checked_sub(blocked_ns)?.checked_sub(runqueue_ns)
}
