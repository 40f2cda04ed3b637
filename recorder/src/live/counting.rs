//! Counting alone: no record leaves the kernel. One thread follows the threads and the CPUs; at the end the
//! sums are compared with what the kernel counted, as those of a recording are.

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
use pf_bpf::{Drops, EventCheck, Injected, Probes};

use super::{
    sampler::{Display, Last, Sampler},
    threads::Interval,
};
use crate::{
    cli::Options,
    pipeline::accounting::{Accounts, Evidence},
    pipeline::ledger::Balance,
    pipeline::summary::{WITHOUT_STATE, injected},
    pipeline::threads::{lock_memory, spawn},
    stop::Stop,
    target,
    target::identity::Identity,
    target::launch::{Ended, Held},
};

/// How long the end waits for faults that are on their way.
const GRACE: Duration = Duration::from_millis(200);

/// The thread that counts.
pub struct Counting {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(Counted, Last)>>,
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
    check: EventCheck,
    injected: Injected,
    /// Of the held child before it was the command: major and minor.
    before_exec: (u64, u64),
    /// Of those that are counted: not told by a software event.
    without_event: u64,
    unplaced: u64,
    in_flight: u64,
    cpus_added: usize,
}

/// What is told at the end.
pub struct Closing {
    counted: Counted,
    accounts: Accounts,
}

impl Counting {
    /// Attaches the probes and begins to count.
    pub fn start(
        options: &Options,
        held: Option<&Held>,
        invoker: &Identity,
        display: Display,
        interval: Duration,
    ) -> Result<Self> {
        let resolved = target::resolve(options, held, invoker)?;
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
        let (counted, last) = self
            .thread
            .join()
            .map_err(|_| anyhow!("the counting thread panicked"))??;
        let accounts = accounts(&counted, command);
        last.show(Some(&accounts));
        Ok(Closing { counted, accounts })
    }

    /// The command could not be started.
    pub fn abandon(self) {
        self.stop.store(true, Relaxed);
        self.thread.join().ok();
    }
}

fn count(mut probes: Probes, mut sampler: Sampler, stop: &Arc<AtomicBool>) -> Result<(Counted, Last)> {
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
    let check = probes.finish_check();
    let last = sampler.finish();
    let aside = probes.live_aside();
    let counted = Counted {
        last: last.interval.clone(),
        drops: probes.drops(),
        check,
        injected: probes.injected(),
        before_exec: aside.before,
        without_event: aside.without_event,
        unplaced: aside.unplaced,
        in_flight,
        cpus_added,
    };
    Ok((counted, last))
}

/// The counts as the records of a recording would tell them. What the child did before its exec is in none of them,
/// but in the events.
fn accounts(counted: &Counted, command: Option<(Ended, (u64, u64))>) -> Accounts {
    let books = &counted.last.books;
    let (majors, minors) = counted.before_exec;
    let before = majors + minors;
    let arrived = books.majors + books.minors + before;
    let balance = Balance {
        kernel_majors: books.kernel_majors + majors,
        kernel_minors: books.kernel_minors + minors,
        arrived,
        arrived_majors: books.majors + majors,
        events: arrived.saturating_sub(counted.without_event),
        lost: books.lost,
        hidden: books.hidden,
        filtered: books.filtered,
        ..Balance::default()
    };
    Accounts::new(&Evidence {
        balance: &balance,
        events: &counted.check,
        before_exec: (majors, minors, before),
        without_state: (counted.drops.state, counted.drops.state_major),
        dropped: 0,
        left_out: 0,
        ends_lost: 0,
        command,
        unwaited: &[],
        cpus_added: counted.cpus_added > 0,
    })
}

impl Closing {
    /// Whether every fault is accounted for, and that was checked.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.accounts.is_exact()
    }

    /// What is told of it, line by line.
    #[must_use]
    pub fn lines(&self, stop: Stop) -> Vec<String> {
        let Counted { last, drops, .. } = &self.counted;
        let (majors, minors, failed) = (last.books.majors, last.books.minors, last.books.failed);
        let mut lines = vec![format!(
            "{} page faults in {:.2} s{}: {} major, {} minor{}; no trace was written",
            HumanCount(majors + minors + failed),
            last.elapsed_ns as f64 / 1e9,
            stop.describe(),
            HumanCount(majors),
            HumanCount(minors),
            match failed {
                0 => String::new(),
                _ => format!(", {} failed or abandoned", HumanCount(failed)),
            }
        )];
        lines.extend(self.losses());
        lines.extend(self.accounts.lines("counted"));
        lines.extend(injected(&self.counted.injected));
        if last.others.total.count() > 0 {
            lines.push(format!(
                "{} of these faults were counted without a row of their own: there were more threads than --live-threads {}, or too \
                 many ended in one interval",
                HumanCount(last.others.total.count()),
                last.slots
            ));
        }
        if drops.recursion > 0 {
            lines.push(format!(
                "the kernel skipped {} runs of a probe because a preempted task was inside it",
                HumanCount(drops.recursion)
            ));
        }
        if self.counted.cpus_added > 0 {
            lines.push(format!(
                "a CPU came online {} time(s) during the recording: its faults before the probes were attached may be \
                 unexplained",
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
            (drops.no_entry, "faults: they completed without a recorded entry"),
            (
                unplaced,
                "faults: whether they were on the file is unknown, because mappings were being changed",
            ),
            (drops.state, WITHOUT_STATE),
            (in_flight, "faults: they were still in progress at the end"),
        ];
        let lost: Vec<String> = losses
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("LOST {} {what}", HumanCount(*count)))
            .collect();
        if lost.is_empty() && !self.accounts.check.is_alarming() {
            vec!["nothing lost".to_owned()]
        } else {
            lost
        }
    }
}

#[cfg(test)]
mod tests {
    use pf_bpf::{Offset, Tally};
    use pf_formats::CommandEnd;

    use super::*;
    use crate::live::threads::Books;

    fn closing(books: Books, wait4: u64) -> Closing {
        let counted = Counted {
            last: Interval {
                books,
                elapsed_ns: 1_500_000_000,
                ..Interval::default()
            },
            drops: Drops::default(),
            check: EventCheck {
                tally: Tally {
                    met: 2_003,
                    ..Tally::default()
                },
                missed: Ok(Offset::default()),
                scope: pf_bpf::CountScope::Tasks,
                missed_seen: 0,
                hidden_majors: 0,
                minors_left: 0,
                not_of_tasks: None,
            },
            injected: Injected::default(),
            before_exec: (0, 0),
            without_event: 0,
            unplaced: 0,
            in_flight: 0,
            cpus_added: 0,
        };
        let ended = Ended {
            end: CommandEnd::default(),
            majors: 0,
            minors: wait4,
        };
        let accounts = accounts(&counted, Some((ended, (0, 0))));
        Closing { counted, accounts }
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
        let lines = closing(books, 2_008).lines(Stop::CommandEnded);
        assert_eq!(
            lines[0],
            "2,003 page faults in 1.50 s: 3 major, 2,000 minor; no trace was written"
        );
        assert_eq!(lines[1], "nothing lost");
        assert_eq!(
            lines[2],
            "the kernel counted 3 major + 2,005 minor = 2,003 counted + 0 lost + 5 hidden (resolved inside get_user_pages, \
             as in exec; counted, not listed): balanced"
        );
        assert!(lines[4].starts_with("wait4(2) agrees"), "{lines:?}");
        let off = Books {
            minors: 1_999,
            hidden: 6,
            ..books
        };
        let lines = closing(off, 2_007).lines(Stop::Interrupted);
        assert!(lines[0].contains("(stopped by Ctrl-C)"), "{}", lines[0]);
        assert!(lines[1].ends_with(" + 1 UNEXPLAINED: NOT BALANCED"), "{lines:?}");
    }
}
