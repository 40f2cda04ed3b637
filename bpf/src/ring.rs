//! The recorder's end of what the probes send: the lanes, and the ring buffer for what is rare.

use std::{cell::RefCell, rc::Rc, time::Duration};

use libbpf_rs::{MapCore, RingBuffer, RingBufferBuilder};

use crate::{ProbeError, Record, lanes::Lanes};

/// A record this much younger than the drain, nanoseconds, is kept for the next one: a probe on another CPU may be
/// about to publish an older one.
pub const SETTLE_NS: u64 = 2_000_000;

/// The consumer's end, in one order of time.
pub struct Ring {
    ring: RingBuffer<'static>,
    lanes: Lanes,
    batch: Rc<RefCell<Batch>>,
    /// Drained, and too young to be passed on.
    young: Vec<Record>,
    malformed: u64,
}

#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    malformed: u64,
}

impl Ring {
    pub(crate) fn new(map: &dyn MapCore, lanes: Lanes) -> Result<Self, ProbeError> {
        let batch = Rc::new(RefCell::new(Batch::default()));
        let sink = Rc::clone(&batch);
        let mut builder = RingBufferBuilder::new();
        builder
            .add(map, move |bytes| {
                let mut batch = sink.borrow_mut();
                match Record::decode(bytes) {
                    Some(Record::Wake) => {}
                    Some(record) => batch.records.push(record),
                    None => batch.malformed += 1,
                }
                0
            })
            .map_err(ProbeError::Ring)?;
        Ok(Self {
            ring: builder.build().map_err(ProbeError::Ring)?,
            lanes,
            batch,
            young: Vec::new(),
            malformed: 0,
        })
    }

    /// Sleeps until a lane fills up or `timeout` is over.
    pub fn wait(&self, timeout: Duration) -> Result<(), ProbeError> {
        // A poll that returns because of the wake-up also consumes; the records stay in the batch.
        match self.ring.poll(timeout) {
            Err(e) if e.kind() == libbpf_rs::ErrorKind::Interrupted => Ok(()),
            other => other.map_err(ProbeError::Ring),
        }
    }

    /// Appends what was sent, in the order of completion, from call to call. What completed around `now_ns`
    /// (`CLOCK_MONOTONIC`, read before the call) or later is kept for the next one.
    pub fn drain(&mut self, now_ns: u64, into: &mut Vec<Record>) -> Result<(), ProbeError> {
        self.malformed += self.lanes.drain(&mut self.young);
        // Stacks are in the ring before the faults that name them are in the lanes.
        self.ring.consume().map_err(ProbeError::Ring)?;
        self.young.append(&mut self.batch.borrow_mut().records);
        // Several runs in order, which is what this sort is fast at.
        self.young.sort_by_key(Record::at_ns);
        let settled = now_ns.saturating_sub(SETTLE_NS);
        let ready = self.young.partition_point(|record| record.at_ns() <= settled);
        let still_young = self.young.split_off(ready);
        if into.is_empty() {
            *into = std::mem::replace(&mut self.young, still_young);
        } else {
            into.append(&mut self.young);
            self.young = still_young;
        }
        Ok(())
    }

    /// Appends all there is: for the end, when the probes are silent.
    pub fn drain_all(&mut self, into: &mut Vec<Record>) -> Result<(), ProbeError> {
        self.drain(u64::MAX, into)
    }

    /// Records that were not of the wire contract; anything but 0 is a bug.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.malformed + self.batch.borrow().malformed
    }
}
