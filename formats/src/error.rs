//! What can be wrong with a trace, with the values that show it.

use std::io;

/// Why a trace could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The input or output failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There is not one byte.
    #[error("the trace is empty: nothing was recorded in it")]
    Empty,
    /// The first bytes are those of something else.
    #[error("not a page-fault trace: it starts with {found:02x?}, a trace with {expected:02x?}")]
    NotATrace {
        /// The first bytes of the input, at most 8.
        found: Vec<u8>,
        /// The magic of a trace.
        expected: [u8; 8],
    },
    /// Written by a later version, in a way this one must not guess at.
    #[error(
        "the trace has format {found}, this version reads up to {supported}: use a pfanalyze that knows format {found}"
    )]
    Newer {
        /// Format version of the trace, with the features that are not known here.
        found: String,
        /// The newest version that can be read here.
        supported: String,
    },
    /// Written before the format was final.
    #[error(
        "the trace has format {found}, which was never final and is no longer read; {supported} is the oldest that is"
    )]
    Older {
        /// Format version of the trace.
        found: String,
        /// The oldest version that can be read here.
        supported: String,
    },
    /// The 64 bytes at the start are cut or do not match their checksum.
    #[error("the header of the trace is damaged: {what}, expected {expected:#x}, found {actual:#x}")]
    BadHeader {
        /// What was compared.
        what: &'static str,
        /// The value that would be right.
        expected: u64,
        /// The value that is there.
        actual: u64,
    },
    /// The times are of a clock that only a later version knows.
    #[error("the times of the trace are of clock {found}, this version reads clock {supported} only")]
    UnknownClock {
        /// The clock id in the header.
        found: u32,
        /// `CLOCK_MONOTONIC`.
        supported: u32,
    },
    /// A record contradicts itself although its checksum is right.
    #[error("record at byte {offset}: {what}: expected {expected}, found {actual}")]
    Corrupt {
        /// Offset of the record's frame in the file.
        offset: u64,
        /// What was compared.
        what: &'static str,
        /// The value that would be right.
        expected: u64,
        /// The value that is there.
        actual: u64,
    },
    /// A record that does not decode.
    #[error("record at byte {offset}: cannot decode {what}: {detail}")]
    Undecodable {
        /// Offset of the record's frame in the file.
        offset: u64,
        /// Kind of record or column.
        what: &'static str,
        /// The decoder's own words.
        detail: String,
    },
    /// A part of a record is encoded in a way that only a later version knows.
    #[error("record at byte {offset}: {what} has encoding {found}, which this version does not know")]
    UnknownEncoding {
        /// Offset of the record's frame in the file.
        offset: u64,
        /// Kind of record or column.
        what: &'static str,
        /// What was found: a codec version, or transform/storage/parameter of a column.
        found: String,
    },
    /// More than the format allows.
    #[error("{what}: {actual} is over the limit of {limit}")]
    Limit {
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// The value asked for.
        actual: u64,
    },
    /// A stack whose caller is not defined before it.
    #[error("stack {id} has the parent {parent}; a parent has a smaller id")]
    StackParent {
        /// Id of the node.
        id: u32,
        /// Id of its parent.
        parent: u32,
    },
    /// A repaired trace, read back, is not what was written.
    #[error("the repaired trace does not read back as written: {what}: expected {expected}, found {actual}")]
    NotAsWritten {
        /// What was compared.
        what: &'static str,
        /// What was written.
        expected: u64,
        /// What is there.
        actual: u64,
    },
    /// A dictionary id was written twice with different contents.
    #[error("{table} id {id} was already written with another value")]
    IdReused {
        /// `comm`, `object`, `frame` or `stack`.
        table: &'static str,
        /// The id.
        id: u32,
    },
}

pub(crate) type Result<T> = std::result::Result<T, FormatError>;
