//! The payload of an EVENTS record. Whatever decodes must be written again and come back the same.

use pf_formats::{BlockDecoder, Columns, Event, EventsBlock, FormatError, Item, Projection, Totals};

use super::common::raw::{EVENTS, frame};
use super::common::{blocks, by_thread, read, writer};
use super::{seal, trace_with};

/// Every column by itself, and what it leaves alone.
const PARTS: [Projection; 14] = [
    Projection::TS,
    Projection::LATENCY,
    Projection::THREAD,
    Projection::CPU,
    Projection::ADDRESS,
    Projection::IP,
    Projection::OBJECT,
    Projection::CLASS,
    Projection::RETRIES,
    Projection::BREAKDOWN,
    Projection::STACK,
    Projection::QUERY,
    Projection::SIGNAL,
    Projection::WITNESSES,
];

/// One for each statistic, and some more: one that is mended can put others in the wrong.
const ATTEMPTS: usize = 16;

/// Decodes every projection of a block whose checksums, lengths and, where possible, statistics are made right.
pub fn target(data: &[u8]) {
    let mut payload = data.to_vec();
    seal::last_column(&mut payload);
    let mut decoder = BlockDecoder::new().unwrap();
    let mut all = Columns::default();
    for _ in 0..ATTEMPTS {
        seal::head(&mut payload);
        let Some(block) = block(&payload) else { return };
        let whole = decoder.decode(&block, Projection::ALL, &mut all);
        let Err(error) = whole else {
            parts(&mut decoder, &block, Some(&all));
            return survives(&rows(&all));
        };
        assert!(all.is_empty());
        if !mend(&mut payload, &error) {
            parts(&mut decoder, &block, None);
            return;
        }
    }
}

/// The block in a trace of one block; `None` when its head is refused.
fn block(payload: &[u8]) -> Option<EventsBlock> {
    let events = seal::number(payload, 0)?;
    let (mut items, summary) = read(&trace_with(&frame(EVENTS, 1, events, 1, payload)));
    assert_eq!(items.len(), 2);
    match items.pop() {
        Some(Item::Events(block)) => Some(block),
        _ => {
            assert_eq!(summary.damages, 1);
            None
        }
    }
}

/// Each column alone is what it is among all, and all decode when each does.
fn parts(decoder: &mut BlockDecoder, block: &EventsBlock, all: Option<&Columns>) {
    let mut together = Columns::default();
    let mut decoded = true;
    for part in PARTS {
        let mut columns = Columns::default();
        decoded &= decoder.decode(block, part, &mut columns).is_ok();
        take(&mut together, &mut columns);
    }
    assert_eq!(decoded, all.is_some());
    if let Some(all) = all {
        assert_eq!(together, *all);
    }
    decoder.decode(block, Projection::NONE, &mut together).unwrap();
    assert!(together.is_empty());
}

/// Moves the columns that are there.
fn take(into: &mut Columns, from: &mut Columns) {
    fn column<T>(into: &mut Vec<T>, from: &mut Vec<T>) {
        if !from.is_empty() {
            assert!(into.is_empty(), "a column that was not asked for");
            std::mem::swap(into, from);
        }
    }
    column(&mut into.ts_ns, &mut from.ts_ns);
    column(&mut into.latency_ns, &mut from.latency_ns);
    column(&mut into.pid, &mut from.pid);
    column(&mut into.tid, &mut from.tid);
    column(&mut into.comm, &mut from.comm);
    column(&mut into.cpu, &mut from.cpu);
    column(&mut into.address, &mut from.address);
    column(&mut into.ip, &mut from.ip);
    column(&mut into.object, &mut from.object);
    column(&mut into.object_page, &mut from.object_page);
    column(&mut into.class, &mut from.class);
    column(&mut into.retries, &mut from.retries);
    column(&mut into.blocked_ns, &mut from.blocked_ns);
    column(&mut into.runqueue_ns, &mut from.runqueue_ns);
    column(&mut into.reclaim_ns, &mut from.reclaim_ns);
    column(&mut into.lock_ns, &mut from.lock_ns);
    column(&mut into.stack, &mut from.stack);
    column(&mut into.query, &mut from.query);
    column(&mut into.interruptions, &mut from.interruptions);
    column(&mut into.signal, &mut from.signal);
    column(&mut into.sleep, &mut from.sleep);
    column(&mut into.pages_read, &mut from.pages_read);
    column(&mut into.witnesses, &mut from.witnesses);
    column(&mut into.pages_before, &mut from.pages_before);
}

fn rows(columns: &Columns) -> Vec<Event> {
    (0..columns.len())
        .map(|row| columns.event(row).expect("every column has every row"))
        .collect()
}

/// Written, read: the same events, row for row within each thread.
fn survives(events: &[Event]) {
    let mut writer = writer();
    for event in events {
        writer.push(event).unwrap();
    }
    let (items, summary) = read(&writer.finish(Totals::default()).unwrap());
    assert_eq!(summary.damages, 0);
    assert!(
        blocks(&items).concat() == by_thread(events),
        "other events came back"
    );
}

/// Makes a statistic agree with the events that contradicted it: nearly every change of a column needs it. A range's
/// upper end is set to the largest, to be mended in turn, since its ends must be in order.
fn mend(payload: &mut [u8], error: &FormatError) -> bool {
    let FormatError::Corrupt { what, expected, .. } = error else {
        return false;
    };
    let Some(statistic) = what.strip_suffix(" against the events") else {
        return false;
    };
    let largest = u64::MAX;
    let fields: &[(usize, usize, u64)] = match statistic {
        "majors" => &[(8, 4, *expected), (12, 4, 0)],
        "failed" => &[(12, 4, *expected)],
        "ts_min" => &[(16, 8, *expected), (24, 8, largest), (32, 8, largest)],
        "ts_max" => &[(24, 8, *expected), (32, 8, largest)],
        "end_max" => &[(32, 8, *expected)],
        "page_min" => &[(40, 8, *expected), (48, 8, largest >> 12)],
        "page_max" => &[(48, 8, *expected)],
        "latency_min" => &[(56, 8, *expected), (64, 8, largest)],
        "latency_max" => &[(64, 8, *expected)],
        "pid_min" => &[(72, 4, *expected), (76, 4, largest)],
        "pid_max" => &[(76, 4, *expected)],
        "tid_min" => &[(80, 4, *expected), (84, 4, largest)],
        "tid_max" => &[(84, 4, *expected)],
        other => panic!("an unknown statistic: {other}"),
    };
    for (at, width, value) in fields {
        payload[*at..*at + *width].copy_from_slice(&value.to_le_bytes()[..*width]);
    }
    true
}
