//! Getting a file out of the page cache, and proof that it went.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Advice, fadvise};

use super::ground::Ground;

/// Pages that were just written may sit in per-CPU lists, out of reach of one attempt.
const ATTEMPTS: usize = 5;
/// Pages asked about in one call: a buffer of 1 MiB, whatever the size of the file.
const CHUNK_PAGES: usize = 1 << 20;

/// Evicts `file`, mapped as `ground` but not yet touched, and returns how many pages stayed.
/// `None`: the kernel does not tell this user about this file.
pub fn evict(file: &File, ground: &Ground) -> io::Result<Option<u64>> {
    // Only clean pages can be dropped.
    file.sync_all()?;
    let may_ask = may_see_residency(file)?;
    let mut resident = None;
    for _ in 0..ATTEMPTS {
        fadvise(file, 0, None, Advice::DontNeed)?;
        if may_ask {
            resident = Some(resident_pages(ground)?);
        }
        if resident == Some(0) {
            break;
        }
    }
    Ok(resident)
}

/// How many pages of `ground` are in memory, by mincore(2).
pub(crate) fn resident_pages(ground: &Ground) -> io::Result<u64> {
    let page_size = usize::try_from(ground.page_size()).map_err(io::Error::other)?;
    let pages = usize::try_from(ground.pages()).map_err(io::Error::other)?;
    let mut states = vec![0_u8; pages.min(CHUNK_PAGES)];
    let mut resident = 0_u64;
    for first in (0..pages).step_by(CHUNK_PAGES) {
        let count = CHUNK_PAGES.min(pages - first);
        let start = ground.start().wrapping_add(first * page_size).cast();
        // SAFETY: `start` is page-aligned and the range ends with the mapping's last page; `states`
        // has a byte for each of these pages.
        if unsafe { libc::mincore(start, count * page_size, states.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        resident += states.iter().take(count).filter(|&&state| state & 1 != 0).count() as u64;
    }
    Ok(resident)
}

/// mincore(2) calls every page resident for those who neither own the file nor may write it.
fn may_see_residency(file: &File) -> io::Result<bool> {
    let user = rustix::process::geteuid();
    if user.is_root() || file.metadata()?.uid() == user.as_raw() {
        return Ok(true);
    }
    let by_descriptor = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file));
    Ok(rustix::fs::access(by_descriptor, rustix::fs::Access::WRITE_OK).is_ok())
}
