//! The memory that is walked: a mapping, cut into pages. Owns every access to it.

use std::fs::File;
use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use memmap2::{MmapMut, MmapOptions, MmapRaw};

use super::cli::Advice;

/// Mapped memory; a clone is the same memory. If a file behind it shrinks, touching the lost pages
/// ends the process with SIGBUS.
#[derive(Clone, Debug)]
pub struct Ground {
    memory: Arc<MmapRaw>,
    page_size: usize,
}

impl Ground {
    /// Maps all of `file`, shared.
    pub fn of_file(file: &File, writable: bool) -> io::Result<Self> {
        let options = MmapOptions::new();
        Ok(Self::new(if writable {
            options.map_raw(file)?
        } else {
            options.map_raw_read_only(file)?
        }))
    }

    /// Maps anonymous memory.
    pub fn anonymous(size_bytes: usize) -> io::Result<Self> {
        Ok(Self::new(MmapMut::map_anon(size_bytes)?.into()))
    }

    /// Memory in which a page is a page: no huge ones. Of files, too: Linux 7.2's khugepaged reads all 2 MiB
    /// around a page that was touched, and the rest has no faults any more.
    fn new(memory: MmapRaw) -> Self {
        // A kernel without huge pages refuses the advice, and has no need of it.
        let _ = memory.advise(memmap2::Advice::NoHugePage);
        Self {
            memory: Arc::new(memory),
            page_size: rustix::param::page_size(),
        }
    }

    /// Tells the kernel which order to expect.
    pub fn advise(&self, advice: Advice) -> io::Result<()> {
        self.memory.advise(match advice {
            Advice::Normal => memmap2::Advice::Normal,
            Advice::Random => memmap2::Advice::Random,
            Advice::Sequential => memmap2::Advice::Sequential,
        })
    }

    /// Bytes in a page.
    pub fn page_size(&self) -> u64 {
        self.page_size as u64
    }

    /// Bytes in all.
    pub fn size_bytes(&self) -> u64 {
        self.memory.len() as u64
    }

    /// Pages in all, a last partial one included.
    pub fn pages(&self) -> u64 {
        self.memory.len().div_ceil(self.page_size) as u64
    }

    /// Address of the first byte of `page`.
    pub fn address(&self, page: u64) -> u64 {
        (self.memory.as_ptr() as u64).wrapping_add(page.wrapping_mul(self.page_size()))
    }

    /// Start of the mapping, for calls into the kernel.
    pub(super) fn start(&self) -> *mut u8 {
        self.memory.as_mut_ptr()
    }

    /// Reads the first byte of `page`; of page 0 if there is no such page.
    #[inline]
    pub fn read(&self, page: u64) -> u8 {
        // SAFETY: `byte` points into the mapping, which lives as long as `self`, and any bits are a
        // valid u8. Volatile, because other processes may change a shared file.
        unsafe { self.byte(page).read_volatile() }
    }

    /// Writes the first byte of `page` without changing it; the ground must be writable.
    #[inline]
    pub fn write(&self, page: u64) -> u8 {
        // SAFETY: `byte` points into the mapping, which lives as long as `self`; a u8 is always
        // aligned; while a ground is written, all accesses of this process are atomic.
        let byte = unsafe { AtomicU8::from_ptr(self.byte(page)) };
        // Hidden from the compiler, which would turn adding a plain 0 into a load.
        byte.fetch_add(black_box(0), Ordering::Relaxed)
    }

    #[inline]
    fn byte(&self, page: u64) -> *mut u8 {
        let offset = usize::try_from(page)
            .ok()
            .and_then(|page| page.checked_mul(self.page_size));
        let offset = offset.filter(|&offset| offset < self.memory.len()).unwrap_or(0);
        // SAFETY: the offset is below the length of the mapping, which is never empty.
        unsafe { self.memory.as_mut_ptr().add(offset) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn writing_dirties_a_page_and_leaves_its_byte() {
        let ground = Ground::anonymous(1 << 20).unwrap();
        assert_eq!(ground.write(3), 0);
        assert_eq!(ground.read(3), 0);
        assert_eq!(ground.address(3), ground.address(0) + 3 * ground.page_size());
    }

    #[test]
    fn a_last_partial_page_counts() {
        let file = tempfile::tempfile().unwrap();
        let page_size = rustix::param::page_size() as u64;
        file.set_len(2 * page_size + 1).unwrap();
        let ground = Ground::of_file(&file, false).unwrap();
        assert_eq!(ground.pages(), 3);
        assert_eq!(ground.read(2), 0);
    }
}
