//! What the report says of stalls: the sweep of `timeline`, over the faults that its first pass keeps. Where these are all
//! faults it finds the same stalls; where they are the longest ones, threads were inside faults for at least that long.

use crate::engine::columns::Column;
use crate::engine::filter::Filter;
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::output::units::{duration, grouped, percent, quantity};
use crate::request::options::{StallThreshold, TimelineOptions};
use crate::trace::session::Session;
use crate::verbs::timeline::pass1::{COLUMNS, Pass1};
use crate::verbs::timeline::{found_by, sweep_after};
use polars::prelude::DataFrame;

/// Faults that are looked through: of more, the sweep would take longer than the rest of the report.
const MOST_FAULTS: u64 = 4_000_000;

/// Collects what the sweep needs.
#[derive(Clone, Debug, Default)]
pub struct StallSummary {
    first: Pass1,
    faults: u64,
    /// Whether the faults are only some of those in the trace.
    is_part: bool,
    /// Whether it was not looked.
    is_left_out: bool,
}

impl Pass for StallSummary {
    fn columns(&self) -> Vec<Column> {
        COLUMNS.to_vec()
    }

    fn block(&mut self, frame: &DataFrame, session: &Session) -> Result<(), AnalyzeError> {
        self.faults = self.faults.saturating_add(frame.height() as u64);
        // Nothing is begun that would come to nothing.
        let totals = session.totals_ahead.as_ref().filter(|_| !self.is_part);
        let expected = totals.map_or(0, |totals| totals.events);
        if self.is_left_out || self.faults.max(expected) > MOST_FAULTS {
            self.is_left_out = true;
            self.first = Pass1::default();
            return Ok(());
        }
        self.first.block(frame, session)
    }
}

impl StallSummary {
    /// Only what passes the filter will come.
    pub fn within(&mut self, filter: &Filter) {
        self.is_part = !filter.is_empty();
    }

    /// How long threads stood still together, and the command that shows when; `None` where they hardly ever did.
    #[must_use]
    pub fn describe(self, session: &Session, filter: &Filter) -> Option<String> {
        let stalls = [("--part", Some("stalls".to_owned()))];
        let caller = session.caller.clone().within(filter.arguments());
        let command = caller.command("timeline", &stalls);
        if self.is_left_out {
            let most = grouped(MOST_FAULTS);
            return Some(format!(
                "not looked for here, where there may be more than {most} faults: {command}"
            ));
        }
        // All faults are kept, and none was left out when the trace was recorded.
        let is_exact = self.first.cut_ns <= 1 && !session.sampling().is_sampled();
        let options = TimelineOptions {
            interval_ns: None,
            least: StallThreshold::default(),
            stalls: 0,
            part: None,
        };
        let sweep = sweep_after(self.first, filter, options, session).ok()?;
        let (found, _) = found_by(sweep, options);
        let (begin_ns, end_ns) = filter.window_ns(session);
        let time_ns = u128::from(end_ns.saturating_sub(begin_ns));
        let stalled_ns = u128::from(found.stalled_ns);
        // Less than a thousandth is no news.
        if found.stall_count == 0 || stalled_ns * 1000 < time_ns {
            return None;
        }
        let share = percent(stalled_ns, time_ns);
        let how_long = match is_exact {
            true => format!(
                "{}, {} in all ({share} of the time)",
                quantity(found.stall_count, "stall"),
                duration(found.stalled_ns)
            ),
            false => format!(
                "at least {} in all ({share} of the time)",
                duration(found.stalled_ns)
            ),
        };
        Some(format!(
            "{how_long}, with half of the threads alive, two at least, inside a fault at once: {command}"
        ))
    }
}
