//! `info`: what a trace says about itself, without looking at its events.

mod settings;

use crate::error::AnalyzeError;
use crate::integrity::losses::{between, describe_reason};
use crate::integrity::warnings::listed;
use crate::output::answer::{Answer, Room};
use crate::output::document::{Document, FactLayout};
use crate::output::render::json::{self, Object};
use crate::output::table::{ColumnHead, Table, Value};
use crate::output::text::shell_words;
use crate::output::text::{escape, json_text};
use crate::output::units::{bytes, fixed, grouped, utc};
use crate::request::Request;
use crate::trace::class::Class;
use crate::trace::loss_ledger::LostInterval;
use crate::trace::sampling::Sampling;
use crate::trace::session::Session;
use crate::trace::signals;
use crate::verbs::context::{self, Outcome, read, say_warnings, write_answer};
use pf_formats::{Check, CommandEnd, LossReason};
use std::borrow::Cow;
use std::io::Write;

/// Where the words of a fact begin.
const MARGIN: usize = 20;

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

/// What a trace says about itself.
pub struct InfoAnswer<'a>(
    /// The trace.
    pub &'a Session,
);

impl Answer for InfoAnswer<'_> {
    fn text(&self, room: Room) -> Result<Document, AnalyzeError> {
        let mut document = Document::with_facts(FactLayout {
            margin: MARGIN,
            lines: None,
        });
        for fact in facts(self.0) {
            // Behind a pipe a fact is one line, which other programs can look for.
            match room.table {
                Some(_) => document.fact(fact.name, fact.words()),
                None => document.line(format!("{:<MARGIN$}{}", fact.name, fact.words())),
            }
        }
        Ok(document)
    }

    fn markdown(&self, _room: Room) -> Result<Document, AnalyzeError> {
        Ok(Document::of_table(table(&facts(self.0), Fact::words)))
    }

    fn json(&self, out: &mut dyn Write) -> Result<(), AnalyzeError> {
        json::object(out, |object| members(self.0, object))
    }

    fn table(&self) -> Table {
        let mut facts = facts(self.0);
        facts.retain(Fact::is_data);
        table(&facts, Fact::plain)
    }
}

/// The facts as members of a JSON object.
///
/// # Errors
/// When the output cannot be written.
pub fn members(session: &Session, object: &mut Object<'_>) -> Result<(), AnalyzeError> {
    let facts = facts(session);
    let mut facts = facts.iter().filter(|fact| fact.is_data());
    facts.try_for_each(|fact| object.json(fact.name, &fact.json()))
}

fn table(facts: &[Fact], value: impl Fn(&Fact) -> String) -> Table {
    let row = |fact: &Fact| vec![Value::Text(fact.name.to_owned()), Value::Text(value(fact))];
    Table {
        heads: vec![ColumnHead::new("field"), ColumnHead::new("value")],
        rows: facts.iter().map(row).collect(),
        total: None,
    }
}

impl Fact {
    fn new(name: &'static str, value: FactValue, words: Option<String>) -> Self {
        Self { name, value, words }
    }

    fn one(name: &'static str, value: Value) -> Self {
        Self::new(name, FactValue::One(value), None)
    }

    fn text(name: &'static str, text: &str) -> Self {
        Self::one(name, Value::Text(text.to_owned()))
    }

    fn said(name: &'static str, value: Value, words: String) -> Self {
        Self::new(name, FactValue::One(value), Some(words))
    }

    fn count(name: &'static str, number: u64) -> Self {
        Self::said(name, Value::Count(number), grouped(number))
    }

    fn list(name: &'static str, items: &[String], words: Option<String>) -> Self {
        Self::new(name, FactValue::List(items.to_vec()), words)
    }

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

    fn json(&self) -> String {
        match &self.value {
            FactValue::One(value) => json::value(value),
            FactValue::List(items) => json_text(&serde_json::Value::from(items.clone())),
            FactValue::Flag(flag) => flag.to_string(),
            FactValue::Json(json) => json.clone(),
            FactValue::OnlyWords => String::new(),
        }
    }
}

fn facts(session: &Session) -> Vec<Fact> {
    let mut facts = identity(session);
    facts.extend(recorded_by(session));
    facts.extend(contents(session));
    facts.push(losses(session));
    facts.push(Fact::count(
        "not_completed",
        session.lost_to(LossReason::Unfinished),
    ));
    facts.extend(accounting(session));
    facts.push(processes(session));
    facts.extend(settings::facts(session));
    facts.extend(damage(session));
    facts
}

fn identity(session: &Session) -> Vec<Fact> {
    let header = &session.header;
    let trace_id: String = header.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    let format = format!("{}.{}", header.major, header.minor);
    vec![Fact::text("format", &format), Fact::text("trace_id", &trace_id)]
}

/// Who recorded it, where and how; nothing where that record is damaged.
fn recorded_by(session: &Session) -> Vec<Fact> {
    let Some(meta) = &session.meta else {
        return Vec::new();
    };
    let host = &meta.host;
    let page_size = u64::from(host.page_size);
    let blind: Vec<String> = session.sight().blind().into_iter().map(Cow::into_owned).collect();
    let sampling = session.sampling();
    vec![
        Fact::text("recorder", &meta.recorder),
        Fact::text("hostname", &host.hostname),
        Fact::text("kernel", &host.kernel),
        Fact::text("arch", &host.arch),
        Fact::said("page_size", Value::Count(page_size), bytes(page_size)),
        Fact::one("cpus", Value::Count(u64::from(host.cpus))),
        Fact::said(
            "memory_bytes",
            Value::Count(host.memory_bytes),
            bytes(host.memory_bytes),
        ),
        Fact::text("target", &meta.target),
        Fact::list("command", &meta.command, None),
        command_end(session),
        Fact::list("options", &meta.options, None),
        Fact::list("filters", &meta.filters, Some(or_dash(listed(&meta.filters)))),
        Fact::text("backend", &meta.backend),
        Fact::text("entry", &meta.entry),
        Fact::said(
            "sample",
            Value::Count(sampling.factor()),
            describe_sample(sampling),
        ),
        Fact::list("cannot_see", &blind, Some(or_dash(blind.join(", ")))),
    ]
}

/// When it was, and what is in it.
fn contents(session: &Session) -> Vec<Fact> {
    let start = utc(session.header.utc_of(session.start_ns()));
    let length_ns = session.duration_ns();
    let failed = match session.sees_failed() {
        true => Fact::count("failed", session.of_class(Class::Failed)),
        false => Fact::said("failed", Value::Null, "not seen".to_owned()),
    };
    let bytes_each = match session.events {
        0 => FactValue::One(Value::Null),
        events => FactValue::Json(fixed(session.bytes, events, 3)),
    };
    vec![
        Fact::text("start_utc", &start),
        Fact::one("start_ns", Value::Count(session.start_ns())),
        Fact::said(
            "duration_s",
            Value::Seconds(length_ns),
            format!("{} s", fixed(length_ns, 1_000_000_000, 6)),
        ),
        Fact::count("events", session.events),
        Fact::count("major", session.of_class(Class::Major)),
        Fact::count("minor", session.of_class(Class::Minor)),
        failed,
        Fact::count("queries", session.queries),
        Fact::count("blocks", session.blocks),
        Fact::said("bytes", Value::Count(session.bytes), bytes(session.bytes)),
        Fact::new("bytes_per_event", bytes_each, Some(bytes_per_event(session))),
        Fact::new("finished", FactValue::Flag(session.finished), None),
        Fact::count("lost", session.events_lost()),
    ]
}

/// The comparison with the kernel's counters, as far as the end record has it.
fn accounting(session: &Session) -> Vec<Fact> {
    let reconciliation = crate::integrity::warnings::reconciliation(session);
    let mut facts = vec![Fact::new(
        "reconciliation",
        FactValue::OnlyWords,
        Some(reconciliation),
    )];
    let Some(totals) = &session.totals else {
        return facts;
    };
    if let Some(books) = &totals.accounting {
        facts.extend([
            Fact::count("kernel_majors", books.kernel_majors),
            Fact::count("kernel_minors", books.kernel_minors),
            Fact::count("recorded", books.recorded),
            Fact::count("hidden", books.hidden),
        ]);
        facts.extend(
            totals
                .hidden_majors
                .map(|majors| Fact::count("hidden_majors", majors)),
        );
        facts.push(Fact::count("filtered", books.filtered));
    }
    facts.extend(totals.check.as_ref().map(counted_apart));
    facts
}

fn damage(session: &Session) -> Vec<Fact> {
    let damages: Vec<String> = session
        .damages
        .iter()
        .take(20)
        .map(|damage| format!("at byte {}: {}", damage.offset, damage.reason))
        .collect();
    vec![
        Fact::count("damaged_places", session.damage_count),
        Fact::count("damaged_bytes", session.damaged_bytes),
        Fact::count("events_missing", session.events_missing),
        Fact::list("damage", &damages, Some(or_dash(damages.join("; ")))),
    ]
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

/// How the command ended, where it did while it was recorded.
fn command_end(session: &Session) -> Fact {
    let end = session.totals.as_ref().and_then(|totals| totals.command_end);
    let has_command = session.meta.as_ref().is_some_and(|meta| !meta.command.is_empty());
    let header = &session.header;
    let (value, words) = match end {
        Some(end) => {
            let object = serde_json::json!({"by_signal": end.by_signal, "number": end.number});
            (FactValue::Json(json_text(&object)), describe_end(end))
        }
        None if !has_command => (FactValue::One(Value::Null), "-".to_owned()),
        None if session.totals.is_some() && (header.major, header.minor) >= (1, 2) => {
            let words = "after the recording".to_owned();
            (FactValue::One(Value::Null), words)
        }
        None => (FactValue::One(Value::Null), "not known".to_owned()),
    };
    Fact {
        name: "command_end",
        value,
        words: Some(words),
    }
}

/// `exit status 3`, or `signal 9 (SIGKILL)`.
#[must_use]
pub fn describe_end(end: CommandEnd) -> String {
    let CommandEnd { by_signal, number } = end;
    if by_signal {
        signals::describe(number)
    } else {
        format!("exit status {number}")
    }
}

/// Each process with what it ran, in the order of their numbers.
fn processes(session: &Session) -> Fact {
    let objects: Vec<String> = session
        .processes
        .all()
        .map(|(pid, ts_ns, program)| {
            let executable = Some(program.executable.as_str()).filter(|path| !path.is_empty());
            let (executable, command) = (serde_json::json!(executable), serde_json::json!(program.command));
            let since_s = fixed(session.since_start_ns(ts_ns), 1_000_000_000, 9);
            format!(
                "{{\"pid\":{pid},\"since_s\":{since_s},\"executable\":{},\"command\":{}}}",
                json_text(&executable),
                json_text(&command)
            )
        })
        .collect();
    let words: Vec<String> = session
        .processes
        .all()
        .map(|(pid, _, program)| match program.command.as_slice() {
            [] => format!("{pid} {}", program.executable),
            command => format!("{pid} {}: {}", program.executable, shell_words(command)),
        })
        .collect();
    let mut words = shortened(&words, "; ");
    if session.processes.left_out > 0 {
        words.push_str(&format!(
            ", and {} that are not kept",
            grouped(session.processes.left_out)
        ));
    }
    Fact {
        name: "processes",
        value: FactValue::Json(format!("[{}]", objects.join(","))),
        words: Some(or_dash(words)),
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
        words: Some(or_dash(shortened(&words, ", "))),
    }
}

/// The first of a list that may be long.
fn shortened(words: &[String], between: &str) -> String {
    const SHOWN: usize = 20;
    let mut text = words
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(between);
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
        Ok(write_answer(&InfoAnswer(&session), request, output)?)
    })
}
