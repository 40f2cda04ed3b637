//! The verb `timeline` as a whole: intervals with bars, the stalls in words, and how exact it all is.

use crate::engine::filter::Filter;
use crate::error::AnalyzeError;
use crate::output::answer::{Answer, Room};
use crate::output::document::Document;
use crate::output::render::{json, text};
use crate::output::table::Table;
use crate::output::text::{json_text, keep_end, wrap};
use crate::output::units::quantity;
use crate::output::units::{duration, grouped, percent};
use crate::request::options::StallThreshold;
use crate::request::options::TimelinePart;
use crate::trace::session::Session;
use crate::verbs::timeline::bars::with_bars;
use crate::verbs::timeline::intervals::Interval;
use crate::verbs::timeline::pass1::MOST_THREADS;
use crate::verbs::timeline::pass3::Inside;
use crate::verbs::timeline::stalls::Window;
use crate::verbs::timeline::tables::{details, intervals_table, stalls_table};
use std::io::Write;

/// What was found, ready to be written.
#[derive(Clone, Debug)]
pub struct Found {
    /// The intervals, in order.
    pub intervals: Vec<Interval>,
    /// The length of one.
    pub width_ns: u64,
    /// What makes a stall.
    pub least: StallThreshold,
    /// The longest stalls, longest first.
    pub stalls: Vec<(Window, Inside)>,
    /// How many stalls there were.
    pub stall_count: u64,
    /// How long together.
    pub stalled_ns: u64,
    /// Wait in all of them, summed over threads.
    pub stall_wait_ns: u64,
    /// The most threads that were inside a fault at once.
    pub most_inside: u32,
    /// Threads with faults.
    pub threads: u64,
    /// Faults that were seen too late to count from their begin.
    pub late: u64,
    /// Whether there are more, which are taken for one.
    pub has_other_threads: bool,
    /// Threads whose number was another's before.
    pub numbers_used_again: u64,
}

/// A trace and what was found in it.
pub struct TimelineAnswer<'a> {
    /// What was found.
    pub found: &'a Found,
    /// The trace.
    pub session: &'a Session,
    /// Which faults.
    pub filter: &'a Filter,
    /// One table alone.
    pub part: Option<TimelinePart>,
}

/// From thousandths, as short as it can be written: `50`, `0.5`.
fn share_in_percent(share: u32) -> serde_json::Number {
    let whole = serde_json::Number::from(share / 1_000);
    match share % 1_000 {
        0 => whole,
        _ => serde_json::Number::from_f64(f64::from(share) / 1_000.0).unwrap_or(whole),
    }
}

impl Answer for TimelineAnswer<'_> {
    fn text(&self, room: Room) -> Result<Document, AnalyzeError> {
        let mut document = Document::default();
        if self.found.intervals.is_empty() {
            document.paragraph(self.describe_nothing());
            return Ok(document);
        }
        if self.part != Some(TimelinePart::Stalls) {
            let (title, table) = with_bars(
                &self.found.intervals,
                self.found.width_ns,
                self.session,
                room.width,
            );
            document.line(title);
            document.table(table, None);
        }
        if self.part.is_none() {
            document.line("");
        }
        if self.part != Some(TimelinePart::Intervals) {
            document.paragraph(self.describe_stalls());
            document.drawing(self.draw_stalls(room.width)?);
        }
        if self.part.is_none() {
            document.list(self.remarks());
        }
        Ok(document)
    }

    fn markdown(&self, _room: Room) -> Result<Document, AnalyzeError> {
        if self.part.is_some() {
            return Ok(Document::of_table(self.table()));
        }
        let mut document = Document::default();
        document.paragraph(self.describe_stalls());
        document.heading("Stalls");
        document.table(self.stalls(), None);
        document.heading("Intervals");
        document.table(self.intervals(), None);
        document.list(self.remarks());
        Ok(document)
    }

    fn json(&self, out: &mut dyn Write) -> Result<(), AnalyzeError> {
        if self.part.is_some() {
            return json::table(&self.table(), out);
        }
        json::object(out, |object| {
            object.json("summary", &json_text(&self.summary()))?;
            object.on_new_line().table("intervals", &self.intervals())?;
            object.on_new_line().table("stalls", &self.stalls())
        })
    }

    fn table(&self) -> Table {
        match self.part {
            Some(TimelinePart::Stalls) => self.stalls(),
            Some(TimelinePart::Intervals) | None => self.intervals(),
        }
    }
}

impl TimelineAnswer<'_> {
    /// No part of the recording was asked for.
    fn describe_nothing(&self) -> String {
        format!(
            "no intervals: {} lies beyond the end of the recording, which is {} long",
            self.filter.describe(),
            duration(self.session.duration_ns())
        )
    }

    fn intervals(&self) -> Table {
        intervals_table(&self.found.intervals, self.session)
    }

    fn stalls(&self) -> Table {
        stalls_table(&self.found.stalls, self.session, true)
    }

    /// The longest stalls: a row each, and below it what was waited on.
    fn draw_stalls(&self, width: usize) -> Result<Vec<u8>, AnalyzeError> {
        let mut drawn = Vec::new();
        if self.found.stalls.is_empty() {
            return Ok(drawn);
        }
        let mut table = stalls_table(&self.found.stalls, self.session, false);
        let has_failed = self.found.stalls.iter().any(|(_, inside)| inside.counts[2] > 0);
        if let Some(failed) = table.column("failed").filter(|_| !has_failed) {
            table.remove_column(failed);
        }
        let mut lines = Vec::new();
        text::table(&table, Some(width), &mut lines)?;
        let lines = String::from_utf8_lossy(&lines).into_owned();
        let mut lines = lines.lines();
        writeln!(drawn, "{}", lines.next().unwrap_or_default())?;
        for (line, (_, inside)) in lines.zip(&self.found.stalls) {
            writeln!(drawn, "{line}")?;
            self.draw_details(inside, width, &mut drawn)?;
        }
        Ok(drawn)
    }

    fn draw_details(&self, inside: &Inside, width: usize, out: &mut dyn Write) -> Result<(), AnalyzeError> {
        let words = details(inside, self.session);
        for (name, text) in ["on", "by", "longest"].iter().zip(words) {
            if text.is_empty() {
                continue;
            }
            let room = width.saturating_sub(13).max(20);
            for (index, text) in wrap(&text, room).iter().enumerate() {
                let name = if index == 0 { name } else { "" };
                writeln!(out, "    {name:<8} {}", keep_end(text, room))?;
            }
        }
        Ok(())
    }

    /// All but the tables, for programs.
    fn summary(&self) -> serde_json::Value {
        let found = self.found;
        serde_json::json!({
            "interval_ms": found.width_ns as f64 / 1e6,
            "threads": found.threads,
            "most_inside_at_once": found.most_inside,
            "least_threads": match found.least { StallThreshold::Threads(threads) => Some(threads), StallThreshold::Share(_) => None },
            "least_percent": match found.least { StallThreshold::Share(share) => Some(share_in_percent(share)), StallThreshold::Threads(_) => None },
            "stalls": found.stall_count,
            "stalled_ms": found.stalled_ns as f64 / 1e6,
            "stall_wait_ms": found.stall_wait_ns as f64 / 1e6,
            "exact": found.late == 0,
            "late_faults": found.late,
            "remarks": self.remarks(),
        })
    }

    /// The stalls in a sentence.
    #[must_use]
    pub fn describe_stalls(&self) -> String {
        let found = self.found;
        let rule = match found.least {
            StallThreshold::Threads(1) => "a thread was inside a fault".to_owned(),
            StallThreshold::Threads(threads) => {
                format!(
                    "{} threads or more were inside a fault at once",
                    grouped(threads.into())
                )
            }
            StallThreshold::Share(share) => {
                let share = share_in_percent(share);
                format!("{share} % of the threads alive, at least two, were inside a fault at once")
            }
        };
        if found.stall_count == 0 {
            let most = match found.most_inside {
                0 => "no thread waited".to_owned(),
                most => format!("the most at once: {}", grouped(most.into())),
            };
            let hint = if found.threads == 1 {
                "; for a single thread, --threads 1 shows each wait"
            } else {
                ""
            };
            return format!("No stalls: it never happened that {rule} ({most}){hint}");
        }
        let (begin_ns, end_ns) = self.filter.window_ns(self.session);
        let share = percent(
            found.stalled_ns.into(),
            u128::from(end_ns.saturating_sub(begin_ns)),
        );
        let shown = match (found.stall_count, found.stalls.len() as u64) {
            (_, 0) => String::new(),
            (1, _) => ":".to_owned(),
            (_, 1) => "; the longest:".to_owned(),
            (all, shown) if all == shown => "; longest first:".to_owned(),
            (_, shown) => format!("; the {} longest:", grouped(shown)),
        };
        let times = if found.stall_count == 1 { "once" } else { "times" };
        let count = match found.stall_count {
            1 => String::new(),
            count => format!("{} ", grouped(count)),
        };
        format!(
            "Stalls: {count}{times} {rule}, for {} in all ({share} of the time), with {} of waiting{shown}",
            duration(found.stalled_ns),
            duration(found.stall_wait_ns)
        )
    }

    /// For programs, beside a table that cannot say it: stalls that are not exact.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let late = (self.found.late > 0).then(|| {
            format!(
                "too many faults were open at once, and {} count from after their begin: stalls may be longer",
                quantity(self.found.late, "fault")
            )
        });
        let others = self.found.has_other_threads.then(|| {
            format!(
                "too many threads: those after the first {} are taken for one",
                grouped(MOST_THREADS.into())
            )
        });
        let reasons: Vec<String> = late.into_iter().chain(others).collect();
        (!reasons.is_empty()).then(|| format!("not exact: {}", reasons.join("; ")))
    }

    /// What to know of the numbers.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let found = self.found;
        let mut remarks = vec![
            "faults count in the interval in which they began, waits in those in which they happened, summed over threads; \
             THREADS waited at some time in the interval, MAX_MS is the longest fault that began in it"
                .to_owned(),
        ];
        let exact = "exact: every fault is at its place in time";
        remarks.push(self.note().unwrap_or_else(|| exact.to_owned()));
        if matches!(found.least, StallThreshold::Share(_)) {
            let again = match found.numbers_used_again {
                0 => String::new(),
                count => format!(
                    "; {} had the number of an earlier one and counts as alive since the first fault of that one",
                    quantity(count, "thread")
                ),
            };
            remarks.push(format!(
                "threads with faults count as alive from their start to their end, as far as these were seen{again}"
            ));
        }
        if self.session.sampling().is_sampled() {
            remarks.push(
                "minor faults were sampled: THREADS and stalls include the recorded ones only; there were more"
                    .to_owned(),
            );
        }
        if self.filter.is_part() {
            remarks.push(
                "faults that began outside of --from and --to are left out, even where they last into it; stalls and waits \
                 count as far as they lie between them"
                    .to_owned(),
            );
        }
        remarks
    }
}
