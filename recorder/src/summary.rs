//! How a recording ends: the totals of the trace, and what is told on standard error.

use std::io;

use anyhow::Result;
use indicatif::{HumanBytes, HumanCount};
use pf_formats::{Accounting, FormatError, Totals};
use thiserror::Error;

use crate::{
    cli::Output,
    drain::Drained,
    encode::Encoded,
    launch::Ended,
    session::{BeforeExec, Recorded},
    stop::Stop,
};

/// The trace is not complete.
#[derive(Debug, Error)]
#[error("the recording was cut short{}", if *.in_file { IN_PARTIAL } else { "" })]
pub struct CutShort {
    in_file: bool,
    /// Whoever read the trace from standard output wants no more of it.
    pub reader_gone: bool,
    source: anyhow::Error,
}

const IN_PARTIAL: &str = " (what came before is in the .partial file, and pfanalyze reads it)";

/// What is told at the end.
pub struct Summary {
    name: String,
    bytes: u64,
    recorded: Recorded,
    drained: Drained,
    accounting: Accounting,
    seconds: f64,
    wait4: Wait4,
}

/// The command's faults as `wait4(2)` tells them: a second witness, independent of the probes.
enum Wait4 {
    /// There is no command, it goes on, or its counters could not be read before.
    Unknown,
    /// Faults since the probes were attached, and what the probes read for the same processes.
    Counted {
        wait4: u64,
        probes: u64,
        live_threads: u64,
    },
}

impl Summary {
    /// Completes the file. `command` is its end with its faults before the recording.
    pub fn complete(
        drained: Result<Drained>,
        encoded: Encoded,
        start_ns: u64,
        command: Option<(Ended, (u64, u64))>,
        output: &Output,
    ) -> Result<Self> {
        let in_file = matches!(output, Output::File(_));
        Self::try_complete(drained, encoded, start_ns, command).map_err(|source| {
            let reader_gone = !in_file && is_broken_pipe(&source);
            CutShort {
                in_file,
                reader_gone,
                source,
            }
            .into()
        })
    }

    fn try_complete(
        drained: Result<Drained>,
        encoded: Encoded,
        start_ns: u64,
        command: Option<(Ended, (u64, u64))>,
    ) -> Result<Self> {
        let Encoded {
            writer,
            outcome,
            recorded,
            before_exec,
        } = encoded;
        outcome?;
        let drained = drained?;
        let wait4 = second_opinion(&drained, command);
        let accounting = accounting(&drained, before_exec);
        let totals = Totals {
            events: recorded.majors + recorded.minors,
            majors: recorded.majors,
            minors: recorded.minors,
            // Tasks without state are in no account.
            lost: accounting.lost + drained.drops.state,
            end_ns: drained.end_ns,
            accounting: Some(accounting.clone()),
        };
        let queue = writer.finish(totals)?;
        let (file, written) = queue.finish()?;
        let bytes = written?;
        let seconds = drained.end_ns.saturating_sub(start_ns) as f64 / 1e9;
        let name = file.finish()?;
        Ok(Self {
            name,
            bytes,
            recorded,
            drained,
            accounting,
            seconds,
            wait4,
        })
    }

    /// Prints it.
    pub fn print(&self, stop: Stop) {
        let Recorded { majors, minors } = self.recorded;
        let events = majors + minors;
        let how = match stop {
            Stop::Interrupted => " (stopped by Ctrl-C)",
            Stop::Terminated => " (stopped by a signal)",
            _ => "",
        };
        eprintln!(
            "pfrec: {} page faults in {:.2} s{how}: {} major, {} minor",
            HumanCount(events),
            self.seconds,
            HumanCount(majors),
            HumanCount(minors)
        );
        self.print_losses();
        self.print_books();
        let each = if events == 0 {
            0.0
        } else {
            self.bytes as f64 / events as f64
        };
        eprintln!(
            "pfrec: {}: {}, {each:.2} bytes per fault",
            self.name,
            HumanBytes(self.bytes)
        );
        if events == 0 {
            eprintln!("pfrec: no fault was seen: is the right process recorded? try: pfrec doctor");
        }
    }

    fn print_losses(&self) {
        let Drained {
            drops,
            queue_drops,
            sideband_lost,
            ..
        } = &self.drained;
        let reasons = [
            (
                drops.reserve,
                "the kernel's ring buffer was full: try a larger --buffer-size",
            ),
            (*queue_drops, "the recorder could not keep up: is the disk slow?"),
            (drops.no_entry, "completed without a recorded entry"),
            (drops.state, "the kernel had no memory for a task's state"),
            (drops.recursion, "a probe was skipped by the kernel"),
        ];
        if reasons.iter().all(|(count, _)| *count == 0) {
            eprintln!("pfrec: nothing lost");
        }
        for (count, reason) in reasons.iter().filter(|(count, _)| *count > 0) {
            eprintln!("pfrec: LOST {} faults: {reason}", HumanCount(*count));
        }
        if *sideband_lost > 0 {
            eprintln!(
                "pfrec: LOST {} mapping records: some files may be unknown",
                HumanCount(*sideband_lost)
            );
        }
        if drops.exits > 0 {
            eprintln!("pfrec: LOST the end of {} threads", HumanCount(drops.exits));
        }
    }

    fn print_books(&self) {
        let Accounting {
            kernel_majors,
            kernel_minors,
            recorded,
            lost,
            hidden,
            ..
        } = &self.accounting;
        let verdict = match self.drained.balance.difference() {
            0 => "balanced".to_owned(),
            difference => format!("OFF BY {difference}"),
        };
        eprintln!(
            "pfrec: the kernel counted {} major + {} minor = {} recorded + {} lost + {} hidden (taken by the kernel \
             for itself, as in exec): {verdict}",
            HumanCount(*kernel_majors),
            HumanCount(*kernel_minors),
            HumanCount(*recorded),
            HumanCount(*lost),
            HumanCount(*hidden),
        );
        match self.wait4 {
            Wait4::Counted { wait4, probes, .. } if wait4 == probes => {
                eprintln!("pfrec: wait4(2) agrees with that count for the command and its children");
            }
            Wait4::Counted {
                wait4,
                probes,
                live_threads,
            } => eprintln!(
                "pfrec: wait4(2) counted {} faults for the command and the children it waited for, the probes read {} \
                 ({live_threads} threads still running)",
                HumanCount(wait4),
                HumanCount(probes)
            ),
            Wait4::Unknown => {}
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = match error.downcast_ref() {
        Some(FormatError::Io(io)) => Some(io),
        _ => error.downcast_ref(),
    };
    io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
}

fn accounting(drained: &Drained, before_exec: BeforeExec) -> Accounting {
    let balance = &drained.balance;
    Accounting {
        kernel_majors: balance.kernel_majors.saturating_sub(before_exec.majors),
        kernel_minors: balance.kernel_minors.saturating_sub(before_exec.minors),
        recorded: balance
            .arrived
            .saturating_sub(before_exec.majors + before_exec.minors)
            .saturating_sub(drained.queue_drops),
        lost: balance.lost + drained.queue_drops,
        hidden: balance.hidden,
        source:
            "maj_flt and min_flt of every recorded thread, read by the probes at each fault and at its end"
                .to_owned(),
    }
}

fn second_opinion(drained: &Drained, command: Option<(Ended, (u64, u64))>) -> Wait4 {
    let Some((ended, (majors, minors))) = command else {
        return Wait4::Unknown;
    };
    let balance = &drained.balance;
    Wait4::Counted {
        wait4: (ended.majors + ended.minors).saturating_sub(majors + minors),
        probes: balance.kernel_majors + balance.kernel_minors,
        live_threads: balance.live_threads,
    }
}
