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
use crate::output::document::Page;
use crate::output::table::{Format, Table};
use crate::output::text::shell_words;
use crate::output::text::{escape, json_text, keep_start, wrap};
use crate::output::units::{duration, grouped, utc};
use crate::request::Request;
use crate::request::options::DiffOptions;
use crate::stats::histogram::precision;
use crate::trace::input::Source;
use crate::trace::sampling::Sampling;
use crate::trace::session::Session;
use crate::verbs::context::{Outcome, open_output, read_all, with_queries};
use anyhow::Context;
use recording::Side;
use rows::{By, Row};
use std::io::Write;
use text::Line;

/// Rows of each table for people, unless asked for otherwise.
const TOP: usize = 10;

/// Columns that the names of the first lines take.
const MARGIN: usize = 11;

/// Compares.
///
/// # Errors
/// Input or output.
pub fn run(request: &Request, options: &DiffOptions) -> anyhow::Result<Outcome> {
    let of_a = Source::open(&request.trace, true)?;
    let of_b = Source::open(&options.other, true)?;
    let mut output = open_output(request, &of_a.input()?)?;
    let a = read(request, &of_a).context("A")?;
    let b = read(request, &of_b).context("B")?;
    let comparison = Comparison::new((&a.0, &a.1), (&b.0, &b.1), &request.filter);
    let top = match (options.top, request.format) {
        (Some(0), _) | (None, Format::Csv | Format::Json) => usize::MAX,
        (Some(top), _) => top,
        (None, Format::Table | Format::Markdown) => TOP,
    };
    let names = [&request.trace, &options.other].map(|path| path.display().to_string());
    let done = match request.format {
        Format::Table => {
            let width = output.terminal.map(|_| output.width());
            let filters = request.filter.describe();
            let filters = (!filters.is_empty()).then_some(filters.as_str());
            comparison.write_text(&names, filters, top, (output.width(), width), &mut output.out)
        }
        Format::Csv => {
            for (name, line) in comparison.lines() {
                // Nothing can be done about a closed stderr.
                pf_printing::say(format_args!("{name}: {line}"));
            }
            for remark in &comparison.remarks {
                pf_printing::say(format_args!("note: {remark}"));
            }
            tables::export(&comparison.rows(top)).write(Format::Csv, None, &mut output.out)
        }
        Format::Markdown => {
            let mut page = Page::new(&mut output.out, usize::MAX, true);
            let mut said = comparison.lines();
            said.try_for_each(|(name, line)| page.fact(name, line))
                .and_then(|()| page.line(""))
                .and_then(|()| page.table(&tables::export(&comparison.rows(top))))
        }
        Format::Json => comparison.write_json(&names, top, &mut output.out),
    };
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
            remarks.push(format!("pages of {} files were not kept", grouped(without)));
        }
        for (name, side) in [("A", a.0), ("B", b.0)] {
            remarks.extend(side.remarks().map(|remark| format!("{name}: {remark}")));
        }
        for (side, session) in [("A", a.1), ("B", b.1)] {
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

    /// For people. `filters` are those in force; sentences are broken at the first of the widths, tables cut at the second.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_text(
        &self,
        names: &[String; 2],
        filters: Option<&str>,
        top: usize,
        (width, cut): (usize, Option<usize>),
        out: &mut dyn Write,
    ) -> Result<(), AnalyzeError> {
        let room = width.saturating_sub(MARGIN).max(20);
        let mut say = |name: &str, text: &str| {
            let lines = wrap(&keep_start(text, 4 * room), room);
            lines.iter().enumerate().try_for_each(|(index, text)| {
                let name = if index == 0 { name } else { "" };
                writeln!(out, "{name:<MARGIN$}{text}")
            })
        };
        for (name, line) in self.lines() {
            let name = if *name == "unfair" { "! unfair" } else { name };
            say(name, line)?;
        }
        if let Some(filters) = filters {
            say(
                "filter",
                &format!("{}; only the faults that pass", escape(filters)),
            )?;
        }
        for (name, (path, session)) in [
            ("A", (&names[0], self.sessions.0)),
            ("B", (&names[1], self.sessions.1)),
        ] {
            say(name, &recording(path, session))?;
        }
        writeln!(out, "\nBy class ({})", precision(self.sampling()))?;
        self.write_rows(&self.classes, "CLASS", usize::MAX, cut, out)?;
        for (title, rows, head) in [
            ("Thread names", &self.threads, "THREAD"),
            ("Files and memory", &self.files, "FILE"),
            (
                "Queries, quantiles of a query's whole wait",
                &self.queries,
                "QUERY",
            ),
            ("Stacks, innermost frames", &self.stacks, "STACK"),
        ] {
            if rows.is_empty() {
                continue;
            }
            writeln!(out, "\n{title}, biggest change of wait first")?;
            self.write_rows(rows, head, top, cut, out)?;
            if rows.iter().any(|row| row.by == By::File && row.pages.is_some()) {
                writeln!(out, "\nDistinct pages faulted in")?;
                let mut table = tables::pages_table(rows);
                truncate(&mut table, top, out, cut)?;
            }
        }
        for remark in &self.remarks {
            writeln!(out, "{}", escape(remark))?;
        }
        Ok(())
    }

    fn write_rows(
        &self,
        rows: &[Row],
        head: &'static str,
        top: usize,
        cut: Option<usize>,
        out: &mut dyn Write,
    ) -> Result<(), AnalyzeError> {
        let mut table = tables::table(rows, head);
        truncate(&mut table, top, out, cut)
    }

    /// For programs: whether it is fair, the sentences, and the rows.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_json(
        &self,
        names: &[String; 2],
        top: usize,
        out: &mut dyn Write,
    ) -> Result<(), AnalyzeError> {
        let [a, b] = names;
        let lines = |lines: &[Line]| -> Vec<String> {
            let lines = lines.iter();
            lines.map(|(name, line)| format!("{name}: {line}")).collect()
        };
        let head = serde_json::json!({
            "a": a,
            "b": b,
            "duration_a_ns": self.sessions.0.duration_ns(),
            "duration_b_ns": self.sessions.1.duration_ns(),
            "fair": self.is_fair,
            "fairness": lines(&self.fair),
            "summary": lines(&self.summary),
            "remarks": self.remarks,
        });
        let text = json_text(&head);
        write!(out, "{},\n\"rows\":", text.strip_suffix('}').unwrap_or(&text))?;
        tables::export(&self.rows(top)).write_json(out)?;
        writeln!(out, "}}")?;
        Ok(())
    }
}

/// Writes the first rows, and how many more there are.
fn truncate(
    table: &mut Table,
    top: usize,
    out: &mut dyn Write,
    cut: Option<usize>,
) -> Result<(), AnalyzeError> {
    let more = table.rows.len().saturating_sub(top);
    table.rows.truncate(top);
    if let Some(width) = cut {
        for [of_a, of_b] in tables::DROP_ORDER {
            // One without the other compares nothing.
            if !table.narrow(width, &[of_a]).is_empty() {
                table.narrow(0, &[of_b]);
            }
        }
    }
    table.write(Format::Table, cut, out)?;
    if more > 0 {
        writeln!(out, "... and {} more: --top 0 shows all", grouped(more as u64))?;
    }
    Ok(())
}

/// What a recording is.
fn recording(path: &str, session: &Session) -> String {
    let what = match &session.meta {
        Some(meta) if meta.command.is_empty() => meta.target.clone(),
        Some(meta) => shell_words(&meta.command),
        None => "not known, its record is damaged".to_owned(),
    };
    escape(&format!(
        "{path}: {what}; {}, {}, {} faults",
        utc(session.header.utc_of(session.start_ns())),
        duration(session.duration_ns()),
        grouped(session.events),
    ))
}
