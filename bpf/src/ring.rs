//! The recorder's end of what the probes send: the lanes, and the ring buffer for what is rare.

use std::{cell::RefCell, io, os::fd::RawFd, rc::Rc, thread, time::Duration};

use libbpf_rs::{AsRawLibbpf, MapCore, RingBuffer, RingBufferBuilder, libbpf_sys};

use crate::{ProbeError, Record, lanes::Lanes};

/// A record this much younger than the drain, nanoseconds, is kept for the next one: a probe on another CPU may be
/// about to publish an older one.
pub const SETTLE_NS: u64 = 2_000_000;

/// How long faults wait for what is before them in the ring buffer, nanoseconds. A probe whose CPU was taken away
/// between reserving its record and publishing it holds back all records behind it.
const PATIENCE_NS: u64 = 250_000_000;

/// More faults than this do not wait for it: the lanes must not fill up meanwhile.
const FEW: u64 = 1 << 12;

/// How often a record is looked for that is just being written.
const TRIES: u32 = 64;

/// How often the end looks whether the last record came, and how long it waits in between.
const LOOKS: u32 = 500;
const PAUSE: Duration = Duration::from_millis(2);

/// The consumer's end, in one order of time.
pub struct Ring {
    ring: RingBuffer<'static>,
    lanes: Lanes,
    batch: Rc<RefCell<Batch>>,
    /// From the ring, and too young to be passed on.
    young: Vec<Record>,
    caught_up: CaughtUp,
    malformed: u64,
}

/// How far what was reserved in the ring buffer has been taken.
#[derive(Default)]
struct CaughtUp {
    /// All that was reserved until then, nanoseconds.
    until_ns: u64,
}

impl CaughtUp {
    /// The time to which everything is there. `has_all`: what had been reserved at `now_ns` was taken.
    fn settled(&mut self, now_ns: u64, has_all: bool) -> u64 {
        if has_all {
            self.until_ns = now_ns;
        }
        let until_ns = self.until_ns.max(now_ns.saturating_sub(PATIENCE_NS));
        until_ns.saturating_sub(SETTLE_NS)
    }
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
            caught_up: CaughtUp::default(),
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

    /// Takes what was sent, in the order of completion, from call to call, and returns the time to which that is all.
    /// What completed around `now_ns` (`CLOCK_MONOTONIC`, read before the call) or later is kept for the next one, and
    /// so is what completed after something that is still to come.
    pub fn drain(&mut self, now_ns: u64, take: impl FnMut(Record)) -> Result<u64, ProbeError> {
        // Stacks are in the ring before the faults that name them are in the lanes.
        let heads = self.lanes.heads();
        let has_all = self.consume()?;
        let can_wait = self.lanes.waiting() <= FEW;
        let settled = self.caught_up.settled(now_ns, has_all || !can_wait);
        self.pass_on(&heads, settled, take);
        Ok(settled)
    }

    /// Takes all there is: for the end, when the probes are silent, or about to be.
    pub fn drain_all(&mut self, take: impl FnMut(Record)) -> Result<(), ProbeError> {
        let mut looks = 0;
        let (heads, has_all) = loop {
            let heads = self.lanes.heads();
            let has_all = self.consume()?;
            looks += 1;
            if has_all || looks == LOOKS {
                break (heads, has_all);
            }
            thread::sleep(PAUSE);
        };
        // At least one record is missing, and what is behind it.
        self.malformed += u64::from(!has_all);
        self.pass_on(&heads, u64::MAX, take);
        Ok(())
    }

    /// Whether all that had been reserved in the ring buffer is taken.
    fn consume(&mut self) -> Result<bool, ProbeError> {
        let reserved = self.position(libbpf_sys::ring__producer_pos);
        for _ in 0..TRIES {
            self.ring.consume().map_err(ProbeError::Ring)?;
            self.young.append(&mut self.batch.borrow_mut().records);
            // They count bytes, and wrap.
            let left = reserved.wrapping_sub(self.position(libbpf_sys::ring__consumer_pos));
            if left == 0 || left.cast_signed() < 0 {
                return Ok(true);
            }
            std::hint::spin_loop();
        }
        Ok(false)
    }

    fn position(
        &self,
        which: unsafe extern "C" fn(*const libbpf_sys::ring) -> libc::c_ulong,
    ) -> libc::c_ulong {
        // SAFETY: it has one ring, which lives as long as it does, and is asked for a number.
        unsafe {
            which(libbpf_sys::ring_buffer__ring(
                self.ring.as_libbpf_object().as_ptr(),
                0,
            ))
        }
    }

    fn pass_on(&mut self, heads: &[u64], settled: u64, mut take: impl FnMut(Record)) {
        self.young.sort_by_key(Record::at_ns);
        let ready = self.young.partition_point(|record| record.at_ns() <= settled);
        let mut rare = self.young.drain(..ready).peekable();
        self.malformed += self.lanes.drain(heads, settled, |fault| {
            while let Some(earlier) = rare.next_if(|next| next.at_ns() <= fault.at_ns()) {
                take(earlier);
            }
            take(fault);
        });
        rare.for_each(take);
    }

    /// Records that were not of the wire contract; anything but 0 is a bug.
    #[must_use]
    pub fn malformed(&self) -> u64 {
        self.malformed + self.batch.borrow().malformed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_wait_for_a_record_that_is_reserved_and_not_yet_there_but_not_for_ever() {
        let mut caught_up = CaughtUp::default();
        let ms = |ms: u64| ms * 1_000_000;
        assert_eq!(caught_up.settled(ms(1_000), true), ms(998));
        assert_eq!(caught_up.settled(ms(1_050), false), ms(998));
        assert_eq!(caught_up.settled(ms(1_250), false), ms(998));
        assert_eq!(caught_up.settled(ms(1_300), false), ms(1_048));
        assert_eq!(caught_up.settled(ms(1_310), true), ms(1_308));
    }
}
