//! The conditions of a filter, one by one: which column each looks at, how it rules out blocks, rows and queries, and what
//! it is called. A new one is a variant here, and a field of [`Filter`](crate::engine::filter::Filter).

use crate::engine::columns::Column;
use crate::engine::frame::{u8s, u32s};
use crate::error::AnalyzeError;
use crate::output::command::Argument;
use crate::output::units::{duration, exact_duration};
use crate::trace::cause::Cause;
use crate::trace::class::{Class, ClassBits};
use crate::trace::queries::select::IdSet;
use crate::trace::session::Session;
use pf_formats::{HiddenWait, Predicate, Query};
use pf_notation::names::Names;
use polars::prelude::{BooleanChunked, ChunkCompareIneq, DataFrame, NewChunkedArray, PlHashMap};
use std::borrow::Cow;

/// Something that faults must meet. Times count from the start of the recording.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Condition<'a> {
    From(u64),
    To(u64),
    Pids(&'a [u32]),
    Tids(&'a [u32]),
    Comms(&'a [Names]),
    Files(&'a [Names]),
    /// As they were named; which ones these are only the trace tells.
    Queries(&'a [String], Option<&'a IdSet>),
    Class(Class),
    Causes(&'a [Cause]),
    MinLatency(u64),
    MaxLatency(u64),
}

/// Answers to questions about names by dictionary id, so that each name is matched once.
#[derive(Debug, Default)]
pub(crate) struct NameCache {
    generation: u64,
    comms: PlHashMap<u32, bool>,
    objects: PlHashMap<u32, bool>,
}

impl NameCache {
    /// Forgets everything when ids have got other names.
    pub(crate) fn follow(&mut self, session: &Session) {
        let generation = session.dicts.generation();
        if self.generation != generation {
            *self = Self {
                generation,
                ..Self::default()
            };
        }
    }
}

impl Condition<'_> {
    /// The column that tells.
    pub(crate) fn column(self) -> Option<Column> {
        match self {
            Self::From(_) | Self::To(_) => Some(Column::TsNs),
            Self::Pids(_) => Some(Column::Pid),
            Self::Tids(_) => Some(Column::Tid),
            Self::Comms(_) => Some(Column::CommId),
            Self::Files(_) => Some(Column::ObjectId),
            Self::Queries(_, ids) => ids.map(|_| Column::QueryId),
            Self::Class(_) => Some(Column::ClassBits),
            Self::Causes(_) => Some(Column::CauseCode),
            Self::MinLatency(_) | Self::MaxLatency(_) => Some(Column::LatencyNs),
        }
    }

    /// Whether nothing can meet it.
    pub(crate) fn rules_out_everything(self) -> bool {
        matches!(self, Self::Queries(_, Some(ids)) if ids.is_empty())
    }

    /// Adds what a block can be judged by before it is decoded. Nothing counts from `start_ns` before that is known.
    pub(crate) fn narrow(self, predicate: &mut Predicate, start_ns: Option<u64>) {
        let since = |time_ns: u64| start_ns.map(|start| start.saturating_add(time_ns));
        match self {
            // From 0 nothing is cut, as in `mask`.
            Self::From(from) => predicate.from_ns = Some(from).filter(|&from| from > 0).and_then(since),
            Self::To(to) => predicate.to_ns = since(to),
            Self::Pids(pids) => predicate.pids = Some(pids.to_vec()),
            Self::Tids(tids) => predicate.tids = Some(tids.to_vec()),
            Self::Class(class) => predicate.class = Some(class),
            Self::MinLatency(min) => predicate.min_latency_ns = Some(min),
            Self::MaxLatency(max) => predicate.max_latency_ns = Some(max),
            Self::Comms(_) | Self::Files(_) | Self::Queries(..) | Self::Causes(_) => {}
        }
    }

    /// One flag per row; `None` when every row meets it.
    pub(crate) fn mask(
        self,
        frame: &DataFrame,
        session: &Session,
        cache: &mut NameCache,
    ) -> Result<Option<BooleanChunked>, AnalyzeError> {
        let u64s = |column: Column| frame.column(column.name())?.u64();
        let start_ns = session.start_ns();
        Ok(Some(match self {
            // A fault that was open when the recording began is earlier than its start.
            Self::From(0) => return Ok(None),
            Self::From(from) => u64s(Column::TsNs)?.gt_eq(start_ns.saturating_add(from)),
            Self::To(to) => u64s(Column::TsNs)?.lt(start_ns.saturating_add(to)),
            Self::Pids(pids) => row_flags(u32s(frame, Column::Pid)?, |pid| pids.contains(&pid)),
            Self::Tids(tids) => row_flags(u32s(frame, Column::Tid)?, |tid| tids.contains(&tid)),
            Self::Comms(patterns) => {
                let name = |id| session.dicts.comm(id);
                by_name(u32s(frame, Column::CommId)?, &mut cache.comms, patterns, name)
            }
            Self::Files(patterns) => {
                let name = |id| session.dicts.label(id);
                by_name(u32s(frame, Column::ObjectId)?, &mut cache.objects, patterns, name)
            }
            Self::Queries(_, None) => return Ok(None),
            Self::Queries(_, Some(queries)) => {
                // Null without a query.
                let ids = u64s(Column::QueryId)?.iter();
                flags(ids.map(|id| id.is_some_and(|id| queries.contains(id))))
            }
            Self::Class(class) => {
                let bits = u8s(frame, Column::ClassBits)?.iter();
                flags(bits.map(|&bits| ClassBits(bits).class() == class))
            }
            Self::Causes(causes) => {
                // Null where nobody looked.
                let codes = frame.column(Column::CauseCode.name())?.u8()?.iter();
                flags(codes.map(|code| code.is_some_and(|code| causes.contains(&Cause::from_code(code)))))
            }
            Self::MinLatency(min) => u64s(Column::LatencyNs)?.gt_eq(min),
            Self::MaxLatency(max) => u64s(Column::LatencyNs)?.lt_eq(max),
        }))
    }

    /// Whether a whole query meets it; what only single faults can meet does not count.
    pub(crate) fn passes_query(self, query: &Query, session: &Session) -> bool {
        let began_ns = session.since_start_ns(query.begin_ns);
        match self {
            Self::From(from) => began_ns >= from,
            Self::To(to) => began_ns < to,
            Self::Pids(pids) => pids.contains(&query.pid),
            Self::Tids(tids) => tids.contains(&query.tid),
            Self::Queries(_, ids) => ids.is_none_or(|ids| ids.contains(query.id.0)),
            Self::Comms(_)
            | Self::Files(_)
            | Self::Class(_)
            | Self::Causes(_)
            | Self::MinLatency(_)
            | Self::MaxLatency(_) => true,
        }
    }

    /// Whether a wait of which no fault tells meets it; what only faults have it has not.
    pub(crate) fn passes_hidden_wait(self, wait: &HiddenWait, session: &Session) -> bool {
        let began_ns = session.since_start_ns(wait.begin_ns);
        let fits = |patterns: &[Names], name: &str| patterns.iter().any(|pattern| pattern.matches(name));
        match self {
            Self::From(from) => began_ns >= from,
            Self::To(to) => began_ns < to,
            Self::Pids(pids) => pids.contains(&wait.pid),
            Self::Tids(tids) => tids.contains(&wait.tid),
            Self::Comms(patterns) => fits(patterns, &session.dicts.comm(wait.comm.0)),
            Self::Files(patterns) => {
                wait.object.0 != 0 && fits(patterns, &session.dicts.label(wait.object.0))
            }
            Self::MinLatency(min) => wait.wait_ns >= min,
            Self::MaxLatency(max) => wait.wait_ns <= max,
            Self::Causes(_) | Self::Class(_) | Self::Queries(..) => false,
        }
    }

    /// What only a single fault can meet, by the name of its option.
    pub(crate) fn is_about_faults(self) -> Option<&'static str> {
        match self {
            Self::Comms(_) => Some("--comm"),
            Self::Files(_) => Some("--file"),
            Self::Class(_) => Some("a class of faults"),
            Self::Causes(_) => Some("--cause"),
            Self::MinLatency(_) => Some("--min-latency"),
            Self::MaxLatency(_) => Some("--max-latency"),
            Self::From(_) | Self::To(_) | Self::Pids(_) | Self::Tids(_) | Self::Queries(..) => None,
        }
    }

    /// As options of a command, exact.
    pub(crate) fn arguments(self) -> Vec<Argument> {
        let numbers = |numbers: &[u32]| {
            let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
            Some(numbers.join(","))
        };
        let patterns = |option, patterns: &[Names]| {
            let texts = patterns
                .iter()
                .map(|pattern| (option, Some(pattern.text().to_owned())));
            texts.collect()
        };
        match self {
            Self::From(from) => vec![("--from", Some(exact_duration(from)))],
            Self::To(to) => vec![("--to", Some(exact_duration(to)))],
            Self::Pids(pids) => vec![("--pid", numbers(pids))],
            Self::Tids(tids) => vec![("--tid", numbers(tids))],
            Self::Comms(names) => patterns("--comm", names),
            Self::Files(names) => patterns("--file", names),
            Self::Queries(named, _) => named.iter().map(|name| ("--query", Some(name.clone()))).collect(),
            Self::Causes(causes) => vec![("--cause", Some(names_of(causes)))],
            Self::Class(Class::Major) => vec![("--major", None)],
            Self::Class(Class::Minor) => vec![("--minor", None)],
            Self::Class(Class::Failed) => vec![("--failed", None)],
            Self::MinLatency(min) => vec![("--min-latency", Some(exact_duration(min)))],
            Self::MaxLatency(max) => vec![("--max-latency", Some(exact_duration(max)))],
        }
    }

    /// As on the command line: `--comm a --comm b`.
    pub(crate) fn describe(self) -> String {
        let each = |option: &str, values: &mut dyn Iterator<Item = &str>| {
            let options: Vec<String> = values.map(|value| format!("{option} {value}")).collect();
            options.join(" ")
        };
        let numbers = |numbers: &[u32]| {
            let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
            numbers.join(",")
        };
        match self {
            Self::From(from) => format!("--from {}", duration(from)),
            Self::To(to) => format!("--to {}", duration(to)),
            Self::Pids(pids) => format!("--pid {}", numbers(pids)),
            Self::Tids(tids) => format!("--tid {}", numbers(tids)),
            Self::Comms(patterns) => each("--comm", &mut patterns.iter().map(Names::text)),
            Self::Files(patterns) => each("--file", &mut patterns.iter().map(Names::text)),
            Self::Queries(named, _) => each("--query", &mut named.iter().map(String::as_str)),
            Self::Class(class) => format!("--{}", class.name()),
            Self::Causes(causes) => format!("--cause {}", names_of(causes)),
            Self::MinLatency(min) => format!("--min-latency {}", duration(min)),
            Self::MaxLatency(max) => format!("--max-latency {}", duration(max)),
        }
    }
}

/// Separated by commas, as the option takes them.
pub(crate) fn names_of(causes: &[Cause]) -> String {
    let names: Vec<&str> = causes.iter().map(|cause| cause.name()).collect();
    names.join(",")
}

fn flags(passes: impl ExactSizeIterator<Item = bool>) -> BooleanChunked {
    BooleanChunked::from_iter_values("mask".into(), passes)
}

fn row_flags(ids: &[u32], passes: impl FnMut(u32) -> bool) -> BooleanChunked {
    flags(ids.iter().copied().map(passes))
}

fn by_name<'a>(
    ids: &[u32],
    cache: &mut PlHashMap<u32, bool>,
    patterns: &[Names],
    name: impl Fn(u32) -> Cow<'a, str>,
) -> BooleanChunked {
    row_flags(ids, |id| {
        *cache.entry(id).or_insert_with(|| {
            let name = name(id);
            patterns.iter().any(|pattern| pattern.matches(&name))
        })
    })
}
