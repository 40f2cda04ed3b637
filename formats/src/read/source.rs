//! How a file is read best: which of the three ways suits the file at hand.

use std::fs::File;
use std::io::{self, ErrorKind, Read};

use crate::bytes::Cursor;
use crate::read::head_reader::read_at;
use crate::read::window::Window;
use crate::records::footer::{TRAILER_LEN, Trailer};
use crate::records::frame::{CODEC, FRAME_LEN, Kind, RecordFrame};
use crate::records::header::HEADER_LEN;
use crate::{Footer, Header, Totals};

/// Read of a footer for its totals, without the index behind them.
const TOTALS_READ: usize = 4 << 10;

/// Any stream.
pub type AnyStream = Box<dyn Read + Send>;

/// A way of reading a file. All of them give the same items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// A memory map, for finished traces: nothing is copied, and what is skipped is not even read. When
    /// something cuts the file short meanwhile, or its disk fails, the system ends the process with SIGBUS.
    Map,
    /// Reads by position, for traces that are being written or were cut: such a file may get shorter.
    Position,
    /// Front to back, for pipes.
    Stream,
}

impl Via {
    /// The best way for this file. Its position is not moved where the system can read without doing so.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn best(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(Self::Stream);
        }
        Ok(if ending(file, metadata.len())?.is_some() {
            Self::Map
        } else {
            Self::Position
        })
    }

    pub(crate) fn window(self, file: File) -> Window<AnyStream> {
        match self {
            Self::Map => Window::mapped(file),
            Self::Position => Window::positioned(file),
            Self::Stream => Window::stream(Box::new(file)),
        }
    }
}

/// Its header and its trailer, if it ends with that of the trace that it begins with.
fn ending(file: &File, len: u64) -> io::Result<Option<(Header, Trailer)>> {
    let Some(trailer_at) = len.checked_sub(TRAILER_LEN as u64) else {
        return Ok(None);
    };
    let (mut start, mut end) = ([0; HEADER_LEN], [0; TRAILER_LEN]);
    if !fill(file, &mut start, 0)? || !fill(file, &mut end, trailer_at)? {
        return Ok(None);
    }
    let Ok(header) = Header::parse(&start) else {
        return Ok(None);
    };
    let trailer = Trailer::parse(&end, &header.trace_id);
    Ok(trailer.map(|trailer| (header, trailer)))
}

/// The totals in the footer of a finished file; `None` also where they cannot be read, which the reader tells when it comes there.
pub(crate) fn totals_of(file: &File) -> Option<Totals> {
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let (header, trailer) = ending(file, metadata.len()).ok()??;
    let mut bytes = vec![0; TOTALS_READ.min(trailer.len as usize)];
    let is_there = fill(file, &mut bytes, trailer.offset).ok()?;
    let frame = RecordFrame::parse(&bytes, &header.trace_id).filter(|_| is_there)?;
    let is_footer = Kind::from_code(frame.kind) == Some(Kind::Footer) && frame.codec == CODEC;
    let mut payload = Cursor(bytes.get(FRAME_LEN..).filter(|_| is_footer)?);
    Footer::take_totals(&mut payload, trailer.offset)
        .ok()
        .map(|(_, totals, _)| totals)
}

/// False when the file ends before.
fn fill(file: &File, into: &mut [u8], at: u64) -> io::Result<bool> {
    let mut got = 0;
    while got < into.len() {
        match read_at(file, &mut into[got..], at.saturating_add(got as u64)) {
            Ok(0) => return Ok(false),
            Ok(more) => got += more.min(into.len() - got),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}
