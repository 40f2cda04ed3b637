//! The bytes of generated files. Writes to whatever it is given; owns no file names.

use std::fs::File;
use std::io::{self, Write};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::MB;

const CHUNK_BYTES: usize = 1 << 20;
/// Written to the disk this often, so that progress is real, a full disk is noticed early, and the
/// page cache does not fill with dirty pages.
const SYNC_EVERY_BYTES: u64 = 64 * MB;

/// Writes `size_bytes` incompressible bytes, decided by `seed`; `on_written` hears of each portion.
pub fn write_random(
    file: &mut File,
    size_bytes: u64,
    seed: u64,
    on_written: impl FnMut(u64),
) -> io::Result<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    write_chunks(file, size_bytes, |_, bytes| rng.fill_bytes(bytes), on_written)
}

/// Lets `fill` make each chunk (from its offset in the file) and writes it.
fn write_chunks(
    file: &mut File,
    size_bytes: u64,
    mut fill: impl FnMut(u64, &mut [u8]),
    mut on_written: impl FnMut(u64),
) -> io::Result<()> {
    let mut chunk = vec![0_u8; CHUNK_BYTES];
    let mut offset = 0_u64;
    while offset < size_bytes {
        let length = (size_bytes - offset).min(CHUNK_BYTES as u64);
        let (bytes, _) = chunk.split_at_mut(usize::try_from(length).map_err(io::Error::other)?);
        fill(offset, bytes);
        file.write_all(bytes)?;
        offset += length;
        if offset.is_multiple_of(SYNC_EVERY_BYTES) {
            file.sync_data()?;
        }
        on_written(length);
    }
    Ok(())
}
