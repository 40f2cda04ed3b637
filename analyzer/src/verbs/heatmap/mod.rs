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

use crate::cli::Request;
use crate::cli::heatmap::{Form, HeatOptions, Upright};
use crate::error::AnalyzeError;
use crate::integrity::warnings;
use crate::output::document::Page;
use crate::output::sink::Output;
use crate::output::text::{escape, keep_start};
use crate::output::units::{grouped, utc};
use crate::trace::input::Input;
use crate::trace::sampling;
use crate::trace::session::Session;
use crate::verbs::context::{read, say_remarks, say_warnings, write_notes};
use crate::verbs::heatmap::panels::Extent;
use crate::verbs::heatmap::pass::Heat;
use crate::verbs::heatmap::picture::layout::{CELLS, Words, layout};
use crate::verbs::heatmap::picture::png;
use crate::verbs::heatmap::picture::svg;
use crate::verbs::heatmap::text::{MARGIN_COLUMNS, Style};
use crate::verbs::info::shell_words;

/// Rows of a heatmap without a terminal.
const PLAIN_ROWS: usize = 24;
/// Rows and columns of heatmap data when none are given.
const DATA_SIZE: (usize, usize) = (64, 128);
/// Letters of a command line in a heading.
const COMMAND: usize = 200;

/// Refuses what cannot be shown, before the trace is read.
///
/// # Errors
/// One line with a hint.
pub fn check(options: HeatOptions, output: &Output) -> anyhow::Result<()> {
    if options.form == Form::Png && output.is_terminal {
        anyhow::bail!("a PNG is not for a terminal: give it a file, '-o heatmap.png'");
    }
    Ok(())
}

/// Reads the trace and writes the heatmap.
///
/// # Errors
/// Input and output.
pub fn heatmap(
    request: &Request,
    options: HeatOptions,
    input: Input,
    output: &mut Output,
) -> Result<(), AnalyzeError> {
    let heat = match options.y {
        Upright::Latency => Heat::by_latency(),
        Upright::Place if request.filter.files.is_empty() => Heat::by_address(options.range),
        Upright::Place => Heat::by_file(),
    };
    let mut heat = if options.whole { heat.without_zoom() } else { heat };
    heat.within(&request.filter);
    let session = read(request, input, &mut [&mut heat])?;
    heat.settle();
    say_warnings(&session, request.format, output)?;
    let filter = &request.filter;
    let remark = sampling::remark(&session);
    let weight = options.weight;
    let extent = |size: (usize, usize)| Extent {
        size: (options.rows.unwrap_or(size.0), options.columns.unwrap_or(size.1)),
        regions: options.regions,
    };
    match options.form {
        Form::Csv | Form::Json => {
            let table = heat.table(&session, filter, extent(DATA_SIZE).size, weight);
            table.write(request.format, None, &mut output.out)?;
        }
        Form::Raw => {
            let notes = heat.write_raw(&session, filter, extent(DATA_SIZE), weight, &mut output.out)?;
            write_notes(notes);
        }
        Form::Png | Form::Svg => {
            let (panels, not_shown) = heat.panels(&session, filter, extent(CELLS), weight);
            let words = words(&session, request, not_shown);
            let is_svg = options.form == Form::Svg;
            let canvas = layout(&panels, &words, weight, options.spread, is_svg);
            if is_svg {
                svg::write(&canvas, &mut output.out)?;
            } else {
                png::write(&canvas, &mut output.out)?;
            }
        }
        Form::Table => {
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
        Form::Markdown => {
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
    if !request.filters.is_empty() {
        let filters = escape(&request.filters);
        head.push(format!("only the faults that pass {filters}"));
    }
    head.extend(
        warnings::warnings(session)
            .into_iter()
            .map(|text| format!("! {text}")),
    );
    head.extend(sampling::remark(session));
    Words {
        title: format!("Page faults of {what}"),
        head,
        foot: not_shown,
    }
}
