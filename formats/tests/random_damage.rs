//! Ten thousand random damages of a real trace and of one with many blocks: never a panic, never an event that is not
//! one of the originals, and every block that the damage did not touch comes back.
//!
//! PF_DAMAGE_SEED=N repeats the damage of a failure alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::HashMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use common::long::{long_trace, repaired, verified};
use common::{columns, raw};
use pf_formats::{Columns, Item, TraceReader, TraceWriter};

const DAMAGES: u64 = 10_000;
/// One in so many is also verified and repaired.
const REPAIRED: u64 = 20;
const HEADER: usize = 64;

/// A small generator whose whole state is its seed (SplitMix64, Steele et al. 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// A stretch behind the header, short ones as likely as long ones.
    fn stretch(&mut self, len: usize) -> Range<usize> {
        let from = HEADER + self.below(len - HEADER);
        let longest = 1usize << self.below(15);
        from..(from + 1 + self.below(longest)).min(len)
    }
}

struct Original {
    name: &'static str,
    bytes: Vec<u8>,
    /// Where each block lies, what it is and what it holds.
    blocks: Vec<(Range<usize>, Item, Columns)>,
    /// By the content of a block.
    by_content: HashMap<(u64, u64, u64), Vec<usize>>,
    /// The first byte of the footer.
    footer: usize,
}

impl Original {
    fn new(name: &'static str, bytes: Vec<u8>) -> Self {
        let frames = raw::frames(&bytes);
        let (items, _) = common::read(&bytes);
        assert_eq!(
            items.len(),
            frames.len(),
            "{name} is whole and holds nothing unknown"
        );
        let blocks: Vec<_> = frames
            .iter()
            .zip(items)
            .filter_map(|((at, len), item)| {
                let columns = columns(&item)?;
                Some((*at..at + len, item, columns))
            })
            .collect();
        let mut by_content: HashMap<_, Vec<usize>> = HashMap::new();
        for (number, (_, item, _)) in blocks.iter().enumerate() {
            by_content.entry(key(item)).or_default().push(number);
        }
        Self {
            name,
            footer: frames.last().unwrap().0,
            bytes,
            blocks,
            by_content,
        }
    }
}

/// What tells blocks apart quickly.
fn key(item: &Item) -> (u64, u64, u64) {
    let Item::Events(block) = item else {
        panic!("{item:?}")
    };
    (block.info.ts_min, block.info.end_max, block.info.events.into())
}

/// A damaged copy, the original bytes that are touched, and whether bytes still lie in their order.
fn damage(original: &[u8], random: &mut Random) -> (Vec<u8>, Vec<Range<usize>>) {
    let len = original.len();
    let mut bytes = original.to_vec();
    let mut touched = Vec::new();
    match random.below(8) {
        // Bits flip.
        0 => {
            for _ in 0..1 + random.below(8) {
                let at = HEADER + random.below(len - HEADER);
                bytes[at] ^= 1 << random.below(8);
                touched.push(at..at + 1);
            }
        }
        // A page is zeros, or ones.
        1 => {
            let page = 4096 * random.below(len / 4096 + 1);
            let hole = page.max(HEADER)..(page + 4096).min(len).max(HEADER);
            bytes[hole.clone()].fill([0, 0xFF][random.below(2)]);
            touched.push(hole);
        }
        // A stretch is noise.
        2 => {
            let noise = random.stretch(len);
            bytes[noise.clone()]
                .iter_mut()
                .for_each(|byte| *byte = random.next() as u8);
            touched.push(noise);
        }
        // The middle is missing.
        3 => {
            let missing = random.stretch(len);
            bytes.drain(missing.clone());
            touched.push(missing);
        }
        // The tail is missing.
        4 => {
            let end = HEADER + random.below(len - HEADER);
            bytes.truncate(end);
            touched.push(end..len);
        }
        // A stretch comes twice.
        5 => {
            let twice = random.stretch(len);
            bytes.splice(twice.end..twice.end, original[twice.clone()].iter().copied());
            touched.push(twice.end..twice.end);
        }
        // Foreign bytes come in between, sync markers among them.
        6 => {
            let at = HEADER + random.below(len - HEADER);
            let count = random.below(6000);
            let mut junk: Vec<u8> = (0..count).map(|_| random.next() as u8).collect();
            for _ in 0..random.below(4) {
                let marker = random.below(junk.len() + 1);
                junk.splice(marker..marker, [0xF7, b'p', b'f', 0xB5]);
            }
            bytes.splice(at..at, junk);
            touched.push(at..at);
        }
        // What was written earlier lies over a later stretch.
        _ => {
            let over = random.stretch(len);
            let from = random.below(over.start + 1);
            let copied = original[from..from + over.len()].to_vec();
            bytes[over.clone()].copy_from_slice(&copied);
            touched.push(over);
        }
    }
    (bytes, touched)
}

/// An insertion, which touches no byte, breaks what it is inside of.
fn touches(touched: &Range<usize>, block: &Range<usize>) -> bool {
    if touched.is_empty() {
        block.start < touched.start && touched.start < block.end
    } else {
        touched.start < block.end && block.start < touched.end
    }
}

/// The blocks of the original that came back, each once; panics about any other event.
fn surviving(original: &Original, bytes: &[u8]) -> Vec<bool> {
    let mut back = vec![false; original.blocks.len()];
    let mut reader = TraceReader::new(bytes).unwrap();
    while let Some(mut item) = reader.next().unwrap() {
        if !matches!(item, Item::Events(_)) {
            continue;
        }
        let candidates = original.by_content.get(&key(&item)).into_iter().flatten();
        let number = candidates.copied().find(|number| {
            let (_, whole, rows) = &original.blocks[*number];
            if let (Item::Events(block), Item::Events(whole)) = (&mut item, whole) {
                block.info.offset = whole.info.offset;
            }
            // Equal bytes need no decoding; others must hold the same events.
            !back[*number] && (item == *whole || columns(&item).as_ref() == Some(rows))
        });
        let number = number.expect("a block that is not one of the original, or one that comes twice");
        back[number] = true;
    }
    back
}

fn check(original: &Original, seed: u64) {
    let mut random = Random(seed);
    let (bytes, touched) = damage(&original.bytes, &mut random);
    let back = surviving(original, &bytes);
    for (number, (block, ..)) in original.blocks.iter().enumerate() {
        let untouched = !touched.iter().any(|touched| touches(touched, block));
        assert!(
            back[number] || !untouched,
            "block {number} was not touched and is gone"
        );
    }
    if seed.is_multiple_of(REPAIRED) {
        let found = verified(&bytes);
        let (_, out, proof) = repaired(&bytes);
        assert_eq!(surviving(original, &out), back, "repaired");
        let rows = |is_back: &(usize, &bool)| {
            if *is_back.1 {
                original.blocks[is_back.0].2.len() as u64
            } else {
                0
            }
        };
        let events: u64 = back.iter().enumerate().map(|each| rows(&each)).sum();
        assert_eq!((found.counts.events, proof.counts.events), (events, events));
        let footer = original.footer..original.bytes.len() - 24;
        if !touched.iter().any(|touched| touches(touched, &footer)) {
            let all: u64 = original.blocks.iter().map(|(.., rows)| rows.len() as u64).sum();
            assert_eq!(
                (found.damage.events_missing(), found.damage.is_exact()),
                (all - events, true)
            );
            assert_eq!(proof.lost_unknown, 0);
        }
    }
}

/// On both processors: the damages are independent.
fn all_damages(original: &Original) {
    let run = |seeds: &mut dyn Iterator<Item = u64>| {
        for seed in seeds {
            let done = catch_unwind(AssertUnwindSafe(|| check(original, seed)));
            assert!(
                done.is_ok(),
                "{}: repeat it with PF_DAMAGE_SEED={seed}",
                original.name
            );
        }
    };
    if let Some(seed) = std::env::var_os("PF_DAMAGE_SEED") {
        check(original, seed.to_str().unwrap().parse().unwrap());
        return;
    }
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|worker| scope.spawn(move || run(&mut (worker..DAMAGES).step_by(2))))
            .collect();
        for worker in workers {
            worker.join().expect("see above");
        }
    });
}

#[test]
fn ten_thousand_damages_of_a_real_trace_give_no_wrong_event_and_cost_only_what_they_touch() {
    all_damages(&Original::new("cold-zipf", sample()));
}

#[test]
fn ten_thousand_damages_of_a_real_trace_in_small_blocks_cost_only_what_they_touch() {
    all_damages(&Original::new(
        "cold-zipf in small blocks",
        in_small_blocks(&sample()),
    ));
}

fn sample() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../samples/cold-zipf/trace.pfz");
    std::fs::read(path).unwrap()
}

/// The events of a real trace, in blocks of a hundred.
fn in_small_blocks(bytes: &[u8]) -> Vec<u8> {
    let mut reader = TraceReader::new(bytes).unwrap();
    let Some(Item::Meta(meta)) = reader.next().unwrap() else {
        panic!("no META")
    };
    let mut writer = TraceWriter::create(Vec::new(), reader.header(), &meta).unwrap();
    while let Some(item) = reader.next().unwrap() {
        let columns = columns(&item);
        match item {
            Item::Dict(dict) => writer.dict(&dict).unwrap(),
            Item::Timeline(entries) => writer.timeline(&entries).unwrap(),
            Item::Events(_) => {
                // In the order of time, so that every block has several threads.
                let columns = columns.unwrap();
                let mut events: Vec<_> = (0..columns.len())
                    .map(|row| columns.event(row).unwrap())
                    .collect();
                events.sort_by_key(|event| event.ts_ns + event.latency_ns);
                for block in events.chunks(100) {
                    block.iter().for_each(|event| writer.push(event).unwrap());
                    writer.flush_block().unwrap();
                }
            }
            Item::Footer(footer) => return writer.finish(footer.totals).unwrap(),
            other => panic!("{other:?}"),
        }
    }
    panic!("no footer")
}

#[test]
fn ten_thousand_damages_of_many_blocks_give_no_wrong_event_and_cost_only_what_they_touch() {
    all_damages(&Original::new("the long trace", long_trace()));
}
