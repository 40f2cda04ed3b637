//! Page faults as several kinds of work cause them, made up, the same in every run.
//!
//! Each thread takes turns at three kinds of work, for some ten thousand faults each:
//!
//! - *search*, a quarter of the faults: reads a file of 4 GiB at random. One fault in ten goes to the disk (major,
//!   log-normal around 95 µs, one in thirty of them several times that), six find their pages cached (minor, around
//!   1.2 µs), the rest touch a hot set, pages of an index of 256 MiB by Zipf's law; 3 % are code of libraries and heap;
//! - *build*, four in ten: writes fresh anonymous memory page after page (minor, around 1 µs), from arena to arena;
//! - *scan*, a third: reads the large file from somewhere on where it is cached (minor, around 1.5 µs): the kernel maps
//!   16 pages for one fault.
//!
//! Between two faults of a thread pass some hundred nanoseconds, now and then a think time. Each thread has a call
//! site of its own for 98 % of the faults of a kind of work, and three others. It seldom changes its CPU.
//!
//! Events come in the order in which recorders get them: as they end, with a delay that differs from CPU to
//! CPU. So about one in four starts before the one in front of it; events of one thread stay in order.
//!
//! The shares are such that the entropy is near the 4.28 bytes per event of the mix that the format was designed
//! with, where structs with zstd 3 took 13.1.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use pf_formats::{Access, CommId, Dict, Event, Object, ObjectId, ObjectKind};

use crate::random::Random;

/// Threads and what they share.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Threads that fault at the same time.
    pub(crate) threads: u32,
    /// CPUs they run on.
    pub(crate) cpus: u16,
}

/// As many threads as a small server has.
pub(crate) const BLEND: Shape = Shape { threads: 8, cpus: 8 };

/// A block of 32,768 events has 32 of each thread.
pub(crate) const STRESS: Shape = Shape {
    threads: 1024,
    cpus: 64,
};

const PID: u32 = 4_242;
/// When the work begins.
pub(crate) const START_NS: u64 = 86_400_000_000_000;
/// The longest that a record waits for those of other CPUs.
const DELAY_NS: u64 = 200;

/// Pages that the kernel maps for one fault, if they are cached.
const AROUND: u64 = 16;

const DATA: Mapping = Mapping::new(1, 0x7f10_0000_0000, 1 << 20);
const INDEX: Mapping = Mapping::new(2, 0x7f22_0000_0000, 1 << 16);
const LIBRARIES: [Mapping; 3] = [
    Mapping::new(3, 0x7f23_1a60_0000, 400),
    Mapping::new(4, 0x7f23_1b20_0000, 240),
    Mapping::new(5, 0x7f23_1b90_0000, 90),
];
const HEAP: Mapping = Mapping::new(6, 0x5583_2000_0000, 20_000);
const ANON: ObjectId = ObjectId(7);
const CODE: u64 = 0x5583_1c20_0000;

/// A stretch of memory and what is mapped there, from its first page on.
#[derive(Clone, Copy)]
struct Mapping {
    object: ObjectId,
    address: u64,
    pages: u64,
}

impl Mapping {
    const fn new(object: u32, address: u64, pages: u64) -> Self {
        Self {
            object: ObjectId(object),
            address,
            pages,
        }
    }
}

/// The dictionaries that the events refer to.
pub(crate) fn dicts() -> [Dict; 2] {
    let named = |kind, path: &str| Object {
        kind,
        path: path.into(),
        ..Object::default()
    };
    let comms = ["searcher"].map(str::to_owned).to_vec();
    let objects = vec![
        named(ObjectKind::File, "/data/vectors"),
        named(ObjectKind::File, "/data/index"),
        named(ObjectKind::File, "/lib/libc.so.6"),
        named(ObjectKind::File, "/lib/libsearch.so.2"),
        named(ObjectKind::File, "/lib/libm.so.6"),
        named(ObjectKind::Heap, "[heap]"),
        named(ObjectKind::Anon, ""),
    ];
    let first_id = 1;
    [
        Dict::Comms {
            first_id,
            entries: comms,
        },
        Dict::Objects {
            first_id,
            entries: objects,
        },
    ]
}

/// Events of all threads, in the order of their arrival.
pub(crate) struct Mix {
    threads: Vec<Thread>,
    /// One event of each thread, by arrival.
    pending: BinaryHeap<Reverse<(u64, usize)>>,
    left: u64,
}

impl Mix {
    pub(crate) fn new(shape: Shape, events: u64) -> Self {
        let threads = (0..shape.threads).map(|number| Thread::new(number, shape));
        let mut mix = Self {
            threads: threads.collect(),
            pending: BinaryHeap::new(),
            left: events,
        };
        for number in 0..mix.threads.len() {
            mix.renew(number);
        }
        mix
    }

    fn renew(&mut self, number: usize) {
        let thread = &mut self.threads[number];
        thread.fault();
        let arrival = thread.end_ns + thread.random.below(DELAY_NS);
        self.pending.push(Reverse((arrival, number)));
    }
}

impl Iterator for Mix {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.left = self.left.checked_sub(1)?;
        let Reverse((_, number)) = self.pending.pop()?;
        let event = self.threads[number].event;
        self.renew(number);
        Some(event)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Work {
    Search,
    Build,
    Scan,
}

struct Thread {
    random: Random,
    number: u64,
    cpus: u16,
    work: Work,
    work_left: u64,
    arena_page: u64,
    arena_left: u64,
    /// The newest fault, and its end.
    event: Event,
    end_ns: u64,
}

impl Thread {
    fn new(number: u32, shape: Shape) -> Self {
        let mut random = Random::new(u64::from(number) << 32);
        // Searches wait for the disk, so that is what a thread is most likely found at.
        let work = match random.below(100) {
            0..70 => Work::Search,
            70..85 => Work::Build,
            _ => Work::Scan,
        };
        Self {
            number: number.into(),
            cpus: shape.cpus,
            work,
            work_left: random.below(20_000) + 1,
            arena_page: 0,
            arena_left: 0,
            event: Event {
                pid: PID,
                tid: PID + 1 + number,
                comm: CommId(1),
                cpu: (number % u32::from(shape.cpus)) as u16,
                ..Event::default()
            },
            end_ns: START_NS + random.below(1_000_000),
            random,
        }
    }

    /// Replaces the event by the next one.
    fn fault(&mut self) {
        if self.work_left == 0 {
            (self.work, self.work_left) = match self.random.below(3) {
                0 => (Work::Search, 7_000 + self.random.below(16_000)),
                1 => (Work::Build, 10_000 + self.random.below(30_000)),
                _ => (Work::Scan, 10_000 + self.random.below(20_000)),
            };
            self.arena_left = 0;
        }
        self.work_left -= 1;
        if self.random.below(2_000) == 0 {
            self.event.cpu = self.random.below(self.cpus.into()) as u16;
        }
        self.event.ts_ns = self.end_ns + self.gap_ns();
        self.event.major = false;
        self.event.retries = 0;
        match self.work {
            Work::Search => self.search(),
            Work::Build => self.build(),
            Work::Scan => self.scan(),
        }
        self.end_ns = self.event.ts_ns + self.event.latency_ns;
    }

    /// What passes between two faults.
    fn gap_ns(&mut self) -> u64 {
        let busy = match self.work {
            Work::Search => 100 + self.random.log_normal(250.0, 0.5),
            Work::Build | Work::Scan => 60 + self.random.log_normal(150.0, 0.4),
        };
        let thinks = self.random.percent(0.4);
        busy + if thinks {
            self.random.log_normal(40_000.0, 1.5)
        } else {
            0
        }
    }

    fn search(&mut self) {
        match self.random.below(100) {
            0..10 => {
                self.data();
                self.event.major = true;
                // The page lock was dropped while the disk worked, and the fault begun anew.
                self.event.retries = 1;
                self.event.latency_ns = if self.random.percent(3.0) {
                    self.random.log_normal(400_000.0, 0.8)
                } else {
                    self.random.log_normal(95_000.0, 0.2)
                };
            }
            10..70 => {
                self.data();
                self.event.latency_ns = self.cached_ns();
            }
            70..97 => {
                // The hot pages of an index are not neighbours.
                let page = self.random.zipf(INDEX.pages) * 25_253 % INDEX.pages;
                let offset = if self.random.percent(70.0) {
                    0
                } else {
                    8 * self.random.below(512)
                };
                self.place(INDEX, page, offset, Access::Read);
                self.event.ip = self.call_site(0x1_a3c4);
                self.event.latency_ns = self.cached_ns();
            }
            _ => self.elsewhere(),
        }
    }

    /// One of eight records in a page of the large file.
    fn data(&mut self) {
        let (page, offset) = (self.random.below(DATA.pages), 1024 * self.random.below(4));
        self.place(DATA, page, offset, Access::Read);
        self.event.ip = self.call_site(0x1_a3c4);
    }

    fn build(&mut self) {
        if self.random.percent(1.0) {
            return self.elsewhere();
        }
        if self.arena_left == 0 {
            self.arena_left = 512 << self.random.below(5);
            // Every thread has 64 GiB of addresses of its own.
            self.arena_page =
                (0x7a00_0000_0000 >> 12) + (self.number << 24) + (self.random.below(1 << 14) << 9);
        }
        self.arena_left -= 1;
        self.event.address = self.arena_page << 12;
        self.arena_page += 1;
        self.event.object = ANON;
        self.event.object_page = 0;
        self.event.access = Some(Access::Write);
        self.event.ip = self.call_site(0x3_0b58);
        self.event.latency_ns = self.random.log_normal(1_000.0, 0.25).max(300);
    }

    fn scan(&mut self) {
        if self.random.percent(1.0) {
            return self.elsewhere();
        }
        if self.arena_left == 0 {
            self.arena_left = 1_024;
            self.arena_page = AROUND * self.random.below(DATA.pages / AROUND - self.arena_left);
        }
        self.arena_left -= 1;
        self.place(DATA, self.arena_page, 0, Access::Read);
        self.arena_page += AROUND;
        self.event.ip = self.call_site(0x1_a3c4);
        self.event.latency_ns = self.random.log_normal(1_500.0, 0.25).max(500);
    }

    /// Code that runs for the first time, and the heap.
    fn elsewhere(&mut self) {
        if self.random.percent(50.0) {
            let library = LIBRARIES[self.random.zipf(4) as usize];
            let (page, offset) = (self.random.zipf(library.pages), self.random.below(4096));
            self.place(library, page, offset, Access::Exec);
            self.event.ip = self.event.address;
        } else {
            let (page, offset) = (self.random.below(HEAP.pages), 16 * self.random.below(256));
            self.place(HEAP, page, offset, Access::Write);
            self.event.object_page = 0;
            self.event.ip = self.call_site(0x4_1d20);
        }
        self.event.latency_ns = self.cached_ns();
    }

    fn place(&mut self, mapping: Mapping, page: u64, offset: u64, access: Access) {
        self.event.address = mapping.address + (page << 12) + offset;
        self.event.object = mapping.object;
        self.event.object_page = page;
        self.event.access = Some(access);
    }

    fn cached_ns(&mut self) -> u64 {
        self.random.log_normal(1_200.0, 0.4).max(400)
    }

    /// Mostly the thread's own one of a kind of work, near `site`.
    fn call_site(&mut self, site: u64) -> u64 {
        let own = CODE + site + self.number % 4 * 0x40;
        if self.random.percent(98.0) {
            own
        } else {
            own + 0x1c * (1 + self.random.below(3))
        }
    }
}
