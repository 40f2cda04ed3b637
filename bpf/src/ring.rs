//! The recorder's end of what the probes send: the lanes, and the ring buffer for what is rare.

use std::{cell::RefCell, io, os::fd::RawFd, rc::Rc, time::Duration};

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
    /// From the ring, and too young to be passed on.
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

    /// Sleeps until a lane fills up or one of these files can be read, and returns true, or until `timeout` is
    /// over.
    pub fn wait(&self, others: &[RawFd], timeout: Duration) -> Result<bool, ProbeError> {
        let files = [self.ring.epoll_fd()].into_iter().chain(others.iter().copied());
        let entry = |fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        let mut entries: Vec<libc::pollfd> = files.map(entry).collect();
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: as many entries as are said to be there, which live until the call is over.
        let rc = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, timeout_ms) };
        let error = io::Error::last_os_error();
        if rc >= 0 || error.kind() == io::ErrorKind::Interrupted {
            return Ok(rc > 0);
        }
        Err(ProbeError::Lanes(error))
    }

    /// Faults in the lanes now.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.lanes.waiting()
    }

    /// Takes what was sent, in the order of completion, from call to call. What completed around `now_ns`
    /// (`CLOCK_MONOTONIC`, read before the call) or later is kept for the next one.
    pub fn drain(&mut self, now_ns: u64, mut take: impl FnMut(Record)) -> Result<(), ProbeError> {
        // Stacks are in the ring before the faults that name them are in the lanes.
        let heads = self.lanes.heads();
        self.ring.consume().map_err(ProbeError::Ring)?;
        self.young.append(&mut self.batch.borrow_mut().records);
        self.young.sort_by_key(Record::at_ns);
        let settled = now_ns.saturating_sub(SETTLE_NS);
        let ready = self.young.partition_point(|record| record.at_ns() <= settled);
        let mut rare = self.young.drain(..ready).peekable();
        self.malformed += self.lanes.drain(&heads, settled, |fault| {
            while let Some(earlier) = rare.next_if(|next| next.at_ns() <= fault.at_ns()) {
                take(earlier);
            }
            take(fault);
        });
        rare.for_each(take);
        Ok(())
    }

    /// Takes all there is: for the end, when the probes are silent.
    pub fn drain_all(&mut self, take: impl FnMut(Record)) -> Result<(), ProbeError> {
        self.drain(u64::MAX, take)
    }

    /// Records that were not of the wire contract; anything but 0 is a bug.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.malformed + self.batch.borrow().malformed
    }
}
