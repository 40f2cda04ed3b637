//! Frames put together by hand, as SPEC.md gives them and independent of the writer.

use super::TRACE_ID;

pub(crate) const META: u8 = 1;
pub(crate) const DICT: u8 = 2;
pub(crate) const TIMELINE: u8 = 3;
pub(crate) const EVENTS: u8 = 4;
pub(crate) const LOSS: u8 = 5;
pub(crate) const FOOTER: u8 = 6;
pub(crate) const QUERIES: u8 = 7;
pub(crate) const PROCESSES: u8 = 8;
pub(crate) const HIDDEN_WAITS: u8 = 9;
pub(crate) const CONDITIONS: u8 = 10;

/// The 32 bytes of a frame with a right checksum.
pub(crate) fn frame_header(
    kind: u8,
    codec: u8,
    len: u32,
    events: u32,
    sequence: u64,
    payload_crc: u32,
) -> Vec<u8> {
    let mut bytes = vec![0xF7, b'p', b'f', 0xB5, kind, codec, 0, 0];
    bytes.extend(len.to_le_bytes());
    bytes.extend(events.to_le_bytes());
    bytes.extend(sequence.to_le_bytes());
    bytes.extend(payload_crc.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&TRACE_ID), &bytes);
    bytes.extend(crc.to_le_bytes());
    bytes
}

/// A frame with right checksums around any payload.
pub(crate) fn frame(kind: u8, codec: u8, events: u32, sequence: u64, payload: &[u8]) -> Vec<u8> {
    let crc = crc32c::crc32c(payload);
    let mut bytes = frame_header(kind, codec, payload.len() as u32, events, sequence, crc);
    bytes.extend(payload);
    bytes
}

/// Puts the right checksum at the end of the head of an EVENTS payload.
pub(crate) fn seal_head(payload: &mut [u8]) {
    let columns = u32::from_le_bytes(payload[92..96].try_into().unwrap()) as usize;
    let end = 96 + 8 * columns;
    if let Some((head, rest)) = payload.split_at_mut_checked(end)
        && let Some(crc) = rest.first_chunk_mut()
    {
        *crc = crc32c::crc32c(head).to_le_bytes();
    }
}

/// A frame with flags.
pub(crate) fn frame_with_flags(kind: u8, flags: u16, sequence: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame(kind, 1, 0, sequence, payload);
    bytes[6..8].copy_from_slice(&flags.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&TRACE_ID), &bytes[..28]);
    bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// A trace of a header, META, and these bytes.
pub(crate) fn trace_with(rest: &[u8]) -> Vec<u8> {
    let mut writer = super::writer();
    let mut bytes = std::mem::take(writer.get_mut());
    bytes.extend(rest);
    bytes
}

/// Offset and length of every frame of an undamaged trace.
pub(crate) fn frames(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut frames = Vec::new();
    let mut at = 64;
    while bytes[at..].starts_with(&[0xF7, b'p', b'f', 0xB5]) {
        let len = 32 + u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
        frames.push((at, len));
        at += len;
    }
    frames
}
