//! Events to the payload of a block. The buffers are kept from block to block.

use std::collections::HashMap;

use super::BlockInfo;
use super::layout::{Column, Encoding, Entry, PAGE_BITS};
use super::planes::PlaneWriter;
use super::residual;
use crate::columns::pack_class;
use crate::error::Result;
use crate::{Breakdown, Event, QueryId, StackId};

/// A run is the events of one thread under one name.
type RunKey = (u32, u32, u32);

/// One of the four numbers of a breakdown.
type Part = fn(&Breakdown) -> u64;

/// Rows looked at to choose an encoding, in slices spread over the block.
const SAMPLE_SLICES: usize = 8;
const SAMPLE_ROWS: usize = 512;

/// Encodes blocks one after another.
pub(crate) struct BlockEncoder {
    planes: PlaneWriter,
    /// Runs in the order in which they first occur, with their number of events.
    runs: Vec<(RunKey, u32)>,
    run_numbers: HashMap<RunKey, u32>,
    run_of: Vec<u32>,
    sorted: Vec<Event>,
    values: Vec<u64>,
    latencies: Vec<u64>,
    pages: Vec<u64>,
    objects: Vec<u64>,
    sample: Vec<u64>,
    trial: Vec<u8>,
    entries: Vec<Entry>,
    bodies: Vec<u8>,
}

impl BlockEncoder {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            planes: PlaneWriter::new()?,
            runs: Vec::new(),
            run_numbers: HashMap::new(),
            run_of: Vec::new(),
            sorted: Vec::new(),
            values: Vec::new(),
            latencies: Vec::new(),
            pages: Vec::new(),
            objects: Vec::new(),
            sample: Vec::new(),
            trial: Vec::new(),
            entries: Vec::new(),
            bodies: Vec::new(),
        })
    }

    /// Appends the payload of a block of these events (at least one) to `out`. The returned offset is 0:
    /// only the caller knows it.
    pub(crate) fn encode(&mut self, events: &[Event], out: &mut Vec<u8>) -> Result<BlockInfo> {
        self.group(events);
        let info = self.statistics();
        self.entries.clear();
        self.bodies.clear();
        self.encode_runs()?;
        self.encode_times(info.ts_min)?;
        self.encode_places()?;
        self.encode_rest()?;
        self.encode_optional()?;
        info.put_stats(out);
        out.extend_from_slice(&(self.runs.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        for entry in &self.entries {
            entry.put(out);
        }
        out.extend_from_slice(&self.bodies);
        Ok(info)
    }

    /// Counting sort by run; the order within a run is kept.
    fn group(&mut self, events: &[Event]) {
        self.runs.clear();
        self.run_numbers.clear();
        self.run_of.clear();
        let mut last: Option<(RunKey, u32)> = None;
        for event in events {
            let key = (event.pid, event.tid, event.comm.0);
            let number = match last {
                Some((last_key, number)) if last_key == key => number,
                _ => *self.run_numbers.entry(key).or_insert_with(|| {
                    self.runs.push((key, 0));
                    self.runs.len() as u32 - 1
                }),
            };
            last = Some((key, number));
            self.runs[number as usize].1 += 1;
            self.run_of.push(number);
        }
        let mut order: Vec<usize> = (0..self.runs.len()).collect();
        order.sort_unstable_by_key(|number| self.runs[*number].0);
        let mut next = vec![0u32; self.runs.len()];
        let mut start = 0;
        for number in &order {
            next[*number] = start;
            start += self.runs[*number].1;
        }
        self.runs.sort_unstable_by_key(|run| run.0);
        self.sorted.resize(events.len(), Event::default());
        for (event, number) in events.iter().zip(&self.run_of) {
            let place = &mut next[*number as usize];
            self.sorted[*place as usize] = *event;
            *place += 1;
        }
    }

    fn statistics(&self) -> BlockInfo {
        let mut info = BlockInfo {
            events: self.sorted.len() as u32,
            ts_min: u64::MAX,
            page_min: u64::MAX,
            latency_min: u64::MAX,
            ..BlockInfo::default()
        };
        for event in &self.sorted {
            let page = event.address >> PAGE_BITS;
            info.ts_min = info.ts_min.min(event.ts_ns);
            info.ts_max = info.ts_max.max(event.ts_ns);
            info.end_max = info.end_max.max(event.ts_ns.saturating_add(event.latency_ns));
            info.page_min = info.page_min.min(page);
            info.page_max = info.page_max.max(page);
            info.latency_min = info.latency_min.min(event.latency_ns);
            info.latency_max = info.latency_max.max(event.latency_ns);
            info.majors += u32::from(event.major && !event.failed);
        }
        let threads = self
            .runs
            .chunk_by(|(left, _), (right, _)| (left.0, left.1) == (right.0, right.1));
        info.threads = threads.count() as u32;
        info
    }

    fn encode_runs(&mut self) -> Result<()> {
        self.run_column(Column::RunPid, Encoding::Delta, |run| run.0.0)?;
        self.run_column(Column::RunTid, Encoding::Delta, |run| run.0.1)?;
        self.run_column(Column::RunComm, Encoding::Delta, |run| run.0.2)?;
        self.run_column(Column::RunLength, Encoding::Plain, |run| run.1)
    }

    fn encode_times(&mut self, ts_min: u64) -> Result<()> {
        self.load(|event| event.latency_ns);
        self.latencies.clone_from(&self.values);
        self.store(Column::Latency, Encoding::Plain)?;
        self.load(|event| event.ts_ns);
        let mut start = 0;
        for (_, count) in &self.runs {
            let end = start + *count as usize;
            residual::gap(&mut self.values[start..end], &self.latencies[start..end], ts_min);
            start = end;
        }
        self.store(Column::Ts, Encoding::Gap)
    }

    fn encode_places(&mut self) -> Result<()> {
        self.load(|event| event.address >> PAGE_BITS);
        self.pages.clone_from(&self.values);
        let encoding = self.smaller_encoding(Column::Page)?;
        self.column(Column::Page, encoding)?;
        self.load(|event| event.address & ((1 << PAGE_BITS) - 1));
        self.store(Column::PageOffset, Encoding::Plain)?;
        self.load(|event| event.object.0.into());
        self.objects.clone_from(&self.values);
        self.column(Column::Object, Encoding::Delta)?;
        self.load(|event| event.object_page);
        residual::follow(&mut self.values, &self.objects, &self.pages);
        self.store(Column::ObjectPage, Encoding::Follow)
    }

    fn encode_rest(&mut self) -> Result<()> {
        self.load(|event| event.ip);
        self.column(Column::Ip, Encoding::Delta)?;
        self.load(|event| event.cpu.into());
        self.column(Column::Cpu, Encoding::Delta)?;
        self.load(|event| pack_class(event).into());
        self.store(Column::Class, Encoding::Plain)?;
        self.load(|event| event.retries.into());
        self.store(Column::Retries, Encoding::Plain)
    }

    /// Columns that are left out of a block in which no event has a value for them.
    fn encode_optional(&mut self) -> Result<()> {
        if self.sorted.iter().any(|event| event.breakdown.is_some()) {
            let parts: [(Column, Part); 4] = [
                (Column::Blocked, |breakdown| breakdown.blocked_ns),
                (Column::Runqueue, |breakdown| breakdown.runqueue_ns),
                (Column::Reclaim, |breakdown| breakdown.reclaim_ns),
                (Column::Lock, |breakdown| breakdown.lock_ns),
            ];
            for (column, part) in parts {
                self.load(|event| event.breakdown.as_ref().map_or(0, part));
                self.store(column, Encoding::Plain)?;
            }
        }
        if self.sorted.iter().any(|event| event.stack != StackId(0)) {
            self.load(|event| event.stack.0.into());
            self.column(Column::Stack, Encoding::Delta)?;
        }
        if self.sorted.iter().any(|event| event.query != QueryId(0)) {
            self.load(|event| event.query.0);
            self.column(Column::Query, Encoding::Delta)?;
        }
        Ok(())
    }

    fn load(&mut self, field: impl Fn(&Event) -> u64) {
        self.values.clear();
        self.values.extend(self.sorted.iter().map(field));
    }

    fn run_column(
        &mut self,
        column: Column,
        encoding: Encoding,
        of: fn(&(RunKey, u32)) -> u32,
    ) -> Result<()> {
        self.values.clear();
        self.values.extend(self.runs.iter().map(|run| u64::from(of(run))));
        self.column(column, encoding)
    }

    /// Predicts the values from each other, then stores them.
    fn column(&mut self, column: Column, encoding: Encoding) -> Result<()> {
        if encoding == Encoding::Delta {
            residual::delta(&mut self.values, column.width());
        }
        self.store(column, encoding)
    }

    /// Tries a sample both ways: random access is smaller as it is, a walk as differences.
    fn smaller_encoding(&mut self, column: Column) -> Result<Encoding> {
        let stride = self.values.len().div_ceil(SAMPLE_SLICES).max(SAMPLE_ROWS);
        self.sample.clear();
        for slice in self.values.chunks(stride) {
            self.sample
                .extend_from_slice(&slice[..slice.len().min(SAMPLE_ROWS)]);
        }
        self.trial.clear();
        self.planes.write(&self.sample, column.width(), &mut self.trial)?;
        let plain = self.trial.len();
        residual::delta(&mut self.sample, column.width());
        self.planes.write(&self.sample, column.width(), &mut self.trial)?;
        let delta = self.trial.len() - plain;
        Ok(if delta < plain {
            Encoding::Delta
        } else {
            Encoding::Plain
        })
    }

    fn store(&mut self, column: Column, encoding: Encoding) -> Result<()> {
        let start = self.bodies.len();
        self.planes
            .write(&self.values, column.width(), &mut self.bodies)?;
        self.entries.push(Entry {
            id: column as u8,
            encoding: encoding as u8,
            stored: (self.bodies.len() - start) as u32,
            raw: (self.values.len() * column.width()) as u32,
            start,
        });
        Ok(())
    }
}
