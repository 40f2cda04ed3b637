//! What is printed at the end: the run, its threads, and the kernel's counts.

use std::fmt::Write;

use anyhow::Result;
use serde::Serialize;

use super::cli::{Advice, Memory, Options, QuerySizes};
use super::kernel::{Faults, process_faults};
use super::source::Source;
use super::walked::{QueryCost, Walked};

/// Everything there is to say about a run; the JSON object has these fields.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Null for anonymous memory.
    file: Option<String>,
    temporary: bool,
    size_bytes: u64,
    page_size: u64,
    pages: u64,
    pattern: &'static str,
    advice: Advice,
    write: bool,
    seed: u64,
    /// Whether each thread had a part of the memory of its own.
    split: bool,
    accesses_per_thread: u64,
    evicted: bool,
    /// Null without an eviction, or if the kernel does not tell.
    resident_after_evict: Option<u64>,
    /// Of all bytes touched; hexadecimal, since JSON readers round large numbers.
    checksum: String,
    threads: Vec<ThreadLine>,
    /// Null without `--query-size`.
    queries: Option<QueryTotals>,
    /// Of the whole process, from its start: more than the threads' walks.
    process: Faults,
}

/// Of all threads; what queries inside others cost is in those others.
#[derive(Debug, Serialize)]
struct QueryTotals {
    size: u64,
    count: u64,
    nested_size: Option<u64>,
    nested_count: u64,
    #[serde(flatten)]
    cost: QueryCost,
}

#[derive(Debug, Serialize)]
struct ThreadLine {
    tid: u32,
    comm: String,
    accesses: u64,
    majors: u64,
    minors: u64,
    begin_ns: u64,
    end_ns: u64,
    /// Not in the table, which has no room for it.
    cpu_ns: u64,
}

impl Report {
    pub(super) fn new(options: &Options, source: &Source, workers: &[Walked]) -> Self {
        let (temporary, evicted) = match options.memory {
            Memory::File { evict, .. } => (false, evict),
            Memory::Temporary { evict, .. } => (true, evict),
            Memory::Anonymous { .. } => (false, false),
        };
        let checksum = workers
            .iter()
            .fold(0_u64, |sum, worker| sum.rotate_left(1) ^ worker.checksum);
        Self {
            file: source
                .path
                .as_ref()
                .map(|path| path.to_string_lossy().into_owned()),
            temporary,
            size_bytes: source.ground.size_bytes(),
            page_size: source.ground.page_size(),
            pages: source.ground.pages(),
            pattern: options.pattern.shape.name(),
            advice: options.advice,
            write: options.write,
            seed: options.pattern.seed,
            split: options.split,
            accesses_per_thread: options.count,
            evicted,
            resident_after_evict: source.resident_after_evict,
            checksum: format!("{checksum:016x}"),
            threads: workers.iter().map(ThreadLine::new).collect(),
            queries: options.queries.map(|sizes| QueryTotals::new(sizes, workers)),
            process: process_faults(),
        }
    }

    pub(super) fn json(&self) -> Result<String> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }

    pub(super) fn table(&self) -> String {
        let mut text = self.header();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:>8} {:<15} {:>10} {:>9} {:>9} {:>11} {:>18} {:>18}",
            "TID", "COMM", "ACCESSES", "MAJOR", "MINOR", "WALL_MS", "BEGIN_NS", "END_NS"
        );
        for ThreadLine {
            tid,
            comm,
            accesses,
            majors,
            minors,
            begin_ns,
            end_ns,
            cpu_ns: _,
        } in &self.threads
        {
            let wall_ms = milliseconds(*begin_ns, *end_ns);
            let _ = writeln!(
                text,
                "{tid:>8} {comm:<15} {accesses:>10} {majors:>9} {minors:>9} {wall_ms:>11.3} {begin_ns:>18} {end_ns:>18}"
            );
        }
        text.push_str(&self.totals());
        if let Some(queries) = &self.queries {
            text.push_str(&queries.line());
        }
        text
    }

    fn header(&self) -> String {
        let file = self.file.as_deref().unwrap_or("(anonymous memory)");
        let removed = if self.temporary {
            " (temporary, removed)"
        } else {
            ""
        };
        let access = if self.write { "write" } else { "read" };
        let advice = match self.advice {
            Advice::Normal => "normal",
            Advice::Random => "random",
            Advice::Sequential => "sequential",
        };
        let evicted = match (self.evicted, self.resident_after_evict) {
            (false, _) => "no".to_owned(),
            (true, Some(pages)) => format!("yes, {pages} pages remained"),
            (true, None) => "asked for, result unknown".to_owned(),
        };
        let threads = match self.threads.len() {
            1 => "1 thread".to_owned(),
            several => format!("{several} threads"),
        };
        format!(
            "file:     {file}{removed}\n\
             size:     {} bytes, {} pages of {}\n\
             pattern:  {}, {access}, {threads} × {} accesses, seed {}, advice {advice}\n\
             evicted:  {evicted}\n\
             checksum: {}\n\n",
            self.size_bytes,
            self.pages,
            self.page_size,
            self.pattern,
            self.accesses_per_thread,
            self.seed,
            self.checksum,
        )
    }

    fn totals(&self) -> String {
        let sum = |field: fn(&ThreadLine) -> u64| self.threads.iter().map(field).fold(0, u64::saturating_add);
        let begin_ns = self.threads.iter().map(|line| line.begin_ns).min().unwrap_or(0);
        let end_ns = self.threads.iter().map(|line| line.end_ns).max().unwrap_or(0);
        format!(
            "{:>8} {:<15} {:>10} {:>9} {:>9} {:>11.3} {begin_ns:>18} {end_ns:>18}\n\
             {:>8} {:<15} {:>10} {:>9} {:>9}\n",
            "total",
            "",
            sum(|line| line.accesses),
            sum(|line| line.majors),
            sum(|line| line.minors),
            milliseconds(begin_ns, end_ns),
            "process",
            "(since start)",
            "",
            self.process.majors,
            self.process.minors,
        )
    }
}

impl QueryTotals {
    fn new(sizes: QuerySizes, workers: &[Walked]) -> Self {
        let mut totals = Self {
            size: sizes.outer,
            count: 0,
            nested_size: sizes.inner,
            nested_count: 0,
            cost: QueryCost::default(),
        };
        for ended in workers.iter().filter_map(|worker| worker.queries.as_ref()) {
            totals.count += ended.outer;
            totals.nested_count += ended.inner;
            totals.cost.add(ended.total);
        }
        totals
    }

    fn line(&self) -> String {
        let QueryCost {
            accesses,
            faults,
            wait_ns,
            wall_ns,
        } = self.cost;
        let inside = match self.nested_size {
            Some(size) => format!(", {} of {size} inside of them", self.nested_count),
            None => String::new(),
        };
        format!(
            "\nqueries:  {} of {} accesses{inside}; {accesses} accesses, {} majors, {} minors in all; \
             {:.3} of {:.3} ms waited\n",
            self.count,
            self.size,
            faults.majors,
            faults.minors,
            milliseconds(0, wait_ns),
            milliseconds(0, wall_ns),
        )
    }
}

impl ThreadLine {
    fn new(worker: &Walked) -> Self {
        Self {
            tid: worker.tid,
            comm: worker.comm.clone(),
            accesses: worker.accesses,
            majors: worker.faults.majors,
            minors: worker.faults.minors,
            begin_ns: worker.begin_ns,
            end_ns: worker.end_ns,
            cpu_ns: worker.cpu_ns,
        }
    }
}

fn milliseconds(begin_ns: u64, end_ns: u64) -> f64 {
    end_ns.saturating_sub(begin_ns) as f64 / 1e6
}
