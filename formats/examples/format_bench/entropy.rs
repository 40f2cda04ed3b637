//! The yardstick: the order-0 entropy of the residuals that SPEC.md documents, byte plane by byte plane and block by
//! block. That is what an ideal coder of single bytes would need, the tables of its probabilities not counted.
//!
//! Computed from SPEC.md, not with the code that it judges.

use pf_formats::{Breakdown, Event};

use crate::raw;

/// One of the four numbers of a breakdown.
type Part = fn(&Breakdown) -> u64;

/// Bits of each column over all blocks so far.
#[derive(Default)]
pub(crate) struct Entropy {
    /// Name and bits, in the order of SPEC.md.
    pub(crate) columns: Vec<(&'static str, f64)>,
}

impl Entropy {
    pub(crate) fn bytes(&self) -> f64 {
        self.columns.iter().map(|(_, bits)| bits / 8.0).sum()
    }

    /// Adds a block.
    pub(crate) fn add(&mut self, events: &[Event]) {
        let mut rows = events.to_vec();
        let key = |event: &Event| (event.pid, event.tid, event.comm);
        rows.sort_by_key(key);
        let runs: Vec<&[Event]> = rows.chunk_by(|left, right| key(left) == key(right)).collect();
        let of_runs = |field: fn(&Event) -> u64| runs.iter().map(|run| field(&run[0])).collect::<Vec<_>>();
        self.note("run_pid", bits(&deltas(&of_runs(|event| event.pid.into()))));
        self.note("run_tid", bits(&deltas(&of_runs(|event| event.tid.into()))));
        self.note("run_comm", bits(&deltas(&of_runs(|event| event.comm.0.into()))));
        let lengths: Vec<u64> = runs.iter().map(|run| run.len() as u64).collect();
        self.note("run_length", bits(&lengths));

        let of = |field: fn(&Event) -> u64| rows.iter().map(field).collect::<Vec<_>>();
        let pages = of(|event| event.address >> 12);
        let objects = of(|event| event.object.0.into());
        self.note("latency", bits(&of(|event| event.latency_ns)));
        self.note("ts", bits(&gaps(&runs)));
        self.note("page", page_bits(&pages, &lengths));
        self.note("page_offset", bits(&of(|event| event.address & 0xfff)));
        self.note("ip", bits(&deltas(&of(|event| event.ip))));
        self.note("object", bits(&deltas(&objects)));
        self.note(
            "object_page",
            bits(&follow(&of(|event| event.object_page), &objects, &pages)),
        );
        self.note("cpu", bits(&deltas(&of(|event| event.cpu.into()))));
        self.note("class", bits(&of(|event| raw::class(event).into())));
        self.note("retries", bits(&of(|event| event.retries.into())));
        let parts: [(&'static str, Part); 4] = [
            ("blocked", |breakdown| breakdown.blocked_ns),
            ("runqueue", |breakdown| breakdown.runqueue_ns),
            ("reclaim", |breakdown| breakdown.reclaim_ns),
            ("lock", |breakdown| breakdown.lock_ns),
        ];
        for (name, part) in parts {
            let values: Vec<u64> = rows
                .iter()
                .map(|event| event.breakdown.as_ref().map_or(0, part))
                .collect();
            self.note(name, bits(&values));
        }
        self.note("stack", bits(&deltas(&of(|event| event.stack.0.into()))));
        self.note("query", bits(&deltas(&of(|event| event.query.0))));
    }

    fn note(&mut self, name: &'static str, bits: f64) {
        match self.columns.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += bits,
            None => self.columns.push((name, bits)),
        }
    }
}

/// Order-0 entropy of the eight byte planes, in bits for all rows together.
fn bits(values: &[u64]) -> f64 {
    (0..8).map(|plane| plane_bits(values, 8 * plane)).sum()
}

fn plane_bits(values: &[u64], shift: u32) -> f64 {
    let mut counts = [0u32; 256];
    for value in values {
        counts[usize::from((value >> shift) as u8)] += 1;
    }
    let weight = |count: f64| if count > 0.0 { count * count.log2() } else { 0.0 };
    weight(values.len() as f64) - counts.iter().map(|count| weight(f64::from(*count))).sum::<f64>()
}

/// 0, -1, 1, -2, … as 0, 1, 2, 3, …
fn zigzag(difference: u64) -> u64 {
    (difference << 1) ^ (difference as i64 >> 63) as u64
}

/// To the row before; the first one to 0.
fn deltas(values: &[u64]) -> Vec<u64> {
    let before = [0].iter().chain(values);
    values
        .iter()
        .zip(before)
        .map(|(value, before)| zigzag(value.wrapping_sub(*before)))
        .collect()
}

/// From the end of the fault before on the same thread, the first ones from the start of the block.
fn gaps(runs: &[&[Event]]) -> Vec<u64> {
    let starts = runs.iter().flat_map(|run| run.iter());
    let ts_min = starts.map(|event| event.ts_ns).min().unwrap_or(0);
    let mut gaps = Vec::new();
    for run in runs {
        let mut end = ts_min;
        for event in *run {
            gaps.push(zigzag(event.ts_ns.wrapping_sub(end)));
            end = event.ts_ns.wrapping_add(event.latency_ns);
        }
    }
    gaps
}

/// Whatever is least: the pages as they are, their differences, or for each run what suits it better.
fn page_bits(pages: &[u64], run_lengths: &[u64]) -> f64 {
    let differences = deltas(pages);
    let mut by_run = Vec::with_capacity(pages.len());
    let mut start = 0;
    for length in run_lengths {
        let run = start..start + *length as usize;
        start = run.end;
        let (plain, delta) = (&pages[run.clone()], &differences[run]);
        by_run.extend_from_slice(if bits(delta) < bits(plain) { delta } else { plain });
    }
    bits(pages).min(bits(&differences)).min(bits(&by_run))
}

/// What is left of the pages of objects when they are predicted from those of the addresses.
fn follow(object_pages: &[u64], objects: &[u64], pages: &[u64]) -> Vec<u64> {
    // Object, page and object page as they were last seen, in 256 slots.
    let mut slots = [(0, 0, 0); 256];
    let mut left = Vec::with_capacity(pages.len());
    for ((object_page, object), page) in object_pages.iter().zip(objects).zip(pages) {
        let slot: &mut (u64, u64, u64) = &mut slots[(object % 256) as usize];
        let prediction = if slot.0 == *object && slot.2 != 0 {
            slot.2.wrapping_add(page.wrapping_sub(slot.1))
        } else {
            0
        };
        left.push(zigzag(object_page.wrapping_sub(prediction)));
        *slot = (*object, *page, *object_page);
    }
    left
}
