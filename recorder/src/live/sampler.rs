//! Reads the counts in the kernel: often, to free the slots of threads that have ended, and once in each
//! interval, to show them.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use crossbeam_channel::{Sender, TrySendError};
use pf_bpf::{Live, LiveCounts, LiveThread};

use super::{
    lines,
    printer::TextSlot,
    threads::{Interval, Threads},
};
use crate::{
    cli::Format,
    clock::{monotonic_ns, utc_offset_ns},
    pipeline::accounting::Accounts,
};

/// How often slots are freed.
const PASS: Duration = Duration::from_millis(50);

/// Where intervals go.
pub enum Display {
    /// To the printer, as lines.
    Lines(TextSlot, Format),
    /// To the screen.
    Screen(Sender<Interval>),
}

/// Counting beside a recording: a thread of its own, which asks nothing of the others.
pub struct Following {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Sampler>>,
}

impl Following {
    /// Starts it.
    pub fn start(live: Live, display: Display, interval: Duration) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let mut sampler = Sampler::new(live, display, interval);
        let thread = Builder::new()
            .name("pfrec-live".to_owned())
            .spawn(move || sampler.run(&stopped, || Ok(())).map(|()| sampler))
            .context("cannot start pfrec-live")?;
        Ok(Self { stop, thread })
    }

    /// Takes what is left. To be called when the probes are silent.
    pub fn finish(self) -> Option<Last> {
        self.stop.store(true, Relaxed);
        // It reads memory only; a panic was reported.
        let sampler = self.thread.join().ok()?.ok()?;
        Some(sampler.finish())
    }
}

/// What was left at the end, and is not shown yet.
pub struct Last {
    /// From the one that was shown last to the end.
    pub interval: Interval,
    display: Display,
}

impl Last {
    /// Shows it, with the accounts if there are any.
    pub fn show(&self, accounts: Option<&Accounts>) {
        if let Display::Lines(slot, format) = &self.display {
            slot.print(match format {
                Format::Table => lines::text(&self.interval),
                Format::Json => lines::json(&self.interval, Some(accounts)),
            });
        }
    }
}

/// Follows the threads from one interval to the next.
pub struct Sampler {
    live: Live,
    threads: Threads,
    display: Display,
    interval: Duration,
    start_ns: u64,
    shown_ns: u64,
    /// Of the latest look: threads with a slot, and all others together.
    alive: Vec<LiveThread>,
    crowd: LiveCounts,
}

impl Sampler {
    /// Counts from now on.
    #[must_use]
    pub fn new(live: Live, display: Display, interval: Duration) -> Self {
        let now = monotonic_ns();
        Self {
            live,
            threads: Threads::default(),
            display,
            interval,
            start_ns: now,
            shown_ns: now,
            alive: Vec::new(),
            crowd: LiveCounts::default(),
        }
    }

    /// Works until `stop` is set; `each` is called in every pass.
    pub fn run(&mut self, stop: &Arc<AtomicBool>, mut each: impl FnMut() -> Result<()>) -> Result<()> {
        let mut due = Instant::now() + self.interval;
        while !stop.load(Relaxed) {
            std::thread::sleep(PASS.min(due.saturating_duration_since(Instant::now())));
            each()?;
            let threads = &mut self.threads;
            self.live.take_ended(|thread| threads.end(thread));
            let now = Instant::now();
            if now >= due {
                self.show();
                // An interval that was missed is part of the next one.
                while due <= now {
                    due += self.interval;
                }
            }
        }
        Ok(())
    }

    /// Takes what was left, when nothing is counted any more.
    pub fn finish(mut self) -> Last {
        let threads = &mut self.threads;
        self.live.take_ended(|thread| threads.end(thread));
        Last {
            interval: self.look(),
            display: self.display,
        }
    }

    fn show(&mut self) {
        let interval = self.look();
        let taken = match &self.display {
            Display::Lines(slot, Format::Table) => slot.try_print(lines::text(&interval)),
            Display::Lines(slot, Format::Json) => slot.try_print(lines::json(&interval, None)),
            // A screen that is gone was left by its reader.
            Display::Screen(screen) => {
                !matches!(screen.try_send(interval.clone()), Err(TrySendError::Full(_)))
            }
        };
        if !taken {
            return;
        }
        self.threads.shown(&self.alive, &interval, &self.crowd);
        self.shown_ns = self.start_ns + interval.elapsed_ns;
        self.bury_silent();
    }

    fn look(&mut self) -> Interval {
        let alive = &mut self.alive;
        alive.clear();
        self.live.for_each(|thread| alive.push(thread));
        let crowd = self.live.crowd();
        self.crowd.clone_from(&crowd.0);
        let now = monotonic_ns();
        Interval {
            utc_ns: now.wrapping_add_signed(utc_offset_ns()),
            length_ns: now - self.shown_ns,
            elapsed_ns: now - self.start_ns,
            slots: self.live.room(),
            ..self.threads.interval(alive, &crowd)
        }
    }

    /// The kernel can skip the probe that tells of a thread's end.
    fn bury_silent(&mut self) {
        for (slot, tgid, tid) in self.threads.silent() {
            let is_there = Path::new(&format!("/proc/{tgid}/task/{tid}")).exists();
            if !is_there && let Some(thread) = self.live.bury(slot) {
                self.threads.end(thread);
            }
        }
    }
}
