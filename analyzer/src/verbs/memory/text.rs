//! The verb `memory` in words and as a whole: the answer first, then its tables, then what the numbers cannot tell.

use crate::engine::filter::Filter;
use crate::error::AnalyzeError;
use crate::integrity::warnings;
use crate::output::answer::{Answer, Room};
use crate::output::document::Document;
use crate::output::render::{json, text};
use crate::output::table::{Table, Value};
use crate::output::text::json_text;
use crate::output::units::quantity;
use crate::output::units::{bytes, duration, fixed, grouped, percent};
use crate::request::options::MemoryPart;
use crate::trace::session::Session;
use crate::verbs::memory::curve::Tally;
use crate::verbs::memory::estimate::Estimate;
use crate::verbs::memory::pass::{Memory, ReadAhead};
use crate::verbs::memory::tables::telling;
use std::io::Write;

/// Files shown to people.
const FILES_SHOWN: usize = 10;

/// Of what memory can avoid, the part that the answer is about, in percent: by the estimate, and in any case.
const WORTH: u64 = 80;
const WORTH_AT_LEAST: u64 = 50;

impl MemoryPart {
    const ALL: [Self; 4] = [Self::Curve, Self::Files, Self::Times, Self::Distances];

    /// The name in JSON.
    fn name(self) -> &'static str {
        match self {
            Self::Curve => "curve",
            Self::Files => "files",
            Self::Times => "times",
            Self::Distances => "distances",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Curve => "Estimate of what more memory would have avoided",
            Self::Files => "Files and memory, by the wait in majors that were not the first of their page",
            Self::Times => "Faults of a page faulted before, by the time since",
            Self::Distances => "The same by the number of other pages faulted since",
        }
    }
}

/// A finished look at a trace, ready to be written.
pub struct MemoryAnswer<'a> {
    /// What was counted.
    pub memory: &'a Memory,
    /// The trace.
    pub session: &'a Session,
    /// Which faults.
    pub filter: &'a Filter,
    /// How much memory there was for these pages, in bytes, if that is known.
    pub memory_bytes: Option<u64>,
}

impl Answer for MemoryAnswer<'_> {
    fn text(&self, room: Room) -> Result<Document, AnalyzeError> {
        let mut document = Document::default();
        document.paragraph(self.describe());
        for part in MemoryPart::ALL {
            if part == MemoryPart::Curve && !self.has_estimate() {
                continue;
            }
            let mut table = self.part(part, false);
            table.rows.retain(|row| self.is_worth_a_line(part, row));
            if table.rows.is_empty() {
                continue;
            }
            let more = match part {
                MemoryPart::Files => table.keep_rows(FILES_SHOWN),
                _ => 0,
            };
            let left_out = room.table.map_or_else(Vec::new, |width| {
                let names = [
                    "minor_again",
                    "again_percent",
                    "at_least_percent",
                    "avoided_percent",
                ];
                text::narrow(&mut table, width, &names)
            });
            document.heading(part.title());
            document.table(table, room.table);
            if let Some(words) = text::describe_left_out(&left_out) {
                document.paragraph(words);
            }
            if more > 0 {
                document.line(format!("... and {} more: --part files", grouped(more as u64)));
            }
        }
        if self.memory.refaults.all().majors.count > 0 {
            document.list(self.limits());
        }
        Ok(document)
    }

    fn markdown(&self, _room: Room) -> Result<Document, AnalyzeError> {
        let mut document = Document::default();
        document.paragraph(self.describe());
        for part in MemoryPart::ALL {
            let table = self.part(part, false);
            if part == MemoryPart::Curve && !self.has_estimate() {
                continue;
            }
            if !table.rows.is_empty() {
                document.heading(part.title());
                document.table(table, None);
            }
        }
        document.list(self.limits());
        Ok(document)
    }

    fn json(&self, out: &mut dyn Write) -> Result<(), AnalyzeError> {
        json::object(out, |object| {
            object.json("summary", &json_text(&self.summary()))?;
            for part in MemoryPart::ALL {
                object.on_new_line().table(part.name(), &self.part(part, true))?;
            }
            Ok(())
        })
    }

    fn table(&self) -> Table {
        self.part(MemoryPart::Curve, true)
    }
}

impl MemoryAnswer<'_> {
    /// Whether distances say what more memory does.
    fn has_estimate(&self) -> bool {
        !self.memory.read_ahead.is_some_and(ReadAhead::is_much)
    }

    fn estimate(&self) -> Estimate {
        let pages = self.memory_bytes.map(|bytes| bytes / self.session.page_size());
        Estimate::of(self.memory.refaults.curve(), pages)
    }

    /// One part; programs get all steps of the curve.
    #[must_use]
    pub fn part(&self, part: MemoryPart, is_data: bool) -> Table {
        let estimate = self.estimate();
        match part {
            MemoryPart::Curve => {
                let steps = match is_data {
                    true => estimate.steps(),
                    false => telling(estimate.steps(), &estimate),
                };
                self.memory.curve_table(&steps, &estimate, self.session)
            }
            MemoryPart::Files => self.memory.files_table(&estimate, self.session),
            MemoryPart::Times => self.memory.times_table(),
            MemoryPart::Distances => self.memory.distances_table(self.session),
        }
    }

    /// Whether people learn something from a row.
    fn is_worth_a_line(&self, part: MemoryPart, row: &[Value]) -> bool {
        let has_majors = self.memory.refaults.all().majors.count > 0;
        let zero = |cell: usize| row.get(cell) == Some(&Value::Count(0));
        match part {
            MemoryPart::Curve => true,
            MemoryPart::Files => !has_majors || !zero(1),
            MemoryPart::Times => !(zero(1) && zero(2)),
            MemoryPart::Distances => !(zero(2) && zero(3)),
        }
    }

    /// All but the tables, for programs.
    fn summary(&self) -> serde_json::Value {
        let all = self.memory.refaults.all();
        let estimate = self.estimate();
        let page_size = self.session.page_size();
        let (error, wait_error) = self.errors(&estimate);
        let again = all.of_all(all.again);
        serde_json::json!({
            "answer": self.describe(),
            "page_size": page_size,
            "majors": all.majors.count,
            "wait_ms": all.majors.wait_ns as f64 / 1e6,
            "again": again.count,
            "again_wait_ms": again.wait_ns as f64 / 1e6,
            "has_estimate": self.has_estimate(),
            "pages_read": self.memory.read_ahead.map(|read| read.pages),
            "held_bytes": estimate.held_pages.map(|pages| pages.saturating_mul(page_size)),
            "exact": self.memory.refaults.one_in() == 1,
            "pages_followed_one_in": self.memory.refaults.one_in(),
            "error_percent": error as f64 / 10.0,
            "wait_error_percent": wait_error as f64 / 10.0,
            "faults": self.memory.order.faults,
            "late_faults": self.memory.order.late,
            "latest_ms": self.memory.order.latest_ns as f64 / 1e6,
            "limits": self.limits(),
        })
    }

    /// The largest errors over the steps of the curve.
    fn errors(&self, estimate: &Estimate) -> (u64, u64) {
        let steps = estimate.steps().into_iter();
        let rooms = steps.flat_map(|step| [step.extra_pages, estimate.room(step.extra_pages)]);
        let errors = rooms.map(|room| self.memory.refaults.error_per_mille(room));
        errors.fold((0, 0), |worst, error| {
            (worst.0.max(error.0), worst.1.max(error.1))
        })
    }

    /// The answer in a few sentences.
    #[must_use]
    pub(crate) fn describe(&self) -> String {
        let all = self.memory.refaults.all();
        let majors = quantity(all.majors.count, "major");
        let minor_again = match all.minor_again.count {
            0 => String::new(),
            count => format!(
                " {} of a page faulted before {} minor.",
                quantity(count, "fault"),
                if count == 1 { "was" } else { "were" },
            ),
        };
        let hidden = self.session.hidden_majors();
        if hidden > 0 && all.majors.count == 0 {
            return format!(
                "No major fault is listed here; {} of the recording were only counted, so nothing can be estimated from them.{minor_again}",
                grouped(hidden)
            );
        }
        if all.majors.count == 0 {
            return format!(
                "There are no major faults here, and the estimate is of majors alone.{minor_again}"
            );
        }
        if let Some(read) = self.memory.read_ahead.filter(|read| read.is_much()) {
            return format!(
                "No estimate: read-ahead brought in {} ({}) for the {} that read, and what it pushed out is in no distance. Without it \
                 (MADV_RANDOM) another recording can be asked.{minor_again}",
                quantity(read.pages, "page"),
                bytes(read.pages.saturating_mul(self.session.page_size())),
                quantity(read.faults, "fault"),
            );
        }
        let estimate = self.estimate();
        let size = |pages: u64| bytes(pages.saturating_mul(self.session.page_size()));
        let worth = if estimate.is_known { WORTH } else { WORTH_AT_LEAST };
        let Some(step) = estimate.worth(worth) else {
            return format!(
                "None of the {majors} is on a page that had one before, as far as the trace shows, and more memory avoids none \
                 that is the first of its page.{minor_again}"
            );
        };
        let (least, most) = (all.of_all(step.least), all.of_all(step.most));
        let share = |part: Tally| percent(part.count.into(), all.majors.count.into());
        let extra = size(step.extra_pages);
        let (count, wait) = if estimate.is_known {
            (format!("about {}", share(most)), duration(most.wait_ns))
        } else if least.count == most.count {
            (share(most), duration(most.wait_ns))
        } else {
            let waits = (duration(least.wait_ns), duration(most.wait_ns));
            (
                format!("between {} and {}", share(least), share(most)),
                format!("between {} and {}", waits.0, waits.1),
            )
        };
        let whole = duration(all.majors.wait_ns);
        // Where the recording says so there is no need to assume it.
        let by_faults = match self.memory.read_ahead {
            Some(_) => "",
            None => ", and came by faults alone",
        };
        let first = format!(
            "If these pages left memory because it was short{by_faults}, {extra} more memory would have avoided {count} of the {majors} and {wait} of their \
             {whole} of waiting."
        );
        let (again, rest) = (all.of_all(all.again), all.of_all(estimate.all()));
        let share = percent(again.count.into(), all.majors.count.into());
        let read = format!("{share} were not the first of their page: {}", size(again.count));
        let wait = duration(rest.wait_ns);
        match rest.count.saturating_sub(again.count) {
            0 => format!("{first} {read} and {wait} of waiting."),
            waited => format!(
                "{first} {read}; with {} that began while another on the same page was under way {wait} of waiting.",
                grouped(waited)
            ),
        }
    }

    /// What the numbers cannot tell, and how exact they are.
    #[must_use]
    pub fn limits(&self) -> Vec<String> {
        let refaults = &self.memory.refaults;
        let estimate = self.estimate();
        let page_size = self.session.page_size();
        let mut limits = Vec::new();
        let all = refaults.all();
        if estimate.all().count > 0 {
            limits.push(
                "this assumes that the kernel drops the pages that were used longest ago (LRU); where it drops them in order of \
                 arrival, as with madvise RANDOM or SEQUENTIAL, fewer faults are avoided"
                    .to_owned(),
            );
            limits.push(match (estimate.held_pages, estimate.is_known) {
                (Some(pages), true) => format!(
                    "AVOIDED is an estimate: it adds to EXTRA_BYTES the {} of other pages that a page outlives in memory, as \
                     --memory and the shortest tenth of the distances say; AT_LEAST counts EXTRA_BYTES alone",
                    bytes(pages.saturating_mul(page_size))
                ),
                (Some(pages), false) => format!(
                    "AT_LEAST counts EXTRA_BYTES alone; AT_MOST adds the {} of other pages that a page outlives in memory at \
                     most, as a rule of thumb: no more than a quarter came back sooner. With --memory SIZE, such as the limit of the cgroup, \
                     the bound becomes an estimate",
                    bytes(pages.saturating_mul(page_size))
                ),
                (None, _) => "too few pages had a second major fault to know how long a page stays in memory: AT_MOST has no bound".to_owned(),
            });
        }
        limits.push(
            "a trace has the misses only: it says nothing about less memory or about a hit ratio. More memory avoids no first \
             fault of a page"
                .to_owned(),
        );
        limits.push(match self.memory.read_ahead {
            Some(read) => format!(
                "{} that read brought in {}; others that came with them are in no distance",
                quantity(read.faults, "fault"),
                quantity(read.pages, "page"),
            ),
            None => "pages that read-ahead brought in and took out again are not known (pfrec --causes tells): where there is much of it, \
                     far less is avoided than stated here, and no bound holds"
                .to_owned(),
        });
        if all.at_once.count > 0 {
            limits.push(format!(
                "{} began while another major on the same page was under way: they count as that one does",
                quantity(all.of_all(all.at_once).count, "major")
            ));
        }
        limits.push(self.exactness(&estimate));
        if self.session.sampling().is_sampled() {
            limits.push(
                "minor faults were sampled: distances count pages of majors alone, and which minors were faulted again is \
                 not known"
                    .to_owned(),
            );
        }
        if !self.filter.is_empty()
            || warnings::filters(self.session).len() > usize::from(self.session.sampling().is_sampled())
        {
            limits.push(
                "of a part of the faults only: pages of faults that were left out took memory, too, and are not counted \
                 in the distances"
                    .to_owned(),
            );
        }
        if self.session.events_lost() > 0 {
            limits.push(
                "faults were lost: some distances are too short, and some later majors of a page look like its first"
                    .to_owned(),
            );
        }
        limits
    }

    /// For programs, beside a table that cannot say it: numbers that are not exact.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let is_exact = self.memory.refaults.one_in() == 1 && self.memory.order.late == 0;
        (!is_exact).then(|| self.exactness(&self.estimate()))
    }

    fn exactness(&self, estimate: &Estimate) -> String {
        let refaults = &self.memory.refaults;
        let order = self.memory.order;
        let order_words = match order.late {
            0 => "in exactly the order in which the faults completed".to_owned(),
            late => format!(
                "in the order in which the faults completed, but for {} of {} that come up to {} too late in the trace",
                grouped(late),
                grouped(order.faults),
                duration(order.latest_ns)
            ),
        };
        match refaults.one_in() {
            1 => format!("distances are exact: every page was followed, {order_words}"),
            one_in => {
                let (error, wait_error) = self.errors(estimate);
                format!(
                    "estimated from one page in {}, chosen by chance ({} at the end), {order_words}: shares of majors are \
                     within {} points, of waiting within {} (two standard errors), distances within some percent",
                    grouped(one_in),
                    grouped(refaults.pages_followed()),
                    fixed(error, 10, 1),
                    fixed(wait_error, 10, 1)
                )
            }
        }
    }
}
