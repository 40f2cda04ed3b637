//! Every bound that keeps a hostile or damaged file from costing more than a good one.
//!
//! All of them are checked before anything is allocated from a length in the file. SPEC.md repeats the
//! values that bind writers; changing one of those is a change of the format.

use crate::error::{FormatError, Result};

/// Events in one block: 64 Ki is where larger blocks stop compressing better (4.71 against 4.67 bytes
/// per event at 256 Ki), and a reader's working set stays at a few MiB.
pub(crate) const EVENTS_PER_BLOCK: usize = 65_536;

/// Events the writer puts in one block: half the limit, so that the columns at hand stay in a cache of 2 MiB. Encoding is
/// a tenth faster for 2 % more bytes.
pub(crate) const WRITTEN_PER_BLOCK: usize = EVENTS_PER_BLOCK / 2;

/// Payload of any record but the footer: 65,536 events of incompressible columns need 6.5 MiB.
pub(crate) const PAYLOAD: usize = 8 << 20;

/// Payload of the footer, which grows with the number of blocks: 880,000 blocks fit.
pub(crate) const FOOTER: usize = 64 << 20;

/// Columns in one block: 26 are known, the rest is room for later versions.
pub(crate) const COLUMNS: usize = 64;

/// One string, in bytes: far above PATH_MAX (4096) and the 15 bytes of a thread name.
pub(crate) const STRING: usize = 64 << 10;

/// Entries of a list in a small record, eight times what the writer puts in one frame.
pub(crate) const LIST: usize = 65_536;

/// Bytes of a list's or string's length in a small record.
pub(crate) const LENGTH: u64 = 8;

/// Functions inlined at one place: the deepest chains of template code have some dozens.
pub(crate) const INLINED: usize = 255;

/// One build id: SHA-1 has 20 bytes, SHA-512 64.
pub(crate) const BUILD_ID: usize = 64;

/// What the metadata decoder may claim for one record. It counts the bytes of the record, at most
/// `PAYLOAD`, and what the entries of its lists take in memory. The worst case is META with four
/// lists of strings: 8 MiB + 4 x 65,536 x 24 bytes = 14 MiB. So every record within the other
/// limits decodes, and this one is no part of the format.
pub(crate) const METADATA: usize = 16 << 20;

/// The writer starts another frame when the entries of a dictionary frame exceed this.
pub(crate) const METADATA_CHUNK: usize = 1 << 20;

/// Entries the writer puts in one timeline or loss frame.
pub(crate) const ENTRIES_PER_FRAME: usize = 8192;

/// What all TIMELINE records up to some place may unpack to for each byte before it. An entry has 25 to 56 bytes, and
/// differs from the one before in its time, its thread or its address, which takes a byte: the mappings of a process at equal
/// distances, the most regular that a recorder tells, unpack to 52 for each byte.
pub(crate) const TIMELINE_PER_BYTE: u64 = 256;

/// The same of PROCESSES records and of the texts of queries. Every process that a program with 8 KiB of path and command
/// line forks has an entry of its own, of which only time and number are new.
pub(crate) const TEXTS_PER_BYTE: u64 = 1024;

/// All entries of all dictionaries, in bytes: what a reader must be ready to keep.
pub(crate) const DICTIONARIES: u64 = 256 << 20;

/// Largest dictionary id: a consumer may index an array by id without fear of one far-off number.
pub(crate) const DICT_ID: u32 = 1 << 22;

/// Output after which the writer repeats all dictionaries, so that damage before it does not
/// cost the names of everything behind it.
pub(crate) const SNAPSHOT_EVERY: u64 = 64 << 20;

/// Records with a wrong checksum inside the length that another one claims, before a reader believes
/// that length: else every 32 bytes could claim, and cost, the checksum of 8 MiB.
pub(crate) const BROKEN_RECORDS_INSIDE: u32 = 16;

/// Queries in one record, as in a block.
pub(crate) const QUERIES: usize = 65_536;

/// Queries the writer puts in one record: their names and texts together stay within a list.
pub(crate) const QUERIES_PER_FRAME: usize = LIST / 2;

/// Name of a query, in bytes: demangled symbols of template code have some hundred.
pub(crate) const QUERY_NAME: usize = 1024;

/// Text of a query, in bytes: what the probe copies.
pub(crate) const QUERY_TEXT: usize = 256;

/// Names and texts of all queries in one record, each counted as often as it is used: what they take
/// in memory when every query has its own.
pub(crate) const QUERY_STRINGS: usize = 8 << 20;

/// The writer starts another record when its queries' names and texts exceed this.
pub(crate) const QUERY_STRINGS_PER_FRAME: usize = QUERY_STRINGS / 2;

/// Path of an executable, in bytes: `PATH_MAX`.
pub(crate) const EXECUTABLE: usize = 4096;

/// Names of system calls and of settings; cut by the writer.
pub(crate) const SHORT_NAME: usize = 256;

/// Command line of a process, in bytes, each argument with one more: those of a shell are far shorter, and a Java server
/// has one of some KB.
pub(crate) const COMMAND_LINE: usize = 4096;

/// Refuses queries whose names and texts are too long together.
pub(crate) fn check_query_bytes(bytes: usize) -> Result<()> {
    if bytes > QUERY_STRINGS {
        return Err(FormatError::Limit {
            what: "bytes in the names and texts of a record's queries",
            limit: QUERY_STRINGS as u64,
            actual: bytes as u64,
        });
    }
    Ok(())
}

/// Refuses a reference to an entry that no dictionary can have; 0 is one to nothing.
pub(crate) fn check_id(id: u64) -> Result<()> {
    if id > u64::from(DICT_ID) {
        return Err(FormatError::Limit {
            what: "dictionary id",
            limit: DICT_ID.into(),
            actual: id,
        });
    }
    Ok(())
}

/// Refuses a list that is too long.
pub(crate) fn check_list(len: u64) -> Result<()> {
    if len > LIST as u64 {
        return Err(FormatError::Limit {
            what: "entries in a list",
            limit: LIST as u64,
            actual: len,
        });
    }
    Ok(())
}

/// Refuses a string that is too long.
pub(crate) fn check_string(len: usize) -> Result<()> {
    if len > STRING {
        return Err(FormatError::Limit {
            what: "bytes in a string",
            limit: STRING as u64,
            actual: len as u64,
        });
    }
    Ok(())
}
