//! The record of each touch: memory that is ready before the walk, a CSV file after it.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use anyhow::{Context, Result};

use super::walked::{Touch, Walked};

/// Room for the touches of one thread; none if they are not wanted.
#[derive(Debug)]
pub(super) struct TouchLog {
    touches: Vec<Touch>,
    used: usize,
}

impl TouchLog {
    pub(super) fn new(wanted: bool, count: u64) -> Result<Self> {
        let mut touches = Vec::new();
        if wanted {
            let count = usize::try_from(count)?;
            let reserved = touches.try_reserve_exact(count);
            reserved.with_context(|| format!("--log-touches: no memory for {count} touches per thread"))?;
            touches.resize(count, Touch::default());
        }
        Ok(Self { touches, used: 0 })
    }

    pub(super) fn is_on(&self) -> bool {
        !self.touches.is_empty()
    }

    /// Writes to all of the memory, so that the walk does not fault in it.
    pub(super) fn fault_in(&mut self) {
        for touch in &mut self.touches {
            // SAFETY: a valid, aligned and exclusive reference. Volatile, or the compiler may drop a
            // write of what is already there.
            unsafe { std::ptr::from_mut(&mut touch.page).write_volatile(u64::MAX) };
        }
    }

    #[inline]
    pub(super) fn add(&mut self, touch: Touch) {
        if let Some(slot) = self.touches.get_mut(self.used) {
            *slot = touch;
            self.used += 1;
        }
    }

    pub(super) fn into_touches(mut self) -> Vec<Touch> {
        self.touches.truncate(self.used);
        self.touches
    }
}

/// Writes `tid,begin_ns,end_ns,address,page,majors,minors`, one line per touch, thread after thread.
pub(super) fn write_csv(file: File, workers: &[Walked]) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    writeln!(out, "tid,begin_ns,end_ns,address,page,majors,minors")?;
    for worker in workers {
        for touch in &worker.touches {
            let Touch {
                begin_ns,
                end_ns,
                address,
                page,
                faults,
            } = touch;
            let (tid, majors, minors) = (worker.tid, faults.majors, faults.minors);
            writeln!(
                out,
                "{tid},{begin_ns},{end_ns},{address},{page},{majors},{minors}"
            )?;
        }
    }
    out.flush()
}
