//! Reads a trace front to back from any input, skips blocks that nobody wants, and goes on behind damage.

use std::fs::File;
use std::io::Read;

use crate::error::{FormatError, Result};
use crate::read::source::{AnyStream, Via, totals_of};
use crate::read::window::Window;
use crate::records::defined_ids::Known;
use crate::records::footer::{TRAILER_LEN, Trailer};
use crate::records::frame::{CODEC, FRAME_LEN, Kind, RecordFrame, SYNC};
use crate::records::header::HEADER_LEN;
use crate::records::metadata;
use crate::records::packed::{self, Unpacked};
use crate::records::query_record;
use crate::{
    BlockInfo, Damage, EventsBlock, Footer, Header, Item, Predicate, Summary, Totals, block, limits,
};

/// Reads one trace. Holds at most one record in memory, and the buffers of blocks for the next ones.
pub struct TraceReader<R: Read> {
    window: Window<R>,
    header: Header,
    /// Sequence number of the next frame.
    sequence: u64,
    /// The record before was the footer, so the trailer may follow.
    footer_seen: bool,
    known: Known,
    unpacked: Unpacked,
    doubt: Doubt,
    summary: Summary,
    totals_ahead: Option<Totals>,
}

/// The stretch claimed by records with wrong checksums, and how many there were in it.
#[derive(Default)]
struct Doubt {
    until: u64,
    records: u32,
}

impl TraceReader<AnyStream> {
    /// Opens a file in the way that suits it best: see [`Via`]. A regular file is read from its start.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn open(file: File) -> Result<Self> {
        let via = Via::best(&file)?;
        Self::open_via(file, via)
    }

    /// Opens a file in one way. A map that the system refuses becomes reads by position.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn open_via(file: File, via: Via) -> Result<Self> {
        let totals_ahead = totals_of(&file);
        Ok(Self {
            totals_ahead,
            ..Self::begin(via.window(file))?
        })
    }
}

impl<R: Read> TraceReader<R> {
    /// Reads the header of a stream.
    ///
    /// # Errors
    ///
    /// `Empty`, `NotATrace`, `BadHeader`, `Newer`, or a failure of the input.
    pub fn new(input: R) -> Result<Self> {
        Self::begin(Window::stream(input))
    }

    fn begin(mut window: Window<R>) -> Result<Self> {
        let bytes = window.want(HEADER_LEN)?;
        let header = Header::parse(bytes)?;
        window.consume(HEADER_LEN);
        Ok(Self {
            window,
            header,
            sequence: 0,
            footer_seen: false,
            known: Known::default(),
            unpacked: Unpacked::default(),
            doubt: Doubt::default(),
            summary: Summary::default(),
            totals_ahead: None,
        })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What the footer says, of a finished file that was [opened](Self::open): a hint that comes before all else, and is not
    /// checked as the footer is.
    #[must_use]
    pub fn totals_ahead(&self) -> Option<&Totals> {
        self.totals_ahead.as_ref()
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

    /// Whether the input is a stream: somebody else decides when it goes on.
    #[must_use]
    pub fn may_wait(&self) -> bool {
        self.window.may_wait()
    }

    /// Takes back a block that is done with, so that reading the next one needs no new memory.
    pub fn recycle(&mut self, block: EventsBlock) {
        self.window.recycle(block.into_payload());
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
        self.next_of(None)
    }

    /// As [`next`](Self::next), but blocks that cannot hold a wanted event come as [`Item::Skipped`]. Of those only
    /// the frame and the statistics are read, except from a stream: neither the checksum of the payload nor its columns
    /// are checked, so damage in them stays unseen. Where no record follows that continues the trace, the block is read all
    /// the same: bytes may be missing from it.
    ///
    /// # Errors
    ///
    /// As for [`next`](Self::next).
    pub fn next_where(&mut self, wanted: &Predicate) -> Result<Option<Item>> {
        self.next_of(Some(wanted))
    }

    fn next_of(&mut self, wanted: Option<&Predicate>) -> Result<Option<Item>> {
        let item = self.next_item(wanted)?;
        match &item {
            Some(Item::Events(block)) => {
                self.summary.events += u64::from(block.info.events);
                self.summary.blocks += 1;
            }
            Some(Item::Skipped(_)) => self.summary.blocks_skipped += 1,
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

    fn next_item(&mut self, wanted: Option<&Predicate>) -> Result<Option<Item>> {
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
            if let Some(item) = self.record(frame, wanted)? {
                return Ok(Some(item));
            }
        }
    }

    /// Reads the record of the frame at the current position; `None` for a kind that is not known.
    fn record(&mut self, frame: RecordFrame, wanted: Option<&Predicate>) -> Result<Option<Item>> {
        let total = frame.total_len();
        let kind = Kind::from_code(frame.kind);
        let name = kind.map_or("unknown", Kind::name);
        let offset = self.window.offset();
        if let Some(wanted) = wanted
            && kind == Some(Kind::Events)
            && let Some(info) = self.unwanted(frame, wanted)?
        {
            self.window.skip(total);
            self.window.expect_skips(true);
            self.sequence = frame.sequence.saturating_add(1);
            return Ok(Some(Item::Skipped(info)));
        }
        let available = self.window.want(total)?;
        let Some(payload) = available.get(FRAME_LEN..total) else {
            let reason = format!(
                "the file ends after {} of the {total} bytes of this {name} record",
                available.len()
            );
            return self.pass_over(reason, Some(frame)).map(Some);
        };
        if crc32c::crc32c(payload) != frame.payload_crc {
            let reason = format!("the checksum of this {name} record is wrong");
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
            Some(Kind::Events) => {
                let payload = self.window.payload(FRAME_LEN, total);
                self.window.expect_skips(false);
                EventsBlock::parse(payload, offset, frame).map(|block| {
                    Some(match wanted {
                        Some(wanted) if !wanted.may_match(&block.info) => Item::Skipped(block.info),
                        _ => Item::Events(block),
                    })
                })
            }
            Some(kind) => {
                let end = offset.saturating_add(total as u64);
                let unpacked = &mut self.unpacked;
                let mut claim = |packed: &[u8]| unpacked.claim(kind, packed, end);
                item(kind, payload, offset, &mut self.known, &mut claim)
            }
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

    /// What the block at the current position says of itself, when that rules out every wanted event and the
    /// next record, or the end, is where the frame says.
    fn unwanted(&mut self, frame: RecordFrame, wanted: &Predicate) -> Result<Option<BlockInfo>> {
        if frame.codec != CODEC {
            return Ok(None);
        }
        let total = frame.total_len();
        let offset = self.window.offset();
        let end = total.min(FRAME_LEN + block::HEAD_MAX);
        let bytes = self.window.want(end)?;
        let info = bytes
            .get(FRAME_LEN..end)
            .and_then(|bytes| EventsBlock::info_of(bytes, offset, frame));
        let Some(info) = info.filter(|info| !wanted.may_match(info)) else {
            return Ok(None);
        };
        let trace_id = self.header.trace_id;
        let goes_on = self.window.peek(total)?.is_some_and(|next| {
            next.is_empty()
                || RecordFrame::parse(next, &trace_id).is_some_and(|next| next.sequence > frame.sequence)
        });
        Ok(goes_on.then_some(info))
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
            let rest = usize::try_from(rest).unwrap_or(usize::MAX).max(1);
            // Not more than a record; all of it, whatever happens to be at hand.
            self.window.want(rest)?;
            self.window.consume(rest);
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

/// The record in a payload whose checksum is right. Blocks keep their payload, so they are none of those here. `claim` is
/// asked before something is unpacked.
fn item(
    kind: Kind,
    payload: &[u8],
    offset: u64,
    known: &mut Known,
    claim: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<Option<Item>> {
    let mut unpack = || {
        claim(payload)?;
        packed::unpack(payload, offset, kind.name())
    };
    Ok(Some(match kind {
        Kind::Meta => Item::Meta(Box::new(metadata::decode(payload, offset)?)),
        Kind::Dict => {
            let dict = metadata::decode(payload, offset)?;
            known.note(&dict)?;
            Item::Dict(dict)
        }
        Kind::Timeline => Item::Timeline(metadata::decode(&unpack()?, offset)?),
        Kind::Events => return Ok(None),
        Kind::Queries => Item::Queries(query_record::decode(payload, offset, claim)?),
        Kind::Processes => Item::Processes(metadata::decode(&unpack()?, offset)?),
        Kind::HiddenWaits => Item::HiddenWaits(metadata::decode(&unpack()?, offset)?),
        Kind::Conditions => Item::Conditions(metadata::decode(&unpack()?, offset)?),
        Kind::Loss => Item::Loss(metadata::decode(payload, offset)?),
        Kind::Footer => Item::Footer(Box::new(Footer::decode(payload, offset)?)),
    }))
}
