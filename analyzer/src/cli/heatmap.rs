//! The arguments of `heatmap`, which has formats of its own.

use crate::cli::endings::{self, Ending};
use crate::cli::values::address_range;
use crate::cli::{FilterArgs, LimitArgs, OutputArgs, Plain};
use crate::output::render::Format;
use crate::request::options::HeatmapFormat;
use crate::request::options::HeatmapOptions;
use crate::request::options::YAxis;
use crate::request::weight::ColorScale;
use crate::request::weight::Weight;
use clap::Args;
use pf_notation::count;
use std::path::PathBuf;

const ENDINGS: [Ending<HeatmapFormat>; 9] = [
    ("txt", HeatmapFormat::Table),
    ("png", HeatmapFormat::Png),
    ("svg", HeatmapFormat::Svg),
    ("csv", HeatmapFormat::Csv),
    ("json", HeatmapFormat::Json),
    ("jsonl", HeatmapFormat::Jsonl),
    ("md", HeatmapFormat::Markdown),
    ("markdown", HeatmapFormat::Markdown),
    ("raw", HeatmapFormat::Raw),
];

#[derive(Debug, Args)]
pub(crate) struct Heatmap {
    /// The trace; - reads standard input
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// How to write the result [default: table, or what the name of the output FILE ends in: .txt, .png, .svg, .csv,
    /// .json, .jsonl, .md, .raw]
    #[arg(long, value_enum)]
    format: Option<HeatmapFormat>,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    heat: Heat,
    #[command(flatten)]
    filter: FilterArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Heatmap")]
struct Heat {
    /// What the rows are
    #[arg(short, long, value_enum, default_value_t)]
    y: YAxis,
    /// Only addresses from START up to END, hexadecimal: 0x7f0000000000-0x7f0000100000
    #[arg(long, value_name = "START-END", value_parser = address_range, conflicts_with = "file")]
    address: Option<(u64, u64)>,
    /// What a cell shows
    #[arg(long, value_enum, default_value_t)]
    weight: Weight,
    /// How values map to the ten levels
    #[arg(long, value_enum, default_value_t)]
    scale: ColorScale,
    /// Show the whole time and place range; without it, an axis that is mostly empty is cut
    #[arg(long)]
    whole: bool,
    /// Rows of cells [default: fits the terminal or the picture]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count::within::<u16>(1, 1000))]
    rows: Option<u16>,
    /// Columns of cells [default: fits the terminal or the picture]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count::within::<u16>(1, 1000))]
    columns: Option<u16>,
    /// Panels to show, one for each region of the address space, or file, heaviest first [default: 3]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count::within::<u16>(1, 32))]
    panels: Option<u16>,
}

impl Heatmap {
    pub(crate) fn into_options(self) -> Result<(Plain, HeatmapOptions), String> {
        let heat = self.heat;
        if heat.y == YAxis::Latency && heat.address.is_some() {
            return Err("--address is for --y place: latencies have no address".into());
        }
        let form = match self.format {
            Some(form) => form,
            None => endings::of_name(self.output.as_deref(), &ENDINGS)?.unwrap_or_default(),
        };
        let options = HeatmapOptions {
            form,
            y: heat.y,
            range: heat.address,
            weight: heat.weight,
            spread: heat.scale,
            whole: heat.whole,
            rows: heat.rows.map(usize::from),
            columns: heat.columns.map(usize::from),
            panels: usize::from(heat.panels.unwrap_or(3)),
        };
        let output = OutputArgs {
            // What people read has the warnings in it; for the others they go to standard error.
            format: Some(match form {
                HeatmapFormat::Table => Format::Table,
                HeatmapFormat::Csv => Format::Csv,
                HeatmapFormat::Jsonl => Format::Jsonl,
                HeatmapFormat::Markdown => Format::Markdown,
                HeatmapFormat::Json | HeatmapFormat::Raw | HeatmapFormat::Png | HeatmapFormat::Svg => {
                    Format::Json
                }
            }),
            output: self.output,
            limit: self.limit,
        };
        let plain = Plain {
            trace: self.trace,
            output,
            filter: self.filter,
        };
        Ok((plain, options))
    }
}
