//! What META and the end record claim of the recording, held against the rest of the trace.
//!
//! Only what SPEC.md rules out is a contradiction: what merely is unlikely is none.

use crate::check::block_index::IndexCheck;
use crate::check::verify::Verification;
use crate::{BlockInfo, Check, Loss, LossReason, Meta, Query, Totals};

/// Something that a record says of the recording and that is not so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// Who says so.
    pub by: Claimant,
    /// What.
    pub what: &'static str,
    /// As that record has it.
    pub said: u64,
    /// As it is.
    pub found: u64,
}

/// A record that tells of the whole recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimant {
    /// META, at the beginning.
    Meta,
    /// FOOTER, at the end.
    EndRecord,
}

impl Claimant {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "the record of the recording",
            Self::EndRecord => "the end record",
        }
    }
}

type Claim = (&'static str, u64, u64);

/// What META says, where it is that of the recorder: one that took the place of a lost one knows none of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    start_ns: u64,
    /// Nothing is left out: no filter, no sampling, and no task that goes out of what is recorded and comes back.
    leaves_nothing_out: bool,
}

impl Told {
    pub(crate) fn by(meta: &Meta) -> Option<Self> {
        let is_everything = meta.sample == 1 && meta.filters.is_empty();
        (meta.host.page_size != 0).then_some(Self {
            start_ns: meta.start_ns,
            leaves_nothing_out: is_everything && !meta.target.starts_with("cgroup"),
        })
    }
}

/// The first and the last that was told of the recording, on `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reach {
    first_entry: Option<u64>,
    first_query: Option<u64>,
    first_loss: Option<u64>,
    last_completion: Option<u64>,
    last_query: Option<u64>,
    last_loss: Option<u64>,
}

impl Reach {
    pub(crate) fn events(&mut self, info: &BlockInfo) {
        self.first_entry = earlier(self.first_entry, Some(info.ts_min));
        self.last_completion = self.last_completion.max(Some(info.end_max));
    }

    /// What began before the recording says so.
    pub(crate) fn queries(&mut self, rows: &[Query]) {
        let begun = rows.iter().filter(|row| !row.begun_before && row.begin_ns > 0);
        self.first_query = earlier(self.first_query, begun.map(|row| row.begin_ns).min());
        self.last_query = self.last_query.max(rows.iter().map(|row| row.end_ns).max());
    }

    /// Only where each count is an event: records of mappings and threads reach beyond both ends, and damage is around
    /// events, which are compared themselves.
    pub(crate) fn losses(&mut self, losses: &[Loss]) {
        let is_of_events = |loss: &&Loss| loss.reason.costs_events() && loss.reason < LossReason::Damage;
        let begun = || losses.iter().filter(is_of_events).map(|loss| loss.from_ns);
        self.first_loss = earlier(self.first_loss, begun().min());
        self.last_loss = self.last_loss.max(begun().max());
    }

    fn first(&self, start_ns: u64) -> [Claim; 3] {
        let at = |first: Option<u64>| start_ns.min(first.unwrap_or(start_ns));
        [
            (
                "start, nanoseconds on the clock, and the first entry of a fault",
                start_ns,
                at(self.first_entry),
            ),
            (
                "start, nanoseconds on the clock, and the first query",
                start_ns,
                at(self.first_query),
            ),
            (
                "start, nanoseconds on the clock, and the first loss",
                start_ns,
                at(self.first_loss),
            ),
        ]
    }
}

/// The smaller one of those that are there.
fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// What META and the end record say against what was found; what damage explains is none. `ends` is where the footer
/// ends, as the trailer has it and as it is.
pub(crate) fn contradictions(
    found: &Verification,
    reach: &Reach,
    index: Option<IndexCheck>,
    ends: (Option<u64>, u64),
) -> Vec<Contradiction> {
    let start = found.told.map(|told| reach.first(told.start_ns));
    let start = differing(Claimant::Meta, start.into_iter().flatten());
    let Some(totals) = &found.totals else {
        return start.collect();
    };
    let end = of_the_end(found, totals, reach, index, ends);
    start.chain(differing(Claimant::EndRecord, end)).collect()
}

pub(crate) fn differing(
    by: Claimant,
    claims: impl IntoIterator<Item = Claim>,
) -> impl Iterator<Item = Contradiction> {
    let claims = claims.into_iter().filter(|(_, said, is)| said != is);
    claims.map(move |(what, said, found)| Contradiction {
        by,
        what,
        said,
        found,
    })
}

fn of_the_end(
    found: &Verification,
    totals: &Totals,
    reach: &Reach,
    index: Option<IndexCheck>,
    (said_end, footer_end): (Option<u64>, u64),
) -> Vec<Claim> {
    let counts = &found.counts;
    let whole = found.damage.count == 0;
    let missing = found.damage.first.iter().chain(&found.damage.further);
    let missing = missing.fold(0u64, |sum, place| sum.saturating_add(place.events_missing));
    let known = counts.events.saturating_add(missing);
    let mut claims = Vec::new();
    // With damage, fewer events than it counts are no contradiction.
    if whole || totals.events < known {
        claims.push(("events", totals.events, known));
    }
    if whole && found.knows_failed() {
        claims.push(("major faults", totals.majors, counts.majors));
        claims.push(("minor faults", totals.minors, counts.minors));
        claims.push(("failed faults", totals.failed, counts.failed));
    }
    if let Some(index) = index {
        let fitting = counts.blocks - index.extra;
        claims.push(("blocks listed in the index", fitting, counts.blocks));
        if whole {
            claims.push(("blocks that are there", index.listed, fitting));
            let moved = index.moved;
            claims.push(("blocks not where the index has them", 0, moved));
        }
    }
    if whole && found.damage.elsewhere.is_none() {
        claims.extend(of_the_recording(found, totals, reach));
    }
    if whole && let Some(said_end) = said_end {
        claims.push(("end of the footer, in bytes from the start", said_end, footer_end));
    }
    claims
}

/// What a whole trace claims of the recording: its losses, its end, and the comparison with the kernel's counters.
fn of_the_recording(found: &Verification, totals: &Totals, reach: &Reach) -> Vec<Claim> {
    let mut claims = vec![("events known to be lost", totals.lost, found.events_lost())];
    let end_ns = totals.end_ns;
    for (what, last_ns) in [
        (
            "nanoseconds on the clock at the end",
            found.start_ns.max(reach.last_completion),
        ),
        (
            "end, nanoseconds on the clock, and the last query",
            reach.last_query,
        ),
        (
            "end, nanoseconds on the clock, and the last loss",
            reach.last_loss,
        ),
    ] {
        claims.push((what, end_ns, end_ns.max(last_ns.unwrap_or(end_ns))));
    }
    if let Some(books) = totals.accounting.as_ref().filter(|_| found.knows_failed()) {
        let rows = found.counts.majors.saturating_add(found.counts.minors);
        claims.push(("recorded faults in the accounting", books.recorded, rows));
        let lost = totals.lost.min(books.lost);
        claims.push(("lost faults in the accounting", books.lost, lost));
        let hidden_majors = totals.hidden_majors.unwrap_or(0);
        let possible = hidden_majors.min(books.hidden);
        claims.push(("major faults among the hidden ones", hidden_majors, possible));
    }
    claims.extend(of_the_accounting(found, totals));
    if let Some((kernel, parts)) = totals.kernel_and_parts().filter(|_| !totals.adds_up()) {
        let count = |sum| u64::try_from(sum).unwrap_or(u64::MAX);
        claims.push(("faults counted by the kernel", count(kernel), count(parts)));
    }
    claims
}

/// The accounting against META, and against the count that does not rest on the probes.
pub(crate) fn of_the_accounting(found: &Verification, totals: &Totals) -> Vec<Claim> {
    let Some(books) = &totals.accounting else {
        return Vec::new();
    };
    let mut claims = Vec::new();
    if found.told.is_some_and(|told| told.leaves_nothing_out) {
        claims.push(("faults left out of a recording of everything", books.filtered, 0));
    }
    // A recording whose counts disagree has told so.
    let check = totals.check.as_ref().filter(|check| !check.is_alarming());
    if let Some(check) = check
        && let Some(events) = check.events
    {
        // Each is in one of these. Rows of faults inside get_user_pages are in the sum as well, and are no events.
        let parts = [books.recorded, books.lost, books.filtered];
        let most = parts.into_iter().fold(spread(check), u64::saturating_add);
        let least = found.counts.told_by_events.saturating_sub(spread(check));
        let possible = events.max(least.min(most)).min(most);
        claims.push(("page faults counted apart from the probes", events, possible));
    }
    claims
}

/// By how much the count may differ from what it is made of.
fn spread(check: &Check) -> u64 {
    check.uncertain.saturating_add(check.unexplained)
}
