//! The verb `heatmap` from scan to output: text, numbers or a picture.

pub mod cells;
pub mod grid;
pub mod grids;
pub mod latency;
pub mod panels;
pub mod pass;
pub mod picture;
pub mod scale;
pub mod tables;
pub mod text;
pub mod view;
pub mod window;
pub mod zoom;

use crate::engine::filter::Filter;
use crate::error::AnalyzeError;
use crate::integrity::scaling;
use crate::integrity::warnings;
use crate::output::answer::{Answer, Room};
use crate::output::document::Document;
use crate::output::sink::Output;
use crate::output::table::Table;
use crate::output::text::{escape, keep_start};
use crate::output::units::{quantity, utc};
use crate::request::Request;
use crate::request::options::HeatmapFormat;
use crate::request::options::HeatmapOptions;
use crate::request::options::YAxis;
use crate::trace::input::Input;
use crate::trace::scope;
use crate::trace::session::Session;
use crate::verbs::context::{self, Outcome, read, say_remarks, say_warnings, write_answer, write_notes};
use crate::verbs::heatmap::panels::Extent;
use crate::verbs::heatmap::pass::Heat;
use crate::verbs::heatmap::picture::Canvas;
use crate::verbs::heatmap::picture::arrangement::{CELLS, Words, layout};
use crate::verbs::heatmap::picture::png;
use crate::verbs::heatmap::picture::svg;
use crate::verbs::heatmap::text::{MARGIN_COLUMNS, Style};
use std::io::Write;

/// Rows of a heatmap without a terminal.
const PLAIN_ROWS: usize = 24;
/// Rows and columns of heatmap data when none are given.
const DATA_SIZE: (usize, usize) = (64, 128);
/// Letters of a command line in a heading.
const COMMAND: usize = 200;

/// Reads the trace and writes the heatmap.
///
/// # Errors
/// Input, output, or a question that the trace cannot answer.
pub fn run(request: &Request, options: HeatmapOptions) -> anyhow::Result<Outcome> {
    context::answer(request, false, |request, trace, output| {
        if options.form == HeatmapFormat::Png && output.is_terminal {
            anyhow::bail!("a PNG cannot go to a terminal: give a file with -o heatmap.png");
        }
        Ok(write(request, options, trace.input()?, output)?)
    })
}

fn write(
    request: &Request,
    options: HeatmapOptions,
    input: Input,
    output: &mut Output,
) -> Result<(), AnalyzeError> {
    let heat = match options.y {
        YAxis::Latency => Heat::by_latency(),
        YAxis::Place if request.filter.files.is_empty() => Heat::by_address(options.range),
        YAxis::Place => Heat::by_file(),
    };
    let mut heat = if options.whole { heat.without_zoom() } else { heat };
    heat.within(&request.filter);
    let session = read(request, input, &mut [&mut heat])?;
    heat.settle();
    say_warnings(&session, request.format, output)?;
    let remark = scaling::remark(&session);
    let answer = HeatmapAnswer {
        heat: &heat,
        session: &session,
        filter: &request.filter,
        options,
        rows: output.height(),
        colour: output.colour,
    };
    match options.form {
        HeatmapFormat::Table
        | HeatmapFormat::Csv
        | HeatmapFormat::Json
        | HeatmapFormat::Jsonl
        | HeatmapFormat::Markdown => {
            write_answer(&answer, request, output)?;
        }
        HeatmapFormat::Raw => write_notes(answer.write_raw(&mut output.out)?),
        HeatmapFormat::Svg => svg::write(&answer.picture(request, true), &mut output.out)?,
        HeatmapFormat::Png => png::write(&answer.picture(request, false), &mut output.out)?,
    }
    say_remarks(remark, request, output)
}

/// A heatmap, ready to be written.
struct HeatmapAnswer<'a> {
    heat: &'a Heat,
    session: &'a Session,
    filter: &'a Filter,
    options: HeatmapOptions,
    /// Lines of the terminal, if there is one.
    rows: Option<usize>,
    /// Whether colour is welcome there.
    colour: bool,
}

impl Answer for HeatmapAnswer<'_> {
    fn text(&self, room: Room) -> Result<Document, AnalyzeError> {
        let rows = self
            .rows
            .map_or(PLAIN_ROWS, |height| height.saturating_sub(8).clamp(8, 40));
        self.drawing(rows, room, self.colour)
    }

    fn markdown(&self, room: Room) -> Result<Document, AnalyzeError> {
        self.drawing(PLAIN_ROWS, room, false)
    }

    fn table(&self) -> Table {
        let size = self.extent(DATA_SIZE).size;
        self.heat
            .table(self.session, self.filter, size, self.options.weight)
    }
}

impl HeatmapAnswer<'_> {
    /// As the user wants it, else of `size`.
    fn extent(&self, (rows, columns): (usize, usize)) -> Extent {
        Extent {
            size: (
                self.options.rows.unwrap_or(rows),
                self.options.columns.unwrap_or(columns),
            ),
            regions: self.options.panels,
        }
    }

    fn drawing(&self, rows: usize, room: Room, colour: bool) -> Result<Document, AnalyzeError> {
        let columns = room.width.saturating_sub(MARGIN_COLUMNS).max(10);
        let style = Style {
            weight: self.options.weight,
            spread: self.options.spread,
            colour,
        };
        let extent = self.extent((rows, columns));
        let mut drawn = Vec::new();
        self.heat
            .write_text(self.session, self.filter, extent, style, &mut drawn)?;
        let mut document = Document::default();
        document.drawing(drawn);
        Ok(document)
    }

    fn write_raw(&self, out: &mut dyn Write) -> Result<Vec<String>, AnalyzeError> {
        let (extent, weight) = (self.extent(DATA_SIZE), self.options.weight);
        self.heat
            .write_raw(self.session, self.filter, extent, weight, out)
    }

    fn picture(&self, request: &Request, is_svg: bool) -> Canvas {
        let HeatmapOptions { weight, spread, .. } = self.options;
        let extent = self.extent(CELLS);
        let (panels, not_shown) = self.heat.panels(self.session, self.filter, extent, weight);
        let words = words(self.session, request, not_shown);
        layout(&panels, &words, weight, spread, is_svg)
    }
}

/// A picture goes where its trace does not: it says what it is of, and what is wrong with it.
fn words(session: &Session, request: &Request, not_shown: Vec<String>) -> Words {
    let what = match &session.meta {
        Some(meta) => scope::describe(meta),
        None => "an unknown program".to_owned(),
    };
    let what = keep_start(&escape(&what), COMMAND).replace('…', "..");
    let mut head = Vec::new();
    if let Some(meta) = &session.meta {
        head.push(format!(
            "recorded {} on {} (Linux {}): {}",
            utc(session.header.utc_of(session.start_ns())),
            escape(&meta.host.hostname),
            escape(&meta.host.kernel),
            quantity(session.events, "fault")
        ));
    }
    if !request.filter.is_empty() {
        let filters = escape(&request.filter.describe());
        head.push(format!("only the faults that pass {filters}"));
    }
    head.extend(
        warnings::warnings(session)
            .into_iter()
            .map(|text| format!("! {text}")),
    );
    head.extend(scaling::remark(session));
    Words {
        title: format!("Page faults of {what}"),
        head,
        foot: not_shown,
    }
}
