//! How a recording ends: the totals of the trace, and what is told on standard error.

use std::io;

use anyhow::Result;
use indicatif::{HumanBytes, HumanCount};
use pf_bpf::Injected;
use pf_formats::{FormatError, Totals};
use thiserror::Error;

use crate::{
    cli::Output,
    pipeline::accounting::{Accounts, Evidence},
    pipeline::drain::Drained,
    pipeline::encode::Encoded,
    pipeline::trace_file::TraceFile,
    session::{Faults, Folded},
    stop::Stop,
    target::launch::Ended,
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

const IN_PARTIAL: &str = " (what was recorded before is in the .partial file; pfanalyze reads it)";

/// Files without symbols that are told by name.
const NOTES: usize = 3;

/// What is told at the end.
pub struct Summary {
    /// Of the trace; `None` without one.
    name: Option<String>,
    bytes: u64,
    recorded: Faults,
    drained: Drained,
    accounts: Accounts,
    seconds: f64,
    /// What stacks have no names, and why.
    notes: Vec<String>,
    stacks_dropped: u64,
    folded: Folded,
    /// Queries in the trace.
    queries: u64,
}

impl Summary {
    /// Completes the file. `command`: how it ended, if it did, and its faults before the recording, where only it is recorded.
    pub fn complete(
        drained: Result<Drained>,
        encoded: Encoded,
        start_ns: u64,
        command: (Option<Ended>, Option<(u64, u64)>),
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
        (ended, before): (Option<Ended>, Option<(u64, u64)>),
    ) -> Result<(Self, Option<TraceFile>)> {
        let Encoded {
            outlet,
            outcome,
            recorded,
            before_exec,
            before_exec_events,
            filtered,
            notes,
            stacks_dropped,
            folded,
            queries,
        } = encoded;
        outcome?;
        let drained = drained?;
        let accounts = Accounts::new(&Evidence {
            balance: &drained.balance,
            events: &drained.check,
            before_exec: (before_exec.majors, before_exec.minors, before_exec_events),
            dropped: drained.dropped.faults,
            without_state: (drained.drops.state, drained.drops.state_major),
            left_out: filtered.majors + filtered.minors,
            // A run of the probe that the kernel skipped, and says so.
            ends_lost: drained.drops.exits + drained.dropped.exits + drained.drops.recursion,
            command: ended.zip(before),
            unwaited: &drained.unwaited,
            cpus_added: drained.cpus_added > 0,
        });
        let accounting = &accounts.accounting;
        let mut check = accounts.check.clone();
        check.notes.extend(folded.describe());
        let totals = Totals {
            events: recorded.majors + recorded.minors + recorded.failed,
            majors: recorded.majors,
            minors: recorded.minors,
            failed: recorded.failed,
            // Failed faults are in no account.
            lost: accounting.lost + drained.drops.failed + drained.malformed,
            // A fault or query that was under way ends a moment later.
            end_ns: drained.end_ns.max(outlet.last_ns()),
            accounting: Some(accounting.clone()),
            check: Some(check),
            hidden_majors: accounts.hidden_majors,
            command_end: ended.map(|ended| ended.end),
        };
        let (file, bytes) = outlet.finish(totals)?.unzip();
        let bytes = bytes.unwrap_or(0);
        let seconds = drained.end_ns.saturating_sub(start_ns) as f64 / 1e9;
        let summary = Self {
            name: None,
            bytes,
            recorded,
            drained,
            accounts,
            seconds,
            notes,
            stacks_dropped,
            folded,
            queries,
        };
        Ok((summary, file))
    }

    /// Whether every fault is accounted for, and that was checked.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.accounts.is_exact()
    }

    /// What the kernel counted against what was recorded.
    #[must_use]
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Queries in the trace.
    #[must_use]
    pub fn queries(&self) -> u64 {
        self.queries
    }

    /// What is told of it, line by line.
    #[must_use]
    pub fn lines(&self, stop: Stop) -> Vec<String> {
        let Faults {
            majors,
            minors,
            failed,
            abandoned,
        } = self.recorded;
        let some = |count: u64, what: &str| match count {
            0 => String::new(),
            _ => format!(", {} {what}", HumanCount(count)),
        };
        let events = majors + minors + failed;
        let how = stop.describe();
        let mut lines = vec![format!(
            "{} page faults in {:.2} s{how}: {} major, {} minor{}{}",
            HumanCount(events),
            self.seconds,
            HumanCount(majors),
            HumanCount(minors),
            some(failed - abandoned, "failed"),
            some(abandoned, "abandoned"),
        )];
        if self.queries > 0 {
            lines.push(format!("{} queries", HumanCount(self.queries)));
        }
        lines.extend(self.losses());
        lines.extend(self.accounts.lines("recorded"));
        lines.extend(self.gave_up());
        lines.extend(injected(&self.drained.injected));
        if self.drained.drops.recursion > 0 {
            lines.push(format!(
                "the kernel skipped {} runs of a probe because a preempted task was inside it: some faults may lack their retries, and some threads their end",
                HumanCount(self.drained.drops.recursion)
            ));
        }
        if self.drained.cpus_added > 0 {
            lines.push(format!(
                "a CPU came online {} time(s) during the recording: its faults before the probes were attached may be \
                 unexplained",
                self.drained.cpus_added
            ));
        }
        lines.extend(self.notes.iter().take(NOTES).cloned());
        if let Some(more) = self.notes.len().checked_sub(NOTES).filter(|more| *more > 0) {
            lines.push(format!("and {more} more notes"));
        }
        let each = self.bytes as f64 / events.max(1) as f64;
        lines.push(match (&self.name, events) {
            (None, _) => "no trace was written".to_owned(),
            (Some(name), 0) => format!("{name}: no faults were recorded"),
            (Some(name), _) => format!("{name}: {}, {each:.2} bytes per fault", HumanBytes(self.bytes)),
        });
        lines
    }

    fn gave_up(&self) -> Option<String> {
        let atomic = self.drained.drops.atomic;
        (atomic > 0).then(|| {
            let times = if atomic == 1 { "time" } else { "times" };
            format!(
                "{} {times} the kernel touched a missing page with page faults disabled and gave up at once: this is neither a fault nor a loss",
                HumanCount(atomic)
            )
        })
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
                "faults: the kernel's ring buffer was full; try a larger --buffer-size",
            ),
            (
                dropped.faults,
                "faults: the recorder could not keep up (is the disk slow?)",
            ),
            (drops.no_entry, "faults: they completed without a recorded entry"),
            (
                *malformed,
                "faults: the probes wrote an invalid record, which is a defect of pfrec: please report it",
            ),
            (
                drops.failed,
                "failed faults: the kernel's ring buffer was full; try a larger --buffer-size",
            ),
            (
                dropped.failed,
                "failed faults: the recorder could not keep up (is the disk slow?)",
            ),
            (drops.state, WITHOUT_STATE),
        ];
        let others = [
            (
                sideband_lost + dropped.sideband,
                "mapping records: the files of some faults may be unknown",
            ),
            (drops.exits, "ends of threads: the kernel's ring buffer was full"),
            (dropped.exits, "ends of threads: the recorder could not keep up"),
            (drops.stacks, "user stacks: the kernel's ring buffer was full"),
            (dropped.stacks, "user stacks: the recorder could not keep up"),
            (
                self.stacks_dropped,
                "user stacks: there are more distinct stacks than are kept",
            ),
            (drops.queries, "queries: the kernel's ring buffer was full"),
            (
                dropped.queries,
                "queries or their texts: the recorder could not keep up",
            ),
            (
                drops.texts,
                "query texts: they were not in memory, or the kernel's ring buffer was full",
            ),
            (
                drops.deep,
                "queries: queries nest at most 16 deep; faults of deeper ones count for the query around them",
            ),
            (
                drops.unmatched,
                "ends of queries: no query was in progress on that thread",
            ),
            (
                self.drained.probes_failed,
                "query probes: they could not be attached",
            ),
        ];
        let none = |of: &[(u64, &str)]| of.iter().all(|(count, _)| *count == 0);
        let folded = self.folded.describe();
        let nothing = (none(&faults) && !self.accounts.check.is_alarming()).then(|| {
            let is_whole = none(&others) && folded.is_empty();
            let what = if is_whole { "nothing" } else { "no fault" };
            format!("{what} lost")
        });
        let lost = faults.iter().chain(&others).filter(|(count, _)| *count > 0);
        nothing
            .into_iter()
            .chain(lost.map(|(count, what)| format!("LOST {} {what}", HumanCount(*count))))
            .chain(folded.iter().map(|what| format!("LOST {what}")))
            .collect()
    }
}

/// Why faults of a task were lost that could not be met.
pub const WITHOUT_STATE: &str = "faults: the kernel could not allocate the state that is kept for each thread: it was short of memory, or busy";

/// What was made to go wrong, so that nobody takes such a trace for one that can be used.
pub fn injected(injected: &Injected) -> Option<String> {
    let Injected {
        completions,
        entries,
        records,
        exits,
        states,
    } = injected;
    (*injected != Injected::default()).then(|| {
        format!(
            "A TEST: {completions} completions, {entries} entries, {records} records, {exits} ends of threads and {states} states \
             of tasks were left out"
        )
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = match error.downcast_ref() {
        Some(FormatError::Io(io)) => Some(io),
        _ => error.downcast_ref(),
    };
    io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pipeline::backlog::Dropped, pipeline::ledger::Balance};
    use pf_bpf::{CountScope, Drops, EventCheck, Offset, Tally};

    fn summary(lost: u64, drops: Drops) -> Summary {
        let balance = Balance {
            kernel_majors: 1000,
            kernel_minors: 25 + lost,
            arrived: 1024,
            arrived_majors: 1000,
            events: 1024,
            lost,
            hidden: 1,
            ..Balance::default()
        };
        let check = EventCheck {
            tally: Tally {
                met: 1024 + lost,
                lost,
                ..Tally::default()
            },
            missed: Ok(Offset::default()),
            scope: CountScope::Tasks,
            missed_seen: 0,
            hidden_majors: 0,
            minors_left: 0,
            not_of_tasks: None,
        };
        let accounts = Accounts::new(&Evidence {
            balance: &balance,
            events: &check,
            before_exec: (0, 0, 0),
            without_state: (0, 0),
            dropped: 0,
            left_out: 0,
            ends_lost: drops.exits,
            command: None,
            unwaited: &[],
            cpus_added: false,
        });
        Summary {
            name: Some("t.pfz".to_owned()),
            bytes: 2048,
            recorded: Faults {
                majors: 1000,
                minors: 24,
                failed: 0,
                abandoned: 0,
            },
            drained: Drained {
                balance,
                check,
                injected: Injected::default(),
                unwaited: Vec::new(),
                malformed: 0,
                dropped: Dropped::default(),
                end_ns: 0,
                drops,
                sideband_lost: 0,
                probes_failed: 0,
                cpus_added: 0,
            },
            accounts,
            seconds: 1.5,
            notes: Vec::new(),
            stacks_dropped: 0,
            folded: Folded::default(),
            queries: 0,
        }
    }

    #[test]
    fn a_good_recording_is_told_in_five_lines() {
        let lines = summary(0, Drops::default()).lines(Stop::CommandEnded);
        assert_eq!(lines[0], "1,024 page faults in 1.50 s: 1,000 major, 24 minor");
        assert_eq!(lines[1], "nothing lost");
        assert!(
            lines[2].starts_with(
                "the kernel counted 1,000 major + 25 minor = 1,024 recorded + 0 lost + 1 hidden"
            ) && lines[2].ends_with(": balanced"),
            "{}",
            lines[2]
        );
        assert!(lines[3].starts_with("checked: "), "{}", lines[3]);
        assert_eq!(lines[4], "t.pfz: 2.00 KiB, 2.00 bytes per fault");
    }

    #[test]
    fn losses_are_told_with_their_reason_and_what_to_do() {
        let drops = Drops {
            reserve: 7,
            exits: 2,
            ..Drops::default()
        };
        let lines = summary(7, drops).lines(Stop::Interrupted);
        assert!(lines[0].contains("(stopped by Ctrl-C)"));
        assert_eq!(
            lines[1],
            "LOST 7 faults: the kernel's ring buffer was full; try a larger --buffer-size"
        );
        assert_eq!(
            lines[2],
            "LOST 2 ends of threads: the kernel's ring buffer was full"
        );
        assert!(lines[3].contains(" + 7 lost + ") && lines[3].ends_with("balanced"));
    }

    #[test]
    fn records_that_could_not_be_understood_are_not_called_nothing() {
        let mut summary = summary(0, Drops::default());
        summary.drained.malformed = 3;
        let lines = summary.lines(Stop::CommandEnded);
        assert!(
            lines[1].starts_with("LOST 3 faults: the probes wrote"),
            "{}",
            lines[1]
        );
    }
}
