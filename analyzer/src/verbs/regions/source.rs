//! Where the regions of a file come from, and in which words that is said: a list, the file itself or a copy, or equal parts.

use crate::error::AnalyzeError;
use crate::output::text::escape;
use crate::output::units::quantity;
use crate::request::options::RegionOptions;
use crate::verbs::regions::list;
use crate::verbs::regions::local::{self, Found};
use crate::verbs::regions::region::{Layout, Region, RegionError};
use pf_notation::usage::without_numbers;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Equal parts when nothing else is known.
pub(crate) const DEFAULT_PARTS: u16 = 32;

/// The regions, as far as they are known before the trace is read.
#[derive(Clone, Debug)]
pub enum Source {
    /// Read already.
    Known(Plan),
    /// The file at its recorded path has to say.
    Recorded,
}

/// How a file is divided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// By name.
    Named {
        /// Which byte is whose.
        layout: Arc<Layout>,
        /// Bytes of the file, if it is here.
        file_len: Option<u64>,
        /// What the regions are: `tensors of the GGUF file /models/a.gguf`.
        what: String,
    },
    /// Equally.
    Parts {
        /// At most so many.
        most: usize,
        /// Why not by name; nothing when that was asked for.
        why: Option<String>,
    },
}

impl Source {
    /// Reads what was given.
    ///
    /// # Errors
    /// When it cannot be read or is damaged.
    pub fn of(options: &RegionOptions) -> Result<Self, AnalyzeError> {
        if let Some(most) = options.parts {
            let most = usize::from(most);
            return Ok(Source::Known(Plan::Parts { most, why: None }));
        }
        if let Some(path) = &options.list {
            let name = shown(path);
            let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
            let regions = list::read(file).map_err(|error| unusable(&name, &error, ""))?;
            if regions.is_empty() {
                return Err(AnalyzeError::Unanswerable(format!(
                    "{name}: no regions: give lines 'name,offset,len'"
                )));
            }
            let what = format!("in the list {name}");
            return Ok(Source::Known(Plan::named(regions, None, what)));
        }
        let Some(path) = &options.copy else {
            return Ok(Source::Recorded);
        };
        let file = local::open(path).map_err(|error| unreadable(&shown(path), &error))?;
        plan_of(file, path).map(Source::Known)
    }
}

impl Source {
    /// The plan for the file that was recorded as `path`.
    ///
    /// # Errors
    /// When the file there is damaged.
    pub fn plan(&self, path: &str) -> Result<Plan, AnalyzeError> {
        match self {
            Self::Known(plan) => Ok(plan.clone()),
            Self::Recorded => match local::open(Path::new(path)) {
                Ok(file) => plan_of(file, Path::new(path)),
                Err(error) => Ok(Plan::parts(format!(
                    "{} is not available here ({}): give a copy of it with --copy, or a list with --regions",
                    escape(path),
                    without_numbers(&error.to_string())
                ))),
            },
        }
    }
}

impl Plan {
    fn named(regions: Vec<Region>, file_len: Option<u64>, what: String) -> Self {
        Self::Named {
            layout: Arc::new(Layout::new(regions)),
            file_len,
            what,
        }
    }

    fn parts(why: String) -> Self {
        Self::Parts {
            most: usize::from(DEFAULT_PARTS),
            why: Some(why),
        }
    }
}

fn plan_of(file: File, path: &Path) -> Result<Plan, AnalyzeError> {
    let name = shown(path);
    let file_len = file.metadata().map_err(|error| unreadable(&name, &error))?.len();
    let found = local::read(file);
    Ok(
        match found.map_err(|error| unusable(&name, &error, "; --parts does without"))? {
            Found::Regions(regions, format) => {
                let noun = if format == "zip" { "member" } else { "tensor" };
                // The header or directory is one, too.
                let count = quantity((regions.len() as u64).saturating_sub(1), noun);
                Plan::named(
                    regions,
                    Some(file_len),
                    format!("{count} of the {format} file {name}"),
                )
            }
            Found::Other => Plan::parts(format!(
                "{name} is not a GGUF, safetensors or zip file: give a list of its regions with --regions"
            )),
        },
    )
}

fn shown(path: &Path) -> String {
    escape(&path.display().to_string())
}

fn unreadable(name: &str, error: &std::io::Error) -> AnalyzeError {
    AnalyzeError::Unanswerable(format!("{name} cannot be read: {error}"))
}

fn unusable(name: &str, error: &RegionError, hint: &str) -> AnalyzeError {
    let cause = std::error::Error::source(error).map_or(String::new(), |cause| format!(": {cause}"));
    AnalyzeError::Unanswerable(format!("{name}: {}{hint}", escape(&format!("{error}{cause}"))))
}
