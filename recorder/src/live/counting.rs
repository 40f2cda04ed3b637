//! Counting alone: no record leaves the kernel. One thread follows the threads and the CPUs; at the end the
//! books are held against what the kernel counted, as those of a recording are.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use crossbeam_channel::{Receiver, bounded};
use indicatif::HumanCount;
use pf_bpf::{Drops, Probes};

use super::{
    sampler::{Display, Sampler},
    threads::{Books, Interval},
};
use crate::{
    cli::Options,
    launch::{Ended, Held},
    recording::{lock_memory, spawn},
    stop::Stop,
    target,
};

/// How long the end waits for faults that are on their way.
const GRACE: Duration = Duration::from_millis(200);

/// The thread that counts.
pub struct Counting {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Counted>>,
    /// Something is received, or the sender is gone, when the thread has ended of itself.
    broken: Receiver<()>,
    /// Name of the backend in force.
    pub backend: &'static str,
}

/// What is known when it is over.
#[derive(Debug)]
struct Counted {
    last: Interval,
    drops: Drops,
    before_exec: u64,
    unplaced: u64,
    in_flight: u64,
    cpus_added: usize,
}

/// What is told at the end.
pub struct Closing {
    counted: Counted,
    /// The command's faults as `wait4(2)` tells them.
    wait4: Option<u64>,
}

impl Counting {
    /// Attaches the probes and begins to count.
    pub fn start(
        options: &Options,
        held: Option<&Held>,
        display: Display,
        interval: Duration,
    ) -> Result<Self> {
        let resolved = target::resolve(options, held)?;
        let mut probes = Probes::open(&resolved.config)?;
        let live = probes
            .live()?
            .ok_or_else(|| anyhow!("the probes count nothing"))?;
        let backend = probes.backend();
        probes.start();
        let sampler = Sampler::new(live, display, interval);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (alive, broken) = bounded::<()>(0);
        let thread = spawn("pfrec-live", alive, move || count(probes, sampler, &stopped))?;
        lock_memory();
        Ok(Self {
            stop,
            thread,
            broken,
            backend,
        })
    }

    /// Something is received when it cannot go on.
    pub fn broken(&self) -> &Receiver<()> {
        &self.broken
    }

    /// Stops counting. `command` is its end with its faults before.
    pub fn finish(self, command: Option<(Ended, (u64, u64))>) -> Result<Closing> {
        self.stop.store(true, Relaxed);
        let counted = self
            .thread
            .join()
            .map_err(|_| anyhow!("the counting thread panicked"))??;
        let wait4 = command.map(|(ended, (majors, minors))| {
            (ended.majors + ended.minors).saturating_sub(majors + minors + counted.before_exec)
        });
        Ok(Closing { counted, wait4 })
    }

    /// The command could not be started.
    pub fn abandon(self) {
        self.stop.store(true, Relaxed);
        self.thread.join().ok();
    }
}

fn count(mut probes: Probes, mut sampler: Sampler, stop: &Arc<AtomicBool>) -> Result<Counted> {
    let mut cpus_added = 0;
    sampler.run(stop, || {
        cpus_added += probes.follow_cpus()?;
        Ok(())
    })?;
    probes.stop(crate::clock::monotonic_ns());
    let started = Instant::now();
    let in_flight = loop {
        // Where the kernel cannot iterate over tasks the count is not known.
        let open = probes.in_flight().unwrap_or(0);
        if open == 0 || started.elapsed() > GRACE {
            break open;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let last = sampler.finish();
    let (majors, minors, unplaced) = probes.live_aside();
    Ok(Counted {
        last,
        drops: probes.drops(),
        before_exec: majors + minors,
        unplaced,
        in_flight,
        cpus_added,
    })
}

impl Closing {
    /// What is told of it, line by line.
    #[must_use]
    pub fn lines(&self, stop: Stop) -> Vec<String> {
        let Counted { last, drops, .. } = &self.counted;
        let Books {
            majors,
            minors,
            failed,
            ..
        } = last.books;
        let mut lines = vec![format!(
            "{} page faults in {:.2} s{}: {} major, {} minor{}; nothing was recorded",
            HumanCount(majors + minors + failed),
            last.elapsed_ns as f64 / 1e9,
            stop.in_words(),
            HumanCount(majors),
            HumanCount(minors),
            match failed {
                0 => String::new(),
                _ => format!(", {} failed", HumanCount(failed)),
            }
        )];
        lines.extend(self.losses());
        lines.push(self.books());
        lines.extend(self.witness());
        if last.others.total.count() > 0 {
            lines.push(format!(
                "{} of these faults were counted without a row of their own: more threads than --live-threads {}, or too \
                 many that ended in one interval",
                HumanCount(last.others.total.count()),
                last.slots
            ));
        }
        if drops.recursion > 0 {
            lines.push(format!(
                "the kernel skipped {} runs of a probe that a preempted task was in",
                HumanCount(drops.recursion)
            ));
        }
        if self.counted.cpus_added > 0 {
            lines.push(format!(
                "a CPU came online {} times: its faults before the probes were there are among the hidden ones",
                self.counted.cpus_added
            ));
        }
        lines
    }

    fn losses(&self) -> Vec<String> {
        let Counted {
            drops,
            unplaced,
            in_flight,
            ..
        } = self.counted;
        let losses = [
            (drops.no_entry, "faults: completed without an entry"),
            (
                unplaced,
                "faults: mappings were being changed, so whether they were on that file is not known",
            ),
            (drops.state, "faults: the kernel had no memory for a task's state"),
            (in_flight, "faults: still on their way at the end"),
        ];
        let lost: Vec<String> = losses
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("LOST {} {what}", HumanCount(*count)))
            .collect();
        if lost.is_empty() {
            vec!["nothing lost".to_owned()]
        } else {
            lost
        }
    }

    fn books(&self) -> String {
        let books = &self.counted.last.books;
        let verdict = match books.difference() {
            0 => "balanced".to_owned(),
            difference => format!("OFF BY {difference}"),
        };
        let more = |count: u64, what: &str| match count {
            0 => String::new(),
            _ => format!(" + {} {what}", HumanCount(count)),
        };
        format!(
            "the kernel counted {} major + {} minor = {} counted + {} lost{}{}: {verdict}",
            HumanCount(books.kernel_majors),
            HumanCount(books.kernel_minors),
            HumanCount(books.majors + books.minors),
            HumanCount(books.lost),
            more(
                books.hidden,
                "hidden (taken by the kernel for itself, as in exec)"
            ),
            more(books.filtered, "filtered"),
        )
    }

    fn witness(&self) -> Option<String> {
        let books = &self.counted.last.books;
        let probes = books.kernel_majors + books.kernel_minors;
        Some(match self.wait4? {
            wait4 if wait4 == probes => {
                "wait4(2) agrees with that count for the command and its children".to_owned()
            }
            wait4 => format!(
                "wait4(2) counted {} faults, the probes read {}: children that nobody waited for are missing from the \
                 first",
                HumanCount(wait4),
                HumanCount(probes)
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closing(books: Books, wait4: Option<u64>) -> Closing {
        Closing {
            counted: Counted {
                last: Interval {
                    books,
                    elapsed_ns: 1_500_000_000,
                    ..Interval::default()
                },
                drops: Drops::default(),
                before_exec: 0,
                unplaced: 0,
                in_flight: 0,
                cpus_added: 0,
            },
            wait4,
        }
    }

    #[test]
    fn the_books_are_told_as_those_of_a_recording_are() {
        let books = Books {
            majors: 3,
            minors: 2_000,
            kernel_majors: 3,
            kernel_minors: 2_005,
            hidden: 5,
            ..Books::default()
        };
        let lines = closing(books, Some(2_008)).lines(Stop::CommandEnded);
        assert_eq!(
            lines[0],
            "2,003 page faults in 1.50 s: 3 major, 2,000 minor; nothing was recorded"
        );
        assert_eq!(lines[1], "nothing lost");
        assert_eq!(
            lines[2],
            "the kernel counted 3 major + 2,005 minor = 2,003 counted + 0 lost + 5 hidden (taken by the kernel for \
             itself, as in exec): balanced"
        );
        assert!(lines[3].starts_with("wait4(2) agrees"));
        let off = Books {
            minors: 1_999,
            ..books
        };
        let lines = closing(off, Some(1)).lines(Stop::Interrupted);
        assert!(lines[0].contains("(stopped by Ctrl-C)"), "{}", lines[0]);
        assert!(lines[2].ends_with("OFF BY 1"), "{}", lines[2]);
        assert!(lines[3].starts_with("wait4(2) counted 1 faults"), "{}", lines[3]);
    }
}
