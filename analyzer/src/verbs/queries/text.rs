//! Single queries as text, CSV and JSON.

use crate::error::AnalyzeError;
use crate::output::answer::{Answer, Room};
use crate::output::document::Document;
use crate::output::render::json::{self, Object};
use crate::output::table::{ColumnHead, Table, Value};
use crate::output::text::{escape, keep_end, keep_start, wrap};
use crate::output::units::{duration, fixed, grouped, percent, quantity};
use crate::trace::queries::own_words;
use crate::trace::session::Session;
use crate::verbs::queries::slowest::{Fault, Single};
use pf_formats::{Query as Row, QueryEnd, QueryId};
use std::io::Write;

/// Faults of one query in the text; programs get all that were kept.
const FAULTS_SHOWN: usize = 1_000;

/// Queries inside a query in the text.
const CHILDREN_SHOWN: usize = 20;

/// Characters of a text without a terminal.
const PLAIN_WIDTH: usize = 400;

/// Queries in their order, ready to be written.
pub struct SinglesAnswer<'a> {
    /// The queries.
    pub singles: &'a [Single],
    /// It is one, asked for by its id: the queries inside it belong to it.
    pub alone: bool,
    /// The trace.
    pub session: &'a Session,
}

impl Answer for SinglesAnswer<'_> {
    fn text(&self, room: Room) -> Result<Document, AnalyzeError> {
        let mut document = Document::default();
        for (index, single) in self.singles.iter().enumerate() {
            if index > 0 {
                document.line("");
            }
            let mut drawn = Vec::new();
            text(single, self.alone, self.session, room.table, &mut drawn)?;
            document.drawing(drawn);
        }
        Ok(document)
    }

    fn markdown(&self, _room: Room) -> Result<Document, AnalyzeError> {
        let mut document = Document::default();
        for single in self.singles {
            let mut drawn = Vec::new();
            text(single, self.alone, self.session, None, &mut drawn)?;
            document.drawing(drawn);
        }
        Ok(document)
    }

    fn json(&self, out: &mut dyn Write) -> Result<(), AnalyzeError> {
        json::lines(self.singles, out, |single, object| {
            members(single, self.alone, self.session, object)
        })
    }

    fn table(&self) -> Table {
        lines(self.singles, self.session)
    }
}

fn text(
    single: &Single,
    alone: bool,
    session: &Session,
    width: Option<usize>,
    out: &mut dyn Write,
) -> Result<(), AnalyzeError> {
    let row = &single.row;
    let width = width.unwrap_or(PLAIN_WIDTH);
    let title = format!("query {}: {}", row.id.0, escape(&own_words(row)));
    writeln!(out, "{}", keep_start(&title, width))?;
    let name = if row.text.is_some() {
        format!("{}, ", escape(&row.name))
    } else {
        String::new()
    };
    let key = row.key.map_or_else(String::new, |key| format!("key {key}, "));
    let when = when(row, session);
    let who = format!("{name}{key}pid {} tid {}, {when}", row.pid, row.tid);
    for sentence in [who, wait(row)] {
        write_sentence(&sentence, width, out)?;
    }
    if row.parent != QueryId(0) {
        let around = match &single.parent {
            Some(parent) => format!("query {}: {}", parent.id.0, escape(&own_words(parent))),
            None => format!("unknown#{}, whose record is missing", row.parent.0),
        };
        writeln!(out, "{}", keep_start(&format!("  inside {around}"), width))?;
    }
    if alone {
        children(single, session, width, out)?;
    }
    faults(single, session, width, out)
}

/// On as many lines as it needs, each as far to the right as what belongs to a query.
fn write_sentence(sentence: &str, width: usize, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    let lines = wrap(sentence, width.saturating_sub(2));
    Ok(lines.iter().try_for_each(|line| writeln!(out, "  {line}"))?)
}

/// The faults of a query, a line each, and how many are not there.
fn faults(single: &Single, session: &Session, width: usize, out: &mut dyn Write) -> Result<(), AnalyzeError> {
    let row = &single.row;
    let counted = counted(row);
    if single.recorded != counted {
        let missing = format!(
            "the trace has {} of these {}: the others were lost, filtered or not sampled",
            grouped(single.recorded),
            quantity(counted, "fault")
        );
        write_sentence(&missing, width, out)?;
    }
    let shown = single.faults.get(..FAULTS_SHOWN).unwrap_or(&single.faults);
    if shown.is_empty() {
        return Ok(());
    }
    let has_nested = single.faults.iter().any(|fault| fault.query != row.id.0);
    let nested = if has_nested { "     QUERY  " } else { "" };
    let titles = format!("{:>12}  {:>11}  CLASS ", "AFTER_MS", "LATENCY_US");
    writeln!(out, "  {titles}  {nested}FILE+OFFSET")?;
    for fault in shown {
        let nested = match has_nested {
            true if fault.query != row.id.0 => format!("{:>10}  ", fault.query),
            true => format!("{:>10}  ", "-"),
            false => String::new(),
        };
        let line = format!(
            "  {:>12}  {:>11}  {:<6}  {nested}",
            fixed(after_ns(row, fault, session), 1_000_000, 3),
            fixed(fault.latency_ns, 1_000, 1),
            fault.class.class().name(),
        );
        // A path that is broken at the end of a line is in no column.
        let room = width.saturating_sub(line.len()).max(1);
        writeln!(out, "{line}{}", keep_end(&place(fault, session), room))?;
    }
    let not_shown = single.faults.len() - shown.len();
    let more = single.more.saturating_add(not_shown as u64);
    if more > 0 {
        let command = session
            .caller
            .command("events", &[("--query", Some(row.id.0.to_string()))]);
        write_sentence(&format!("... and {} more: {command}", grouped(more)), width, out)?;
    }
    Ok(())
}

fn children(
    single: &Single,
    session: &Session,
    width: usize,
    out: &mut dyn Write,
) -> Result<(), AnalyzeError> {
    for child in single.children.iter().take(CHILDREN_SHOWN) {
        let line = format!(
            "  holds query {}: {}, {}, {}",
            child.id.0,
            escape(&own_words(child)),
            when(child, session),
            wait(child)
        );
        writeln!(out, "{}", keep_start(&line, width))?;
    }
    let more = single.children.len().saturating_sub(CHILDREN_SHOWN) as u64;
    let more = more.saturating_add(single.more_children);
    if more > 0 {
        writeln!(out, "  ... and {} inside it", quantity(more, "more query"))?;
    }
    Ok(())
}

/// Begin and duration, as far as they were seen.
fn when(row: &Row, session: &Session) -> String {
    let wall = row.end_ns.saturating_sub(row.begin_ns);
    let began = format!(
        "began at {} s",
        fixed(session.since_start_ns(row.begin_ns), 1_000_000_000, 6)
    );
    let end = match row.end {
        QueryEnd::Ended => "",
        QueryEnd::Open => ", still open at the end",
        QueryEnd::Abandoned => ", left without an end",
    };
    match (row.begun_before, row.end) {
        (true, _) => format!("began before the recording{end}"),
        (false, QueryEnd::Ended) => format!("{began}, took {}", duration(wall)),
        (false, _) => format!("{began}{end} after {}", duration(wall)),
    }
}

fn wait(row: &Row) -> String {
    let total = row.total();
    let share = match row.wall_ns() {
        Some(wall) if wall > 0 => format!(
            " = {} of it",
            percent(u128::from(total.wait_ns), u128::from(wall))
        ),
        _ => String::new(),
    };
    let nested = if row.nested == pf_formats::QueryFaults::default() {
        String::new()
    } else {
        format!(
            "; of these {} in {} major, {} minor of queries inside it",
            duration(row.nested.wait_ns),
            grouped(row.nested.majors),
            grouped(row.nested.minors)
        )
    };
    format!(
        "page-fault wait {}{share}: {} major, {} minor{nested}",
        duration(total.wait_ns),
        grouped(total.majors),
        grouped(total.minors)
    )
}

fn counted(row: &Row) -> u64 {
    let total = row.total();
    total.majors.saturating_add(total.minors)
}

/// From the begin of the query; of one that began before the recording, from the start of that.
fn after_ns(row: &Row, fault: &Fault, session: &Session) -> u64 {
    let begin_ns = match row.begin_ns {
        0 => session.start_ns(),
        begin_ns => begin_ns,
    };
    fault.ts_ns.saturating_sub(begin_ns)
}

fn place(fault: &Fault, session: &Session) -> String {
    match session.dicts.file(fault.object) {
        Some(file) => format!("{}+{:#x}", escape(&file), file_offset(fault, session)),
        None => format!("{} {:#x}", session.dicts.label(fault.object), fault.address),
    }
}

fn file_offset(fault: &Fault, session: &Session) -> u64 {
    fault.object_page.saturating_mul(session.page_size())
}

/// The facts of a query, in the order of the columns.
fn facts(row: &Row, session: &Session) -> Vec<(ColumnHead, Value)> {
    let head = ColumnHead::new;
    let total = row.total();
    let wall = row.wall_ns().map_or(Value::Null, Value::Ms);
    let began = if row.begun_before && row.begin_ns == 0 {
        Value::Null
    } else {
        Value::Seconds(session.since_start_ns(row.begin_ns))
    };
    let parent = Some(row.parent.0).filter(|&parent| parent != 0);
    let end = if row.begun_before && row.end == QueryEnd::Ended {
        "begun_before"
    } else {
        row.end.name()
    };
    vec![
        (head("query_id"), Value::Id(row.id.0)),
        (head("name"), Value::Text(row.name.clone())),
        (head("text"), row.text.clone().map_or(Value::Null, Value::Text)),
        (head("key"), row.key.map_or(Value::Null, Value::Id)),
        (head("pid"), Value::Id(row.pid.into())),
        (head("tid"), Value::Id(row.tid.into())),
        (head("parent_id"), parent.map_or(Value::Null, Value::Id)),
        (head("begin_s"), began),
        (head("outcome"), Value::Text(end.to_owned())),
        (head("wall_ms"), wall),
        (head("wait_ms"), Value::Ms(total.wait_ns)),
        (head("major"), Value::Count(total.majors)),
        (head("minor"), Value::Count(total.minors)),
        (head("own_wait_ms"), Value::Ms(row.own.wait_ns)),
        (head("own_major"), Value::Count(row.own.majors)),
        (head("own_minor"), Value::Count(row.own.minors)),
    ]
}

/// The facts of a fault, in the order of the columns.
fn fault_facts(row: &Row, fault: &Fault, session: &Session) -> Vec<(ColumnHead, Value)> {
    let head = ColumnHead::new;
    let file = session.dicts.file(fault.object);
    let offset = file.as_ref().map(|_| file_offset(fault, session));
    let kind = session.dicts.kind(fault.object).name();
    vec![
        (head("fault_after_ms"), Value::Ms(after_ns(row, fault, session))),
        (head("fault_ts_ns"), Value::Id(fault.ts_ns)),
        (head("fault_latency_us"), Value::Us(fault.latency_ns)),
        (
            head("fault_class"),
            Value::Text(fault.class.class().name().to_owned()),
        ),
        (head("fault_kind"), Value::Text(kind.to_owned())),
        (
            head("fault_file"),
            file.map_or(Value::Null, |file| Value::Text(file.into_owned())),
        ),
        (head("fault_file_offset"), offset.map_or(Value::Null, Value::Id)),
        (head("fault_address"), Value::Id(fault.address)),
        (head("fault_query_id"), Value::Id(fault.query)),
    ]
}

/// One line per fault, with its query before it; a query without faults has one line.
fn lines(singles: &[Single], session: &Session) -> Table {
    let (model, none) = (Row::default(), no_fault());
    let heads = facts(&model, session)
        .into_iter()
        .chain(fault_facts(&model, &none, session));
    let heads: Vec<ColumnHead> = heads.map(|(head, _)| head).collect();
    let mut rows = Vec::new();
    for single in singles {
        let query: Vec<Value> = facts(&single.row, session)
            .into_iter()
            .map(|(_, value)| value)
            .collect();
        let missing = vec![Value::Null; heads.len() - query.len()];
        if single.faults.is_empty() {
            rows.push([query.clone(), missing].concat());
        }
        for fault in &single.faults {
            let fault = fault_facts(&single.row, fault, session);
            let fault: Vec<Value> = fault.into_iter().map(|(_, value)| value).collect();
            rows.push([query.clone(), fault].concat());
        }
    }
    Table {
        heads,
        rows,
        total: None,
    }
}

fn no_fault() -> Fault {
    Fault {
        ts_ns: 0,
        latency_ns: 0,
        class: crate::trace::class::ClassBits(0),
        address: 0,
        object: 0,
        object_page: 0,
        query: 0,
    }
}

/// A query as a JSON object, with its faults.
fn members(
    single: &Single,
    alone: bool,
    session: &Session,
    object: &mut Object<'_>,
) -> Result<(), AnalyzeError> {
    let query = |row: &Row, object: &mut Object<'_>| add(&facts(row, session), "", object);
    query(&single.row, object)?;
    object.value("text_cut", &Value::Flag(single.row.text_cut))?;
    object.value("recorded", &Value::Count(single.recorded))?;
    if alone {
        match &single.parent {
            Some(parent) => object.object("parent", |object| query(parent, object))?,
            None => object.value("parent", &Value::Null)?,
        }
        object.objects("children", &single.children, query)?;
        object.value("more_children", &Value::Count(single.more_children))?;
    }
    object.objects("faults", &single.faults, |fault, object| {
        add(&fault_facts(&single.row, fault, session), "fault_", object)
    })?;
    object.value("more_faults", &Value::Count(single.more))
}

/// Adds facts to an object; `prefix` is left out of their names.
fn add(facts: &[(ColumnHead, Value)], prefix: &str, object: &mut Object<'_>) -> Result<(), AnalyzeError> {
    let mut facts = facts.iter();
    facts.try_for_each(|(head, value)| {
        object.value(head.name.strip_prefix(prefix).unwrap_or(head.name), value)
    })
}
