//! The default report: one screen that says what was recorded, whether to trust it, who waited, on what, when.
//! It joins the results of the queries and has no numbers of its own.

pub mod affected_threads;
pub mod file_sums;
pub mod findings;
pub mod origins;
pub mod places;
pub mod query_shares;
pub mod time_spent;
pub mod waits_over_time;

use crate::engine::filter::Filter;
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::integrity::losses;
use crate::integrity::scaling;
use crate::integrity::warnings;
use crate::output::document::Page;
use crate::output::table::Format;
use crate::output::table::Table;
use crate::output::text::escape;
use crate::output::text::shell_words;
use crate::output::units::{bytes, duration, grouped, percent, utc};
use crate::request::Request;
use crate::request::weight::{ColorScale, Weight};
use crate::stats::by_class::Classes;
use crate::stats::histogram::precision;
use crate::trace::class::Class;
use crate::trace::session::Session;
use crate::verbs::context::{self, Outcome, read, say_remarks, warn};
use crate::verbs::files::Files;
use crate::verbs::heatmap::panels::Extent;
use crate::verbs::heatmap::text::{MARGIN_COLUMNS, Style};
use crate::verbs::info::{self, bytes_per_event};
use crate::verbs::percentiles::pass::class_table;
use crate::verbs::report::affected_threads::affected_threads;
use crate::verbs::report::findings::{Facts, ThreadFacts};
use crate::verbs::report::origins::Origins;
use crate::verbs::report::places::Places;
use crate::verbs::report::query_shares::QueryShares;
use crate::verbs::report::waits_over_time::WaitsOverTime;
use crate::verbs::threads::Threads;
use std::io::Write;

/// Rows of the per-thread table before "… and N more".
const THREADS_SHOWN: usize = 20;
/// Rows of the per-file table.
const FILES_SHOWN: usize = 10;
/// Rows of the small heatmap.
const HEAT_ROWS: usize = 12;

/// The queries behind the report.
#[derive(Debug)]
pub struct Report {
    threads: Threads,
    places: Places,
    waits: WaitsOverTime,
    /// With all columns, for programs.
    all_files: Option<Files>,
    origins: Origins,
    queries: QueryShares,
}

/// How the text is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Characters per line.
    pub width: usize,
    /// How the heatmap is drawn.
    pub style: Style,
    /// What the user calls the trace, for hints.
    pub trace: String,
    /// The filters in words; empty for none.
    pub filters: String,
    /// For an issue instead of a terminal.
    pub is_markdown: bool,
}

impl Report {
    /// To be written as text, or for programs.
    #[must_use]
    pub fn new(is_text: bool) -> Self {
        Self {
            threads: Threads::default(),
            places: Places::default(),
            waits: WaitsOverTime::default(),
            all_files: (!is_text).then(Files::default),
            origins: Origins::default(),
            queries: QueryShares::default(),
        }
    }

    /// Nothing that does not pass the filter will be added.
    pub fn within(&mut self, filter: &Filter) {
        self.places.heat.within(filter);
        self.waits.within(filter);
        self.threads.within(filter);
    }

    /// The passes that it is made of.
    pub fn passes(&mut self) -> Vec<&mut dyn Pass> {
        // Places first: their columns were decoded last, and may still be in a cache.
        let mut passes: Vec<&mut dyn Pass> = match &mut self.all_files {
            Some(files) => vec![files],
            None => vec![&mut self.places, &mut self.origins, &mut self.waits],
        };
        passes.extend([&mut self.threads as &mut dyn Pass, &mut self.queries]);
        passes
    }

    /// Writes the report as text, or as Markdown.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_text(
        &mut self,
        session: &Session,
        filter: &Filter,
        layout: &Layout,
        out: &mut dyn Write,
    ) -> Result<(), AnalyzeError> {
        self.places.heat.settle();
        let mut page = Page::new(out, layout.width, layout.is_markdown);
        for warning in warnings::warnings(session) {
            page.warning(&warning)?;
        }
        // Rows that a filter hides are not missing.
        let is_whole = filter.is_empty() && warnings::filters(session).is_empty();
        if let Some(affected) = is_whole
            .then(|| affected_threads(session, &self.threads))
            .flatten()
        {
            page.warning(&affected)?;
        }
        self.write_head(session, filter, layout, &mut page)?;
        let classes = self.threads.classes();
        if classes.count() == 0 {
            let why = if filter.is_empty() {
                "no page faults were recorded".to_owned()
            } else {
                escape(&warnings::nothing_passes(session, filter))
            };
            return page.heading(&why);
        }
        let found = self.findings(&classes, session, filter);
        if !found.is_empty() {
            page.heading("What matters most")?;
            page.numbered(&found)?;
        }
        page.heading("Threads, longest wait first")?;
        let mut threads = self.threads.table(session);
        // What fits a screen; the verbs have all columns.
        let failed = usize::from(classes.extras().has_failed);
        threads.keep_columns(9 + failed);
        write_top(threads, THREADS_SHOWN, "threads", layout, &mut page)?;
        if let Some(remark) = self.threads.remark() {
            page.line(&remark)?;
        }
        page.heading(&format!("Latency by class ({})", precision(session.sampling())))?;
        page.table(&class_table(&classes))?;
        if classes.parts.is_recorded() {
            page.heading(time_spent::TITLE)?;
            page.table(&time_spent::by_part(&classes))?;
            for remark in time_spent::remarks(&classes) {
                page.line(&remark)?;
            }
        }
        self.queries.write(filter, &layout.trace, &mut page)?;
        page.heading("Files and memory, longest wait first")?;
        let mut files = self.places.files.table(session);
        files.keep_columns(7 + failed);
        write_top(files, FILES_SHOWN, "files", layout, &mut page)?;
        if let Some(remark) = self.places.files.remark() {
            page.line(&remark)?;
        }
        if self.places.files.has_estimates() {
            page.line("numbers of PAGES beyond some million are estimates, within 2 %")?;
        }
        page.heading("When and where")?;
        let columns = layout.width.saturating_sub(MARGIN_COLUMNS).max(10);
        let extent = Extent {
            size: (HEAT_ROWS, columns),
            regions: 1,
        };
        page.drawing(|out| {
            self.places
                .heat
                .write_text(session, filter, extent, layout.style, out)
        })
    }

    /// Sentences about what was counted.
    fn findings(&self, classes: &Classes, session: &Session, filter: &Filter) -> Vec<String> {
        let window_ns = filter.window_ns(session);
        let threads: Vec<ThreadFacts> = self
            .threads
            .sorted()
            .into_iter()
            .map(|thread| {
                let comm = session.dicts.comm(thread.comm_id());
                ThreadFacts {
                    name: format!("thread {comm} ({})", thread.tid),
                    wait_ns: thread.classes.wait_ns(),
                    within_ns: thread.wait_within_ns(),
                    lived_ns: session.lived_within_ns(thread.pid, thread.tid, window_ns),
                }
            })
            .collect();
        Facts {
            classes,
            threads: &threads,
            files: &self.places.files.facts(session),
            burst: self.waits.burst(window_ns),
            length_ns: window_ns.1.saturating_sub(window_ns.0),
            is_part: filter.is_part(),
            page_size: session.page_size(),
            // Of the whole recording, so they say nothing of a part of it.
            hidden_majors: if filter.is_empty() {
                session.hidden_majors()
            } else {
                0
            },
        }
        .findings()
    }

    fn write_head(
        &self,
        session: &Session,
        filter: &Filter,
        layout: &Layout,
        page: &mut Page<'_>,
    ) -> Result<(), AnalyzeError> {
        let mut line = |name: &str, text: String| page.fact(name, &text);
        let start = utc(session.header.utc_of(session.start_ns()));
        match &session.meta {
            Some(meta) => {
                let what = if meta.command.is_empty() {
                    meta.target.clone()
                } else {
                    shell_words(&meta.command)
                };
                line("recorded", escape(&what))?;
                let host = &meta.host;
                let machine = format!(
                    "{} (Linux {}, {}, {} CPUs, {})",
                    host.hostname,
                    host.kernel,
                    host.arch,
                    host.cpus,
                    bytes(host.memory_bytes)
                );
                line("host", escape(&machine))?;
                line("when", format!("{start}, {}", duration(session.duration_ns())))?;
                line(
                    "by",
                    escape(&format!(
                        "{}, backend {}: {}",
                        meta.recorder, meta.backend, meta.entry
                    )),
                )?;
                if !meta.filters.is_empty() {
                    line("filters", escape(&warnings::listed(&meta.filters)))?;
                }
                let blind = session.sight().blind();
                if !blind.is_empty() {
                    line("blind to", escape(&blind.join(", ")))?;
                }
            }
            None => line("recorded", format!("not known (its record is damaged), {start}"))?,
        }
        line(
            "faults",
            describe_faults(session, self.threads.classes().abandoned.count > 0),
        )?;
        if let Some(remark) = scaling::remark(session) {
            line("sampled", remark)?;
        }
        let notes = losses::notes(session).into_iter();
        let notes = notes.chain(self.threads.classes().describe_failed());
        for note in notes.chain(self.origins.describe()) {
            line("note", note)?;
        }
        line("check", warnings::reconciliation(session))?;
        if !filter.is_empty() {
            line(
                "filter",
                format!("{}; below only the faults that pass", escape(&layout.filters)),
            )?;
        }
        if self.threads.is_empty() {
            return Ok(());
        }
        line("wait", self.describe_wait(session, filter))?;
        Ok(())
    }

    /// Wait against the summed lifetime of the threads with faults, both as far as they lie in the time that was asked for: a
    /// fault that began in it may have waited beyond its end.
    fn describe_wait(&self, session: &Session, filter: &Filter) -> String {
        let window_ns = filter.window_ns(session);
        let (mut wait_ns, mut within_ns, mut lived_ns) = (0u64, 0u64, 0u64);
        let threads = self.threads.sorted();
        for thread in &threads {
            let of_thread_ns = session.lived_within_ns(thread.pid, thread.tid, window_ns);
            lived_ns = lived_ns.saturating_add(of_thread_ns);
            wait_ns = wait_ns.saturating_add(thread.classes.wait_ns());
            within_ns = within_ns.saturating_add(thread.wait_within_ns());
        }
        let of_whom = self.threads.describe_count();
        let they = if threads.len() == 1 { "it" } else { "they" };
        if let Some(others) = self.threads.others() {
            let wait_ns = wait_ns.saturating_add(others.classes.wait_ns());
            return format!("{} in faults of the {of_whom} that faulted", duration(wait_ns));
        }
        // A wait longer than the life means that a birth or an end was not seen.
        let share = match lived_ns {
            0 => "-".to_owned(),
            lived if lived < within_ns => "-".to_owned(),
            lived => percent(u128::from(within_ns), u128::from(lived)),
        };
        let (wait, lived) = (duration(wait_ns), duration(lived_ns));
        if !filter.is_part() {
            return format!(
                "{wait} in faults = {share} of the {lived} lifetime of the {of_whom} that faulted"
            );
        }
        let within = match within_ns == wait_ns {
            true => String::new(),
            false => format!(", {} of it in this time", duration(within_ns)),
        };
        format!(
            "{wait} in faults of the {of_whom} that faulted{within} = {share} of the {lived} that {they} lived in it"
        )
    }

    /// What the last rows of the tables for programs are, where there are too many.
    pub fn remarks(&self) -> impl Iterator<Item = String> {
        let files = self.all_files.as_ref().map(Files::remarks);
        self.threads
            .remark()
            .into_iter()
            .chain(files.into_iter().flatten())
    }

    /// The report as one JSON object: info, threads, percentiles, files.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write_json(
        &self,
        session: &Session,
        filter: &Filter,
        out: &mut dyn Write,
    ) -> Result<(), AnalyzeError> {
        write!(out, "{{\"info\":")?;
        info::write_json(session, out)?;
        write!(out, ",\n\"threads\":")?;
        self.threads.table(session).write_json(out)?;
        write!(out, ",\"percentiles\":")?;
        let classes = self.threads.classes();
        class_table(&classes).write_json(out)?;
        if classes.parts.is_recorded() {
            write!(out, ",\"breakdown\":")?;
            time_spent::by_class(&classes).write_json(out)?;
        }
        write!(out, ",\"files\":")?;
        let files = self.all_files.as_ref().map(|files| files.table(session));
        files
            .unwrap_or_else(|| self.places.files.table(session))
            .write_json(out)?;
        if session.queries > 0 {
            write!(out, ",\"queries\":")?;
            self.queries.table(filter).write_json(out)?;
        }
        writeln!(out, "}}")?;
        Ok(())
    }
}

/// What was recorded: rows, as they are in the file.
fn describe_faults(session: &Session, some_abandoned: bool) -> String {
    let of = |class| grouped(session.of_class(class));
    let recorded = if session.sampling().is_sampled() {
        " recorded"
    } else {
        ""
    };
    let failed = match session.of_class(Class::Failed) {
        0 => String::new(),
        failed if some_abandoned => format!(", {} failed or abandoned", grouped(failed)),
        failed => format!(", {} failed", grouped(failed)),
    };
    format!(
        "{}{recorded}: {} major, {} minor{failed}; {}, {} bytes each",
        grouped(session.events),
        of(Class::Major),
        of(Class::Minor),
        bytes(session.bytes),
        bytes_per_event(session)
    )
}

/// The first rows of a table, its total, and how to see the others.
fn write_top(
    mut table: Table,
    shown: usize,
    verb: &str,
    layout: &Layout,
    page: &mut Page<'_>,
) -> Result<(), AnalyzeError> {
    let more = table.rows.len().saturating_sub(shown);
    table.rows.truncate(shown);
    page.table(&table)?;
    if more > 0 {
        page.line(&format!(
            "... and {} more: pfanalyze {verb} {}",
            grouped(more as u64),
            escape(&layout.trace)
        ))?;
    }
    Ok(())
}

/// Reads the trace and writes the report.
///
/// # Errors
/// Input, output, or a question that the trace cannot answer.
pub fn run(request: &Request) -> anyhow::Result<Outcome> {
    context::answer(request, false, |request, trace, output| {
        let is_text = matches!(request.format, Format::Table | Format::Markdown);
        let mut report = Report::new(is_text);
        report.within(&request.filter);
        let session = read(request, trace.input()?, &mut report.passes())?;
        if !is_text {
            warn(&session);
            let remarks = scaling::remark(&session).into_iter();
            say_remarks(remarks.chain(report.remarks()), request, output)?;
            return Ok(report.write_json(&session, &request.filter, &mut output.out)?);
        }
        let style = Style {
            weight: Weight::Wait,
            spread: ColorScale::Log,
            colour: output.colour,
        };
        let layout = Layout {
            width: output.width(),
            style,
            trace: request.trace.display().to_string(),
            filters: request.filter.describe(),
            is_markdown: request.format == Format::Markdown,
        };
        Ok(report.write_text(&session, &request.filter, &layout, &mut output.out)?)
    })
}
