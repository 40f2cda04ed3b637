//! Queries: runs of accesses that are announced by probes, and what each cost by the kernel's own counts.
//!
//! Recorders take the probes `pf:query_begin(id, name)` and `pf:query_end(id)` for the borders of a query; a
//! measurement lies just inside of them, so that the two must agree to the fault. Nothing here may fault
//! after the warm-up: memory is ready, and the warm-up takes the same way except for the probes themselves.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, BufWriter, Write};

use anyhow::{Context, Result};
use probe::probe;

use super::cli::QuerySizes;
use super::kernel::{Faults, now_ns, thread_faults};
use super::walked::{Ended, Query, QueryCost, Walked};

/// Queries of one thread.
#[derive(Debug)]
pub(super) struct Queries {
    sizes: QuerySizes,
    announced: bool,
    names: [CString; 2],
    /// Ids are first, first + step, …
    next_id: u64,
    id_step: u64,
    /// Those that are open: the outer one and the one inside of it.
    open: [Option<Open>; 2],
    total: QueryCost,
    ended: [u64; 2],
    rows: Vec<Query>,
    rows_used: usize,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    id: u64,
    begin_ns: u64,
    before: Faults,
    cost: QueryCost,
}

const OUTER: usize = 0;
const INNER: usize = 1;

impl Queries {
    /// For thread number `thread` of `threads`, which makes `count` accesses. `announced`: with probes.
    pub(super) fn new(
        sizes: QuerySizes,
        pattern: &str,
        count: u64,
        (thread, threads): (u32, u32),
        announced: bool,
    ) -> Result<Self> {
        let mut rows = Vec::new();
        if sizes.reported {
            let wanted = usize::try_from(sizes.queries(count))?;
            let reserved = rows.try_reserve_exact(wanted);
            reserved.with_context(|| format!("--query-report: no memory for {wanted} queries per thread"))?;
            rows.resize(wanted, Query::default());
        }
        Ok(Self {
            sizes,
            announced,
            names: [CString::new(pattern)?, CString::new(format!("{pattern}-inner"))?],
            next_id: u64::from(thread) + 1,
            id_step: u64::from(threads),
            open: [None; 2],
            total: QueryCost::default(),
            ended: [0; 2],
            rows,
            rows_used: 0,
        })
    }

    /// Writes to all of the memory, so that the walk does not fault in it, nor a recorder in the names.
    pub(super) fn fault_in(&mut self) {
        for row in &mut self.rows {
            // SAFETY: a valid, aligned and exclusive reference. Volatile, or the compiler may drop a
            // write of what is already there.
            unsafe { std::ptr::from_mut(&mut row.id).write_volatile(0) };
        }
    }

    /// To be called before access number `index` of the thread.
    #[inline]
    pub(super) fn before_access(&mut self, index: u64) {
        let within = index % self.sizes.outer;
        if within == 0 {
            self.begin(OUTER);
        }
        if self.sizes.begins_inner(within) {
            self.begin(INNER);
        }
    }

    /// To be called after access number `index`, with what it cost.
    #[inline]
    pub(super) fn after_access(&mut self, index: u64, cost: Faults, took_ns: u64, is_last: bool) {
        let waited_ns = if cost == Faults::default() { 0 } else { took_ns };
        for open in self.open.iter_mut().flatten() {
            open.cost.accesses += 1;
            open.cost.wait_ns += waited_ns;
        }
        let within = index % self.sizes.outer;
        let ends = is_last || within + 1 == self.sizes.outer;
        if ends || self.sizes.ends_inner(within) {
            self.end(INNER);
        }
        if ends {
            self.end(OUTER);
        }
    }

    /// Not inlined: one probe, whose page the warm-up has touched.
    #[inline(never)]
    fn begin(&mut self, level: usize) {
        let id = self.next_id;
        self.next_id += self.id_step;
        if self.announced {
            let name: &CStr = &self.names[level];
            probe!(pf, query_begin, id, name.as_ptr());
        }
        let begin_ns = now_ns();
        self.open[level] = Some(Open {
            id,
            begin_ns,
            before: thread_faults(),
            cost: QueryCost::default(),
        });
    }

    #[inline(never)]
    fn end(&mut self, level: usize) {
        let Some(mut open) = self.open[level].take() else {
            return;
        };
        open.cost.faults = thread_faults().since(open.before);
        open.cost.wall_ns = now_ns().saturating_sub(open.begin_ns);
        if self.announced {
            probe!(pf, query_end, open.id);
        }
        let parent = match level {
            INNER => self.open[OUTER].map_or(0, |outer| outer.id),
            _ => 0,
        };
        if level == OUTER {
            self.total.add(open.cost);
        }
        self.ended[level] += 1;
        if let Some(row) = self.rows.get_mut(self.rows_used) {
            *row = Query {
                id: open.id,
                parent,
                cost: open.cost,
            };
            self.rows_used += 1;
        }
    }

    pub(super) fn into_ended(mut self) -> Ended {
        self.rows.truncate(self.rows_used);
        Ended {
            total: self.total,
            outer: self.ended[OUTER],
            inner: self.ended[INNER],
            names: self.names,
            rows: self.rows,
        }
    }
}

/// Writes one line per query, thread after thread. The cost of a query has that of those inside of it in it.
pub(super) fn write_csv(file: File, workers: &[Walked]) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    writeln!(
        out,
        "id,thread,tid,name,accesses,majors,minors,wait_ns,wall_ns,parent"
    )?;
    for (thread, worker) in workers.iter().enumerate() {
        let Some(queries) = &worker.queries else { continue };
        for Query { id, parent, cost } in &queries.rows {
            let level = if *parent == 0 { OUTER } else { INNER };
            writeln!(
                out,
                "{id},{thread},{},{},{},{},{},{},{},{parent}",
                worker.tid,
                queries.names[level].to_string_lossy(),
                cost.accesses,
                cost.faults.majors,
                cost.faults.minors,
                cost.wait_ns,
                cost.wall_ns,
            )?;
        }
    }
    out.flush()
}
