//! The verbs of pfanalyze, each with its recomputation. A new verb is a function here and a text in `duckdb.py`.

mod causes;
mod diff;
mod events;
mod files;
mod findings;
mod heatmap;
mod info;
mod memory;
mod order;
mod queries;
mod regions;
mod sql;
mod stacks;
mod stalls;
mod tables;
mod timeline;
mod walks;

use crate::filters::Filter;
use crate::table::Expected;
use crate::truth::Trace;
use std::fmt::Write as _;
use std::process::{Command, Output};

/// Looks at what one verb says of a trace.
pub type Verb = fn(&Trace, &Filter, &mut Checks);

/// Verbs whose numbers are recomputed. The report is the verb without a name.
pub const COVERED: [(&str, Verb); 15] = [
    ("report", tables::report),
    ("threads", tables::threads),
    ("files", files::files),
    ("causes", causes::causes),
    ("percentiles", tables::percentiles),
    ("heatmap", heatmap::heatmap),
    ("queries", queries::queries),
    ("stacks", stacks::stacks),
    ("events", events::events),
    ("info", info::info),
    ("regions", regions::regions),
    ("timeline", timeline::timeline),
    ("memory", memory::memory),
    ("sql", sql::sql),
    ("diff", diff::diff),
];

/// Verbs that give no numbers about faults, and which tests they have.
pub const ELSEWHERE: [(&str, &str); 3] = [
    ("verify", "damage.rs and recovery.rs"),
    ("repair", "recovery.rs"),
    ("help", "of clap"),
];

/// Values of `percentiles --by` that are recomputed.
pub const BY: [&str; 14] = tables::BY;

/// Asks pfanalyze about one trace with one filter, and remembers what is wrong.
pub struct Checks<'a> {
    trace: &'a Trace,
    /// What it is compared with.
    pub other: &'a Trace,
    filter: &'a Filter,
    pub count: usize,
    pub wrong: String,
}

impl<'a> Checks<'a> {
    pub fn new(trace: &'a Trace, other: &'a Trace, filter: &'a Filter) -> Self {
        Self {
            trace,
            other,
            filter,
            count: 0,
            wrong: String::new(),
        }
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        // Without a verb the trace comes first, which the verbs take as well.
        let (verb, rest) = arguments.split_at(usize::from(
            !arguments.is_empty() && !arguments[0].starts_with('-'),
        ));
        Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
            .args(verb)
            .arg(&self.trace.path)
            .args(rest)
            .args(&self.filter.arguments)
            .output()
            .unwrap()
    }

    /// What it writes.
    pub fn output(&self, arguments: &[&str]) -> String {
        let output = self.ask(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let asked = self.words(arguments);
        assert!(output.status.success(), "{asked}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A question that this trace cannot answer.
    pub fn refuses(&mut self, arguments: &[&str]) {
        let output = self.ask(arguments);
        let is_refused = matches!(output.status.code(), Some(1 | 2)) && output.stdout.is_empty();
        self.note(
            arguments,
            if is_refused {
                Ok(())
            } else {
                Err("is answered".to_owned())
            },
        );
    }

    /// The table in CSV, and once in JSON, too.
    pub fn table(&mut self, arguments: &[&str], expected: &Expected) {
        self.csv(arguments, expected);
        if !self.filter.is_empty() {
            return;
        }
        let json = self.output(&[arguments, &["--format", "json"]].concat());
        let json = serde_json::from_str(&json).unwrap();
        self.note(arguments, expected.compare_json(&json));
    }

    /// The table in CSV.
    pub fn csv(&mut self, arguments: &[&str], expected: &Expected) {
        let csv = self.output(&[arguments, &["--format", "csv"]].concat());
        self.note(arguments, expected.compare_csv(&csv));
    }

    pub fn note(&mut self, arguments: &[&str], result: Result<(), String>) {
        self.count += 1;
        if let Err(wrong) = result {
            let _ = writeln!(self.wrong, "{}\n{wrong}\n", self.words(arguments));
        }
    }

    fn words(&self, arguments: &[&str]) -> String {
        let filters = self.filter.arguments.join(" ");
        format!("{}: {} {filters}", self.trace.path.display(), arguments.join(" "))
    }
}
