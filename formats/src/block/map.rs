//! A whole file as a memory map, shared by the blocks that were not copied out of it.

use std::fs::File;
use std::io;
use std::ops::Deref;

use memmap2::Mmap;

/// A whole file, read-only.
#[derive(Debug)]
pub(crate) struct Map(Mmap);

impl Map {
    pub(crate) fn new(file: &File) -> io::Result<Self> {
        // SAFETY: The map is only read. A finished trace is not written to any more; when another program
        // does so all the same, checksums and decoders, which take any bytes, see other bytes: no
        // reference is used to rely on a second look being equal to the first. One that cuts the file short
        // ends this process with SIGBUS, as the documentation of `Via::Map` says.
        let map = unsafe { Mmap::map(file)? };
        Ok(Self(map))
    }

    /// Takes pages out of this process; who looks at them again gets them from the page cache.
    #[cfg(unix)]
    pub(crate) fn give_back(&self, from: usize, until: usize) {
        let len = until.min(self.len()).saturating_sub(from);
        // SAFETY: On a shared map of a file that nobody wrote to through it, this changes no byte: blocks that
        // still look at these pages read the same ones from the file again.
        let done = unsafe {
            self.0
                .unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, from, len)
        };
        // Reading is right without it, and only takes more memory.
        drop(done);
    }

    #[cfg(not(unix))]
    pub(crate) fn give_back(&self, _: usize, _: usize) {}

    /// Tells the kernel what is read next; it may ignore that.
    #[cfg(unix)]
    pub(crate) fn read_soon(&self, from: usize, len: usize) {
        drop(self.0.advise_range(memmap2::Advice::WillNeed, from, len));
    }

    #[cfg(not(unix))]
    pub(crate) fn read_soon(&self, _: usize, _: usize) {}

    /// Whether pages are read one after the other, so that the kernel reads ahead, or here and there.
    #[cfg(unix)]
    pub(crate) fn expect(&self, here_and_there: bool) {
        let advice = if here_and_there {
            memmap2::Advice::Random
        } else {
            memmap2::Advice::Sequential
        };
        drop(self.0.advise(advice));
    }

    #[cfg(not(unix))]
    pub(crate) fn expect(&self, _: bool) {}
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
