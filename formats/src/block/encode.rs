//! Events to the payload of a block. The buffers are kept from block to block.

use rustc_hash::FxHashMap;

use super::layout::{Column, Head, PAGE_BITS};
use super::{BlockInfo, statistics};
use crate::Columns;
use crate::class::ClassBits;
use crate::column::{ColumnWriter, Entry, Storage, Transform, transform};
use crate::error::Result;

/// A run is the events of one thread under one name.
type RunKey = (u32, u32, u32);

/// Threads whose run is found without a look into the table.
const RECENT: usize = 64;

/// Encodes blocks one after another.
pub(crate) struct BlockEncoder {
    writer: ColumnWriter,
    /// Runs with their number of events.
    runs: Vec<(RunKey, u32)>,
    run_numbers: FxHashMap<RunKey, u32>,
    run_of: Vec<u32>,
    by_key: Vec<u32>,
    next: Vec<u32>,
    /// The events, run after run.
    order: Vec<u32>,
    values: Vec<u64>,
    latencies: Vec<u64>,
    pages: Vec<u64>,
    differences: Vec<u64>,
    objects: Vec<u64>,
    object_pages: Vec<u64>,
    entries: Vec<Entry>,
    bodies: Vec<u8>,
}

impl BlockEncoder {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            writer: ColumnWriter::new()?,
            runs: Vec::new(),
            run_numbers: FxHashMap::default(),
            run_of: Vec::new(),
            by_key: Vec::new(),
            next: Vec::new(),
            order: Vec::new(),
            values: Vec::new(),
            latencies: Vec::new(),
            pages: Vec::new(),
            differences: Vec::new(),
            objects: Vec::new(),
            object_pages: Vec::new(),
            entries: Vec::new(),
            bodies: Vec::new(),
        })
    }

    /// Appends the payload of a block of these events (at least one) to `out`. The returned offset is 0:
    /// only the caller knows it.
    pub(crate) fn encode(&mut self, events: &Columns, out: &mut Vec<u8>) -> Result<BlockInfo> {
        self.group(events);
        let info = self.statistics(events);
        self.entries.clear();
        self.bodies.clear();
        self.encode_runs()?;
        self.encode_times(events, info.ts_min)?;
        self.encode_places(events)?;
        self.encode_rest(events)?;
        self.encode_optional(events)?;
        Head::put(&info, self.runs.len() as u32, &self.entries, out);
        out.extend_from_slice(&self.bodies);
        Ok(info)
    }

    /// Counting sort by run; the order within a run is kept.
    fn group(&mut self, events: &Columns) {
        self.runs.clear();
        self.run_numbers.clear();
        self.run_of.clear();
        let mut recent: [Option<(RunKey, u32)>; RECENT] = [None; RECENT];
        let threads = events.pid.iter().zip(&events.tid).zip(&events.comm);
        for ((&pid, &tid), &comm) in threads {
            let key = (pid, tid, comm);
            let seen = &mut recent[tid as usize % RECENT];
            let number = match *seen {
                Some((seen_key, number)) if seen_key == key => number,
                _ => {
                    let number = *self.run_numbers.entry(key).or_insert_with(|| {
                        self.runs.push((key, 0));
                        self.runs.len() as u32 - 1
                    });
                    *seen = Some((key, number));
                    number
                }
            };
            let count = &mut self.runs[number as usize].1;
            *count = count.wrapping_add(1);
            self.run_of.push(number);
        }
        self.by_key.clear();
        self.by_key.extend(0..self.runs.len() as u32);
        self.by_key
            .sort_unstable_by_key(|number| self.runs[*number as usize].0);
        self.next.clear();
        self.next.resize(self.runs.len(), 0);
        let mut start = 0;
        for number in &self.by_key {
            self.next[*number as usize] = start;
            start += self.runs[*number as usize].1;
        }
        self.runs.sort_unstable_by_key(|run| run.0);
        self.order.clear();
        self.order.resize(events.pid.len(), 0);
        for (row, number) in (0_u32..).zip(&self.run_of) {
            let place = &mut self.next[*number as usize];
            self.order[*place as usize] = row;
            *place = place.wrapping_add(1);
        }
    }

    fn statistics(&self, events: &Columns) -> BlockInfo {
        let (ts_min, ts_max) = statistics::range(&events.ts_ns);
        let (address_min, address_max) = statistics::range(&events.address);
        let (latency_min, latency_max) = statistics::range(&events.latency_ns);
        let (pid_min, pid_max) = range(self.runs.iter().map(|run| run.0.0));
        let (tid_min, tid_max) = range(self.runs.iter().map(|run| run.0.1));
        let [majors, _, failed] = ClassBits::counts(&events.class);
        let threads = self
            .runs
            .chunk_by(|(left, _), (right, _)| (left.0, left.1) == (right.0, right.1));
        BlockInfo {
            offset: 0,
            events: events.pid.len() as u32,
            threads: threads.count() as u32,
            ts_min,
            ts_max,
            end_max: statistics::last_end(&events.ts_ns, &events.latency_ns),
            page_min: address_min >> PAGE_BITS,
            page_max: address_max >> PAGE_BITS,
            latency_min,
            latency_max,
            majors: majors as u32,
            failed: failed as u32,
            pid_min,
            pid_max,
            tid_min,
            tid_max,
        }
    }

    fn encode_runs(&mut self) -> Result<()> {
        self.run_column(Column::RunPid, Transform::Delta, |run| run.0.0)?;
        self.run_column(Column::RunTid, Transform::Delta, |run| run.0.1)?;
        self.run_column(Column::RunComm, Transform::Delta, |run| run.0.2)?;
        self.run_column(Column::RunLength, Transform::Plain, |run| run.1)
    }

    fn encode_times(&mut self, events: &Columns, ts_min: u64) -> Result<()> {
        self.load(&events.latency_ns);
        self.store(Column::Latency, Transform::Plain)?;
        std::mem::swap(&mut self.values, &mut self.latencies);
        self.load(&events.ts_ns);
        let mut start = 0;
        for (_, count) in &self.runs {
            let end = start + *count as usize;
            transform::gap(&mut self.values[start..end], &self.latencies[start..end], ts_min);
            start = end;
        }
        self.store(Column::Ts, Transform::Gap)
    }

    fn encode_places(&mut self, events: &Columns) -> Result<()> {
        self.load(&events.object);
        self.objects.clone_from(&self.values);
        self.column(Column::Object, ColumnWriter::write_names)?;
        self.load(&events.object_page);
        std::mem::swap(&mut self.values, &mut self.object_pages);
        transform::walk(&self.object_pages, &self.objects, &mut self.values);
        let candidates = [
            (Transform::Plain, &self.object_pages[..]),
            (Transform::Walk, &self.values[..]),
        ];
        let width = Column::ObjectPage.width();
        let start = self.bodies.len();
        let encoding = self.writer.write_best(&candidates, width, &mut self.bodies)?;
        self.enter(Column::ObjectPage, encoding, start);
        self.load(&events.address);
        self.pages.clear();
        self.pages
            .extend(self.values.iter().map(|address| address >> PAGE_BITS));
        for address in &mut self.values {
            *address &= (1 << PAGE_BITS) - 1;
        }
        self.store(Column::PageOffset, Transform::Plain)?;
        self.encode_pages()
    }

    fn encode_pages(&mut self) -> Result<()> {
        let width = Column::Page.width();
        let (objects, object_pages) = (&self.objects, &self.object_pages);
        transform::follow(&self.pages, objects, object_pages, width, &mut self.values);
        self.differences.clone_from(&self.pages);
        transform::delta(&mut self.differences, width);
        let candidates = [
            (Transform::Follow, &self.values[..]),
            (Transform::Delta, &self.differences[..]),
            (Transform::Plain, &self.pages[..]),
        ];
        let start = self.bodies.len();
        let encoding = self.writer.write_best(&candidates, width, &mut self.bodies)?;
        self.enter(Column::Page, encoding, start);
        Ok(())
    }

    fn encode_rest(&mut self, events: &Columns) -> Result<()> {
        self.load(&events.ip);
        self.column(Column::Ip, ColumnWriter::write_names)?;
        self.load(&events.cpu);
        self.column(Column::Cpu, ColumnWriter::write_names)?;
        self.load(&events.class);
        self.store(Column::Class, Transform::Plain)?;
        self.load(&events.retries);
        self.store(Column::Retries, Transform::Plain)
    }

    /// Columns that are left out of a block in which no event has a value for them.
    fn encode_optional(&mut self, events: &Columns) -> Result<()> {
        if !events.blocked_ns.is_empty() {
            self.load(&events.blocked_ns);
            transform::rest(&mut self.values, &self.latencies);
            self.store(Column::Blocked, Transform::Rest)?;
            self.load(&events.runqueue_ns);
            self.store(Column::Runqueue, Transform::Plain)?;
            self.load(&events.reclaim_ns);
            self.store(Column::Reclaim, Transform::Plain)?;
            self.load(&events.lock_ns);
            self.store(Column::Lock, Transform::Plain)?;
        }
        if !events.stack.is_empty() {
            self.load(&events.stack);
            self.column(Column::Stack, ColumnWriter::write_names)?;
        }
        if !events.query.is_empty() {
            self.load(&events.query);
            transform::delta(&mut self.values, Column::Query.width());
            self.store(Column::Query, Transform::Delta)?;
        }
        if !events.signal.is_empty() {
            self.load(&events.interruptions);
            self.store(Column::Interruptions, Transform::Plain)?;
            self.load(&events.signal);
            self.store(Column::Signal, Transform::Plain)?;
        }
        if !events.witnesses.is_empty() {
            self.load(&events.sleep);
            self.column(Column::Sleep, ColumnWriter::write_names)?;
            self.load(&events.pages_read);
            self.store(Column::PagesRead, Transform::Plain)?;
            self.load(&events.witnesses);
            self.store(Column::Witnesses, Transform::Plain)?;
        }
        if !events.pages_before.is_empty() {
            self.load(&events.pages_before);
            self.store(Column::PagesBefore, Transform::Plain)?;
        }
        Ok(())
    }

    /// One value per event, run after run.
    fn load<T: Copy + Into<u64>>(&mut self, column: &[T]) {
        self.values.clear();
        if self.runs.len() == 1 {
            self.values.extend(column.iter().map(|value| (*value).into()));
        } else {
            let rows = self.order.iter();
            self.values.extend(rows.map(|row| column[*row as usize].into()));
        }
    }

    fn run_column(&mut self, column: Column, by: Transform, of: fn(&(RunKey, u32)) -> u32) -> Result<()> {
        self.values.clear();
        self.values.extend(self.runs.iter().map(|run| u64::from(of(run))));
        if by == Transform::Delta {
            transform::delta(&mut self.values, column.width());
        }
        self.store(column, by)
    }

    /// Stores what a transform left in the values.
    fn store(&mut self, column: Column, by: Transform) -> Result<()> {
        self.column(column, |writer, values, width, out| {
            Ok((by, writer.write(values, width, out)?))
        })
    }

    fn column(
        &mut self,
        column: Column,
        write: impl FnOnce(
            &mut ColumnWriter,
            &[u64],
            usize,
            &mut Vec<u8>,
        ) -> std::io::Result<(Transform, Storage)>,
    ) -> Result<()> {
        let start = self.bodies.len();
        let encoding = write(&mut self.writer, &self.values, column.width(), &mut self.bodies)?;
        self.enter(column, encoding, start);
        Ok(())
    }

    /// Puts a column into the directory whose body begins at `start`.
    fn enter(&mut self, column: Column, (by, storage): (Transform, Storage), start: usize) {
        let stored = self.bodies.len() - start;
        self.entries.push(Entry::new(column as u8, by, storage, stored));
    }
}

fn range(ids: impl Iterator<Item = u32> + Clone) -> (u32, u32) {
    (
        ids.clone().min().unwrap_or_default(),
        ids.max().unwrap_or_default(),
    )
}
