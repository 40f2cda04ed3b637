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
    /// What was asked for cannot be answered from this trace.
    #[error("{0}")]
    Unanswerable(String),
}

impl AnalyzeError {
    /// Whether the reader of our output has gone away, which is success for a filter program.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
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

/// An error without the numbers of the system, as in `(os error 2)`: they tell a reader nothing.
#[must_use]
pub fn without_numbers(message: &str) -> String {
    let mut parts = message.split(" (os error ");
    let mut words = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        words.push_str(rest.strip_prefix(')').unwrap_or(rest));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_system_are_left_out() {
        assert_eq!(
            without_numbers("x: File exists (os error 17); give another (os error 2)"),
            "x: File exists; give another"
        );
        assert_eq!(without_numbers("plain"), "plain");
    }
}
