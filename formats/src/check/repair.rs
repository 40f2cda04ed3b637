//! Writes what is left of a trace as a trace without damage, and proves that it did.
//!
//! One pass over any input to any output. What damage cost goes into LOSS records before the footer, where all of it
//! is known. Files, their names and their owners are the business of the caller.

use std::io::{Read, Write};

use crate::check::claims::{Claimant, Contradiction};
use crate::check::digest;
use crate::check::repaired_totals::{self, BooksDropped};
use crate::check::verify::{Contents, Verification, walk};
use crate::error::{FormatError, Result};
use crate::{Columns, Dict, Event, Header, Host, Item, Meta, Totals, TraceReader, TraceWriter, limits};

/// Records kept back while the time of the first event is looked for, dictionaries aside.
const HELD_TIMELINES: usize = 4;

/// What cannot be known without the record about the recording.
const NOT_KNOWN: &str = "not known: the record of the recording was damaged";

/// What was read, and what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repair {
    /// What was found in the input.
    pub input: Verification,
    /// The totals in the new footer.
    pub totals: Totals,
    /// Whether the new footer says that the recording ended as intended.
    pub clean: bool,
    /// Entries in LOSS records that tell of damage, written anew.
    pub losses_added: u64,
    /// Why the comparison with the kernel's counters was left out, where there was one or might have been one.
    pub books_dropped: Option<BooksDropped>,
    /// Dictionary entries left out because their id already had another meaning, which stands.
    pub names_refused: u64,
    /// Of the events of each block.
    digests: Vec<u64>,
    /// Of everything else.
    contents: Contents,
}

/// Writes everything readable of a trace to `out`, block by block and in its order, with what damage cost as losses
/// and with totals that fit. Every column of every block is decoded before it is written. `tick` is called with the
/// bytes read so far.
///
/// Records and columns that only a later version of the format knows are left out. Prove the result with
/// [`Repair::prove`].
///
/// # Errors
///
/// When the input or `out` fails.
pub fn repair<R: Read, W: Write>(
    reader: &mut TraceReader<R>,
    out: W,
    tick: &mut dyn FnMut(u64),
) -> Result<(Repair, W)> {
    let mut copy = Copying::new(reader.header(), out);
    let input = walk(reader, &mut |item, columns| copy.see(item, columns), tick)?;
    copy.finish(input)
}

impl Repair {
    /// Reads what was written and compares it with what should be there: no damage, the same identity and clock,
    /// every event of every block, all queries, timeline entries, losses and totals, and names for the same events.
    ///
    /// # Errors
    ///
    /// `NotAsWritten` for the first difference, or a failure of the input.
    pub fn prove<R: Read>(
        &self,
        reader: &mut TraceReader<R>,
        tick: &mut dyn FnMut(u64),
    ) -> Result<Verification> {
        let mut rows = Vec::new();
        let mut block = 0;
        let digests = &self.digests;
        let found = walk(
            reader,
            &mut |item, columns| {
                if matches!(item, Item::Events(_)) {
                    events(columns, &mut rows);
                    let written = digests.get(block).copied();
                    same(
                        "digest of a block's events",
                        written.unwrap_or(0),
                        digest::of_events(&rows),
                    )?;
                    block += 1;
                }
                Ok(())
            },
            tick,
        )?;
        let (new, old) = (&found, &self.input);
        // What META says is copied, and as wrong as it was.
        let is_new = |claim: &&Contradiction| {
            claim.by == Claimant::EndRecord || !self.input.contradictions.contains(claim)
        };
        let contradictions = found.contradictions.iter().filter(is_new).count();
        let identity = |header: &Header| (header.trace_id, header.clock_id, header.utc_offset_ns);
        let (is, should) = (&new.contents, &self.contents);
        for (what, expected, actual) in [
            ("damaged places", 0, new.damage.count),
            ("contradictions", 0, contradictions as u64),
            ("blocks", old.counts.blocks, new.counts.blocks),
            ("events", old.counts.events, new.counts.events),
            ("queries", old.counts.queries, new.counts.queries),
            ("timeline entries", old.counts.timeline, new.counts.timeline),
            ("processes", old.counts.processes, new.counts.processes),
            ("hidden waits", old.counts.hidden_waits, new.counts.hidden_waits),
            ("conditions", old.counts.conditions, new.counts.conditions),
            ("losses", old.counts.losses + self.losses_added, new.counts.losses),
            ("digest of META", should.meta, is.meta),
            ("digest of the names", should.names, is.names),
            (
                "digest of the timeline",
                should.timeline.value(),
                is.timeline.value(),
            ),
            (
                "digest of the queries",
                should.queries.value(),
                is.queries.value(),
            ),
            (
                "digest of the processes",
                should.processes.value(),
                is.processes.value(),
            ),
            (
                "digest of the hidden waits",
                should.hidden_waits.value(),
                is.hidden_waits.value(),
            ),
            (
                "digest of the conditions",
                should.conditions.value(),
                is.conditions.value(),
            ),
            ("digest of the losses", should.losses.value(), is.losses.value()),
        ] {
            same(what, expected, actual)?;
        }
        for (what, is_same) in [
            ("the end is there", new.finished),
            ("the end is as it was", new.clean == Some(self.clean)),
            (
                "the identity is the same",
                identity(&new.header) == identity(&old.header),
            ),
            (
                "the totals are the same",
                new.totals.as_ref() == Some(&self.totals),
            ),
            ("the same events have names", new.undefined == old.undefined),
        ] {
            same(what, 1, is_same.into())?;
        }
        Ok(found)
    }
}

fn same(what: &'static str, expected: u64, actual: u64) -> Result<()> {
    if expected == actual {
        return Ok(());
    }
    Err(FormatError::NotAsWritten {
        what,
        expected,
        actual,
    })
}

/// The rows of a block in the order in which a writer gives them back: a foreign block may have its runs in another.
fn events(columns: &Columns, into: &mut Vec<Event>) {
    into.clear();
    into.extend((0..columns.len()).map_while(|row| columns.event(row)));
    let run = |event: &Event| (event.pid, event.tid, event.comm);
    if !into.is_sorted_by_key(run) {
        into.sort_by_key(run);
    }
}

/// The trace that is being written.
struct Copying<W: Write> {
    header: Header,
    stage: Stage<W>,
    rows: Vec<Event>,
    digests: Vec<u64>,
    names_refused: u64,
    /// Of the record about the recording, as it is written.
    meta: u64,
}

enum Stage<W: Write> {
    /// META is not there: records kept back until the time of the first event is known.
    Waiting { out: W, held: Vec<Item> },
    /// Under way.
    Writing(Box<TraceWriter<W>>),
    /// An error ended it.
    Broken,
}

impl<W: Write> Copying<W> {
    fn new(old: &Header, out: W) -> Self {
        let mut header = Header::new(old.trace_id, old.utc_offset_ns);
        header.clock_id = old.clock_id;
        Self {
            header,
            stage: Stage::Waiting {
                out,
                held: Vec::new(),
            },
            rows: Vec::new(),
            digests: Vec::new(),
            names_refused: 0,
            meta: 0,
        }
    }

    fn see(&mut self, item: &Item, columns: &Columns) -> Result<()> {
        if let Stage::Waiting { held, .. } = &mut self.stage {
            match item {
                Item::Meta(meta) => return self.begin(meta),
                Item::Dict(_) => {
                    held.push(item.clone());
                    return Ok(());
                }
                Item::Timeline(_) | Item::Processes(_) | Item::Conditions(_)
                    if timelines(held) < HELD_TIMELINES =>
                {
                    held.push(item.clone());
                    return Ok(());
                }
                first => {
                    let start_ns = start_of(first, held);
                    self.begin(&lost_meta(start_ns))?;
                }
            }
        }
        self.write(item, columns)
    }

    /// Starts writing, with what was held back.
    fn begin(&mut self, meta: &Meta) -> Result<()> {
        let Stage::Waiting { out, held } = std::mem::replace(&mut self.stage, Stage::Broken) else {
            return Ok(());
        };
        self.meta = digest::of(&meta.bounded());
        let mut writer = TraceWriter::create(out, &self.header, meta)?;
        // Each block stays one, however large its writer made it.
        writer.set_block_events(limits::EVENTS_PER_BLOCK);
        self.stage = Stage::Writing(Box::new(writer));
        let nothing = Columns::default();
        held.iter().try_for_each(|item| self.write(item, &nothing))
    }

    fn write(&mut self, item: &Item, columns: &Columns) -> Result<()> {
        let Stage::Writing(writer) = &mut self.stage else {
            return Ok(());
        };
        match item {
            Item::Dict(dict) => self.names_refused += define(writer, dict)?,
            Item::Timeline(entries) => writer.timeline(entries)?,
            Item::Queries(rows) => writer.queries(rows)?,
            Item::Processes(entries) => writer.processes(entries)?,
            Item::HiddenWaits(entries) => writer.hidden_waits(entries)?,
            Item::Conditions(entries) => writer.conditions(entries)?,
            Item::Loss(losses) => writer.loss(losses)?,
            Item::Events(_) => {
                events(columns, &mut self.rows);
                self.digests.push(digest::of_events(&self.rows));
                self.rows.iter().try_for_each(|event| writer.push(event))?;
                writer.flush_block()?;
            }
            Item::Meta(_) | Item::Footer(_) | Item::Damage(_) | Item::Skipped(_) => {}
        }
        Ok(())
    }

    fn finish(mut self, input: Verification) -> Result<(Repair, W)> {
        if let Stage::Waiting { held, .. } = &self.stage {
            let start_ns = start_of(&Item::Loss(Vec::new()), held);
            self.begin(&lost_meta(start_ns))?;
        }
        let Stage::Writing(mut writer) = self.stage else {
            return Err(FormatError::Io(std::io::Error::other(
                "an earlier write to the trace failed",
            )));
        };
        let losses = repaired_totals::losses(&input);
        writer.loss(&losses)?;
        let (totals, books_dropped) = repaired_totals::totals(&input);
        let clean = input.clean.unwrap_or(false);
        let mut contents = Contents {
            meta: self.meta,
            ..input.contents
        };
        contents.losses.add_all(&losses);
        let out = writer.finish_as(totals.clone(), clean)?;
        let repair = Repair {
            input,
            totals,
            clean,
            losses_added: losses.len() as u64,
            books_dropped,
            names_refused: self.names_refused,
            digests: self.digests,
            contents,
        };
        Ok((repair, out))
    }
}

fn timelines(held: &[Item]) -> usize {
    let is_timeline =
        |item: &&Item| matches!(item, Item::Timeline(_) | Item::Processes(_) | Item::Conditions(_));
    held.iter().filter(is_timeline).count()
}

/// Writes the entries whose ids have no other meaning yet; returns how many have.
fn define<W: Write>(writer: &mut TraceWriter<W>, dict: &Dict) -> Result<u64> {
    match writer.dict(dict) {
        Err(FormatError::IdReused { .. }) => {}
        other => return other.map(|()| 0),
    }
    let mut refused = 0;
    for single in singles(dict) {
        match writer.dict(&single) {
            Err(FormatError::IdReused { .. }) => refused += 1,
            other => other?,
        }
    }
    Ok(refused)
}

/// The numbered entries of a dictionary record one by one.
fn singles(dict: &Dict) -> Vec<Dict> {
    fn each<T: Clone>(first_id: u32, entries: &[T], make: impl Fn(u32, Vec<T>) -> Dict) -> Vec<Dict> {
        let numbered = (first_id..).zip(entries);
        numbered
            .map(|(id, entry)| make(id, vec![entry.clone()]))
            .collect()
    }
    match dict {
        Dict::Comms { first_id, entries } => each(*first_id, entries, |first_id, entries| Dict::Comms {
            first_id,
            entries,
        }),
        Dict::Objects { first_id, entries } => each(*first_id, entries, |first_id, entries| Dict::Objects {
            first_id,
            entries,
        }),
        Dict::Frames { first_id, entries } => each(*first_id, entries, |first_id, entries| Dict::Frames {
            first_id,
            entries,
        }),
        Dict::Stacks { first_id, entries } => each(*first_id, entries, |first_id, entries| Dict::Stacks {
            first_id,
            entries,
        }),
        Dict::Symbols { .. } | Dict::BuildIds { .. } => vec![dict.clone()],
    }
}

/// The earliest time that a record tells, as the start of a recording whose own record is gone.
fn start_of(first: &Item, held: &[Item]) -> u64 {
    match first {
        Item::Events(block) => Some(block.info.ts_min),
        Item::Loss(losses) => losses.iter().map(|loss| loss.from_ns).min(),
        Item::Queries(rows) => earliest(rows.iter().map(|row| row.begin_ns)),
        _ => None,
    }
    .or_else(|| {
        let times = held.iter().chain([first]).filter_map(|item| match item {
            Item::Timeline(entries) => earliest(entries.iter().map(|entry| entry.ts_ns)),
            Item::Processes(entries) => earliest(entries.iter().map(|entry| entry.ts_ns)),
            Item::Conditions(entries) => earliest(entries.iter().map(|entry| entry.ts_ns)),
            _ => None,
        });
        times.min()
    })
    .unwrap_or(0)
}

/// 0 is not known.
fn earliest(times: impl Iterator<Item = u64>) -> Option<u64> {
    times.filter(|ns| *ns > 0).min()
}

/// A record about a recording of which nothing is known but when it began.
fn lost_meta(start_ns: u64) -> Meta {
    let not_known = || "not known".to_owned();
    Meta {
        recorder: not_known(),
        host: Host {
            hostname: not_known(),
            kernel: not_known(),
            arch: not_known(),
            ..Host::default()
        },
        target: NOT_KNOWN.to_owned(),
        backend: not_known(),
        entry: not_known(),
        blind: vec![NOT_KNOWN.to_owned()],
        filters: vec![NOT_KNOWN.to_owned()],
        start_ns,
        ..Meta::default()
    }
}
