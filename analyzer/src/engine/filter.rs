//! Which faults count. One filter serves every verb: it skips whole blocks by their ranges and masks the rest.

use crate::engine::columns::Column;
use crate::engine::frame::{u8s, u32s};
use crate::error::AnalyzeError;
use crate::trace::class::{Class, ClassBits};
use crate::trace::name_pattern::Pattern;
use crate::trace::queries::select::IdSet;
use crate::trace::session::Session;
use pf_formats::{FaultClass, Predicate, Query};
use polars::prelude::{BooleanChunked, ChunkCompareIneq, DataFrame, NewChunkedArray, PlHashMap};
use std::borrow::Cow;

/// All conditions must hold; several values of one condition are alternatives; empty means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Entry not before, from the start of the recording.
    pub from_ns: Option<u64>,
    /// Entry before, from the start of the recording.
    pub to_ns: Option<u64>,
    /// Processes.
    pub pids: Vec<u32>,
    /// Threads.
    pub tids: Vec<u32>,
    /// Thread names.
    pub comms: Vec<Pattern>,
    /// Paths, or `[anon]` and the like.
    pub files: Vec<Pattern>,
    /// Class.
    pub class: Option<Class>,
    /// Latency not below.
    pub min_latency_ns: Option<u64>,
    /// Latency not above.
    pub max_latency_ns: Option<u64>,
    /// Innermost query of the thread.
    pub queries: Option<IdSet>,
}

/// Answers to `Pattern` questions by dictionary id, so that each name is matched once.
#[derive(Debug, Default)]
pub(crate) struct NameCache {
    generation: u64,
    comms: PlHashMap<u32, bool>,
    objects: PlHashMap<u32, bool>,
}

impl Filter {
    /// Whether every fault passes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The columns that the filter looks at.
    #[must_use]
    pub fn columns(&self) -> Vec<Column> {
        let mut columns = Vec::new();
        let mut want = |needed: bool, column| {
            if needed {
                columns.push(column);
            }
        };
        want(self.is_part(), Column::TsNs);
        want(
            self.min_latency_ns.is_some() || self.max_latency_ns.is_some(),
            Column::LatencyNs,
        );
        want(!self.pids.is_empty(), Column::Pid);
        want(!self.tids.is_empty(), Column::Tid);
        want(!self.comms.is_empty(), Column::CommId);
        want(!self.files.is_empty(), Column::ObjectId);
        want(self.class.is_some(), Column::ClassBits);
        want(self.queries.is_some(), Column::QueryId);
        columns
    }

    /// What a block can be judged by before it is decoded. Times count from `start_ns`, and do not before that is known.
    #[must_use]
    pub fn predicate(&self, start_ns: Option<u64>) -> Predicate {
        if self.queries.as_ref().is_some_and(IdSet::is_empty) {
            return Predicate::nothing();
        }
        let since = |time_ns: u64| start_ns.map(|start| start.saturating_add(time_ns));
        let any_or = |list: &[u32]| (!list.is_empty()).then(|| list.to_vec());
        Predicate {
            // From 0 nothing is cut, as in `mask`.
            from_ns: self.from_ns.filter(|&from| from > 0).and_then(since),
            to_ns: self.to_ns.and_then(since),
            pids: any_or(&self.pids),
            tids: any_or(&self.tids),
            pages: None,
            class: self.class.map(FaultClass::from),
            min_latency_ns: self.min_latency_ns,
            max_latency_ns: self.max_latency_ns,
        }
    }

    /// One flag per row; `None` when every row passes.
    pub(crate) fn mask(
        &self,
        frame: &DataFrame,
        session: &Session,
        cache: &mut NameCache,
    ) -> Result<Option<BooleanChunked>, AnalyzeError> {
        if self.is_empty() {
            return Ok(None);
        }
        if cache.generation != session.dicts.generation() {
            *cache = NameCache {
                generation: session.dicts.generation(),
                ..NameCache::default()
            };
        }
        let mut mask: Option<BooleanChunked> = None;
        let mut and = |part: BooleanChunked| {
            mask = Some(match mask.take() {
                Some(before) => before & part,
                None => part,
            });
        };
        let start = session.start_ns();
        // From 0 nothing is cut: a fault that was open when the recording began is earlier than its start.
        if let Some(from) = self.from_ns.filter(|&from| from > 0) {
            and(frame
                .column(Column::TsNs.name())?
                .u64()?
                .gt_eq(start.saturating_add(from)));
        }
        if let Some(to) = self.to_ns {
            and(frame
                .column(Column::TsNs.name())?
                .u64()?
                .lt(start.saturating_add(to)));
        }
        if let Some(min) = self.min_latency_ns {
            and(frame.column(Column::LatencyNs.name())?.u64()?.gt_eq(min));
        }
        if let Some(max) = self.max_latency_ns {
            and(frame.column(Column::LatencyNs.name())?.u64()?.lt_eq(max));
        }
        if !self.pids.is_empty() {
            and(row_flags(u32s(frame, Column::Pid)?, |pid| {
                self.pids.contains(&pid)
            }));
        }
        if !self.tids.is_empty() {
            and(row_flags(u32s(frame, Column::Tid)?, |tid| {
                self.tids.contains(&tid)
            }));
        }
        if !self.comms.is_empty() {
            let name = |id| session.dicts.comm(id);
            and(by_name(
                u32s(frame, Column::CommId)?,
                &mut cache.comms,
                &self.comms,
                name,
            ));
        }
        if !self.files.is_empty() {
            let name = |id| session.dicts.label(id);
            and(by_name(
                u32s(frame, Column::ObjectId)?,
                &mut cache.objects,
                &self.files,
                name,
            ));
        }
        if let Some(class) = self.class {
            let bits = u8s(frame, Column::ClassBits)?.iter();
            let flags = bits.map(|&bits| ClassBits(bits).class() == class);
            and(BooleanChunked::from_iter_values("mask".into(), flags));
        }
        if let Some(queries) = &self.queries {
            // Null without a query.
            let ids = frame.column(Column::QueryId.name())?.u64()?.iter();
            let flags = ids.map(|id| id.is_some_and(|id| queries.contains(id)));
            and(BooleanChunked::from_iter_values("mask".into(), flags));
        }
        Ok(mask)
    }

    /// Whether a whole query passes. Conditions on single faults do not count: [`Filter::is_about_faults`].
    #[must_use]
    pub fn passes_query(&self, query: &Query, session: &Session) -> bool {
        let began_ns = session.since_start_ns(query.begin_ns);
        let all_or = |list: &[u32], id| list.is_empty() || list.contains(&id);
        all_or(&self.pids, query.pid)
            && all_or(&self.tids, query.tid)
            && self.from_ns.is_none_or(|from| began_ns >= from)
            && self.to_ns.is_none_or(|to| began_ns < to)
            && self.queries.as_ref().is_none_or(|ids| ids.contains(query.id.0))
    }

    /// The first condition that only a single fault can meet.
    #[must_use]
    pub fn is_about_faults(&self) -> Option<&'static str> {
        let conditions = [
            (!self.comms.is_empty(), "--comm"),
            (!self.files.is_empty(), "--file"),
            (self.class.is_some(), "a class of faults"),
            (self.min_latency_ns.is_some(), "--min-latency"),
            (self.max_latency_ns.is_some(), "--max-latency"),
        ];
        conditions
            .into_iter()
            .find(|(is_given, _)| *is_given)
            .map(|(_, what)| what)
    }

    /// Whether a part of the time was asked for.
    #[must_use]
    pub fn is_part(&self) -> bool {
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

fn row_flags(ids: &[u32], passes: impl FnMut(u32) -> bool) -> BooleanChunked {
    BooleanChunked::from_iter_values("mask".into(), ids.iter().copied().map(passes))
}

fn by_name<'a>(
    ids: &[u32],
    cache: &mut PlHashMap<u32, bool>,
    patterns: &[Pattern],
    name: impl Fn(u32) -> Cow<'a, str>,
) -> BooleanChunked {
    row_flags(ids, |id| {
        *cache.entry(id).or_insert_with(|| {
            let name = name(id);
            patterns.iter().any(|pattern| pattern.matches(&name))
        })
    })
}
