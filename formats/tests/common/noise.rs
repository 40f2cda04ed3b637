//! Long traces, and how much memory this process has taken at most.

use std::io::Write;

use pf_formats::{DecodeAhead, Event, Header, Projection, Step, Totals, TraceReader, TraceWriter, Wanted};

use super::{TRACE_ID, comms, event, meta, objects};

/// Random enough for zstd.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ self.0 >> 29
    }
}

/// Writes a finished trace of at least so many bytes. The events of a block are noise in the lowest `bits` of
/// latency, page and place in the file: with few it is as dense as real traces, with all its blocks are as long
/// as they get.
pub(crate) fn write_trace(out: impl Write, bytes: u64, bits: u32) -> u64 {
    let mut writer = TraceWriter::create(out, &Header::new(TRACE_ID, 0), &meta()).unwrap();
    writer.dict(&comms(&["worker"])).unwrap();
    writer.dict(&objects()).unwrap();
    let mut noise = Noise(1);
    let mask = u64::MAX >> (64 - bits);
    let block: Vec<Event> = (0..32_768)
        .map(|i| Event {
            latency_ns: noise.next() & mask,
            address: (noise.next() & mask) << 12,
            ip: noise.next() & mask & 0xff,
            object_page: noise.next() & mask,
            ..event(i)
        })
        .collect();
    while writer.bytes_written() < bytes {
        let start_ns = writer.events_written() * 700;
        for event in &block {
            let ts_ns = event.ts_ns + start_ns;
            writer.push(&Event { ts_ns, ..*event }).unwrap();
        }
    }
    let events = writer.events_written();
    writer
        .finish(Totals {
            events,
            ..Totals::default()
        })
        .unwrap();
    events
}

/// Decodes every column of every block. Returns the events.
pub(crate) fn read_through<R: std::io::Read>(reader: TraceReader<R>, threads: Option<usize>) -> u64 {
    let mut steps = match threads {
        Some(threads) => DecodeAhead::with_threads(reader, threads),
        None => DecodeAhead::new(reader),
    };
    let wanted = Wanted {
        predicate: pf_formats::Predicate::default(),
        columns: Projection::ALL,
    };
    let mut events = 0;
    while let Some(step) = steps.next(&wanted).unwrap() {
        if let Step::Block(block) = step {
            assert!(block.error.is_none(), "{:?}", block.error);
            events += block.columns.len() as u64;
        }
    }
    assert_eq!(steps.reader().summary().damages, 0);
    events
}

/// The most memory that was resident at once so far, mapped pages included, in KiB.
pub(crate) fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
