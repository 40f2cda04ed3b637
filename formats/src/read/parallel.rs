//! Reads a trace and decodes its blocks on other threads, a few blocks ahead, and hands everything over in file
//! order on the caller's thread.
//!
//! Whoever has time takes the first block that nobody has taken yet. The caller's thread, too, decodes instead of waiting for
//! the block that is next: with as many threads as cores all of them are busy, however long the caller looks at a block.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::panic;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
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
    /// That decode, the caller's among them; 0 without others.
    threads: usize,
    workers: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
    next_number: u64,
    /// Of the caller's thread.
    own: Option<BlockDecoder>,
    queue: VecDeque<Pending>,
    /// Who the trace is from was read and not handed over: what is wanted can depend on it.
    meta_waits: bool,
    end: End,
    handed_over: DecodedBlock,
}

#[allow(
    clippy::large_enum_variant,
    reason = "there are few of them, and a box would be new memory for each item"
)]
enum Pending {
    Item(Item),
    /// The number of a job.
    Block(u64),
}

enum End {
    NotYet,
    Reached,
    Failed(FormatError),
}

struct Job {
    block: EventsBlock,
    want: Projection,
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

    /// Reads on with so many threads, one of which is the caller's; with 1 or 0 nothing is read ahead.
    #[must_use]
    pub fn with_threads(reader: TraceReader<R>, threads: usize) -> Self {
        Self {
            reader,
            threads: if threads > 1 { threads } else { 0 },
            workers: Vec::new(),
            shared: Arc::default(),
            next_number: 0,
            own: None,
            queue: VecDeque::new(),
            meta_waits: false,
            end: End::NotYet,
            handed_over: DecodedBlock {
                info: BlockInfo::default(),
                columns: Columns::default(),
                error: None,
            },
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
            Some(Pending::Block(number)) => self.fetch(number)?,
        };
        let before = std::mem::replace(
            &mut self.handed_over,
            DecodedBlock {
                info: done.block.info,
                columns: done.columns,
                error: done.error,
            },
        );
        self.shared.board().spare.push(before.columns);
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

    /// Whether nobody has to be waited for.
    fn first_is_ready(&self) -> bool {
        match self.queue.front() {
            Some(Pending::Item(_)) => true,
            Some(Pending::Block(number)) => self.shared.board().done.contains_key(number),
            None => false,
        }
    }

    fn read_one(&mut self, wanted: &Wanted) -> Result<Option<Pending>> {
        Ok(match self.reader.next_where(&wanted.predicate)? {
            Some(Item::Events(block)) => {
                let want = wanted.columns;
                self.employ();
                let number = self.next_number;
                self.next_number += 1;
                self.shared.put(number, Job { block, want });
                Some(Pending::Block(number))
            }
            other => other.map(Pending::Item),
        })
    }

    /// One more worker for each block that is read, until there are enough.
    fn employ(&mut self) {
        if self.workers.len() + 1 < self.threads {
            match work_on(Arc::clone(&self.shared)) {
                Ok(worker) => self.workers.push(worker),
                // Those that there are will do; alone, nobody reads ahead.
                Err(_) if self.workers.is_empty() => self.threads = 0,
                Err(_) => self.threads = self.workers.len() + 1,
            }
        }
    }

    /// The columns of a block; others are decoded while somebody is still at it.
    fn fetch(&mut self, number: u64) -> Result<Done> {
        loop {
            let (next, job, columns) = match self.shared.done_or_next(number) {
                Next::Done(done) => return Ok(done),
                Next::Job(next, job, columns) => (next, job, columns),
                Next::Nobody => return Err(self.failed()),
            };
            let decoder = match &mut self.own {
                Some(decoder) => decoder,
                none => none.insert(BlockDecoder::new()?),
            };
            let done = job.run(decoder, columns);
            if next == number {
                return Ok(done);
            }
            self.shared.board().done.insert(next, done);
        }
    }

    /// A worker ends early only by a panic, which goes on here as if its block had been decoded here.
    fn failed(&mut self) -> FormatError {
        self.end = End::Reached;
        self.shared.close();
        for worker in self.workers.drain(..) {
            if let Err(panic) = worker.join() {
                panic::resume_unwind(panic);
            }
        }
        FormatError::Io(io::Error::other("a thread that decodes blocks has ended"))
    }
}

impl<R: Read> Drop for DecodeAhead<R> {
    fn drop(&mut self) {
        self.shared.close();
        for worker in self.workers.drain(..) {
            // Its panic, if any, was printed; nobody waits for its block.
            let _ = worker.join();
        }
    }
}

impl Job {
    fn run(self, decoder: &mut BlockDecoder, mut columns: Columns) -> Done {
        let error = decoder.decode(&self.block, self.want, &mut columns).err();
        Done {
            block: self.block,
            columns,
            error,
        }
    }
}

/// What the threads share. Nobody decodes with the lock.
#[derive(Default)]
struct Shared {
    board: Mutex<Board>,
    /// There is something to do, or nothing more ever.
    todo: Condvar,
    /// A worker did something, or ended.
    done: Condvar,
}

#[derive(Default)]
struct Board {
    todo: VecDeque<(u64, Job)>,
    /// By the number of the job.
    done: BTreeMap<u64, Done>,
    /// Memory for columns, taken when a block is decoded and no sooner: what was used last may still be in a cache.
    spare: Vec<Columns>,
    /// Nobody wants anything any more.
    is_closed: bool,
    /// A worker has panicked.
    has_failed: bool,
}

impl Board {
    /// The first job, and memory for its columns.
    fn next(&mut self) -> Option<(u64, Job, Columns)> {
        let (number, job) = self.todo.pop_front()?;
        Some((number, job, self.spare.pop().unwrap_or_default()))
    }
}

#[allow(
    clippy::large_enum_variant,
    reason = "there is one at a time, and a box would be new memory for each block"
)]
enum Next {
    Done(Done),
    Job(u64, Job, Columns),
    Nobody,
}

impl Shared {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, number: u64, job: Job) {
        self.board().todo.push_back((number, job));
        self.todo.notify_one();
    }

    /// The first job, for a worker; `None` at the end.
    fn take(&self) -> Option<(u64, Job, Columns)> {
        let mut board = self.board();
        loop {
            if board.is_closed {
                return None;
            }
            if let Some(next) = board.next() {
                return Some(next);
            }
            board = self.todo.wait(board).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What has been decoded, or what else there is to do meanwhile.
    fn done_or_next(&self, number: u64) -> Next {
        let mut board = self.board();
        loop {
            if let Some(done) = board.done.remove(&number) {
                return Next::Done(done);
            }
            if let Some((number, job, columns)) = board.next() {
                return Next::Job(number, job, columns);
            }
            if board.has_failed {
                return Next::Nobody;
            }
            board = self.done.wait(board).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn close(&self) {
        let mut board = self.board();
        board.is_closed = true;
        board.todo.clear();
        self.todo.notify_all();
    }
}

/// Says that a worker ended before its time.
struct Watch(Arc<Shared>);

impl Drop for Watch {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.board().has_failed = true;
            self.0.done.notify_all();
        }
    }
}

/// A thread that decodes blocks until the board is closed.
fn work_on(shared: Arc<Shared>) -> Result<JoinHandle<()>> {
    let mut decoder = BlockDecoder::new()?;
    let work = move || {
        let watch = Watch(shared);
        while let Some((number, job, columns)) = watch.0.take() {
            let done = job.run(&mut decoder, columns);
            watch.0.board().done.insert(number, done);
            watch.0.done.notify_one();
        }
    };
    Ok(thread::Builder::new().name("pf-decode".into()).spawn(work)?)
}
