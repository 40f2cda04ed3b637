//! Filters as they are given to pfanalyze, each with the condition that it stands for.

use crate::truth::{Fault, Trace};
use pf_formats::Query;
use std::collections::HashSet;

type Condition<T> = Box<dyn Fn(&T) -> bool>;

/// Arguments, and what they select.
pub struct Filter {
    pub arguments: Vec<String>,
    /// Of a fault.
    pub passes: Condition<Fault>,
    /// Of a fault, where a window of time is one of whole queries.
    pub passes_in_query: Condition<Fault>,
    /// Of a query; `None` where the filter is about single faults.
    pub passes_query: Option<Condition<Query>>,
}

impl Filter {
    fn of_faults(arguments: &[&str], passes: impl Fn(&Fault) -> bool + 'static) -> Self {
        Self {
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            passes: Box::new(passes),
            passes_in_query: Box::new(|_| false),
            passes_query: None,
        }
    }

    fn and_queries(
        self,
        in_query: impl Fn(&Fault) -> bool + 'static,
        query: impl Fn(&Query) -> bool + 'static,
    ) -> Self {
        Self {
            passes_in_query: Box::new(in_query),
            passes_query: Some(Box::new(query)),
            ..self
        }
    }

    pub fn selects_files(&self) -> bool {
        self.arguments.iter().any(|argument| argument == "--file")
    }

    pub fn is_empty(&self) -> bool {
        self.arguments.is_empty()
    }
}

/// Seconds, to the nanosecond.
fn seconds(ns: u64) -> String {
    format!("{ns}ns")
}

/// Filters that make sense for a trace: each alone, and some together. Their values come out of it.
pub fn filters(trace: &Trace) -> Vec<Filter> {
    let everything = Filter::of_faults(&[], |_| true).and_queries(|_| true, |_| true);
    let mut filters = vec![everything];
    let faults = &trace.faults;
    let Some(middle) = faults.get(faults.len() / 2).cloned() else {
        return filters;
    };
    filters.extend([
        Filter::of_faults(&["--major"], |fault| fault.class() == "major"),
        Filter::of_faults(&["--minor"], |fault| fault.class() == "minor"),
        Filter::of_faults(&["--failed"], |fault| fault.class() == "failed"),
    ]);
    if faults.iter().any(|fault| fault.cause.is_some()) {
        filters.extend([
            Filter::of_faults(&["--cause", "read"], |fault| fault.cause == Some("read")),
            Filter::of_faults(&["--cause", "read-wait,map,unknown"], |fault| {
                matches!(fault.cause, Some("read-wait" | "map" | "unknown"))
            }),
        ]);
    }
    filters.extend(windows(trace));
    let event = middle.event;
    let pid = event.pid;
    let pid_text = pid.to_string();
    filters.push(
        Filter::of_faults(&["--pid", &pid_text], move |fault| fault.event.pid == pid)
            .and_queries(move |fault| fault.event.pid == pid, move |query| query.pid == pid),
    );
    let tids = [event.tid, faults[0].event.tid];
    let list = format!("{},{}", tids[0], tids[1]);
    filters.push(
        Filter::of_faults(&["--tid", &list], move |fault| tids.contains(&fault.event.tid)).and_queries(
            move |fault| tids.contains(&fault.event.tid),
            move |query| tids.contains(&query.tid),
        ),
    );
    let mut latencies: Vec<u64> = faults.iter().map(|fault| fault.event.latency_ns).collect();
    latencies.sort_unstable();
    let (median, most) = (
        latencies[latencies.len() / 2],
        latencies[latencies.len() * 9 / 10],
    );
    filters.push(Filter::of_faults(
        &["--min-latency", &seconds(median)],
        move |fault| fault.event.latency_ns >= median,
    ));
    let limits = ["--min-latency", &seconds(median), "--max-latency", &seconds(most)];
    filters.push(Filter::of_faults(&limits, move |fault| {
        (median..=most).contains(&fault.event.latency_ns)
    }));
    filters.extend(names(&middle, trace));
    filters.extend(in_queries(trace));
    filters
}

/// The middle third of the recording, its beginning, its end.
fn windows(trace: &Trace) -> Vec<Filter> {
    let start = trace.start_ns();
    let last = trace
        .faults
        .iter()
        .map(|fault| fault.event.ts_ns)
        .max()
        .unwrap_or(start);
    let third = trace.since_ns(last) / 3;
    let window = move |from: Option<u64>, to: Option<u64>| {
        let mut arguments = Vec::new();
        for (name, time) in [("--from", from), ("--to", to)] {
            if let Some(time) = time {
                arguments.extend([name.to_owned(), seconds(time)]);
            }
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let is_in = move |ts_ns: u64| {
            let since = ts_ns.saturating_sub(start);
            from.is_none_or(|from| since >= from) && to.is_none_or(|to| since < to)
        };
        Filter::of_faults(&arguments, move |fault| is_in(fault.event.ts_ns))
            .and_queries(|_| true, move |query| is_in(query.begin_ns))
    };
    vec![
        window(Some(third), Some(2 * third + 1)),
        window(None, Some(third + 1)),
        window(Some(2 * third), None),
    ]
}

/// By thread name and by file, exactly and by a pattern; two alternatives; two conditions.
fn names(of: &Fault, trace: &Trace) -> Vec<Filter> {
    let is_plain =
        |name: &str| !name.is_empty() && !name.contains(['*', '?', ',', '\\']) && !name.starts_with('-');
    let mut filters = Vec::new();
    let (comm, label) = (of.comm.clone(), of.label.clone());
    if is_plain(&comm) {
        let name = comm.clone();
        filters.push(Filter::of_faults(&["--comm", &comm], move |fault| {
            fault.comm == name
        }));
        let first: String = comm.chars().take(1).collect();
        let pattern = format!("{first}*");
        filters.push(Filter::of_faults(&["--comm", &pattern], move |fault| {
            fault.comm.starts_with(&first)
        }));
    }
    if is_plain(&label) {
        let name = label.clone();
        filters.push(Filter::of_faults(&["--file", &label], move |fault| {
            fault.label == name
        }));
        let other = trace.faults.iter().map(|fault| &fault.label);
        if let Some(other) = other.clone().find(|other| **other != label && is_plain(other)) {
            let (a, b) = (label.clone(), other.clone());
            let arguments = ["--file", &label, "--file", other, "--major"];
            filters.push(Filter::of_faults(&arguments, move |fault| {
                (fault.label == a || fault.label == b) && fault.class() == "major"
            }));
        }
    }
    filters
}

/// One query with all inside it.
fn in_queries(trace: &Trace) -> Vec<Filter> {
    let Some(query) = trace.queries.iter().find(|query| query.parent.0 != 0) else {
        return Vec::new();
    };
    let mut meant = HashSet::from([query.parent.0]);
    // Rows are not in the order of nesting: as often as it takes.
    loop {
        let before = meant.len();
        let inside = trace
            .queries
            .iter()
            .filter(|query| meant.contains(&query.parent.0));
        let inside: Vec<u64> = inside.map(|query| query.id.0).collect();
        meant.extend(inside);
        if meant.len() == before {
            break;
        }
    }
    let is_in = meant.clone();
    let in_query = meant.clone();
    let filter = Filter::of_faults(&["--query", &query.parent.0.to_string()], move |fault| {
        meant.contains(&fault.event.query.0)
    });
    vec![filter.and_queries(
        move |fault| in_query.contains(&fault.event.query.0),
        move |query| is_in.contains(&query.id.0),
    )]
}
