//! Why nothing passes a condition, as far as a trace tells without a second look at its faults: which names, times and
//! latencies there are instead.

use crate::engine::condition::{Condition, names_of};
use crate::output::units::{duration, exact_duration, grouped};
use crate::trace::class::Class;
use crate::trace::session::Session;
use pf_notation::names::{Names, none_fits};

/// A condition that no fault meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// What there is instead: a sentence without its end.
    pub reason: String,
    /// The verb that lists what could be asked for.
    pub verb: &'static str,
}

impl Condition<'_> {
    /// Why no fault can meet this condition; `None` where one may.
    pub(crate) fn unmet(self, session: &Session) -> Option<Unmet> {
        let found = session.extremes();
        let reason = match self {
            Self::From(from) => {
                let last_ns = session.since_start_ns(found?.begin_ns.1);
                let reason = format!(
                    "no fault began at --from {} or later: {}, and the last fault began at {}",
                    exact_duration(from),
                    length(session),
                    duration(last_ns)
                );
                (from > last_ns).then_some(reason)?
            }
            Self::To(to) => {
                let first_ns = session.since_start_ns(found?.begin_ns.0);
                let reason = format!(
                    "no fault began before --to {}: {}, and the first fault began at {}",
                    exact_duration(to),
                    length(session),
                    duration(first_ns)
                );
                (to <= first_ns).then_some(reason)?
            }
            Self::Comms(patterns) => {
                let names = session.dicts.comms();
                let fits = names.iter().any(|name| fits(patterns, name));
                let wanted: Vec<&Names> = patterns.iter().collect();
                (!fits).then(|| none_fits(&wanted, names.iter().copied()))?
            }
            Self::Files(patterns) => {
                let labels = session.dicts.labels();
                let fits = labels.iter().any(|label| fits(patterns, label));
                let is_part = labels.iter().any(|label| is_part_of(patterns, label));
                let hint = match is_part {
                    true => "; a part of a name is given as *PART*",
                    false => "",
                };
                let reason = format!("no file or kind of memory is called {}{hint}", texts(patterns));
                (!fits).then_some(reason)?
            }
            Self::Queries(named, Some(ids)) if ids.is_empty() => {
                format!("no query is called {}", named.join(" or "))
            }
            Self::Class(class) => {
                let reason = format!(
                    "the trace has no {} fault; it has {}",
                    class.name(),
                    classes(session)
                );
                (session.of_class(class) == 0).then_some(reason)?
            }
            Self::MinLatency(min) => {
                let longest_ns = found?.latency_ns.1;
                let reason = format!(
                    "no fault took --min-latency {} or longer: the longest took {}",
                    exact_duration(min),
                    duration(longest_ns)
                );
                (min > longest_ns).then_some(reason)?
            }
            Self::MaxLatency(max) => {
                let shortest_ns = found?.latency_ns.0;
                let reason = format!(
                    "no fault took at most --max-latency {}: the shortest took {}",
                    exact_duration(max),
                    duration(shortest_ns)
                );
                (max < shortest_ns).then_some(reason)?
            }
            Self::Causes(causes) => {
                if session.sees_causes() {
                    return None;
                }
                format!(
                    "no fault has the cause {}: this recording did not look for causes (pfrec --causes)",
                    names_of(causes)
                )
            }
            Self::Pids(_) | Self::Tids(_) | Self::Queries(..) => return None,
        };
        Some(Unmet {
            reason,
            verb: self.listing_verb(),
        })
    }

    /// The verb that lists what the condition could ask for.
    pub(crate) fn listing_verb(self) -> &'static str {
        match self {
            Self::From(_) | Self::To(_) => "timeline",
            Self::Pids(_) | Self::Tids(_) | Self::Comms(_) => "threads",
            Self::Files(_) => "files",
            Self::Queries(..) => "queries",
            Self::Causes(_) => "causes",
            Self::Class(_) | Self::MinLatency(_) | Self::MaxLatency(_) => "percentiles",
        }
    }
}

fn length(session: &Session) -> String {
    format!("the recording is {} long", duration(session.duration_ns()))
}

fn classes(session: &Session) -> String {
    let counts = Class::ALL.map(|class| format!("{} {}", grouped(session.of_class(class)), class.name()));
    counts.join(", ")
}

fn fits(patterns: &[Names], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

fn is_part_of(patterns: &[Names], name: &str) -> bool {
    patterns.iter().any(|pattern| name.contains(pattern.text()))
}

fn texts(patterns: &[Names]) -> String {
    let texts: Vec<&str> = patterns.iter().map(Names::text).collect();
    texts.join(" or ")
}
