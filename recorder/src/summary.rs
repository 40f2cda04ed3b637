//! How a recording ends: the totals of the trace, and what is told on standard error.

use std::io;

use anyhow::Result;
use indicatif::{HumanBytes, HumanCount};
use pf_formats::{Accounting, FormatError, Totals};
use thiserror::Error;

use crate::{
    cli::Output, drain::Drained, encode::Encoded, launch::Ended, output::TraceFile, session::Faults,
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

/// Files without symbols that are told by name.
const NOTES: usize = 3;

/// What is told at the end.
pub struct Summary {
    /// Of the trace; `None` without one.
    name: Option<String>,
    bytes: u64,
    recorded: Faults,
    drained: Drained,
    accounting: Accounting,
    seconds: f64,
    wait4: Wait4,
    /// What stacks have no names, and why.
    notes: Vec<String>,
    stacks_dropped: u64,
    /// Queries in the trace.
    queries: u64,
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
        output: Option<&Output>,
    ) -> Result<Self> {
        let in_file = matches!(output, Some(Output::File(_)));
        let (mut summary, file) =
            Self::try_complete(drained, encoded, start_ns, command).map_err(|source| {
                let reader_gone = !in_file && is_broken_pipe(&source);
                CutShort {
                    in_file,
                    reader_gone,
                    source,
                }
            })?;
        summary.name = file.map(TraceFile::finish).transpose()?;
        Ok(summary)
    }

    fn try_complete(
        drained: Result<Drained>,
        encoded: Encoded,
        start_ns: u64,
        command: Option<(Ended, (u64, u64))>,
    ) -> Result<(Self, Option<TraceFile>)> {
        let Encoded {
            outlet,
            outcome,
            recorded,
            before_exec,
            filtered,
            notes,
            stacks_dropped,
            queries,
        } = encoded;
        outcome?;
        let drained = drained?;
        let wait4 = second_opinion(&drained, before_exec, command);
        let accounting = accounting(&drained, before_exec, filtered);
        let totals = Totals {
            events: recorded.majors + recorded.minors + recorded.failed,
            majors: recorded.majors,
            minors: recorded.minors,
            failed: recorded.failed,
            // Tasks without state are in no account, nor are failed faults.
            lost: accounting.lost + drained.drops.state + drained.drops.failed + drained.malformed,
            end_ns: drained.end_ns,
            accounting: Some(accounting.clone()),
        };
        let (file, bytes) = outlet.finish(totals)?.unzip();
        let bytes = bytes.unwrap_or(0);
        let seconds = drained.end_ns.saturating_sub(start_ns) as f64 / 1e9;
        let summary = Self {
            name: None,
            bytes,
            recorded,
            drained,
            accounting,
            seconds,
            wait4,
            notes,
            stacks_dropped,
            queries,
        };
        Ok((summary, file))
    }

    /// What is told of it, line by line.
    #[must_use]
    pub fn lines(&self, stop: Stop) -> Vec<String> {
        let Faults {
            majors,
            minors,
            failed,
        } = self.recorded;
        let events = majors + minors + failed;
        let how = stop.in_words();
        let mut lines = vec![format!(
            "{} page faults in {:.2} s{how}: {} major, {} minor{}",
            HumanCount(events),
            self.seconds,
            HumanCount(majors),
            HumanCount(minors),
            match failed {
                0 => String::new(),
                _ => format!(", {} failed", HumanCount(failed)),
            }
        )];
        if self.queries > 0 {
            lines.push(format!("{} queries", HumanCount(self.queries)));
        }
        lines.extend(self.losses());
        lines.push(self.books());
        lines.extend(self.witness());
        if self.drained.drops.recursion > 0 {
            lines.push(format!(
                "the kernel skipped {} runs of a probe that a preempted task was in: some faults lack their retries",
                HumanCount(self.drained.drops.recursion)
            ));
        }
        if self.drained.cpus_added > 0 {
            lines.push(format!(
                "a CPU came online {} times: its faults before the probes were there are among the hidden ones",
                self.drained.cpus_added
            ));
        }
        lines.extend(self.notes.iter().take(NOTES).cloned());
        if let Some(more) = self.notes.len().checked_sub(NOTES).filter(|more| *more > 0) {
            lines.push(format!("and {more} more files without symbols"));
        }
        let each = self.bytes as f64 / events.max(1) as f64;
        lines.push(match (&self.name, events) {
            (None, _) => "nothing was recorded".to_owned(),
            (Some(name), 0) => format!("{name}: no fault was seen"),
            (Some(name), _) => format!("{name}: {}, {each:.2} bytes per fault", HumanBytes(self.bytes)),
        });
        lines
    }

    fn losses(&self) -> Vec<String> {
        let Drained {
            drops,
            dropped,
            malformed,
            sideband_lost,
            ..
        } = &self.drained;
        let faults = [
            (
                drops.reserve,
                "faults: the kernel's ring buffer was full: try a larger --buffer-size",
            ),
            (
                dropped.faults,
                "faults: the recorder could not keep up: is the disk slow?",
            ),
            (drops.no_entry, "faults: completed without a recorded entry"),
            (
                *malformed,
                "faults: what the probes wrote is no record, which is a defect of pfrec: please report it",
            ),
            (
                drops.failed,
                "failed faults: the kernel's ring buffer was full: try a larger --buffer-size",
            ),
            (
                dropped.failed,
                "failed faults: the recorder could not keep up: is the disk slow?",
            ),
            (drops.state, "faults: the kernel had no memory for a task's state"),
        ];
        let others = [
            (
                sideband_lost + dropped.sideband,
                "mapping records: some files may be unknown",
            ),
            (drops.exits, "ends of threads: the kernel's ring buffer was full"),
            (dropped.exits, "ends of threads: the recorder could not keep up"),
            (drops.stacks, "user stacks: the kernel's ring buffer was full"),
            (dropped.stacks, "user stacks: the recorder could not keep up"),
            (self.stacks_dropped, "user stacks: too many different ones"),
            (drops.queries, "queries: the kernel's ring buffer was full"),
            (
                dropped.queries,
                "queries or their texts: the recorder could not keep up",
            ),
            (
                drops.texts,
                "texts of queries: they were not in memory, or the kernel's ring buffer was full",
            ),
            (
                drops.deep,
                "queries: nested more than 16 deep, their faults are told of the one around them",
            ),
            (
                drops.unmatched,
                "ends of queries: none was in progress on that thread",
            ),
            (
                self.drained.probes_failed,
                "query probes: they could not be attached",
            ),
        ];
        let none = |of: &[(u64, &str)]| of.iter().all(|(count, _)| *count == 0);
        let nothing = none(&faults).then(|| {
            let what = if none(&others) { "nothing" } else { "no fault" };
            format!("{what} lost")
        });
        let lost = faults.iter().chain(&others).filter(|(count, _)| *count > 0);
        nothing
            .into_iter()
            .chain(lost.map(|(count, what)| format!("LOST {} {what}", HumanCount(*count))))
            .collect()
    }

    fn books(&self) -> String {
        let Accounting {
            kernel_majors,
            kernel_minors,
            recorded,
            lost,
            hidden,
            filtered,
            ..
        } = &self.accounting;
        let verdict = match self.drained.balance.difference() {
            0 => "balanced".to_owned(),
            difference => format!("OFF BY {difference}"),
        };
        let hidden = match hidden {
            0 => String::new(),
            _ => format!(
                " + {} hidden (taken by the kernel for itself, as in exec)",
                HumanCount(*hidden)
            ),
        };
        let filtered = match filtered {
            0 => String::new(),
            _ => format!(" + {} filtered", HumanCount(*filtered)),
        };
        format!(
            "the kernel counted {} major + {} minor = {} recorded + {} lost{hidden}{filtered}: {verdict}",
            HumanCount(*kernel_majors),
            HumanCount(*kernel_minors),
            HumanCount(*recorded),
            HumanCount(*lost),
        )
    }

    fn witness(&self) -> Option<String> {
        match self.wait4 {
            Wait4::Unknown => None,
            Wait4::Counted { wait4, probes, .. } if wait4 == probes => {
                Some("wait4(2) agrees with that count for the command and its children".to_owned())
            }
            Wait4::Counted {
                wait4,
                probes,
                live_threads,
            } => Some(format!(
                "wait4(2) counted {} faults, the probes read {}: children that nobody waited for are missing from the \
                 first ({live_threads} threads still running)",
                HumanCount(wait4),
                HumanCount(probes)
            )),
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

/// `filtered` are those that the session left out, after the probes let them pass.
fn accounting(drained: &Drained, before_exec: Faults, filtered: Faults) -> Accounting {
    let balance = &drained.balance;
    let left_out = filtered.majors + filtered.minors;
    Accounting {
        kernel_majors: balance.kernel_majors.saturating_sub(before_exec.majors),
        kernel_minors: balance.kernel_minors.saturating_sub(before_exec.minors),
        recorded: balance
            .arrived
            .saturating_sub(before_exec.majors + before_exec.minors)
            .saturating_sub(drained.dropped.faults)
            .saturating_sub(left_out),
        lost: balance.lost + drained.dropped.faults,
        hidden: balance.hidden,
        filtered: balance.filtered + left_out,
        source:
            "maj_flt and min_flt of every recorded thread, read by the probes at each fault and at its end"
                .to_owned(),
    }
}

/// Both sides without what the child did before its exec.
fn second_opinion(drained: &Drained, before_exec: Faults, command: Option<(Ended, (u64, u64))>) -> Wait4 {
    let Some((ended, (majors, minors))) = command else {
        return Wait4::Unknown;
    };
    let left_out = before_exec.majors + before_exec.minors;
    let balance = &drained.balance;
    Wait4::Counted {
        wait4: (ended.majors + ended.minors).saturating_sub(majors + minors + left_out),
        probes: (balance.kernel_majors + balance.kernel_minors).saturating_sub(left_out),
        live_threads: balance.live_threads,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{backlog::Dropped, ledger::Balance};
    use pf_bpf::Drops;

    fn summary(balance: Balance, drops: Drops, wait4: Wait4) -> Summary {
        let drained = Drained {
            balance,
            dropped: Dropped::default(),
            end_ns: 0,
            drops,
            malformed: 0,
            sideband_lost: 0,
            probes_failed: 0,
            cpus_added: 0,
        };
        Summary {
            name: Some("t.pfz".to_owned()),
            bytes: 2048,
            recorded: Faults {
                majors: 1000,
                minors: 24,
                failed: 0,
            },
            accounting: accounting(&drained, Faults::default(), Faults::default()),
            drained,
            seconds: 1.5,
            wait4,
            notes: Vec::new(),
            stacks_dropped: 0,
            queries: 0,
        }
    }

    fn balance(lost: u64) -> Balance {
        Balance {
            kernel_majors: 1000,
            kernel_minors: 25 + lost,
            arrived: 1024,
            lost,
            hidden: 1,
            ..Balance::default()
        }
    }

    #[test]
    fn a_good_recording_is_told_in_five_lines() {
        let wait4 = Wait4::Counted {
            wait4: 1025,
            probes: 1025,
            live_threads: 0,
        };
        let lines = summary(balance(0), Drops::default(), wait4).lines(Stop::CommandEnded);
        assert_eq!(lines[0], "1,024 page faults in 1.50 s: 1,000 major, 24 minor");
        assert_eq!(lines[1], "nothing lost");
        assert!(
            lines[2].starts_with(
                "the kernel counted 1,000 major + 25 minor = 1,024 recorded + 0 lost + 1 hidden"
            ) && lines[2].ends_with(": balanced"),
            "{}",
            lines[2]
        );
        assert!(lines[3].starts_with("wait4(2) agrees"), "{}", lines[3]);
        assert_eq!(lines[4], "t.pfz: 2.00 KiB, 2.00 bytes per fault");
    }

    #[test]
    fn losses_are_told_with_their_reason_and_what_to_do() {
        let drops = Drops {
            reserve: 7,
            exits: 2,
            ..Drops::default()
        };
        let lines = summary(balance(7), drops, Wait4::Unknown).lines(Stop::Interrupted);
        assert!(lines[0].contains("(stopped by Ctrl-C)"));
        assert_eq!(
            lines[1],
            "LOST 7 faults: the kernel's ring buffer was full: try a larger --buffer-size"
        );
        assert_eq!(
            lines[2],
            "LOST 2 ends of threads: the kernel's ring buffer was full"
        );
        assert!(lines[3].contains(" + 7 lost + ") && lines[3].ends_with("balanced"));
    }

    #[test]
    fn a_record_that_nobody_can_read_is_a_loss_on_the_terminal_as_in_the_trace() {
        let mut torn = summary(balance(0), Drops::default(), Wait4::Unknown);
        torn.drained.malformed = 3;
        let lines = torn.lines(Stop::Duration);
        assert!(
            lines[1].starts_with("LOST 3 faults: what the probes wrote"),
            "{lines:#?}"
        );
        assert!(
            !lines.iter().any(|line| line.contains("nothing lost")),
            "{lines:#?}"
        );
    }

    #[test]
    fn books_that_do_not_balance_say_so() {
        let off = Balance {
            kernel_minors: 30,
            ..balance(0)
        };
        let lines = summary(off, Drops::default(), Wait4::Unknown).lines(Stop::Duration);
        assert!(lines[2].ends_with("OFF BY 5"), "{}", lines[2]);
    }
}
