//! `info`: what a trace says about itself, without looking at its events.

use crate::error::AnalyzeError;
use crate::session::Session;
use crate::table::{Format, Value};
use crate::text::escape;
use crate::units::{bytes, duration, fixed, grouped, utc};
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
                writeln!(out, "{:<18}{}", fact.name, fact.words())?;
            }
        }
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            csv.write_record(["field", "value"])?;
            for fact in &facts {
                csv.write_record([fact.name, &fact.plain()])?;
            }
            csv.flush()?;
        }
        Format::Json => {
            write_json(session, out)?;
            writeln!(out)?;
        }
    }
    Ok(())
}

/// The facts as one JSON object on one line.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_json(session: &Session, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    for (index, fact) in facts(session).iter().enumerate() {
        let comma = if index == 0 { "{" } else { "," };
        write!(out, "{comma}\"{}\":{}", fact.name, fact.json())?;
    }
    write!(out, "}}")?;
    Ok(())
}

impl Fact {
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
        }
    }

    fn json(&self) -> String {
        match &self.value {
            FactValue::One(value) => value.json(),
            FactValue::List(items) => serde_json::Value::from(items.clone()).to_string(),
            FactValue::Flag(flag) => flag.to_string(),
        }
    }
}

/// Arguments as one would type them.
#[must_use]
pub fn shell_words(arguments: &[String]) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    let quote = |argument: &String| match !argument.is_empty() && argument.chars().all(safe) {
        true => argument.clone(),
        false => format!("'{}'", argument.replace('\'', "'\\''")),
    };
    arguments.iter().map(quote).collect::<Vec<_>>().join(" ")
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
            list("filters", &meta.filters, Some(or_dash(meta.filters.join(", ")))),
            one("backend", text(&meta.backend)),
            one("entry", text(&meta.entry)),
            list("cannot_see", &meta.blind, Some(or_dash(meta.blind.join(", ")))),
        ]);
    }
    let start = utc(header.utc_of(session.start_ns()));
    facts.extend([
        one("start_utc", Value::Text(start)),
        said(
            "duration_s",
            Value::Seconds(session.duration_ns()),
            duration(session.duration_ns()),
        ),
        count("events", session.events),
        count("major", session.majors),
        count("minor", session.events.saturating_sub(session.majors)),
        count("blocks", session.blocks),
        said("bytes", Value::Count(session.bytes), bytes(session.bytes)),
        one("bytes_per_event", Value::Text(bytes_per_event(session))),
        Fact {
            name: "finished",
            value: FactValue::Flag(session.finished),
            words: None,
        },
        count("lost", session.events_lost()),
    ]);
    let losses: Vec<String> = session
        .losses
        .iter()
        .map(|loss| format!("{} {}", loss.reason.name(), grouped(loss.count)))
        .collect();
    facts.push(list("losses", &losses, Some(or_dash(losses.join(", ")))));
    facts.push(said(
        "reconciliation",
        Value::Text(crate::notice::reconciliation(session)),
        crate::notice::reconciliation(session),
    ));
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
