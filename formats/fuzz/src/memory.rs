//! Counts what a thread allocates, so that a limit of memory is that of the code under test: the size of the process is
//! that of libFuzzer, its corpus and the sanitizer as well. The fuzz targets of the recorder share it.
//!
//! Buffers that zstd allocates in C are not in it: a context for decoding takes 0.2 MB, one for encoding at level 1 less
//! than 2 MB, whatever the input.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What no input may take more of, in bytes.
pub const LIMIT: usize = 256 << 20;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    /// Bytes allocated and not freed.
    static LIVE: Cell<isize> = const { Cell::new(0) };
    /// The most there were.
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

fn count(bytes: isize) {
    let live = LIVE.get().wrapping_add(bytes);
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
}

// SAFETY: every call goes to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count((layout.size() as isize).wrapping_neg());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // While the bytes are moved, both are there.
        count(size as isize);
        // SAFETY: as the caller promises.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        count((layout.size() as isize).wrapping_neg());
        moved
    }
}

/// The most bytes that `work` had allocated at a time on this thread.
///
/// # Panics
///
/// When they exceed [`LIMIT`].
pub fn bounded(work: impl FnOnce()) -> usize {
    let before = LIVE.get();
    PEAK.set(before);
    work();
    let peak = (PEAK.get() - before).unsigned_abs();
    assert!(peak <= LIMIT, "{peak} bytes of memory, {LIMIT} are allowed");
    peak
}

/// Runs a target under the limit of memory, and says when an input takes more than all before it.
///
/// # Panics
///
/// When the target does, or takes more than [`LIMIT`].
pub fn run(target: impl Fn(&[u8]), data: &[u8]) {
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let mib = bounded(|| target(data)).div_ceil(1 << 20);
    if MOST.fetch_max(mib, Ordering::Relaxed) < mib {
        eprintln!("heap: {mib} MiB");
    }
}
