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

use crate::error::AnalyzeError;
use crate::integrity::scaling;
use crate::integrity::warnings;
use crate::output::document::Page;
use crate::output::sink::Output;
use crate::output::text::shell_words;
use crate::output::text::{escape, keep_start};
use crate::output::units::{grouped, utc};
use crate::request::Request;
use crate::request::options::HeatmapFormat;
use crate::request::options::HeatmapOptions;
use crate::request::options::YAxis;
use crate::trace::input::Input;
use crate::trace::session::Session;
use crate::verbs::context::{self, Outcome, read, say_remarks, say_warnings, write_notes};
use crate::verbs::heatmap::panels::Extent;
use crate::verbs::heatmap::pass::Heat;
use crate::verbs::heatmap::picture::arrangement::{CELLS, Words, layout};
use crate::verbs::heatmap::picture::png;
use crate::verbs::heatmap::picture::svg;
use crate::verbs::heatmap::text::{MARGIN_COLUMNS, Style};

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
            anyhow::bail!("a PNG is not for a terminal: give it a file, '-o heatmap.png'");
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
    let filter = &request.filter;
    let remark = scaling::remark(&session);
    let weight = options.weight;
    let extent = |size: (usize, usize)| Extent {
        size: (options.rows.unwrap_or(size.0), options.columns.unwrap_or(size.1)),
        regions: options.panels,
    };
    match options.form {
        HeatmapFormat::Csv | HeatmapFormat::Json => {
            let table = heat.table(&session, filter, extent(DATA_SIZE).size, weight);
            table.write(request.format, None, &mut output.out)?;
        }
        HeatmapFormat::Raw => {
            let notes = heat.write_raw(&session, filter, extent(DATA_SIZE), weight, &mut output.out)?;
            write_notes(notes);
        }
        HeatmapFormat::Png | HeatmapFormat::Svg => {
            let (panels, not_shown) = heat.panels(&session, filter, extent(CELLS), weight);
            let words = words(&session, request, not_shown);
            let is_svg = options.form == HeatmapFormat::Svg;
            let canvas = layout(&panels, &words, weight, options.spread, is_svg);
            if is_svg {
                svg::write(&canvas, &mut output.out)?;
            } else {
                png::write(&canvas, &mut output.out)?;
            }
        }
        HeatmapFormat::Table => {
            let fitting_rows = output
                .height()
                .map_or(PLAIN_ROWS, |height| height.saturating_sub(8).clamp(8, 40));
            let fitting_columns = output.width().saturating_sub(MARGIN_COLUMNS).max(10);
            let style = Style {
                weight,
                spread: options.spread,
                colour: output.colour,
            };
            let extent = extent((fitting_rows, fitting_columns));
            heat.write_text(&session, filter, extent, style, &mut output.out)?;
        }
        HeatmapFormat::Markdown => {
            let style = Style {
                weight,
                spread: options.spread,
                colour: false,
            };
            let extent = extent((PLAIN_ROWS, output.width().saturating_sub(MARGIN_COLUMNS).max(10)));
            let width = output.width();
            let mut page = Page::new(&mut output.out, width, true);
            page.drawing(|out| heat.write_text(&session, filter, extent, style, out))?;
        }
    }
    say_remarks(remark, request, output)
}

/// A picture goes where its trace does not: it says what it is of, and what is wrong with it.
fn words(session: &Session, request: &Request, not_shown: Vec<String>) -> Words {
    let what = match &session.meta {
        Some(meta) if meta.command.is_empty() => meta.target.clone(),
        Some(meta) => shell_words(&meta.command),
        None => "an unknown program".to_owned(),
    };
    let what = keep_start(&escape(&what), COMMAND).replace('…', "..");
    let mut head = Vec::new();
    if let Some(meta) = &session.meta {
        head.push(format!(
            "recorded {} on {} (Linux {}): {} faults",
            utc(session.header.utc_of(session.start_ns())),
            escape(&meta.host.hostname),
            escape(&meta.host.kernel),
            grouped(session.events)
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
