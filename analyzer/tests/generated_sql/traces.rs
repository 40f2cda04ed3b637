//! The traces that generated questions are put to: a sample, a made-up one with all kinds of values, and one whose
//! numbers are as large as they come.

use crate::support::{MS, Random, START_NS, dicts, loss, meta, object, totals, writer};
use pf_formats::{
    Access, Breakdown, CommId, Dict, Event, Happening, LossReason, Meta, ObjectId, ObjectKind, Origin,
    QueryId, StackId, TimelineEntry, Witnesses,
};
use std::fs;
use std::path::{Path, PathBuf};

pub fn all(folder: &Path) -> Vec<PathBuf> {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/cold-zipf/trace.pfz");
    let mut traces = vec![sample];
    for (name, count, is_extreme) in [("varied", 900, false), ("extreme", 120, true)] {
        let path = folder.join(format!("{name}.pfz"));
        fs::write(&path, make(count, is_extreme)).unwrap();
        traces.push(path);
    }
    traces
}

fn make(count: u64, is_extreme: bool) -> Vec<u8> {
    let mut random = Random(count);
    let events: Vec<Event> = (0..count)
        .map(|index| event(&mut random, index, is_extreme))
        .collect();
    let mut all = dicts();
    all.push(Dict::Comms {
        first_id: 3,
        entries: vec!["pool-1".into(), "ölüm_%".into()],
    });
    all.push(Dict::Objects {
        first_id: 3,
        entries: vec![
            object(ObjectKind::Anon, ""),
            object(ObjectKind::File, "/data/index/a.idx"),
        ],
    });
    let fentry = Meta {
        backend: "fentry".into(),
        blind: Vec::new(),
        ..meta()
    };
    let mut writer = writer(&fentry, &all, &[], &[loss(LossReason::Reserve, 5)]);
    writer.set_block_events(300);
    for event in &events {
        writer.push(event).unwrap();
    }
    writer.flush_block().unwrap();
    writer.timeline(&[map(0), map(1)]).unwrap();
    writer.finish(totals(&events)).unwrap()
}

fn map(number: u64) -> TimelineEntry {
    TimelineEntry {
        ts_ns: START_NS + number,
        pid: 100,
        tid: 100,
        what: Happening::Map {
            start: 0x7000 + number * 0x10_000,
            len: 0x2000,
            offset: 4096 * number,
            prot: 5,
            flags: 2,
            object: ObjectId(1),
        },
    }
}

fn event(random: &mut Random, index: u64, is_extreme: bool) -> Event {
    let failed = random.below(20) == 0;
    let latency_ns = match (is_extreme, random.below(4)) {
        (true, 0) => (1 << 62) - random.below(1_000),
        (true, 1) => (1 << 53) + random.below(5),
        _ => 100 + random.below(20) * 250,
    };
    let address = match (is_extreme, random.below(3)) {
        (true, 0) => u64::MAX - random.below(3) * 4096,
        (true, 1) => (1 << 63) + random.below(3) * 4096,
        _ => 0x7f00_0000_0000 + random.below(12) * 4096,
    };
    Event {
        ts_ns: START_NS + index * MS / 10 + random.below(7),
        latency_ns,
        pid: 100 + random.below(2) as u32,
        tid: 100 + random.below(5) as u32,
        comm: CommId(1 + random.below(4) as u32),
        cpu: random.below(6) as u16,
        address,
        ip: if random.below(3) == 0 {
            0xffff_ffff_8100_0000 + random.below(4)
        } else {
            0x40_1000 + random.below(4)
        },
        object: ObjectId(1 + random.below(4) as u32),
        object_page: random.below(9),
        major: !failed && random.below(3) == 0,
        failed,
        access: [None, Some(Access::Read), Some(Access::Write)][random.below(3) as usize],
        origin: [Origin::User, Origin::Kernel][random.below(2) as usize],
        retries: random.below(3) as u8,
        abandoned: false,
        interruptions: 0,
        signal: 0,
        witnesses: Witnesses::default(),
        breakdown: (random.below(2) == 0).then(|| Breakdown {
            blocked_ns: latency_ns / 2,
            runqueue_ns: latency_ns / 5,
            reclaim_ns: 0,
            lock_ns: random.below(50),
        }),
        stack: StackId(0),
        query: QueryId(random.below(4)),
    }
}
