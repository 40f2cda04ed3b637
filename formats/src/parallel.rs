//! Reads a trace and decodes its blocks on other threads, a few blocks ahead, and hands everything over in file
//! order on the caller's thread.
//!
//! Blocks go to the workers in turn, and their columns are fetched in turn: that is the order of the file, so nothing
//! is sorted and nobody waits for a block that was started later.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::panic;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::error::{FormatError, Result};
use crate::{BlockDecoder, BlockInfo, Columns, EventsBlock, Item, Predicate, Projection, TraceReader};

/// More decoders than these outrun whoever looks at their columns, and each takes some 10 MiB.
const MOST_THREADS: usize = 6;

/// Items read ahead besides one for each thread: enough to keep all of them busy while the caller works.
const AHEAD: usize = 2;

/// Which blocks and columns to decode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which blocks are looked for; all others are skipped.
    pub predicate: Predicate,
    /// Their columns.
    pub columns: Projection,
}

/// A block with its columns.
#[derive(Debug)]
pub struct DecodedBlock {
    /// Statistics of the block.
    pub info: BlockInfo,
    /// The columns, for the caller to take or to leave: what is left is used for a later block.
    pub columns: Columns,
    /// What is wrong with the columns, which are then empty.
    pub error: Option<FormatError>,
}

/// One record in its place.
#[allow(
    clippy::large_enum_variant,
    reason = "there is one at a time, and a box would be new memory for each record"
)]
#[derive(Debug)]
pub enum Step<'a> {
    /// Any record but a block that was decoded.
    Item(Item),
    /// A block.
    Block(&'a mut DecodedBlock),
}

/// A reader that decodes ahead. At most [`ahead`](Self::ahead) items are in memory besides the one handed over.
///
/// Dropped early, it waits for the blocks that are being decoded at that moment and throws the others away.
pub struct DecodeAhead<R: Read> {
    reader: TraceReader<R>,
    threads: usize,
    workers: Vec<Worker>,
    next_worker: usize,
    /// For want of threads.
    own: Option<BlockDecoder>,
    queue: VecDeque<Pending>,
    /// Who the trace is from was read and not handed over: what is wanted can depend on it.
    meta_waits: bool,
    end: End,
    handed_over: DecodedBlock,
    spare: Vec<Columns>,
}

#[allow(
    clippy::large_enum_variant,
    reason = "there are few of them, and a box would be new memory for each block"
)]
enum Pending {
    Item(Item),
    /// With this worker.
    Block(usize),
    Done(Done),
}

enum End {
    NotYet,
    Reached,
    Failed(FormatError),
}

struct Job {
    block: EventsBlock,
    want: Projection,
    columns: Columns,
}

struct Done {
    block: EventsBlock,
    columns: Columns,
    error: Option<FormatError>,
}

impl<R: Read> DecodeAhead<R> {
    /// Reads on with as many threads as this machine has cores, six at most.
    #[must_use]
    pub fn new(reader: TraceReader<R>) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::with_threads(reader, cores.min(MOST_THREADS))
    }

    /// Reads on with so many threads besides the caller's; with 1 or 0 the caller's thread decodes, and nothing is
    /// read ahead.
    #[must_use]
    pub fn with_threads(reader: TraceReader<R>, threads: usize) -> Self {
        Self {
            reader,
            threads: if threads > 1 { threads } else { 0 },
            workers: Vec::new(),
            next_worker: 0,
            own: None,
            queue: VecDeque::new(),
            meta_waits: false,
            end: End::NotYet,
            handed_over: DecodedBlock {
                info: BlockInfo::default(),
                columns: Columns::default(),
                error: None,
            },
            spare: Vec::new(),
        }
    }

    /// The reader, which may have read further than what was handed over.
    #[must_use]
    pub fn reader(&self) -> &TraceReader<R> {
        &self.reader
    }

    /// Items that are read before they are handed over.
    #[must_use]
    pub fn ahead(&self) -> usize {
        if self.threads > 0 { self.threads + AHEAD } else { 1 }
    }

    /// The next record in file order; `None` at the end. `wanted` may change at any time, and counts for blocks that
    /// are read from now on. Nothing is read beyond META before it was handed over.
    ///
    /// # Errors
    ///
    /// When the input fails, after all records before that place. What is wrong with a block is in the block.
    pub fn next(&mut self, wanted: &Wanted) -> Result<Option<Step<'_>>> {
        self.read_ahead(wanted);
        let done = match self.queue.pop_front() {
            None => {
                return match std::mem::replace(&mut self.end, End::Reached) {
                    End::Failed(error) => Err(error),
                    End::NotYet | End::Reached => Ok(None),
                };
            }
            Some(Pending::Item(item)) => {
                self.meta_waits &= !matches!(item, Item::Meta(_));
                return Ok(Some(Step::Item(item)));
            }
            Some(Pending::Done(done)) => done,
            Some(Pending::Block(worker)) => self.fetch(worker)?,
        };
        let before = std::mem::replace(
            &mut self.handed_over,
            DecodedBlock {
                info: done.block.info,
                columns: done.columns,
                error: done.error,
            },
        );
        self.spare.push(before.columns);
        self.reader.recycle(done.block);
        Ok(Some(Step::Block(&mut self.handed_over)))
    }

    fn read_ahead(&mut self, wanted: &Wanted) {
        while self.queue.len() < self.ahead() && !self.meta_waits && matches!(self.end, End::NotYet) {
            // Who waits for a stream first hands over what is there.
            if self.reader.may_wait() && self.first_is_ready() {
                return;
            }
            match self.read_one(wanted) {
                Ok(Some(pending)) => {
                    self.meta_waits = matches!(pending, Pending::Item(Item::Meta(_)));
                    self.queue.push_back(pending);
                }
                Ok(None) => self.end = End::Reached,
                Err(error) => self.end = End::Failed(error),
            }
        }
    }

    fn first_is_ready(&mut self) -> bool {
        if let Some(Pending::Block(worker)) = self.queue.front() {
            let done = self.workers.get(*worker).and_then(Worker::try_fetch);
            if let (Some(done), Some(first)) = (done, self.queue.front_mut()) {
                *first = Pending::Done(done);
            }
        }
        matches!(self.queue.front(), Some(Pending::Item(_) | Pending::Done(..)))
    }

    fn read_one(&mut self, wanted: &Wanted) -> Result<Option<Pending>> {
        Ok(match self.reader.next_where(&wanted.predicate)? {
            Some(Item::Events(block)) => {
                let columns = self.spare.pop().unwrap_or_default();
                let want = wanted.columns;
                Some(self.start(Job { block, want, columns })?)
            }
            other => other.map(Pending::Item),
        })
    }

    /// Gives a block to the next worker, or decodes it here when there are none.
    fn start(&mut self, job: Job) -> Result<Pending> {
        if self.workers.len() < self.threads {
            match Worker::new(self.ahead()) {
                Ok(worker) => self.workers.push(worker),
                // Those that there are will do.
                Err(_) => self.threads = self.workers.len(),
            }
        }
        let turn = self.next_worker % self.workers.len().max(1);
        let Some(worker) = self.workers.get(turn) else {
            let decoder = match &mut self.own {
                Some(decoder) => decoder,
                none => none.insert(BlockDecoder::new()?),
            };
            return Ok(Pending::Done(job.run(decoder)));
        };
        if !worker.give(job) {
            return Err(self.failed(turn));
        }
        self.next_worker = (turn + 1) % self.threads.max(1);
        Ok(Pending::Block(turn))
    }

    fn fetch(&mut self, worker: usize) -> Result<Done> {
        let done = self.workers.get(worker).and_then(Worker::fetch);
        done.ok_or_else(|| self.failed(worker))
    }

    /// A worker ends early only by a panic, which goes on here as if its block had been decoded here.
    fn failed(&mut self, worker: usize) -> FormatError {
        self.end = End::Reached;
        let thread = self
            .workers
            .get_mut(worker)
            .and_then(|worker| worker.thread.take());
        if let Some(Err(panic)) = thread.map(JoinHandle::join) {
            panic::resume_unwind(panic);
        }
        FormatError::Io(io::Error::other("a thread that decodes blocks has ended"))
    }
}

impl Job {
    fn run(mut self, decoder: &mut BlockDecoder) -> Done {
        let error = decoder.decode(&self.block, self.want, &mut self.columns).err();
        Done {
            block: self.block,
            columns: self.columns,
            error,
        }
    }
}

/// A thread that decodes blocks in the order in which it gets them.
struct Worker {
    jobs: Option<SyncSender<Job>>,
    done: Option<Receiver<Done>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// At most `room` blocks will be with it at once, so nobody ever waits for room.
    fn new(room: usize) -> Result<Self> {
        let mut decoder = BlockDecoder::new()?;
        let (jobs, todo) = sync_channel::<Job>(room);
        let (finished, done) = sync_channel(room);
        let work = move || {
            while let Ok(job) = todo.recv() {
                // Nobody wants it any more.
                if finished.send(job.run(&mut decoder)).is_err() {
                    break;
                }
            }
        };
        let thread = thread::Builder::new().name("pf-decode".into()).spawn(work)?;
        Ok(Self {
            jobs: Some(jobs),
            done: Some(done),
            thread: Some(thread),
        })
    }

    /// False when the thread has ended.
    fn give(&self, job: Job) -> bool {
        self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok())
    }

    /// `None` when the thread has ended.
    fn fetch(&self) -> Option<Done> {
        self.done.as_ref()?.recv().ok()
    }

    /// `None` when nothing is ready.
    fn try_fetch(&self) -> Option<Done> {
        self.done.as_ref()?.try_recv().ok()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Without either the thread ends.
        self.jobs = None;
        self.done = None;
        if let Some(thread) = self.thread.take() {
            // Its panic, if any, was printed; nobody waits for its block.
            let _ = thread.join();
        }
    }
}
