//! Size, entropy and speed of one source. The codecs take turns block by block, so that whatever disturbs the
//! machine for a while disturbs all of them.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use pf_formats::{Columns, Event, Totals};

use crate::decoding::Decoding;
use crate::entropy::Entropy;
use crate::raw::{self, Packed};
use crate::source::Source;
use crate::trace::{self, FEW};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Levels of zstd over structs: what is claimed against, and the fastest.
pub(crate) const LEVELS: [i32; 2] = [3, 1];

/// Blocks that one codec decodes before the next one does. Decoding few columns of one block takes less than a
/// millisecond: with fewer, filling the caches again would be a part of it.
const TURN: usize = 16;

/// Millions of events per second in one pass.
pub(crate) struct Round {
    pub(crate) encode: f64,
    pub(crate) encode_raw: [f64; 2],
    pub(crate) decode: f64,
    pub(crate) decode_few: f64,
    pub(crate) decode_raw: [f64; 2],
}

/// All that is measured.
pub(crate) struct Measured {
    pub(crate) events: u64,
    /// Events that start before the one in front of them, as a part of all.
    pub(crate) inversions: f64,
    /// The whole trace as it was written here.
    pub(crate) trace_bytes: usize,
    pub(crate) raw_bytes: [usize; 2],
    pub(crate) entropy: Entropy,
    pub(crate) rounds: Vec<Round>,
}

/// What was written in a pass; its memory serves the next one.
struct Written {
    trace: Vec<u8>,
    raw: [Packed; 2],
}

/// Measures in `rounds` passes, and one before them that makes sure of what comes back and warms up.
pub(crate) fn measure(source: &Source, rounds: u32) -> Result<Measured> {
    let (events, inversions, entropy) = look(source);
    if events == 0 {
        return Err("there are no events".into());
    }
    let mut written = Written {
        trace: Vec::new(),
        raw: [Packed::new(LEVELS[0])?, Packed::new(LEVELS[1])?],
    };
    encode(source, events, &mut written)?;
    verify(source, &written.trace)?;
    decode(events, &mut written)?;
    let mut all = Vec::new();
    for number in 1..=rounds {
        eprintln!("round {number} of {rounds}");
        let (encode, encode_raw) = encode(source, events, &mut written)?;
        let (decode, decode_few, decode_raw) = decode(events, &mut written)?;
        all.push(Round {
            encode,
            encode_raw,
            decode,
            decode_few,
            decode_raw,
        });
    }
    Ok(Measured {
        events,
        inversions,
        trace_bytes: written.trace.len(),
        raw_bytes: written.raw.map(|packed| packed.bytes()),
        entropy,
        rounds: all,
    })
}

/// What needs no clock: number of events, part of them out of order, entropy.
fn look(source: &Source) -> (u64, f64, Entropy) {
    let (mut count, mut inversions, mut last_ns) = (0u64, 0u64, 0);
    let mut entropy = Entropy::default();
    let (mut blocks, mut events) = (source.blocks(), Vec::new());
    while blocks.next(&mut events) {
        for event in &events {
            inversions += u64::from(event.ts_ns < last_ns);
            last_ns = event.ts_ns;
        }
        count += events.len() as u64;
        entropy.add(&events);
    }
    (count, inversions as f64 / count.max(1) as f64, entropy)
}

fn encode(source: &Source, count: u64, written: &mut Written) -> Result<(f64, [f64; 2])> {
    let (mut ours, mut raw) = (Duration::ZERO, [Duration::ZERO; 2]);
    let mut writer = trace::writer(std::mem::take(&mut written.trace), &source.dicts())?;
    written.raw.iter_mut().for_each(Packed::clear);
    let (mut blocks, mut events, mut rows) = (source.blocks(), Vec::new(), Vec::new());
    while blocks.next(&mut events) {
        raw::lay_out(&events, &mut rows);
        timed(&mut ours, || {
            events.iter().try_for_each(|event| writer.push(event))
        })?;
        for (packed, spent) in written.raw.iter_mut().zip(&mut raw) {
            timed(spent, || packed.encode(&rows))?;
        }
    }
    let totals = Totals {
        events: count,
        ..Totals::default()
    };
    written.trace = timed(&mut ours, || writer.finish(totals))?;
    Ok((speed(count, ours), raw.map(|spent| speed(count, spent))))
}

fn decode(count: u64, written: &mut Written) -> Result<(f64, f64, [f64; 2])> {
    let (mut spent_all, mut spent_few, mut raw) = (Duration::ZERO, Duration::ZERO, [Duration::ZERO; 2]);
    let mut all = Decoding::all(written.trace.as_slice())?;
    let mut few = Decoding::new(written.trace.as_slice(), FEW)?;
    let blocks = written.raw[0].blocks();
    for start in (0..blocks).step_by(TURN) {
        timed(&mut spent_all, || turn(&mut all))?;
        timed(&mut spent_few, || turn(&mut few))?;
        for (packed, spent) in written.raw.iter_mut().zip(&mut raw) {
            for block in start..blocks.min(start + TURN) {
                let rows = timed(spent, || packed.decode(block))?;
                black_box(rows);
            }
        }
    }
    let raw = raw.map(|spent| speed(count, spent));
    Ok((speed(count, spent_all), speed(count, spent_few), raw))
}

fn turn(decoding: &mut Decoding<&[u8]>) -> Result<()> {
    for _ in 0..TURN {
        if !decoding.next()? {
            break;
        }
        black_box(decoding.columns());
    }
    Ok(())
}

/// Every event comes back, in the order that a block has: by process, thread and name.
fn verify(source: &Source, trace: &[u8]) -> Result<()> {
    let mut decoding = Decoding::all(trace)?;
    let mut few = Decoding::new(trace, FEW)?;
    let (mut blocks, mut events) = (source.blocks(), Vec::new());
    while blocks.next(&mut events) {
        events.sort_by_key(|event: &Event| (event.pid, event.tid, event.comm));
        if !decoding.next()? || !few.next()? {
            return Err("the trace has fewer blocks than were written".into());
        }
        let (columns, part) = (decoding.columns(), few.columns());
        let same = |(row, event): (usize, &Event)| columns.event(row).is_some_and(|back| equal(&back, event));
        if columns.len() != events.len() || !events.iter().enumerate().all(same) {
            return Err("what comes back is not what was written".into());
        }
        if part.latency_ns != columns.latency_ns || part.class != columns.class || part.tid != columns.tid {
            return Err("few columns are not the same as those among all".into());
        }
    }
    if decoding.next()? {
        return Err("the trace has more blocks than were written".into());
    }
    Ok(())
}

/// An event without a breakdown has one of zeros when another one of its block has one.
fn equal(back: &Event, event: &Event) -> bool {
    let filled = |event: &Event| Event {
        breakdown: Some(event.breakdown.unwrap_or_default()),
        ..*event
    };
    filled(back) == filled(event)
}

/// Least time to read a trace from its file, which is in the page cache by then, and to decode all columns.
pub(crate) fn read_back(path: &str, rounds: u32) -> Result<Duration> {
    let mut least = Duration::MAX;
    for _ in 0..=rounds {
        let start = Instant::now();
        let mut decoding = Decoding::all(std::fs::File::open(path)?)?;
        while decoding.next()? {
            black_box::<&Columns>(decoding.columns());
        }
        least = least.min(start.elapsed());
    }
    Ok(least)
}

fn timed<T>(spent: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *spent += start.elapsed();
    result
}

/// Millions of events per second.
fn speed(events: u64, spent: Duration) -> f64 {
    events as f64 / spent.as_secs_f64() / 1e6
}
