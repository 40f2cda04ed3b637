//! Commands that are printed for the reader to run: the trace's name and every value quoted for a shell, in one piece at the
//! end of its sentence, so that what is selected and pasted runs as it stands. What to run is the business of the callers.

use pf_notation::shell::{shell_path, shell_word};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// An option with its value, if it has one: `("--file", Some("/data/x"))`.
pub type Argument = (&'static str, Option<String>);

/// What every command for one trace begins with and takes over from the one that is running.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    trace: Option<PathBuf>,
    filter: Vec<Argument>,
}

impl Caller {
    /// For a trace as it was named on the command line.
    #[must_use]
    pub fn of(trace: &Path) -> Self {
        Self {
            trace: Some(trace.to_owned()),
            filter: Vec::new(),
        }
    }

    /// With the filter that is in force: its options are added to each command that does not set them itself.
    #[must_use]
    pub fn within(mut self, filter: Vec<Argument>) -> Self {
        self.filter = filter;
        self
    }

    /// The trace as a word for a shell. Where it is not known, as in a test, it is `TRACE`; one that came from standard input
    /// is `FILE`, since the same cannot be read from there again.
    #[must_use]
    pub fn trace(&self) -> String {
        match self.trace.as_deref() {
            None => "TRACE".to_owned(),
            Some(path) if path.as_os_str() == "-" => "FILE".to_owned(),
            Some(path) => shell_path(path),
        }
    }

    /// `pfanalyze VERB TRACE OPTIONS`; the report has no verb.
    #[must_use]
    pub fn command(&self, verb: &str, options: &[Argument]) -> String {
        let mut words = vec!["pfanalyze".to_owned()];
        words.extend((!verb.is_empty()).then(|| verb.to_owned()));
        words.push(self.trace());
        let is_set = |name: &str| options.iter().any(|(other, _)| *other == name);
        let kept = self.filter.iter().filter(|(name, _)| !is_set(name));
        words.extend(options.iter().chain(kept).map(option));
        words.join(" ")
    }
}

fn option((name, value): &Argument) -> String {
    match value {
        None => (*name).to_owned(),
        // An option would take it for another one.
        Some(value) if value.starts_with('-') => format!("{name}={}", shell_word(OsStr::new(value))),
        Some(value) => format!("{name} {}", shell_word(OsStr::new(value))),
    }
}

/// Where a command begins in a sentence: behind `: `, or at the start of the line.
#[must_use]
pub fn begin(text: &str) -> Option<usize> {
    let is_line = text.trim_start().starts_with("pfanalyze ");
    is_line
        .then_some(0)
        .or_else(|| text.rfind(": pfanalyze ").map(|colon| colon + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_quoted_and_keep_the_filter() {
        let caller = Caller::of(Path::new("my trace.pfz")).within(vec![
            ("--file", Some("a".into())),
            ("--major", None),
            ("--comm", Some("-x".into())),
        ]);
        assert_eq!(
            caller.command("heatmap", &[("--file", Some("/data/it's".into()))]),
            "pfanalyze heatmap 'my trace.pfz' --file '/data/it'\\''s' --major --comm=-x"
        );
        assert_eq!(Caller::default().command("", &[]), "pfanalyze TRACE");
        assert_eq!(
            Caller::of(Path::new("-o")).command("files", &[]),
            "pfanalyze files ./-o"
        );
        assert_eq!(
            Caller::of(Path::new("-")).command("files", &[]),
            "pfanalyze files FILE"
        );
    }

    #[test]
    fn a_command_stands_at_the_end_of_its_sentence() {
        assert_eq!(begin("so it is: pfanalyze files t.pfz"), Some(10));
        assert_eq!(begin("   pfanalyze files t.pfz"), Some(0));
        assert_eq!(begin("pfanalyze is a program"), Some(0));
        assert_eq!(begin("the program pfanalyze"), None);
    }
}
