//! The bytes of generated files. Writes to the file it is given; owns no file names.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::cli::Kind;
use super::pages;
use crate::MIB;

const CHUNK_BYTES: u64 = MIB;
/// Written to the disk this often, so that progress is real, a signal does not wait for one long
/// fsync, and the page cache does not fill with dirty pages.
const SYNC_EVERY_BYTES: u64 = 64 * MIB;
const ISLAND_BYTES: u64 = MIB;
const ISLAND_EVERY_BYTES: u64 = 8 * MIB;

/// Writes `size_bytes` to `file`, from where it stands; `on_done` hears how far each step went.
pub fn write(
    file: &mut File,
    kind: Kind,
    size_bytes: u64,
    seed: u64,
    on_done: impl FnMut(u64),
) -> io::Result<()> {
    match kind {
        Kind::Random => write_random(file, size_bytes, seed, on_done),
        Kind::Sequential => write_chunks(file, size_bytes, pages::fill, on_done),
        Kind::Sparse => write_sparse(file, size_bytes, seed, on_done),
    }
}

/// Bytes that take space on the disk, of a file of `size_bytes`.
pub(crate) fn stored_bytes(kind: Kind, size_bytes: u64) -> u64 {
    match kind {
        Kind::Random | Kind::Sequential => size_bytes,
        Kind::Sparse => {
            let rest = (size_bytes % ISLAND_EVERY_BYTES).min(ISLAND_BYTES);
            size_bytes / ISLAND_EVERY_BYTES * ISLAND_BYTES + rest
        }
    }
}

/// Writes `size_bytes` incompressible bytes, decided by `seed`; `on_done` hears of each portion.
pub(crate) fn write_random(
    file: &mut File,
    size_bytes: u64,
    seed: u64,
    on_done: impl FnMut(u64),
) -> io::Result<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    write_chunks(file, size_bytes, |_, bytes| rng.fill_bytes(bytes), on_done)
}

/// Islands start at multiples of their distance; what lies between is never written.
fn write_sparse(file: &mut File, size_bytes: u64, seed: u64, mut on_done: impl FnMut(u64)) -> io::Result<()> {
    file.set_len(size_bytes)?;
    let mut rng = StdRng::seed_from_u64(seed);
    let mut start = 0;
    while start < size_bytes {
        file.seek(SeekFrom::Start(start))?;
        let island_bytes = ISLAND_BYTES.min(size_bytes - start);
        write_chunks(file, island_bytes, |_, bytes| rng.fill_bytes(bytes), |_| {})?;
        let end = start.saturating_add(ISLAND_EVERY_BYTES).min(size_bytes);
        on_done(end - start);
        start = end;
    }
    Ok(())
}

/// Lets `fill` make each chunk, given its offset, and writes it.
fn write_chunks(
    file: &mut File,
    size_bytes: u64,
    mut fill: impl FnMut(u64, &mut [u8]),
    mut on_done: impl FnMut(u64),
) -> io::Result<()> {
    let mut chunk = vec![0_u8; usize::try_from(CHUNK_BYTES.min(size_bytes)).map_err(io::Error::other)?];
    let mut offset = 0_u64;
    while offset < size_bytes {
        let length = (size_bytes - offset).min(CHUNK_BYTES);
        let (bytes, _) = chunk.split_at_mut(usize::try_from(length).map_err(io::Error::other)?);
        fill(offset, bytes);
        file.write_all(bytes)?;
        offset += length;
        if offset.is_multiple_of(SYNC_EVERY_BYTES) {
            file.sync_data()?;
        }
        on_done(length);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::fs::OpenOptions;

    #[test]
    fn a_full_disk_is_an_error() {
        let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        for kind in [Kind::Random, Kind::Sequential] {
            let error = write(&mut full, kind, MIB, 1, |_| {}).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
    }

    #[test]
    fn only_islands_need_space() {
        assert_eq!(stored_bytes(Kind::Random, 10 * MIB), 10 * MIB);
        assert_eq!(stored_bytes(Kind::Sparse, 1), 1);
        assert_eq!(stored_bytes(Kind::Sparse, 8 * MIB), MIB);
        assert_eq!(stored_bytes(Kind::Sparse, 8 * MIB + 5), MIB + 5);
        assert_eq!(stored_bytes(Kind::Sparse, 16 * MIB), 2 * MIB);
    }

    #[test]
    fn progress_adds_up_to_the_size() {
        for kind in [Kind::Random, Kind::Sequential, Kind::Sparse] {
            let mut file = tempfile::tempfile().unwrap();
            let mut done = 0;
            write(&mut file, kind, 17 * MIB, 1, |bytes| done += bytes).unwrap();
            assert_eq!(
                (done, file.metadata().unwrap().len()),
                (17 * MIB, 17 * MIB),
                "{kind:?}"
            );
        }
    }
}
