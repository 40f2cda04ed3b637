//! Right checksums around contents that lie, as SPEC.md gives them.

use super::common::raw::EVENTS;

pub(super) const HEADER: usize = 64;
pub(super) const FRAME: usize = 32;
const TRAILER: usize = 24;
const SYNC: [u8; 4] = [0xF7, b'p', b'f', 0xB5];
/// Bytes of the head of a block before its directory, whose length its last word tells.
const FIXED: usize = 96;
/// Bytes of a column in a directory; the last four are its length.
const ENTRY: usize = 8;

/// Mends the checksums of a whole trace: of the header, of every frame that starts with a sync marker, with its payload
/// where that is all there, and of the trailer. Lengths and sequence numbers stay as they lie.
pub(super) fn trace(bytes: &mut [u8]) {
    let Some(header) = bytes.first_chunk_mut::<HEADER>() else {
        return;
    };
    header[..8].copy_from_slice(b"\x89PFZ\r\n\x1a\n");
    let crc = crc32c::crc32c(&header[..60]);
    header[60..].copy_from_slice(&crc.to_le_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&header[24..40]);
    let mut at = HEADER;
    while let Some(ahead) = bytes[at..].windows(SYNC.len()).position(|word| word == SYNC) {
        at += ahead;
        at += record(&mut bytes[at..], &id);
    }
    if let Some(trailer) = bytes[HEADER..].last_chunk_mut::<TRAILER>()
        && trailer[16..] == *b"PFZend\r\n"
    {
        let crc = crc32c::crc32c_append(crc32c::crc32c(&id), &trailer[..12]);
        trailer[12..16].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Mends the record at the start of `bytes`, and returns how long it is; of one that is cut, what is looked for next.
fn record(bytes: &mut [u8], id: &[u8; 16]) -> usize {
    let Some((frame, rest)) = bytes.split_first_chunk_mut::<FRAME>() else {
        return SYNC.len();
    };
    let len = number(frame, 8).unwrap_or(0) as usize;
    let payload = rest.get_mut(..len);
    let step = payload.as_ref().map_or(SYNC.len(), |_| FRAME + len);
    if let Some(payload) = payload {
        if frame[4] == EVENTS {
            head(payload);
        }
        frame[24..28].copy_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    }
    let crc = crc32c::crc32c_append(crc32c::crc32c(id), &frame[..28]);
    frame[28..].copy_from_slice(&crc.to_le_bytes());
    step
}

/// Mends the checksum of the head of an EVENTS payload.
pub(super) fn head(payload: &mut [u8]) {
    let Some(end) = directory_end(payload, FIXED) else {
        return;
    };
    if let Some((head, rest)) = payload.split_at_mut_checked(end)
        && let Some(crc) = rest.first_chunk_mut()
    {
        *crc = crc32c::crc32c(head).to_le_bytes();
    }
}

/// Gives the last column what the others leave: else every byte put in or taken out would end at the first check.
pub(super) fn last_column(payload: &mut [u8]) {
    let Some(end) = directory_end(payload, FIXED) else {
        return;
    };
    let Some(before) = end.checked_sub(ENTRY).filter(|at| *at >= FIXED) else {
        return;
    };
    let stored = columns_end(payload, FIXED).map(|all| all.saturating_add(4));
    let last = number(payload, before + 4);
    let Some((all, last)) = stored.zip(last) else {
        return;
    };
    let others = all - last as usize;
    if let Some(left) = payload.len().checked_sub(others)
        && let Some(length) = payload.get_mut(before + 4..before + 8)
    {
        length.copy_from_slice(&(left as u32).to_le_bytes());
    }
}

/// Where the columns end that a directory lists: it starts at `at`, behind its number of columns.
pub(super) fn columns_end(payload: &[u8], at: usize) -> Option<usize> {
    let end = directory_end(payload, at)?;
    let mut entries = payload.get(at..end)?.chunks_exact(ENTRY);
    entries.try_fold(end, |sum, entry| Some(sum + number(entry, 4)? as usize))
}

fn directory_end(payload: &[u8], at: usize) -> Option<usize> {
    Some(at + ENTRY * number(payload, at.checked_sub(4)?)? as usize)
}

/// The u32 at a place.
pub(super) fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|word| u32::from_le_bytes(*word))
}
