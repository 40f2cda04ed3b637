//! The threads that walk, and what they measure.
//!
//! A worker's counts are compared with a trace of the same interval, so between its two clock
//! readings nothing but the walk may fault. Everything is therefore used once before: code, stack,
//! clock, counters, buffers.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::cli::Options;
use super::ground::Ground;
use super::kernel::{Faults, now_ns, thread_cpu_ns, thread_faults};
use super::pattern::{PageSequence, part};
use super::queries::Queries;
use super::touches::TouchLog;
use super::walked::{Touch, Walked};

/// Touches of the warm-up: enough to make the random generator refill its buffer.
const WARM_UP_TOUCHES: u64 = 256;
const WARM_UP_BYTES: usize = 64 << 10;
/// A worker's frames are shallow; small stacks let thousands of threads start.
const STACK_BYTES: usize = 256 << 10;

/// Runs all threads to their end; in the order of their numbers.
pub(super) fn run_all(ground: &Ground, options: &Options) -> Result<Vec<Walked>> {
    let barrier = Arc::new(Barrier::new(usize::try_from(options.threads)?));
    // All memory first: once a thread waits at the barrier, all must come.
    let logs = (0..options.threads).map(|_| TouchLog::new(options.log_touches.is_some(), options.count));
    let logs = logs.collect::<Result<Vec<_>>>()?;
    let own_queries = (0..options.threads).map(|number| queries(options, number, options.count, true));
    let queries_of_all = own_queries.collect::<Result<Vec<_>>>()?;
    let mut handles = Vec::new();
    for ((number, log), own_queries) in (0..options.threads).zip(logs).zip(queries_of_all) {
        let comm = format!("pf-worker-{number}");
        let own = if options.split {
            part(ground.pages(), number, options.threads)
        } else {
            0..ground.pages()
        };
        let walk = Walk {
            sequence: options.pattern.pages(own.end - own.start, number),
            first_page: own.start,
            ground: ground.clone(),
            count: options.count,
            write: options.write,
            delay: options.delay,
            log,
            queries: own_queries,
        };
        let warm_up = Walk {
            sequence: options
                .pattern
                .pages(WARM_UP_BYTES as u64 / ground.page_size(), number),
            first_page: 0,
            ground: Ground::anonymous(WARM_UP_BYTES).context("cannot map memory for the warm-up")?,
            count: WARM_UP_TOUCHES,
            write: options.write,
            delay: options.delay.map(|_| Duration::from_nanos(1)),
            log: TouchLog::new(options.log_touches.is_some(), WARM_UP_TOUCHES)?,
            queries: queries(options, number, WARM_UP_TOUCHES, false)?,
        };
        let barrier = Arc::clone(&barrier);
        let thread = thread::Builder::new().name(comm.clone()).stack_size(STACK_BYTES);
        // On failure the threads that wait at the barrier end with the process.
        let handle = thread.spawn(move || work(comm, walk, warm_up, &barrier));
        let total = options.threads;
        handles.push(handle.with_context(|| format!("-t {total}: cannot start thread {number}"))?);
    }
    let finished = handles
        .into_iter()
        .map(|handle| handle.join().map_err(|_| anyhow!("a worker thread panicked")));
    finished.collect()
}

fn queries(options: &Options, thread: u32, count: u64, announced: bool) -> Result<Option<Queries>> {
    let name = options.pattern.shape.name();
    let made = options
        .queries
        .map(|sizes| Queries::new(sizes, name, count, (thread, options.threads), announced));
    made.transpose()
}

fn work(comm: String, mut walk: Walk, mut warm_up: Walk, barrier: &Barrier) -> Walked {
    let tid = rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned();
    measure(&mut warm_up);
    walk.log.fault_in();
    if let Some(queries) = &mut walk.queries {
        queries.fault_in();
    }
    barrier.wait();
    let measured = measure(&mut walk);
    Walked {
        tid,
        comm,
        accesses: walk.count,
        faults: measured.faults,
        begin_ns: measured.begin_ns,
        end_ns: measured.end_ns,
        cpu_ns: measured.cpu_ns,
        checksum: measured.checksum,
        touches: walk.log.into_touches(),
        queries: walk.queries.map(Queries::into_ended),
    }
}

struct Measured {
    begin_ns: u64,
    end_ns: u64,
    cpu_ns: u64,
    faults: Faults,
    checksum: u64,
}

/// Not inlined, so that the warm-up runs the very instructions and stack slots that are measured.
#[inline(never)]
fn measure(walk: &mut Walk) -> Measured {
    let begin_ns = now_ns();
    let cpu_before = thread_cpu_ns();
    let before = thread_faults();
    let checksum = walk.go();
    let after = thread_faults();
    let cpu_after = thread_cpu_ns();
    let end_ns = now_ns();
    Measured {
        begin_ns,
        end_ns,
        cpu_ns: cpu_after.saturating_sub(cpu_before),
        faults: after.since(before),
        checksum,
    }
}

struct Walk {
    ground: Ground,
    /// Page 0 of the sequence.
    first_page: u64,
    sequence: PageSequence,
    count: u64,
    write: bool,
    delay: Option<Duration>,
    log: TouchLog,
    queries: Option<Queries>,
}

impl Walk {
    #[inline(never)]
    fn go(&mut self) -> u64 {
        let mut checksum = 0xcbf2_9ce4_8422_2325_u64;
        for index in 0..self.count {
            if let Some(delay) = self.delay.filter(|_| index > 0) {
                thread::sleep(delay);
            }
            if let Some(queries) = &mut self.queries {
                queries.before_access(index);
            }
            let page = self.first_page + self.sequence.next_page();
            let byte = if self.log.is_on() || self.queries.is_some() {
                self.measured_touch(page, index)
            } else {
                self.touch(page)
            };
            // FNV-1a: cheap, and it notices the order.
            checksum = (checksum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        checksum
    }

    #[inline]
    fn touch(&self, page: u64) -> u8 {
        if self.write {
            self.ground.write(page)
        } else {
            self.ground.read(page)
        }
    }

    #[inline]
    fn measured_touch(&mut self, page: u64, index: u64) -> u8 {
        let before = thread_faults();
        let begin_ns = now_ns();
        let byte = self.touch(page);
        let end_ns = now_ns();
        let cost = thread_faults().since(before);
        self.log.add(Touch {
            begin_ns,
            end_ns,
            address: self.ground.address(page),
            page,
            faults: cost,
        });
        if let Some(queries) = &mut self.queries {
            queries.after_access(
                index,
                cost,
                end_ns.saturating_sub(begin_ns),
                index + 1 == self.count,
            );
        }
        byte
    }
}
