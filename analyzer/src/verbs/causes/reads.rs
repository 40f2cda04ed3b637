//! Whose read a fault waited for: a fault that slept for a page that was being read, and the fault that added that page to the
//! page cache. Reads are looked for in the blocks of the trace around the wait, so that memory is bounded.

use crate::engine::columns::Column;
use crate::engine::filter::Filter;
use crate::engine::frame::{u8s, u32s, u64s};
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::output::table::{ColumnHead, Table, Value};
use crate::output::units::{duration, quantity};
use crate::trace::cause::Cause;
use crate::trace::class::ClassBits;
use crate::trace::session::Session;
use polars::prelude::DataFrame;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// The columns: a contract.
pub const HEADS: [ColumnHead; 12] = [
    ColumnHead::new("begin_s"),
    ColumnHead::new("pid"),
    ColumnHead::new("tid"),
    ColumnHead::new("comm"),
    ColumnHead::new("wait_ms"),
    ColumnHead::new("file"),
    ColumnHead::new("file_offset"),
    ColumnHead::new("reader_tid"),
    ColumnHead::new("reader"),
    ColumnHead::new("before_ms"),
    ColumnHead::new("read_offset"),
    ColumnHead::new("read_bytes"),
];

/// Columns that give way to a narrow terminal, the first first.
pub(crate) const DROP_ORDER: [&str; 6] = [
    "read_offset",
    "read_bytes",
    "pid",
    "file_offset",
    "reader_tid",
    "begin_s",
];

/// Waits that are kept one by one.
pub(crate) const SHOWN: usize = 1000;

/// Blocks of which the reads are remembered, and how many reads.
const BLOCKS: usize = 8;
const READS: usize = 1 << 18;

/// Reads that are looked at for one wait: those of one page that overlap are few.
const LOOKS: usize = 1024;

/// A thread, with its name.
type Thread = (u32, u32, u32);

/// What a fault added to the page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Read {
    object: u32,
    first: u64,
    end: u64,
    begin_ns: u64,
    thread: Thread,
}

/// A fault that waited for a page that was being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wait {
    latency_ns: u64,
    begin_ns: u64,
    thread: Thread,
    object: u32,
    page: u64,
    weight: u64,
}

/// The reads of a block, in the order of their places.
#[derive(Debug, Default)]
struct Block {
    reads: Vec<Read>,
    /// The largest end of all reads of the same object up to each.
    reach: Vec<u64>,
}

impl Block {
    fn new(mut reads: Vec<Read>) -> Self {
        reads.sort_unstable();
        let mut reach = Vec::with_capacity(reads.len());
        let mut last: Option<(u32, u64)> = None;
        for read in &reads {
            let so_far = last.filter(|(object, _)| *object == read.object);
            let end = so_far.map_or(read.end, |(_, end)| end.max(read.end));
            reach.push(end);
            last = Some((read.object, end));
        }
        Self { reads, reach }
    }

    /// The latest read of a page that began before a time.
    fn latest(&self, object: u32, page: u64, before_ns: u64) -> Option<Read> {
        let behind = self
            .reads
            .partition_point(|read| (read.object, read.first) <= (object, page));
        let own = (0..behind).rev().take(LOOKS).map_while(|at| {
            let (read, reach) = (self.reads.get(at)?, *self.reach.get(at)?);
            (read.object == object && reach > page).then_some(*read)
        });
        own.filter(|read| read.end > page && read.begin_ns < before_ns)
            .max_by_key(|read| read.begin_ns)
    }
}

/// Faults and their wait, by weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    wait_ns: u64,
}

impl Sum {
    fn add(&mut self, wait: &Wait) {
        self.count = self.count.saturating_add(wait.weight);
        let wait_ns = wait.latency_ns.saturating_mul(wait.weight);
        self.wait_ns = self.wait_ns.saturating_add(wait_ns);
    }
}

/// Collects them.
#[derive(Debug)]
pub struct WhoseRead {
    blocks: VecDeque<Block>,
    kept: usize,
    /// Of the last block: their read may be in the next one.
    unsolved: Vec<Wait>,
    own: Sum,
    others: Sum,
    unknown: Sum,
    longest: BinaryHeap<Reverse<(Wait, Option<Read>)>>,
    shown: usize,
    sees_reads: bool,
}

impl Default for WhoseRead {
    fn default() -> Self {
        Self::keeping(0)
    }
}

impl Pass for WhoseRead {
    fn columns(&self) -> Vec<Column> {
        vec![
            Column::TsNs,
            Column::LatencyNs,
            Column::Pid,
            Column::Tid,
            Column::CommId,
            Column::ObjectId,
            Column::ObjectPage,
            Column::ClassBits,
            Column::CauseCode,
            Column::PagesRead,
            Column::ReadOffset,
        ]
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        let codes = frame.column(Column::CauseCode.name())?;
        let offsets = frame.column(Column::ReadOffset.name())?;
        let is_blind = |column: &polars::prelude::Column| column.null_count() == column.len();
        if is_blind(codes) {
            return Ok(());
        }
        let ids = u32s(frame, Column::ObjectId)?.iter();
        let ids = ids.zip(u64s(frame, Column::ObjectPage)?);
        let pids = u32s(frame, Column::Pid)?.iter().zip(u32s(frame, Column::Tid)?);
        let threads = pids.zip(u32s(frame, Column::CommId)?);
        let times = u64s(frame, Column::TsNs)?.iter();
        let times = times.zip(u64s(frame, Column::LatencyNs)?);
        let pages = frame.column(Column::PagesRead.name())?.u32()?;
        let seen = codes.u8()?.iter().zip(offsets.u64()?.iter()).zip(pages.iter());
        let (page_size, sampling) = (session.page_size().max(1), session.sampling());
        let (mut reads, mut waits) = (Vec::new(), std::mem::take(&mut self.unsolved));
        let old = waits.len();
        let rows = seen
            .zip(ids.zip(threads))
            .zip(times.zip(u8s(frame, Column::ClassBits)?));
        for (
            (((code, offset), pages), ((&object, &page), ((&pid, &tid), &comm))),
            ((&ts_ns, &latency_ns), &bits),
        ) in rows
        {
            let thread = (pid, tid, comm);
            if let (Some(offset), Some(pages)) = (offset, pages) {
                let first = offset / page_size;
                reads.push(Read {
                    object,
                    first,
                    end: first.saturating_add(pages.into()),
                    begin_ns: ts_ns,
                    thread,
                });
            }
            if code == Some(Cause::ReadWait.code()) {
                waits.push(Wait {
                    latency_ns,
                    begin_ns: ts_ns,
                    thread,
                    object,
                    page,
                    weight: sampling.weight(ClassBits(bits).class()),
                });
            }
        }
        self.sees_reads |= !reads.is_empty();
        self.remember(reads);
        for (at, wait) in waits.into_iter().enumerate() {
            self.judge(wait, at < old);
        }
        Ok(())
    }
}

impl WhoseRead {
    /// Keeps the longest waits one by one.
    #[must_use]
    pub fn keeping(shown: usize) -> Self {
        Self {
            blocks: VecDeque::new(),
            kept: 0,
            unsolved: Vec::new(),
            own: Sum::default(),
            others: Sum::default(),
            unknown: Sum::default(),
            longest: BinaryHeap::new(),
            shown,
            sees_reads: false,
        }
    }

    fn remember(&mut self, reads: Vec<Read>) {
        self.kept += reads.len();
        self.blocks.push_back(Block::new(reads));
        while self.blocks.len() > BLOCKS || self.kept > READS && self.blocks.len() > 2 {
            let oldest = self.blocks.pop_front();
            self.kept -= oldest.map_or(0, |block| block.reads.len());
        }
    }

    /// The read that was in progress, or done without this thread having seen it: the latest one before the end of the wait.
    fn judge(&mut self, wait: Wait, is_last_chance: bool) {
        let end_ns = wait.begin_ns.saturating_add(wait.latency_ns);
        let found = self.blocks.iter();
        let found = found.filter_map(|block| block.latest(wait.object, wait.page, end_ns));
        let read = found.max_by_key(|read| read.begin_ns);
        match read {
            None if !is_last_chance => return self.unsolved.push(wait),
            None => self.unknown.add(&wait),
            Some(read) if (read.thread.0, read.thread.1) == (wait.thread.0, wait.thread.1) => {
                self.own.add(&wait);
            }
            Some(_) => self.others.add(&wait),
        }
        self.longest.push(Reverse((wait, read)));
        if self.longest.len() > self.shown {
            self.longest.pop();
        }
    }

    /// To be called after the last block.
    pub fn finish(&mut self) {
        for wait in std::mem::take(&mut self.unsolved) {
            self.judge(wait, true);
        }
    }

    /// The longest waits, with the read that each was for.
    #[must_use]
    pub fn table(&self, session: &Session) -> Table {
        let mut longest: Vec<_> = self.longest.iter().map(|Reverse(pair)| *pair).collect();
        longest.sort_unstable_by_key(|(wait, _)| (Reverse(wait.latency_ns), wait.begin_ns));
        Table {
            heads: HEADS.to_vec(),
            rows: longest
                .iter()
                .map(|(wait, read)| row(wait, read.as_ref(), session))
                .collect(),
            total: None,
        }
    }

    /// Whose reads they were, in all.
    #[must_use]
    pub(crate) fn remark(&self, filter: &Filter) -> Option<String> {
        let is_blind = !self.sees_reads && filter.is_empty();
        if is_blind || self.own.count + self.others.count + self.unknown.count == 0 {
            return None;
        }
        let parts = [
            (
                self.own,
                "for a read that the same thread had begun (its read-ahead)",
            ),
            (self.others, "for a read of another thread"),
            (self.unknown, "for a read that is not in the trace"),
        ];
        let said: Vec<String> = parts
            .iter()
            .filter(|(sum, _)| sum.count > 0)
            .map(|(sum, whose)| {
                format!(
                    "{} ({}) {whose}",
                    quantity(sum.count, "fault"),
                    duration(sum.wait_ns)
                )
            })
            .collect();
        let note = match self.unknown.count > 0 && !filter.is_empty() {
            true => "; reads that the filter leaves out are not looked at",
            false => "",
        };
        Some(format!("read-wait: {}{note}", said.join(", ")))
    }
}

fn row(wait: &Wait, read: Option<&Read>, session: &Session) -> Vec<Value> {
    let page_size = session.page_size();
    let (pid, tid, comm) = wait.thread;
    let mut row = vec![
        Value::Seconds(session.since_start_ns(wait.begin_ns)),
        Value::Id(pid.into()),
        Value::Id(tid.into()),
        Value::Text(session.dicts.comm(comm).into_owned()),
        Value::Ms(wait.latency_ns),
        Value::Text(session.dicts.label(wait.object).into_owned()),
        Value::Count(wait.page.saturating_mul(page_size)),
    ];
    let Some(read) = read else {
        row.extend([Value::Null, Value::Null, Value::Null, Value::Null, Value::Null]);
        return row;
    };
    let (reader_pid, reader_tid, reader) = read.thread;
    let is_own = (reader_pid, reader_tid) == (pid, tid);
    let name = match is_own {
        true => "itself".to_owned(),
        false => session.dicts.comm(reader).into_owned(),
    };
    row.extend([
        Value::Id(reader_tid.into()),
        Value::Text(name),
        // A read can begin while others wait for the page already: another one was there before.
        match wait.begin_ns.checked_sub(read.begin_ns) {
            Some(before_ns) => Value::Ms(before_ns),
            None => Value::Ms(0),
        },
        Value::Count(read.first.saturating_mul(page_size)),
        Value::Bytes((read.end - read.first).saturating_mul(page_size)),
    ]);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(first: u64, end: u64, begin_ns: u64) -> Read {
        Read {
            object: 1,
            first,
            end,
            begin_ns,
            thread: (1, 1, 1),
        }
    }

    #[test]
    fn the_latest_read_of_the_page_before_the_end_of_the_wait_is_found() {
        let mut reads = vec![
            read(0, 100, 5),
            read(40, 41, 7),
            read(60, 64, 9),
            read(200, 264, 1),
        ];
        reads.push(Read {
            object: 2,
            ..read(0, 1000, 4)
        });
        let block = Block::new(reads);
        let found = |object, page, before| block.latest(object, page, before).map(|read| read.begin_ns);
        assert_eq!(found(1, 40, 100), Some(7));
        assert_eq!(found(1, 40, 7), Some(5));
        assert_eq!(found(1, 40, 5), None);
        assert_eq!(found(1, 99, 100), Some(5));
        assert_eq!(found(1, 100, 100), None);
        assert_eq!(found(1, 263, 100), Some(1));
        assert_eq!((found(2, 263, 100), found(3, 263, 100)), (Some(4), None));
    }

    #[test]
    fn a_wait_is_judged_by_the_blocks_around_it() {
        let mut whose = WhoseRead::keeping(2);
        let wait = |page, tid, latency_ns| Wait {
            latency_ns,
            begin_ns: 10,
            thread: (1, tid, 1),
            object: 1,
            page,
            weight: 1,
        };
        whose.remember(vec![read(0, 8, 3)]);
        whose.judge(wait(2, 1, 5), false);
        whose.judge(wait(3, 2, 7), false);
        // Its read is in the next block.
        whose.judge(wait(50, 2, 9), false);
        assert_eq!(
            (whose.own.count, whose.others.count, whose.unsolved.len()),
            (1, 1, 1)
        );
        whose.remember(vec![read(50, 51, 12)]);
        whose.finish();
        whose.judge(wait(70, 2, 1), true);
        let counts = [whose.own, whose.others, whose.unknown].map(|sum| (sum.count, sum.wait_ns));
        assert_eq!(counts, [(1, 5), (2, 16), (1, 1)]);
        assert_eq!(whose.longest.len(), 2);
    }
}
