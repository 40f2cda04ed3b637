//! Inputs to start from: every kind of record, every column, every transform and storage, and some that hurt.

use super::common::raw::{
    CONDITIONS, DICT, EVENTS, FOOTER, HIDDEN_WAITS, LOSS, META, PROCESSES, QUERIES, TIMELINE, frames,
};
use super::common::{full_trace, losses, queries, small_trace, timeline, writer};
use super::records::{Packed, choice};
use super::round_trip::{COLUMNS, FEW_ROWS, ONE_IN, Pattern, sum, trace};
use super::seal::{FRAME, columns_end};

/// A column of an input of `round_trip`.
type Described = (Pattern, u64, i16);

/// An input of `round_trip`; columns that are not told are 0.
fn described(rows: u32, flush_every: u32, optional: u8, columns: &[Described]) -> Vec<u8> {
    let mut input = (rows - 1).to_le_bytes().to_vec();
    input.push(0);
    input.extend(flush_every.to_le_bytes());
    input.push(optional);
    for (pattern, a, b) in columns {
        input.push(*pattern as u8);
        input.extend(a.to_le_bytes());
        input.extend(b.to_le_bytes());
    }
    if rows > FEW_ROWS {
        input.push(sum(&input).wrapping_neg() % ONE_IN);
    }
    input
}

/// The same pattern for every column.
fn uniform(rows: u32, flush_every: u32, optional: u8, pattern: Pattern, b: i16) -> Vec<u8> {
    let columns: Vec<Described> = (0..COLUMNS as u64).map(|a| (pattern, a * 1000, b)).collect();
    described(rows, flush_every, optional, &columns)
}

/// What a program does that reads a mapped file: the encoder finds every transform.
fn lifelike(rows: u32, flush_every: u32) -> Vec<u8> {
    use Pattern::{Bits, Names, Powers, Same, Steps, Walk};
    let columns = [
        (Walk, 1_000_000, 700),
        (Powers, 1, 0),
        (Same, 100, 0),
        (Names, 200, 3),
        (Same, 1, 0),
        (Names, 0, 1),
        (Walk, 0x7f00_0000_0000, 4096),
        (Names, 0x5555, 20),
        (Steps, 3, 50),
        (Walk, 7, 1),
        (Bits, 0, 58),
        (Bits, 0, 63),
        (Same, 7, 0),
        (Powers, 2, 0),
        (Bits, 3, 50),
        (Bits, 4, 60),
        (Bits, 5, 55),
        (Names, 5, 30),
        (Steps, 6, 9),
    ];
    described(rows, flush_every, 7, &columns)
}

/// Noise where the encoder does not look, in a thread for each event: what takes most in the file.
pub fn largest_block() -> Vec<u8> {
    use Pattern::{Trap, TrapClimb, TrapWalk};
    let mut columns = [(TrapWalk, 1, 0); COLUMNS];
    // Times and sums are stored as they are, or against others that are.
    for (column, seed) in [
        (0, 11),
        (1, 12),
        (6, 20),
        (9, 13),
        (13, 14),
        (14, 15),
        (15, 16),
        (16, 17),
    ] {
        columns[column] = (Trap, seed, 0);
    }
    columns[2] = (TrapClimb, 21, 0);
    columns[3] = (Trap, 18, 0);
    columns[4] = (Trap, 19, 0);
    described(65_536, 0, 7, &columns)
}

/// Inputs of `round_trip`.
pub fn round_trip() -> Vec<Vec<u8>> {
    use Pattern::{Bits, Extremes, Names, Noise, Powers, Same, Steps, Trap, TrapClimb, TrapWalk, Walk};
    let mut seeds = vec![Vec::new(), lifelike(300, 0), lifelike(1000, 70), largest_block()];
    for pattern in [
        Same, Walk, Extremes, Noise, Names, Bits, Powers, Steps, Trap, TrapWalk, TrapClimb,
    ] {
        seeds.push(uniform(40, 0, 0, pattern, 5));
        seeds.push(uniform(500, 90, 0x3f, pattern, 300));
    }
    seeds.push(uniform(200, 0, 7, Walk, -700));
    seeds.push(uniform(65_600, 0, 1, Walk, -1));
    seeds
}

/// Traces that together hold everything.
fn traces() -> Vec<Vec<u8>> {
    let mut traces = vec![small_trace(), full_trace()];
    traces.extend(
        round_trip()
            .iter()
            .filter(|seed| rows(seed) < FEW_ROWS)
            .map(|seed| trace(seed)),
    );
    let mut records = writer();
    records.timeline(&timeline()).unwrap();
    records.loss(&losses()).unwrap();
    let many: Vec<_> = (0..20).flat_map(|_| queries()).collect();
    records.queries(&many).unwrap();
    traces.push(records.into_inner());
    traces
}

/// Rows of an input of `round_trip`.
fn rows(seed: &[u8]) -> u32 {
    seed.first_chunk().map_or(1, |rows| u32::from_le_bytes(*rows))
}

/// Payloads of a kind, each once.
fn payloads(kind: u8) -> Vec<Vec<u8>> {
    let mut payloads: Vec<Vec<u8>> = Vec::new();
    for trace in traces() {
        for (at, len) in frames(&trace) {
            let payload = &trace[at + FRAME..at + len];
            if trace[at + 4] == kind && payloads.iter().all(|known| known != payload) {
                payloads.push(payload.to_vec());
            }
        }
    }
    payloads
}

/// Inputs of `reader`: whole traces, and some that are cut, joined, or not there.
pub fn reader() -> Vec<Vec<u8>> {
    let mut seeds = traces();
    let whole = small_trace();
    seeds.push(whole[..whole.len() * 2 / 3].to_vec());
    seeds.push(whole.repeat(2));
    let unknown = frames(&whole)[3].0;
    let mut later = whole;
    later[unknown + 4] = 99;
    seeds.extend([later, Vec::new(), b"\x89PFZ\r\n\x1a\n".to_vec()]);
    seeds
}

/// Inputs of `block`.
pub fn block() -> Vec<Vec<u8>> {
    payloads(EVENTS)
}

/// The payload of the FOOTER of a trace of one block.
pub fn footer() -> Vec<u8> {
    let trace = full_trace();
    let (at, len) = *frames(&trace).last().unwrap();
    trace[at + FRAME..at + len].to_vec()
}

/// Inputs of `block` with as many events as a block can have; not among the others, for each takes long.
pub fn full_blocks() -> Vec<Vec<u8>> {
    let full = [
        uniform(65_536, 0, 0x3f, Pattern::Same, 0),
        uniform(65_536, 0, 7, Pattern::Steps, 5000),
        lifelike(65_536, 0),
    ];
    let payload = |seed: &Vec<u8>| {
        let trace = trace(seed);
        let (at, len) = frames(&trace)[1];
        trace[at + FRAME..at + len].to_vec()
    };
    full.iter().map(payload).collect()
}

/// Inputs of `records`.
pub fn records() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for kind in [
        META,
        DICT,
        TIMELINE,
        LOSS,
        QUERIES,
        PROCESSES,
        HIDDEN_WAITS,
        CONDITIONS,
        FOOTER,
    ] {
        // Every trace has a footer of its own, and all are alike.
        let most = if kind == FOOTER { 3 } else { usize::MAX };
        for payload in payloads(kind).into_iter().take(most) {
            let (packed, unpacked) = match kind {
                TIMELINE | PROCESSES | HIDDEN_WAITS | CONDITIONS => (Packed::All, Some(unpack(&payload))),
                QUERIES => {
                    let (columns, strings) = payload.split_at(columns_end(&payload, 8).unwrap());
                    (Packed::Strings, Some([columns, &unpack(strings)].concat()))
                }
                _ => (Packed::Not, None),
            };
            if let Some(unpacked) = unpacked {
                seeds.push([vec![choice(kind, packed)], unpacked].concat());
            }
            seeds.push([vec![choice(kind, Packed::Not)], payload].concat());
        }
    }
    seeds
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    let (len, bytes) = packed.split_first_chunk().unwrap();
    zstd::bulk::decompress(bytes, u32::from_le_bytes(*len) as usize).unwrap()
}
