//! Traces to ask: those of the repository, and made-up ones of many shapes, the same in every run.

mod query_rows;

use crate::support::{FILE_BASE, HEAP_BASE, START_NS, header, loss, meta, object, totals};
use pf_formats::{
    Access, Breakdown, CommId, Dict, Event, Frame, FrameId, Inlined, LossReason, Meta, Object, ObjectId,
    ObjectKind, Origin, QueryId, StackId, StackNode, Symbol, TraceWriter, Witnesses,
};
use std::fs;
use std::path::{Path, PathBuf};

/// What is special about a made-up trace.
#[derive(Clone, Copy, Debug)]
struct Shape {
    name: &'static str,
    events: u64,
    pids: u32,
    threads: u32,
    /// One minor fault in so many.
    sample: u32,
    page_size: u32,
    /// Of 100 faults.
    failed: u64,
    breakdowns: bool,
    stacks: bool,
    queries: u64,
    /// Queries of a chain, one inside the other and of one name; 0 for a query with three inside it.
    recursion: u64,
    /// A path that stands for two files.
    twice: bool,
    losses: bool,
    is_finished: bool,
    per_block: u64,
    backend: &'static str,
}

const PLAIN: Shape = Shape {
    name: "plain",
    events: 5_000,
    pids: 2,
    threads: 6,
    sample: 1,
    page_size: 4096,
    failed: 0,
    breakdowns: false,
    stacks: false,
    queries: 0,
    recursion: 0,
    twice: false,
    losses: false,
    is_finished: true,
    per_block: 700,
    backend: "fentry",
};

const SHAPES: [Shape; 18] = [
    PLAIN,
    Shape {
        name: "one block",
        per_block: 10_000,
        ..PLAIN
    },
    Shape {
        name: "empty",
        events: 0,
        ..PLAIN
    },
    Shape {
        name: "one event",
        events: 1,
        ..PLAIN
    },
    Shape {
        name: "many threads",
        pids: 40,
        threads: 900,
        events: 20_000,
        per_block: 5_000,
        ..PLAIN
    },
    Shape {
        name: "sampled",
        sample: 16,
        failed: 2,
        ..PLAIN
    },
    Shape {
        name: "failed",
        failed: 30,
        ..PLAIN
    },
    Shape {
        name: "breakdown",
        breakdowns: true,
        failed: 3,
        ..PLAIN
    },
    Shape {
        name: "sampled breakdown",
        breakdowns: true,
        sample: 7,
        ..PLAIN
    },
    Shape {
        name: "breakdown without locks",
        breakdowns: true,
        backend: "perf",
        ..PLAIN
    },
    Shape {
        name: "by kprobe",
        breakdowns: true,
        backend: "kprobe",
        ..PLAIN
    },
    Shape {
        name: "stacks",
        stacks: true,
        ..PLAIN
    },
    Shape {
        name: "queries",
        queries: 300,
        failed: 4,
        ..PLAIN
    },
    Shape {
        name: "sampled queries",
        queries: 40,
        sample: 5,
        stacks: true,
        ..PLAIN
    },
    Shape {
        name: "recursion",
        queries: 120,
        recursion: 10,
        failed: 4,
        ..PLAIN
    },
    Shape {
        name: TWICE,
        twice: true,
        per_block: 300,
        ..PLAIN
    },
    Shape {
        name: "losses and large pages",
        losses: true,
        page_size: 16_384,
        ..PLAIN
    },
    Shape {
        name: "unfinished",
        is_finished: false,
        per_block: 64,
        ..PLAIN
    },
];

/// In the CSV of events two files of one path cannot be told apart.
pub const TWICE: &str = "two files of one path";

/// Numbers that look random and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// All traces, the made-up ones in `folder`.
pub fn all(folder: &Path) -> Vec<PathBuf> {
    let mut traces = Vec::new();
    for shape in SHAPES {
        let path = folder.join(format!("{}.pfz", shape.name));
        fs::write(&path, make(shape)).unwrap();
        traces.push(path);
    }
    for backend in ["perf", "fentry"] {
        let path = folder.join(format!("renamed by {backend}.pfz"));
        fs::write(&path, crate::renamed::make(backend)).unwrap();
        traces.push(path);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let listed = |folder: &str| {
        fs::read_dir(root.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
    };
    let samples = listed("samples").map(|sample| sample.join("trace.pfz"));
    traces.extend(samples.filter(|trace| trace.exists()));
    let golden = listed("formats/tests/data");
    // The others are refused.
    traces.extend(golden.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("1.")));
    traces.sort();
    traces
}

/// What the record of a backend says of what it cannot see: that of perf has not always named the locks.
pub fn blind(backend: &str) -> Vec<String> {
    let blind: &[&str] = match backend {
        "fentry" => &[],
        "kprobe" => &[
            "faults taken on behalf of get_user_pages (counted, not listed)",
            "failed faults",
        ],
        _ => &[
            "faults taken on behalf of get_user_pages (counted, not listed)",
            "failed faults",
            "retries",
        ],
    };
    blind.iter().map(|&what| what.to_owned()).collect()
}

fn dicts(shape: Shape) -> Vec<Dict> {
    let comms = [
        "main",
        "worker",
        "a \"quoted\", name",
        "wörker\x1b[0m\n",
        "worker",
    ];
    let mut objects = vec![
        object(ObjectKind::File, "/data/segments.bin"),
        object(ObjectKind::Heap, ""),
        object(ObjectKind::Anon, ""),
        object(ObjectKind::Shm, "/dev/shm/x, y"),
        object(ObjectKind::Stack, ""),
        object(ObjectKind::Shm, ""),
        object(ObjectKind::File, "/lib/libc \x07.so.6"),
    ];
    if shape.twice {
        objects[6] = Object {
            inode: 43,
            ..objects[0].clone()
        };
    }
    vec![
        Dict::Comms {
            first_id: 1,
            entries: comms.map(str::to_owned).to_vec(),
        },
        Dict::Objects {
            first_id: 1,
            entries: objects,
        },
    ]
}

fn stack_dicts() -> Vec<Dict> {
    let frames = (0..12).map(|number| Frame {
        object: ObjectId([1, 7, 7, 0][number as usize % 4]),
        offset: 0x1000 + number * 0x20,
    });
    // Every node calls others; every fifth begins a stack.
    let stacks = (1..60_u32).map(|id| StackNode {
        parent: StackId(if id % 5 == 1 { 0 } else { id / 2 }),
        frame: FrameId(1 + id % 13),
        truncated: if id % 5 == 1 { (id / 5 % 4) as u8 } else { 0 },
    });
    let symbols = (1..=8_u32).map(|frame| Symbol {
        frame: FrameId(frame),
        name: format!("function {}", frame / 2),
        inlined: (0..frame % 3)
            .map(|number| Inlined {
                name: format!("inlined {number}"),
                ..Inlined::default()
            })
            .collect(),
        ..Symbol::default()
    });
    vec![
        Dict::Frames {
            first_id: 1,
            entries: frames.collect(),
        },
        Dict::Stacks {
            first_id: 1,
            entries: stacks.collect(),
        },
        Dict::Symbols {
            entries: symbols.collect(),
        },
    ]
}

/// Stacks of the kernel: 71 and up, one for each function, called by another one; the last has no name.
const KERNEL_FUNCTIONS: [&str; 7] = [
    "handle_mm_fault",
    "handle_userfault",
    "filemap_fault",
    "folio_wait_writeback",
    "do_swap_page",
    "try_to_free_pages",
    "no_function_that_tells",
];

fn kernel_dicts() -> Vec<Dict> {
    let count = KERNEL_FUNCTIONS.len() as u32;
    let frames = (0..=count).map(|number| Frame {
        object: ObjectId(9),
        offset: u64::from(number) * 0x100,
    });
    let stacks = (0..=count).map(|number| StackNode {
        parent: StackId(if number == 0 { 0 } else { 70 }),
        frame: FrameId(40 + number),
        truncated: 0,
    });
    let symbols = KERNEL_FUNCTIONS.iter().zip(40..).map(|(name, frame)| Symbol {
        frame: FrameId(frame),
        name: (*name).to_owned(),
        ..Symbol::default()
    });
    vec![
        Dict::Objects {
            first_id: 9,
            entries: vec![object(ObjectKind::Kernel, "[kernel]")],
        },
        Dict::Frames {
            first_id: 40,
            entries: frames.collect(),
        },
        Dict::Stacks {
            first_id: 70,
            entries: stacks.collect(),
        },
        Dict::Symbols {
            entries: symbols.collect(),
        },
    ]
}

fn make(shape: Shape) -> Vec<u8> {
    let mut random = Random(shape.name.len() as u64);
    let mut meta = Meta {
        sample: shape.sample,
        backend: shape.backend.to_owned(),
        blind: blind(shape.backend),
        ..meta()
    };
    meta.host.page_size = shape.page_size;
    let mut writer = TraceWriter::create(Vec::new(), &header(), &meta).unwrap();
    dicts(shape).iter().for_each(|dict| writer.dict(dict).unwrap());
    if shape.stacks {
        stack_dicts().iter().for_each(|dict| writer.dict(dict).unwrap());
    }
    if shape.breakdowns {
        kernel_dicts().iter().for_each(|dict| writer.dict(dict).unwrap());
    }
    let mut events = Vec::new();
    for number in 0..shape.events {
        let event = event(shape, number, &mut random);
        writer.push(&event).unwrap();
        events.push(event);
        if (number + 1).is_multiple_of(shape.per_block) {
            writer.flush_block().unwrap();
        }
    }
    writer.flush_block().unwrap();
    writer.queries(&query_rows::queries(shape, &mut random)).unwrap();
    if shape.losses {
        let losses = [
            (LossReason::Reserve, 12),
            (LossReason::Unfinished, 3),
            (LossReason::Stack, 5),
            (LossReason::Queue, 700),
        ];
        writer
            .loss(&losses.map(|(reason, count)| loss(reason, count)))
            .unwrap();
    }
    if !shape.is_finished {
        return std::mem::take(writer.get_mut());
    }
    writer.finish(totals(&events)).unwrap()
}

fn event(shape: Shape, number: u64, random: &mut Random) -> Event {
    let thread = random.below(shape.threads.into()) as u32;
    let pid = 100 + 1_000 * (thread % shape.pids);
    // 0 and 8 have no entry in the dictionary.
    let object = if random.below(30) == 0 {
        8 * random.below(2)
    } else {
        1 + random.below(7)
    };
    let in_file = [1, 4, 7].contains(&object);
    let page = if number.is_multiple_of(3) {
        random.below(40)
    } else {
        random.below(3_000)
    };
    let page_size = u64::from(shape.page_size);
    let latency_ns = match random.below(20) {
        0 => random.below(1 << 34),
        1..6 => 80_000 + random.below(40_000),
        // Small ones have a bucket each in the histogram.
        6 => random.below(300),
        _ => 500 + random.below(1_500),
    };
    // In the order of their ends, with some that began much earlier, the first of all before the recording.
    let ago = if random.below(5) == 0 {
        random.below(3_000_000)
    } else {
        0
    };
    let base = if in_file { FILE_BASE } else { HEAP_BASE };
    Event {
        ts_ns: START_NS + number * 20_000 + random.below(3_000) - ago,
        latency_ns,
        pid,
        tid: pid + thread,
        // Some are renamed half-way; 6 has no entry.
        comm: CommId(1 + (thread + u32::from(number > shape.events / 2)) % 6),
        cpu: (thread % 7) as u16,
        address: base + (object << 36) + page * page_size + random.below(page_size),
        ip: 0x40_0000 + random.below(9) * 0x11_1111,
        object: ObjectId(object as u32),
        object_page: if in_file { page } else { 0 },
        major: latency_ns > 60_000,
        failed: random.below(100) < shape.failed,
        access: Access::from_code(random.below(4) as u8),
        origin: Origin::from_code(if random.below(9) == 0 {
            random.below(4) as u8
        } else {
            0
        }),
        retries: (random.below(10) == 0).into(),
        abandoned: false,
        interruptions: 0,
        signal: 0,
        witnesses: if shape.breakdowns && number / shape.per_block % 4 != 1 {
            let bits = if random.below(3) == 0 {
                random.below(64) as u8
            } else {
                7 + 8 * random.below(7) as u8
            };
            let sleep = if random.below(2) == 0 {
                0
            } else {
                70 + random.below(9) as u32
            };
            Witnesses::from_columns(bits, sleep, random.below(3) as u32, random.below(9) as u32)
        } else {
            Witnesses::default()
        },
        breakdown: (shape.breakdowns && number / shape.per_block % 3 != 1).then(|| Breakdown {
            // Now and then more than there is.
            blocked_ns: latency_ns / 2 + if random.below(40) == 0 { latency_ns } else { 0 },
            runqueue_ns: latency_ns / 5,
            reclaim_ns: random.below(1 + latency_ns / 9),
            lock_ns: random.below(3),
        }),
        // 60 and above have no entry.
        stack: StackId(if shape.stacks { random.below(62) as u32 } else { 0 }),
        query: QueryId(match shape.queries {
            0 => 0,
            // 0 is none, and the last one has no row.
            queries => (number * queries / shape.events + random.below(3)) % (queries + 2),
        }),
    }
}
