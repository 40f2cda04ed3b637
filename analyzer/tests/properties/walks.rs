//! Walks through files: what a thread does one after the other does not depend on what it is called, and `regions` says of a whole
//! file what `files` says.

use crate::histories::{FILES, History, Plan, plans};
use crate::support::ask::{read, text};
use pf_notation::names::{Kind, Names};
use pfanalyze::engine::filter::Filter;
use pfanalyze::output::render::Format;
use pfanalyze::request::options::RegionOptions;
use pfanalyze::verbs::files::Files;
use pfanalyze::verbs::regions::pass::Regions;
use pfanalyze::verbs::regions::source::Source;
use proptest::prelude::*;
use serde_json::Value;

fn files(bytes: &[u8], filter: &Filter) -> Vec<Value> {
    let mut files = Files::default();
    let session = read(bytes, filter, &mut [&mut files]);
    serde_json::from_str(&text(&files.table(&session), Format::Json)).unwrap()
}

/// The rows of `regions` with one file in one part.
fn whole_file(bytes: &[u8], filter: &Filter, path: &str) -> Vec<Value> {
    let filter = Filter {
        files: vec![Names::parse(path, Kind::File).unwrap()],
        ..filter.clone()
    };
    let asked = RegionOptions {
        parts: Some(1),
        ..RegionOptions::default()
    };
    let mut regions = Regions::new(path, Source::of(&asked).unwrap());
    let session = read(bytes, &filter, &mut [&mut regions]);
    serde_json::from_str(&text(&regions.table(&session).unwrap(), Format::Json)).unwrap()
}

/// A plan whose filter does not ask for names.
fn without_condition_on_names(plan: Plan) -> Plan {
    Plan {
        condition: if plan.condition == 2 { 0 } else { plan.condition },
        ..plan
    }
}

proptest! {
    #[test]
    fn what_a_thread_is_called_changes_no_walk(plan in plans()) {
        let plan = without_condition_on_names(plan);
        let history = History::of(&plan);
        let filter = history.filter(&plan);
        let named = history.trace(plan.block);
        let nameless = history.without_names().trace(plan.block);
        prop_assert_eq!(files(&named, &filter), files(&nameless, &filter));
        for path in FILES {
            prop_assert_eq!(whole_file(&named, &filter, path), whole_file(&nameless, &filter, path));
        }
    }

    #[test]
    fn regions_say_of_a_whole_file_what_files_says_of_it(plan in plans()) {
        let plan = Plan { condition: if plan.condition == 3 { 0 } else { plan.condition }, ..plan };
        let history = History::of(&plan);
        let (bytes, filter) = (history.trace(plan.block), history.filter(&plan));
        let rows = files(&bytes, &filter);
        for path in FILES {
            let row = rows.iter().find(|row| row["file"] == path);
            let parts = whole_file(&bytes, &filter, path);
            prop_assert_eq!(parts.len(), usize::from(row.is_some()));
            for (part, row) in parts.iter().zip(row) {
                for name in ["major", "minor", "total_ms", "max_ms", "pages", "reread_bytes", "seq_percent", "stride_percent"] {
                    prop_assert_eq!(&part[name], &row[name], "{} of {}", name, path);
                }
            }
        }
        for row in &rows {
            let share = |name: &str| row[name].as_f64();
            if let (Some(sequential), Some(strided)) = (share("seq_percent"), share("stride_percent")) {
                prop_assert!(sequential >= 0.0 && strided >= 0.0 && sequential + strided <= 100.001, "{row}");
            }
        }
    }
}
