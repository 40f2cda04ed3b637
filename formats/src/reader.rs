//! Reads a trace front to back from any input, and goes on behind damage.

use std::io::Read;

use crate::error::{FormatError, Result};
use crate::footer::{TRAILER_LEN, Trailer};
use crate::frame::{CODEC, FRAME_LEN, Kind, RecordFrame, SYNC};
use crate::header::HEADER_LEN;
use crate::known::Known;
use crate::window::Window;
use crate::{
    Dict, EventsBlock, Footer, Header, Loss, Meta, Query, TimelineEntry, limits, metadata, packed,
    query_record,
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
    /// Queries that ended, or were open at the end.
    Queries(Vec<Query>),
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
    /// Records lost, as far as their numbers tell.
    pub frames_missing: u64,
    /// Where the footer ends, as the trailer has it.
    pub footer_end: Option<u64>,
}

/// Reads one trace. Holds at most one record in memory.
pub struct TraceReader<R: Read> {
    window: Window<R>,
    header: Header,
    /// Sequence number of the next frame.
    sequence: u64,
    /// The record before was the footer, so the trailer may follow.
    footer_seen: bool,
    known: Known,
    doubt: Doubt,
    summary: Summary,
}

/// The stretch claimed by records with wrong checksums, and how many there were in it.
#[derive(Default)]
struct Doubt {
    until: u64,
    records: u32,
}

impl<R: Read> TraceReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    ///
    /// `Empty`, `NotATrace`, `BadHeader`, `Newer`, or a failure of the input.
    pub fn new(input: R) -> Result<Self> {
        let mut window = Window::new(input);
        let bytes = window.want(HEADER_LEN)?;
        let header = Header::parse(bytes)?;
        window.consume(HEADER_LEN);
        Ok(Self {
            window,
            header,
            sequence: 0,
            footer_seen: false,
            known: Known::default(),
            doubt: Doubt::default(),
            summary: Summary::default(),
        })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Bytes consumed so far.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.window.offset()
    }

    /// What was seen so far; complete once [`next`](Self::next) has returned `None`.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    ///
    /// Only when the input fails: damage is an [`Item`].
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator cannot lend the reader between items"
    )]
    pub fn next(&mut self) -> Result<Option<Item>> {
        let item = self.next_item()?;
        match &item {
            Some(Item::Events(block)) => {
                self.summary.events += u64::from(block.info.events);
                self.summary.blocks += 1;
            }
            Some(Item::Damage(damage)) => {
                self.summary.damages = self.summary.damages.saturating_add(1);
                self.summary.damaged_bytes += damage.bytes;
                self.summary.frames_missing =
                    self.summary.frames_missing.saturating_add(damage.frames_missing);
            }
            _ => {}
        }
        Ok(item)
    }

    fn next_item(&mut self) -> Result<Option<Item>> {
        loop {
            let bytes = self.window.want(FRAME_LEN)?;
            let bytes_left = bytes.len();
            let footer_seen = std::mem::take(&mut self.footer_seen);
            let trailer = Trailer::parse(bytes, &self.header.trace_id).filter(|_| footer_seen);
            if let Some(trailer) = trailer {
                self.summary.finished = true;
                self.summary.footer_end = Some(trailer.offset.saturating_add(trailer.len.into()));
                self.window.consume(TRAILER_LEN);
                continue;
            }
            if bytes_left == 0 {
                return Ok(None);
            }
            let Some(frame) = RecordFrame::parse(bytes, &self.header.trace_id) else {
                let reason = if bytes_left < FRAME_LEN {
                    format!("the file ends after {bytes_left} of the {FRAME_LEN} bytes of a frame")
                } else {
                    "no record starts here".to_owned()
                };
                return self.pass_over(reason, None).map(Some);
            };
            if frame.sequence < self.sequence {
                let reason = format!("record {} occurs again", frame.sequence);
                return self.pass_over(reason, None).map(Some);
            }
            if frame.sequence > self.sequence {
                let frames_missing = frame.sequence - self.sequence;
                self.sequence = frame.sequence;
                return Ok(Some(Item::Damage(Damage {
                    offset: self.window.offset(),
                    reason: "records are missing before this one".to_owned(),
                    frames_missing,
                    ..Damage::default()
                })));
            }
            if let Some(item) = self.record(frame)? {
                return Ok(Some(item));
            }
        }
    }

    /// Reads the record of the frame at the current position; `None` for a kind that is not known.
    fn record(&mut self, frame: RecordFrame) -> Result<Option<Item>> {
        let total = frame.total_len();
        let kind = Kind::from_code(frame.kind);
        let name = kind.map_or("unknown", Kind::name);
        let offset = self.window.offset();
        let available = self.window.want(total)?;
        let Some(payload) = available.get(FRAME_LEN..total) else {
            let reason = format!(
                "the file ends after {} of the {total} bytes of a {name} record",
                available.len()
            );
            return self.pass_over(reason, Some(frame)).map(Some);
        };
        if crc32c::crc32c(payload) != frame.payload_crc {
            let reason = format!("the checksum of a {name} record is wrong");
            return self.pass_over(reason, Some(frame)).map(Some);
        }
        let item = match kind {
            None => Ok(None),
            Some(_) if frame.codec != CODEC => {
                let found = frame.codec.to_string();
                Err(FormatError::UnknownEncoding {
                    offset,
                    what: name,
                    found,
                })
            }
            Some(kind) => item(kind, frame, payload, offset, &mut self.known).map(Some),
        };
        self.window.consume(total);
        self.sequence = frame.sequence.saturating_add(1);
        self.footer_seen = matches!(item, Ok(Some(Item::Footer(_))));
        Ok(item.unwrap_or_else(|error| {
            Some(Item::Damage(Damage {
                offset,
                bytes: total as u64,
                reason: error.to_string(),
                frames_missing: 1,
                frames_seen: 1,
                events_missing: frame.events_inside(),
            }))
        }))
    }

    /// Passes over bytes up to the next record that continues the trace, or the end. `broken` is the frame
    /// at the current position when the frame itself is whole.
    fn pass_over(&mut self, reason: String, broken: Option<RecordFrame>) -> Result<Item> {
        let offset = self.window.offset();
        let expected = self.sequence;
        if let Some(frame) = broken {
            self.sequence = frame.sequence.saturating_add(1);
            self.skip_broken(frame)?;
        } else {
            self.window.consume(1);
        }
        while !self.next_frame_is_here()? {}
        let frames_missing = match RecordFrame::parse(self.window.bytes(), &self.header.trace_id) {
            Some(next) => {
                self.sequence = next.sequence;
                next.sequence.saturating_sub(expected)
            }
            None => self.sequence.saturating_sub(expected),
        };
        Ok(Item::Damage(Damage {
            offset,
            bytes: self.window.offset() - offset,
            reason,
            frames_missing,
            frames_seen: broken.is_some().into(),
            events_missing: broken.map_or(0, RecordFrame::events_inside),
        }))
    }

    /// Passes over a broken record as a whole when another one follows it, else over its first byte: bytes
    /// may be missing from it, and the next record then starts inside the length it claims.
    fn skip_broken(&mut self, frame: RecordFrame) -> Result<()> {
        let total = frame.total_len();
        let here = self.window.offset();
        let bytes = self.window.want(total.saturating_add(FRAME_LEN))?;
        let follows = bytes
            .get(total..)
            .and_then(|next| RecordFrame::parse(next, &self.header.trace_id));
        if follows.is_some_and(|next| next.sequence > frame.sequence) {
            self.window.consume(total);
            return Ok(());
        }
        self.doubt.records = if here < self.doubt.until {
            self.doubt.records + 1
        } else {
            0
        };
        self.doubt.until = self.doubt.until.max(here.saturating_add(total as u64));
        if self.doubt.records > limits::BROKEN_RECORDS_INSIDE {
            self.doubt.records = 0;
            let rest = self.doubt.until - here;
            self.window
                .consume(usize::try_from(rest).unwrap_or(usize::MAX).max(1));
        } else {
            self.window.consume(1);
        }
        Ok(())
    }

    /// Moves to the next frame or to the end (true), or over what is buffered (false).
    fn next_frame_is_here(&mut self) -> Result<bool> {
        let bytes = self.window.want(FRAME_LEN)?;
        if bytes.len() < FRAME_LEN {
            let rest = bytes.len();
            self.window.consume(rest);
            return Ok(true);
        }
        let starts = 0..=bytes.len() - FRAME_LEN;
        let continues = |at: usize| {
            bytes[at] == SYNC[0]
                && RecordFrame::parse(&bytes[at..], &self.header.trace_id)
                    .is_some_and(|frame| frame.sequence >= self.sequence)
        };
        let found = starts.clone().find(|at| continues(*at));
        let skipped = found.unwrap_or(starts.end() + 1);
        self.window.consume(skipped);
        Ok(found.is_some())
    }
}

/// The record in a payload whose checksum is right.
fn item(kind: Kind, frame: RecordFrame, payload: &[u8], offset: u64, known: &mut Known) -> Result<Item> {
    Ok(match kind {
        Kind::Meta => Item::Meta(Box::new(metadata::decode(payload, offset)?)),
        Kind::Dict => {
            let dict = metadata::decode(payload, offset)?;
            known.note(&dict)?;
            Item::Dict(dict)
        }
        Kind::Timeline => {
            let raw = packed::unpack(payload, offset, Kind::Timeline.name())?;
            Item::Timeline(metadata::decode(&raw, offset)?)
        }
        Kind::Events => Item::Events(EventsBlock::parse(payload.to_vec(), offset, frame)?),
        Kind::Queries => Item::Queries(query_record::decode(payload, offset)?),
        Kind::Loss => Item::Loss(metadata::decode(payload, offset)?),
        Kind::Footer => Item::Footer(Box::new(Footer::decode(payload, offset)?)),
    })
}
