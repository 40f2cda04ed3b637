//! Whole files: any bytes, and the same bytes with right checksums. Every way to read a file must give the same.

use std::io::{Error, ErrorKind, Read};

use pf_formats::{BlockDecoder, Columns, Item, Projection, TraceReader};

use super::seal;

/// Rows after which a file has shown what it can: a few bytes can stand for a block of 65,536 equal events.
const ENOUGH_ROWS: usize = 1 << 18;

/// All ways to read a file, with their names. The first is what the others are compared with.
fn inputs(bytes: &[u8]) -> Vec<(&'static str, Box<dyn Read + '_>)> {
    vec![
        ("stream", Box::new(bytes)),
        ("stream in small pieces", Box::new(Dribble { bytes, step: 0 })),
    ]
}

/// A pipe that gives a few bytes at a time, and is interrupted.
struct Dribble<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl Read for Dribble<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.step = self.step.wrapping_add(1);
        if self.step.is_multiple_of(5) {
            return Err(Error::from(ErrorKind::Interrupted));
        }
        let len = (self.step * 37 % 300 + 1).min(into.len());
        self.bytes.read(&mut into[..len])
    }
}

/// Reads the bytes as they are, then as the trace that they almost are.
pub fn target(data: &[u8]) {
    read(data);
    let mut sealed = data.to_vec();
    seal::trace(&mut sealed);
    read(&sealed);
}

/// Reads all inputs in step, so that only the records of one place are in memory.
fn read(bytes: &[u8]) {
    let mut inputs = inputs(bytes).into_iter();
    let (_, first) = inputs.next().expect("at least one input");
    let first = TraceReader::new(first);
    let others: Vec<_> = inputs
        .map(|(name, input)| (name, TraceReader::new(input)))
        .collect();
    let Ok(mut first) = first else {
        let error = first.err().expect("it failed").to_string();
        for (name, other) in others {
            assert_eq!(
                other.err().map(|other| other.to_string()),
                Some(error.clone()),
                "{name}"
            );
        }
        return;
    };
    let mut others: Vec<_> = others
        .into_iter()
        .map(|(name, other)| (name, other.expect("one could be opened")))
        .collect();
    let mut rows = 0;
    let mut decoder = BlockDecoder::new().unwrap();
    let mut columns = Columns::default();
    loop {
        let before = first.offset();
        let item = first.next().expect("memory does not fail");
        for (name, other) in &mut others {
            assert_eq!(other.next().expect("memory does not fail"), item, "{name}");
            assert_eq!(other.offset(), first.offset(), "{name}");
        }
        let Some(item) = item else { break };
        assert!(first.offset() >= before);
        rows += rows_of(&item);
        if let Item::Events(block) = &item {
            let whole = decoder.decode(block, Projection::ALL, &mut columns);
            let expected = if whole.is_ok() {
                block.info.events as usize
            } else {
                0
            };
            assert_eq!(columns.len(), expected);
        }
        if rows > ENOUGH_ROWS {
            return;
        }
    }
    assert_eq!(first.offset(), bytes.len() as u64, "every byte is accounted for");
    for (name, other) in &others {
        assert_eq!(other.summary(), first.summary(), "{name}");
    }
}

fn rows_of(item: &Item) -> usize {
    match item {
        Item::Events(block) => block.info.events as usize,
        Item::Queries(queries) => queries.len(),
        Item::Timeline(entries) => entries.len(),
        Item::Processes(entries) => entries.len(),
        Item::Loss(losses) => losses.len(),
        _ => 0,
    }
}
