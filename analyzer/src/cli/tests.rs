//! The command line against itself, and what it makes of options.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;
use crate::request::options::StallThreshold;

fn request(arguments: &[&str]) -> Result<Request, String> {
    let arguments = std::iter::once("pfanalyze").chain(arguments.iter().copied());
    Cli::try_parse_from(arguments)
        .map_err(|error| error.to_string())?
        .into_request()
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn a_trace_alone_is_the_report_and_a_verb_is_a_verb() {
    let report = request(&["trace.pfz", "--pid", "3,4", "--pid", "5"]).unwrap();
    assert_eq!(report.verb, Verb::Report);
    assert_eq!(report.filter.pids, [3, 4, 5]);
    assert_eq!(report.filter.describe(), "--pid 3,4,5");
    assert_eq!(request(&["threads", "trace.pfz"]).unwrap().verb, Verb::Threads);
    assert_eq!(request(&["./threads"]).unwrap().verb, Verb::Report);
    assert_eq!(request(&["threads", "-"]).unwrap().trace, PathBuf::from("-"));
}

#[test]
fn times_and_latencies_have_their_own_bare_units() {
    let filter = request(&["t", "--from", "1.5", "--to", "2000ms", "--min-latency", "10"])
        .unwrap()
        .filter;
    assert_eq!(
        (filter.from_ns, filter.to_ns),
        (Some(1_500_000_000), Some(2_000_000_000))
    );
    assert_eq!(filter.min_latency_ns, Some(10_000));
    let verb = request(&["timeline", "t", "--interval", "1000"]).unwrap().verb;
    let Verb::Timeline(options) = verb else {
        panic!("{verb:?}")
    };
    assert_eq!(options.interval_ns, Some(1_000_000_000));
}

#[test]
fn times_by_the_clock_wait_for_the_trace() {
    let filter = request(&["t", "--from", "14:03", "--to", "2026-11-29T14:04:00Z"])
        .unwrap()
        .filter;
    assert!(filter.asks_the_clock() && filter.from_clock.is_some() && filter.to_clock.is_some());
    assert_eq!((filter.from_ns, filter.to_ns), (None, None));
}

#[test]
fn sizes_are_read_in_one_way_by_all_options() {
    for text in ["16m", "16M", "16MiB", "16777216"] {
        let limit = request(&["t", "--memory-limit", text]).unwrap().memory_limit;
        assert_eq!(limit, 16 << 20, "{text}");
        let Verb::Sql(options) = request(&["sql", "t", "SELECT 1", "--max-memory", text])
            .unwrap()
            .verb
        else {
            panic!("no question")
        };
        assert_eq!(options.max_memory, 16 << 20, "{text}");
        let Verb::Memory(options) = request(&["memory", "t", "--memory", text]).unwrap().verb else {
            panic!("no table")
        };
        assert_eq!(options.memory_bytes, Some(16 << 20), "{text}");
    }
}

#[test]
fn top_zero_is_all_and_wait_is_the_default_weight() {
    assert_eq!(request(&["threads", "t", "--top", "0"]).unwrap().order.top, None);
    for arguments in [&["heatmap", "t"], &["stacks", "t"]] {
        let weight = match request(arguments).unwrap().verb {
            Verb::Heatmap(options) => options.weight,
            Verb::Stacks(options) => options.weight,
            other => panic!("{other:?}"),
        };
        assert_eq!(weight, Weight::Wait, "{arguments:?}");
    }
}

#[test]
fn a_table_of_stacks_hides_thin_branches_and_programs_get_all() {
    let share = |arguments: &[&str]| {
        let verb = request(&[&["stacks", "t"], arguments].concat()).unwrap().verb;
        let Verb::Stacks(options) = verb else {
            panic!("{verb:?}")
        };
        assert_eq!(options.weight, Weight::Wait);
        options.limits.min_share
    };
    assert_eq!(share(&[]), 500);
    assert_eq!(share(&["--format", "json"]), 0);
    assert_eq!(share(&["--min-percent", "2.25", "--format", "csv"]), 2_250);
    assert_eq!(share(&["--min-percent", "100"]), 100_000);
    assert_eq!(share(&["--min-percent", ".0019"]), 1);
}

#[test]
fn a_stall_is_half_of_the_threads_unless_something_else_is_said() {
    let least = |arguments: &[&str]| {
        let verb = request(&[&["timeline", "t"], arguments].concat()).unwrap().verb;
        let Verb::Timeline(options) = verb else {
            panic!("{verb:?}")
        };
        options.least
    };
    assert_eq!(least(&[]), StallThreshold::Share(50_000));
    assert_eq!(least(&["--share", "75"]), StallThreshold::Share(75_000));
    // As all shares: docs/analyzing.md has one notation for them.
    assert_eq!(least(&["--share", "0.5 %"]), StallThreshold::Share(500));
    assert_eq!(least(&["--share", "0.5"]), StallThreshold::Share(500));
    assert_eq!(least(&["--threads", "3"]), StallThreshold::Threads(3));
}

#[test]
fn contradictions_are_usage_errors() {
    for wrong in [
        &["t", "--major", "--minor"][..],
        &["t", "--failed", "--minor"],
        &["t", "--from", "2", "--to", "1"],
        &["t", "--min-latency", "2", "--max-latency", "1"],
        &["t", "--format", "csv"],
        &["t", "--from", "-1"],
        &["t", "--pid", "x"],
        &["heatmap", "t", "--address", "5-5"],
        &["heatmap", "t", "--address", "1-2", "--file", "x"],
        &["heatmap", "t", "--rows", "0"],
        &["stacks", "t", "--folded", "--depth", "3"],
        &["stacks", "t", "--folded", "--format", "json"],
        &["stacks", "t", "--min-percent", "100.1"],
        &["stacks", "t", "--min-percent", "+1"],
        &["stacks", "t", "--min-percent", "."],
        &["stacks", "t", "--depth", "0"],
        &["--pid", "3", "threads", "t"],
        &["timeline", "t", "--interval", "0"],
        &["timeline", "t", "--threads", "0"],
        &["timeline", "t", "--threads", "2", "--share", "50%"],
        &["timeline", "t", "--share", "101%"],
        &["memory", "t", "--memory", "much"],
        &["verify", "t", "--format", "csv"],
        &["repair", "t", "-o", "x", "--format", "csv"],
        &["stacks", "t", "--sort", "wait"],
        &["heatmap", "t", "--regions", "3"],
        &["t", "--comm", ""],
        &["t", "--file", ""],
        &["t", "--min-latency", "-5"],
        &["heatmap", "t", "--address", "1000-2000"],
        &["memory", "t", "--sort", "pages"],
        &["queries", "t", "--slowest", "3", "--top", "2"],
        &["verify", "t", "--pid", "3"],
        &["repair", "t"],
        &["repair", "t", "-o", "-"],
        &["diff", "-", "-"],
        &["diff", "t"],
        &["sql"],
        &["sql", "t", "SELECT 1", "--max-memory", "much"],
        &["threads"],
        &[],
    ] {
        assert!(request(wrong).is_err(), "{wrong:?}");
    }
}
