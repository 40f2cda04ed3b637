//! The arguments of `sql`.

use crate::cli::Plain;
use crate::cli::values::bytes;
use crate::request::Verb;
use clap::Args;
use pf_notation::shell::shell_words;
use std::path::Path;

#[derive(Debug, Args)]
pub(crate) struct Sql {
    #[command(flatten)]
    pub(crate) plain: Plain,
    /// The question: "SELECT … FROM faults …"; without it the tables are listed, with examples
    #[arg(value_name = "SQL")]
    question: Option<String>,
    /// What the question may hold at once: columns, groups, rows on the way to the answer: bytes, or 512M, 1GiB [default: half of
    /// --memory-limit, which is raised to twice this where it is less]
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true, value_parser = bytes)]
    max_memory: Option<u64>,
}

impl Sql {
    pub(crate) fn into_parts(self) -> Result<(Plain, Verb), String> {
        let limit = self.plain.output.limit.memory_limit;
        if let Some(question) = &self.question {
            check(question, &self.plain.trace)?;
        }
        let options = crate::request::options::SqlOptions {
            query: self.question,
            max_memory: self.max_memory.unwrap_or(limit / 2),
        };
        Ok((self.plain, Verb::Sql(options)))
    }
}

/// The two in the wrong order.
fn check(question: &str, trace: &Path) -> Result<(), String> {
    let words = trace.to_string_lossy();
    let begins = words.split_whitespace().next().unwrap_or_default().to_uppercase();
    let is_question =
        ["SELECT", "WITH", "FROM"].contains(&begins.as_str()) && words.contains(char::is_whitespace);
    let is_file = Path::new(question).is_file() && trace.as_os_str() != "-";
    if (is_question || is_file) && !trace.exists() {
        return Err(format!(
            "the trace comes first: pfanalyze sql {} {}",
            shell_words(&[question.to_owned()]),
            shell_words(&[words.into_owned()])
        ));
    }
    Ok(())
}
