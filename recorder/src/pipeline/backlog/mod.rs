//! What is on its way to the encoder, kept within bounds. The drain never waits: when the encoder falls too far
//! behind, faults are dropped and counted first, mappings when there are too many of them, the rest last.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use pf_bpf::Record;
use pf_formats::{Loss, LossReason};

use crate::{
    pipeline::niceness::EncoderNiceness,
    pipeline::sideband::{Sideband, What},
};

/// Batches the queue holds; while it is full they grow into one.
const QUEUE_BATCHES: usize = 8;

/// Records of the probes that may wait, about 150 bytes each; larger ones count for several.
const RECORDS: u64 = 1 << 20;

/// Bytes of a query, a text or a stack that count for a record.
const BYTES_OF_ONE: usize = 128;

/// Bytes of side-band records that may wait.
const SIDEBAND_BYTES: u64 = 64 << 20;

/// Memory for so many records is used again, rather than asked of the kernel for each batch of a long storm of faults.
const KEPT: usize = 1 << 18;

/// What one reason costs beyond this many windows is told in the last of them.
const LOSSES: usize = 1 << 10;

/// What one drain found, in the order the rings gave it.
#[derive(Debug, Default)]
pub struct Batch {
    /// Faults and thread ends.
    pub records: Vec<Record>,
    /// For how many more the large ones among them count.
    pub besides: u64,
    /// Side-band records, not sorted.
    pub sideband: Vec<Sideband>,
    /// What was lost since the batch before.
    pub losses: Vec<Loss>,
    /// Before this time no further record of any kind can turn up.
    pub horizon_ns: u64,
}

/// How much the queue and the encoder hold.
#[derive(Debug, Default)]
struct Waiting {
    records: AtomicU64,
    sideband_bytes: AtomicU64,
    encoder: EncoderNiceness,
}

/// The drain's end.
pub struct Backlog {
    /// Filled by the drain, and given to the encoder as soon as there is room.
    pub pending: Batch,
    /// What had to be dropped so far.
    pub dropped: Dropped,
    queue: Sender<(Batch, Size)>,
    /// Empty ones.
    returned: Receiver<Vec<Record>>,
    waiting: Arc<Waiting>,
    limits: Size,
    /// When a batch last found its place.
    since_ns: u64,
}

/// Records dropped for want of room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Faults.
    pub faults: u64,
    /// Faults that had failed; the kernel counts none of them.
    pub failed: u64,
    /// Ends of threads.
    pub exits: u64,
    /// Call stacks.
    pub stacks: u64,
    /// Queries, and texts of queries.
    pub queries: u64,
    /// Mappings, names, forks and exits.
    pub sideband: u64,
}

/// The encoder's end.
pub struct Batches {
    queue: Receiver<(Batch, Size)>,
    returned: Sender<Vec<Record>>,
    waiting: Arc<Waiting>,
    /// What the encoder works on.
    held: Size,
}

#[derive(Clone, Copy, Debug, Default)]
struct Size {
    records: u64,
    sideband_bytes: u64,
}

/// Both ends of a queue that holds a few batches.
#[must_use]
pub fn backlog(now_ns: u64) -> (Backlog, Batches) {
    let (give, take) = bounded(QUEUE_BATCHES);
    let (give_back, returned) = bounded(1);
    let waiting = Arc::new(Waiting::default());
    let backlog = Backlog {
        pending: Batch::default(),
        dropped: Dropped::default(),
        queue: give,
        returned,
        waiting: Arc::clone(&waiting),
        limits: Size {
            records: RECORDS,
            sideband_bytes: SIDEBAND_BYTES,
        },
        since_ns: now_ns,
    };
    let batches = Batches {
        queue: take,
        returned: give_back,
        waiting,
        held: Size::default(),
    };
    (backlog, batches)
}

impl Batch {
    /// Notes a loss. Windows that begin together become one, so that a long wait leaves few.
    pub fn lose(&mut self, reason: LossReason, count: u64, from_ns: u64, to_ns: u64) {
        let crowded = self.losses.len() >= LOSSES;
        let same = |loss: &&mut Loss| loss.reason == reason && (crowded || loss.from_ns == from_ns);
        match self.losses.iter_mut().rev().find(same) {
            Some(loss) => {
                loss.count += count;
                loss.to_ns = loss.to_ns.max(to_ns);
            }
            None => self.losses.push(Loss {
                from_ns,
                to_ns,
                cpu: None,
                reason,
                count,
            }),
        }
    }

    fn size(&self) -> Size {
        Size {
            records: self.records.len() as u64 + self.besides,
            sideband_bytes: bytes_of(&self.sideband),
        }
    }
}

impl Backlog {
    /// Hands over what is pending, if there is room for it. False when the encoder is gone.
    pub fn offer(&mut self, now_ns: u64) -> bool {
        let size = self.pending.size();
        // Before the encoder can take it off again.
        self.waiting.add(size);
        self.waiting.encoder.adjust(self.waiting.records.load(Relaxed));
        match self.queue.try_send((std::mem::take(&mut self.pending), size)) {
            Ok(()) => {
                self.since_ns = now_ns;
                self.pending.records = self.returned.try_recv().unwrap_or_default();
                true
            }
            Err(TrySendError::Disconnected((batch, _))) => {
                self.pending = batch;
                false
            }
            Err(TrySendError::Full((batch, _))) => {
                self.pending = batch;
                self.shed(now_ns);
                self.waiting.sub(size);
                true
            }
        }
    }

    /// Hands over the last batch, however long that takes: nothing is recorded any more.
    pub fn finish(self) -> Dropped {
        let size = self.pending.size();
        self.waiting.add(size);
        self.queue.send((self.pending, size)).ok();
        self.dropped
    }

    /// Drops what is too much, the most frequent first.
    fn shed(&mut self, now_ns: u64) {
        let (records, sideband) = (&mut self.pending.records, &mut self.pending.sideband);
        let mut now = Dropped::default();
        if self.waiting.records.load(Relaxed) > self.limits.records {
            let is_query = |record: &Record| matches!(record, Record::Query(_) | Record::QueryText(_));
            let is_stack = |record: &Record| {
                matches!(
                    record,
                    Record::Stack(_) | Record::KernelStack(_) | Record::HiddenWait(_)
                )
            };
            let half = (records.len() as u64 + self.pending.besides) / 2;
            if weight(records, is_query) > half {
                now.queries = remove(records, is_query);
            } else if weight(records, is_stack) > half {
                now.stacks = remove(records, is_stack);
            } else {
                now.faults = remove(
                    records,
                    |record| matches!(record, Record::Fault(fault) if !fault.failed),
                );
                now.failed = remove(records, |record| matches!(record, Record::Fault(_)));
            }
            // What is left is rare, and worth more.
            if records.len() as u64 > self.limits.records / 2 {
                now.exits = remove(records, |record| matches!(record, Record::Exit(_)));
                now.stacks += remove(records, is_stack);
            }
            self.pending.besides = records.iter().map(besides).sum();
        }
        if self.waiting.sideband_bytes.load(Relaxed) > self.limits.sideband_bytes {
            now.sideband = remove(sideband, |record| matches!(record.what, What::Map(_)));
            if bytes_of(sideband) > self.limits.sideband_bytes / 2 {
                now.sideband += remove(sideband, |_| true);
            }
        }
        for (reason, count) in [
            (LossReason::Queue, now.faults + now.failed),
            (LossReason::Exits, now.exits),
            (LossReason::Stack, now.stacks),
            (LossReason::Query, now.queries),
            (LossReason::Sideband, now.sideband),
        ] {
            if count > 0 {
                self.pending.lose(reason, count, self.since_ns, now_ns);
            }
        }
        self.dropped.faults += now.faults;
        self.dropped.failed += now.failed;
        self.dropped.exits += now.exits;
        self.dropped.stacks += now.stacks;
        self.dropped.queries += now.queries;
        self.dropped.sideband += now.sideband;
    }
}

impl Batches {
    /// Says that the calling thread is the one that works through them.
    pub fn adopt(&self) {
        self.waiting.encoder.adopt();
    }

    /// The next batch. The one before no longer counts.
    pub fn next(&mut self, timeout: Duration) -> Result<Batch, RecvTimeoutError> {
        self.waiting.sub(std::mem::take(&mut self.held));
        let (batch, size) = self.queue.recv_timeout(timeout)?;
        self.held = size;
        self.waiting.encoder.adjust(self.waiting.records.load(Relaxed));
        Ok(batch)
    }

    /// What was worked through: its memory serves once more.
    pub fn give_back(&self, mut batch: Batch) {
        batch.records.clear();
        batch.besides = 0;
        if batch.records.capacity() <= KEPT {
            self.returned.try_send(batch.records).ok();
        }
    }
}

impl Waiting {
    fn add(&self, size: Size) {
        self.records.fetch_add(size.records, Relaxed);
        self.sideband_bytes.fetch_add(size.sideband_bytes, Relaxed);
    }

    fn sub(&self, size: Size) {
        self.records.fetch_sub(size.records, Relaxed);
        self.sideband_bytes.fetch_sub(size.sideband_bytes, Relaxed);
    }
}

/// For how many more a record counts.
#[must_use]
pub fn besides(record: &Record) -> u64 {
    let bytes = match record {
        Record::Stack(stack) | Record::KernelStack(stack) => {
            size_of_val(&**stack) + stack.frames.capacity() * size_of::<u64>()
        }
        Record::QueryText(text) => size_of_val(&**text) + text.text.capacity(),
        Record::Query(query) => size_of_val(&**query),
        _ => 0,
    };
    bytes.div_ceil(BYTES_OF_ONE) as u64
}

fn weight(records: &[Record], is_of_them: impl Fn(&Record) -> bool) -> u64 {
    let of_them = records.iter().filter(|record| is_of_them(record));
    of_them.map(|record| 1 + besides(record)).sum()
}

fn remove<T>(from: &mut Vec<T>, unwanted: impl Fn(&T) -> bool) -> u64 {
    let before = from.len();
    from.retain(|item| !unwanted(item));
    (before - from.len()) as u64
}

fn bytes_of(records: &[Sideband]) -> u64 {
    let bytes = |record: &Sideband| size_of_val(record) + record.what.heap_bytes();
    records.iter().map(bytes).sum::<usize>() as u64
}

#[cfg(test)]
mod tests;
