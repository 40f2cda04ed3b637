//! First thread of the hot path: empties the kernel's rings into batches, and does the fault accounting.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Result;
use pf_bpf::{Drops, EventCheck, Injected, Probes, Record, Ring, SETTLE_NS};
use pf_formats::LossReason;

use crate::{
    clock::monotonic_ns,
    pipeline::backlog::{Backlog, Dropped, besides},
    pipeline::ledger::{Balance, Ledger},
    pipeline::sideband::{SidebandLoss, SidebandRings, What},
    queries::Later,
    target::family::Family,
};

/// Longest sleep between two looks at the rings.
const INTERVAL: Duration = Duration::from_millis(50);

/// A burst of faults waits in the lanes so long, nanoseconds, if there is room: what `kill -9` can cost besides the
/// open block. Where there are not enough CPUs for both, the recorded program goes first.
const PATIENCE_NS: u64 = 250_000_000;

/// Fewer faults than this are no burst: draining them costs next to nothing.
const FEW: u64 = 1 << 12;

/// More faults than this do not wait.
const MANY: u64 = 1 << 19;

/// Niceness of this thread: it has little to do, and what it misses is lost. Without the right to it things
/// stay as they are.
const URGENT: i32 = -15;

/// How long the end waits for faults that are on their way.
const GRACE: Duration = Duration::from_millis(200);

/// Figures for the spinner.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Faults drained.
    pub events: AtomicU64,
    /// Faults lost, all reasons.
    pub lost: AtomicU64,
    /// Bytes handed to the file.
    pub bytes: AtomicU64,
}

/// What the drain knows when it is over.
#[derive(Debug)]
pub struct Drained {
    /// The fault accounting.
    pub balance: Balance,
    /// What the probes met, against the kernel's own count.
    pub check: EventCheck,
    /// What was made to go wrong, in tests.
    pub injected: Injected,
    /// Which processes nobody waited for, and what the kernel counted for them.
    pub unwaited: Vec<(String, u64)>,
    /// Dropped because the encoder was too far behind.
    pub dropped: Dropped,
    /// When recording ended, nanoseconds of `CLOCK_MONOTONIC`.
    pub end_ns: u64,
    /// The probes' own counts of what they dropped.
    pub drops: Drops,
    /// What came from the probes and was no record.
    pub malformed: u64,
    /// Side-band records that the kernel lost.
    pub sideband_lost: u64,
    /// CPUs that came online while recording.
    pub cpus_added: usize,
    /// Query probes that turned up later and could not be attached.
    pub probes_failed: u64,
}

/// Empties the rings until told to stop.
pub struct Drain {
    /// The attached probes.
    pub probes: Probes,
    /// The side-band rings.
    pub sideband: SidebandRings,
    /// Towards the encoder.
    pub backlog: Backlog,
    /// Looks for query probes in files that are mapped later.
    pub later: Option<Later>,
    /// The launched command and its descendants.
    pub family: Family,
    /// Set to stop.
    pub stop: Arc<AtomicBool>,
    /// For the spinner.
    pub gauges: Arc<Gauges>,
    /// When the recording began, nanoseconds of `CLOCK_MONOTONIC`; this thread may run much later for the first time.
    pub start_ns: u64,
}

/// What a drain takes.
enum Reach {
    /// What no record still on its way can precede.
    Settled,
    /// All there is; the recording ended at this time, nanoseconds of `CLOCK_MONOTONIC`.
    Everything(u64),
}

/// State from one drain to the next.
struct Progress {
    ring: Ring,
    ledger: Ledger,
    drops: Drops,
    malformed: u64,
    sideband_lost: u64,
    cpus_added: usize,
    probes_failed: u64,
    /// Of side-band records read since the last pass.
    sideband: SidebandLoss,
    /// Ends of threads by the side-band, with their times, until what the probes told before them was taken.
    ends: Vec<(u64, u32)>,
    last_ns: u64,
}

impl Progress {
    /// Whether what is in the lanes can stay there until the next look.
    fn can_wait(&self) -> bool {
        (FEW..MANY).contains(&self.ring.waiting())
            && monotonic_ns().saturating_sub(self.last_ns) < PATIENCE_NS
    }
}

impl Drain {
    /// Runs on its own thread. Ends when `stop` is set or the encoder is gone.
    pub fn run(mut self) -> Result<Drained> {
        // SAFETY: changes the niceness of the calling thread only.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, URGENT) };
        let mut progress = Progress {
            ring: self.probes.ring()?,
            ledger: Ledger::default(),
            drops: Drops::default(),
            malformed: 0,
            sideband_lost: 0,
            cpus_added: 0,
            probes_failed: 0,
            sideband: SidebandLoss::default(),
            ends: Vec::new(),
            last_ns: self.start_ns,
        };
        let mut encoder_alive = true;
        while encoder_alive && !self.stop.load(Relaxed) {
            self.probes.expect_wake_up();
            let called = progress.ring.wait(&self.sideband.files(), INTERVAL)?;
            progress.cpus_added += self.probes.follow_cpus()?;
            self.sideband.follow_cpus()?;
            if called || !progress.can_wait() {
                encoder_alive = self.pass(&mut progress, Reach::Settled)?;
            } else {
                let sideband = self.read_sideband(&mut progress);
                progress.sideband.add(sideband);
            }
        }
        let end_ns = monotonic_ns();
        self.probes.stop(end_ns);
        let in_flight = self.settle();
        self.probes.tell_open_queries()?;
        let check = self.probes.finish_check();
        self.pass(&mut progress, Reach::Everything(end_ns))?;
        if in_flight > 0 {
            let pending = &mut self.backlog.pending;
            pending.lose(LossReason::InFlight, in_flight, end_ns, monotonic_ns());
        }
        let seen_lost = progress.drops.reserve + progress.drops.no_entry;
        Ok(Drained {
            balance: progress.ledger.balance().with_losses(seen_lost),
            check,
            injected: self.probes.injected(),
            unwaited: self.family.unwaited(&progress.ledger.by_process()),
            dropped: self.backlog.finish(),
            end_ns,
            drops: progress.drops,
            malformed: progress.malformed,
            sideband_lost: progress.sideband_lost,
            cpus_added: progress.cpus_added,
            probes_failed: progress.probes_failed,
        })
    }

    /// One drain. False when the encoder is gone.
    fn pass(&mut self, progress: &mut Progress, reach: Reach) -> Result<bool> {
        let now = monotonic_ns();
        let batch = &mut self.backlog.pending;
        let mut faults = 0;
        let ledger = &mut progress.ledger;
        let (records, large) = (&mut batch.records, &mut batch.besides);
        records.reserve(usize::try_from(progress.ring.waiting()).unwrap_or(0));
        let take = |record: Record| {
            match &record {
                Record::Fault(fault) => {
                    faults += 1;
                    ledger.fault(fault);
                }
                Record::Exit(exit) => ledger.exit(exit),
                Record::Exec(exec) => ledger.exec(exec),
                Record::Stack(_) | Record::KernelStack(_) | Record::Query(_) | Record::QueryText(_) => {
                    *large += besides(&record);
                }
                Record::HiddenWait(_) | Record::Wake => {}
            }
            records.push(record);
        };
        let (settled, stopped) = match reach {
            Reach::Settled => (progress.ring.drain(now, take)?, u64::MAX),
            Reach::Everything(end_ns) => {
                progress.ring.drain_all(take)?;
                // An end after the recording is told by nobody else.
                (u64::MAX, end_ns)
            }
        };
        batch.horizon_ns = settled.min(now.saturating_sub(SETTLE_NS));
        // After the faults: a mapping is always on record before the first fault on it.
        let mut sideband = self.read_sideband(progress);
        let ledger = &mut progress.ledger;
        progress.ends.retain(|&(ts_ns, tid)| {
            let is_over = ts_ns <= settled;
            if is_over && ts_ns < stopped {
                ledger.ended(tid);
            }
            !is_over
        });
        sideband.add(std::mem::take(&mut progress.sideband));
        self.gauges.events.fetch_add(faults, Relaxed);
        self.note_losses(progress, sideband);
        let before = self.backlog.dropped;
        let encoder_alive = self.backlog.offer(now);
        let after = self.backlog.dropped;
        let dropped = after.faults + after.failed - before.faults - before.failed;
        self.gauges.lost.fetch_add(dropped, Relaxed);
        Ok(encoder_alive)
    }

    /// Empties the side-band rings, and attaches what they tell of.
    fn read_sideband(&mut self, progress: &mut Progress) -> SidebandLoss {
        let sideband = &mut self.backlog.pending.sideband;
        let before = sideband.len();
        let loss = self.sideband.drain(sideband);
        for record in &sideband[before..] {
            self.family.look_at(record);
            if record.what == What::Exit {
                progress.ends.push((record.ts_ns, record.tid));
            }
        }
        if let Some(later) = &mut self.later {
            later.look_at(&sideband[before..]);
            progress.probes_failed += later.attach_found(&mut self.probes);
        }
        loss
    }

    /// Turns the probes' counters into losses of the interval since the last pass.
    fn note_losses(&mut self, progress: &mut Progress, sideband: SidebandLoss) {
        // On both sides of the reading, however long somebody stopped this thread meanwhile.
        let from = std::mem::replace(&mut progress.last_ns, monotonic_ns());
        let drops = self.probes.drops();
        let to = monotonic_ns();
        let before = progress.drops;
        let malformed = progress.ring.malformed();
        let reasons = [
            (
                LossReason::Reserve,
                (drops.reserve + drops.failed).saturating_sub(before.reserve + before.failed),
            ),
            (
                LossReason::NoEntry,
                drops.no_entry.saturating_sub(before.no_entry),
            ),
            (LossReason::State, drops.state.saturating_sub(before.state)),
            (
                LossReason::Recursion,
                drops.recursion.saturating_sub(before.recursion),
            ),
            (
                LossReason::Unfinished,
                drops.unfinished.saturating_sub(before.unfinished),
            ),
            (LossReason::Exits, drops.exits.saturating_sub(before.exits)),
            (LossReason::Stack, drops.stacks.saturating_sub(before.stacks)),
            (LossReason::Query, drops.queries.saturating_sub(before.queries)),
            (LossReason::Queue, malformed - progress.malformed),
            (LossReason::Sideband, sideband.lost + sideband.malformed),
        ];
        for (reason, count) in reasons {
            if count > 0 {
                let pending = &mut self.backlog.pending;
                pending.lose(reason, count, from, to);
                if reason.costs_events() {
                    self.gauges.lost.fetch_add(count, Relaxed);
                }
            }
        }
        progress.sideband_lost += sideband.lost + sideband.malformed;
        progress.drops = drops;
        progress.malformed = malformed;
    }

    /// Waits a little for faults on their way; returns how many are still open.
    fn settle(&mut self) -> u64 {
        let started = std::time::Instant::now();
        loop {
            // Where the kernel cannot iterate over tasks the count is not known.
            let open = self.probes.in_flight().unwrap_or(0);
            if open == 0 || started.elapsed() > GRACE {
                return open;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
