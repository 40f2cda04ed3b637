//! What is said of options that a verb does not take, and which formats a file's name can ask for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod query_fixture;
mod support;

use pf_formats::Meta;
use std::fs;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn new(trace: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("t.pfz"), trace).unwrap();
        Self(dir)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pfanalyze"));
        command.current_dir(self.0.path()).args(arguments);
        command.stdin(Stdio::null()).output().unwrap()
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn text(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn a_wrong_option_has_a_tip_that_helps_or_none() {
    let place = Place::new(&support::small());
    for (arguments, says) in [
        (
            &["threads", "t.pfz", "--comm", "-bash"][..],
            "write --comm=-bash\n",
        ),
        (&["t.pfz", "--file", "-x"], "write --file=-x\n"),
        (&["heatmap", "t.pfz", "-o", "-x.png"], "write -o=-x.png\n"),
        (
            &["info", "t.pfz", "--pid", "1"],
            "info has no --pid; the verbs threads, files",
        ),
        (
            &["timeline", "t.pfz", "--top", "3"],
            "timeline has no --top; the verbs threads",
        ),
        (
            &["t.pfz", "--sort", "x"],
            "the report has no --sort; the verbs threads",
        ),
        (
            &["files", "t.pfz", "--folded"],
            "files has no --folded; the verb stacks has\n",
        ),
        (
            &["files", "t.pfz", "--frm", "3"],
            "a similar argument exists: '--from'",
        ),
        (&["memory", "t.pfz", "--memory", "-1"], "never below 0"),
        (
            &["sql", "t.pfz", "SELECT 1", "--max-memory", "-1"],
            "never below 0",
        ),
        (&["files", "t.pfz", "--nosuch"], "unexpected argument '--nosuch'"),
    ] {
        let said = place.refused(arguments);
        assert!(said.contains(says), "{arguments:?}: {said}");
        assert!(!said.contains("as a value, use"), "{arguments:?}: {said}");
        let is_similar = says.contains("similar");
        assert_eq!(said.contains("similar"), is_similar, "{arguments:?}: {said}");
    }
}

#[test]
fn queries_list_the_filters_that_they_take_and_refuse_the_others() {
    let place = Place::new(&query_fixture::known());
    let help = place.text(&["queries", "--help"]);
    for option in [
        "--comm",
        "--file",
        "--major",
        "--minor",
        "--failed",
        "--min-latency",
        "--max-latency",
    ] {
        assert!(!help.contains(option), "{option} in {help}");
        let value = if option.contains("latency") || option.len() == 6 {
            Some("5")
        } else {
            None
        };
        let words = ["queries", "t.pfz", option].into_iter().chain(value);
        let said = place.refused(&words.collect::<Vec<_>>());
        assert!(
            said.contains("queries are counted whole")
                && said.contains(": pfanalyze events t.pfz --format csv"),
            "{said}"
        );
    }
    for option in ["--from", "--to", "--pid", "--tid", "--query"] {
        assert!(help.contains(option), "{option} in {help}");
    }
}

#[test]
fn queries_say_what_a_filter_of_the_recording_left_out_and_that_a_sample_left_out_nothing() {
    let with = |filters: &[&str], sample: u32| {
        let meta = Meta {
            filters: filters.iter().map(|&filter| filter.to_owned()).collect(),
            sample,
            ..support::meta()
        };
        let events = query_fixture::events();
        let mut writer = support::writer(&meta, &support::dicts(), &events, &[]);
        writer.queries(&query_fixture::queries()).unwrap();
        let place = Place::new(&writer.finish(support::totals(&events)).unwrap());
        ["--top 5", "--slowest 2"].map(|rows| {
            let words: Vec<&str> = ["queries", "t.pfz"].into_iter().chain(rows.split(' ')).collect();
            place.text(&words)
        })
    };
    for shown in with(&["file /etc/passwd", "one minor fault in 3, by chance"], 3) {
        let says = "the recording has a filter (file /etc/passwd): faults that it left out are in no count";
        assert!(shown.contains(says), "{shown}");
    }
    for shown in with(&["one minor fault in 3, by chance", "latency of at least 1us"], 3) {
        assert!(
            !shown.contains("has a filter") && !shown.contains("scaled up"),
            "{shown}"
        );
    }
}

#[test]
fn the_name_of_a_file_asks_for_one_object_per_line_with_every_verb() {
    let place = Place::new(&query_fixture::known());
    for verb in [
        &["t.pfz"][..],
        &["threads", "t.pfz"],
        &["heatmap", "t.pfz"],
        &["timeline", "t.pfz"],
        &["memory", "t.pfz"],
        &["info", "t.pfz"],
        &["queries", "t.pfz", "--slowest", "2"],
        &["events", "t.pfz"],
        &["diff", "t.pfz", "t.pfz"],
        &["sql", "t.pfz", "SELECT * FROM faults"],
    ] {
        place.text(&[verb, &["-o", "x.jsonl"]].concat());
        let lines = fs::read_to_string(place.0.path().join("x.jsonl")).unwrap();
        assert!(!lines.is_empty(), "{verb:?}");
        for line in lines.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(value.is_object(), "{verb:?}: {line}");
        }
        // The same values as in the array.
        let json = place.text(&[verb, &["--format", "json"]].concat());
        if let Ok(serde_json::Value::Array(all)) = serde_json::from_str(&json) {
            assert_eq!(all.len(), lines.lines().count(), "{verb:?}");
        }
    }
    assert!(
        place
            .refused(&["verify", "t.pfz", "-o", "x.jsonl"])
            .contains("end the name in .txt, .json")
    );
}

#[test]
fn events_are_sorted_by_the_columns_that_the_table_and_csv_show() {
    let place = Place::new(&query_fixture::known());
    let first = |column: &str| {
        let shown = place.text(&[
            "events", "t.pfz", "--sort", column, "--top", "1", "--format", "csv",
        ]);
        shown.lines().nth(1).unwrap().to_owned()
    };
    assert_eq!(first("TIME_S"), first("ts_ns"));
    assert_eq!(first("time:asc"), first("ts_ns:asc"));
    assert_eq!(first("LATENCY_US"), first("latency_ns"));
    assert!(first("class").contains(",true,"), "majors come before minors");
    let header = place.text(&["events", "t.pfz", "--top", "1", "--format", "csv"]);
    for column in header.lines().next().unwrap().split(',') {
        first(column);
    }
}
