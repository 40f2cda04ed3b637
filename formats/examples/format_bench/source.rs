//! Where the measured events come from, a block at a time: made up again for each pass, or read from a trace.

use std::error::Error;
use std::fs::File;
use std::io::BufReader;

use pf_formats::{Columns, Dict, Event};

use crate::decoding::Decoding;
use crate::mix::{self, Mix, Shape};

/// Events of one block: the writer ends its blocks there, too.
pub(crate) const BLOCK: usize = 32_768;

/// Events that can be had as often as wanted.
pub(crate) enum Source {
    Mix(Shape, u64),
    Recorded(Vec<Event>),
}

impl Source {
    /// `blend`, `stress`, or the path of a trace.
    pub(crate) fn open(name: &str, events: u64) -> Result<Self, Box<dyn Error>> {
        Ok(match name {
            "blend" => Self::Mix(mix::BLEND, events),
            "stress" => Self::Mix(mix::STRESS, events),
            path => Self::Recorded(recorded(path)?),
        })
    }

    /// What the events refer to, where it counts: the size of a recording is that of its file.
    pub(crate) fn dicts(&self) -> Vec<Dict> {
        match self {
            Self::Mix(..) => mix::dicts().to_vec(),
            Self::Recorded(_) => Vec::new(),
        }
    }

    /// One pass over the events.
    pub(crate) fn blocks(&self) -> Blocks<'_> {
        Blocks(match self {
            Self::Mix(shape, events) => Box::new(Mix::new(*shape, *events)),
            Self::Recorded(events) => Box::new(events.iter().copied()),
        })
    }
}

/// One pass over the events of a source.
pub(crate) struct Blocks<'a>(Box<dyn Iterator<Item = Event> + 'a>);

impl Blocks<'_> {
    /// Replaces the contents of `into` by the next block; false at the end.
    pub(crate) fn next(&mut self, into: &mut Vec<Event>) -> bool {
        into.clear();
        into.extend(self.0.by_ref().take(BLOCK));
        !into.is_empty()
    }
}

/// All events of a trace, in the order in which a reader gets them.
fn recorded(path: &str) -> Result<Vec<Event>, Box<dyn Error>> {
    let mut events = Vec::new();
    let mut decoding = Decoding::all(BufReader::new(File::open(path)?))?;
    while decoding.next()? {
        let columns: &Columns = decoding.columns();
        events.extend((0..columns.len()).filter_map(|row| columns.event(row)));
    }
    Ok(events)
}
