//! Which faults count. One filter serves every verb: it skips whole blocks by their ranges and masks the rest.

use crate::engine::columns::Column;
use crate::engine::condition::{Condition, NameCache};
use crate::engine::unmet::Unmet;
use crate::error::AnalyzeError;
use crate::output::command::Argument;
use crate::trace::cause::Cause;
use crate::trace::class::Class;
use crate::trace::queries::select::IdSet;
use crate::trace::session::Session;
use pf_formats::{HiddenWait, Predicate, Query};
use pf_notation::moment::Clock;
use pf_notation::names::Names;
use polars::prelude::{BooleanChunked, DataFrame};

/// All conditions must hold; several values of one condition are alternatives; empty means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Entry not before, from the start of the recording.
    pub from_ns: Option<u64>,
    /// Entry before, from the start of the recording.
    pub to_ns: Option<u64>,
    /// Instead of `from_ns`, by the clock: what that is in this recording is known once the trace was asked.
    pub from_clock: Option<Clock>,
    /// Instead of `to_ns`, likewise.
    pub to_clock: Option<Clock>,
    /// Processes.
    pub pids: Vec<u32>,
    /// Threads.
    pub tids: Vec<u32>,
    /// Thread names.
    pub comms: Vec<Names>,
    /// Paths, or `[anon]` and the like.
    pub files: Vec<Names>,
    /// Class.
    pub class: Option<Class>,
    /// Causes; a fault whose cause nobody looked for has none.
    pub causes: Vec<Cause>,
    /// Latency not below.
    pub min_latency_ns: Option<u64>,
    /// Latency not above.
    pub max_latency_ns: Option<u64>,
    /// Innermost query of the thread: names or ids, as they were given.
    pub query_names: Vec<String>,
    /// Which queries these are, once the trace was asked.
    pub queries: Option<IdSet>,
}

impl Filter {
    /// Whether every fault passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.conditions().next().is_none()
    }

    /// What faults must meet, all of it. A field that is forgotten here does not compile.
    fn conditions(&self) -> impl Iterator<Item = Condition<'_>> {
        let Self {
            from_ns,
            to_ns,
            from_clock: _,
            to_clock: _,
            pids,
            tids,
            comms,
            files,
            query_names,
            queries,
            class,
            causes,
            min_latency_ns,
            max_latency_ns,
        } = self;
        let is_by_query = queries.is_some() || !query_names.is_empty();
        let conditions = [
            from_ns.map(Condition::From),
            to_ns.map(Condition::To),
            (!pids.is_empty()).then_some(Condition::Pids(pids)),
            (!tids.is_empty()).then_some(Condition::Tids(tids)),
            (!comms.is_empty()).then_some(Condition::Comms(comms)),
            (!files.is_empty()).then_some(Condition::Files(files)),
            is_by_query.then_some(Condition::Queries(query_names, queries.as_ref())),
            class.map(Condition::Class),
            (!causes.is_empty()).then_some(Condition::Causes(causes)),
            min_latency_ns.map(Condition::MinLatency),
            max_latency_ns.map(Condition::MaxLatency),
        ];
        conditions.into_iter().flatten()
    }

    /// The columns that the filter looks at.
    #[must_use]
    pub fn columns(&self) -> Vec<Column> {
        self.conditions().filter_map(Condition::column).collect()
    }

    /// What a block can be judged by before it is decoded. Times count from `start_ns`, and do not before that is known.
    #[must_use]
    pub fn predicate(&self, start_ns: Option<u64>) -> Predicate {
        let mut predicate = Predicate::default();
        for condition in self.conditions() {
            if condition.rules_out_everything() {
                return Predicate::nothing();
            }
            condition.narrow(&mut predicate, start_ns);
        }
        predicate
    }

    /// One flag per row; `None` when every row passes.
    pub(crate) fn mask(
        &self,
        frame: &DataFrame,
        session: &Session,
        cache: &mut NameCache,
    ) -> Result<Option<BooleanChunked>, AnalyzeError> {
        cache.follow(session);
        let mut mask: Option<BooleanChunked> = None;
        for condition in self.conditions() {
            if let Some(part) = condition.mask(frame, session, cache)? {
                mask = Some(match mask {
                    Some(before) => before & part,
                    None => part,
                });
            }
        }
        Ok(mask)
    }

    /// Whether a whole query passes. Conditions on single faults do not count: `is_about_faults`.
    #[must_use]
    pub fn passes_query(&self, query: &Query, session: &Session) -> bool {
        self.conditions()
            .all(|condition| condition.passes_query(query, session))
    }

    /// Whether a wait of which no fault tells passes.
    #[must_use]
    pub(crate) fn passes_hidden_wait(&self, wait: &HiddenWait, session: &Session) -> bool {
        self.conditions()
            .all(|condition| condition.passes_hidden_wait(wait, session))
    }

    /// The first condition that only a single fault can meet.
    #[must_use]
    pub(crate) fn is_about_faults(&self) -> Option<&'static str> {
        self.conditions().find_map(Condition::is_about_faults)
    }

    /// As on the command line; empty when every fault passes.
    #[must_use]
    pub(crate) fn describe(&self) -> String {
        self.conditions()
            .map(Condition::describe)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// As options of a command that asks for the same faults.
    #[must_use]
    pub fn arguments(&self) -> Vec<Argument> {
        self.conditions().flat_map(Condition::arguments).collect()
    }

    /// Why no fault passes, where none does: the first condition that none can meet, or all of them together.
    #[must_use]
    pub fn unmet(&self, session: &Session) -> Unmet {
        let unmet = self.conditions().find_map(|condition| condition.unmet(session));
        unmet.unwrap_or_else(|| Unmet {
            reason: match self.conditions().count() {
                1 => format!("no fault meets {}", self.describe()),
                _ => format!("no fault meets all of {}", self.describe()),
            },
            verb: self.conditions().next().map_or("files", Condition::listing_verb),
        })
    }

    /// Whether it asks for times by the clock, which only the trace can place.
    #[must_use]
    pub fn asks_the_clock(&self) -> bool {
        self.from_clock.is_some() || self.to_clock.is_some()
    }

    /// Whether a part of the time was asked for.
    #[must_use]
    pub(crate) fn is_part(&self) -> bool {
        self.from_ns.is_some() || self.to_ns.is_some()
    }

    /// The part of the recording that passes, as (begin, end) in `CLOCK_MONOTONIC`.
    #[must_use]
    pub fn window_ns(&self, session: &Session) -> (u64, u64) {
        let start = session.start_ns();
        let begin = start.saturating_add(self.from_ns.unwrap_or(0));
        let end = self
            .to_ns
            .map_or(u64::MAX, |to| start.saturating_add(to))
            .min(session.end_ns());
        (begin, end.max(begin))
    }
}
