//! A ceiling for the memory of the process: whatever a trace claims, a verb ends with a sentence before it takes more. Tables
//! have bounds of their own, which keep ordinary questions far below; this is for what the bounds add up to, and for what
//! nobody thought of. It counts what is allocated, and knows nothing of what for.
//!
//! The binary has [`Counting`] as its allocator; without it, as in tests of the library, there is no limit.

use crate::error::AnalyzeError;
use crate::output::units::bytes;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// The limit that is taken where none is given.
pub(crate) const DEFAULT: &str = "1G";

/// Bytes that a thread allocates or frees before it tells the others.
const STEP: i64 = 64 << 10;

/// Of the limit, what is left to the program itself, its stacks and the gaps between allocations: an eighth, and at least so many
/// bytes.
const RESERVE: u64 = 8;
const LEAST_RESERVE: u64 = 16 << 20;

/// Of what may be allocated, what is left when a verb is asked to end: between two looks it may take more. A sixteenth.
const MARGIN: i64 = 16;

/// Bytes allocated.
static USED: AtomicI64 = AtomicI64::new(0);
/// Bytes that may be.
static LIMIT: AtomicI64 = AtomicI64::new(i64::MAX);
/// As given.
static GIVEN: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// What the others have not been told.
    static UNTOLD: Cell<i64> = const { Cell::new(0) };
}

/// Sets the limit, bytes.
pub fn set(limit: u64) {
    GIVEN.store(limit, Ordering::Relaxed);
    let reserve = (limit / RESERVE).max(LEAST_RESERVE);
    let allocated = i64::try_from(limit.saturating_sub(reserve));
    LIMIT.store(allocated.unwrap_or(i64::MAX), Ordering::Relaxed);
}

/// To be called now and then by what takes memory.
///
/// # Errors
/// When there is hardly any left.
pub fn check() -> Result<(), AnalyzeError> {
    let limit = LIMIT.load(Ordering::Relaxed);
    if USED.load(Ordering::Relaxed) > limit - limit / MARGIN {
        return Err(AnalyzeError::Unanswerable(words(&bytes(
            GIVEN.load(Ordering::Relaxed),
        ))));
    }
    Ok(())
}

fn words(limit: &str) -> String {
    format!(
        "this takes more than the {limit} of memory that it may: give --memory-limit more, or ask for fewer faults (--from, \
         --to, --pid, --file)"
    )
}

/// The system's allocator, with a limit.
#[derive(Debug)]
pub struct Counting;

// SAFETY: every call goes to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(size(layout.size()));
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(size(layout.size()));
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-size(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(size(new_size) - size(layout.size()));
        // SAFETY: as above.
        unsafe { System.realloc(place, layout, new_size) }
    }
}

/// What an allocation takes: malloc keeps 8 bytes beside each, and hands out 32, 48, 64 ….
fn size(asked: usize) -> i64 {
    let taken = asked.saturating_add(8 + 15) & !15;
    i64::try_from(taken.max(32)).unwrap_or(i64::MAX / 2)
}

#[inline]
fn count(change: i64) {
    let told = UNTOLD.try_with(|untold| {
        let sum = untold.get().wrapping_add(change);
        let tells = sum.unsigned_abs() >= STEP.unsigned_abs();
        untold.set(if tells { 0 } else { sum });
        if tells { sum } else { 0 }
    });
    // A thread that ends has no place to keep it.
    let told = told.unwrap_or(change);
    if told != 0 {
        tell(told);
    }
}

#[cold]
fn tell(change: i64) {
    let used = USED.fetch_add(change, Ordering::Relaxed).wrapping_add(change);
    if change > 0 && used > LIMIT.load(Ordering::Relaxed) {
        end();
    }
}

/// Ends the process. Whoever allocates cannot be told no, and here nothing can be allocated to say more.
#[cold]
fn end() -> ! {
    let mut text = [0u8; 256];
    let room = text.len();
    let mut rest = &mut text[..];
    let mib = GIVEN.load(Ordering::Relaxed) >> 20;
    // What does not fit is left out.
    let _ = writeln!(
        rest,
        "error: this takes more than the {mib} MiB of memory that it may: give --memory-limit more, or ask for fewer faults \
         (--from, --to, --pid, --file)"
    );
    let len = room - rest.len();
    // SAFETY: the bytes are those of `text`, of which `len` are written; ending the process is what is wanted, without
    // destructors, which may allocate.
    unsafe {
        libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), len);
        libc::_exit(1)
    }
}
