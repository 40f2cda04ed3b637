//! What a reader gives: the records of a trace, the places where some are missing, and the sum of it.

use crate::{
    BlockInfo, Condition, Dict, EventsBlock, Footer, HiddenWait, Loss, Meta, ProcessEntry, Query,
    TimelineEntry,
};

/// One record of a trace, or a place where records are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Circumstances of the recording.
    Meta(Box<Meta>),
    /// Dictionary entries; the same ones may come again.
    Dict(Dict),
    /// Mappings, names, births and ends.
    Timeline(Vec<TimelineEntry>),
    /// Events, not decoded yet.
    Events(EventsBlock),
    /// A block that no wanted event is in, by its statistics. Its columns were not looked at: they may be damaged.
    Skipped(BlockInfo),
    /// Queries that ended, or were open at the end.
    Queries(Vec<Query>),
    /// Which programs processes run.
    Processes(Vec<ProcessEntry>),
    /// Waits of which no fault tells.
    HiddenWaits(Vec<HiddenWait>),
    /// What was set, and how things stood.
    Conditions(Vec<Condition>),
    /// What the recording knows it lost.
    Loss(Vec<Loss>),
    /// Index and totals at the end.
    Footer(Box<Footer>),
    /// Bytes or records that are not there or not readable.
    Damage(Damage),
}

/// A place where the trace is damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Where it starts in the file.
    pub offset: u64,
    /// Bytes passed over; 0 when records are missing without a trace.
    pub bytes: u64,
    /// What was found.
    pub reason: String,
    /// Records lost here, as far as their numbers tell.
    pub frames_missing: u64,
    /// Of these, records whose frame is whole: nothing about them is unknown but their contents.
    pub frames_seen: u64,
    /// Events lost here, as far as a surviving frame header tells; 0 when not known.
    pub events_missing: u64,
}

/// What reading has shown so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The trailer was found and is valid: the recording was completed.
    pub finished: bool,
    /// Damaged places.
    pub damages: u32,
    /// Bytes passed over in them.
    pub damaged_bytes: u64,
    /// Events in readable blocks.
    pub events: u64,
    /// Readable blocks.
    pub blocks: u64,
    /// Blocks skipped, which are not among the readable ones.
    pub blocks_skipped: u64,
    /// Records lost, as far as their numbers tell.
    pub frames_missing: u64,
    /// Where the footer ends, as the trailer has it.
    pub footer_end: Option<u64>,
}
