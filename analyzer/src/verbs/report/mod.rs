//! The default report: one screen that says what was recorded, whether to trust it, who waited, on what, when.
//! It joins the results of the queries and has no numbers of its own.

pub mod affected_threads;
pub mod code_shares;
pub mod file_sums;
pub mod findings;
pub mod origins;
pub mod places;
pub mod query_shares;
pub mod read_again;
pub mod reads_in_vain;
pub mod stall_summary;
pub mod time_spent;
pub mod waits_over_time;

use crate::engine::filter::Filter;
use crate::engine::scan::Pass;
use crate::error::AnalyzeError;
use crate::integrity::losses;
use crate::integrity::scaling;
use crate::integrity::warnings;
use crate::output::answer::{Answer, Room};
use crate::output::command::Caller;
use crate::output::document::Document;
use crate::output::render::json;
use crate::output::table::Table;
use crate::output::text::{escape, keep_start};
use crate::output::units::{bytes, duration, grouped, percent, quantity, utc};
use crate::request::Request;
use crate::request::weight::{ColorScale, Weight};
use crate::stats::by_class::Classes;
use crate::stats::histogram::precision;
use crate::trace::cause::Cause;
use crate::trace::class::Class;
use crate::trace::scope;
use crate::trace::session::Session;
use crate::verbs::causes::{hidden::HiddenWaits, pass::Causes, reads::WhoseRead};
use crate::verbs::context::{self, Outcome, read, say_remarks, warn, write_answer};
use crate::verbs::files::Files;
use crate::verbs::heatmap::panels::Extent;
use crate::verbs::heatmap::text::{MARGIN_COLUMNS, Style};
use crate::verbs::info::{self, bytes_per_event};
use crate::verbs::percentiles::pass::class_table;
use crate::verbs::report::affected_threads::affected_threads;
use crate::verbs::report::code_shares::CodeShares;
use crate::verbs::report::findings::{Facts, ThreadFacts};
use crate::verbs::report::origins::Origins;
use crate::verbs::report::places::Places;
use crate::verbs::report::query_shares::QueryShares;
use crate::verbs::report::read_again::ReadAgain;
use crate::verbs::report::stall_summary::StallSummary;
use crate::verbs::report::waits_over_time::WaitsOverTime;
use crate::verbs::threads::{ThreadFaults, Threads};
use pf_formats::CommandEnd;
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
    again: ReadAgain,
    waits: WaitsOverTime,
    /// With all columns, for programs.
    all_files: Option<Files>,
    origins: Origins,
    queries: QueryShares,
    code: CodeShares,
    stalls: StallSummary,
    causes: Causes,
    whose_read: WhoseRead,
    hidden: HiddenWaits,
}

/// How the text is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Characters per line.
    pub width: usize,
    /// How the heatmap is drawn.
    pub style: Style,
    /// The filters in words; empty for none.
    pub filters: String,
}

impl Report {
    /// To be written as text, or for programs.
    #[must_use]
    pub fn new(is_text: bool) -> Self {
        Self {
            threads: Threads::default(),
            places: Places::default(),
            again: ReadAgain::default(),
            waits: WaitsOverTime::default(),
            all_files: (!is_text).then(Files::default),
            origins: Origins::default(),
            queries: QueryShares::default(),
            code: CodeShares::default(),
            stalls: StallSummary::default(),
            causes: Causes::default(),
            whose_read: WhoseRead::default(),
            hidden: HiddenWaits::default(),
        }
    }

    /// Nothing that does not pass the filter will be added.
    pub fn within(&mut self, filter: &Filter) {
        self.places.heat.within(filter);
        self.waits.within(filter);
        self.threads.within(filter);
        self.stalls.within(filter);
    }

    /// The passes that it is made of.
    pub fn passes(&mut self) -> Vec<&mut dyn Pass> {
        // Places first: their columns were decoded last, and may still be in a cache.
        let mut passes: Vec<&mut dyn Pass> = match &mut self.all_files {
            Some(files) => vec![files],
            None => vec![
                &mut self.places,
                &mut self.again,
                &mut self.origins,
                &mut self.waits,
                &mut self.code,
                &mut self.stalls,
            ],
        };
        passes.extend([
            &mut self.threads as &mut dyn Pass,
            &mut self.queries,
            &mut self.causes,
            &mut self.whose_read,
            &mut self.hidden,
        ]);
        passes
    }

    /// When all is read.
    pub fn settle(&mut self) {
        self.places.heat.settle();
        self.whose_read.finish();
    }

    /// The report for people.
    ///
    /// # Errors
    /// When the heatmap cannot be drawn.
    pub fn document(
        &self,
        session: &Session,
        filter: &Filter,
        layout: &Layout,
    ) -> Result<Document, AnalyzeError> {
        let mut page = Document::default();
        self.add_warnings(session, filter, &mut page);
        self.add_head(session, filter, layout, &mut page);
        let classes = self.threads.classes();
        if classes.count() == 0 {
            if filter.is_empty() {
                page.heading("no page faults were recorded");
            } else {
                page.heading("Nothing to show");
                page.item(escape(&warnings::nothing_passes(session, filter)));
            }
            return Ok(page);
        }
        let found = self.findings(&classes, session, filter);
        if !found.is_empty() {
            page.heading("What matters most");
            page.numbered(found);
        }
        let caller = session.caller.clone().within(filter.arguments());
        self.add_threads(&classes, session, &caller, layout, &mut page);
        self.add_latencies(&classes, session, layout, &mut page);
        self.add_causes(session, filter, &caller, layout, &mut page);
        self.queries
            .describe(filter, &caller.command("queries", &[]), &mut page);
        self.code.describe(session, &caller, layout.width, &mut page)?;
        self.add_files(&classes, session, &caller, layout, &mut page);
        page.heading("When and where");
        let columns = layout.width.saturating_sub(MARGIN_COLUMNS).max(10);
        let extent = Extent {
            size: (HEAT_ROWS, columns),
            regions: 1,
        };
        let mut drawn = Vec::new();
        self.places
            .heat
            .write_text(session, filter, extent, layout.style, &mut drawn)?;
        page.drawing(drawn);
        Ok(page)
    }

    fn add_warnings(&self, session: &Session, filter: &Filter, page: &mut Document) {
        for warning in warnings::warnings(session) {
            page.warning(warning);
        }
        // Rows that a filter hides are not missing.
        let is_whole = filter.is_empty() && warnings::filters(session).is_empty();
        if let Some(affected) = is_whole
            .then(|| affected_threads(session, &self.threads))
            .flatten()
        {
            page.warning(affected);
        }
    }

    fn add_threads(
        &self,
        classes: &Classes,
        session: &Session,
        caller: &Caller,
        layout: &Layout,
        page: &mut Document,
    ) {
        page.heading("Threads, longest wait first");
        let has_process = self.has_process(session);
        let mut threads = self.threads.table_with(session, has_process);
        // What fits a screen; the verbs have all columns.
        threads.keep_columns(9 + usize::from(classes.extras().has_failed));
        add_top(
            threads,
            THREADS_SHOWN,
            &caller.command("threads", &[]),
            layout,
            page,
        );
        if let Some(remark) = self.threads.remark() {
            page.line(remark);
        }
    }

    fn add_latencies(&self, classes: &Classes, session: &Session, layout: &Layout, page: &mut Document) {
        page.heading(format!("Latency by class ({})", precision(session.sampling())));
        page.table(class_table(classes), Some(layout.width));
        if classes.parts.is_recorded() {
            page.heading(time_spent::TITLE);
            page.table(time_spent::by_part(classes), Some(layout.width));
            for remark in time_spent::remarks(classes) {
                page.line(remark);
            }
        }
    }

    fn add_causes(
        &self,
        session: &Session,
        filter: &Filter,
        caller: &Caller,
        layout: &Layout,
        page: &mut Document,
    ) {
        if !self.causes.are_known() {
            return;
        }
        page.heading("Why faults waited, longest wait first");
        let mut causes = self.causes.table(session);
        causes.keep_columns(9);
        for left_out in ["avg_ms", "p50_us"] {
            causes.column(left_out).map(|column| causes.remove_column(column));
        }
        add_top(
            causes,
            Cause::ALL.len(),
            &caller.command("causes", &[]),
            layout,
            page,
        );
        let remarks = self.causes.remarks().into_iter();
        for remark in remarks.chain(self.whose_read.remark(filter)) {
            page.line(remark);
        }
    }

    fn add_files(
        &self,
        classes: &Classes,
        session: &Session,
        caller: &Caller,
        layout: &Layout,
        page: &mut Document,
    ) {
        page.heading("Files and memory, longest wait first");
        let mut files = self.places.files.table(session);
        files.keep_columns(7 + usize::from(classes.extras().has_failed));
        add_top(files, FILES_SHOWN, &caller.command("files", &[]), layout, page);
        if let Some(remark) = self.places.files.remark() {
            page.line(remark);
        }
        if self.places.files.has_estimates() {
            page.line("numbers of PAGES beyond some million are estimates, within 2 %");
        }
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
                    name: format!(
                        "thread {comm} ({}){}",
                        thread.tid,
                        self.of_process(session, thread)
                    ),
                    wait_ns: thread.classes.wait_ns(),
                    within_ns: thread.wait_within_ns(),
                    lived_ns: session.lived_within_ns(thread.pid, thread.tid, window_ns),
                    is_whole_life: session.saw_whole_life(thread.pid, thread.tid),
                }
            })
            .collect();
        Facts {
            classes,
            threads: &threads,
            files: &self.places.files.facts(&self.again.by_label(session), session),
            causes: &self.causes.facts(session),
            reads: &self.causes.reads(session),
            burst: self.waits.burst(window_ns),
            length_ns: window_ns.1.saturating_sub(window_ns.0),
            is_part: filter.is_part(),
            again_is_at_least: self.again.is_at_least(),
            page_size: session.page_size(),
            caller: session.caller.clone().within(filter.arguments()),
            // Of the whole recording, so they say nothing of a part of it.
            hidden_majors: if filter.is_empty() {
                session.hidden_majors()
            } else {
                0
            },
        }
        .findings()
    }

    /// Whether it is worth saying which process a thread belongs to.
    fn has_process(&self, session: &Session) -> bool {
        session.processes.are_known() && self.threads.are_of_several_processes()
    }

    fn of_process(&self, session: &Session, thread: &ThreadFaults) -> String {
        let name = thread.process(session).filter(|_| self.has_process(session));
        name.map_or_else(String::new, |name| format!(" of {name} ({})", thread.pid))
    }

    fn add_head(&self, session: &Session, filter: &Filter, layout: &Layout, page: &mut Document) {
        add_recording(session, layout, page);
        page.fact(
            "faults",
            describe_faults(session, self.threads.classes().abandoned.count > 0),
        );
        if let Some(remark) = scaling::remark(session) {
            page.fact("sampled", remark);
        }
        let notes = losses::notes(session).into_iter();
        let notes = notes.chain(self.threads.classes().describe_failed());
        for note in notes.chain(self.origins.describe()) {
            page.fact("note", note);
        }
        page.fact("check", warnings::reconciliation(session));
        if !filter.is_empty() {
            let filters = escape(&layout.filters);
            page.fact("filter", format!("{filters}; below only the faults that pass"));
        }
        if !self.threads.is_empty() {
            page.fact("wait", self.describe_wait(session, filter));
        }
        if let Some(hidden) = self.hidden.describe() {
            let caller = session.caller.clone().within(filter.arguments());
            let command = caller.command("causes", &[("--part", Some("hidden".to_owned()))]);
            page.fact("hidden", format!("{hidden}: {command}"));
        }
        if let Some(stalls) = self.stalls.clone().describe(session, filter) {
            page.fact("stalls", stalls);
        }
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
        let classes = self.threads.classes();
        json::object(out, |object| {
            object.object("info", |object| info::members(session, object))?;
            object
                .on_new_line()
                .table("threads", &self.threads.table(session))?;
            object.table("percentiles", &class_table(&classes))?;
            if classes.parts.is_recorded() {
                object.table("breakdown", &time_spent::by_class(&classes))?;
            }
            if self.causes.are_known() {
                object.table("causes", &self.causes.table(session))?;
            }
            let files = self.all_files.as_ref().map(|files| files.table(session));
            let files = files.unwrap_or_else(|| self.places.files.table(session));
            object.table("files", &files)?;
            if session.queries > 0 {
                object.table("queries", &self.queries.table(filter))?;
            }
            Ok(())
        })
    }
}

/// Where, when and how it was recorded.
fn add_recording(session: &Session, layout: &Layout, page: &mut Document) {
    let start = utc(session.header.utc_of(session.start_ns()));
    let Some(meta) = &session.meta else {
        page.fact("recorded", format!("not known: its record is damaged, {start}"));
        return;
    };
    // A command line can be longer than a screen; three lines tell it.
    let what = keep_start(&escape(&scope::describe(meta)), 3 * layout.width);
    page.fact("recorded", what);
    let end = session.totals.as_ref().and_then(|totals| totals.command_end);
    if let Some(end) = end.filter(|end| *end != CommandEnd::default()) {
        page.fact("ended", info::describe_end(end));
    }
    let host = &meta.host;
    let machine = format!(
        "{} (Linux {}, {}, {}, {})",
        host.hostname,
        host.kernel,
        host.arch,
        quantity(host.cpus.into(), "CPU"),
        bytes(host.memory_bytes)
    );
    page.fact("host", escape(&machine));
    page.fact("when", format!("{start}, {}", duration(session.duration_ns())));
    let by = format!("{}, backend {}: {}", meta.recorder, meta.backend, meta.entry);
    page.fact("by", escape(&by));
    if !meta.filters.is_empty() {
        page.fact("filters", escape(&warnings::listed(&meta.filters)));
    }
    let blind = session.sight().blind();
    if !blind.is_empty() {
        page.fact("not seen", escape(&blind.join(", ")));
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
fn add_top(mut table: Table, shown: usize, all: &str, layout: &Layout, page: &mut Document) {
    let more = table.keep_rows(shown);
    page.table(table, Some(layout.width));
    if more > 0 {
        page.line(format!("... and {} more: {all}", grouped(more as u64)));
    }
}

/// A report, ready to be written.
struct ReportAnswer<'a> {
    report: &'a Report,
    session: &'a Session,
    request: &'a Request,
    colour: bool,
}

impl Answer for ReportAnswer<'_> {
    fn text(&self, room: Room) -> Result<Document, AnalyzeError> {
        let layout = Layout {
            width: room.width,
            style: Style {
                weight: Weight::Wait,
                spread: ColorScale::Log,
                colour: self.colour,
            },
            filters: self.request.filter.describe(),
        };
        self.report.document(self.session, &self.request.filter, &layout)
    }

    fn markdown(&self, room: Room) -> Result<Document, AnalyzeError> {
        self.text(room)
    }

    fn json(&self, out: &mut dyn Write) -> Result<(), AnalyzeError> {
        self.report.write_json(self.session, &self.request.filter, out)
    }

    /// The command line refuses CSV: a report is not one table.
    fn table(&self) -> Table {
        self.report.threads.table(self.session)
    }
}

/// Reads the trace and writes the report.
///
/// # Errors
/// Input, output, or a question that the trace cannot answer.
pub fn run(request: &Request) -> anyhow::Result<Outcome> {
    context::answer(request, false, |request, trace, output| {
        let is_data = request.format.is_data();
        let mut report = Report::new(!is_data);
        report.within(&request.filter);
        let session = read(request, trace.input()?, &mut report.passes())?;
        report.settle();
        if is_data {
            warn(&session);
            let remarks = scaling::remark(&session).into_iter();
            say_remarks(remarks.chain(report.remarks()), request, output)?;
        }
        let answer = ReportAnswer {
            report: &report,
            session: &session,
            request,
            colour: output.colour,
        };
        Ok(write_answer(&answer, request, output)?)
    })
}
