//! What can go wrong while a trace is analysed, apart from damage, which is reported and not an error.

/// Errors of the analyzer library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnalyzeError {
    /// The trace cannot be read.
    #[error(transparent)]
    Format(#[from] pf_formats::FormatError),
    /// A frame could not be built or asked.
    #[error("the frame engine failed")]
    Polars(#[from] polars::error::PolarsError),
    /// The result cannot be written.
    #[error("cannot write the result")]
    Write(#[source] std::io::Error),
    /// The result cannot be written as CSV.
    #[error("cannot write CSV")]
    Csv(#[source] csv::Error),
    /// The question itself is wrong, whatever the trace.
    #[error("{0}")]
    Usage(String),
    /// What was asked for cannot be answered from this trace.
    #[error("{0}")]
    Unanswerable(String),
}

impl AnalyzeError {
    /// Whether the reader of our output has gone away, which is success for a filter program.
    #[must_use]
    pub(crate) fn is_broken_pipe(&self) -> bool {
        let kind = match self {
            Self::Write(error) => Some(error.kind()),
            Self::Csv(error) => match error.kind() {
                csv::ErrorKind::Io(error) => Some(error.kind()),
                _ => None,
            },
            _ => None,
        };
        kind == Some(std::io::ErrorKind::BrokenPipe)
    }
}

impl From<std::io::Error> for AnalyzeError {
    fn from(error: std::io::Error) -> Self {
        Self::Write(error)
    }
}

impl From<csv::Error> for AnalyzeError {
    fn from(error: csv::Error) -> Self {
        Self::Csv(error)
    }
}
