//! The live monitor as lines: what it counts in the kernel is what the kernel counted, what it prints is what a
//! trace holds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::{Read, pipe},
    path::Path,
    time::Instant,
};

use common::{
    alone, disk_folder, emulated, pfrec, plain,
    process::{Ended, run, start, start_into},
    program,
    programs::compile,
    text,
    trace::{assert_books_balance, contents, latencies},
    until,
    workload::{Worker, workers},
};
use nix::sys::signal::Signal;
use serde_json::Value;

/// The lines of one type.
fn of_type(lines: &[Value], wanted: &str) -> Vec<Value> {
    let found = lines.iter().filter(|line| line["type"] == wanted);
    found.cloned().collect()
}

fn parsed(stdout: &str) -> Vec<Value> {
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    stdout.lines().map(line).collect()
}

fn number(line: &Value, name: &str) -> u64 {
    line[name].as_u64().unwrap_or_else(|| panic!("{name} in {line}"))
}

fn sum(lines: &[Value], name: &str) -> u64 {
    lines.iter().map(|line| number(line, name)).sum()
}

/// Asserts what holds at the end of all counting: nothing is missing, and the intervals add up to the whole.
fn assert_exact(ended: &Ended) -> (Vec<Value>, Value) {
    assert_exact_but(ended, 0)
}

/// The same, of a machine that may have kept so many faults from all probes.
fn assert_exact_but(ended: &Ended, kept: u64) -> (Vec<Value>, Value) {
    let lines = parsed(&ended.stdout);
    let end = of_type(&lines, "end").pop().expect("the last line");
    let told: u64 = ["major", "minor", "lost", "hidden", "filtered"]
        .iter()
        .map(|name| number(&end, name))
        .sum();
    let kernel = number(&end, "kernel_major") + number(&end, "kernel_minor");
    let unexplained = number(&end, "unexplained");
    assert_eq!(kernel, told + unexplained, "{end}");
    assert!(unexplained <= kept, "{kept}: {end}");
    assert_eq!(end["check"] == "balanced", unexplained == 0, "{end}");
    let mut threads = of_type(&lines, "thread");
    threads.extend(of_type(&lines, "other_threads"));
    let mut totals = of_type(&lines, "total");
    totals.push(end.clone());
    for (all, each) in [
        ("major", "delta_major"),
        ("minor", "delta_minor"),
        ("failed", "delta_failed"),
        ("total_ns", "delta_total_ns"),
    ] {
        assert_eq!(number(&end, all), sum(&threads, each), "{each} of threads, {end}");
        assert_eq!(number(&end, all), sum(&totals, each), "{each} of totals, {end}");
    }
    (lines, end)
}

/// Runs a command to its end under `pfrec -i 100 --format json`, with no more than these `flags`.
fn count(flags: &[&str], command: &[&str]) -> Ended {
    let own = ["-i", "100", "--format", "json"];
    let ended = run(pfrec(&[&own[..], flags, &["--"], command].concat())).ok();
    assert!(ended.stderr.contains(": balanced\n"), "{}", ended.stderr);
    assert!(ended.stderr.contains("wait4(2) agrees"), "{}", ended.stderr);
    assert!(ended.stderr.contains("pfrec: nothing lost\n"), "{}", ended.stderr);
    ended
}

/// A walk of 600 cold pages by each of three threads. Its standard output is pfrec's here, so it writes a file.
fn walk(folder: &Path, flags: &[&str]) -> (Ended, Vec<Worker>) {
    let (report, workload) = (folder.join("report"), program("mmap-workload"));
    let script =
        r#""$0" --pattern random --threads 3 --count 600 --size 8 --advice random --format json > "$1""#;
    let command = ["sh", "-c", script, text(&workload), text(&report)];
    let ended = count(flags, &command);
    let workers = workers(&fs::read_to_string(report).unwrap());
    (ended, workers)
}

#[test]
#[ignore = "needs root"]
fn what_is_counted_in_the_kernel_is_what_the_kernel_counted_for_each_thread() {
    let folder = disk_folder();
    let (ended, workers) = walk(folder.path(), &[]);
    let (lines, end) = assert_exact(&ended);
    assert_eq!(number(&end, "lost") + number(&end, "threads_without_row"), 0);
    let majors: u64 = workers.iter().map(|worker| worker.majors).sum();
    assert!(majors > 20, "hardly a cold fault");
    for worker in &workers {
        let rows: Vec<Value> = of_type(&lines, "thread")
            .into_iter()
            .filter(|row| number(row, "tid") == u64::from(worker.tid))
            .collect();
        let last = rows.last().unwrap_or_else(|| panic!("{worker:?} has no row"));
        assert_eq!(
            (&last["comm"], &last["ended"]),
            (&worker.comm.clone().into(), &true.into())
        );
        // Before and after its walk a thread faults on its stack and on code.
        assert_eq!(number(last, "major"), worker.majors, "{worker:?} {last}");
        assert!(number(last, "minor") >= worker.minors, "{worker:?} {last}");
        let (min, max) = (number(last, "min_ns"), number(last, "max_ns"));
        let (average, p99) = (number(last, "avg_ns"), number(last, "p99_ns"));
        assert!(
            0 < min && min <= average && average <= p99.max(max) && p99 <= max,
            "{last}"
        );
    }
}

#[test]
#[ignore = "needs root"]
fn beside_a_recording_the_counts_are_those_of_the_trace() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let (ended, _) = walk(folder.path(), &["-o", text(&trace)]);
    let (_, end) = assert_exact(&ended);
    let books = assert_books_balance(&trace, &ended.stderr);
    assert_eq!(number(&end, "major") + number(&end, "minor"), books.recorded);
    assert_eq!(number(&end, "kernel_major"), books.kernel_majors);
    assert_eq!(number(&end, "kernel_minor"), books.kernel_minors);
}

#[test]
#[ignore = "needs root"]
fn every_fault_is_printed_as_it_is_recorded() {
    let folder = disk_folder();
    let trace = folder.path().join("t.pfz");
    let (ended, _) = walk(folder.path(), &["-o", text(&trace), "-v"]);
    let printed = of_type(&parsed(&ended.stdout), "fault");
    let mut printed: Vec<(u64, u64, u64)> = printed
        .iter()
        .map(|line| {
            let part = |name| number(line, name);
            (part("ts_ns"), part("address"), part("latency_ns"))
        })
        .collect();
    let mut recorded = latencies(&trace);
    printed.sort_unstable();
    recorded.sort_unstable();
    assert!(recorded.len() > 600, "{}", recorded.len());
    assert_eq!(printed, recorded);
}

#[test]
#[ignore = "needs root"]
fn without_a_trace_faults_are_printed_with_file_and_offset() {
    let folder = disk_folder();
    let data = folder.path().join("data");
    fs::write(&data, vec![7; 64 << 12]).unwrap();
    let (workload, report) = (program("mmap-workload"), folder.path().join("report"));
    let script = r#""$0" -f "$1" --pattern seq --count 64 > "$2"; exit 7"#;
    let arguments = [
        "-v",
        "--",
        "sh",
        "-c",
        script,
        text(&workload),
        text(&data),
        text(&report),
    ];
    let ended = run(pfrec(&arguments)).with_status(7);
    let first_page = format!("{}+0x0", data.display());
    assert!(ended.stdout.starts_with("TIME "), "{ended:#?}");
    assert!(
        ended.stdout.lines().any(|line| line.ends_with(&first_page)),
        "{ended:#?}"
    );
    assert!(
        ended.stderr.contains("pfrec: no trace was written\n"),
        "{ended:#?}"
    );
    assert!(ended.stderr.contains(": balanced\n"), "{ended:#?}");
}

#[test]
#[ignore = "needs root"]
fn ten_thousand_threads_have_a_row_each_while_there_are_slots() {
    let _alone = alone();
    let folder = disk_folder();
    let program = compile("many_threads", folder.path());
    let ended = count(
        &[],
        &["sh", "-c", r#""$0" 10000 100 4 > /dev/null"#, text(&program)],
    );
    let (lines, end) = assert_exact(&ended);
    assert_eq!(number(&end, "threads_without_row"), 0, "{end}");
    let rows = of_type(&lines, "thread");
    let ended_rows = rows.iter().filter(|row| row["ended"] == true);
    let tids: Vec<u64> = ended_rows.map(|row| number(row, "tid")).collect();
    assert!(tids.len() > 10_000, "{} rows", tids.len());
    // A number comes again only when the kernel has used all others.
    assert!(tids.iter().collect::<HashSet<_>>().len() > 9_900);
}

#[test]
#[ignore = "needs root"]
fn threads_beyond_the_slots_are_counted_together_and_nothing_is_missing() {
    let _alone = alone();
    let folder = disk_folder();
    let program = compile("many_threads", folder.path());
    let flags = ["--live-threads", "4"];
    let ended = count(
        &flags,
        &["sh", "-c", r#""$0" 10000 100 4 > /dev/null"#, text(&program)],
    );
    let (lines, end) = assert_exact(&ended);
    assert_eq!(number(&end, "slots"), 4);
    assert_eq!(number(&end, "threads_without_row"), 0, "all have ended: {end}");
    assert!(
        sum(&of_type(&lines, "other_threads"), "delta_minor") > 20_000,
        "{end}"
    );
    assert!(
        ended.stderr.contains("without a row of their own"),
        "{}",
        ended.stderr
    );
}

#[test]
#[ignore = "needs root"]
fn the_table_names_its_time_and_leaves_out_who_did_nothing() {
    let script = "sleep 0.35 & i=0; while [ $i -lt 300 ]; do (:); i=$((i+1)); done; wait";
    let ended = run(pfrec(&["-i", "100", "--", "sh", "-c", script])).ok();
    let mut tables = 0;
    let mut of_sleep = 0;
    for line in ended.stdout.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[0] {
            "PID" => tables += 1,
            // 2026-11-23T19:00:00.000Z
            time if time.ends_with('Z') => assert_eq!((time.len(), &time[10..11]), (24, "T"), "{line}"),
            _ => {
                assert!(words.len() >= 13 && words[1].parse::<u32>().is_ok(), "{line}");
                of_sleep += u32::from(words[2] == "sleep");
            }
        }
    }
    assert!(tables >= 2, "{}", ended.stdout);
    // At its beginning, which an emulated CPU draws out, and perhaps at its end.
    let most = if emulated() { 6 } else { 2 };
    assert!((1..=most).contains(&of_sleep), "{}", ended.stdout);
}

#[test]
#[ignore = "needs root"]
fn filters_hold_for_what_is_counted_in_the_kernel() {
    let folder = disk_folder();
    let (ended, workers) = walk(folder.path(), &["--comm", "pf-worker-0"]);
    let (lines, end) = assert_exact(&ended);
    let names: HashSet<String> = of_type(&lines, "thread")
        .iter()
        .map(|row| row["comm"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, HashSet::from(["pf-worker-0".to_owned()]));
    assert!(number(&end, "filtered") > 100, "{end}");
    let worker = &workers[0];
    assert_eq!(number(&end, "major"), worker.majors, "{worker:?} {end}");

    let (ended, workers) = walk(folder.path(), &["--major-only"]);
    let (_, end) = assert_exact(&ended);
    assert_eq!(number(&end, "minor"), 0, "{end}");
    let majors: u64 = workers.iter().map(|worker| worker.majors).sum();
    assert!(number(&end, "major") >= majors && majors > 20, "{end}");
    assert!(number(&end, "filtered") > 100, "{end}");

    let (ended, _) = walk(folder.path(), &["--min-latency", "50us"]);
    let (lines, end) = assert_exact(&ended);
    assert!(number(&end, "filtered") > 100, "{end}");
    let rows = of_type(&lines, "thread");
    assert!(rows.iter().all(|row| number(row, "min_ns") >= 50_000), "{rows:?}");

    let (ended, _) = walk(folder.path(), &["--sample", "10"]);
    let (_, end) = assert_exact(&ended);
    assert!(number(&end, "minor") * 3 < number(&end, "filtered"), "{end}");
}

#[test]
#[ignore = "needs root"]
fn a_running_process_is_watched_until_ctrl_c_or_its_end() {
    let sleeper = start(plain(Path::new("/bin/sh"), &["-c", "while :; do (:); done"]));
    let pid = sleeper.pid().to_string();
    let watching = start(pfrec(&["-i", "100", "--format", "json", "-p", &pid]));
    until("a table", || {
        watching.stdout().contains("\"total\"").then_some(())
    });
    watching.signal(Signal::SIGINT);
    let ended = watching.wait().ok();
    assert!(ended.stderr.contains("(stopped by Ctrl-C)"), "{ended:#?}");
    let (_, end) = assert_exact(&ended);
    assert!(number(&end, "minor") > 100, "{end}");

    let begun = Instant::now();
    let ended = run(pfrec(&["-i", "--format", "json", "-p", &pid, "-d", "0.4"])).ok();
    let most = if emulated() { 60_000 } else { 5_000 };
    assert!((400..most).contains(&begun.elapsed().as_millis()), "{ended:#?}");
    assert_exact(&ended);

    let watching = start(pfrec(&["-i", "100", "--format", "json", "-p", &pid]));
    until("a table", || {
        watching.stdout().contains("\"total\"").then_some(())
    });
    drop(sleeper);
    let ended = watching.wait().ok();
    assert!(ended.stderr.contains("(all its processes ended)"), "{ended:#?}");
    assert_exact(&ended);
}

#[test]
#[ignore = "needs root"]
fn the_status_is_that_of_the_command_and_its_errors_those_of_a_recording() {
    run(pfrec(&["-i", "100", "--", "sh", "-c", "exit 9"])).with_status(9);
    run(pfrec(&["-i", "100", "--", "sh", "-c", "kill -KILL $$"])).with_status(137);
    let error = run(pfrec(&["-i", "100", "--", "no-such-command-anywhere"])).error(127);
    assert!(error.contains("no-such-command-anywhere"), "{error}");
}

#[test]
#[ignore = "needs root"]
fn whoever_reads_the_table_may_stop_reading() {
    let (mut reader, writer) = pipe().unwrap();
    let watching = start_into(pfrec(&["-i", "50", "-a"]), writer);
    let mut first = [0; 100];
    reader.read_exact(&mut first).unwrap();
    drop(reader);
    // Nobody else stops it.
    let ended = watching.wait().ok();
    assert!(
        ended.stderr.contains("(the reader of the lines closed the pipe)"),
        "{ended:#?}"
    );
}

#[test]
#[ignore = "needs root"]
fn whoever_reads_the_trace_may_stop_reading_and_that_is_told() {
    // Also while nothing is there to be written.
    let rests = start(plain(Path::new("sleep"), &["1000"]));
    let (mut reader, writer) = pipe().unwrap();
    let pid = rests.pid().to_string();
    let recording = start_into(pfrec(&["-o", "-", "-p", &pid]), writer);
    let mut first = [0; 8];
    reader.read_exact(&mut first).unwrap();
    drop(reader);
    let ended = recording.wait().ok();
    drop(rests);
    assert!(
        ended
            .stderr
            .contains("the reader of the trace closed standard output"),
        "{ended:#?}"
    );
}

#[test]
#[ignore = "needs root"]
fn a_reader_of_the_lines_that_stalls_costs_the_trace_nothing() {
    let _alone = alone();
    let folder = disk_folder();
    let (trace, workload) = (folder.path().join("t.pfz"), program("mmap-workload"));
    let (mut reader, writer) = pipe().unwrap();
    let mut command = pfrec(&["-o", text(&trace), "-v", "--", text(&workload)]);
    command.args([
        "--anon",
        "--size",
        "1600",
        "--count",
        "400000",
        "--pattern",
        "seq",
    ]);
    let recording = start_into(command, writer);
    until("the trace", || trace.exists().then_some(()));
    let mut lines = String::new();
    reader.read_to_string(&mut lines).unwrap();
    let ended = recording.wait().ok();
    assert_books_balance_without_loss(&trace, &ended.stderr);
    let events = contents(&trace).summary.events;
    assert!(events > 400_000, "{events}");
    let untold: u64 = ended
        .stderr
        .lines()
        .find_map(|line| {
            line.strip_prefix("pfrec: LOST ")?
                .strip_suffix(" lines of -v: the reader was too slow; counts and trace include these faults")
        })
        .expect("it is told")
        .parse()
        .unwrap();
    // The head, and a line for each gap.
    let shown = lines
        .lines()
        .filter(|line| line.contains(" minor ") || line.contains(" major "));
    assert_eq!(shown.count() as u64 + untold, events);
}

fn assert_books_balance_without_loss(trace: &Path, stderr: &str) {
    let books = contents(trace).accounting.expect("accounting");
    assert_eq!(books.lost, 0, "{stderr}");
    assert!(
        stderr.contains(": balanced\n") && stderr.contains("wait4(2) agrees"),
        "{stderr}"
    );
}

#[test]
fn what_only_a_recording_has_is_named() {
    for (arguments, expected) in [
        (&["-i", "100", "--stacks", "-a"][..], "--stacks"),
        (&["-v", "--breakdown", "-a"], "--breakdown"),
        (&["-i", "100", "--query", "none", "-a"], "--query"),
        (&["--format", "json", "-o", "t.pfz", "-a"], "--format"),
        (&["-i", "5", "-a"], "--interval"),
        (&["--live-threads", "5", "-o", "t.pfz", "-a"], "--interval"),
        (&["-a"], "-i"),
    ] {
        let ended = run(pfrec(arguments)).with_status(125);
        assert!(ended.stderr.contains(expected), "{arguments:?}: {}", ended.stderr);
    }
}

/// Some virtual machines have an agent as process 1 whose events are counted, and of which no sample is made and no
/// program runs.
fn faults_of_process_1() -> u64 {
    let stat = fs::read_to_string("/proc/1/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // minflt, and majflt.
    [fields[7], fields[9]]
        .iter()
        .map(|field| field.parse::<u64>().unwrap())
        .sum()
}

#[test]
#[ignore = "needs root"]
fn all_processes_are_watched_and_each_row_is_one_thread() {
    let before = faults_of_process_1();
    let ended = run(pfrec(&["-i", "200", "--format", "json", "-a", "-d", "1"])).ok();
    let (lines, _) = assert_exact_but(&ended, faults_of_process_1() - before);
    let mut last: HashMap<(u64, u64), u64> = HashMap::new();
    for row in of_type(&lines, "thread") {
        let (tid, minor) = (number(&row, "tid"), number(&row, "minor"));
        if row["ended"] == true {
            last.remove(&(number(&row, "pid"), tid));
            continue;
        }
        let before = last.insert((number(&row, "pid"), tid), minor);
        assert!(before.is_none_or(|before| before <= minor), "{row}");
    }
}
