//! Made-up histories of threads: they change their names, numbers are given again, faults are inside of faults, and some of them
//! were open when the recording began, or last until it ends. With each comes a question: a part of the time, and a filter.

use crate::support::{
    FILE_BASE, HEAP_BASE, MS, Random, START_NS, file_fault, header, heap_fault, meta, object, totals,
};
use pf_formats::{CommId, Dict, Event, Happening, Meta, ObjectId, ObjectKind, TimelineEntry, TraceWriter};
use pf_notation::names::{Kind, Names};
use pfanalyze::engine::filter::Filter;
use pfanalyze::trace::class::Class;
use proptest::prelude::*;

pub const PID: u32 = 100;
pub const NAMES: [&str; 4] = ["main", "worker", "worker-2", "idle"];
pub const FILES: [&str; 2] = ["/data/a.bin", "/data/b.bin"];
/// The object without a file.
const HEAP: u32 = 3;

/// What a history is made of.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    /// Numbers that threads have.
    pub numbers: u32,
    /// Faults of each life.
    pub faults: u64,
    /// Events of a block.
    pub block: usize,
    /// Begin and end of the time that is asked for, in percent of the recording.
    pub window: (Option<u64>, Option<u64>),
    /// Which condition there is.
    pub condition: u8,
}

/// All that can be asked.
pub fn plans() -> impl Strategy<Value = Plan> {
    let window = prop_oneof![
        Just((None, None)),
        (0u64..90).prop_map(|from| (Some(from), None)),
        (1u64..100).prop_map(|to| (None, Some(to))),
        (0u64..90, 1u64..40).prop_map(|(from, length)| (Some(from), Some(from + length))),
    ];
    let of_threads = (any::<u64>(), 1u32..5, 1u64..40);
    (of_threads, 1usize..90, window, 0u8..7).prop_map(
        |((seed, numbers, faults), block, window, condition)| Plan {
            seed,
            numbers,
            faults,
            block,
            window,
            condition,
        },
    )
}

/// One life of a thread: its number, when it began and when it ended, as far as the recording saw it.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    pub tid: u32,
    pub begin_ns: Option<u64>,
    pub end_ns: Option<u64>,
}

/// What happened.
#[derive(Clone, Debug)]
pub struct History {
    /// In the order in which they were done.
    pub events: Vec<Event>,
    pub lives: Vec<Life>,
    pub end_ns: u64,
}

impl History {
    pub fn of(plan: &Plan) -> Self {
        let mut random = Random(plan.seed);
        let (mut events, mut lives) = (Vec::new(), Vec::new());
        for number in 0..plan.numbers {
            let tid = PID + number;
            let mut at_ns = START_NS + random.below(3 * MS);
            let count = 1 + random.below(3);
            for life in 0..count {
                // The first one may have been there before, in a fault.
                let was_there = life == 0 && random.below(2) == 0;
                let born_ns = at_ns;
                if was_there {
                    at_ns = START_NS - random.below(2 * MS);
                }
                at_ns = faults_of(
                    tid,
                    plan.faults,
                    at_ns + random.below(50_000),
                    &mut random,
                    &mut events,
                );
                let is_left = life + 1 == count && random.below(2) == 0;
                at_ns += random.below(100_000);
                lives.push(Life {
                    tid,
                    begin_ns: (!was_there).then_some(born_ns),
                    end_ns: (!is_left).then_some(at_ns),
                });
                at_ns += 1 + random.below(2 * MS);
            }
        }
        events.sort_by_key(end);
        let end_ns = events.iter().map(end).max().unwrap_or(START_NS).max(START_NS + 1);
        // The recording may go on after the last fault.
        let end_ns = end_ns + random.below(2) * random.below(5 * MS);
        Self {
            events,
            lives,
            end_ns,
        }
    }

    /// The same, but nobody has more than one name.
    pub fn without_names(&self) -> Self {
        let mut same = self.clone();
        same.events.iter_mut().for_each(|event| event.comm = CommId(1));
        same
    }

    /// As a trace in blocks of so many events.
    pub fn trace(&self, block: usize) -> Vec<u8> {
        let meta = Meta {
            backend: "fentry".into(),
            blind: Vec::new(),
            ..meta()
        };
        let mut writer = TraceWriter::create(Vec::new(), &header(), &meta).unwrap();
        for dict in dicts() {
            writer.dict(&dict).unwrap();
        }
        writer.set_block_events(block);
        for event in &self.events {
            writer.push(event).unwrap();
        }
        writer.flush_block().unwrap();
        writer.timeline(&self.timeline()).unwrap();
        let mut totals = totals(&self.events);
        totals.end_ns = self.end_ns;
        writer.finish(totals).unwrap()
    }

    fn timeline(&self) -> Vec<TimelineEntry> {
        let mut entries = Vec::new();
        for life in &self.lives {
            let mut add = |ts_ns: Option<u64>, what: Happening| {
                entries.extend(ts_ns.map(|ts_ns| TimelineEntry {
                    ts_ns,
                    pid: PID,
                    tid: life.tid,
                    what,
                }));
            };
            let parent = Happening::Fork {
                parent_pid: PID,
                parent_tid: PID,
            };
            add(life.begin_ns, parent);
            let exit = Happening::Exit {
                maj_flt: 0,
                min_flt: 0,
                counters_known: false,
            };
            add(life.end_ns, exit);
        }
        entries.sort_by_key(|entry| entry.ts_ns);
        entries
    }

    /// Begin and end of the time that is asked for.
    pub fn window(&self, plan: &Plan) -> (u64, u64) {
        let at = |percent: u64| START_NS + self.since(percent);
        let begin = plan.window.0.map_or(START_NS, at);
        let end = plan.window.1.map_or(u64::MAX, at).min(self.end_ns);
        (begin, end.max(begin))
    }

    fn since(&self, percent: u64) -> u64 {
        (self.end_ns - START_NS) * percent / 100
    }

    pub fn filter(&self, plan: &Plan) -> Filter {
        let mut filter = Filter {
            from_ns: plan.window.0.map(|from| self.since(from)),
            to_ns: plan.window.1.map(|to| self.since(to)),
            ..Filter::default()
        };
        match plan.condition {
            1 => filter.tids = vec![PID],
            2 => filter.comms = vec![Names::parse("worker*", Kind::Thread).unwrap()],
            3 => filter.files = vec![Names::parse(FILES[0], Kind::File).unwrap()],
            4 => filter.class = Some(Class::Major),
            5 => filter.min_latency_ns = Some(20_000),
            6 => filter.class = Some(Class::Failed),
            _ => {}
        }
        filter
    }

    /// The faults that the filter of the plan lets pass.
    pub fn passing(&self, plan: &Plan) -> Vec<Event> {
        let filter = self.filter(plan);
        let passes = |event: &&Event| {
            let since_ns = event.ts_ns.saturating_sub(START_NS);
            let is_from = filter.from_ns.is_none_or(|from| since_ns >= from);
            let is_to = filter.to_ns.is_none_or(|to| event.ts_ns < START_NS + to);
            is_from
                && is_to
                && match plan.condition {
                    1 => event.tid == PID,
                    2 => [2, 3].contains(&event.comm.0),
                    3 => event.object.0 == 1,
                    4 => class(event) == Class::Major,
                    5 => event.latency_ns >= 20_000,
                    6 => class(event) == Class::Failed,
                    _ => true,
                }
        };
        self.events.iter().filter(passes).copied().collect()
    }

    /// How long threads of this number lived within a time.
    pub fn lived_within(&self, tid: u32, within: (u64, u64)) -> u64 {
        let lives = self.lives.iter().filter(|life| life.tid == tid);
        let spans = lives.map(|life| {
            let begin = life.begin_ns.unwrap_or(START_NS).max(START_NS);
            (begin, life.end_ns.unwrap_or(u64::MAX).min(self.end_ns))
        });
        spans.map(|span| common(span, within)).sum()
    }
}

pub fn class(event: &Event) -> Class {
    match (event.failed, event.major) {
        (true, _) => Class::Failed,
        (false, true) => Class::Major,
        (false, false) => Class::Minor,
    }
}

pub fn end(event: &Event) -> u64 {
    event.ts_ns + event.latency_ns
}

/// Nanoseconds that two spans have in common.
pub fn common(a: (u64, u64), b: (u64, u64)) -> u64 {
    a.1.min(b.1).saturating_sub(a.0.max(b.0))
}

/// Wait of faults within a time.
pub fn wait_within(events: &[Event], within: (u64, u64)) -> u64 {
    let waits = events
        .iter()
        .map(|event| common((event.ts_ns, end(event)), within));
    waits.sum()
}

/// Adds the faults of one life, one after the other from a time on, and says when the last one is done.
fn faults_of(tid: u32, count: u64, mut at_ns: u64, random: &mut Random, events: &mut Vec<Event>) -> u64 {
    let (walk, first) = (random.below(3), random.below(50));
    for number in 0..count {
        let latency_ns = match random.below(30) {
            0 => random.below(20 * MS),
            1 => 0,
            _ => 100 + random.below(60_000),
        };
        let page = match walk {
            0 => first + number,
            1 => first + number * 40,
            _ => random.below(3_000),
        };
        let event = place(
            Event {
                ts_ns: at_ns,
                latency_ns,
                tid,
                comm: CommId(1 + random.below(4) as u32),
                major: random.below(3) > 0,
                failed: random.below(15) == 0,
                retries: (random.below(9) == 0).into(),
                ..file_fault(0, 0, 0)
            },
            1 + random.below(8) as u32 / 3,
            page,
        );
        if latency_ns > 10_000 && random.below(4) == 0 {
            // Inside of the other one: it is done first.
            let inner = Event {
                ts_ns: at_ns + 500,
                latency_ns: 3_000,
                major: false,
                ..heap_fault(0, 0, 0)
            };
            let inner = Event {
                tid,
                comm: event.comm,
                ..inner
            };
            events.push(place(inner, HEAP, random.below(20)));
        }
        events.push(event);
        at_ns += latency_ns + random.below(30_000);
    }
    at_ns
}

/// Puts a fault on a page of an object.
fn place(event: Event, object: u32, page: u64) -> Event {
    let is_file = object != HEAP;
    let base = if is_file {
        FILE_BASE + (u64::from(object) << 36)
    } else {
        HEAP_BASE
    };
    Event {
        address: base + page * 4096,
        object: ObjectId(object),
        object_page: if is_file { page } else { 0 },
        ..event
    }
}

fn dicts() -> [Dict; 2] {
    let files = FILES.map(|path| object(ObjectKind::File, path));
    [
        Dict::Comms {
            first_id: 1,
            entries: NAMES.map(str::to_owned).to_vec(),
        },
        Dict::Objects {
            first_id: 1,
            entries: [&files[..], &[object(ObjectKind::Heap, "")]].concat(),
        },
    ]
}
