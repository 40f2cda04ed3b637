//! The arguments of `sql`.

use crate::cli::Plain;
use crate::cli::values::bytes;
use crate::request::Verb;
use clap::Args;
use pf_notation::usage::shell_word;
use std::path::Path;

#[derive(Debug, Args)]
pub(crate) struct Sql {
    #[command(flatten)]
    pub(crate) plain: Plain,
    /// The question: "SELECT … FROM faults …"; without it the tables are listed, with examples
    #[arg(value_name = "SQL")]
    question: Option<String>,
    /// What the columns that the question needs may take; its answer comes on top: bytes, or 512M, 1GiB [default: half of
    /// --memory-limit, which is raised to twice this where it is less]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    max_memory: Option<u64>,
}

impl Sql {
    pub(crate) fn into_parts(self) -> Result<(Plain, Verb), String> {
        let trace = &self.plain.trace;
        if let Some(file) = self.question.as_deref().map(Path::new)
            && file.is_file()
            && trace.as_os_str() != "-"
            && !trace.exists()
        {
            let words = [file, trace].map(|word| shell_word(&word.to_string_lossy()));
            return Err(format!(
                "the trace comes first: pfanalyze sql {}",
                words.join(" ")
            ));
        }
        let limit = self.plain.output.limit.memory_limit;
        let options = crate::request::options::SqlOptions {
            query: self.question,
            max_memory: self.max_memory.unwrap_or(limit / 2),
        };
        Ok((self.plain, Verb::Sql(options)))
    }
}
