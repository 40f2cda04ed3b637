//! What damage cost, as a repaired trace tells it: in LOSS records and in totals that fit what is left.

use crate::check::claims;
use crate::check::verify::Verification;
use crate::{Accounting, Loss, LossReason, Place, Totals};

/// Why a repaired trace has no comparison with the kernel's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BooksDropped {
    /// The end record, which holds it, is not there.
    NoEndRecord,
    /// It counts fewer events than are missing, or contradicts the trace or itself.
    DoNotFit,
}

/// What damage cost, as losses. Events of unknown number have an entry of their own with the count 0.
pub(crate) fn losses(input: &Verification) -> Vec<Loss> {
    let mut losses = Vec::new();
    for place in input.damage.all() {
        let (from_ns, to_ns) = interval(place, input);
        let mut add = |count| {
            losses.push(Loss {
                from_ns,
                to_ns,
                cpu: None,
                reason: LossReason::Damage,
                count,
            });
        };
        if place.events_missing > 0 {
            add(place.events_missing);
        }
        if !place.is_exact {
            add(0);
        }
    }
    // A record of losses that is itself gone: that they were is known, and no more.
    let said = input.totals.as_ref().map_or(0, |totals| totals.lost);
    let reasonless = said.saturating_sub(input.events_lost());
    if reasonless > 0 {
        let (from_ns, to_ns) = interval(&Place::default(), input);
        losses.push(Loss {
            from_ns,
            to_ns,
            cpu: None,
            reason: LossReason::LaterEvents,
            count: reasonless,
        });
    }
    losses
}

/// Between the surviving neighbours; where there is none, the start or the end of what is known.
fn interval(place: &Place, input: &Verification) -> (u64, u64) {
    let from_ns = place.from_ns.or(input.start_ns).or(place.to_ns).unwrap_or(0);
    let to_ns = place.to_ns.or(input.last_ns).unwrap_or(from_ns);
    (from_ns.min(to_ns), to_ns)
}

/// Totals that fit what is written.
pub(crate) fn totals(input: &Verification) -> (Totals, Option<BooksDropped>) {
    let counts = &input.counts;
    let missing = input.damage.events_missing();
    let old = input.totals.as_ref();
    let lost = old.map_or(0, |totals| totals.lost).max(input.events_lost());
    let (accounting, mut dropped) = match old {
        None => (None, Some(BooksDropped::NoEndRecord)),
        Some(totals) => match totals
            .accounting
            .as_ref()
            .map(|books| rebook(books, totals, input))
        {
            Some(None) => (None, Some(BooksDropped::DoNotFit)),
            Some(books) => (books, None),
            None => (None, None),
        },
    };
    let mut totals = Totals {
        events: counts.events,
        majors: counts.majors,
        minors: counts.minors,
        failed: counts.failed,
        lost: lost.saturating_add(missing),
        end_ns: [
            Some(old.map_or(0, |totals| totals.end_ns)),
            input.start_ns,
            input.last_ns,
        ]
        .into_iter()
        .flatten()
        .max()
        .unwrap_or(0),
        accounting,
        check: old.and_then(|totals| totals.check.clone()),
        hidden_majors: old.and_then(|totals| totals.hidden_majors),
        command_end: old.and_then(|totals| totals.command_end),
    };
    let books = totals.accounting.as_ref();
    let hidden = books.map_or(u64::MAX, |books| books.hidden);
    totals.hidden_majors = totals.hidden_majors.filter(|majors| *majors <= hidden);
    let is_contradicted = || {
        let claims = claims::of_the_accounting(input, &totals);
        claims.iter().any(|(_, said, found)| said != found)
    };
    if !totals.adds_up() || is_contradicted() || books.is_some_and(|books| books.lost > totals.lost) {
        totals.accounting = None;
        dropped = Some(BooksDropped::DoNotFit);
    }
    (totals, dropped)
}

/// The fault accounting after damage: what was recorded and is gone is lost, so the sum stays that of the kernel. Failed faults are
/// in neither. `None` when more is gone than was recorded.
fn rebook(books: &Accounting, totals: &Totals, input: &Verification) -> Option<Accounting> {
    let counted = |majors: u64, minors: u64| majors.saturating_add(minors);
    let gone = if input.damage.count == 0 && input.damage.elsewhere.is_none() {
        0
    } else {
        counted(totals.majors, totals.minors)
            .checked_sub(counted(input.counts.majors, input.counts.minors))?
    };
    let books = Accounting {
        recorded: books.recorded.checked_sub(gone)?,
        lost: books.lost.checked_add(gone)?,
        ..books.clone()
    };
    let fits = !input.knows_failed() || books.recorded == counted(input.counts.majors, input.counts.minors);
    fits.then_some(books)
}
