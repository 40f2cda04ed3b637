//! Reading asks for no new memory per block once it runs. Alone in its process, whose allocations are counted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Seek, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pf_formats::{Item, Predicate, Totals, TraceReader, Via};

static BYTES: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: The system's allocator does everything; this only adds up sizes.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: The caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: As above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn reading_takes_new_memory_for_directories_only() {
    let mut writer = common::writer();
    let mut next = 0;
    for _ in 0..60 {
        for _ in 0..5_000 {
            writer.push(&common::full_event(next)).unwrap();
            next += 1;
        }
        writer.flush_block().unwrap();
    }
    let bytes = writer.finish(Totals::default()).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    for via in [Via::Map, Via::Position, Via::Stream] {
        for wanted in [Predicate::default(), Predicate::nothing()] {
            file.rewind().unwrap();
            let mut reader = TraceReader::open_via(file.try_clone().unwrap(), via).unwrap();
            let (mut blocks, mut before) = (0, 0);
            while let Some(item) = reader.next_where(&wanted).unwrap() {
                match item {
                    Item::Events(block) => reader.recycle(block),
                    Item::Skipped(_) => {}
                    _ => continue,
                }
                blocks += 1;
                match blocks {
                    // Buffers have their size by then.
                    10 => before = BYTES.load(Relaxed),
                    60 => {
                        let each = (BYTES.load(Relaxed) - before) / 50;
                        assert!(each <= 2048, "{via:?}, {wanted:?}: {each} bytes a block");
                    }
                    _ => {}
                }
            }
            assert_eq!(blocks, 60);
        }
    }
}
