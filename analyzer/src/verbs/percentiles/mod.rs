//! The verb `percentiles`: one pass over the trace, or several for names of queries and for exact quantiles.

pub mod exact;
pub mod groups;
pub mod key;
pub mod key_names;
pub mod pass;
pub mod shape;

use crate::engine::columns::Column;
use crate::error::AnalyzeError;
use crate::integrity::scaling;
use crate::output::document::Document;
use crate::output::render::{self, Format};
use crate::output::sink::Output;
use crate::output::table::Table;
use crate::request::Request;
use crate::request::options::GroupBy;
use crate::request::options::PercentileOptions;
use crate::stats::histogram::precision;
use crate::trace::queries::each_row;
use crate::trace::queries::select::without_queries;
use crate::trace::session::Session;
use crate::verbs::context::{self, Outcome, Trace, read, read_all, say_remarks, write_narrow, write_table};
use crate::verbs::percentiles::key_names::QueryNames;
use crate::verbs::percentiles::pass::{DROP_ORDER, Percentiles};
use crate::verbs::percentiles::shape::Shape;

/// Reads the trace, more than once for names of queries and for exact quantiles, and writes the table.
///
/// # Errors
/// Input, output, or a question that the trace cannot answer.
pub fn run(request: &Request, options: PercentileOptions) -> anyhow::Result<Outcome> {
    let again = options.exact || options.by.reads_queries();
    context::answer(request, again, |request, trace, output| {
        Ok(latencies(request, options, trace)?.write(request, output)?)
    })
}

/// What is to be written.
#[derive(Debug)]
struct Latencies {
    table: Table,
    shape: Option<Shape>,
    /// How exact the quantiles are.
    quality: String,
    is_exact: bool,
    remarks: Vec<String>,
    session: Session,
}

/// Reads as often as needed.
fn latencies(request: &Request, options: PercentileOptions, trace: &mut Trace) -> anyhow::Result<Latencies> {
    let mut percentiles = Percentiles::new(options.by);
    if options.by.reads_queries() {
        percentiles = percentiles.with_names(names_of_queries(trace)?);
    }
    if options.histogram {
        percentiles = percentiles.with_shape();
    }
    let session = read(request, trace.input()?, &mut [&mut percentiles])?;
    let is_exact = options.exact && !gives_buckets(request, options);
    let (table, quality) = if is_exact {
        let mut again = percentiles.exact_pass(&session, &request.order);
        read_all(request, trace.input()?, &mut [&mut again])?;
        let (table, cost) = again.finish()?;
        let sampled = session.sampling().is_sampled();
        let of_what = if sampled {
            "; they are those of the weighted sample"
        } else {
            ""
        };
        (table, cost + of_what)
    } else {
        let quality = precision(session.sampling()).to_owned();
        (percentiles.table(&session), quality)
    };
    let mut remarks = if gives_buckets(request, options) {
        left_out(options).into_iter().collect()
    } else {
        percentiles.remarks()
    };
    let about: &[Column] = match options.by {
        GroupBy::Retries => &[Column::Retries],
        GroupBy::Failed => &[Column::Failed],
        _ => &[],
    };
    remarks.extend(session.sight().describe_unseen(about));
    Ok(Latencies {
        table,
        shape: percentiles.shape().cloned(),
        quality,
        is_exact,
        remarks,
        session,
    })
}

fn names_of_queries(trace: &mut Trace) -> anyhow::Result<QueryNames> {
    let mut names = QueryNames::default();
    let mut has_rows = false;
    each_row(trace.input()?.reader, |row, _| {
        has_rows = true;
        names.add(row);
    })?;
    if !has_rows {
        return Err(without_queries().into());
    }
    names.settle();
    Ok(names)
}

/// Programs get one table.
fn gives_buckets(request: &Request, options: PercentileOptions) -> bool {
    options.histogram && request.format.is_data()
}

/// What was asked for, and is not in the buckets.
fn left_out(options: PercentileOptions) -> Option<String> {
    let asked = match (options.by == GroupBy::default(), options.exact) {
        (true, false) => return None,
        (true, true) => "--exact is",
        (false, false) => "--by is",
        (false, true) => "--by and --exact are",
    };
    Some(format!(
        "{asked} left out: for programs --histogram gives the buckets of all faults instead of the table"
    ))
}

impl Latencies {
    /// Writes all of it.
    fn write(self, request: &Request, output: &mut Output) -> Result<(), AnalyzeError> {
        let session = &self.session;
        let sampled = scaling::remark(session);
        if let (Some(shape), true) = (&self.shape, request.format.is_data()) {
            write_table(shape.table(), session, request, output)?;
            say_remarks(self.remarks.into_iter().chain(sampled), request, output)?;
            return Ok(());
        }
        let for_width = write_narrow(self.table, &DROP_ORDER, session, request, output)?;
        if request.format.is_data() {
            say_remarks(self.is_exact.then_some(self.quality), request, output)?;
        } else {
            let shape = self.shape.filter(|_| session.passed > 0);
            let below = below_table(self.quality, shape, request.format, output)?;
            render::document(&below, request.format, output.width(), &mut output.out)?;
        }
        let remarks = for_width.into_iter().chain(self.remarks);
        say_remarks(remarks.chain(sampled), request, output)?;
        Ok(())
    }
}

/// For people: how exact the quantiles are, and the histogram.
fn below_table(
    quality: String,
    shape: Option<Shape>,
    format: Format,
    output: &Output,
) -> Result<Document, AnalyzeError> {
    let mut document = Document::default();
    document.line(quality);
    if let Some(shape) = shape {
        document.heading("All faults by latency");
        let mut drawn = Vec::new();
        shape.write_text(output.width(), output.colour && format.is_text(), &mut drawn)?;
        document.drawing(drawn);
    }
    Ok(document)
}
