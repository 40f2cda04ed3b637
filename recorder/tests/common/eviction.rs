//! Which pages of a file are in memory, and making them go.

use std::{
    fs::File,
    ops::Range,
    os::fd::{AsFd, AsRawFd},
    path::Path,
    ptr,
};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

/// Bytes of a page of this machine.
pub fn page_size() -> usize {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    usize::try_from(size.unwrap().unwrap()).unwrap()
}

/// For each page of `file` whether it is in the page cache, by mincore(2).
pub fn residency(file: &Path) -> Vec<bool> {
    let opened = File::open(file).unwrap();
    let length = usize::try_from(opened.metadata().unwrap().len()).unwrap();
    let mut states = vec![0_u8; length.div_ceil(page_size())];
    // SAFETY: a new mapping that nobody touches; mincore fills one byte for each of its pages.
    unsafe {
        let fd = opened.as_raw_fd();
        let start = libc::mmap(ptr::null_mut(), length, libc::PROT_READ, libc::MAP_SHARED, fd, 0);
        assert_ne!(start, libc::MAP_FAILED);
        assert_eq!(libc::mincore(start, length, states.as_mut_ptr()), 0);
        libc::munmap(start, length);
    }
    states.iter().map(|state| state & 1 != 0).collect()
}

/// Evicts all of `file`, and asserts that it went.
pub fn evict(file: &Path) {
    let pages = residency(file).len();
    evict_pages(file, std::slice::from_ref(&(0..pages)));
    let left = residency(file).iter().filter(|resident| **resident).count();
    assert_eq!(left, 0, "pages of {} stay in memory", file.display());
}

/// Evicts these runs of pages of `file`. The kernel may keep some at their edges.
pub fn evict_pages(file: &Path, runs: &[Range<usize>]) {
    let opened = File::open(file).unwrap();
    // Only clean pages can go.
    opened.sync_all().unwrap();
    let offset = |page: usize| i64::try_from(page * page_size()).unwrap();
    // Pages that were just written may be in lists of one CPU, out of reach of one attempt.
    for _ in 0..5 {
        for run in runs {
            let (start, length) = (offset(run.start), offset(run.len()));
            let advice = PosixFadviseAdvice::POSIX_FADV_DONTNEED;
            posix_fadvise(opened.as_fd(), start, length, advice).unwrap();
        }
    }
}

/// Pages that stay in memory as long as this lives: a machine may take any others at any time, for reasons of
/// its own.
pub struct Held {
    mappings: Vec<(*mut libc::c_void, usize)>,
}

/// Brings these runs of pages of `file` into memory and holds them there.
pub fn hold(file: &Path, runs: &[Range<usize>]) -> Held {
    let opened = File::open(file).unwrap();
    let mut held = Held { mappings: Vec::new() };
    for run in runs {
        let (fd, length) = (opened.as_raw_fd(), run.len() * page_size());
        let offset = i64::try_from(run.start * page_size()).unwrap();
        // SAFETY: a new mapping, of pages that the file has. One for each run, so that no page beside it is
        // mapped: those could not be evicted.
        unsafe {
            let start = libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ,
                libc::MAP_SHARED,
                fd,
                offset,
            );
            assert_ne!(start, libc::MAP_FAILED);
            held.mappings.push((start, length));
            assert_eq!(
                libc::mlock(start, length),
                0,
                "{}",
                std::io::Error::last_os_error()
            );
        }
    }
    held
}

impl Drop for Held {
    fn drop(&mut self) {
        for (start, length) in &self.mappings {
            // SAFETY: ours, and nobody has pointers into it.
            unsafe { libc::munmap(*start, *length) };
        }
    }
}
