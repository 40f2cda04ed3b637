//! The payloads of all records but EVENTS. What decodes is written again, and comes back the same where nothing in it
//! is over what the writer cuts at.

use pf_formats::{Condition, Header, Item, ProcessEntry, Query, Totals, TraceReader, TraceWriter};

use super::common::raw::{
    CONDITIONS, DICT, FOOTER, HIDDEN_WAITS, LOSS, META, PROCESSES, QUERIES, TIMELINE, frame,
};
use super::common::{TRACE_ID, read, writer};
use super::{seal, trace_with};

/// What the first byte of an input chooses: a kind, and whether the harness compresses what a record compresses, so
/// that the bytes come to the decoder inside.
const CHOICES: [(u8, Packed); 14] = [
    (META, Packed::Not),
    (DICT, Packed::Not),
    (TIMELINE, Packed::Not),
    (LOSS, Packed::Not),
    (QUERIES, Packed::Not),
    (FOOTER, Packed::Not),
    (TIMELINE, Packed::All),
    (QUERIES, Packed::Strings),
    (PROCESSES, Packed::Not),
    (PROCESSES, Packed::All),
    (HIDDEN_WAITS, Packed::Not),
    (HIDDEN_WAITS, Packed::All),
    (CONDITIONS, Packed::Not),
    (CONDITIONS, Packed::All),
];

/// What of a payload the harness compresses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Packed {
    Not,
    All,
    /// What is behind the columns.
    Strings,
}

/// A record within this many bytes is not cut by the writer, nor in two, whatever is in it.
const NOT_CUT: usize = 64 << 10;

/// Name and text of a query that the writer cuts.
const CUT_AT: (usize, usize) = (1024, 256);

/// Path and command line of a process that the writer cuts.
const PROCESS_CUT_AT: usize = 4096;

/// The byte that chooses a kind.
pub(super) fn choice(kind: u8, packed: Packed) -> u8 {
    let place = CHOICES.iter().position(|choice| *choice == (kind, packed));
    place.expect("a choice") as u8
}

/// Reads a record of the kind that the first byte chooses.
pub fn target(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else {
        return;
    };
    let (kind, packed) = CHOICES[usize::from(*choice) % CHOICES.len()];
    let payload = match packed {
        Packed::Not => rest.to_vec(),
        Packed::All => pack(rest),
        Packed::Strings => {
            let columns = seal::columns_end(rest, 8).filter(|end| *end <= rest.len());
            let (columns, strings) = rest.split_at(columns.unwrap_or(rest.len()));
            [columns, &pack(strings)].concat()
        }
    };
    let trace = if kind == META {
        let start = trace_with(&[]);
        [&start[..seal::HEADER], &frame(META, 1, 0, 0, &payload)].concat()
    } else {
        trace_with(&frame(kind, 1, 0, 1, &payload))
    };
    let (mut items, summary) = read(&trace);
    assert_eq!(items.len(), if kind == META { 1 } else { 2 });
    let item = items.pop().expect("the record");
    assert_eq!(summary.damages, u32::from(matches!(item, Item::Damage(_))));
    again(&item, rest.len() <= NOT_CUT);
}

fn pack(raw: &[u8]) -> Vec<u8> {
    let mut packed = (raw.len() as u32).to_le_bytes().to_vec();
    packed.extend(zstd::bulk::compress(raw, 1).unwrap());
    packed
}

/// Writes a record and reads it.
fn again(item: &Item, same: bool) {
    if matches!(item, Item::Damage(_)) {
        return;
    }
    let mut writer = writer();
    match item {
        Item::Meta(meta) => {
            let writer = TraceWriter::create(Vec::new(), &Header::new(TRACE_ID, 0), meta).unwrap();
            let (items, _) = read(&writer.into_inner());
            assert!(!same || items == [item.clone()]);
        }
        Item::Dict(dict) => {
            writer.dict(dict).unwrap();
            let items = written(writer);
            assert!(!same || items.is_empty() || items == [item.clone()]);
        }
        Item::Timeline(entries) => {
            writer.timeline(entries).unwrap();
            let back = written(writer).into_iter().flat_map(|item| match item {
                Item::Timeline(entries) => entries,
                other => panic!("{other:?}"),
            });
            assert!(back.eq(entries.iter().cloned()));
        }
        Item::Processes(entries) => {
            writer.processes(entries).unwrap();
            let back = written(writer).into_iter().flat_map(|item| match item {
                Item::Processes(entries) => entries,
                other => panic!("{other:?}"),
            });
            let mut rows = 0;
            for (back, entry) in back.zip(entries) {
                assert!(is_long(entry) || back == *entry, "{back:?} was {entry:?}");
                rows += 1;
            }
            assert_eq!(rows, entries.len());
        }
        Item::HiddenWaits(waits) => {
            writer.hidden_waits(waits).unwrap();
            let back = written(writer).into_iter().flat_map(|item| match item {
                Item::HiddenWaits(waits) => waits,
                other => panic!("{other:?}"),
            });
            let pairs: Vec<_> = back.zip(waits).collect();
            assert_eq!(pairs.len(), waits.len());
            assert!(
                pairs
                    .iter()
                    .all(|(back, wait)| wait.syscall.len() > 256 || back == *wait)
            );
        }
        Item::Conditions(conditions) => {
            writer.conditions(conditions).unwrap();
            let back = written(writer).into_iter().flat_map(|item| match item {
                Item::Conditions(conditions) => conditions,
                other => panic!("{other:?}"),
            });
            let pairs: Vec<_> = back.zip(conditions).collect();
            assert_eq!(pairs.len(), conditions.len());
            let is_long = |of: &Condition| of.subject.len().max(of.value.len()) > 4096 || of.name.len() > 256;
            assert!(pairs.iter().all(|(back, of)| is_long(of) || back == *of));
        }
        Item::Loss(losses) => {
            writer.loss(losses).unwrap();
            let back = written(writer).into_iter().flat_map(|item| match item {
                Item::Loss(losses) => losses,
                other => panic!("{other:?}"),
            });
            assert!(back.eq(losses.iter().cloned()));
        }
        Item::Queries(queries) => {
            writer.queries(queries).unwrap();
            let back = written(writer).into_iter().flat_map(|item| match item {
                Item::Queries(queries) => queries,
                other => panic!("{other:?}"),
            });
            let mut rows = 0;
            for (back, query) in back.zip(queries) {
                assert!(is_cut(query) || back == *query, "{back:?} was {query:?}");
                rows += 1;
            }
            assert_eq!(rows, queries.len());
        }
        Item::Footer(footer) => {
            let bytes = writer.finish(footer.totals.clone()).unwrap();
            assert_eq!(totals(&bytes), footer.totals);
        }
        Item::Damage(_) | Item::Events(_) | Item::Skipped(_) => {
            panic!("nothing that could be written: {item:?}")
        }
    }
}

/// What was written behind META.
fn written(writer: TraceWriter<Vec<u8>>) -> Vec<Item> {
    let (mut items, summary) = read(&writer.into_inner());
    assert_eq!(summary.damages, 0);
    items.split_off(1)
}

fn is_cut(query: &Query) -> bool {
    query.name.len() > CUT_AT.0 || query.text.as_ref().is_some_and(|text| text.len() > CUT_AT.1)
}

/// A path or a command line that the writer cuts.
fn is_long(entry: &ProcessEntry) -> bool {
    let command: usize = entry.command.iter().map(|text| text.len() + 1).sum();
    entry.executable.len() > PROCESS_CUT_AT || command > PROCESS_CUT_AT
}

fn totals(bytes: &[u8]) -> Totals {
    let mut reader = TraceReader::new(bytes).unwrap();
    while let Some(item) = reader.next().unwrap() {
        if let Item::Footer(footer) = item {
            return footer.totals;
        }
    }
    panic!("no footer")
}
