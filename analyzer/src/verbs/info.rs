//! `info`: what a trace says about itself, without looking at its events.

use crate::error::AnalyzeError;
use crate::integrity::losses::{between, describe_reason};
use crate::integrity::warnings::listed;
use crate::output::markdown;
use crate::output::table::{Format, Value, guarded};
use crate::output::text::shell_words;
use crate::output::text::{escape, json_text};
use crate::output::units::{bytes, duration, fixed, grouped, utc};
use crate::request::Request;
use crate::trace::class::Class;
use crate::trace::loss_ledger::LostInterval;
use crate::trace::sampling::Sampling;
use crate::trace::session::Session;
use crate::verbs::context::{self, Outcome, read, say_warnings};
use pf_formats::{Check, LossReason};
use std::borrow::Cow;
use std::io::Write;

/// One fact: a name for programs, a value for programs, and words for people where the value is not good reading.
struct Fact {
    name: &'static str,
    value: FactValue,
    words: Option<String>,
}

enum FactValue {
    One(Value),
    List(Vec<String>),
    Flag(bool),
    /// A number as text, or a structure: what a program reads.
    Json(String),
    /// Nothing that other facts do not tell a program.
    OnlyWords,
}

/// Writes the facts.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(session: &Session, format: Format, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    let facts = facts(session);
    match format {
        Format::Table => {
            for fact in &facts {
                writeln!(out, "{:<20}{}", fact.name, fact.words())?;
            }
        }
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record(["field", "value"])?;
            for fact in facts.iter().filter(|fact| fact.is_data()) {
                csv.write_record([fact.name, &fact.in_csv()])?;
            }
            csv.flush()?;
        }
        Format::Json => {
            write_json(session, out)?;
            writeln!(out)?;
        }
        Format::Markdown => {
            markdown::head([("FIELD", true), ("VALUE", true)].into_iter(), out)?;
            for fact in &facts {
                markdown::row([fact.name, &fact.words()].into_iter(), out)?;
            }
        }
    }
    Ok(())
}

/// The facts as one JSON object on one line.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_json(session: &Session, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    let facts = facts(session);
    for (index, fact) in facts.iter().filter(|fact| fact.is_data()).enumerate() {
        let comma = if index == 0 { "{" } else { "," };
        write!(out, "{comma}\"{}\":{}", fact.name, fact.json())?;
    }
    write!(out, "}}")?;
    Ok(())
}

impl Fact {
    fn is_data(&self) -> bool {
        !matches!(self.value, FactValue::OnlyWords)
    }

    fn words(&self) -> String {
        match (&self.words, &self.value) {
            (Some(words), _) => escape(words),
            (None, FactValue::One(Value::Null)) => "not known".to_owned(),
            (None, FactValue::List(items)) if items.is_empty() => "-".to_owned(),
            (None, _) => escape(&self.plain()),
        }
    }

    fn plain(&self) -> String {
        match &self.value {
            FactValue::One(value) => value.plain(),
            FactValue::List(items) => shell_words(items),
            FactValue::Flag(flag) => flag.to_string(),
            FactValue::Json(json) => json.clone(),
            FactValue::OnlyWords => String::new(),
        }
    }

    fn in_csv(&self) -> String {
        match &self.value {
            FactValue::One(value) => value.in_csv(),
            FactValue::List(_) => guarded(&self.plain()).into_owned(),
            FactValue::Flag(_) | FactValue::Json(_) | FactValue::OnlyWords => self.plain(),
        }
    }

    fn json(&self) -> String {
        match &self.value {
            FactValue::One(value) => value.json(),
            FactValue::List(items) => json_text(&serde_json::Value::from(items.clone())),
            FactValue::Flag(flag) => flag.to_string(),
            FactValue::Json(json) => json.clone(),
            FactValue::OnlyWords => String::new(),
        }
    }
}

fn facts(session: &Session) -> Vec<Fact> {
    let one = |name, value| Fact {
        name,
        value: FactValue::One(value),
        words: None,
    };
    let said = |name, value, words: String| Fact {
        name,
        value: FactValue::One(value),
        words: Some(words),
    };
    let list = |name, items: &[String], words: Option<String>| Fact {
        name,
        value: FactValue::List(items.to_vec()),
        words,
    };
    let text = |text: &str| Value::Text(text.to_owned());
    let count = |name, number: u64| said(name, Value::Count(number), grouped(number));
    let header = &session.header;
    let trace_id: String = header.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut facts = vec![
        one(
            "format",
            Value::Text(format!("{}.{}", header.major, header.minor)),
        ),
        one("trace_id", Value::Text(trace_id)),
    ];
    if let Some(meta) = &session.meta {
        let host = &meta.host;
        facts.extend([
            one("recorder", text(&meta.recorder)),
            one("host", text(&host.hostname)),
            one("kernel", text(&host.kernel)),
            one("arch", text(&host.arch)),
            said(
                "page_size",
                Value::Count(u64::from(host.page_size)),
                bytes(u64::from(host.page_size)),
            ),
            one("cpus", Value::Count(u64::from(host.cpus))),
            said(
                "memory_bytes",
                Value::Count(host.memory_bytes),
                bytes(host.memory_bytes),
            ),
            one("target", text(&meta.target)),
            list("command", &meta.command, None),
            list("options", &meta.options, None),
            list("filters", &meta.filters, Some(or_dash(listed(&meta.filters)))),
            one("backend", text(&meta.backend)),
            one("entry", text(&meta.entry)),
            said(
                "sample",
                Value::Count(session.sampling().factor()),
                describe_sample(session.sampling()),
            ),
        ]);
        let blind: Vec<String> = session.sight().blind().into_iter().map(Cow::into_owned).collect();
        facts.push(list("cannot_see", &blind, Some(or_dash(blind.join(", ")))));
    }
    let start = utc(header.utc_of(session.start_ns()));
    facts.extend([
        one("start_utc", Value::Text(start)),
        one("start_monotonic_ns", Value::Count(session.start_ns())),
        said(
            "duration_s",
            Value::Seconds(session.duration_ns()),
            duration(session.duration_ns()),
        ),
        count("events", session.events),
        count("major", session.of_class(Class::Major)),
        count("minor", session.of_class(Class::Minor)),
        if session.sees_failed() {
            count("failed", session.of_class(Class::Failed))
        } else {
            said("failed", Value::Null, "not seen".to_owned())
        },
        count("queries", session.queries),
        count("blocks", session.blocks),
        said("bytes", Value::Count(session.bytes), bytes(session.bytes)),
        Fact {
            name: "bytes_per_event",
            value: match session.events {
                0 => FactValue::One(Value::Null),
                events => FactValue::Json(fixed(session.bytes, events, 3)),
            },
            words: Some(bytes_per_event(session)),
        },
        Fact {
            name: "finished",
            value: FactValue::Flag(session.finished),
            words: None,
        },
        count("lost", session.events_lost()),
    ]);
    facts.push(losses(session));
    facts.push(count("not_completed", session.lost_to(LossReason::Unfinished)));
    let reconciliation = crate::integrity::warnings::reconciliation(session);
    facts.push(Fact {
        name: "reconciliation",
        value: FactValue::OnlyWords,
        words: Some(reconciliation),
    });
    if let Some(books) = session
        .totals
        .as_ref()
        .and_then(|totals| totals.accounting.as_ref())
    {
        facts.extend([
            count("kernel_majors", books.kernel_majors),
            count("kernel_minors", books.kernel_minors),
            count("recorded", books.recorded),
            count("hidden", books.hidden),
        ]);
        let majors = session.totals.as_ref().and_then(|totals| totals.hidden_majors);
        facts.extend(majors.map(|majors| count("hidden_majors", majors)));
        facts.push(count("filtered", books.filtered));
    }
    let check = session.totals.as_ref().and_then(|totals| totals.check.as_ref());
    facts.extend(check.map(counted_apart));
    facts.push(count("damaged_places", session.damage_count));
    facts.push(count("damaged_bytes", session.damaged_bytes));
    facts.push(count("events_missing", session.events_missing));
    let damages: Vec<String> = session
        .damages
        .iter()
        .take(20)
        .map(|d| format!("at byte {}: {}", d.offset, d.reason))
        .collect();
    facts.push(list("damage", &damages, Some(or_dash(damages.join("; ")))));
    facts
}

fn describe_sample(sampling: Sampling) -> String {
    if sampling.is_sampled() {
        format!("1 minor fault in {}", grouped(sampling.factor()))
    } else {
        "every fault".to_owned()
    }
}

/// The check of the counts: what was counted apart from the probes, and what came of it.
fn counted_apart(check: &Check) -> Fact {
    let object = serde_json::json!({
        "events": check.events,
        "uncertain": check.uncertain,
        "unexplained": check.unexplained,
        "outside": check.outside,
        "ends_missing": check.ends_missing,
        "wait4": check.wait4.map(|(wait4, _)| wait4),
        "source": check.source,
        "notes": check.notes,
    });
    Fact {
        name: "check",
        value: FactValue::Json(json_text(&object)),
        words: Some(check.notes.join("; ")),
    }
}

/// Every loss with its time, the worst first; faults that did not complete are none.
fn losses(session: &Session) -> Fact {
    let seconds = |ns| fixed(session.since_start_ns(ns), 1_000_000_000, 9);
    let losses = session
        .losses
        .intervals(|reason| reason != LossReason::Unfinished);
    let object = |loss: &LostInterval| {
        let (reason, count) = (loss.reason.name(), loss.count);
        let (from_s, to_s) = (seconds(loss.from_ns), seconds(loss.to_ns));
        let more = if loss.is_at_least {
            ",\"at_least\":true"
        } else {
            ""
        };
        format!("{{\"reason\":\"{reason}\",\"count\":{count}{more},\"from_s\":{from_s},\"to_s\":{to_s}}}")
    };
    let objects: Vec<String> = losses.iter().map(object).collect();
    let words: Vec<String> = losses
        .iter()
        .map(|loss| {
            let (count, words) = (grouped(loss.count), describe_reason(loss.reason));
            let count = match (loss.count, loss.is_at_least) {
                (0, true) => "unknown number".to_owned(),
                (_, true) => format!("at least {count}"),
                (_, false) => count,
            };
            format!("{count} {} ({words})", between(session, loss))
        })
        .collect();
    Fact {
        name: "losses",
        value: FactValue::Json(format!("[{}]", objects.join(","))),
        words: Some(or_dash(shortened(&words))),
    }
}

/// The first of a list that may be long.
fn shortened(words: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut text = words.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if let Some(more) = words.len().checked_sub(SHOWN).filter(|&more| more > 0) {
        text.push_str(&format!(
            ", and {} more (--format json has all)",
            grouped(more as u64)
        ));
    }
    text
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

/// `9.8`, or `-` without events.
#[must_use]
pub fn bytes_per_event(session: &Session) -> String {
    if session.events == 0 {
        "-".to_owned()
    } else {
        fixed(session.bytes, session.events, 1)
    }
}

/// Reads the trace and writes what it says about itself.
///
/// # Errors
/// Input, output, or a question that the trace cannot answer.
pub fn run(request: &Request) -> anyhow::Result<Outcome> {
    context::answer(request, false, |request, trace, output| {
        let session = read(request, trace.input()?, &mut [])?;
        say_warnings(&session, request.format, output)?;
        Ok(write(&session, request.format, &mut output.out)?)
    })
}
