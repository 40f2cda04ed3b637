//! `diff`: two recordings held against each other, by names, because processes and threads have other numbers each time. Both
//! are read one after the other into small summaries; then it says what changed, and whether that can be said.

pub mod comparable;
pub mod inodes;
pub mod page_sample;
pub mod pair;
pub mod recording;
pub mod rows;
pub mod tables;
pub mod text;

use crate::engine::filter::Filter;
use crate::error::AnalyzeError;
use crate::integrity::scaling;
use crate::integrity::warnings;
use crate::output::answer::{Answer, Room};
use crate::output::document::{Document, FactLayout};
use crate::output::render::json;
use crate::output::render::text::{describe_left_out, narrow};
use crate::output::table::Table;
use crate::output::text::escape;
use crate::output::units::{duration, grouped, quantity, utc};
use crate::request::Request;
use crate::request::options::DiffOptions;
use crate::stats::histogram::precision;
use crate::trace::input::Source;
use crate::trace::sampling::Sampling;
use crate::trace::scope;
use crate::trace::session::Session;
use crate::verbs::context::{Outcome, open_output, read_all, with_queries, write_answer};
use anyhow::Context;
use recording::Side;
use rows::{By, Row};
use std::io::Write;
use text::Line;

/// Rows of each table for people, unless asked for otherwise.
const TOP: usize = 10;

/// How the first lines stand.
const FACTS: FactLayout = FactLayout {
    margin: 11,
    lines: Some(4),
};

/// Compares.
///
/// # Errors
/// Input or output.
pub fn run(request: &Request, options: &DiffOptions) -> anyhow::Result<Outcome> {
    let of_a = Source::open(&request.trace, true)?;
    let of_b = Source::open(&options.other, true)?;
    let mut output = open_output(request, &of_a.input()?)?;
    let a = read(request, &of_a).context("A")?;
    let request_of_b = Request {
        trace: options.other.clone(),
        ..request.clone()
    };
    let b = read(&request_of_b, &of_b).context("B")?;
    let comparison = Comparison::new((&a.0, &a.1), (&b.0, &b.1), &request.filter);
    let top = match (options.top, request.format.is_data()) {
        (Some(0), _) | (None, true) => usize::MAX,
        (Some(top), _) => top,
        (None, false) => TOP,
    };
    let answer = DiffAnswer {
        comparison: &comparison,
        names: [&request.trace, &options.other].map(|path| path.display().to_string()),
        filters: request.filter.describe(),
        top,
    };
    let done = write_answer(&answer, request, &mut output);
    output.finish(done)?;
    Ok(Outcome::Done)
}

fn read(request: &Request, source: &Source) -> anyhow::Result<(Side, Session)> {
    let request = &Request {
        filter: with_queries(request, source)?,
        ..request.clone()
    };
    let mut side = Side::default();
    let session = read_all(request, source.input()?, &mut [&mut side])?;
    Ok((side, session))
}

/// All there is to say.
#[derive(Debug)]
pub struct Comparison<'a> {
    sessions: (&'a Session, &'a Session),
    fair: Vec<Line>,
    is_fair: bool,
    summary: Vec<Line>,
    remarks: Vec<String>,
    classes: Vec<Row>,
    threads: Vec<Row>,
    files: Vec<Row>,
    queries: Vec<Row>,
    stacks: Vec<Row>,
}

impl<'a> Comparison<'a> {
    /// Of two recordings read with the same filter.
    #[must_use]
    pub fn new(a: (&'a Side, &'a Session), b: (&'a Side, &'a Session), filter: &Filter) -> Self {
        let about_faults = filter.is_about_faults();
        let classes = rows::classes(a.0, b.0);
        let threads = rows::named(By::Thread, &a.0.threads(a.1), &b.0.threads(b.1));
        let mut files = rows::files(a, b);
        let mut remarks = Vec::new();
        if a.1.page_size() != b.1.page_size() && files.iter().any(|row| row.pages.is_some()) {
            // Page 5 of one is not page 5 of the other.
            files.iter_mut().for_each(|row| row.pages = None);
            remarks.push("pages are not compared: they have other sizes in A and B".to_owned());
        }
        let has_queries = !a.0.queries().is_empty() || !b.0.queries().is_empty();
        let queries = match about_faults {
            None => rows::queries(a.0.queries(), b.0.queries()),
            Some(condition) => {
                if has_queries {
                    remarks.push(format!(
                        "queries are counted whole and not compared here: {condition} selects single faults"
                    ));
                }
                Vec::new()
            }
        };
        let stacks = match (a.0.has_stacks(), b.0.has_stacks()) {
            (true, true) => rows::named(By::Stack, &a.0.stacks(a.1), &b.0.stacks(b.1)),
            (false, false) => Vec::new(),
            (in_a, _) => {
                let without = if in_a { "B" } else { "A" };
                remarks.push(format!(
                    "{without} has no stacks: record it with 'pfrec --stacks'"
                ));
                Vec::new()
            }
        };
        if files
            .iter()
            .any(|row| row.pages.is_some_and(|pages| pages.is_estimated))
        {
            remarks.push(
                "pages: too many to keep, so that some numbers are estimates, as a rule within 3 %"
                    .to_owned(),
            );
        }
        let without = a.0.files_without_pages(a.1).max(b.0.files_without_pages(b.1));
        if without > 0 {
            remarks.push(format!("pages of {} were not kept", quantity(without, "file")));
        }
        for (name, side) in [("A", a.0), ("B", b.0)] {
            remarks.extend(side.remarks().map(|remark| format!("{name}: {remark}")));
        }
        for (side, session) in [("A", a.1), ("B", b.1)] {
            let is_empty = session.passed == 0 && !filter.is_empty();
            let nothing = is_empty.then(|| warnings::nothing_passes(session, filter));
            remarks.extend(nothing.map(|nothing| format!("{side}: {nothing}")));
            remarks.extend(scaling::remark(session).map(|remark| format!("{side}: {remark}")));
        }
        let length_ns = |session| {
            let (begin_ns, end_ns) = filter.window_ns(session);
            end_ns.saturating_sub(begin_ns)
        };
        let lengths_ns = (length_ns(a.1), length_ns(b.1));
        let fair = comparable::judge(a.1, b.1, lengths_ns);
        Self {
            sessions: (a.1, b.1),
            summary: text::summary(&classes, &files, &threads, &fair, lengths_ns),
            is_fair: fair.unfair.is_empty(),
            fair: text::fairness(&fair),
            remarks,
            classes,
            threads,
            files,
            queries,
            stacks,
        }
    }

    /// The sentences, those about fairness first; safe for a terminal.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.fair.iter().chain(&self.summary)
    }

    /// Of that recording of which the numbers are less exact.
    fn sampling(&self) -> Sampling {
        let (a, b) = (self.sessions.0.sampling(), self.sessions.1.sampling());
        if b.is_sampled() { b } else { a }
    }

    /// The rows of all tables, `top` of each kind.
    #[must_use]
    pub fn rows(&self, top: usize) -> Vec<Row> {
        let kinds = [
            &self.classes,
            &self.threads,
            &self.files,
            &self.queries,
            &self.stacks,
        ];
        let rows = kinds.into_iter().flat_map(|rows| rows.iter().take(top));
        rows.cloned().collect()
    }
}

/// A comparison, ready to be written.
struct DiffAnswer<'a> {
    comparison: &'a Comparison<'a>,
    /// What the user calls the recordings.
    names: [String; 2],
    /// The filters in words; empty for none.
    filters: String,
    /// Rows of each kind.
    top: usize,
}

impl Answer for DiffAnswer<'_> {
    fn text(&self, room: Room) -> Result<Document, AnalyzeError> {
        let comparison = self.comparison;
        let mut document = Document::with_facts(FACTS);
        self.facts(&mut document);
        document.heading(format!("By class ({})", precision(comparison.sampling())));
        let classes = tables::table(&comparison.classes, "class");
        add_table(classes, usize::MAX, room, &mut document);
        for (title, rows, head) in [
            ("Thread names", &comparison.threads, "comm"),
            ("Files and memory", &comparison.files, "file"),
            (
                "Queries, quantiles of a query's whole wait",
                &comparison.queries,
                "query",
            ),
            ("Stacks, innermost frames", &comparison.stacks, "stack"),
        ] {
            if rows.is_empty() {
                continue;
            }
            document.heading(format!("{title}, biggest change of wait first"));
            add_table(tables::table(rows, head), self.top, room, &mut document);
            if rows.iter().any(|row| row.by == By::File && row.pages.is_some()) {
                document.heading("Distinct pages faulted in");
                add_table(tables::pages_table(rows), self.top, room, &mut document);
            }
        }
        for remark in &comparison.remarks {
            document.line(escape(remark));
        }
        Ok(document)
    }

    fn markdown(&self, _room: Room) -> Result<Document, AnalyzeError> {
        let mut document = Document::default();
        for (name, line) in self.comparison.lines() {
            document.fact(name, line);
        }
        document.line("");
        document.table(self.table(), None);
        Ok(document)
    }

    fn json(&self, out: &mut dyn Write) -> Result<(), AnalyzeError> {
        json::object(out, |object| {
            object.members(&self.summary())?;
            object.on_new_line().table("rows", &self.table())
        })
    }

    fn table(&self) -> Table {
        tables::export(&self.comparison.rows(self.top))
    }

    fn beside_table(&self) -> Vec<String> {
        let lines = self.comparison.lines();
        let remarks = self.comparison.remarks.iter();
        lines
            .map(|(name, line)| format!("{name}: {line}"))
            .chain(remarks.map(|remark| format!("note: {remark}")))
            .collect()
    }
}

impl DiffAnswer<'_> {
    /// What changed, and between what.
    fn facts(&self, document: &mut Document) {
        for (name, line) in self.comparison.lines() {
            let name = if *name == "unfair" { "! unfair" } else { name };
            document.fact(name, line);
        }
        if !self.filters.is_empty() {
            let filters = escape(&self.filters);
            document.fact("filter", format!("{filters}; only the faults that pass"));
        }
        let (a, b) = self.comparison.sessions;
        for ((name, path), session) in ["A", "B"].iter().zip(&self.names).zip([a, b]) {
            document.fact(name, recording(path, session));
        }
    }

    /// All but the rows, for programs.
    fn summary(&self) -> serde_json::Value {
        let comparison = self.comparison;
        let [a, b] = &self.names;
        let lines = |lines: &[Line]| -> Vec<String> {
            let lines = lines.iter();
            lines.map(|(name, line)| format!("{name}: {line}")).collect()
        };
        serde_json::json!({
            "a": a,
            "b": b,
            "duration_a_ns": comparison.sessions.0.duration_ns(),
            "duration_b_ns": comparison.sessions.1.duration_ns(),
            "fair": comparison.is_fair,
            "fairness": lines(&comparison.fair),
            "summary": lines(&comparison.summary),
            "remarks": comparison.remarks,
        })
    }
}

/// Adds the first rows, and how many more there are.
fn add_table(mut table: Table, top: usize, room: Room, document: &mut Document) {
    let more = table.keep_rows(top);
    let mut left_out = Vec::new();
    if let Some(width) = room.table {
        for [of_a, of_b] in tables::DROP_ORDER {
            // One without the other compares nothing.
            let first = narrow(&mut table, width, &[of_a]);
            if !first.is_empty() {
                left_out.extend(first);
                left_out.extend(narrow(&mut table, 0, &[of_b]));
            }
        }
    }
    document.table(table, room.table);
    if let Some(words) = describe_left_out(&left_out) {
        document.paragraph(words);
    }
    if more > 0 {
        document.line(format!(
            "... and {} more: --top 0 shows all",
            grouped(more as u64)
        ));
    }
}

/// What a recording is.
fn recording(path: &str, session: &Session) -> String {
    let what = match &session.meta {
        Some(meta) => scope::describe(meta),
        None => "not known, its record is damaged".to_owned(),
    };
    escape(&format!(
        "{path}: {what}; {}, {}, {}",
        utc(session.header.utc_of(session.start_ns())),
        duration(session.duration_ns()),
        quantity(session.events, "fault"),
    ))
}
