//! Reads a whole trace, decodes all of it, and tells what is wrong with it and what that cost.
//!
//! A block's statistics are claims: here they are compared with the events. So are META, and a footer's totals and index,
//! which `claims` compares with all that was found. What is done about the findings is not decided here.

use std::collections::BTreeMap;
use std::io::Read;

use crate::check::claims::{self, Claimant, Contradiction, Reach, Told};
use crate::check::damage::{Places, Survey};
use crate::check::digest::{self, Digest};
use crate::check::references::{References, UndefinedNames};
use crate::error::Result;
use crate::{
    BlockDecoder, BlockInfo, ClassBits, Columns, Condition, Damage, EventsBlock, Footer, Header, HiddenWait,
    Item, Loss, LossReason, ProcessEntry, Projection, Totals, TraceReader,
};

/// What is in a trace, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// Its header.
    pub header: Header,
    /// Length of the file or stream.
    pub bytes: u64,
    /// Whether the record about the recording is there.
    pub has_meta: bool,
    /// Start of the recording; without its record, the first entry. `CLOCK_MONOTONIC` nanoseconds.
    pub start_ns: Option<u64>,
    /// Latest time of an event, a timeline entry, a query or a loss.
    pub last_ns: Option<u64>,
    /// Latest end of an event.
    pub last_event_ns: Option<u64>,
    /// What was read.
    pub counts: Counts,
    /// The trailer was found and is valid.
    pub finished: bool,
    /// Whether the recording ended as intended; `None` without an end record.
    pub clean: Option<bool>,
    /// The totals of the end record.
    pub totals: Option<Totals>,
    /// What damage cost.
    pub damage: Places,
    /// Claims about the recording that the rest of the trace does not bear out and that no damage explains.
    pub contradictions: Vec<Contradiction>,
    /// References of events, and of stacks, that lead nowhere.
    pub undefined: UndefinedNames,
    /// What the LOSS records say, summed by reason.
    pub lost: BTreeMap<LossReason, u64>,
    /// Intervals in which an earlier damage cost nobody knows how many events.
    pub lost_unknown: u64,
    /// What the record about the recording says that the rest can be held against; none where it is not known.
    pub(crate) told: Option<Told>,
    /// Of everything but the events.
    pub(crate) contents: Contents,
}

/// Digests of what is not events: whether a copy has the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) meta: u64,
    pub(crate) names: u64,
    pub(crate) timeline: Digest,
    pub(crate) queries: Digest,
    pub(crate) processes: Digest,
    pub(crate) hidden_waits: Digest,
    pub(crate) conditions: Digest,
    pub(crate) losses: Digest,
}

/// What was read of a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Blocks.
    pub blocks: u64,
    /// Events in them.
    pub events: u64,
    /// Major faults among them, failed ones aside.
    pub majors: u64,
    /// Minor faults among them, failed ones aside.
    pub minors: u64,
    /// Failed faults among them.
    pub failed: u64,
    /// Completed faults of which a software event tells: those outside of `get_user_pages`.
    pub told_by_events: u64,
    /// Events with more time blocked and in the run queue than in all.
    pub impossible: u64,
    /// Rows of queries.
    pub queries: u64,
    /// Timeline entries.
    pub timeline: u64,
    /// Entries about the programs of processes.
    pub processes: u64,
    /// Waits of which no fault tells.
    pub hidden_waits: u64,
    /// Settings and figures.
    pub conditions: u64,
    /// Entries of LOSS records.
    pub losses: u64,
}

impl Verification {
    /// Everything that was written is there and as it says it is.
    #[must_use]
    pub fn is_undamaged(&self) -> bool {
        self.finished && self.has_meta && self.damage.count == 0 && self.contradictions.is_empty()
    }

    /// Whether a repaired copy has less that is wrong: it keeps the record about the recording as it is.
    #[must_use]
    pub fn can_be_repaired(&self) -> bool {
        let is_of_end = |claim: &Contradiction| claim.by == Claimant::EndRecord;
        let is_complete = self.finished && self.has_meta && self.damage.count == 0;
        !is_complete || self.contradictions.iter().any(is_of_end)
    }

    /// Format 0.1 counted failed faults among the others.
    pub(crate) fn knows_failed(&self) -> bool {
        (self.header.major, self.header.minor) >= (0, 2)
    }

    /// Events that LOSS records say are missing.
    #[must_use]
    pub fn events_lost(&self) -> u64 {
        let costly = self.lost.iter().filter(|(reason, _)| reason.costs_events());
        costly.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}

/// Reads the rest of a trace and checks all of it: every column of every block against its statistics, references,
/// numbers of records, totals and index. `tick` is called with the bytes read so far.
///
/// Memory: one block, 2 bits per dictionary id, 16 bytes per block, the first thousand damaged places.
///
/// # Errors
///
/// Only when the input fails: damage is a finding.
pub fn verify<R: Read>(reader: &mut TraceReader<R>, tick: &mut dyn FnMut(u64)) -> Result<Verification> {
    walk(reader, &mut |_, _| Ok(()), tick)
}

/// As [`verify`]; gives each readable record to `see`, with the columns of a block.
pub(crate) fn walk<R: Read>(
    reader: &mut TraceReader<R>,
    see: &mut dyn FnMut(&Item, &Columns) -> Result<()>,
    tick: &mut dyn FnMut(u64),
) -> Result<Verification> {
    let mut walk = Walk::default();
    let mut decoder = BlockDecoder::new()?;
    let mut columns = Columns::default();
    while let Some(item) = reader.next()? {
        let item = match item {
            Item::Events(block) => decode(&mut decoder, block, &mut columns),
            other => other,
        };
        walk.note(&item, &columns);
        if !matches!(item, Item::Damage(_)) {
            see(&item, &columns)?;
        }
        if let Item::Footer(footer) = item {
            walk.footers += 1;
            // The first counts.
            if walk.footer.is_none() {
                walk.footer_end = reader.offset();
                walk.footer = Some(footer);
            }
        }
        tick(reader.offset());
    }
    Ok(walk.finish(reader))
}

/// A block whose columns do not decode, or contradict its statistics, is damage.
fn decode(decoder: &mut BlockDecoder, block: EventsBlock, columns: &mut Columns) -> Item {
    match decoder.decode(&block, Projection::ALL, columns) {
        Ok(()) => Item::Events(block),
        Err(error) => Item::Damage(Damage {
            offset: block.info.offset,
            bytes: 0,
            reason: error.to_string(),
            frames_missing: 1,
            frames_seen: 1,
            events_missing: block.info.events.into(),
        }),
    }
}

#[derive(Default)]
struct Walk {
    contents: Contents,
    survey: Survey,
    references: References,
    counts: Counts,
    has_meta: bool,
    start_ns: Option<u64>,
    last_ns: Option<u64>,
    last_event_ns: Option<u64>,
    told: Option<Told>,
    reach: Reach,
    lost: BTreeMap<LossReason, u64>,
    lost_unknown: u64,
    footer: Option<Box<Footer>>,
    footer_end: u64,
    footers: u64,
    /// Events behind the end record.
    behind_the_end: u64,
}

impl Walk {
    fn note(&mut self, item: &Item, columns: &Columns) {
        match item {
            Item::Damage(damage) => return self.survey.damage(damage),
            Item::Events(block) => return self.block(&block.info, columns),
            Item::Meta(meta) => {
                if !self.has_meta {
                    self.told = Told::by(meta);
                }
                self.has_meta = true;
                self.start_ns.get_or_insert(meta.start_ns);
                self.survey.start(meta.start_ns);
                self.contents.meta = digest::of(&meta.bounded());
            }
            Item::Dict(dict) => self.references.define(dict),
            Item::Timeline(entries) => {
                self.counts.timeline += entries.len() as u64;
                self.contents.timeline.add_all(entries);
                self.passes(entries.iter().map(|entry| entry.ts_ns).max());
            }
            Item::Queries(rows) => {
                self.counts.queries += rows.len() as u64;
                self.contents.queries.add_all(rows);
                self.passes(rows.iter().map(|row| row.end_ns).max());
                self.reach.queries(rows);
            }
            Item::Processes(entries) => {
                self.counts.processes += entries.len() as u64;
                // As a writer stores them: another one's may be longer.
                let stored: Vec<_> = entries.iter().map(ProcessEntry::bounded).collect();
                self.contents.processes.add_all(&stored);
                self.passes(entries.iter().map(|entry| entry.ts_ns).max());
            }
            Item::HiddenWaits(entries) => {
                self.counts.hidden_waits += entries.len() as u64;
                let stored: Vec<_> = entries.iter().map(HiddenWait::bounded).collect();
                self.contents.hidden_waits.add_all(&stored);
                self.passes(
                    entries
                        .iter()
                        .map(|entry| entry.begin_ns.saturating_add(entry.wait_ns))
                        .max(),
                );
            }
            Item::Conditions(entries) => {
                self.counts.conditions += entries.len() as u64;
                let stored: Vec<_> = entries.iter().map(Condition::bounded).collect();
                self.contents.conditions.add_all(&stored);
            }
            Item::Loss(losses) => self.losses(losses),
            // Nothing is skipped here.
            Item::Footer(_) | Item::Skipped(_) => {}
        }
        self.survey.intact();
    }

    fn block(&mut self, info: &BlockInfo, columns: &Columns) {
        self.references.check(columns);
        let counts = &mut self.counts;
        counts.blocks += 1;
        if self.footer.is_some() {
            self.behind_the_end += u64::from(info.events);
        }
        counts.impossible += columns.impossible_breakdowns();
        counts.told_by_events += ClassBits::told_by_events(&columns.class);
        counts.events += u64::from(info.events);
        counts.failed += u64::from(info.failed);
        counts.majors += u64::from(info.majors);
        counts.minors += u64::from(info.minors());
        self.start_ns.get_or_insert(info.ts_min);
        self.passes(Some(info.end_max));
        self.reach.events(info);
        self.last_event_ns = self.last_event_ns.max(Some(info.end_max));
        let ends = columns.ts_ns.iter().zip(&columns.latency_ns);
        let first_end = ends.map(|(ts, latency)| ts.saturating_add(*latency)).min();
        self.survey.block(info, first_end.unwrap_or(info.end_max));
    }

    /// The recording went on until then.
    fn passes(&mut self, ns: Option<u64>) {
        self.last_ns = self.last_ns.max(ns);
    }

    fn losses(&mut self, losses: &[Loss]) {
        self.counts.losses += losses.len() as u64;
        self.contents.losses.add_all(losses);
        // Nothing says that the two are in order.
        self.passes(losses.iter().map(|loss| loss.from_ns.max(loss.to_ns)).max());
        self.reach.losses(losses);
        for loss in losses {
            let count = self.lost.entry(loss.reason).or_default();
            *count = count.saturating_add(loss.count);
            self.lost_unknown += u64::from(loss.is_unknown());
        }
    }

    fn finish<R: Read>(self, reader: &TraceReader<R>) -> Verification {
        let summary = reader.summary();
        let footer = self.footer.as_deref();
        let counts = self.counts;
        let (damage, index) = self
            .survey
            .finish(footer, summary.finished, self.counts.events, self.last_ns);
        let mut found = Verification {
            header: reader.header().clone(),
            bytes: reader.offset(),
            has_meta: self.has_meta,
            start_ns: self.start_ns,
            last_ns: self.last_ns,
            last_event_ns: self.last_event_ns,
            counts: self.counts,
            finished: summary.finished,
            clean: footer.map(|footer| footer.clean),
            totals: footer.map(|footer| footer.totals.clone()),
            damage,
            contradictions: Vec::new(),
            undefined: self.references.undefined(),
            lost: self.lost,
            lost_unknown: self.lost_unknown,
            told: self.told,
            contents: Contents {
                names: self.references.entries(),
                ..self.contents
            },
        };
        let ends = (summary.footer_end, self.footer_end);
        found.contradictions = claims::contradictions(&found, &self.reach, index, ends);
        let others = [
            ("end records", 1, self.footers.max(1)),
            (
                "events before the end record",
                counts.events - self.behind_the_end,
                counts.events,
            ),
        ];
        let others = claims::differing(Claimant::EndRecord, others);
        found.contradictions.extend(others);
        found
    }
}
