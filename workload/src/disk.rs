//! What a directory's file system is and how much it still holds.

use std::io;
use std::path::Path;

use anyhow::{Context, Result, bail};
use pf_notation::size::bytes;

const TMPFS_MAGIC: u64 = 0x0102_1994;
const RAMFS_MAGIC: u64 = 0x8584_58f6;

/// Whether files in `directory` live in memory, so that nothing can be evicted from the page cache.
pub fn is_in_memory(directory: &Path) -> io::Result<bool> {
    // The type is a signed or a 32-bit word on some machines; the magic numbers have 32 bits.
    let kind = u64::try_from(rustix::fs::statfs(directory)?.f_type & 0xffff_ffff).unwrap_or(0);
    Ok(kind == TMPFS_MAGIC || kind == RAMFS_MAGIC)
}

/// Fails with the missing number of bytes if `directory` cannot take `needed_bytes` more.
pub(crate) fn require_space(directory: &Path, needed_bytes: u64) -> Result<()> {
    let room = rustix::fs::statvfs(directory)
        .with_context(|| format!("cannot ask {} for its free space", directory.display()))?;
    let free_bytes = room.f_bavail.saturating_mul(room.f_frsize);
    if free_bytes < needed_bytes {
        let missing_bytes = needed_bytes.saturating_sub(free_bytes);
        bail!(
            "not enough space in {}: {} needed, {} free, {} ({missing_bytes} bytes) missing",
            directory.display(),
            bytes(needed_bytes),
            bytes(free_bytes),
            bytes(missing_bytes),
        );
    }
    Ok(())
}
