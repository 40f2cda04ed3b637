//! The arguments of `sql`.

use super::{Plain, Verb};
use crate::sql;
use crate::units::parse_size;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Sql {
    #[command(flatten)]
    pub(super) plain: Plain,
    /// The question: "SELECT … FROM faults …"; without it the tables are listed, with examples
    #[arg(value_name = "SQL")]
    question: Option<String>,
    /// What the columns that the question needs may take; its answer comes on top. With K, M or G
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = parse_size)]
    max_memory: u64,
}

impl Sql {
    pub(super) fn into_parts(self) -> (Plain, Verb) {
        let options = sql::Options {
            query: self.question,
            max_memory: self.max_memory,
        };
        (self.plain, Verb::Sql(options))
    }
}
