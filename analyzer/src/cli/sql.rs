//! The arguments of `sql`.

use crate::cli::Plain;
use crate::output::units::parse_size;
use crate::request::Verb;
use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Sql {
    #[command(flatten)]
    pub(crate) plain: Plain,
    /// The question: "SELECT … FROM faults …"; without it the tables are listed, with examples
    #[arg(value_name = "SQL")]
    question: Option<String>,
    /// What the columns that the question needs may take; its answer comes on top. With K, M or G [default: half of
    /// --memory-limit, which is raised to twice this where it is less]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_memory: Option<u64>,
}

impl Sql {
    pub(crate) fn into_parts(self) -> (Plain, Verb) {
        let limit = self.plain.output.limit.memory_limit;
        let options = crate::request::options::SqlOptions {
            query: self.question,
            max_memory: self.max_memory.unwrap_or(limit / 2),
        };
        (self.plain, Verb::Sql(options))
    }
}
