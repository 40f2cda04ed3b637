//! A trace as plain events with their names, straight from `pf_formats`. It knows nothing of how pfanalyze reads, joins
//! or sums anything up.

use pf_formats::{
    Access, BlockDecoder, Columns, Dict, Event, Frame, Happening, Item, Loss, Meta, Object, ObjectKind,
    ProcessEntry, Projection, Query, StackId, StackNode, Symbol, Totals, TraceReader,
};
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Functions of the kernel in the traces here, what a sleep in them is for, and whether that is all there is to ask.
const FUNCTIONS: [(&str, &str, bool); 8] = [
    ("handle_userfault", "userfault", true),
    ("filemap_fault", "read", false),
    ("folio_wait_writeback", "writeback", true),
    ("do_swap_page", "swap-in", true),
    ("try_to_free_pages", "reclaim", true),
    ("filemap_update_page", "read", false),
    ("filemap_read_folio", "read", false),
    ("jbd2_log_wait_commit", "fs", true),
];

/// One fault with its names.
#[derive(Clone, Debug)]
pub struct Fault {
    pub event: Event,
    /// Number of its block.
    pub block: usize,
    pub comm: String,
    pub kind: &'static str,
    /// Path of what is mapped there.
    pub file: Option<String>,
    /// Path, or the kind of memory in brackets.
    pub label: String,
    /// Whether its page is one of a file and not of an address space.
    pub in_file: bool,
    /// How many faults it stands for.
    pub weight: u64,
    /// Whether the backend could tell how long it waited for the lock.
    pub sees_lock: bool,
    /// Why it waited.
    pub cause: Option<&'static str>,
}

impl Fault {
    /// What tells its page from all others: the process and 0, or 0 and the object.
    pub fn page(&self, page_size: u64) -> (u32, u32, u64) {
        if self.in_file {
            (0, self.event.object.0, self.event.object_page)
        } else {
            (self.event.pid, 0, self.event.address / page_size)
        }
    }

    /// Nanoseconds, by weight.
    pub fn wait_ns(&self) -> u128 {
        u128::from(self.event.latency_ns) * u128::from(self.weight)
    }

    pub fn class(&self) -> &'static str {
        match (self.event.failed, self.event.major) {
            (true, _) => "failed",
            (false, true) => "major",
            (false, false) => "minor",
        }
    }

    /// Blocked, run queue, CPU, reclaim, lock, where that adds up.
    pub fn parts(&self) -> Option<[u64; 5]> {
        let parts = self.event.breakdown?;
        let off_cpu_ns = u128::from(parts.blocked_ns) + u128::from(parts.runqueue_ns);
        let cpu_ns = u128::from(self.event.latency_ns).checked_sub(off_cpu_ns)?;
        let cpu_ns = cpu_ns as u64;
        Some([
            parts.blocked_ns,
            parts.runqueue_ns,
            cpu_ns,
            parts.reclaim_ns,
            parts.lock_ns,
        ])
    }
}

/// All that a trace holds.
#[derive(Debug, Default)]
pub struct Trace {
    pub path: PathBuf,
    pub utc_offset_ns: i64,
    pub faults: Vec<Fault>,
    pub blocks: usize,
    pub meta: Option<Meta>,
    pub totals: Option<Totals>,
    pub losses: Vec<Loss>,
    pub queries: Vec<Query>,
    /// Births and ends of threads: pid, tid, time, whether it is a birth.
    pub lives: Vec<(u32, u32, u64, bool)>,
    pub processes: Vec<ProcessEntry>,
    comms: HashMap<u32, String>,
    pub objects: HashMap<u32, Object>,
    pub frames: HashMap<u32, Frame>,
    pub stacks: HashMap<u32, StackNode>,
    pub symbols: HashMap<u32, Symbol>,
}

impl Trace {
    pub fn read(path: &Path) -> Self {
        let mut trace = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        let mut reader = TraceReader::open(File::open(path).unwrap()).unwrap();
        trace.utc_offset_ns = reader.header().utc_offset_ns;
        let mut decoder = BlockDecoder::new().unwrap();
        let mut columns = Columns::default();
        let mut events = Vec::new();
        while let Some(item) = reader.next().unwrap() {
            match item {
                Item::Meta(meta) => trace.meta = Some(*meta),
                Item::Dict(dict) => trace.learn(dict),
                Item::Events(block) => {
                    decoder.decode(&block, Projection::ALL, &mut columns).unwrap();
                    let rows = (0..columns.len()).map(|row| columns.event(row).unwrap());
                    events.extend(rows.map(|event| (trace.blocks, event)));
                    trace.blocks += 1;
                }
                Item::Loss(losses) => trace.losses.extend(losses),
                Item::Queries(rows) => trace.queries.extend(rows),
                Item::Processes(entries) => trace.processes.extend(entries),
                Item::Footer(footer) => trace.totals = Some(footer.totals),
                Item::Timeline(entries) => {
                    for entry in entries {
                        let is_birth = matches!(entry.what, Happening::Fork { .. });
                        if is_birth || matches!(entry.what, Happening::Exit { .. }) {
                            trace.lives.push((entry.pid, entry.tid, entry.ts_ns, is_birth));
                        }
                    }
                }
                Item::Damage(_) | Item::Skipped(_) | Item::HiddenWaits(_) | Item::Conditions(_) => {}
            }
        }
        trace.faults = events
            .into_iter()
            .map(|(block, event)| trace.named(block, event))
            .collect();
        trace
    }

    fn learn(&mut self, dict: Dict) {
        fn add<T>(known: &mut HashMap<u32, T>, first_id: u32, entries: Vec<T>) {
            for (id, entry) in (first_id..).zip(entries) {
                known.entry(id).or_insert(entry);
            }
        }
        match dict {
            Dict::Comms { first_id, entries } => add(&mut self.comms, first_id, entries),
            Dict::Objects { first_id, entries } => add(&mut self.objects, first_id, entries),
            Dict::Frames { first_id, entries } => add(&mut self.frames, first_id, entries),
            Dict::Stacks { first_id, entries } => add(&mut self.stacks, first_id, entries),
            Dict::Symbols { entries } => {
                for symbol in entries {
                    self.symbols.entry(symbol.frame.0).or_insert(symbol);
                }
            }
            Dict::BuildIds { .. } => {}
        }
    }

    fn named(&self, block: usize, event: Event) -> Fault {
        let unknown = |id: u32| match id {
            0 => "unknown".to_owned(),
            id => format!("unknown#{id}"),
        };
        let object = self.objects.get(&event.object.0);
        let kind = object.map_or(ObjectKind::Unknown, |object| object.kind).name();
        let file = self.file(event.object.0);
        let comm = self.comms.get(&event.comm.0).cloned();
        let is_minor = !event.major && !event.failed;
        Fault {
            event,
            block,
            comm: comm.unwrap_or_else(|| unknown(event.comm.0)),
            kind,
            label: file.clone().unwrap_or_else(|| format!("[{kind}]")),
            in_file: object.is_some() && file.is_some(),
            file,
            weight: if is_minor { self.one_in() } else { 1 },
            cause: self.cause(&event, kind == "file"),
            sees_lock: self.sees_lock(),
        }
    }

    /// The functions of a stack that have names, the innermost first.
    fn functions(&self, stack: u32) -> Vec<&str> {
        let mut functions = Vec::new();
        let mut next = stack;
        while let Some(node) = self.stacks.get(&next) {
            functions.extend(self.symbols.get(&node.frame.0).map(|symbol| symbol.name.as_str()));
            next = node.parent.0;
        }
        functions
    }

    /// The function of the kernel that says what a sleep was for.
    pub fn witness(&self, stack: u32) -> Option<&str> {
        let functions = self.functions(stack);
        let told = functions
            .iter()
            .find(|name| FUNCTIONS.iter().any(|(known, ..)| known == *name));
        told.or(functions.first()).copied()
    }

    /// Why a fault waited; `None` where nobody looked.
    pub fn cause(&self, event: &Event, in_file: bool) -> Option<&'static str> {
        let seen = event.witnesses;
        if seen.is_none() {
            return None;
        }
        let most = |ns: u64| ns > event.latency_ns / 2;
        let slept = match (seen.sleep, event.breakdown) {
            _ if event.failed && !event.abandoned => {
                return Some(if event.signal != 0 { "signal" } else { "unknown" });
            }
            (_, Some(parts)) if most(parts.reclaim_ns) && parts.reclaim_ns >= parts.runqueue_ns => {
                return Some("reclaim");
            }
            (_, Some(parts)) if most(parts.runqueue_ns) => return Some("preempted"),
            (None, _) => return Some("unknown"),
            (Some(StackId(0)), Some(parts)) if parts.blocked_ns > 0 => return Some("unknown"),
            (Some(StackId(0)), _) if event.abandoned => return Some("unknown"),
            (Some(StackId(id)), _) => id,
        };
        if slept != 0 {
            let told = self.witness(slept).and_then(|name| {
                let known = FUNCTIONS.iter().find(|(known, ..)| *known == name)?;
                Some((known.1, known.2))
            });
            return Some(match (told, seen.pages_read) {
                (None, _) => "unknown",
                (Some(("read", false)), Some(0)) => "read-wait",
                (Some(("read", false)), Some(pages)) if !in_read(event, pages) => "read-wait",
                (Some(("read", false)), None) => "unknown",
                (Some((cause, _)), _) => cause,
            });
        }
        let (Some(pages), Some(present)) = (seen.pages_read, seen.present) else {
            return Some("unknown");
        };
        Some(match (pages, present, in_file, event.major) {
            (1.., ..) => "read",
            (0, true, ..) => match (event.access, seen.shared) {
                (Some(Access::Write), Some(true)) => "mkwrite",
                (Some(Access::Write), Some(false)) => "cow",
                _ => "unknown",
            },
            (0, false, false, true) => "swap-in",
            (0, false, false, false) => "anon-map",
            (0, false, true, true) => "unknown",
            (0, false, true, false) => "map",
        })
    }

    /// Where the read of a fault begins.
    pub fn read_offset(&self, event: &Event, in_file: bool) -> Option<u64> {
        let before = event.witnesses.pages_before?;
        if !in_file || event.witnesses.pages_read.unwrap_or(0) == 0 {
            return None;
        }
        let first = i128::from(event.object_page) - i128::from(before);
        Some(u64::try_from(first).ok()? * self.page_size())
    }

    /// The name of what a process ran at a time.
    pub fn program(&self, pid: u32, ts_ns: u64) -> Option<String> {
        let mut last: Option<&ProcessEntry> = None;
        for entry in self
            .processes
            .iter()
            .filter(|entry| entry.pid == pid && entry.ts_ns <= ts_ns)
        {
            if last.is_none_or(|last| last.ts_ns <= entry.ts_ns) {
                last = Some(entry);
            }
        }
        let last = last?;
        let path = match last.executable.as_str() {
            "" => last.command.first()?,
            path => path.trim_end_matches(" (deleted)"),
        };
        path.split('/').next_back().map(str::to_owned)
    }

    /// Files have a path, and so has shared memory that others can open.
    pub fn file(&self, id: u32) -> Option<String> {
        match self.objects.get(&id) {
            None => (id != 0).then(|| format!("unknown#{id}")),
            Some(object) if object.path.is_empty() => None,
            Some(object) if object.kind == ObjectKind::File || object.path.starts_with('/') => {
                Some(object.path.clone())
            }
            Some(_) => None,
        }
    }

    pub fn one_in(&self) -> u64 {
        self.meta.as_ref().map_or(1, |meta| u64::from(meta.sample.max(1)))
    }

    fn is_blind_to(&self, what: &str) -> bool {
        let blind = self.meta.iter().flat_map(|meta| &meta.blind);
        blind.into_iter().any(|blind| blind == what)
    }

    /// Whether the number of retries says anything.
    pub fn sees_retries(&self) -> bool {
        !self.is_blind_to("retries")
    }

    /// Whether the backend looks at failed faults, or some are there all the same.
    pub fn sees_failed(&self) -> bool {
        !self.is_blind_to("failed faults") || self.faults.iter().any(|fault| fault.event.failed)
    }

    /// The perf backend never could, whether it says so or not.
    pub fn sees_lock(&self) -> bool {
        let is_perf = self.meta.as_ref().is_some_and(|meta| meta.backend == "perf");
        !is_perf && !self.is_blind_to("lock waits (with --breakdown)")
    }

    pub fn page_size(&self) -> u64 {
        let size = self
            .meta
            .as_ref()
            .map_or(0, |meta| u64::from(meta.host.page_size));
        if size == 0 { 4096 } else { size }
    }

    /// Clock time in nanoseconds since 1970.
    pub fn utc_of(&self, ts_ns: u64) -> i64 {
        let utc = i128::from(ts_ns) + i128::from(self.utc_offset_ns);
        utc.clamp(i64::MIN.into(), i64::MAX.into()) as i64
    }

    pub fn start_ns(&self) -> u64 {
        let first = self.faults.iter().filter(|fault| fault.block == 0);
        let first = first.map(|fault| fault.event.ts_ns).min().unwrap_or(0);
        self.meta.as_ref().map_or(first, |meta| meta.start_ns)
    }

    pub fn end_ns(&self) -> u64 {
        let ends = self
            .faults
            .iter()
            .map(|fault| fault.event.ts_ns.saturating_add(fault.event.latency_ns));
        let detached = self.totals.as_ref().map_or(0, |totals| totals.end_ns);
        ends.max().unwrap_or(0).max(detached).max(self.start_ns())
    }

    /// What a fault that was open at the start is counted to as well.
    pub fn since_ns(&self, ts_ns: u64) -> u64 {
        ts_ns.saturating_sub(self.start_ns())
    }
}

/// Whether the page of a fault is among those that it read, as far as that is known.
fn in_read(event: &Event, pages: u32) -> bool {
    let before = event.witnesses.pages_before.map(i64::from);
    before.is_none_or(|before| (0..i64::from(pages)).contains(&before))
}
