//! Events made to hurt the encoder: each column follows a pattern that the input chooses. They are written, read, and
//! must be the same, row for row within each thread.

use pf_formats::{
    Access, Breakdown, CommId, Event, Item, ObjectId, Origin, QueryId, StackId, Totals, TraceWriter,
    Witnesses,
};

use super::change::mix;
use super::common::{blocks, by_thread, read, writer};

/// Somewhat more than a block.
const MOST_ROWS: u32 = 66_000;

/// Enough for most.
pub(super) const FEW_ROWS: u32 = 1024;

pub(super) const ONE_IN: u8 = 32;

/// Events of a full block.
const BLOCK: usize = 32_768;

/// Rows in which the encoder looks at a column to choose its storage, see `Pattern::Trap`.
const SLICES: u32 = 8;
const SLICE_ROWS: u32 = 256;

/// Numbers from the input; zeros behind its end.
struct Draw<'a>(&'a [u8]);

impl Draw<'_> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let len = N.min(self.0.len());
        let (head, tail) = self.0.split_at(len);
        bytes[..len].copy_from_slice(head);
        self.0 = tail;
        bytes
    }

    fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.bytes())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }
}

/// How a column goes on from row to row; a and b are its two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Pattern {
    /// a.
    Same,
    /// a + b per row; b may stand for a step backwards.
    Walk,
    /// 0, the largest, and what is next to them.
    Extremes,
    /// Any 64 bits.
    Noise,
    /// One of b numbers.
    Names,
    /// Numbers of b bits.
    Bits,
    /// Numbers of up to 64 bits, each power of two as often as the next.
    Powers,
    /// A new number every b rows.
    Steps,
    /// Small where the encoder looks, noise elsewhere: it chooses the wrong storage.
    Trap,
    /// The same for what is stored as differences.
    TrapWalk,
    /// The same, with steps of less than 2^14 upwards: what is sorted by it stays in its order.
    TrapClimb,
}

const PATTERNS: [Pattern; 11] = [
    Pattern::Same,
    Pattern::Walk,
    Pattern::Extremes,
    Pattern::Noise,
    Pattern::Names,
    Pattern::Bits,
    Pattern::Powers,
    Pattern::Steps,
    Pattern::Trap,
    Pattern::TrapWalk,
    Pattern::TrapClimb,
];

/// A column on its way.
struct Column {
    pattern: Pattern,
    a: u64,
    b: u64,
    rows: u32,
    before: u64,
}

impl Column {
    fn draw(draw: &mut Draw<'_>, rows: u32) -> Self {
        let pattern = PATTERNS[usize::from(draw.u8()) % PATTERNS.len()];
        let a = draw.u64();
        // Small ones in both directions.
        let b = i64::from(i16::from_le_bytes(draw.bytes())) as u64;
        Self {
            pattern,
            a,
            b,
            rows,
            before: 0,
        }
    }

    fn at(&mut self, row: u32) -> u64 {
        let noise = mix(self.a.wrapping_add(row.into()));
        let (a, b) = (self.a, self.b);
        let many = (b & 0x1fff) + 1;
        match self.pattern {
            Pattern::Same => a,
            Pattern::Walk => a.wrapping_add(b.wrapping_mul(row.into())),
            Pattern::Extremes => {
                [0, u64::MAX, 1, u64::MAX - 1, 1 << 63, i64::MAX as u64][(noise % 6) as usize]
            }
            Pattern::Noise => noise,
            Pattern::Names => mix(a.wrapping_add(noise % many)),
            Pattern::Bits => noise >> (b % 64),
            Pattern::Powers => noise >> (mix(noise) % 64),
            Pattern::Steps => mix(a.wrapping_add(u64::from(row) / many)),
            Pattern::Trap => self.trap(row, noise),
            Pattern::TrapWalk => {
                let step = self.trap(row, noise);
                // What zigzag makes `step` of.
                self.before = self.before.wrapping_add((step >> 1) ^ (step & 1).wrapping_neg());
                self.before
            }
            Pattern::TrapClimb => {
                let small = if noise.is_multiple_of(8) { 200 } else { noise >> 60 };
                let step = if self.is_looked_at(row) {
                    small
                } else {
                    noise & 0x3fff
                };
                self.before = self.before.wrapping_add(step).wrapping_add(1);
                self.before
            }
        }
    }

    fn trap(&self, row: u32, noise: u64) -> u64 {
        let small = [0, 1, 2, 3, 400, 401, 402, 403];
        if self.is_looked_at(row) {
            small[(noise % 8) as usize]
        } else {
            noise
        }
    }

    fn is_looked_at(&self, row: u32) -> bool {
        let slice = self.rows.div_ceil(SLICES).max(SLICE_ROWS);
        row % slice < SLICE_ROWS
    }
}

/// Columns in the order in which an input describes them.
pub(super) const COLUMNS: usize = 19;

/// Events, and after how many of them a block is ended; 0 for when it is full.
struct Plan {
    events: Vec<Event>,
    flush_every: usize,
}

/// Whether an input may ask for more than [`FEW_ROWS`]: one in 32, since they take a hundred times as long.
fn may_be_large(data: &[u8]) -> bool {
    sum(data).is_multiple_of(ONE_IN)
}

pub(super) fn sum(data: &[u8]) -> u8 {
    data.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// An input: u32 rows, u8 by how many bits they are shifted, u32 after how many rows a block is ended, u8 which
/// optional columns there are, then the columns: u8 pattern, u64 a, i16 b.
fn plan(data: &[u8]) -> Plan {
    let mut draw = Draw(data);
    let most = if may_be_large(data) { MOST_ROWS } else { FEW_ROWS };
    let (rows, shift) = (draw.u32() % most, draw.u8() % 17);
    let rows = (rows >> shift) + 1;
    let flush_every = draw.u32() as usize % BLOCK;
    let optional = draw.u8();
    let mut columns: [Column; COLUMNS] = std::array::from_fn(|_| Column::draw(&mut draw, rows));
    let events = (0..rows).map(|row| event(columns.each_mut().map(|column| column.at(row)), optional));
    Plan {
        events: events.collect(),
        // A block for each event of many would only be slow.
        flush_every: if flush_every > 0 {
            flush_every.max(rows as usize / 64)
        } else {
            0
        },
    }
}

/// One that a dictionary can have, or none: a reader refuses others.
fn id(number: u64) -> u32 {
    number as u32 % (4_194_304 + 1)
}

fn event(columns: [u64; COLUMNS], optional: u8) -> Event {
    let [
        ts_ns,
        latency_ns,
        pid,
        tid,
        comm,
        cpu,
        address,
        ip,
        object,
        object_page,
        class,
        retries,
        rest @ ..,
    ] = columns;
    let [
        presence,
        blocked_ns,
        runqueue_ns,
        reclaim_ns,
        lock_ns,
        stack,
        query,
    ] = rest;
    // A bit says that a column is there at all; the column of presence, in which rows.
    let there = |bit: u8| optional & 1 << bit != 0 && (optional & 8 << bit == 0 || presence & 1 << bit != 0);
    Event {
        ts_ns,
        latency_ns,
        pid: pid as u32,
        tid: tid as u32,
        comm: CommId(id(comm)),
        cpu: cpu as u16,
        address,
        ip,
        object: ObjectId(id(object)),
        object_page,
        major: class & 1 != 0,
        failed: class & 2 != 0,
        access: Access::from_code((class >> 2) as u8 & 3),
        origin: Origin::from_code((class >> 4) as u8 & 3),
        retries: retries as u8,
        breakdown: there(0).then_some(Breakdown {
            blocked_ns,
            runqueue_ns,
            reclaim_ns,
            lock_ns,
        }),
        stack: StackId(if there(1) { id(stack) } else { 0 }),
        query: QueryId(if there(2) { query } else { 0 }),
        abandoned: class & 66 == 66,
        interruptions: if there(2) { query as u8 } else { 0 },
        signal: if there(2) { (query >> 8) as u8 } else { 0 },
        witnesses: if there(1) {
            Witnesses::from_columns(
                query as u8,
                id(stack),
                reclaim_ns as u32,
                (reclaim_ns >> 32) as u32,
            )
        } else {
            Witnesses::default()
        },
    }
}

/// The trace of an input, and what is in its blocks.
fn write(data: &[u8]) -> (TraceWriter<Vec<u8>>, Vec<Vec<Event>>) {
    let Plan { events, flush_every } = plan(data);
    let size = if flush_every == 0 { BLOCK } else { flush_every };
    let mut writer = writer();
    let mut written = Vec::new();
    for chunk in events.chunks(size) {
        for event in chunk {
            writer.push(event).unwrap();
        }
        writer.flush_block().unwrap();
        written.push(by_thread(chunk));
    }
    (writer, written)
}

/// The trace of an input.
pub(super) fn trace(data: &[u8]) -> Vec<u8> {
    write(data).0.finish(Totals::default()).unwrap()
}

/// Writes the events that the input describes and reads them.
pub fn target(data: &[u8]) {
    let (writer, written) = write(data);
    let (items, summary) = read(&writer.finish(Totals::default()).unwrap());
    assert_eq!((summary.damages, summary.finished), (0, true));
    assert!(blocks(&items) == written, "other events came back");
    let infos = items.iter().filter_map(|item| match item {
        Item::Events(block) => Some(block.info),
        _ => None,
    });
    let Some(Item::Footer(footer)) = items.last() else {
        panic!("no footer")
    };
    assert!(
        infos.eq(footer.blocks.iter().copied()),
        "the footer lists other blocks"
    );
}
