//! Draining the ring buffer.

use std::{cell::RefCell, rc::Rc, time::Duration};

use libbpf_rs::{MapCore, RingBuffer, RingBufferBuilder};

use crate::{ProbeError, Record};

/// The consumer's end of the ring buffer.
pub struct Ring {
    ring: RingBuffer<'static>,
    batch: Rc<RefCell<Batch>>,
}

#[derive(Default)]
struct Batch {
    records: Vec<Record>,
    malformed: u64,
}

impl Ring {
    pub(crate) fn new(map: &dyn MapCore) -> Result<Self, ProbeError> {
        let batch = Rc::new(RefCell::new(Batch::default()));
        let sink = Rc::clone(&batch);
        let mut builder = RingBufferBuilder::new();
        builder
            .add(map, move |bytes| {
                let mut batch = sink.borrow_mut();
                match Record::decode(bytes) {
                    Some(record) => batch.records.push(record),
                    None => batch.malformed += 1,
                }
                0
            })
            .map_err(ProbeError::Ring)?;
        let ring = builder.build().map_err(ProbeError::Ring)?;
        Ok(Self { ring, batch })
    }

    /// Sleeps until the ring fills up or `timeout` is over.
    pub fn wait(&self, timeout: Duration) -> Result<(), ProbeError> {
        // A poll that returns because of the wake-up also consumes; the records stay in the batch.
        match self.ring.poll(timeout) {
            Err(e) if e.kind() == libbpf_rs::ErrorKind::Interrupted => Ok(()),
            other => other.map_err(ProbeError::Ring),
        }
    }

    /// Moves everything that is in the ring now to the end of `into`.
    pub fn drain(&self, into: &mut Vec<Record>) -> Result<(), ProbeError> {
        self.ring.consume().map_err(ProbeError::Ring)?;
        into.append(&mut self.batch.borrow_mut().records);
        Ok(())
    }

    /// Records that were not of the wire contract; anything but 0 is a bug.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.batch.borrow().malformed
    }
}
