//! Small traces that claim much, each fed to every verb: none takes more memory than the ceiling or minutes of a CPU, none
//! panics, and what is put together or refused is said in words. Sums stay those of the trace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod runs;
#[path = "../support/mod.rs"]
mod support;
mod traces;

use runs::{Fed, GIB};

/// Every verb, in the forms that keep different tables. `{trace}` is the trace, `{out}` a file that may be written.
const VERBS: [&[&str]; 29] = [
    &["{trace}"],
    &["{trace}", "--format", "json"],
    &["threads", "{trace}", "--format", "csv"],
    &["files", "{trace}", "--format", "csv"],
    &["causes", "{trace}", "--format", "csv"],
    &["percentiles", "{trace}", "--by", "tid"],
    &["percentiles", "{trace}", "--by", "comm", "--exact"],
    &["percentiles", "{trace}", "--by", "file"],
    &["percentiles", "{trace}", "--by", "stack"],
    &["heatmap", "{trace}"],
    &["heatmap", "{trace}", "--file", "segments.bin"],
    &["stacks", "{trace}", "--format", "csv"],
    &["stacks", "{trace}", "--folded"],
    &["queries", "{trace}"],
    &["queries", "{trace}", "--slowest", "1000"],
    &["regions", "{trace}", "--file", "segments.bin"],
    &["timeline", "{trace}"],
    &["memory", "{trace}"],
    &["events", "{trace}", "--format", "csv"],
    &["sql", "{trace}", "SELECT count(*) FROM threads"],
    &["sql", "{trace}", "SELECT count(*) FROM mappings"],
    &["sql", "{trace}", "SELECT count(*) FROM processes"],
    &["sql", "{trace}", "SELECT count(*) FROM files"],
    &["sql", "{trace}", "SELECT count(*) FROM queries"],
    &[
        "sql",
        "{trace}",
        "SELECT file, comm, count(*) FROM faults GROUP BY file, comm",
    ],
    &["diff", "{trace}", "{trace}"],
    &["info", "{trace}"],
    &["verify", "{trace}"],
    &["repair", "{trace}", "-o", "{out}"],
];

#[test]
fn every_verb_is_fed() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_pfanalyze"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let verbs = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|verb| !verb.is_empty() && *verb != "help");
    let missing: Vec<_> = verbs
        .filter(|verb| !VERBS.iter().any(|args| args[0] == *verb))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Feeds a trace to every verb.
fn feed(trace: &Fed) {
    for args in VERBS {
        let run = trace.run(args, false);
        assert!(run.peak < GIB, "{args:?} takes {} MiB", run.peak >> 20);
        assert!(
            matches!(run.status, Some(0 | 1 | 3)),
            "{args:?} ends with {:?}: {}",
            run.status,
            run.errors
        );
        assert!(run.cpu_s < 60, "{args:?} takes {} s", run.cpu_s);
        assert!(!run.errors.contains("panicked"), "{args:?}: {}", run.errors);
        // An error is one line that says what to do.
        if run.status == Some(1) {
            let last = run.errors.lines().last().unwrap_or_default();
            assert!(last.starts_with("error: "), "{args:?}: {}", run.errors);
        }
    }
}

/// The sum of a column of a CSV table, without its total.
fn sum(csv: &str, column: &str) -> u64 {
    let mut lines = csv.lines();
    let place = lines.next().unwrap().split(',').position(|name| name == column);
    let cells = lines.map(|line| line.split(',').nth(place.unwrap()).unwrap().parse::<u64>());
    cells.map(Result::unwrap).sum()
}

#[test]
fn objects_without_end() {
    let trace = Fed::new(&traces::objects(2_000_000));
    feed(&trace);
    let run = trace.run(&["files", "{trace}", "--format", "csv"], true);
    assert_eq!(run.status, Some(0), "{}", run.errors);
    assert_eq!(sum(&run.output, "major"), 2_000_000);
    assert!(run.output.lines().count() <= 1 + 65_536 + 1);
    assert!(
        run.errors.contains(
            "too many files to keep apart: the row others has those with the shortest waits together, more than 1,048,576 \
             files and kinds of memory"
        ),
        "{}",
        run.errors
    );
}

#[test]
fn objects_that_no_dictionary_can_have() {
    let trace = Fed::new(&traces::objects_above_limit(1_000_000));
    feed(&trace);
    let run = trace.run(&["files", "{trace}"], true);
    assert!(
        run.output.contains("! damaged: ")
            && run
                .output
                .contains("cannot decode column object: dictionary id: ")
            && run.output.contains("is over the limit of 4194304"),
        "{}",
        run.output
    );
    assert_eq!(trace.run(&["verify", "{trace}"], false).status, Some(3));
}

#[test]
fn names_of_threads_without_end() {
    let trace = Fed::new(&traces::comms(1_500_000));
    feed(&trace);
    let run = trace.run(&["diff", "{trace}", "{trace}"], true);
    assert!(
        run.output.contains(
            "A: too many to keep apart: others has the faults of those with the shortest waits together, more than 1,048,576 \
             thread names"
        ),
        "{}",
        run.output
    );
}

#[test]
fn programs_of_processes_without_end() {
    let trace = Fed::new(&traces::programs(1_000_000));
    feed(&trace);
    let run = trace.run(&["info", "{trace}"], true);
    assert!(run.output.contains(" that are not kept"), "{}", run.output);
}

#[test]
fn threads_without_end() {
    let trace = Fed::new(&traces::threads(3_000_000));
    feed(&trace);
    let run = trace.run(&["threads", "{trace}", "--format", "csv"], true);
    assert_eq!(run.status, Some(0), "{}", run.errors);
    assert_eq!(sum(&run.output, "major"), 3_000_000);
    assert!(run.output.lines().count() <= 1 + 65_536 + 1);
    let words = "too many threads to keep apart: the row others has those with the shortest waits together, more than \
                 1,048,576 threads";
    assert!(run.errors.contains(words), "{}", run.errors);
    let report = trace.run(&["{trace}"], true);
    let text = report.output.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("others that faulted"), "{text}");
    let timeline = trace.run(&["timeline", "{trace}"], true);
    let words = "too many threads: those after the first 1,048,576 are taken for one";
    let text = timeline.output.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(words), "{text}");
}

#[test]
fn processes_without_end() {
    feed(&Fed::new(&traces::processes(1_500_000)));
}

#[test]
fn ends_of_threads_without_end() {
    let trace = Fed::new(&traces::lives(2_500_000, traces::exit));
    feed(&trace);
    let run = trace.run(&["info", "{trace}"], true);
    // 1,048,576 lives are kept, one of them that of a thread which has faults.
    assert!(
        run.output.contains(
            "! too many threads: 1,451,425 begins and ends were not kept, so lifetimes may be too long"
        ),
        "{}",
        run.output
    );
}

#[test]
fn one_thread_born_again_and_again() {
    let trace = Fed::new(&traces::lives(2_500_000, traces::birth));
    feed(&trace);
    let run = trace.run(&["info", "{trace}"], true);
    assert!(run.output.contains("! too many threads: "), "{}", run.output);
}

#[test]
fn mappings_without_end() {
    feed(&Fed::new(&traces::lives(2_500_000, traces::mapping)));
}

#[test]
fn stacks_that_no_dictionary_has() {
    let trace = Fed::new(&traces::stacks_undefined(2_000_000));
    feed(&trace);
    let run = trace.run(&["stacks", "{trace}", "--format", "csv"], true);
    assert_eq!(sum(&run.output, "self_faults"), 2_000_000);
    assert!(
        run.errors.contains(
            "too many stacks to keep apart: [all other stacks] has those with the shortest waits together"
        ),
        "{}",
        run.errors
    );
}

#[test]
fn stacks_far_deeper_than_any_real_one() {
    let trace = Fed::new(&traces::stacks_deep(20_000));
    feed(&trace);
    let run = trace.run(&["stacks", "{trace}", "--folded"], true);
    assert_eq!(run.status, Some(0), "{}", run.errors);
    assert!(
        run.errors
            .contains("too many functions, or too deep in each other: "),
        "{}",
        run.errors
    );
}

#[test]
fn outermost_functions_without_end() {
    let trace = Fed::new(&traces::stacks_wide(400_000));
    feed(&trace);
    let run = trace.run(&["stacks", "{trace}", "--format", "json"], false);
    assert_eq!(run.status, Some(0), "{}", run.errors);
}

#[test]
fn queries_in_each_other_without_end() {
    feed(&Fed::new(&traces::queries_nested(300_000, 1)));
    feed(&Fed::new(&traces::queries_nested(300_000, 4_000)));
}

#[test]
fn pages_far_apart_without_end() {
    feed(&Fed::new(&traces::pages(3_000_000)));
}

#[test]
fn the_ceiling_ends_a_verb_with_words_and_can_be_raised() {
    let trace = Fed::new(&traces::pages(3_000_000));
    let memory = |limit| trace.run(&["memory", "{trace}", "--memory-limit", limit], false);
    let run = memory("64M");
    assert_eq!(run.status, Some(1));
    assert!(run.peak < 64 << 20, "{} MiB", run.peak >> 20);
    assert!(
        run.errors.starts_with("error: this takes more than the 64")
            && run.errors.contains("give --memory-limit more"),
        "{}",
        run.errors
    );
    let run = memory("4G");
    assert_eq!(run.status, Some(0), "{}", run.errors);
}
