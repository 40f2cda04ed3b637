//! The fault accounting: what the kernel counted, in the tasks' own counters and as events, against what was recorded.
//! The events are counted apart from the probes, so this can fail; nothing here is left over by construction.

use indicatif::HumanCount;
use pf_bpf::{CountScope, EventCheck};
use pf_formats::{Accounting, Check};

use crate::{pipeline::ledger::Balance, target::launch::Ended};

/// Where the tasks' counters come from.
const SOURCE: &str =
    "maj_flt and min_flt of every recorded thread, read by the probes at each fault and at its end";

/// Why the check by the machine's own counts is uncertain.
const SKIPPED_ELSEWHERE: &str = "the kernel skipped that many probe runs on this machine, of any task";
const SKIPPED_ELSEWHERE_BY_DEFAULT: &str = "the kernel skipped that many probe runs on this machine, of any task; \
                                            --strict counts the recorded ones";

/// Processes that are named.
const NAMED: usize = 3;

/// What is known when a recording is over.
pub struct Evidence<'a> {
    /// By the records that arrived.
    pub balance: &'a Balance,
    /// By the kernel's own count of the events.
    pub events: &'a EventCheck,
    /// Of the held child before it was the command: major, minor, and how many of both are events.
    pub before_exec: (u64, u64, u64),
    /// Dropped or left out after they had arrived.
    pub dropped: u64,
    /// Of tasks whose state could not be made, so that no account has them: all, and major ones.
    pub without_state: (u64, u64),
    /// Dropped or left out, because they were not asked for.
    pub left_out: u64,
    /// Ends of threads that were lost, and told so.
    pub ends_lost: u64,
    /// Of the command, as `wait4(2)` tells it, with its faults before the recording.
    pub command: Option<(Ended, (u64, u64))>,
    /// Processes that nobody waited for.
    pub unwaited: &'a [(String, u64)],
    /// CPUs came online: what was there before the probes were is in no count of the events.
    pub cpus_added: bool,
}

/// Events that no program met, and by how much that can be wrong.
fn missed(evidence: &Evidence<'_>) -> (i64, u64) {
    let Evidence {
        events,
        balance,
        cpus_added,
        ..
    } = *evidence;
    let Ok(offset) = &events.missed else {
        return (0, 0);
    };
    let least = offset.least();
    if events.scope != CountScope::Machine || least < 0 {
        return (least, offset.high.abs_diff(offset.low));
    }
    // Of any task. Those of the recorded ones the programs saw themselves, by faults that stayed open; of the others each
    // can be one of what is hidden.
    let seen = events.missed_seen;
    let ours = if cpus_added {
        seen
    } else {
        seen.min(least.unsigned_abs())
    };
    let most = u64::try_from(offset.high).unwrap_or(0);
    let doubt = most.saturating_sub(ours).min(balance.hidden.saturating_sub(ours));
    (i64::try_from(ours).unwrap_or(i64::MAX), doubt)
}

/// What the records do not tell, and where it shows.
struct Unseen {
    /// Events that no program met.
    missed: i64,
    /// By how much that can be wrong.
    uncertain: u64,
    /// Those, and records that vanished.
    unexplained: u64,
    /// Those that are no gap between two records of a thread.
    elsewhere: u64,
    /// Those of them that are in the tasks' counters.
    in_counters: u64,
    /// Gaps that nothing explains.
    untold: u64,
}

impl Unseen {
    fn of(evidence: &Evidence<'_>) -> Self {
        let (balance, tally) = (evidence.balance, evidence.events.tally);
        let (missed, uncertain) = missed(evidence);
        let explained = balance.events + tally.lost + tally.filtered + tally.outside;
        let vanished = tally.met.abs_diff(explained);
        let unexplained = missed.unsigned_abs() + vanished;
        // Between two records of a thread they show as a gap; else they are in the difference of its counters, where all
        // that is hidden is.
        let elsewhere = unexplained.saturating_sub(balance.gaps);
        Self {
            missed,
            uncertain,
            unexplained,
            elsewhere,
            in_counters: elsewhere.min(balance.hidden),
            // A record that vanished may have been the one to tell what was hidden before it.
            untold: match vanished {
                0 => 0,
                _ => balance.gaps.saturating_sub(unexplained),
            },
        }
    }
}

/// Why a check is uncertain, if it is.
fn doubt(events: &EventCheck) -> &'static str {
    match events.scope {
        CountScope::Machine if events.not_of_tasks.is_some() => SKIPPED_ELSEWHERE,
        CountScope::Machine => SKIPPED_ELSEWHERE_BY_DEFAULT,
        _ => "the tasks kept running while their counters were read",
    }
}

/// The accounting, and its check.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// For the trace.
    pub accounting: Accounting,
    /// Likewise.
    pub check: Check,
    /// Of the hidden ones; none where that is not certain.
    pub hidden_majors: Option<u64>,
    /// Of what is unexplained: events that no probe saw; below 0 where the probes saw more than was counted.
    missed: i64,
    /// Why the check is uncertain, if it is.
    doubt: &'static str,
    /// The tasks' own events were to be counted, and could not be.
    not_of_tasks: bool,
}

impl Accounts {
    /// Weighs the evidence.
    #[must_use]
    pub fn new(evidence: &Evidence<'_>) -> Self {
        let Evidence {
            balance,
            events,
            before_exec: (majors, minors, before_events),
            without_state: (unmet, unmet_majors),
            ..
        } = *evidence;
        let tally = events.tally;
        let unseen = Unseen::of(evidence);
        // After its last record nothing tells of a thread that still runs, but what was left out is known in all.
        let left_out = tally.filtered.saturating_sub(balance.filtered) + events.minors_left;
        let before = majors + minors;
        let hidden = balance.hidden - unseen.in_counters + unseen.untold;
        // What no probe saw is in the tasks' counters as what is hidden is.
        let hidden_majors = (unseen.unexplained == 0).then(|| events.hidden_majors.min(hidden));
        // Those before the first record of a thread had no class there, nor have those left out after the last one.
        let taken_for_minors = balance.kernel_minors + left_out;
        let of_minors = (balance.arrived_majors + tally.filtered_major + hidden_majors.unwrap_or(0))
            .saturating_sub(balance.kernel_majors)
            .min(taken_for_minors);
        let accounting = Accounting {
            kernel_majors: (balance.kernel_majors + of_minors).saturating_sub(majors) + unmet_majors,
            kernel_minors: (taken_for_minors - of_minors).saturating_sub(minors)
                + (unseen.elsewhere - unseen.in_counters)
                + (unmet - unmet_majors),
            recorded: balance
                .arrived
                .saturating_sub(before)
                .saturating_sub(evidence.dropped)
                .saturating_sub(evidence.left_out),
            lost: balance.lost + evidence.dropped + unmet,
            hidden,
            filtered: balance.filtered + left_out + evidence.left_out,
            source: SOURCE.to_owned(),
        };
        let counted = events.missed.as_ref().ok().map(|_| {
            tally
                .met
                .saturating_add_signed(unseen.missed)
                .saturating_sub(tally.outside + before_events)
        });
        let mut check = Check {
            events: counted,
            uncertain: unseen.uncertain,
            unexplained: unseen.unexplained.max(balance.gaps - unseen.untold),
            outside: tally.outside,
            ends_missing: balance.ends_missing.saturating_sub(evidence.ends_lost),
            wait4: second_witness(evidence, &accounting),
            source: source(events),
            notes: Vec::new(),
        };
        let accounts = Self {
            accounting,
            check: check.clone(),
            hidden_majors,
            missed: unseen.missed,
            doubt: doubt(events),
            not_of_tasks: events.not_of_tasks.is_some(),
        };
        check.notes = accounts.findings(evidence.unwaited);
        if let Some(reason) = &events.not_of_tasks {
            check.notes.push(format!(
                "--strict: the events of the recorded tasks could not be counted, those of the whole machine were: {reason}"
            ));
        }
        Self { check, ..accounts }
    }

    /// What is told of it; the faults that arrived are called `kept`.
    #[must_use]
    pub fn lines(&self, kept: &str) -> Vec<String> {
        let mut lines = vec![self.sum(kept)];
        lines.extend(self.check.notes.iter().cloned());
        lines
    }

    /// Whether every count is explained, and was checked.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        let is_certain = self.check.uncertain == 0 || !self.not_of_tasks;
        !self.check.is_alarming() && self.check.events.is_some() && is_certain
    }

    fn sum(&self, kept: &str) -> String {
        let Accounting {
            kernel_majors,
            kernel_minors,
            recorded,
            lost,
            hidden,
            filtered,
            ..
        } = &self.accounting;
        let more = |count: u64, what: &str| match count {
            0 => String::new(),
            _ => format!(" + {} {what}", HumanCount(count)),
        };
        format!(
            "the kernel counted {} major + {} minor = {} {kept} + {} lost{}{}{}: {}",
            HumanCount(*kernel_majors),
            HumanCount(*kernel_minors),
            HumanCount(*recorded),
            HumanCount(*lost),
            more(*hidden, &describe_hidden(self.hidden_majors)),
            more(*filtered, "filtered"),
            more(self.check.unexplained, "UNEXPLAINED"),
            self.verdict()
        )
    }

    /// In one or two words.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        if self.check.is_alarming() {
            "NOT BALANCED"
        } else if self.check.events.is_some() {
            "balanced"
        } else {
            "not checked"
        }
    }

    /// The check in words.
    fn findings(&self, unwaited: &[(String, u64)]) -> Vec<String> {
        let Check {
            events,
            uncertain,
            unexplained,
            outside,
            ends_missing,
            source,
            ..
        } = &self.check;
        let mut notes = Vec::new();
        let missed = some(self.missed.unsigned_abs(), "page fault");
        match self.missed {
            0 => {}
            1.. => notes.push(format!(
                "UNEXPLAINED: the kernel counted {missed} that no probe saw. It skips probes while another BPF program or a \
                 bpf(2) call runs on the same CPU: stop other BPF tools and record again. Some virtual machines hide \
                 their process 1 from all probes"
            )),
            _ => notes.push(format!(
                "UNEXPLAINED: the probes saw {missed} more than the kernel's event counters; please report it"
            )),
        }
        if let Some(vanished) = unexplained
            .checked_sub(self.missed.unsigned_abs())
            .filter(|count| *count > 0)
        {
            notes.push(format!(
                "UNEXPLAINED: a probe saw {} that neither arrived nor were counted as lost; please report it",
                some(vanished, "page fault")
            ));
        }
        if *ends_missing > 0 {
            notes.push(format!(
                "UNEXPLAINED: the end of {} was not seen; their last faults may be missing from the counts",
                some(*ends_missing, "thread")
            ));
        }
        let aside = match outside {
            0 => String::new(),
            _ => format!(
                "; {} more happened while the probes were being attached or after the end",
                HumanCount(*outside)
            ),
        };
        notes.push(match events {
            None => format!("not checked against an independent count: {source}"),
            Some(events) => {
                let within = match uncertain {
                    0 => String::new(),
                    _ => format!(" (to within {}: {})", HumanCount(*uncertain), self.doubt),
                };
                format!("checked: {source}: {}{within}{aside}", HumanCount(*events))
            }
        });
        notes.extend(self.witness(unwaited));
        notes
    }

    fn witness(&self, unwaited: &[(String, u64)]) -> Option<String> {
        let (wait4, tasks) = self.check.wait4?;
        let Some(missing) = tasks.checked_sub(wait4) else {
            return Some(format!(
                "ALARM: wait4(2) counted {} faults of the command and its children, {} more than the probes counted",
                HumanCount(wait4),
                HumanCount(wait4 - tasks)
            ));
        };
        if missing == 0 {
            return Some(format!(
                "wait4(2) agrees: {} faults of the command and the children that were waited for",
                HumanCount(tasks)
            ));
        }
        let named: u64 = unwaited.iter().map(|(_, count)| count).sum();
        // Who ended just before the parent did may have been waited for, too.
        let unwaited = if named <= missing { unwaited } else { &[] };
        let names: Vec<&str> = unwaited
            .iter()
            .take(NAMED)
            .map(|(name, _)| name.as_str())
            .collect();
        let more = match unwaited.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let whose = if names.is_empty() {
            "belong to children for which no process waited".to_owned()
        } else if named == missing {
            format!(
                "belong to {}{more}, for which no process waited",
                names.join(", ")
            )
        } else {
            format!(
                "belong to children for which no process waited, {} of them to {}{more}",
                HumanCount(named),
                names.join(", ")
            )
        };
        Some(format!(
            "wait4(2) counted {} of the {} faults in the tasks' counters; the other {} {whose}",
            HumanCount(wait4),
            HumanCount(tasks),
            HumanCount(missing)
        ))
    }
}

/// A number of things.
fn some(count: u64, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", HumanCount(count))
}

fn describe_hidden(majors: Option<u64>) -> String {
    let majors = match majors {
        Some(0) => "counted, not listed".to_owned(),
        Some(majors) => format!(
            "{} of them MAJOR, their latencies were not measured",
            HumanCount(majors)
        ),
        None => "the number of major ones is unknown".to_owned(),
    };
    format!("hidden (resolved inside get_user_pages, as in exec; {majors})")
}

/// What is counted apart, or why nothing is.
fn source(events: &EventCheck) -> String {
    match &events.missed {
        Err(reason) => reason.clone(),
        Ok(_) if events.scope != CountScope::Tasks => {
            "all page-fault events of this machine, compared with the runs of the probe attached to them; of the recorded tasks"
                .to_owned()
        }
        Ok(_) => "page-fault events of the same tasks, counted by the kernel independently of the probes".to_owned(),
    }
}

/// Both sides without what the child did before its exec.
fn second_witness(evidence: &Evidence<'_>, accounting: &Accounting) -> Option<(u64, u64)> {
    let (ended, (majors, minors)) = evidence.command.as_ref()?;
    let (before_majors, before_minors, _) = evidence.before_exec;
    let wait4 = (ended.majors + ended.minors).saturating_sub(majors + minors + before_majors + before_minors);
    Some((wait4, accounting.kernel_majors + accounting.kernel_minors))
}

#[cfg(test)]
mod tests;
