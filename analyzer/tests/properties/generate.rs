//! Traces by chance. Each thread runs a small program of its own: it faults, begins and ends queries that nest and recurse,
//! and changes its name, one thing after the other. Threads share few pages, so that many wait for one page at once; two of the
//! files have one path and different inodes.

use crate::support::{FILE_BASE, HEAP_BASE, MS, START_NS, header, meta, object, totals};
use pf_formats::{
    Access, CommId, Dict, Event, Happening, Meta, Object, ObjectId, ObjectKind, Origin, Query, QueryEnd,
    QueryFaults, QueryId, StackId, TimelineEntry, TraceWriter, Witnesses,
};
use pfanalyze::engine::filter::Filter;
use pfanalyze::trace::class::Class;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Paths by object, from 1; what has none is memory.
pub const PATHS: [&str; 5] = ["/data/twice.bin", "/data/twice.bin", "/data/once.bin", "", ""];
/// Names of functions that are queries, from 0.
pub const QUERIES: [&str; 3] = ["walk", "search", "scan"];
/// Names of threads, from 1.
pub const COMMS: [&str; 3] = ["main", "worker", "flush"];
/// Threads, in two processes.
pub const THREADS: u32 = 4;

/// A trace that can be written, and recomputed by plain loops.
#[derive(Clone, Debug)]
pub struct Made {
    /// In the order of their ends, no two of which are the same.
    pub events: Vec<Event>,
    /// In the order of their ends.
    pub queries: Vec<Query>,
    /// Begins and ends of threads.
    pub lives: Vec<TimelineEntry>,
    /// Of how many minor faults one was recorded.
    pub sample: u32,
    /// Events of a block.
    pub block: usize,
}

impl Made {
    /// Written down.
    pub fn bytes(&self) -> Vec<u8> {
        self.in_blocks(self.block)
    }

    /// The same in blocks of so many events.
    pub fn in_blocks(&self, block: usize) -> Vec<u8> {
        let meta = Meta {
            sample: self.sample,
            ..meta()
        };
        let mut writer = TraceWriter::create(Vec::new(), &header(), &meta).unwrap();
        writer.set_block_events(block);
        dicts().iter().for_each(|dict| writer.dict(dict).unwrap());
        self.events.iter().for_each(|event| writer.push(event).unwrap());
        writer.flush_block().unwrap();
        writer.timeline(&self.lives).unwrap();
        writer.queries(&self.queries).unwrap();
        writer.finish(totals(&self.events)).unwrap()
    }

    /// Events that pass the filter, as far as `filters` makes one.
    pub fn passing(&self, filter: &Filter) -> Vec<&Event> {
        let since = |event: &Event| event.ts_ns.saturating_sub(START_NS);
        let passes = |event: &&Event| {
            filter.from_ns.is_none_or(|from| since(event) >= from)
                && filter.to_ns.is_none_or(|to| since(event) < to)
                && (filter.tids.is_empty() || filter.tids.contains(&event.tid))
                && filter.class.is_none_or(|class| class == class_of(event))
        };
        self.events.iter().filter(passes).collect()
    }

    /// How many faults an event stands for.
    pub fn weight(&self, event: &Event) -> u64 {
        match class_of(event) {
            Class::Minor => self.sample.into(),
            Class::Major | Class::Failed => 1,
        }
    }
}

/// As the kernel counts it.
pub fn class_of(event: &Event) -> Class {
    match (event.failed, event.major) {
        (true, _) => Class::Failed,
        (false, true) => Class::Major,
        (false, false) => Class::Minor,
    }
}

/// When it was done.
pub fn end_of(event: &Event) -> u64 {
    event.ts_ns + event.latency_ns
}

/// Path, or kind of memory.
pub fn label_of(event: &Event) -> &'static str {
    match event.object.0 {
        4 => "[heap]",
        5 => "[anon]",
        file => PATHS[file as usize - 1],
    }
}

/// What tells its page from all others: object or process, and page.
pub fn page_of(event: &Event) -> (u32, u32, u64) {
    match event.object.0 {
        4 | 5 => (0, event.pid, event.address / 4096),
        file => (file, 0, event.object_page),
    }
}

fn dicts() -> [Dict; 2] {
    let named = |(inode, path): (u64, &&str)| Object {
        inode,
        ..object(ObjectKind::File, path)
    };
    let mut objects: Vec<Object> = (10..).zip(&PATHS[..3]).map(named).collect();
    objects.extend([ObjectKind::Heap, ObjectKind::Anon].map(|kind| object(kind, "")));
    [
        Dict::Comms {
            first_id: 1,
            entries: COMMS.map(str::to_owned).to_vec(),
        },
        Dict::Objects {
            first_id: 1,
            entries: objects,
        },
    ]
}

/// One step of a thread.
#[derive(Clone, Copy, Debug)]
enum Step {
    Fault {
        object: u32,
        page: u64,
        latency_ns: u64,
        class: Class,
    },
    Begin(usize),
    /// Of the innermost query, which now and then is left without its end.
    End(bool),
    Rename(u32),
}

fn step() -> impl Strategy<Value = (u64, Step)> {
    let latency_ns = prop_oneof![4 => 1..200u64, 3 => 200..5_000u64, 1 => 5_000..90_000u64];
    let class = prop_oneof![1 => Just(Class::Failed), 8 => Just(Class::Major), 8 => Just(Class::Minor)];
    let fault = (1..=5u32, 0..5u64, latency_ns, class);
    let fault = fault.prop_map(|(object, page, latency_ns, class)| Step::Fault {
        object,
        page,
        latency_ns,
        class,
    });
    let step = prop_oneof![
        12 => fault,
        3 => (0..QUERIES.len()).prop_map(Step::Begin),
        2 => prop::bool::weighted(0.9).prop_map(Step::End),
        1 => (1..=COMMS.len() as u32).prop_map(Step::Rename),
    ];
    (0..3_000u64, step)
}

/// What a thread does, from when on.
type Program = (u64, Vec<(u64, Step)>);

/// Traces of up to 200 steps.
pub fn traces() -> impl Strategy<Value = Made> {
    let program = (0..4_000u64, prop::collection::vec(step(), 0..50));
    let programs = prop::collection::vec(program, THREADS as usize);
    // One block, or many.
    let block = prop_oneof![Just(10_000usize), 1..40usize];
    let sample = prop_oneof![3 => Just(1u32), 1 => 2..9u32];
    (programs, block, sample).prop_map(|(programs, block, sample)| made(&programs, block, sample))
}

/// Traces without a sample.
pub fn whole_traces() -> impl Strategy<Value = Made> {
    traces().prop_map(|made| Made { sample: 1, ..made })
}

/// Traces in which no two majors wait for one page together: who comes while it is read is a minor.
pub fn traces_of_lone_reads() -> impl Strategy<Value = Made> {
    traces().prop_map(|mut made| {
        let mut reads: BTreeMap<_, u64> = BTreeMap::new();
        let majors = made
            .events
            .iter_mut()
            .filter(|event| class_of(event) == Class::Major);
        let mut majors: Vec<&mut Event> = majors.collect();
        majors.sort_by_key(|event| event.ts_ns);
        for event in majors {
            let until_ns = reads.entry(page_of(event)).or_default();
            event.major = event.ts_ns >= *until_ns;
            if event.major {
                *until_ns = end_of(event);
            }
        }
        count_queries(&mut made);
        made
    })
}

/// Everything, a window, some threads, one class, and some of these together.
pub fn filters() -> impl Strategy<Value = Filter> {
    let window = prop_oneof![
        2 => Just((None, None)),
        1 => (0..40_000u64, 0..60_000u64).prop_map(|(from, length)| (Some(from), Some(from + length))),
        1 => (0..60_000u64).prop_map(|to| (None, Some(to))),
        1 => (0..60_000u64).prop_map(|from| (Some(from), None)),
    ];
    let tids = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(0..THREADS, 1..3)];
    let class = prop_oneof![
        4 => Just(None),
        1 => Just(Some(Class::Major)),
        1 => Just(Some(Class::Minor)),
        1 => Just(Some(Class::Failed)),
    ];
    (window, tids, class).prop_map(|((from_ns, to_ns), threads, class)| Filter {
        from_ns,
        to_ns,
        tids: threads.into_iter().map(|thread| ids(thread).1).collect(),
        class,
        ..Filter::default()
    })
}

/// Process and thread.
fn ids(thread: u32) -> (u32, u32) {
    let pid = 100 + 100 * (thread % 2);
    (pid, pid + thread / 2)
}

fn made(programs: &[Program], block: usize, sample: u32) -> Made {
    let mut made = Made {
        events: Vec::new(),
        queries: Vec::new(),
        lives: Vec::new(),
        sample,
        block,
    };
    for (thread, program) in (0..).zip(programs) {
        Thread::new(thread).run(program, &mut made);
    }
    made.events.sort_by_key(end_of);
    // Which of two that end together was first nobody knows.
    made.events.dedup_by_key(|event| end_of(event));
    count_queries(&mut made);
    made
}

/// A thread on its way through its program.
struct Thread {
    number: u32,
    clock_ns: u64,
    comm: u32,
    open: Vec<Query>,
    begun: u64,
}

impl Thread {
    fn new(number: u32) -> Self {
        Self {
            number,
            clock_ns: 0,
            comm: 1 + number % 2,
            open: Vec::new(),
            begun: 0,
        }
    }

    fn run(mut self, (begin_ns, steps): &Program, made: &mut Made) {
        let (pid, tid) = ids(self.number);
        let life = |ts_ns, what| TimelineEntry {
            ts_ns,
            pid,
            tid,
            what,
        };
        // Some began before the recording.
        self.clock_ns = START_NS - 1_000 + begin_ns;
        made.lives.push(life(
            self.clock_ns,
            Happening::Fork {
                parent_pid: 1,
                parent_tid: 1,
            },
        ));
        for &(pause_ns, step) in steps {
            self.clock_ns += pause_ns;
            self.step(step, made);
        }
        while let Some(query) = self.open.pop() {
            made.queries.push(Query {
                end_ns: START_NS + 100 * MS,
                end: QueryEnd::Open,
                ..query
            });
        }
        made.lives.push(life(
            self.clock_ns + 1,
            Happening::Exit {
                maj_flt: 0,
                min_flt: 0,
                counters_known: false,
            },
        ));
    }

    fn step(&mut self, step: Step, made: &mut Made) {
        let (pid, tid) = ids(self.number);
        match step {
            Step::Rename(comm) => self.comm = comm,
            Step::Begin(name) => {
                self.begun += 1;
                self.open.push(Query {
                    id: QueryId(u64::from(self.number + 1) * 1_000 + self.begun),
                    parent: self.open.last().map_or(QueryId(0), |outer| outer.id),
                    pid,
                    tid,
                    name: QUERIES[name].to_owned(),
                    begin_ns: self.clock_ns,
                    ..Query::default()
                });
            }
            Step::End(is_seen) => {
                made.queries.extend(self.open.pop().map(|query| Query {
                    end_ns: self.clock_ns,
                    end: if is_seen {
                        QueryEnd::Ended
                    } else {
                        QueryEnd::Abandoned
                    },
                    ..query
                }));
            }
            Step::Fault {
                object,
                page,
                latency_ns,
                class,
            } => {
                let is_file = object <= 3;
                let base = if is_file { FILE_BASE } else { HEAP_BASE };
                made.events.push(Event {
                    ts_ns: self.clock_ns,
                    latency_ns,
                    pid,
                    tid,
                    comm: CommId(self.comm),
                    cpu: self.number as u16,
                    address: base + (u64::from(object) << 30) + page * 4096 + 8,
                    ip: 0x40_1000,
                    object: ObjectId(object),
                    object_page: if is_file { page } else { 0 },
                    major: class == Class::Major,
                    failed: class == Class::Failed,
                    access: Some(Access::Read),
                    origin: Origin::User,
                    retries: 0,
                    abandoned: false,
                    interruptions: 0,
                    signal: 0,
                    witnesses: Witnesses::default(),
                    breakdown: None,
                    stack: StackId(0),
                    query: self.open.last().map_or(QueryId(0), |query| query.id),
                });
                self.clock_ns += latency_ns;
            }
        }
    }
}

/// What the kernel's probes would have counted: no failed fault, and each in the queries around its own, too.
fn count_queries(made: &mut Made) {
    let mut inner: Vec<(QueryId, QueryFaults)> = Vec::new();
    for query in &mut made.queries {
        (query.own, query.nested) = (QueryFaults::default(), QueryFaults::default());
        for event in made.events.iter().filter(|event| event.query == query.id) {
            match class_of(event) {
                Class::Failed => continue,
                Class::Major => query.own.majors += 1,
                Class::Minor => query.own.minors += 1,
            }
            query.own.wait_ns += event.latency_ns;
        }
        for (_, faults) in inner.iter().filter(|(parent, _)| *parent == query.id) {
            query.nested.majors += faults.majors;
            query.nested.minors += faults.minors;
            query.nested.wait_ns += faults.wait_ns;
        }
        // Inner ones come first.
        inner.push((query.parent, query.total()));
    }
}
