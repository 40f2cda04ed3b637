//! The arguments of `heatmap`, which has formats of its own.

use crate::cli::{FilterArgs, LimitArgs, OrderArgs, OutputArgs, Plain, address_range};
use crate::output::table::Format;
use crate::verbs::heatmap::scale::{Spread, Weight};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// How a heatmap is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Cells of colour, or digits, for people.
    #[default]
    Table,
    /// The cells with faults, comma-separated.
    Csv,
    /// The cells with faults, as a JSON array.
    Json,
    /// The text for people, for an issue or a pull request.
    Markdown,
    /// Lines of 'time place value' for every cell, as damo has them, for gnuplot and NumPy.
    Raw,
    /// A picture.
    Png,
    /// A picture with tooltips.
    Svg,
}

impl Form {
    /// Of what a file is called.
    fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?;
        Self::from_str(extension, true)
            .ok()
            .filter(|form| *form != Self::Table)
    }
}

/// What the rows of a heatmap are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Upright {
    /// Addresses, or with --file file offsets.
    #[default]
    Place,
    /// How long faults took, on a logarithmic scale.
    Latency,
}

#[derive(Debug, Args)]
pub(crate) struct Heatmap {
    /// The trace; - reads standard input
    #[arg(value_name = "TRACE")]
    trace: PathBuf,
    /// How to write the result [default: table, or what the name of the output FILE ends in: .png, .svg, .csv, .json, .raw]
    #[arg(long, value_enum)]
    format: Option<Form>,
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
    y: Upright,
    /// Only this part of the address space: 0x7f0000000000-0x7f0000100000
    #[arg(long, value_name = "START-END", value_parser = address_range, conflicts_with = "file")]
    address: Option<(u64, u64)>,
    /// What a cell shows
    #[arg(long, value_enum, default_value_t)]
    weight: Weight,
    /// How values are spread over the ten levels
    #[arg(long, value_enum, default_value_t)]
    scale: Spread,
    /// Show all of the time and place, also where next to nothing happened; without it, an axis that is mostly empty is cut
    #[arg(long)]
    whole: bool,
    /// Rows of cells [default: fits the terminal or the picture]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    rows: Option<u16>,
    /// Columns of cells [default: fits the terminal or the picture]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1000))]
    columns: Option<u16>,
    /// Regions of the address space, or files, to show, heaviest first [default: 3]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=32))]
    regions: Option<u16>,
}

/// Options of `heatmap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeatOptions {
    /// How it is written.
    pub form: Form,
    /// What the rows are.
    pub y: Upright,
    /// First and last byte.
    pub range: Option<(u64, u64)>,
    /// What a cell shows.
    pub weight: Weight,
    /// Levels.
    pub spread: Spread,
    /// Nothing is cut.
    pub whole: bool,
    /// Rows, if given.
    pub rows: Option<usize>,
    /// Columns, if given.
    pub columns: Option<usize>,
    /// Regions to draw.
    pub regions: usize,
}

impl Heatmap {
    pub(crate) fn into_options(self) -> Result<(Plain, HeatOptions), String> {
        let heat = self.heat;
        if heat.y == Upright::Latency && heat.address.is_some() {
            return Err("--address is for --y place: latencies have no address".into());
        }
        let by_name = || self.output.as_deref().and_then(Form::of);
        let form = self.format.or_else(by_name).unwrap_or_default();
        let options = HeatOptions {
            form,
            y: heat.y,
            range: heat.address,
            weight: heat.weight,
            spread: heat.scale,
            whole: heat.whole,
            rows: heat.rows.map(usize::from),
            columns: heat.columns.map(usize::from),
            regions: usize::from(heat.regions.unwrap_or(3)),
        };
        let output = OutputArgs {
            // What people read has the warnings in it; for the others they go to standard error.
            format: match form {
                Form::Table => Format::Table,
                Form::Csv => Format::Csv,
                Form::Markdown => Format::Markdown,
                Form::Json | Form::Raw | Form::Png | Form::Svg => Format::Json,
            },
            output: self.output,
            limit: self.limit,
        };
        let plain = Plain {
            trace: self.trace,
            output,
            order: OrderArgs::default(),
            filter: self.filter,
        };
        Ok((plain, options))
    }
}
